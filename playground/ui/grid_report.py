"""What a page is told of a grid, in small JSON texts: axes and cells once, then what changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from playground.core.events import Loading
from playground.core.grid import Cell, Coordinates
from playground.core.grid_plan import Estimate
from playground.core.prompt import Chat, Prompt, Raw
from playground.ui.grid_job import GridJob, Result
from playground.ui.take_over import cut
from playground.ui.token_store import encode, number

LONGEST_LABEL = 240
WRITING_CHARACTERS = 400  # of a cell that still writes: all of it comes once, at its end
LONGEST_TEXT = 4000
SLICE_CHARACTERS = 40_000
MOST_CHANGES = 200
_STAGES = {
    "making room": "Making room in memory for", "downloading": "Downloading",
    "starting": "Starting", "loading": "Loading",
}


def layout(job: GridJob) -> str:
    """The values on each axis and where every cell stands on them; once for each version."""
    axes, cells = job.grid.axes, job.grid.cells
    prompts = _places(asked(cell.run.prompt) for cell in cells)
    systems = _places(told(cell.run.prompt) for cell in cells)
    seeds = _places(_seed(cell.at) for cell in cells)
    rows = [
        [prompts[asked(c.run.prompt)], systems[told(c.run.prompt)], c.at.model, c.at.strategy,
         seeds[_seed(c.at)]] for c in cells
    ]
    return encode({
        "version": job.version,
        "axes": [
            ["Prompt", [cut(one, LONGEST_LABEL) for one in prompts]],
            ["System prompt", [cut(one, LONGEST_LABEL) or "none" for one in systems]],
            ["Model", [model.label for model in axes.models]],
            ["Strategy", [one.name for one in axes.strategies]],
            ["Seed", list(seeds)],
        ],
        "cells": rows,
    })


def news(job: GridJob, since: object) -> str:
    """What changed after the change number ``since``, how far the grid is, and while it does not
    run what a start would do. With ``more`` there is more to ask for at once."""
    whole = isinstance(since, int) and not isinstance(since, bool)
    revision, running = job.revision, job.running
    left_over = time_left(job.estimate(), " left")
    changed = job.changed(since if whole else 0, MOST_CHANGES)  # type: ignore[arg-type]
    rows, left = [], SLICE_CHARACTERS
    for place, result in changed:
        rows.append(_row(place, result))
        left -= len(rows[-1][2])
        if left < 0:
            break
    more = len(rows) < len(changed) or len(changed) == MOST_CHANGES
    if more:
        revision = changed[len(rows) - 1][1].revision
    return encode({
        "version": job.version, "revision": revision, "more": more, "running": running,
        "stopping": running and job.stopping.is_set(), "counts": job.counts(),
        "total": len(job.grid.cells), "says": _waits(job), "left": left_over,
        "plan": [] if running else _plan(job), "notes": job.grid.notes, "cells": rows,
    })


def _row(place: int, result: Result) -> list[Any]:
    """Place, state, text or reason, figures, and whether the text is cut off here or was there."""
    trace = result.trace
    most = LONGEST_TEXT if result.over else WRITING_CHARACTERS
    text = trace.text
    done = trace.finished
    limit = done is not None and done.reason in ("length", "context")
    marks = limit + 2 * (len(text) > most)
    problem = str(trace.problem) if trace.problem else ""
    return [place, result.state, text[:most], figures(result), marks, problem]


def figures(result: Result) -> dict[str, float | None]:
    """The figures of a cell that is over; before that only how long it is."""
    if result.measures is None:
        return {"length": len(result.trace.steps)}
    return {name: value if value is None or isinstance(value, int) else number(value, 5)
            for name, value in asdict(result.measures).items()}


def _plan(job: GridJob) -> list[str]:
    """What a start would do, in sentences."""
    stretches = job.plan()
    total, left = len(job.grid.cells), sum(len(stretch.cells) for stretch in stretches)
    if not left:
        return ["Every cell has its answer. Change something, and only what is new runs."]
    lines = [f"{_count(total, 'cell')}: {_product(job)}."]
    failed = job.counts().get("failed", 0)
    if left < total:
        lines.append(f"{total - left:,} have their answer; {left:,} are left to run.")
    if failed:
        lines.append(f"{_count(failed, 'cell')} failed and would run again.")
    models = [
        f"{stretch.model.label} ({_count(len(stretch.cells), 'cell')}, "
        f"{'in memory' if stretch.model in job.ready else 'loads once'})" for stretch in stretches
    ]
    lines.append(f"Order: {', then '.join(models)}.")
    tokens = sum(stretch.tokens for stretch in stretches)
    lines.append(f"At most {_count(tokens, 'new token')}. Time: {time_left(job.estimate())}.")
    return lines


def _product(job: GridJob) -> str:
    """The axes as a product, those of one value left out."""
    axes, cells = job.grid.axes, job.grid.cells
    sizes = (
        ("prompt", len({asked(cell.run.prompt) for cell in cells})),
        ("system prompt", len(axes.systems)), ("model", len(axes.models)),
        ("strategy", len(axes.strategies)), ("seed", len(axes.seeds)),
    )
    return " × ".join(_count(size, word) for word, size in sizes if size > 1) or "one of each"


def time_left(estimate: Estimate, left: str = "") -> str:
    """How long it may take, in words, with what is not known yet."""
    unknown = " and ".join(model.label for model in estimate.unknown)
    if estimate.unknown and not estimate.seconds:
        return f"unknown until the first cell of {unknown}"
    words = f"about {_duration(estimate.seconds)}{left}"
    return f"{words} without {unknown}, unknown until its first cell" if unknown else words


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _waits(job: GridJob) -> str:
    match job.waits_for:
        case Loading(stage=stage, done=done, detail=detail):
            share = "" if done is None else f"{min(max(done, 0.0), 1.0):.0%}".replace("%", " %")
            return " · ".join(part for part in (f"{_STAGES[stage]} the model", share, detail)
                              if part)
    return str(job.waits_for)


def asked(prompt: Prompt) -> str:
    """What a prompt asks, as the reader wrote it."""
    match prompt:
        case Raw(text):
            return text
        case Chat(messages):
            return messages[-1].content
    return ""


def told(prompt: Prompt) -> str:
    """The system prompt of a prompt, or nothing."""
    if isinstance(prompt, Chat) and prompt.messages[0].role == "system":
        return prompt.messages[0].content
    return ""


def title_of(job: GridJob, cell: Cell) -> tuple[str, str]:
    """A cell's name, and what else it is, each in one line."""
    seed = f"seed {cell.at.seed}" if cell.at.seed is not None else ""
    system = cut(told(cell.run.prompt), 60)
    name = f"{cell.run.model.label} · {job.grid.axes.strategies[cell.at.strategy].name}"
    parts = (cut(asked(cell.run.prompt), 80), f"system: {system}" if system else "", seed)
    return name, " · ".join(part for part in parts if part)


def _seed(at: Coordinates) -> str:
    return "any" if at.seed is None else str(at.seed)


def _places(values: Iterable[str]) -> dict[str, int]:
    """Each value once, and its place among them."""
    found: dict[str, int] = {}
    for value in values:
        found.setdefault(value, len(found))
    return found


def _count(number: int, word: str) -> str:
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"
