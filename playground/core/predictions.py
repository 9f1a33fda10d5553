"""What a model predicts at each position of a text, and the way from there to text; no tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playground.core.events import Candidate, Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt
from playground.core.structure import Shape
from playground.errors import InvalidInput

MOST_CHOICES = 20
MOST_TOKENS = 512  # of a text whose every position is shown


@dataclass(frozen=True, slots=True)
class Place:
    """One position: its token, the text that it adds, and what the model predicts there.

    ``choices`` are the likeliest tokens, best first: for the next place, or of an encoder for this
    one. ``entropy`` (nats) is of all of them. ``actual`` is the token that really stands there with
    its ``rank`` (1 is the likeliest); None and 0 behind the last one.
    """

    piece: Piece
    text: str
    choices: tuple[Candidate, ...]
    entropy: float
    actual: Candidate | None = None
    rank: int = 0


Step = Literal["hidden", "logits", "argmax", "text"]


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One step from a hidden state to text: the line of code that does it, what it gives.

    ``shape`` is that of all positions, ``values`` the first numbers at the one that is looked at.
    ``said`` is what is to be known of this model in particular.
    """

    step: Step
    code: str
    shape: Shape = ()
    dtype: str = ""
    values: tuple[float, ...] = ()
    text: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class PredictionsFound(Finding):
    """``places`` are all positions, ``walk`` the steps from the one at index ``at`` to its text.

    A ``masked`` language model predicts the token of each place itself, of which it sees both
    sides; ``mask`` is the id of its mask token. Without a head there are no predictions: then
    ``lacks`` says so, and there are neither places nor steps.
    """

    places: tuple[Place, ...]
    walk: tuple[WalkStep, ...] = ()
    at: int = -1
    masked: bool = False
    mask: int | None = None
    lacks: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Predictions(Inspection[PredictionsFound]):
    """What does the model predict at each position of this text? Raises InvalidInput."""

    prompt: Prompt
    choices: int = 5

    def __post_init__(self) -> None:
        given = self.choices
        if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_CHOICES:
            raise InvalidInput(
                f"From 1 to {MOST_CHOICES} candidates of each position can be shown; "
                f"{given!r} were asked for.",
                field="candidates", given=given, allowed=f"1 to {MOST_CHOICES}",
            )

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given, for the limits at the door."""
        return (self.prompt,)
