"""The Strategies tab: one prompt decoded in several ways side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.actions import action_row, examples_row
from playground.ui.columns import (
    Column,
    build_column,
    make_run,
    plan_lane,
    play_lanes,
    prompt_form,
    prompt_of,
    wire_count,
)
from playground.ui.controls import model_picker, prompt_box
from playground.ui.streaming import Stage

TAB = "strategies"
LANES = (
    "Greedy",
    "Beam search",
    "Top-k",
    "Top-p",
    "Temperature 0.7",
    "Temperature 1.5",
    "Min-p",
    "Typical",
)
START = 5
EXAMPLES = (
    "Once upon a time",
    "The capital of France is",
    "Roses are red,",
)


def build_strategies(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    most = min(len(LANES), settings.limits.columns)
    count = gr.State(min(START, most))
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Prompt", "One prompt for every strategy. Enter runs.")
        with gr.Column(scale=2, min_width=200):
            model = model_picker(settings, value=settings.models[-1])
        actions = action_row(TAB)
    actions.notice.render()
    examples = examples_row(EXAMPLES)
    with gr.Row(elem_classes="tools"):
        form = prompt_form()
        more = gr.Button("Add column", size="sm", elem_classes="tool", min_width=60)
        fewer = gr.Button("Remove column", size="sm", elem_classes="tool", min_width=60)
    with gr.Row(elem_classes="lanes"):
        columns = [
            build_column(
                settings,
                n,
                TAB,
                preset=LANES[n],
                visible=n < min(START, most),
                own_prompt=False,
                new_tokens=48,
            )
            for n in range(most)
        ]

    run = _runner(stage, columns)
    inputs: list[Any] = [text, model, *form.inputs, count]
    for column in columns:
        inputs += [column.panel.preset, *column.inputs]
    outputs = [actions.run, actions.stop, actions.notice, *(column.lane for column in columns)]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    wide = {**quiet, "show_progress_on": actions.notice}
    go = {**wide, "concurrency_limit": None}
    actions.run.click(
        run, inputs, outputs, **{**go, "api_visibility": "public", "api_name": "strategies"}
    )
    text.submit(run, inputs, outputs, **go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(lambda e=example: e, None, text, queue=False, **quiet).then(
            run, inputs, outputs, **go
        )
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    wire_count(columns, count, more, fewer, wide)


def _runner(stage: Stage, columns: list[Column]) -> Callable[..., Iterator[list[Any]]]:
    # Gradio fills the request in by position, so it must come before the star.
    def run(
        request: gr.Request,
        text: Any,
        model: Any,
        template: Any,
        control: Any,
        count: int,
        *values: Any,
    ) -> Iterator[list[Any]]:
        lanes = []
        place = 0
        for column in columns[: max(1, count)]:
            name, *knobs = values[place : place + 1 + column.panel.size]
            place += 1 + column.panel.size
            prompt = partial(prompt_of, template, control, text)
            lanes.append(plan_lane(name, partial(make_run, model, prompt, column.panel, knobs)))
        yield from play_lanes(stage, TAB, request, lanes, len(columns))

    return run
