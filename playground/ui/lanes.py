"""Which branch each lane of the page shows, and which lane comes next: a pure value of keys."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

LANES = 4


@dataclass(frozen=True, slots=True)
class Lanes:
    """``keys`` are what each lane shows, None where it is away. The lane in ``focus`` takes what
    the reader walks to. ``used`` are the lanes, the one that was used longest ago first."""

    keys: tuple[str | None, ...] = (None,) * LANES
    focus: int = 0
    used: tuple[int, ...] = tuple(range(LANES))

    def show(self, key: str, lane: int) -> Lanes:
        """A branch in a lane, which gets the focus; one that is shown already stays where it is."""
        lane = self.keys.index(key) if key in self.keys else lane
        keys = (*self.keys[:lane], key, *self.keys[lane + 1 :])
        return Lanes(keys, lane, (*(one for one in self.used if one != lane), lane))

    def close(self, lane: int) -> Lanes:
        """A lane goes away."""
        return self.keep(lambda key: key != self.keys[lane])

    def keep(self, wanted: Callable[[str], object]) -> Lanes:
        """Only what is wanted stays; the focus goes to the lane that was used last."""
        keys = tuple(key if key is not None and wanted(key) else None for key in self.keys)
        shown = [lane for lane in self.used if keys[lane] is not None]
        focus = self.focus if keys[self.focus] is not None else (shown or [0])[-1]
        return replace(self, keys=keys, focus=focus)

    def free(self, beside: str = "", writing: Collection[str] = ()) -> int:
        """The lane for what comes next: an empty one, or the one that was used longest ago; not the
        one beside which it shall stand, and rather none whose branch is still writing."""
        if None in self.keys:
            return self.keys.index(None)
        others = [lane for lane in self.used if self.keys[lane] != beside]
        return min(others, key=lambda lane: self.keys[lane] in writing)
