"""The data of a run: token shards that exist, or that are made of the settings' sources in the run's folder."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from seriatim.errors import UsageError
from seriatim.progress import Progress
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

    Raises `UsageError` and `TrainingError` as the data do.
    """
    settings = config.data
    folder = config.folder / settings.shards if settings.shards else run / "data"
    if settings.sources and among.first and not folder.exists():
        _make(config, folder, progress)
    while settings.sources and not folder.exists():  # connected processes wait for each other for minutes only
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


def _make(config: TrainConfig, folder: Path, progress: Progress | None) -> None:
    settings = config.data
    found = sources.files([config.folder / source for source in settings.sources])
    if settings.tokenizer:
        tokenizer = vocabulary.existing(config.folder / settings.tokenizer)
    elif settings.vocab_size:
        texts = chain.from_iterable(sources.texts(file, settings.field) for file in found)
        tokenizer = vocabulary.trained(texts, settings.vocab_size, progress)
    else:
        raise UsageError("data.sources need data.tokenizer, a file, or data.vocab_size, to train one")
    shards.write(found, folder, tokenizer, field=settings.field, validation=settings.validation, progress=progress)


def _validation(held: shards.Shards, config: TrainConfig) -> Batches | None:
    streams, length = held.tokens("validation"), config.data.sequence_length
    if sum(map(len, streams)) <= length:  # less than one sequence is held out
        return None
    return Batches(streams, length=length, batch=config.run.batch_size // config.run.accumulate, seed=0)
