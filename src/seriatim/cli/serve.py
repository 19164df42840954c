"""`seriatim serve` and `seriatim mcp`: Seriatim for browsers and for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from seriatim.cli.ask import ModelOption
from seriatim.cli.scope import EmbedderOption

_MISSING = "this needs a few packages more: pip install 'seriatim[serve]'"


def serve(
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="The address to listen at; others than this machine's need a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            envvar="SERIATIM_TOKEN",
            show_envvar=False,
            help="Answer only who has this token; SERIATIM_TOKEN, which no other user can see, is better.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Answer to this host name too, as behind a proxy; needs a token.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    embedder: EmbedderOption = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Serve the web page, the HTTP API, an OpenAI-compatible API and MCP.

    Listens on this machine only, at http://127.0.0.1:8765, until Ctrl-C.
    """
    import logging
    import os
    import signal
    from urllib.parse import quote

    from seriatim.cli.printing import notice
    from seriatim.errors import UsageError
    from seriatim.models.catalog import MODELS
    from seriatim.models.opening import check_reader, default_reader

    # One search multiplies one matrix by one vector, and several run at once: more threads would only get in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from seriatim.server.running import serve as run
        from seriatim.server.settings import Settings
    except ImportError as error:
        raise UsageError(f"{_MISSING} ({error.name} is not installed)") from error

    answers_with = model or default_reader()
    check_reader(answers_with)

    def started(address: str) -> None:
        page = f"{address}/?token=…" if token else address
        notice(f"serving {page} (API: {address}/docs); Ctrl-C stops it")
        named = MODELS.get(answers_with)
        if named and not named.fetched:
            size = named.size / 1e6
            notice(f"the model {named.name} is fetched now, once ({size:,.0f} MB); a question waits for it")
        if browser:
            _open(f"{address}/?token={quote(token, safe='')}" if token else address)

    # The MCP package would bring a handler of its own, which draws boxes.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # That answers under way are ended is no fault: this is how a server stops.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not str(record.msg).startswith("Cancel "))
    signal.signal(signal.SIGTERM, _terminated)  # comes again from uvicorn, once it has stopped
    run(
        Settings(
            host=host,
            port=port,
            token=token or None,
            allowed_hosts=tuple(allow_host or ()),
            model=answers_with,
            embedder=embedder,
        ),
        started=started,
    )


def mcp(
    model: ModelOption = None,
    embedder: EmbedderOption = None,
    allow: Annotated[
        list[Path] | None,
        typer.Option(
            "--allow",
            metavar="DIR",
            help="Let the assistant add files from this folder and below; without, it adds texts only.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Be a tool of another assistant: the Model Context Protocol over standard input and output."""
    import asyncio

    from seriatim.errors import UsageError
    from seriatim.models.opening import check_reader, default_reader

    answers_with = model or default_reader()
    check_reader(answers_with)
    try:
        from seriatim.server.mcp import mcp_server
        from seriatim.server.services import Services
        from seriatim.server.settings import Settings
    except ImportError as error:
        raise UsageError(f"{_MISSING} ({error.name} is not installed)") from error

    for folder in allow or ():
        if not folder.expanduser().is_dir():
            raise UsageError(f"{folder} is no folder; --allow takes one that exists")
    services = Services(Settings(model=answers_with, embedder=embedder))
    try:
        folders = [folder.expanduser() for folder in allow or ()]
        asyncio.run(mcp_server(services, folders=folders).run_stdio_async())
    finally:
        services.close()


def _terminated(number: int, _frame: object) -> None:
    """Say what Ctrl-C says, and end by the signal, which is what a service manager expects."""
    import signal

    from seriatim.cli import KEPT
    from seriatim.cli.printing import notice

    notice(f"stopped; {KEPT}")
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _open(address: str) -> None:
    """Open the browser where there is one; a text browser would take the terminal over."""
    import os
    import sys
    import webbrowser
    from threading import Thread

    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        Thread(target=webbrowser.open, args=(address,), daemon=True).start()
