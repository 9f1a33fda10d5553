"""Who stands left and who right, evenly and without a pattern; it knows contestants by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

# Efron 1971, Forcing a Sequential Experiment to be Balanced, Biometrika 58: the side that evens
# out is drawn with this probability. Always taking it would tell a voter who stands where.
EVENING_OUT = 2 / 3

Pair = tuple[int, int]


def sided(pairs: Sequence[Pair], dice: Random) -> list[bool]:
    """For each pair of contestants, whether its first one stands left.

    Each two contestants change sides as often as they can, and each contestant stands left as often
    as right, or once more or less.
    """
    kept: list[bool] = [True] * len(pairs)
    groups: dict[frozenset[int], list[int]] = {}
    for place, pair in enumerate(pairs):
        groups.setdefault(frozenset(pair), []).append(place)
    odd: dict[Pair, int] = {}
    for places in groups.values():
        dice.shuffle(places)
        first = pairs[places[0]][0]
        for number, place in enumerate(places):
            kept[place] = (pairs[place][0] == first) == (number % 2 == 0)
        if len(places) % 2:
            odd[pairs[places[-1]]] = places[-1]
    for left, right in _even(list(odd), dice):
        if (left, right) in odd:
            kept[odd[left, right]] = True
        elif (right, left) in odd:
            kept[odd[right, left]] = False
    return kept


def _even(edges: Sequence[Pair], dice: Random) -> list[Pair]:
    """The edges with directions, in and out of each number equally many or one apart.

    Euler's closed trails: with one more number joined to all whose edges are odd in number, every
    walk that uses each edge once ends where it began, and so leaves each as often as it came.
    """
    joined: dict[int, set[int]] = {}
    for a, b in edges:
        joined.setdefault(a, set()).add(b)
        joined.setdefault(b, set()).add(a)
    extra = -1
    joined[extra] = {one for one, others in joined.items() if len(others) % 2}
    for one in joined[extra]:
        joined[one].add(extra)
    walked: list[Pair] = []
    while starts := [one for one, others in joined.items() if others]:
        here = dice.choice(starts)
        while joined[here]:
            there = dice.choice(sorted(joined[here]))
            joined[here].discard(there)
            joined[there].discard(here)
            walked.append((here, there))
            here = there
    return [(a, b) for a, b in walked if extra not in (a, b)]


def flipped(before: Iterable[Pair], more: Iterable[Pair], dice: Random) -> bool:
    """Whether all pairs (left, right) of ``more`` change sides, so that all of them together are
    rather even, by a biased coin."""
    stood, new = _lean(before), _lean(more)
    as_is = sum(abs(stood[one] + lean) for one, lean in new.items())
    turned = sum(abs(stood[one] - lean) for one, lean in new.items())
    even = 0.5 if as_is == turned else EVENING_OUT if turned < as_is else 1 - EVENING_OUT
    return dice.random() < even


def _lean(pairs: Iterable[Pair]) -> Counter[int]:
    """How much oftener each contestant stood left than right."""
    lean: Counter[int] = Counter()
    for left, right in pairs:
        lean[left] += 1
        lean[right] -= 1
    return lean
