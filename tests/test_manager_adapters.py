"""Adapters are leased like models, over the one worker of their base; on make-believe workers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from playground.core.events import Loading
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine import adapters
from playground.engine.entry import Freed
from playground.engine.waiting import Abandoned
from playground.errors import ModelInvalid, Overloaded, PlaygroundError
from tests.fake_worker import (
    NEED,
    Asker,
    Make,
    machines,
    state,
    status,
    use,
    wait_until,
)

A, B = ModelSpec("tiny/a"), ModelSpec("tiny/b")
X, Y = (ModelSpec("tiny/a", adapter=f"me/{name}") for name in "xy")


@pytest.fixture()
def make() -> Iterator[Make]:
    """A machine and its manager, with room for so many models."""
    with machines() as made:
        yield made


def test_base_and_adapters_are_leased_side_by_side_in_one_worker(make: Make) -> None:
    machine, manager = make()
    askers = [Asker(manager, spec).gets_it() for spec in (A, X, Y)]
    assert len({asker.pid for asker in askers}) == 1 and len(machine.workers) == 1
    assert [state(manager, spec) for spec in (A, X, Y)] == ["busy"] * 3
    assert status(manager, A).leases == 3, "their base is in use by all of them"
    for asker in askers:
        asker.goes()
    assert [state(manager, spec) for spec in (A, X, Y)] == ["ready"] * 3


def test_an_adapter_alone_brings_its_base(make: Make) -> None:
    machine, manager = make()
    use(manager, X)
    assert [what for what in machine.happened if "start" not in what] == [
        "fetch a", "load a", "fetch a + x", "attach a + x",
    ]
    assert manager.is_ready(X) and manager.is_ready(A) and not manager.is_ready(Y)


def test_five_who_ask_for_an_adapter_share_it(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.loading.close()
    askers = [Asker(manager, X) for _ in range(5)]
    wait_until(lambda: status(manager, X).waiting == 5)
    assert state(manager, X) == "loading"
    machine.loading.open.set()
    for asker in askers:
        asker.gets_it()
    assert machine.happened.count("attach a + x") == 1
    for asker in askers:
        asker.goes()


def test_a_model_whose_adapter_is_used_or_coming_is_not_evicted(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.loading.close()
    asker = Asker(manager, X)
    assert machine.loading.reached.wait(10)
    other = Asker(manager, B)
    time.sleep(0.2)
    machine.loading.open.set()
    asker.gets_it()
    time.sleep(0.2)
    assert not other.has_it.is_set()
    with pytest.raises(Overloaded, match="in use"):
        manager.unload(A)
    asker.goes()
    other.gets_it().goes()
    assert [state(manager, spec) for spec in (A, X)] == ["absent", "absent"], "they go together"
    use(manager, X)


def test_an_adapter_that_fails_hurts_nobody(make: Make) -> None:
    machine, manager = make()
    holder = Asker(manager, A).gets_it()
    machine.faults["attach a + x"] = [ModelInvalid("It does not fit.", field="adapter")]
    machine.loading.close()
    askers = [Asker(manager, X) for _ in range(3)]
    wait_until(lambda: status(manager, X).waiting == 3)
    machine.loading.open.set()
    for asker in askers:
        asker.join(20)
        assert "does not fit" in str(asker.error)
    told = status(manager, X)
    assert told.state == "failed" and told.problem and told.problem.field == "adapter"
    assert state(manager, A) == "busy"
    use(manager, X)
    assert state(manager, X) == "ready", "the next one tries again"
    holder.goes()


def test_one_who_gives_up_leaves_the_adapter_to_the_others(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.fetching.close()
    first, second = Asker(manager, X), Asker(manager, X)
    wait_until(lambda: status(manager, X).waiting == 2)
    first.gives_up.set()
    first.join(10)
    assert isinstance(first.error, Abandoned)
    machine.fetching.open.set()
    second.gets_it().goes()


def test_an_adapter_that_nobody_waits_for_is_not_fetched_to_the_end(make: Make) -> None:
    machine, manager = make()
    use(manager, A)
    machine.fetching.close()
    only = Asker(manager, X)
    wait_until(lambda: bool(only.news))
    only.gives_up.set()
    wait_until(lambda: state(manager, X) == "absent" and not status(manager, A).leases)
    machine.fetching.open.set()
    use(manager, X)


def test_an_adapter_is_taken_off_by_hand_and_its_base_stays(make: Make) -> None:
    machine, manager = make()
    holder = Asker(manager, X).gets_it()
    with pytest.raises(Overloaded, match="a . x is in use"):
        manager.unload(X)
    holder.goes()
    assert manager.unload(X) == Freed(host=7)
    assert manager.unload(X) is None
    assert [state(manager, spec) for spec in (A, X)] == ["ready", "absent"]
    assert machine.happened[-1] == "detach a + x"


def test_watching_an_adapter_ends_with_its_card(make: Make) -> None:
    machine, manager = make()
    *news, card = manager.watch(X)
    assert isinstance(card, ModelCard) and card.spec == X
    assert all(isinstance(one, Loading) for one in news), "the card of its base is not told"
    manager.unload(X)
    machine.faults["attach a + x"] = [ModelInvalid("It does not fit.", field="adapter")]
    with pytest.raises(PlaygroundError, match="does not fit"):
        list(manager.watch(X))
    manager.warm(X)
    wait_until(lambda: state(manager, X) == "ready")


def test_a_worker_that_dies_takes_its_adapters_and_another_brings_them_back(make: Make) -> None:
    machine, manager = make()
    holders = [Asker(manager, spec).gets_it() for spec in (X, Y)]
    machine.workers[0].die()
    for holder in holders:
        holder.goes()
    assert [state(manager, spec) for spec in (X, Y)] == ["absent", "absent"]
    use(manager, X)
    assert len(machine.workers) == 2


def test_a_parked_model_comes_back_with_its_adapters(make: Make) -> None:
    machine, manager = make(gpu=True)
    use(manager, X, B)
    assert [state(manager, spec) for spec in (A, X)] == ["parked", "parked"]
    use(manager, X)
    assert machine.happened.count("attach a + x") == 1
    assert state(manager, X) == "ready"


def test_an_adapter_is_counted_and_never_waits_for_a_model_in_use(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for it holds its base; two who wait for each other's would wait for ever."""
    _, manager = make(2.5)
    sizes = [40]
    monkeypatch.setattr(adapters, "_bytes", lambda folder: sizes[-1])
    use(manager, X)
    assert (status(manager, X).set_aside, status(manager, A).set_aside) == (40, NEED + 40)
    busy = Asker(manager, B).gets_it()
    sizes.append(20)
    lost = Asker(manager, Y)
    lost.join(20)
    assert isinstance(lost.error, PlaygroundError)
    assert lost.error.problem.code == "MODEL_TOO_BIG"
    busy.goes()
    use(manager, Y)
    assert state(manager, B) == "absent", "an idle one makes room"
    manager.unload(X)
    assert status(manager, A).set_aside == NEED + 20
