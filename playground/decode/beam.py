"""Beam search and beam sampling, step by step, every survivor and loser told; it knows no batch.

The arithmetic is that of ``GenerationMixin._beam_search`` (transformers 5.23), written for one
prompt: the same tensors in the same order, so that ids and scores equal those of ``generate()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from playground.core.events import Beam, Beams, Event, Reason
from playground.decode import cache as kv
from playground.decode.batch import forward
from playground.decode.choice import Report, read, report
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


class BeamSearch:
    """The search for one row. ``start`` with the logits after the prompt, then ``advance``."""

    def __init__(self, lm: Any, tokenizer: Any, row: Row, cache: DynamicCache | None) -> None:
        self._lm, self._tokenizer = lm, tokenizer
        self.row = row
        self._cache = kv.copy(cache, [0]) if cache is not None else None
        self._count = row.decoding.num_beams
        self._running: list[Node | None] = [None] * self._count
        # All beams begin with the same prompt: only the first may be continued in the first step.
        self._totals = torch.full((self._count,), _NEVER, device=lm.device)
        self._totals[0] = 0.0
        self._ids = row.ids.expand(self._count, -1)
        self._ended = [Ended(_NEVER)] * self._count
        self._can_improve = True
        self._length = 0
        self._lead: list[Node] = []
        self._lead_text: tuple[Detokenizer, str] | None = None

    def start(self, logits: torch.Tensor) -> list[Event]:
        """The first step, from the logits [1, vocabulary] after the prompt."""
        return self._step(logits.expand(self._count, -1))

    def advance(self) -> list[Event]:
        """One more step: a forward for all beams, then the choice among their continuations."""
        new = self._ids if self._cache is None else self._ids[:, -1:]
        return self._step(forward(self._lm, new, self._cache, [self._ids.shape[1]] * self._count))

    def end(self, reason: Reason | None = None) -> list[Event]:
        """The steps of the best hypothesis so far, and ``Finished``; the search is over.

        ``reason`` is given where the search is stopped from outside.
        """
        self._cache = None
        best = self._best()
        if best.node is None:
            return [self.row.finish(reason or "length")]
        steps: list[Event] = [self.row.step(node.told) for node in best.node.path()]
        return [*steps, self.row.finish(reason or best.node.reason or "length", score=best.score)]

    def _step(self, logits: torch.Tensor) -> list[Event]:
        reading = read(logits, self.row.decoding.candidates)
        if any(reading.is_broken(i) for i in range(self._count)):
            return [self.row.fail_broken()]
        self.row.mark_first()
        # The processors work on log-probabilities here, as in the library.
        scores = self.row.chain(self._ids, reading.logprobs.clone())
        chosen, order = self._continuations(scores)
        vocabulary = scores.shape[-1]
        probabilities = torch.softmax(scores, dim=-1)
        grown: list[Node] = []
        for total, index in zip(chosen.tolist(), order.tolist(), strict=True):
            beam, id = divmod(index, vocabulary)
            told = report(
                reading,
                beam,
                probabilities[beam],
                id,
                self.row.decoding.candidates,
                self.row.pieces,
            )
            grown.append(self._grow(self._running[beam], told, total))
        parents = [index // vocabulary for index in order.tolist()]
        return self._settle(grown, parents, chosen)

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

    def _grow(self, parent: Node | None, told: Report, total: float) -> Node:
        tail = parent.tail if parent else self.row.prompt_tail
        reason = self.row.reason_after(tail, told.id, self._length + 1)
        return Node(
            parent, told, total, self._length + 1, self.row.stops.tail(tail, told.id), reason
        )

    def _settle(self, grown: list[Node], parents: list[int], totals: torch.Tensor) -> list[Event]:
        """Keep the best that go on, file the best that ended, drop the rest, and tell."""
        over = torch.tensor([node.reason is not None for node in grown], device=totals.device)
        # As in the library: what has ended cannot go on, by a score that no other reaches.
        running = totals + over.to(torch.float32) * _NEVER
        kept = torch.topk(running, k=self._count)[1].tolist()
        ended = self._file(grown, totals, over)
        position, self._length = self._length, self._length + 1
        alive = not bool(over.all())
        told = self._tell(position, grown, parents, kept if alive else [], ended)

        self._running = [grown[i] for i in kept]
        self._totals = running[kept]
        newest = torch.tensor([[grown[i].told.id] for i in kept], device=totals.device)
        places = [parents[i] for i in kept]
        self._ids = torch.cat([self._ids[places], newest], dim=1)
        if alive and self._improvable():
            if self._cache is not None:
                held = 1 if position == 0 else self._count
                kv.select(self._cache, places if held > 1 else [0] * self._count)
            leading = self._leading(self._best())
            return [Beams(position, told, leading)]
        leading = self._leading(self._best())
        return [Beams(position, told, leading), *self.end()]

    def _file(self, grown: list[Node], totals: torch.Tensor, over: torch.Tensor) -> list[int]:
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
        merged = torch.cat([mine, scores])
        best = torch.topk(merged, k=self._count)
        places = best.indices.tolist()
        allowed = may.tolist()
        pool = [
            *self._ended,
            *(
                Ended(score, node if ok else None)
                for score, node, ok in zip(scores.tolist(), grown, allowed, strict=True)
            ),
        ]
        self._ended = [pool[i] for i in places]
        return [i - self._count for i in places if i >= self._count and allowed[i - self._count]]

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
        self,
        position: int,
        grown: list[Node],
        parents: list[int],
        kept: list[int],
        ended: list[int],
    ) -> tuple[Beam, ...]:
        """Survivors in their order, then what has ended, then the best of what was dropped."""
        lost = [i for i in range(len(grown)) if i not in kept and i not in ended]
        lost.sort(key=lambda i: -grown[i].total)
        groups = (("kept", kept), ("finished", ended), ("dropped", lost[: self._count]))
        return tuple(
            Beam(
                parent=parents[i] if position else 0,
                id=grown[i].told.id,
                piece=self.row.pieces[grown[i].told.id].text,
                total=grown[i].total,
                score=self._score(grown[i]),
                state=state,  # type: ignore[arg-type]
            )
            for state, group in groups
            for i in group
        )

    def _score(self, node: Node) -> float:
        return float(node.total / (node.length**self.row.decoding.length_penalty))

    def _best(self) -> Ended:
        """The best hypothesis: an ended one, or one that still runs and scores higher."""
        ended = max(self._ended, key=lambda e: e.score)
        running = [
            Ended(self._score(n), n) for n in self._running if n is not None and n.reason is None
        ]
        return max([ended, *running], key=lambda e: e.score)

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
