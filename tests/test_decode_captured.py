"""Steps of fixed shapes: the same ids as any other step, and the cache of the row is still its own.

Without a CUDA device the same code runs with nothing recorded: the buffers, the mask, the position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import Fork, ModelSpec, Run
from playground.decode import captured
from playground.decode.captured import CapturedStep, Recording
from playground.decode.loop import DecodeLoop
from playground.models.lanes import BATCH, cache_argument, new_cache
from playground.models.loading import Model, assemble
from tests.architectures import CORE, lane_of, tiny
from tests.reference import decode, generate
from tests.tiny_models import KINDS, byte_level_tokenizer, tiny_model

PROMPT = tuple(range(20, 50))
GREEDY = Decoding(max_new_tokens=24, min_new_tokens=24)
SAMPLED = Decoding(do_sample=True, max_new_tokens=24, min_new_tokens=24)
BATCHED = [kind for kind in CORE if lane_of(kind) == BATCH]
# Those with a layer that holds a window only, or states, decode as before.
FULL = {"llama", "gpt2", "qwen2", "qwen3", "phi", "gptj", "gpt_neox", "opt", "olmo2", "granite"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded from the second step of a shape on, because these texts are short."""
    monkeypatch.setattr(captured, "PATIENCE", 1)


def loop_of(model: Model) -> tuple[DecodeLoop, CapturedStep]:
    loop = DecodeLoop(model, capture=True)
    assert loop._captured is not None
    return loop, loop._captured


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_generate(kind: str, decoding: Decoding) -> None:
    model = tiny_model(kind)
    loop, steps = loop_of(model)
    (trace,) = decode(model, [Run(model.spec, Ids(PROMPT), decoding, 5)], loop=loop)
    assert trace.ids == generate(model, trace)[0]
    assert steps.shapes == ((1, 256),) and steps.steps >= 20


@pytest.mark.parametrize("kind", BATCHED)
def test_every_architecture_takes_them_or_decodes_as_before(kind: str) -> None:
    lm = tiny(kind)
    model = assemble(ModelSpec(f"tiny/{kind}"), lm, byte_level_tokenizer())
    loop, steps = loop_of(model)
    runs = [Run(model.spec, Ids(PROMPT), SAMPLED, seed) for seed in (1, 2)]
    one, other = (decode(model, [run], loop=loop)[0] for run in runs)
    alone = [decode(model, [run])[0] for run in runs]
    assert [one.ids, other.ids] == [trace.ids for trace in alone]
    if kind in FULL:
        assert steps.usable and steps.steps > 20, "none of them was of fixed shapes"


def test_rows_join_and_leave_a_row_that_was_alone() -> None:
    model = tiny_model("llama")
    loop, steps = loop_of(model)
    runs = [Run(model.spec, Ids(PROMPT), replace(SAMPLED, max_new_tokens=n, min_new_tokens=n), n)
            for n in (40, 6, 9)]
    traces = decode(model, runs, joins=[0, 8, 12], loop=loop)
    for trace in traces:
        assert trace.ids == generate(model, trace)[0]
    assert steps.steps > 15


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_takes_them_too(kind: str) -> None:
    """Prompts of several lengths, so padding on the left; ten rows leave one after the other, which
    the shapes for twelve, eight, six, four, three, two and one hold in turn."""
    model = tiny_model(kind)
    loop, steps = loop_of(model)
    runs = [Run(model.spec, Ids(PROMPT[: 3 + 2 * n]), replace(
        SAMPLED, max_new_tokens=10 + 5 * n, min_new_tokens=10 + 5 * n, top_k=20 * n), n)
        for n in range(10)]
    for trace in decode(model, runs, loop=loop):
        assert trace.ids == generate(model, trace)[0]
    assert [rows for rows, _ in steps.shapes] == [12, 8, 6, 4, 3, 2, 1]
    assert steps.steps > 25


@pytest.mark.parametrize("decoding", [
    Decoding(num_beams=4, max_new_tokens=20),
    Decoding(do_sample=True, num_beams=3, max_new_tokens=20),
    Decoding(guidance_scale=1.7, max_new_tokens=20),
], ids=["beams", "beam sampling", "guidance"])
def test_members_of_several_texts_take_them_too(decoding: Decoding) -> None:
    model = tiny_model("qwen2")
    loop, steps = loop_of(model)
    runs = [Run(model.spec, Ids(PROMPT), decoding, 3), Run(model.spec, Ids(PROMPT[:9]), SAMPLED, 2)]
    for trace in decode(model, runs, loop=loop):
        assert trace.ids == generate(model, trace)[0]
    assert steps.steps > 10


def test_a_shape_is_recorded_once_it_was_asked_for_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A recording costs as much as some plain steps, which a run of three tokens never gets back;
    many short runs do."""
    monkeypatch.setattr(captured, "PATIENCE", 4)
    model = tiny_model("llama")
    loop, steps = loop_of(model)
    short = replace(GREEDY, max_new_tokens=4, min_new_tokens=4)
    decode(model, [Run(model.spec, Ids(PROMPT), short)], loop=loop)
    assert steps.shapes == ()
    decode(model, [Run(model.spec, Ids(PROMPT[:7]), short)], loop=loop)
    assert steps.shapes == ((1, 256),)


def test_what_was_not_used_for_longest_gives_its_buffers_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("llama")
    layers = _read(model).layers
    each = sum(one.keys[0, :, :1].nbytes + one.values[0, :, :1].nbytes for one in layers)
    monkeypatch.setattr(captured, "MOST_BYTES", 256 * 3 * each)  # one and two rows, or three
    loop, steps = loop_of(model)
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 1)
    for count, shapes in ((1, [1]), (2, [1, 2]), (1, [2, 1]), (3, [3]), (4, [3])):
        runs = [replace(run, seed=seed) for seed in range(count)]
        for trace in decode(model, runs, loop=loop):
            assert trace.ids == generate(model, trace)[0]
        assert [rows for rows, _ in steps.shapes] == shapes


def _read(model: Model) -> DynamicCache:
    """A cache that holds the prompt."""
    cache = new_cache(model.lm)
    model.lm(torch.tensor([PROMPT]), **{cache_argument(model.lm): cache})
    return cache


def test_two_rows_that_take_turns_keep_each_their_own_cache() -> None:
    """One is paused while the other decodes: the buffers go from one to the other and back."""
    model = tiny_model("llama")
    loop, steps = loop_of(model)
    runs = [Run(model.spec, Ids(PROMPT), SAMPLED, 1), Run(model.spec, Ids(PROMPT[:9]), SAMPLED, 2)]
    expected = [decode(model, [run])[0].ids for run in runs]
    told: dict[int, list[int]] = {0: [], 1: []}
    for key, run in enumerate(runs):
        loop.join(key, run)
    for turn in range(200):
        loop.pace(0, None if turn // 3 % 2 else 0)
        loop.pace(1, 0 if turn // 3 % 2 else None)
        for key, event in loop.step():
            told[key] += [event.id] if hasattr(event, "piece") else []
    assert [tuple(ids) for ids in told.values()] == expected
    assert steps.steps > 20


def test_what_was_read_is_kept_and_forked_as_ever() -> None:
    model = tiny_model("qwen2")
    loop, steps = loop_of(model)
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 3)
    (trace,) = decode(model, [run], loop=loop)
    fork = replace(run, fork=Fork(trace.ids[:10], (trace.steps[10].candidates[1].id,)), seed=4)
    (forked,) = decode(model, [fork], loop=loop)
    assert forked.started is not None and forked.started.reused > len(PROMPT)
    assert forked.ids == generate(model, forked)[0] or forked.ids[1:] == generate(model, forked)[0]
    (plain,) = decode(model, [fork])
    assert forked.ids == plain.ids


def test_buffers_double_and_what_is_too_large_decodes_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("llama")
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 7)
    (expected,) = decode(model, [run])
    monkeypatch.setattr(captured, "LEAST", 16)
    loop, steps = loop_of(model)
    (trace,) = decode(model, [run], loop=loop)
    assert trace.ids == expected.ids and steps.shapes == ((1, 32), (1, 64))
    monkeypatch.setattr(captured, "MOST_BYTES", 1)
    loop, steps = loop_of(model)
    (trace,) = decode(model, [run], loop=loop)
    assert trace.ids == expected.ids and steps.steps == 0


def _wrong(step: Recording, newest: torch.Tensor, *_: Any) -> torch.Tensor:
    return torch.randn(1, 400, device=newest.device)


def _broken(step: Recording, *_: Any) -> torch.Tensor:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("step", [_wrong, _broken], ids=["other logits", "no capture"])
def test_steps_that_are_not_to_be_believed_are_given_up(
    step: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama")
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 7)
    (expected,) = decode(model, [run])
    monkeypatch.setattr(Recording, "step", step)
    loop, steps = loop_of(model)
    (trace,) = decode(model, [run], loop=loop)
    assert trace.ids == expected.ids and not steps.usable


def test_no_memory_for_buffers_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were made outside of what is tried, so the longest run was ended for want of them."""
    model = tiny_model("llama")
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 7)
    (expected,) = decode(model, [run])
    tried = 0

    def none_left(*_: Any) -> None:
        nonlocal tried
        tried += 1
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(captured.FixedLayer, "__init__", none_left)
    loop, steps = loop_of(model)
    (trace,) = decode(model, [run], loop=loop)
    assert trace.problem is None and trace.ids == expected.ids
    assert tried > 1 and steps.usable, "it is tried again when there may be memory"


def test_off_a_cuda_device_nobody_pays_for_them() -> None:
    loop = DecodeLoop(replace(tiny_model("llama"), lm=tiny_model("llama").lm.cpu()))
    assert loop._captured is None


@pytest.mark.gpu
def test_a_recorded_step_gives_the_ids_of_a_plain_one() -> None:
    model = tiny_model("llama")
    model.lm.to("cuda")
    model = replace(model, card=replace(model.card, device="cuda:0"))
    run = Run(model.spec, Ids(PROMPT), SAMPLED, 5)
    (expected,) = decode(model, [run], loop=DecodeLoop(model, capture=False))
    loop, steps = loop_of(model)
    (trace,) = decode(model, [run], loop=loop)
    assert trace.ids == expected.ids and steps.steps > 20
