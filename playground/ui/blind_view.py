"""The one part of the Blind tab, drawn in the browser: sources, a match, results; knows no model.

Its value is a JSON string. The template is static and every text reaches the page as a text node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import gradio as gr

from playground.ui.ballots import Ballots
from playground.ui.blind_export import csv_file, json_file

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("blind_match.js", "blind_results.js", "blind.js")

# The quoted names are how Gradio finds out which events a component has.
_LOADER = """
const page = window;
page.blindReady ??= server.blind_code({}).then((code) => {
  const style = document.createElement('style');
  style.textContent = code.css;
  document.head.append(style);
  const script = document.createElement('script');
  script.textContent = code.js;
  document.head.append(script);
});
const act = (data) => trigger('act', data);
const write = (data) => trigger('write', data);
page.blindReady.then(
  () => page.blindView.mount(element, { props, watch, act, write, server }),
  (error) => { page.blindReady = undefined; throw error; },
);
"""


@cache
def _code() -> dict[str, str]:
    parts = "\n".join((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    css = (_ASSETS / "blind.css").read_text("utf-8")
    return {"js": f"(() => {{\n'use strict';\n{parts}\n}})();", "css": css}


def blind_code(request: object) -> dict[str, str]:
    """Server function: script and style, asked for once a page."""
    return _code()


def blind_view(ballots: Ballots, value: str) -> gr.HTML:
    """The view; it tells with "act" what a reader does, with "write" which example they want.

    What its ``gr.EventData`` holds comes from a browser.
    """

    def blind_file(asked: object) -> dict[str, str]:
        """Server function: a revealed test as a file, "json" or "csv"; nothing for another one."""
        wish = asked if isinstance(asked, dict) else {}
        test = ballots.revealed(wish.get("key"))
        if test is None:
            return {"text": ""}
        return {"text": csv_file(test) if wish.get("form") == "csv" else json_file(test)}

    functions: list[Callable[..., object]] = [blind_code, blind_file]
    return gr.HTML(
        value=value,
        html_template='<div class="blind"></div>',
        js_on_load=_LOADER,
        apply_default_css=False,
        server_functions=functions,
        elem_id="blind-board",
        elem_classes=["blind-block"],
    )
