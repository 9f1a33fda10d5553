"""What KV caches hold already of a prompt: those of runs that ended, and of those that still run.

The next turn of a chat begins with the whole turn before it, an edited question with all that stood
before it, another strategy with the very same prompt, another way on with all of an answer up to
a place in it: only what is new must be read. It knows no run and no text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from playground.decode import cache as kv

MOST_ENTRIES = 16
MOST_BYTES = 256 * 2**20
WORTH_IT = 8  # tokens; below, a copy of the cache costs more than reading them again


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """How many tokens need not be read, a cache that holds just these, and what follows them.

    ``logits`` [1, vocabulary] are there where the whole prompt is known: nothing must be read then.
    """

    tokens: int
    cache: DynamicCache
    logits: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """The ids that one row's cache holds."""

    ids: tuple[int, ...]
    cache: DynamicCache
    logits: torch.Tensor | None
    can_crop: bool

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        logits = self.logits
        said = logits.numel() * logits.element_size() if logits is not None else 0
        return kv.size(self.cache) + said

    def copy(self) -> DynamicCache:
        """The row once more."""
        return kv.copy(self.cache, [0])


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """The ids that the cache of a row holds which is being decoded, and how to ``copy`` that."""

    ids: tuple[int, ...]
    copy: Callable[[], DynamicCache | None]
    can_crop: bool
    logits: None = None


def _known(holder: Entry | Running, ids: tuple[int, ...], to_read: bool) -> int:
    """How many tokens of ``ids`` it can stand for: all, where it has the logits behind them and
    none is ``to_read``, or else all but one.

    A cache that cannot be cropped (a sliding window, a recurrent state) serves whole or not.
    """
    common = _common(holder.ids, ids)
    if common == len(ids) == len(holder.ids) and holder.logits is not None and not to_read:
        return common
    if not holder.can_crop:
        return common if common == len(holder.ids) < len(ids) else 0
    return min(common, len(ids) - 1)


class WarmCaches:
    """The latest few within a budget of bytes, the longest unused of them dropped first."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self._entries: list[Entry] = []
        self._most_bytes = MOST_BYTES if most_bytes is None else most_bytes

    def keep(
        self, ids: Sequence[int], cache: DynamicCache, logits: torch.Tensor | None = None
    ) -> None:
        """Keep a cache of one row that holds exactly ``ids``; one that it can stand for goes.

        ``logits`` [1, vocabulary] are those after the last of them, where they are known.
        """
        new = Entry(tuple(ids), cache, logits, kv.can_crop(cache))
        self._entries = [entry for entry in self._entries if not _stands_for(new, entry)]
        self._entries = [*self._entries, new][-MOST_ENTRIES:]
        while sum(entry.bytes for entry in self._entries) > self._most_bytes:
            self._entries.pop(0)

    def find(
        self, ids: Sequence[int], running: Iterable[Running] = (), *, to_read: bool = False
    ) -> Known | None:
        """What is known of ``ids`` already; the cache is a copy, which may be written to.

        What is ``running`` is looked at only where more than one token is left to read without. One
        is left in any case where it is ``to_read``, for what the logits do not tell.
        """
        wanted = tuple(ids)

        def known_by(holder: Entry | Running) -> int:
            return _known(holder, wanted, to_read)

        best: Entry | Running | None = max(self._entries, key=known_by, default=None)
        if best is None or known_by(best) < len(wanted) - 1:
            best = max([*running, *([best] if best else [])], key=known_by, default=None)
        known = known_by(best) if best is not None else 0
        if best is None or known < WORTH_IT:
            return None
        if isinstance(best, Entry):
            self._entries.remove(best)
            self._entries.append(best)
        cache = best.copy()
        if cache is None:
            return None
        if known < len(best.ids):
            cache.crop(known - len(best.ids))
        return Known(known, cache, best.logits if known == len(wanted) else None)

    def clear(self) -> None:
        """Give the memory back."""
        self._entries = []


def _stands_for(new: Entry, old: Entry) -> bool:
    """Whether whatever the old entry could serve, the new one can."""
    if new.ids == old.ids:
        return new.logits is not None or old.logits is None
    return new.can_crop and new.ids[: len(old.ids)] == old.ids


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """The length of the common beginning, by comparing ever smaller pieces."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
