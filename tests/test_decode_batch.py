"""Rows that share a forward do not know of each other: padding, joining, leaving, lanes, caches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import (
    DynamicCache,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from playground.core.decoding import Decoding
from playground.core.events import Finished, Started, Step
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec, Run
from playground.decode import batch as batch_module
from playground.decode import cache as kv
from playground.decode.loop import DecodeLoop
from playground.decode.member import Forwarded
from playground.models.lanes import ALONE, BATCH, RECOMPUTE, WHOLE, new_cache
from playground.models.loading import Model, assemble
from tests.reference import decode, generate
from tests.tiny_models import KINDS, byte_level_tokenizer, tiny_model

LONG, SHORT = list(range(20, 50)), [7, 8, 9]
SAMPLED = Decoding(do_sample=True, max_new_tokens=20)


def largest_difference(model: Model, monkeypatch: pytest.MonkeyPatch) -> float:
    """Between a row's next-token logits in a batch of two and those of its text by itself."""
    found: list[float] = []

    class Watched(batch_module.Batch):
        def forward(self, candidates: int) -> Forwarded:
            said = super().forward(candidates)
            if len(self.members) == 2:
                alone = [model.lm(member.whole(0)).logits[0, -1] for member in self.members]
                found.append(float((said.logits - torch.stack(alone)).abs().max()))
            return said

    monkeypatch.setattr("playground.decode.loop.Batch", Watched)
    decoding = Decoding(max_new_tokens=6, min_new_tokens=6)
    decode(model, [Run(model.spec, Ids(tuple(ids)), decoding) for ids in (LONG, SHORT)])
    assert len(found) >= 4
    return max(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_beside_others_has_the_logits_that_it_has_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert largest_difference(tiny_model(kind), monkeypatch) < 1e-4


def without_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation: padding is read as if it were text."""
    original = batch_module.forward

    def forward(
        lm: Any, ids: torch.Tensor, cache: Any, lengths: Any, with_states: bool = False
    ) -> Any:
        columns = (kv.width(cache) if cache is not None else 0) + ids.shape[1]
        return original(lm, ids, cache, [columns] * len(lengths), with_states)

    monkeypatch.setattr(batch_module, "forward", forward)


def with_padding_on_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation: the cache of a shorter row is filled up on the wrong side."""

    def padded(states: torch.Tensor, stored: int) -> torch.Tensor:
        return torch.nn.functional.pad(states, (0, 0, 0, stored - states.shape[-2]))

    monkeypatch.setattr("playground.models.joining._padded", padded)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mutation", (without_mask, with_padding_on_the_right))
def test_a_wrong_mask_or_side_is_caught(
    kind: str, mutation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the law above is worth: either mistake changes the logits by far more than rounding."""
    mutation(monkeypatch)
    assert largest_difference(tiny_model(kind), monkeypatch) > 0.01


def test_rows_with_the_same_prompt_share_one_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    read: list[torch.Size] = []
    model.lm.register_forward_pre_hook(
        lambda _, __, kwargs: read.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    prompt = Ids(tuple(LONG))
    runs = [Run(model.spec, prompt, SAMPLED, seed) for seed in range(3)]
    traces = decode(
        model, [*runs, Run(model.spec, prompt, Decoding(num_beams=2, max_new_tokens=4))]
    )
    assert read.count(torch.Size([1, 30])) == 1
    assert sum(rows * columns for rows, columns in read if columns > 1) == 30
    assert torch.Size([5, 1]) in read  # three rows and two beams
    assert len({trace.ids for trace in traces}) == 4


def test_a_long_prompt_is_read_in_chunks_while_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("playground.decode.loop.CHUNK", 8)
    model = tiny_model("llama")
    loop = DecodeLoop(model)
    loop.join(0, Run(model.spec, Ids((7,)), Decoding(max_new_tokens=30, min_new_tokens=30)))
    loop.step()
    long = Run(model.spec, Ids(tuple(LONG * 3)), Decoding(max_new_tokens=5, min_new_tokens=5))
    loop.join(1, long)
    told = [loop.step() for _ in range(12)]
    assert [type(e) for k, e in told[0] if k == 1] == [Started]
    # 90 tokens in chunks of 8 take 12 steps; the other row writes one token in each.
    assert all(any(k == 0 and isinstance(e, Step) for k, e in step) for step in told)
    assert [any(k == 1 and isinstance(e, Step) for k, e in step) for step in told] == [
        *[False] * 11,
        True,
    ]
    trace = decode(model, [long])[0]
    assert trace.ids == generate(model, trace)[0]


def mistral(window: int) -> Model:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        sliding_window=window,
        initializer_range=0.35,
        bos_token_id=None,
        eos_token_id=None,
    )
    return assemble(ModelSpec("tiny/mistral"), MistralForCausalLM(config), byte_level_tokenizer())


def test_sliding_windows_are_generate_together() -> None:
    """Rows shorter and longer than the window, joining and leaving, as they slide out of it."""
    model = mistral(window=8)
    assert model.card.lane == BATCH
    lengths = (1, 3, 7, 8, 9, 30, 12, 2)
    runs = [
        Run(model.spec, Ids(tuple(range(9, 9 + n))), replace(SAMPLED, max_new_tokens=6 + 2 * i), i)
        for i, n in enumerate(lengths)
    ]
    for trace in decode(model, runs, joins=[0, 1, 1, 4, 6, 7, 9, 12]):
        assert trace.ids == generate(model, trace)[0]
    beams = Run(model.spec, Ids(tuple(LONG)), Decoding(num_beams=3, max_new_tokens=12))
    trace = decode(model, [beams])[0]
    assert trace.ids == generate(model, trace)[0]


def test_a_model_without_keys_and_values_decodes_alone() -> None:
    """A state-space model has no keys and values; it decodes all the same, and says how."""
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=400,
        hidden_size=16,
        state_size=4,
        num_hidden_layers=2,
        initializer_range=0.3,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=None,
    )
    model = assemble(ModelSpec("tiny/mamba"), MambaForCausalLM(config), byte_level_tokenizer())
    assert model.card.lane == WHOLE and model.card.notices
    runs = [Run(model.spec, Ids(tuple(ids)), SAMPLED, 3) for ids in (LONG, SHORT)]
    for trace in decode(model, runs):
        assert trace.ids == generate(model, trace)[0]


@pytest.mark.parametrize("lane", (ALONE, RECOMPUTE))
def test_the_other_lanes_are_generate_too(lane: str) -> None:
    model = tiny_model("qwen2")
    model = replace(model, card=replace(model.card, lane=lane))
    settings = (SAMPLED, Decoding(max_new_tokens=20), Decoding(num_beams=3, max_new_tokens=8))
    runs = [Run(model.spec, Ids(tuple(p)), d, 5) for p in (LONG, SHORT) for d in settings]
    for trace in decode(model, runs, joins=[0, 0, 1, 2, 3, 4]):
        assert trace.ids == generate(model, trace)[0]


def test_nothing_is_kept_when_all_have_left() -> None:
    model = tiny_model("llama")
    loop = DecodeLoop(model)
    for key in range(4):
        loop.join(key, Run(model.spec, Raw("hello"), replace(SAMPLED, max_new_tokens=3 + key), key))
    ends = []
    while loop.busy:
        ends += [event for _, event in loop.step() if isinstance(event, Finished)]
    assert len(ends) == 4
    assert not loop._batches and not loop._prefills and not loop._waiting
    assert loop.step() == []


def cache_of(*rows: list[float]) -> DynamicCache:
    """A cache with one layer, one head, one number per token."""
    cache = new_cache(tiny_model("llama", num_hidden_layers=1).lm)
    states = torch.tensor(rows)[:, None, :, None]
    cache.update(states, -states, 0)
    return cache


def numbers(cache: DynamicCache) -> list[list[float]]:
    layer: Any = cache.layers[0]
    assert torch.equal(layer.keys, -layer.values)
    return [row.flatten().tolist() for row in layer.keys]


def test_joined_caches_are_aligned_on_the_right() -> None:
    joined = kv.join([cache_of([1, 2, 3]), cache_of([4], [5])])
    assert numbers(joined) == [[1, 2, 3], [0, 0, 4], [0, 0, 5]]
    kv.select(joined, [2, 1, 1])
    assert numbers(joined) == [[0, 0, 5], [0, 0, 4], [0, 0, 4]]
    kv.trim(joined, 1)
    assert numbers(joined) == [[5], [4], [4]]
    assert kv.width(joined) == 1


def test_a_copy_leaves_its_source_alone() -> None:
    source = cache_of([1, 2])
    twin = kv.copy(source, [0, 0])
    twin.update(torch.full((2, 1, 1, 1), 9.0), torch.full((2, 1, 1, 1), -9.0), 0)
    assert numbers(twin) == [[1, 2, 9], [1, 2, 9]]
    assert numbers(source) == [[1, 2]]


def test_a_snapshot_brings_back_what_was() -> None:
    cache = cache_of([1, 2])
    before = kv.Snapshot(cache)
    cache.update(torch.ones(1, 1, 1, 1), -torch.ones(1, 1, 1, 1), 0)
    assert kv.width(cache) == 3
    before.restore()
    assert numbers(cache) == [[1, 2]] and kv.width(cache) == 2
