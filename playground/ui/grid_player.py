"""Plays a grid through the engine on a thread of its own: a model after the other, a few cells at a
time, until all are over or somebody stops it; it knows no page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from playground.core.events import Event, Loading, Started, Step
from playground.core.grid import Cell
from playground.core.grid_plan import Speed, Stretch
from playground.core.run import ModelSpec
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.engine.stream import Stream
from playground.errors import Overloaded, PlaygroundError, Problem
from playground.ui.grid_job import GridJob

READ_SECONDS = 0.1
BUSY_SECONDS = 1.0  # before an engine that had no room is asked again
PATIENCE_SECONDS = 600.0  # with an engine that has none
# What keeps a model from being loaded: its other cells need not try again, one batch after another.
OF_THE_MODEL = ("MODEL_NOT_FOUND", "MODEL_INVALID", "MODEL_UNSAFE", "MODEL_TOO_BIG", "HUB")
BUSY = "Waiting: the app is busy"
OTHERS = "Waiting: other grids are running"
_UNEXPECTED = Problem(
    "ERROR", "This cell ended in a way that the app does not know.",
    advice="Run again: only cells without an answer run.",
)


class Slots:
    """How many runs all grids together may have in the engine, so that others find room there. No
    visitor has more than a share of these while others want some, and none of a visitor's grids
    more than its share of that."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._held: dict[object, int] = {}
        self._owners: dict[object, str] = {}

    def take(self, grid: object, wanted: int, owner: str = "") -> int:
        """As many of those wanted as there are for this grid of a visitor, maybe none."""
        with self._lock:
            held = self._held.setdefault(grid, 0)
            self._owners[grid] = owner
            his = [self._held[one] for one, name in self._owners.items() if name == owner]
            share = -(-self._most // len(set(self._owners.values())))
            got = max(0, min(
                wanted, -(-share // len(his)) - held, share - sum(his),
                self._most - sum(self._held.values()),
            ))
            self._held[grid] += got
            return got

    def give(self, grid: object, count: int) -> None:
        """So many of its runs are over."""
        with self._lock:
            self._held[grid] -= count

    def leave(self, grid: object) -> None:
        """It wants none any more."""
        with self._lock:
            self._held.pop(grid, None)
            self._owners.pop(grid, None)


@dataclass(eq=False)
class Flight:
    """Cells that were started together, and the columns of those that are not over."""

    stream: Stream
    cells: Sequence[Cell]
    open: set[int] = field(default_factory=set)


@dataclass
class Watch:
    """What is measured of one model while its cells run: times in seconds."""

    loading_since: float | None = None
    loaded_in: float | None = None
    busy: float = 0.0
    tokens: int = 0
    ended: int = 0
    might: int = 0

    def hear(self, event: Event) -> None:
        """One event of one of its runs."""
        match event:
            case Loading() if self.loading_since is None:
                self.loading_since = time.monotonic()
            case Started() if self.loading_since is not None and self.loaded_in is None:
                self.loaded_in = time.monotonic() - self.loading_since
            case Step():
                self.tokens += 1

    def end(self, cell: Cell, written: int) -> None:
        """A run has its answer."""
        self.ended += written
        self.might += cell.run.decoding.max_new_tokens

    def speed(self, before: Speed) -> Speed:
        """What that comes to, and what was known before where nothing was measured."""
        rate = self.tokens / self.busy if self.tokens and self.busy else None
        written = self.ended / self.might if self.might else None
        return Speed(
            before.tokens_per_second if rate is None else rate,
            before.load_seconds if self.loaded_in is None else self.loaded_in,
            before.written if written is None else written,
        )


class Player:
    """Plays the open cells of a job, at most ``width`` at once.

    Its owner's grids wait under a name of their own: they do not keep him from asking for more.
    """

    def __init__(self, engine: Engine, slots: Slots, width: int, job: GridJob) -> None:
        self._engine, self._slots, self._width = engine, slots, width
        self._job = job
        self._visitor = Visitor(f"grids of {job.owner.name}", job.owner.address)
        self._flights: list[Flight] = []
        self._waiting: deque[Cell] = deque()
        self._watch = Watch()
        self._refused_since: float | None = None
        self._ask_again_at = 0.0

    def play(self) -> None:
        """All open cells, model by model; returns when they are over or the job is stopped."""
        try:
            for stretch in self._job.plan():
                if not self._job.stopping.is_set():
                    self._play(stretch)
        finally:
            self._slots.leave(self)

    def _play(self, stretch: Stretch) -> None:
        job, waiting = self._job, deque(stretch.cells)
        self._watch, self._waiting = Watch(), waiting
        try:
            while waiting or self._flights:
                if job.stopping.is_set():
                    waiting.clear()
                    self._stop()
                else:
                    self._start_more()
                self._read(stretch.model)
        finally:
            self._stop()
            for flight in self._flights:
                self._leave(flight)
            self._flights.clear()
            job.waits_for = ""

    def _start_more(self) -> None:
        """Fill the batch up once half of it is free: who shares a prompt then starts together."""
        waiting = self._waiting
        free = self._width - sum(len(flight.open) for flight in self._flights)
        worth = min(len(waiting), max(1, self._width // 2))
        if not waiting or free < worth or time.monotonic() < self._ask_again_at:
            return
        got = self._slots.take(self, min(free, len(waiting)), self._job.owner.name)
        if not got:
            self._wait(self._job.waits_for if self._flights else OTHERS)
            return
        cells = [waiting.popleft() for _ in range(got)]
        try:
            stream = self._engine.start([cell.run for cell in cells], visitor=self._visitor)
        except Overloaded as error:
            self._slots.give(self, got)
            waiting.extendleft(reversed(cells))
            self._busy(error)
        except PlaygroundError as error:
            self._slots.give(self, got)
            self._job.fail(cells, error.problem)
        else:
            self._refused_since, self._job.waits_for = None, ""
            self._job.begin(cells)
            self._flights.append(Flight(stream, cells, set(range(got))))

    def _busy(self, error: Overloaded) -> None:
        """The engine has no room: ask again later, but not for ever, and not one that has ended."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if self._engine.is_closed or now - self._refused_since > PATIENCE_SECONDS:
            self._give_up(error.problem)
        else:
            self._wait(BUSY)

    def _give_up(self, problem: Problem) -> None:
        """What this model has left cannot run, all for one reason."""
        self._job.fail(self._waiting, problem)
        self._waiting.clear()

    def _wait(self, words: Loading | str) -> None:
        self._job.waits_for = words
        self._ask_again_at = time.monotonic() + BUSY_SECONDS

    def _read(self, model: ModelSpec) -> None:
        """What has happened since, into the job; waits a moment when there is nothing."""
        if not self._flights:
            self._job.stopping.wait(READ_SECONDS)
            return
        began = time.monotonic()
        writes = model in self._job.ready
        for number, flight in enumerate(tuple(self._flights)):
            for column, event in flight.stream.read(0.0 if number else READ_SECONDS):
                self._hear(flight, column, event, model)
            if flight.stream.done:
                self._leave(flight)
                self._flights.remove(flight)
        if writes:
            self._watch.busy += time.monotonic() - began
        known = self._job.speeds.get(model, Speed())
        self._job.speeds[model] = self._watch.speed(known)

    def _hear(self, flight: Flight, column: int, event: Event, model: ModelSpec) -> None:
        cell = flight.cells[column]
        self._watch.hear(event)
        self._job.add(cell, event)
        if isinstance(event, Loading):
            self._job.waits_for = event
        elif isinstance(event, Started):
            self._job.waits_for = ""
            self._job.ready |= {model}
        result = self._job.result(cell)
        if result is not None and result.over and column in flight.open:
            flight.open.discard(column)
            self._slots.give(self, 1)
            problem = result.trace.problem
            if problem is not None and problem.code in OF_THE_MODEL:
                self._give_up(problem)
            if result.state == "done":
                self._watch.end(cell, len(result.trace.steps))

    def _stop(self) -> None:
        for flight in self._flights:
            if flight.open:
                flight.stream.stop()

    def _leave(self, flight: Flight) -> None:
        """The stream has told everything: what has no end was stopped, or lost by a mistake."""
        for column in tuple(flight.open):
            cell = flight.cells[column]
            if self._job.stopping.is_set():
                self._job.stop_cell(cell)
            else:
                self._job.fail([cell], _UNEXPECTED)
        self._slots.give(self, len(flight.open))
        flight.open.clear()


