"""Pause, step, slow and change a run from outside: what its reader asks reaches its worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from queue import Empty
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Amended, Event, Failed, Finished, Paced, Step, Unamended
from playground.core.messages import (
    Amend,
    Begin,
    Cancel,
    Command,
    Events,
    Load,
    Pace,
    Shutdown,
)
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.decode.loop import DecodeLoop
from playground.engine.engine import Engine
from playground.engine.stream import SLOWEST, Stream
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.worker import station
from playground.worker.serve import Pipe, Worker
from tests.test_engine_stream import LENGTH, RUN, Batch, begun, later
from tests.tiny_models import save

PROMPT = Raw("Once upon a time there was a small fox")
DRAWN = Decoding(do_sample=True, temperature=1.5, max_new_tokens=12, min_new_tokens=12)
WARM = replace(RUN.decoding, do_sample=True)


# What a stream asks of a worker.


def test_a_pace_reaches_the_row_and_only_that_row() -> None:
    stream, batch = begun(2)
    stream.pace(1, 0)
    stream.pace(1, 1)
    stream.pace(0, None, 0.25)
    assert batch.paced == [(1, 0, 0.0), (1, 1, 0.0), (0, None, 0.25)]


def test_a_run_that_is_paused_while_it_waits_begins_paused() -> None:
    """So it cannot choose a token between its beginning and the pause."""
    stream, batch = Stream([RUN]), Batch()
    stream.pace(0, 2)
    stream.pace(0, 0)
    stream.columns[0].begin(batch)
    assert batch.begun == [(RUN, Paced(0))] and batch.paced == []
    assert stream.read() == [(0, Paced(2)), (0, Paced(0))]


def test_what_is_asked_while_a_run_joins_is_asked_when_it_has() -> None:
    """The reader's thread may ask while the engine's is on its way through ``begin``."""
    stream, batch = Stream([RUN]), Batch()
    join = batch.begin

    def begin(run: Run, listener: Callable[[Event], None], pace: Paced | None = None) -> int:
        stream.pace(0, 0)
        stream.amend(0, WARM)
        stream.pace(0, 1)
        assert batch.paced == []
        return join(run, listener, pace)

    batch.begin = begin  # type: ignore[method-assign]
    stream.columns[0].begin(batch)
    assert batch.paced == [(0, 0, 0.0), (0, 1, 0.0)] and batch.amended == [(0, WARM)]


def test_a_run_that_is_over_has_no_pace_and_no_settings_to_change() -> None:
    stream, batch = begun()
    batch.listeners[0](LENGTH)
    stream.pace(0, 0)
    assert batch.paced == []
    with pytest.raises(InvalidInput, match="over") as caught:
        stream.amend(0, WARM)
    assert caught.value.problem.field == "settings" and batch.amended == []


@pytest.mark.parametrize(
    ("allowed", "seconds"),
    [(-1, 0.0), (True, 0.0), (1.5, 0.0), ("1", 0.0), (None, -0.1), (None, float("nan")),
     (None, float("inf")), (None, SLOWEST + 1), (None, True), (None, "1")],
)
def test_nonsense_is_no_pace(allowed: Any, seconds: Any) -> None:
    stream, batch = begun()
    with pytest.raises(InvalidInput) as caught:
        stream.pace(0, allowed, seconds)
    assert caught.value.problem.field == "pace" and batch.paced == []


@pytest.mark.parametrize("column", (-1, 1))
def test_a_column_that_is_not_there_is_a_sentence(column: int) -> None:
    stream, _ = begun()
    for ask in (lambda: stream.pace(column, 0), lambda: stream.amend(column, WARM)):
        with pytest.raises(InvalidInput, match=f"no column {column + 1}"):
            ask()


def test_settings_that_make_another_run_are_refused_before_they_are_sent() -> None:
    stream, batch = begun()
    for wanted, field in (
        (replace(WARM, num_beams=2), "num_beams"), (replace(WARM, use_cache=False), "use_cache"),
    ):
        with pytest.raises(InvalidInput) as caught:
            stream.amend(0, wanted)
        assert caught.value.problem.field == field
    stream.amend(0, WARM)
    assert batch.amended == [(0, WARM)]


def test_new_settings_are_held_to_the_limits_of_the_house() -> None:
    def check(run: Run) -> None:
        if run.decoding.max_new_tokens > 200:
            raise InvalidInput("Too many.", field="max_new_tokens")

    stream, batch = Stream([RUN], check=check), Batch()
    stream.columns[0].begin(batch)
    with pytest.raises(InvalidInput, match="Too many"):
        stream.amend(0, replace(WARM, max_new_tokens=201))
    stream.amend(0, replace(WARM, max_new_tokens=200))
    assert len(batch.amended) == 1


def test_a_run_that_is_amended_while_it_waits_begins_with_the_new_settings() -> None:
    forked = replace(RUN, fork=Fork((5, 6)))
    stream, batch = Stream([RUN, forked]), Batch()
    for column in stream.columns:
        stream.amend(column.index, WARM)
        column.begin(batch)
    assert stream.read() == [(0, Amended(0, WARM)), (1, Amended(2, WARM))]
    assert [run.decoding for run, _ in batch.begun] == [WARM, WARM]


def test_the_deadline_of_a_paused_run_says_that_it_was_paused() -> None:
    stream, batch = begun(2)
    batch.listeners[0](Paced(0))
    batch.listeners[1](Paced(0))
    batch.listeners[1](Paced(None, 0.5))
    later(stream, 61.0, limit=60.0)
    assert batch.cancelled == [0, 1], "a pause does not stop the clock"
    for listener in batch.listeners.values():
        listener(LENGTH)
    said = [event.problem.message for _, event in stream.read() if isinstance(event, Failed)]
    assert ["was paused" in words for words in said] == [True, False]


# A worker whose rows are held.


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return ModelSpec(str(save(tmp_path_factory.mktemp("model"), max_position_embeddings=8192)))


class Commands:
    """The queue of a worker, which time passes at and nowhere else: it says how long it is waited
    for, and for ever means that the next command comes."""

    def __init__(self, *script: Command) -> None:
        self.now = 0.0
        self.script = list(script)
        self.waits: list[float | None] = []

    def get(self, timeout: float | None = None) -> Command:
        self.waits.append(timeout)
        if timeout is None:
            return self.script.pop(0)
        self.now += timeout
        raise Empty

    def get_nowait(self) -> Command:
        raise Empty


class Wire:
    """The worker's end of a pipe, in this process: the events of all rows."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Event]] = []

    def send(self, reply: Any) -> None:
        if isinstance(reply, Events):
            self.told += reply.items

    def of(self, key: int) -> list[Event]:
        return [event for name, event in self.told if name == key]


def worked(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, *script: Command) -> tuple[
    Commands, Wire
]:
    """What a worker does with these commands, each of which comes when it has nothing to do."""
    commands, wire = Commands(*script, Shutdown()), Wire()
    pipe = Pipe(wire)  # type: ignore[arg-type]
    pipe.commands = commands  # type: ignore[assignment]
    pipe.send = wire.send  # type: ignore[method-assign]
    clocked = partial(DecodeLoop, clock=lambda: commands.now)
    monkeypatch.setattr(station, "DecodeLoop", clocked)
    Worker(pipe, Load(spec, spec.repo, "cpu")).work()
    return commands, wire


def test_a_worker_whose_rows_are_all_paused_waits_without_work(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the script is asked for by a wait without an end: nothing is polled."""
    run = Run(spec, PROMPT, DRAWN)
    commands, wire = worked(
        spec, monkeypatch, Begin(1, run, Paced(0)), Pace(1, 1), Pace(1, 2), Amend(1, run.decoding),
        Pace(1, 0), Cancel(1), Pace(1, None), Amend(1, run.decoding),
    )
    assert commands.waits == [None] * 9 and not commands.script
    names = [type(event).__name__ for event in wire.of(1)]
    assert names == ["Paced", "Started", "Paced", "Step", "Paced", "Paced", "Step", "Step", "Paced",
                     "Amended", "Paced", "Finished"]


def test_a_worker_wakes_for_the_next_token_of_a_slow_run(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve tokens, one in each quarter of a second; it sleeps once for each, and no longer."""
    slow = Begin(1, Run(spec, PROMPT, DRAWN), Paced(None, 0.25))
    commands, wire = worked(spec, monkeypatch, slow)
    assert isinstance(wire.of(1)[-1], Finished)
    assert commands.waits == [None, *[pytest.approx(0.25)] * 12, None]


def test_a_change_that_a_worker_cannot_make_is_told_and_the_row_goes_on(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(spec, PROMPT, DRAWN)
    wrong = replace(DRAWN, banned=((100_000,),))
    _, wire = worked(
        spec, monkeypatch, Begin(1, run, Paced(3)), Amend(1, wrong), Amend(9, wrong), Pace(1, None)
    )
    refusals = [event for event in wire.of(1) if isinstance(event, Unamended)]
    assert [event.problem.field for event in refusals] == ["banned"] and not wire.of(9)
    assert sum(isinstance(event, Step) for event in wire.of(1)) == 12


# All of it, through a process.


@pytest.fixture(scope="module")
def engine(spec: ModelSpec) -> Iterator[Engine]:
    small = replace(Settings().limits, new_tokens=100)
    made = Engine(Settings(models=(spec.repo,), limits=small))
    yield made
    made.close()


class Reader:
    """Who reads a stream, with all that it has told."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.told: list[tuple[int, Event]] = []

    def until(self, so: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not so():
            assert time.monotonic() < end, "it never came"
            self.told += self.stream.read(0.2)

    def of(self, kind: type[Event], column: int = 0) -> list[Any]:
        return [event for c, event in self.told if c == column and isinstance(event, kind)]

    def ids(self, column: int = 0) -> list[int]:
        return [step.id for step in self.of(Step, column)]


def test_pause_step_change_and_go_on_through_a_process(engine: Engine, spec: ModelSpec) -> None:
    run = Run(spec, PROMPT, DRAWN, seed=3)
    plain = Reader(engine.start([run]))
    plain.until(lambda: plain.stream.done)
    held = Reader(engine.start([run, replace(run, seed=4)]))
    held.stream.pace(0, 0)
    held.until(lambda: held.stream.columns[1].over)
    before = len(held.ids())
    assert before < 12 and held.of(Paced)[-1] == Paced(0)
    held.stream.pace(0, 1)
    held.until(lambda: len(held.ids()) == before + 1 and held.of(Paced)[-1] == Paced(0))
    longer = replace(DRAWN, max_new_tokens=20, min_new_tokens=20)
    held.stream.amend(0, longer)
    held.until(lambda: bool(held.of(Amended)))
    assert held.of(Amended) == [Amended(before + 1, longer)]
    held.stream.pace(0, None)
    held.until(lambda: held.stream.done)
    assert held.ids()[:12] == plain.ids() and len(held.ids()) == 20
    assert all(step.seconds > 0 for step in held.of(Step)[1:])
    done = held.of(Finished)[0]
    card = next(status.card for status in engine.models() if status.spec == spec)
    assert card is not None and done.cache_bytes == card.cache_bytes(done.prompt_tokens + 19)


def test_more_than_the_house_allows_is_refused_in_the_middle_too(
    engine: Engine, spec: ModelSpec
) -> None:
    stream = engine.start([Run(spec, PROMPT, DRAWN)])
    stream.pace(0, 0)
    with pytest.raises(InvalidInput) as caught:
        stream.amend(0, replace(DRAWN, max_new_tokens=101))
    assert caught.value.problem.field == "max_new_tokens"
    stream.stop()


@pytest.mark.parametrize("leave", (Stream.stop, Stream.close))
def test_a_paused_run_is_stopped_at_once_and_lets_go_of_everything(
    engine: Engine, spec: ModelSpec, leave: Callable[[Stream], None]
) -> None:
    """By the Stop button, or because its reader has closed the tab."""
    reader = Reader(engine.start([Run(spec, PROMPT, DRAWN)] * 2))
    for column in (0, 1):
        reader.stream.pace(column, 2)
    reader.until(lambda: all(reader.of(Paced, c)[-1:] == [Paced(0)] for c in (0, 1)))
    before = [reader.ids(column) for column in (0, 1)]
    leave(reader.stream)
    reader.until(lambda: reader.stream.done)
    assert [reader.of(Finished, column)[0].reason for column in (0, 1)] == ["stopped"] * 2
    assert [reader.ids(column) for column in (0, 1)] == before and all(before)
    end = time.monotonic() + 60
    while next(status for status in engine.models() if status.spec == spec).leases:
        assert time.monotonic() < end, "the lease never came back"
        time.sleep(0.02)
