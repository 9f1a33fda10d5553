"""The Tokens tab: one answer token by token as it appears, and the same run as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.actions import action_row, examples_row
from playground.ui.columns import make_run, plan_lane, play_lanes, prompt_form, prompt_of
from playground.ui.controls import model_picker, prompt_box
from playground.ui.decoding_panel import decoding_panel
from playground.ui.streaming import Stage
from playground.ui.token_stream import token_stream

TAB = "tokens"
EXAMPLES = (
    "The capital of France is",
    "Once upon a time there was a little dragon named",
    "《梦游天姥吟留别》的作者是谁",
)


def build_tokens(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    with gr.Row(elem_classes="tab-body"):
        with gr.Column(scale=4, min_width=320):
            with gr.Row(elem_classes="tab-head"):
                text = prompt_box("Prompt", "The beginning of a text. Enter runs.")
                actions = action_row(TAB)
            actions.notice.render()
            examples = examples_row(EXAMPLES)
            tokens = token_stream(
                "Tokens",
                view="tokens",
                name="tokens",
                hint="Each token appears here as it is chosen. Hover, tap or use the arrow keys to "
                "see what else could have come.",
            )
            table = token_stream(
                "Steps",
                view="table",
                name="steps",
                hint="The same run, one row a step.",
                height=420,
            )
        with gr.Column(scale=1, min_width=260, elem_classes="side"):
            with gr.Accordion("Settings", open=True):
                model = model_picker(settings)
                form = prompt_form()
                panel = decoding_panel(settings, TAB, "Greedy", 48)

    inputs = {"text": text, "model": model, "template": form.template,
              "control_tokens": form.control_tokens, "settings": panel}
    outputs = [actions.run, actions.stop, actions.notice, tokens, table]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    go = {**quiet, "fn": _runner(stage), "inputs_kwargs": inputs, "outputs": outputs,
          "show_progress_on": actions.notice, "concurrency_limit": None}
    actions.run.click(**{**go, "api_visibility": "public", "api_name": "tokens"})
    text.submit(**go)
    for button, example in zip(examples, EXAMPLES, strict=True):
        button.click(lambda e=example: e, None, text, queue=False, **quiet).then(**go)
    actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)


def _runner(stage: Stage) -> Callable[..., Iterator[list[Any]]]:
    def run(
        request: gr.Request, text: Any, model: Any, template: Any, control_tokens: Any,
        settings: Any,
    ) -> Iterator[list[Any]]:
        """One answer token by token; ``settings`` is a JSON object such as {"preset": "Top-p"}."""
        prompt = partial(prompt_of, template, control_tokens, text)
        lane = plan_lane("", partial(make_run, model, prompt, settings))
        # One run, two views: the same value goes to both.
        for update in play_lanes(stage, TAB, request, [lane], 1):
            yield [*update, update[-1]]

    return run
