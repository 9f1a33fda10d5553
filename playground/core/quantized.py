"""What one copy of a model expects at each position of a text, to be laid beside another copy's."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt
from playground.core.run import Quantization
from playground.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Likely:
    """A token that could come next, and its log-probability in nats."""

    piece: Piece
    logprob: float


@dataclass(frozen=True, slots=True)
class ExpectedFound(Finding):
    """What the model expects behind the tokens of a text, and what this copy of it costs.

    ``tops`` are the likeliest next tokens behind each token from ``first`` on, the likeliest
    first. ``logprobs`` are those of the same distributions, whole: float32 in the machine's byte
    order, position by position, ``vocabulary`` numbers each. ``told`` is what the text's own next
    token got (nats), behind every token but the last. ``seconds`` are of one pass over the text,
    the second of two; ``weights`` are bytes in memory, ``name`` is the copy's for people.
    """

    pieces: tuple[Piece, ...]
    first: int
    tops: tuple[tuple[Likely, ...], ...]
    told: tuple[float, ...]
    vocabulary: int
    seconds: float
    weights: int
    name: str
    quantization: Quantization
    dtype: str
    device: str
    logprobs: bytes = field(repr=False)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected(Inspection[ExpectedFound]):
    """Asks what a model expects at each position of a text, with whole distributions."""

    prompt: Prompt
    top: int = 3

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The text."""
        return (self.prompt,)

    def refuse_encoder(self) -> None:
        """It has no next token."""
        raise InvalidInput(
            "An encoder expects no next token, so there is nothing to compare here.", field="model",
            advice="Choose a model that writes.",
        )
