"""Buttons that every tab shares: Run and Stop in one place, examples, the sentence beside."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from playground.errors import Problem


@dataclass(frozen=True)
class Actions:
    """Run, Stop (always where Run was) and the place for a sentence."""

    run: gr.Button
    stop: gr.Button
    notice: gr.HTML


def action_row(tab: str, run: str = "Run", *, placed: bool = True) -> Actions:
    """The one primary button of a tab with its Stop; keys: Ctrl+Enter runs, Escape stops.

    The sentence is not placed yet: the tab calls ``actions.notice.render()`` where it has width;
    nor are the buttons where they are not ``placed``.
    """
    look: dict[str, Any] = {"size": "md", "min_width": 90, "render": placed}
    column = gr.Column(scale=1, min_width=100, elem_classes="actions") if placed else nullcontext()
    with column:
        start = gr.Button(
            run, variant="primary", elem_id=f"{tab}-run", elem_classes="start-run", **look
        )
        stop = gr.Button(
            "Stop", visible=False, elem_id=f"{tab}-stop", elem_classes="stop-run", **look
        )
    notice = gr.HTML(
        "", elem_id=f"{tab}-notice", elem_classes="notice", padding=False, render=False
    )
    return Actions(start, stop, notice)


def running() -> list[Any]:
    """Updates for (run, stop) while something runs."""
    return [gr.update(visible=False), gr.update(visible=True)]


def resting() -> list[Any]:
    """Updates for (run, stop) while nothing runs."""
    return [gr.update(visible=True), gr.update(visible=False)]


def sentence(problem: Problem | str, kind: str = "problem") -> str:
    """A sentence as safe HTML; a Problem shows what is wrong and what to do."""
    return f'<p role="status" class="sentence {escape(kind)}">{escape(str(problem))}</p>'


def examples_row(texts: Sequence[str]) -> list[gr.Button]:
    """A row of small buttons, each an example that runs with one click."""
    with gr.Row(elem_classes="examples"):
        return [gr.Button(text, size="sm", elem_classes="example", min_width=60) for text in texts]
