"""A machine of make-believe workers: what a manager sees of processes, without any."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playground.core.events import Loading
from playground.core.messages import DeviceMemory, LoadProgress, ModelCard, Moved
from playground.core.run import ModelSpec
from playground.engine.entry import ModelStatus
from playground.engine.manager import ModelManager
from playground.engine.waiting import Abandoned, Patience
from playground.errors import (
    ModelNotFound,
    OutOfMemory,
    PlaygroundError,
    Problem,
    WorkerDied,
    as_error,
)

NEED = 100
ABSENT = ModelSpec("tiny/absent")
FOLDER = Path("/no/folder/is/read")


def out_of_memory() -> PlaygroundError:
    """What a worker says when it finds no memory."""
    return OutOfMemory("There is not enough memory.", field="model")


class Gate:
    """Where something waits until it is opened; open at first."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()

    def close(self) -> None:
        """From now on, wait."""
        self.open.clear()
        self.reached.clear()

    def wait(self, given_up: Callable[[], bool] = lambda: False) -> None:
        """Wait; raises Abandoned when nobody waits for it."""
        self.reached.set()
        while not self.open.wait(0.01):
            if given_up():
                raise Abandoned


class Machine:
    """What all fakes share: gates to hold them at, faults to give them, and what happened.

    ``total`` bytes of device memory make it a GPU, whose models can be parked.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.pids = itertools.count(1)
        self.workers: list[FakeWorker] = []
        self.happened: list[str] = []
        self.fetching, self.loading, self.ending, self.moving = (Gate() for _ in range(4))
        self.faults: dict[str, list[PlaygroundError]] = {}
        self.dies_loading: set[ModelSpec] = set()
        self.looked = 0

    def manager(self, capacity: int | None = None, **more: object) -> ModelManager:
        """A manager of this machine, on which every model needs NEED bytes."""
        device = "auto" if self.total else "cpu"
        return ModelManager(
            self.fetch, device, capacity, need=lambda *_: NEED, start=self.start, **more,  # type: ignore[arg-type]
        )

    def fetch(
        self, spec: ModelSpec, news: Callable[[Loading], None], given_up: Callable[[], bool]
    ) -> Path:
        """The shelf of all models but one."""
        self.happened.append(f"fetch {spec.label}")
        news(Loading("downloading", 0.5))
        self.fetching.wait(given_up)
        if spec == ABSENT:
            raise ModelNotFound("There is no model of this name.", field="model", given=spec.repo)
        return FOLDER

    def start(
        self, spec: ModelSpec, patience: Patience, on_end: Callable[[FakeWorker], None]
    ) -> FakeWorker:
        """A new process."""
        return FakeWorker(self, spec, on_end)

    def fault(self, what: str) -> None:
        """Raise what was put in for ``what``, once each."""
        if waiting := self.faults.get(what):
            raise waiting.pop(0)

    @property
    def held(self) -> int:
        """Bytes of the device that living workers hold."""
        return sum(worker.device_bytes for worker in self.workers)

    def memory(self, worker: FakeWorker | None = None) -> DeviceMemory:
        """What a worker tells of the device."""
        mine = worker.device_bytes if worker else 0
        name = "cuda" if self.total else "cpu"
        free = self.total - self.held if self.total else 0
        return DeviceMemory(name, self.total, free, mine if self.total else 0)


class FakeWorker:
    """A process that is none, with the face of WorkerProcess."""

    def __init__(
        self, machine: Machine, spec: ModelSpec, on_end: Callable[[FakeWorker], None]
    ) -> None:
        self.machine, self.spec, self._on_end = machine, spec, on_end
        self.pid = next(machine.pids)
        self.alive = True
        self.crashed = False
        self.problem: Problem | None = None
        self.device_bytes = self.memory = 0
        self.adapters: list[ModelSpec] = []
        self._end = threading.Lock()
        machine.workers.append(self)
        machine.happened.append(f"start {spec.label}")

    @property
    def device(self) -> DeviceMemory | None:
        """As of now; a real one is up to a second old."""
        return self.machine.memory(self) if self.machine.total else None

    def look(self, device: str) -> DeviceMemory:
        """See WorkerProcess."""
        self.machine.looked += 1
        return self.machine.memory(self)

    def card(self, spec: ModelSpec) -> ModelCard:
        """What it is when it is loaded."""
        own = bool(self.machine.total)
        return ModelCard(spec, "Fake", 10, NEED, "float32", "cuda:0" if own else "cpu", 100, 50,
                         True, "batch", parkable=own and spec.quantization == "none")

    def load(
        self, folder: Path, device: str, progress: Callable[[LoadProgress], None],
        given_up: Callable[[], bool],
    ) -> ModelCard:
        """See WorkerProcess."""
        self._take()
        try:
            progress(LoadProgress(0.5, "reading the weights"))
            self.machine.loading.wait(given_up)
            self.machine.fault(f"load {self.spec.label}")
            if self.spec in self.machine.dies_loading:
                self.machine.dies_loading.discard(self.spec)
                self.die()
                assert self.problem
                raise as_error(self.problem)
        except BaseException:
            self.end()
            raise
        self.machine.happened.append(f"load {self.spec.label}")
        return self.card(self.spec)

    def _take(self) -> None:
        if self.machine.total:
            self.device_bytes = NEED
        else:
            self.memory = NEED

    def attach(self, spec: ModelSpec, folder: Path, given_up: Callable[[], bool]) -> ModelCard:
        """See WorkerProcess."""
        self.machine.loading.wait(given_up)
        self.machine.fault(f"attach {spec.label}")
        self._must_live()
        self.adapters.append(spec)
        self.machine.happened.append(f"attach {spec.label}")
        return self.card(spec)

    def detach(self, spec: ModelSpec) -> Moved:
        """See WorkerProcess."""
        self.adapters.remove(spec)
        self.machine.happened.append(f"detach {spec.label}")
        return Moved(0, 7, 0)

    def park(self) -> Moved:
        """See WorkerProcess."""
        self.machine.moving.wait()
        self.machine.fault(f"park {self.spec.label}")
        self._must_live()
        self.machine.happened.append(f"park {self.spec.label}")
        freed, self.device_bytes, self.memory = self.device_bytes, 0, NEED
        return Moved(0, NEED, freed)

    def unpark(self) -> Moved:
        """See WorkerProcess."""
        self.machine.moving.wait()
        self.machine.fault(f"unpark {self.spec.label}")
        self._must_live()
        self.machine.happened.append(f"unpark {self.spec.label}")
        self.device_bytes, self.memory = NEED, 0
        return Moved(0, NEED, -NEED)

    def _must_live(self) -> None:
        if not self.alive:
            raise as_error(self.problem or WorkerDied("It has ended.").problem)

    def end(self, problem: Problem | None = None) -> int:
        """See WorkerProcess."""
        with self._end:
            freed = self.memory
            was_alive, self.alive = self.alive, False
            if was_alive:
                self.machine.happened.append(f"end {self.spec.label}")
                self.machine.ending.wait()
                self.device_bytes = self.memory = 0
                self._on_end(self)
            return freed

    def die(self) -> None:
        """Be killed by somebody else."""
        with self._end:
            self.alive, self.crashed = False, True
            self.device_bytes = self.memory = 0
            self.problem = WorkerDied("The process ended by itself.", field="model").problem
            self._on_end(self)


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that happens on another thread."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.002)


class Asker(threading.Thread):
    """Somebody who leases a model, holds it until told, and remembers what came of it."""

    def __init__(self, manager: ModelManager, spec: ModelSpec, hold: bool = True) -> None:
        super().__init__(daemon=True)
        self.manager, self.spec = manager, spec
        self.news: list[object] = []
        self.has_it, self.may_go, self.gives_up = (threading.Event() for _ in range(3))
        if not hold:
            self.may_go.set()
        self.pid = 0
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Lease, hold, give back."""
        try:
            with self.manager.lease(self.spec, self.news.append, self.gives_up.is_set) as worker:
                self.pid = worker.pid
                self.has_it.set()
                self.may_go.wait(60)
                assert worker.alive or worker.crashed, "taken away while it was leased"
        except (PlaygroundError, Abandoned, AssertionError) as error:
            self.error = error

    def gets_it(self) -> Asker:
        """Wait until it has come."""
        assert self.has_it.wait(20), (self.error, self.news)
        return self

    def goes(self) -> None:
        """Give the lease back and end."""
        self.may_go.set()
        self.join(20)
        assert not self.is_alive()
        assert self.error is None, self.error


def status(manager: ModelManager, spec: ModelSpec) -> ModelStatus:
    """How one model stands."""
    return next(row for row in manager.statuses([spec]) if row.spec == spec)


def state(manager: ModelManager, spec: ModelSpec) -> str:
    """The one word of it."""
    return status(manager, spec).state


def use(manager: ModelManager, *specs: ModelSpec) -> None:
    """Lease each for a moment, one after the other."""
    for spec in specs:
        Asker(manager, spec, hold=False).goes()


Make = Callable[..., tuple[Machine, ModelManager]]


@contextmanager
def machines(total: int = 0) -> Iterator[Make]:
    """Makes a machine and its manager with room for so many models (None: for what there is).

    ``total`` bytes are the memory of its GPU, if it has one; every manager is closed at the end.
    """
    managers: list[ModelManager] = []

    def made(
        models: float | None = 1, gpu: bool = total > 0, **more: object
    ) -> tuple[Machine, ModelManager]:
        machine = Machine(total=(total or 1000) if gpu else 0)
        managers.append(machine.manager(None if models is None else int(models * NEED), **more))
        return machine, managers[-1]

    yield made
    for manager in managers:
        manager.close()
