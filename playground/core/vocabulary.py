"""A model's vocabulary as pages of a table, and one token of it, as plain values; no tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt, Raw, check_text
from playground.core.run import ModelSpec
from playground.errors import InvalidInput

MOST_ROWS = 200      # of one page
MOST_PATTERN = 200   # characters of a pattern or a text that is searched for
MOST_TOKENS = 600_000
MOST_NEIGHBOURS = 20

Kind = Literal["", "text", "bytes", "special", "added", "unused"]
Sort = Literal["id", "text", "characters", "bytes"]

# What each kind is, for a heading and its explanation.
KINDS: dict[Kind, tuple[str, str]] = {
    "text": ("text", "Whole characters, none of the others."),
    "bytes": ("bytes", "Bytes that are no whole character by themselves."),
    "special": ("special", "Control tokens: the beginning or end of a text, of a turn, padding."),
    "added": ("added", "Looked for in a text before the tokenizer's own stages; special ones too."),
    "unused": ("unused", "A row of the embedding without a token, or one set aside for later."),
}


@dataclass(frozen=True)
class VocabularyRequest(Inspection["VocabularyPage"]):
    """A page of the tokens that pass every filter, in one order. Raises InvalidInput.

    ``find`` is a text within the token's own, where a space counts; ``pattern`` a regular
    expression of RE2, which searches in linear time. ``shortest`` and ``longest`` (0 for any)
    count in ``unit``. ``script`` is one that ``VocabularyPage.scripts`` names.
    """

    quick = True

    find: str = ""
    match_case: bool = False
    pattern: str = ""
    script: str = ""
    kind: Kind = ""
    shortest: int = 0
    longest: int = 0
    unit: Literal["characters", "bytes"] = "characters"
    sort: Sort = "id"
    descending: bool = False
    start: int = 0
    count: int = 100

    def __post_init__(self) -> None:
        for text, field in ((self.find, "search"), (self.pattern, "pattern"),
                            (self.script, "script")):
            check_text(text, field)
            if len(text) > MOST_PATTERN:
                raise InvalidInput(
                    f"The {field} has {len(text)} characters; up to {MOST_PATTERN} are searched "
                    "for.", field=field, given=len(text), allowed=f"up to {MOST_PATTERN}",
                )
        _check_one_of("kind", self.kind, ("", *KINDS))
        _check_one_of("sort", self.sort, get_args(Sort))
        _check_one_of("unit", self.unit, ("characters", "bytes"))
        for number, field, most in (
            (self.shortest, "shortest", 10**6), (self.longest, "longest", 10**6),
            (self.start, "start", MOST_TOKENS), (self.count, "count", MOST_ROWS),
        ):
            _check_number(field, number, most)
        for switch, field in ((self.match_case, "match_case"), (self.descending, "descending")):
            if not isinstance(switch, bool):
                raise InvalidInput(f"{field} is either on or off.", field=field, given=switch)

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given."""
        return tuple(Raw(text) for text in (self.find, self.pattern) if text)

    @property
    def filter(self) -> VocabularyRequest:
        """The same tokens in the same order, whatever the page."""
        return replace(self, start=0, count=1)


@dataclass(frozen=True, slots=True)
class VocabularyRow:
    """One token: its own text (cut where it is very long), its length, its script and kinds.

    ``characters`` counts whole ones only.
    """

    piece: Piece
    characters: int
    bytes: int
    script: str
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class VocabularyPage(Finding):
    """Rows from ``start`` on, of ``matching`` that pass, of ``size`` that there are.

    ``scripts`` and ``kinds`` count all tokens, the most frequent script first.
    """

    model: ModelSpec
    size: int
    matching: int
    start: int
    rows: tuple[VocabularyRow, ...]
    scripts: tuple[tuple[str, int], ...]
    kinds: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TokenRequest(Inspection["TokenFound"]):
    """One token of the vocabulary: how it was made, and which embeddings are nearest to its own.

    Raises InvalidInput.
    """

    quick = True

    id: int = 0

    def __post_init__(self) -> None:
        _check_number("id", self.id, 2**31)


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of a BPE vocabulary: the ``rank``-th pair, from 0, that its training joined."""

    rank: int
    left: Piece
    right: Piece
    made: Piece


@dataclass(frozen=True, slots=True)
class TokenFound(Finding):
    """One token.

    ``name`` is how the vocabulary writes it. ``merges`` made it of its smallest parts, in order;
    without any, ``made`` says why in a sentence. ``score`` is a Unigram token's log-probability.
    ``alone`` are the ids that its own text becomes. ``norm`` is the Euclidean length of its input
    embedding, ``neighbours`` those with the largest cosine to it, the nearest first; both are
    empty where the model has no such matrix.
    """

    model: ModelSpec
    row: VocabularyRow
    name: str
    merges: tuple[Merge, ...]
    made: str
    score: float | None
    alone: tuple[Piece, ...]
    norm: float | None
    neighbours: tuple[tuple[Piece, float], ...]


def _check_one_of(field: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        words = ", ".join(name for name in allowed if name)
        raise InvalidInput(
            f"{field.capitalize()} is one of {words}.", field=field, given=given, allowed=words
        )


def _check_number(field: str, given: object, most: int) -> None:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= most:
        raise InvalidInput(
            f"{field.capitalize()} is a whole number from 0 to {most}.", field=field, given=given,
            allowed=f"0 to {most}",
        )
