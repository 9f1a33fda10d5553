"""The chain of logits processors, in order and by name; it knows no model and no loop.

Classes and order are those of ``GenerationMixin._get_logits_processor`` (transformers 5.23), so
that the chain leaves the scores that ``generate()`` would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import (
    LogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from playground.core.decoding import Decoding


@dataclass(frozen=True, slots=True)
class Link:
    """One processor, under the name of the ``Decoding`` field that switches it on."""

    name: str
    processor: LogitsProcessor


@dataclass(frozen=True, slots=True)
class Chain:
    """The processors of one run, applied one after the other."""

    links: tuple[Link, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What is switched on, in order."""
        return tuple(link.name for link in self.links)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``scores`` [rows, vocabulary] after every processor; ``ids`` [rows, tokens] so far."""
        for link in self.links:
            scores = link.processor(ids, scores)
        return scores


def build(
    decoding: Decoding, prompt_tokens: int, ends: Sequence[int], device: torch.device
) -> Chain:
    """The chain for these settings; ``ends`` are the model's end tokens."""
    links: list[Link] = []

    def add(name: str, processor: LogitsProcessor) -> None:
        links.append(Link(name, processor))

    d = decoding
    if d.repetition_penalty != 1.0:
        add("repetition_penalty", RepetitionPenaltyLogitsProcessor(float(d.repetition_penalty)))
    if d.no_repeat_ngram_size > 0:
        add("no_repeat_ngram_size", NoRepeatNGramLogitsProcessor(d.no_repeat_ngram_size))
    if d.min_new_tokens > 0 and ends:
        eos = torch.tensor(list(ends), device=device)
        add(
            "min_new_tokens",
            MinNewTokensLengthLogitsProcessor(prompt_tokens, d.min_new_tokens, eos),
        )
    if d.do_sample:
        # Beam sampling must keep one token that goes on, beside every end token.
        keep = max(2, len(ends) + 1) if d.is_beam_search else 1
        if d.temperature != 1.0:
            add("temperature", TemperatureLogitsWarper(float(d.temperature)))
        if d.top_k > 0:
            add("top_k", TopKLogitsWarper(d.top_k, min_tokens_to_keep=keep))
        if d.top_p < 1.0:
            add("top_p", TopPLogitsWarper(float(d.top_p), min_tokens_to_keep=keep))
        if d.min_p > 0.0:
            add("min_p", MinPLogitsWarper(float(d.min_p), min_tokens_to_keep=keep))
        if d.typical_p < 1.0:
            add("typical_p", TypicalLogitsWarper(mass=float(d.typical_p), min_tokens_to_keep=keep))
    return Chain(tuple(links))
