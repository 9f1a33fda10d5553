"""What a scoring says, in figures and words, as values for the page; it knows no Gradio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from playground.core.contrast import Contrast, contrast
from playground.core.events import Step
from playground.core.score import MEASURES, Contest, Measure, Scored
from playground.ui.token_store import number

MOST_SURPRISES = 5
LEAST_SCALE = 6.0  # bits: a text without surprise shall look like one
EXPECTED = 0.5  # a token that likely is no surprise

_HELP = {
    "tokens": "How many tokens were scored; the prompt's are not among them.",
    "total": "Sum of the tokens' log-probabilities, in nats: the logarithm of how likely the model "
    "finds the whole text. Nearer to 0 is likelier.",
    "mean": "The sum over the number of tokens.",
    "token": "Perplexity: as if each token was one of so many equally likely ones.",
    "word": "The same for a word, which is fair between models that cut a text into other tokens.",
    "byte": "The same for a byte of text, in any language.",
    "bits": "The size of the text after ideal compression by this model, of 8 bits a byte.",
}
RULES: dict[Measure, str] = {
    "total": "Sum", "token": "Mean of a token", "byte": "Mean of a byte", "pmi": "PMI",
}


def sheets(columns: Sequence[tuple[int, Scored]]) -> dict[int, dict[str, Any]]:
    """What each column's scoring comes to, by the column's number; their bars have one scale."""
    made = {number: sheet(scored) for number, scored in columns}
    top = max((one["top"] for one in made.values()), default=0.0)
    return {number: {**one, "top": top} for number, one in made.items()}


def sheet(scored: Scored) -> dict[str, Any]:
    """The figures of a scoring, its running perplexity, and its most surprising tokens."""
    bits = [-step.logprob / math.log(2) for step in scored.steps]
    return {
        "figures": figures(scored),
        "pieces": [step.piece for step in scored.steps],
        "bits": [number(one, 4) for one in bits],
        "top": number(max([LEAST_SCALE, *filter(math.isfinite, bits)]), 4),
        "running": [number(perplexity, 4) for perplexity in running_perplexity(scored)],
        "surprises": [_surprise(step, place) for place, step in most_surprising(scored)],
    }


def figures(scored: Scored) -> list[dict[str, Any]]:
    """Each measure: its name, its exact value for the API, as it is shown, and what it means."""
    given = (
        ("tokens", "token" if len(scored.steps) == 1 else "tokens", float(len(scored.steps)), 0),
        ("total", "total log-prob", scored.total_logprob, 2),
        ("mean", "mean log-prob", scored.mean_logprob, 3),
        ("bits", "bits / byte", scored.bits_per_byte, 3),
        ("token", "perplexity / token", scored.perplexity, 2),
        ("word", "perplexity / word", scored.word_perplexity, 2),
        ("byte", "perplexity / byte", scored.byte_perplexity, 3),
    )
    return [
        {"name": name, "label": label, "value": None if value is None else number(value, 12),
         "shown": shown(value, digits), "help": _HELP[name]}
        for name, label, value, digits in given
    ]


def running_perplexity(scored: Scored) -> tuple[float, ...]:
    """The perplexity of the text up to each of its tokens."""
    sums = accumulate(step.logprob for step in scored.steps)
    means = (-total / count for count, total in enumerate(sums, 1))
    return tuple(math.exp(mean) if mean < 700 else math.inf for mean in means)


def most_surprising(scored: Scored) -> list[tuple[int, Step]]:
    """The least likely tokens with their places, those that the model expected left out."""
    unlikely = [
        (place, step) for place, step in enumerate(scored.steps)
        if math.exp(step.logprob) < EXPECTED
    ]
    return sorted(unlikely, key=lambda one: one[1].logprob)[:MOST_SURPRISES]


def _surprise(step: Step, place: int) -> dict[str, Any]:
    """One surprise: what stands there, and what was expected instead (null: the same token)."""
    best = step.candidates[0] if step.candidates else None
    other = best if best and best.id != step.id and step.rank > 1 else None
    return {
        "place": place, "piece": step.piece, "rank": step.rank,
        "choice": ordinal(step.rank) if step.rank else "an untold",
        "probability": percent(math.exp(step.logprob)),
        "expected": other and other.text,
        "instead": other and percent(math.exp(other.logprob)),
    }


def differences(columns: Sequence[tuple[int, Scored]]) -> list[dict[str, Any]]:
    """Each later column against the first one, token by token; ``columns`` have their numbers."""
    if len(columns) < 2:
        return []
    (first, base), *others = columns
    return [_difference(first, number, contrast(base, scored)) for number, scored in others]


def _difference(first: int, second: int, made: Contrast) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "total": made.total and number(made.total, 5),
        "says": verdict(first, second, made),
        "alone": [made.only_first, made.only_second],
        "pairs": [
            [pair.first, pair.second, pair.piece, pair.gain and number(pair.gain, 4)]
            for pair in made.pairs
        ],
    }


def verdict(first: int, second: int, made: Contrast) -> str:
    """Which of two columns was less surprised, in a sentence."""
    total = made.total
    if total is None:
        return f"Neither lane {first} nor lane {second} finds this text possible."
    if abs(total) < 0.005:
        return f"Lanes {first} and {second} are equally surprised by this text."
    better, worse = (second, first) if total > 0 else (first, second)
    if not math.isfinite(total):
        return f"Only lane {better} finds this text possible."
    times = float(f"{math.exp(min(abs(total), 700)):.2g}")
    factor = f"{times:,g}" if times < 1e6 else f"{times:.1e}"
    return (
        f"Lane {better} is less surprised, by {abs(total):.2f} nats: it finds the text about "
        f"{factor} times as likely as lane {worse} does."
    )


def shares(contest: Contest) -> tuple[float, ...]:
    """The probability of each contender if it must be one of them: the softmax of the sums."""
    totals = [contender.scored.total_logprob for contender in contest.contenders]
    best = max(totals)
    if not math.isfinite(best):
        return tuple(0.0 for _ in totals)
    weights = [math.exp(total - best) for total in totals]
    return tuple(weight / math.fsum(weights) for weight in weights)


def standings(contest: Contest) -> dict[str, Any]:
    """A contest for the page: each contender with its scores and its ranks by every rule."""
    ranks = {rule: contest.ranks(rule) for rule in RULES}
    rows = []
    for place, (contender, share) in enumerate(
        zip(contest.contenders, shares(contest), strict=True)
    ):
        scores = {rule: contender.score(rule) for rule in RULES}
        rows.append({
            "text": contender.continuation,
            "tokens": len(contender.scored.steps),
            "share": number(share, 6),
            "share_shown": percent(share),
            "scores": {rule: None if s is None else number(s, 12) for rule, s in scores.items()},
            "shown": {rule: shown(score, 2 if rule in ("total", "pmi") else 3)
                      for rule, score in scores.items()},
            "ranks": {rule: ranks[rule][place] for rule in RULES},
        })
    return {
        "says": winners(contest),
        "rules": [[rule, label, MEASURES[rule]] for rule, label in RULES.items()],
        "rows": rows,
        "neutral": [piece.text for piece in contest.neutral],
        "by_itself": len(contest.neutral) == 1 and contest.neutral[0].special,
        "notices": list(contest.notices),
    }


def winners(contest: Contest) -> str:
    """Who wins by which rule, in a sentence."""
    won: dict[str, list[str]] = {}
    for rule, label in RULES.items():
        won.setdefault(contest.winner(rule).continuation.strip(), []).append(label)
    if len(won) == 1:
        return f"“{next(iter(won))}” wins by every rule."
    parts = [f"“{text}” by {_listed(labels)}" for text, labels in won.items()]
    return f"The rules disagree: {'; '.join(parts)}."


def _listed(labels: Sequence[str]) -> str:
    words = [label if label == "PMI" else label.lower() for label in labels]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def shown(value: float | None, digits: int) -> str:
    """A figure with a real minus sign; a dash where there is none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "∞" if value > 0 else "\u2212∞"
    if abs(value) >= 100_000:
        return f"{value:.2e}".replace("-", "\u2212")
    return f"{value:,.{digits}f}".replace("-", "\u2212")


def percent(share: float) -> str:
    """A share as the token view writes it."""
    value = 100 * share
    for edge, digits in ((99.95, None), (9.95, 0), (0.995, 1), (0.01, 2)):
        if value >= edge:
            return "100 %" if digits is None else f"{value:.{digits}f} %"
    return "< 0.01 %" if value > 0 else "0 %"


def ordinal(rank: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    teen = rank % 100 in (11, 12, 13)
    return f"{rank:,}" + ("th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th"))
