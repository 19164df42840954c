"""Texts → ids, by several processes: the same ids in the same order, however many there are.

Each process reads, tokenises and filters a part at a time; what comes of the parts is handed on in their order.
"""

import hashlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import connection
from threading import Thread
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seriatim.errors import SeriatimError, TrainingError
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.training.data.repetition import repeats
from seriatim.training.data.sources import Part, rows

_ENCODE_AT_ONCE = 256
_AHEAD = 3
"""Parts in the works, for each process: as many are held in memory."""

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Tokenising:
    """How texts become ids: the column that they stand in, the share of documents that is held out, and whether those
    that repeat themselves are dropped."""

    tokenizer: Tokenizer
    field: str = "text"
    validation: float = 0.0
    filtered: bool = True


@dataclass(slots=True)
class Tokenised:
    """What comes of a part: each split's documents, how many repeat themselves, and what could not be read."""

    documents: dict[Split, list[NDArray[np.uint32]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    repeating: int = 0
    unreadable: list[SeriatimError] = field(default_factory=list)


def tokenised(parts: Sequence[Part], how: Tokenising, *, workers: int = 1) -> Iterator[Tokenised]:
    """What comes of each part, in order. One worker is this process, others are started beside it.

    Raises `TrainingError` where a process is killed, as by want of memory.
    """
    if workers == 1 or len(parts) == 1:
        for part in parts:
            yield tokenise(part, how)
        return
    # A fork would take over the locks of threads that it does not have.
    pool = ProcessPoolExecutor(
        min(workers, len(parts)), multiprocessing.get_context("spawn"), initializer=_begin, initargs=(how,)
    )
    try:
        waiting: deque[Future[Tokenised]] = deque()
        to_come = iter(parts)
        waiting.extend(pool.submit(_tokenise, part) for part in islice(to_come, _AHEAD * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_tokenise, part) for part in islice(to_come, 1))
    except BrokenProcessPool as error:
        raise TrainingError("a process that tokenises was killed; free memory, or take fewer --workers") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def tokenise(part: Part, how: Tokenising) -> Tokenised:
    """What comes of one part."""
    made = Tokenised()
    for text, ids in _encoded(rows(part, how.field), how.tokenizer, made.unreadable):
        if how.filtered and repeats(ids.astype(np.int64)):
            made.repeating += 1
        else:
            made.documents["validation" if _share(text) < how.validation else "train"].append(ids)
    return made


def _encoded(
    found: Iterable[str | SeriatimError], tokenizer: Tokenizer, unreadable: list[SeriatimError]
) -> Iterator[tuple[str, NDArray[np.uint32]]]:
    """Each text and its ids, where it has any; many are encoded at once."""
    rest = iter(found)
    while batch := list(islice(rest, _ENCODE_AT_ONCE)):
        unreadable += [row for row in batch if isinstance(row, SeriatimError)]
        texts = [row for row in batch if isinstance(row, str)]
        for text, ids in zip(texts, tokenizer.encode_all(texts), strict=True):
            if ids:
                yield text, np.array(ids, dtype=np.uint32)


def _share(text: str) -> float:
    """A number from 0 to 1 that a document's content alone determines."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8]) / 2**64


_how: Tokenising | None = None
"""What a process that was started for it does: its tokenizer is handed over once, not with every part."""


def _begin(how: Tokenising) -> None:
    global _how
    _how = how
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the one that started this, and that one this
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _tokenise(part: Part) -> Tokenised:
    assert _how is not None
    return tokenise(part, _how)
