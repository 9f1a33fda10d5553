"""The Strategies tab: one prompt decoded in several ways side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.actions import action_row, examples_row
from playground.ui.columns import (
    Columns,
    build_columns,
    make_run,
    plan_lane,
    play_lanes,
    prompt_form,
    prompt_of,
    wire_count,
)
from playground.ui.controls import model_picker, prompt_box
from playground.ui.decoding_form import title_of
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
    columns = build_columns(
        settings, TAB, LANES[: settings.limits.columns], START, own_prompt=False, new_tokens=48
    )

    inputs = {
        "text": text, "model": model, "template": form.template,
        "control_tokens": form.control_tokens, **columns.inputs,
    }
    outputs = [actions.run, actions.stop, actions.notice, *(c.lane for c in columns.all)]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    wide = {**quiet, "show_progress_on": actions.notice}
    go = {**wide, "fn": _runner(stage, columns), "inputs_kwargs": inputs, "outputs": outputs,
          "concurrency_limit": None}
    actions.run.click(**{**go, "api_visibility": "public", "api_name": "strategies"})
    text.submit(**go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(lambda e=example: e, None, text, queue=False, **quiet).then(**go)
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    wire_count(columns, more, fewer, wide)


def _runner(stage: Stage, built: Columns) -> Callable[..., Iterator[list[Any]]]:
    def run(
        request: gr.Request,
        text: Any,
        model: Any,
        template: Any,
        control_tokens: Any,
        columns: int,
        **values: Any,
    ) -> Iterator[list[Any]]:
        """One prompt decoded in several ways, each as its ``settings`` say, a JSON object."""
        lanes = []
        for column in built.of(columns):
            own = values[column.named("settings")]
            prompt = partial(prompt_of, template, control_tokens, text)
            lanes.append(plan_lane(title_of(own), partial(make_run, model, prompt, own)))
        yield from play_lanes(stage, TAB, request, lanes, len(built.all))

    return run
