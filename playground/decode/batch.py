"""Rows that share every forward: joining, leaving, padding, positions; it knows no text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from playground.decode import cache as kv
from playground.decode.row import Row
from playground.models.lanes import RECOMPUTE, new_cache, takes

# Tokens of a prompt that are read at once, so that other rows go on in between (8 % slower than
# reading 256 at a time costs in a 124M model; less for more).
CHUNK = 512

Known = tuple[int, DynamicCache]


def forward(
    lm: Any, ids: torch.Tensor, cache: DynamicCache | None, lengths: Sequence[int]
) -> torch.Tensor:
    """The logits [rows, vocabulary] after the last token of each row.

    ``ids`` [rows, tokens] are the tokens that the cache does not hold yet (all, without one),
    ``lengths`` how many tokens each row has with them; the rest of its columns is padding.
    """
    new = ids.shape[1]
    columns = (kv.width(cache) if cache is not None else 0) + new
    column = torch.arange(columns, device=ids.device)
    padding = columns - torch.tensor(lengths, device=ids.device)[:, None]
    mask = (column >= padding).long()
    inputs = {
        "attention_mask": mask,
        "position_ids": (column - padding).clamp(min=0)[:, -new:],
        "past_key_values": cache,
        "use_cache": cache is not None,
        "logits_to_keep": 1,
    }
    logits: torch.Tensor = lm(
        input_ids=ids, **{name: value for name, value in inputs.items() if takes(lm, name)}
    ).logits
    return logits[:, -1]


class Prefill:
    """A prompt on its way into a cache, for all rows that begin with it."""

    def __init__(self, lm: Any, lane: str, row: Row, known: Known | None = None) -> None:
        """``known`` is how many tokens need not be read, and the cache that holds them."""
        self._lm = lm
        self.ids = row.encoded.ids
        self.rows = [row]
        self.reused, self.cache = known or (0, None if lane == RECOMPUTE else new_cache(lm))
        self.done = self.reused

    @property
    def is_new(self) -> bool:
        """Whether nothing has been read yet."""
        return self.done == self.reused

    def takes(self, row: Row) -> bool:
        """Whether a row can share this prefill: the very same ids, and not begun."""
        return self.is_new and row.encoded.ids == self.ids

    def advance(self) -> torch.Tensor | None:
        """Read the next chunk; the logits [1, vocabulary] after the prompt once it is all read."""
        end = min(self.done + CHUNK, len(self.ids)) if self.cache is not None else len(self.ids)
        chunk = torch.tensor([self.ids[self.done : end]], device=self._lm.device)
        logits = forward(self._lm, chunk, self.cache, [end])
        self.done = end
        return logits if end == len(self.ids) else None


class Batch:
    """Rows in the middle of decoding. A row of ``n`` tokens has ``n - 1`` of them in the cache."""

    def __init__(self, lm: Any) -> None:
        self._lm = lm
        self.rows: list[Row] = []
        self._cache: DynamicCache | None = None

    def join(self, rows: Sequence[Row], cache: DynamicCache | None) -> None:
        """Take in rows that have the same prompt; ``cache`` holds it once."""
        if cache is not None:
            newcomers = kv.copy(cache, [0] * len(rows))
            self._cache = (
                kv.join([self._cache, newcomers]) if self._cache is not None else newcomers
            )
        self.rows.extend(rows)

    def leave(self, gone: Sequence[Row]) -> None:
        """Let rows go, and the padding that only they needed."""
        if not gone:
            return
        stay = [i for i, row in enumerate(self.rows) if not any(row is other for other in gone)]
        self.rows = [self.rows[i] for i in stay]
        if not self.rows:
            self._cache = None
        elif self._cache is not None:
            kv.select(self._cache, stay)
            kv.trim(self._cache, max(row.length for row in self.rows) - 1)

    def cache_of(self, row: Row) -> DynamicCache | None:
        """A cache with one row's tokens alone, all but its newest."""
        if self._cache is None:
            return None
        found = kv.copy(self._cache, [self.rows.index(row)])
        kv.trim(found, row.length - 1)
        return found

    def forward(self) -> torch.Tensor:
        """One forward for all rows: the logits [rows, vocabulary] after each one's newest token.

        A forward that raises leaves the cache as it was.
        """
        if self._cache is None:
            # Without a cache every row reads its whole text; such a batch has one row.
            return forward(self._lm, self.rows[0].ids, None, [self.rows[0].length])
        before = kv.Snapshot(self._cache)
        newest = torch.cat([row.ids[:, -1:] for row in self.rows])
        try:
            return forward(self._lm, newest, self._cache, [row.length for row in self.rows])
        except (RuntimeError, ValueError, TypeError, LookupError, MemoryError):
            before.restore()
            raise
