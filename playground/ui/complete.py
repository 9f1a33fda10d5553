"""The Complete tab: one to four columns, each its own model, prompt and decoding, run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from playground.models.catalog import entry
from playground.settings import Settings
from playground.ui.actions import Actions, action_row, examples_row
from playground.ui.columns import (
    CHAT,
    RAW,
    Column,
    build_column,
    make_run,
    plan_lane,
    play_lanes,
    prompt_of,
    shown,
    wire_count,
)
from playground.ui.controls import prompt_box
from playground.ui.streaming import Stage

TAB = "complete"
START = 2
EXAMPLES = (
    "The capital of France is",
    "Once upon a time there was a little dragon named",
    "hello,how are you",
    "《梦游天姥吟留别》的作者是谁",
)


def build_complete(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    most = max(2, min(4, settings.limits.columns))
    count = gr.State(START)
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text for every column", "The beginning of a text. Enter runs.")
        actions = action_row(TAB)
    actions.notice.render()
    examples = examples_row(EXAMPLES)
    with gr.Row(elem_classes="tools"):
        lens = gr.Button("Raw beside chat template", size="sm", elem_classes="tool", min_width=60)
        more = gr.Button("Add column", size="sm", elem_classes="tool", min_width=60)
        fewer = gr.Button("Remove column", size="sm", elem_classes="tool", min_width=60)
    with gr.Row(elem_classes="lanes"):
        columns = [
            build_column(
                settings,
                number,
                TAB,
                preset=("Greedy", "Top-p", "Temperature 1.5", "Beam search")[number],
                visible=number < START,
                own_prompt=True,
                new_tokens=64,
            )
            for number in range(most)
        ]
    _wire(stage, settings, columns, count, text, actions, examples, (lens, more, fewer))


def _wire(
    stage: Stage,
    settings: Settings,
    columns: list[Column],
    count: gr.State,
    text: gr.Textbox,
    actions: Actions,
    examples: list[gr.Button],
    tools: tuple[gr.Button, gr.Button, gr.Button],
) -> None:
    lens, more, fewer = tools
    prompts = [column.prompt for column in columns]
    run = _runner(stage, columns)
    inputs = [text, count, *(part for column in columns for part in column.inputs)]
    outputs = [actions.run, actions.stop, actions.notice, *(column.lane for column in columns)]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    wide = {**quiet, "show_progress_on": actions.notice}
    go = {**wide, "concurrency_limit": None}

    actions.run.click(
        run, inputs, outputs, api_name="complete", **{**go, "api_visibility": "public"}
    )
    gr.on([text.submit, *(prompt.submit for prompt in prompts)], run, inputs, outputs, **go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(
            lambda e=example: [e] + [""] * len(columns), None, [text, *prompts], queue=False, **wide
        ).then(run, inputs, outputs, **go)
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    wire_count(columns, count, more, fewer, wide)
    raw, chat = columns[:2]
    lens.click(
        partial(_lens, settings, len(columns)),
        [text, raw.prompt, raw.model, raw.form.control_tokens, *raw.panel.inputs],
        [
            text,
            *prompts,
            *(part for c in (raw, chat) for part in (*c.form.inputs, c.model)),
            *chat.panel.inputs,
            count,
            *(column.box for column in columns),
        ],
        queue=False,
        **wide,
    ).then(run, inputs, outputs, **go)


def _lens(
    settings: Settings, most: int, text: str, own: str, model: Any, control: Any, *knobs: Any
) -> list[Any]:
    """The same text and settings in two columns that differ in one thing: the chat template."""
    if isinstance(model, str) and entry(model).kind == "base":
        model = settings.models[0]
    forms = [RAW, control, model, CHAT, control, model]
    return [own or text, *[""] * most, *forms, *knobs, 2, *shown(2, most)]


def _runner(stage: Stage, columns: list[Column]) -> Callable[..., Iterator[list[Any]]]:
    # Gradio fills the request in by position, so it must come before the star.
    def run(request: gr.Request, text: Any, count: int, *values: Any) -> Iterator[list[Any]]:
        lanes = []
        place = 0
        for column in columns[: max(1, count)]:
            model, template, control, own, *knobs = values[place : place + 4 + column.panel.size]
            place += 4 + column.panel.size
            prompt = partial(prompt_of, template, control, own or text)
            lanes.append(plan_lane("", partial(make_run, model, prompt, column.panel, knobs)))
        yield from play_lanes(stage, TAB, request, lanes, len(columns))

    return run
