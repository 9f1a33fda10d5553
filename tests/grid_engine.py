"""A fake engine for grids: answers every run by a rule, holds back, refuses for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from playground.core.events import Event
from playground.core.run import Run
from playground.core.visitor import Visitor
from playground.errors import Overloaded
from tests.fake_engine import FakeEngine, FakeStream, words


class HeldStream(FakeStream):
    """Tells nothing until its gate is open; then an event at each read."""

    def __init__(self, scripts: Sequence[Sequence[Event]], gate: threading.Event) -> None:
        super().__init__(scripts)
        self._gate = gate

    def read(self, wait: float = 0.0) -> list[tuple[int, Event]]:
        """The next event, once the gate is open."""
        return super().read(wait) if self._gate.wait(wait) else []


def echo(run: Run) -> list[Event]:
    """Three words for any run."""
    return words("a", "b", str(run.seed), reason="end")


class GridEngine(FakeEngine):
    """Answers each run with ``answer(run)``; refuses ``refusals`` requests first. ``batches`` are
    the runs of each request. While the ``gate`` is closed nothing is told."""

    def __init__(self, answer: Callable[[Run], list[Event]] = echo, refusals: int = 0) -> None:
        super().__init__()
        self.answer, self.refusals = answer, refusals
        self.batches: list[tuple[Run, ...]] = []
        self.visitors: set[Visitor] = set()
        self.gate = threading.Event()
        self.gate.set()

    def start(self, runs: Sequence[Run], visitor: Visitor = Visitor()) -> FakeStream:
        """Begin; raises Overloaded while it refuses, and once it is closed."""
        if self.is_closed:
            raise Overloaded("The app is closing.")
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("Too many runs wait already.", advice="Try again in a minute.")
        self.batches.append(tuple(runs))
        self.history.extend(runs)
        self.visitors.add(visitor)
        self.streams.append(HeldStream([self.answer(run) for run in runs], self.gate))
        return self.streams[-1]


def wait_for(what: Callable[[], object]) -> None:
    """Until it is so; a machine that is busy is slow and not broken."""
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.002)
