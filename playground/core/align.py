"""Two sequences aligned: where they are equal, in bounded time; it knows no token and no page."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

# difflib takes as long as there are pairs of places, so it only gets what lies between anchors.
MOST_PAIRS = 40_000
MOST_ROUNDS = 200

# A word with the space before it; scripts without spaces between words go character by character.
_WORD = re.compile(r"\s*(?:[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+|\S)|\s+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """``count`` elements that are equal, from ``first`` in one and ``second`` in the other."""

    first: int
    second: int
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """A part of a text that both have ("same"), only the first ("gone") or the second ("new")."""

    kind: Literal["same", "gone", "new"]
    text: str


def stretches(a: Sequence[Hashable], b: Sequence[Hashable]) -> tuple[Stretch, ...]:
    """The equal stretches of two sequences, in the order of both; touching ones are joined.

    As patience diff (Bram Cohen): what both have exactly once is an anchor, the longest chain of
    anchors in the same order splits both, and the short parts in between go to difflib. A long
    part without an anchor, such as a loop, stays unaligned but for its two ends: 4,000 elements
    that all differ or all repeat take no longer than 4,000 ordinary ones.
    """
    found: list[Stretch] = []
    waiting, rounds = [(0, len(a), 0, len(b))], 0
    while waiting and rounds < MOST_ROUNDS:
        a0, a1, b0, b1 = waiting.pop()
        start = 0
        while a0 + start < a1 and b0 + start < b1 and a[a0 + start] == b[b0 + start]:
            start += 1
        found.append(Stretch(a0, b0, start))
        a0, b0 = a0 + start, b0 + start
        end = 0
        while a0 < a1 - end and b0 < b1 - end and a[a1 - end - 1] == b[b1 - end - 1]:
            end += 1
        a1, b1 = a1 - end, b1 - end
        found.append(Stretch(a1, b1, end))
        if (a1 - a0) * (b1 - b0) <= MOST_PAIRS:
            matcher = SequenceMatcher(None, a[a0:a1], b[b0:b1], autojunk=False)
            found += [Stretch(a0 + m.a, b0 + m.b, m.size) for m in matcher.get_matching_blocks()]
            continue
        rounds += 1
        edges = [(a0, b0), *_anchors(a, b, (a0, a1, b0, b1)), (a1, b1)]
        if len(edges) > 2:
            waiting += [(x0, x1, y0, y1)
                        for (x0, y0), (x1, y1) in zip(edges, edges[1:], strict=False)]
    return _joined(found)


def _anchors(
    a: Sequence[Hashable], b: Sequence[Hashable], within: tuple[int, int, int, int]
) -> list[tuple[int, int]]:
    """The longest chain of pairs of places whose element both have once, in rising order."""
    a0, a1, b0, b1 = within
    once_a = {x for x, n in Counter(a[a0:a1]).items() if n == 1}
    once_b = {x for x, n in Counter(b[b0:b1]).items() if n == 1}
    places = {b[j]: j for j in range(b0, b1) if b[j] in once_b and b[j] in once_a}
    pairs = [(i, places[a[i]]) for i in range(a0, a1) if a[i] in places]
    # The longest rising subsequence, by the least end of a chain of each length.
    ends: list[int] = []
    chain: list[int] = []
    before: list[int | None] = []
    for n, (_, j) in enumerate(pairs):
        at = bisect_left(ends, j)
        before.append(chain[at - 1] if at else None)
        ends[at:at + 1], chain[at:at + 1] = [j], [n]
    found: list[tuple[int, int]] = []
    link = chain[-1] if chain else None
    while link is not None:
        found.append(pairs[link])
        link = before[link]
    return found[::-1]


def _joined(found: Sequence[Stretch]) -> tuple[Stretch, ...]:
    joined: list[Stretch] = []
    for one in sorted((s for s in found if s.count), key=lambda s: s.first):
        last = joined[-1] if joined else None
        if last and last.first + last.count == one.first \
                and last.second + last.count == one.second:
            joined[-1] = Stretch(last.first, last.second, last.count + one.count)
        else:
            joined.append(one)
    return tuple(joined)


def words_of(text: str) -> list[str]:
    """The words of a text, each with the space before it; together they are the text."""
    return _WORD.findall(text)


def word_diff(first: str, second: str) -> tuple[Change, ...]:
    """What must change in the first text to get the second, word by word.

    Space is no difference: what is the same is told as the second has it.
    """
    a, b = words_of(first), words_of(second)
    bare_a, bare_b = ([word.strip() for word in words] for words in (a, b))
    changes: list[Change] = []
    at_a = at_b = 0
    for one in (*stretches(bare_a, bare_b), Stretch(len(a), len(b), 0)):
        parts = (
            Change("gone", "".join(a[at_a:one.first])),
            Change("new", "".join(b[at_b:one.second])),
            Change("same", "".join(b[one.second:one.second + one.count])),
        )
        changes += [part for part in parts if part.text]
        at_a, at_b = one.first + one.count, one.second + one.count
    return tuple(changes)
