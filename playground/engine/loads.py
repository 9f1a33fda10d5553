"""Bringing models into memory, from files or back from the host; who needs one, it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from playground.core.events import Loading, Queued
from playground.core.messages import DeviceMemory, LoadProgress
from playground.core.run import ModelSpec
from playground.engine.entry import Entry, Load, Resident
from playground.engine.process import WorkerProcess
from playground.engine.room import Room
from playground.engine.waiting import Abandoned, GivenUp, Patience, Tell
from playground.errors import PlaygroundError, Problem
from playground.models.download import News

Fetch = Callable[[ModelSpec, News, GivenUp], Path]
Need = Callable[[Path, ModelSpec, str], int]
Start = Callable[[ModelSpec, Patience, Callable[[WorkerProcess], None]], WorkerProcess]


class Loads:
    """Attempts to bring models, each on a thread of its own; shares the manager's table and lock.

    ``fetch`` gives the folder of a spec, ``need`` its bytes on a device, ``start`` a new process;
    ``device`` is the name that was chosen.
    """

    def __init__(
        self, entries: dict[ModelSpec, Entry], changed: threading.Condition, room: Room,
        device: str, patience: Patience, fetch: Fetch, need: Need, start: Start,
    ) -> None:
        self._entries = entries
        self._changed = changed
        self._room = room
        self._device = device
        self._patience = patience
        self._fetch = fetch
        self._need = need
        self._start = start
        self._looking = threading.Lock()
        self.closed = False

    def coming(self, entry: Entry, ticket: int, kept: bool) -> Load | None:
        """The attempt that brings a model that cannot be used as it is, begun if there is none;
        None while the last one is ending, or the model is on its way out. Under the lock."""
        if entry.load:
            return None if entry.load.cancelled else entry.load
        if entry.resident and (entry.resident.moving or not entry.resident.worker.alive):
            return None
        load = Load(ticket, kept, problem=entry.block)
        if load.problem:
            return load
        entry.load, entry.problem = load, None
        name = f"load {entry.spec.label}"
        threading.Thread(target=self._load, args=(entry, load), name=name, daemon=True).start()
        return load

    def _load(self, entry: Entry, load: Load) -> None:
        """One attempt, on a thread of its own. Whatever happens, those who wait hear of it."""
        resident: Resident | None = None
        problem: Problem | None = Problem(
            PlaygroundError.code, f"{entry.spec.label} could not be loaded.",
            advice="The log of the app says why.",
        )
        try:
            resident, problem = self._bring(entry, load), None
        except PlaygroundError as error:
            problem = error.problem
        except Abandoned:
            problem = Problem("CANCELLED", f"Loading {entry.spec.label} was stopped.")
            load.cancelled = True
        finally:
            with self._changed:
                entry.load, load.worker, load.problem = None, None, problem
                load.card = resident.card if resident else None
                entry.resident = resident or entry.resident  # one that could not return stays
                if entry.resident and not entry.resident.worker.alive:
                    load.problem = entry.resident.worker.problem
                    entry.take()
                if entry.resident is None or entry.resident.parked:
                    entry.need = 0
                if resident is None or load.problem:
                    entry.problem = None if load.cancelled else load.problem
                self._changed.notify_all()
                late = entry.resident if self.closed else None
            if late:
                self._room.end(entry, late)

    def _bring(self, entry: Entry, load: Load) -> Resident:
        """From a spec, or from host memory, to a model that can be used."""

        def news(said: Queued | Loading) -> None:
            with self._changed:
                load.news = said
                self._changed.notify_all()

        def given_up() -> bool:
            return load.cancelled or self.closed

        parked = entry.resident
        if parked:
            return self._bring_back(entry, parked, load, news, given_up)
        folder = self._fetch(entry.spec, news, given_up)
        news(Loading("starting"))
        try:
            device = self._look(entry, load)
            need = self._need(folder, entry.spec, device.kind)
            freed = self._room.make(entry, load, need, news, given_up)
            news(Loading("starting", None, ", ".join(freed)))
            worker = load.worker or self._start(entry.spec, self._patience, self._ended)
            load.worker = worker

            def progress(said: LoadProgress) -> None:
                news(Loading("loading", said.done, said.detail))

            return Resident(worker, worker.load(folder, self._device, progress, given_up))
        except BaseException:
            if load.worker:
                load.worker.end()
            raise

    def _look(self, entry: Entry, load: Load) -> DeviceMemory:
        """The device that models go to. Only a process with torch can tell, so the first one does,
        before it loads; it is kept for that."""
        with self._looking:
            if self._room.device is None:
                if self._device in ("cpu", "mps"):
                    self._room.device = DeviceMemory(self._device)
                else:
                    load.worker = self._start(entry.spec, self._patience, self._ended)
                    self._room.device = load.worker.look(self._device)
            return self._room.device

    def _bring_back(
        self, entry: Entry, resident: Resident, load: Load,
        news: Tell, given_up: GivenUp,
    ) -> Resident:
        """Move a parked model back to its device."""
        freed = self._room.make(entry, load, resident.set_aside, news, given_up)
        with self._changed:
            if entry.resident is not resident:
                raise Abandoned  # ended while it waited
            resident.moving = True
        news(Loading("loading", None, ", ".join(["from host memory", *freed])))
        try:
            resident.worker.unpark()
            resident.parked = 0
        finally:
            resident.moving = False
        return resident

    def need_of(self, spec: ModelSpec, folder: Path) -> int:
        """The bytes of a model on the device that there is."""
        return self._need(folder, spec, self._room.device.kind if self._room.device else "cpu")

    def _ended(self, worker: WorkerProcess) -> None:
        """A worker is gone. If nobody ended it on purpose, count that against its model."""
        with self._changed:
            entry = self._entries[worker.spec]
            if entry.resident and entry.resident.worker is worker:
                entry.take()
            if worker.crashed:
                entry.count_crash(worker.problem, self._patience.blocked)
            self._changed.notify_all()
