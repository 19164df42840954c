"""The server process: its socket, its connections' patience, its start and its graceful stop."""

import asyncio
import errno
import fcntl
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import uvicorn

from seriatim.errors import SeriatimError, UsageError
from seriatim.server.app import create_app
from seriatim.server.errors import Unavailable
from seriatim.server.patience import patient
from seriatim.server.services import Services
from seriatim.server.settings import Settings

_KEEP_ALIVE_S = 30
_FAREWELL_S = 3  # for an answer that is ended to be checked, kept and sent
_log = logging.getLogger(__name__)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (no browser can open these, though one can listen)


def serve(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started` gets the address once the server answers.

    Then nobody is let in any more, an answer under way that is not finished within `settings.stop_s` is ended and kept
    as it is, and uploads that wait are kept for the next start. Raises `SeriatimError`.
    """
    server(settings, started).run()


def server(settings: Settings, started: Callable[[str], None]) -> "Server":
    """A server that listens already; `run` lets it answer. Raises `SeriatimError`."""
    listening = _socket(settings.host, settings.port)
    lock = None
    try:
        lock = _alone(settings.home)
        app, services = create_app(settings)
        services.jobs.resume()
    except BaseException:
        listening.close()
        if lock is not None:
            lock.close()
        raise
    limits = settings.limits
    config = uvicorn.Config(
        app,
        host=settings.host,
        http=patient(header_s=limits.header_s, unread_s=limits.body_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        h11_max_incomplete_event_size=limits.header_bytes,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.stop_s + _FAREWELL_S),
        backlog=512,
    )
    return Server(config, services, (listening, lock), started)


class Server(uvicorn.Server):
    """uvicorn's, which opens the model at the start and lets nobody wait for it at the end."""

    def __init__(
        self,
        config: uvicorn.Config,
        services: Services,
        held: tuple[socket.socket, IO[str]],
        started: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self._services, (self._listening, self._lock), self._started = services, held, started

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        with self._lock, self._listening:
            super().run(sockets or [self._listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._services.queue.submit(lambda: _open_default(self._services))
            host = _EVERYWHERE.get(self.config.host, self.config.host)
            host = f"[{host}]" if ":" in host else host
            self._started(f"http://{host}:{self._listening.getsockname()[1]}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        queue = self._services.queue
        queue.stop()
        ending = asyncio.get_running_loop().call_later(self._services.settings.stop_s, queue.finish)
        await super().shutdown(sockets)
        ending.cancel()


def _alone(home: Path) -> IO[str]:
    """Hold a home's lock while the file is open. Raises `UsageError` where another server has it, or none can."""
    with ExitStack() as unless_held:
        try:
            home.mkdir(parents=True, exist_ok=True)
            lock = unless_held.enter_context((home / "server.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another server is at work in {home}; use that one, or set SERIATIM_HOME to another folder"
            ) from error
        except OSError as error:
            raise UsageError(
                f"no server can work in {home} ({error.strerror or error}); set SERIATIM_HOME to a folder that you can "
                "write"
            ) from error
        unless_held.pop_all()
        return lock


def _open_default(services: Services) -> None:
    """Open the model before the first question; where that fails, the first question says why."""
    try:
        services.models.open(services.models.default)
    except Unavailable:
        pass  # the server stops before the model has come
    except SeriatimError as error:
        _log.warning("%s", error)
    except Exception:  # nobody asks what became of this; the queue goes on
        _log.exception("the model %s could not be opened", services.models.default)


def _socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Only of a socket that says TCP does asyncio send what is written at once; else an answer's body waits up to
        # 40 ms for the client to acknowledge its head.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OverflowError as error:
        raise UsageError(f"{port} is no port; give one from 0 to 65535") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"{host} is no address of this machine; --host takes one that is") from error
        raise UsageError(
            f"the server cannot listen at {host}, port {port} ({error.strerror or error}): is another one running? "
            "Choose another with --port"
        ) from error
    return listening
