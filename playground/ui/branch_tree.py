"""The parts around the lanes of the Tokens tab: the tree, the samples, the pace, the line above a
lane; each is told what to show as one small string, and says what its reader wishes as an event.

Safety: as in token_stream.py, the template is static and every text becomes a text node.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("branch_tree.js", "branch_pace.js", "branch_samples.js", "branch_mount.js")

# Asked for once a page; the quoted names are how Gradio finds out which events a part has.
_LOADER = """
const page = window;
page.branchesReady ??= server.branch_code({}).then((code) => {
  const style = document.createElement('style');
  style.textContent = code.css;
  document.head.append(style);
  const script = document.createElement('script');
  script.textContent = code.js;
  document.head.append(script);
});
page.branchesReady.then(
  () => page.branches.mount(element, {
    props, watch, act: (data) => trigger('act', data), amend: (data) => trigger('amend', data),
    draw: (data) => trigger('draw', data),
  }),
  (error) => { page.branchesReady = undefined; throw error; },
);
"""


def branch_part(mode: str, value: str, **more: Any) -> gr.HTML:
    """A part of the tab: "strip", "pace", "tree" or "samples".

    ``part.act(handler)`` gets ``gr.EventData`` with ``do`` and what that needs: a ``key``, a
    ``lane``, a ``name``, a ``speed``. The pace has ``amend`` too, and the samples ``draw`` with a
    ``count``. All of it comes from a browser and may be anything.
    """
    return gr.HTML(
        value=value, html_template='<div class="branches"></div>', js_on_load=_LOADER,
        apply_default_css=False, server_functions=[branch_code],
        elem_classes=["branches-block"], mode=mode, **more,
    )


def event_of(part: gr.HTML, name: str) -> Any:
    """A part's own event as ``gr.on`` takes it: Gradio gives those of its components what it gives
    no event of a gr.HTML."""
    event = getattr(part, name)
    event.__self__, event.event_name, event.has_trigger = part, name, True
    event.callback, event.connection, event.event_specific_args = None, "sse", []
    return event


def branch_code(request: object) -> dict[str, str]:
    """Server function: script and style, asked for once a page."""
    return _code()


@cache
def _code() -> dict[str, str]:
    parts = "\n".join((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    css = (_ASSETS / "branch_tree.css").read_text("utf-8")
    return {"js": f"(() => {{\n'use strict';\n{parts}\n}})();", "css": css}
