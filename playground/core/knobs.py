"""What a knob is: the label, range and help of one number; it knows no strategy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from playground.errors import InvalidInput, shown


@dataclass(frozen=True, slots=True)
class Knob:
    """The range of one field of ``Decoding``, for the door and for the sliders alike."""

    label: str
    low: float
    high: float
    step: float
    help: str
    whole: bool = False
    above_low: bool = False

    @property
    def short(self) -> str:
        """The label inside a line of text: small, but for an acronym."""
        return self.label if self.label[:2].isupper() else self.label.lower()

    @property
    def allowed(self) -> str:
        """The range in words."""
        low = f"above {self.low:g}, up to" if self.above_low else f"from {self.low:g} to"
        return f"{'a whole number' if self.whole else 'a number'} {low} {self.high:g}"

    def check(self, name: str, value: object) -> None:
        """Raise InvalidInput, naming the field, unless ``value`` is a number in the range."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = (
            number
            and (value > self.low if self.above_low else value >= self.low)  # type: ignore[operator]
            and value <= self.high  # type: ignore[operator]
            and (not self.whole or isinstance(value, int))
        )
        if not fits:
            is_nan = isinstance(value, float) and math.isnan(value)
            given = "NaN" if is_nan else shown(value, quoted=True)
            raise InvalidInput(
                f"{self.label} is {given}; it must be {self.allowed}.",
                field=name,
                given=given,
                allowed=self.allowed,
            )


def knob(
    default: Any, label: str, low: float, high: float, step: float, help: str, **more: bool
) -> Any:
    """A dataclass field with a range."""
    return field(default=default, metadata={"knob": Knob(label, low, high, step, help, **more)})
