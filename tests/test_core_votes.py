"""Laws of what votes say, with numbers that a person can check by hand."""

from __future__ import annotations

from itertools import product
from math import exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.votes import (
    ELO,
    ENOUGH_VOTES,
    Judged,
    Vote,
    bradley_terry,
    by_luck,
    is_strongly_connected,
    length_lean,
    position_lean,
    standard_errors,
    standings,
    strengths,
    wilson,
    wins_between,
)

VOTES: tuple[Vote, ...] = ("left", "right", "tie", "both bad", "skip")
TURNED: dict[Vote, Vote] = {"left": "right", "right": "left"}

judged = st.lists(st.builds(
    lambda pair, vote, lengths: Judged(*pair, vote, *lengths),
    st.permutations(range(4)).map(lambda four: four[:2]), st.sampled_from(VOTES),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
), max_size=40)


def votes(text: str) -> list[Judged]:
    """``ab ab ba`` is three votes in which a beat b twice and b beat a; ``a=b`` is a tie. The
    winner stands left."""
    found = []
    for word in text.split():
        tie = "=" in word
        left, right = (ord(letter) - ord("a") for letter in word.replace("=", ""))
        found.append(Judged(left, right, "tie" if tie else "left"))
    return found


def test_wilson_of_8_of_10_is_049_to_0943() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_wilson_of_nothing_is_everything_and_of_all_is_1_over_1_plus_z2_n() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    # By hand, for n of n: the low end is n / (n + z^2), here 10 / 13.8415.
    assert wilson(10, 10) == pytest.approx((10 / 13.84146, 1.0), abs=1e-6)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, 2 * n), st.just(n))))
def test_wilson_holds_the_share_and_turns_with_it(case: tuple[int, int]) -> None:
    halves, trials = case
    low, high = wilson(halves / 2, trials)
    assert 0 <= low <= halves / 2 / trials + 1e-12 and halves / 2 / trials - 1e-12 <= high <= 1
    other = wilson(trials - halves / 2, trials)
    assert (1 - high, 1 - low) == pytest.approx(other)


def test_nine_of_ten_happens_by_luck_in_22_of_1024_cases() -> None:
    assert by_luck(9, 10) == by_luck(1, 10) == 22 / 1024
    assert by_luck(5, 10) == 1.0 and by_luck(0, 0) == 1.0
    assert by_luck(5, 5) == 2 / 32


@given(st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_luck_is_the_share_of_coin_rows_that_are_as_uneven(case: tuple[int, int]) -> None:
    chosen, of = case
    if of > 10:
        of, chosen = 10, min(chosen, 10)
    rows = [sum(row) for row in product((0, 1), repeat=of)]
    uneven = sum(abs(2 * heads - of) >= abs(2 * chosen - of) for heads in rows)
    assert by_luck(chosen, of) == pytest.approx(uneven / len(rows))


def test_ties_and_both_bad_are_half_a_win_and_a_skip_is_nothing() -> None:
    told = [Judged(0, 1, "left"), Judged(1, 0, "right"), Judged(0, 1, "tie"),
            Judged(1, 0, "both bad"), Judged(0, 1, "skip")]
    first, second = standings(told, 2)
    assert (first.wins, first.losses, first.ties, first.both_bad, first.counted) == (2, 0, 1, 1, 4)
    assert (first.rate, second.rate) == (0.75, 0.25)
    assert (first.low, first.high) == wilson(3, 4)
    assert first.luck == second.luck == 0.5
    (_, _, third) = standings(told, 3)
    assert third.rate is None and (third.low, third.high) == (0.0, 1.0)


def test_three_wins_to_one_are_odds_of_three() -> None:
    found = bradley_terry([[0, 3], [1, 0]])
    assert found is not None
    assert exp(found[0] - found[1]) == pytest.approx(3)
    assert sum(found) == pytest.approx(0)


def test_its_error_is_that_of_the_observed_information() -> None:
    """n p (1 - p) = 4 * 3/4 * 1/4 = 3/4 for the difference; each of the two has half of it."""
    wins = [[0, 3], [1, 0]]
    logs = bradley_terry(wins)
    assert logs is not None
    assert standard_errors(wins, logs) == pytest.approx([sqrt(1 / 3)] * 2)


def test_a_tie_is_half_a_win_for_both() -> None:
    """Two wins and two ties are 3 to 1."""
    assert wins_between(votes("ab ba a=b a=b"), 2) == [[0, 2], [2, 0]]
    assert bradley_terry(wins_between(votes("ab ab a=b a=b"), 2)) == pytest.approx(
        bradley_terry([[0, 3], [1, 0]]))


def test_strengths_that_made_the_wins_are_found_again() -> None:
    """With weights 4, 2, 1 the odds are 2, 4 and 2: 20 of 30, 24 of 30 and 20 of 30 wins."""
    logs = bradley_terry([[0, 20, 24], [10, 0, 20], [6, 10, 0]])
    assert logs is not None
    assert [exp(one) for one in logs] == pytest.approx([2, 1, 0.5], rel=1e-6)


def test_the_likeliest_strengths_expect_as_many_wins_as_there_were() -> None:
    """Where the likelihood is largest its derivative is 0: expected wins are those that came."""
    wins = [[0, 5, 2.5, 7], [3, 0, 4, 1], [2.5, 6, 0, 2], [1, 4, 3, 0]]
    logs = bradley_terry(wins)
    assert logs is not None
    for i in range(4):
        expected = sum((wins[i][j] + wins[j][i]) / (1 + exp(logs[j] - logs[i]))
                       for j in range(4) if j != i)
        assert expected == pytest.approx(sum(wins[i]), rel=1e-7)


def test_who_never_won_has_no_strength() -> None:
    assert not is_strongly_connected(wins_between(votes("ab bc ac"), 3))
    assert bradley_terry(wins_between(votes("ab bc ac"), 3)) is None
    assert is_strongly_connected(wins_between(votes("ab bc ca"), 3))
    assert is_strongly_connected(wins_between(votes("ab b=c c=a"), 3))
    assert not is_strongly_connected(wins_between(votes("ab ba"), 3)), "nobody met the third"


def test_strengths_are_told_only_where_they_say_something() -> None:
    assert "same as the win rate" in str(strengths(votes("ab ba " * 20), 2))
    assert "one of them has 8" in str(strengths(votes("ab bc ca " * 4), 3))
    assert "never won" in str(strengths(votes("ab bc ac " * 5), 3))
    told = strengths(votes("ab bc ca " * (ENOUGH_VOTES // 2)), 3)
    assert not isinstance(told, str)
    assert [one.points for one in told] == pytest.approx([0, 0, 0], abs=1e-6)
    # By hand: each pair met 5 times at even odds, 5/4 each; L is 5/4 of (3 I - J), so that the
    # variance is 2/3 over 15/4, and 1.96 errors are 0.826 or 143.6 points.
    assert told[0].high == pytest.approx(1.959964 * sqrt(2 / 3 / (15 / 4)) * ELO)
    assert told[0].low == pytest.approx(-told[0].high)


def test_400_points_are_odds_of_ten_to_one() -> None:
    assert ELO * log(10) == pytest.approx(400)


def test_a_lean_counts_votes_for_a_side_only() -> None:
    told = [Judged(0, 1, "left", 5, 3), Judged(0, 1, "right", 5, 3), Judged(0, 1, "left", 4, 4),
            Judged(0, 1, "tie", 9, 1), Judged(0, 1, "right", 2, 7)]
    assert (position_lean(told).chosen, position_lean(told).of) == (2, 4)
    assert (length_lean(told).chosen, length_lean(told).of) == (2, 3), "equal lengths do not count"
    nine = [Judged(0, 1, "left", 9, 1)] * 9 + [Judged(0, 1, "left", 1, 9)]
    assert length_lean(nine).luck == 22 / 1024 and length_lean(nine).is_more_than_luck
    assert position_lean(nine).luck == 2 / 1024


def turned(one: Judged) -> Judged:
    return Judged(one.right, one.left, TURNED.get(one.vote, one.vote), one.right_length,
                  one.left_length)


@given(judged)
def test_all_sides_and_votes_turned_change_nothing_but_the_side(told: list[Judged]) -> None:
    other = [turned(one) for one in told]
    assert standings(other, 4) == standings(told, 4)
    assert strengths(other, 4) == strengths(told, 4)
    assert length_lean(other) == length_lean(told)
    here, there = position_lean(told), position_lean(other)
    assert (there.of, there.chosen) == (here.of, here.of - here.chosen)
    assert there.luck == here.luck


@given(judged)
def test_rates_sum_to_half_of_all_votes(told: list[Judged]) -> None:
    made = standings(told, 4)
    scores = sum((one.rate or 0) * one.counted for one in made)
    assert scores == pytest.approx(sum(one.vote != "skip" for one in told))
    assert sum(one.wins for one in made) == sum(one.losses for one in made)
