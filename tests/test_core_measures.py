"""Laws of the figures that compare runs, with numbers checked by hand, and of where texts part."""

from __future__ import annotations

import math

import pytest

from playground.core.compare import parted
from playground.core.decoding import Decoding
from playground.core.events import Beams, Event, Finished, Piece, Proposed, Started, Step
from playground.core.measures import Measures, distinct, measure
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("a"), Decoding())
STARTED = Started((Piece(1, "a"),), "a", 512)


def step(
    position: int, id: int, logprob: float, special: bool = False, seconds: float = 0.0
) -> Step:
    return Step(position, id, "x", "x", logprob, 1, 0.5, 1.0, (), special, seconds=seconds)


def trace(*events: Event) -> Trace:
    made = Trace(RUN).add(STARTED)
    for event in events:
        made = made.add(event)
    return made


def test_figures_by_hand() -> None:
    """1 2 3 4 1 2 3 4: eight unigrams, four of them different; bigrams 12 23 34 41 12 23 34, four
    of seven; 4-grams 1234 2341 3412 4123 1234, four of five."""
    ids = (1, 2, 3, 4, 1, 2, 3, 4)
    found = measure(trace(*(step(n, id, -0.25 * (1 + n % 2)) for n, id in enumerate(ids)),
                          Finished("length", "", 1, 8, 0.5, 1.25)))
    assert found.mean_logprob == pytest.approx(-0.375)
    assert found.perplexity == pytest.approx(1.45499, abs=1e-5)
    assert (found.distinct_1, found.distinct_2) == (0.5, 4 / 7)
    assert found.rep_4 == pytest.approx(1 / 5)
    assert (found.length, found.seconds, found.forwards) == (8, 1.75, 8)


def test_nothing_written_has_no_figures() -> None:
    assert measure(trace()) == Measures()
    one = measure(trace(step(0, 7, -1.0, seconds=0.5)))
    assert (one.distinct_1, one.distinct_2, one.rep_4, one.length) == (1.0, None, None, 1)


def test_a_control_token_counts_as_length_and_surprise_and_is_no_word() -> None:
    """An end token would make a text that repeats one word look more varied than it is."""
    found = measure(trace(step(0, 5, -1.0), step(1, 5, -1.0), step(2, 0, -4.0, special=True)))
    assert (found.distinct_1, found.distinct_2, found.length) == (0.5, 1.0, 3)
    assert found.mean_logprob == -2.0


def test_an_impossible_token_has_a_finite_perplexity() -> None:
    assert measure(trace(step(0, 5, -math.inf))).perplexity == pytest.approx(math.exp(700))


def test_seconds_while_it_writes_are_those_of_its_forwards() -> None:
    """Three proposed tokens, two of them accepted, came from one forward with the token after."""
    proposed = Proposed(1, "prompt lookup", (Piece(1, "x"),) * 3, 2)
    told = trace(step(0, 1, -1.0, seconds=0.5), proposed,
                 *(step(n, 1, -1.0, seconds=0.25) for n in (1, 2, 3)))
    assert (measure(told).seconds, measure(told).forwards) == (0.75, 2)
    search = trace(*(Beams(n, (), "x", 0.125) for n in range(4)))
    assert (measure(search).seconds, measure(search).forwards) == (0.5, 4)


@pytest.mark.parametrize("ids, n, share", [((), 1, None), ((1,), 2, None), ((1, 1), 1, 0.5),
                                           ((1, 1, 1), 2, 0.5), ((1, 2, 1), 2, 1.0)])
def test_distinct_is_a_share_of_the_n_grams(ids: tuple[int, ...], n: int, share: float) -> None:
    assert distinct(ids, n) == share


@pytest.mark.parametrize("a, b, place", [
    ((1, 2, 3), (1, 2, 4), 2), ((1, 2), (3, 2), 0), ((1, 2), (1, 2), None), ((1, 2), (1,), None),
    ((), (1,), None), ((1, 9, 3), (1, 2, 3, 4), 1),
])
def test_texts_part_at_the_first_token_that_is_another(
    a: tuple[int, ...], b: tuple[int, ...], place: int | None
) -> None:
    assert parted(a, b) == parted(b, a) == place
