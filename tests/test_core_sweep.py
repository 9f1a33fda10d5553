"""Laws of a sweep: its values by hand, and each way in which one cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from playground.core.decoding import PRESETS
from playground.core.sweep import STARTS, sweep
from playground.errors import InvalidInput

MOST = 24


@pytest.mark.parametrize("knob, low, high, steps, values", [
    ("temperature", 0.2, 1.6, 8, (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)),
    ("temperature", 0.2, 1.5, 4, (0.2, 0.63, 1.07, 1.5)),
    ("temperature", 1.5, 0.5, 3, (1.5, 1.0, 0.5)),
    ("epsilon_cutoff", 0.0003, 0.0009, 3, (0.0003, 0.0006, 0.0009)),
    ("top_k", 10, 100.0, 4, (10, 40, 70, 100)),
    ("num_beams", 1, 4, 4, (1, 2, 3, 4)),
    ("top_k", 1, 10, 3, (1, 6, 10)),
])
def test_values_by_hand(
    knob: str, low: float, high: float, steps: int, values: tuple[float, ...]
) -> None:
    found = sweep(knob, low, high, steps, MOST)
    assert found == values
    assert {type(value) for value in found} == {int if knob in ("top_k", "num_beams") else float}


@pytest.mark.parametrize("given, field, says", [
    (("temprature", 0.2, 1.6, 8), "knob", "no setting 'temprature'"),
    ((["temperature"], 0.2, 1.6, 8), "knob", "no setting"),
    (("temperature", 0.0, 1.6, 8), "from", "From: Temperature is 0.0; it must be a number above 0"),
    (("temperature", "0.2", 1.6, 8), "from", "From: Temperature is '0.2'"),
    (("temperature", 0.2, math.nan, 8), "to", "To: Temperature is NaN"),
    (("temperature", 0.2, None, 8), "to", "To: Temperature is None"),
    (("temperature", 0.2, 9.0, 8), "to", "up to 5"),
    (("temperature", 0.2, 1.6, 1), "steps", "from 2 to 24 steps"),
    (("temperature", 0.2, 1.6, 25), "steps", "from 2 to 24 steps"),
    (("temperature", 0.2, 1.6, 2.5), "steps", "from 2 to 24 steps"),
    (("temperature", 0.2, 1.6, True), "steps", "from 2 to 24 steps"),
    (("temperature", 0.7, 0.7, 3), "to", "nothing to sweep"),
    (("num_beams", 1, 4, 8), "steps", "From 1 to 4 there are 4 whole numbers, too few for 8 steps"),
    (("top_k", 2.5, 4, 2), "from", "From: Top-k is 2.5; it must be a whole number"),
])
def test_what_cannot_be_swept_is_a_sentence(
    given: tuple[object, ...], field: str, says: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        sweep(*given, MOST)  # type: ignore[arg-type]
    assert refused.value.problem.field == field
    assert says in str(refused.value)


@pytest.mark.parametrize("knob", STARTS)
def test_a_sweep_to_begin_with_acts_at_every_value_but_the_neutral_one(knob: str) -> None:
    start = STARTS[knob]
    values = sweep(knob, start.low, start.high, start.steps, 8)
    lanes = [replace(PRESETS[start.preset], **{knob: value}) for value in values]
    assert len(set(lanes)) == start.steps
    assert [lane.ignored for lane in lanes if lane.num_beams > 1 or knob != "num_beams"] == [()] * (
        start.steps - (knob == "num_beams"))
