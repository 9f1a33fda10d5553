"""DoLa: the last layer contrasted with an earlier one; it knows no cache and no loop.

Chuang et al. 2023, "DoLa: Decoding by Contrasting Layers Improves Factuality" (arXiv 2309.03883).
The arithmetic is that of ``GenerationMixin._dola_decoding`` (transformers 4.55, after the
authors' code; it has moved to transformers-community/dola since), with one difference: where a
model scales or bounds what its head gives (Cohere, Gemma 2), the early layers get the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F
from transformers import LogitsProcessor

from playground.core.events import Event, Step
from playground.core.run import Run
from playground.decode.member import Forwarded, States
from playground.decode.processors import Chain, Link
from playground.decode.row import Row
from playground.models.head import Head, head_of
from playground.models.loading import Model
from playground.models.text import Encoded

_RELATIVE_TOP = 0.1  # tokens stay that have at least this share of the likeliest one's probability
_OUT = -1e-3  # the early layer's log-probability of the others, whose scores are minus infinity


def early_layers(which: str, layers: int, tied: bool) -> tuple[int, ...]:
    """The layers that may be contrasted with the last of ``layers``; 0 are the embeddings.

    ``which`` is "low" or "high": the lower or the upper half, or at most 20 of them, every second
    one. Where the head is ``tied`` to the embeddings it would give the newest token back behind
    the first layers, so that "low" begins later. None may be left, in a model of three layers.
    """
    start = 0 if not tied else 2 if layers > 2 else 1 if layers == 2 else 0
    middle = layers // 2
    if which == "high":
        return tuple(range(middle if layers <= 40 else layers - 20, layers, 2))
    if start == middle:
        return (start,)
    return tuple(range(start, middle if layers <= 40 else 20, 2))


class Contrast(LogitsProcessor):
    """Gives log-probabilities of the last layer minus those of the early layer furthest from it.

    ``states`` [rows, width], one for the embeddings and one for each layer, are set before every
    call; ``layer`` is the early one that the last call took. Tokens with less than a tenth of the
    likeliest one's probability are ruled out.
    """

    def __init__(self, head: Head, early: Sequence[int]) -> None:
        self._head, self._early = head, early
        self.states: Sequence[torch.Tensor] = ()
        self.layer = early[0]

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the class."""
        early = self._head(torch.stack([self.states[layer] for layer in self._early]))
        place = furthest(scores, early) if len(self._early) > 1 else 0
        self.layer, base = self._early[place], early[place]
        last, base = torch.log_softmax(scores, dim=-1), torch.log_softmax(base, dim=-1)
        low = last < last.max(dim=-1, keepdim=True).values + math.log(_RELATIVE_TOP)
        return last.masked_fill(low, -math.inf) - base.masked_fill(low, _OUT)


def furthest(last: torch.Tensor, early: torch.Tensor) -> int:
    """Which of the ``early`` logits [layers, rows, vocabulary] diverges most from the last ones.

    By Jensen-Shannon as the authors' code has it: with KL(M, P) where the textbook has KL(P, M).
    """
    mean = 0.5 * (torch.softmax(last, dim=-1)[None] + torch.softmax(early, dim=-1))
    apart = [
        F.kl_div(torch.log_softmax(logits, dim=-1), mean, reduction="none").mean(-1)
        for logits in (last[None], early)
    ]
    return int((0.5 * (apart[0] + apart[1])).mean(-1).argmax())


class DolaRow(Row):
    """A row whose chain begins with the contrast of layers."""

    wants_states: States = "newest"

    def __init__(
        self, model: Model, key: int, run: Run, encoded: Encoded, contrast: Contrast
    ) -> None:
        self._contrast = contrast
        super().__init__(model, key, run, encoded)

    def around(self, chain: Chain) -> Chain:
        """See Row."""
        return Chain((Link("dola_layers", self._contrast), *chain.links))

    def choose(self, forwarded: Forwarded) -> list[Event]:
        """See Row."""
        self._contrast.states = forwarded.layers
        return [self._with_layer(event) for event in super().choose(forwarded)]

    def _with_layer(self, event: Event) -> Event:
        """A step whose processors are told says which early layer it was."""
        if not isinstance(event, Step) or not event.effects:
            return event
        return replace(event, effects=tuple(
            replace(effect, layer=self._contrast.layer) if effect.name == "dola_layers" else effect
            for effect in event.effects
        ))


def contrast_of(model: Model, which: str) -> Contrast | str:
    """The contrast for ``dola_layers``, or why this model cannot have it, in words."""
    head = head_of(model.lm)
    if isinstance(head, str):
        return head
    tied = bool(getattr(model.lm.config, "tie_word_embeddings", False))
    early = early_layers(which, head.layers, tied)
    if not early:
        return f"a model of {head.layers} layers has no early one in its lower half"
    return Contrast(head, early)
