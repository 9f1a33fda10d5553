"""Laws of two sequences aligned: stretches by hand, a word diff by hand, and no long wait."""

from __future__ import annotations

import random

import pytest

from playground.core.align import Change, Stretch, stretches, word_diff, words_of


@pytest.mark.parametrize("a, b, found", [
    ("", "", ()),
    ("abc", "abc", (Stretch(0, 0, 3),)),
    ("abc", "xyz", ()),
    ("abcd", "abxd", (Stretch(0, 0, 2), Stretch(3, 3, 1))),
    ("the cat sat", "a cat sat up", (Stretch(3, 1, 8),)),
    ("xaby", "abab", (Stretch(1, 0, 2),)),
])
def test_equal_stretches_stand_in_the_order_of_both(
    a: str, b: str, found: tuple[Stretch, ...]
) -> None:
    assert stretches(a, b) == found


def test_long_sequences_are_aligned_at_what_both_have_once() -> None:
    """300 elements in another order before and after 100 that are alike: more pairs than difflib
    gets at once."""
    dice = random.Random(1)
    noise = [list(range(1000 * n, 1000 * n + 300)) for n in range(1, 5)]
    same = list(range(100))
    a, b = noise[0] + same + noise[1], noise[2] + same + noise[3]
    assert stretches(a, b) == (Stretch(300, 300, 100),)
    mixed = [dice.randrange(50) for _ in range(400)]
    found = stretches(mixed + same, list(reversed(mixed)) + same)
    assert found[-1] == Stretch(400, 400, 100), "an equal end needs no anchor"


@pytest.mark.parametrize("a, b", [
    ([1] * 4000, [2] + [1] * 3999),
    ([1, 2] * 2000, [2, 2, 1] * 1300),
    (list(range(4000)), list(range(4000))[::-1]),
    (list(range(4000)), list(range(4000, 8000))),
])
def test_whatever_4000_tokens_are_each_pair_of_a_stretch_is_equal(
    a: list[int], b: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop of one token made 16 million pairs of places for difflib."""
    asked = []

    class Counted:
        def __init__(self, _: None, one: list[int], other: list[int], autojunk: bool) -> None:
            asked.append(len(one) * len(other))
            self.inner = __import__("difflib").SequenceMatcher(_, one, other, autojunk=autojunk)

        def get_matching_blocks(self) -> object:
            return self.inner.get_matching_blocks()

    monkeypatch.setattr("playground.core.align.SequenceMatcher", Counted)
    found = stretches(a, b)
    assert sum(asked) <= 800_000
    last = Stretch(0, 0, 0)
    for one in found:
        assert one.first >= last.first + last.count and one.second >= last.second + last.count
        assert a[one.first:one.first + one.count] == b[one.second:one.second + one.count]
        last = one


def test_words_are_the_text() -> None:
    text = " The fox’s\n\n end:  天姥山, ok \n"
    assert words_of(text) == [" The", " fox", "’", "s", "\n\n end", ":", "  天", "姥", "山", ",",
                              " ok", " \n"]
    assert "".join(words_of(text)) == text


def test_a_word_diff_says_what_went_and_what_came() -> None:
    assert word_diff("The cat sat down.", " The  dog sat.") == (
        Change("same", " The"), Change("gone", " cat"), Change("new", "  dog"),
        Change("same", " sat"), Change("gone", " down"), Change("same", "."),
    )
    assert word_diff("", "") == ()
    assert word_diff("a", "") == (Change("gone", "a"),)
