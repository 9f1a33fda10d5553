"""How one model stands: absent, loading, in memory, failed; it decides nothing and has no lock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.process import WorkerProcess
from playground.errors import Problem, WorkerDied

State = Literal["absent", "loading", "ready", "busy", "failed"]

CRASHES = 3  # deaths in a row after which a model is left alone for a while


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model as the page shows it; ``leases`` is how many use it now."""

    spec: ModelSpec
    state: State
    card: ModelCard | None = None
    progress: Loading | None = None
    leases: int = 0
    problem: Problem | None = None


@dataclass(eq=False, slots=True)
class Load:
    """One attempt to load; ``ticket`` is its place in the line for room, ``kept``: unasked."""

    ticket: int
    kept: bool
    news: Queued | Loading | None = None
    cancelled: bool = False
    problem: Problem | None = None


@dataclass(eq=False, slots=True)
class Resident:
    """A model in memory."""

    worker: WorkerProcess
    card: ModelCard
    leases: int = 0
    used_at: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Entry:
    """All that is known of one spec.

    ``need`` bytes are set aside while the model is here or coming, those of its ``drafts`` among
    them; ``askers`` are the tickets of those who wait for it.
    """

    spec: ModelSpec
    resident: Resident | None = None
    load: Load | None = None
    need: int = 0
    drafts: dict[ModelSpec, int] = field(default_factory=dict)
    askers: set[int] = field(default_factory=set)
    problem: Problem | None = None
    crashes: int = 0
    blocked_until: float = 0.0

    @property
    def leases(self) -> int:
        """How many use it now."""
        return self.resident.leases if self.resident else 0

    @property
    def status(self) -> ModelStatus:
        """What the page shows of it."""
        if self.resident:
            state: State = "busy" if self.leases else "ready"
            return ModelStatus(self.spec, state, self.resident.card, None, self.leases)
        if self.load:
            news = self.load.news or Loading("starting")
            progress = news if isinstance(news, Loading) else Loading("making room")
            return ModelStatus(self.spec, "loading", None, progress)
        if self.problem:
            return ModelStatus(self.spec, "failed", problem=self.problem)
        return ModelStatus(self.spec, "absent")

    def take(self) -> Resident | None:
        """Out of the list: nobody leases it any more, and the caller ends it."""
        resident, self.resident, self.need, self.drafts = self.resident, None, 0, {}
        return resident

    def count_crash(self, problem: Problem | None, blocked: float) -> None:
        """Its worker died. After CRASHES in a row it is left alone for ``blocked`` seconds."""
        self.problem = problem
        self.crashes += 1
        if self.crashes >= CRASHES:
            self.blocked_until = time.monotonic() + blocked
            self.crashes = 0

    @property
    def block(self) -> Problem | None:
        """Why it may not be loaded now, if it may not."""
        left = self.blocked_until - time.monotonic()
        if left <= 0:
            return None
        return WorkerDied(
            f"The process of {self.spec.label} died {CRASHES} times in a row, so it is left alone "
            f"for another {left / 60:.0f} minutes.",
            field="model", given=self.spec.repo, advice="Use another model meanwhile.",
        ).problem
