"""A ZeroGPU: the same ids as in a worker, errors that reach the page, nothing shared but values.

Sessions run through the real ``spaces`` package: off ZeroGPU its decorator gives the function back;
and its own generator wrapper, with the scheduler and CUDA taken out, forks a child for each call.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Event, Failed, Finished, Paced, Started, Step, Unamended
from playground.core.messages import Begin, Reply, Score
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.engine.engine import Engine
from playground.engine.zero import ZeroWorker, gpu_function, held, hold_offered
from playground.errors import ModelNotFound, PlaygroundError
from playground.flags import settings_from
from playground.worker import zero

SPEC = ModelSpec("builtin/tiny-base")
ABSENT = ModelSpec("Qwen/Qwen2.5-0.5B-Instruct")
FRANCE = Raw("The capital of France is")
STORY = Raw("Once upon a time")
TORN: list[int] = []  # what a child appends here, no parent sees


@pytest.fixture(autouse=True)
def models_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that holds the built-in models, as app.py makes it before the page is served."""
    monkeypatch.setattr(zero, "_MODELS", {})
    settings = settings_from([], {"SPACE_ID": "a/b", "SPACES_ZERO_GPU": "1"})
    assert settings.zero_gpu and ABSENT.repo in settings.models

    def folder_of(spec: ModelSpec) -> Path:
        if spec == ABSENT or not spec.repo.startswith("builtin/"):
            raise ModelNotFound(f"{spec.repo} is not there.", field="model")
        return Path(zero.__file__).parent.parent / "models" / spec.repo

    hold_offered([ModelSpec(repo) for repo in settings.models], folder_of, "cpu")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The generator wrapper of the real package; each first call of a function forks its child.

    A child waits for its next call, as a ZeroGPU's does: what this process had open is open in it
    too, so that one which outlives its test keeps a browser, or an app, from ending.
    """
    before = set(multiprocessing.active_children())
    for name in [name for name in sys.modules if name.startswith("spaces.zero.")]:
        monkeypatch.delitem(sys.modules, name)
    cuda = types.ModuleType("spaces.zero.torch")
    for name in ("unpatch", "init", "move", "enter_mode"):
        setattr(cuda, name, lambda *_, **__: None)
    cuda.size = lambda: 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spaces.zero.torch", cuda)
    monkeypatch.setattr(importlib.import_module("spaces.zero"), "torch", cuda, raising=False)
    wrappers = importlib.import_module("spaces.zero.wrappers")
    lent = types.SimpleNamespace(allowToken="t", nvidiaIndex=0, nvidiaUUID="u", idle=True)
    asked: list[float] = []

    def schedule(duration: Any, **_: Any) -> Any:
        asked.append(duration.seconds)
        return lent

    monkeypatch.setattr(wrappers.client, "schedule", schedule)
    monkeypatch.setattr(wrappers.client, "allow", lambda _: None)
    monkeypatch.setattr(wrappers.client, "release", lambda *_, **__: None)
    monkeypatch.setattr(wrappers.client, "get_duration_seconds", lambda *_: 60)
    made = partial(wrappers.generator_function_wrapper, duration=zero.seconds_of, gpu_size=None)
    made.asked = asked  # type: ignore[attr-defined]
    yield made
    for child in set(multiprocessing.active_children()) - before:
        child.kill()
        child.join(10)


def _engine(gpu: Any) -> Engine:
    settings = settings_from([], {"SPACE_ID": "a/b", "SPACES_ZERO_GPU": "1"})
    start: Any = partial(ZeroWorker, gpu)
    return Engine(settings, start=start, check=held)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = _engine(gpu_function())
    yield made
    made.close()


def _run(prompt: Prompt = FRANCE, preset: str = "Greedy", tokens: int = 12, seed: int = 3) -> Run:
    decoding = Decoding(**{**_knobs(PRESETS[preset]), "max_new_tokens": tokens})
    return Run(SPEC, prompt, decoding, seed)


def _knobs(decoding: Decoding) -> dict[str, Any]:
    return {name: getattr(decoding, name) for name in decoding.__dataclass_fields__}


def _ids(events: Sequence[Event]) -> list[int]:
    return [event.id for event in events if isinstance(event, Step)]


RUNS = [_run(), _run(STORY, "Top-p"), _run(STORY, "Beam search", 8)]


def _columns(engine: Engine, runs: Sequence[Run]) -> list[list[Event]]:
    told: list[list[Event]] = [[] for _ in runs]
    for column, event in engine.together(runs):
        told[column].append(event)
    return told


def test_a_zero_gpu_gives_the_ids_of_a_worker(engine: Engine) -> None:
    plain = Engine(settings_from([]))
    try:
        expected = [_ids(events) for events in _columns(plain, RUNS)]
    finally:
        plain.close()
    told = _columns(engine, RUNS)
    assert [_ids(events) for events in told] == expected
    for events in told:
        assert isinstance(events[-1], Finished) and any(isinstance(e, Started) for e in events)


def test_columns_of_one_request_share_a_session(forked: Any) -> None:
    engine = _engine(forked(zero.session))
    try:
        told = _columns(engine, [_run(), _run(STORY, "Top-p"), _run(seed=4)])
    finally:
        engine.close()
    assert all(isinstance(events[-1], Finished) for events in told)
    assert len(forked.asked) == 1, "one call of the GPU function for three columns"


def test_a_forked_child_gives_the_same_ids_and_shares_nothing(
    forked: Any, engine: Engine
) -> None:
    def session(*given: Any) -> Generator[tuple[Reply, ...]]:
        TORN.append(os.getpid())
        yield from zero.session(*given)

    other = _engine(forked(session))
    try:
        assert _ids(_columns(other, [_run()])[0]) == _ids(_columns(engine, [_run()])[0])
    finally:
        other.close()
    assert TORN == [], "it ran in this process"


def test_stop_is_honoured_between_steps(forked: Any) -> None:
    closed: list[int] = []
    given = forked(zero.session)

    def session(*args: Any) -> Generator[tuple[Reply, ...]]:
        replies = given(*args)
        try:
            for sent in replies:
                closed.append(len(sent))
                yield sent
        finally:
            replies.close()
            closed.append(-1)

    engine = _engine(session)
    try:
        stream = engine.start([_run(STORY, "Top-p", 400)])
        events: list[Event] = []
        while sum(isinstance(e, Step) for e in events) < 3:
            events += [event for _, event in stream.read(5.0)]
        stream.stop()
        while not stream.done:
            events += [event for _, event in stream.read(5.0)]
        assert stream.columns[0].gone.wait(10)
    finally:
        engine.close()
    last = events[-1]
    assert isinstance(last, Finished) and last.reason == "stopped"
    assert last.new_tokens == len(_ids(events)) < 400
    deadline = time.monotonic() + 30
    while closed[-1] != -1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert closed[-1] == -1 and len(closed) < 400, "the child was let go"


def test_a_column_that_is_stopped_leaves_the_others(engine: Engine) -> None:
    stream = engine.start([_run(STORY, "Top-p", 300), _run(STORY, "Greedy", 30)])
    told: list[list[Event]] = [[], []]
    while not stream.done:
        for column, event in stream.read(5.0):
            told[column].append(event)
            if column == 0 and len(_ids(told[0])) == 2:
                stream.stop(0)
    assert isinstance(told[0][-1], Finished) and told[0][-1].reason == "stopped"
    assert len(_ids(told[1])) == 30


@pytest.mark.parametrize(("raised", "code", "words"), [
    (gr.Error("You have exceeded your ZeroGPU quota (40s requested vs. 3s left).",
              title="ZeroGPU quota exceeded"), "OVERLOADED", "40s requested"),
    (gr.Error("GPU task aborted", title="ZeroGPU worker error"), "OVERLOADED", "aborted"),
    (RuntimeError("not for the reader"), "WORKER_DIED", "Run again"),
])
def test_what_the_hub_raises_reaches_the_page(raised: Exception, code: str, words: str) -> None:
    def session(*_: Any) -> Generator[tuple[Reply, ...]]:
        raise raised
        yield ()

    engine = _engine(session)
    try:
        (events,) = _columns(engine, [_run()])
    finally:
        engine.close()
    last = events[-1]
    assert isinstance(last, Failed) and last.problem.code == code
    assert words in str(last.problem) and "not for the reader" not in str(last.problem)


def test_a_child_that_ends_without_an_answer_fails_its_runs_and_keeps_their_text(
    forked: Any,
) -> None:
    """spaces tells a BaseException in a child as the end of the stream, with no word of it."""

    def session(*given: Any) -> Generator[tuple[Reply, ...]]:
        replies = zero.session(*given)
        yield from (next(replies) for _ in range(4))
        raise SystemExit(1)

    engine = _engine(forked(session))
    try:
        (events,) = _columns(engine, [_run(tokens=40)])
    finally:
        engine.close()
    assert len(_ids(events)) >= 2
    last = events[-1]
    assert isinstance(last, Failed) and last.problem.code in ("WORKER_DIED", "OVERLOADED")


def test_a_fault_in_a_session_is_a_sentence_for_each_of_its_runs(
    monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    def broken(*_: Any) -> None:
        raise BaseException("a panic of a tokenizer")

    monkeypatch.setattr(zero.Station, "step", broken)
    for events in _columns(engine, [_run(), _run(STORY)]):
        last = events[-1]
        assert isinstance(last, Failed) and "the app does not know" in last.problem.message


def test_a_model_that_is_not_here_is_refused_with_the_reason(engine: Engine) -> None:
    (events,) = _columns(engine, [Run(ABSENT, FRANCE)])
    last = events[-1]
    assert isinstance(last, Failed)
    assert "fixed at the start" in last.problem.message


def test_what_a_fork_cannot_do_is_said(engine: Engine) -> None:
    stream = engine.start([_run(STORY, "Top-p", 60)])
    events: list[Event] = []
    while not _ids(events):
        events += [event for _, event in stream.read(5.0)]
    stream.pace(0, 0)
    stream.amend(0, _run(STORY, "Top-p", 50).decoding)
    while not stream.done:
        events += [event for _, event in stream.read(5.0)]
    assert Paced(None, 0.0) in events
    refused = [event for event in events if isinstance(event, Unamended)]
    assert refused and "ZeroGPU" in refused[0].problem.message
    with pytest.raises(PlaygroundError, match="ZeroGPU"):
        stream.replay(0, 0, Decoding(), 5.0)


def test_texts_are_scored_and_prompts_rendered(engine: Engine) -> None:
    plain = Engine(settings_from([]))
    request = ScoreRequest(Raw("Paris is in France."))
    chat = Chat((Message("user", "Hello."),))
    try:
        assert engine.score(SPEC, request) == plain.score(SPEC, request)
        spec = ModelSpec("builtin/tiny-chat")
        assert engine.render(spec, chat).pieces == plain.render(spec, chat).pieces
    finally:
        plain.close()


def test_the_duration_grows_with_what_is_asked_for_up_to_its_cap() -> None:
    def asked(tokens: int, rows: int = 1) -> int:
        begun = [Begin(n, _run(tokens=tokens)) for n in range(rows)]
        return zero.seconds_of(SPEC, begun)

    assert asked(16) <= asked(256) <= asked(512) <= asked(512, 8) <= zero.MOST_SECONDS
    assert asked(4096, 8) == zero.MOST_SECONDS
    # 8 s and 0.05 s for each of 100 tokens, and a tenth of that once more for its row.
    assert asked(100) == 8 + round(100 * 0.05 * 1.1)
    assert zero.seconds_of(SPEC, [Score(1, ScoreRequest(FRANCE))]) == 28


def test_quantized_weights_are_refused_at_the_start() -> None:
    with pytest.raises(PlaygroundError, match="not quantized"):
        zero.hold(ModelSpec("builtin/tiny-base", quantization="nf4"), Path("."), "cpu")
