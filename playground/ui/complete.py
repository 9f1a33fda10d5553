"""The Complete tab: one to eight lanes, each its own model, prompt and decoding, run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.run import Run
from playground.errors import PlaygroundError
from playground.settings import Settings
from playground.ui.actions import action_row, examples_row, sentence, wire_examples
from playground.ui.blind import way_in
from playground.ui.columns import Columns, build_own_columns
from playground.ui.controls import prompt_box
from playground.ui.decoding_panel import start_form
from playground.ui.lane_count import lane_buttons, shown
from playground.ui.lane_form import LaneForm, read_lane, write_lane
from playground.ui.lane_play import plan_lane
from playground.ui.lens import lens_of
from playground.ui.parting import Parting, parting_panel
from playground.ui.streaming import Stage
from playground.ui.token_stream import idle

TAB = "complete"
MOST = 8
START = 2
LANES = ("Greedy", "Top-p")
EXAMPLES = (
    "The capital of France is",
    "Once upon a time there was a little dragon named",
    "hello,how are you",
    "《梦游天姥吟留别》的作者是谁",
)
FIELDS = ("model", "template", "system")
PANEL_FIELDS = ("model", "template", "control_tokens", "system", "prefill")


@dataclass(frozen=True)
class CompleteTab:
    """What another tab can fill: the text for every lane, and the lanes."""

    text: gr.Textbox
    columns: Columns


def build_complete(stage: Stage, settings: Settings) -> CompleteTab:
    """Build the tab inside the open Blocks."""
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text for every lane", "The beginning of a text. Enter runs.")
        actions = action_row(TAB)
    actions.notice.render()
    remark = gr.HTML("", elem_classes="remark", padding=False)
    examples = examples_row(EXAMPLES)
    with gr.Row(elem_classes="tools"):
        lens = gr.Button("Base and chat lens", size="sm", elem_classes="tool", min_width=60)
        size = lane_buttons()
        way_in(TAB)
    total = max(START, min(MOST, settings.limits.columns))
    presets = [LANES[min(number, len(LANES) - 1)] for number in range(total)]
    forms = [LaneForm(settings.models[-1], decoding=start_form(name, 64)) for name in presets]
    columns = build_own_columns(stage, settings, TAB, forms, START, FIELDS, PANEL_FIELDS)
    parting = parting_panel(TAB)
    wide, prompts = actions.wide, columns.prompts
    go = actions.wire(
        _runner(stage, settings, columns, parting), {"text": text, **columns.inputs},
        [*columns.lanes, parting.panel], stage.stopper(TAB), name="complete",
        enter=[text, *prompts],
    )
    fills = [lambda e=example: [e, *[""] * len(prompts)] for example in EXAMPLES]
    wire_examples(examples, fills, [text, *prompts], wide, go)
    size.wire(columns.count, columns.boxes, wide, columns.settings, prompts)
    parting.wire(columns.lanes, wide)
    lens.click(
        partial(_look, settings), [text, prompts[0], *columns.settings],
        [text, *prompts, *columns.settings, columns.count, *columns.boxes, *columns.lanes, remark],
        queue=False, **wide,
    ).then(**go)
    return CompleteTab(text, columns)


def _look(settings: Settings, text: Any, own: Any, first: Any, *others: Any) -> list[Any]:
    """The lens: what is in the first lane, its text and decoding, as up to four lanes."""
    total = 1 + len(others)
    try:
        found = lens_of(settings, first)
    except PlaygroundError as error:
        # A gr.HTML that is told gr.skip() before it was ever in sight loses its props.
        return [*[gr.skip()] * (1 + total), first, *others, *[gr.skip()] * (1 + total),
                *[idle() for _ in range(total)], sentence(error.problem)]
    count = len(found.forms)
    values = [*map(write_lane, found.forms), *others[count - 1 :]]
    said = sentence(found.remark, "wait") if found.remark else ""
    return [own or text, *[""] * total, *values, count, *shown(count, total),
            *[idle(open_prompt=n < count) for n in range(total)], said]


def _runner(
    stage: Stage, settings: Settings, built: Columns, parting: Parting
) -> Callable[..., Iterator[list[Any]]]:
    def run(request: gr.Request, text: Any, columns: int, **values: Any) -> Iterator[list[Any]]:
        """Up to eight lanes run together, each with its prompt and its ``settings``, a JSON object
        such as {"model": "builtin/tiny-chat", "preset": "Top-p"}; a lane without a prompt goes on
        with the text."""
        lanes = []
        for column in built.of(columns):
            own, given = (values[name] for name in column.inputs)
            lanes.append(plan_lane("", partial(_run_of, settings, given, own or text)))
        yield from parting.play(stage, TAB, request, lanes, len(built.all))

    return run


def _run_of(settings: Settings, given: Any, text: Any) -> Run:
    form = read_lane(given)
    return form.run(form.prompt(text), settings.default_model)
