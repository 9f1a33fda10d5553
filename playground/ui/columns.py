"""Columns side by side, built once and shown as wanted, each with its settings and its lane."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import Run
from playground.errors import PlaygroundError, Problem
from playground.settings import Settings
from playground.ui.actions import resting, running
from playground.ui.controls import DecodingPanel, decoding_panel, model_picker, read_model
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import TokenFeed, idle, token_stream

RAW, CHAT = "Raw text", "Chat template"


@dataclass(frozen=True)
class PromptForm:
    """How a text becomes a prompt: raw or through the chat template, control tokens read or not."""

    template: gr.Radio
    control_tokens: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What a handler lists as inputs, in the order that ``prompt_of`` takes them."""
        return [self.template, self.control_tokens]


def prompt_form() -> PromptForm:
    """The two choices, beside each other where there is room."""
    with gr.Row(elem_classes="prompt-form"):
        template = gr.Radio(
            [RAW, CHAT], value=RAW, label="The text is given as", show_label=False, container=False
        )
        control = gr.Checkbox(False, label="Read control tokens in my text", container=False)
    return PromptForm(template, control)


@dataclass(frozen=True)
class Column:
    """One column: a model and a prompt of its own where the tab has them, a decoding, a lane."""

    box: gr.Column
    panel: DecodingPanel
    lane: gr.HTML
    model: gr.Dropdown | None = None
    form: PromptForm | None = None
    prompt: gr.Textbox | None = None

    @property
    def inputs(self) -> list[Any]:
        """What a handler lists as inputs for this column."""
        form = self.form.inputs if self.form is not None else []
        own = [part for part in (self.model, *form, self.prompt) if part is not None]
        return [*own, *self.panel.inputs]


def prompt_of(template: Any, control_tokens: Any, text: Any) -> Prompt:
    """A text continued as it stands, or as the user's turn of a chat."""
    if template == CHAT:
        return Chat((Message("user", text),), control_tokens)
    return Raw(text, control_tokens)


def build_column(
    settings: Settings,
    number: int,
    name: str,
    *,
    preset: str,
    visible: bool,
    own_prompt: bool,
    new_tokens: int,
) -> Column:
    """One column of the row that is open; with ``own_prompt`` it has its own model and prompt."""
    model = form = prompt = None
    with gr.Column(min_width=280, visible=visible, elem_classes="lane-column") as box:
        if own_prompt:
            model = model_picker(settings, settings.models[-1], f"Model {number + 1}")
            form = prompt_form()
            prompt = gr.Textbox(
                "",
                label=f"Prompt {number + 1}",
                lines=2,
                max_lines=12,
                placeholder="Empty: the text above.",
                elem_classes="prompt-box",
            )
        with gr.Accordion("Settings", open=False, elem_classes="folded"):
            panel = decoding_panel(settings, preset, new_tokens)
        lane = token_stream(preset, hint="What this column writes appears here.", name=name)
    return Column(box, panel, lane, model, form, prompt)


@dataclass(frozen=True)
class Lane:
    """What one column is about to show: a feed with its run, or why there is no run."""

    feed: TokenFeed | None
    refusal: str = ""

    @property
    def value(self) -> str:
        """What the lane must be told now."""
        return self.feed.flush() if self.feed else self.refusal


def plan_lane(title: str, read: Callable[[], Run]) -> Lane:
    """Read one column into a run; what is wrong with it stays in its own column."""
    try:
        run = read()
    except PlaygroundError as error:
        return Lane(None, _refused(title, error.problem))
    return Lane(TokenFeed(run, title or run.model.label, describe(run)))


def _refused(title: str, problem: Problem) -> str:
    """The value of a lane whose run cannot be: the sentence stands where the text would."""
    return encode({"state": "failed", "title": title, "say": "Not run", "problem": str(problem)})


def play_lanes(
    stage: Stage, tab: str, request: gr.Request, lanes: Sequence[Lane], total: int
) -> Iterator[list[Any]]:
    """Run the lanes together; yields updates for run, stop, notice and ``total`` lanes."""
    feeds = [lane.feed for lane in lanes if lane.feed is not None]
    rest = [idle()] * (total - len(lanes))
    if feeds:
        for _ in stage.play(tab, request, feeds):
            yield [*running(), "", *(lane.value for lane in lanes), *rest]
    yield [*resting(), "", *(lane.value for lane in lanes), *rest]


def describe(run: Run) -> str:
    """How a run decodes, and with which dice, in one quiet line."""
    seed = f"seed {run.seed}" if run.decoding.draws else ""
    form = "chat template" if isinstance(run.prompt, Chat) else ""
    counted = isinstance(run.prompt, (Chat, Raw)) and run.prompt.control_tokens
    tokens = "control tokens read" if counted else ""
    return " · ".join(part for part in (form, tokens, run.decoding.summary, seed) if part)


def make_run(
    model: Any, prompt: Callable[[], Prompt], panel: DecodingPanel, values: Sequence[Any]
) -> Run:
    """A run from the values of a panel. Raises InvalidInput naming the field."""
    decoding, seed = panel.read(values)
    return Run(read_model(model), prompt(), decoding, seed)


def shown(count: int, total: int) -> list[Any]:
    """Updates that show the first ``count`` of ``total`` columns."""
    return [gr.update(visible=number < count) for number in range(total)]


def wire_count(
    columns: Sequence[Column], count: gr.State, more: gr.Button, fewer: gr.Button, event: Any
) -> None:
    """Let two buttons add and remove the last column; ``event`` holds the events' settings."""
    boxes = [column.box for column in columns]

    def resize(step: int, now: int) -> list[Any]:
        wanted = max(1, min(len(boxes), now + step))
        return [wanted, *shown(wanted, len(boxes))]

    for button, step in ((more, 1), (fewer, -1)):
        button.click(partial(resize, step), count, [count, *boxes], queue=False, **event)
