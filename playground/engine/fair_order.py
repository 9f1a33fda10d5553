"""In which order those who wait are served, so that nobody's many requests keep another waiting.

Weighted fair queueing (Demers, Keshav and Shenker, "Analysis and Simulation of a Fair Queueing
Algorithm", SIGCOMM 1989) by start tags: every request has a tag, the smallest is served first, and
each visitor's tags are as far apart as what their requests cost. Time goes on by what is served,
divided among those who want something. It knows no limit and starts nothing.
"""

from __future__ import annotations

from playground.core.visitor import Visitor

SHARES_OF_AN_ADDRESS = 4


class FairOrder:
    """Tags for requests. Not for several threads at once.

    An address has the share of up to four visitors: a school is served as fast as four people, and
    somebody who makes up cookies gains no more by it.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._ends: dict[tuple[str, str], float] = {}

    def tag(self, visitor: Visitor) -> float:
        """The tag of what this visitor asks for next; nobody's is that of now."""
        return max(self._now, *(self._ends.get(key, 0.0) for key, _ in _shares(visitor)), 0.0)

    def take(self, visitor: Visitor, tag: float, cost: float) -> None:
        """A request with this tag waits, or runs: the visitor's next one comes after it. Harmless
        twice."""
        for key, shares in _shares(visitor):
            self._ends[key] = max(self._ends.get(key, 0.0), tag + cost / shares)

    def serve(self, tag: float, cost: float, wanting: int) -> None:
        """A request runs now, of one of so many visitors who run or wait: who comes from here on
        comes later, so that those who come for the first time do not go first for ever."""
        self._now = max(self._now, tag) + cost / max(1, wanting)
        self._ends = {key: end for key, end in self._ends.items() if end > self._now}


def _shares(visitor: Visitor) -> list[tuple[tuple[str, str], int]]:
    """What is counted for a visitor, and how many shares each has."""
    kinds = (("name", visitor.name, 1), ("address", visitor.address, SHARES_OF_AN_ADDRESS))
    return [((kind, one), shares) for kind, one, shares in kinds if one]
