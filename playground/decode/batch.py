"""Members that share every forward: joining, leaving, padding, positions; it knows no text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import DynamicCache

from playground.core.events import Finished
from playground.decode import cache as kv
from playground.decode.captured import CapturedStep
from playground.decode.choice import read
from playground.decode.faults import FORWARD_FAULTS
from playground.decode.member import Forwarded, Member, Turn
from playground.models.lanes import inputs_of, new_cache, switches_at


@dataclass(frozen=True, slots=True)
class Read:
    """What the model gave for the tokens that were read; the states only where asked for.

    ``logits`` [rows, vocabulary] and ``layers`` [rows, width] each are of the last token,
    ``history`` [rows, tokens, width] are the last layer's of all tokens.
    """

    logits: torch.Tensor
    layers: tuple[torch.Tensor, ...] = ()
    history: torch.Tensor | None = None


def forward(
    lm: Any,
    ids: torch.Tensor,
    cache: DynamicCache | None,
    lengths: Sequence[int],
    with_states: bool = False,
    last: int = 1,
) -> Read:
    """Read the newest tokens of each row.

    ``ids`` [rows, tokens] are the tokens that the cache does not hold yet (all, without one),
    ``lengths`` how many tokens each row has with them; the rest of its columns is padding. The
    logits are those after the ``last`` tokens of each row, one row for each token.
    """
    known = inputs_of(lm, ids, cache, lengths, last)
    if with_states:
        known["output_hidden_states"] = True  # many take it without naming it
    out = lm(**known)
    logits = out.logits[:, -last:].flatten(0, 1)
    if not with_states:
        return Read(logits)
    states = out.hidden_states
    if not states or states[-1].dim() != 3:  # none, or several for each token
        raise ValueError("it gives no hidden state for each token, and this strategy needs them")
    return Read(logits, tuple(layer[:, -1] for layer in states), states[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Seated:
    """A member that has had its first turn, and what holds its prompts."""

    member: Member
    caches: Sequence[DynamicCache | None]
    parents: Sequence[int]


class Batch:
    """Members in the middle of decoding, one row of the cache for each of their texts."""

    def __init__(self, lm: Any, captured: CapturedStep | None = None) -> None:
        """``captured`` reads the steps, where it can."""
        self._lm = lm
        self._captured = captured
        self.members: list[Member] = []
        self._rows: list[int] = []  # how many each member has
        self._cache: DynamicCache | None = None

    @property
    def lengths(self) -> list[int]:
        """How many tokens each row has, its newest included."""
        return [length for member in self.members for length in member.lengths]

    @property
    def cache(self) -> DynamicCache | None:
        """What holds its rows; None where every text is read from its begin."""
        return self._cache

    def count_company(self) -> None:
        """Tell each member how many texts of others share the forward that comes."""
        texts = sum(self._rows)
        for member, count in zip(self.members, self._rows, strict=True):
            member.meet(texts - count)

    def join(self, newcomers: Sequence[Seated]) -> None:
        """Take in members; ``caches`` hold each of their prompts once and stay as they are."""
        parts: list[DynamicCache] = [] if self._cache is None else [self._cache]
        for cache, texts in _runs([(s.caches[p]) for s in newcomers for p in s.parents]):
            if cache is not None:
                parts.append(kv.copy(cache, [0] * texts))
        if parts:
            self._cache = kv.join(parts) if len(parts) > 1 else parts[0]
        self.members.extend(seated.member for seated in newcomers)
        self._rows.extend(len(seated.parents) for seated in newcomers)

    def part(self, members: Sequence[Member]) -> Batch:
        """A batch with the rows of these alone; they are here still, until they are let go."""
        other = Batch(self._lm, self._captured)
        rows: list[int] = []
        first = 0
        for member, count in zip(self.members, self._rows, strict=True):
            if member in members:
                rows.extend(range(first, first + count))
                other.members.append(member)
                other._rows.append(count)
            first += count
        if self._cache is not None:
            other._cache = kv.copy(self._cache, rows)
            kv.trim(other._cache, max(other.lengths) - 1)
        return other

    def absorb(self, other: Batch) -> None:
        """Take in all members of another batch, which is of no use after that."""
        if self._cache is not None and other._cache is not None:
            self._cache = kv.join([self._cache, other._cache])
        self.members.extend(other.members)
        self._rows.extend(other._rows)

    def settle(self, turns: Sequence[Turn | None]) -> None:
        """After a turn of each member: those leave whose turn was their last (or None, broken).

        The others' rows go on from the rows that their turn names, and the padding goes that only
        those who leave needed.
        """
        rows: list[int] = []
        stay: list[tuple[Member, int]] = []
        first = 0
        for member, count, turn in zip(self.members, self._rows, turns, strict=True):
            if turn is not None and not turn.is_last:
                parents = range(count) if turn.parents is None else turn.parents
                rows.extend(first + parent for parent in parents)
                stay.append((member, len(parents)))
            first += count
        left = len(stay) < len(self.members)
        self.members = [member for member, _ in stay]
        self._rows = [count for _, count in stay]
        if not self.members:
            self._cache = None
        elif self._cache is not None and rows != list(range(first)):
            kv.select(self._cache, rows)
            if left:
                kv.trim(self._cache, max(self.lengths) - 1)

    def cache_of(self, member: Member, text: int) -> DynamicCache | None:
        """A cache with one text of a member alone, all but its newest token."""
        if self._cache is None:
            return None
        place = sum(self._rows[: self.members.index(member)]) + text
        found = kv.copy(self._cache, [place])
        kv.trim(found, member.lengths[text] - 1)
        return found

    def forward(self, candidates: int) -> Forwarded:
        """One forward for all rows, over the newest token of each.

        A forward that raises leaves the cache as it was.
        """
        before = kv.Snapshot(self._cache) if self._cache is not None else None
        began = time.perf_counter()
        try:
            told = self._read(any(member.wants_states for member in self.members))
            return said(told, candidates, began)
        except FORWARD_FAULTS:
            if before is not None:
                before.restore()
            raise

    def _read(self, with_states: bool) -> Read:
        if self._cache is None:
            return self._whole(with_states)
        if must_read_anew(self._lm, self._cache, max(self.lengths)):
            # Rows that do not share with others: all texts of one member, and of one length.
            (member,) = self.members
            texts = torch.cat([member.whole(text) for text in range(len(member.lengths))])
            cache = new_cache(self._lm)
            told = forward(self._lm, texts, cache, self.lengths, with_states)
            self._cache = cache
            return told
        newest = torch.cat([member.newest() for member in self.members])
        cache, lengths = self._cache, self.lengths
        if self._captured is None or with_states:
            return forward(self._lm, newest, cache, lengths, with_states)

        def plainly() -> torch.Tensor:
            return forward(self._lm, newest, cache, lengths).logits

        return Read(self._captured.read(newest, cache, lengths, plainly))

    def _whole(self, with_states: bool) -> Read:
        """Without a cache every text is read from its begin, by itself."""
        told = [
            forward(self._lm, member.whole(text), None, [length], with_states)
            for member in self.members
            for text, length in enumerate(member.lengths)
        ]
        layers = zip(*(one.layers for one in told), strict=True)
        histories = [one.history[:, -1:] for one in told if one.history is not None]
        return Read(
            torch.cat([one.logits for one in told]),
            tuple(torch.cat(layer) for layer in layers),
            torch.cat(histories) if histories else None,
        )

    def turns(
        self, forwarded: Forwarded, act: Callable[[Member, Forwarded], Turn | None]
    ) -> list[Turn | None]:
        """Let every member act on its part of a forward."""
        turns, first = [], 0
        for member, count in zip(self.members, self._rows, strict=True):
            cached = member.lengths  # their newest too: it was read just now
            turn = act(member, forwarded.part(first, count))
            turns.append(turn and self.weighed(turn, cached))
            first += count
        return turns

    def weighed(self, turn: Turn, lengths: Sequence[int], unread: int = 0) -> Turn:
        """The turn of a member whose rows hold so many tokens each, but for the last ``unread``;
        where it is the last, it says how many bytes these fill."""
        cached = [length - unread for length in lengths]
        return weighed(turn, [(self._cache, cached)])


def must_read_anew(lm: Any, cache: DynamicCache, length: int) -> bool:
    """Whether a text of so many tokens cannot be read on with this cache, see ``switches_at``."""
    at = switches_at(lm)
    return at is not None and length > at >= kv.width(cache)


def said(told: Read, candidates: int, began: float) -> Forwarded:
    """What a forward says that ``began`` then; reading its numbers waits for a GPU to be done."""
    reading = read(told.logits, candidates)
    seconds = time.perf_counter() - began
    return Forwarded(told.logits, reading, told.layers, told.history, seconds)


def weighed(turn: Turn, parts: Iterable[tuple[DynamicCache | None, Sequence[int]]]) -> Turn:
    """The same turn; the end of a run says what it filled of its caches, each with how many tokens
    its rows have."""
    last = turn.events[-1] if turn.events else None
    if not isinstance(last, Finished):
        return turn
    size = sum(kv.filled(cache, tokens) for cache, tokens in parts if cache is not None)
    return replace(turn, events=[*turn.events[:-1], replace(last, cache_bytes=size)])


def _runs(caches: Sequence[DynamicCache | None]) -> list[tuple[DynamicCache | None, int]]:
    """Neighbours that are the same cache, counted: each is copied once with so many rows."""
    runs: list[tuple[DynamicCache | None, int]] = []
    for cache in caches:
        if runs and runs[-1][0] is cache:
            runs[-1] = (cache, runs[-1][1] + 1)
        else:
            runs.append((cache, 1))
    return runs
