"""Laws of samples merged into a weighted tree, with counts and shares done by hand."""

from __future__ import annotations

from math import log

import pytest

from playground.core.events import Step
from playground.core.samples import Span, merge

OWN = 0.5  # what the model itself gave each token


def steps(ids: str, probability: float = 0.5) -> list[Step]:
    """A token for each letter."""
    return [
        Step(n, ord(c), c, c, log(OWN), 1, probability, 1.0, ()) for n, c in enumerate(ids)
    ]


def shape(span: Span) -> tuple[object, ...]:
    """Text, count, and the same of what follows."""
    return (span.text, span.count, *(shape(child) for child in span.children))


def test_samples_are_merged_as_far_as_they_agree() -> None:
    root = merge([steps(one) for one in ("abcd", "abce", "abx", "abcd")])
    assert shape(root) == ("ab", 4, ("c", 3, ("d", 2), ("e", 1)), ("x", 1))
    most, other = root.children
    assert (most.samples, other.samples) == ((0, 1, 3), (2,))
    assert most.ids == (ord("c"),)


def test_the_root_is_empty_where_they_part_at_once() -> None:
    assert shape(merge([steps("a"), steps("b"), steps("bc")])) == (
        "", 3, ("b", 2, ("c", 1)), ("a", 1),
    )


def test_a_sample_that_ends_where_others_go_on_is_counted_there() -> None:
    root = merge([steps("ab"), steps("abc"), steps("ab")])
    assert (root.text, root.ended) == ("ab", (0, 2))
    (only,) = root.children
    assert (only.text, only.samples, only.ended) == ("c", (1,), (1,))


def test_the_same_text_by_other_ids_is_another_way() -> None:
    other = [Step(0, 999, "a", "a", log(OWN), 2, 0.1, 1.0, ())]
    assert [child.ids for child in merge([steps("a"), other]).children] == [(97,), (999,)]


def test_the_chance_is_the_product() -> None:
    root = merge([steps("ab", 0.9), steps("ab", 0.9), steps("ac", 0.9)])
    assert root.chance == pytest.approx(0.9)
    (b, c) = root.children
    assert (b.chance, c.chance) == (pytest.approx(0.9), pytest.approx(0.9))
    assert merge([steps("ab", 0.9)]).chance == pytest.approx(0.81)


def test_nothing_is_a_tree_of_nothing() -> None:
    assert merge([]) == Span((), "", (), 1.0, (), ())
    assert shape(merge([[], []])) == ("", 2)


def test_a_control_token_is_counted_and_adds_no_text() -> None:
    end = Step(1, 2, "<|end|>", "<|end|>", 0.0, 1, 1.0, 0.0, (), special=True)
    root = merge([[*steps("a"), end], steps("ab")])
    assert shape(root) == ("a", 2, ("", 1), ("b", 1))
    assert root.children[0].ids == (2,)


def test_twenty_long_samples_that_agree_do_not_go_deep() -> None:
    """One call a token would end in Python's limit of recursion."""
    assert merge([steps("a" * 3000)] * 20).text == "a" * 3000
