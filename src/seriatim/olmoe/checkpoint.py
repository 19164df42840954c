"""Read checkpoints in Hugging Face's layout: `config.json` and safetensors, in one file or in shards with an index.

A checkpoint is checked from its files' headers when it is opened, and read one tensor at a time, so that a model larger
than the memory can be packed or converted. Pickles, which can run code, are never read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe import listing
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.listing import INDEX_FILE, INT8_FILE, WEIGHTS_FILE, Stored, header, opened
from seriatim.olmoe.names import Row, table

if TYPE_CHECKING:
    from seriatim.olmoe.model import Olmoe

CONFIG_FILE = "config.json"
COMPANIONS = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""What else belongs to a model's folder, and goes along when the model is written in another form."""

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
DTYPES: dict[str, torch.dtype] = {name: getattr(torch, dtype) for name, dtype in listing.DTYPES.items()}
"""The types that weights may be stored in, by their names in safetensors."""


class Source(Protocol):
    """Where a model's weights come from. Implementations: `Checkpoint`, `gguf.GgufSource`."""

    @property
    def config(self) -> OlmoeConfig: ...

    def dtype(self, name: str) -> torch.dtype:
        """The type of the tensor that `tensor(name)` gives."""

    def tensor(self, name: str) -> Tensor:
        """A tensor by the module's name (see `names.table`), freshly read; a tied head gives the embedding."""


class Checkpoint:
    """A folder with an OLMoE model, open for reading; `files` are its safetensors in order.

    Experts may be stored each apart, as published, or stacked, as transformers 5 holds them. Raises `ModelError` for a
    folder that holds no OLMoE model, and for files that are missing, damaged, or not those of the config.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise ModelError(f"{self.path} is no folder: name the folder of a checkpoint, with {CONFIG_FILE} in it")
        self.config = OlmoeConfig.from_file(self.path / CONFIG_FILE)
        self.files, index = _files(self.path)
        self._rows = table(self.config)
        self._stored: dict[str, Stored] = {}
        for file in self.files:
            for name, stored in header(file):
                if name in self._stored:
                    raise ModelError(f"tensor {name!r} is in {self._stored[name].path} and in {file}: fetch both again")
                self._stored[name] = stored
        _check_index(self.path, index, self._stored)
        self._check_names()
        for row in self._rows.values():
            self._check(row)
        self._check_tied()

    def dtype(self, name: str) -> torch.dtype:
        """The type that a tensor is stored in."""
        return DTYPES[self._stored[self._names(self._row(name))[0]].dtype]

    def tensor(self, name: str) -> Tensor:
        """A tensor by the module's name, in the type that it is stored in; a tied head gives the embedding.

        Nothing of it stays mapped, so what reading costs in memory is what the tensor takes, once more while it is
        read. Raises `ModelError` where a file changed or cannot be read any more.
        """
        row = self._row(name)
        tensor = torch.empty(row.shape, dtype=self.dtype(name))
        views = {row.name: tensor} if row.name in self._stored else dict(row.published(tensor))
        for file in dict.fromkeys(self._stored[each].path for each in views):
            with opened(file, "pt") as weights:
                for each, view in views.items():
                    if self._stored[each].path == file:
                        view.copy_(weights.get_tensor(each))
        return tensor

    def _row(self, name: str) -> Row:
        if name == HEAD and self.config.tie_word_embeddings:
            return self._rows[EMBEDDING]
        return self._rows[name]

    def _names(self, row: Row) -> tuple[str, ...]:
        """The names under which a row is stored."""
        if row.name in self._stored:
            return (row.name,)
        return tuple(name for part in row.parts for name in part.published)

    def _check_names(self) -> None:
        wanted = {name for row in self._rows.values() for name in self._names(row)}
        if self.config.tie_word_embeddings:
            wanted |= {HEAD} & self._stored.keys()
        missing, unexpected = [sorted(names) for names in (wanted - self._stored.keys(), self._stored.keys() - wanted)]
        if missing:
            raise ModelError(f"{self.path} lacks {_some(missing)}: fetch the checkpoint again, whole")
        if unexpected:
            raise ModelError(
                f"{self.path} holds {_some(unexpected)}, which an OLMoE model of its {CONFIG_FILE} has no place for: "
                "the weights or the config are another model's"
            )

    def _check(self, row: Row) -> None:
        shape = row.shape if row.name in self._stored else None
        shapes = {
            name: part.shape[1:] if len(row.shape) > 2 else part.shape for part in row.parts for name in part.published
        }
        for name in self._names(row):
            stored, wanted = self._stored[name], shape or shapes[name]
            if stored.dtype not in DTYPES:
                raise ModelError(
                    f"tensor {name!r} in {stored.path} is stored as {stored.dtype}: only {', '.join(DTYPES)} can be "
                    "read; use a checkpoint that is not quantised"
                )
            if stored.shape != wanted:
                raise ModelError(
                    f"tensor {name!r} in {stored.path} has the shape {list(stored.shape)}, and by {CONFIG_FILE} it is "
                    f"{list(wanted)}: the weights or the config are another model's"
                )
            if DTYPES[stored.dtype] != self.dtype(row.name):
                raise ModelError(f"tensor {name!r} in {stored.path} is stored in another type than its siblings are")

    def _check_tied(self) -> None:
        if self.config.tie_word_embeddings and HEAD in self._stored:
            head, embedding = self._stored[HEAD], self._stored[EMBEDDING]
            with opened(head.path, "pt") as one, opened(embedding.path, "pt") as other:
                same = torch.equal(one.get_tensor(HEAD), other.get_tensor(EMBEDDING))
            if not same:
                raise ModelError(
                    f"{CONFIG_FILE} in {self.path} ties {HEAD!r} to the embedding, and the stored two differ: set "
                    "tie_word_embeddings to false"
                )


def load_float32(checkpoint: Source) -> "Olmoe":
    """The model of a checkpoint, in float32. No more memory is used than the model takes, and one tensor."""
    from seriatim.olmoe.model import Olmoe

    with torch.device("meta"):
        model = Olmoe(checkpoint.config)
    for name in table(checkpoint.config):
        model.load_state_dict({name: checkpoint.tensor(name).float()}, strict=False, assign=True)
    if checkpoint.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model


def _files(folder: Path) -> tuple[tuple[Path, ...], Mapping[str, str]]:
    """The files with a folder's weights, in order, and which tensor is in which by the index, where there is one."""
    if not any((folder / name).exists() for name in (WEIGHTS_FILE, INDEX_FILE)):
        if (folder / INT8_FILE).exists():
            raise ModelError(
                f"{folder} holds a model in int8, and this needs the checkpoint that it was made from: name that one's "
                "folder, or load this one as int8"
            )
        if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
            raise ModelError(
                f"{folder} holds its weights as pickles only, which can run code when they are read: fetch the "
                "checkpoint's safetensors"
            )
        raise ModelError(f"{folder} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}: fetch the checkpoint again, whole")
    files, missing, index = listing.listing(folder)
    if missing:
        raise ModelError(f"{folder} lacks {missing[0]}, which {INDEX_FILE} names: fetch that file")
    return files, index


def _check_index(folder: Path, index: Mapping[str, str], stored: Mapping[str, Stored]) -> None:
    for name, file in index.items():
        if name not in stored or stored[name].path.name != file:
            raise ModelError(f"tensor {name!r} is not in {folder / file}, where {INDEX_FILE} has it: fetch both again")


def _some(names: list[str]) -> str:
    """A few of many names."""
    word = "tensor" if len(names) == 1 else f"{len(names)} tensors, among them"
    return f"{word} {', '.join(map(repr, names[:3]))}"
