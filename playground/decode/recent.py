"""The latest steps as they were before anything was chosen, within a bound; it chooses nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch

from playground.core.run import Run
from playground.errors import InvalidInput
from playground.models.text import Encoded

MOST_BYTES = 64 * 2**20
MOST_STEPS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What a row knew at its step number ``position``, before its processors and its dice.

    ``logits`` [1, vocabulary] and their ``entropy`` are the model's own. ``ids`` [1, tokens] are
    those of the row itself, which writes behind them and never over them; ``run`` has the settings
    that the step was chosen with. ``dice`` is the state of its generator, ``mu`` that of Mirostat,
    ``other`` the logits [1, vocabulary] that guidance steers away from, ``layers`` [layers, width]
    the states that DoLa reads; None where the run has none.
    """

    run: Run
    encoded: Encoded
    ids: torch.Tensor
    position: int
    logits: torch.Tensor
    entropy: float
    dice: torch.Tensor | None = None
    mu: float | None = None
    other: torch.Tensor | None = None
    layers: torch.Tensor | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is before the first step that its run told."""
        return self.position == (len(self.run.fork.ids) if self.run.fork is not None else 0)

    @property
    def bytes(self) -> int:
        """What only this moment holds."""
        own = (self.logits, self.dice, self.other, self.layers)
        return sum(tensor.nbytes for tensor in own if tensor is not None)

    @property
    def shared_bytes(self) -> int:
        """What all moments with this text hold together; new settings may give a run a new one."""
        prompt = (self.encoded.ids, self.encoded.pieces, self.encoded.rendered)
        return self.ids.nbytes + sum(map(sys.getsizeof, prompt))


class RecentSteps:
    """The moments of all rows, those that have ended too; the oldest are dropped first."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_steps: int = MOST_STEPS) -> None:
        self._most_bytes, self._most_steps = most_bytes, most_steps
        self._moments: dict[tuple[int, int], Moment] = {}
        self._sharing: dict[int, int] = {}  # how many moments hold each text, by its identity
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._moments)

    def keep(self, key: int, moment: Moment) -> None:
        """Keep a step of the run ``key``; a first step forgets an earlier run of this name."""
        if moment.is_first:
            for place in [place for place in self._moments if place[0] == key]:
                self._drop(place)
        if (key, moment.position) in self._moments:
            self._drop((key, moment.position))
        if id(moment.ids) not in self._sharing:
            self._sharing[id(moment.ids)] = 0
            self.bytes += moment.shared_bytes
        self._sharing[id(moment.ids)] += 1
        self._moments[key, moment.position] = moment
        self.bytes += moment.bytes
        while self.bytes > self._most_bytes or len(self._moments) > self._most_steps:
            self._drop(next(iter(self._moments)))

    def find(self, key: int, position: int) -> Moment:
        """The moment before step ``position`` of a run. Raises InvalidInput where it is gone."""
        found = self._moments.get((key, position))
        if found is None:
            raise InvalidInput(
                f"Token {position + 1} of this run is not stored: only the latest steps are, and "
                "none of a beam search.",
                field="position",
                given=position,
                advice="Run it again to look at it.",
            )
        return found

    def clear(self) -> None:
        """Give the memory back."""
        self._moments, self._sharing, self.bytes = {}, {}, 0

    def _drop(self, place: tuple[int, int]) -> None:
        moment = self._moments.pop(place)
        self.bytes -= moment.bytes
        self._sharing[id(moment.ids)] -= 1
        if not self._sharing[id(moment.ids)]:
            del self._sharing[id(moment.ids)]
            self.bytes -= moment.shared_bytes
