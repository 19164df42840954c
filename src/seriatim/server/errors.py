"""What can go wrong with a request, and the one form in which every error goes out."""

import logging
import re
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from seriatim.errors import DocumentError, LibraryError, ModelError, SeriatimError, UsageError

STOPPING = "the server is stopping; ask again when it is back"
_log = logging.getLogger(__name__)
_TRIED = re.compile(r"constrained-|\[|^(str|int|float|bool|literal)$")


class NotFound(SeriatimError):
    """What the request names does not exist."""


class Conflict(SeriatimError):
    """The request cannot be carried out as things stand."""


class Busy(SeriatimError):
    """There is too much to do already."""


class Unavailable(SeriatimError):
    """The server is stopping."""


class ClientGone(SeriatimError):
    """Nobody is there any more to be answered."""


_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (UsageError, 400, "invalid_request_error"),
    (NotFound, 404, "not_found"),
    (Conflict, 409, "conflict"),
    (Busy, 429, "busy"),
    (Unavailable, 503, "unavailable"),
    (ClientGone, 499, "client_gone"),
    (DocumentError, 422, "unreadable_document"),
    (LibraryError, 409, "library_error"),
    (ModelError, 503, "model_error"),
)


def status_and_kind(error: Exception) -> tuple[int, str]:
    """The HTTP status of an error, and the word for its kind."""
    return next(((status, kind) for each, status, kind in _KINDS if isinstance(error, each)), (500, "server_error"))


def told(error: Exception) -> tuple[str, str]:
    """What is said of an error that ends a stream, and the word for its kind; one that nobody foresaw is logged."""
    if isinstance(error, SeriatimError):
        return str(error), status_and_kind(error)[1]
    _log.error("an answer broke off", exc_info=error)
    return _unforeseen_words(error), "server_error"


def error_body(message: str, kind: str, param: str | None = None) -> dict[str, object]:
    """The one form of an error; it is also that of OpenAI's API, where `param` names the field at fault."""
    return {"error": {"message": message, "type": kind, "param": param, "code": kind}}


def error_response(status: int, message: str, kind: str, param: str | None = None) -> JSONResponse:
    headers = {"retry-after": "5"} if status in (429, 503) else None
    return JSONResponse(error_body(message, kind, param), status, headers)


def handle_errors(app: FastAPI) -> None:
    """Let `app` answer every error in the one form."""

    @app.exception_handler(SeriatimError)
    def _ours(_: Request, error: SeriatimError) -> JSONResponse:
        status, kind = status_and_kind(error)
        return error_response(status, str(error), kind)

    @app.exception_handler(ClientDisconnect)
    def _gone(_: Request, __: ClientDisconnect) -> JSONResponse:  # an upload that was broken off
        status, kind = status_and_kind(ClientGone())
        return error_response(status, "the client is gone", kind)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where, said = invalid_words(error)
        # OpenAI's API knows no 422, and its clients' programs look for what 400 raises.
        status = 400 if request.url.path.startswith("/v1/") else 422
        return error_response(
            status, f"{where or 'the body'}: {said}; see /docs", "invalid_request_error", where or None
        )

    @app.exception_handler(HTTPException)
    def _http(_: Request, error: HTTPException) -> JSONResponse:
        said = {404: "there is nothing at this address; see /docs", 405: "this address knows no such method; see /docs"}
        response = error_response(error.status_code, said.get(error.status_code, str(error.detail)), "http_error")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def _unforeseen(_: Request, error: Exception) -> JSONResponse:
        return error_response(500, _unforeseen_words(error), "server_error")


def invalid_words(error: RequestValidationError | ValidationError) -> tuple[str, str]:
    """Which field is not as it should be, "" for the body as a whole, and what is said of it.

    Of a field that may be of several types each type says something; what is said of the value itself goes first.
    """
    first = min(error.errors(), key=lambda each: each["type"].endswith("_type"))
    if first["type"] == "json_invalid":
        return "", f"it is no JSON ({first['ctx']['error']})"
    if first["loc"] == ("body",) and first["type"] == "model_attributes_type":
        return "", "it must be a JSON object, sent with Content-Type: application/json"
    where = _field(first["loc"])
    said = [each["msg"].removeprefix("Value error, ") for each in error.errors() if _field(each["loc"]) == where]
    return where, " or ".join([said[0], *(each.removeprefix("Input should be ") for each in said[1:])])


def _field(location: Sequence[object]) -> str:
    """A field by its name; Pydantic adds the type that was tried, which no client knows by that name."""
    parts = [str(part) for part in location if part not in ("body", "path", "query")]
    return ".".join(part for part in parts if not _TRIED.search(part))


def _unforeseen_words(error: Exception) -> str:
    return f"sorry, this should not happen ({type(error).__name__}); the server's log says more"
