"""Asks models about texts, one after another on a thread of its own, so that a tab can wait, tell
and stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Literal

import gradio as gr

from playground.core.events import Loading, Queued
from playground.core.inspection import Finding, Inspection
from playground.core.run import ModelSpec
from playground.core.score import Contest, ContestRequest, Scored, ScoreOrContest
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.engine.waiting import Abandoned
from playground.errors import PlaygroundError, Problem
from playground.ui.streaming import Stage

POLL_SECONDS = 0.4

# What is known of one text: "reading" has no figures before its end, "later" waits for another.
News = (
    Queued | Loading | Scored | Contest | Finding | Problem
    | Literal["later", "reading", "stopped"]
)
_UNEXPECTED = Problem(
    "ERROR", "This text could not be read, for a reason that the app does not know.",
    advice="The log of the app says more.",
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A text, a contest or a look inside, and the model that it is about."""

    spec: ModelSpec
    request: ScoreOrContest | Inspection[Any]


class Scoring:
    """Several ``asks`` in their order: at most one of them waits or is read at any time.

    In public only one request of a visitor may wait, so three at once could be refused.
    """

    def __init__(
        self, engine: Engine, asks: Sequence[Ask], visitor: Visitor | str,
        lent: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """``lent`` are the visitor's own tokens for servers, as the engine takes them."""
        self._engine, self._asks, self._visitor, self._lent = engine, asks, visitor, lent
        self._given_up = threading.Event()
        self._told: SimpleQueue[tuple[int, News]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="scoring", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up what is not scored yet; returns at once."""
        self._given_up.set()

    close = stop

    def read(self, wait: float) -> list[tuple[int, News]]:
        """News with the place of their text; waits at most so many seconds for the first."""
        over = not self._thread.is_alive()
        made: list[tuple[int, News]] = []
        try:
            made.append(self._told.get(timeout=0 if over else wait))
            while True:
                made.append(self._told.get_nowait())
        except Empty:
            return made

    @property
    def done(self) -> bool:
        """Whether everything was told and read."""
        return not self._thread.is_alive() and self._told.empty()

    def _work(self) -> None:
        for place, ask in enumerate(self._asks):
            try:
                self._told.put((place, self._one(place, ask)))
            except Abandoned:
                self._told.put((place, "stopped"))
            except PlaygroundError as error:
                self._told.put((place, error.problem))

    def _one(self, place: int, ask: Ask) -> Scored | Contest | Finding:
        if self._given_up.is_set():
            raise Abandoned
        self._told.put((place, "reading"))

        def tell(news: Queued | Loading) -> None:
            self._told.put((place, news))

        given_up, visitor = self._given_up.is_set, self._visitor
        if isinstance(ask.request, ContestRequest):
            return self._engine.contest(
                ask.spec, ask.request, visitor, tell, given_up, **self._lent)
        if isinstance(ask.request, Inspection):
            found: Finding = self._engine.inspect(ask.spec, ask.request, visitor, tell, given_up)
            return found
        return self._engine.score(ask.spec, ask.request, visitor, tell, given_up, **self._lent)


def play(
    stage: Stage, tab: str, request: gr.Request, asks: Sequence[Ask]
) -> Iterator[tuple[News, ...]]:
    """What is known of each text, whenever there is news and a few times a second without, so that
    no thread of the server waits here for a model; closing the generator gives up."""
    known: list[News] = ["later" for _ in asks]
    session = str(request.session_hash)
    scoring = Scoring(stage.engine, asks, stage.visitor(request), stage.tokens.lent(session))
    stage.streams.put(session, tab, scoring)
    turn = stage.turns.of(session, tab)
    if turn is not None:
        turn.played = scoring
    try:
        while not scoring.done:
            told = scoring.read(POLL_SECONDS)
            for place, news in told:
                known[place] = news
            if not told:
                _notice_begun(stage.engine, asks, known)
            yield tuple(known)
        # After a mistake of ours, too, nobody may wait for ever.
        yield tuple(one if is_over(one) else _UNEXPECTED for one in known)
    finally:
        scoring.close()
        stage.streams.forget(session, tab, scoring)


def is_over(news: News) -> bool:
    """Whether nothing more will be told of a text."""
    return news == "stopped" or isinstance(news, Scored | Contest | Finding | Problem)


def _notice_begun(engine: Engine, asks: Sequence[Ask], known: list[News]) -> None:
    """Notice that a model has come: nobody tells when the reading begins."""
    for place, news in enumerate(known):
        if isinstance(news, Loading):
            there = {s.spec for s in engine.models() if s.state in ("ready", "busy")}
            if asks[place].spec in there:
                known[place] = "reading"
            return
