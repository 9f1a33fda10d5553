"""What a scoring comes to, drawn in the browser: figures, differences, contests; knows no model.

Its value is a JSON string; the token view beside it shows the tokens themselves. As there, the
template is static and every text reaches the page as a text node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import gradio as gr

_ASSETS = Path(__file__).parent / "assets"
# How a token is written down is the token view's; these files share one scope with it.
_SCRIPTS = ("token_marks.js", "score_sheet.js", "score_difference.js", "contest.js", "score.js")

# The quoted 'open' is how Gradio finds out which events a component has.
_LOADER = """
const page = window;
page.scoreReady ??= server.score_view_code({}).then((code) => {
  const style = document.createElement('style');
  style.textContent = code.css;
  document.head.append(style);
  const script = document.createElement('script');
  script.textContent = code.js;
  document.head.append(script);
});
page.scoreReady.then(
  () => page.scoreView.mount(element, { props, watch, open: (data) => trigger('open', data) }),
  (error) => { page.scoreReady = undefined; throw error; },
);
"""


@cache
def _code() -> dict[str, str]:
    parts = "\n".join((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    css = (_ASSETS / "score.css").read_text("utf-8")
    return {"js": f"(() => {{\n'use strict';\n{parts}\n}})();", "css": css}


def score_view_code(request: object) -> dict[str, str]:
    """Server function: script and style, asked for once a page."""
    return _code()


def score_view(
    mode: Literal["sheet", "difference", "contest"], hint: str = "", elem_id: str | None = None
) -> gr.HTML:
    """One view: the ``sheet`` under a lane, the ``difference`` of lanes, or a ``contest``.

    ``hint`` stands in an empty contest; the others show nothing then. A contest tells with "open"
    which contender's row (its ``place``) a reader opened.
    """
    functions: list[Callable[..., object]] = [score_view_code]
    return gr.HTML(
        value="",
        html_template='<div class="score-view"></div>',
        js_on_load=_LOADER,
        apply_default_css=False,
        server_functions=functions,
        elem_id=elem_id,
        elem_classes=["score-view-block"],
        mode=mode,
        hint=hint,
    )
