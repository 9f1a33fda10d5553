"""Between a tab and the engine: plays runs into feeds at a reader's pace, and can stop them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gradio as gr

from playground.core.events import Failed
from playground.core.visitor import Visitor
from playground.engine.engine import Engine, Stream
from playground.errors import PlaygroundError
from playground.ui.keeping import Keeper
from playground.ui.token_store import KEPT, Live
from playground.ui.token_stream import TokenFeed
from playground.ui.turns import Turns
from playground.ui.visitor_tokens import VisitorTokens

FLUSH_SECONDS = 1 / 15
MOST_SHOWN = 1000  # tabs; a client that is no browser never says that its page was closed


class Stoppable(Protocol):
    """What a page has running: a stream of runs, or texts that are scored."""

    def stop(self) -> None:
        """End it at its next step, its outcome told; returns at once."""

    def close(self) -> None:
        """End it: nobody hears of it any more."""


class SessionStreams:
    """What each open page has running, so that Stop and a closed tab reach it, and what it showed.

    Only the keys of what was shown are held: the store decides how long it is kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str], Stoppable] = {}
        self._shown: dict[tuple[str, str], tuple[str, ...]] = {}

    def show(self, session: str, tab: str, keys: Sequence[str]) -> None:
        """Remember the runs that a tab shows now, by their keys in the store."""
        with self._lock:
            self._shown.pop((session, tab), None)
            self._shown[session, tab] = tuple(keys)
            while len(self._shown) > MOST_SHOWN:
                del self._shown[next(iter(self._shown))]

    def shown(self, session: str) -> list[tuple[str, tuple[str, ...]]]:
        """Each tab of this page with the keys of its latest runs, the latest tab first."""
        with self._lock:
            mine = [(tab, keys) for (page, tab), keys in self._shown.items() if page == session]
        return mine[::-1]

    def put(self, session: str, tab: str, stream: Stoppable) -> None:
        """Remember ``stream``; one that still runs in the same tab of the same page is stopped."""
        with self._lock:
            before = self._streams.get((session, tab))
            self._streams[session, tab] = stream
        if before is not None:
            before.close()

    def forget(self, session: str, tab: str, stream: Stoppable) -> None:
        """Drop ``stream`` if it is still the one that is remembered."""
        with self._lock:
            if self._streams.get((session, tab)) is stream:
                del self._streams[session, tab]

    def stop(self, session: str, tab: str) -> None:
        """Stop what runs in this tab; nothing happens when nothing does."""
        with self._lock:
            stream = self._streams.get((session, tab))
        if stream is not None:
            stream.stop()

    def close(self, session: str) -> None:
        """Stop everything of a page that was closed."""
        with self._lock:
            ended = [key for key in self._streams if key[0] == session]
            streams = [self._streams.pop(key) for key in ended]
            for key in [key for key in self._shown if key[0] == session]:
                del self._shown[key]
        for stream in streams:
            stream.close()
        KEPT.leave(session)


@dataclass(frozen=True)
class Stage:
    """What a tab needs to run things: the engine, where its streams are kept, who keeps what has
    run, whose turn it is to be shown, and which tokens visitors brought for servers."""

    engine: Engine
    streams: SessionStreams
    keeper: Keeper = field(default_factory=Keeper)
    turns: Turns = field(default_factory=Turns)
    tokens: VisitorTokens = field(default_factory=VisitorTokens)

    def visitor(self, request: gr.Request) -> Visitor:
        """Whose share of the machine a request takes."""
        return self.keeper.visitors.visitor(request)

    def show(
        self, tab: str, request: gr.Request, updates: Iterator[list[Any]],
        still: Callable[[list[Any]], list[Any]] | None = None,
    ) -> Iterator[list[Any]]:
        """The updates of one handler, until a later one of this tab of the page begins."""
        return self.turns.show(str(request.session_hash), tab, updates, still)

    def is_busy(self, tab: str, request: gr.Request) -> bool:
        """Whether something still runs in this tab of the page, or is about to."""
        turn = self.turns.of(str(request.session_hash), tab)
        return turn is not None and turn.busy

    def play(self, tab: str, request: gr.Request, feeds: Sequence[TokenFeed]) -> Iterator[None]:
        """Play each feed's run into it, side by side; yields whenever there may be news to show.

        Closing the generator stops the runs; it never blocks.
        """
        session, visitor = str(request.session_hash), self.visitor(request)
        yield
        try:
            runs = [feed.trace.run for feed in feeds]
            stream = self.engine.start(runs, visitor=visitor, **self.tokens.lent(session))
        except PlaygroundError as error:
            for feed in feeds:
                feed.add(Failed(error.problem))
            yield
            return
        self.streams.put(session, tab, stream)
        turn = self.turns.of(session, tab)
        if turn is not None:
            turn.played = stream
        self.streams.show(session, tab, [feed.key for feed in feeds])
        keeping = self.keeper.begin(self.keeper.meet(request), tab)
        for column, feed in enumerate(feeds):
            feed.plays(Live(self.engine, stream, column, session, keeping, visitor))
        try:
            yield from _pump(stream, feeds)
        finally:
            stream.close()
            for feed in feeds:
                feed.leave()
            self.streams.forget(session, tab, stream)

    def stopper(self, tab: str) -> Callable[[gr.Request], None]:
        """The handler of a tab's Stop button."""

        def stop(request: gr.Request) -> None:
            self.streams.stop(str(request.session_hash), tab)

        return stop


def _pump(stream: Stream, feeds: Sequence[TokenFeed]) -> Iterator[None]:
    """Events into feeds, in portions: a page takes 15 updates a second well and 100 badly."""
    while not stream.done:
        flushed = time.monotonic()
        for column, event in stream.read(0.5):
            feeds[column].add(event)
        yield
        time.sleep(max(0.0, FLUSH_SECONDS - (time.monotonic() - flushed)))
    for column, event in stream.read(0.0):
        feeds[column].add(event)
    yield
