"""What takes part in a batch, and what one forward gives it; it knows no cache and no loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from playground.core.events import Event, Failed, Finished, Reason
from playground.core.run import Run
from playground.decode.choice import Reading


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What one forward says after the last token of each text, before any processor.

    ``logits`` [texts, vocabulary]; ``reading`` the distributions they make. Where a member needs
    hidden states: ``layers`` those of the last token, one [texts, width] for the embeddings and
    one for each layer; ``history`` those of the last layer, [texts, tokens read, width].
    ``seconds`` of wall time passed until its numbers could be read, so that a GPU was done; all
    texts of a batch share them.
    """

    logits: torch.Tensor
    reading: Reading
    layers: tuple[torch.Tensor, ...] = ()
    history: torch.Tensor | None = None
    seconds: float = 0.0

    def part(self, first: int, count: int) -> Forwarded:
        """What belongs to ``count`` texts from the ``first``."""
        if first == 0 and count == self.logits.shape[0]:
            return self
        rows = slice(first, first + count)
        return Forwarded(
            self.logits[rows],
            self.reading.part(rows),
            tuple(layer[rows] for layer in self.layers),
            self.history[rows] if self.history is not None else None,
            self.seconds,
        )

    def expand(self, count: int) -> Forwarded:
        """The same for ``count`` texts that are one so far."""
        return Forwarded(
            self.logits.expand(count, -1),
            self.reading.expand(count),
            tuple(layer.expand(count, -1) for layer in self.layers),
            self.history.expand(count, -1, -1) if self.history is not None else None,
            self.seconds,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """What a member did with a forward.

    ``parents`` says which of its texts its next ones continue, in order, where they are not the
    same ones: places in its list of texts (of prompts, at its first turn).
    """

    events: Sequence[Event]
    parents: Sequence[int] | None = None

    @property
    def is_last(self) -> bool:
        """Whether the run is over."""
        return bool(self.events) and isinstance(self.events[-1], Finished | Failed)


States = Literal["", "newest", "all"]


class Member(Protocol):
    """A run in a batch: one text, or several that are decoded together (beams, for one).

    A text of ``n`` tokens has ``n - 1`` of them in the KV cache: its newest is read next.
    """

    key: int
    run: Run

    @property
    def prompts(self) -> Sequence[tuple[int, ...]]:
        """The ids that must be read before its first turn; most have one such text."""

    @property
    def wants_states(self) -> States:
        """Of which tokens it needs the hidden states; those of its prompt are among "all"."""

    @property
    def lengths(self) -> Sequence[int]:
        """How many tokens each of its texts has, the newest included."""

    def newest(self) -> torch.Tensor:
        """The newest token of each text, [texts, 1]."""

    def whole(self, text: int) -> torch.Tensor:
        """All tokens of one text, [1, tokens], for a model that reads them all every time."""

    def start_clock(self) -> None:
        """Its prompt is about to be read."""

    def meet(self, others: int) -> None:
        """So many texts of other runs share its next forward."""

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """The first turn, from what was said after each of its prompts."""

    def advance(self, forwarded: Forwarded) -> Turn:
        """One more turn, from a forward over its newest tokens."""

    def end(self, reason: Reason) -> Sequence[Event]:
        """Stopped from outside: its last events."""
