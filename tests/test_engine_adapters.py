"""Adapters, parking and pins through the whole engine, and inside a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Step
from playground.core.messages import (
    Attach,
    Attached,
    Begin,
    Command,
    Detach,
    Events,
    Load,
    Moved,
    Park,
    Refused,
    Render,
    Reply,
    Shutdown,
    Unpark,
)
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.errors import (
    InvalidInput,
    ModelInvalid,
    ModelNotFound,
    Overloaded,
    PlaygroundError,
)
from playground.models.parking import Parking
from playground.settings import Settings
from playground.worker.pipe import Pipe
from playground.worker.serve import Worker
from tests.hub_stand_in import hub_stand_in
from tests.tiny_adapters import save_adapter
from tests.tiny_models import save

PROMPT = Raw("Once upon a time")
SHORT = Decoding(max_new_tokens=10, min_new_tokens=10)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return ModelSpec(str(save(tmp_path_factory.mktemp("base"))))


@pytest.fixture(scope="module")
def adapted(base: ModelSpec, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = save_adapter(tmp_path_factory.mktemp("adapter"))
    return ModelSpec(base.repo, adapter=str(folder))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Settings())
    yield made
    made.close()


def test_base_and_adapter_run_in_adjacent_columns(
    engine: Engine, base: ModelSpec, adapted: ModelSpec
) -> None:
    runs = [Run(base, PROMPT, SHORT), Run(adapted, PROMPT, SHORT)]
    traces = [Trace(run) for run in runs]
    for column, event in engine.together(runs):
        traces[column] = traces[column].add(event)
    assert [trace.problem for trace in traces] == [None, None]
    assert traces[0].ids != traces[1].ids and len(traces[1].ids) == 10
    rows = {row.spec: row for row in engine.models() if row.card}
    assert set(rows) == {base, adapted}
    assert rows[adapted].card and rows[adapted].card.bytes < rows[base].set_aside / 1000
    assert engine.render(adapted, PROMPT).rendered == PROMPT.text
    scores = [engine.score(spec, ScoreRequest(PROMPT)) for spec in (base, adapted)]
    assert scores[0].steps != scores[1].steps
    _unload(engine, adapted)
    assert engine.unload(adapted) is None
    _unload(engine, base)


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [("/no/such/folder", ModelNotFound), ("a b", InvalidInput), ("..", ModelInvalid)],
)
def test_an_adapter_that_is_none_is_refused_at_the_door(
    engine: Engine, base: ModelSpec, adapter: str, kind: type[PlaygroundError]
) -> None:
    run = Run(ModelSpec(base.repo, adapter=adapter), PROMPT, SHORT)
    (event,) = engine.run(run)
    assert isinstance(event, Failed)
    assert (event.problem.code, event.problem.field) == (kind.code, "adapter")


def test_in_public_no_adapter_is_chosen_and_nothing_pinned(base: ModelSpec) -> None:
    engine = Engine(Settings(mode="shared", models=(base.repo,)))
    try:
        (event,) = engine.run(Run(ModelSpec(base.repo, adapter="me/mine"), PROMPT, SHORT))
        assert isinstance(event, Failed) and event.problem.field == "adapter"
        with pytest.raises(InvalidInput, match="In public"):
            engine.pin(base)
    finally:
        engine.close()


class Heard(Pipe):
    """The worker's end of a pipe that leads nowhere; ``then`` answers what the worker says."""

    def __init__(self, then: Callable[[Reply, SimpleQueue[Command]], None]) -> None:
        self.commands = SimpleQueue()
        self.silent_from = None
        self.memory = lambda: None
        self.sent: list[Reply] = []
        self._then = then

    def send(self, reply: Reply) -> None:
        """Keep it."""
        self.sent.append(reply)
        self._then(reply, self.commands)


class Pretending(Parking):
    """Parks as if this machine's memory were a device's, by copies."""

    def __init__(self) -> None:
        self.moved: list[int] = []
        super().__init__(self._copy)

    def park(self, lms: Iterable[Any], host: torch.device = torch.device("meta")) -> int:
        """Nothing is on ``host``, so everything goes there."""
        return super().park(lms, host)

    def _copy(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        self.moved.append(tensor.nbytes)
        return tensor.clone()


def ids_of(pipe: Heard, key: int) -> list[int]:
    """What a run has written."""
    events = [e for r in pipe.sent if isinstance(r, Events) for k, e in r.items if k == key]
    return [event.id for event in events if isinstance(event, Step)]


def script(worker: Worker, pipe: Heard, *commands: Command) -> None:
    """Give the commands one by one, each when the one before has been answered."""
    waiting = [*commands, Shutdown()]

    def then(reply: Reply, queue: SimpleQueue[Command]) -> None:
        last = isinstance(reply, Events) and isinstance(reply.items[-1][1], (Finished, Failed))
        if last or not isinstance(reply, Events):
            queue.put(waiting.pop(0))

    pipe._then = then
    pipe.commands.put(waiting.pop(0))
    worker.work()


def test_a_parked_worker_refuses_work_and_comes_back_as_it_was(
    base: ModelSpec, adapted: ModelSpec
) -> None:
    """The 44,192 numbers of the model and the 1,664 of its adapter go and come, once each."""
    pipe = Heard(lambda *_: None)
    worker = Worker(pipe, Load(base, base.repo, "cpu"))
    parking = worker._parking = Pretending()
    run, other = Run(base, PROMPT, SHORT), Run(adapted, PROMPT, SHORT)
    script(
        worker, pipe,
        Attach(1, adapted, adapted.adapter), Begin(2, run), Begin(3, other),
        Park(4), Begin(5, run), Render(6, PROMPT), Unpark(7), Begin(8, run), Begin(9, other),
        Detach(10, adapted), Begin(11, other), Park(12), Unpark(13), Begin(14, run),
    )
    answers = {r.key: r for r in pipe.sent if isinstance(r, (Attached, Moved, Refused))}
    buffers = sum(b.nbytes for b in worker._model.lm.buffers())
    assert answers[4].bytes == answers[7].bytes == 4 * (44192 + 1664) + buffers
    assert answers[12].bytes == 4 * 44192 + buffers, "the adapter is gone by then"
    assert sum(parking.moved) == 2 * (answers[4].bytes + answers[12].bytes)
    assert isinstance(answers[6], Refused)
    assert ids_of(pipe, 5) == ids_of(pipe, 11) == []
    assert ids_of(pipe, 2) == ids_of(pipe, 8) == ids_of(pipe, 14) != ids_of(pipe, 3)
    assert len(ids_of(pipe, 3)) == 10 and ids_of(pipe, 3) == ids_of(pipe, 9)


def test_an_adapter_comes_from_the_hub_and_loads_without_it_later(
    engine: Engine, base: ModelSpec, adapted: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(base.repo, adapter="stand-in/pirate")
    with hub_stand_in(Path(adapted.adapter)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        events = list(engine.run(Run(spec, PROMPT, SHORT)))
        assert isinstance(events[-1], Finished), events[-1]
        assert hub.weights_sent() == 1
    here = list(engine.run(Run(adapted, PROMPT, SHORT)))
    assert ids(events) == ids(here)
    for one in (spec, base):
        _unload(engine, one)
    again = list(engine.run(Run(spec, PROMPT, SHORT)))
    assert ids(again) == ids(here), "from the cache, while the Hub is away"


def _unload(engine: Engine, spec: ModelSpec) -> None:
    """Once the last run has let go of it, which is a moment after its last word."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert engine.unload(spec)
            return
        except Overloaded:
            time.sleep(0.02)
    pytest.fail(f"{spec.label} stays in use")


def ids(events: Iterable[Any]) -> list[int]:
    """What was written."""
    return [event.id for event in events if isinstance(event, Step)]
