"""The data of a run: token shards that exist, or that are made of the settings' sources in the run's folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from seriatim.errors import TrainingError, UsageError
from seriatim.progress import Progress
from seriatim.training.config import TrainConfig
from seriatim.training.data import shards, sources, vocabulary
from seriatim.training.data.batches import Batch, Batches, successive
from seriatim.training.parallel import Processes


@dataclass(frozen=True, slots=True)
class Corpus:
    """Batches to train on, the held-out text, and the tokenizer's folder and ids: a run's `Data`."""

    batches: Batches
    held_out: tuple[Batch, ...]
    sequence_length: int
    tokenizer: Path
    vocabulary: int
    eos_id: int
    pad_id: int | None
    digest: str

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of `step`."""
        return successive(self.batches.at(step))


def corpus(config: TrainConfig, run: Path, among: Processes, progress: Progress | None = None) -> Corpus:
    """The data that `config` names, of which each process reads its part.

    Raises `UsageError` and `TrainingError` as the data do.
    """
    settings = config.data
    folder = config.folder / settings.shards if settings.shards else run / "data"
    if settings.sources and not folder.exists() and among.first:
        _make(config, folder, progress)
    among.wait()
    held = shards.opened(folder)
    batches = Batches(
        held.tokens("train"), length=settings.sequence_length, batch=config.run.batch_size, seed=config.run.seed,
        rank=among.rank, ranks=among.count, document_ends=held.ends("train"),
    )  # fmt: skip
    return Corpus(
        batches, tuple(_held_out(held, config)), settings.sequence_length, folder, held.vocabulary, held.eos_id,
        held.pad_id, held.digest,
    )  # fmt: skip


def _make(config: TrainConfig, folder: Path, progress: Progress | None) -> None:
    settings = config.data
    found = sources.files([config.folder / source for source in settings.sources])
    if settings.tokenizer:
        tokenizer = vocabulary.existing(config.folder / settings.tokenizer)
    elif settings.vocab_size:
        tokenizer = vocabulary.trained(chain.from_iterable(map(sources.texts, found)), settings.vocab_size, progress)
    else:
        raise UsageError("data.sources need data.tokenizer, a file, or data.vocab_size, to train one")
    shards.write(found, folder, tokenizer, validation=settings.validation, progress=progress)


def _held_out(held: shards.Shards, config: TrainConfig) -> Iterator[Batch]:
    streams = held.tokens("validation")
    if not streams:
        return
    try:
        batch = config.run.batch_size // config.run.accumulate
        held_out = Batches(streams, length=config.data.sequence_length, batch=batch, seed=0).in_order()
        yield from map(successive, held_out)
    except TrainingError:
        return  # less than one sequence is held out
