"""One setting at several values from one end to the other; it knows no strategy and no page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from playground.core.decoding import KNOBS
from playground.core.knobs import Knob
from playground.errors import InvalidInput

MOST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Start:
    """Where somebody begins who sweeps a knob: a preset in which it acts, both ends, the steps."""

    preset: str
    low: float
    high: float
    steps: int


STARTS: Mapping[str, Start] = {
    "temperature": Start("Pure sampling", 0.2, 1.6, 8),
    "top_k": Start("Top-k", 10, 90, 5),
    "top_p": Start("Top-p", 0.5, 1.0, 6),
    "min_p": Start("Min-p", 0.0, 0.25, 6),
    "typical_p": Start("Typical", 0.2, 1.0, 5),
    "epsilon_cutoff": Start("Epsilon", 0.0003, 0.0009, 3),
    "eta_cutoff": Start("Eta", 0.001, 0.004, 4),
    "top_h": Start("Top-h", 0.2, 0.8, 4),
    "top_n_sigma": Start("Top-n-sigma", 0.5, 2.0, 4),
    "xtc_probability": Start("XTC", 0.0, 1.0, 5),
    "mirostat_tau": Start("Mirostat", 1.0, 6.0, 6),
    "repetition_penalty": Start("Repetition penalty", 1.0, 1.6, 4),
    "frequency_penalty": Start("Greedy", 0.0, 1.5, 4),
    "presence_penalty": Start("Greedy", 0.0, 1.5, 4),
    "no_repeat_ngram_size": Start("No-repeat n-gram", 2, 5, 4),
    "dry_multiplier": Start("DRY", 0.0, 1.6, 5),
    "num_beams": Start("Beam search", 1, 4, 4),
    "length_penalty": Start("Beam search", 0.0, 2.0, 5),
    "diversity_penalty": Start("Diverse beam search", 0.0, 1.5, 4),
    "penalty_alpha": Start("Contrastive search", 0.2, 0.8, 4),
    "guidance_scale": Start("Guidance", 1.0, 3.0, 5),
    "prompt_lookup_tokens": Start("Prompt lookup", 0, 8, 5),
}


def sweep(name: str, low: object, high: object, steps: object, most: int) -> tuple[float, ...]:
    """``steps`` values of the knob ``name``, evenly from ``low`` to ``high``; either may be larger.

    Rounded to as few decimals as leave each within a twentieth of a step of its place, and whole
    for a knob of whole numbers. Raises InvalidInput, naming the field, for values outside the
    knob's range, for more than ``most``, and where two would be the same.
    """
    knob = KNOBS.get(name) if isinstance(name, str) else None
    if knob is None:
        raise InvalidInput(f"There is no setting {name!r} to sweep.", field="knob", given=name,
                           allowed=", ".join(KNOBS))
    first, last = (_end(knob, field, value) for field, value in (("from", low), ("to", high)))
    number = int(steps) if isinstance(steps, float) and steps.is_integer() else steps
    if isinstance(number, bool) or not isinstance(number, int) or not 2 <= number <= most:
        raise InvalidInput(
            f"A sweep has from 2 to {most} steps, one lane each; this one has {steps!r}.",
            field="steps", given=steps, allowed=f"a whole number from 2 to {most}",
        )
    if first == last:
        raise InvalidInput(
            f"From {first:g} to {last:g} there is nothing to sweep.", field="to", given=last,
            allowed="another value than that at From",
        )
    values = _spaced(knob, first, last, number)
    if len(set(values)) < number:
        there = abs(int(last) - int(first)) + 1 if knob.whole else len(set(values))
        kind = "whole numbers" if knob.whole else "values"
        raise InvalidInput(
            f"From {first:g} to {last:g} there are {there} {kind}, too few for {number} steps.",
            field="steps", given=number, allowed=f"from 2 to {there}",
        )
    return values


def _end(knob: Knob, field: str, value: object) -> float:
    """One end of the sweep, as the knob takes it."""
    whole = knob.whole and isinstance(value, float) and value.is_integer()
    try:
        knob.check(field, int(value) if whole else value)  # type: ignore[call-overload]
    except InvalidInput as error:
        wrong = error.problem
        side = "From" if field == "from" else "To"
        raise InvalidInput(f"{side}: {wrong.message}", field=field, given=wrong.given,
                           allowed=wrong.allowed) from None
    return float(value)  # type: ignore[arg-type]


def _spaced(knob: Knob, first: float, last: float, number: int) -> tuple[float, ...]:
    apart = (last - first) / (number - 1)
    exact = [first + apart * place for place in range(number - 1)] + [last]
    if knob.whole:
        return tuple(round(value) for value in exact)
    for digits in range(MOST_DIGITS):
        values = [round(value, digits) for value in exact]
        near = all(abs(v - e) <= abs(apart) / 20 for v, e in zip(values, exact, strict=True))
        if near and values[0] == first and values[-1] == last:
            return tuple(values)
    return tuple(exact)
