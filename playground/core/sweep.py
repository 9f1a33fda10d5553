"""One setting at several values from one end to the other; it knows no strategy and no page."""

from __future__ import annotations

from playground.core.decoding import KNOBS
from playground.core.knobs import Knob
from playground.errors import InvalidInput

MOST_DIGITS = 6


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
