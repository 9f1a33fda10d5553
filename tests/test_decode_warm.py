"""The KV cache between turns: only what is new is read, and nothing of the text changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import DynamicCache

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message
from playground.core.run import Run
from playground.core.trace import Trace
from playground.decode import warm
from playground.decode.loop import DecodeLoop
from playground.models.loading import Model
from tests.reference import decode, generate
from tests.tiny_models import KINDS, tiny_model

PROMPT = tuple(range(20, 50))
SAMPLED = Decoding(do_sample=True, max_new_tokens=10, min_new_tokens=10)


def one_after_the_other(model: Model, runs: list[Run]) -> list[Trace]:
    """In one loop, each after the end of the one before."""
    loop, traces = DecodeLoop(model), []
    for run in runs:
        trace = Trace(run)
        loop.join(0, run)
        while loop.busy:
            for _, event in loop.step():
                trace = trace.add(event)
        traces.append(trace)
    return traces


def reused(traces: list[Trace]) -> list[int]:
    return [trace.started.reused if trace.started else -1 for trace in traces]


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_turn_reads_only_what_is_new(kind: str) -> None:
    model = tiny_model(kind)
    first = Run(model.spec, Ids(PROMPT), SAMPLED, 1)
    answer = decode(model, [first])[0].ids
    second = Run(model.spec, Ids((*PROMPT, *answer, 5, 6, 7)), SAMPLED, 2)
    read: list[int] = []
    model.lm.register_forward_pre_hook(
        lambda _, __, kwargs: read.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    traces = one_after_the_other(model, [first, second])
    # 30 + 10 tokens, the newest of which was never read; then it and the 3 new ones are.
    assert reused(traces) == [0, 39]
    assert read == [30, *[1] * 9, 4, *[1] * 9]
    for trace in traces:
        assert trace.ids == generate(model, trace)[0]


def test_the_same_prompt_again_reads_one_token() -> None:
    model = tiny_model("llama")
    runs = [
        Run(model.spec, Ids(PROMPT), decoding, 3)
        for decoding in (SAMPLED, SAMPLED, Decoding(num_beams=3, max_new_tokens=6), Decoding())
    ]
    traces = one_after_the_other(model, runs)
    assert reused(traces) == [0, 29, 29, 29]
    assert traces[0].ids == traces[1].ids
    for trace in traces:
        assert trace.ids == generate(model, trace)[0]


def test_an_edited_question_reuses_what_stands_before_it() -> None:
    model = tiny_model("llama")
    ask = [
        Chat((Message("system", "Be brief."), Message("user", text))) for text in ("hello", "how")
    ]
    traces = one_after_the_other(model, [Run(model.spec, prompt, SAMPLED, 4) for prompt in ask])
    assert traces[0].started and traces[1].started
    one, two = (trace.started.prompt_ids for trace in traces if trace.started)
    common = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    assert reused(traces) == [0, common] and common > warm.WORTH_IT
    assert traces[1].ids == generate(model, traces[1])[0]


def test_a_row_that_was_stopped_beside_others_leaves_its_own_cache() -> None:
    """Its columns are cut out of a batch that is padded for a longer row."""
    model = tiny_model("qwen2")
    loop = DecodeLoop(model)
    long = Decoding(max_new_tokens=60, min_new_tokens=60)
    loop.join(0, Run(model.spec, Ids(PROMPT), long))
    loop.join(1, Run(model.spec, Ids(PROMPT[:9]), long))
    for _ in range(8):
        loop.step()
    loop.leave(1)
    loop.step()
    trace = Trace(Run(model.spec, Ids(PROMPT[:9]), SAMPLED, 5))
    loop.join(2, trace.run)
    while loop.busy:
        for key, event in loop.step():
            trace = trace.add(event) if key == 2 else trace
    assert reused([trace]) == [8]
    assert trace.ids == generate(model, trace)[0]


def test_nothing_is_reused_where_that_could_change_a_text() -> None:
    """In 16 bits another shape of the same arithmetic rounds differently, and words may follow."""
    model = tiny_model("llama")
    half = replace(model, lm=tiny_model("llama").lm.to(torch.bfloat16))
    alone = replace(model, card=replace(model.card, lane="alone"))
    for other in (half, alone):
        runs = [Run(other.spec, Ids(PROMPT), SAMPLED, 1)] * 2
        assert reused(one_after_the_other(other, runs)) == [0, 0]


def cache_of(tokens: int) -> DynamicCache:
    cache = DynamicCache()
    states = torch.arange(float(tokens))[None, None, :, None]
    cache.update(states, states, 0)
    return cache


def test_the_longest_unused_is_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = warm.WarmCaches()
    prompts = [tuple([n] * 10) for n in range(5)]
    for ids in prompts[:4]:
        kept.keep(ids, cache_of(10))
    assert kept.find((*prompts[0], 9)) is not None
    kept.keep(prompts[4], cache_of(10))
    assert [kept.find((*ids, 9)) is not None for ids in prompts] == [True, False, True, True, True]
    monkeypatch.setattr(warm, "MOST_BYTES", 2 * 2 * 10 * 4)  # two entries of keys and values
    kept.keep((7,) * 10, cache_of(10))
    assert [kept.find((*ids, 9)) is not None for ids in prompts] == [
        False,
        False,
        False,
        False,
        True,
    ]
    kept.clear()
    assert kept.find((*prompts[4], 9)) is None


def test_a_found_cache_holds_the_common_beginning_only() -> None:
    kept = warm.WarmCaches()
    kept.keep(range(12), cache_of(12))
    found = kept.find([*range(10), 99, 98])
    assert found is not None and found[0] == 10
    layer = found[1].layers[0]
    assert layer.keys is not None and layer.keys.flatten().tolist() == list(range(10))
    # One token is left to read even where all are known.
    again = kept.find(list(range(12)))
    assert again is not None and again[0] == 11
    assert kept.find([0, 1, 2, 3, 4, 5, 6, 99]) is None
