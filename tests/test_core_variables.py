"""Variables of a prompt: found, filled, refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.variables import fill, variables
from playground.errors import InvalidInput


def test_variables_are_found_once_and_in_order() -> None:
    assert variables("{b} of { a } and {b}, not {{c}}") == ("b", "a")


def test_values_take_their_places() -> None:
    assert fill("The capital of {country} is", {"country": "France"}, 99) == (
        "The capital of France is")


@pytest.mark.parametrize(
    ("text", "filled"),
    [("{{a}}", "{a}"), ("{{{a}}}", "{1}"), ("{a}}}", "1}"), ('{{"k": {a}}}', '{"k": 1}'), ("", "")],
)
def test_doubled_braces_are_braces(text: str, filled: str) -> None:
    assert fill(text, {"a": "1"}, 99) == filled


def test_a_value_is_not_read_again() -> None:
    """A table from somewhere else could otherwise reach other columns, or break a prompt."""
    assert fill("{a}", {"a": "{b} {", "b": "secret"}, 99) == "{b} {"


@given(st.text())
def test_a_text_with_all_its_braces_doubled_is_itself(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}, 10**6) == text


@pytest.mark.parametrize("text", ["{", "}", "a { b", "{a", "a}", "{}", "{ }", "{a\nb}", "{{a}"])
def test_a_brace_that_stands_alone_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="belongs to no variable.*Write {{ and }}"):
        variables(text)


def test_a_variable_without_a_column_names_the_columns() -> None:
    with pytest.raises(InvalidInput, match="no column “city” for {city}; its columns: country"):
        fill("{city}", {"country": "France"}, 99)


def test_what_would_be_too_long_is_refused_before_it_is_made() -> None:
    """A megabyte of ``{a}`` and a long value would be gigabytes."""
    with pytest.raises(InvalidInput, match="has 50000000000 characters; here it may have up to 9"):
        fill("{a}" * 50_000, {"a": "x" * 1_000_000}, 9)
