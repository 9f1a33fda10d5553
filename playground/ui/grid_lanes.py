"""Up to two cells of a grid in the token view, while they write and after; it knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from os.path import commonprefix

from playground.core.events import Event, Failed
from playground.core.grid import Cell
from playground.core.trace import Trace
from playground.ui.grid_job import GridJob
from playground.ui.grid_report import title_of
from playground.ui.lane_report import parting
from playground.ui.token_stream import TokenFeed, idle

MOST_OPEN = 2
SHOWN = 24  # characters of a text at the place where it parts


@dataclass(eq=False)
class CellLane:
    """One cell in a lane; what has happened since is taken with ``follow``."""

    job: GridJob
    cell: Cell
    feed: TokenFeed | None = None

    def follow(self) -> bool:
        """Take what has happened; whether more may come."""
        result = self.job.result(self.cell)
        if result is None:
            return self.job.running
        if self.feed is None:
            name, what = title_of(self.job, self.cell)
            self.feed = TokenFeed.of(result.trace, name, what)
            if result.trace.problem:
                self.feed.add(Failed(result.trace.problem))
        else:
            catch_up(self.feed, result.trace)
        return self.job.running and not result.over

    @property
    def value(self) -> str:
        """What its lane shows."""
        if self.feed is None:
            return idle(*title_of(self.job, self.cell), "This cell has not run yet.")
        return self.feed.flush()


def catch_up(feed: TokenFeed, trace: Trace) -> None:
    """What ``trace`` has and the feed has not, event by event. A run that was begun anew is
    another one, and is not taken."""
    known = feed.trace
    if trace is known or len(trace.steps) < len(known.steps):
        return
    if trace.waiting is not None and trace.waiting != known.waiting:
        feed.add(trace.waiting)
    if trace.started is not None and known.started is None:
        feed.add(trace.started)
    events: tuple[Event, ...] = (
        *trace.beams[len(known.beams) :], *trace.proposals[len(known.proposals) :],
        *trace.steps[len(known.steps) :],
    )
    for event in events:
        feed.add(event)
    if trace.finished is not None and known.finished is None:
        feed.add(trace.finished)
    if trace.problem is not None and known.problem is None:
        feed.add(Failed(trace.problem))


def opened(job: GridJob, places: object) -> list[CellLane]:
    """The cells at these places of the grid, as a browser names them; what is none is left out."""
    cells = job.grid.cells
    wanted = places if isinstance(places, list) else []
    known = [n for n in wanted if isinstance(n, int) and not isinstance(n, bool)
             and 0 <= n < len(cells)]
    return [CellLane(job, cells[n]) for n in dict.fromkeys(known[:MOST_OPEN])]


def marked(lanes: Sequence[CellLane]) -> tuple[list[str], str]:
    """The values of the lanes, with the place where two of them part, and that in words, as HTML.

    Tokens are compared under one model; between two, only texts can be.
    """
    values = [lane.value for lane in lanes]
    traces = [lane.feed.trace for lane in lanes if lane.feed]
    if len(traces) < 2:
        return values, ""
    first, second = traces
    if first.run.model.base != second.run.model.base:
        return values, _texts_part(first.text, second.text)
    at, words = parting(second, first, "the left one")
    if at is not None:
        values = [f'{{"parts_at":{at},{value[1:]}' for value in values]
    told = "".join(escape(w) if isinstance(w, str) else f"<code>{escape(w['token'])}</code>"
                   for w in words)
    return values, told and f'<p class="sentence">{told}</p>'


def _texts_part(first: str, second: str) -> str:
    """Where two texts part, in words."""
    shared = len(commonprefix([first, second]))
    if not first or not second:
        return ""
    if first == second:
        words = f"The same text, all {shared:,} characters; the models may cut it otherwise."
    else:
        begin = f"The same for {shared:,} characters, then " if shared else "From the start: "
        words = (f"{begin}“{_shown(second, shared)}” where the left one has "
                 f"“{_shown(first, shared)}”.")
    return f'<p class="sentence">{escape(words)}</p>'


def _shown(text: str, at: int) -> str:
    rest = text[at : at + SHOWN].replace("\n", "↵")
    return f"{rest}…" if len(text) > at + SHOWN else rest or "its end"
