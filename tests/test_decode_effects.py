"""Laws of what a step tells about its processors and its dice, with numbers checked by hand."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Draw, Effect, Shift
from playground.core.prompt import Ids, Raw
from playground.core.run import Run
from playground.decode import choice
from playground.decode import effects as module
from playground.decode.effects import MOST_TOLD, draw_of, effects, race
from playground.decode.phrases import Phrases
from playground.decode.processors import Chain, build
from playground.models.loading import Model
from playground.models.pieces import pieces_of
from tests.reference import decode
from tests.tiny_models import tiny_model

CPU = torch.device("cpu")
P = (0.5, 0.3, 0.15, 0.05)
PROMPT = Raw("The capital of France is")
EVERYTHING = Decoding(
    do_sample=True, temperature=1.3, top_k=60, top_p=0.97, min_p=0.001, typical_p=0.98, top_h=0.9,
    epsilon_cutoff=0.0005, eta_cutoff=0.0005, top_n_sigma=3.0, xtc_probability=0.5,
    xtc_threshold=0.05, repetition_penalty=1.2, frequency_penalty=0.3, presence_penalty=0.3,
    no_repeat_ngram_size=2, dry_multiplier=0.8, dry_allowed_length=1, min_new_tokens=3,
    banned=("e", (70, 71)), bias=(("th", 2.0),), forced=(90, 91), max_new_tokens=24, effects=True,
)


@cache
def model() -> Model:
    return tiny_model("llama", ends=tuple(range(5, 400, 29)))


def told(chain: Chain, *ids: int, watched: tuple[int, ...] = (0, 3)) -> tuple[Effect, ...]:
    """What a chain does to ``P`` after these ids."""
    stages = chain.stages(torch.tensor([ids]), torch.tensor([P]).log())
    return effects(stages, 0, watched, pieces_of(model().tokenizer))


def near(*shifts: tuple[int, float, float]) -> list[Any]:
    """Shifts with these numbers, nearly."""
    pieces = pieces_of(model().tokenizer)
    return [
        Shift(id, pieces[id].text, pytest.approx(before, abs=1e-6), pytest.approx(after, abs=1e-6))
        for id, before, after in shifts
    ]


def test_a_cut_by_hand() -> None:
    """Top-k leaves 50, 30, 15 of 95; the first two of these reach 0.7, so 15 of 95 go next."""
    chain = build(Decoding(do_sample=True, top_k=3, top_p=0.7), 1, (), CPU)
    own, top_k, top_p = told(chain, 0)
    assert (own.name, top_k.name, top_p.name) == ("model", "top_k", "top_p")
    assert list(own.watched) == near((0, 0.5, 0.5), (3, 0.05, 0.05))
    assert own == Effect("model", own.watched)
    assert list(top_k.watched) == near((0, 0.5, 50 / 95), (3, 0.05, 0.0))
    assert (top_k.removed, top_k.mass) == (1, pytest.approx(0.05))
    assert list(top_k.gone) == near((3, 0.05, 0.0))
    assert (top_k.moved, top_k.most_moved) == (0, ()), "their scores are what they were"
    assert list(top_p.watched) == near((0, 50 / 95, 50 / 80), (3, 0.0, 0.0))
    assert (top_p.removed, top_p.mass) == (1, pytest.approx(15 / 95))
    assert list(top_p.gone) == near((2, 15 / 95, 0.0))


def test_a_penalty_by_hand() -> None:
    """Frequency penalty ln 2 on token 0 and ln 4 on token 3: 25, 30, 15, 1.25 of 71.25."""
    chain = build(Decoding(frequency_penalty=math.log(2)), 1, (), CPU)
    _, penalty = told(chain, 1, 0, 3, 3)
    assert (penalty.name, penalty.removed, penalty.mass) == ("frequency_penalty", 0, 0.0)
    assert penalty.moved == 2
    assert list(penalty.most_moved) == near((0, 0.5, 25 / 71.25), (3, 0.05, 1.25 / 71.25))


def test_temperature_moves_all_and_removes_none() -> None:
    """At one half the probabilities are squared: 2500, 900, 225, 25 of 3650."""
    chain = build(Decoding(do_sample=True, temperature=0.5), 1, (), CPU)
    _, heat = told(chain, 0)
    assert (heat.removed, heat.moved) == (0, 4)
    assert list(heat.most_moved) == near(
        (0, 0.5, 2500 / 3650), (2, 0.15, 225 / 3650), (1, 0.3, 900 / 3650), (3, 0.05, 25 / 3650)
    )


def test_what_is_out_already_is_not_removed_again() -> None:
    """And a forced token that was out comes back."""
    phrases = Phrases(banned=((1,), (3,)), forced=(3,))
    chain = build(Decoding(do_sample=True, top_k=1), 1, (), CPU, phrases=phrases)
    _, banned, forced, top_k = told(chain, 0)
    assert (banned.removed, banned.mass) == (2, pytest.approx(0.35))
    assert list(banned.gone) == near((1, 0.3, 0.0), (3, 0.05, 0.0))
    assert (forced.removed, forced.mass) == (2, pytest.approx(1.0))
    assert list(forced.most_moved) == near((3, 0.0, 1.0))
    assert (top_k.removed, top_k.mass, top_k.moved) == (0, 0.0, 0)


def test_few_are_told_however_many_go() -> None:
    stages = build(Decoding(do_sample=True, top_k=1), 1, (), CPU).stages(
        torch.tensor([[0]]), torch.arange(50.0)[None] / 50
    )
    cut = effects(stages, 0, (), pieces_of(model().tokenizer))[1]
    assert cut.removed == 49
    assert [shift.id for shift in cut.gone] == [48, 47, 46, 45, 44][:MOST_TOLD]


def test_no_processor_writes_into_the_scores_that_it_is_given() -> None:
    """They are kept as the stage before; and only what comes out may be another."""
    dice = torch.Generator().manual_seed(0)
    phrases = Phrases(((9, 8), (7,)), (((6,), 1.0), ((9, 5), 1.0)), (3,))
    ids = torch.tensor([[4, 9, 9, 1, 4, 9]])
    for more in ({}, {"mirostat_tau": 1.0}):
        chain = build(replace(EVERYTHING, **more), 5, (2,), ids.device, dice, {":": 1}, phrases)
        for link in chain.links:
            scores = torch.randn(1, 40) * 3
            kept = scores.clone()
            link.processor(ids, scores)
            assert torch.equal(scores, kept), link.name


@pytest.mark.parametrize("sampled", [True, False])
def test_the_effects_of_a_step_are_one_story(sampled: bool) -> None:
    """From the model's own softmax to the probability of the choice, without a gap between."""
    d = replace(EVERYTHING, do_sample=sampled)
    trace = decode(model(), [Run(model().spec, PROMPT, d, 3)])[0]
    assert len(trace.steps) >= 5
    names = build(d, 1, (2,), CPU, phrases=Phrases(((1,),), (((1,), 1.0),), (1,))).names
    for step in trace.steps:
        assert tuple(e.name for e in step.effects) == ("model", *names)
        ids = list(dict.fromkeys([*(c.id for c in step.candidates), step.id]))
        first, last = step.effects[0], step.effects[-1]
        assert all([s.id for s in e.watched] == ids for e in step.effects)
        for one, other in zip(step.effects, step.effects[1:], strict=False):
            assert [s.after for s in one.watched] == [s.before for s in other.watched]
        chosen = {s.id: s for s in last.watched}[step.id]
        assert chosen.after == step.probability > 0
        for shift, candidate in zip(first.watched, step.candidates, strict=False):
            assert shift.before == pytest.approx(math.exp(candidate.logprob), rel=1e-4)
        for shift, candidate in zip(last.watched, step.candidates, strict=False):
            assert shift.after == candidate.probability
        for effect in step.effects:
            assert len(effect.gone) == min(MOST_TOLD, effect.removed)
            assert sum(s.before for s in effect.gone) <= effect.mass + 1e-6 <= 1 + 2e-6
            assert all(s.after == 0.0 for s in effect.gone)
    forced = {e.name: e for e in trace.steps[0].effects}["forced"]
    assert forced.removed > 300 and forced.mass == pytest.approx(1 - forced.watched[-1].before)
    assert pickle.loads(pickle.dumps(trace.steps)) == trace.steps


def test_to_be_asked_changes_nothing_else() -> None:
    """And where nobody asks, nothing is worked out."""
    prompts = (PROMPT, Ids((7,)))
    for d in (EVERYTHING, Decoding(num_beams=2, max_new_tokens=6, effects=True)):
        asked = [Run(model().spec, prompt, d, 5) for prompt in prompts]
        silent = [replace(run, decoding=replace(d, effects=False)) for run in asked]
        for one, other in zip(decode(model(), asked), decode(model(), silent), strict=True):
            assert all(step.effects for step in one.steps)
            assert all(step.effects == () and step.draw is None for step in other.steps)
            told = tuple(replace(step, effects=(), draw=None) for step in one.steps)
            assert told == other.steps


def test_nothing_is_worked_out_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(Chain, "stages", fail)
    for name in ("effects", "draw_of"):
        monkeypatch.setattr(choice, name, fail)
    runs = [
        Run(model().spec, PROMPT, Decoding(do_sample=True, top_k=5, max_new_tokens=3)),
        Run(model().spec, PROMPT, Decoding(num_beams=2, max_new_tokens=3)),
    ]
    assert all(trace.finished for trace in decode(model(), runs))


def test_beams_tell_their_processors_too() -> None:
    d = Decoding(num_beams=3, frequency_penalty=0.5, no_repeat_ngram_size=1, max_new_tokens=8,
                 effects=True)
    trace = decode(model(), [Run(model().spec, PROMPT, d)])[0]
    assert trace.steps and all(step.draw is None for step in trace.steps)
    for step in trace.steps:
        names = ["model", "no_repeat_ngram_size", "frequency_penalty"]
        assert [e.name for e in step.effects] == names
        own = {s.id: s for s in step.effects[0].watched}[step.id]
        assert own.before == pytest.approx(math.exp(step.logprob), rel=1e-4)
        assert {s.id: s for s in step.effects[-1].watched}[step.id].after == step.probability


# The dice.


def test_a_draw_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side: 1 (0.5), 2 (0.3), 0 (0.2). Arrived at ln 2, 2 lies in the middle of its 0.3."""
    p = torch.tensor([[0.2, 0.5, 0.3]])
    dice = torch.Generator()
    for id, time, low, point, high in (
        (2, math.log(2), 0.5, 0.65, 0.8),
        (1, math.log(4), 0.0, 0.375, 0.5),
        (0, 0.0, 0.8, 0.8, 1.0),
    ):
        monkeypatch.setattr(module, "race", lambda *_: torch.tensor([[time] * 3]))  # noqa: B023
        found = draw_of(p, dice, id)
        assert (found.low, found.point, found.high) == pytest.approx((low, point, high))
    # Equals lie in the order of their ids, and the point never leaves the interval.
    even = torch.full((1, 4), 0.25)
    monkeypatch.setattr(module, "race", lambda *_: torch.full((1, 4), 1000.0))
    found = draw_of(even, dice, 2)
    assert (found.low, found.high) == (0.5, 0.75)
    assert found.point == math.nextafter(0.75, 0.0)


def wild(generator: torch.Generator, vocabulary: int, width: float) -> torch.Tensor:
    return torch.softmax(torch.randn(1, vocabulary, generator=generator) * width, -1)


@pytest.mark.parametrize(
    ("vocabulary", "draws"),
    [(4, 2000), (4096, 3000), (152_064, 120),
     pytest.param(152_064, 3000, marks=pytest.mark.slow)],
)
def test_who_wins_the_race_is_who_was_drawn(vocabulary: int, draws: int) -> None:
    """Always: that multinomial is such a race is torch's own doing, and is what we tell."""
    dice, world = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    for number in range(draws):
        if number % 10 == 0:
            p = wild(world, vocabulary, width=(number % 7) * 0.8)
            if number % 3 == 0:  # most tokens are ruled out
                p = p.masked_fill(p < p.max() / 5, 0.0)
        before = dice.clone_state()
        drawn = int(torch.multinomial(p, 1, generator=dice))
        assert int(race(p, before).argmin()) == drawn
        assert torch.equal(before.get_state(), dice.get_state())


def test_points_are_uniform_and_lie_in_their_intervals() -> None:
    """Kolmogorov-Smirnov: 1.36 over the root of the number is the 95 % bound; the seed is fixed.

    The share of an interval that a point has behind it is uniform by itself, whoever wins.
    """
    dice, world = torch.Generator().manual_seed(7), torch.Generator().manual_seed(8)
    points, shares = [], []
    for number in range(4000):
        if number % 50 == 0:
            p = wild(world, 300, width=1.5)
        before = dice.clone_state()
        drawn = int(torch.multinomial(p, 1, generator=dice))
        found = draw_of(p, before, drawn)
        assert 0.0 <= found.low <= found.point < found.high <= 1.0
        assert found.high - found.low == pytest.approx(float(p[0, drawn]), abs=1e-6)
        points.append(found.point)
        shares.append((found.point - found.low) / (found.high - found.low))
    for numbers in (points, shares):
        assert apart(numbers) < 1.36 / math.sqrt(len(numbers))
    # The test can fail: the squares of uniform numbers are not uniform.
    assert apart([x * x for x in points]) > 10 / math.sqrt(len(points))


def apart(numbers: list[float]) -> float:
    """The largest distance between these numbers' distribution and the uniform one."""
    n = len(numbers)
    return max(max((i + 1) / n - x, x - i / n) for i, x in enumerate(sorted(numbers)))


def test_the_intervals_of_all_tokens_fill_the_line() -> None:
    p = torch.tensor([[0.1, 0.4, 0.0, 0.4, 0.1]])
    found = sorted((draw_of(p, torch.Generator(), id) for id in (0, 1, 3, 4)), key=lambda d: d.low)
    ends = [x for d in found for x in (d.low, d.high)]
    assert ends == pytest.approx([0.0, 0.4, 0.4, 0.8, 0.8, 0.9, 0.9, 1.0])


def test_a_step_tells_its_draw() -> None:
    """That of the dice after XTC has thrown its own; greedy and beams have none."""
    d = Decoding(do_sample=True, xtc_probability=0.5, top_k=30, max_new_tokens=30, effects=True)
    run = Run(model().spec, PROMPT, d, seed=11)
    trace = decode(model(), [run])[0]
    dice = torch.Generator().manual_seed(11)
    for step in trace.steps:
        torch.rand(1, 1, generator=dice)
        assert isinstance(step.draw, Draw)
        assert step.draw.low <= step.draw.point < step.draw.high
        assert step.draw.high - step.draw.low == pytest.approx(step.probability, abs=1e-6)
        again = torch.empty(1, model().card.vocabulary).exponential_(1, generator=dice)
        share = 1 - math.exp(-float(again[0, step.id]) / step.probability)
        width = step.draw.high - step.draw.low
        assert step.draw.point == pytest.approx(step.draw.low + share * width, abs=1e-6)
    greedy = decode(model(), [replace(run, decoding=Decoding(max_new_tokens=3, effects=True))])[0]
    assert all(step.effects and step.draw is None for step in greedy.steps)
