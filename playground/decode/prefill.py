"""A prompt on its way into a KV cache, for every member that begins with it; it knows no batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from playground.decode.batch import forward
from playground.decode.choice import read
from playground.decode.member import Forwarded, Member
from playground.models.lanes import RECOMPUTE, new_cache

# Tokens of prompts that are read in one step, so that those who decode go on in between (8 % slower
# than reading 256 at a time costs in a 124M model; less for more).
CHUNK = 512

Known = tuple[int, DynamicCache]


class Prefill:
    """One prompt, read chunk by chunk."""

    def __init__(
        self, lm: Any, lane: str, ids: tuple[int, ...], known: Known | None = None, *,
        with_states: bool = False, alone: bool = False,
    ) -> None:
        """``known`` is how many tokens need not be read, and the cache that holds them.

        ``with_states`` asks for hidden states; ``alone`` reads all at once and
        shares nothing, so that the shapes are those of ``generate()``.
        """
        self._lm = lm
        self.ids = ids
        self.reused, self.cache = known or (0, None if lane == RECOMPUTE else new_cache(lm))
        self.done = self.reused
        self.with_states, self.alone = with_states, alone
        self.said: Forwarded | None = None
        self._histories: list[torch.Tensor] = []

    @property
    def is_new(self) -> bool:
        """Whether nothing has been read yet."""
        return self.done == self.reused

    @property
    def left(self) -> int:
        """How many tokens are still to be read."""
        return len(self.ids) - self.done

    def serves(self, ids: tuple[int, ...], with_states: bool, alone: bool) -> bool:
        """Whether somebody else can share this: the very same ids, and not begun."""
        wanted = (ids, with_states, alone)
        return not alone and self.is_new and wanted == (self.ids, self.with_states, self.alone)

    def advance(self, most: int, candidates: int) -> int:
        """Read at most ``most`` tokens; gives how many. ``said`` is there once all are read."""
        whole = self.alone or self.cache is None
        end = len(self.ids) if whole else min(self.done + most, len(self.ids))
        chunk = torch.tensor([self.ids[self.done : end]], device=self._lm.device)
        told = forward(self._lm, chunk, self.cache, [end], self.with_states)
        count, self.done = end - self.done, end
        if told.history is not None:
            self._histories.append(told.history)
        if end == len(self.ids):
            history = torch.cat(self._histories, dim=1) if self._histories else None
            reading = read(told.logits, candidates)
            self.said = Forwarded(told.logits, reading, told.layers, history)
            self._histories = []
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A member whose prompts are being read."""

    member: Member
    prefills: Sequence[Prefill]

    @property
    def is_ready(self) -> bool:
        """Whether all of its prompts are read."""
        return all(prefill.said is not None for prefill in self.prefills)
