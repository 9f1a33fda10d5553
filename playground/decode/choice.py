"""From logits to a chosen token and what is told about it; it knows no batch, no cache and no text.

Before the processors stand the model's own numbers (log-probability, rank, entropy, candidates),
after them the probability that the token was really chosen with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from playground.core.events import Candidate
from playground.models.pieces import Pieces


@dataclass(frozen=True, slots=True)
class Report:
    """One chosen token with its numbers; all that a ``Step`` needs beside its text."""

    id: int
    logprob: float
    rank: int
    probability: float
    entropy: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The model's own next-token distributions, one row each, before any processor.

    ``logprobs`` [rows, vocabulary] in nats, fp32; ``top`` the ids of the likeliest, best first.
    """

    logprobs: torch.Tensor
    entropy: list[float]
    top: torch.Tensor

    def part(self, rows: slice) -> Reading:
        """The readings of some rows."""
        return Reading(self.logprobs[rows], self.entropy[rows], self.top[rows])

    def expand(self, count: int) -> Reading:
        """One row's reading, ``count`` times."""
        return Reading(
            self.logprobs.expand(count, -1), self.entropy * count, self.top.expand(count, -1)
        )

    def is_broken(self, row: int) -> bool:
        """Whether the logits of a row held NaN or infinity: then its entropy is no number."""
        return self.entropy[row] != self.entropy[row]


def read(logits: torch.Tensor, candidates: int) -> Reading:
    """Read ``logits`` [rows, vocabulary] in one log_softmax and one topk."""
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    # entr(p) is -p ln p, and 0 where p is 0, which -p * ln p would make NaN.
    entropy = torch.special.entr(logprobs.exp()).sum(dim=-1)
    top = logprobs.topk(min(candidates, logprobs.shape[-1]), dim=-1).indices
    return Reading(logprobs, entropy.tolist(), top)


def report(
    reading: Reading, row: int, probabilities: torch.Tensor, id: int, count: int, pieces: Pieces
) -> Report:
    """What is told about the token ``id``; ``probabilities`` [vocabulary] are the final ones."""
    logprobs = reading.logprobs[row]
    shown = reading.top[row, :count]
    numbers = torch.stack([logprobs[shown], probabilities[shown]]).tolist()
    own = logprobs[id]
    chosen = torch.stack([own, probabilities[id], (logprobs > own).sum().to(own.dtype)]).tolist()
    return Report(
        id=id,
        logprob=chosen[0],
        rank=int(chosen[2]) + 1,
        probability=chosen[1],
        entropy=reading.entropy[row],
        candidates=tuple(
            Candidate(c, pieces[c].text, logprob, probability)
            for c, logprob, probability in zip(shown.tolist(), *numbers, strict=True)
        ),
    )


def draw(
    scores: torch.Tensor, generator: torch.Generator | None
) -> tuple[int, torch.Tensor] | None:
    """The next token of ``scores`` [1, vocabulary] and the probabilities [vocabulary] it had.

    As ``generate()`` chooses: argmax without a generator, otherwise one draw from the softmax. None
    where the scores make no distribution (every token forbidden, or an overflow).
    """
    probabilities = torch.softmax(scores, dim=-1)
    if bool(torch.isnan(probabilities).any()):
        return None
    if generator is None:
        chosen = torch.argmax(scores, dim=-1)
    else:
        chosen = torch.multinomial(probabilities, num_samples=1, generator=generator)
    return int(chosen.item()), probabilities[0]
