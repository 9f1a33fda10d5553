"""What stands above and under lanes side by side: which there are, their order, their figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from playground.core.decoding import KNOBS
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.strategy_notes import CLASSIC_SIX
from playground.core.sweep import STARTS, sweep
from playground.engine.admission import check_run
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.decoding_form import read_form, write_form
from playground.ui.decoding_panel import BUNDLE, decoding_presets
from playground.ui.scripted import scripted_view
from playground.ui.token_store import encode

LONGEST_SETTINGS = 100_000


@dataclass(frozen=True)
class LaneBoard:
    """Above the lanes the bar, whose value is ``Board.value()``; under them their table."""

    bar: gr.HTML
    table: gr.HTML


def lane_board(settings: Settings, tab: str, most: int) -> LaneBoard:
    """Both parts, of which the table is not placed yet.

    ``bar.fill_lanes(handler)`` asks for other lanes. What its ``gr.EventData`` holds comes from a
    browser.
    """
    sweeps = [{"name": name, "label": KNOBS[name].label, "base": start.preset,
               **{k: v for k, v in asdict(start).items() if k != "preset"}}
              for name, start in STARTS.items()]
    bar = scripted_view(
        BUNDLE, value="{}", events=("fill_lanes",),
        server=(decoding_presets, _sweeper(settings, most)), css_class="lane-board",
        mode="board", tab=tab, most=most, classic=list(CLASSIC_SIX), sweeps=sweeps,
    )
    table = scripted_view(
        BUNDLE, server=(decoding_presets,), css_class="lane-table", mode="table", tab=tab,
        render=False,
    )
    return LaneBoard(bar, table)


def filled(wish: Any, most: int) -> list[str]:
    """The settings of the lanes that a browser asks for. Raises InvalidInput, naming the field."""
    lanes = wish.get("lanes") if isinstance(wish, dict) else None
    if not isinstance(lanes, list) or not 1 <= len(lanes) <= most:
        raise InvalidInput(f"There may be from 1 to {most} lanes.", field="lanes", given=lanes,
                           allowed=f"from 1 to {most}")
    short = all(isinstance(one, str) and len(one) <= LONGEST_SETTINGS for one in lanes)
    if not short:
        raise InvalidInput("A lane's settings are a short JSON text.", field="lanes")
    return [write_form(read_form(one)) for one in lanes]


def swept(wish: Any, settings: Settings, most: int) -> tuple[list[str], tuple[float, ...]]:
    """The lanes of a sweep, and its values. Raises InvalidInput, naming the field."""
    asked = wish if isinstance(wish, dict) else {}
    knob = asked.get("knob")
    values = sweep(knob, *(_number(asked.get(end)) for end in ("from", "to", "steps")), most)
    form = read_form(asked.get("base"))
    lanes = []
    for value in values:
        name = f"{KNOBS[str(knob)].label} {value:g}"
        decoding = replace(form.decoding, **{str(knob): value})
        check_run(Run(ModelSpec("any"), Raw("."), decoding), settings.limits)
        lanes.append(write_form(replace(form, decoding=decoding, name=name, changed=False)))
    return lanes, values


def _number(value: Any) -> Any:
    """Integers of any length are floats to JavaScript; one that no float holds is infinity."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return math.inf if whole and abs(value) > 10**15 else value


def _sweeper(settings: Settings, most: int) -> Callable[[Any], str]:
    def lanes_of_sweep(wish: Any) -> str:
        """Server function: the lanes of a sweep, or what is wrong with it; its answer is JSON."""
        try:
            lanes, values = swept(wish, settings, most)
        except PlaygroundError as error:
            return encode({"problem": str(error), "field": error.problem.field})
        return encode({"lanes": lanes, "values": _line(values)})

    return lanes_of_sweep


def _line(values: Sequence[float]) -> str:
    return " · ".join(f"{value:g}" for value in values)
