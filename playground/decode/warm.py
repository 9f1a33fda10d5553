"""KV caches of runs that ended, kept for a prompt that begins alike; it knows no run, no text.

The next turn of a chat begins with the whole turn before it: only what is new must be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import DynamicCache

from playground.decode import cache as kv

MOST_ENTRIES = 4
MOST_BYTES = 256 * 2**20
WORTH_IT = 8  # tokens; below, a copy of the cache costs more than reading them again


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """The ids that one row's cache holds."""

    ids: tuple[int, ...]
    cache: DynamicCache


class WarmCaches:
    """The latest few, the longest unused of them dropped first."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def keep(self, ids: Sequence[int], cache: DynamicCache) -> None:
        """Keep a cache of one row that holds exactly ``ids``; one that it continues is replaced."""
        ids = tuple(ids)
        others = [entry for entry in self._entries if ids[: len(entry.ids)] != entry.ids]
        self._entries = [*others, Entry(ids, cache)][-MOST_ENTRIES:]
        while sum(kv.size(entry.cache) for entry in self._entries) > MOST_BYTES:
            self._entries.pop(0)

    def find(self, ids: Sequence[int]) -> tuple[int, DynamicCache] | None:
        """How many tokens of ``ids`` are known already, and a cache that holds just these.

        One token is always left to read: its logits choose the first new token.
        """
        best = max(self._entries, key=lambda e: _common(e.ids, ids), default=None)
        known = min(_common(best.ids, ids), len(ids) - 1) if best is not None else 0
        if best is None or known < WORTH_IT:
            return None
        self._entries.remove(best)
        self._entries.append(best)
        cache = kv.copy(best.cache, [0])
        cache.crop(known - len(best.ids))
        return known, cache

    def clear(self) -> None:
        """Give the memory back."""
        self._entries = []


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
