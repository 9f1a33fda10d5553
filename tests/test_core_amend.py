"""Laws of the words for settings that were changed while a run decoded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from playground.core.amend import amendments, changes
from playground.core.decoding import Decoding
from playground.core.events import Amended
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace

GREEDY = Decoding()
WARM = Decoding(do_sample=True, temperature=1.2)


@pytest.mark.parametrize(("before", "after", "words"), [
    (GREEDY, WARM, "drawn at random, temperature 1.2"),
    (WARM, replace(WARM, temperature=0.5, top_k=40), "temperature 0.5, top-k 40"),
    (WARM, GREEDY, "greedy"),
    (WARM, replace(WARM, stop_strings=("\n",)), "other settings"),
])
def test_a_change_is_told_by_what_is_other_after_it(
    before: Decoding, after: Decoding, words: str
) -> None:
    assert changes(before, after) == words


def test_each_change_is_told_against_the_one_before_it() -> None:
    trace = Trace(Run(ModelSpec("builtin/tiny-base"), Raw("One"), GREEDY))
    assert amendments(trace) == ()
    for event in (Amended(3, WARM), Amended(7, replace(WARM, temperature=2.0))):
        trace = trace.add(event)
    assert amendments(trace) == (
        (3, "drawn at random, temperature 1.2"), (7, "temperature 2"),
    )


def test_only_the_last_change_of_a_place_is_kept_and_one_that_is_taken_back_is_none() -> None:
    """While a run is paused no token is chosen, so what was changed in between chose nothing. All
    of it stood above the lane, and a visitor who changed settings without end made it endless."""
    trace = Trace(Run(ModelSpec("builtin/tiny-base"), Raw("One"), GREEDY))
    hot = replace(WARM, temperature=2.0)
    for event in (Amended(3, WARM), Amended(3, GREEDY), Amended(5, WARM), Amended(5, hot)):
        trace = trace.add(event)
    assert trace.amended == (Amended(3, GREEDY), Amended(5, hot))
    assert amendments(trace) == ((5, "drawn at random, temperature 2"),)
    assert [trace.decoding_at(place) for place in (2, 3, 5)] == [GREEDY, GREEDY, hot]
