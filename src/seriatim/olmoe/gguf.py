"""OLMoE models as GGUF files, which llama.cpp runs: written from any source of weights, and read as one.

Tensors are written one by one, so a model that is converted never stands in memory as a whole. Source:
https://github.com/ggml-org/llama.cpp (`src/models/olmoe.cpp`: the names, and what its graph computes).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor

from seriatim.errors import ModelError, UsageError
from seriatim.olmoe.checkpoint import EMBEDDING, HEAD, Source
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.names import Part, Row, table
from seriatim.olmoe.output import written_whole
from seriatim.olmoe.saving import Progress
from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, Tokenizer, rebuilt

GgufKind = Literal["F32", "F16", "Q8_0", "Q4_0"]
KINDS: tuple[str, ...] = get_args(GgufKind)
_ARCHITECTURE = "olmoe"
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "Q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}
# Splits texts as GPT-2 does, which is what OLMoE's tokenizer was trained with.
_PRE_TOKENIZER = "olmo"
_MOST_ITEMS = 1 << 24
_STORED = {Kind.F32: torch.float32, Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}
_FALLBACK = torch.float16  # for quantised weights: what it loses is far less than what they lost


def write_gguf(
    source: Source,
    path: str | Path,
    tokenizer: Tokenizer,
    *,
    kind: GgufKind = "F32",
    name: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write `source` as a new file `path`; matrices are of `kind`, and norms and routers stay float32.

    A tied head is written out, since llama.cpp has no tied OLMoE. Raises `ModelError` for a model that llama.cpp would
    compute otherwise, where `path` exists, and where the disk is full; `UsageError` for an unknown `kind`.
    """
    if kind not in KINDS:
        raise UsageError(f"a GGUF file is written as {', '.join(KINDS)}, not as {kind!r}")
    path = Path(path)
    parts = _parts(source.config)
    _check_runnable(source.config, kind)
    writer = gguf.GGUFWriter(None, _ARCHITECTURE)
    _add_config(writer, source.config, name or path.stem, kind)
    _add_tokenizer(writer, tokenizer, source.config)
    total = 0
    for part in parts:
        shape, stored = _bytes_shape(part, kind)
        total += int(np.prod(shape))
        writer.add_tensor_info(part.gguf, shape, np.dtype(np.uint8), int(np.prod(shape)), raw_dtype=stored)
    with written_whole(path, total) as fresh:
        try:
            writer.write_header_to_file(fresh)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for done, data in enumerate(_data(source, kind)):
                writer.write_tensor_data(data)
                if progress:
                    progress(done + 1, len(parts))
            writer.flush()
        finally:
            if writer.fout:
                writer.close()


class GgufSource:
    """An OLMoE GGUF file as a source of weights and a tokenizer, its quantised tensors brought back to numbers.

    Raises `ModelError` for a file that is missing, damaged, of another architecture, or of a quantisation that the
    `gguf` package cannot undo.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        reader, self._fields = _opened(self.path)
        self._tensors = {
            tensor.name: (Kind(tensor.tensor_type), tuple(map(int, reversed(tensor.shape))), int(tensor.data_offset))
            for tensor in reader.tensors
        }
        architecture = self._fields.get("general.architecture")
        if architecture != _ARCHITECTURE:
            raise ModelError(f"{self.path} holds a model of the architecture {architecture}: only olmoe can be read")
        self.config = self._config()
        self._rows = table(self.config)
        self._check()

    def dtype(self, name: str) -> torch.dtype:
        """The type that `tensor` gives a tensor in: the stored one, or float16 for quantised weights."""
        first, *others = (_STORED.get(self._tensors[part.gguf][0], _FALLBACK) for part in self._row(name).parts)
        for other in others:
            first = torch.promote_types(first, other)
        return first

    def tensor(self, name: str) -> Tensor:
        """A tensor by the module's name; a tied head gives the embedding."""
        row = self._row(name)
        tensor = torch.empty(row.shape, dtype=self.dtype(name))
        for part, view in row.split(tensor):
            view.copy_(self._read(part))
        return tensor

    def tokenizer(self) -> Tokenizer:
        """The tokenizer in the file. Raises `ModelError` where it has none, a damaged one, or another model's."""
        tokens, types = self._list("tokens", str), self._list("token_type", int)
        merges = [tuple(merge.split(" ", 1)) for merge in self._list("merges", str)]
        if (
            self._fields.get("tokenizer.ggml.model") != "gpt2"
            or len(types) != len(tokens)
            or any(len(merge) != 2 for merge in merges)
        ):
            raise ModelError(f"{self.path} holds a tokenizer of another kind than OLMoE's byte-level BPE")
        while tokens and types[len(tokens) - 1] == gguf.TokenType.UNUSED:
            tokens = tokens[:-1]
        known = set(tokens)
        for merge in merges:
            if not known.issuperset((*merge, "".join(merge))):
                raise ModelError(f"{self.path} is damaged: it merges {merge} into no token; fetch it again")
        of_type = {kind: [id for id in range(len(tokens)) if types[id] == kind] for kind in gguf.TokenType}
        tokenizer = Tokenizer(
            rebuilt(
                tokens, merges, special=of_type[gguf.TokenType.CONTROL], added=of_type[gguf.TokenType.USER_DEFINED]
            ),
            eos_id=self.config.eos_token_id,
            pad_id=self.config.pad_token_id,
            chat_template=self._fields.get("tokenizer.chat_template"),
        )
        tokenizer.check_fits(self.config)
        return tokenizer

    def _list(self, name: str, kind: type) -> list[Any]:
        """A list of the tokenizer's, all of whose items are of `kind`."""
        found = self._fields.get(f"tokenizer.ggml.{name}")
        if found is None:
            raise ModelError(f"{self.path} lacks tokenizer.ggml.{name}: it holds no tokenizer of OLMoE's kind")
        if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
            raise ModelError(f"{self.path} is damaged: its tokenizer.ggml.{name} is no list of {kind.__name__}")
        return found

    def _row(self, name: str) -> Row:
        return self._rows[EMBEDDING if name == HEAD and self.config.tie_word_embeddings else name]

    def _read(self, part: Part) -> Tensor:
        kind, shape, offset = self._tensors[part.gguf]
        stored = gguf.quant_shape_to_byte_shape(shape, kind)
        size = int(np.prod(stored))
        try:
            data = np.fromfile(self.path, np.uint8, size, offset=offset)
        except OSError as error:
            raise ModelError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if len(data) < size:
            raise ModelError(f"{self.path} ends in the tensor {part.gguf!r}: it was cut short while it was read")
        if kind in _STORED:
            return torch.from_numpy(data).view(_STORED[kind]).view(shape)
        return torch.from_numpy(gguf.quants.dequantize(data.reshape(stored), kind)).view(shape)

    def _config(self) -> OlmoeConfig:
        def stated(key: str, otherwise: Any = None) -> Any:
            value = self._fields.get(f"{_ARCHITECTURE}.{key}", otherwise)
            if value is None:
                raise ModelError(f"{self.path} is damaged: it does not state {_ARCHITECTURE}.{key}")
            return value

        if "token_embd.weight" not in self._tensors:
            raise ModelError(f"{self.path} lacks the tensor 'token_embd.weight': fetch it again")
        eos, bos = (self._fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "bos"))
        heads = stated("attention.head_count")
        return OlmoeConfig(
            vocab_size=self._tensors["token_embd.weight"][1][0],
            hidden_size=stated("embedding_length"),
            intermediate_size=stated("feed_forward_length"),
            num_hidden_layers=stated("block_count"),
            num_attention_heads=heads,
            num_key_value_heads=stated("attention.head_count_kv", heads),
            num_experts=stated("expert_count"),
            num_experts_per_tok=stated("expert_used_count"),
            max_position_embeddings=stated("context_length"),
            # Written as float32: the shortest number that is the same one there is what was meant.
            rms_norm_eps=float(str(np.float32(stated("attention.layer_norm_rms_epsilon")))),
            rope_theta=float(str(np.float32(stated("rope.freq_base", 10_000.0)))),
            tie_word_embeddings="output.weight" not in self._tensors,
            eos_token_id=eos,
            pad_token_id=self._fields.get("tokenizer.ggml.padding_token_id"),
            bos_token_id=None if bos == eos else bos,
        )

    def _check(self) -> None:
        parts = {part.gguf: part for row in self._rows.values() for part in row.parts}
        missing, unexpected = sorted(parts.keys() - self._tensors.keys()), sorted(self._tensors.keys() - parts.keys())
        if missing:
            raise ModelError(f"{self.path} lacks the tensor {missing[0]!r}: fetch it again, whole")
        if unexpected:
            raise ModelError(f"{self.path} holds the tensor {unexpected[0]!r}, which an OLMoE model has no place for")
        for name, part in parts.items():
            kind, shape, _ = self._tensors[name]
            if shape != part.shape:
                raise ModelError(
                    f"tensor {name!r} in {self.path} has the shape {list(shape)}, and by the file's metadata it is "
                    f"{list(part.shape)}: the file is damaged"
                )
            if kind not in _STORED and not _can_dequantise(kind):
                raise ModelError(f"tensor {name!r} in {self.path} is stored as {kind.name}, which cannot be undone")


class _Reader(gguf.GGUFReader):
    """The package's reader, but one that says so where a file ends before what its header promises.

    It also believes no length that is far above any real vocabulary's: it would read on for hours.
    """

    def _get_field_parts(self, orig_offs: int, raw_type: Any) -> Any:
        if raw_type == gguf.GGUFValueType.ARRAY:
            length = int(self._get(orig_offs + 4, np.uint64)[0])
            if length > _MOST_ITEMS:
                raise ValueError(f"it claims an array of {length} items")
        return super()._get_field_parts(orig_offs, raw_type)

    def _get(self, offset: int, dtype: Any, count: Any = 1, override_order: Any = None) -> Any:
        found = super()._get(offset, dtype, count, override_order)
        if len(found) < int(count):
            raise ValueError("it ends early")
        return found


def _opened(path: Path) -> tuple[_Reader, dict[str, Any]]:
    """A file, and its fields by name."""
    try:
        reader = _Reader(path)
        return reader, {name: field.contents() for name, field in reader.fields.items()}
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise ModelError(f"{path} is no GGUF file, or is damaged or incomplete ({error}): fetch it again") from error


def _can_dequantise(kind: Kind) -> bool:
    _, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    try:
        gguf.quants.dequantize(np.zeros((1, block_bytes), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _parts(config: OlmoeConfig) -> list[Part]:
    """Every part that a file holds, in order; a tied head is held as well."""
    rows = table(config)
    parts = [part for row in rows.values() for part in row.parts]
    return [*parts, _tied_head(rows)] if config.tie_word_embeddings else parts


def _tied_head(rows: Mapping[str, Row]) -> Part:
    [embedding] = rows[EMBEDDING].parts
    return embedding._replace(gguf="output.weight")


def _stored_kind(part: Part, kind: str) -> Kind:
    # llama.cpp keeps these in float32: they are small, and much depends on them.
    small = len(part.shape) == 1 or "ffn_gate_inp" in part.gguf
    return Kind.F32 if small else Kind[kind]


def _bytes_shape(part: Part, kind: str) -> tuple[tuple[int, ...], Kind]:
    stored = _stored_kind(part, kind)
    return tuple(gguf.quant_shape_to_byte_shape(part.shape, stored)), stored


def _data(source: Source, kind: str) -> Iterator[np.ndarray[Any, Any]]:
    """The bytes of every part, in the order of `_parts`."""
    rows = table(source.config)
    for row in rows.values():
        for part, view in row.split(source.tensor(row.name)):
            yield _quantised(view, part, kind)
    if source.config.tie_word_embeddings:
        yield _quantised(source.tensor(HEAD), _tied_head(rows), kind)


def _quantised(view: Tensor, part: Part, kind: str) -> np.ndarray[Any, Any]:
    stored = _stored_kind(part, kind)
    with np.errstate(over="ignore"):
        data = gguf.quants.quantize(view.detach().float().contiguous().numpy(), stored)
    if stored is Kind.F16 and not np.isfinite(data).all():
        raise ModelError(f"tensor {part.gguf!r} has weights beyond the range of F16: write it as F32 or Q8_0")
    return np.ascontiguousarray(data)


def _check_runnable(config: OlmoeConfig, kind: str) -> None:
    if config.norm_topk_prob:
        raise ModelError(
            "llama.cpp's OLMoE does not normalise the experts' weights (norm_topk_prob), as this model does"
        )
    if config.clip_qkv is not None:
        raise ModelError("llama.cpp's OLMoE does not clip queries, keys and values (clip_qkv), as this model does")
    if config.num_key_value_heads != config.num_attention_heads:
        raise ModelError(
            "llama.cpp's OLMoE has as many heads of keys as of queries (num_key_value_heads), unlike this one"
        )
    block, _ = gguf.GGML_QUANT_SIZES[Kind[kind]]
    for name in ("hidden_size", "intermediate_size"):
        if getattr(config, name) % block:
            raise ModelError(
                f"{kind} wants {name} = {getattr(config, name)} to be a multiple of {block}: write it as F16"
            )


def _add_config(writer: Any, config: OlmoeConfig, name: str, kind: str) -> None:
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: Any, tokenizer: Tokenizer, config: OlmoeConfig) -> None:
    parts = tokenizer.parts()
    model, pre = parts["model"], parts.get("pre_tokenizer") or {}
    if model.get("type") != "BPE" or pre.get("type") != "ByteLevel" or pre.get("add_prefix_space"):
        raise ModelError("the model's tokenizer is not OLMoE's byte-level BPE: llama.cpp would split texts otherwise")
    tokenizer.check_fits(config)
    tokens = {id: token for token, id in model["vocab"].items()}
    added = {token["id"]: token for token in parts["added_tokens"]}
    tokens |= {id: token["content"] for id, token in added.items()}
    types = {
        id: gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED for id, token in added.items()
    }
    types |= dict.fromkeys(tokenizer.special_ids, gguf.TokenType.CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_PRE_TOKENIZER)
    writer.add_token_list([tokens.get(id, f"[PAD{id}]") for id in range(config.vocab_size)])
    writer.add_token_types(
        [
            types.get(id, gguf.TokenType.NORMAL) if id in tokens else gguf.TokenType.UNUSED
            for id in range(config.vocab_size)
        ]
    )
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    if config.eos_token_id is not None:
        writer.add_eos_token_id(config.eos_token_id)
    # A file that names none has token 11 for it.
    bos = config.eos_token_id if config.bos_token_id is None else config.bos_token_id
    if bos is not None:
        writer.add_bos_token_id(bos)
    if config.pad_token_id is not None:
        writer.add_pad_token_id(config.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template or CHAT_TEMPLATE)
