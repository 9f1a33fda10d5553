"""The KV cache between turns: only what is new is read, and nothing of the text changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import (
    DynamicCache,
    Lfm2Config,
    Lfm2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode import warm
from playground.decode.loop import DecodeLoop
from playground.models.lanes import BATCH
from playground.models.loading import Model, assemble
from tests.reference import decode, generate
from tests.tiny_models import KINDS, byte_level_tokenizer, tiny_model

PROMPT = tuple(range(20, 50))
SAMPLED = Decoding(do_sample=True, max_new_tokens=10, min_new_tokens=10)


def one_after_the_other(model: Model, runs: list[Run]) -> list[Trace]:
    """In one loop, each after the end of the one before."""
    loop, traces = DecodeLoop(model, capture=False), []  # what is replayed calls no forward
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
    assert reused(traces) == [0, 29, 29, 30]
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


def sliding_model() -> Model:
    """Mistral with a window of 8: what has left the window cannot be brought back."""
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=8,
        max_position_embeddings=160, initializer_range=0.3,
    )
    lm = MistralForCausalLM(config)
    return assemble(ModelSpec("tiny/mistral"), lm, byte_level_tokenizer())


def hybrid_model() -> Model:
    """LFM2: convolutions, whose states are written in place, beside attention."""
    torch.manual_seed(0)
    config = Lfm2Config(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=160,
        layer_types=["conv", "full_attention", "conv"], block_multiple_of=8,
        initializer_range=0.3,
    )
    return assemble(ModelSpec("tiny/lfm2"), Lfm2ForCausalLM(config), byte_level_tokenizer())


@pytest.mark.parametrize(("make", "lane"), [(sliding_model, BATCH), (hybrid_model, BATCH)])
def test_a_cache_that_cannot_be_cropped_serves_whole(
    make: Callable[[], Model], lane: str
) -> None:
    """The next turn begins with all of it; the same prompt again needs no forward at all."""
    model = make()
    assert model.card.lane == lane
    first = Run(model.spec, Ids(PROMPT), SAMPLED, 1)
    answer = decode(model, [first])[0].ids
    turn = Run(model.spec, Ids((*PROMPT, *answer, 5, 6, 7)), SAMPLED, 2)
    edited = Run(model.spec, Ids((*PROMPT[:20], 5, 6, 7)), SAMPLED, 3)
    beams = Run(model.spec, Ids(PROMPT), Decoding(num_beams=2, max_new_tokens=4))
    traces = one_after_the_other(model, [first, turn, first, edited, beams, turn])
    assert reused(traces) == [0, 39, 30, 0, 30, 43]
    for trace in traces:
        assert trace.ids == generate(model, trace)[0]


def test_prompts_that_wait_for_each_other_share_how_they_begin() -> None:
    """Two questions under one system prompt, sent at once: the second reads its own words only."""
    model = tiny_model("llama")
    runs = [Run(model.spec, Ids((*PROMPT, *end)), SAMPLED, 1) for end in ((5, 6), (7, 8, 9))]
    traces = decode(model, runs)
    assert reused(traces) == [0, 30]
    for trace in traces:
        assert trace.ids == generate(model, trace)[0]


def test_sixteen_bits_reuse_unless_asked_to_decode_alone() -> None:
    """Another shape of the same arithmetic rounds differently there, as company does."""
    model = tiny_model("llama")
    half = replace(model, lm=tiny_model("llama").lm.to(torch.bfloat16))
    runs = [Run(half.spec, Ids(PROMPT), SAMPLED, 1)] * 2
    assert reused(one_after_the_other(half, runs)) == [0, 29]
    alone = [replace(run, decoding=replace(SAMPLED, alone=True)) for run in runs]
    traces = one_after_the_other(half, [*alone, *runs])
    assert reused(traces)[:2] == [0, 0]
    assert traces[0].ids == traces[1].ids == generate(half, traces[0])[0]


def test_decoding_alone_is_generate_in_sixteen_bits_whatever_else_runs() -> None:
    model = tiny_model("llama")
    half = replace(model, lm=tiny_model("llama").lm.to(torch.bfloat16))
    company = [Run(half.spec, Ids(PROMPT[n:]), SAMPLED, n) for n in range(5)]
    mine = Run(half.spec, Ids(PROMPT), replace(SAMPLED, alone=True), 9)
    trace = decode(half, [*company, mine], joins=[0, 0, 1, 2, 3, 1])[-1]
    assert trace.ids == generate(half, trace)[0]


def cache_of(tokens: int) -> DynamicCache:
    cache = DynamicCache()
    states = torch.arange(float(tokens))[None, None, :, None]
    cache.update(states, states, 0)
    return cache


def test_the_longest_unused_is_dropped_first() -> None:
    three = 3 * 2 * 10 * 4  # bytes: three entries of keys and values
    kept = warm.WarmCaches(three)
    prompts = [tuple([n] * 10) for n in range(4)]
    for ids in prompts[:3]:
        kept.keep(ids, cache_of(10))
    assert kept.find((*prompts[0], 9)) is not None
    kept.keep(prompts[3], cache_of(10))
    assert [kept.find((*ids, 9)) is not None for ids in prompts] == [True, False, True, True]
    for n in range(50):
        kept.keep([100 + n] * 2, cache_of(2))
    assert len(kept._entries) <= warm.MOST_ENTRIES
    kept.clear()
    assert kept.find((*prompts[3], 9)) is None


def test_a_found_cache_holds_the_common_beginning_only() -> None:
    kept = warm.WarmCaches()
    kept.keep(range(12), cache_of(12))
    found = kept.find([*range(10), 99, 98])
    assert found is not None and found.tokens == 10 and found.logits is None
    layer = found.cache.layers[0]
    assert layer.keys is not None and layer.keys.flatten().tolist() == list(range(10))
    # One token is left to read where all are known, unless what follows it is known as well.
    again = kept.find(list(range(12)))
    assert again is not None and again.tokens == 11
    logits = torch.ones(1, 4)
    kept.keep(range(12), cache_of(12), logits)
    whole = kept.find(list(range(12)))
    assert whole is not None and whole.tokens == 12 and whole.logits is logits
    assert kept.find([0, 1, 2, 3, 4, 5, 6, 99]) is None
