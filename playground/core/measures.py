"""The figures by which runs are compared, of a run that is over or still writes; draws nothing.

Over ids of new tokens, control tokens left out, since what a reader sees is compared:

- ``distinct_1``, ``distinct_2``: different n-grams over n-grams. Li et al. 2016, A
  Diversity-Promoting Objective Function for Neural Conversation Models (arXiv 1510.03055); they
  divide by the number of tokens, which for bigrams is one more.
- ``rep_4``: one minus different 4-grams over 4-grams, the share that stood before. Welleck et al.
  2019, Neural Text Generation with Unlikelihood Training (arXiv 1908.04319), as seq-rep-4.

Log-probability and perplexity are the model's own, before any processor, and of all new tokens but
those that the reader put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from playground.core.trace import Trace

LARGEST_EXPONENT = 700.0


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one run; None where there is nothing to measure yet.

    ``mean_logprob`` in nats a token; ``length`` in new tokens; ``forwards`` as in ``Trace``;
    ``seconds`` are those of its forwards, which a run shares with those beside it: of all that read
    its prompt once it is over, before that of the last of them.
    """

    mean_logprob: float | None = None
    perplexity: float | None = None
    distinct_1: float | None = None
    distinct_2: float | None = None
    rep_4: float | None = None
    length: int = 0
    seconds: float | None = None
    forwards: int = 0


def measure(trace: Trace) -> Measures:
    """The figures of a run as it stands; its work is linear in the tokens."""
    ids = tuple(step.id for step in trace.steps if not step.special)
    mean = trace.mean_logprob
    different = distinct(ids, 4)
    return Measures(
        mean_logprob=mean,
        perplexity=None if mean is None else exp(min(-mean, LARGEST_EXPONENT)),
        distinct_1=distinct(ids, 1),
        distinct_2=distinct(ids, 2),
        rep_4=None if different is None else 1.0 - different,
        length=len(trace.steps),
        seconds=_seconds(trace),
        forwards=trace.forwards,
    )


def distinct(ids: Sequence[int], n: int) -> float | None:
    """Different n-grams over n-grams; None for fewer than ``n`` ids."""
    grams = [tuple(ids[place : place + n]) for place in range(len(ids) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def _seconds(trace: Trace) -> float | None:
    told = trace.forward_seconds
    if done := trace.finished:
        return done.prefill_seconds + (sum(told[1:]) or done.decode_seconds)
    return sum(told) if told else None
