"""Runs through the whole engine, on real workers that hold tiny models: together, stopped, late."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Loading, Queued, Started, Step
from playground.core.messages import ModelCard
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.engine.stream import Stream
from playground.engine.waiting import Patience
from playground.errors import Overloaded, PlaygroundError
from playground.settings import LOCAL_LIMITS, Limits, Settings
from tests.tiny_models import byte_level_tokenizer, save

PROMPT = Raw("Once upon a time there was a small fox")
LONG = Decoding(max_new_tokens=4000, min_new_tokens=4000, candidates=1)
SHORT = Decoding(max_new_tokens=12, min_new_tokens=12)
NEVER_ENDS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@dataclass(frozen=True)
class Shelf:
    """Folders of models: two that work, and one whose chat template never comes to an end."""

    one: ModelSpec
    two: ModelSpec
    endless: ModelSpec


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    room = tmp_path_factory.mktemp("models")
    for name, kind in (("one", "llama"), ("two", "qwen2"), ("endless", "llama")):
        save(room / name, kind, max_position_embeddings=8192)
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = NEVER_ENDS
    tokenizer.save_pretrained(room / "endless")
    return Shelf(*(ModelSpec(str(room / name)) for name in ("one", "two", "endless")))


@pytest.fixture(scope="module")
def engine(shelf: Shelf) -> Iterator[Engine]:
    """One engine for all tests that do not need settings of their own."""
    made = Engine(Settings(models=(shelf.one.repo, shelf.two.repo)), Patience(silence=4.0))
    yield made
    made.close()


Make = Callable[..., Engine]


@pytest.fixture()
def make(shelf: Shelf) -> Iterator[Make]:
    """Makes engines with other limits or another patience, and closes them."""
    engines: list[Engine] = []

    def made(patience: Patience = Patience(), **settings: object) -> Engine:
        settings.setdefault("models", (shelf.one.repo, shelf.two.repo))
        settings.setdefault("device", "cpu")  # what is set aside is counted for it
        engines.append(Engine(Settings(**settings), patience))  # type: ignore[arg-type]
        return engines[-1]

    yield made
    for one in engines:
        one.close()


def limits(**more: int) -> Limits:
    """The local limits with some of them changed."""
    names = LOCAL_LIMITS.__slots__
    return Limits(**({name: getattr(LOCAL_LIMITS, name) for name in names} | more))


class Reader:
    """Reads a stream in order and keeps what it has read."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.events: list[tuple[int, Event]] = []

    def until(self, true: Callable[[], bool]) -> None:
        """Read until something is so."""
        end = time.monotonic() + 150
        while not true():
            assert time.monotonic() < end, f"it never came; last: {self.events[-3:]}"
            self.events += self.stream.read(0.2)

    def all(self) -> list[tuple[int, Event]]:
        self.until(lambda: self.stream.done)
        return self.events

    def of(self, column: int, *kinds: type) -> list[Event]:
        return [e for c, e in self.events if c == column and isinstance(e, kinds or object)]

    def steps(self, column: int = 0) -> int:
        return len(self.of(column, Step))


def status(engine: Engine, spec: ModelSpec) -> tuple[str, int]:
    row = next(row for row in engine.models() if row.spec == spec)
    return row.state, row.leases


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 150
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def trace(run: Run, events: list[Event]) -> Trace:
    made = Trace(run)
    for event in events:
        made = made.add(event)
    return made


def worker_pid(engine: Engine, spec: ModelSpec) -> int:
    """The process that holds a model."""
    entry = engine._manager._entries[spec]
    assert entry.resident
    return entry.resident.worker.pid


def test_events_come_in_their_order(engine: Engine, shelf: Shelf) -> None:
    events = list(engine.run(Run(shelf.one, PROMPT, SHORT)))
    waiting = [e for e in events if isinstance(e, (Queued, Loading))]
    assert events[: len(waiting)] == waiting
    started, *steps, finished = events[len(waiting) :]
    assert isinstance(started, Started) and started.rendered == PROMPT.text
    assert [s.position for s in steps if isinstance(s, Step)] == list(range(12))
    assert isinstance(finished, Finished) and finished.reason == "length"


def test_two_runs_on_one_model_stream_together(engine: Engine, shelf: Shelf) -> None:
    """Both are in one batch: neither waits for the other's end."""
    drawn = Decoding(max_new_tokens=60, min_new_tokens=60, do_sample=True)
    runs = [Run(shelf.one, PROMPT, drawn, seed) for seed in range(2)]
    columns = [c for c, event in engine.together(runs) if isinstance(event, Step)]
    first_of_the_second, last_of_the_first = columns.index(1), len(columns) - columns[::-1].index(0)
    assert columns.count(0) == columns.count(1) == 60
    assert first_of_the_second < 10 and last_of_the_first > 100


def test_two_models_stream_together_in_two_processes(engine: Engine, shelf: Shelf) -> None:
    reader = Reader(engine.start([Run(shelf.one, PROMPT, LONG), Run(shelf.two, PROMPT, LONG)]))
    reader.until(lambda: reader.steps(0) > 3 and reader.steps(1) > 3)
    assert worker_pid(engine, shelf.one) != worker_pid(engine, shelf.two)
    reader.stream.stop()
    assert {e.reason for _, e in reader.all() if isinstance(e, Finished)} == {"stopped"}


def test_same_seed_same_ids_after_a_swap(make: Make, shelf: Shelf) -> None:
    """Alone, beside another, and after the model was ended for another and loaded again."""
    engine = make(memory_bytes=80_000_000)  # room for one of the two
    run = Run(shelf.one, PROMPT, Decoding(do_sample=True, max_new_tokens=20, min_new_tokens=20), 7)
    alone = trace(run, list(engine.run(run))).ids
    list(engine.run(Run(shelf.two, PROMPT, SHORT)))
    assert status(engine, shelf.one) == ("absent", 0)
    other = Run(shelf.one, Raw("The capital of"), LONG, 1)
    reader = Reader(engine.start([other]))
    reader.until(lambda: reader.steps() > 3)
    beside = trace(run, list(engine.run(run))).ids
    reader.stream.close()
    assert alone == beside and len(alone) == 20


def test_models_that_do_not_fit_together_take_turns_and_say_so(make: Make, shelf: Shelf) -> None:
    engine = make(memory_bytes=80_000_000)
    longer = Decoding(max_new_tokens=300, min_new_tokens=300, candidates=1)
    list(engine.load(shelf.one))
    reader = Reader(engine.start([Run(shelf.one, PROMPT, longer), Run(shelf.two, PROMPT, SHORT)]))
    reader.all()
    assert Queued(1) in reader.of(1, Queued)
    kinds = [(c, type(e)) for c, e in reader.events]
    assert kinds.index((0, Finished)) < kinds.index((1, Started))
    assert reader.steps(0) == 300 and reader.steps(1) == 12


def test_lanes_run_in_the_order_that_the_plan_told(make: Make, shelf: Shelf) -> None:
    """Neither model is there yet: which load came first was once left to two threads."""
    engine = make(memory_bytes=80_000_000)
    runs = [Run(spec, PROMPT, SHORT) for spec in (shelf.one, shelf.two, shelf.one)]
    plan = engine.plan([run.model for run in runs])
    assert plan.rounds == (((shelf.one, (0, 2)),), ((shelf.two, (1,)),))
    assert plan.need > plan.capacity == 80_000_000
    reader = Reader(engine.start(runs))
    reader.all()
    kinds = [(c, type(e)) for c, e in reader.events]
    last = max(kinds.index((0, Finished)), kinds.index((2, Finished)))
    assert last < kinds.index((1, Started))
    waits = [e for e in reader.of(1, Queued) if isinstance(e, Queued)]
    assert waits[0].ahead == 2 and waits[0].detail.startswith(f"{shelf.one.label} first")
    assert [reader.steps(n) for n in range(3)] == [12, 12, 12]
    # What is there now goes first, so that it is not ended for the other and loaded again.
    assert engine.plan([run.model for run in runs]).rounds[0] == ((shelf.two, (1,)),)


def test_two_requests_that_want_both_models_in_turn_are_both_served(
    make: Make, shelf: Shelf
) -> None:
    """No one holds a model while waiting for the other's, so nobody waits for ever."""
    engine = make(memory_bytes=80_000_000)
    orders = ((shelf.one, shelf.two), (shelf.two, shelf.one))
    readers = [Reader(engine.start([Run(spec, PROMPT, SHORT) for spec in order], f"visitor {n}"))
               for n, order in enumerate(orders)]
    for reader in readers:
        reader.all()
        assert [reader.steps(0), reader.steps(1)] == [12, 12]


def test_a_lane_that_waits_for_its_round_is_stopped_at_once(make: Make, shelf: Shelf) -> None:
    engine = make(memory_bytes=80_000_000)
    reader = Reader(engine.start([Run(shelf.one, PROMPT, LONG), Run(shelf.two, PROMPT, SHORT)]))
    reader.until(lambda: reader.steps(0) > 2)
    reader.stream.stop(1)
    reader.until(lambda: bool(reader.of(1, Finished)))
    assert not reader.of(0, Finished)
    reader.stream.stop()
    reader.all()
    assert status(engine, shelf.two)[0] == "absent"


def test_stop_keeps_the_text_and_twice_is_harmless(engine: Engine, shelf: Shelf) -> None:
    run = Run(shelf.one, PROMPT, LONG)
    reader = Reader(engine.start([run]))
    reader.until(lambda: reader.steps() > 5)
    reader.stream.stop()
    reader.stream.stop()
    reader.stream.stop(0)
    reader.all()
    made = trace(run, reader.of(0))
    assert made.finished and made.finished.reason == "stopped" and made.state == "finished"
    assert made.finished.new_tokens == len(made.steps) > 5 and made.text
    reader.stream.stop()
    assert reader.stream.read(0.0) == [], "after the end there is nothing more"


def test_stopping_one_column_leaves_the_other(engine: Engine, shelf: Shelf) -> None:
    runs = [Run(shelf.one, PROMPT, LONG),
            Run(shelf.one, PROMPT, Decoding(max_new_tokens=200, min_new_tokens=200))]
    reader = Reader(engine.start(runs))
    reader.until(lambda: reader.steps(0) > 3 and reader.steps(1) > 3)
    reader.stream.stop(0)
    reader.all()
    (first,), (second,) = reader.of(0, Finished), reader.of(1, Finished)
    assert isinstance(first, Finished) and first.reason == "stopped"
    assert isinstance(second, Finished) and second.reason == "length" and reader.steps(1) == 200


def test_a_run_stopped_before_it_began_is_over_at_once(make: Make, shelf: Shelf) -> None:
    stream = make().start([Run(shelf.one, PROMPT, LONG)])
    stream.stop()
    reader = Reader(stream)
    reader.all()
    assert reader.of(0, Finished, Failed) == [Finished("stopped", "", 0, 0, 0.0, 0.0)]


def test_a_closed_stream_frees_its_lease(engine: Engine, shelf: Shelf) -> None:
    reader = Reader(engine.start([Run(shelf.one, PROMPT, LONG)]))
    reader.until(lambda: reader.steps() > 3)
    assert status(engine, shelf.one) == ("busy", 1)
    reader.stream.close()
    eventually(lambda: status(engine, shelf.one) == ("ready", 0))


def test_a_closed_generator_stops_its_run(engine: Engine, shelf: Shelf) -> None:
    events = engine.run(Run(shelf.one, PROMPT, LONG))
    while not isinstance(next(events), Step):
        pass
    events.close()
    eventually(lambda: status(engine, shelf.one) == ("ready", 0))


def test_a_stream_that_nobody_reads_is_stopped(make: Make, shelf: Shelf) -> None:
    engine = make(Patience(unread=0.5))
    list(engine.load(shelf.one))
    stream = engine.start([Run(shelf.one, PROMPT, LONG)])
    eventually(lambda: status(engine, shelf.one) == ("busy", 1))
    eventually(lambda: status(engine, shelf.one) == ("ready", 0))
    last = stream.read()[-1][1]
    assert isinstance(last, Finished) and last.reason == "stopped"


def test_a_run_past_its_deadline_keeps_its_text_and_says_so(make: Make, shelf: Shelf) -> None:
    engine = make(limits=limits(seconds=1))
    run = Run(shelf.one, PROMPT, LONG)
    made = trace(run, list(engine.run(run)))
    assert made.problem and made.problem.code == "TIMEOUT" and "1 s" in made.problem.message
    assert made.text and made.finished and made.finished.reason == "stopped"
    assert trace(run, list(engine.run(Run(shelf.one, PROMPT, SHORT)))).state == "finished"


def test_a_killed_worker_fails_its_runs_only_and_the_next_run_works(
    engine: Engine, shelf: Shelf
) -> None:
    run = Run(shelf.one, PROMPT, LONG)
    reader = Reader(engine.start([run, Run(shelf.two, PROMPT, LONG)]))
    reader.until(lambda: reader.steps(0) > 3 and reader.steps(1) > 3)
    os.kill(worker_pid(engine, shelf.one), signal.SIGKILL)
    reader.until(lambda: bool(reader.of(0, Failed)))
    made = trace(run, reader.of(0))
    assert made.problem and made.problem.code == "WORKER_DIED" and "SIGKILL" in made.problem.message
    assert made.text, "what was written stays"
    before = reader.steps(1)
    reader.until(lambda: reader.steps(1) > before + 5)
    reader.stream.close()
    events = list(engine.run(Run(shelf.one, PROMPT, SHORT)))
    assert isinstance(events[-1], Finished)


def test_a_worker_that_falls_silent_is_ended(engine: Engine, shelf: Shelf) -> None:
    run = Run(shelf.one, PROMPT, LONG)
    reader = Reader(engine.start([run]))
    reader.until(lambda: reader.steps() > 3)
    os.kill(worker_pid(engine, shelf.one), signal.SIGSTOP)
    reader.all()
    made = trace(run, reader.of(0))
    assert made.problem and made.problem.code == "TIMEOUT"
    assert "no sign of life" in made.problem.message and made.text
    assert isinstance(list(engine.run(Run(shelf.one, PROMPT, SHORT)))[-1], Finished)


def test_a_row_that_will_not_leave_takes_its_worker_along(make: Make, shelf: Shelf) -> None:
    """The reader is free after a moment, the model after a while."""
    engine = make(Patience(grace=0.2, stuck=1.0))
    reader = Reader(engine.start([Run(shelf.one, PROMPT, LONG)]))
    reader.until(lambda: reader.steps() > 3)
    os.kill(worker_pid(engine, shelf.one), signal.SIGSTOP)
    reader.stream.stop()
    assert isinstance(reader.all()[-1][1], Finished)
    assert status(engine, shelf.one)[0] == "busy"
    eventually(lambda: status(engine, shelf.one)[0] == "failed")
    assert isinstance(list(engine.run(Run(shelf.one, PROMPT, SHORT)))[-1], Finished)


def test_a_template_that_never_ends_is_ended(engine: Engine, shelf: Shelf) -> None:
    """Ten thousand million turns of a loop in a template: the process lives, and does nothing."""
    endless = Run(shelf.endless, Chat((Message("user", "hello"),)), SHORT)
    reader = Reader(engine.start([endless, Run(shelf.two, PROMPT, LONG)]))
    reader.until(lambda: bool(reader.of(0, Failed)))
    (failed,) = reader.of(0, Failed)
    assert isinstance(failed, Failed) and failed.problem.code == "TIMEOUT"
    assert not reader.of(1, Failed), "the other model goes on"
    reader.stream.close()


def test_a_slow_worker_is_not_a_dead_one(engine: Engine, shelf: Shelf) -> None:
    """Idle for longer than the patience with silence: heartbeats keep it."""
    list(engine.load(shelf.two))
    pid = worker_pid(engine, shelf.two)
    time.sleep(5.0)
    assert worker_pid(engine, shelf.two) == pid


def test_what_is_wrong_with_one_column_stays_in_it(engine: Engine, shelf: Shelf) -> None:
    """A model that is not there, a prompt beyond the context, and a run that is all right."""
    absent = Run(ModelSpec("/no/such/folder"), PROMPT, SHORT)
    beyond = Run(shelf.one, Raw("fox " * 9000), SHORT)
    reader = Reader(engine.start([absent, beyond, Run(shelf.one, PROMPT, SHORT)]))
    reader.all()
    codes = [e.problem.code for c in (0, 1) for e in reader.of(c, Failed) if isinstance(e, Failed)]
    assert codes == ["MODEL_NOT_FOUND", "CONTEXT_OVERFLOW"]
    assert reader.steps(2) == 12 and reader.of(2, Finished)


@pytest.mark.parametrize(
    ("prompt", "decoding", "field", "word"),
    [
        (Raw("a" * 11), Decoding(max_new_tokens=9), "prompt", "up to 10"),
        (Chat((Message("system", "a" * 6), Message("user", "a" * 5))), Decoding(max_new_tokens=9),
         "prompt", "up to 10"),
        (Raw("a"), Decoding(max_new_tokens=21), "max_new_tokens", "up to 20"),
        (Raw("a"), Decoding(max_new_tokens=9, num_beams=3), "num_beams", "up to 2"),
    ],
)
def test_the_door_names_the_field_and_what_is_allowed(
    make: Make, shelf: Shelf, prompt: Prompt, decoding: Decoding, field: str, word: str
) -> None:
    engine = make(limits=limits(prompt_characters=10, new_tokens=20, beams=2))
    (failed,) = list(engine.run(Run(shelf.one, prompt, decoding)))
    assert isinstance(failed, Failed)
    assert failed.problem.code == "VALIDATION" and failed.problem.field == field
    assert word in failed.problem.allowed and failed.problem.given


def test_too_many_columns_are_refused(make: Make, shelf: Shelf) -> None:
    engine = make(limits=limits(columns=2))
    for count in (0, 3):
        with pytest.raises(PlaygroundError) as caught:
            engine.start([Run(shelf.one, PROMPT, SHORT)] * count)
        assert caught.value.problem.field == "columns"


def test_what_a_visitor_has_beyond_one_requests_runs_waits(make: Make, shelf: Shelf) -> None:
    engine = make(mode="shared", limits=limits(columns=1))
    run = Run(shelf.one, PROMPT, LONG)
    first = Reader(engine.start([run], "ann"))
    first.until(lambda: first.steps() > 0)
    second = Reader(engine.start([run], "ann"))
    second.until(lambda: Queued(1) in second.of(0))
    with pytest.raises(Overloaded, match="of yours is waiting already"):
        engine.start([run], "ann")
    bob = Reader(engine.start([Run(shelf.one, PROMPT, SHORT)], "bob"))
    assert isinstance(bob.all()[-1][1], Finished), "another visitor does not wait for her"
    assert not second.steps()
    first.stream.stop()
    second.until(lambda: second.steps() > 0)
    second.stream.stop()


def test_too_many_who_wait_are_turned_away(make: Make, shelf: Shelf) -> None:
    engine = make(limits=limits(running=1, waiting=2))
    run = Run(shelf.one, PROMPT, LONG)
    first = Reader(engine.start([run]))
    first.until(lambda: first.steps() > 0)
    second = Reader(engine.start([run, run]))
    second.until(lambda: Queued(1) in second.of(0) and Queued(1) in second.of(1))
    with pytest.raises(Overloaded, match="Too many runs are waiting") as caught:
        engine.start([run])
    assert caught.value.problem.allowed == "up to 2"
    second.stream.stop()
    assert [type(e) for _, e in second.all()][-2:] == [Finished, Finished], "who waits can stop too"
    first.stream.stop()


def test_a_prompt_is_shown_as_the_model_will_see_it(engine: Engine, shelf: Shelf) -> None:
    shown = engine.render(shelf.one, Chat((Message("user", "hello"),)), 60)
    assert shown.rendered == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert "".join(piece.text for piece in shown.pieces) == shown.rendered
    assert sum(piece.special for piece in shown.pieces) == 3
    with pytest.raises(PlaygroundError) as caught:
        engine.render(shelf.one, Raw("fox " * 9000), 60)
    assert caught.value.problem.code == "CONTEXT_OVERFLOW"


def test_the_models_are_listed_in_every_state(make: Make, shelf: Shelf) -> None:
    engine = make()
    assert [(row.spec, row.state) for row in engine.models()] == [
        (spec, "absent") for spec in (shelf.one, shelf.two, ModelSpec("builtin/tiny-encoder"))]
    seen = [type(said) for said in engine.load(shelf.one)]
    assert seen[-1] is ModelCard and set(seen[:-1]) == {Loading}
    assert status(engine, shelf.one) == ("ready", 0)
    assert engine.unload(shelf.one) and status(engine, shelf.one) == ("absent", 0)
    absent = ModelSpec("/no/such/folder")
    with pytest.raises(PlaygroundError, match="no such folder"):
        list(engine.load(absent))
    engine.warm(absent)
    eventually(lambda: status(engine, absent) == ("failed", 0))
    assert "no such folder" in str(engine.models()[-1].problem)


def test_closing_the_engine_ends_runs_and_workers(make: Make, shelf: Shelf) -> None:
    engine = make()
    reader = Reader(engine.start([Run(shelf.one, PROMPT, LONG)]))
    reader.until(lambda: reader.steps() > 3)
    pid = worker_pid(engine, shelf.one)
    engine.close()
    reader.all()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Overloaded):
        engine.start([Run(shelf.one, PROMPT, SHORT)])
    eventually(lambda: not [t for t in threading.enumerate() if t.name == f"hear {pid}"])
