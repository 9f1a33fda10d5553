"""Buttons that every tab shares: Run and Stop in one place, examples, the sentence beside; and the
settings of their events. It knows no engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from playground.errors import Problem

# An event of the page: it shows no spinner, and no program can call it.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Whatever is pressed while another handler has not ended is heard: see ``Turns.show``.
HEARD: dict[str, Any] = {**QUIET, "concurrency_limit": None, "trigger_mode": "multiple"}


@dataclass(frozen=True)
class Actions:
    """Run, Stop (always where Run was) and the place for a sentence."""

    run: gr.Button
    stop: gr.Button
    notice: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What an update of ``running`` or ``resting``, and a sentence, is for."""
        return [self.run, self.stop, self.notice]

    @property
    def wide(self) -> dict[str, Any]:
        """The settings of an event with several outputs: without ``show_progress_on`` Gradio tells
        each of them of every update."""
        return {**QUIET, "show_progress_on": self.notice}

    def wire(
        self, run: Callable[..., Iterator[list[Any]]], inputs: dict[str, Any],
        outputs: Sequence[Any], stop: Callable[[gr.Request], None], *,
        name: str | None = None, enter: Sequence[gr.Textbox] = (),
    ) -> dict[str, Any]:
        """Let the Run button, and Enter in the boxes ``enter``, begin ``run``, and Stop ``stop``.

        The updates of ``run`` are for run, stop, notice and ``outputs``. Gives its event, for
        whatever else begins it.
        """
        go = {**HEARD, **self.wide, "fn": run, "inputs_kwargs": inputs,
              "outputs": [*self.outputs, *outputs]}
        gr.on([self.run.click, *(box.submit for box in enter)], api_name=name, **go)
        self.stop.click(stop, None, None, queue=False, **QUIET)
        return go


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


def wire_examples(
    buttons: Sequence[gr.Button], fills: Sequence[Callable[[], Any]], filled: Any,
    event: dict[str, Any], go: dict[str, Any],
) -> None:
    """Let each example fill its part of the form, and then run as ``go`` says; ``event`` holds the
    settings of filling."""
    for button, fill in zip(buttons, fills, strict=True):
        button.click(fill, None, filled, queue=False, **event).then(**go)
