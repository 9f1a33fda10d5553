"""What a scoring comes to, drawn in the browser: figures, differences, contests; knows no model.

Its value is a JSON string; the token view beside it shows the tokens themselves.
"""

from __future__ import annotations

from typing import Literal

import gradio as gr

from playground.ui.scripted import Bundle, scripted_view

# How a token is written down is the token view's.
BUNDLE = Bundle("scoreView", "score-view", (
    "token_marks.js", "score_sheet.js", "score_difference.js", "contest.js", "score.js",
), ("score.css",))


def score_view(
    mode: Literal["sheet", "difference", "contest"], hint: str = "", elem_id: str | None = None
) -> gr.HTML:
    """One view: the ``sheet`` under a lane, the ``difference`` of lanes, or a ``contest``.

    ``hint`` stands in an empty contest; the others show nothing then. A contest tells with "open"
    which contender's row (its ``place``) a reader opened.
    """
    return scripted_view(BUNDLE, events=("open",), elem_id=elem_id, mode=mode, hint=hint)
