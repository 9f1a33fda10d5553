"""The Blind tab: answers side by side without names, votes by key, and what the votes say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import gradio as gr

from playground.core.blind import Answer
from playground.core.events import Loading, Queued
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.actions import HEARD, QUIET
from playground.ui.ballots import MOST_PAGES, Ballots
from playground.ui.blind_examples import EXAMPLES
from playground.ui.blind_export import read_file
from playground.ui.blind_report import listed, match_value, report
from playground.ui.blind_sources import (
    AXES,
    GridCell,
    GridCells,
    Round,
    axes_of,
    grid_round,
    lanes_round,
)
from playground.ui.blind_view import blind_view
from playground.ui.model_list import stage as stage_of
from playground.ui.scripted import sent
from playground.ui.streaming import Stage
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import encode

TAB = "blind"
GRID = "grid"
GRID_BY = f"{GRID} by "
LOCKS = 64
WAY_IN = "vote-blind"  # the class of the buttons of other tabs that lead here


@dataclass(frozen=True)
class GridSource:
    """The grid of a page: the component whose value holds its key, how the key is read from it,
    and who knows the cells."""

    board: gr.HTML
    key_of: Callable[[Any], str]
    cells: GridCells


@dataclass(frozen=True)
class BlindTab:
    """The tab, for the buttons of other tabs that lead to it."""

    desk: _Desk
    board: gr.HTML
    inputs: list[gr.HTML]

    def lead_here(self, buttons: Sequence[gr.Button], tabs: gr.Tabs) -> None:
        """Let each button, whose id begins with its tab's name, bring its lanes here."""
        for button in buttons:
            source = str(button.elem_id).removesuffix(f"-{WAY_IN}")
            start = button.click(
                self.desk.starter(source), self.inputs, self.board, queue=False, **QUIET
            )
            # Only then: the tab asks for its board too, and must not get the one from before.
            start.then(lambda: gr.Tabs(selected=TAB), None, tabs, queue=False, **QUIET)

    def close(self, session: str) -> None:
        """The page was closed."""
        self.desk.ballots.forget(session)
        self.desk.refusals.pop(session, None)


def way_in(tab: str) -> gr.Button:
    """The button of another tab that brings its lanes to this one."""
    return gr.Button("Vote blind", size="sm", elem_id=f"{tab}-{WAY_IN}",
                     elem_classes=["tool", WAY_IN], min_width=60)


def build_blind(
    stage: Stage, settings: Settings, tab: gr.Tab, grid: GridSource | None = None
) -> BlindTab:
    """Build the tab inside the open Blocks."""
    desk = _Desk(stage, settings, grid)
    board = blind_view(desk.ballots, encode(desk.idle([])))
    inputs = [grid.board] if grid else []
    tab.select(desk.look, inputs, board, queue=False, **QUIET)
    board.act(desk.act, inputs, board, queue=False, trigger_mode="multiple", **QUIET)
    board.write(desk.write, None, board, **HEARD)
    return BlindTab(desk, board, inputs)


@dataclass
class _Desk:
    """The tab's handlers over each page's ballot. Each gives the board's value."""

    stage: Stage
    settings: Settings
    grid: GridSource | None
    ballots: Ballots = field(default_factory=Ballots)
    refusals: dict[str, str] = field(default_factory=dict)  # the latest of each page
    _telling: tuple[threading.Lock, ...] = field(
        default_factory=lambda: tuple(threading.Lock() for _ in range(LOCKS))
    )
    _revisions: Iterator[int] = field(default_factory=lambda: count(1))

    def starter(self, source: str) -> Callable[..., str]:
        """The handler of a button of another tab."""

        def start(request: gr.Request, *grid: Any) -> str:
            return self._do(request, grid, {"do": "start", "source": source})

        return start

    def look(self, request: gr.Request, *grid: Any) -> str:
        """The tab was opened, maybe by a button that was refused: what there is to compare now."""
        session = str(request.session_hash)
        return self._value(session, grid, self.refusals.get(session, ""))

    def act(self, event: gr.EventData, request: gr.Request, *grid: Any) -> str:
        """What a reader did; a browser may send anything."""
        return self._do(request, grid, sent(event))

    def write(self, event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        """Write the answers of an example, and begin to vote on them."""
        number = sent(event).get("example")
        if isinstance(number, bool) or not isinstance(number, int) or not (
            0 <= number < len(EXAMPLES)
        ):
            yield gr.skip()
            return
        for (value,) in self.stage.show(TAB, request, self._written(number, request)):
            yield value

    def _do(self, request: gr.Request, grid: Sequence[Any], wish: Mapping[str, Any]) -> str:
        session = str(request.session_hash)
        self.refusals.pop(session, None)
        try:
            self._change(session, grid, wish, self.stage.visitor(request))
        except PlaygroundError as error:
            while len(self.refusals) >= MOST_PAGES:
                del self.refusals[next(iter(self.refusals))]
            self.refusals[session] = str(error)
        return self._value(session, grid, self.refusals.get(session, ""))

    def _change(
        self, session: str, grid: Sequence[Any], wish: Mapping[str, Any], visitor: Visitor
    ) -> None:
        ballots = self.ballots
        match wish.get("do"):
            case "start":
                self._start(session, grid, wish.get("source"), visitor)
            case "vote":
                ballot = ballots.of(session)
                # A second press of a key may be on its way while the first is answered.
                if ballot is not None and ballot.test.at == wish.get("at"):
                    ballots.change(session, lambda test: test.vote(wish.get("vote")))
            case "undo":
                ballots.change(session, lambda test: test.undo())
            case "reveal":
                ballots.change(session, lambda test: test.reveal())
            case "open":
                ballots.open(session, read_file(wish.get("file")), visitor)
            case "new":
                ballots.forget(session)
            case "stop":
                self.stage.streams.stop(session, TAB)
            case other:
                raise InvalidInput("The page asked for something that is not there.", field="do",
                                   given=other)

    def _start(
        self, session: str, grid: Sequence[Any], source: object, visitor: Visitor
    ) -> None:
        """A round of what a source shows now."""
        name = source if isinstance(source, str) else ""
        if name == GRID and self.grid is not None:
            name = f"{GRID_BY}{_one_axis(self._cells(grid))}"
        if name.startswith(GRID_BY):
            told = grid_round(self._cells(grid), name.removeprefix(GRID_BY))
            self.ballots.put(session, name, told, owner=visitor)
        else:
            keys = dict(self.stage.streams.shown(session)).get(name, ())
            self.ballots.put(session, name, lanes_round(keys), frozenset(keys), visitor)

    def _cells(self, grid: Sequence[Any]) -> Sequence[GridCell]:
        source = self.grid
        return source.cells(source.key_of(grid[0])) if source and grid else ()

    def _value(self, session: str, grid: Sequence[Any], problem: str = "") -> str:
        """The board as it stands. A button of another tab asks twice at once, and the answers may
        come in any order: the newer ``revision`` is the one to draw."""
        # Pages do not wait for each other, but for the few that have drawn the same lock.
        with self._telling[hash(session) % LOCKS]:
            return encode({**self._told(session, grid), "problem": problem,
                           "revision": next(self._revisions)})

    def _told(self, session: str, grid: Sequence[Any]) -> dict[str, Any]:
        ballot = self.ballots.of(session)
        if ballot is None:
            value = self.idle(self._sources(session, grid))
        elif ballot.test.revealed:
            value = {**report(ballot.test), "key": ballot.key}
        else:
            value = match_value(ballot.test)
            more = [one for one in self._sources(session, grid) if one["source"] == ballot.source]
            value["more"] = more if self._has_more(session, ballot.source, ballot.used) else []
        return value

    def _has_more(self, session: str, source: str, used: frozenset[str]) -> bool:
        keys = dict(self.stage.streams.shown(session)).get(source, ())
        return not used >= frozenset(keys)

    def _sources(self, session: str, grid: Sequence[Any]) -> list[dict[str, str]]:
        """What this page shows that can be compared."""
        lanes = [
            {"source": tab, "label": tab.capitalize(), "about": f"{len(keys)} lanes"}
            for tab, keys in self.stage.streams.shown(session) if len(keys) > 1 and tab != GRID
        ]
        cells = self._cells(grid)
        return [*lanes, *(
            {"source": f"{GRID_BY}{axis}", "label": f"Grid, by {AXES[axis][0]}",
             "about": f"{count} {AXES[axis][1]} in {len(cells)} cells"}
            for axis, count in axes_of(cells)
        )]

    def idle(self, sources: list[dict[str, str]]) -> dict[str, Any]:
        """What stands there before there are matches."""
        return {"state": "idle", "sources": sources, "examples": [one.label for one in EXAMPLES]}

    def _written(self, number: int, request: gr.Request) -> Iterator[list[Any]]:
        session, example = str(request.session_hash), EXAMPLES[number]
        self.refusals.pop(session, None)
        planned = example.runs(self.settings)
        feeds = [TokenFeed(run, "", "") for _, _, run in planned]
        for _ in self.stage.play(TAB, request, feeds):
            # Other tabs list what is shown, by name.
            self.stage.streams.show(session, TAB, ())
            yield [encode(_progress([feed.trace for feed in feeds]))]
        problems = [feed.trace.problem for feed in feeds if feed.trace.problem]
        done = [(c, q, feed.trace) for (c, q, _), feed in zip(planned, feeds, strict=True)
                if feed.trace.finished is not None and feed.trace.finished.reason != "stopped"]
        answers = tuple(
            Answer(c, q, trace.run, trace.answer, trace.ids, reason=trace.finished.reason)
            for c, q, trace in done if trace.finished is not None)
        said = str(problems[0]) if problems else ""
        if len(done) < 2:
            yield [self._value(session, (), said)]
            return
        try:
            self.ballots.put(session, f"example {number}",
                             Round(tuple(example.contestants), answers),
                             owner=self.stage.visitor(request))
        except PlaygroundError as error:
            said = said or str(error)
        yield [self._value(session, (), said)]


def _one_axis(cells: Sequence[GridCell]) -> str:
    """The axis that a grid's cells differ in. Raises InvalidInput where there are several."""
    axes = [axis for axis, _ in axes_of(cells)]
    if len(axes) > 1:
        several = listed([AXES[axis][1] for axis in axes])
        raise InvalidInput(f"The grid's cells differ in {several}.", field="grid",
                           advice="Choose below what to compare them by.")
    return axes[0] if axes else ""


def _progress(traces: Sequence[Trace]) -> dict[str, Any]:
    """How far the answers of an example are."""
    said = "Writing"
    match traces[0].waiting:
        case Queued(ahead=ahead):
            said = f"Waiting: {ahead} ahead of you" if ahead else "Next in line"
        case Loading() as news:
            said = stage_of(news).capitalize()
    return {"state": "writing", "say": said, "done": sum(trace.is_over for trace in traces),
            "of": len(traces)}
