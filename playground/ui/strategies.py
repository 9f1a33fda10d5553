"""The Strategies tab: one prompt decoded in many ways side by side, and how they compare."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from playground.core.decoding import PRESETS
from playground.core.run import LARGEST_SEED
from playground.errors import PlaygroundError
from playground.settings import Settings
from playground.ui.actions import QUIET, action_row, examples_row, wire_examples
from playground.ui.blind import way_in
from playground.ui.columns import Columns, build_columns
from playground.ui.controls import make_run, model_picker, prompt_box, prompt_form, prompt_of
from playground.ui.decoding_form import title_of
from playground.ui.decoding_panel import tell_model
from playground.ui.lane_board import LaneBoard, filled, lane_board
from playground.ui.lane_count import lane_buttons, shown
from playground.ui.lane_play import plan_lane
from playground.ui.parting import Parting, parting_panel
from playground.ui.scripted import sent
from playground.ui.served import tell_reasons, why_no_run
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import idle

TAB = "strategies"
FIRST = ("Greedy", "Beam search", "Top-k", "Top-p", "Temperature 0.7")
# "Add lane" goes on with the strategies that are not there yet.
LANES = (*FIRST, *(name for name in PRESETS if name not in FIRST))
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
    remark = gr.HTML("", elem_classes="remark", padding=False)
    examples = examples_row(EXAMPLES)
    with gr.Row(elem_classes="tools"):
        form = prompt_form()
        size = lane_buttons()
        way_in(TAB)
    lanes = LANES[: settings.limits.columns]
    board = lane_board(settings, TAB, len(lanes))
    columns = build_columns(stage, settings, TAB, lanes, len(FIRST), new_tokens=48)
    tell_model(model, TAB)
    tell_reasons(stage.engine, why_no_run, [(model, form.template)], [remark])
    parting = parting_panel(TAB)
    board.table.render()

    inputs = {
        "text": text, "model": model, "template": form.template,
        "control_tokens": form.control_tokens, **columns.inputs,
    }
    go = actions.wire(
        _runner(stage, columns, parting), inputs, [*columns.lanes, parting.panel, board.bar],
        stage.stopper(TAB), name="strategies", enter=[text],
    )
    wire_examples(examples, [lambda e=example: e for example in EXAMPLES], text, QUIET, go)
    size.wire(columns.count, columns.boxes, actions.wide)
    _wire_board(board, columns, actions.wide)
    parting.wire(columns.lanes, actions.wide, board.bar)


def _runner(
    stage: Stage, built: Columns, parting: Parting
) -> Callable[..., Iterator[list[Any]]]:
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
        prompt = partial(prompt_of, template, control_tokens, text)
        # The same dice for all: what differs between two lanes is then what was set.
        fresh = random.randint(0, LARGEST_SEED)
        chosen = [values[column.named("settings")] for column in built.of(columns)]
        lanes = [plan_lane(title_of(own), partial(make_run, model, prompt, own, fresh))
                 for own in chosen]
        yield from parting.play(stage, TAB, request, lanes, len(built.all), figures=True)

    return run


def _wire_board(board: LaneBoard, columns: Columns, wide: dict[str, Any]) -> None:
    """Let the bar above the lanes fill them."""
    total = len(columns.all)

    def fill(wish: gr.EventData) -> list[Any]:
        try:
            texts = filled(sent(wish), total)
        except PlaygroundError as error:
            return [encode({"problem": str(error)}), *[gr.skip()] * (1 + 3 * total)]
        rest = [gr.skip()] * (total - len(texts))
        told = encode({"filled": random.randint(1, LARGEST_SEED)})
        return [told, len(texts), *shown(len(texts), total), *texts, *rest, *[idle()] * total]

    board.bar.fill_lanes(
        fill, None, [board.bar, columns.count, *columns.boxes, *columns.settings, *columns.lanes],
        queue=False, **wide,
    )
