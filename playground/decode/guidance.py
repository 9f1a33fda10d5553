"""Classifier-free guidance: a text steered away from another prompt's; it knows no cache, no loop.

Sanchez et al. 2023, "Stay on topic with Classifier-Free Guidance" (arXiv 2306.17806): log p is
moved from what the model says behind the other prompt towards, and past, what it says behind the
prompt. The numbers are those of ``UnbatchedClassifierFreeGuidanceLogitsProcessor`` (transformers
5.24), which comes first of all processors; the other text goes through the batch's own forwards.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from transformers import DynamicCache, LogitsProcessor

from playground.core.events import Event
from playground.core.prompt import Raw
from playground.core.run import Run
from playground.decode import cache as kv
from playground.decode.batch import Batch, Read, Seated, forward, must_read_anew, said, weighed
from playground.decode.faults import FORWARD_FAULTS
from playground.decode.member import Forwarded, Member, Turn
from playground.decode.processors import Chain, Link
from playground.decode.recent import Moment
from playground.decode.row import Row
from playground.errors import ContextOverflow, InvalidInput
from playground.models.lanes import new_cache
from playground.models.loading import Model
from playground.models.text import Encoded, encode


class Guide(LogitsProcessor):
    """Gives ``other + scale * (own - other)`` of the log-probabilities behind the two prompts.

    ``other`` [rows, vocabulary] is set before every call. A token that the model itself rules out
    stays out. Scale 1 changes nothing, 0 leaves the other text's probabilities.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self.other = torch.empty(0)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the class."""
        own = torch.log_softmax(scores, dim=-1)
        other = torch.log_softmax(self.other, dim=-1)
        # In the library's order, so that the last bits are the same.
        guided = self._scale * (own - other) + other
        return guided.masked_fill(own == -math.inf, -math.inf)


class GuidedRow(Row):
    """A row with a second text: the negative prompt, with the same new tokens behind it.

    Without a negative prompt that is the prompt's last token, as in the library.
    """

    def __init__(self, model: Model, key: int, run: Run, encoded: Encoded) -> None:
        """Raises InvalidInput, with field ``negative_prompt`` where that one is at fault."""
        other, self.notices = negative_prompt(model, run.decoding.negative_prompt)
        self._other = other or encoded.ids[-1:]
        self._guide = Guide(float(run.decoding.guidance_scale))
        super().__init__(model, key, run, encoded)
        self._is_read = False

    def around(self, chain: Chain) -> Chain:
        """See Row."""
        return Chain((Link("guidance_scale", self._guide), *chain.links))

    @property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """The prompt and the other one, and behind both what stands at a fork."""
        (own,) = super().prompts
        return (own, (*self._other, *own[self.prompt_tokens :]))

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of both texts."""
        return (self.length, len(self._other) + self.new_tokens)

    def newest(self) -> torch.Tensor:
        """The newest token, for both texts, [2, 1]."""
        return super().newest().expand(2, -1)

    def whole(self, text: int) -> torch.Tensor:
        """One of the texts, [1, tokens]."""
        if text == 0:
            return self.ids
        other = torch.tensor([self._other], device=self.ids.device)
        return torch.cat([other, self.ids[:, self.prompt_tokens :]], dim=1)

    def start_clock(self) -> None:
        """The first of its two prompts is about to be read."""
        if not self._is_read:
            super().start_clock()
        self._is_read = True

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """Choose the first token."""
        return Turn(self._choose(*prompts), [0, 1])

    def advance(self, forwarded: Forwarded) -> Turn:
        """Choose one more token, which both texts get."""
        return Turn(self._choose(forwarded.part(0, 1), forwarded.part(1, 1)))

    def moment(self, forwarded: Forwarded) -> Moment:
        """See Row; with the other text's logits."""
        return replace(super().moment(forwarded), other=self._guide.other.clone())

    def restore(self, moment: Moment) -> None:
        """See Row."""
        super().restore(moment)
        if moment.other is not None:
            self._guide.other = moment.other

    def _choose(self, own: Forwarded, other: Forwarded) -> list[Event]:
        if other.reading.is_broken(0):
            return [self.fail_broken()]
        self._guide.other = other.logits.float()
        return self.choose(own)


class GuidedBatch(Batch):
    """A batch of one guided row whose texts are read one after the other, each with its own cache.

    For a model that cannot read texts of different lengths together, and for a run that wants the
    shapes of ``generate()``.
    """

    @property
    def cache(self) -> DynamicCache | None:
        """See Batch: that of the run's own text."""
        return self._caches[0]

    def join(self, newcomers: Sequence[Seated]) -> None:
        """See Batch."""
        (seated,) = newcomers
        self._caches = [kv.copy(cache, [0]) for cache in seated.caches if cache is not None]
        self.members, self._rows = [seated.member], [len(self._caches)]

    def cache_of(self, member: Member, text: int) -> DynamicCache | None:
        """See Batch."""
        return kv.copy(self._caches[text], [0])

    def forward(self, candidates: int) -> Forwarded:
        """See Batch."""
        (row,) = self.members
        before = [kv.Snapshot(cache) for cache in self._caches]
        began = time.perf_counter()
        try:
            logits = torch.cat([
                self._read_on(text, row.newest()[text], length)
                for text, length in enumerate(row.lengths)
            ])
            return said(Read(logits), candidates, began)
        except FORWARD_FAULTS:
            for snapshot in before:
                snapshot.restore()
            raise

    def _read_on(self, text: int, newest: torch.Tensor, length: int) -> torch.Tensor:
        """The logits [1, vocabulary] after the newest token [1] of one of the texts."""
        ids, cache = newest[None], self._caches[text]
        # The library reads the other text on, whatever its length.
        if text == 0 and must_read_anew(self._lm, cache, length):
            (row,) = self.members
            ids, cache = row.whole(text), new_cache(self._lm)
        logits = forward(self._lm, ids, cache, [length]).logits
        self._caches[text] = cache
        return logits

    def weighed(self, turn: Turn, lengths: Sequence[int], unread: int = 0) -> Turn:
        """See Batch."""
        cached = ([length - unread] for length in lengths)
        return weighed(turn, zip(self._caches, cached, strict=True))


def negative_prompt(model: Model, text: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ids of a negative prompt, encoded as a raw prompt, and what the reader should know of it.

    No ids for no text. Raises ContextOverflow or InvalidInput.
    """
    if not text:
        return (), ()
    context = model.card.context
    try:
        encoded = encode(model, Raw(text), context)
    except ContextOverflow as fault:
        raise ContextOverflow(
            f"The negative prompt has {fault.problem.given}; the model's context holds {context}, "
            "and one must be left for the answer.",
            field="negative_prompt",
            given=fault.problem.given,
            allowed=fault.problem.allowed,
            advice="Shorten the negative prompt.",
        ) from None
    except InvalidInput:
        raise InvalidInput(
            "The negative prompt becomes no token at all.",
            field="negative_prompt",
            given=text,
            advice="Write some words, or leave it empty.",
        ) from None
    return encoded.ids, tuple(f"Negative prompt: {notice}" for notice in encoded.notices)
