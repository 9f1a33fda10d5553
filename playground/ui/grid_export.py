"""A grid as a file, a page of cells at a time: CSV for a spreadsheet, JSON for everything else."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from typing import Any

from playground.core.grid import Cell
from playground.core.measures import Measures
from playground.core.plain import to_plain
from playground.core.trace import Trace
from playground.ui.grid_job import GridJob
from playground.ui.grid_report import asked, figures, told
from playground.ui.token_store import encode

CELLS_A_PAGE = 50
FIGURES = tuple(one.name for one in fields(Measures))
_NONE = dict.fromkeys(FIGURES)
HEAD = ("prompt", "system_prompt", "model", "strategy", "seed", "new_tokens", "settings", "state",
        "reason", "text", *FIGURES, "ids")


def page_of(job: GridJob, form: object, start: object) -> str:
    """A page of the file in a ``form``, "csv" or "json", from the cell ``start`` on: its text and
    where the next one begins, None after the last; as JSON."""
    first = start if isinstance(start, int) and not isinstance(start, bool) and start > 0 else 0
    cells = job.grid.cells[first : first + CELLS_A_PAGE]
    records = [_record(job, cell) for cell in cells]
    text = _csv(records, first == 0) if form == "csv" else ",\n".join(map(encode, records))
    following = first + len(cells)
    return encode({"text": text, "next": following if following < len(job.grid.cells) else None})


def _record(job: GridJob, cell: Cell) -> dict[str, Any]:
    """Everything that is told of a cell."""
    result, axes = job.result(cell), job.grid.axes
    trace = result.trace if result else Trace(cell.run)
    row = cell.at.row
    return {
        "cell": cell.identity,
        "prompt": asked(cell.run.prompt),
        "system_prompt": told(cell.run.prompt),
        "variables": dict(axes.table.row(row)) if axes.table and row is not None else {},
        "form": "chat template" if axes.chat else "raw text",
        "model": asdict(cell.run.model),
        "strategy": axes.strategies[cell.at.strategy].name,
        "settings": asdict(cell.run.decoding),
        "run": to_plain(cell.run),
        "seed": cell.at.seed,
        "state": result.state if result else "planned",
        "reason": _reason(trace),
        "text": trace.text,
        "prompt_ids": trace.started.prompt_ids if trace.started else None,
        "ids": trace.ids,
        "figures": {**_NONE, **(figures(result) if result else {})},
    }


def _reason(trace: Trace) -> str:
    """Why it is over: a sentence for a failure, a word for an end."""
    if trace.problem:
        return str(trace.problem)
    return trace.finished.reason if trace.finished else ""


def _csv(records: list[dict[str, Any]], with_head: bool) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if with_head:
        writer.writerow(HEAD)
    for one in records:
        settings = one["settings"]
        row = {**one, **one["figures"], "model": one["model"]["repo"],
               "new_tokens": settings["max_new_tokens"],
               "settings": json.dumps(settings, ensure_ascii=False),
               "ids": " ".join(map(str, one["ids"]))}
        writer.writerow([harmless(row[name]) for name in HEAD])
    return out.getvalue()


def harmless(value: object) -> object:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
