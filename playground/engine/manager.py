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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.adapters import Adapters
from playground.engine.entry import Entry, Freed, Load, ModelStatus, Resident
from playground.engine.loads import Fetch, Loads, Need, Start
from playground.engine.process import WorkerProcess
from playground.engine.room import Budget, Room
from playground.engine.waiting import TICK, Abandoned, GivenUp, Patience, Tell
from playground.errors import InvalidInput, Overloaded, PlaygroundError, as_error
from playground.models import footprint


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
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._tickets = itertools.count()
        self._entries: dict[ModelSpec, Entry] = {}
        self._room = Room(self._entries, self._changed, capacity)
        self._adapters = Adapters(self._room, self._changed, fetch, self._next_ticket)
        self._loads = Loads(
            self._entries, self._changed, self._room, device, patience, fetch, need, start
        )

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
            return given_up() or self._loads.closed

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
                        mine = self._loads.coming(entry, ticket, kept=False) or mine
                    news = mine.news if mine and not usable else Queued(self._room.in_use(entry))
                    if news and news != told:
                        tell(news)
                        told = news
                    self._changed.wait(TICK)
            finally:
                entry.askers.discard(ticket)
                if entry.load and not entry.load.kept and not entry.askers:
                    entry.load.cancelled = True
                self._changed.notify_all()

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
        if usable or self._loads.closed:
            return None
        load = self._loads.coming(entry, self._next_ticket(), kept=True)
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
                    self._changed.wait(TICK)
                resident, closed = entry.resident, self._loads.closed
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

    @contextmanager
    def room_beside(self, spec: ModelSpec, draft: ModelSpec, folder: Path) -> Iterator[None]:
        """Set room aside for a draft of a leased model, once; given back where the body raises.

        Raises ModelTooBig; it does not wait for models that are in use.
        """
        entry = self._entries[spec.base]
        need = self._loads.need_of(draft, folder)
        with self._room.beside(entry, draft, need, self._next_ticket()):
            yield

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
            self._loads.closed = True
            taken = [(e, e.resident) for e in self._entries.values() if e.resident]
            self._changed.notify_all()
        for entry, resident in taken:
            self._room.end(entry, resident)
