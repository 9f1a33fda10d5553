"""What is said of lanes side by side: figures, and where each leaves another; it knows no Gradio.

A ``Board`` is one page's lanes of one run, while they are written and after. ``value()`` is the
JSON text that ``lane_board.js`` reads, ``parting()`` the one that ``parting.js`` does.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from playground.core.compare import Comparison, compare
from playground.core.measures import Measures, measure
from playground.core.trace import Trace
from playground.ui.parting_words import flag_of, numbers_of, plain, sentence_of
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import encode

PAUSE_SECONDS = 0.5
MOST_BOARDS = 32
MOST_TOKENS = 60_000


class Lane(Protocol):
    """What a board must know of a lane: its feed, None where there is no run, and its title."""

    @property
    def feed(self) -> TokenFeed | None:
        """Its run on the way to the page."""

    @property
    def title(self) -> str:
        """What the page calls it."""

    @property
    def value(self) -> str:
        """What the page must be told of it now, without any mark."""


class Board:
    """The lanes of one run, in the order of their columns, and which one the others leave.

    ``reference`` is the first greedy lane until ``refer`` names another; a lane that could not be
    run, or failed before it wrote anything, is it only where all are so. Handlers of one page may
    ask at the same time.
    """

    def __init__(self, lanes: Sequence[Lane], wanted: str = "") -> None:
        self.lanes = tuple(lanes)
        self.running = True
        self.wanted = wanted
        self.titles = _told_apart(lanes)
        self.reference = self._first(wanted)
        self._lock = threading.Lock()
        self._told_at = -math.inf
        self._told_running = True
        self._pause = PAUSE_SECONDS
        self._value = self._parting = ""
        self._compared: dict[int, Comparison] = {}
        self._marks: dict[int, str] = {}

    def _first(self, wanted: str) -> int:
        """The lane of this title, else the first greedy one, else the first of all."""
        feeds = [(n, lane.feed) for n, lane in enumerate(self.lanes) if lane.feed]
        wrote = [one for one in feeds if not _wrote_nothing(one[1].trace)]
        ran = [(n, feed.trace.run) for n, feed in wrote or feeds]
        named = [n for n, _ in ran if self.titles[n] == wanted]
        greedy = [n for n, run in ran if run.decoding.name == "greedy"]
        return next(iter([*named, *greedy, *(n for n, _ in ran), 0]))

    def refer(self, column: object) -> None:
        """Compare with this lane from now on; what is no lane of this run changes nothing."""
        known = isinstance(column, int) and not isinstance(column, bool)
        if known and 0 <= column < len(self.lanes) and self.lanes[column].feed:  # type: ignore[operator]
            with self._lock:
                self.reference = int(column)  # type: ignore[call-overload]
                self.wanted = self.titles[self.reference]
                self._compared = {}
                self._told_at = -math.inf

    def value(self) -> str:
        """The figures of the lanes now; twice a second at most, and the same text between."""
        with self._lock:
            self._look()
            return self._value

    def parting(self) -> str:
        """Where the lanes part now, as often."""
        with self._lock:
            self._look()
            return self._parting

    def mark(self, column: int, value: str) -> str:
        """The value of a lane with where it parts in its head: ``parts_at``, and as ``parting``
        how many of its tokens are ``shared`` and the ``flags`` at tokens."""
        mark = self._marks.get(column)
        return value if mark is None else f"{{{mark},{value[1:]}"

    @property
    def tokens(self) -> int:
        """How many tokens they have together."""
        return sum(len(lane.feed.trace.steps) for lane in self.lanes if lane.feed)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._told_at < self._pause and self.running == self._told_running:
            return
        traces = [lane.feed.trace if lane.feed else None for lane in self.lanes]
        other = traces[self.reference]
        if other is not None and _wrote_nothing(other):
            self.reference, self._compared = self._first(self.wanted), {}
        compared = self._compare(traces)
        partings = [self._parts(n, trace, traces[self.reference], compared.get(n))
                    for n, trace in enumerate(traces)]
        self._marks = self._mark(compared)
        state = {"running": self.running, "reference": self.reference}
        self._value = encode({**state, "lanes": [
            self._figures(n, trace, parts) for n, (trace, parts)
            in enumerate(zip(traces, partings, strict=True))]})
        self._parting = encode({**state, "said": self._said(partings), "lanes": partings})
        # Long texts take long to look at, and the same process decodes nothing but serves all.
        self._told_at, self._told_running = time.monotonic(), self.running
        took = self._told_at - now
        self._pause = max(PAUSE_SECONDS, 10 * took) if self.running else math.inf

    def _compare(self, traces: Sequence[Trace | None]) -> dict[int, Comparison]:
        """Each lane with the reference, which goes on from what was found before."""
        other, before = traces[self.reference], self._compared
        compared = {n: compare(trace, other, before=before.get(n)) for n, trace in enumerate(traces)
                    if n != self.reference and trace is not None and other is not None}
        self._compared = compared
        return compared

    def _parts(
        self, column: int, trace: Trace | None, other: Trace | None, found: Comparison | None
    ) -> dict[str, Any]:
        feed = self.lanes[column].feed
        told: dict[str, Any] = {
            "column": column, "title": self.titles[column], "key": feed.key if feed else "",
            "at": None, "same": False, "numbers": (),
        }
        if trace is None:
            return {**told, "words": ["It was not run."]}
        over = trace.state in ("finished", "failed") and bool(trace.steps)
        if found is None or other is None:
            return {**told, "same": over, "words": ["The others are compared with this lane."]}
        name = self.titles[self.reference]
        return {
            **told,
            "at": found.parting.first.index if found.parting else None,
            "same": over and found.parting is None,
            "words": sentence_of(found, trace, other, name),
            "numbers": numbers_of(found, trace, other, name),
            "there": found.parting.second.index if found.parting else None,
            "shared": [found.first, found.second],
            "by": found.by,
            "aligned": [[one.first, one.second, one.count] for one in found.aligned],
            **_divergences(found),
        }

    def _mark(self, compared: dict[int, Comparison]) -> dict[int, str]:
        """What stands in the heads of the lanes' values; the reference's own where all parted."""
        marks = {}
        for column, found in compared.items():
            parts = found.parting
            flags = [[parts.first.index, flag_of(found, parts.first)]] if parts else []
            marks[column] = _in_head(parts.first.index if parts else None, found.first, flags)
        if compared:
            # Its flags say what each other lane gave it only where there is one other lane.
            alone = len(compared) == 1
            places = {found.parting.second.index: flag_of(found, found.parting.second)
                      if alone else "" for found in compared.values() if found.parting}
            shared = min(found.second for found in compared.values())
            marks[self.reference] = _in_head(None, shared, [list(one) for one in places.items()])
        return marks

    def _figures(
        self, column: int, trace: Trace | None, parts: dict[str, Any]
    ) -> dict[str, Any]:
        head = {"column": column, "title": self.titles[column], "at": parts["at"],
                "same": parts["same"], "parts": parts["words"]}
        feed = self.lanes[column].feed
        if trace is None or feed is None:
            return {**head, "sub": "", "figures": asdict(Measures())}
        figures = {name: _number(value) for name, value in asdict(measure(trace)).items()}
        cut = trace.finished is not None and trace.finished.reason in ("length", "context")
        return {**head, "sub": feed.subtitle, "figures": figures, "cut": cut}

    def _said(self, partings: Sequence[dict[str, Any]]) -> str:
        """The state of things in one sentence, for who hears the page."""
        others = [one for one in partings if one["column"] != self.reference and one["key"]]
        if len(others) == 1:
            return plain(others[0]["words"])
        left = [one["at"] for one in others if one["at"] is not None]
        if not left:
            return ""
        lanes = "1 lane leaves" if len(left) == 1 else f"{len(left)} lanes leave"
        name = self.titles[self.reference]
        return f"{lanes} {name}, of {len(others)}; the first at token {min(left) + 1:,}."


def _wrote_nothing(trace: Trace) -> bool:
    return trace.problem is not None and not trace.whole


def _in_head(at: int | None, shared: int, flags: Sequence[Sequence[Any]]) -> str:
    parts = encode({"shared": shared, "flags": flags})
    place = "" if at is None else f'"parts_at":{at},'
    return f'{place}"parting":{parts}'


def _divergences(found: Comparison) -> dict[str, Any]:
    """Thousandths of a bit for each token, and whether they are of what the models gave, or of what
    the tokens were chosen with where the model and what it read are the same."""
    chosen = found.same_model and found.same_prompt
    told = [one.chosen if chosen else one.model for one in found.divergences]
    return {"divergence": [round(1000 * one) for one in told], "chosen": chosen}


def _number(value: float | None) -> float | None:
    """To five significant digits; None for what JSON lacks."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.5g}")


def _told_apart(lanes: Sequence[Lane]) -> tuple[str, ...]:
    """The lanes' titles; of those that are alike each says which lane it is."""
    titles = [lane.title for lane in lanes]
    return tuple(title if titles.count(title) == 1 else f"{title} (lane {n})"
                 for n, title in enumerate(titles, 1))


class Boards:
    """The latest board of each page, so that it can be compared anew; bounded, oldest first out."""

    def __init__(self) -> None:
        self._boards: OrderedDict[str, Board] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, session: str, lanes: Sequence[Lane]) -> Board:
        """A new board for this page, compared with what its last one was compared with."""
        with self._lock:
            before = self._boards.pop(session, None)
            board = self._boards[session] = Board(lanes, before.wanted if before else "")
            while len(self._boards) > 1 and (
                len(self._boards) > MOST_BOARDS
                or sum(one.tokens for one in self._boards.values()) > MOST_TOKENS
            ):
                self._boards.popitem(last=False)
        return board

    def get(self, session: str) -> Board | None:
        """The page's latest board, or None."""
        with self._lock:
            return self._boards.get(session)

    def drop(self, session: str) -> None:
        """The page's lanes were emptied: there is nothing to compare any more."""
        with self._lock:
            self._boards.pop(session, None)
