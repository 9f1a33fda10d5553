"""An engine without a model, programmed with events and read afterwards; for tests of the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from playground.core.events import Candidate, Event, Finished, Piece, Started, Step
from playground.core.messages import ModelCard
from playground.core.offers import Inquiry
from playground.core.run import ModelSpec, Run
from playground.engine.plan import Plan
from playground.engine.room import Budget
from playground.errors import Overloaded


def words(*texts: str, reason: str = "length") -> list[Event]:
    """The events of a run that writes ``texts``, one token each, with probability one half."""
    started = Started((Piece(1, "<|im_start|>", True), Piece(2, "hi")), "<|im_start|>hi", 512)
    steps = [
        Step(n, n + 3, text, text, -0.6931, 1, 0.5, 1.0, (Candidate(n + 3, text, -0.6931, 0.5),))
        for n, text in enumerate(texts)
    ]
    done = Finished(reason, "", 2, len(steps), 0.1, 0.1)  # type: ignore[arg-type]
    return [started, *steps, done]


class FakeStream:
    """What ``FakeEngine.start`` gives: hands one event out at each read."""

    def __init__(self, scripts: Sequence[Sequence[Event]]) -> None:
        self.waiting = deque((c, event) for c, script in enumerate(scripts) for event in script)
        self.stopped = 0

    def read(self, wait: float = 0.0) -> list[tuple[int, Event]]:
        """The next event."""
        return [self.waiting.popleft()] if self.waiting else []

    @property
    def done(self) -> bool:
        """Whether all was read."""
        return not self.waiting

    def stop(self, column: int | None = None) -> None:
        """Counted; what has not been read is never told."""
        self.stopped += 1
        self.waiting.clear()

    close = stop


class FakeEngine:
    """Answers each run with the next script of ``scripts``; ``history`` keeps what was asked."""

    def __init__(self, *scripts: Sequence[Event], full: bool = False) -> None:
        self.scripts = deque(scripts)
        self.history: list[Run] = []
        self.streams: list[FakeStream] = []
        self.full, self.is_closed = full, False
        self.rounds: tuple[tuple[tuple[ModelSpec, tuple[int, ...]], ...], ...] = ()
        self.servers: dict[str, list[Inquiry]] = {}

    def start(self, runs: Sequence[Run], visitor: str = "") -> FakeStream:
        """Begin; raises Overloaded when ``full``."""
        if self.full:
            raise Overloaded("Too many runs wait already.", advice="Try again in a minute.")
        self.history.extend(runs)
        self.streams.append(FakeStream([self.scripts.popleft() for _ in runs]))
        return self.streams[-1]

    def plan(self, models: Sequence[ModelSpec]) -> Plan:
        """Everything fits together, unless ``rounds`` were put in."""
        together = ((spec, tuple(n for n, one in enumerate(models) if one == spec))
                    for spec in dict.fromkeys(models))
        return Plan(self.rounds or (tuple(together),), 3 * 10**9, 2 * 10**9)

    def inquire(self, spec: ModelSpec) -> Inquiry:
        """What ``servers`` say of it by its name there, one after another; the last one stays."""
        told = self.servers[spec.repo.split("/")[1]]
        return told.pop(0) if len(told) > 1 else told[0]

    def models(self) -> tuple[object, ...]:
        """No model is known."""
        return ()

    def budget(self) -> Budget:
        """A gigabyte, of which nothing is taken."""
        return Budget("cpu", 10**9, 0)

    def load(self, spec: ModelSpec) -> Iterator[ModelCard]:
        """Nothing is ever loaded."""
        return iter(())
