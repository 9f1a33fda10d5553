"""How fast each run may go on: freely, so many turns more, one each so often; it knows no batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from math import floor

from playground.core.events import Paced


@dataclass(frozen=True, slots=True)
class _Pace:
    allowed: int | None
    seconds: float
    due: float  # by the clock; the next turn is not taken before


class Paces:
    """The runs that may not go on freely. A turn is what one forward gives: mostly one token.

    Time is cut into slots as long as a run's ``seconds``, and the run has one turn in each: so
    runs of one pace go together and share their forwards, whenever each of them began.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._now = clock()
        self._paces: dict[int, _Pace] = {}

    def __bool__(self) -> bool:
        return bool(self._paces)

    def tick(self) -> None:
        """A step begins: until the next, it is the same moment for all."""
        self._now = self._clock()

    def set(self, key: int, allowed: int | None, seconds: float) -> Paced:
        """From now on a run may have ``allowed`` turns more, one each ``seconds``; what is told."""
        if allowed is None and seconds <= 0:
            self._paces.pop(key, None)
        else:
            now = self._clock()
            known = self._paces.get(key)
            slow = known is not None and known.seconds == seconds
            due = known.due if known is not None and slow else _next(now, seconds)
            # One step is wanted now.
            self._paces[key] = _Pace(allowed, seconds, now if allowed else due)
        return Paced(allowed, seconds)

    def may_go(self, key: int) -> bool:
        """Whether a run may have a turn in this step."""
        pace = self._paces.get(key)
        return pace is None or (pace.allowed != 0 and pace.due <= self._now)

    def went(self, key: int) -> Paced | None:
        """A run had a turn; what is told where it was the last that it may have."""
        pace = self._paces.get(key)
        if pace is None:
            return None
        left = None if pace.allowed is None else pace.allowed - 1
        self._paces[key] = _Pace(left, pace.seconds, _next(self._now, pace.seconds))
        return Paced(0, pace.seconds) if left == 0 else None

    def wait(self, keys: Iterable[int]) -> float | None:
        """Seconds until one of these may go: 0 is now, None is never by itself."""
        waits = []
        for key in keys:
            pace = self._paces.get(key)
            if pace is None:
                return 0.0
            if pace.allowed != 0:
                waits.append(max(0.0, pace.due - self._clock()))
        return min(waits, default=None)

    def forget(self, but: Collection[int]) -> None:
        """Only these runs are left."""
        self._paces = {key: pace for key, pace in self._paces.items() if key in but}


def _next(now: float, seconds: float) -> float:
    """When the next slot begins; now, where there are none."""
    return (floor(now / seconds) + 1) * seconds if seconds > 0 else now
