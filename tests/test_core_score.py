"""What is asked of a scoring and what it says, as values: doors, measures, ranks."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from playground.core.events import Candidate, Piece, Step
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.score import (
    MEASURES,
    Contender,
    Contest,
    ContestRequest,
    Scored,
    ScoreRequest,
)
from playground.errors import InvalidInput

ASKED = Message("user", "What is it?")
ANSWERED = Chat((ASKED, Message("assistant", "A fox.")))


def step(text: str, probability: float, special: bool = False) -> Step:
    logprob = math.log(probability) if probability else -math.inf
    candidates = (Candidate(1, text, logprob, probability),)
    return Step(0, 1, text, text, logprob, 1, probability, 0.5, candidates, special)


def scored(*tokens: tuple[str, float], tail: str = "") -> Scored:
    return Scored((Piece(0, "<s>", True),), tuple(step(*token) for token in tokens), tail)


def test_perplexities_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/2 for "a fox é": 16 = 2^4 in all, 3 words, 8 bytes."""
    made = scored(("a", 0.5), (" fox", 0.25), (" é", 0.5))
    assert (made.text, made.words, made.bytes) == ("a fox é", 3, 8)
    assert made.total_logprob == pytest.approx(-4 * math.log(2))
    assert made.mean_logprob == pytest.approx(-4 / 3 * math.log(2))
    assert made.perplexity == made.word_perplexity == pytest.approx(2 ** (4 / 3))
    assert made.byte_perplexity == pytest.approx(2**0.5)
    assert made.bits_per_byte == pytest.approx(0.5)


def test_the_token_that_ends_an_answer_counts_and_is_no_text() -> None:
    made = Scored((), (step("fox", 0.5), step("<|im_end|>", 0.5, special=True)))
    assert (made.text, made.bytes, made.perplexity) == ("fox", 3, pytest.approx(2))
    assert made.bits_per_byte == pytest.approx(2 / 3)


def test_what_cannot_be_divided_is_none_and_what_cannot_come_is_infinite() -> None:
    control = Scored((), (step("<|im_end|>", 0.5, special=True),))
    assert control.word_perplexity is control.byte_perplexity is control.bits_per_byte is None
    never = scored(("a", 0.0))
    assert never.total_logprob == -math.inf and never.perplexity == math.inf
    hardly = scored(*[("a", 1e-300)] * 3)
    assert hardly.perplexity == pytest.approx(1e300)
    assert Scored((), (step("ab", 0.5),), "").byte_perplexity == pytest.approx(2**0.5)
    assert scored(("", 1e-300), ("", 1e-300), ("a", 1e-300)).byte_perplexity == math.inf


def test_a_contest_ranks_by_each_measure() -> None:
    """Totals -2, -3, -3 nats over 1, 3 and 2 tokens; the neutral prompt gives -1, -9 and -3."""
    one, e = math.exp(-2), math.exp(-1)
    contest = Contest(
        (
            Contender("ab", scored(("ab", one)), -1.0),
            Contender("abcdef", scored(("ab", e), ("cd", e), ("ef", e)), -9.0),
            Contender("abc", scored(("ab", one), ("c", e)), -3.0),
        ),
        (Piece(0, "<s>", True),),
    )
    assert contest.ranks("total") == (1, 2, 2)
    assert contest.ranks("token") == (3, 1, 2)
    assert contest.ranks("byte") == (2, 1, 2)
    assert contest.ranks("pmi") == (3, 1, 2)
    assert [contest.winner(by).continuation for by in MEASURES] == ["ab", "abcdef", "abcdef",
                                                                    "abcdef"]
    assert contest.contenders[1].score("pmi") == pytest.approx(6)


def test_what_cannot_come_is_last_under_every_measure() -> None:
    """-inf after both prompts would make the difference NaN, which sorts anywhere."""
    never = Contender("x", scored(("x", 0.0)), -math.inf)
    control = Contender("<s>", Scored((), (step("<s>", 0.5, special=True),)), -9.0)
    contest = Contest((never, Contender("y", scored(("y", 0.5)), -1.0), control), ())
    assert never.score("pmi") == -math.inf and control.score("byte") is None
    for by in MEASURES:
        assert contest.ranks(by)[0] == (2 if by == "byte" else 3)
        assert contest.winner(by) is not never


def test_requests_and_results_pickle_and_compare() -> None:
    contest = Contest((Contender("ab", scored(("ab", 0.5)), -1.0),), (), ("so",))
    values = [ScoreRequest(Raw("a"), Ids((1,))), ContestRequest(Raw("a"), ("b", "c")), contest]
    assert pickle.loads(pickle.dumps(values)) == values
    assert "Contender(continuation='ab'" in repr(contest)
    assert ScoreRequest(Raw("a"), Ids((1,))).parts == (Ids((1,)), Raw("a"))
    assert ContestRequest(Raw("a"), ("b", "c"), ANSWERED).parts == (
        Raw("a"), ANSWERED, Raw("b"), Raw("c"),
    )


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"text": "plain"}, "text", "a text, a chat or token ids"),
        ({"text": Raw("a"), "prompt": "plain"}, "prompt", "a text, a chat or token ids"),
        ({"text": Chat((ASKED,))}, "text", "must be the assistant's"),
        ({"text": Chat((Message("assistant", "Hi"),))}, "text", "after a question"),
        ({"text": ANSWERED, "prompt": Raw("a")}, "prompt", "its own prompt"),
        ({"text": Raw("a"), "candidates": 0}, "candidates", "from 1 to 50"),
        ({"text": Raw("a"), "candidates": 51}, "candidates", "from 1 to 50"),
    ],
)
def test_a_score_is_refused_at_the_door(given: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ScoreRequest(**given)
    assert caught.value.problem.field == field and words in str(caught.value)


@pytest.mark.parametrize(
    ("continuations", "words"),
    [
        ((), "from 2 to 20"),
        (("a",), "from 2 to 20"),
        (tuple(map(str, range(21))), "21 were given"),
        (["a", "b"], "from 2 to 20"),
        (("a", ""), "Continuation 2 is empty"),
        (("a", 3), "continuation 2 must be text"),
        (("a", "\ud800"), "half of a character"),
        (("Paris", "Rome", "Paris"), "'Paris' is there twice"),
    ],
)
def test_a_contest_is_refused_at_the_door(continuations: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ContestRequest(Raw("The capital of France is"), continuations)


def test_two_and_twenty_continuations_may_compete() -> None:
    for count in (2, 20):
        request = ContestRequest(Raw("One of"), tuple(f" {n}" for n in range(count)))
        assert len(request.continuations) == count
