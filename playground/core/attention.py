"""Attention as a question and as what it finds: how much each token looked at each other one, by
layer and head; it knows no tensor."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt
from playground.errors import InvalidInput

MOST_TOKENS = 256
LARGEST_THUMB = 40  # pixels of a head's picture, each way


@dataclass(frozen=True)
class AttentionRequest(Inspection["AttentionFound"]):
    """The attention of one ``head`` of one ``layer``; None is the mean over all of them.

    Both count from 1. ``without_first``: what a head gives to the first token is left out and each
    row made to sum to one again, in every head before any mean. Raises InvalidInput.
    """

    text: Prompt
    layer: int | None = None
    head: int | None = None
    without_first: bool = False

    def __post_init__(self) -> None:
        _check(self.layer, "layer")
        _check(self.head, "head")
        if self.layer is None and self.head is not None:
            raise InvalidInput(
                "A head is one of a layer: the mean over the layers has none.", field="head",
                given=self.head, advice="Choose a layer first.",
            )

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """See Inspection."""
        return (self.text,)


@dataclass(frozen=True)
class HeadsRequest(Inspection["HeadsFound"]):
    """Every head of a ``layer`` as a small picture; for None every layer's mean. Raises
    InvalidInput."""

    text: Prompt
    layer: int | None = None
    without_first: bool = False

    def __post_init__(self) -> None:
        _check(self.layer, "layer")

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """See Inspection."""
        return (self.text,)


@dataclass(frozen=True, slots=True)
class AttentionFound(Finding):
    """``weights``: 16-bit little-endian numbers, 65535 is all of a token's attention, row after
    row; of a ``causal`` model only up to the token itself.

    ``layers`` are those that have attention weights, of ``depth`` layers in all, each with its
    count of heads in ``heads``. ``sink`` is the mean share that the tokens behind the first give
    to the first. ``notices`` say what the model cannot show.
    """

    pieces: tuple[Piece, ...]
    layer: int | None
    head: int | None
    causal: bool
    weights: bytes
    sink: float
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    depth: int
    notices: tuple[str, ...] = ()

    def weight(self, row: int, column: int) -> float:
        """How much the token of a ``row`` looks at that of a ``column``."""
        if self.causal and column > row:
            return 0.0
        size = len(self.pieces)
        place = 2 * (row * (row + 1) // 2 + column if self.causal else row * size + column)
        return int.from_bytes(self.weights[place : place + 2], "little") / 65535


@dataclass(frozen=True, slots=True)
class HeadsFound(Finding):
    """``pictures``: a byte a pixel, ``size`` by ``size`` for each of ``names`` (heads of the layer,
    or layers), the square root of the largest weight that a pixel stands for, 255 for one.

    ``sinks`` are each one's mean share on the first token.
    """

    layer: int | None
    names: tuple[int, ...]
    size: int
    pictures: bytes
    sinks: tuple[float, ...]


def _check(value: object, field: str) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InvalidInput(f"The {field} is a whole number from 1.", field=field, given=value)
