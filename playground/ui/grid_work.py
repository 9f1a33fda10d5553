"""All grids, at work or not, whoever looks: kept by key, started, stopped, forgotten; no Gradio.

A grid belongs to whoever knows its key, which nobody can guess. It goes on when its page is closed,
and is forgotten some hours after anybody last asked for it. ``finished`` gives its answers to
whoever builds on them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from playground.core.grid import Grid
from playground.core.grid_plan import Speed
from playground.core.run import ModelSpec
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.errors import Overloaded
from playground.settings import Limits
from playground.ui.grid_job import FinishedCell, GridJob
from playground.ui.grid_player import Player, Slots
from playground.ui.keeping import Keeping
from playground.ui.making_room import next_to_go

FORGOTTEN_AFTER = 6 * 3600.0
MOST_GRIDS = 24
MOST_RUNNING = 8
RUNNING_EACH = 2
MOST_FOLLOWING = 24  # pages; each holds a thread of the server while its cells are written
FOLLOWING_EACH = 4
MOST_SPEEDS = 64


class GridWork:
    """Grids by key, bounded by their number, their age and what they hold together.

    All of them together may have half of the engine's running runs, and one a quarter. Where
    visitors ``are_many``, each may run two at once and follow cells on four pages, and those of one
    address half of all.
    """

    def __init__(self, engine: Engine, limits: Limits, are_many: bool = False) -> None:
        self._engine, self._limits, self._are_many = engine, limits, are_many
        self.width = max(1, min(limits.columns, limits.running // 4))
        self._slots = Slots(max(1, limits.running // 2))
        self._most_tokens = max(2 * limits.grid_tokens, 60_000)
        self._speeds: dict[ModelSpec, Speed] = {}
        self._jobs: OrderedDict[str, GridJob] = OrderedDict()
        self._followers: list[Visitor] = []
        self._lock = threading.Lock()

    def job(self, key: object) -> GridJob | None:
        """The grid under a key; None when it is forgotten or never was."""
        with self._lock:
            self._forget_old()
            job = self._jobs.get(key) if isinstance(key, str) else None
            if job is not None:
                job.touched = time.monotonic()
                self._jobs.move_to_end(job.key)
            return job

    def put(
        self, key: object, grid: Grid, form: Mapping[str, Any], visitor: Visitor = Visitor()
    ) -> GridJob:
        """A grid in the place of the one under ``key``, whose answers it keeps, or a new one of
        this visitor's.

        Raises InvalidInput while that one runs, and Overloaded where too many others do.
        """
        job = self.job(key)
        if job is None:
            job = self._new(grid, form, visitor)
        else:
            job.take(grid, form)
        job.ready = self._ready()
        return job

    def start(self, job: GridJob, keeping: Keeping | None = None) -> None:
        """Run the cells without an answer, and keep them with ``keeping``; a grid that runs already
        goes on. Raises Overloaded."""
        with self._lock:
            if job.running:
                return
            self._check_running(job.owner)
            while len(self._speeds) > MOST_SPEEDS:
                del self._speeds[next(iter(self._speeds))]
            job.ready = self._ready()
            job.start(keeping)
        threading.Thread(target=self._play, args=(job,), name="grid", daemon=True).start()

    def _check_running(self, visitor: Visitor) -> None:
        """Raise Overloaded where one more running grid is too many, of a visitor, or of all."""
        owners = [job.owner for job in self._jobs.values() if job.running]
        his, near = _his_and_near(visitor, owners)
        if self._are_many and visitor.name and his >= RUNNING_EACH:
            raise Overloaded(
                f"{his} grids of yours are running already.", field="cells", given=his,
                allowed=f"up to {RUNNING_EACH}", advice="Stop one of them, or wait for it.",
            )
        if len(owners) >= MOST_RUNNING or self._are_many and near >= MOST_RUNNING // 2:
            raise Overloaded(
                "Too many grids are running already.", field="cells", given=len(owners),
                allowed=f"up to {MOST_RUNNING}", advice="Try again in a few minutes.",
            )

    @contextmanager
    def following(self, visitor: Visitor) -> Iterator[None]:
        """A page of this visitor follows cells that are written, within the block. Raises
        Overloaded where one more such page is too many, of the visitor, or of all."""
        with self._lock:
            self._check_following(visitor)
            self._followers.append(visitor)
        try:
            yield
        finally:
            with self._lock:
                self._followers.remove(visitor)

    def _check_following(self, visitor: Visitor) -> None:
        his, near = _his_and_near(visitor, self._followers)
        if self._are_many and visitor.name and his >= FOLLOWING_EACH:
            raise Overloaded(
                f"{his} pages of yours follow cells already; these are shown as they stand.",
                field="cells", given=his, allowed=f"up to {FOLLOWING_EACH}",
                advice="Close one of those pages, then open these again.",
            )
        most = MOST_FOLLOWING // 2 if self._are_many else MOST_FOLLOWING
        if len(self._followers) >= MOST_FOLLOWING or near >= most:
            raise Overloaded(
                "Too many pages follow cells already; these are shown as they stand.",
                field="cells", given=len(self._followers), allowed=f"up to {MOST_FOLLOWING}",
                advice="Open them again in a few minutes.",
            )

    def finished(self, key: object) -> tuple[FinishedCell, ...]:
        """The cells of a grid that have their answer: coordinates, run and trace."""
        job = self.job(key)
        return job.finished() if job else ()

    def _play(self, job: GridJob) -> None:
        try:
            Player(self._engine, self._slots, self.width, job).play()
        finally:
            job.end()

    def _ready(self) -> frozenset[ModelSpec]:
        return frozenset(s.spec for s in self._engine.models() if s.state in ("ready", "busy"))

    def _new(self, grid: Grid, form: Mapping[str, Any], visitor: Visitor) -> GridJob:
        key = secrets.token_urlsafe(18)
        job = GridJob(key, grid, form, self._limits.grid_tokens, self._speeds, visitor)
        with self._lock:
            self._make_room()
            if len(self._jobs) >= MOST_GRIDS:
                raise Overloaded("Too many grids are kept already.", field="cells",
                                 advice="Try again in a few minutes.")
            self._jobs[key] = job
        return job

    def _forget_old(self) -> None:
        old = time.monotonic() - FORGOTTEN_AFTER
        for key, job in list(self._jobs.items()):
            if not job.running and job.touched < old:
                del self._jobs[key]

    def _make_room(self) -> None:
        """Some go where there are too many, or where they hold too much: first those that have no
        answer, so that nobody's are pushed out by plans alone, which cost nothing; then of those
        who hold most."""
        self._forget_old()
        idle = {key: job.weight for key, job in self._jobs.items() if not job.running}
        held = sum(job.weight for job in self._jobs.values())
        while idle and (len(self._jobs) >= MOST_GRIDS or held > self._most_tokens):
            plans = [key for key, weight in idle.items() if not weight]
            answered = [key for key, weight in idle.items() if weight]
            some = answered if held > self._most_tokens or not plans else plans
            if not some:
                return
            gone = next_to_go((key, self._jobs[key].owner, idle[key] or 1) for key in some)
            held -= idle.pop(gone)
            del self._jobs[gone]


def _his_and_near(visitor: Visitor, others: Sequence[Visitor]) -> tuple[int, int]:
    """How many of these are this visitor's, and how many are of its address where that is known."""
    near = sum(one.address == visitor.address for one in others) if visitor.address else 0
    return sum(one.name == visitor.name for one in others), near
