"""A run's checkpoints: Hugging Face folders with the training state beside the weights, each whole or not there.

RUN/checkpoints/step-0000100/{model.safetensors, config.json, tokenizer.json, training.json, optimizer.safetensors}
RUN/last → the newest
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from seriatim.errors import ModelError, TrainingError
from seriatim.olmoe.checkpoint import Checkpoint
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.names import table
from seriatim.olmoe.saving import Weights, companions, write_checkpoint
from seriatim.olmoe.tensor_file import Piece, write_tensors
from seriatim.training.parallel import Processes, shared_as, whole

STATE_FILE, OPTIMIZER_FILE = "training.json", "optimizer.safetensors"
FORMAT = 1
_MOMENTS = ("exp_avg", "exp_avg_sq")
_BEFORE = "remove that folder to go on from the one before"
_NAME = re.compile(r"step-\d{7,}")


def newest(run: Path) -> Path | None:
    """The newest checkpoint of a run; None before the first."""
    return max(_all(run), key=step_of, default=None)


def step_of(folder: Path) -> int:
    """After how many steps a checkpoint was kept, as its name says."""
    return int(folder.name.removeprefix("step-"))


def keep(
    run: Path, step: int, model: Olmoe, optimizer: Optimizer, among: Processes, *, tokenizer: Path, most: int
) -> Path:
    """Keep the state after `step` steps; of the checkpoints before it the last `most - 1` stay. Returns its folder.

    The first process writes, tensor by tensor, and the others hand it their parts: a checkpoint does not tell how many
    there were, and any other number can go on from it.

    `tokenizer` is the folder that the tokenizer's files are copied from. Raises `ModelError` where it cannot be
    written; the checkpoints before it are as they were.
    """
    folder = run / "checkpoints" / f"step-{step:07}"
    there = among.any(folder.exists())
    if not there and not among.first:
        for _ in chain(_weights(model), _moments(model, optimizer)):  # each is let go before the next
            pass
    elif not there:  # it does where a kill came between the checkpoint and its link
        copy = companions(tokenizer)

        def beside(target: Path) -> None:
            copy(target)
            write_tensors(target / OPTIMIZER_FILE, list(_pieces(model)), _moments(model, optimizer))
            state = {"format": FORMAT, "step": step, "rng": torch.get_rng_state().numpy().tobytes().hex()}
            (target / STATE_FILE).write_text(json.dumps(state), encoding="utf-8")

        write_checkpoint(Weights(model, whole), folder, dtype=torch.float32, companions=beside)
    if among.first:
        link(run, folder)
        for old in sorted(_all(run), key=step_of)[:-most]:
            shutil.rmtree(old)
    among.wait()
    return folder


def restore(folder: Path, model: Olmoe, optimizer: Optimizer) -> None:
    """Bring `model` and `optimizer` to the state in `folder`, to the bit. Random numbers are drawn on the CPU alone,
    for the weights, so that there is no state of a GPU's.

    Raises `TrainingError` for what cannot be read.
    """
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise TrainingError(f"{folder} was made by another version of Seriatim; begin a new run")
        load_weights(model, folder)
        with safe_open(folder / OPTIMIZER_FILE, "pt") as held:
            for name, parameter in model.named_parameters():
                moments: dict[str, Tensor] = {each: held.get_tensor(f"{each}.{name}") for each in _MOMENTS}
                shared = {each: shared_as(moment, parameter) for each, moment in moments.items()}
                taken = torch.tensor(float(state["step"]), device=parameter.device)
                optimizer.state[parameter] = {"step": taken, **shared}
        torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state["rng"]), dtype=torch.uint8))
    except ModelError as error:
        raise TrainingError(f"the model in {folder} is damaged; {_BEFORE}") from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        told = str(error).partition("\n")[0]
        raise TrainingError(f"the training state in {folder} cannot be read ({told}); {_BEFORE}") from error


def load_weights(model: Olmoe, folder: Path) -> None:
    """Copy the weights of a checkpoint into `model`. Raises `TrainingError` where the shapes differ."""
    checkpoint = Checkpoint(folder)
    ours, theirs = table(model.config), table(checkpoint.config)
    if {name: row.shape for name, row in ours.items()} != {name: row.shape for name, row in theirs.items()}:
        raise TrainingError(f"the model in {folder} has another shape than the settings give")
    with torch.no_grad():
        for name in ours:
            parameter = model.get_parameter(name)
            parameter.copy_(shared_as(checkpoint.tensor(name).float(), parameter))


def link(run: Path, folder: Path) -> None:
    """Let `run/last` be `folder`, in one step."""
    new = run / ".last.new"
    new.unlink(missing_ok=True)
    new.symlink_to(folder.relative_to(run))
    os.replace(new, run / "last")


def _all(run: Path) -> Iterator[Path]:
    """The run's own; a copy under another name is left alone."""
    return (each for each in (run / "checkpoints").glob("step-*") if _NAME.fullmatch(each.name))


def _pieces(model: Olmoe) -> Iterator[Piece]:
    for name, parameter in model.named_parameters():
        for moment in _MOMENTS:
            yield Piece(f"{moment}.{name}", tuple(parameter.shape), torch.float32)


def _weights(model: Olmoe) -> Iterator[Tensor]:
    """The whole weights, in the order in which a checkpoint is written."""
    for name in table(model.config):
        yield whole(model.get_parameter(name))


def _moments(model: Olmoe, optimizer: Optimizer) -> Iterator[Tensor]:
    for parameter in model.parameters():
        for moment in _MOMENTS:
            yield whole(optimizer.state[parameter][moment])
