"""The table of a grid, drawn in the browser, which asks a few times a second for what changed.

Its value is the key of a grid, as a small JSON text; everything else comes from the server
functions, so that a page that was closed and opened again finds its grid at work.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.ui.grid_export import page_of
from playground.ui.grid_report import layout, news
from playground.ui.grid_work import GridWork
from playground.ui.scripted import Bundle, scripted_view
from playground.ui.token_store import encode

# How figures and files are written is what the lanes' and the token view's scripts know.
BUNDLE = Bundle("gridBoard", "grid", (
    "token_marks.js", "lane_figures.js", "grid_cell.js", "grid_sheet.js", "grid_tools.js",
    "grid_board.js",
), ("grid.css",))
_GONE = '{"gone":true}'


def grid_board(work: GridWork, hint: str) -> gr.HTML:
    """The board. ``board.find_grid(handler)`` tells the ``key`` that a browser remembers,
    ``board.grid_over`` that of a grid that has come to its end, and ``board.open_cells`` a key and
    the ``places`` of the cells to open. All of it comes from a browser and may be anything.
    """
    return scripted_view(
        BUNDLE, value="{}", events=("find_grid", "grid_over", "open_cells"),
        server=answers_of(work), css_class="grid-board", elem_id="grid-board", hint=hint,
    )


def answers_of(work: GridWork) -> tuple[Callable[[Any], str], ...]:
    """The server functions; each is asked with an object that holds a ``key``."""

    def grid_layout(request: Any) -> str:
        """Server function: the axes of a grid and its cells."""
        job = work.job(_asked(request).get("key"))
        return layout(job) if job else _GONE

    def grid_news(request: Any) -> str:
        """Server function: what has changed ``since`` a change."""
        job = work.job(_asked(request).get("key"))
        return news(job, _asked(request).get("since")) if job else _GONE

    def grid_file(request: Any) -> str:
        """Server function: a page of the grid as a file, in a ``form`` and ``from`` a cell on."""
        job = work.job(_asked(request).get("key"))
        if job is None:
            return _GONE
        return page_of(job, _asked(request).get("form"), _asked(request).get("from"))

    return grid_layout, grid_news, grid_file


def _asked(request: Any) -> dict[str, Any]:
    return request if isinstance(request, dict) else {}


def key_value(key: str, version: int = 0) -> str:
    """The board's value: which grid it shows, and which version of it."""
    return encode({"key": key, "version": version})


def board_value(value: Any) -> dict[str, Any]:
    """The board's value as it comes back from a browser; empty for anything else."""
    try:
        told = json.loads(value) if isinstance(value, str) and len(value) < 1000 else {}
    except (ValueError, RecursionError):
        return {}
    return _asked(told)
