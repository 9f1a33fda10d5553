"""Models that are parked in host memory and come back, on a make-believe GPU of 1,000 bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from playground.core.events import Loading
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine import room
from playground.engine.entry import Freed
from playground.errors import InvalidInput, Overloaded, PlaygroundError
from playground.models import footprint
from tests.fake_worker import (
    NEED,
    Asker,
    Make,
    machines,
    out_of_memory,
    state,
    status,
    use,
    wait_until,
)

A, B, C = (ModelSpec(name) for name in ("tiny/a", "tiny/b", "tiny/c"))
PACKED = ModelSpec("tiny/a", quantization="nf4")


@pytest.fixture()
def make() -> Iterator[Make]:
    """A machine with a GPU and its manager, with room for so many models on it."""
    with machines(total=1000) as made:
        yield made


def test_two_models_that_do_not_fit_are_parked_in_turn_and_loaded_once(make: Make) -> None:
    machine, manager = make()
    use(manager, *[A, B] * 3)
    assert [what for what in machine.happened if "fetch" not in what and "start" not in what] == [
        "load a", "park a", "load b",
        *["park b", "unpark a", "park a", "unpark b"] * 2,
    ]
    assert machine.held == NEED, "one of them is on the device"
    told = status(manager, A)
    assert (told.state, told.parked, told.set_aside) == ("parked", NEED, 0)
    assert told.freed == Freed(device=NEED)
    budget = manager.budget()
    assert (budget.device, budget.taken, budget.parked) == ("cuda", NEED, NEED)


def test_a_leased_model_is_not_parked(make: Make) -> None:
    machine, manager = make()
    holder = Asker(manager, A).gets_it()
    with pytest.raises(Overloaded, match="in use"):
        manager.park(A)
    other = Asker(manager, B)
    time.sleep(0.2)
    assert "park a" not in machine.happened and not other.has_it.is_set()
    holder.goes()
    other.gets_it().goes()
    assert state(manager, A) == "parked"


def test_parking_by_hand_and_coming_back_by_watching(make: Make) -> None:
    _, manager = make(2)
    use(manager, A)
    assert manager.park(A) == Freed(device=NEED)
    assert manager.park(A) is None, "it is parked already"
    assert manager.park(B) is None, "it is not there"
    *news, card = manager.watch(A)
    assert isinstance(card, ModelCard) and state(manager, A) == "ready"
    assert all(isinstance(n, Loading) for n in news)


def test_who_asks_while_it_is_parked_waits_and_is_served(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.moving.close()
    parking = threading.Thread(target=manager.park, args=(A,))
    parking.start()
    assert machine.moving.reached.wait(10)
    asker = Asker(manager, A)
    time.sleep(0.2)
    assert not asker.has_it.is_set() and asker.error is None
    machine.moving.open.set()
    asker.gets_it().goes()
    parking.join(10)
    assert machine.happened[-2:] == ["park a", "unpark a"]


def test_five_who_ask_for_a_parked_model_share_its_return(make: Make) -> None:
    machine, manager = make()
    use(manager, A, B)
    askers = [Asker(manager, A) for _ in range(5)]
    for asker in askers:
        asker.gets_it()
    assert machine.happened.count("unpark a") == 1
    for asker in askers:
        asker.goes()


def test_one_who_gives_up_waiting_for_a_parked_model_loses_nothing(make: Make) -> None:
    _, manager = make()
    use(manager, A, B)
    busy = Asker(manager, B).gets_it()
    waiting = Asker(manager, A)
    wait_until(lambda: bool(waiting.news))
    waiting.gives_up.set()
    waiting.join(10)
    wait_until(lambda: state(manager, A) == "parked")
    busy.goes()
    use(manager, A)


def test_what_cannot_be_parked_is_ended(make: Make) -> None:
    """bitsandbytes' weights do not move back."""
    machine, manager = make()
    use(manager, PACKED)
    with pytest.raises(InvalidInput, match="cannot be parked"):
        manager.park(PACKED)
    use(manager, B)
    assert state(manager, PACKED) == "absent" and f"end {PACKED.label}" in machine.happened
    assert status(manager, PACKED).freed == Freed(device=NEED)


def test_without_host_memory_the_longest_parked_ends_first(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for one and a half models on the host, of which 90 % may be used."""
    machine, manager = make()
    monkeypatch.setattr(
        footprint, "available_bytes", lambda: 160 - sum(w.memory for w in machine.workers)
    )
    use(manager, A, B, C)
    assert [state(manager, spec) for spec in (A, B, C)] == ["absent", "parked", "ready"]
    monkeypatch.setattr(footprint, "available_bytes", lambda: 0)
    use(manager, A)
    assert [state(manager, spec) for spec in (A, B, C)] == ["ready", "absent", "absent"]


def test_a_model_that_cannot_be_parked_after_all_is_ended(make: Make) -> None:
    machine, manager = make()
    machine.faults["park a"] = [out_of_memory()]
    use(manager, A, B)
    assert [state(manager, spec) for spec in (A, B)] == ["absent", "ready"]
    machine.faults["park b"] = [out_of_memory()]
    with pytest.raises(PlaygroundError, match="not enough memory"):
        manager.park(B)
    use(manager, B)
    assert state(manager, B) == "ready", "by hand it stays where it is"


def test_a_model_that_cannot_come_back_stays_parked(make: Make) -> None:
    machine, manager = make()
    use(manager, A, B)
    machine.faults["unpark a"] = [out_of_memory()]
    lost = Asker(manager, A)
    lost.join(20)
    assert "not enough memory" in str(lost.error)
    assert status(manager, A).parked == NEED and manager.budget().taken == 0
    use(manager, A)


def test_a_worker_that_dies_on_the_way_takes_nobody_along(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.moving.close()
    other = Asker(manager, B)
    assert machine.moving.reached.wait(10)
    machine.workers[0].die()
    machine.moving.open.set()
    other.gets_it().goes()
    assert [state(manager, spec) for spec in (A, B)] == ["failed", "ready"]
    use(manager, A)


def test_a_parked_model_is_unloaded_by_hand_and_for_idleness(make: Make) -> None:
    _, manager = make(1, idle_seconds=0.05)
    use(manager, A, B)
    assert manager.unload(A) == Freed(host=NEED)
    manager.park(B)
    time.sleep(0.1)
    manager.unload_idle()
    assert [state(manager, spec) for spec in (A, B)] == ["absent", "absent"]


def test_the_first_worker_tells_of_the_device_and_later_ones_of_what_is_free(make: Make) -> None:
    """The GPU has 1,000 bytes, of which 90 % may be used: 9 models of 100 fit, parked ones not
    counted; another program's bytes are nobody's."""
    machine, manager = make(None)
    assert manager.budget().device == ""
    specs = [ModelSpec(f"tiny/{n}") for n in range(10)]
    use(manager, *specs)
    assert machine.looked == 1
    assert [state(manager, spec) for spec in specs] == ["parked", *["ready"] * 9]
    assert (manager.budget().capacity, manager.budget().taken) == (900, 900)
    machine.total = 500  # as if another program had taken the rest
    use(manager, specs[0])
    assert manager.budget().taken <= 450


def test_a_model_larger_than_the_device_is_refused_after_a_second_look(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker has told of its GPU may be a second old, so the first look does not decide."""
    monkeypatch.setattr(room, "_STALE", 0.3)
    machine, manager = make(None)
    use(manager, A)
    machine.total = 150
    use(manager, B)
    assert state(manager, A) == "parked"
    machine.total = 100
    lost = Asker(manager, A)
    time.sleep(0.15)
    assert lost.is_alive() and lost.error is None
    lost.join(20)
    assert isinstance(lost.error, PlaygroundError)
    assert lost.error.problem.code == "MODEL_TOO_BIG"
