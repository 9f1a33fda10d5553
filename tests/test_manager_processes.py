"""The manager on real worker processes that hold tiny models; its laws are in test_manager."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Loading, Step
from playground.core.messages import ModelCard
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.entry import Freed
from playground.engine.manager import ModelManager
from playground.engine.process import WorkerProcess
from playground.engine.waiting import Patience
from playground.errors import InvalidInput, ModelInvalid, PlaygroundError
from playground.models import footprint
from tests.fake_worker import wait_until
from tests.tiny_adapters import save_adapter
from tests.tiny_models import save

A, B, C = (ModelSpec(name) for name in ("tiny/a", "tiny/b", "tiny/c"))
ADAPTED = [ModelSpec("tiny/a", adapter=f"me/{name}") for name in ("one", "two", "broken")]
PROMPT = Raw("Once upon a time there was")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("shelf")
    save(room / "model", max_position_embeddings=8192)
    for seed, spec in enumerate(ADAPTED, 1):
        save_adapter(room / spec.adapter, seed=seed)
    (room / "me/broken/adapter_model.safetensors").write_bytes(b"nothing")
    return room


@pytest.fixture(scope="module")
def need(shelf: Path) -> int:
    """Bytes that one of these models needs."""
    return footprint.needed_bytes(shelf / "model", A)


Make = Callable[..., ModelManager]


@pytest.fixture()
def make(shelf: Path) -> Iterator[Make]:
    """Makes managers with room for so many bytes, and closes them."""
    with ExitStack() as stack:

        def fetch(spec: ModelSpec, *_: object) -> Path:
            return shelf / (spec.adapter or "model")

        def made(capacity: int, device: str = "cpu", **more: object) -> ModelManager:
            manager = ModelManager(fetch, device, capacity, **more)  # type: ignore[arg-type]
            stack.callback(manager.close)
            return manager

        yield made


@pytest.fixture(scope="module")
def shared(shelf: Path, need: int) -> Iterator[ModelManager]:
    """One manager for the tests of adapters: importing peft takes a worker seconds."""

    def fetch(spec: ModelSpec, *_: object) -> Path:
        return shelf / (spec.adapter or "model")

    manager = ModelManager(fetch, "cpu", 2 * need)
    yield manager
    manager.close()


def lease(
    manager: ModelManager, spec: ModelSpec, news: list[object] | None = None
) -> AbstractContextManager[WorkerProcess]:
    """Lease ``spec``, giving up after a while."""
    until = time.monotonic() + 150
    said = [] if news is None else news
    return manager.lease(spec, said.append, lambda: time.monotonic() > until)


def state(manager: ModelManager, spec: ModelSpec) -> str:
    return next(row.state for row in manager.statuses([spec]) if row.spec == spec)


class Heard:
    """The events of a run, as they come."""

    def __init__(self, worker: WorkerProcess, spec: ModelSpec, tokens: int = 12) -> None:
        self.events: list[Event] = []
        decoding = Decoding(max_new_tokens=tokens, min_new_tokens=tokens, candidates=1)
        self.key = worker.begin(Run(spec, PROMPT, decoding), self.events.append)

    @property
    def over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], (Finished, Failed))

    @property
    def ids(self) -> list[int]:
        wait_until(lambda: self.over, 60)
        assert isinstance(self.events[-1], Finished), self.events[-1]
        return [event.id for event in self.events if isinstance(event, Step)]


def test_what_was_freed_is_measured_and_told(make: Make, need: int) -> None:
    manager = make(2 * need)
    for spec in (A, B, A):
        with lease(manager, spec):
            pass
    news: list[object] = []
    with lease(manager, C, news):
        assert [state(manager, spec) for spec in (A, B)] == ["ready", "absent"]
    told = [n.detail for n in news if isinstance(n, Loading)]
    assert any(detail.startswith("b gave back ") for detail in told)
    freed = manager.unload(C)
    assert freed and freed.host > 1_000_000 and freed.device == 0


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
    wait_until(lambda: all(now <= then for now, then in zip(swap(), before, strict=True)), 150)


def test_a_swap_delays_no_token_of_a_stream_elsewhere(shelf: Path, need: int) -> None:
    """Counted in steps, not on the clock: wherever the swap stands still, a stream on another model
    writes 40 tokens meanwhile, so none of its steps waits for one of the swap's."""
    arrived, go_on = threading.Event(), threading.Event()

    def fetch(spec: ModelSpec, *_: object) -> Path:
        if spec == C:
            arrived.set()
            assert go_on.wait(60)
        return shelf / "model"

    manager = ModelManager(fetch, "cpu", 2 * need)
    try:
        with lease(manager, B):
            pass
        with lease(manager, A) as worker, ThreadPoolExecutor() as pool:

            def swap() -> int:
                with lease(manager, C) as other:
                    return len(Heard(other, C).ids)

            swapping = pool.submit(swap)
            assert arrived.wait(60)
            assert len(Heard(worker, A, 40).ids) == 40
            assert state(manager, C) == "loading", "it still stands where its files come"
            go_on.set()
            wait_until(lambda: loading(manager, C) is not None, 60)
            incoming = loading(manager, C)
            assert incoming is not None
            os.kill(incoming.pid, signal.SIGSTOP)
            assert len(Heard(worker, A, 40).ids) == 40
            assert (state(manager, C), state(manager, B)) == ("loading", "absent")
            os.kill(incoming.pid, signal.SIGCONT)
            assert swapping.result(60) == 12
    finally:
        go_on.set()
        manager.close()


def loading(manager: ModelManager, spec: ModelSpec) -> WorkerProcess | None:
    """The process that a model is just loaded in."""
    load = manager._entries[spec].load
    return load.worker if load else None


def test_watching_ends_with_the_card(make: Make, need: int) -> None:
    *news, card = make(need).watch(A)
    assert isinstance(card, ModelCard) and card.parameters == 44192
    shares = [n.done for n in news if isinstance(n, Loading) and n.done is not None]
    assert shares == sorted(shares)


def test_a_worker_that_is_killed_is_counted_and_another_comes(make: Make, need: int) -> None:
    manager = make(need, patience=Patience(blocked=0.5))
    for _ in range(3):
        with lease(manager, A) as worker:
            os.kill(worker.pid, signal.SIGKILL)
            wait_until(lambda worker=worker: not worker.alive)
    with pytest.raises(PlaygroundError, match="3 times in a row"):
        with lease(manager, A):
            raise AssertionError("it is blocked")
    time.sleep(0.5)
    with lease(manager, A) as worker:
        assert worker.alive, "it gets another chance"


def test_the_first_worker_says_which_device_there_is(make: Make, need: int) -> None:
    """The app has no torch to ask; what it asks is the worker that it then loads into."""
    manager = make(need, device="auto")
    assert manager.budget().device == ""
    with lease(manager, A) as worker:
        assert worker.card and worker.card.device == manager.budget().device == "cpu"
    with pytest.raises(PlaygroundError, match="no device 'cuda:x'"):
        with lease(make(need, device="cuda:x"), A):
            raise AssertionError("there is none")


def test_base_and_adapters_share_a_process_and_write_what_each_writes_alone(
    shared: ModelManager
) -> None:
    manager = shared
    one, two, _ = ADAPTED
    alone = []
    for spec in (A, one, two):
        with lease(manager, spec) as worker:
            alone.append(Heard(worker, spec).ids)
    assert len(set(map(tuple, alone))) == 3, "each writes something else"
    with lease(manager, A) as first, lease(manager, one) as second, lease(manager, two) as third:
        assert first is second is third
        together = [Heard(first, spec) for spec in (A, one, two)]
        assert [heard.ids for heard in together] == alone
        assert [state(manager, spec) for spec in (A, one, two)] == ["busy"] * 3
    card = next(row.card for row in manager.statuses([]) if row.spec == one)
    assert card and (card.parameters, card.bytes) == (1664, 6656)


def test_rows_go_on_while_an_adapter_is_put_on(shared: ModelManager) -> None:
    manager = shared
    with lease(manager, A) as worker:
        heard = Heard(worker, A, tokens=4096)
        wait_until(lambda: len(heard.events) > 3)
        manager.unload(ADAPTED[0])
        with lease(manager, ADAPTED[0]):
            before = len(heard.events)
            wait_until(lambda: len(heard.events) > before + 3)
        worker.cancel(heard.key)
        wait_until(lambda: heard.over)
        assert isinstance(heard.events[-1], Finished)


def test_an_adapter_that_is_broken_hurts_nobody(shared: ModelManager) -> None:
    manager = shared
    with lease(manager, A) as worker:
        before = Heard(worker, A).ids
        with pytest.raises(PlaygroundError, match="cannot be read") as caught:
            with lease(manager, ADAPTED[2]):
                raise AssertionError("it is broken")
        assert caught.value.problem.code == ModelInvalid.code
        assert caught.value.problem.field == "adapter"
        assert Heard(worker, A).ids == before
    assert state(manager, ADAPTED[2]) == "failed"


def test_an_adapter_is_taken_off_and_put_on_again(shared: ModelManager) -> None:
    manager = shared
    one = ADAPTED[0]
    with lease(manager, one) as worker:
        before = Heard(worker, one).ids
    assert manager.unload(one) == Freed(host=6656)
    with lease(manager, A) as again:
        assert again is worker, "its base stays"
        heard = Heard(worker, one)
        wait_until(lambda: heard.over)
        assert isinstance(heard.events[-1], Failed), "nobody leased it"
    with lease(manager, one) as worker:
        assert Heard(worker, one).ids == before
        assert "Once upon" in worker.render(PROMPT, 10, one.adapter).rendered


def test_what_is_parked_on_a_cpu_stays_where_it_is(make: Make, need: int) -> None:
    """The commands pass through; nothing moves, so the manager refuses to ask for it."""
    manager = make(need)
    with lease(manager, A) as worker:
        before = Heard(worker, A).ids
    assert (worker.park().bytes, worker.unpark().bytes) == (0, 0)
    with lease(manager, A) as worker:
        running = Heard(worker, A, tokens=4096)
        wait_until(lambda: len(running.events) > 3)
        with pytest.raises(PlaygroundError, match="Somebody uses this model"):
            worker.park()
        worker.cancel(running.key)
        wait_until(lambda: running.over)
        assert isinstance(running.events[-1], Finished)
        assert Heard(worker, A).ids == before
    with pytest.raises(InvalidInput, match="cannot be parked: on cpu"):
        manager.park(A)
