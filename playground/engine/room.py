"""Room for models: who must go so that another fits, parked or ended; it loads nothing.

One line of loads that wait for room, served in the order in which they were asked for. A model that
somebody uses, or that is pinned, is never touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from playground.core.events import Loading, Queued
from playground.core.messages import DeviceMemory
from playground.core.run import ModelSpec
from playground.engine.entry import Entry, Freed, Load, Resident
from playground.engine.waiting import TICK, Abandoned, GivenUp, Tell
from playground.errors import ModelTooBig, PlaygroundError
from playground.models import footprint

_SHARE = 0.9  # of what is free; the rest is everybody else's
_STALE = 3.0  # seconds after which a GPU's own words about its memory are true again


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes that all models may take together on ``device`` ("" while no worker has told), those
    set aside, those of weights parked in host memory, and how many more could be parked."""

    device: str
    capacity: int
    taken: int
    parked: int = 0
    parking: int = 0


class Room:
    """The memory of this machine and the models in it; shares the manager's table and lock.

    ``capacity`` are the bytes that all models may take together; None is what there is.
    """

    def __init__(
        self, entries: dict[ModelSpec, Entry], changed: threading.Condition, capacity: int | None
    ) -> None:
        self._entries = entries
        self._changed = changed
        self._capacity = capacity
        self._line: list[Load] = []
        self._leaving = 0
        self.device: DeviceMemory | None = None

    def budget(self) -> Budget:
        """How it stands now; asks the system, so not under the lock."""
        capacity, host = self.capacity(), footprint.available_bytes()
        with self._changed:
            residents = [e.resident for e in self._entries.values() if e.resident]
            taken = self._taken()
        own = self.device is not None and self.device.total > 0
        return Budget(
            self.device.device if self.device else "",
            int(capacity), taken, sum(r.parked for r in residents),
            int(_SHARE * host) if own else 0,
        )

    def capacity(self) -> float:
        """Bytes that all models together may take now."""
        if self._capacity is not None:
            return self._capacity
        with self._changed:  # those that are loading have memory already
            workers = [one.worker for e in self._entries.values() for one in (e.resident, e.load)
                       if one and one.worker]
        if self.device is None or not self.device.total:
            return _SHARE * (footprint.available_bytes() + sum(w.memory for w in workers))
        # Every worker tells the same free bytes of the device, and its own share of the rest.
        told = [worker.device for worker in workers if worker.alive and worker.device]
        free = min((one.free for one in told), default=self.device.free)
        return _SHARE * (free + sum(one.held for one in told))

    def _taken(self) -> int:
        return self._leaving + sum(entry.need for entry in self._entries.values())

    def overtakes(self, entry: Entry, ticket: int) -> bool:
        """Whether an older request waits for room, which new leases would keep from it."""
        return any(load.ticket < ticket and load is not entry.load for load in self._line)

    def in_use(self, entry: Entry) -> int:
        """How many runs go on in the other models."""
        return sum(other.leases for other in self._entries.values() if other is not entry)

    def make(
        self, entry: Entry, load: Load, need: int, news: Tell, given_up: GivenUp
    ) -> list[str]:
        """Set ``need`` bytes aside, sending idle models away, longest unused first, until they fit.

        Gives what each of those gave back, in words. Raises ModelTooBig where that cannot help, and
        Abandoned.
        """
        freed: list[str] = []
        told: Queued | None = None
        with self._changed:
            self._line.append(load)
            self._line.sort(key=lambda one: one.ticket)
        patient_until = time.monotonic() + (_STALE if self._has_own_memory else 0)
        try:
            while True:
                capacity, leaving = self.capacity(), None
                with self._changed:
                    if given_up():
                        raise Abandoned
                    first = self._line[0] is load
                    if first and self._taken() + need <= capacity:
                        entry.need = need
                        return freed
                    if need > capacity and time.monotonic() >= patient_until:
                        raise footprint.too_big(entry.spec, need, capacity)
                    self._refuse_beside_pinned(entry, need, capacity)
                    if first:
                        leaving = self._longest_unused(load.ticket)
                    if leaving is None:
                        if told != (told := self._queued(entry)):
                            news(told)
                        self._changed.wait(TICK)
                if leaving is not None:
                    freed.append(self._send_away(*leaving, news))
        finally:
            with self._changed:
                self._line.remove(load)
                self._changed.notify_all()

    def _queued(self, entry: Entry) -> Queued:
        """How many runs go on in the other models, and in which. Under the lock."""
        names = [e.spec.label for e in self._entries.values() if e is not entry and e.leases]
        return Queued(self.in_use(entry), f"memory in use by {', '.join(names)}" if names else "")

    @property
    def _has_own_memory(self) -> bool:
        return self.device is not None and self.device.total > 0

    def _refuse_beside_pinned(self, entry: Entry, need: int, capacity: float) -> None:
        """Nobody waits for models that stay for ever. Under the lock."""
        pinned = [e for e in self._entries.values() if e.pinned and e.need and e is not entry]
        held = sum(e.need for e in pinned)
        if pinned and need <= capacity < need + held:
            names = ", ".join(e.spec.label for e in pinned)
            raise ModelTooBig(
                f"{entry.spec.label} needs about {footprint.size(need)}; models may take "
                f"{footprint.size(capacity)} here, of which {footprint.size(held)} are pinned "
                f"({names}).",
                field="model", given=footprint.size(need),
                allowed=f"up to {footprint.size(capacity - held)}", advice="Unpin a model first.",
            )

    def _longest_unused(self, ticket: int) -> tuple[Entry, Resident] | None:
        """The model that nobody has used for longest, nor asked for before ``ticket``; it is marked
        as moving, so that nobody begins to. Under the lock."""
        idle = [(e, e.resident) for e in self._entries.values() if e.resident and e.is_idle
                and not any(asker < ticket for asker in e.askers)]
        found = min(idle, key=lambda pair: pair[1].used_at, default=None)
        if found:
            found[1].moving = True
        return found

    def _send_away(self, entry: Entry, resident: Resident, news: Tell) -> str:
        """Park a model that is marked as moving, or end it where that cannot be."""
        label = entry.spec.label
        if self._may_park(resident):
            news(Loading("making room", None, f"parking {label}"))
            with suppress(PlaygroundError):  # its worker has died, or found no host memory
                return f"{label} is parked and gave back {self.park(entry, resident)}"
        news(Loading("making room", None, f"ending {label}"))
        return f"{label} gave back {self.end(entry, resident)}"

    def _may_park(self, resident: Resident) -> bool:
        """Whether its weights can lie in host memory, models parked before ended for it."""
        if not resident.card.parkable:
            return False
        while resident.card.bytes > _SHARE * footprint.available_bytes():
            with self._changed:
                parked = [(e, e.resident) for e in self._entries.values()
                          if e.resident and e.resident.parked and not e.resident.moving
                          and not e.pinned and not e.in_use]
                oldest = min(parked, key=lambda pair: pair[1].used_at, default=None)
                if oldest is None:
                    return False
                oldest[1].moving = True
            self.end(*oldest)
        return True

    def park(self, entry: Entry, resident: Resident) -> Freed:
        """Move a model that is marked as moving to host memory; gives what the device got back.

        Raises PlaygroundError, and then it is where it was, and still marked.
        """
        moved = resident.worker.park()
        with self._changed:
            resident.parked, resident.moving = moved.bytes, False
            if entry.resident is resident:
                resident.set_aside, entry.need = entry.need, 0
                entry.freed = Freed(device=moved.freed)
            self._changed.notify_all()
        return Freed(device=moved.freed)

    def end(self, entry: Entry, resident: Resident) -> Freed:
        """End a model's process and wait until it is gone; gives what that freed.

        Until then its bytes count as taken; whoever asks for it meanwhile is given a new process.
        """
        with self._changed:
            need = entry.take() if entry.resident is resident else 0
            self._leaving += need
            self._changed.notify_all()
        held = resident.worker.device.held if resident.worker.device else 0
        freed = Freed(resident.worker.end(), held)
        with self._changed:
            self._leaving -= need
            entry.freed = freed
            self._changed.notify_all()
        return freed

    @contextmanager
    def beside(self, entry: Entry, spec: ModelSpec, need: int, ticket: int) -> Iterator[None]:
        """Set room aside for what joins a leased model, once; given back where the body raises.

        Idle models are sent away for it. One in use is never waited for: whoever asks holds a
        model, and two who wait for each other's would wait for ever. Raises ModelTooBig.
        """
        while True:
            capacity = self.capacity()
            with self._changed:
                left = capacity - self._taken()
                if spec in entry.beside or need <= left:
                    if spec not in entry.beside:
                        entry.beside[spec] = need
                        entry.need += need
                    break
                leaving = self._longest_unused(ticket)
            if leaving is None:
                raise footprint.too_big(spec, need, max(0, left))
            self._send_away(*leaving, lambda _: None)
        try:
            yield
        except PlaygroundError:  # and not where nobody waits any more: it comes all the same
            self.forget_beside(entry, spec)
            raise

    def forget_beside(self, entry: Entry, spec: ModelSpec) -> None:
        """What joined a model is gone."""
        with self._changed:
            entry.need -= entry.beside.pop(spec, 0)
            self._changed.notify_all()
