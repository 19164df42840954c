"""Which models may be asked, and the one that is open."""

import threading
from collections.abc import Generator as Closable
from collections.abc import Iterator, Sequence

from seriatim.errors import ModelError
from seriatim.models.catalog import MODELS
from seriatim.models.generator import Generator, Message, Piece
from seriatim.models.opening import default_reader
from seriatim.sampling import GREEDY, Sampling
from seriatim.server.errors import STOPPING, NotFound, Unavailable
from seriatim.server.settings import OpenModel


class Models:
    """The models by name: those of the catalogue that are here, and the one that the server was started with.

    A client gives names alone, never a path or an address: else it could make the server read any file, or knock at
    any door of its network. One model is open at a time; asking another closes it.
    """

    def __init__(self, default: str | None, open_model: OpenModel) -> None:
        # Settled once, for what this machine has free, and with it the choice, changes as soon as a model is open.
        self._default, self._open_model = default or default_reader(), open_model
        self._open: tuple[str, Generator] | None = None
        self._stopping = False
        self.opening: dict[str, object] | None = None
        """What is fetched or converted before a model can be opened, and how far that has come; None where nothing
        is."""

    @property
    def default(self) -> str:
        """The name of the model that answers when none is asked for."""
        asked = self._default
        if asked in MODELS:
            return asked
        if asked.startswith(("http://", "https://")):
            address, _, served = asked.partition("#")
            return served or address.split("/")[2].rpartition("@")[2] or "default"
        return asked.rstrip("/").rpartition("/")[2] or "default"

    def names(self) -> list[str]:
        """All that can be asked, the default first."""
        here = [name for name, model in MODELS.items() if model.kind == "reader" and model.fetched]
        return list(dict.fromkeys([self.default, *here]))

    def checked(self, name: str | None) -> str:
        """The name of a model that can be asked. Raises `NotFound`."""
        if name is None or name == self.default:
            return self.default
        model = MODELS.get(name)
        if model is None or model.kind != "reader":
            raise NotFound(f"there is no model {name[:80]!r}; GET /v1/models lists those that can be asked")
        if not model.fetched:
            raise NotFound(f"the model {name} is not here yet; fetch it with: seriatim model pull {name}")
        return name

    def catalogue(self) -> list[dict[str, object]]:
        """All readers, here or not, as the API gives them."""
        listed = [
            {
                "name": model.name,
                "summary": model.title,
                "bytes": model.size,
                "present": model.fetched,
                "default": model.name == self.default,
            }
            for model in MODELS.values()
            if model.kind == "reader"
        ]
        if self.default in MODELS:
            return listed
        own: dict[str, object] = {"name": self.default, "summary": "the model that this server was started with"}
        return [{**own, "bytes": 0, "present": True, "default": True}, *listed]

    def is_open(self, name: str) -> bool:
        """Whether a question to this model need not wait for it to be fetched or loaded."""
        return self._open is not None and self._open[0] == name

    def open(self, name: str) -> Generator:
        """The model of that name, opened if another is. Called in the model's thread alone."""
        if self._open is None or self._open[0] != name:
            self.close()
            try:
                self._open = (name, self._open_model(self._default if name == self.default else name, self._progress))
            finally:
                self.opening = None
        return self._open[1]

    def stop(self) -> None:
        """Leave a model that is being fetched for the next start, which goes on with it."""
        self._stopping = True

    def _progress(self, what: str, done: int, total: int) -> None:
        if self._stopping:
            raise Unavailable(STOPPING)
        self.opening = {"what": what, "done": done, "total": total}

    def close(self) -> None:
        """Free the open model's memory."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


class Cancelled(Exception):
    """Whoever asked is gone."""


class Cancellable:
    """A `Generator` that stops, by closing the model's iterator, once `gone` is set, and whose budget is spent once
    `enough` is. `cut_short` says whether it ended so."""

    def __init__(self, generator: Generator, gone: threading.Event, enough: threading.Event) -> None:
        self._generator, self._gone, self._enough = generator, gone, enough
        self.cut_short = False

    @property
    def name(self) -> str:
        return self._generator.name

    @property
    def context_tokens(self) -> int:
        return self._generator.context_tokens

    @property
    def span_tokens(self) -> int:
        return self._generator.span_tokens

    def count_tokens(self, text: str) -> int:
        self.check()
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
        """See `Generator.stream`. Raises `Cancelled`."""
        self.check()
        try:
            yield from self._checked(messages, prefix, stop, max_tokens, sampling)
        except ModelError:
            self.check()  # an interrupted model says that it was broken off
            if not self._enough.is_set():
                raise
            self.cut_short = True
        if self.cut_short:
            yield Piece(finish_reason="length")

    def interrupt(self) -> None:
        """Wake a model that is at work on a long prompt, where it knows how to be woken; any thread may call."""
        wake = getattr(self._generator, "interrupt", None)
        if wake is not None:
            wake()

    def check(self) -> None:
        """Raise `Cancelled` where nobody waits for the answer any more."""
        if self._gone.is_set():
            raise Cancelled

    def go_on(self, *_: object) -> None:
        """Raise `Cancelled`, or `Unavailable` where it is too late to begin an answer."""
        self.check()
        if self._enough.is_set():
            raise Unavailable(STOPPING)

    def close(self) -> None:
        """Nothing: the model stays open for the next."""

    def _checked(
        self, messages: Sequence[Message], prefix: str, stop: Sequence[str], max_tokens: int, sampling: Sampling
    ) -> Iterator[Piece]:
        if self._enough.is_set():
            self.cut_short = True
            return
        pieces = self._generator.stream(messages, prefix=prefix, stop=stop, max_tokens=max_tokens, sampling=sampling)
        try:
            for piece in pieces:
                self.check()
                if self._enough.is_set() and piece.finish_reason is None:
                    self.cut_short = True
                    return
                yield piece
        finally:
            if isinstance(pieces, Closable):
                pieces.close()
