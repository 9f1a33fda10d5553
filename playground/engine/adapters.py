"""Adapters on models that are loaded: put on once for all who ask, leased, taken off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import SimpleQueue

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.entry import Attached, Entry, Freed, Resident
from playground.engine.loads import Fetch
from playground.engine.process import WorkerProcess
from playground.engine.room import Room
from playground.engine.waiting import TICK, Abandoned, GivenUp, Tell
from playground.errors import Overloaded, PlaygroundError, Problem, as_error

_WIDER = 2  # an adapter in 16 bits is computed in 32


class Adapters:
    """The adapters of all models; shares the manager's lock."""

    def __init__(
        self, room: Room, changed: threading.Condition, fetch: Fetch, ticket: Callable[[], int]
    ) -> None:
        self._room = room
        self._changed = changed
        self._fetch = fetch
        self._ticket = ticket

    @contextmanager
    def lease(
        self, entry: Entry, resident: Resident, spec: ModelSpec, tell: Tell, given_up: GivenUp
    ) -> Iterator[None]:
        """Use an adapter of a leased model, putting it on first if need be.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError when it cannot be had.
        """
        found = self._wait_for(entry, resident, spec, tell, given_up)
        try:
            yield
        finally:
            with self._changed:
                found.leases -= 1
                found.used_at = time.monotonic()
                self._changed.notify_all()

    def _wait_for(
        self, entry: Entry, resident: Resident, spec: ModelSpec, tell: Tell, given_up: GivenUp
    ) -> Attached:
        with self._changed:
            found = resident.adapters.get(spec) or self._begin(entry, resident, spec)
            found.waiting += 1
            told = None
            try:
                while True:
                    if given_up():
                        raise Abandoned
                    if found.problem:
                        raise as_error(found.problem)
                    if found.card:
                        found.leases += 1
                        return found
                    if found.news and found.news != told:
                        tell(found.news)
                        told = found.news
                    self._changed.wait(TICK)
            finally:
                found.waiting -= 1
                self._changed.notify_all()

    def _begin(self, entry: Entry, resident: Resident, spec: ModelSpec) -> Attached:
        """Under the lock. The model stays leased until the adapter is on it, or is not."""
        made = resident.adapters[spec] = Attached()
        resident.leases += 1
        entry.problems.pop(spec, None)
        threading.Thread(
            target=self._put_on, args=(entry, resident, spec, made),
            name=f"attach {spec.adapter}", daemon=True,
        ).start()
        return made

    def _put_on(
        self, entry: Entry, resident: Resident, spec: ModelSpec, made: Attached
    ) -> None:
        """On a thread of its own. Whatever happens, those who wait hear of it."""
        card: ModelCard | None = None
        problem: Problem | None = Problem(
            PlaygroundError.code, f"{spec.label} could not be loaded.", field="adapter",
            advice="The log of the app says why.",
        )

        def news(said: Loading) -> None:
            with self._changed:
                made.news = said
                self._changed.notify_all()

        def nobody() -> bool:
            return made.waiting == 0

        try:
            folder = self._fetch(spec, news, nobody)
            news(Loading("loading", None, "putting the adapter on"))
            with self._room.beside(entry, spec, _bytes(folder), self._ticket()):
                card, problem = resident.worker.attach(spec, folder, lambda: False), None
        except PlaygroundError as error:
            problem = error.problem
        except Abandoned:
            problem = Problem("CANCELLED", f"Loading {spec.label} was stopped.")
        finally:
            with self._changed:
                made.card, made.problem = card, problem
                resident.leases -= 1
                resident.used_at = time.monotonic()
                if problem:
                    resident.adapters.pop(spec, None)
                    if problem.code != "CANCELLED":
                        entry.problems[spec] = problem
                self._changed.notify_all()

    def watch(
        self, lease: Callable[[Tell], AbstractContextManager[WorkerProcess]],
        entry: Entry, spec: ModelSpec,
    ) -> Iterator[Loading | ModelCard]:
        """Put an adapter on and say how it goes; the card comes last. Raises PlaygroundError."""
        said: SimpleQueue[Loading | ModelCard | PlaygroundError | None] = SimpleQueue()

        def tell(news: Queued | Loading) -> None:
            if isinstance(news, Loading):
                said.put(news)

        def work() -> None:
            try:
                with lease(tell):
                    resident = entry.resident
                    found = resident.adapters.get(spec) if resident else None
                    said.put(found.card if found else None)
            except PlaygroundError as error:
                said.put(error)
            except Abandoned:
                pass  # the app is closing
            finally:
                said.put(None)

        threading.Thread(target=work, name=f"watch {spec.adapter}", daemon=True).start()
        while (news := said.get()) is not None:
            if isinstance(news, PlaygroundError):
                raise news
            yield news
            if isinstance(news, ModelCard):
                return

    def detach(self, entry: Entry, spec: ModelSpec) -> Freed | None:
        """Take an adapter off; None when it is not on. Raises Overloaded while somebody uses it."""
        with self._changed:
            failed = entry.problems.pop(spec, None)
            # A run's last event is read a moment before its lease goes back.
            self._changed.wait_for(lambda: not _is_used(entry, spec), 0.5)
            resident = entry.resident
            found = resident.adapters.get(spec) if resident else None
            if resident is None or found is None:
                return Freed() if failed else None
            if _is_used(entry, spec):
                raise Overloaded(
                    f"{spec.label} is in use and stays.", field="adapter", given=spec.adapter,
                    advice="Stop what it is writing, then unload it.",
                )
            del resident.adapters[spec]
            resident.leases += 1  # until it is off, the model stays where it is
        try:
            moved = resident.worker.detach(spec)
            return Freed(device=moved.freed) if moved.freed > 0 else Freed(host=moved.bytes)
        finally:
            self._room.forget_beside(entry, spec)
            with self._changed:
                resident.leases -= 1
                self._changed.notify_all()


def _is_used(entry: Entry, spec: ModelSpec) -> bool:
    """Whether an adapter is in use, on its way, or moving with its model."""
    resident = entry.resident
    found = resident.adapters.get(spec) if resident else None
    if resident is None or found is None:
        return False
    return bool(found.leases or found.waiting or not found.card or resident.moving)


def _bytes(folder: Path) -> int:
    """Bytes that an adapter may take in memory, from the size of its file."""
    try:
        return _WIDER * sum(file.stat().st_size for file in folder.glob("adapter_model*"))
    except OSError:
        return 0
