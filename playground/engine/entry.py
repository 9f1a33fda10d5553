"""How one model stands: absent, loading, in memory, parked, failed; it decides nothing, no lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.offers import Capabilities
from playground.core.run import ModelSpec
from playground.engine.process import WorkerProcess
from playground.errors import Problem, WorkerDied
from playground.models.footprint import size

State = Literal["absent", "loading", "ready", "busy", "parked", "failed"]

CRASHES = 3  # deaths in a row after which a model is left alone for a while


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that came back when a model was ended, parked or detached, as measured: of this
    machine's memory, and of the device's own where it has some."""

    host: int = 0
    device: int = 0

    def __str__(self) -> str:
        parts = [f"{size(self.device)} on the device"] if self.device > 0 else []
        if self.host > 0 or not parts:
            parts.append(size(max(0, self.host)))
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model as the page shows it.

    ``leases`` is how many use it now and ``waiting`` how many wait for it; ``set_aside`` are its
    bytes of the budget, ``parked`` those of its weights in host memory; ``loaded_for`` and
    ``unused_for`` are seconds; ``freed`` is what it gave back when it was last ended or parked. One
    on a ``server`` of somebody else's has what is known of its ``offers``, and ``asked_for``: the
    seconds since the server was last asked.
    """

    spec: ModelSpec
    state: State
    card: ModelCard | None = None
    progress: Loading | None = None
    leases: int = 0
    problem: Problem | None = None
    waiting: int = 0
    set_aside: int = 0
    parked: int = 0
    loaded_for: float | None = None
    unused_for: float | None = None
    pinned: bool = False
    freed: Freed | None = None
    server: str = ""
    offers: Capabilities | None = None
    asked_for: float | None = None


@dataclass(eq=False, slots=True)
class Load:
    """One attempt to load; ``ticket`` is its place in the line for room, ``kept``: unasked,
    ``worker`` the process that it is loaded in, once there is one."""

    ticket: int
    kept: bool
    worker: WorkerProcess | None = None
    news: Queued | Loading | None = None
    cancelled: bool = False
    problem: Problem | None = None
    card: ModelCard | None = None

    @property
    def is_over(self) -> bool:
        """Whether it came to an end, good or bad."""
        return bool(self.cancelled or self.problem or self.card)


@dataclass(eq=False, slots=True)
class Attached:
    """An adapter on its loaded base, or on its way there while it has no card."""

    card: ModelCard | None = None
    news: Loading | None = None
    problem: Problem | None = None
    leases: int = 0
    waiting: int = 0
    since: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Resident:
    """A model in memory.

    While it is ``parked`` (bytes in host memory) or ``moving`` to or from there, nobody may use it;
    ``set_aside`` are the bytes that it needs on its return.
    """

    worker: WorkerProcess
    card: ModelCard
    leases: int = 0
    parked: int = 0
    moving: bool = False
    set_aside: int = 0
    since: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    adapters: dict[ModelSpec, Attached] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether it can be leased as it is."""
        return self.worker.alive and not self.parked and not self.moving


@dataclass(eq=False, slots=True)
class Entry:
    """All that is known of one spec without an adapter.

    ``need`` bytes are set aside while the model is here or coming, those of what lies ``beside`` it
    (drafts and adapters) among them; ``askers`` are the tickets of those who wait for it;
    ``problems`` are those of its adapters.
    """

    spec: ModelSpec
    resident: Resident | None = None
    load: Load | None = None
    need: int = 0
    beside: dict[ModelSpec, int] = field(default_factory=dict)
    askers: set[int] = field(default_factory=set)
    pinned: bool = False
    problem: Problem | None = None
    problems: dict[ModelSpec, Problem] = field(default_factory=dict)
    freed: Freed | None = None
    crashes: int = 0
    blocked_until: float = 0.0

    @property
    def leases(self) -> int:
        """How many use it now."""
        return self.resident.leases if self.resident else 0

    @property
    def in_use(self) -> bool:
        """Whether somebody uses it or waits for it."""
        return bool(self.leases or self.askers)

    @property
    def is_idle(self) -> bool:
        """Whether it lies on the device and may be taken away from there."""
        found = self.resident
        return bool(found and found.usable and not found.leases and not self.pinned)

    @property
    def status(self) -> ModelStatus:
        """What the page shows of it."""
        found, now = self.resident, time.monotonic()
        state: State = "absent"
        progress = problem = None
        if found and found.usable:
            state = "busy" if found.leases else "ready"
        elif self.load:
            news = self.load.news or Loading("starting")
            state = "loading"
            progress = news if isinstance(news, Loading) else Loading("making room")
        elif found and found.worker.alive:
            state = "parked"
        elif self.problem:
            state, problem = "failed", self.problem
        return ModelStatus(
            self.spec, state, found.card if found else None, progress, self.leases, problem,
            waiting=len(self.askers),
            set_aside=self.need,
            parked=found.parked if found else 0,
            loaded_for=now - found.since if found else None,
            unused_for=(0.0 if found.leases else now - found.used_at) if found else None,
            pinned=self.pinned,
            freed=self.freed,
        )

    def adapter_statuses(self) -> Iterator[ModelStatus]:
        """What the page shows of its adapters."""
        mine, now = self.status, time.monotonic()
        for spec, one in (self.resident.adapters if self.resident else {}).items():
            ready: State = "parked" if mine.state == "parked" else (
                "busy" if one.leases else "ready")
            yield ModelStatus(
                spec, ready if one.card else "loading", one.card,
                None if one.card else one.news or Loading("loading"), one.leases,
                waiting=one.waiting,
                set_aside=self.beside.get(spec, 0),
                loaded_for=now - one.since,
                unused_for=0.0 if one.leases else now - one.used_at,
                pinned=self.pinned,
            )
        for spec, problem in self.problems.items():
            yield ModelStatus(spec, "failed", problem=problem)

    def take(self) -> int:
        """Out of the list: nobody leases it any more; the bytes that were set aside for it."""
        need, self.resident, self.need = self.need, None, 0
        self.beside.clear()
        return need

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
