"""One group of beams: which continuations are kept, filed or dropped; it knows no other group.

The arithmetic is that of ``GenerationMixin._beam_search`` (transformers 5.24), written for one
prompt: the same tensors in the same order, so that ids and scores equal those of ``generate()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from playground.core.events import Beam, Lost, Reason, SearchEnd
from playground.decode.choice import Reading, Report, report
from playground.decode.effects import Stage
from playground.decode.row import Row

_NEVER = -1.0e9  # the score of a place that holds no hypothesis, as in the library


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A hypothesis: its newest token, and the hypothesis that it grew from."""

    parent: Node | None
    told: Report
    total: float
    length: int
    tail: bytes
    reason: Reason | None = None

    def path(self) -> list[Node]:
        """From the first new token to this one."""
        nodes, node = [], self
        while node is not None:
            nodes.append(node)
            node = node.parent  # type: ignore[assignment]
        return nodes[::-1]


@dataclass(frozen=True, slots=True)
class Ended:
    """A hypothesis that has ended, with its score; ``node`` is None for an empty place."""

    score: float
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Continuation:
    """A hypothesis with one token more, before it is kept, filed or dropped."""

    beam: int
    id: int
    total: float
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The distributions of one step: the model's own, and the final ones [beams, vocabulary].

    ``stages`` are the scores after each processor, where it is asked what it did.
    """

    reading: Reading
    probabilities: torch.Tensor
    stages: Sequence[Stage]


def by_score(ended: Ended) -> float:
    """The key that hypotheses are compared by."""
    return ended.score


@dataclass(frozen=True, slots=True)
class Grown:
    """What a step made of a group.

    ``told`` has the survivors first; ``parents`` says which of the group's beams the next ones
    continue; ``ids`` are their newest tokens. ``end`` is why the group searches no more.
    """

    told: tuple[Beam, ...]
    parents: tuple[int, ...]
    ids: tuple[int, ...]
    end: SearchEnd | None = None


class Group:
    """Some beams of one row, all equally long, that compete with each other only."""

    def __init__(self, row: Row, count: int, number: int = 0) -> None:
        self.row, self.count, self.number = row, count, number
        self.over = False
        self.ids = row.ids.expand(count, -1)
        self._running: list[Node | None] = [None] * count
        # All beams begin with the same prompt: only the first may be continued in the first step.
        self._totals = torch.full((count,), _NEVER, device=row.ids.device)
        self._totals[0] = 0.0
        self._ended = [Ended(_NEVER)] * count
        # What was written before the search, and tokens since.
        self._stand, self._length = row.new_tokens, 0

    @property
    def length(self) -> int:
        """How many tokens each hypothesis has that the search has chosen."""
        return self._length

    @property
    def best_ended(self) -> Ended:
        """The best hypothesis that has ended."""
        return max(self._ended, key=by_score)

    @property
    def best(self) -> Ended:
        """The best hypothesis: an ended one, or one that still runs and scores higher."""
        running = [
            Ended(self._score(node.total, node.length), node)
            for node in self._running
            if node is not None and node.reason is None
        ]
        return max([*self._ended, *running], key=by_score)

    def grow(self, reading: Reading) -> Grown:
        """One more token for every beam, from the model's ``reading`` after each of them."""
        # The processors work on log-probabilities here, as in the library.
        chain, own = self.row.chain, reading.logprobs.clone()
        stages = chain.stages(self.ids, own) if self.row.decoding.effects else []
        scores = stages[-1].scores if stages else chain(self.ids, own)
        totals, order = self._continuations(scores)
        vocabulary = scores.shape[-1]
        grown = [
            self._grow(index // vocabulary, index % vocabulary, total)
            for total, index in zip(totals.tolist(), order.tolist(), strict=True)
        ]
        numbers = _Numbers(reading, torch.softmax(scores, dim=-1), stages)
        return self._settle(grown, totals, numbers)

    def _continuations(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The totals of the continuations that are looked at, and their places in ``scores``, flat.

        More than there are beams, so that enough go on if the best ones end.
        """
        flat = (scores + self._totals[:, None]).reshape(1, -1)
        count = min(max(2, 1 + len(self.row.ends)) * self.count, flat.shape[-1])
        if self.row.generator is None:
            totals, order = torch.topk(flat, k=count)
        else:
            order = torch.multinomial(
                torch.softmax(flat, dim=-1), count, generator=self.row.generator
            )
            # In order of their totals, and not as they were drawn, since transformers 5.24.
            totals, place = torch.gather(flat, 1, order).sort(dim=-1, descending=True)
            order = order.gather(1, place)
        return totals[0], order[0]

    def _grow(self, beam: int, id: int, total: float) -> Continuation:
        """One token more for a running hypothesis, and whether that ends it."""
        return Continuation(
            beam, id, total,
            self.row.reason_after(self._tail(beam), id, self._stand + self._length + 1),
        )

    def _tail(self, beam: int) -> bytes:
        node = self._running[beam]
        return node.tail if node is not None else self.row.tail

    def _node(self, grown: Continuation, numbers: _Numbers) -> Node:
        """A continuation that is kept, with all that is told about its token."""
        row = self.row
        told = report(
            numbers.reading,
            grown.beam,
            numbers.probabilities[grown.beam],
            grown.id,
            row.decoding.candidates,
            row.pieces,
            numbers.stages,
        )
        tail = row.stops.tail(self._tail(grown.beam), grown.id)
        return Node(
            self._running[grown.beam], told, grown.total, self._length + 1, tail, grown.reason
        )

    def _settle(
        self, grown: list[Continuation], totals: torch.Tensor, numbers: _Numbers
    ) -> Grown:
        """Keep the best that go on, file the best that ended, drop the rest, and tell."""
        over = torch.tensor([one.reason is not None for one in grown], device=totals.device)
        # As in the library: what has ended cannot go on, by a score that no other reaches.
        running = totals + over.to(torch.float32) * _NEVER
        kept = torch.topk(running, k=self.count)[1].tolist()
        ended = self._file(grown, totals, over, numbers)
        alive = not bool(over.all())
        told = self._tell(grown, kept if alive else [], ended)

        self._running = [self._node(grown[i], numbers) for i in kept]
        self._length += 1
        self._totals = running[kept]
        parents = [grown[i].beam for i in kept]
        ids = [grown[i].id for i in kept]
        newest = torch.tensor(ids, device=totals.device)[:, None]
        self.ids = torch.cat([self.ids[parents], newest], dim=1)
        cut = any(one.reason in ("length", "context") for one in grown)
        end = self._end() if alive else SearchEnd(self.number, "limit" if cut else "ended")
        self.over = end is not None
        return Grown(told, tuple(parents), tuple(ids), end)

    def _file(
        self,
        grown: list[Continuation],
        totals: torch.Tensor,
        over: torch.Tensor,
        numbers: _Numbers,
    ) -> list[int]:
        """Put hypotheses that have just ended among the ended ones; gives the places that got in.

        Only the first ``num_beams`` continuations may end; the others are there to go on.
        """
        may = over.clone()
        may[self.count :] = False
        scores = totals / ((self._length + 1) ** self.row.decoding.length_penalty)
        scores = scores + (~may) * _NEVER
        mine = torch.tensor([e.score for e in self._ended], device=totals.device)
        values, indices = torch.topk(torch.cat([mine, scores]), k=self.count)
        before, allowed = self._ended, may.tolist()
        self._ended, filed = [], []
        for score, place in zip(values.tolist(), indices.tolist(), strict=True):
            new = place - self.count
            if new < 0:
                self._ended.append(before[place])
            elif allowed[new]:
                self._ended.append(Ended(score, self._node(grown[new], numbers)))
                filed.append(new)
            else:
                self._ended.append(Ended(score))
        return filed

    def _end(self) -> SearchEnd | None:
        """Why the search is over though there are open hypotheses; None where it goes on."""
        decoding = self.row.decoding
        # "never" gives a running beam the benefit of the longest text that it may become.
        patient = decoding.early_stopping == "never" and decoding.length_penalty > 0
        length = self.row.limit - self._stand if patient else self._length
        possible = self._totals[0] / (length**decoding.length_penalty)
        lowest = min(e.score for e in self._ended)
        worst = torch.tensor(
            [lowest if e.node is not None else _NEVER for e in self._ended], device=possible.device
        )
        full = all(e.node is not None for e in self._ended)
        numbers = (float(possible), lowest) if full else (None, None)
        if full and decoding.early_stopping is True:
            return SearchEnd(self.number, "enough", *numbers)
        if not bool((possible > worst).any()):
            return SearchEnd(self.number, "beaten", *numbers)
        return None

    def _tell(
        self, grown: list[Continuation], kept: list[int], ended: list[int]
    ) -> tuple[Beam, ...]:
        """Survivors in their order, then what has ended, then the best of what was dropped."""
        lost = [i for i in range(len(grown)) if i not in kept and i not in ended]
        lost.sort(key=lambda i: -grown[i].total)
        states: list[tuple[Literal["kept", "finished", "dropped"], list[int]]] = [
            ("kept", kept),
            ("finished", ended),
            ("dropped", lost[: self.count]),
        ]
        last = min((grown[i].total for i in kept), default=0.0)
        told = []
        for state, places in states:
            for i in places:
                why, margin = self._lost(i, grown[i], last) if state == "dropped" else ("", 0.0)
                told.append(
                    Beam(
                        parent=grown[i].beam if self._length else 0,
                        id=grown[i].id,
                        piece=self.row.pieces[grown[i].id].text,
                        total=grown[i].total,
                        score=self._score(grown[i].total, self._length + 1),
                        state=state,
                        group=self.number,
                        reason=grown[i].reason,
                        lost=why,
                        margin=margin,
                    )
                )
        return tuple(told)

    def _lost(self, place: int, one: Continuation, last: float) -> tuple[Lost, float]:
        """What a dropped continuation lost by; ``last`` is the total of the last survivor."""
        if one.reason is None:
            return "total", last - one.total
        if place >= self.count:
            return "place", 0.0
        worst = min(ended.score for ended in self._ended)
        return "score", worst - self._score(one.total, self._length + 1)

    def _score(self, total: float, length: int) -> float:
        return float(total / (length**self.row.decoding.length_penalty))
