"""What is asked of a loaded model's inside and what that finds; it knows no model and no tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from playground.core.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Finding:
    """What an inspection found: one subclass for each kind, all of it small plain values."""


F = TypeVar("F", bound=Finding, covariant=True)


@dataclass(frozen=True)
class Inspection(Generic[F]):
    """One question about a loaded model, answered by its own subclass of ``Finding``.

    A ``quick`` one needs no forward pass: it takes no turn among those who wait for the model.
    """

    quick: ClassVar[bool] = False

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given, for the limits at the door."""
        return ()

    def refuse_encoder(self) -> None:
        """Raise InvalidInput where an encoder has no answer to this."""
