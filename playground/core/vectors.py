"""Vectors of tokens and of words: those that a model begins with, and those that context makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt, Raw, check_text
from playground.errors import InvalidInput

MOST_LINES = 24
LONGEST_LINE = 600     # characters
LONGEST_WORD = 60
LONGEST_LABEL = 24

# "river: The bank ..."; behind a plain colon comes a space, so that 10:30 is no label.
_LABEL = re.compile(rf"\s*([^\s:：]{{1,{LONGEST_LABEL}}})\s*(?::\s+|：\s*)(\S.*)")
_EQUAL = 1e-6  # cosines that differ by less are equal


@dataclass(frozen=True, slots=True)
class TokenVector:
    """A token's row of the embedding matrix: its L2 norm, and the first of its values."""

    piece: Piece
    norm: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StaticFound(Finding):
    """The different tokens of a text as the model stores them, in order, and their cosines.

    ``left_out`` counts different tokens that there was no room for. ``tied``: the output head
    multiplies by the same matrix; None for a model without one.
    """

    tokens: tuple[TokenVector, ...]
    cosines: tuple[tuple[float, ...], ...]
    width: int
    dtype: str
    tied: bool | None
    left_out: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StaticVectors(Inspection[StaticFound]):
    """Asks for the embedding rows of a text's tokens."""

    prompt: Prompt
    quick: ClassVar[bool] = True

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The text."""
        return (self.prompt,)


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, and the group that its reader put it in; empty for none."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The word in a line, by its place among the lines: the characters from ``start`` to before
    ``end``, and the tokens that cover them."""

    line: int
    start: int
    end: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A word's vectors behind one layer.

    ``cosines`` are those of each occurrence with each later one, row by row. ``points`` are the
    two first principal components, ``shares`` of all variance that they show. ``accuracy`` is that
    of the nearest neighbour (see ``nearest``), ``within`` and ``between`` the mean cosines of two
    occurrences with the same label and with different ones; None without labels to compare.
    """

    cosines: tuple[float, ...]
    points: tuple[tuple[float, float], ...]
    shares: tuple[float, float]
    accuracy: float | None = None
    within: float | None = None
    between: float | None = None


@dataclass(frozen=True, slots=True)
class WordFound(Finding):
    """One word in several sentences, layer by layer; layer 0 is what goes into the first.

    ``missing`` are the places of lines without the word. ``chance`` is the accuracy of a neighbour
    that is drawn. ``sees_ahead`` says whether a vector changed when the rest of its line was cut
    off; None where the word ends every line.
    """

    lines: tuple[Line, ...]
    occurrences: tuple[Occurrence, ...]
    layers: tuple[Layer, ...]
    missing: tuple[int, ...]
    chance: float | None
    sees_ahead: bool | None
    notices: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each occurrence."""
        return tuple(self.lines[one.line].label for one in self.occurrences)


@dataclass(frozen=True)
class WordVectors(Inspection[WordFound]):
    """Asks for the contextual vectors of a word in several lines. Raises InvalidInput.

    The vector of an occurrence is the mean of those of its tokens, so that a word in one piece and
    one in three can be compared.
    """

    lines: tuple[Line, ...]
    word: str

    def __post_init__(self) -> None:
        check_text(self.word, "word")
        if not self.word.strip() or len(self.word) > LONGEST_WORD:
            raise InvalidInput(
                "There is no word to look for." if not self.word.strip() else
                f"The word has {len(self.word)} characters; it may have {LONGEST_WORD}.",
                field="word", given=self.word, allowed=f"1 to {LONGEST_WORD} characters",
                advice="Write the word as it stands in the sentences.",
            )
        if not 2 <= len(self.lines) <= MOST_LINES:
            raise InvalidInput(
                f"A word is compared in 2 to {MOST_LINES} lines; there are {len(self.lines)}.",
                field="sentences", given=f"{len(self.lines)} lines",
                allowed=f"2 to {MOST_LINES} lines", advice="Write one sentence a line.",
            )
        for place, line in enumerate(self.lines, 1):
            check_text(line.text, f"line {place}")
            if len(line.text) > LONGEST_LINE:
                raise InvalidInput(
                    f"Line {place} has {len(line.text)} characters; it may have {LONGEST_LINE}.",
                    field="sentences", given=f"{len(line.text)} characters",
                    allowed=f"at most {LONGEST_LINE} characters", advice="Shorten it.",
                )

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The sentences."""
        return tuple(Raw(line.text, control_tokens=True) for line in self.lines)


def read_lines(text: str) -> tuple[Line, ...]:
    """One sentence a line, each with a label in front where it has one: ``river: The bank ...``."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        named = _LABEL.fullmatch(line)
        found.append(Line(named[2], named[1]) if named else Line(line))
    return tuple(found)


def spans(text: str, word: str) -> tuple[tuple[int, int], ...]:
    """Where a word stands in a text, whatever its case: the first character and that behind it.

    As a whole word; Chinese and Japanese put no spaces between words, so there it is found inside
    of others too.
    """
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", word) else ""
    whole = re.compile(f"{before}{re.escape(word)}{after}", re.IGNORECASE)
    found = [one.span() for one in whole.finditer(text)]
    if not found and not word.isascii():
        found = [one.span() for one in re.finditer(re.escape(word), text, re.IGNORECASE)]
    return tuple(found)


def nearest(cosines: Sequence[Sequence[float]], labels: Sequence[str]) -> float | None:
    """How often the nearest other vector, by cosine, has the same label (leave one out).

    Equally near ones count by their share. Only labels that two vectors have can be found again:
    the others, and vectors without a label, neither ask nor answer. None where nothing can be
    found, or where there is one label only.
    """
    kept = _comparable(labels)
    if len({labels[n] for n in kept}) < 2:
        return None
    total = 0.0
    for n in kept:
        others = [m for m in kept if m != n]
        best = max(cosines[n][m] for m in others)
        near = [m for m in others if cosines[n][m] >= best - _EQUAL]
        total += sum(labels[m] == labels[n] for m in near) / len(near)
    return total / len(kept)


def chance(labels: Sequence[str]) -> float | None:
    """The accuracy of ``nearest`` where the neighbour is drawn at random."""
    kept = _comparable(labels)
    return nearest([[0.0] * len(labels)] * len(labels), labels) if kept else None


def means(
    cosines: Sequence[Sequence[float]], labels: Sequence[str]
) -> tuple[float | None, float | None]:
    """The mean cosine of two vectors with the same label, and of two with different ones."""
    same: list[float] = []
    different: list[float] = []
    for n, label in enumerate(labels):
        for m in range(n):
            if label and labels[m]:
                (same if labels[m] == label else different).append(cosines[n][m])
    return tuple(sum(some) / len(some) if some else None for some in (same, different))  # type: ignore[return-value]


def _comparable(labels: Sequence[str]) -> list[int]:
    many = {label for label in labels if label and labels.count(label) > 1}
    return [n for n, label in enumerate(labels) if label in many]
