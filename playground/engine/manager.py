"""Which models are in memory and who is using them; it knows no run and no page.

A model is loaded once for all who ask, leased by ``with``, never ended while it is leased, and
ended when it is idle and its room is needed. Everything here is under one lock that is never held
while a file is fetched, a process started or a model loaded.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playground.core.events import Loading, Queued
from playground.core.messages import LoadProgress, ModelCard
from playground.core.run import ModelSpec
from playground.engine.entry import Entry, Load, ModelStatus, Resident
from playground.engine.process import Abandoned, Patience, WorkerProcess, as_error
from playground.errors import Overloaded, PlaygroundError, Problem
from playground.models import footprint

Tell = Callable[[Queued | Loading], None]
GivenUp = Callable[[], bool]
Fetch = Callable[[ModelSpec, Callable[[Loading], None], GivenUp], Path]

_TICK = 0.1


class ModelManager:
    """The models of this machine. ``fetch`` gives the folder of a spec, ``capacity`` the bytes that
    all models may take together (None: what the machine has), ``idle_seconds`` how long a model
    stays that nobody uses."""

    def __init__(
        self, fetch: Fetch, device: str = "auto", capacity: int | None = None,
        idle_seconds: float = 1800.0, patience: Patience = Patience(),
    ) -> None:
        self._fetch = fetch
        self._device = device
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._patience = patience
        self._changed = threading.Condition()
        self._tickets = itertools.count()
        self._entries: dict[ModelSpec, Entry] = {}
        self._line: list[Load] = []
        self._closed = False

    def ask(self, spec: ModelSpec) -> int:
        """Take a place in the line for a model; it must be handed to ``lease``."""
        with self._changed:
            ticket = next(self._tickets)
            self._entries.setdefault(spec, Entry(spec)).askers.add(ticket)
            return ticket

    @contextmanager
    def lease(
        self, spec: ModelSpec, tell: Tell, given_up: GivenUp, ticket: int | None = None
    ) -> Iterator[WorkerProcess]:
        """Use a model, loading it first if need be; while leased it stays.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError when it cannot be had.
        """
        place = self.ask(spec) if ticket is None else ticket
        resident = self._wait_for(spec, place, tell, given_up)
        try:
            yield resident.worker
        finally:
            with self._changed:
                resident.leases -= 1
                resident.used_at = time.monotonic()
                if resident.worker.alive and not resident.leases:
                    self._entries[spec].crashes = 0
                self._changed.notify_all()

    def _wait_for(
        self, spec: ModelSpec, ticket: int, tell: Tell, given_up: GivenUp
    ) -> Resident:
        mine, told = None, None
        with self._changed:
            entry = self._entries[spec]
            try:
                while True:
                    if given_up() or self._closed:
                        raise Abandoned
                    if mine and mine.problem:
                        raise as_error(mine.problem)
                    resident = entry.resident
                    if resident and resident.worker.alive and not self._overtakes(entry, ticket):
                        resident.leases += 1
                        return resident
                    if resident is None and not (entry.load and entry.load.cancelled):
                        mine = entry.load or self._start(entry, ticket, kept=False)
                    news = mine.news if mine and not resident else Queued(self._in_use(entry))
                    if news and news != told:
                        tell(news)
                        told = news
                    self._changed.wait(_TICK)
            finally:
                entry.askers.discard(ticket)
                if entry.load and not entry.load.kept and not entry.askers:
                    entry.load.cancelled = True
                self._changed.notify_all()

    def _overtakes(self, entry: Entry, ticket: int) -> bool:
        """Whether an older request waits for room, which new leases would keep from it."""
        return any(load.ticket < ticket and load is not entry.load for load in self._line)

    def _in_use(self, entry: Entry) -> int:
        return sum(other.leases for other in self._entries.values() if other is not entry)

    def warm(self, spec: ModelSpec) -> Load | None:
        """Start loading in the background, for nobody in particular; None when it is loaded."""
        with self._changed:
            entry = self._entries.setdefault(spec, Entry(spec))
            if entry.load:
                entry.load.kept = True
            elif entry.resident is None and not self._closed:
                return self._start(entry, next(self._tickets), kept=True)
            return entry.load

    def watch(self, spec: ModelSpec) -> Iterator[Loading | ModelCard]:
        """Load a model and say how it goes; the card comes last. Raises PlaygroundError."""
        told: Loading | None = None
        with self._changed:
            entry = self._entries.setdefault(spec, Entry(spec))
            self._changed.wait_for(lambda: not (entry.load and entry.load.cancelled), 10)
            mine = self.warm(spec)
        while True:
            with self._changed:
                if entry.resident is None and mine and not mine.problem and not mine.cancelled:
                    self._changed.wait(_TICK)
                card = entry.resident.card if entry.resident else None
                news = mine.news if mine else None
            if card:
                yield card
                return
            if mine is None or mine.cancelled:
                return
            if mine.problem:
                raise as_error(mine.problem)
            if isinstance(news, Queued):
                news = Loading("making room", None, f"waiting for {news.ahead} to end")
            if news and news != told:
                told = news
                yield news

    def _start(self, entry: Entry, ticket: int, kept: bool) -> Load:
        """Begin one attempt, unless this model's worker has died too often. Under the lock."""
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
                entry.load, entry.resident, load.problem = None, resident, problem
                if resident and not resident.worker.alive:
                    entry.resident = None
                    load.problem = resident.worker.problem
                if entry.resident is None:
                    entry.need = 0
                    entry.problem = None if load.cancelled else load.problem
                self._changed.notify_all()

    def _bring(self, entry: Entry, load: Load) -> Resident:
        """From a spec to a loaded model."""

        def news(said: Queued | Loading) -> None:
            with self._changed:
                load.news = said
                self._changed.notify_all()

        def progress(said: LoadProgress) -> None:
            news(Loading("loading", said.done, said.detail))

        def given_up() -> bool:
            return load.cancelled or self._closed

        folder = self._fetch(entry.spec, news, given_up)
        freed = self._make_room(entry, load, footprint.needed_bytes(folder, entry.spec), news)
        news(Loading("starting", None, ", ".join(freed)))
        worker = WorkerProcess(entry.spec, self._patience, self._ended)
        return Resident(worker, worker.load(folder, self._device, progress, given_up))

    def _make_room(
        self, entry: Entry, load: Load, need: int, news: Callable[[Queued | Loading], None]
    ) -> list[str]:
        """Set ``need`` bytes aside, ending idle models, longest unused first, until they fit.

        Gives what each of those gave back, in words.
        """
        freed: list[str] = []
        with self._changed:
            self._line.append(load)
            self._line.sort(key=lambda one: one.ticket)
        try:
            while True:
                capacity = self._room()
                if need > capacity:
                    raise footprint.too_big(entry.spec, need, capacity)
                with self._changed:
                    if load.cancelled or self._closed:
                        raise Abandoned
                    first = self._line[0] is load
                    if first and sum(e.need for e in self._entries.values()) + need <= capacity:
                        entry.need = need
                        return freed
                    victim = self._take_idle(load.ticket) if first else None
                    if victim is None:
                        ahead = Queued(self._in_use(entry))
                if victim is None:
                    news(ahead)
                    time.sleep(_TICK)
                else:
                    news(Loading("making room", None, f"ending {victim.card.spec.label}"))
                    gave = footprint.size(victim.worker.end())
                    freed.append(f"{victim.card.spec.label} gave back {gave}")
        finally:
            with self._changed:
                self._line.remove(load)
                self._changed.notify_all()

    @contextmanager
    def room_beside(self, spec: ModelSpec, draft: ModelSpec, folder: Path) -> Iterator[None]:
        """Set room aside for a draft of a leased model, once; given back where loading it fails.

        Idle models are ended for it. One in use is never waited for: whoever asks holds a model,
        and two who wait for each other's would wait for ever. Raises ModelTooBig.
        """
        need = footprint.needed_bytes(folder, draft)
        while True:
            capacity = self._room()
            with self._changed:
                entry = self._entries[spec]
                left = capacity - sum(e.need for e in self._entries.values())
                if draft in entry.drafts or need <= left:
                    if draft not in entry.drafts:
                        entry.drafts[draft] = need
                        entry.need += need
                    break
                victim = self._take_idle(next(self._tickets))
            if victim is None:
                raise footprint.too_big(draft, need, left)
            victim.worker.end()
        try:
            yield
        except PlaygroundError:  # and not where nobody waits any more: it is loaded all the same
            with self._changed:
                entry.need -= entry.drafts.pop(draft, 0)
            raise

    def _room(self) -> float:
        """Bytes that all models together may take now."""
        if self._capacity is not None:
            return self._capacity
        with self._changed:
            workers = [e.resident.worker for e in self._entries.values() if e.resident]
        return 0.9 * (footprint.available_bytes() + sum(worker.memory for worker in workers))

    def _take_idle(self, ticket: int) -> Resident | None:
        """The longest unused model that nobody uses, or waits for since earlier. Under the lock."""
        idle = [e for e in self._entries.values() if e.resident and not e.resident.leases
                and not any(asker < ticket for asker in e.askers)]
        entry = min(idle, key=lambda e: e.resident.used_at if e.resident else 0, default=None)
        return entry.take() if entry else None

    def unload(self, spec: ModelSpec) -> bool:
        """End a model or stop its loading; False when there was nothing to end.

        Raises Overloaded while somebody uses it or waits for it.
        """
        with self._changed:
            entry = self._entries.get(spec)
            if entry is None:
                return False
            # A run's last event is read a moment before its lease goes back.
            self._changed.wait_for(lambda: not (entry.leases or entry.askers), 0.5)
            if entry.leases or entry.askers:
                raise Overloaded(
                    f"{spec.label} is in use and stays loaded.", field="model", given=spec.repo,
                    advice="Stop what it is writing, then unload it.",
                )
            there = bool(entry.load or entry.resident or entry.problem)
            if entry.load:
                entry.load.kept, entry.load.cancelled = False, True
            entry.problem = None
            resident = entry.take()
            self._changed.notify_all()
        if resident:
            resident.worker.end()
        return there

    def unload_idle(self) -> None:
        """End every model that nobody has used for a while."""
        before = time.monotonic() - self._idle_seconds
        with self._changed:
            idle = [e for e in self._entries.values() if e.resident and not e.resident.leases
                    and not e.askers and e.resident.used_at < before]
            taken = [resident for entry in idle if (resident := entry.take())]
            self._changed.notify_all()
        for resident in taken:
            resident.worker.end()

    def statuses(self, offered: Sequence[ModelSpec]) -> tuple[ModelStatus, ...]:
        """Every offered model and every other that is loaded, loading or failed; quick."""
        with self._changed:
            known = {spec: entry.status for spec, entry in self._entries.items()}
        rows = [known.get(spec) or ModelStatus(spec, "absent") for spec in offered]
        others = [s for spec, s in known.items() if spec not in offered and s.state != "absent"]
        return (*rows, *others)

    def is_ready(self, spec: ModelSpec) -> bool:
        """Whether a lease would not have to wait for loading."""
        with self._changed:
            entry = self._entries.get(spec)
            return bool(entry and entry.resident)

    def close(self) -> None:
        """End every worker; whoever waits is told to give up."""
        with self._changed:
            self._closed = True
            taken = [resident for e in self._entries.values() if (resident := e.take())]
            self._changed.notify_all()
        for resident in taken:
            resident.worker.end()

    def _ended(self, worker: WorkerProcess) -> None:
        """A worker is gone. If nobody ended it on purpose, count that against its model."""
        with self._changed:
            entry = self._entries[worker.spec]
            if entry.resident and entry.resident.worker is worker:
                entry.take()
            if worker.crashed:
                entry.count_crash(worker.problem, self._patience.blocked)
            self._changed.notify_all()
