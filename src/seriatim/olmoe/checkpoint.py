"""Read checkpoints in Hugging Face's layout: `config.json` and safetensors, in one file or in shards with an index.

A checkpoint is checked from its files' headers when it is opened, and read one tensor at a time, so that a model larger
than the memory can be packed or converted. Pickles, which can run code, are never read.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seriatim.errors import ModelError
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.names import Row, table

if TYPE_CHECKING:
    from seriatim.olmoe.model import Olmoe

CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
INT8_FILE = "int8.json"
COMPANIONS = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""What else belongs to a model's folder, and goes along when the model is written in another form."""

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
"""The types that weights may be stored in, by their names in safetensors."""


class Source(Protocol):
    """Where a model's weights come from. Implementations: `Checkpoint`, `gguf.GgufSource`."""

    @property
    def config(self) -> OlmoeConfig: ...

    def dtype(self, name: str) -> torch.dtype:
        """The type of the tensor that `tensor(name)` gives."""

    def tensor(self, name: str) -> Tensor:
        """A tensor by the module's name (see `names.table`), freshly read; a tied head gives the embedding."""


class _Stored(NamedTuple):
    """A tensor as a file's header describes it."""

    path: Path
    dtype: str
    shape: tuple[int, ...]


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
        self._stored: dict[str, _Stored] = {}
        for file in self.files:
            for name, stored in _header(file):
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
            with _opened(file) as weights:
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
            with _opened(head.path) as one, _opened(embedding.path) as other:
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


def _files(folder: Path) -> tuple[tuple[Path, ...], Mapping[str, str] | None]:
    """The files with a folder's weights, in order, and which tensor is in which by the index, where there is one."""
    if (folder / WEIGHTS_FILE).exists():
        return (folder / WEIGHTS_FILE,), None
    if not (folder / INDEX_FILE).exists():
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
    index = _index(folder / INDEX_FILE)
    names = sorted(set(index.values()))
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name or "\\" in name:
            raise ModelError(f"{folder / INDEX_FILE} names {name!r}: only safetensors files beside it are read")
        if not (folder / name).is_file():
            raise ModelError(f"{folder} lacks {name}, which {INDEX_FILE} names: fetch that file")
    return tuple(folder / name for name in names), index


def _index(path: Path) -> dict[str, str]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged: it holds no weight_map; fetch it again") from error
    if not isinstance(index, dict) or not index or not all(isinstance(name, str) for name in index.values()):
        raise ModelError(f"{path} is damaged: its weight_map does not name files; fetch it again")
    return index


def _check_index(folder: Path, index: Mapping[str, str] | None, stored: Mapping[str, _Stored]) -> None:
    for name, file in (index or {}).items():
        if name not in stored or stored[name].path.name != file:
            raise ModelError(f"tensor {name!r} is not in {folder / file}, where {INDEX_FILE} has it: fetch both again")


def _header(path: Path) -> Iterator[tuple[str, _Stored]]:
    with _opened(path) as weights:
        for name in weights.keys():  # noqa: SIM118 (it is no mapping)
            tensor = weights.get_slice(name)
            yield name, _Stored(path, tensor.get_dtype(), tuple(tensor.get_shape()))


def _opened(path: Path) -> Any:
    """The safetensors file `path`, whose header and length safetensors checks."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ModelError(f"{path} is damaged or incomplete ({error}): fetch it again") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


def _some(names: list[str]) -> str:
    """A few of many names."""
    word = "tensor" if len(names) == 1 else f"{len(names)} tensors, among them"
    return f"{word} {', '.join(map(repr, names[:3]))}"
