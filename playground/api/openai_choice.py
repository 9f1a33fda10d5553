"""One text of an answer while it comes: what may be told of it already, and where it ends.

A stop string is no part of the text, so what may be its beginning is held back until that is known.
It knows events, and neither JSON nor a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.core.events import Event, Failed, Finished, Started, Step
from playground.core.run import Run
from playground.errors import Overloaded, Problem

_ENDS = {"end": "stop", "stop string": "stop", "length": "length", "context": "length"}


@dataclass(frozen=True, slots=True)
class Told:
    """A step with the place of its text in the whole text."""

    step: Step
    offset: int


@dataclass(frozen=True, slots=True)
class Delta:
    """What has been added to a text, and why it ended, if it has."""

    text: str = ""
    told: tuple[Told, ...] = ()
    reason: str | None = None


@dataclass(slots=True)
class Choice:
    """The text of one run. ``before`` characters of an echo stand in front of it."""

    run: Run
    before: int = 0
    started: Started | None = None
    finished: Finished | None = None
    problem: Problem | None = None
    _text: str = ""  # all of it, with what is held back
    _sent: int = 0
    _held: list[Told] = field(default_factory=list)

    def add(self, event: Event) -> Delta | None:
        """What can be told after one more event; None where that is nothing."""
        match event:
            case Started():
                self.started = event
            case Step():
                self._held.append(Told(event, len(self._text)))
                self._text += "" if event.special else event.text
                return self._release(self._safe())
            case Finished(reason="stopped"):
                self.problem = Overloaded("The app is closing.", advice="Try again later.").problem
            case Finished():
                self.finished = event
                self._text += event.tail
                return self._end(event)
            case Failed(problem):
                self.problem = problem
        return None

    def _safe(self) -> int:
        """Up to where the text is surely kept: to what is, or may become, a stop string."""
        safe = self._cut(len(self._text))
        for stop in self.run.decoding.stop_strings:
            text = self._before(stop) + self._text
            part = next((n for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), 0)
            safe = min(safe, len(self._text) - part)
        return max(0, safe)

    def _before(self, stop: str) -> str:
        """The end of the prompt, in which a stop string may have begun."""
        rendered = self.started.rendered if self.started else ""
        return rendered[max(0, len(rendered) - len(stop) + 1) :]

    def _release(self, safe: int) -> Delta | None:
        """Whole tokens only, so that a text and its log-probabilities come together."""
        count = end = 0
        for place, one in enumerate(self._held):
            to = one.offset + (0 if one.step.special else len(one.step.text))
            if to > safe:
                break
            count, end = place + 1, to
        return self._tell(count, max(end, self._sent)) if count else None

    def _tell(self, count: int, end: int, reason: str | None = None) -> Delta:
        told = tuple(Told(one.step, self.before + one.offset) for one in self._held[:count])
        del self._held[:count]
        text, self._sent = self._text[self._sent : end], end
        return Delta(text, told, reason)

    def _end(self, finished: Finished) -> Delta:
        cut, count = len(self._text), len(self._held)
        if finished.reason == "stop string":
            cut = self._cut(0)
            count = sum(one.offset < cut for one in self._held)
        return self._tell(count, max(cut, self._sent), _ENDS[finished.reason])

    def _cut(self, otherwise: int) -> int:
        """Where the first stop string begins: at 0 where that is in the prompt."""
        places = []
        for stop in self.run.decoding.stop_strings:
            before = self._before(stop)
            found = (before + self._text).find(stop)
            if found >= 0:
                places.append(found - len(before))
        return max(0, min(places, default=otherwise))
