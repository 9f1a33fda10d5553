"""Laws of two answers aligned: where they part, what each gave, and how far they diverge."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from playground.core.align import Stretch
from playground.core.compare import (
    Divergence,
    Gave,
    compare,
    divergence,
    gave,
    parted,
    same_vocabulary,
)
from playground.core.events import Candidate, Piece, Started, Step
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace

WORDS = {1: " Paris", 2: " Lyon", 3: ",", 4: " a", 5: " b", 6: " c", 7: " d", 8: " e", 9: " f"}


def step(position: int, id: int, share: float = 0.5, *others: tuple[int, float]) -> Step:
    """A token with this probability; ``others`` are candidates beside it, with theirs."""
    listed = sorted([(id, share), *others], key=lambda pair: -pair[1])
    rank = [one for one, _ in listed].index(id) + 1
    return Step(position, id, WORDS[id], WORDS[id], math.log(share), rank, share, 1.0,
                tuple(Candidate(i, WORDS[i], math.log(p), p) for i, p in listed))


def written(*steps: Step, model: str = "builtin/tiny-base", text: str = "a") -> Trace:
    trace = Trace(Run(ModelSpec(model), Raw(text)))
    for one in (Started((Piece(20, text),), text, 512), *steps):
        trace = trace.add(one)
    return trace


def of(*ids: int, model: str = "builtin/tiny-base") -> Trace:
    return written(*(step(n, id) for n, id in enumerate(ids)), model=model)


def texts(*parts: str, model: str = "other/model") -> Trace:
    """A run of a model whose tokens are these texts, with ids of its own and no candidates."""
    return written(*(Step(n, 100 + n, part, part, -1.0, 1, 0.3, 1.0, ())
                     for n, part in enumerate(parts)), model=model)


def test_the_first_difference_has_what_each_gave_the_others_choice() -> None:
    one = written(step(0, 3), step(1, 2, 0.5, (1, 0.25)), step(2, 4))
    other = written(step(0, 3), step(1, 1, 0.61, (2, 0.04), (4, 0.06)), step(2, 4))
    found = compare(one, other)
    assert (found.by, found.first, found.second, found.same_prompt) == ("ids", 1, 1, True)
    assert found.parting is not None
    first, second = found.parting.first, found.parting.second
    assert (first.index, second.index, found.parting.inside) == (1, 1, False)
    assert first.own == Gave(0.5, 1, 0.5) and second.own.rank == 1
    assert second.other == Gave(0.25, 2, 0.25), "what the first gave “ Paris”"
    assert first.other is not None
    assert first.other.probability == pytest.approx(0.04) and first.other.rank == 3
    assert found.aligned == (Stretch(0, 0, 1), Stretch(2, 2, 1))


def test_what_is_not_listed_is_no_likelier_than_the_last_candidate() -> None:
    here = step(0, 1, 0.6, (2, 0.3), (3, 0.01))
    unlisted = gave(here, 9)
    assert unlisted is not None and unlisted.probability == pytest.approx(0.01)
    assert (unlisted.rank, unlisted.listed, unlisted.chosen_with) == (4, False, None)
    assert gave(replace(here, candidates=()), 9) is None, "nothing is told, nothing is made up"
    chosen = gave(replace(here, candidates=()), 1)
    assert chosen is not None and chosen.probability == pytest.approx(0.6)


def test_the_probability_of_the_model_is_not_the_one_it_was_chosen_with() -> None:
    """Top-k keeps one of two tokens that the model found equally likely."""
    here = replace(step(0, 1), probability=1.0, candidates=(
        Candidate(1, " Paris", math.log(0.5), 1.0), Candidate(2, " Lyon", math.log(0.5), 0.0)))
    assert gave(here, 1) == Gave(0.5, 1, 1.0) and gave(here, 2) == Gave(0.5, 2, 0.0)


@pytest.mark.parametrize("a, b, common", [
    ((), (1,), 0), ((3,), (3, 1), 1), ((3, 1), (3, 1), 2),
])
def test_how_one_begins_is_no_parting(
    a: tuple[int, ...], b: tuple[int, ...], common: int
) -> None:
    found = compare(of(*a), of(*b))
    assert found.parting is None and found.first == common
    assert parted(a, b) is None


def test_a_comparison_goes_on_from_an_earlier_one() -> None:
    """Both ways give the same, and what was looked at is not looked at again."""
    a, b = (of(3, 3, 4, one, 5) for one in (1, 2))
    part = compare(replace(a, steps=a.steps[:2]), replace(b, steps=b.steps[:3]))
    assert part.first == 2 and len(part.divergences) == 2
    assert compare(a, b, before=part) == compare(a, b)
    broken = replace(a, steps=(step(0, 9), *a.steps[1:]))
    assert compare(broken, b, before=part).first == 3, "the common start is taken as it was found"
    assert compare(a, b, before=compare(a, b)) == compare(a, b)


def test_tokens_before_a_fork_count() -> None:
    whole = of(3, 3, 1)
    run = replace(whole.run, fork=Fork((3, 3), (2,)))
    branch = Trace(run, beginning=whole.steps[:2]).add(step(2, 2))
    found = compare(whole, branch)
    assert (found.first, found.parting and found.parting.second.index) == (2, 2)


def test_divergence_is_that_over_the_tokens_both_told_and_the_rest() -> None:
    """One half each against (1/2, 1/4, rest 1/4): by hand, with m = (1/2, 3/8, 1/8)."""
    one, other = step(0, 1, 0.5, (2, 0.5)), step(0, 1, 0.5, (2, 0.25))
    by_hand = (0.5 * math.log2(0.5 / 0.375) + 0.25 * math.log2(0.25 / 0.375)
               + 0.25 * math.log2(0.25 / 0.125)) / 2
    found = divergence(one, other)
    assert found.model == pytest.approx(by_hand) and found.chosen == pytest.approx(by_hand)
    assert divergence(one, one) == Divergence(0.0, 0.0)


def test_divergence_is_one_bit_where_nothing_is_shared_and_never_made_up() -> None:
    sure = replace(step(0, 1, 0.999999999), candidates=(
        Candidate(1, " Paris", 0.0, 1.0), Candidate(2, " Lyon", -math.inf, 0.0)))
    other = replace(sure, id=2, logprob=0.0, probability=1.0, candidates=(
        Candidate(2, " Lyon", 0.0, 1.0), Candidate(1, " Paris", -math.inf, 0.0)))
    assert divergence(sure, other).chosen == pytest.approx(1.0)


def test_tokens_that_only_one_told_prove_what_the_other_cannot_have_given_them() -> None:
    """Each gave its own token 0.9, so the other's at most the 0.1 that is left: 1 − H(0.1)."""
    by_hand = 1 + 0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)
    assert divergence(step(0, 1, 0.9), step(0, 2, 0.9)).model == pytest.approx(by_hand)
    # Half of each is open: the other's token may be all of it, and nothing is proved.
    assert divergence(step(0, 1, 0.5), step(0, 2, 0.5)) == Divergence(0.0, 0.0)
    # Under the model what is not listed is no likelier than the last candidate, 0.1: the half that
    # is open may be one token for the processors only.
    one, other = step(0, 1, 0.4, (3, 0.1)), step(0, 2, 0.4, (4, 0.1))
    assert divergence(one, other).model > 0.05 > divergence(one, other).chosen


def test_the_bound_is_least_and_never_above_the_true_divergence() -> None:
    """Random distributions over 12 tokens, of which 4 are told; and no point of a grid is less."""
    dice = random.Random(2)

    def truth(p: list[float], q: list[float]) -> float:
        return sum(a * math.log2(2 * a / (a + b)) + b * math.log2(2 * b / (a + b))
                   for a, b in zip(p, q, strict=True)) / 2

    for _ in range(200):
        full = []
        for _ in range(2):
            weights = [dice.random() ** 4 + 1e-9 for _ in range(12)]
            full.append([w / sum(weights) for w in weights])
        told = []
        for p in full:
            top = sorted(range(12), key=lambda i: -p[i])[:4]
            told.append(Step(0, top[0], "", "", math.log(p[top[0]]), 1, p[top[0]], 1.0, tuple(
                Candidate(i, "", math.log(p[i]), p[i]) for i in top)))
        bound = divergence(*told)
        assert bound.chosen - 1e-9 <= bound.model <= truth(*full) + 1e-9


def test_no_way_to_fill_in_what_was_not_told_is_less_divergent() -> None:
    """One told A 0.5 and B 0.2, the other B 0.4 and C 0.3: of A the second, and of C the first has
    what is least; a grid over both finds no less."""
    one, other = step(0, 1, 0.5, (2, 0.2)), step(0, 3, 0.3, (2, 0.4))

    def of(p: list[float], q: list[float]) -> float:
        return sum(a * math.log2(2 * a / (a + b)) for x, y in zip(p, q, strict=True)
                   for a, b in ((x, y), (y, x)) if a > 0) / 2

    grid = min(
        of([0.2, 0.5, y / 100, 0.3 - y / 100], [0.4, x / 100, 0.3, 0.3 - x / 100])
        for x in range(31) for y in range(31)
    )
    found = divergence(one, other).chosen
    assert found <= grid + 1e-12 and found == pytest.approx(grid, abs=0.001)


def test_merging_tokens_never_makes_divergence_larger() -> None:
    """The bound over fewer candidates is never above that over more."""
    shares = [(0.4, 0.1), (0.3, 0.2), (0.2, 0.3), (0.1, 0.4)]
    bounds = []
    for told in range(1, 5):
        one, other = (
            step(0, 1, shares[0][n], *((i + 1, shares[i][n]) for i in range(1, told)))
            for n in range(2)
        )
        bounds.append(divergence(one, other).model)
    assert bounds == sorted(bounds) and bounds[0] > 0


def test_there_is_a_divergence_up_to_the_first_difference_and_none_behind_it() -> None:
    found = compare(of(3, 4, 1, 5, 6), of(3, 4, 2, 5, 6))
    assert len(found.divergences) == 3
    assert len(compare(of(3, 4), of(3, 4)).divergences) == 2


def test_one_id_with_two_pieces_is_two_vocabularies() -> None:
    mine = of(1, 2, 3, 4, 5, 6, 7, 8)
    assert same_vocabulary(mine, replace(of(9), run=mine.run)), "the same files"
    alike = of(1, 2, 3, 4, 5, 6, 7, 8, model="other/model")
    assert same_vocabulary(mine, alike), "eight answer tokens and a prompt that are alike"
    assert not same_vocabulary(mine, of(1, 2, 3, model="other/model")), "too little is told"
    last = replace(alike.steps[-1], piece=" else")
    assert not same_vocabulary(mine, replace(alike, steps=(*alike.steps[:-1], last)))


def test_other_vocabularies_are_compared_by_characters() -> None:
    """“ Paris.” in two tokens and in three; they part in the middle of a token."""
    one = texts(" Par", "is", " is", " old", model="a/a")
    other = texts(" Paris", " is", " o", "dd", model="b/b")
    found = compare(one, other)
    assert found.by == "characters" and found.divergences == ()
    assert (found.first, found.second) == (3, 3)
    assert found.parting is not None and found.parting.inside
    assert (found.parting.first.index, found.parting.second.index) == (3, 3)
    assert found.parting.first.other is None, "no vocabulary, no probability"
    # “ Par” and “is” both stand for “ Paris”; “ old” begins as “ o” does.
    assert found.aligned == (Stretch(0, 0, 1), Stretch(1, 0, 3))


def test_by_characters_control_tokens_and_half_characters_have_no_length() -> None:
    special = replace(of(1).steps[0], special=True)
    one = written(special, step(1, 3), step(2, 1), model="a/a")
    other = texts(",", "", " Paris")
    found = compare(one, other, by="characters")
    assert found.parting is None and (found.first, found.second) == (3, 3)
    assert found.aligned == (Stretch(1, 0, 1), Stretch(2, 2, 1))


def test_words_beyond_the_first_difference_are_found_again_by_characters() -> None:
    one = texts("A", "red", " fox", " ran", " on", model="a/a")
    other = texts("A", "blue", "r", " fox", " r", "an", " on", model="b/b")
    assert compare(one, other).aligned == (
        Stretch(0, 0, 1), Stretch(2, 3, 2), Stretch(4, 6, 1))


def test_prompts_that_differ_are_said() -> None:
    assert not compare(of(1), written(step(0, 1), text="b")).same_prompt
