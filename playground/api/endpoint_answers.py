"""What runs, scores and tokens are as plain JSON for the Gradio endpoints; it asks nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from playground.core.compare import Choice, compare
from playground.core.events import Candidate, Piece, Step
from playground.core.measures import measure
from playground.core.messages import Rendered
from playground.core.score import Scored
from playground.core.trace import Trace

Json = dict[str, Any]


def answer_of(trace: Trace, tokens: bool = False) -> Json:
    """A run that is over: its text, its ids, what it was asked, its figures."""
    started, finished, run = trace.started, trace.finished, trace.run
    figures = measure(trace)
    ignored = [f"{label} has no effect with these settings." for label in run.decoding.ignored]
    told = {"tokens": [step_of(step) for step in trace.steps]} if tokens else {}
    return {
        "text": trace.text,
        "ids": list(trace.ids),
        "ended": finished.reason if finished else "",
        "model": run.model.repo,
        "decoding": run.decoding.summary,
        "seed": run.seed,
        "prompt": started.rendered if started else "",
        "prompt_ids": list(started.prompt_ids) if started else [],
        "mean_logprob": figures.mean_logprob,
        "perplexity": figures.perplexity,
        "notices": [*(started.notices if started else ()), *ignored],
        **told,
    }


def comparison_of(traces: Sequence[Trace]) -> Json:
    """Answers to one prompt, and where each leaves the first."""
    return {"answers": [answer_of(trace) for trace in traces],
            "partings": [_parting(traces[0], trace) for trace in traces[1:]]}


def _parting(first: Trace, other: Trace) -> Json:
    """For how many tokens two answers are the same; then which token each took, and what it gave
    the other's."""
    found = compare(first, other)
    made: Json = {"same_tokens": found.first, "compared_by": found.by}
    if found.parting is None:
        return {**made, "parts": False}
    return {**made, "parts": True, "first": _choice(found.parting.first, first),
            "this": _choice(found.parting.second, other)}


def _choice(choice: Choice, trace: Trace) -> Json:
    step = trace.whole[choice.index]
    other = choice.other
    gave = None if other is None else {"probability": other.probability, "rank": other.rank,
                                       "exact": other.listed}
    return {"id": step.id, "token": step.piece, "probability": choice.own.probability,
            "rank": choice.own.rank, "by_the_other": gave}


def next_of(step: Step) -> Json:
    """What could have come at a place: the likeliest, and how much is left for all others."""
    told = math.fsum(candidate.probability for candidate in step.candidates)
    return {"tokens": [candidate_of(one) for one in step.candidates],
            "others": max(0.0, 1.0 - told), "entropy": step.entropy}


def score_of(scored: Scored) -> Json:
    """A given text with what the model thought of it."""
    return {
        "total_logprob": finite(scored.total_logprob),
        "mean_logprob": finite(scored.mean_logprob),
        "perplexity": finite(scored.perplexity),
        "bits_per_byte": finite(scored.bits_per_byte),
        "tokens": [step_of(step) for step in scored.steps],
        "read_before": [piece_of(piece) for piece in scored.context],
        "notices": list(scored.notices),
    }


def tokens_of(rendered: Rendered) -> Json:
    """A prompt as the model reads it."""
    return {"ids": [piece.id for piece in rendered.pieces],
            "tokens": [piece_of(piece) for piece in rendered.pieces],
            "text": rendered.rendered, "notices": list(rendered.notices)}


def step_of(step: Step) -> Json:
    """One token with its place among all; log-probabilities are the model's own, in nats."""
    return {"id": step.id, "token": step.piece, "logprob": finite(step.logprob), "rank": step.rank,
            "probability": step.probability, "entropy": step.entropy,
            "candidates": [candidate_of(one) for one in step.candidates]}


def candidate_of(candidate: Candidate) -> Json:
    """A token that could have come."""
    return {"id": candidate.id, "token": candidate.text, "logprob": finite(candidate.logprob),
            "probability": candidate.probability}


def piece_of(piece: Piece) -> Json:
    """A token by itself."""
    return {"id": piece.id, "token": piece.text, "control": piece.special}


def finite(number: float | None) -> float | None:
    """JSON has no infinity: null stands for what is impossible."""
    return number if number is not None and math.isfinite(number) else None
