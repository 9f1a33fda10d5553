"""The logit lens as a question and as what it finds: what each layer would say next, if the model
ended there; it knows no tensor.

After nostalgebraist, "interpreting GPT: the logit lens" (LessWrong 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt, check_text
from playground.errors import InvalidInput

CELLS = 800       # layers times positions that one look computes, about
NARROWEST, WIDEST = 8, 32  # positions of a window
TOP = 10
LONGEST_WATCHED = 200  # characters


@dataclass(frozen=True)
class LensRequest(Inspection["LensFound"]):
    """Layer by position over a window of positions.

    ``first`` is where the window begins, None for the last one that is full. ``watch`` is a token
    by its id or by its text; None watches what the model itself would say after the last position
    of the window. Raises InvalidInput.
    """

    text: Prompt
    first: int | None = None
    watch: int | str | None = None

    def __post_init__(self) -> None:
        _check_place(self.first, "position")
        if isinstance(self.watch, str):
            check_text(self.watch, "watched token")
            if not 0 < len(self.watch) <= LONGEST_WATCHED:
                raise InvalidInput(
                    f"The watched token has {len(self.watch)} characters; it may have from 1 to "
                    f"{LONGEST_WATCHED}.", field="watched token",
                    given=f"{len(self.watch)} characters", allowed=f"1 to {LONGEST_WATCHED}",
                )
        else:
            _check_place(self.watch, "watched token")

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """See Inspection."""
        return (self.text,)


@dataclass(frozen=True)
class LensTopRequest(Inspection["LensTop"]):
    """The likeliest tokens of one cell; of the last one for a ``layer`` and ``position`` of None.
    Raises InvalidInput."""

    text: Prompt
    layer: int | None = None
    position: int | None = None

    def __post_init__(self) -> None:
        _check_place(self.layer, "layer")
        _check_place(self.position, "position")

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """See Inspection."""
        return (self.text,)


@dataclass(frozen=True, slots=True)
class LensCell:
    """What one layer says at one position: its likeliest token with its probability, how open the
    choice is (``entropy``, nats), and the watched token's probability and rank (1 is first)."""

    top: Piece
    probability: float
    entropy: float
    watched: float
    rank: int


@dataclass(frozen=True, slots=True)
class LensFound(Finding):
    """``rows``: one for each of ``layers`` (0 for the embeddings, where the model tells them), each
    with a cell for every position of the window from ``first`` on.

    ``read`` are the window's tokens, ``next`` the one behind it where the text goes on, ``tokens``
    how many the text has. ``end``: the modules between the last layer and the head, by their class,
    which were put on every layer's state. ``notices`` say what is to be known of it. ``masked``: an
    encoder, whose cells guess the token of their own place and not the next one.
    """

    tokens: int
    first: int
    read: tuple[Piece, ...]
    next: Piece | None
    watched: Piece
    layers: tuple[int, ...]
    rows: tuple[tuple[LensCell, ...], ...]
    end: str = ""
    notices: tuple[str, ...] = ()
    masked: bool = False


@dataclass(frozen=True, slots=True)
class LensTop(Finding):
    """The likeliest tokens of a cell with their probabilities."""

    layer: int
    position: int
    top: tuple[tuple[Piece, float], ...]


def width_of(rows: int) -> int:
    """How many positions one look takes in, when so many layers are shown."""
    return max(NARROWEST, min(WIDEST, CELLS // rows))


def came_first(ranks: Sequence[int]) -> int | None:
    """From which place on a token is the first choice, through to the last one; None where the last
    layer puts another one first. ``ranks`` of each layer, from the first on."""
    first = None
    for place, rank in enumerate(ranks):
        if rank != 1:
            first = None
        elif first is None:
            first = place
    return first


def _check_place(value: object, field: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"The {field} is a whole number from 0.", field=field, given=value)
