"""A pasted table: what is read, and what is refused in a sentence."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.table import Table, read_table
from playground.errors import InvalidInput

CAPITALS = Table(("country", "capital"), (("France", "Paris"), ("Italy", "Rome")))


@pytest.mark.parametrize(
    "text",
    ["country,capital\nFrance,Paris\nItaly,Rome",
     "country, capital\r\nFrance, Paris\r\nItaly, Rome\r\n\r\n",
     "country\tcapital\nFrance\tParis\nItaly\tRome\n",
     "country;capital\nFrance;Paris\nItaly;Rome",
     '"country","capital"\n"France","Paris"\nItaly,"Rome"',
     "| country | capital |\n|---|:--:|\n| France | Paris |\n| Italy | Rome |\n",
     "country | capital |\n".join(("| ", "|--|--|\n| France | Paris |\n| Italy | Rome"))],
)
def test_csv_tsv_and_markdown_are_one_table(text: str) -> None:
    assert read_table(text, 9) == CAPITALS


def test_quoting_keeps_what_stands_between_values() -> None:
    made = read_table('word,note\n"a, b","say ""hi""\nand go"\n', 9)
    assert made == Table(("word", "note"), (("a, b", 'say "hi"\nand go'),))
    assert read_table("| a | b |\n|-|-|\n| x\\|y | |", 9) == Table(("a", "b"), (("x|y", ""),))


def test_a_quoted_space_stays_and_a_stray_one_after_a_comma_goes() -> None:
    made = read_table('a,b\n" x", y', 9)
    assert made is not None and made.rows == ((" x", "y"),)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
                         min_size=2, max_size=2).filter(lambda row: "".join(row).strip()),
                min_size=1, max_size=5))
def test_what_csv_writes_is_read_as_it_was(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    made = read_table(out.getvalue(), 9)
    assert made is not None and [list(row) for row in made.rows] == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a,a\n1,2", "two columns named “a”"),
     ("a,\n1,2", "no name for column 2"),
     ("a,b\n1,2\n\n3,4", "nothing in row 2"),
     ("a,b\n1,2\n , \n3,4", "nothing in row 2"),
     ("a,b\n1,2,3", "3 values in row 1, and 2 columns"),
     ("a,b\n1", "1 value in row 1, and 2 columns"),
     ("a,b", "no row below"),
     ("a\n1\n2\n3", "3 rows; here it may have 2"),
     ('a,b\n"1,2', "cannot be read at line 2"),
     ("| a |\n| 1 |", "no line of dashes"),
     ("{a}\n1", "a column named"),
     (f"{'a' * 61}\n1", "a column named"),
     (",".join(f"c{n}" for n in range(51)) + "\n1", "51 columns")],
)
def test_what_is_no_table_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as refused:
        read_table(text, 2)
    assert refused.value.problem.field == "table"


@pytest.mark.parametrize("text", ["", "\n\n", "  "])
def test_nothing_pasted_is_no_table(text: str) -> None:
    assert read_table(text, 2) is None


@pytest.mark.parametrize("text", [None, 3, ["a"], "a\n\ud800"])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput):
        read_table(text, 2)
