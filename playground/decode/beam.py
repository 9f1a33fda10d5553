"""Beam search, diverse beam search and beam sampling as a member of a batch; it knows no cache.

Diverse beam search (Vijayakumar et al. 2016, arXiv 1610.02424) lets groups of beams choose one
after the other; a token that earlier groups have chosen in this step costs the later ones
``diversity_penalty`` for each time. As in transformers 4 (5 has it no more), each group files its
own hypotheses, and the best of all groups wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from playground.core.events import Beam, Beams, Event, Reason, SearchEnd
from playground.decode.beam_group import Group, Node, by_score
from playground.decode.member import Forwarded, States, Turn
from playground.decode.row import Row
from playground.models.pieces import Detokenizer


class BeamSearch:
    """The search for one row: the member that has ``num_beams`` texts.

    What is inserted at a fork comes first, told step by step as in any row; the search is for what
    follows it, and its scores count from there.
    """

    wants_states: States = ""

    def __init__(self, tokenizer: Any, row: Row) -> None:
        self._tokenizer = tokenizer
        self.row, self.key, self.run = row, row.key, row.run
        self._groups: list[Group] = []  # none before the search
        # Where the survivors of each group began in what was told last.
        self._places = [0] * row.decoding.num_beam_groups
        self._steps = 0
        self._lead: list[Node] = []
        self._lead_text: tuple[Detokenizer, str] | None = None

    @property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """The one prompt, from which all beams come."""
        return self.row.prompts

    @property
    def lengths(self) -> list[int]:
        """All beams are equally long."""
        if not self._groups:
            return [self.row.length]
        return [group.ids.shape[1] for group in self._running for _ in range(group.count)]

    @property
    def _running(self) -> list[Group]:
        return [group for group in self._groups if not group.over]

    def newest(self) -> torch.Tensor:
        """The newest token of each beam, [beams, 1]."""
        if not self._groups:
            return self.row.newest()
        return torch.cat([group.ids[:, -1:] for group in self._running])

    def whole(self, text: int) -> torch.Tensor:
        """Prompt and new tokens of one beam, [1, length]."""
        if not self._groups:
            return self.row.ids
        return torch.cat([group.ids for group in self._running])[text : text + 1]

    def start_clock(self) -> None:
        """The prefill begins."""
        self.row.start_clock()

    def meet(self, others: int) -> None:
        """See Member."""
        self.row.meet(others)

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """The first step, from what was said after the prompt."""
        return self._first(prompts[0])

    def advance(self, forwarded: Forwarded) -> Turn:
        """One more step: the choice among the continuations of all beams."""
        return self._step(forwarded) if self._groups else self._first(forwarded)

    def _first(self, forwarded: Forwarded) -> Turn:
        """A step of what is one text so far: one more inserted token, or the first search."""
        if self.row.inserted is not None:
            # The processors work on log-probabilities, as in the search.
            own = forwarded.reading.logprobs.clone()
            return Turn(self.row.choose(replace(forwarded, logits=own)), [0])
        groups, beams = self.row.decoding.num_beam_groups, self.row.decoding.num_beams
        self._groups = [Group(self.row, beams // groups, number) for number in range(groups)]
        self._steps = self.row.new_tokens
        turn = self._step(forwarded.expand(beams))
        return Turn(turn.events, [0] * len(self.lengths))

    def end(self, reason: Reason | None = None) -> list[Event]:
        """The steps of the winner and ``Finished``; the search is over.

        ``reason`` is given where the search is stopped from outside: then the best hypothesis so
        far wins, even one that has not ended.
        """
        if not self._groups:
            return [self.row.finish(reason or "length")]
        found = [group.best_ended if reason is None else group.best for group in self._groups]
        best = max(found, key=by_score)
        if best.node is None:
            return [self.row.finish(reason or "length")]
        steps: list[Event] = [self.row.step(node.told) for node in best.node.path()]
        return [*steps, self.row.finish(reason or best.node.reason or "length", score=best.score)]

    def _step(self, forwarded: Forwarded) -> Turn:
        """Let the groups choose, one after the other."""
        reading = forwarded.reading
        if any(reading.is_broken(i) for i in range(forwarded.logits.shape[0])):
            return Turn([self.row.fail_broken()])
        self.row.mark_first()
        told: list[tuple[int, tuple[Beam, ...]]] = []
        ends: list[SearchEnd] = []
        parents: list[int] = []
        taken: list[int] = []
        first = 0
        length = self._running[0].length + 1
        for group in self._running:
            self.row.chain.take(taken)
            grown = group.grow(reading.part(slice(first, first + group.count)))
            told.append((group.number, grown.told))
            taken += grown.ids
            if grown.end is not None:
                ends.append(grown.end)
            else:
                parents += [first + parent for parent in grown.parents]
            first += group.count
        beams = Beams(
            self._steps, self._in_order(told), self._leading(), forwarded.seconds, length,
            tuple(ends),
        )
        self._steps += 1
        return Turn([beams] if self._running else [beams, *self.end()], parents)

    def _in_order(self, told: Sequence[tuple[int, tuple[Beam, ...]]]) -> tuple[Beam, ...]:
        """The beams of all groups, survivors first; parents are places among the last survivors."""
        placed = [
            replace(beam, parent=beam.parent + self._places[number])
            for number, beams in told
            for beam in beams
        ]
        kept = [beam for beam in placed if beam.state == "kept"]
        for number, _ in told:
            self._places[number] = next((i for i, b in enumerate(kept) if b.group == number), 0)
        ended = [beam for beam in placed if beam.state == "finished"]
        return (*kept, *ended, *(beam for beam in placed if beam.state == "dropped"))

    def _leading(self) -> str:
        """The best hypothesis's text, decoded again only where the lead has changed."""
        best = max((group.best for group in self._groups), key=by_score)
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
            decoder = Detokenizer(self._tokenizer, prompt, self.row.ends)
            for id in self.row.ids[0, self.row.prompt_tokens :].tolist():
                decoder.push(id)
            self._lead_text = (decoder, "")
        decoder, text = self._lead_text
        for node in path[known:]:
            new = decoder.push(node.told.id)
            text += "" if decoder.is_special(node.told.id) else new
        self._lead, self._lead_text = path, (decoder, text)
        return text
