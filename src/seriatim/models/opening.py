"""Open a model by what a person calls it: a name, a GGUF file, a checkpoint folder, or the address of a server."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seriatim.errors import ModelError, UsageError
from seriatim.home import home
from seriatim.machine import cores, free_disk, free_memory
from seriatim.models.catalog import MODELS, find
from seriatim.models.transport import is_address

if TYPE_CHECKING:
    from seriatim.models.generator import Generator
    from seriatim.progress import Progress

SMALL_READER = "smollm2-135m"
READER = "qwen2.5-coder-1.5b"

_ENOUGH_MEMORY = 4 << 30
_ENOUGH_DISK = 3_000_000_000


def open_generator(
    model: str | None = None, *, passage_tokens: int = 0, progress: "Progress | None" = None
) -> "Generator":
    """The model called `model`, fetched first if it is a named model that is not here yet.

    `model` is a name from the catalogue, the path of a `.gguf` file or of an OLMoE checkpoint's folder, or an http(s)
    address, with `#MODEL` behind it where the server has several. None stands for `default_reader()`. A GGUF model is
    given a context that holds about `passage_tokens` and an answer, as far as it was trained for. Raises `UsageError`
    for what is none of these, and `ModelError` where the model cannot be fetched or loaded.
    """
    wanted = model or default_reader()
    if "://" in wanted:
        _check_address(wanted)
        from seriatim.models.endpoint import Endpoint

        address, _, served = wanted.partition("#")
        return Endpoint(address, served or None)
    path = reader_path(wanted, progress=progress)
    if path.is_dir():
        from seriatim.models.olmoe import NativeOlmoe

        return NativeOlmoe(path, progress=_packing(path.name, progress))
    from seriatim.models.llamacpp import DEFAULT_CONTEXT_TOKENS, LlamaCpp

    # Models cut text into other tokens than passages are counted in, up to about twice as many.
    context_tokens = max(DEFAULT_CONTEXT_TOKENS, 2 * passage_tokens)
    return LlamaCpp(path, context_tokens=context_tokens)


def check_reader(model: str) -> None:
    """Raise `UsageError` where `model` is no reader's name, no path of anything, and no address; nothing is fetched."""
    if "://" in model:
        _check_address(model)
        return
    with suppress(ModelError):  # it is not here yet
        if not os.path.exists(reader_path(model, fetch=False)):
            raise UsageError(f"there is no model {model}: give a .gguf file or the folder of an OLMoE checkpoint")


def _check_address(model: str) -> None:
    if not is_address(model):
        raise UsageError(f"{model} cannot be asked: the address of a model begins with http:// or https:// and a host")


def reader_path(model: str, *, fetch: bool = True, progress: "Progress | None" = None) -> Path:
    """The GGUF file or the checkpoint folder behind a reader's name or a path.

    A named model that is not here yet is fetched, or, without `fetch`, a `ModelError`.
    """
    # os.path says no where pathlib raises: a name too long for a file, a user who does not exist.
    path = os.path.expanduser(model)
    if model not in MODELS and (model.endswith(".gguf") or os.sep in model or os.path.exists(path)):
        return Path(path)
    named = find(model)
    if named.kind != "reader":
        readers = ", ".join(each.name for each in MODELS.values() if each.kind == "reader")
        raise UsageError(f"{model} turns text into vectors and cannot answer: take one of {readers}")
    if not fetch and not named.fetched:
        raise ModelError(f"{model} is not here yet: fetch it with `seriatim model pull {model}`")
    if fetch:
        from seriatim.models.download import pull

        pull(named, progress=progress)
    return named.folder if named.snapshot else named.paths[0]


def _packing(name: str, progress: "Progress | None") -> "Callable[[int, int], None] | None":
    """`progress`, told how many layers of a checkpoint are in int8."""
    return progress and (lambda done, layers: progress(f"{name}: layers in int8", done, layers))


def default_reader() -> str:
    """What answers when no model is asked for: `SERIATIM_MODEL`, else the better reader that this machine can run.

    Less than 4 GiB of free memory, a single core, or less than 3 GB of free disk (unless it is here already) call for
    the small one.
    """
    asked = os.environ.get("SERIATIM_MODEL")
    if asked:
        return asked
    roomy = MODELS[READER].fetched or free_disk(home()) >= _ENOUGH_DISK
    return READER if roomy and cores() > 1 and free_memory() >= _ENOUGH_MEMORY else SMALL_READER
