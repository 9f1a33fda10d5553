"""The same desk over servers: runs in, events out, with the models on machines that are not ours.

A thread with an event loop of its own talks to all servers, so that a slow one keeps neither the
page nor another server waiting. It knows no admission and no page.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from playground.core.events import Loading
from playground.core.messages import ModelCard, Rendered
from playground.core.offers import Capabilities, Inquiry
from playground.core.prompt import Prompt
from playground.core.remote import MOST_MODELS, Remote, Secret, repo_of, server_and_model
from playground.core.run import ModelSpec
from playground.core.score import Contest, ContestRequest, Scored, ScoreOrContest
from playground.engine.entry import ModelStatus, State
from playground.engine.remote_client import RemoteClient, RemotePatience
from playground.engine.remote_link import RemoteLink
from playground.engine.remote_offers import Offers, models_of
from playground.engine.remote_texts import Served, contest_by, rendered_by, scored_by
from playground.engine.stream import Column
from playground.engine.waiting import TICK, Abandoned, GivenUp, wait_for
from playground.errors import DeadlinePassed, InvalidInput, PlaygroundError, Problem

T = TypeVar("T")
Tokens = Mapping[str, Secret]  # visitors' own, by the name of the server

KNOWN_FOR = 600.0     # seconds for which what a server offers is taken for known
FIND_SECONDS = 120.0  # in which it must be found out; a server may load the model for it
ASK_AGAIN = 60.0      # seconds after which its list of models is asked for again
INQUIRE_AGAIN = 10.0  # seconds after which a server that did not answer is asked for a page again
STUCK = 10.0          # seconds for which a closed connection is waited for


@dataclass(eq=False, slots=True)
class _Known:
    """What is known of one model on a server."""

    offers: Capabilities | None = None
    at: float = 0.0
    leases: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    inquiry: Inquiry = Inquiry()  # the latest one that a page made, of which nobody waits
    inquired_at: float = -math.inf


@dataclass(eq=False, slots=True)
class _Server:
    """What is known of one server: its models in order, and why it was not reached, if so."""

    client: RemoteClient
    models: dict[str, _Known] = field(default_factory=dict)
    problem: Problem | None = None
    asked_at: float | None = None
    asking: bool = False
    inquiring: asyncio.Lock = field(default_factory=asyncio.Lock)  # one model after the other


class RemoteDesk:
    """The servers that the host has named. ``token`` gives the host's own token for one."""

    def __init__(
        self, remotes: Sequence[Remote], token: Callable[[Remote], Secret | None],
        patience: RemotePatience = RemotePatience(),
    ) -> None:
        self._servers = {
            one.name: _Server(RemoteClient(one, partial(token, one), patience),
                              {name: _Known() for name in one.models})
            for one in remotes
        }
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop() if remotes else None
        if self._loop is not None:
            threading.Thread(target=self._loop.run_forever, name="remote", daemon=True).start()
            for server in self._servers.values():
                self._look_again(server)

    # What is there

    def find(self, seconds: float) -> tuple[str, ...]:
        """The models of all servers, named as here; waits so long for those that were just asked.
        """
        until = time.monotonic() + seconds
        while any(s.asked_at is None for s in self._servers.values()) and time.monotonic() < until:
            time.sleep(0.02)
        return tuple(repo_of(name, model) for name, server in self._servers.items()
                     for model in tuple(server.models))

    def place(self, spec: ModelSpec) -> bool:
        """Whether this model is on a server. Raises InvalidInput for one that nobody named."""
        named = server_and_model(spec.repo)
        if named is None:
            return False
        self._server_of(spec)
        for name, plain in (("revision", ""), ("dtype", "auto"), ("quantization", "none"),
                            ("adapter", "")):
            if getattr(spec, name) != plain:
                raise InvalidInput(
                    f"{spec.label} runs as it was started there; its {name} cannot be chosen here.",
                    field=name, given=getattr(spec, name),
                )
        return True

    def _server_of(self, spec: ModelSpec) -> tuple[_Server, str]:
        name, model = server_and_model(spec.repo) or ("", "")
        server = self._servers.get(name)
        if server is None:
            known = ", ".join(self._servers) or "none"
            raise InvalidInput(
                f"No remote server is called {name}.", field="model", given=spec.repo,
                allowed=known, advice="The host of this app names them with --remote.",
            )
        wanted = server.client.remote.models
        if model not in server.models and (wanted or server.models):
            raise InvalidInput(
                f"{name} is not offered here with the model {model[:80]}.", field="model",
                given=spec.repo, allowed=", ".join(list(server.models)[:10]),
                advice="Pick one from the list.",
            )
        return server, model

    def offers(self, spec: ModelSpec) -> Capabilities | None:
        """What is known to be offered for a model; None before it was asked for. Never waits."""
        try:
            server, model = self._server_of(spec)
        except PlaygroundError:
            return None
        known = server.models.get(model)
        return known.offers if known else None

    def inquire(self, spec: ModelSpec) -> Inquiry:
        """How far it is known what a server offers for a model. One that was not asked yet is asked
        now, unless a visitor's token pays for that: then the first run finds out. Never waits.
        Raises InvalidInput for a server that nobody named, or a model that it has not."""
        server, model = self._server_of(spec)
        known = server.models.get(model)
        if known is None:  # the server was not reached, or not yet, or it lists nothing
            return Inquiry(asking=server.asked_at is None, problem=server.problem)
        if known.offers is not None:
            return Inquiry(known.offers)
        if server.client.remote.visitor_token:
            return Inquiry()
        with self._lock:
            late = time.monotonic() - known.inquired_at > INQUIRE_AGAIN
            if late and not known.inquiry.asking and self._loop is not None:
                known.inquiry = Inquiry(asking=True)
                asyncio.run_coroutine_threadsafe(self._inquire(server, model, known), self._loop)
            return known.inquiry

    async def _inquire(self, server: _Server, model: str, known: _Known) -> None:
        found = Inquiry()
        try:
            async with server.inquiring, asyncio.timeout(FIND_SECONDS):
                await self._offers(server, model, known, None)
        except TimeoutError:
            found = Inquiry(problem=DeadlinePassed(
                f"{server.client.remote.name} did not say within {FIND_SECONDS:g} s what it "
                "offers.", field="model",
            ).problem)
        except PlaygroundError as error:
            found = Inquiry(problem=error.problem)
        finally:
            known.inquiry, known.inquired_at = found, time.monotonic()

    def statuses(self) -> tuple[ModelStatus, ...]:
        """Every model on every server as the page shows it; a server that was not asked for a
        while is asked again meanwhile."""
        now, made = time.monotonic(), []
        for name, server in self._servers.items():
            if server.asked_at is None or now - server.asked_at > ASK_AGAIN:
                self._look_again(server)
            since = None if server.asked_at is None else now - server.asked_at
            for model, known in tuple(server.models.items()) or (("?", _Known()),):
                state: State = "busy" if known.leases else (
                    "failed" if server.problem else "ready" if since is not None else "absent")
                made.append(ModelStatus(
                    ModelSpec(repo_of(name, model)), state, leases=known.leases,
                    problem=None if known.leases else server.problem, server=name,
                    offers=known.offers, asked_for=since,
                ))
        return tuple(made)

    def _look_again(self, server: _Server) -> None:
        with self._lock:
            if server.asking or self._loop is None or self._loop.is_closed():
                return
            server.asking = True
        asyncio.run_coroutine_threadsafe(self._list(server), self._loop)

    async def _list(self, server: _Server) -> None:
        problem = None
        try:
            found = [one["id"] for one in await models_of(server.client)]
            wanted = server.client.remote.models
            for name in found[:MOST_MODELS] if not wanted else ():
                server.models.setdefault(name, _Known())
        except PlaygroundError as error:
            # A server that wants a visitor's token is there.
            wanting = server.client.remote.visitor_token and error.problem.field == "token"
            problem = None if wanting else error.problem
        finally:
            server.problem, server.asked_at, server.asking = problem, time.monotonic(), False

    # What is asked of them

    def run(self, columns: Sequence[Column], tokens: Tokens) -> None:
        """See runs on one model through; returns when all of them have left the server."""
        spec = columns[0].run.model

        def given_up() -> bool:
            return all(column.over for column in columns)

        try:
            for column in columns:
                column.tell(Loading("starting", None, "asking the server what it offers"))
            with self._serving(spec, tokens, given_up) as served:
                link = RemoteLink(self._loop_now(), served)
                for column in columns:
                    try:
                        served.offers.check(column.run, served.name)
                        column.begin(link)
                    except PlaygroundError as error:
                        column.fail(error.problem)
                for column in columns:
                    _see_off(column)
        except Abandoned:
            for column in columns:
                column.stop()
        except PlaygroundError as error:
            for column in columns:
                column.fail(error.problem)

    def score(
        self, spec: ModelSpec, request: ScoreOrContest, tokens: Tokens,
        given_up: GivenUp, seconds: float,
    ) -> Scored | Contest:
        """How likely a server finds a text. Raises Abandoned and PlaygroundError."""
        with self._serving(spec, tokens, given_up) as served:
            work: Coroutine[Any, Any, Scored | Contest] = (
                contest_by(served, request) if isinstance(request, ContestRequest)
                else scored_by(served, request))
            return self._wait(work, given_up, seconds)

    def render(self, spec: ModelSpec, prompt: Prompt, tokens: Tokens, seconds: float) -> Rendered:
        """A prompt as the server reads it. Raises PlaygroundError."""
        until = time.monotonic() + seconds

        def late() -> bool:
            return time.monotonic() > until

        with self._serving(spec, tokens, late) as served:
            return self._wait(rendered_by(served, prompt), late)

    def ask(self, spec: ModelSpec, tokens: Tokens) -> Capabilities:
        """What a server offers for a model, asked for anew. Raises PlaygroundError."""
        server, model = self._server_of(spec)
        server.models.setdefault(model, _Known()).offers = None
        with self._serving(spec, tokens, lambda: False) as served:
            return served.offers

    def close(self) -> None:
        """Close every connection; whoever waits is told that it was stopped."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        asyncio.run_coroutine_threadsafe(_end(loop, self._servers.values()), loop)

    @contextmanager
    def _serving(
        self, spec: ModelSpec, tokens: Tokens, given_up: GivenUp
    ) -> Iterator[Served]:
        server, model = self._server_of(spec)
        remote = server.client.remote
        token = tokens.get(remote.name)
        if remote.visitor_token and token is None:
            raise InvalidInput(
                f"{remote.name} wants a token of yours.", field="token", given=remote.name,
                advice="Type it into the box above the tabs; it is forgotten with this tab.",
            )
        known = server.models.setdefault(model, _Known())
        with self._lock:
            known.leases += 1
        try:
            asking = self._offers(server, model, known, token)
            offers = self._wait(asking, given_up, FIND_SECONDS)
            yield Served(server.client, model, offers, token)
        finally:
            with self._lock:
                known.leases -= 1

    async def _offers(
        self, server: _Server, model: str, known: _Known, token: Secret | None
    ) -> Capabilities:
        async with known.lock:
            if known.offers is None or time.monotonic() - known.at > KNOWN_FOR:
                known.offers = await Offers(server.client, model, token).find()
                known.at = server.asked_at = time.monotonic()
                server.problem = None
            return known.offers

    def _loop_now(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise Abandoned
        return self._loop

    def _wait(
        self, work: Coroutine[Any, Any, T], given_up: GivenUp, seconds: float = math.inf
    ) -> T:
        """What comes of ``work`` on the loop; its connection is closed where it is given up."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop_now())
        except (Abandoned, RuntimeError):
            work.close()
            raise Abandoned from None
        late = DeadlinePassed(
            f"This took longer than the {seconds:g} s that it may take here.",
            field="model", advice="Ask for less, or try again.",
        )
        try:
            return wait_for(future, seconds, lambda: given_up() or self._loop is None, late)
        except CancelledError:
            raise Abandoned from None
        finally:
            future.cancel()


def card_of(spec: ModelSpec, offers: Capabilities) -> ModelCard:
    """A model on a server, as far as the card of one has words for it."""
    lacks = tuple(why for _, why in offers.missing)
    return ModelCard(spec, offers.server or "OpenAI-compatible server", 0, 0, "", "remote",
                     offers.context, 0, offers.offers("chat"), "", lacks)


def _see_off(column: Column) -> None:
    """Wait until a run has left the server; not for ever once it was stopped."""
    while not column.gone.wait(TICK):
        stopped = column.stopped_at
        if stopped is not None and time.monotonic() - stopped > STUCK:
            return


async def _end(loop: asyncio.AbstractEventLoop, servers: Iterable[_Server]) -> None:
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for server in servers:
        await server.client.close()
    loop.stop()
