"""Scoring through the whole engine: under its limits, beside everybody's streams, and when it ends.

The worker's own loop is also driven here in this process, to count what it does in which order.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Loading, Queued, Step
from playground.core.messages import (
    Begin,
    Cancel,
    Command,
    Events,
    Load,
    Reply,
    Score,
    ScoreDone,
    ScoreFailed,
    Shutdown,
)
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, ContestRequest, Scored, ScoreRequest
from playground.core.trace import Trace
from playground.decode import teacher_forcing
from playground.engine.engine import Engine
from playground.engine.waiting import Abandoned
from playground.errors import DeadlinePassed, InvalidInput, Overloaded, PlaygroundError
from playground.settings import LOCAL_LIMITS, Limits, Settings
from playground.worker.serve import Pipe, Worker
from tests.tiny_models import save

PROMPT = Raw("Once upon a time there was a small fox")
LONG = Decoding(max_new_tokens=4000, min_new_tokens=4000, candidates=1)
FOREVER = ScoreRequest(Ids(tuple(range(20, 320)) * 200), candidates=1)
CONTEXT = 8192 * 8


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = save(tmp_path_factory.mktemp("model"), max_position_embeddings=CONTEXT)
    return ModelSpec(str(folder))


@pytest.fixture(scope="module")
def engine(spec: ModelSpec) -> Iterator[Engine]:
    made = Engine(Settings(models=(spec.repo,)))
    yield made
    made.close()


Make = Callable[..., Engine]


@pytest.fixture()
def make(spec: ModelSpec) -> Iterator[Make]:
    """Makes engines with other settings, and closes them."""
    engines: list[Engine] = []

    def made(mode: str = "local", **limits: int) -> Engine:
        names = LOCAL_LIMITS.__slots__
        changed = Limits(**({name: getattr(LOCAL_LIMITS, name) for name in names} | limits))
        engines.append(Engine(Settings(mode=mode, models=(spec.repo,), limits=changed)))
        return engines[-1]

    yield made
    for one in engines:
        one.close()


def leases(engine: Engine) -> int:
    return sum(row.leases for row in engine.models())


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 150
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class Asking(threading.Thread):
    """Scores in a thread of its own; what came of it is in ``came``."""

    def __init__(
        self, engine: Engine, spec: ModelSpec, visitor: str = "", text: ScoreRequest = FOREVER
    ) -> None:
        super().__init__(daemon=True)
        self.given_up = threading.Event()
        self.came: Scored | BaseException | None = None
        self._ask = lambda: engine.score(spec, text, visitor, given_up=self.given_up.is_set)
        self.start()

    def run(self) -> None:
        try:
            self.came = self._ask()
        except (PlaygroundError, Abandoned) as error:
            self.came = error


def test_the_engine_scores_what_a_run_has_written(engine: Engine, spec: ModelSpec) -> None:
    """The same numbers on both ways through the pipe, and what it waited for is told."""
    waited: list[Any] = []
    first = engine.score(spec, ScoreRequest(PROMPT), tell=waited.append)
    assert first.text == PROMPT.text.removeprefix(first.context[0].text)
    assert waited and all(isinstance(news, (Queued, Loading)) for news in waited)
    trace = Trace(Run(spec, PROMPT, Decoding(max_new_tokens=8)))
    for event in engine.run(trace.run):
        trace = trace.add(event)
    assert trace.started is not None
    made = engine.score(spec, ScoreRequest(Ids(trace.ids), Ids(trace.started.prompt_ids)))
    assert made.text == trace.text
    assert [s.logprob for s in made.steps] == pytest.approx([s.logprob for s in trace.steps],
                                                            abs=1e-4)


def test_the_engine_holds_a_contest(engine: Engine, spec: ModelSpec) -> None:
    made = engine.contest(spec, ContestRequest(PROMPT, (" who", " by the river")))
    assert isinstance(made, Contest)
    alone = engine.score(spec, ScoreRequest(Raw(" by the river"), PROMPT))
    assert made.contenders[1].scored.total_logprob == pytest.approx(alone.total_logprob, abs=1e-3)


def test_what_is_wrong_with_a_text_comes_as_a_sentence(engine: Engine, spec: ModelSpec) -> None:
    with pytest.raises(PlaygroundError) as caught:
        engine.score(spec, ScoreRequest(Raw("fox " * (CONTEXT + 1) * 2)))
    assert caught.value.problem.field == "prompt", "too long for the limits of the house"
    with pytest.raises(PlaygroundError) as caught:
        engine.score(spec, ScoreRequest(Ids(tuple([30] * (CONTEXT + 1)))))
    assert caught.value.problem.code == "CONTEXT_OVERFLOW"
    with pytest.raises(PlaygroundError, match="no such folder"):
        engine.score(ModelSpec("/no/such/folder"), ScoreRequest(PROMPT))
    assert leases(engine) == 0


def test_all_texts_together_are_under_the_limit(make: Make, spec: ModelSpec) -> None:
    engine = make(prompt_characters=30)
    with pytest.raises(InvalidInput) as caught:
        engine.contest(spec, ContestRequest(Raw("a" * 11), ("b" * 10, "c" * 10)))
    assert caught.value.problem.field == "text" and "31 characters" in str(caught.value)
    chat = Chat((Message("user", "a" * 15), Message("assistant", "b" * 16)))
    with pytest.raises(InvalidInput, match="up to 30"):
        engine.score(spec, ScoreRequest(chat))


def test_scoring_is_counted_and_turned_away_when_too_much_waits(
    make: Make, spec: ModelSpec
) -> None:
    engine = make(running=1, waiting=1)
    first = Asking(engine, spec)
    eventually(lambda: leases(engine) == 1)
    second = Asking(engine, spec)
    eventually(lambda: len(engine._admission._places) == 2)
    with pytest.raises(Overloaded, match="Too many runs are waiting"):
        engine.score(spec, ScoreRequest(PROMPT))
    with pytest.raises(Overloaded):
        engine.start([Run(spec, PROMPT)])
    for asking in (second, first):
        asking.given_up.set()
        asking.join(60)
        assert isinstance(asking.came, Abandoned)
    assert engine.score(spec, ScoreRequest(PROMPT)).steps, "and the next has its turn"


def test_a_visitor_scores_one_text_and_waits_with_another(make: Make, spec: ModelSpec) -> None:
    engine = make(mode="shared", columns=1)
    asking = [Asking(engine, spec, "ann") for _ in range(2)]
    eventually(lambda: len(engine._admission._places) == 2)
    with pytest.raises(Overloaded, match="of yours is waiting already"):
        engine.score(spec, ScoreRequest(PROMPT), "ann")
    bob = Asking(engine, spec, "bob", ScoreRequest(PROMPT))
    eventually(lambda: len(engine._admission._places) == 3)
    for one in asking:  # a model reads one text after the other, and Ann's is endless
        one.given_up.set()
        one.join(60)
    bob.join(60)
    assert isinstance(bob.came, Scored) and bob.came.steps


def test_a_scoring_past_its_deadline_says_so_and_stops(make: Make, spec: ModelSpec) -> None:
    engine = make(seconds=1)
    list(engine.load(spec))
    with pytest.raises(DeadlinePassed, match="longer than the 1 s"):
        engine.score(spec, FOREVER)
    assert leases(engine) == 0
    assert engine.score(spec, ScoreRequest(PROMPT)).steps, "it does not wait for the long one"


def test_a_worker_that_dies_fails_its_scoring_and_the_next_one_works(
    make: Make, spec: ModelSpec
) -> None:
    engine = make()
    asking = Asking(engine, spec)
    eventually(lambda: leases(engine) == 1)
    entry = engine._manager._entries[spec]
    assert entry.resident
    os.kill(entry.resident.worker.pid, signal.SIGKILL)
    asking.join(60)
    assert isinstance(asking.came, PlaygroundError)
    assert asking.came.problem.code == "WORKER_DIED" and "SIGKILL" in str(asking.came)
    assert engine.score(spec, ScoreRequest(PROMPT)).steps


def test_closing_the_engine_ends_a_scoring(make: Make, spec: ModelSpec) -> None:
    engine = make()
    asking = Asking(engine, spec)
    eventually(lambda: leases(engine) == 1)
    engine.close()
    asking.join(60)
    assert isinstance(asking.came, PlaygroundError)


class Heard(Pipe):
    """The worker's end of a pipe that leads nowhere: what it sends is kept, in order.

    After each message ``then`` may put commands in; when nothing is left to do, it must.
    """

    def __init__(self, then: Callable[[Reply, SimpleQueue[Command]], None]) -> None:
        self.commands = SimpleQueue()
        self.silent_from = None
        self.sent: list[Reply] = []
        self._then = then

    def send(self, reply: Reply) -> None:
        """Keep it."""
        self.sent.append(reply)
        self._then(reply, self.commands)


def test_a_scoring_delays_a_stream_by_one_chunk_and_no_more(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps of a run there is one chunk of the text at most, and a small one;
    counted, not timed.
    """
    monkeypatch.setattr(teacher_forcing, "BESIDE", 8)
    order: list[str] = []

    def then(reply: Reply, commands: SimpleQueue[Command]) -> None:
        if isinstance(reply, ScoreDone):
            commands.put(Shutdown())

    pipe = Heard(then)
    worker = Worker(pipe, Load(spec, spec.repo, "cpu"))
    worker._model.lm.register_forward_hook(
        lambda _, args, kwargs, out: order.append(
            "step" if kwargs["input_ids"].shape[1] == 1 else "chunk"
        ),
        with_kwargs=True,
    )
    pipe.commands.put(Begin(1, Run(spec, Ids((30,)), LONG)))
    pipe.commands.put(Score(2, ScoreRequest(Ids(tuple(range(20, 189))), candidates=2)))
    worker.work()
    done = next(reply for reply in pipe.sent if isinstance(reply, ScoreDone))
    assert isinstance(done.result, Scored) and len(done.result.steps) == 168
    chunks = [place for place, what in enumerate(order) if what == "chunk"]
    assert len(chunks) == 21 and "chunk chunk" not in " ".join(order)
    steps = [e for r in pipe.sent if isinstance(r, Events) for _, e in r.items
             if isinstance(e, Step)]
    assert len(steps) >= len(chunks)


def test_a_cancelled_scoring_reads_one_chunk_more_at_most(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_forcing, "BESIDE", 8)
    chunks = 0

    def then(reply: Reply, commands: SimpleQueue[Command]) -> None:
        """While the run decodes, the text is read; after ten steps it is given up, then the run."""
        told = [event for _, event in reply.items] if isinstance(reply, Events) else []
        for event in told:
            if isinstance(event, Step) and event.position == 10:
                commands.put(Cancel(2))
                seen.append(chunks)
            elif isinstance(event, Step) and event.position == 20:
                commands.put(Cancel(1))
            elif isinstance(event, (Finished, Failed)):
                commands.put(Shutdown())

    seen: list[int] = []
    pipe = Heard(then)
    worker = Worker(pipe, Load(spec, spec.repo, "cpu"))

    def count(_: Any, args: Any, kwargs: Any, out: Any) -> None:
        nonlocal chunks
        chunks += kwargs["input_ids"].shape[1] > 1

    worker._model.lm.register_forward_hook(count, with_kwargs=True)
    pipe.commands.put(Begin(1, Run(spec, Ids((30,)), LONG)))
    pipe.commands.put(Score(2, FOREVER))
    worker.work()
    assert seen and seen[0] > 3 and chunks <= seen[0] + 1
    assert not [r for r in pipe.sent if isinstance(r, (ScoreDone, ScoreFailed))]


def test_a_fault_in_a_scoring_leaves_the_stream_alone(spec: ModelSpec) -> None:
    """Even one that nobody foresaw."""

    class Surprise(Exception):
        pass

    def fail(_: Any, args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] > 1:
            raise Surprise

    def then(reply: Reply, commands: SimpleQueue[Command]) -> None:
        if isinstance(reply, Events) and isinstance(reply.items[-1][1], (Finished, Failed)):
            commands.put(Shutdown())

    pipe = Heard(then)
    worker = Worker(pipe, Load(spec, spec.repo, "cpu"))
    worker._model.lm.register_forward_pre_hook(fail, with_kwargs=True)
    short = Decoding(max_new_tokens=12, min_new_tokens=12)
    pipe.commands.put(Begin(1, Run(spec, Ids((30,)), short)))
    pipe.commands.put(Score(2, ScoreRequest(PROMPT)))
    pipe.commands.put(Score(3, ScoreRequest(Ids((5,)))))
    worker.work()
    failed = {r.key: r.problem for r in pipe.sent if isinstance(r, ScoreFailed)}
    assert "Surprise" in failed[2].message and "scoring" in failed[2].message
    assert failed[3].code == "VALIDATION"
    events = [e for r in pipe.sent if isinstance(r, Events) for _, e in r.items]
    assert isinstance(events[-1], Finished) and events[-1].new_tokens == 12
