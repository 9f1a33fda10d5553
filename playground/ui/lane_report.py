"""What is said of lanes side by side: figures, and where each leaves another; it knows no Gradio.

A ``Board`` is one page's lanes of one run, while they are written and after. ``value()`` is the
JSON text that ``lane_board.js`` reads.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from playground.core.compare import parted
from playground.core.measures import Measures, measure
from playground.core.trace import Trace
from playground.ui.columns import Lane
from playground.ui.token_store import encode

PAUSE_SECONDS = 0.5
MOST_BOARDS = 32
MOST_TOKENS = 60_000
LONGEST_PIECE = 24

Words = tuple[str | dict[str, str], ...]
_VISIBLE = str.maketrans({"\n": "↵", "\t": "⇥", "\r": "␍"})


def parting(mine: Trace, other: Trace, name: str) -> tuple[int | None, Words]:
    """Where a run leaves another one, called ``name``, and that in words, tokens among them."""
    a, b = mine.ids, other.ids
    at = parted(a, b)
    if at is not None:
        begin = (f"Identical to {name} for {_tokens(at)}, then " if at
                 else f"Parts from {name} at the first token: ")
        took = f" where {name} took "
        return at, (begin, _token(mine, at), took, _token(other, at), ".")
    shared = min(len(a), len(b))
    if shared == 0:
        return None, _waiting(mine, name)
    if _over(mine) and len(a) < len(b):
        ended = f"Identical to {name} for {_tokens(shared)}, where it ended and {name} went on."
        return None, (ended,)
    if _over(other) and len(b) < len(a):
        return None, (f"Identical to {name} for {_tokens(shared)}, where {name} ended.",)
    if _over(mine) and _over(other):
        return None, (f"Identical to {name}, all {_tokens(shared)}.",)
    return None, (f"Identical to {name} for {_tokens(shared)} so far.",)


def _waiting(mine: Trace, name: str) -> Words:
    """Nothing to compare yet, or never."""
    if mine.problem is not None and not mine.steps:
        return ("It wrote nothing.",)
    if mine.beams and not mine.steps:
        return ("Still searching: its tokens are known at the end.",)
    return (f"Nothing of {name} to compare with." if mine.steps else "",)


def _over(trace: Trace) -> bool:
    return trace.finished is not None or trace.problem is not None


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"


def _token(trace: Trace, at: int) -> dict[str, str]:
    """A token as it is shown: its own text, with what nobody sees made visible."""
    step = trace.steps[at]
    text = (step.piece or f"token {step.id}").translate(_VISIBLE)
    return {"token": text if len(text) <= LONGEST_PIECE else f"{text[: LONGEST_PIECE - 1]}…"}


class Board:
    """The lanes of one run, in the order of their columns, and which one the others leave.

    ``reference`` is the first greedy lane until ``refer`` names another; a lane that could not be
    run is never it. Handlers of one page may ask at the same time: each reads one trace at a time.
    """

    def __init__(self, lanes: Sequence[Lane], wanted: str = "") -> None:
        self.lanes = tuple(lanes)
        self.running = True
        self.wanted = wanted
        self.titles = _told_apart(lanes)
        self.reference = self._first(wanted)
        self._told_at = -math.inf
        self._pause = PAUSE_SECONDS
        self._value = ""
        self._at: list[int | None] = [None] * len(lanes)

    def _first(self, wanted: str) -> int:
        """The lane of this title, else the first greedy one, else the first of all."""
        ran = [(n, lane.feed.trace.run) for n, lane in enumerate(self.lanes) if lane.feed]
        named = [n for n, _ in ran if self.titles[n] == wanted]
        greedy = [n for n, run in ran if run.decoding.name == "greedy"]
        return next(iter([*named, *greedy, *(n for n, _ in ran), 0]))

    def refer(self, column: object) -> None:
        """Compare with this lane from now on; what is no lane of this run changes nothing."""
        known = isinstance(column, int) and not isinstance(column, bool)
        if known and 0 <= column < len(self.lanes) and self.lanes[column].feed:  # type: ignore[operator]
            self.reference = int(column)  # type: ignore[call-overload]
            self.wanted = self.titles[self.reference]
            self._told_at = -math.inf

    def value(self) -> str:
        """What the page shows of them now; twice a second at most, and the same text between."""
        now = time.monotonic()
        if now - self._told_at >= self._pause or not self.running:
            self._value = encode(self._tell())
            self._told_at = time.monotonic()
            # Long texts take long to measure, and the same process decodes nothing but serves all.
            self._pause = max(PAUSE_SECONDS, 10 * (self._told_at - now))
        return self._value

    def mark(self, column: int, value: str) -> str:
        """The value of a lane with the place where it parts in its head, as ``parts_at``."""
        at = self._at[column]
        return value if at is None else f'{{"parts_at":{at},{value[1:]}'

    @property
    def tokens(self) -> int:
        """How many tokens they have together."""
        return sum(len(lane.feed.trace.steps) for lane in self.lanes if lane.feed)

    def _tell(self) -> dict[str, Any]:
        compared = self.lanes[self.reference].feed
        told = [self._lane(n, lane, compared.trace if compared else None)
                for n, lane in enumerate(self.lanes)]
        return {"running": self.running, "reference": self.reference, "lanes": told}

    def _lane(self, column: int, lane: Lane, compared: Trace | None) -> dict[str, Any]:
        head = {"column": column, "title": self.titles[column]}
        if lane.feed is None:
            return {**head, "sub": "", "at": None, "same": False, "parts": ["It was not run."],
                    "figures": asdict(Measures())}
        trace, at, words = lane.feed.trace, None, ("The others are compared with this lane.",)
        if column != self.reference and compared is not None:
            at, words = parting(trace, compared, self.titles[self.reference])
        self._at[column] = at
        figures = {name: _number(value) for name, value in asdict(measure(trace)).items()}
        same = at is None and _over(trace) and bool(trace.steps)
        cut = trace.finished is not None and trace.finished.reason in ("length", "context")
        return {**head, "sub": lane.feed.subtitle, "at": at, "same": same, "parts": words,
                "figures": figures, "cut": cut}


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
