"""What each processor did to a step, and where its dice fell, on request; it knows no chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from playground.core.events import Draw, Effect, Shift
from playground.models.pieces import Pieces
from playground.models.placement import exact

MOST_TOLD = 5  # tokens that a processor ruled out, or moved


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The scores [rows, vocabulary] after the processor of this name."""

    name: str
    scores: torch.Tensor

    def distribution(self, row: int) -> torch.Tensor:
        """The probabilities [vocabulary] of a row; zeros where everything is ruled out."""
        return torch.softmax(self.scores[row].float(), dim=-1).nan_to_num(0.0)


def effects(
    stages: Sequence[Stage], row: int, watched: Sequence[int], pieces: Pieces
) -> tuple[Effect, ...]:
    """What each stage did to a row: the first is the model's own scores, each next a processor's.

    ``watched`` are ids that are told at every stage.
    """
    told = []
    before, was = stages[0].distribution(row), stages[0]
    for stage in stages:
        after = stage.distribution(row)
        change = _Change(before, after, pieces)
        old, new = was.scores[row], stage.scores[row]
        out = (new == -math.inf) & (old != -math.inf)
        moved = (new != -math.inf) & (new != old)
        told.append(
            Effect(
                name=stage.name,
                watched=change.shifts(watched),
                removed=int(out.sum()),
                mass=float(exact(before[out]).sum()),
                gone=change.largest(before, out),
                moved=int(moved.sum()),
                most_moved=change.largest((after - before).abs(), moved),
            )
        )
        before, was = after, stage
    return tuple(told)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """The probabilities [vocabulary] before and after one processor."""

    before: torch.Tensor
    after: torch.Tensor
    pieces: Pieces

    def shifts(self, ids: Sequence[int]) -> tuple[Shift, ...]:
        """What happened to these tokens."""
        places = list(ids)  # a tuple would be an index of several dimensions
        numbers = torch.stack([self.before[places], self.after[places]]).tolist()
        return tuple(
            Shift(id, self.pieces[id].text, before, after)
            for id, before, after in zip(ids, *numbers, strict=True)
        )

    def largest(self, by: torch.Tensor, among: torch.Tensor) -> tuple[Shift, ...]:
        """The few of the tokens ``among`` [vocabulary] that are largest ``by`` something."""
        count = min(MOST_TOLD, int(among.sum()))
        return self.shifts(by.masked_fill(~among, -1.0).topk(count).indices.tolist())


def winner(probabilities: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """One token [1] of ``probabilities`` [1, vocabulary], drawn as ``torch.multinomial`` draws it.

    On the CPU and on CUDA alike (ATen, ``multinomial_out``) every token gets a number q from the
    exponential distribution with rate 1, and the largest p / q wins.
    """
    arrivals = torch.empty_like(probabilities).exponential_(1, generator=dice)
    return torch.argmax(probabilities / arrivals, dim=-1)


def race(probabilities: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """The times [1, vocabulary] at which the tokens arrive; the first of them is drawn.

    See ``winner``: a token of probability p arrives at q / p, which is exponentially distributed
    with rate p.
    """
    return torch.empty_like(probabilities).exponential_(1, generator=dice) / probabilities


def draw_of(probabilities: torch.Tensor, dice: torch.Generator, id: int) -> Draw:
    """Where the dice fell when the token ``id`` was drawn from ``probabilities`` [1, vocabulary].

    ``dice`` are those that the draw was made with, as they were before it.

    The tokens lie side by side on [0, 1) in order of falling probability (of equal ones, the
    smaller id first), each with its probability as width. The winner of the race has its own
    interval, and needs a point in it. The time T at which the first of independent exponential
    arrivals comes is exponentially distributed with the sum of their rates, which is 1 here, and
    does not depend on who comes first. So 1 - exp(-T) is uniform on [0, 1) whoever wins, and as
    each token wins with its own width, ``low + (1 - exp(-T)) * (high - low)`` is uniform on [0, 1)
    over all draws: the point that inverse transform sampling would have used for this token.
    """
    time = float(race(probabilities, dice)[0, id])
    p = exact(probabilities[0])
    place = torch.arange(p.shape[0], device=p.device)
    ahead = (p > p[id]) | ((p == p[id]) & (place < id))
    low, width, total = torch.stack([p[ahead].sum(), p[id], p.sum()]).tolist()
    low, high = low / total, min(1.0, (low + width) / total)
    point = low - math.expm1(-time) * (high - low)
    # Where the numbers' precision ends, the point stays in its interval.
    return Draw(low, high, min(max(point, low), math.nextafter(high, low)))
