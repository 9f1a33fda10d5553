"""HTTP to one server that is not trusted: bounded in bytes and in time; it knows no run, no token
of text and no dialect.

Everything here runs on the event loop of ``RemoteDesk``; cancelling a task closes its connection.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx

from playground.core.remote import Remote, Secret
from playground.errors import DeadlinePassed, Overloaded, RemoteProblem

LARGEST_ANSWER = 16 * 2**20  # bytes of an answer that comes whole: prompt logprobs of a long text
LARGEST_LINE = 2**20         # bytes of one event of a stream
LARGEST_ERROR = 64 * 2**10
LONGEST_QUOTE = 240
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class RemotePatience:
    """How long we wait for a server, in seconds.

    ``connect``: for the connection; ``first``: for the first byte of an answer, which may stand in
    a line; ``between``: for the next one; ``whole``: for a short answer that comes whole;
    ``retries`` more attempts are made, the first after ``pause``, each later one after twice as
    long, and no sooner than the server says, up to ``longest`` seconds.
    """

    connect: float = 5.0
    first: float = 120.0
    between: float = 30.0
    whole: float = 20.0
    retries: int = 3
    pause: float = 0.3
    longest: float = 10.0


class RemoteClient:
    """One server. ``token`` gives the host's own token for it at the moment of a request."""

    def __init__(
        self, remote: Remote, token: Callable[[], Secret | None],
        patience: RemotePatience = RemotePatience(),
    ) -> None:
        self.remote, self._token, self.patience = remote, token, patience
        # No proxy, no .netrc, no cookie of a server, and no address but the one that was named.
        self._http = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, limits=httpx.Limits(max_connections=200),
            timeout=httpx.Timeout(patience.first, connect=patience.connect),
            headers={"accept-encoding": "identity", "user-agent": "token-by-token"},
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def get(self, path: str, token: Secret | None = None) -> Any:
        """The JSON at ``path``, below the address, or below its root where it begins with ``/``.

        Raises RemoteProblem, Overloaded or DeadlinePassed.
        """
        return await self._whole("GET", path, None, token, self.patience.whole)

    async def post(
        self, path: str, body: Any, token: Secret | None = None, seconds: float = 0.0
    ) -> Any:
        """The JSON that answers ``body``; raises as ``get``."""
        return await self._whole("POST", path, body, token, seconds or self.patience.whole)

    async def _whole(
        self, method: str, path: str, body: Any, token: Secret | None, seconds: float
    ) -> Any:
        try:
            async with asyncio.timeout(seconds):
                async with self._answer(method, path, body, token) as answer:
                    data = await self._read(answer, LARGEST_ANSWER)
        except TimeoutError:
            raise self._late(f"within {seconds:g} s") from None
        return self._json(data)

    @asynccontextmanager
    async def stream(
        self, path: str, body: Any, token: Secret | None = None, most: int = LARGEST_ANSWER
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Ask, and give the events of the answer one by one, as JSON, up to ``[DONE]``.

        Entered once the server has said that it answers. No more than ``most`` bytes are read.
        Raises as ``get``, also while it is read.
        """
        async with self._answer("POST", path, body, token) as answer:
            yield self._events(answer, most)

    async def _events(self, answer: httpx.Response, most: int) -> AsyncIterator[Any]:
        kind = answer.headers.get("content-type", "")
        if "event-stream" not in kind:
            raise self._broken(f"it answered with {quoted(kind) or 'nothing'} instead of a stream")
        async for line in self._lines(answer, most):
            if not line.startswith(b"data:"):
                continue  # comments that keep the connection, and names of events
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            if data:
                yield self._json(data)
                await asyncio.sleep(0)  # a server that floods us keeps nobody else waiting

    async def _lines(self, answer: httpx.Response, most: int) -> AsyncIterator[bytes]:
        held, count = bytearray(), 0
        async for chunk in self._chunks(answer):
            count += len(chunk)
            if count > most:
                raise self._broken(f"its answer has more than {most / 1e6:.0f} MB")
            first, *others = chunk.split(b"\n")
            held += first
            for other in others:
                self._check_line(held)
                yield bytes(held).rstrip(b"\r")
                held = bytearray(other)
            self._check_line(held)
        if held:
            yield bytes(held)

    def _check_line(self, line: bytearray) -> None:
        if len(line) > LARGEST_LINE:
            raise self._broken("a line of its answer does not end")

    async def _chunks(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        chunks = answer.aiter_raw().__aiter__()
        wait = self.patience.first
        while True:
            try:
                async with asyncio.timeout(wait):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except (TimeoutError, httpx.TimeoutException):
                raise self._late(f"for {wait:g} s") from None
            except httpx.HTTPError as error:
                raise self._broken(f"the connection ended ({type(error).__name__})") from None
            wait = self.patience.between
            yield chunk

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Any, token: Secret | None
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is not a refusal; what may be asked again is, before any of it is read."""
        base = self.remote.root if path.startswith("/") else f"{self.remote.url}/"
        async with AsyncExitStack() as stack:
            pause = self.patience.pause
            for left in range(self.patience.retries, -1, -1):
                try:
                    answer = await stack.enter_async_context(self._http.stream(
                        method, base + path, json=body, headers=self._headers(token)
                    ))
                except httpx.TimeoutException as error:
                    if isinstance(error, httpx.ConnectTimeout) and left:
                        continue
                    raise self._late("in time") from None
                except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
                    # Before the first byte: refused, reset, or a kept connection that had ended.
                    if not left:
                        raise self._away(error) from None
                    await asyncio.sleep(pause)
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                    raise self._away(error) from None
                else:
                    wait = _asked_to_wait(answer, pause)
                    if answer.status_code not in _BUSY or not left or wait > self.patience.longest:
                        break
                    await answer.aclose()
                    await asyncio.sleep(wait)
                pause *= 2
            await self._refuse(answer)
            yield answer

    def _headers(self, token: Secret | None) -> dict[str, str]:
        token = token if self.remote.visitor_token else token or self._token()
        return {"authorization": f"Bearer {token.tell()}"} if token is not None else {}

    async def _refuse(self, answer: httpx.Response) -> None:
        """Raise what an answer other than 200 means."""
        status, name = answer.status_code, self.remote.name
        if status == 200:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise self._broken("it compresses its answer, which it was asked not to do")
            return
        if 300 <= status < 400:
            raise RemoteProblem(
                f"{name} sends us to another address, and that is not followed.", field="model",
                given=name, advice="Name the address where its API is.",
            )
        said = _said(await self._read(answer, LARGEST_ERROR, cut=True))
        words = f"{name} refused this (HTTP {status})" + (f": “{said}”." if said else ".")
        if status in (401, 403):
            raise RemoteProblem(words, field="token", given=name, advice=(
                "Give a token of yours for it." if self.remote.visitor_token else
                f"Its token comes from the environment: {self.remote.variable}."
            ))
        if status in _BUSY:
            raise Overloaded(words, field="model", given=name, advice="Try again in a minute.")
        raise RemoteRefused(words, status, said, name)

    async def _read(self, answer: httpx.Response, most: int, cut: bool = False) -> bytes:
        data = bytearray()
        async for chunk in self._chunks(answer):
            data += chunk
            if len(data) > most:
                if cut:
                    break
                raise self._broken(f"its answer has more than {most / 1e6:.0f} MB")
        return bytes(data[:most])

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data.decode("utf-8"), parse_constant=_not_a_number)
        except (ValueError, RecursionError):
            raise self._broken("its answer is not JSON in UTF-8") from None

    def _broken(self, what: str) -> RemoteProblem:
        return RemoteProblem(
            f"What {self.remote.name} says cannot be read: {what}.", field="model",
            given=self.remote.name, advice="Is this an OpenAI-compatible server?",
        )

    def _late(self, when: str) -> DeadlinePassed:
        return DeadlinePassed(
            f"{self.remote.name} did not answer {when}.", field="model", given=self.remote.name,
            advice="Try again, or look at that server.",
        )

    def _away(self, error: Exception) -> RemoteProblem:
        return RemoteProblem(
            f"{self.remote.name} cannot be reached ({quoted(str(error)) or type(error).__name__}).",
            field="model", given=self.remote.name,
            advice="Is the server up, and its address right?",
        )


class RemoteRefused(RemoteProblem):
    """A server did not do what was asked; ``said`` are its own words, shortened."""

    def __init__(self, words: str, status: int, said: str, name: str) -> None:
        super().__init__(words, field="model", given=name)
        self.status, self.said = status, said


def broken(name: str, what: str) -> NoReturn:
    """Raise what an answer means that has the wrong shape."""
    raise RemoteProblem(
        f"What {name} says cannot be read: {what}.", field="model", given=name,
        advice="Is this an OpenAI-compatible server?",
    )


def _not_a_number(_: str) -> float:
    return math.nan


def _asked_to_wait(answer: httpx.Response, pause: float) -> float:
    try:
        asked = float(answer.headers.get("retry-after", ""))
    except ValueError:  # a date, or nothing
        return pause
    return max(pause, asked) if math.isfinite(asked) else pause


def _said(data: bytes) -> str:
    """A server's own words for a refusal, wherever its dialect has them."""
    text = data.decode("utf-8", "replace")
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        told = text
    for key in ("error", "message", "detail"):
        if isinstance(told, dict) and key in told:
            told = told[key]
    if isinstance(told, dict) and "message" in told:
        told = told["message"]
    return quoted(told if isinstance(told, str) else "" if told is None else json.dumps(told))


def quoted(text: str) -> str:
    """Words of a stranger on one line, shortened."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= LONGEST_QUOTE else plain[: LONGEST_QUOTE - 1] + "…"
