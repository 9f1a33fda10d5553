"""Columns side by side, built once and shown as wanted, each with its settings and its lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.decoding_panel import (
    column_head,
    decoding_panel,
    lane_head,
    lane_plan,
)
from playground.ui.lane_count import lane_count
from playground.ui.lane_form import LaneForm
from playground.ui.lane_turns import planner
from playground.ui.streaming import Stage
from playground.ui.token_stream import token_stream


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
