"""Who makes room where things of many people are kept: whoever holds most; it keeps nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from playground.core.visitor import Visitor
from playground.engine.fair_order import SHARES_OF_AN_ADDRESS

K = TypeVar("K")


def next_to_go(kept: Iterable[tuple[K, Visitor, int]]) -> K:
    """The key of what is to go, of things with their owner and weight, the longest unused first.

    It is the longest unused of the visitor who holds most, of the address that holds most. So one
    who keeps much pushes out his own, and one who makes up cookies no more than four people would.
    """
    things = list(kept)
    places: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for _, owner, weight in things:
        places[owner.address or owner.name][owner.name] += weight
    place = max(places, key=lambda name: _share(places[name]))
    holders = places[place]
    most = max(holders.values())
    return next(
        key for key, owner, _ in things
        if (owner.address or owner.name) == place and holders[owner.name] == most
    )


def _share(holders: Mapping[str, int]) -> float:
    return sum(holders.values()) / min(len(holders), SHARES_OF_AN_ADDRESS)
