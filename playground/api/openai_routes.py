"""The routes of OpenAI's API over one engine; who may come in is decided before (see door).

Every answer that is no success has OpenAI's error shape. The engine is read on other threads, and a
caller who hangs up ends what it has asked for.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from playground.api.openai_answer import Answer
from playground.api.openai_choice import Delta
from playground.api.openai_errors import ApiError, ApiRefusal, api_error
from playground.api.openai_request import Asked, read_request
from playground.api.work import News, Play, Read, Seen, Task, Work
from playground.engine.engine import Engine
from playground.engine.entry import ModelStatus
from playground.errors import PlaygroundError, Problem
from playground.models.catalog import entry

T = TypeVar("T")

MOST_BYTES = 1_000_000  # of a body, as for the page
DRAINED = 8 * MOST_BYTES  # read and thrown away, so that a client hears the refusal
QUIET = 10.0  # seconds without news after which a line says that the stream is alive
_UNEXPECTED = ApiError(500, "This request failed in a way that the app does not know. The log of "
                       "the app says more.", code="error")


def openai_app(engine: Engine) -> FastAPI:
    """``/models``, ``/completions`` and ``/chat/completions``. A caller's name is ``visitor`` in
    the scope's state."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    born = int(time.time())

    @app.get("/models")
    async def models() -> Response:
        statuses = await asyncio.to_thread(_writers, engine)
        return _json({"object": "list", "data": [_model(one, born) for one in statuses]})

    @app.get("/models/{model:path}")
    async def model(model: str) -> Response:
        statuses = await asyncio.to_thread(_writers, engine)
        found = next((one for one in statuses if one.spec.repo == model), None)
        if found is None:
            names = ", ".join(one.spec.repo for one in statuses)
            raise ApiRefusal(ApiError(
                404, f"There is no model {model[:80]!r} in the list. Allowed: {names}.", "model",
                "model_not_found"))
        return _json(_model(found, born))

    @app.post("/completions")
    async def completions(request: Request) -> Response:
        return await _complete(engine, request, chat=False)

    @app.post("/chat/completions")
    async def chat_completions(request: Request) -> Response:
        return await _complete(engine, request, chat=True)

    app.add_exception_handler(ApiRefusal, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(PlaygroundError, _explained)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _no_route)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _unheard)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _unexpected)
    return app


def error_response(error: ApiError) -> JSONResponse:
    """A refusal or failure as an answer."""
    return JSONResponse(error.body, error.status, dict(error.headers))


async def _refused(request: Request, refusal: ApiRefusal) -> Response:
    return error_response(refusal.error)


async def _explained(request: Request, error: PlaygroundError) -> Response:
    return error_response(api_error(error.problem))


async def _no_route(request: Request, error: HTTPException) -> Response:
    path = request.url.path[:80]
    said = {404: f"There is nothing at {path}.",
            405: f"{request.method} is not for {path}."}.get(error.status_code, str(error.detail))
    advice = " There are GET /v1/models, POST /v1/completions and POST /v1/chat/completions."
    return error_response(ApiError(error.status_code, said + advice, code="unknown_url"))


async def _unheard(request: Request, error: ClientDisconnect) -> Response:
    return Response(status_code=499)  # as nginx notes it; nobody hears it


async def _unexpected(request: Request, error: Exception) -> Response:
    return error_response(_UNEXPECTED)


def _json(data: object) -> Response:
    return Response(_line(data), media_type="application/json")


def _line(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _writers(engine: Engine) -> list[ModelStatus]:
    """The models that write, each once, however it is loaded."""
    known = {one.spec.repo: one for one in reversed(engine.models()) if not one.spec.adapter}
    return [one for repo, one in reversed(known.items()) if entry(repo).decodes]


def _model(status: ModelStatus, born: int) -> dict[str, Any]:
    card = status.card
    owner, _, name = status.spec.repo.rpartition("/")
    return {"id": status.spec.repo, "object": "model", "created": born,
            "owned_by": owner if name else "", "state": status.state,
            **({"max_model_len": card.context} if card else {})}


async def _complete(engine: Engine, request: Request, chat: bool) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiRefusal(ApiError(415, "The body must be sent as application/json.",
                                  "Content-Type", "unsupported_media_type"))
    asked = read_request(await _body(request), chat, engine.settings.limits)
    work = Work(engine, request.state.visitor, _tasks(asked))
    work.begin()
    answer = Answer(asked)
    try:
        if not asked.stream:
            return await until_gone(request, _whole(work, answer))
        lines = _lines(work, answer)
        first = await until_gone(request, anext(lines))
    except BaseException:
        work.stop()
        raise
    return _EventStream(_after(first, lines), work)


async def _body(request: Request) -> bytes:
    """The body, if it is not too long. What is beyond is read and dropped, up to a point."""
    taken, body = 0, bytearray()
    async for part in request.stream():
        taken += len(part)
        if taken <= MOST_BYTES:
            body += part
        elif taken > DRAINED:
            break
    if taken > MOST_BYTES:
        raise ApiRefusal(ApiError(413, f"The body is longer than {MOST_BYTES} bytes. Send less.",
                                  code="request_too_large"))
    return bytes(body)


def _tasks(asked: Asked) -> list[Task]:
    """What the engine is asked for, in order: of each echoed prompt its tokens, and then runs."""
    tasks: list[Task] = []
    if asked.echo:
        count = None if asked.top is None else max(1, asked.top)
        tasks += [Read(asked.model, prompt, count) for prompt in asked.prompts]
    return [*tasks, Play(asked.runs)] if asked.runs else tasks


async def _whole(work: Work, answer: Answer) -> Response:
    while (news := await work.next()) is not None:
        _take(answer, news)
    return _json(answer.whole())


def _take(answer: Answer, news: News) -> tuple[int, Delta] | None:
    """Put news into the answer; what can be told of which choice now. Raises ApiRefusal."""
    if isinstance(news, Problem):
        raise ApiRefusal(api_error(news))
    number, what = news
    if isinstance(what, Seen):
        answer.echo(number, what.rendered.pieces, what.scored)
        return None
    assert isinstance(what, tuple)
    place, event = what
    told = answer.add(place, event)
    if isinstance(told, Problem):
        raise ApiRefusal(api_error(told))
    return None if told is None else (place, told)


async def _lines(work: Work, answer: Answer) -> AsyncGenerator[str]:
    """The lines of a stream. Nothing is said until every run has begun (or for a while nothing is
    heard), so that what is refused is refused with a status. Raises ApiRefusal."""
    begun, waiting = False, list[dict[str, Any]]()
    while True:
        try:
            news = await work.next(QUIET)
        except TimeoutError:
            yield ": still at work\n\n"
            continue
        told = None if news is None else _take(answer, news)
        if told is not None:
            waiting.append(answer.chunk(*told))
        if news is None or (answer.started and waiting):
            if not begun:
                begun = True
                waiting[:0] = [answer.chunk(*one) for one in answer.beginning()]
            for one in waiting:
                yield _data(one)
            waiting.clear()
        if news is None:
            if answer.asked.usage:
                yield _data(answer.last())
            yield "data: [DONE]\n\n"
            return


async def _after(first: str, lines: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """A stream from its first line on; a failure is told in it, for its status has gone."""
    yield first
    try:
        async for line in lines:
            yield line
    except ApiRefusal as refusal:
        yield _data(refusal.error.body)
        yield "data: [DONE]\n\n"


def _data(data: object) -> str:
    return f"data: {_line(data)}\n\n"


class _EventStream(StreamingResponse):
    """Server-sent events, and an end to the work as soon as nobody listens."""

    def __init__(self, lines: AsyncGenerator[str], work: Work) -> None:
        super().__init__(lines, media_type="text/event-stream", headers={
            "Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        writing = asyncio.ensure_future(self.stream_response(send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            self._work.stop()
            writing.cancel()
            leaving.cancel()


async def until_gone(request: Request, wanted: Coroutine[Any, Any, T]) -> T:
    """What is wanted, unless the caller hangs up before: then ClientDisconnect is raised."""
    working = asyncio.ensure_future(wanted)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
