"""Replays through the whole engine: by who holds the stream, in its worker, while there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Event, Finished, Started, Step
from playground.core.messages import (
    Begin,
    Command,
    Events,
    Load,
    Replay,
    Replayed,
    ReplayFailed,
    Reply,
    Shutdown,
)
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.engine.stream import Stream
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.worker.serve import Pipe, Worker
from tests.tiny_models import save

PROMPT = Raw("Once upon a time there was a small fox")
DRAWN = Decoding(do_sample=True, temperature=1.5, max_new_tokens=12, min_new_tokens=12)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return ModelSpec(str(save(tmp_path_factory.mktemp("model"), max_position_embeddings=8192)))


@pytest.fixture(scope="module")
def engine(spec: ModelSpec) -> Iterator[Engine]:
    made = Engine(Settings(models=(spec.repo,)))
    yield made
    made.close()


def read(stream: Stream, until: Callable[[], bool] = lambda: False) -> list[tuple[int, Event]]:
    """What a stream says until its end, or until something is so."""
    told: list[tuple[int, Event]] = []
    end = time.monotonic() + 120
    while not stream.done and not until():
        assert time.monotonic() < end, "it never came"
        told += stream.read(0.2)
    return told


def steps(told: list[tuple[int, Event]], column: int = 0) -> list[Step]:
    return [event for c, event in told if c == column and isinstance(event, Step)]


def refused(ask: Callable[[], object]) -> InvalidInput | PlaygroundError:
    with pytest.raises(PlaygroundError) as caught:
        ask()
    return caught.value


def test_a_step_is_replayed_while_its_stream_runs_and_after(
    engine: Engine, spec: ModelSpec
) -> None:
    asked = replace(DRAWN, effects=True)
    long = replace(asked, max_new_tokens=2000, min_new_tokens=2000)
    stream = engine.start([Run(spec, PROMPT, asked, 3), Run(spec, PROMPT, long, 4)])
    first = steps(read(stream, lambda: stream.columns[0].over))
    assert not stream.columns[1].over
    for step in first:
        assert engine.replay(stream, 0, step.position, asked) == step
    other = engine.replay(stream, 0, 5, replace(asked, temperature=0.2))
    assert other.probability != first[5].probability and other.draw is not None
    stream.stop()
    told = steps(read(stream), 1)
    assert len(told) > 2
    assert engine.replay(stream, 1, told[-1].position, long) == told[-1]


def test_what_cannot_be_replayed_is_a_sentence(engine: Engine, spec: ModelSpec) -> None:
    stream = engine.start([Run(spec, PROMPT, DRAWN), Run(spec, PROMPT, Decoding(num_beams=2))])
    read(stream)
    for column, position, decoding, field, words in (
        (0, 12, DRAWN, "position", "Token 13 of this run is not stored"),
        (1, 0, DRAWN, "position", "none of a beam search"),
        (0, 0, Decoding(num_beams=2), "decoding", "cannot be replayed with beam search"),
        (0, 0, Decoding(banned=((4000,),)), "banned", "Token id 4000"),
        (2, 0, DRAWN, "column", "There is no column 3."),
        (-1, 0, DRAWN, "column", "There is no column 0."),
    ):
        found = refused(lambda: engine.replay(stream, column, position, decoding))  # noqa: B023
        assert found.problem.field == field and words in found.problem.message
    assert "was unloaded since" not in str(found)


def test_a_run_that_has_not_begun_or_whose_model_is_gone_is_a_sentence(
    engine: Engine, spec: ModelSpec
) -> None:
    waiting = Stream([Run(spec, PROMPT, DRAWN)])
    assert "has not begun" in str(refused(lambda: engine.replay(waiting, 0, 0, DRAWN)))
    stream = engine.start([Run(spec, PROMPT, DRAWN)])
    read(stream)
    end = time.monotonic() + 60
    while True:
        try:
            engine.unload(spec)
            break
        except PlaygroundError:  # its lease goes back in a moment
            assert time.monotonic() < end
            time.sleep(0.05)
    assert "was unloaded since" in str(refused(lambda: engine.replay(stream, 0, 0, DRAWN)))


class Wire:
    """The worker's end of a pipe, in this process: every reply in its order."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []

    def send(self, reply: Any) -> None:
        self.replies.append(reply)


def test_a_worker_answers_between_two_steps_of_its_rows(spec: ModelSpec) -> None:
    """A replay is no reason to wait: it comes before the next step; a bad one ends nobody's run."""
    wire = Wire()
    pipe = Pipe(wire)  # type: ignore[arg-type]
    worker = Worker(pipe, Load(spec, spec.repo, "cpu"))
    long = replace(DRAWN, max_new_tokens=30, min_new_tokens=30)
    waiting: SimpleQueue[Command] = pipe.commands
    waiting.put(Begin(1, Run(spec, PROMPT, long)))

    def said(kind: type) -> list[Any]:
        return [reply for reply in wire.replies if isinstance(reply, kind)]

    def send(reply: Any) -> None:
        wire.replies.append(reply)
        if isinstance(reply, Events):
            told = [event for _, event in reply.items]
            if len(said(Events)) == 6:
                waiting.put(Replay(7, 1, 2, long))
                waiting.put(Replay(8, 1, 25, long))
                waiting.put(Replay(9, 5, 0, long, "no/adapter"))
            if any(isinstance(event, Finished) for event in told):
                waiting.put(Shutdown())

    wire.send = send  # type: ignore[method-assign]
    worker.work()
    events = [event for reply in said(Events) for _, event in reply.items]
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    written = [event for event in events if isinstance(event, Step)]
    assert len(written) == 30
    assert said(Replayed) == [Replayed(7, written[2])]
    assert [reply.key for reply in said(ReplayFailed)] == [8, 9]
    place = wire.replies.index(said(Replayed)[0])
    assert len([r for r in wire.replies[:place] if isinstance(r, Events)]) == 6
