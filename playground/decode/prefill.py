"""A prompt on its way into a KV cache, for every member that begins with it; it knows no batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from playground.core.events import Started
from playground.core.facts import Facts, Spelled
from playground.core.messages import ModelCard
from playground.decode.batch import forward, said, weighed
from playground.decode.choice import read
from playground.decode.member import Forwarded, Member, States, Turn
from playground.decode.warm import Known
from playground.models.lanes import RECOMPUTE, WHOLE, new_cache
from playground.models.text import Encoded

# Tokens of prompts that are read in one step, so that those who decode go on in between (8 % slower
# than reading 256 at a time costs in a 124M model; less for more).
CHUNK = 512


class Prefill:
    """One prompt, read chunk by chunk."""

    def __init__(
        self, lm: Any, lane: str, ids: tuple[int, ...], *,
        with_states: States = "", alone: bool = False,
    ) -> None:
        """``with_states``: the hidden states that are asked for; ``alone`` reads all at once and
        shares nothing, so that the shapes are those of ``generate()``.
        """
        self._lm = lm
        self.ids, self._lane = ids, lane
        self.with_states, self.alone = with_states, alone
        self._whole = alone or lane in (WHOLE, RECOMPUTE)
        self.cache = None if lane == RECOMPUTE else new_cache(lm)
        self.reused = self.done = 0
        self.is_new = True
        self.said: Forwarded | None = None
        self._histories: list[torch.Tensor] = []
        self._logits: torch.Tensor | None = None

    @property
    def can_reuse(self) -> bool:
        """Whether a cache that knows its beginning would serve."""
        return not self._whole and self.with_states != "all"

    def begin(self, known: Known | None) -> None:
        """It is about to be read, but for what is ``known``."""
        self.is_new = False
        if known is not None:
            self.reused = self.done = known.tokens
            self.cache, self._logits = known.cache, known.logits

    def serves(self, ids: tuple[int, ...], lane: str, with_states: States, alone: bool) -> bool:
        """Whether somebody else can share this: the very same ids, and not begun."""
        wanted = (ids, lane, with_states, alone)
        mine = (self.ids, self._lane, self.with_states, self.alone)
        return not alone and self.is_new and wanted == mine

    def advance(self, most: int, candidates: int) -> int:
        """Read at most ``most`` tokens; gives how many. ``said`` is there once all are read."""
        if self._logits is not None:  # all is known
            self.said = Forwarded(self._logits, read(self._logits, candidates))
            return 0
        end = len(self.ids) if self._whole else min(self.done + most, len(self.ids))
        chunk = torch.tensor([self.ids[self.done : end]], device=self._lm.device)
        began = time.perf_counter()
        told = forward(self._lm, chunk, self.cache, [end], bool(self.with_states))
        count, self.done = end - self.done, end
        if told.history is not None:
            self._histories.append(told.history)
        if end == len(self.ids):
            history = torch.cat(self._histories, dim=1) if self._histories else None
            self.said = replace(said(told, candidates, began), history=history)
            self._histories = []
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A member whose prompts are being read."""

    member: Member
    prefills: Sequence[Prefill]
    encoded: Encoded
    notices: tuple[str, ...]
    spelled: Spelled

    def started(self, card: ModelCard, facts: Facts) -> Started:
        """What is told once the first of its prompts is about to be read."""
        told = self.encoded
        notices = (*told.notices, *self.notices)
        return Started(
            told.pieces, told.rendered, card.context, notices, self.prefills[0].reused,
            card.commit, facts, self.spelled,
        )

    @property
    def is_ready(self) -> bool:
        """Whether all of its prompts are read."""
        return all(prefill.said is not None for prefill in self.prefills)

    def weighed(self, turn: Turn) -> Turn:
        """Its first turn, or its end before that; where it is over, with the bytes it filled."""
        return weighed(turn, [(prefill.cache, [prefill.done]) for prefill in self.prefills])
