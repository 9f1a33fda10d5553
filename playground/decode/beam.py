"""Beam search and beam sampling, step by step, every survivor and loser told; it knows no cache.

The arithmetic is that of ``GenerationMixin._beam_search`` (transformers 5.23), written for one
prompt: the same tensors in the same order, so that ids and scores equal those of ``generate()``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from playground.core.events import Beam, Beams, Event, Reason
from playground.decode.choice import Reading, Report, report
from playground.decode.member import Forwarded, Turn
from playground.decode.row import Row
from playground.models.pieces import Detokenizer

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
    """The distributions of one step: the model's own, and the final ones [beams, vocabulary]."""

    reading: Reading
    probabilities: torch.Tensor


def _by_score(ended: Ended) -> float:
    return ended.score


class BeamSearch:
    """The search for one row: the member that has ``num_beams`` texts."""

    wants_states = False

    def __init__(self, tokenizer: Any, row: Row) -> None:
        self._tokenizer = tokenizer
        self.row, self.key, self.run = row, row.key, row.run
        self._count = row.decoding.num_beams
        self._running: list[Node | None] = [None] * self._count
        # All beams begin with the same prompt: only the first may be continued in the first step.
        self._totals = torch.full((self._count,), _NEVER, device=row.ids.device)
        self._totals[0] = 0.0
        self._ids = row.ids.expand(self._count, -1)
        self._ended = [Ended(_NEVER)] * self._count
        self._can_improve = True
        self._length = 0
        self._lead: list[Node] = []
        self._lead_text: tuple[Detokenizer, str] | None = None

    @property
    def prompts(self) -> tuple[tuple[int, ...]]:
        """The one prompt, from which all beams come."""
        return self.row.prompts

    @property
    def lengths(self) -> list[int]:
        """All beams are equally long."""
        return [self._ids.shape[1]] * self._count

    def newest(self) -> torch.Tensor:
        """The newest token of each beam, [beams, 1]."""
        return self._ids[:, -1:]

    def whole(self, text: int) -> torch.Tensor:
        """Prompt and new tokens of one beam, [1, length]."""
        return self._ids[text : text + 1]

    def start_clock(self) -> None:
        """The prefill begins."""
        self.row.start_clock()

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """The first step, from what was said after the prompt."""
        turn = self._step(prompts[0].expand(self._count))
        return Turn(turn.events, [0] * self._count)

    def advance(self, forwarded: Forwarded) -> Turn:
        """One more step: the choice among the continuations of all beams."""
        return self._step(forwarded)

    def end(self, reason: Reason | None = None) -> list[Event]:
        """The steps of the winner and ``Finished``; the search is over.

        ``reason`` is given where the search is stopped from outside: then the best hypothesis so
        far wins, even one that has not ended.
        """
        best = max(self._ended, key=_by_score) if reason is None else self._best()
        if best.node is None:
            return [self.row.finish(reason or "length")]
        steps: list[Event] = [self.row.step(node.told) for node in best.node.path()]
        return [*steps, self.row.finish(reason or best.node.reason or "length", score=best.score)]

    def _step(self, forwarded: Forwarded) -> Turn:
        reading = forwarded.reading
        if any(reading.is_broken(i) for i in range(self._count)):
            return Turn([self.row.fail_broken()])
        self.row.mark_first()
        # The processors work on log-probabilities here, as in the library.
        scores = self.row.chain(self._ids, reading.logprobs.clone())
        totals, order = self._continuations(scores)
        vocabulary = scores.shape[-1]
        grown = [
            self._grow(index // vocabulary, index % vocabulary, total)
            for total, index in zip(totals.tolist(), order.tolist(), strict=True)
        ]
        return self._settle(grown, totals, _Numbers(reading, torch.softmax(scores, dim=-1)))

    def _continuations(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The totals of the continuations that are looked at, and their places in ``scores``, flat.

        More than there are beams, so that enough go on if the best ones end.
        """
        flat = (scores + self._totals[:, None]).reshape(1, -1)
        count = min(max(2, 1 + len(self.row.ends)) * self._count, flat.shape[-1])
        if self.row.generator is None:
            totals, order = torch.topk(flat, k=count)
        else:
            order = torch.multinomial(
                torch.softmax(flat, dim=-1), count, generator=self.row.generator
            )
            totals = torch.gather(flat, 1, order)
        return totals[0], order[0]

    def _grow(self, beam: int, id: int, total: float) -> Continuation:
        """One token more for a running hypothesis, and whether that ends it."""
        return Continuation(
            beam, id, total, self.row.reason_after(self._tail(beam), id, self._length + 1)
        )

    def _tail(self, beam: int) -> bytes:
        node = self._running[beam]
        return node.tail if node is not None else self.row.prompt_tail

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
        )
        tail = row.stops.tail(self._tail(grown.beam), grown.id)
        return Node(
            self._running[grown.beam], told, grown.total, self._length + 1, tail, grown.reason
        )

    def _settle(
        self, grown: list[Continuation], totals: torch.Tensor, numbers: _Numbers
    ) -> Turn:
        """Keep the best that go on, file the best that ended, drop the rest, and tell."""
        over = torch.tensor([one.reason is not None for one in grown], device=totals.device)
        # As in the library: what has ended cannot go on, by a score that no other reaches.
        running = totals + over.to(torch.float32) * _NEVER
        kept = torch.topk(running, k=self._count)[1].tolist()
        ended = self._file(grown, totals, over, numbers)
        alive = not bool(over.all())
        told = self._tell(grown, kept if alive else [], ended)

        self._running = [self._node(grown[i], numbers) for i in kept]
        self._length += 1
        self._totals = running[kept]
        parents = [grown[i].beam for i in kept]
        newest = torch.tensor([[grown[i].id] for i in kept], device=totals.device)
        self._ids = torch.cat([self._ids[parents], newest], dim=1)
        goes_on = alive and self._improvable()
        beams = Beams(self._length - 1, told, self._leading(self._best()))
        return Turn([beams] if goes_on else [beams, *self.end()], parents)

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
        may[self._count :] = False
        scores = totals / ((self._length + 1) ** self.row.decoding.length_penalty)
        full = all(e.node is not None for e in self._ended) and self.row.decoding.early_stopping
        scores = scores + (_NEVER if full else 0.0)
        scores = scores + (0.0 if self._can_improve else _NEVER)
        scores = scores + (~may) * _NEVER
        mine = torch.tensor([e.score for e in self._ended], device=totals.device)
        values, indices = torch.topk(torch.cat([mine, scores]), k=self._count)
        before, allowed = self._ended, may.tolist()
        self._ended, filed = [], []
        for score, place in zip(values.tolist(), indices.tolist(), strict=True):
            new = place - self._count
            if new < 0:
                self._ended.append(before[place])
            elif allowed[new]:
                self._ended.append(Ended(score, self._node(grown[new], numbers)))
                filed.append(new)
            else:
                self._ended.append(Ended(score))
        return filed

    def _improvable(self) -> bool:
        """Whether the search goes on: a running beam may still beat the worst that has ended."""
        decoding = self.row.decoding
        possible = self._totals[0] / (self._length**decoding.length_penalty)
        lowest = min(e.score for e in self._ended)
        worst = torch.tensor(
            [lowest if e.node is not None else _NEVER for e in self._ended], device=possible.device
        )
        self._can_improve = self._can_improve and bool((possible > worst).any())
        all_ended = all(e.node is not None for e in self._ended)
        return self._can_improve and not (all_ended and decoding.early_stopping)

    def _tell(
        self, grown: list[Continuation], kept: list[int], ended: list[int]
    ) -> tuple[Beam, ...]:
        """Survivors in their order, then what has ended, then the best of what was dropped."""
        lost = [i for i in range(len(grown)) if i not in kept and i not in ended]
        lost.sort(key=lambda i: -grown[i].total)
        states: list[tuple[Literal["kept", "finished", "dropped"], list[int]]] = [
            ("kept", kept),
            ("finished", ended),
            ("dropped", lost[: self._count]),
        ]
        return tuple(
            Beam(
                parent=grown[i].beam if self._length else 0,
                id=grown[i].id,
                piece=self.row.pieces[grown[i].id].text,
                total=grown[i].total,
                score=self._score(grown[i].total, self._length + 1),
                state=state,
            )
            for state, group in states
            for i in group
        )

    def _score(self, total: float, length: int) -> float:
        return float(total / (length**self.row.decoding.length_penalty))

    def _best(self) -> Ended:
        """The best hypothesis: an ended one, or one that still runs and scores higher."""
        running = [
            Ended(self._score(node.total, node.length), node)
            for node in self._running
            if node is not None and node.reason is None
        ]
        return max([*self._ended, *running], key=_by_score)

    def _leading(self, best: Ended) -> str:
        """The best hypothesis's text, decoded again only where the lead has changed."""
        path = best.node.path() if best.node is not None else []
        known = len(self._lead)
        same = (
            self._lead_text is not None
            and len(path) >= known
            and (known == 0 or path[known - 1] is self._lead[-1])
        )
        if not same or self._lead_text is None:
            known = 0
            prompt = self.row.encoded.ids
            self._lead_text = (Detokenizer(self._tokenizer, prompt, self.row.ends), "")
        decoder, text = self._lead_text
        for node in path[known:]:
            new = decoder.push(node.told.id)
            text += "" if decoder.is_special(node.told.id) else new
        self._lead, self._lead_text = path, (decoder, text)
        return text
