"""Who gets which model and who has to go, on make-believe workers; every wait has an end.

The cases of llama.cpp's router (tools/server/tests/unit/test_router.py) are among them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from playground.core.events import Loading, Queued
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.entry import Freed, ModelStatus
from playground.engine.waiting import Abandoned, Patience
from playground.errors import InvalidInput, Overloaded, PlaygroundError
from playground.models import footprint
from tests.fake_worker import (
    ABSENT,
    NEED,
    Asker,
    Machine,
    Make,
    machines,
    state,
    status,
    use,
    wait_until,
)

A, B, C = (ModelSpec(name) for name in ("tiny/a", "tiny/b", "tiny/c"))


@pytest.fixture()
def make() -> Iterator[Make]:
    """A machine and its manager, with room for so many models."""
    with machines() as made:
        yield made


def test_a_leased_model_is_never_evicted(make: Make) -> None:
    _, manager = make()
    first = Asker(manager, A).gets_it()
    other = Asker(manager, B)
    wait_until(lambda: Queued(1) in other.news)
    assert state(manager, A) == "busy" and not other.has_it.is_set()
    first.goes()
    other.gets_it()
    assert state(manager, A) == "absent", "the room of an idle model is given to who waits"
    other.goes()


def test_models_that_fit_together_stay_together(make: Make) -> None:
    _, manager = make(2)
    first, second = Asker(manager, A).gets_it(), Asker(manager, B).gets_it()
    assert first.pid != second.pid
    assert (state(manager, A), state(manager, B)) == ("busy", "busy")
    first.goes(), second.goes()


def test_the_longest_unused_model_goes_first(make: Make) -> None:
    _, manager = make(2)
    use(manager, A, B, A)
    use(manager, C)
    assert [state(manager, spec) for spec in (A, B)] == ["ready", "absent"]
    assert status(manager, B).freed == Freed(host=NEED), "what was freed is told"


def test_two_models_that_do_not_fit_together_take_turns(make: Make) -> None:
    machine, manager = make()
    use(manager, *[A, B] * 5)
    ends = [what for what in machine.happened if not what.startswith(("fetch", "start"))]
    assert ends == ["load a", *["end a", "load b", "end b", "load a"] * 4, "end a", "load b"]


def test_five_callers_share_one_load(make: Make) -> None:
    machine, manager = make()
    machine.loading.close()
    askers = [Asker(manager, A) for _ in range(5)]
    wait_until(lambda: all(Loading("loading", 0.5, "reading the weights") in a.news
                           for a in askers))
    assert status(manager, A).waiting == 5
    machine.loading.open.set()
    assert len({asker.gets_it().pid for asker in askers}) == 1
    assert machine.happened.count("fetch a") == machine.happened.count("load a") == 1
    for asker in askers:
        asker.goes()


def test_three_who_wait_for_one_model_cost_one_eviction(make: Make) -> None:
    """test_router_queue_coalesces_requests_for_same_model: the busy one is left alone."""
    _, manager = make(2)
    busy = Asker(manager, A).gets_it()
    use(manager, B)
    waiters = [Asker(manager, C).gets_it() for _ in range(3)]
    assert (state(manager, A), state(manager, B)) == ("busy", "absent")
    busy.goes()
    assert state(manager, A) == "ready"
    for waiter in waiters:
        waiter.goes()


def test_one_who_leaves_the_queue_costs_nobody_a_model(make: Make) -> None:
    """test_router_queue_client_disconnect_keeps_model."""
    _, manager = make()
    busy = Asker(manager, A).gets_it()
    queued = Asker(manager, B)
    wait_until(lambda: Queued(1) in queued.news)
    queued.gives_up.set()
    wait_until(lambda: state(manager, B) == "absent")
    busy.goes()
    time.sleep(0.3)
    assert (state(manager, A), state(manager, B)) == ("ready", "absent")
    assert isinstance(queued.error, Abandoned)


def test_the_queue_is_served_in_the_order_of_arrival(make: Make) -> None:
    machine, manager = make()
    busy = Asker(manager, A).gets_it()
    waiters = []
    for spec in (B, C, ModelSpec("tiny/d")):
        waiters.append(Asker(manager, spec, hold=False))
        wait_until(lambda: bool(waiters[-1].news and Queued(1) in waiters[-1].news))
    busy.goes()
    for waiter in waiters:
        waiter.join(20)
    loads = [what for what in machine.happened if what.startswith("load")]
    assert loads == ["load a", "load b", "load c", "load d"]


def test_nobody_overtakes_one_who_waits_for_room(make: Make) -> None:
    """Without it, two people who take turns on A would keep B out for ever."""
    _, manager = make()
    holder = Asker(manager, A).gets_it()
    waiter = Asker(manager, B)
    wait_until(lambda: Queued(1) in waiter.news)
    late = Asker(manager, A)
    wait_until(lambda: bool(late.news))
    assert not late.has_it.is_set()
    holder.goes()
    waiter.gets_it()
    assert not late.has_it.is_set()
    waiter.goes()
    late.gets_it().goes()


def test_two_who_find_one_idle_model_are_both_served(make: Make) -> None:
    _, manager = make()
    use(manager, A)
    first, second = Asker(manager, B, hold=False), Asker(manager, C, hold=False)
    first.goes(), second.goes()
    assert state(manager, A) == "absent"


def test_what_was_asked_for_is_not_evicted_before_it_is_used(make: Make) -> None:
    """test_router_fast_path_load_not_evicted_before_proxy."""
    _, manager = make()
    ticket = manager.ask(A)
    list(manager.watch(A))
    other = Asker(manager, B)
    wait_until(lambda: bool([n for n in other.news if isinstance(n, Queued)]))
    assert state(manager, A) == "ready" and not other.has_it.is_set()
    with manager.lease(A, lambda _: None, lambda: False, ticket):
        assert not other.has_it.is_set()
    other.gets_it().goes()


def test_who_asks_for_a_model_that_is_ending_gets_a_new_one(make: Make) -> None:
    """test_router_does_not_proxy_into_stopping_model; and its bytes are taken until it is gone."""
    machine, manager = make()
    first = Asker(manager, A).gets_it()
    first.goes()
    machine.ending.close()
    ending = threading.Thread(target=manager.unload, args=(A,))
    ending.start()
    assert machine.ending.reached.wait(10)
    second = Asker(manager, A)
    wait_until(lambda: "fetch a" in machine.happened[-1:])
    time.sleep(0.05)
    assert machine.happened[-1] == "fetch a", "it waits until the old one is gone"
    machine.ending.open.set()
    ending.join(10)
    assert second.gets_it().pid != first.pid
    second.goes()


def test_one_who_gives_up_leaves_the_load_to_the_others(make: Make) -> None:
    machine, manager = make()
    machine.fetching.close()
    first, second = Asker(manager, A), Asker(manager, A)
    wait_until(lambda: bool(first.news and second.news))
    first.gives_up.set()
    first.join(20)
    assert isinstance(first.error, Abandoned)
    machine.fetching.open.set()
    second.gets_it().goes()


@pytest.mark.parametrize("where", ("fetching", "loading"))
def test_a_load_that_nobody_waits_for_is_stopped(make: Make, where: str) -> None:
    machine, manager = make()
    gate = getattr(machine, where)
    gate.close()
    only = Asker(manager, A)
    assert gate.reached.wait(10)
    only.gives_up.set()
    wait_until(lambda: state(manager, A) == "absent")
    assert not [worker for worker in machine.workers if worker.alive]
    gate.open.set()
    use(manager, A)
    assert state(manager, A) == "ready", "the next one gets a load of its own"


@pytest.mark.parametrize("where", ("fetching", "loading"))
def test_unloading_while_it_loads_stops_the_load(make: Make, where: str) -> None:
    machine, manager = make()
    gate = getattr(machine, where)
    gate.close()
    said: list[object] = []
    watching = threading.Thread(target=lambda: said.extend(manager.watch(A)))
    watching.start()
    assert gate.reached.wait(10)
    assert manager.unload(A) == Freed()
    watching.join(10)
    assert not watching.is_alive() and not [s for s in said if isinstance(s, ModelCard)]
    wait_until(lambda: state(manager, A) == "absent")
    gate.open.set()
    use(manager, A)


def test_a_load_that_somebody_waits_for_is_not_stopped_by_another(make: Make) -> None:
    machine, manager = make()
    machine.loading.close()
    waiting = Asker(manager, A)
    assert machine.loading.reached.wait(10)
    with pytest.raises(Overloaded, match="in use"):
        manager.unload(A)
    machine.loading.open.set()
    waiting.gets_it().goes()


def test_a_failed_load_leaves_the_others_usable(make: Make) -> None:
    _, manager = make(2)
    first = Asker(manager, A).gets_it()
    lost = Asker(manager, ABSENT)
    lost.join(20)
    assert "no model of this name" in str(lost.error)
    assert (state(manager, A), state(manager, ABSENT)) == ("busy", "failed")
    use(manager, B)
    first.goes()
    assert state(manager, B) == "ready", "the room of the failed one is free"


def test_a_crash_while_one_loads_does_not_hurt_the_other(make: Make) -> None:
    machine, manager = make(2)
    busy = Asker(manager, A).gets_it()
    machine.dies_loading.add(B)
    machine.loading.close()
    waiters = [Asker(manager, B) for _ in range(3)]
    wait_until(lambda: all(waiter.news for waiter in waiters))
    machine.loading.open.set()
    for waiter in waiters:
        waiter.join(20)
        assert isinstance(waiter.error, PlaygroundError)
        assert waiter.error.problem.code == "WORKER_DIED", "all who waited hear of it"
    assert state(manager, A) == "busy"
    use(manager, B)
    busy.goes()
    assert [state(manager, spec) for spec in (A, B)] == ["ready", "ready"]


def test_a_model_that_can_never_fit_is_refused_with_the_arithmetic(make: Make) -> None:
    _, manager = make(0.99)
    lost = Asker(manager, A)
    lost.join(20)
    assert isinstance(lost.error, PlaygroundError)
    assert lost.error.problem.code == "MODEL_TOO_BIG"
    assert lost.error.problem.given == footprint.size(NEED)


def test_a_model_that_waits_for_one_that_loads_is_not_called_too_big(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that loads has taken was missing from the machine's memory and from the
    models' own, so that a second model, which would have had its turn, was refused."""
    machine = Machine()
    monkeypatch.setattr(
        footprint, "available_bytes", lambda: 150 - sum(w.memory for w in machine.workers)
    )
    manager = machine.manager(None)
    try:
        machine.loading.close()
        first = Asker(manager, A)
        assert machine.loading.reached.wait(10)
        second = Asker(manager, B)
        wait_until(lambda: "fetch b" in machine.happened)
        time.sleep(0.3)
        assert second.error is None and not second.has_it.is_set()
        machine.loading.open.set()
        first.gets_it().goes()
        second.gets_it().goes()
    finally:
        manager.close()


def test_an_idle_model_is_unloaded_and_a_leased_one_is_not(make: Make) -> None:
    _, manager = make(2, idle_seconds=0.05)
    holder = Asker(manager, A).gets_it()
    use(manager, B)
    time.sleep(0.1)
    manager.unload_idle()
    assert (state(manager, A), state(manager, B)) == ("busy", "absent")
    holder.goes()


def test_a_leased_model_is_not_unloaded_by_hand(make: Make) -> None:
    _, manager = make()
    holder = Asker(manager, A).gets_it()
    with pytest.raises(Overloaded, match="in use"):
        manager.unload(A)
    holder.goes()
    assert manager.unload(A) == Freed(host=NEED) == status(manager, A).freed
    assert state(manager, A) == "absent"
    assert manager.unload(A) is None


def test_watching_ends_with_the_card_and_needs_nobody_else(make: Make) -> None:
    machine, manager = make()
    machine.fetching.close()
    watching = manager.watch(A)
    assert next(watching) == Loading("downloading", 0.5)
    machine.fetching.open.set()
    *_, card = watching
    assert isinstance(card, ModelCard) and card.spec == A
    assert list(manager.watch(A)) == [card], "a loaded model only shows its card"
    with pytest.raises(PlaygroundError, match="no model of this name"):
        list(manager.watch(ABSENT))


def test_watching_a_model_that_is_evicted_at_once_ends_too(make: Make) -> None:
    """Whoever looked a moment too late saw neither the model nor its load, and waited for ever."""
    machine, manager = make()
    machine.fetching.close()
    watching = manager.watch(A)
    next(watching)
    machine.fetching.open.set()
    wait_until(lambda: state(manager, A) == "ready")
    use(manager, B)
    assert state(manager, A) == "absent"
    assert isinstance(list(watching)[-1], ModelCard)


def test_a_model_that_dies_three_times_is_left_alone_for_a_while(make: Make) -> None:
    machine, manager = make(2, patience=Patience(blocked=0.5))
    for _ in range(3):
        asker = Asker(manager, A).gets_it()
        machine.workers[-1].die()
        asker.goes()
    lost = Asker(manager, A)
    lost.join(20)
    assert isinstance(lost.error, PlaygroundError) and "3 times in a row" in str(lost.error)
    assert lost.error.problem.code == "WORKER_DIED"
    use(manager, B)
    time.sleep(0.5)
    use(manager, A)


def test_a_run_that_went_well_forgives_what_was_before(make: Make) -> None:
    machine, manager = make()
    for good in (False, False, True, False, False):
        asker = Asker(manager, A).gets_it()
        if not good:
            machine.workers[-1].die()
        asker.goes()
    use(manager, A)


def test_closing_ends_every_wait(make: Make) -> None:
    machine, manager = make(2)
    holder = Asker(manager, A).gets_it()
    use(manager, B)
    queued = Asker(manager, C)
    machine.loading.close()
    loading = Asker(manager, ModelSpec("tiny/d"))
    time.sleep(0.05)
    closing = threading.Thread(target=manager.close)
    closing.start()
    # One that was loaded before its gate closed has it now, and holds it until it is told.
    for asker in (holder, queued, loading):
        asker.may_go.set()
    for thread in (closing, queued, loading, holder):
        thread.join(20)
        assert not thread.is_alive()
    wait_until(lambda: not [worker for worker in machine.workers if worker.alive])


def test_a_pinned_model_stays(make: Make) -> None:
    _, manager = make(2, idle_seconds=0.01)
    use(manager, A, B)
    manager.pin(A)
    assert status(manager, A).pinned
    use(manager, C)
    assert [state(manager, spec) for spec in (A, B, C)] == ["ready", "absent", "ready"]
    time.sleep(0.05)
    manager.unload_idle()
    assert [state(manager, spec) for spec in (A, C)] == ["ready", "absent"]
    for refused in (manager.unload, manager.park):
        with pytest.raises(InvalidInput, match="is pinned") as caught:
            refused(A)
        assert caught.value.problem.advice == "Unpin it first."
    manager.pin(A, False)
    assert manager.unload(A) == Freed(host=NEED)


def test_nobody_waits_for_pinned_models(make: Make) -> None:
    _, manager = make(2)
    use(manager, A, B)
    manager.pin(A)
    manager.pin(B)
    lost = Asker(manager, C)
    lost.join(20)
    assert isinstance(lost.error, PlaygroundError)
    assert lost.error.problem.code == "MODEL_TOO_BIG"
    assert "200 bytes are pinned (a, b)" in str(lost.error)
    manager.pin(B, False)
    use(manager, C)
    assert [state(manager, spec) for spec in (A, B, C)] == ["ready", "absent", "ready"]


def test_a_status_says_how_it_stands(make: Make) -> None:
    _, manager = make(2)
    use(manager, A)
    holder = Asker(manager, A).gets_it()
    told = status(manager, A)
    assert (told.leases, told.set_aside, told.waiting, told.unused_for) == (1, NEED, 0, 0.0)
    assert told.loaded_for is not None and 0 < told.loaded_for < 20
    holder.goes()
    assert 0 < (status(manager, A).unused_for or 0) < 20
    assert status(manager, B) == ModelStatus(B, "absent")
    budget = manager.budget()
    assert (budget.device, budget.capacity, budget.taken, budget.parked) == ("cpu", 200, 100, 0)


def test_in_any_order_everybody_is_served_and_nothing_is_left_over(make: Make) -> None:
    """Two hundred people who lease, leave, unload, pin, park and kill as it comes, on a GPU with
    room for two of four models."""
    machine, manager = make(2, gpu=True, patience=Patience(blocked=0.01))
    specs = [*(ModelSpec(f"tiny/{name}") for name in "abcd"),
             ModelSpec("tiny/a", adapter="me/x"), ModelSpec("tiny/b", adapter="me/y")]
    dice = random.Random(7)
    scripts = [(dice.choice(specs), dice.choice(("use",) * 6 + ("leave", "unload", "pin", "park",
                                                                "kill")), dice.random() * 0.02)
               for _ in range(200)]
    failed: list[BaseException] = []

    def visit(spec: ModelSpec, what: str, pause: float) -> None:
        try:
            time.sleep(pause * 20)
            if what == "unload":
                manager.unload(spec)
            elif what == "park":
                manager.park(spec)
            elif what == "pin":
                manager.pin(spec)
                time.sleep(pause)
                manager.pin(spec, False)
            else:
                until = time.monotonic() + (pause if what == "leave" else 60)
                over = lambda: time.monotonic() > until  # noqa: E731
                with manager.lease(spec, lambda _: None, over) as worker:
                    time.sleep(pause)
                    if what == "kill":
                        worker.die()
                    assert worker.alive or worker.crashed
        except (Overloaded, InvalidInput):
            pass
        except Abandoned as error:
            if what != "leave":
                failed.append(error)
        except PlaygroundError as error:
            if error.problem.code not in ("WORKER_DIED", "MODEL_TOO_BIG"):
                failed.append(error)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=visit, args=script, daemon=True) for script in scripts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not [thread for thread in threads if thread.is_alive()]
    assert not failed, failed[0]
    wait_until(lambda: not [e for e in manager._entries.values() if e.load])
    for entry in manager._entries.values():
        assert not entry.in_use and not entry.pinned
        there = entry.resident is not None and entry.resident.usable
        assert entry.need == (NEED if there else 0), entry
    time.sleep(0.05)
    use(manager, *specs)
    assert manager.budget().taken <= 2 * NEED
    assert machine.held == manager.budget().taken
