"""What a run begins with, and goes on with alone: its folder to itself, the settings that are kept there, its model.

RUN/settings.json    the settings, and what tells the data from others
RUN/training.lock    held by the process that trains
"""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from seriatim.errors import SeriatimError, TrainingError, UsageError
from seriatim.files import claimed, write_json
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.output import remove_left
from seriatim.olmoe.tokenizer import TOKENIZER_FILE, from_file
from seriatim.training import checkpoints
from seriatim.training.config import Recipe, ScheduleSettings, TrainConfig, model_config
from seriatim.training.data.batches import IGNORED, Data
from seriatim.training.schedule import learning_rate

SETTINGS, LOCK, FORMAT = "settings.json", "training.lock", 1

_TABLES = ("model", "data", "minidag", "schedule", "optimizer", "loss", "run")
# Where the data are, and what is kept, told and tested along the way, may change: the weights are the same.
_FREE = ("data.shards", *(f"run.{name}" for name in ("save_every", "keep", "validate_every", "tensorboard", "wandb")))

_DIGESTS = ("data_sha256", "rows_sha256")


@contextmanager
def alone(run: Path, first: bool = True) -> Iterator[None]:
    """Hold the folder `run`, which is made, while the block runs; of several processes the `first` one does it. What
    a kill left there half written is removed.

    Raises `UsageError` where others are at work there, `SeriatimError` where it cannot be written.
    """
    if not first:
        yield
        return
    with ExitStack() as stack:
        try:
            free = stack.enter_context(claimed(run / LOCK))
        except OSError as error:
            raise SeriatimError(f"the run's folder {run} cannot be written: {error.strerror}") from error
        if not free:
            raise UsageError(f"another process trains in {run}: wait for it, or name another folder with --run")
        for each in (run / "data", run / "checkpoints" / "step-*"):
            remove_left(each)
        yield


def settle(
    file: Path, state: Mapping[str, Any], free: Collection[str] = (), defaults: Mapping[str, Any] | None = None
) -> None:
    """Write down in `file` what a run begins with, or compare it with what it began with. Names in tables are written
    table.name; those that are `free` may be others, and are then written down anew. What was not written down, for the
    setting is newer than the run, was as in `defaults`.

    Raises `UsageError` that names what differs.
    """
    now = json.loads(json.dumps(state))
    before = kept(file)
    if before is not None:
        new = _flat(now)
        unsaid = _flat(json.loads(json.dumps(defaults or {})))
        old = {**{name: value for name, value in unsaid.items() if name in new}, **_flat(before)}
        names = [name for name in {**new, **old} if name not in free and old.get(name) != new.get(name)]
        if names:
            told = [f"{name} was {old.get(name)!r}, not {new.get(name)!r}" for name in names if name not in _DIGESTS]
            told += ["the data are others" for name in names if name in _DIGESTS]
            raise UsageError(f"{file.parent} was begun otherwise: {'; '.join(told)}. Name a new folder with --run")
    if now != before:
        write_json(file, now)


def kept(file: Path) -> dict[str, Any] | None:
    """What `settle` wrote down in `file`; None where there is no such file. Raises `TrainingError` for one that cannot
    be read."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrainingError(f"what {file.parent} began with cannot be read from {file}: {error}") from error
    if not isinstance(held, dict):
        raise TrainingError(f"{file} is damaged: bring it back, or begin a new run")
    if held.get("format") != FORMAT:
        raise TrainingError(f"{file.parent} was made by another version of Seriatim; begin a new run")
    return held


def settle_recipe(run: Path, config: Recipe, data: Data, done: int) -> None:
    """Write down, or compare, the settings of a run of which `done` steps are made. The schedule may change as far as
    the rates of those steps are the same. Raises `UsageError` that names what differs."""
    tables = {name: each for name, each in asdict(config).items() if name in _TABLES}
    before = kept(run / SETTINGS)
    free = set(_FREE)
    if before is not None:
        try:
            began, highest = ScheduleSettings(**before["schedule"]), config.optimizer.learning_rate
        except (KeyError, TypeError) as error:
            raise TrainingError(f"{run / SETTINGS} is damaged: bring it back, or begin a new run") from error
        if all(
            learning_rate(began, step, highest) == learning_rate(config.schedule, step, highest) for step in range(done)
        ):
            free |= {f"schedule.{name}" for name in before["schedule"]}
    settle(run / SETTINGS, {"format": FORMAT, **tables, "data_sha256": data.digest}, free, defaults(config))


def defaults(config: Recipe) -> dict[str, Any]:
    """The settings as they are where a file says nothing of them; without those that a file must say."""
    tables = {each.name: getattr(config, each.name) for each in fields(config)}
    return {
        name: {each.name: each.default for each in fields(table) if each.default is not MISSING}
        for name, table in tables.items()
        if is_dataclass(table)
    }


def check_shape(config: TrainConfig) -> None:
    """Raise what the settings alone tell to be no model, before data are made for it."""
    if config.model.start:
        OlmoeConfig.from_file(config.folder / config.model.start / "config.json")
    else:
        model_config(config.model, config.data.sequence_length, 1, 0, None)


def check_data(config: Recipe, data: Data) -> None:
    """Raises `UsageError` where the model does not fit the data, or a held-out loss is asked for and nothing is held
    out; before anything is written down that the run would be held to."""
    if config.model.start:
        _check_start(config.folder / config.model.start, data)
    elif 0 < config.model.vocab_size < data.vocabulary:
        raise UsageError(
            f"model.vocab_size = {config.model.vocab_size} must be at least {data.vocabulary}, as many ids as the "
            "data's tokenizer has; leave it out to take those"
        )
    if config.run.validate_every and not any((batch.labels_BT != IGNORED).any() for batch in data.held_out):
        raise UsageError("no whole sequence is held out: set data.validation, or run.validate_every to 0")


def new_model(config: Recipe, data: Data) -> Olmoe:
    """The model that a run begins with: that of `model.start`, or one with random weights."""
    torch.manual_seed(config.run.seed)
    if config.model.start:
        start = config.folder / config.model.start
        model = Olmoe(OlmoeConfig.from_file(start / "config.json"))
        checkpoints.load_weights(model, start)
        return model
    return Olmoe(model_config(config.model, data.sequence_length, data.vocabulary, data.eos_id, data.pad_id))


def _check_start(start: Path, data: Data) -> None:
    shape = OlmoeConfig.from_file(start / "config.json")
    own = start / TOKENIZER_FILE
    others = own.exists() and from_file(own).get_vocab() != from_file(data.tokenizer / TOKENIZER_FILE).get_vocab()
    if others or data.vocabulary > shape.vocab_size:
        raise UsageError(f"the data were made with another tokenizer than that of {start}: make them with that one")
    if data.sequence_length > shape.max_position_embeddings:
        raise UsageError(
            f"data.sequence_length = {data.sequence_length} must be at most {shape.max_position_embeddings}, the "
            f"context of the model in {start}"
        )


def _flat(values: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    """Values by name, those in a table as table.name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{table}{name}.") if isinstance(value, dict) else {f"{table}{name}": value}
    return found
