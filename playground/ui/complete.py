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
    Columns,
    build_columns,
    make_run,
    plan_lane,
    play_lanes,
    prompt_of,
    shown,
    wire_count,
)
from playground.ui.controls import prompt_box
from playground.ui.parting import Parting, parting_panel
from playground.ui.streaming import Stage

TAB = "complete"
START = 2
LANES = ("Greedy", "Top-p", "Temperature 1.5", "Beam search")
EXAMPLES = (
    "The capital of France is",
    "Once upon a time there was a little dragon named",
    "hello,how are you",
    "《梦游天姥吟留别》的作者是谁",
)


def build_complete(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text for every lane", "The beginning of a text. Enter runs.")
        actions = action_row(TAB)
    actions.notice.render()
    examples = examples_row(EXAMPLES)
    with gr.Row(elem_classes="tools"):
        lens = gr.Button("Raw beside chat template", size="sm", elem_classes="tool", min_width=60)
        more = gr.Button("Add lane", size="sm", elem_classes="tool", min_width=60)
        fewer = gr.Button("Remove lane", size="sm", elem_classes="tool", min_width=60)
    columns = build_columns(
        settings, TAB, LANES[: max(2, settings.limits.columns)], START,
        own_prompt=True, new_tokens=64,
    )
    parting = parting_panel(TAB)
    _wire(stage, settings, columns, text, actions, examples, (lens, more, fewer), parting)


def _wire(
    stage: Stage,
    settings: Settings,
    columns: Columns,
    text: gr.Textbox,
    actions: Actions,
    examples: list[gr.Button],
    tools: tuple[gr.Button, gr.Button, gr.Button],
    parting: Parting,
) -> None:
    lens, more, fewer = tools
    prompts = [column.prompt for column in columns.all]
    boxes = [column.box for column in columns.all]
    outputs = [actions.run, actions.stop, actions.notice, *(c.lane for c in columns.all),
               parting.panel]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    wide = {**quiet, "show_progress_on": actions.notice}
    go = {**wide, "fn": _runner(stage, columns, parting),
          "inputs_kwargs": {"text": text, **columns.inputs},
          "outputs": outputs, "concurrency_limit": None, "trigger_mode": "multiple"}

    actions.run.click(**{**go, "api_visibility": "public", "api_name": "complete"})
    gr.on([text.submit, *(prompt.submit for prompt in prompts)], **go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(
            lambda e=example: [e] + [""] * len(prompts), None, [text, *prompts], queue=False, **wide
        ).then(**go)
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    wire_count(columns, more, fewer, wide)
    parting.wire([column.lane for column in columns.all], wide)
    raw, chat = columns.all[:2]
    lens.click(
        partial(_lens, settings, len(boxes)),
        [text, raw.prompt, raw.model, raw.form.control_tokens, raw.settings],
        [
            text,
            *prompts,
            *(c for p in (raw, chat) for c in (p.form.template, p.form.control_tokens, p.model)),
            chat.settings,
            columns.count,
            *boxes,
        ],
        queue=False,
        **wide,
    ).then(**go)


def _lens(
    settings: Settings, most: int, text: str, own: str, model: Any, control: Any, decoding: Any
) -> list[Any]:
    """The same text and settings in two columns that differ in one thing: the chat template."""
    if isinstance(model, str) and entry(model).kind == "base":
        model = settings.models[0]
    forms = [RAW, control, model, CHAT, control, model]
    return [own or text, *[""] * most, *forms, decoding, 2, *shown(2, most)]


def _runner(
    stage: Stage, built: Columns, parting: Parting
) -> Callable[..., Iterator[list[Any]]]:
    def run(request: gr.Request, text: Any, columns: int, **values: Any) -> Iterator[list[Any]]:
        """Up to four columns run together, each with its model, prompt and ``settings``, a JSON
        object; a column without a prompt goes on with the text."""
        lanes = []
        for column in built.of(columns):
            model, template, control, own, decoding = (values[name] for name in column.inputs)
            prompt = partial(prompt_of, template, control, own or text)
            lanes.append(plan_lane("", partial(make_run, model, prompt, decoding)))
        played = play_lanes(stage, TAB, request, lanes, len(built.all))
        yield from stage.show(TAB, request, parting.follow(request, lanes, played))

    return run
