"""One grid as it stands: its cells, what came of each, how long it may take; it starts nothing."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from playground.core.events import Event, Failed, Loading
from playground.core.grid import Cell, Coordinates, Grid
from playground.core.grid_plan import Estimate, Speed, Stretch, estimate, plan
from playground.core.measures import Measures, measure
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, Problem
from playground.ui.keeping import Keeping

State = Literal["planned", "waiting", "loading", "writing", "done", "stopped", "failed"]


@dataclass(slots=True, eq=False)
class Result:
    """What came of one run so far, and at which change of its grid; figures once it is over.

    ``stopped``: nobody plays it any more. ``again``: it has no answer and waits to run again.
    """

    trace: Trace
    revision: int
    stopped: bool = False
    again: bool = False
    measures: Measures | None = None
    kept: bool = False

    @property
    def state(self) -> State:
        """Where it is, in a word."""
        trace = self.trace
        if self.again:
            return "planned"
        if trace.finished is not None and trace.problem is None:
            return "stopped" if trace.finished.reason == "stopped" else "done"
        if trace.problem is not None:
            return "failed"
        if self.stopped:
            return "stopped"
        return {"running": "writing", "loading": "loading"}.get(trace.state, "waiting")  # type: ignore[return-value]

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "stopped", "failed")

    @property
    def weight(self) -> int:
        """About how many tokens it takes the memory of."""
        started = self.trace.started
        prompt = len(started.prompt) // 8 if started else 0
        return prompt + len(self.trace.steps) + sum(len(b.beams) for b in self.trace.beams) // 4


@dataclass(frozen=True, slots=True)
class FinishedCell:
    """A cell with its answer: where it stands in its grid, what was asked, what came."""

    at: Coordinates
    run: Run
    trace: Trace


class GridJob:
    """One grid and what came of its cells, by their identity. Any thread may call.

    ``version`` counts the grids that it was given; ``revision`` the changes of its cells. ``form``
    is what the page's boxes held; ``keeping`` keeps its runs for who started it, ``owner`` is whose
    room it takes and in whose name it runs. An answer stays when the grid changes, while there is
    room.
    """

    def __init__(
        self, key: str, grid: Grid, form: Mapping[str, Any], most_tokens: int,
        speeds: dict[ModelSpec, Speed], owner: Visitor = Visitor(),
    ) -> None:
        self.key, self.grid, self.form = key, grid, form
        self.version, self.revision = 1, 0
        self.running = False
        self.stopping = threading.Event()
        self.touched = time.monotonic()
        self.waits_for: Loading | str = ""
        self.ready: frozenset[ModelSpec] = frozenset()
        self.speeds, self.owner = speeds, owner
        self.keeping: Keeping | None = None
        self._most_tokens = most_tokens
        self._lock = threading.RLock()
        self._results: OrderedDict[str, Result] = OrderedDict()

    def take(self, grid: Grid, form: Mapping[str, Any]) -> None:
        """Another grid; what is known of its cells stays. Raises InvalidInput while one runs."""
        with self._lock:
            if self.running:
                raise InvalidInput("This grid is running.", field="cells", advice="Stop it first.")
            self.grid, self.form = grid, form
            self.version += 1
            self._forget()

    def _forget(self) -> None:
        """Answers of cells that are no longer asked for go when there are too many."""
        kept = {cell.identity for cell in self.grid.cells}
        for identity in list(self._results):
            if self.weight <= self._most_tokens:
                return
            if identity not in kept:
                del self._results[identity]

    @property
    def weight(self) -> int:
        """About how many tokens it holds."""
        with self._lock:
            return sum(result.weight for result in self._results.values())

    def open_cells(self) -> tuple[Cell, ...]:
        """Cells without an answer: new, changed, stopped or failed."""
        with self._lock:
            return tuple(cell for cell in self.grid.cells if self._state(cell) != "done")

    def plan(self) -> tuple[Stretch, ...]:
        """The cells that a start would run, in order."""
        return plan(self.open_cells(), self.ready)

    def estimate(self) -> Estimate:
        """How long the cells without an answer may take, as far as it was measured; without those
        that failed or were stopped while it runs."""
        with self._lock:
            left = [cell for cell in self.grid.cells if not self._is_over(cell)]
        return estimate(plan(left, self.ready), self.speeds, self.ready)

    def result(self, cell: Cell) -> Result | None:
        """What came of a cell, None before it was started."""
        return self._results.get(cell.identity)

    def finished(self) -> tuple[FinishedCell, ...]:
        """The cells that have their answer, in the order of the grid."""
        with self._lock:
            known = [(cell, self._results.get(cell.identity)) for cell in self.grid.cells]
            return tuple(FinishedCell(cell.at, cell.run, result.trace)
                         for cell, result in known if result and result.state == "done")

    def counts(self) -> dict[State, int]:
        """How many cells are in which state."""
        told: dict[State, int] = {}
        with self._lock:
            for cell in self.grid.cells:
                state = self._state(cell)
                told[state] = told.get(state, 0) + 1
        return told

    def changed(self, since: int, most: int) -> list[tuple[int, Result]]:
        """Cells that changed after the change number ``since``, with their place in the grid, the
        longest unchanged first; as they are now, whatever happens to them later."""
        with self._lock:
            known = ((n, self._results.get(c.identity)) for n, c in enumerate(self.grid.cells))
            news = [(n, one) for n, one in known if one is not None and one.revision > since]
            some = sorted(news, key=lambda pair: pair[1].revision)[:most]
            return [(n, replace(one)) for n, one in some]

    def start(self, keeping: Keeping | None = None) -> None:
        """Somebody plays it now: cells without an answer will run again."""
        with self._lock:
            self.keeping = keeping
            self.stopping.clear()
            self.running = True
            for cell in self.open_cells():
                self._again(cell, True)

    def end(self) -> None:
        """Nothing plays it any more: what has not run keeps what it had."""
        with self._lock:
            for cell in self.grid.cells:
                self.stop_cell(cell)
                self._again(cell, False)
            self.running, self.waits_for = False, ""
            self._forget()

    def _again(self, cell: Cell, again: bool) -> None:
        result = self._results.get(cell.identity)
        if result is not None and result.again != again:
            result.again = again
            self._touch(result)

    def begin(self, cells: Iterable[Cell]) -> None:
        """These cells are handed to the engine, whatever came of them before."""
        with self._lock:
            for cell in cells:
                self.revision += 1
                self._results[cell.identity] = Result(Trace(cell.run), self.revision)
                self._results.move_to_end(cell.identity)

    def add(self, cell: Cell, event: Event) -> None:
        """One more event of a cell."""
        with self._lock:
            result = self._results[cell.identity]
            result.trace = result.trace.add(event)
            self._touch(result)
            self._keep(cell, result)

    def stop_cell(self, cell: Cell) -> None:
        """A cell that nobody plays any more, and that may not have told of its end."""
        with self._lock:
            result = self._results.get(cell.identity)
            if result is not None and not result.over and not result.again:
                result.stopped = True
                self._touch(result)
                self._keep(cell, result)

    def fail(self, cells: Iterable[Cell], problem: Problem) -> None:
        """These cells could not be run."""
        for cell in cells:
            with self._lock:
                result = self._results.get(cell.identity)
                if result is None or result.again:
                    self.begin([cell])
                self.add(cell, Failed(problem))

    def _keep(self, cell: Cell, result: Result) -> None:
        """Keep a run that is over, once; one that never began has nothing to keep."""
        begun = result.trace.started is not None
        if self.keeping is None or result.kept or not result.over or not begun:
            return
        result.kept = True
        place = next(n for n, one in enumerate(self.grid.cells) if one.identity == cell.identity)
        self.keeping.keep(result.trace, place)

    def _touch(self, result: Result) -> None:
        self.revision += 1
        result.revision = self.revision
        if result.over and result.measures is None:
            result.measures = measure(result.trace)

    def _state(self, cell: Cell) -> State:
        result = self._results.get(cell.identity)
        return result.state if result else "planned"

    def _is_over(self, cell: Cell) -> bool:
        result = self._results.get(cell.identity)
        return result is not None and (result.over if self.running else result.state == "done")
