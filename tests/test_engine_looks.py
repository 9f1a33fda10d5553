"""Looks into models that the engine asks for: whose turn they take, and what is refused at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Raw
from playground.core.quantized import Expected
from playground.core.run import ModelSpec
from playground.core.visitor import Visitor
from playground.core.vocabulary import VocabularyRequest
from playground.engine.engine import QUICK_AT_ONCE, QUICK_EACH, Engine
from playground.engine.waiting import Abandoned, Patience
from playground.errors import InvalidInput, Overloaded, PlaygroundError
from playground.flags import settings_from
from playground.settings import Settings
from tests.fake_worker import FakeWorker, Gate, Machine, wait_until

CHAT = ModelSpec("builtin/tiny-chat")


class LookedInto(FakeWorker):
    """A process that answers looks once its gate is open, and counts those that it has at once."""

    gate: Gate

    def inspect(
        self, request: Inspection[Any], seconds: float, given_up: Callable[[], bool], adapter: str
    ) -> Finding:
        """Nothing much."""
        self.machine.happened.append("look")
        self.gate.wait(given_up)
        return Finding()


class House:
    """An engine over make-believe workers, all of one machine."""

    def __init__(self, settings: Settings) -> None:
        self.machine, self.gate = Machine(), Gate()
        self.engine = Engine(settings, start=self._start)  # type: ignore[arg-type]

    def _start(
        self, spec: ModelSpec, patience: Patience, on_end: Callable[[FakeWorker], None]
    ) -> LookedInto:
        worker = LookedInto(self.machine, spec, on_end)
        worker.gate = self.gate
        return worker

    @property
    def looks(self) -> int:
        """How many were begun."""
        return self.machine.happened.count("look")


class Looker(threading.Thread):
    """Somebody who looks into a model, and what came of it."""

    def __init__(self, house: House, visitor: Visitor | str, request: Any = None) -> None:
        super().__init__(daemon=True)
        self.came: object = None
        self._ask = lambda: house.engine.inspect(
            CHAT, request or VocabularyRequest(), visitor)
        self.start()

    def run(self) -> None:
        """Look."""
        try:
            self.came = self._ask()
        except (PlaygroundError, Abandoned) as error:
            self.came = error


@pytest.fixture
def public() -> Iterator[House]:
    house = House(settings_from(["--share", "--device", "cpu"], {}))
    yield house
    house.engine.close()


def test_one_visitor_does_not_take_all_quick_looks(public: House) -> None:
    """Of eight at once for the whole app one page could keep all. Ann has four and one that waits;
    a sixth is refused, and Bob is answered beside them."""
    public.gate.close()
    anns = [Looker(public, "ann") for _ in range(QUICK_EACH + 2)]
    wait_until(lambda: any(one.came for one in anns))
    wait_until(lambda: public.looks == QUICK_EACH)
    (refused,) = [one.came for one in anns if one.came]
    assert isinstance(refused, Overloaded) and refused.problem.allowed == "one that waits"
    bob = Looker(public, "bob")
    wait_until(lambda: public.looks == QUICK_EACH + 1)
    public.gate.open.set()
    for one in (*anns, bob):
        one.join(20)
    assert sum(isinstance(one.came, Finding) for one in anns) == QUICK_EACH + 1
    assert isinstance(bob.came, Finding)


def test_the_cookies_of_one_address_leave_a_quarter_of_quick_looks_to_others(
    public: House,
) -> None:
    public.gate.close()
    lookers = [Looker(public, Visitor(f"cookie {n}", "192.0.2.1")) for n in range(QUICK_AT_ONCE)]
    wait_until(lambda: public.looks == QUICK_AT_ONCE * 3 // 4)
    other = Looker(public, Visitor("bob", "192.0.2.2"))
    wait_until(lambda: public.looks == QUICK_AT_ONCE * 3 // 4 + 1)
    public.gate.open.set()
    for one in (*lookers, other):
        one.join(20)
    assert public.looks == QUICK_AT_ONCE + 1


def test_who_waits_for_a_model_keeps_no_quick_look_from_another(public: House) -> None:
    """The places are for what a worker is asked: a model that is loaded for minutes is not that."""
    public.machine.loading.close()
    waiting = [Looker(public, f"visitor {n}") for n in range(2 * QUICK_AT_ONCE)]
    wait_until(public.machine.loading.reached.is_set)
    assert public.looks == 0 and not any(one.came for one in waiting)
    public.machine.loading.open.set()
    for one in waiting:
        one.join(20)
    assert all(isinstance(one.came, Finding) for one in waiting)


@pytest.mark.parametrize("repo", ["builtin/tiny-encoder", "bert-base-uncased"])
def test_a_quantized_copy_of_an_encoder_is_refused_before_it_is_loaded(repo: str) -> None:
    """It was fetched and loaded in 4 bits, only to hear that an encoder expects no next token."""
    house = House(Settings(device="cpu"))
    try:
        with pytest.raises(InvalidInput, match="An encoder expects no next token") as refused:
            house.engine.inspect(ModelSpec(repo, quantization="nf4"), Expected(Raw("Hi")))
        assert refused.value.problem.field == "model"
        assert not house.machine.happened and not any(
            status.state != "absent" for status in house.engine.models())
    finally:
        house.engine.close()
