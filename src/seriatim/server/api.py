"""The native HTTP API: libraries, documents, jobs, search, ask, answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

import seriatim
from seriatim.errors import LibraryError
from seriatim.retrieval.library import Library
from seriatim.server import asking, documents, metrics, responses
from seriatim.server.asking import Question, public_context
from seriatim.server.errors import NotFound
from seriatim.server.events import EventStream, unless_gone
from seriatim.server.history import markdown
from seriatim.server.services import Client, ServicesHere
from seriatim.server.settings import PASSAGE_TOKENS, QUESTION_CHARACTERS

router = APIRouter(responses=responses.ERRORS)

_SQL_INTEGERS = 2**53  # what JSON carries exactly
LibraryName = Annotated[str, Path(max_length=64, description="a-z, 0-9 and -")]
Key = Annotated[str, Path(pattern="^[0-9a-f]{16,32}$")]
Offset = Annotated[int, Query(ge=0, le=_SQL_INTEGERS)]


_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"files": _FILES}, "required": ["files"]}
            }
        },
    }
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewLibrary(_Body):
    name: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]


class Search(_Body):
    question: Annotated[str, Field(min_length=1, max_length=QUESTION_CHARACTERS)]
    tokens: Annotated[int, Field(ge=1, le=PASSAGE_TOKENS, strict=True)] | Literal["auto"] = 1024
    order: Literal["document", "relevance"] = "document"
    effort: Literal["fast", "balanced", "thorough"] = "balanced"
    documents: Annotated[list[str], Field(max_length=1000)] | None = None


class Ask(Search):
    model: Annotated[str, Field(max_length=200)] | None = None
    reflect: bool = True
    after: Annotated[str, Field(max_length=64)] | None = None


# The questions stand first, for routes are tried in this order.


@router.post("/api/libraries/{library}/search", tags=["questions"], responses={200: {"model": responses.Found}})
async def search(library: LibraryName, body: Search, request: Request, services: ServicesHere) -> JSONResponse:
    """The passages that answer a question best, in reading order. Hanging up cancels it."""
    began = time.perf_counter()
    with services.libraries.while_awaited() as go_on:
        finding = services.libraries.run(
            library,
            lambda opened: opened.search(
                body.question,
                documents=documents.names_of(opened, body.documents),
                tokens=body.tokens,
                order=body.order,
                effort=body.effort,
                progress=go_on,
            ),
            is_long=body.effort != "fast",
        )
        context = await unless_gone(request, finding)
    services.metrics.searches.observe(time.perf_counter() - began)
    return JSONResponse(public_context(context))


@router.post(
    "/api/libraries/{library}/ask",
    tags=["questions"],
    status_code=200,
    response_class=EventStream,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def ask(library: LibraryName, body: Ask, services: ServicesHere, client: Client) -> EventStream:
    """Ask a library. The answer comes as server-sent events; hanging up cancels it."""
    services.libraries.folder(library)
    earlier = services.history.get(body.after) if body.after is not None else None
    if earlier is not None and earlier["library"] != library:
        raise NotFound(f"the answer {body.after} is of another library; ask a follow-up where it was given")
    question = Question(
        text=body.question,
        library=library,
        model=services.models.checked(body.model),
        tokens=body.tokens,
        order=body.order,
        effort=body.effort,
        reflect=body.reflect,
        after=body.after,
        earlier=None if earlier is None else (earlier["question"], earlier["answer"]),
    )
    question = await asking.checked(services, question, body.documents)
    return await EventStream.begun(asking.event_stream(services, question, client))


@router.head("/api/health", include_in_schema=False)
@router.get("/api/health", tags=["server"], response_model=responses.Health)
async def health(services: ServicesHere) -> dict[str, object]:
    """Whether the server is up, and what its model is doing."""
    queue = services.queue
    return {
        "status": "ok",
        "version": seriatim.__version__,
        "model": services.models.default,
        "opening": services.models.opening,
        "queue": {"running": queue.running, "waiting": queue.waiting},
    }


@router.get("/metrics", tags=["server"], response_class=Response)
async def show_metrics(services: ServicesHere) -> Response:
    """The server's figures, in Prometheus' form."""
    text = services.metrics.text(running=services.queue.running, waiting=services.queue.waiting)
    return Response(text, media_type=metrics.CONTENT_TYPE)


@router.get("/api/models", tags=["server"], response_model=list[responses.ModelInfo])
def models(services: ServicesHere) -> list[dict[str, object]]:
    """The models that can answer, and those that could be fetched with `seriatim model pull`."""
    return services.models.catalogue()


@router.get("/api/libraries", tags=["libraries"], response_model=list[responses.LibraryInfo])
async def libraries(services: ServicesHere) -> list[dict[str, object]]:
    """All libraries, the default one first. `error` says what is wrong with one that cannot be opened."""
    return [
        {"name": name, "documents": 0, "passages": 0, "bytes": 0, "error": str(counts)}
        if isinstance(counts, LibraryError)
        else {"name": name, **counts, "error": None}
        for name, counts in await services.libraries.each(_counts)
    ]


@router.post("/api/libraries", status_code=201, tags=["libraries"], response_model=responses.LibraryInfo)
async def create_library(body: NewLibrary, services: ServicesHere) -> dict[str, object]:
    """Make an empty library."""
    await asyncio.to_thread(services.libraries.create, body.name)
    return {"name": body.name, **await services.libraries.run(body.name, _counts), "error": None}


@router.delete("/api/libraries/{library}", status_code=204, tags=["libraries"])
def remove_library(library: LibraryName, services: ServicesHere) -> None:
    """Remove a library with its documents and answers. The default library stays."""
    services.libraries.remove(library, services.history.forget_library)


@router.get("/api/libraries/{library}/documents", tags=["documents"], response_model=list[responses.DocumentInfo])
async def list_documents(library: LibraryName, services: ServicesHere) -> list[dict[str, object]]:
    """The documents of a library, by name."""
    return await services.libraries.run(library, documents.listing)


@router.post(
    "/api/libraries/{library}/documents",
    status_code=202,
    tags=["documents"],
    response_model=responses.Jobs,
    openapi_extra=_UPLOAD,
)
async def add_documents(library: LibraryName, request: Request, services: ServicesHere) -> dict[str, object]:
    """Upload files. Each becomes a job that reads and indexes it in the background."""
    services.libraries.folder(library)  # before the files come
    async with _uploaded(request, services.settings.limits.upload_files) as files:
        with services.jobs.room(len(files)):
            jobs = [
                await asyncio.to_thread(services.jobs.submit, library, each.filename or "document", each.file)
                for each in files
            ]
    return {"jobs": [{"id": job.id, "name": job.name} for job in jobs]}


@router.get("/api/libraries/{library}/documents/{document}", tags=["documents"], response_model=responses.DocumentInfo)
async def get_document(library: LibraryName, document: Key, services: ServicesHere) -> dict[str, object]:
    """One document."""
    return await services.libraries.run(library, lambda opened: documents.facts(documents.find(opened, document)))


@router.delete("/api/libraries/{library}/documents/{document}", status_code=204, tags=["documents"])
async def remove_document(library: LibraryName, document: Key, services: ServicesHere) -> None:
    """Remove a document; an uploaded file is deleted, a file of the command line's is not touched."""
    await services.libraries.run(library, lambda opened: documents.remove(opened, document))


@router.get("/api/libraries/{library}/documents/{document}/text", tags=["documents"], response_model=responses.Text)
async def document_text(
    library: LibraryName,
    document: Key,
    services: ServicesHere,
    start: Offset = 0,
    end: Offset | None = None,
) -> dict[str, object]:
    """A stretch of a document's text, in characters; at most a million at once."""
    return await services.libraries.run(library, lambda opened: documents.text(opened, document, start, end))


@router.get(
    "/api/libraries/{library}/documents/{document}/pages", tags=["documents"], response_model=list[responses.Page]
)
async def document_pages(library: LibraryName, document: Key, services: ServicesHere) -> list[dict[str, int]]:
    """Where each page begins and ends in the text; empty for a document without pages."""
    return await services.libraries.run(library, lambda opened: documents.pages(opened, document))


@router.get(
    "/api/libraries/{library}/documents/{document}/pages/{page}.png",
    tags=["documents"],
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
async def page_image(
    library: LibraryName,
    document: Key,
    page: Annotated[int, Path(ge=1, le=100_000)],
    request: Request,
    services: ServicesHere,
) -> Response:
    """A page of a PDF as an image."""
    file = await services.libraries.run(library, lambda opened: documents.source(opened, document))
    image = await unless_gone(request, services.pictured(lambda: documents.picture(file, page)))
    return Response(image, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.get("/api/libraries/{library}/jobs", tags=["documents"], response_model=list[responses.JobInfo])
async def list_jobs(library: LibraryName, services: ServicesHere) -> list[dict[str, object]]:
    """The uploads that wait or are being read, oldest first."""
    services.libraries.folder(library)
    return [job.to_dict() for job in services.jobs.under_way(library)]


@router.get("/api/jobs/{job}", tags=["documents"], response_model=responses.JobInfo)
async def get_job(job: Key, services: ServicesHere) -> dict[str, object]:
    """How far an upload has come."""
    return services.jobs.get(job).to_dict()


@router.delete("/api/jobs/{job}", tags=["documents"], response_model=responses.JobInfo)
def cancel_job(job: Key, services: ServicesHere) -> dict[str, object]:
    """Cancel an upload that is not indexed yet."""
    return services.jobs.cancel(job).to_dict()


@router.get("/api/answers", tags=["answers"], response_model=list[responses.AnswerInfo])
def list_answers(
    services: ServicesHere,
    library: Annotated[str, Query(max_length=64)] | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str, Query(max_length=64)] | None = None,
) -> list[dict[str, Any]]:
    """The latest answers, newest first; `before` one of them for the next page."""
    if library is not None:
        services.libraries.folder(library)
    return services.history.listed(library=library, limit=limit, before=before)


@router.get("/api/answers/{answer}.md", tags=["answers"], response_class=Response)
def answer_markdown(answer: Key, services: ServicesHere) -> Response:
    """An answer as Markdown, with its citations."""
    return Response(markdown(services.history.get(answer)), media_type="text/markdown; charset=utf-8")


@router.get(
    "/api/answers/{answer}", tags=["answers"], response_model=None, responses={200: {"model": responses.Answer}}
)
def get_answer(answer: Key, services: ServicesHere) -> dict[str, Any]:
    """A whole answer: the `ask --json` contract with `id`, `library`, `created` and `after`."""
    return services.history.get(answer)


@router.delete("/api/answers/{answer}", status_code=204, tags=["answers"])
def remove_answer(answer: Key, services: ServicesHere) -> None:
    """Forget an answer."""
    services.history.remove(answer)


@asynccontextmanager
async def _uploaded(request: Request, most: int) -> AsyncIterator[list[UploadFile]]:
    """The files in a request's body, at most so many; they are deleted after the block."""
    # Parsed here, for fields that are no files would stand in memory: FastAPI allows a thousand of a megabyte each.
    try:
        form = await request.form(max_files=most, max_fields=0)
    except UnicodeError as error:
        raise HTTPException(400, "the form's names are not in the charset that it states; send UTF-8") from error
    except OSError as error:
        raise documents.not_kept(error) from error
    try:
        files = [each for each in form.getlist("files") if isinstance(each, UploadFile)]
        if not files:
            raise HTTPException(422, 'no file came; send each as a part named "files" of multipart/form-data')
        yield files
    finally:
        await form.close()


def _counts(library: Library) -> dict[str, object]:
    infos = library.documents()
    return {"documents": len(infos), "passages": sum(info.passages for info in infos), "bytes": library.size()}
