"""Logits processors that transformers lacks, one small class each; they know no model and no loop.

Each takes ``ids`` [rows, tokens], prompt and new tokens, and ``scores`` [rows, vocabulary], and
gives new scores; a token that is ruled out gets minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor

from playground.core.decoding import Decoding
from playground.models.pieces import Pieces

MARKS = ("\n", ":", '"', "*")
_LONGEST_MATCH = 50  # tokens; beyond, a power of the base would leave the numbers' range


def marks_of(tokenizer: Any, pieces: Pieces, decoding: Decoding) -> Mapping[str, int]:
    """The ids of ``MARKS`` where DRY or XTC asks for them; a mark without a token is left out.

    As in text-generation-webui: the last token of the mark after a letter, since many tokenizers
    treat the begin of a text in their own way. Tokens that hold more than the mark, such as a full
    stop with its line break, are not among them.
    """
    if not (decoding.dry_multiplier or decoding.xtc_probability):
        return {}
    found = {}
    for mark in MARKS:
        ids = tokenizer.encode(f"a{mark}", add_special_tokens=False)
        # A tokenizer may drop a line break, or have no token for it.
        if ids and pieces.data(ids[-1]) == mark.encode():
            found[mark] = int(ids[-1])
    return found


class FrequencyPenalty(LogitsProcessor):
    """Takes ``penalty`` off a token's logit for each time that it was written.

    As OpenAI defines it, over the new tokens only: the prompt does not count.
    """

    def __init__(self, penalty: float, prompt_tokens: int) -> None:
        self._penalty, self._prompt_tokens = penalty, prompt_tokens

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        return scores - self._penalty * _counts(ids[:, self._prompt_tokens :], scores)


class PresencePenalty(LogitsProcessor):
    """Takes ``penalty`` off a token's logit once it was written, however often.

    As OpenAI defines it, over the new tokens only: the prompt does not count.
    """

    def __init__(self, penalty: float, prompt_tokens: int) -> None:
        self._penalty, self._prompt_tokens = penalty, prompt_tokens

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        return scores - self._penalty * (_counts(ids[:, self._prompt_tokens :], scores) > 0)


class HammingDiversity(LogitsProcessor):
    """Takes ``penalty`` off a token's score for each beam of an earlier group that chose it.

    Diverse beam search, arXiv 1610.02424, equation 4 with Hamming distance; the class that
    transformers 4 had under this name. ``taken`` are the tokens that were chosen in this step.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self.taken: list[int] = []

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        if not self.taken:
            return scores
        taken = torch.tensor([self.taken], device=scores.device)
        return scores - self._penalty * _counts(taken, scores[:1])


def _counts(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """How often each token of the vocabulary is among ``ids``, in the shape of ``scores``."""
    return torch.zeros_like(scores).scatter_add_(1, ids, torch.ones_like(ids, dtype=scores.dtype))


class DRY(LogitsProcessor):
    """Don't Repeat Yourself: a token that would go on with a repeated run becomes less likely.

    By p-e-w (text-generation-webui, pull request 5677). Where the text ends in n tokens that stood
    in it before (prompt included), and n is at least ``allowed_length``, the token that followed
    them then loses ``multiplier * base ** (n - allowed_length)``; the longest match decides. No
    match goes over one of the ``breakers``, and no breaker is made less likely.
    """

    def __init__(
        self, multiplier: float, base: float, allowed_length: int, breakers: Collection[int]
    ) -> None:
        self._multiplier, self._base = multiplier, base
        self._allowed_length, self._breakers = allowed_length, breakers

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        scores = scores.clone()
        for row, text in enumerate(ids.tolist()):
            for id, length in self._matches(text).items():
                if length >= self._allowed_length:
                    power = self._base ** (length - self._allowed_length)
                    scores[row, id] -= self._multiplier * power
        return scores

    def _matches(self, text: list[int]) -> dict[int, int]:
        """Tokens that followed what the text ends in, with the length of the longest match."""
        found: dict[int, int] = {}
        if text[-1] in self._breakers:
            return found
        end = len(text) - 1
        for place in range(end):
            following = text[place + 1]
            if text[place] != text[end] or following in self._breakers:
                continue
            length = 1
            while (
                length < min(place + 1, _LONGEST_MATCH)
                and text[place - length] == text[end - length]
                and text[end - length] not in self._breakers
            ):
                length += 1
            found[following] = max(length, found.get(following, 0))
        return found


class Forced(LogitsProcessor):
    """The new tokens begin with exactly these ids: at each of their places no other is possible.

    The forced token keeps its score; one that was ruled out before gets 0, as from transformers'
    ``ForcedBOSTokenLogitsProcessor``. Whatever comes after has one token left to choose, so dice
    fall as ever and change nothing.
    """

    def __init__(self, forced: Sequence[int], prompt_tokens: int) -> None:
        self._forced, self._prompt_tokens = forced, prompt_tokens

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        position = ids.shape[1] - self._prompt_tokens
        if position >= len(self._forced):
            return scores
        id = self._forced[position]
        only = torch.full_like(scores, -math.inf)
        own = scores[:, id]
        only[:, id] = own.masked_fill(own == -math.inf, 0.0)
        return only


class Barred(LogitsProcessor):
    """Rules these ids out where a text has ``tokens`` tokens, and nowhere else.

    What a reader bans at the place where a run goes on: before all that acts on the scores, as if
    the model itself could not have said it there.
    """

    def __init__(self, barred: Sequence[int], tokens: int) -> None:
        self._barred, self._tokens = list(barred), tokens

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        if ids.shape[1] != self._tokens:
            return scores
        barred = torch.tensor(self._barred, device=scores.device)
        return scores.index_fill(1, barred, -math.inf)


class TopNSigma(LogitsProcessor):
    """Keeps the tokens whose logit is at least the largest minus ``n`` standard deviations.

    Top-n-sigma, arXiv 2411.07641. The deviation is that of the row's logits (divided by their
    number), without those that are ruled out already. Dividing all logits by a temperature keeps
    the same tokens. At least ``keep`` tokens stay.
    """

    def __init__(self, n: float, keep: int = 1) -> None:
        self._n, self._keep = n, keep

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        allowed = torch.isfinite(scores)
        count = allowed.sum(-1, keepdim=True)
        mean = scores.masked_fill(~allowed, 0.0).sum(-1, keepdim=True) / count
        apart = (scores - mean).masked_fill(~allowed, 0.0)
        deviation = (apart.square().sum(-1, keepdim=True) / count).sqrt()
        best = scores.topk(min(self._keep, scores.shape[-1]), dim=-1).values
        bound = best[:, :1] - self._n * deviation
        return scores.masked_fill((scores < bound) & (scores < best[:, -1:]), -math.inf)


class XTC(LogitsProcessor):
    """Exclude Top Choices: of the tokens that are likely enough, only the least likely stays.

    By p-e-w (text-generation-webui, pull request 6335). At every step one number from [0, 1) is
    drawn for each row from the run's own ``generator``, before the draw of the token, whatever
    comes of it; below ``probability``, all tokens of at least ``threshold`` but the least likely
    of them are ruled out. Where one of the ``spared`` (line break and end tokens) would go, or
    fewer than ``keep`` tokens would stay, nothing happens.
    """

    def __init__(
        self,
        probability: float,
        threshold: float,
        spared: Sequence[int] = (),
        keep: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        self._probability, self._threshold = probability, threshold
        self._spared, self._keep, self._generator = list(spared), keep, generator

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        luck = torch.rand(scores.shape[0], 1, generator=self._generator, device=scores.device)
        probabilities = torch.softmax(scores, dim=-1)
        possible = probabilities > 0
        likely = (probabilities >= self._threshold) & possible
        least = probabilities.masked_fill(~likely, math.inf).argmin(-1, keepdim=True)
        out = likely.scatter(-1, least, False)
        enough = (possible & ~out).sum(-1, keepdim=True) >= self._keep
        spared = out[:, self._spared].any(-1, keepdim=True)
        acts = (luck < self._probability) & enough & ~spared
        return scores.masked_fill(out & acts, -math.inf)


class Mirostat(LogitsProcessor):
    """Steers the surprise of the text to ``tau`` bits: Mirostat 2, arXiv 2007.14966.

    As in llama.cpp: tokens with more than mu bits of surprise are ruled out (the likeliest never).
    mu begins at twice tau; after a token was drawn with surprise s among those that were left, it
    falls by ``eta * (s - tau)``. Its state is that of one row: ``accept`` is told every choice.
    """

    def __init__(self, tau: float, eta: float) -> None:
        self._tau, self._eta = tau, eta
        self.mu = 2.0 * tau

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """See the module."""
        bits = torch.log_softmax(scores, dim=-1) / -math.log(2.0)
        out = (bits > self.mu) & (scores < scores.max(dim=-1, keepdim=True).values)
        return scores.masked_fill(out, -math.inf)

    def accept(self, probability: float) -> None:
        """A token was chosen, and this was its probability among those that were left."""
        surprise = -math.log2(max(probability, 1e-30))
        self.mu -= self._eta * (surprise - self._tau)
