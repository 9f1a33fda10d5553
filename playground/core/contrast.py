"""One text scored twice, token against token where both have the same; it knows no model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from playground.core.events import Step
from playground.core.score import Scored

# Where a token stands: what is left of the text at its begin and at its end, and what it is.
_Place = tuple[int, int, str, bool]


@dataclass(frozen=True, slots=True)
class Pair:
    """A token that both scorings have at the same place of the text: its index in each.

    ``gain`` is the second log-probability less the first, in nats: more than 0 where the second
    was less surprised, None where neither thought it possible.
    """

    first: int
    second: int
    piece: str
    gain: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the second scoring gave more than the first, in nats.

    ``total`` is of the two sums, whatever their tokens are; None where neither text is possible.
    ``only_first`` and ``only_second`` count the tokens without a counterpart: another tokenizer
    cuts the text elsewhere, a first token may have nothing before it, and a chat's answer has the
    token that ends it.
    """

    pairs: tuple[Pair, ...]
    total: float | None
    only_first: int
    only_second: int


def contrast(first: Scored, second: Scored) -> Contrast:
    """Compare two scorings of one text.

    Places are counted from the text's end, for its beginning differs: a template may strip a
    leading space, and a first token without anything before it is not scored.
    """
    places = {place: n for n, place in enumerate(_places(second))}
    pairs = []
    for n, place in enumerate(_places(first)):
        other = places.get(place)
        if other is not None:
            one, two = first.steps[n], second.steps[other]
            pairs.append(Pair(n, other, one.piece, _gain(one.logprob, two.logprob)))
    return Contrast(
        tuple(pairs),
        _gain(first.total_logprob, second.total_logprob),
        len(first.steps) - len(pairs),
        len(second.steps) - len(pairs),
    )


def _places(scored: Scored) -> Iterator[_Place]:
    left = len(scored.text.rstrip())
    for step in scored.steps:
        after = left - _length(step)
        yield left, after, step.piece, step.special
        left = after


def _length(step: Step) -> int:
    return 0 if step.special else len(step.text)


def _gain(before: float, after: float) -> float | None:
    """The difference; None for that of two infinities, which would be NaN."""
    return after - before if math.isfinite(before) or math.isfinite(after) else None
