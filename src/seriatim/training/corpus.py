"""The data of a run: token shards that exist, or that are made of the settings' sources in the run's folder."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from seriatim.errors import UsageError
from seriatim.progress import Progress
from seriatim.training.beginning import SETTINGS
from seriatim.training.config import TrainConfig
from seriatim.training.data import shards, sources, vocabulary
from seriatim.training.data.batches import Batch, Batches, successive
from seriatim.training.parallel import Processes

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Corpus:
    """Batches to train on, the held-out text, and the tokenizer's folder and ids: a run's `Data`."""

    batches: Batches
    validation: Batches | None
    sequence_length: int
    tokenizer: Path
    vocabulary: int
    eos_id: int
    pad_id: int | None
    digest: str

    @property
    def held_out(self) -> Iterator[Batch]:
        """The held-out text, read batch by batch."""
        return map(successive, self.validation.in_order() if self.validation else ())

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of `step`."""
        return successive(self.batches.at(step))


def corpus(config: TrainConfig, run: Path, among: Processes, progress: Progress | None = None) -> Corpus:
    """The data that `config` names, of which each process reads its part. All that they hold is compared with what was
    written first, of several processes by each a share.

    Texts are read once: when the run has begun, its data stay what they are. Until then, as after a start that was
    refused, they are made anew where the settings or the texts have changed.

    Raises `UsageError` and `TrainingError` as the data do.
    """
    settings = config.data
    folder = config.folder / settings.shards if settings.shards else run / "data"
    if settings.sources:
        begun = (run / SETTINGS).exists()
        made_of = {} if begun and folder.exists() else _made_of(config)
        if among.first and not _is_made(folder, made_of):
            shutil.rmtree(folder, ignore_errors=True)
            _make(config, folder, made_of, progress)
        while not _is_made(folder, made_of):  # connected processes wait for each other for minutes only
            time.sleep(_POLL_S)
    held = shards.opened(folder)
    shards.verify(held, rank=among.rank, ranks=among.count, progress=progress)
    batches = Batches(
        held.tokens("train"), length=settings.sequence_length, batch=config.run.batch_size, seed=config.run.seed,
        rank=among.rank, ranks=among.count, document_ends=held.ends("train"),
    )  # fmt: skip
    return Corpus(
        batches, _validation(held, config), settings.sequence_length, folder, held.vocabulary, held.eos_id,
        held.pad_id, held.digest,
    )  # fmt: skip


def _made_of(config: TrainConfig) -> dict[str, Any]:
    """What tells data made of these settings from others: the settings, and each file's size and time."""
    settings = {name: value for name, value in asdict(config.data).items() if name != "sequence_length"}
    told = [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in _files(config)]
    return settings | {"files": told}


def _is_made(folder: Path, made_of: dict[str, Any]) -> bool:
    """Whether the data are there, and made of this; of anything, where that is empty. Raises `UsageError` for data that
    no run has made, which are not to be made anew."""
    if not folder.exists() or not made_of:
        return folder.exists()
    kept = shards.made_of(folder)
    if kept is None:
        raise UsageError(f"{folder} was not made by a run: name it in data.shards, or another folder with --run")
    return kept == json.loads(json.dumps(made_of))


def _files(config: TrainConfig) -> list[Path]:
    return sources.files([config.folder / source for source in config.data.sources])


def _make(config: TrainConfig, folder: Path, made_of: dict[str, Any], progress: Progress | None) -> None:
    settings, found = config.data, _files(config)
    if settings.tokenizer:
        tokenizer = vocabulary.existing(config.folder / settings.tokenizer)
    elif settings.vocab_size:
        texts = chain.from_iterable(sources.texts(file, settings.field) for file in found)
        tokenizer = vocabulary.trained(texts, settings.vocab_size, progress)
    else:
        raise UsageError("data.sources need data.tokenizer, a file, or data.vocab_size, to train one")
    shards.write(
        found, folder, tokenizer, field=settings.field, validation=settings.validation, made_of=made_of,
        progress=progress,
    )  # fmt: skip


def _validation(held: shards.Shards, config: TrainConfig) -> Batches | None:
    streams, length = held.tokens("validation"), config.data.sequence_length
    if sum(map(len, streams)) <= length:  # less than one sequence is held out
        return None
    return Batches(streams, length=length, batch=config.run.batch_size // config.run.accumulate, seed=0)
