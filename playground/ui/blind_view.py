"""The one part of the Blind tab, drawn in the browser: sources, a match, results; knows no model.

Its value is a JSON string.
"""

from __future__ import annotations

import gradio as gr

from playground.ui.ballots import Ballots
from playground.ui.blind_export import csv_file, json_file
from playground.ui.scripted import Bundle, scripted_view

BUNDLE = Bundle("blindView", "blind", ("blind_match.js", "blind_results.js", "blind.js"),
                ("blind.css",))


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

    return scripted_view(
        BUNDLE, value=value, events=("act", "write"), server=(blind_file,), elem_id="blind-board",
    )
