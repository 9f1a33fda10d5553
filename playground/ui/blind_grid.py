"""Between a grid and the blind comparison: finished cells, each with where it stands, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from playground.core.events import Reason
from playground.core.grid import Axes
from playground.ui.blind_sources import GridCell, GridCells
from playground.ui.grid_job import FinishedCell
from playground.ui.grid_work import GridWork


def cells_of(work: GridWork) -> GridCells:
    """Whoever knows the cells of a grid by its key."""

    def cells(key: str) -> Sequence[GridCell]:
        """The cells of a grid that have their answer; none for a grid that is forgotten."""
        job = work.job(key)
        if job is None:
            return ()
        axes = job.grid.axes
        models = _models(axes)
        return [_cell(axes, models, one) for one in job.finished()]

    return cells


def _models(axes: Axes) -> list[str]:
    """A name for each model, the whole repo where two have the same label."""
    count = Counter(one.label for one in axes.models)
    return [one.label if count[one.label] == 1 else f"{one.repo} {one.revision}".strip()
            for one in axes.models]


def _cell(axes: Axes, models: Sequence[str], one: FinishedCell) -> GridCell:
    place = one.at
    known = {} if place.row is None or axes.table is None else axes.table.row(place.row)
    at = {
        "model": models[place.model],
        "strategy": axes.strategies[place.strategy].name,
        "system": axes.systems[place.system] or "no system prompt",
        "prompt": axes.prompts[place.prompt],
        "row": "" if place.row is None else str(place.row),
        "seed": "" if place.seed is None else str(place.seed),
    }
    about = ", ".join(f"{name}: {value}" for name, value in known.items())
    trace = one.trace
    reason: Reason = trace.finished.reason if trace.finished else "length"
    return GridCell(at, one.run, trace.answer, tuple(step.id for step in trace.whole), about,
                    reason)
