"""Laws of a blind test: who meets whom, on which side, and what a voter may read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.blind import (
    MOST_IN_A_ROUND,
    Answer,
    BlindTest,
    Match,
    another_round,
    blind_test,
    shared_prompt,
)
from playground.core.blind_sides import EVENING_OUT, flipped, sided
from playground.core.decoding import Decoding
from playground.core.plain import from_plain, to_plain
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.errors import InvalidInput

NAMES = ("one", "two", "three", "four", "five")


def answer(contestant: int, question: int, text: str = "", prompt: Prompt | None = None) -> Answer:
    run = Run(ModelSpec(f"model-{contestant}"), prompt or Raw(f"question {question}"), Decoding())
    return Answer(contestant, question, run, text or f"{contestant} says {question}", (1, 2))


def round_of(contestants: int, questions: int) -> list[Answer]:
    return [answer(c, q) for q in range(questions) for c in range(contestants)]


def met(test: BlindTest) -> list[tuple[int, int]]:
    return [(test.answers[m.left].contestant, test.answers[m.right].contestant)
            for m in test.matches]


def test_everybody_meets_everybody_at_every_question_once() -> None:
    test = blind_test(NAMES, round_of(5, 3), 1)
    assert len(test.matches) == 3 * 10
    pairs = Counter(frozenset(pair) for pair in met(test))
    assert set(pairs.values()) == {3}
    for match in test.matches:
        assert test.answers[match.left].question == test.answers[match.right].question


@given(st.integers(2, 7), st.integers(1, 6), st.integers(0, 999))
def test_each_stands_left_as_often_as_right_or_once_more(n: int, each: int, seed: int) -> None:
    pairs = list(combinations(range(n), 2)) * each
    sides = sided(pairs, Random(seed))
    told = [pair if kept else pair[::-1] for pair, kept in zip(pairs, sides, strict=True)]
    left, right = Counter(a for a, _ in told), Counter(b for _, b in told)
    assert all(abs(left[one] - right[one]) <= 1 for one in range(n))
    ordered = Counter(told)
    assert all(abs(ordered[a, b] - ordered[b, a]) <= 1 for a, b in combinations(range(n), 2))


def test_sides_and_order_come_from_the_seed_alone() -> None:
    answers = round_of(3, 4)
    assert blind_test(NAMES[:3], answers, 5) == blind_test(NAMES[:3], answers, 5)
    assert len({blind_test(NAMES[:3], answers, seed).matches for seed in range(9)}) == 9


def test_of_two_answers_either_may_stand_left() -> None:
    sides = Counter(met(blind_test(NAMES[:2], round_of(2, 1), seed))[0] for seed in range(400))
    assert 150 < sides[0, 1] < 250


def test_a_sample_has_each_two_contestants_equally_often() -> None:
    """5 contestants at 20 questions are 200 pairs; the 60 that are drawn are 6 of each of 10."""
    test = blind_test(NAMES, round_of(5, 20), 3)
    assert (len(test.matches), test.left_out) == (MOST_IN_A_ROUND, 140)
    assert set(Counter(frozenset(pair) for pair in met(test)).values()) == {6}


def test_answers_that_are_the_same_are_no_match() -> None:
    answers = [answer(0, 0, "Paris"), answer(1, 0, " Paris\n"), answer(0, 1), answer(1, 1)]
    test = blind_test(NAMES[:2], answers, 0)
    assert (len(test.matches), test.alike) == (1, 1)
    with pytest.raises(InvalidInput, match="letter by letter"):
        blind_test(NAMES[:2], answers[:2], 0)
    with pytest.raises(InvalidInput, match="no two answers"):
        blind_test(NAMES[:2], answers[:1], 0)


def test_the_same_two_runs_meet_once_though_they_answer_two_questions() -> None:
    """A greedy cell stands for every seed of a grid, and two of them would meet once for each."""
    twice = [replace(answer(c, 0), question=q) for q in (0, 1) for c in (0, 1)]
    assert len(blind_test(NAMES[:2], twice, 0).matches) == 1


def test_another_round_goes_on_with_the_same_contestants_and_keeps_the_votes() -> None:
    test = blind_test(("greedy", "top-p"), round_of(2, 1), 0).vote("left")
    more = another_round(test, ("top-p", "greedy", "new"), round_of(3, 1), 1)
    assert more.contestants == ("greedy", "top-p", "new")
    assert more.votes == ("left",) and more.matches[:1] == test.matches
    assert len(more.matches) == 1 + 3 and more.at == 1
    # Its contestant 0 was called top-p, which is 1 here.
    assert [one.contestant for one in more.answers[2:]] == [1, 0, 2]
    assert {one.question for one in more.answers[2:]} == {1}
    with pytest.raises(InvalidInput, match="revealed"):
        another_round(more.reveal(), ("greedy", "top-p"), round_of(2, 1), 1)


def test_rounds_even_out_in_the_long_run_without_a_pattern() -> None:
    dice = Random(4)
    turns = [flipped([(0, 1)], [(0, 1)], dice) for _ in range(3000)]
    assert abs(sum(turns) / 3000 - EVENING_OUT) < 0.03
    turns = [flipped([], [(0, 1)], dice) for _ in range(3000)]
    assert abs(sum(turns) / 3000 - 0.5) < 0.03


def test_votes_go_on_match_by_match_and_are_taken_back() -> None:
    test = blind_test(NAMES[:2], round_of(2, 2), 0)
    assert test.at == 0 and test.undo() == test
    test = test.vote("left").vote("skip")
    assert test.at is None
    with pytest.raises(InvalidInput, match="Every match"):
        test.vote("tie")
    assert test.undo().at == 1
    with pytest.raises(InvalidInput, match="A vote is one of"):
        test.undo().vote("LEFT")
    with pytest.raises(InvalidInput, match="revealed"):
        test.undo().reveal().vote("left")
    assert test.reveal().undo().votes == ("left", "skip")


def test_a_run_is_hashed_once_and_not_for_each_of_its_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand cells of a grid are half a million pairs, and a run's hash reads its prompt."""
    hashed, plain = [], Run.__hash__
    monkeypatch.setattr(Run, "__hash__", lambda run: hashed.append(run) or plain(run))
    test = blind_test([str(n) for n in range(30)], round_of(30, 1), 0)
    assert len(test.matches) == MOST_IN_A_ROUND and test.left_out == 435 - MOST_IN_A_ROUND
    assert len(hashed) == 30


def test_a_vote_is_for_the_contestant_that_stood_there() -> None:
    test = blind_test(NAMES[:2], round_of(2, 1), 0).vote("right")
    (left, right), = met(test)
    (one,) = test.judged
    assert (one.left, one.right, one.left_score) == (left, right, 0.0)
    assert one.left_length == len(test.answers[test.matches[0].left].text)


SYSTEM, HELLO = Message("system", "Be brief."), Message("user", "Hello")


@pytest.mark.parametrize(("one", "other", "turns", "note"), [
    (Raw("Once"), Raw("Once"), [("", "Once")], False),
    (Raw("Once"), Raw("Twice"), [], True),
    (Chat((SYSTEM, HELLO)), Chat((SYSTEM, HELLO)),
     [("system", "Be brief."), ("user", "Hello")], False),
    (Chat((SYSTEM, HELLO)), Chat((HELLO,)), [("user", "Hello")], False),
    (Chat((HELLO,)), Raw("Hello"), [("", "Hello")], False),
    (Chat((HELLO, Message("assistant", "Hi"), HELLO)), Chat((HELLO,)), [("user", "Hello")], True),
    (Ids((1, 2)), Ids((1, 2)), [], True),
])
def test_a_voter_reads_only_what_both_were_asked(
    one: Prompt, other: Prompt, turns: list[tuple[str, str]], note: bool
) -> None:
    for a, b in ((one, other), (other, one)):
        asked = shared_prompt(answer(0, 0, "", a), answer(1, 0, "", b))
        assert list(asked.turns) == turns
        assert bool(asked.note) == note


def test_where_prompts_are_compared_the_voter_reads_what_they_are_about() -> None:
    pair = [replace(answer(c, 0, "", Raw(text)), about="country: France")
            for c, text in enumerate(("Capital of France?", "France's capital is"))]
    asked = shared_prompt(*pair)
    assert asked.turns == (("", "country: France"),) and "stay hidden" in asked.note


def test_it_comes_back_from_plain_json_equal() -> None:
    test = blind_test(NAMES, round_of(5, 2), 3).vote("both bad").vote("left").reveal()
    assert from_plain(BlindTest, to_plain(test), "test") == test


@pytest.mark.parametrize("change", [
    {"matches": (Match(0, 9),)}, {"matches": (Match(0, 2),)}, {"matches": (Match(0, 0),)},
    {"votes": ("left",) * 3}, {"answers": (replace(answer(0, 0), contestant=7),), "matches": ()},
])
def test_what_does_not_fit_together_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(blind_test(NAMES[:2], round_of(2, 2), 0), **change)
