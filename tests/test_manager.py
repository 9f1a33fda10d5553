"""Who gets which model and who has to go, on real worker processes that hold tiny models."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.manager import ModelManager
from playground.engine.process import Abandoned, Patience, WorkerProcess
from playground.errors import ModelNotFound, Overloaded, PlaygroundError
from playground.models import footprint
from tests.tiny_models import save

A, B, C = (ModelSpec(name) for name in ("tiny/a", "tiny/b", "tiny/c"))
ABSENT = ModelSpec("tiny/absent")


class Shelf:
    """Where the manager fetches from: counts what was fetched, and holds it back if told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[ModelSpec] = []
        self.open = threading.Event()
        self.open.set()

    def fetch(
        self, spec: ModelSpec, news: Callable[[Loading], None], given_up: Callable[[], bool]
    ) -> Path:
        self.fetched.append(spec)
        news(Loading("downloading", 0.5))
        while not self.open.wait(0.02):
            if given_up():
                raise Abandoned
        if spec == ABSENT:
            raise ModelNotFound("There is no model of this name.", field="model", given=spec.repo)
        return self.folder


@pytest.fixture(scope="module")
def shelf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def need(shelf_folder: Path) -> int:
    """Bytes that one of these models needs."""
    return footprint.needed_bytes(shelf_folder, A)


@pytest.fixture()
def shelf(shelf_folder: Path) -> Shelf:
    return Shelf(shelf_folder)


Make = Callable[..., ModelManager]


@pytest.fixture()
def make(shelf: Shelf) -> Iterator[Make]:
    """Makes managers with room for so many bytes, and closes them."""
    with ExitStack() as stack:

        def made(capacity: int, **more: object) -> ModelManager:
            manager = ModelManager(shelf.fetch, "cpu", capacity, **more)  # type: ignore[arg-type]
            stack.callback(manager.close)
            return manager

        yield made


def lease(
    manager: ModelManager, spec: ModelSpec, news: list[object] | None = None
) -> AbstractContextManager[WorkerProcess]:
    """Lease ``spec``, giving up after a while."""
    until = time.monotonic() + 150
    said = [] if news is None else news
    return manager.lease(spec, said.append, lambda: time.monotonic() > until)


def state(manager: ModelManager, spec: ModelSpec) -> str:
    return next(row.state for row in manager.statuses([spec]) if row.spec == spec)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that happens on another thread."""
    until = time.monotonic() + 150
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


class Asker(threading.Thread):
    """Somebody who leases a model, holds it until told, and remembers what came of it."""

    def __init__(self, manager: ModelManager, spec: ModelSpec) -> None:
        super().__init__(daemon=True)
        self.manager, self.spec = manager, spec
        self.news: list[object] = []
        self.has_it, self.may_go, self.gives_up = (threading.Event() for _ in range(3))
        self.pid = 0
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.manager.lease(self.spec, self.news.append, self.gives_up.is_set) as worker:
                self.pid = worker.pid
                self.has_it.set()
                self.may_go.wait(150)
        except (PlaygroundError, Abandoned) as error:
            self.error = error


def test_a_leased_model_is_never_evicted(make: Make, need: int) -> None:
    manager = make(need)
    with lease(manager, A) as worker:
        other = Asker(manager, B)
        wait_until(lambda: Queued(1) in other.news)
        assert worker.alive and state(manager, A) == "busy"
        assert not other.has_it.is_set()
    assert other.has_it.wait(150), "the room of an idle model is given to who waits"
    assert not worker.alive and state(manager, A) == "absent"
    other.may_go.set()


def test_models_that_fit_together_stay_together(make: Make, need: int) -> None:
    manager = make(2 * need)
    with lease(manager, A) as first, lease(manager, B) as second:
        assert first.alive and second.alive and first.pid != second.pid


def test_the_longest_unused_model_goes_first(make: Make, need: int) -> None:
    manager = make(2 * need)
    for spec in (A, B, A):
        with lease(manager, spec):
            pass
    news: list[object] = []
    with lease(manager, C, news):
        assert [state(manager, spec) for spec in (A, B)] == ["ready", "absent"]
    told = [n.detail for n in news if isinstance(n, Loading)]
    assert any(detail.startswith("b gave back ") for detail in told), "what was freed is told"


def test_five_callers_share_one_load(make: Make, need: int, shelf: Shelf) -> None:
    manager = make(need)
    shelf.open.clear()
    askers = [Asker(manager, A) for _ in range(5)]
    wait_until(lambda: all(Loading("downloading", 0.5) in asker.news for asker in askers))
    shelf.open.set()
    assert all(asker.has_it.wait(150) for asker in askers)
    assert shelf.fetched == [A]
    assert len({asker.pid for asker in askers}) == 1
    for asker in askers:
        asker.may_go.set()


def test_one_who_gives_up_leaves_the_load_to_the_others(
    make: Make, need: int, shelf: Shelf
) -> None:
    manager = make(need)
    shelf.open.clear()
    first, second = Asker(manager, A), Asker(manager, A)
    wait_until(lambda: bool(first.news and second.news))
    first.gives_up.set()
    first.join(60)
    assert isinstance(first.error, Abandoned)
    shelf.open.set()
    assert second.has_it.wait(150)
    second.may_go.set()


def test_a_load_that_nobody_waits_for_is_stopped(make: Make, need: int, shelf: Shelf) -> None:
    manager = make(need)
    shelf.open.clear()
    only = Asker(manager, A)
    wait_until(lambda: bool(only.news))
    only.gives_up.set()
    wait_until(lambda: state(manager, A) == "absent")
    shelf.open.set()
    with lease(manager, A) as worker:
        assert worker.alive, "the next one gets a load of its own"


def test_a_failed_load_leaves_the_others_usable(make: Make, need: int) -> None:
    manager = make(2 * need)
    with lease(manager, A) as worker:
        with pytest.raises(PlaygroundError, match="no model of this name") as caught:
            with lease(manager, ABSENT):
                raise AssertionError("there is nothing to lease")
        assert caught.value.problem.code == "MODEL_NOT_FOUND"
        assert worker.alive and state(manager, ABSENT) == "failed"
    with lease(manager, A) as again, lease(manager, B):
        assert again.pid == worker.pid, "and the room of the failed one is free"


def test_a_model_that_can_never_fit_is_refused_with_the_arithmetic(make: Make, need: int) -> None:
    manager = make(need - 1)
    with pytest.raises(PlaygroundError) as caught:
        with lease(manager, A):
            raise AssertionError("it does not fit")
    assert caught.value.problem.code == "MODEL_TOO_BIG"
    assert caught.value.problem.given == footprint.size(need)


def test_swapping_leaves_no_thread_and_no_file_open(make: Make, need: int) -> None:
    manager = make(need)
    here = psutil.Process()

    def swap() -> tuple[int, int]:
        for spec in (A, B):
            with lease(manager, spec):
                pass
        return here.num_fds(), here.num_threads()

    before = swap()
    for _ in range(4):
        swap()
    wait_until(lambda: all(now <= then for now, then in zip(swap(), before, strict=True)))


def test_nobody_overtakes_one_who_waits_for_room(make: Make, need: int) -> None:
    """Without it, two people who take turns on A would keep B out for ever."""
    manager = make(need)
    holder = Asker(manager, A)
    assert holder.has_it.wait(150)
    waiter = Asker(manager, B)
    wait_until(lambda: Queued(1) in waiter.news)
    late = Asker(manager, A)
    wait_until(lambda: bool(late.news))
    assert not late.has_it.is_set()
    holder.may_go.set()
    assert waiter.has_it.wait(150)
    assert not late.has_it.is_set()
    waiter.may_go.set()
    assert late.has_it.wait(150)
    late.may_go.set()


def test_an_idle_model_is_unloaded_and_a_leased_one_is_not(make: Make, need: int) -> None:
    manager = make(2 * need, idle_seconds=0.05)
    with lease(manager, A):
        with lease(manager, B):
            pass
        time.sleep(0.1)
        manager.unload_idle()
        assert (state(manager, A), state(manager, B)) == ("busy", "absent")


def test_a_leased_model_is_not_unloaded_by_hand(make: Make, need: int) -> None:
    manager = make(need)
    with lease(manager, A) as worker:
        with pytest.raises(Overloaded, match="in use"):
            manager.unload(A)
        assert worker.alive
    assert manager.unload(A) is True
    assert not worker.alive and state(manager, A) == "absent"
    assert manager.unload(A) is False


def test_watching_ends_with_the_card_and_needs_nobody_else(make: Make, need: int) -> None:
    manager = make(need)
    *news, card = manager.watch(A)
    assert isinstance(card, ModelCard) and card.parameters == 44192
    assert [n.stage for n in news if isinstance(n, Loading)][0] in ("downloading", "starting")
    assert list(manager.watch(A)) == [card], "a loaded model only shows its card"
    with pytest.raises(PlaygroundError, match="no model of this name"):
        list(manager.watch(ABSENT))


def kill(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not worker.alive)


def test_a_model_that_dies_three_times_is_left_alone_for_a_while(make: Make, need: int) -> None:
    manager = make(2 * need, patience=Patience(blocked=1.5))
    for _ in range(3):
        with lease(manager, A) as worker:
            kill(worker)
    with pytest.raises(PlaygroundError, match="3 times in a row") as caught:
        with lease(manager, A):
            raise AssertionError("it is blocked")
    assert caught.value.problem.code == "WORKER_DIED"
    with lease(manager, B) as other:
        assert other.alive, "others go on"
    time.sleep(1.5)
    with lease(manager, A) as worker:
        assert worker.alive, "it gets another chance"


def test_a_run_that_went_well_forgives_what_was_before(make: Make, need: int) -> None:
    manager = make(need)
    for good in (False, False, True, False, False):
        with lease(manager, A) as worker:
            if not good:
                kill(worker)
    with lease(manager, A) as worker:
        assert worker.alive
