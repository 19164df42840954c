"""Responses on disk as they come, so that a maker's run that was stopped asks nothing twice.

The file has a row a response: what was asked, as a digest, and the text. A run goes the same way each time, and finds
there what it asked before; only at what is new the model itself is asked.
"""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from seriatim.errors import TrainingError, UsageError
from seriatim.files import claimed
from seriatim.models.generator import Generator, Message, Piece
from seriatim.sampling import GREEDY, Sampling


@contextmanager
def recorded(generator: Generator, identity: str, path: Path) -> Iterator["Recorded"]:
    """The model as one whose responses are kept in the file `path`; `identity` tells it from others.

    Raises `UsageError` where another process writes there, `TrainingError` where the file is damaged or cannot be
    written.
    """
    with ExitStack() as opened:
        with _keeping(path):
            free = opened.enter_context(claimed(path.with_name(f".{path.name}.lock")))
        if not free:
            raise UsageError(f"another process writes to {path}: wait for it, or choose another out")
        with _keeping(path):
            file = opened.enter_context(path.open("a+", encoding="utf-8"))
            texts = _texts(file, path)
        yield Recorded(generator, identity, file, path, texts)


class Recorded:
    """A Generator that plays what it answered before, and answers anew, and keeps it, where there is nothing more."""

    def __init__(
        self, generator: Generator, identity: str, file: TextIO, path: Path, texts: dict[str, list[str]]
    ) -> None:
        self._generator, self._identity, self._file, self._path, self._texts = generator, identity, file, path, texts
        self._asked: Counter[str] = Counter()
        self.name, self.context_tokens = generator.name, generator.context_tokens
        self.span_tokens = generator.span_tokens

    def count_tokens(self, text: str) -> int:
        return self._generator.count_tokens(text)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Piece]:
        """The whole response in one piece. What is asked several times has as many responses."""
        asked = [self._identity, [asdict(each) for each in messages], prefix, list(stop), max_tokens, asdict(sampling)]
        key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        number = self._asked[key]
        self._asked[key] += 1
        if number == len(self._texts[key]):
            drawn = self._generator.stream(messages, prefix=prefix, stop=stop, max_tokens=max_tokens, sampling=sampling)
            self._keep(key, "".join(piece.text for piece in drawn if not piece.reasoning))
        yield Piece(self._texts[key][number], finish_reason="stop")

    def close(self) -> None:
        self._generator.close()

    def _keep(self, key: str, text: str) -> None:
        with _keeping(self._path):
            self._file.write(json.dumps({"asked": key, "text": text}) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self._texts[key].append(text)


@contextmanager
def _keeping(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(f"the responses cannot be kept in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is no text in UTF-8 ({error}): remove it to ask anew") from error


def _texts(file: TextIO, path: Path) -> dict[str, list[str]]:
    """The responses in a file, by what was asked; the beginning of a row, which a kill left at the end, is cut off."""
    file.seek(0)
    whole = file.read().encode()
    end = whole.rfind(b"\n") + 1
    file.truncate(end)
    file.seek(0, os.SEEK_END)
    found: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(whole[:end].splitlines(), start=1):
        try:
            row = json.loads(line)
            found[row["asked"]].append(row["text"])
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{path}, line {number} is damaged ({error}): remove that line") from error
    return found
