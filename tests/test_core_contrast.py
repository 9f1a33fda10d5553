"""One text scored twice: which tokens belong together, and how far apart they are, by hand."""

from __future__ import annotations

import math

import pytest

from playground.core.contrast import contrast
from playground.core.events import Step
from playground.core.score import Scored


def scored(*tokens: tuple[str, float], special: str = "") -> Scored:
    """A scoring of tokens with their probabilities; ``special`` names a control token of them."""
    steps = [
        Step(n, n, text, text, math.log(p) if p else -math.inf, 1, p, 0.5, (), text == special)
        for n, (text, p) in enumerate(tokens)
    ]
    return Scored((), tuple(steps))


def test_the_difference_of_each_token_by_hand() -> None:
    """1/2 against 1/8 is a quarter, 1/4 against 1/2 is twice: a half of it in all."""
    made = contrast(scored(("A", 0.5), (" fox", 0.25)), scored(("A", 0.125), (" fox", 0.5)))
    assert [(p.first, p.second, p.piece) for p in made.pairs] == [(0, 0, "A"), (1, 1, " fox")]
    assert [p.gain for p in made.pairs] == pytest.approx([-math.log(4), math.log(2)])
    assert made.total == pytest.approx(-math.log(2))
    assert (made.only_first, made.only_second) == (0, 0)


def test_only_tokens_at_the_same_place_are_compared() -> None:
    """Another tokenizer cuts "small fox" elsewhere; the full stop and "A" are common to both."""
    made = contrast(
        scored(("A", 0.5), (" small", 0.5), (" fox", 0.5), (".", 0.5)),
        scored(("A", 0.5), (" sm", 0.5), ("all fox", 0.5), (".", 0.25)),
    )
    assert [(p.first, p.second, p.piece) for p in made.pairs] == [(0, 0, "A"), (3, 3, ".")]
    assert (made.only_first, made.only_second) == (2, 2)
    assert made.total == pytest.approx(-math.log(2)), "the sums are of one text and comparable"


def test_the_same_word_elsewhere_in_the_text_is_another_token() -> None:
    made = contrast(scored((" a", 0.5), (" a", 0.25)), scored((" a", 0.5), (" a", 0.5)))
    assert [(p.first, p.second) for p in made.pairs] == [(0, 0), (1, 1)]


def test_a_beginning_that_only_one_has_does_not_shift_the_rest() -> None:
    """Without a prompt the first token has no probability, and a template strips a space."""
    made = contrast(
        scored((" fox", 0.5), (".", 0.5)), scored(("The", 0.5), (" fox", 0.5), (".", 0.5))
    )
    assert [(p.first, p.second) for p in made.pairs] == [(0, 1), (1, 2)]
    assert (made.only_first, made.only_second) == (0, 1)


def test_the_token_that_ends_an_answer_is_matched_with_its_like_alone() -> None:
    end = ("<|im_end|>", 0.5)
    chat = scored(("Yes", 0.5), end, special="<|im_end|>")
    assert [p.piece for p in contrast(chat, scored(("Yes", 0.5))).pairs] == ["Yes"]
    assert contrast(chat, scored(("Yes", 0.5))).only_first == 1
    assert [p.piece for p in contrast(chat, chat).pairs] == ["Yes", "<|im_end|>"]
    typed = scored(("Yes", 0.5), end)
    assert len(contrast(chat, typed).pairs) == 0, "typed as text it is another text"


def test_a_character_of_several_tokens_is_compared_byte_by_byte() -> None:
    half = Step(0, 1, "", "<0xC3>", -1.0, 1, 0.4, 0.5, ())
    whole = Step(1, 2, "é", "<0xA9>", -2.0, 1, 0.1, 0.5, ())
    made = contrast(Scored((), (half, whole)), Scored((), (half, whole)))
    assert [(p.first, p.gain) for p in made.pairs] == [(0, 0.0), (1, 0.0)]


def test_what_neither_thinks_possible_has_no_difference() -> None:
    """-inf - -inf would be NaN, which no JSON can hold."""
    never, once = scored(("A", 0.0)), scored(("A", 0.5))
    assert contrast(never, never).total is None
    assert contrast(never, never).pairs[0].gain is None
    assert contrast(never, once).total == math.inf
