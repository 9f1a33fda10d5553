"""A pasted table: rows of values under named columns; it knows no prompt and no model."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playground.core.prompt import check_text
from playground.errors import InvalidInput

LONGEST_NAME = 60
MOST_COLUMNS = 50
SHAPE = "CSV, TSV or a Markdown table, whose first row names the columns"


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns, and rows that have a value for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def row(self, number: int) -> Mapping[str, str]:
        """The values of a row, counted from 0, by the names of their columns."""
        return dict(zip(self.columns, self.rows[number], strict=True))


def read_table(text: object, most: int) -> Table | None:
    """The table in a pasted text; None where nothing was pasted.

    A text whose first line begins with ``|`` is a Markdown table; else its values are apart by
    tabs where the first line has one, and by commas (or semicolons, where there is no comma) where
    not, quoted as in RFC 4180. Raises InvalidInput for what is none: columns without a name or
    with the same one, an empty row, a row with more or fewer values, more than ``most`` rows.
    """
    check_text(text, "table")
    lines = str(text).strip("\r\n")
    if not lines.strip():
        return None
    rows = _markdown(lines) if lines.lstrip().startswith("|") else _separated(lines)
    columns = _header(rows[0])
    values = [_row(number, row, columns) for number, row in enumerate(rows[1:], 1)]
    if not values:
        raise _refused("has names of columns and no row below them")
    if len(values) > most:
        raise _refused(f"has {len(values)} rows; here it may have {most}", f"up to {most} rows")
    return Table(columns, tuple(values))


def _separated(text: str) -> list[list[str]]:
    first = text.splitlines()[0]
    mark = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=mark != "\t", strict=True
    )
    try:
        return list(reader)
    except csv.Error as error:
        raise _refused(
            f"cannot be read at line {reader.line_num}: {error}", SHAPE,
            'A value that begins with a quote must end with one; a quote inside it is "".',
        ) from None


def _markdown(text: str) -> list[list[str]]:
    rows = [_markdown_row(line) for line in text.splitlines()]
    rule = rows[1] if len(rows) > 1 else []
    if not rule or not all(re.fullmatch(r":?-+:?", value) for value in rule):
        raise _refused("begins like a Markdown table, but its second line is no line of dashes",
                       "such as |---|---|")
    return [rows[0], *rows[2:]]


def _markdown_row(line: str) -> list[str]:
    """Its values without the spaces around them; ``\\|`` is a bar inside a value."""
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", inner)]


def _header(row: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in row)
    if len(names) > MOST_COLUMNS:
        raise _refused(f"has {len(names)} columns; it may have {MOST_COLUMNS}")
    for number, name in enumerate(names, 1):
        if not name:
            raise _refused(f"has no name for column {number}")
        if len(name) > LONGEST_NAME or not name.isprintable() or set(name) & set("{}"):
            raise _refused(f"has a column named {name[:30]!r}",
                           f"names of up to {LONGEST_NAME} characters on one line, without braces")
        if names.index(name) < number - 1:
            raise _refused(f"has two columns named “{name}”", "a name once")
    return names


def _row(number: int, row: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    if not any(value.strip() for value in row):
        raise _refused(f"has nothing in row {number}", advice="Delete the empty row.")
    if len(row) != len(columns):
        values = "1 value" if len(row) == 1 else f"{len(row)} values"
        wanted = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
        raise _refused(
            f"has {values} in row {number}, and {wanted}", SHAPE,
            "Put a value in quotes if it holds what stands between values.",
        )
    return tuple(row)


def _refused(what: str, allowed: str = "", advice: str = "") -> InvalidInput:
    return InvalidInput(f"The table {what}.", field="table", given=what, allowed=allowed,
                        advice=advice)
