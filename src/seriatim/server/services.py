"""What all routes share, made when the server starts and closed when it stops."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import Depends, Request

from seriatim.server.clients import client_of
from seriatim.server.database import Database
from seriatim.server.embedding import Embeddings
from seriatim.server.errors import Busy
from seriatim.server.history import History
from seriatim.server.jobs import Jobs
from seriatim.server.libraries import Libraries
from seriatim.server.metrics import Metrics
from seriatim.server.models import Models
from seriatim.server.queue import ModelQueue
from seriatim.server.settings import Settings

_PICTURES_AT_ONCE = 2


class Services:
    """The rooms of a running server."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self.settings = settings
        self.metrics = Metrics()
        self.database = Database(settings.home)
        self.libraries = Libraries(
            settings.home,
            embedder=settings.embedder,
            most_searches=limits.searches,
            most_libraries=limits.libraries,
        )
        self.models = Models(settings.model, settings.open_model)
        self.history = History(self.database)
        self.embeddings = Embeddings()
        self._pictures = ThreadPoolExecutor(_PICTURES_AT_ONCE, thread_name_prefix="picture")
        self._picturing = 0
        self.jobs = Jobs(self.libraries, self.database, most_waiting=limits.indexing, text_bytes=limits.text_bytes)
        self.queue = ModelQueue(self.models, most_waiting=limits.waiting, most_per_client=limits.waiting_per_client)

    async def pictured(self, picture: Callable[[], bytes]) -> bytes:
        """What `picture` makes; two at a time, for each takes a core and a process of its own. Raises `Busy`."""
        if self._picturing >= self.settings.limits.pictures:
            raise Busy("too many pages are being drawn; try again in a moment")
        self._picturing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pictures, picture)
        finally:
            self._picturing -= 1

    def close(self) -> None:
        """Finish what is at hand; what waits to be indexed goes on at the next start."""
        self.queue.stop()
        self.libraries.stop()
        self.queue.close(self.libraries.close_here)
        self.jobs.close()
        self.embeddings.close()
        self._pictures.shutdown(wait=True, cancel_futures=True)
        self.libraries.close()
        self.database.close()


# FastAPI takes what is not async to another thread and back, which takes longer than all that these do.
async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _client(request: Request) -> str:
    return client_of(request)


ServicesHere = Annotated[Services, Depends(_services)]
Client = Annotated[str, Depends(_client)]
