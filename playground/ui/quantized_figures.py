"""How far two copies of a model are apart, from their whole distributions; it knows no model.

numpy, which Gradio brings along: a position of a large model has 150,000 numbers on either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Apart:
    """Two distributions over one vocabulary, in nats: Kullback-Leibler of the second from the first
    (what the first loses by being told with the second) and the other way round, Jensen-Shannon
    (at most ln 2), and whether both have the same first choice."""

    forward: float
    backward: float
    jensen_shannon: float
    agree: bool


def apart(first: bytes, second: bytes, vocabulary: int) -> tuple[Apart, ...]:
    """Position by position; both are packed as ``ExpectedFound.logprobs`` are."""
    one, other = (
        np.frombuffer(packed, np.float32).reshape(-1, vocabulary).astype(np.float64)
        for packed in (first, second)
    )
    count = min(len(one), len(other))
    return tuple(_apart(p, q) for p, q in zip(one[-count:], other[-count:], strict=True))


def _apart(p: np.ndarray, q: np.ndarray) -> Apart:
    with np.errstate(invalid="ignore"):
        middle = np.logaddexp(p, q) - math.log(2)
    shannon = (divergence(p, middle) + divergence(q, middle)) / 2
    return Apart(divergence(p, q), divergence(q, p), max(0.0, shannon),
                 int(p.argmax()) == int(q.argmax()))


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p ‖ q) = Σ p (ln p − ln q) in nats, of log-probabilities; at least 0."""
    held = p > -np.inf
    return max(0.0, float((np.exp(p[held]) * (p[held] - q[held])).sum()))


def perplexity(told: Sequence[float]) -> float | None:
    """exp of the mean surprise at the text's own tokens; None for a text of one token."""
    return math.exp(min(700.0, -sum(told) / len(told))) if told else None
