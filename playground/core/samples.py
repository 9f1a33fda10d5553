"""Samples of one prompt merged into a weighted tree over token ids; it knows no model and no page.

A prefix tree (trie) whose chains are drawn together: a span is the longest run of tokens in which
the same samples agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from playground.core.events import Step


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens that all of ``samples`` (their places in the list) have in common, and how they go on.

    ``chance`` is the probability with which a sample that has come so far was to go this way: the
    product of the probabilities that the tokens were chosen with, 1.0 where there are none.
    ``ended`` are the samples that have nothing after this.
    """

    ids: tuple[int, ...]
    text: str
    samples: tuple[int, ...]
    chance: float
    ended: tuple[int, ...]
    children: tuple[Span, ...]

    @property
    def count(self) -> int:
        """How many samples go this way."""
        return len(self.samples)


def merge(samples: Sequence[Sequence[Step]]) -> Span:
    """The tree of these samples: its root is what all of them begin with, which may be nothing.

    Of several ways on, the one that most take comes first; of equal ones the earliest sample's.
    """
    return _span(samples, tuple(range(len(samples))), 0)


def _span(samples: Sequence[Sequence[Step]], going: tuple[int, ...], start: int) -> Span:
    """The span of the samples in ``going``, which agree before ``start``."""
    if len(going) == 1:
        end = len(samples[going[0]])
    else:
        end = start
        while len(ways := _ways(samples, going, end)) == 1 and len(ways[0]) == len(going):
            end += 1
    first = samples[going[0]][start:end] if going else ()
    return Span(
        tuple(step.id for step in first),
        "".join(step.text for step in first if not step.special),
        going,
        _mean([prod(step.probability for step in samples[n][start:end]) for n in going]),
        tuple(n for n in going if len(samples[n]) == end),
        tuple(_span(samples, way, end) for way in _ways(samples, going, end)),
    )


def _ways(
    samples: Sequence[Sequence[Step]], going: tuple[int, ...], at: int
) -> list[tuple[int, ...]]:
    """The samples that go on, by their token at a place, those with the most first."""
    ways: dict[int, list[int]] = {}
    for n in going:
        if at < len(samples[n]):
            ways.setdefault(samples[n][at].id, []).append(n)
    return sorted((tuple(way) for way in ways.values()), key=len, reverse=True)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
