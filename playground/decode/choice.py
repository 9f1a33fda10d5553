"""From logits to a chosen token and what is told about it; it knows no batch, no cache and no text.

Before the processors stand the model's own numbers (log-probability, rank, entropy, candidates),
after them the probability that the token was really chosen with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from playground.core.decoding import Decoding
from playground.core.events import Candidate, Draw, Effect
from playground.decode.effects import Stage, draw_of, effects, winner
from playground.decode.processors import Chain
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
    effects: tuple[Effect, ...] = ()
    draw: Draw | None = None
    forced: bool = False


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
    # The clamp makes 0 * -inf, of a token that cannot come, 0 and not NaN.
    entropy = -torch.linalg.vecdot(logprobs.exp(), logprobs.clamp(min=-1e4))
    top = logprobs.topk(min(candidates, logprobs.shape[-1]), dim=-1).indices
    return Reading(logprobs, entropy.tolist(), top)


def report(
    reading: Reading,
    row: int,
    probabilities: torch.Tensor,
    id: int | torch.Tensor,
    count: int,
    pieces: Pieces,
    stages: Sequence[Stage] = (),
) -> Report:
    """What is told about the token ``id``; ``probabilities`` [vocabulary] are the final ones.

    ``id`` may still be on the device, as [1]: all numbers come from there together, because each
    look waits for a GPU to be done. ``stages`` are given where it is asked what each processor did.
    """
    logprobs = reading.logprobs[row]
    shown = reading.top[row, :count]
    place = id if isinstance(id, torch.Tensor) else shown.new_full((1,), id)
    places = torch.cat([shown, place])
    above = (logprobs > logprobs[place]).sum(dtype=logprobs.dtype)[None]
    # As fp32 numbers, in which every id and every rank is exact.
    told = [logprobs[places], probabilities[places], places.to(logprobs.dtype), above]
    numbers, size = torch.cat(told).tolist(), len(places)
    own, final = numbers[:size], numbers[size : 2 * size]
    ids = [int(number) for number in numbers[2 * size : 3 * size]]
    return Report(
        id=ids[-1],
        logprob=own[-1],
        rank=int(numbers[-1]) + 1,
        probability=final[-1],
        entropy=reading.entropy[row],
        candidates=tuple(
            Candidate(c, pieces[c].text, logprob, probability)
            for c, logprob, probability in zip(ids[:-1], own, final, strict=False)
        ),
        effects=effects(stages, row, list(dict.fromkeys(ids)), pieces) if stages else (),
    )


def choose(
    chain: Chain,
    ids: torch.Tensor,
    logits: torch.Tensor,
    reading: Reading,
    generator: torch.Generator | None,
    decoding: Decoding,
    pieces: Pieces,
) -> Report | None:
    """The next token after ``ids`` [1, tokens], from the model's ``logits`` [1, vocabulary].

    None where the processors leave none (every token forbidden, or an overflow).
    """
    stages = chain.stages(ids, logits.float()) if decoding.effects else []
    scores = stages[-1].scores if stages else chain(ids, logits.float())
    # The same dice once more, to look at the draw that comes.
    dice = generator.clone_state() if generator is not None and decoding.effects else None
    chosen, probabilities = draw(scores, generator)
    told = report(reading, 0, probabilities[0], chosen, decoding.candidates, pieces, stages)
    if math.isnan(told.probability):  # one is NaN where their sum is: then all are
        return None
    if dice is None:
        return told
    return replace(told, draw=draw_of(probabilities, dice, told.id))


def judge(
    chain: Chain,
    ids: torch.Tensor,
    logits: torch.Tensor,
    reading: Reading,
    id: int,
    decoding: Decoding,
    pieces: Pieces,
) -> Report:
    """What is told about the token ``id``, which comes next whatever the settings would choose."""
    stages = chain.stages(ids, logits.float()) if decoding.effects else []
    scores = stages[-1].scores if stages else chain(ids, logits.float())
    # Where the settings leave no token at all, they leave this one nothing.
    probabilities = torch.softmax(scores[0], dim=-1).nan_to_num(0.0)
    told = report(reading, 0, probabilities, id, decoding.candidates, pieces, stages)
    return replace(told, forced=True)


def draw(
    scores: torch.Tensor, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token [1] of ``scores`` [1, vocabulary], and the probabilities [1, vocabulary].

    As ``generate()`` chooses: argmax without a generator, otherwise one draw from the softmax, in
    the way of ``torch.multinomial`` but without its checks, which end a CUDA process. The
    probabilities are NaN where the scores make no distribution.
    """
    probabilities = torch.softmax(scores, dim=-1)
    if generator is None:
        return torch.argmax(scores, dim=-1), probabilities
    return winner(probabilities, generator), probabilities
