"""The parts around the lanes of the Tokens tab: the tree, the samples, the pace, the line above a
lane; each is told what to show as one small string, and says what its reader wishes as an event.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.ui.scripted import Bundle, scripted_view

BUNDLE = Bundle("branches", "branches", (
    "branch_tree.js", "branch_pace.js", "branch_samples.js", "branch_mount.js",
), ("branch_tree.css",))


def branch_part(mode: str, value: str, **more: Any) -> gr.HTML:
    """A part of the tab: "strip", "pace", "tree" or "samples".

    ``part.act(handler)`` gets ``gr.EventData`` with ``do`` and what that needs: a ``key``, a
    ``lane``, a ``name``, a ``speed``. The pace has ``amend`` too, and the samples ``draw`` with a
    ``count``. All of it comes from a browser and may be anything.
    """
    return scripted_view(
        BUNDLE, value=value, events=("act", "amend", "draw"), mode=mode, **more,
    )
