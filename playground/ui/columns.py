"""Columns side by side, built once and shown as wanted, each with its settings and its lane."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import Run
from playground.errors import PlaygroundError, Problem
from playground.settings import Settings
from playground.ui.actions import resting, running, sentence
from playground.ui.controls import read_model
from playground.ui.decoding_form import read_form
from playground.ui.decoding_panel import (
    column_head,
    decoding_panel,
    lane_head,
    lane_plan,
)
from playground.ui.lane_count import lane_count
from playground.ui.lane_form import CHAT, RAW, LaneForm
from playground.ui.lane_turns import planner, waiting_notice
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import TokenFeed, idle, token_stream

SECONDS_A_LANE = 0.008  # between two updates: 15 a second for up to 8 lanes, 5 for 24


@dataclass(frozen=True)
class PromptForm:
    """How a text becomes a prompt: raw or through the chat template, control tokens read or not."""

    template: gr.Radio
    control_tokens: gr.Checkbox


def prompt_form() -> PromptForm:
    """The two choices, beside each other where there is room."""
    with gr.Row(elem_classes="prompt-form"):
        template = gr.Radio(
            [RAW, CHAT], value=RAW, label="The text is given as", show_label=False, container=False
        )
        control = gr.Checkbox(False, label="Read control tokens in my text", container=False)
    return PromptForm(template, control)


def prompt_of(template: Any, control_tokens: Any, text: Any) -> Prompt:
    """A text continued as it stands, or as the user's turn of a chat."""
    if template == CHAT:
        return Chat((Message("user", text),), control_tokens)
    return Raw(text, control_tokens)


@dataclass(frozen=True)
class Column:
    """One column: its settings, its lane, and where the tab has one a prompt of its own."""

    number: int
    box: gr.Column
    settings: gr.HTML
    lane: gr.HTML
    prompt: gr.Textbox | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """What a handler takes of this column, by the names that the API shows."""
        own = {"prompt": self.prompt, "settings": self.settings}
        return {self.named(name): part for name, part in own.items() if part is not None}

    def named(self, name: str) -> str:
        """The name of one of its inputs, as in ``settings_1`` for the first column."""
        return f"{name}_{self.number + 1}"


@dataclass(frozen=True)
class Columns:
    """All columns of a tab; ``count`` says how many of them are shown."""

    all: list[Column]
    count: gr.Number

    @property
    def inputs(self) -> dict[str, Any]:
        """What a handler takes of them, by the names that the API shows."""
        return {"columns": self.count, **{k: v for c in self.all for k, v in c.inputs.items()}}

    def of(self, count: int | None) -> list[Column]:
        """The columns that run; the count's own component holds it to its range, but for none,
        which an API client may send: that is one column."""
        return self.all[: count or 1]

    @property
    def boxes(self) -> list[gr.Column]:
        """What is shown and hidden."""
        return [column.box for column in self.all]

    @property
    def settings(self) -> list[gr.HTML]:
        """The settings of each."""
        return [column.settings for column in self.all]

    @property
    def prompts(self) -> list[gr.Textbox]:
        """The prompts of those that have one of their own."""
        return [column.prompt for column in self.all if column.prompt is not None]

    @property
    def lanes(self) -> list[gr.HTML]:
        """The lane of each."""
        return [column.lane for column in self.all]


def build_columns(
    stage: Stage, settings: Settings, tab: str, presets: Sequence[str], start: int,
    new_tokens: int,
) -> Columns:
    """A column for each of ``presets``, the first ``start`` of them in sight, and their panel."""

    def build(number: int, visible: bool) -> Column:
        with gr.Column(min_width=280, visible=visible, elem_classes="lane-column") as box:
            head = column_head(settings, tab, number, presets[number], new_tokens, stage.engine)
            return Column(number, box, head, _lane(tab))

    return _beside(settings, tab, len(presets), start, ["lanes", "joined"], build)


def build_own_columns(
    stage: Stage, settings: Settings, tab: str, forms: Sequence[LaneForm], start: int,
    fields: Sequence[str], panel_fields: Sequence[str],
) -> Columns:
    """Columns that each choose their model and their prompt, with the settings ``forms``.

    ``fields`` of LANE_FIELDS stand in their heads, and ``panel_fields`` in the panel.
    """

    def build(number: int, visible: bool) -> Column:
        with gr.Column(min_width=280, visible=visible, elem_classes="lane-column") as box:
            head = lane_head(settings, tab, number, forms[number], fields, stage.engine)
            prompt = gr.Textbox(
                "",
                label=f"Prompt {number + 1}",
                lines=2,
                max_lines=12,
                placeholder="Empty: the text above.",
                elem_classes="prompt-box",
            )
            return Column(number, box, head, _lane(tab), prompt)

    lane_plan(settings, tab, planner(stage.engine, settings))
    return _beside(settings, tab, len(forms), start, ["lanes", "own"], build, panel_fields)


def _beside(
    settings: Settings, tab: str, total: int, start: int, row: list[str],
    build: Callable[[int, bool], Column], fields: Sequence[str] = (),
) -> Columns:
    start = min(start, total)
    with gr.Row(elem_classes="lanes-and-panel"):
        with gr.Column(min_width=0, elem_classes="lanes-side"), gr.Row(elem_classes=row):
            columns = [build(number, number < start) for number in range(total)]
        with gr.Column(scale=0, min_width=0, elem_classes=["side", "tucked"]):
            decoding_panel(settings, tab, fields=fields)
    return Columns(columns, lane_count(start, total))


def _lane(tab: str) -> gr.HTML:
    return token_stream(hint="What this lane writes appears here.", view="tokens", name=tab,
                        open_search=False, branch=True)


@dataclass(frozen=True)
class Lane:
    """What one column is about to show: a feed with its run, or why there is no run; with neither
    it is empty."""

    feed: TokenFeed | None
    problem: Problem | None = None
    title: str = ""

    @property
    def value(self) -> str:
        """What the lane must be told now; why there is no run stands where the text would."""
        if self.feed:
            return self.feed.flush()
        if self.problem is None:
            return idle()
        return encode({"state": "failed", "title": self.title, "say": "Not run",
                       "problem": str(self.problem)})


def plan_lane(title: str, read: Callable[[], Run]) -> Lane:
    """Read one column into a run; what is wrong with it stays in its own column."""
    try:
        run = read()
    except PlaygroundError as error:
        return Lane(None, error.problem, title)
    title = title or run.model.label
    return Lane(TokenFeed(run, title, describe(run)), title=title)


def refusal_of(lanes: Sequence[Lane]) -> Problem | None:
    """What is wrong with several lanes alike, such as a prompt that they share; else None."""
    first, *others = lanes
    alike = bool(others) and all(lane.problem == first.problem for lane in others)
    return first.problem if alike else None


def play_lanes(
    stage: Stage, tab: str, request: gr.Request, lanes: Sequence[Lane], total: int
) -> Iterator[list[Any]]:
    """Run the lanes together; yields updates for run, stop, notice and ``total`` lanes.

    Where their models do not fit in memory together the notice says first which of them wait.

    A browser draws some hundred of its updates a second, so many lanes are told less often. What is
    wrong with several lanes alike is said once, in the notice, and no lane says it again.
    """
    refusal = refusal_of(lanes)
    if refusal is not None:
        yield [*resting(), sentence(refusal), *[idle()] * total]
        return
    feeds = [lane.feed for lane in lanes if lane.feed is not None]
    rest = [idle()] * (total - len(lanes))
    if feeds:
        numbers = [number for number, lane in enumerate(lanes) if lane.feed is not None]
        waits = waiting_notice(stage.engine, [feed.trace.run.model for feed in feeds], numbers)
        shown = -math.inf
        for _ in stage.play(tab, request, feeds):
            if time.monotonic() - shown < SECONDS_A_LANE * len(lanes):
                continue
            if all(feed.trace.is_over for feed in feeds):
                continue  # that they ended is told together with the button
            shown = time.monotonic()
            yield [*running(), waits, *(lane.value for lane in lanes), *rest]
    yield [*resting(), "", *(lane.value for lane in lanes), *rest]


def describe(run: Run) -> str:
    """How a run decodes, with which dice, and what was set in vain, in one quiet line."""
    seed = f"seed {run.seed}" if run.decoding.draws else ""
    form = _form_of(run.prompt)
    counted = isinstance(run.prompt, (Chat, Raw)) and run.prompt.control_tokens
    tokens = "control tokens read" if counted else ""
    draft = f"draft {run.used_draft.label}" if run.used_draft else ""
    ignored = f"ignored: {', '.join(run.decoding.ignored)}" if run.decoding.ignored else ""
    parts = (form, tokens, run.decoding.summary, draft, seed, ignored)
    return " · ".join(part for part in parts if part)


def _form_of(prompt: Prompt) -> str:
    """How a text became the prompt, where it did not stay as it was."""
    if not isinstance(prompt, Chat):
        return ""
    led = any(message.role == "system" for message in prompt.messages)
    return "chat template, system prompt" if led else "chat template"


def make_run(
    model: Any, prompt: Callable[[], Prompt], settings: Any, fresh: int | None = None
) -> Run:
    """A run from a column's decoding settings. Raises InvalidInput naming the field.

    Where it asks for a new seed it gets ``fresh``, so that columns can throw the same dice.
    """
    form = read_form(settings)
    return Run(read_model(model), prompt(), form.decoding, form.dice(fresh), form.draft)


def still_lanes(before: int, count: int, total: int, update: list[Any]) -> list[Any]:
    """An update that changes nothing: ``before`` outputs stand before the ``total`` lanes, and
    ``count`` of those are in sight. The others are told once more that they are empty, since a
    gr.HTML that is told gr.skip() before it was ever in sight loses its props."""
    away = range(before + count, before + total)
    return [value if n in away else gr.skip() for n, value in enumerate(update)]
