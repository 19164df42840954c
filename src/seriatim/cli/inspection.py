"""`seriatim model inspect`: what a model says about itself, without loading it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from seriatim.cli.printing import megabytes
from seriatim.cli.scope import JsonOption

if TYPE_CHECKING:
    from seriatim.models.checkpoint import CheckpointInfo
    from seriatim.models.gguf import GgufInfo

Facts = list[tuple[str, str | None]]


def inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH", help="A name of `seriatim model list`, a .gguf file, or the folder of a checkpoint."
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Show what a model's files say about themselves, without loading them."""
    from dataclasses import asdict

    from seriatim.cli.literal import line
    from seriatim.cli.printing import print_json
    from seriatim.models import checkpoint, gguf
    from seriatim.models.opening import reader_path

    path = reader_path(model, fetch=False)
    info = checkpoint.inspect(path) if path.is_dir() else gguf.inspect(path)
    if json:
        print_json(asdict(info) | {"path": str(info.path)})
        return
    facts = _checkpoint_facts(info) if isinstance(info, checkpoint.CheckpointInfo) else _gguf_facts(info)
    told = [(name, fact) for name, fact in facts if fact is not None]
    width = max(len(name) for name, _ in told)
    for name, fact in told:
        print(f"{name.ljust(width)}  {line(fact)}")


def _gguf_facts(info: "GgufInfo") -> Facts:
    return [
        ("name", info.name),
        ("architecture", info.architecture),
        ("parameters", _parameters(info.parameters, info.active_parameters)),
        ("size", megabytes(info.file_bytes)),
        ("weights", _shares(info.quantisation)),
        ("context", f"{info.context_tokens:,} tokens" if info.context_tokens else None),
        ("layers", _number(info.layers)),
        ("heads", _number(info.heads)),
        ("experts", _experts(info.experts, info.experts_used) if info.experts else None),
        ("vocabulary", f"{info.vocabulary:,} tokens" if info.vocabulary else None),
        ("chat template", "yes" if info.chat_template else "no"),
        ("file", str(info.path)),
    ]


def _checkpoint_facts(info: "CheckpointInfo") -> Facts:
    size = megabytes(info.file_bytes)
    if info.missing:
        size += f"; missing: {', '.join(info.missing)}; whole, it takes {megabytes(sum(info.parts.values()))}"
    return [
        ("architecture", info.architecture),
        ("parameters", _parameters(info.parameters, info.active_parameters)),
        ("size", size),
        ("weights", info.dtype),
        *((f"  {part}", megabytes(bytes_)) for part, bytes_ in info.parts.items()),
        ("context", f"{info.context_tokens:,} tokens"),
        ("layers", str(info.layers)),
        ("heads", str(info.heads)),
        ("experts", _experts(info.experts, info.experts_used)),
        ("vocabulary", f"{info.vocabulary:,} tokens"),
        ("tokenizer", "yes" if info.tokenizer else "missing: tokenizer.json"),
        ("folder", str(info.path)),
    ]


def _parameters(all_: int, active: int) -> str:
    return f"{all_:,}" + (f", of which {active:,} work on a token" if active != all_ else "")


def _experts(experts: int, used: int | None) -> str:
    return f"{experts}, of which {used} work on a token"


def _shares(sizes: Mapping[str, int]) -> str:
    total = sum(sizes.values()) or 1
    return ", ".join(f"{name} {100 * size / total:.1f}%" for name, size in sizes.items())


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
