"""A fault in one run leaves every other run as it was, and what was written stays."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Started, Step
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import Run
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.models.loading import Model
from tests.reference import decode
from tests.tiny_models import tiny_model

LONG, SHORT = Ids(tuple(range(20, 50))), Ids((7, 8, 9))
GREEDY = Decoding(max_new_tokens=20, min_new_tokens=20)


@pytest.fixture
def model() -> Model:
    return tiny_model("llama")


def watch(model: Model, runs: list[Run], act: Callable[[int, DecodeLoop], None]) -> list[Trace]:
    """Decode; ``act`` is called before every step with its number."""
    loop = DecodeLoop(model)
    traces = [Trace(run) for run in runs]
    for key, run in enumerate(runs):
        loop.join(key, run)
    step = 0
    while loop.busy:
        act(step, loop)
        for key, event in loop.step():
            traces[key] = traces[key].add(event)
        step += 1
        assert step < 500
    return traces


def spoil(model: Model, when: int, fault: Callable[[Any], Any]) -> None:
    """Let ``fault`` change or replace by an exception the ``when``-th batched forward."""
    count = 0

    def hook(_: Any, __: Any, output: Any) -> None:
        nonlocal count
        if output.logits.shape[0] > 1:
            count += 1
            if count == when:
                fault(output)

    model.lm.register_forward_hook(hook)


def raising(error: BaseException) -> Callable[[Any], Any]:
    def fault(_: Any) -> None:
        raise error

    return fault


@pytest.mark.parametrize("value", (float("nan"), float("inf")))
def test_broken_logits_end_their_row_only(model: Model, value: float) -> None:
    runs = [Run(model.spec, prompt, GREEDY) for prompt in (LONG, SHORT)]
    whole = [trace.ids for trace in decode(model, runs)]

    def poison(output: Any) -> None:
        output.logits[0, -1, 5] = value

    spoil(model, 4, poison)
    broken, other = decode(model, runs)
    assert broken.problem is not None and broken.problem.code == "NAN_LOGITS"
    assert f"token {len(broken.ids) + 1} " in broken.problem.message
    assert 0 < len(broken.ids) < 20 and broken.ids == whole[0][: len(broken.ids)]
    assert other.problem is None and other.ids == whole[1]


def test_broken_weights_never_give_an_answer() -> None:
    """With NaN weights greedy search of the library looks fine, and writes token 0 for ever."""
    model = tiny_model("llama")
    model.lm.model.norm.weight.fill_(float("nan"))
    for decoding in (GREEDY, Decoding(do_sample=True), Decoding(num_beams=3)):
        trace = decode(model, [Run(model.spec, SHORT, decoding)])[0]
        assert trace.problem is not None and trace.problem.code == "NAN_LOGITS"
        assert trace.ids == ()


@pytest.mark.parametrize(
    "error",
    (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ),
)
def test_memory_that_ends_takes_the_longest_row_only(model: Model, error: BaseException) -> None:
    runs = [Run(model.spec, prompt, GREEDY) for prompt in (SHORT, LONG)]
    whole = [trace.ids for trace in decode(model, runs)]
    spoil(model, 5, raising(error))
    short, long = decode(model, runs, loop=DecodeLoop(model, capture=False))
    assert long.problem is not None and long.problem.code == "OOM"
    assert 0 < len(long.ids) < 20 and long.ids == whole[1][: len(long.ids)]
    # The forward that broke off had grown the cache of some layers: it is rolled back.
    assert short.problem is None and short.ids == whole[0]


def test_a_forward_that_breaks_off_in_the_middle_is_rolled_back(model: Model) -> None:
    """The first layer's cache has the new token already when the second runs out of memory."""
    runs = [Run(model.spec, prompt, GREEDY) for prompt in (SHORT, LONG)]
    whole = [trace.ids for trace in decode(model, runs)]
    layer, count = model.lm.model.layers[1], 0

    def hook(_: Any, args: Any) -> None:
        nonlocal count
        count += args[0].shape[0] > 1
        if count == 6:
            count += 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    layer.register_forward_pre_hook(hook)
    short, long = decode(model, runs, loop=DecodeLoop(model, capture=False))
    assert long.problem is not None and long.problem.code == "OOM"
    assert short.ids == whole[0]


@pytest.mark.parametrize(
    "place", ("playground.decode.batch.read", "playground.decode.cache.select")
)
def test_memory_that_ends_between_the_forwards_fails_each_row_once(
    model: Model, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log-softmax of a large vocabulary, and the copy when a row leaves, need memory too."""
    short = Decoding(max_new_tokens=6, min_new_tokens=6)
    runs = [Run(model.spec, p, d) for p, d in ((SHORT, short), (LONG, GREEDY), (Ids((5,)), GREEDY))]
    whole = [trace.ids for trace in decode(model, runs)]
    module, name = place.rsplit(".", 1)
    original, count = getattr(importlib.import_module(module), name), 0

    def failing(*given: Any) -> Any:
        nonlocal count
        rows = given[0].shape[0] if name == "read" else len(given[1])
        count += rows == 2 or count > 0
        if count == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(*given)

    monkeypatch.setattr(place, failing)
    loop = DecodeLoop(model)
    told: list[tuple[int, Event]] = []
    for key, run in enumerate(runs):
        loop.join(key, run)
    while loop.busy:
        told += loop.step()
    assert count > 0
    for key in range(3):
        mine = [event for k, event in told if k == key]
        ends = [event for event in mine if isinstance(event, Finished | Failed)]
        assert len(ends) == 1 and ends[0] is mine[-1]
        ids = tuple(event.id for event in mine if isinstance(event, Step))
        assert ids == whole[key][: len(ids)]
    again = [Run(model.spec, SHORT, short)]
    assert decode(model, again)[0].ids == whole[0]


def test_memory_that_ends_in_the_prefill_takes_that_prompt_only(model: Model) -> None:
    runs = [Run(model.spec, prompt, GREEDY) for prompt in (SHORT, LONG, Ids((50,)))]
    whole = [trace.ids for trace in decode(model, runs)]

    def hook(_: Any, __: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] == 30:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.lm.register_forward_pre_hook(hook, with_kwargs=True)
    short, long, other = decode(model, runs)
    assert long.problem is not None and long.problem.code == "OOM" and long.started is not None
    assert (short.ids, other.ids) == (whole[0], whole[2])


def test_a_forward_that_raises_fails_its_rows_and_the_next_run_works(model: Model) -> None:
    runs = [Run(model.spec, prompt, GREEDY) for prompt in (SHORT, LONG)]
    whole = [trace.ids for trace in decode(model, runs)]
    spoil(model, 3, raising(RuntimeError("shapes do not fit\nmany more lines")))
    for trace in decode(model, runs):
        assert trace.problem is not None
        assert trace.problem.message == "The model llama broke off: shapes do not fit"
    assert [trace.ids for trace in decode(model, runs)] == whole


def test_a_broken_device_is_not_swallowed(model: Model) -> None:
    """After a device-side assert every call fails: the process must be replaced."""
    error = torch.AcceleratorError("device-side assert triggered")
    spoil(model, 2, raising(error))
    with pytest.raises(torch.AcceleratorError):
        decode(model, [Run(model.spec, prompt, GREEDY) for prompt in (SHORT, LONG)])


def test_a_prompt_that_cannot_be_fails_alone(model: Model) -> None:
    runs = [
        Run(model.spec, SHORT, GREEDY),
        Run(model.spec, Ids((400,)), GREEDY),
        Run(model.spec, Ids((7,) * 160), GREEDY),
    ]
    good, unknown, long = decode(model, runs)
    assert good.problem is None and len(good.ids) == 20
    assert unknown.problem is not None and unknown.problem.code == "VALIDATION"
    assert long.problem is not None and long.problem.code == "CONTEXT_OVERFLOW"


def test_no_template_is_a_failure_of_the_run() -> None:
    model = tiny_model("llama", chat=False)
    trace = decode(model, [Run(model.spec, Chat((Message("user", "hello"),)))])[0]
    assert trace.problem is not None and trace.problem.code == "TEMPLATE"
    assert trace.started is None


def test_settings_that_leave_no_distribution_are_explained(model: Model) -> None:
    """Logits over 1e-38 are infinite; the library says "probability tensor contains inf"."""
    cold = Run(model.spec, SHORT, Decoding(do_sample=True, temperature=1e-38))
    trace, other = decode(model, [cold, Run(model.spec, LONG, GREEDY)])
    assert trace.problem is not None and trace.problem.code == "VALIDATION"
    assert trace.problem.field == "temperature"
    assert len(other.ids) == 20


@pytest.mark.parametrize("stop_at", (0, 1, 5))
@pytest.mark.parametrize("beams", (1, 3))
def test_who_leaves_keeps_the_text(model: Model, stop_at: int, beams: int) -> None:
    """Before the first token, after it, and in the middle; twice is as good as once."""
    decoding = Decoding(num_beams=beams, max_new_tokens=20, min_new_tokens=20)
    runs = [Run(model.spec, LONG, decoding), Run(model.spec, SHORT, GREEDY)]
    whole = decode(model, runs)

    def act(step: int, loop: DecodeLoop) -> None:
        if step == stop_at:
            loop.leave(0)
            loop.leave(0)

    stopped, other = watch(model, runs, act)
    assert stopped.finished is not None and stopped.finished.reason == "stopped"
    assert len(stopped.ids) == stopped.finished.new_tokens == (stop_at if stop_at else 0)
    if beams == 1:
        assert stopped.ids == whole[0].ids[:stop_at]
    assert other.ids == whole[1].ids and other.finished is not None
    assert other.finished.reason == "length"


def test_a_run_can_be_stopped_while_its_prompt_is_read(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.decode.loop.CHUNK", 8)

    def act(step: int, loop: DecodeLoop) -> None:
        if step == 2:
            loop.leave(0)

    runs = [Run(model.spec, LONG, GREEDY), Run(model.spec, SHORT, GREEDY)]
    stopped, other = watch(model, runs, act)
    assert stopped.finished is not None and stopped.finished.reason == "stopped"
    assert stopped.ids == () and stopped.started is not None
    assert len(other.ids) == 20


def test_leaving_when_nobody_is_there_is_harmless(model: Model) -> None:
    loop = DecodeLoop(model)
    loop.leave(3)
    assert loop.step() == []
    loop.join(3, Run(model.spec, SHORT, Decoding(max_new_tokens=2, min_new_tokens=2)))
    told: list[Event] = []
    while loop.busy:
        told += [event for _, event in loop.step()]
    assert [type(e) for e in told] == [Started, Step, Step, Finished]


def test_every_run_ends_in_exactly_one_way(model: Model) -> None:
    """Twenty runs, some wrong, some stopped: each tells one end, and nothing after it."""
    prompts = (SHORT, LONG, Raw("hello"), Ids((999,)))
    runs = [
        Run(model.spec, prompts[i % 4], Decoding(do_sample=True, max_new_tokens=3 + i), i)
        for i in range(20)
    ]
    loop = DecodeLoop(model)
    told: dict[int, list[Event]] = {i: [] for i in range(20)}
    for key, run in enumerate(runs):
        loop.join(key, run)
        if key % 3 == 2:
            loop.leave(key - 1)
        for k, event in loop.step():
            told[k].append(event)
    while loop.busy:
        for k, event in loop.step():
            told[k].append(event)
    for mine in told.values():
        ends = [isinstance(event, Finished | Failed) for event in mine]
        assert ends.count(True) == 1 and ends[-1]
