"""The Complete tab: one to four columns, each its own model, prompt and decoding, run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from playground.core.run import Run
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
)
from playground.ui.controls import DecodingPanel
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
    most = min(4, settings.limits.columns)
    count = gr.State(START)
    with gr.Row(elem_classes="tab-head"):
        text = gr.Textbox(
            label="Text for every column",
            placeholder="The beginning of a text. Enter puts it into every column and runs.",
            lines=1,
            max_lines=8,
            scale=6,
            elem_classes="prompt-box",
        )
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
    _wire(stage, columns, count, text, actions, examples, (lens, more, fewer))


def _wire(
    stage: Stage,
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
    inputs = [count, *(part for column in columns for part in column.inputs)]
    outputs = [actions.run, actions.stop, actions.notice, *(column.lane for column in columns)]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    wide = {**quiet, "show_progress_on": actions.notice}
    go = {**wide, "concurrency_limit": None}

    actions.run.click(
        run, inputs, outputs, api_name="complete", **{**go, "api_visibility": "public"}
    )
    for prompt in prompts:
        prompt.submit(run, inputs, outputs, **go)
    spread = {
        "fn": lambda t: [t] * len(columns),
        "inputs": text,
        "outputs": prompts,
        "queue": False,
    }
    text.submit(**spread, **wide).then(run, inputs, outputs, **go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(
            lambda e=example: [e] * (len(columns) + 1), None, [text, *prompts], queue=False, **wide
        ).then(run, inputs, outputs, **go)
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)

    boxes = [column.box for column in columns]
    most = len(columns)
    for button, step in ((more, 1), (fewer, -1)):
        button.click(
            lambda n, step=step: _resized(n + step, most),
            count,
            [count, *boxes],
            queue=False,
            **wide,
        )
    forms = [columns[0].form, columns[1].form]
    lens.click(
        lambda t, first, model: [t or first, t or first, RAW, CHAT, model, *_resized(2, most)],
        [text, columns[0].prompt, columns[0].model],
        [columns[0].prompt, columns[1].prompt, *forms, columns[1].model, count, *boxes],
        queue=False,
        **wide,
    ).then(run, inputs, outputs, **go)


def _resized(count: int, most: int) -> list[Any]:
    count = max(1, min(most, count))
    return [count, *shown(count, most)]


def _runner(stage: Stage, columns: list[Column]) -> Callable[..., Iterator[list[Any]]]:
    # Gradio fills the request in by position, so it must come before the star.
    def run(request: gr.Request, count: int, *values: Any) -> Iterator[list[Any]]:
        lanes = []
        place = 0
        for column in columns[: max(1, count)]:
            model, form, text, *knobs = values[place : place + 3 + column.panel.size]
            place += 3 + column.panel.size
            read = partial(_read, model, form, text, column.panel, knobs)
            lanes.append(plan_lane("", read))
        yield from play_lanes(stage, TAB, request, lanes, len(columns))

    return run


def _read(model: Any, form: Any, text: Any, panel: DecodingPanel, knobs: Sequence[Any]) -> Run:
    return make_run(model, prompt_of(form, text), panel, knobs)
