"""Up to two cells of a grid in the token view, while they write and after; it knows no Gradio."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.events import Event, Failed
from playground.core.grid import Cell
from playground.core.trace import Trace
from playground.ui.grid_job import GridJob
from playground.ui.grid_report import title_of
from playground.ui.token_stream import TokenFeed, idle

MOST_OPEN = 2


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
            self.feed = TokenFeed.of(result.trace, name, what, self.job.owner)
            if result.trace.problem:
                self.feed.add(Failed(result.trace.problem))
        else:
            catch_up(self.feed, result.trace)
        return self.job.running and not result.over

    @property
    def title(self) -> str:
        """What it is called."""
        return title_of(self.job, self.cell)[0]

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
