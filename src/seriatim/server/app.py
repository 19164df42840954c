"""The application: routes, protection and the page, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

import seriatim
from seriatim.server import api, openai_api
from seriatim.server.errors import handle_errors
from seriatim.server.mcp import http_routes, mcp_server
from seriatim.server.reference import reference_page
from seriatim.server.security import Guard
from seriatim.server.services import Services
from seriatim.server.settings import Settings

_PAGE = Path(__file__).parent / "page"
_DESCRIPTION = (
    'Ask long documents questions. Errors are {"error": {"message", "type"}}, with a message that says what to do.'
)


def create_app(settings: Settings) -> tuple[ASGIApp, Services]:
    """The application, ready to serve, and what its routes share, which ends with it. Raises `SeriatimError`."""
    services = Services(settings)

    tools = mcp_server(services)
    mcp_routes = http_routes(tools)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            async with tools.session_manager.run():
                yield
        finally:
            services.close()

    app = FastAPI(
        title="Seriatim",
        version=seriatim.__version__,
        description=_DESCRIPTION,
        docs_url=None,  # FastAPI's own comes from another site, which the page's policy forbids
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    handle_errors(app)
    app.include_router(api.router)
    app.include_router(openai_api.router)

    @app.get("/docs", include_in_schema=False)
    def reference() -> HTMLResponse:
        return HTMLResponse(reference_page(app.openapi()))

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html")

    app.router.routes += mcp_routes
    app.mount("/page", StaticFiles(directory=_PAGE))
    return Guard(app, settings, services.metrics), services
