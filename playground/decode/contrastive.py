"""Contrastive search: likely, and unlike the text so far; it knows no cache and no loop.

Su et al. 2022, "A Contrastive Framework for Neural Text Generation" (arXiv 2202.06417): of the
top-k tokens the one is taken with the highest

    (1 - alpha) * p - alpha * (the largest cosine similarity of its hidden state to an earlier one)

The arithmetic is that of ``GenerationMixin._contrastive_search`` (transformers 4.55; it has moved
to transformers-community/contrastive-search since). Unlike there, what the processors have ruled
out is never taken, even where fewer than k tokens are left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from playground.core.events import Effect, Event, Reason, Shift
from playground.decode.choice import Reading, report
from playground.decode.effects import MOST_TOLD, Stage
from playground.decode.member import Forwarded, States, Turn
from playground.decode.recent import RecentSteps
from playground.decode.row import Row
from playground.models.placement import exact


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The tokens among which the next one is chosen, once each of them has been read.

    ``ids`` and their probabilities ``p``, both [count], best first; ``probabilities`` [vocabulary]
    are those of all tokens after the processors, ``stages`` how these came about, on request. A
    ``forced`` one is alone: the reader put it there, and nothing is searched.
    """

    ids: torch.Tensor
    p: torch.Tensor
    probabilities: torch.Tensor
    reading: Reading
    stages: Sequence[Stage]
    forced: bool = False


class ContrastiveSearch:
    """The search for one row: its texts are that of the row, with each of the candidates behind it.

    So a token is told one step after the logits that it was chosen from. The ``probability`` of a
    step is p, the softmax after the processors: how likely the token was when it came among the
    candidates. Nothing was drawn with it: among them the score decides.
    """

    wants_states: States = "all"
    # Where its steps are kept, if anywhere, to be looked at again.
    recent: RecentSteps | None = None

    def __init__(self, row: Row) -> None:
        self.row, self.key, self.run = row, row.key, row.run
        self._alpha = row.decoding.penalty_alpha
        self._among: Candidates | None = None
        # The states of the last layer for all tokens, [tokens, width], each of length 1; behind
        # the first ``_read`` there is room for those to come.
        self._states, self._read = torch.empty(0), 0

    @property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """The one prompt."""
        return self.row.prompts

    @property
    def lengths(self) -> list[int]:
        """Each text is one token longer than what is written."""
        return [self.row.length + 1] * len(self._ids)

    @property
    def _ids(self) -> torch.Tensor:
        """The candidates, [count]."""
        assert self._among is not None, "there are none before the first turn"
        return self._among.ids

    def newest(self) -> torch.Tensor:
        """The candidates, [count, 1]."""
        return self._ids[:, None]

    def whole(self, text: int) -> torch.Tensor:
        """Prompt, new tokens and one candidate, [1, tokens]."""
        return torch.cat([self.row.ids, self._ids[None, text : text + 1]], dim=1)

    def start_clock(self) -> None:
        """The prefill begins."""
        self.row.start_clock()

    def meet(self, others: int) -> None:
        """See Member."""
        self.row.meet(others)

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """The first candidates; none can be chosen before all are read."""
        self.row.mark_first()
        history = prompts[0].history
        assert history is not None, "asked for by wants_states"
        self._read, width = history.shape[1:]
        self._states = torch.empty(self._read + self.row.limit, width, device=history.device)
        self._states[: self._read] = F.normalize(history[0].float(), dim=-1)
        failed = self._propose(prompts[0])
        return Turn(failed) if failed else Turn((), [0] * len(self._ids))

    def advance(self, forwarded: Forwarded) -> Turn:
        """Choose one of the candidates, and find those that may follow it."""
        among, history, self.row.seconds = self._among, forwarded.history, forwarded.seconds
        assert among is not None and history is not None
        states = F.normalize(history[:, -1].float(), dim=-1)
        similarity = (states @ self._states[: self._read].T).max(dim=-1).values
        scores = (1.0 - self._alpha) * among.p - self._alpha * similarity
        if bool(scores.isnan().any()):
            return Turn([self.row.fail_broken()])
        best = int(scores.argmax())
        self._states[self._read] = states[best]
        self._read += 1
        events = self._take(among, best, scores)
        if len(events) == 1:
            events += self._propose(forwarded.part(best, 1))
        return Turn(events, [best] * len(self._ids))

    def end(self, reason: Reason) -> list[Event]:
        """The end of the run by somebody else's wish."""
        return self.row.end(reason)

    def _propose(self, forwarded: Forwarded) -> list[Event]:
        """Find the next candidates; gives the end of the run where there are none."""
        row, reading = self.row, forwarded.reading
        if reading.is_broken(0):
            return [row.fail_broken()]
        if self.recent is not None:
            self.recent.keep(self.key, row.moment(forwarded))
        logits = forwarded.logits.float()
        stages = row.chain.stages(row.ids, logits) if row.decoding.effects else []
        scores = stages[-1].scores if stages else row.chain(row.ids, logits)
        probabilities = torch.softmax(scores[0], dim=-1)
        if row.inserted is not None:
            ids = torch.tensor([row.inserted], device=scores.device)
            probabilities = probabilities.nan_to_num(0.0)
            self._among = Candidates(
                ids, probabilities[ids], probabilities, reading, stages, forced=True
            )
            return []
        if bool(probabilities.isnan().any()):
            return [row.fail_impossible()]
        p, ids = probabilities.topk(min(row.decoding.top_k, probabilities.shape[0]))
        possible = scores[0, ids] != -math.inf
        self._among = Candidates(ids[possible], p[possible], probabilities, reading, stages)
        return []

    def _take(self, among: Candidates, best: int, scores: torch.Tensor) -> list[Event]:
        """The best of the candidates is the next token."""
        row = self.row
        told = report(
            among.reading, 0, among.probabilities, int(among.ids[best]), row.decoding.candidates,
            row.pieces, among.stages,
        )
        if among.forced:
            told = replace(told, forced=True)
        elif among.stages:
            told = replace(told, effects=(*told.effects, self._effect(among, scores, told.effects)))
        return row.take(told)

    def _effect(
        self, among: Candidates, scores: torch.Tensor, others: Sequence[Effect]
    ) -> Effect:
        """What the search made of the candidates: ``before`` is p, ``after`` the score.

        With p and alpha the score tells the similarity of each. It is no probability, and below 0
        for what is likelier to be dull; what was not among the candidates has 0.
        """
        pieces = self.row.pieces
        score = dict(zip(among.ids.tolist(), scores.tolist(), strict=True))
        rest = among.probabilities.index_fill(0, among.ids, 0.0)
        gone = rest.topk(min(MOST_TOLD, rest.shape[0]))
        return Effect(
            name="penalty_alpha",
            watched=tuple(
                replace(shift, before=shift.after, after=score.get(shift.id, 0.0))
                for shift in others[-1].watched
            ),
            removed=int((rest > 0).sum()),
            mass=float(exact(rest).sum()),
            gone=tuple(
                Shift(id, pieces[id].text, p, 0.0)
                for id, p in zip(gone.indices.tolist(), gone.values.tolist(), strict=True)
                if p > 0
            ),
            moved=len(score),
            most_moved=tuple(
                Shift(id, pieces[id].text, p, score[id])
                for id, p in zip(among.ids.tolist(), among.p.tolist(), strict=True)
            ),
        )
