"""Which models are in memory and who is using them; it knows no run and no page.

A model is loaded once for all who ask, leased by ``with``, never taken away while it is leased, and
sent away when it is idle and its room is needed. An adapter is leased like a model: that leases its
base, and puts the adapter beside it. Everything here is under one lock that is never held while a
file is fetched, a process started, or a model loaded or moved.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from playground.core.events import Loading, Queued
from playground.core.messages import DeviceMemory, LoadProgress, ModelCard
from playground.core.run import ModelSpec
from playground.engine.adapters import Adapters
from playground.engine.entry import Entry, Freed, Load, ModelStatus, Resident
from playground.engine.process import Abandoned, Patience, WorkerProcess, as_error
from playground.engine.room import Budget, Room
from playground.errors import InvalidInput, Overloaded, PlaygroundError, Problem
from playground.models import footprint

Tell = Callable[[Queued | Loading], None]
GivenUp = Callable[[], bool]
Fetch = Callable[[ModelSpec, Callable[[Loading], None], GivenUp], Path]
Need = Callable[[Path, ModelSpec, str], int]
Start = Callable[[ModelSpec, Patience, Callable[[WorkerProcess], None]], WorkerProcess]

_TICK = 0.1


class ModelManager:
    """The models of this machine.

    ``fetch`` gives the folder of a spec, or of its adapter if it has one, ``capacity`` the bytes
    that all models may take together (None: what the machine has), ``idle_seconds`` how long a
    model stays that nobody uses, ``need`` the bytes of a spec on a device, ``start`` a new process.
    """

    def __init__(
        self, fetch: Fetch, device: str = "auto", capacity: int | None = None,
        idle_seconds: float = 1800.0, patience: Patience = Patience(),
        need: Need = footprint.needed_bytes, start: Start = WorkerProcess,
    ) -> None:
        self._fetch = fetch
        self._device = device
        self._idle_seconds = idle_seconds
        self._patience = patience
        self._need = need
        self._start_worker = start
        self._changed = threading.Condition()
        self._looking = threading.Lock()
        self._tickets = itertools.count()
        self._entries: dict[ModelSpec, Entry] = {}
        self._room = Room(self._entries, self._changed, capacity)
        self._adapters = Adapters(self._room, self._changed, fetch, self._next_ticket)
        self._closed = False

    def _next_ticket(self) -> int:
        return next(self._tickets)

    def _entry(self, spec: ModelSpec) -> Entry:
        """The entry of a spec or of its base. Under the lock."""
        return self._entries.setdefault(spec.base, Entry(spec.base))

    def ask(self, spec: ModelSpec) -> int:
        """Take a place in the line for a model; it must be handed to ``lease``."""
        with self._changed:
            ticket = next(self._tickets)
            self._entry(spec).askers.add(ticket)
            return ticket

    @contextmanager
    def lease(
        self, spec: ModelSpec, tell: Tell, given_up: GivenUp, ticket: int | None = None
    ) -> Iterator[WorkerProcess]:
        """Use a model, loading it first if need be; while leased it stays.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError when it cannot be had.
        """
        place = self.ask(spec) if ticket is None else ticket
        entry = self._entries[spec.base]

        def over() -> bool:
            return given_up() or self._closed

        resident = self._wait_for(entry, place, tell, over)
        try:
            if spec.adapter:
                with self._adapters.lease(entry, resident, spec, tell, over):
                    yield resident.worker
            else:
                yield resident.worker
        finally:
            with self._changed:
                resident.leases -= 1
                resident.used_at = time.monotonic()
                if resident.worker.alive and not resident.leases:
                    entry.crashes = 0
                self._changed.notify_all()

    def _wait_for(self, entry: Entry, ticket: int, tell: Tell, given_up: GivenUp) -> Resident:
        mine, told = None, None
        with self._changed:
            try:
                while True:
                    if given_up():
                        raise Abandoned
                    if mine and mine.problem:
                        raise as_error(mine.problem)
                    resident = entry.resident
                    usable = resident is not None and resident.usable
                    if resident and usable and not self._room.overtakes(entry, ticket):
                        resident.leases += 1
                        return resident
                    if not usable:
                        mine = self._coming(entry, ticket, kept=False) or mine
                    news = mine.news if mine and not usable else Queued(self._room.in_use(entry))
                    if news and news != told:
                        tell(news)
                        told = news
                    self._changed.wait(_TICK)
            finally:
                entry.askers.discard(ticket)
                if entry.load and not entry.load.kept and not entry.askers:
                    entry.load.cancelled = True
                self._changed.notify_all()

    def _coming(self, entry: Entry, ticket: int, kept: bool) -> Load | None:
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

    def warm(self, spec: ModelSpec) -> None:
        """Start loading in the background, for nobody in particular."""
        if spec.adapter:
            threading.Thread(
                target=self._warm_adapter, args=(spec,), name=f"warm {spec.label}", daemon=True
            ).start()
        else:
            with self._changed:
                self._warm(self._entry(spec))

    def _warm(self, entry: Entry) -> Load | None:
        """The attempt that goes on even if nobody waits for it. Under the lock."""
        usable = entry.resident is not None and entry.resident.usable
        load = None if usable or self._closed else self._coming(entry, self._next_ticket(), True)
        if load:
            load.kept = True
        return load

    def _warm_adapter(self, spec: ModelSpec) -> None:
        with suppress(PlaygroundError):  # it stands in the statuses
            for _ in self.watch(spec):
                pass

    def watch(self, spec: ModelSpec) -> Iterator[Loading | ModelCard]:
        """Load a model and say how it goes; the card comes last. Raises PlaygroundError."""
        with self._changed:
            entry = self._entry(spec)
        found = None
        for found in self._watch(entry):
            if not (spec.adapter and isinstance(found, ModelCard)):
                yield found
        if spec.adapter and isinstance(found, ModelCard):
            yield from self._adapters.watch(
                lambda tell: self.lease(spec, tell, lambda: False), entry, spec
            )

    def _watch(self, entry: Entry) -> Iterator[Loading | ModelCard]:
        told: Loading | None = None
        mine: Load | None = None
        while True:
            with self._changed:
                mine = mine or self._warm(entry)
                usable = entry.resident is not None and entry.resident.usable
                if not usable and not (mine and mine.is_over):
                    self._changed.wait(_TICK)
                resident, closed = entry.resident, self._closed
                card = resident.card if resident and resident.usable else mine and mine.card
                news = mine.news if mine else None
            if card:
                yield card
                return
            if closed or (mine and mine.cancelled):
                return
            if mine and mine.problem:
                raise as_error(mine.problem)
            if isinstance(news, Queued):
                news = Loading("making room", None, f"waiting for {news.ahead} to end")
            if news and news != told:
                told = news
                yield news

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
                late = entry.resident if self._closed else None
            if late:
                self._room.end(entry, late)

    def _bring(self, entry: Entry, load: Load) -> Resident:
        """From a spec, or from host memory, to a model that can be used."""

        def news(said: Queued | Loading) -> None:
            with self._changed:
                load.news = said
                self._changed.notify_all()

        def given_up() -> bool:
            return load.cancelled or self._closed

        parked = entry.resident
        if parked:
            return self._bring_back(entry, parked, load, news, given_up)
        folder = self._fetch(entry.spec, news, given_up)
        news(Loading("starting"))
        try:
            device = self._look(entry, load)
            need = self._need(folder, entry.spec, device.device.partition(":")[0])
            freed = self._room.make(entry, load, need, news, given_up)
            news(Loading("starting", None, ", ".join(freed)))
            worker = load.worker or self._start_worker(entry.spec, self._patience, self._ended)
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
                    load.worker = self._start_worker(entry.spec, self._patience, self._ended)
                    self._room.device = load.worker.look(self._device)
            return self._room.device

    def _bring_back(
        self, entry: Entry, resident: Resident, load: Load,
        news: Callable[[Queued | Loading], None], given_up: GivenUp,
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

    @contextmanager
    def room_beside(self, spec: ModelSpec, draft: ModelSpec, folder: Path) -> Iterator[None]:
        """Set room aside for a draft of a leased model, once; given back where the body raises.

        Raises ModelTooBig; it does not wait for models that are in use.
        """
        entry = self._entries[spec.base]
        with self._room.beside(entry, draft, self._need_of(draft, folder), self._next_ticket()):
            yield

    def _need_of(self, spec: ModelSpec, folder: Path) -> int:
        device = self._room.device.device if self._room.device else "cpu"
        return self._need(folder, spec, device.partition(":")[0])

    def pin(self, spec: ModelSpec, pinned: bool = True) -> None:
        """Let a model stay until it is unpinned: never evicted, parked or unloaded for idleness."""
        with self._changed:
            self._entry(spec).pinned = pinned
            self._changed.notify_all()

    def park(self, spec: ModelSpec) -> Freed | None:
        """Move a model's weights to host memory; None when it is not on a device.

        Raises Overloaded while somebody uses it or waits for it, and InvalidInput where parking
        would give nothing back.
        """
        with self._changed:
            entry = self._entry(spec)
            self._refuse_in_use(entry, spec)
            resident = entry.resident
            if resident is None or not resident.usable:
                return None
            self._refuse_pinned(entry)
            if not resident.card.parkable:
                raise InvalidInput(
                    f"{spec.label} cannot be parked: on {resident.card.device}, as it is loaded, "
                    "that would give no memory back.",
                    field="model", given=spec.repo, advice="Unload it instead.",
                )
            resident.moving = True
        try:
            return self._room.park(entry, resident)
        finally:
            with self._changed:
                resident.moving = False
                self._changed.notify_all()

    def unload(self, spec: ModelSpec) -> Freed | None:
        """End a model, or stop its loading, or take an adapter off; None when there was nothing.

        Raises Overloaded while somebody uses it or waits for it, and InvalidInput while it is
        pinned.
        """
        entry = self._entries.get(spec.base)
        if entry is None:
            return None
        if spec.adapter:
            return self._adapters.detach(entry, spec)
        with self._changed:
            self._refuse_in_use(entry, spec)
            self._refuse_pinned(entry)
            self._changed.wait_for(lambda: not (entry.resident and entry.resident.moving), 30)
            self._refuse_in_use(entry, spec)
            there = bool(entry.load or entry.resident or entry.problem)
            if entry.load:
                entry.load.kept, entry.load.cancelled = False, True
            entry.problem = None
            resident = entry.resident
            if resident:
                resident.moving = True
            self._changed.notify_all()
        if resident:
            return self._room.end(entry, resident)
        return Freed() if there else None

    def _refuse_in_use(self, entry: Entry, spec: ModelSpec) -> None:
        """Raises Overloaded. Under the lock."""
        # A run's last event is read a moment before its lease goes back.
        self._changed.wait_for(lambda: not entry.in_use, 0.5)
        if entry.in_use:
            raise Overloaded(
                f"{spec.label} is in use and stays loaded.", field="model", given=spec.repo,
                advice="Stop what it is writing, then unload it.",
            )

    def _refuse_pinned(self, entry: Entry) -> None:
        if entry.pinned and entry.resident:
            raise InvalidInput(
                f"{entry.spec.label} is pinned, so it stays loaded.", field="model",
                given=entry.spec.repo, advice="Unpin it first.",
            )

    def unload_idle(self) -> None:
        """End every model that nobody has used for a while."""
        before = time.monotonic() - self._idle_seconds
        with self._changed:
            idle = [(e, e.resident) for e in self._entries.values()
                    if e.resident and not e.in_use and not e.load and not e.pinned
                    and not e.resident.moving and e.resident.used_at < before]
            for _, resident in idle:
                resident.moving = True
        for entry, resident in idle:
            self._room.end(entry, resident)

    def statuses(self, offered: Sequence[ModelSpec]) -> tuple[ModelStatus, ...]:
        """Every offered model and every other that is loaded, loading or failed; quick."""
        with self._changed:
            known = {e.spec: e.status for e in self._entries.values()}
            for entry in self._entries.values():
                known |= {status.spec: status for status in entry.adapter_statuses()}
        rows = [known.get(spec) or ModelStatus(spec, "absent") for spec in offered]
        others = [s for spec, s in known.items() if spec not in offered and s.state != "absent"]
        return (*rows, *others)

    def budget(self) -> Budget:
        """The bytes that models may take, and those that they do."""
        return self._room.budget()

    def is_ready(self, spec: ModelSpec) -> bool:
        """Whether a lease would not have to wait for loading."""
        with self._changed:
            entry = self._entries.get(spec.base)
            resident = entry.resident if entry else None
            if resident is None or not resident.usable:
                return False
            one = resident.adapters.get(spec) if spec.adapter else None
            return not spec.adapter or bool(one and one.card)

    def close(self) -> None:
        """End every worker; whoever waits is told to give up."""
        with self._changed:
            self._closed = True
            taken = [(e, e.resident) for e in self._entries.values() if e.resident]
            self._changed.notify_all()
        for entry, resident in taken:
            self._room.end(entry, resident)

    def _ended(self, worker: WorkerProcess) -> None:
        """A worker is gone. If nobody ended it on purpose, count that against its model."""
        with self._changed:
            entry = self._entries[worker.spec]
            if entry.resident and entry.resident.worker is worker:
                entry.take()
            if worker.crashed:
                entry.count_crash(worker.problem, self._patience.blocked)
            self._changed.notify_all()
