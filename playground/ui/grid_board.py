"""The table of a grid, drawn in the browser, which asks a few times a second for what changed.

Its value is the key of a grid, as a small JSON text; everything else comes from the server
functions, so that a page that was closed and opened again finds its grid at work. As in the token
view, the template is static and every text reaches the page as a text node.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from playground.ui.grid_export import page_of
from playground.ui.grid_report import layout, news
from playground.ui.grid_work import GridWork
from playground.ui.token_store import encode

_ASSETS = Path(__file__).parent / "assets"
# How figures and files are written is what the lanes' and the token view's scripts know.
_SCRIPTS = ("token_marks.js", "lane_figures.js", "grid_cell.js", "grid_sheet.js", "grid_tools.js",
            "grid_board.js")
_GONE = '{"gone":true}'

# Asked for once a page; the quoted names are how Gradio finds out which events the board has.
_LOADER = """
const page = window;
page.gridReady ??= server.grid_code({}).then((code) => {
  const style = document.createElement('style');
  style.textContent = code.css;
  document.head.append(style);
  const script = document.createElement('script');
  script.textContent = code.js;
  document.head.append(script);
});
page.gridReady.then(
  () => page.gridBoard.mount(element, {
    props, watch, server, find: (data) => trigger('find_grid', data),
    over: (data) => trigger('grid_over', data), open: (data) => trigger('open_cells', data),
  }),
  (error) => { page.gridReady = undefined; throw error; },
);
"""


@cache
def _code() -> dict[str, str]:
    parts = "\n".join((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    css = (_ASSETS / "grid.css").read_text("utf-8")
    return {"js": f"(() => {{\n'use strict';\n{parts}\n}})();", "css": css}


def grid_code(request: object) -> dict[str, str]:
    """Server function: script and style, asked for once a page."""
    return _code()


def grid_board(work: GridWork, hint: str) -> gr.HTML:
    """The board. ``board.find_grid(handler)`` tells the ``key`` that a browser remembers,
    ``board.grid_over`` that of a grid that has come to its end, and ``board.open_cells`` a key and
    the ``places`` of the cells to open. All of it comes from a browser and may be anything.
    """
    functions: Sequence[Callable[..., Any]] = (grid_code, *answers_of(work))
    return gr.HTML(
        value="{}",
        html_template='<div class="grid-board"></div>',
        js_on_load=_LOADER,
        apply_default_css=False,
        server_functions=list(functions),
        elem_id="grid-board",
        elem_classes=["grid-block"],
        hint=hint,
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
