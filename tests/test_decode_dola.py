"""DoLa: ids equal a reference after the library's 4.55 that reads the whole text for each token."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from playground.core.decoding import PRESETS, Decoding
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.dola import Contrast, early_layers, furthest
from playground.models.head import Head, head_of
from playground.models.lanes import ALONE, RECOMPUTE
from playground.models.loading import Model, assemble
from tests.reference import decode
from tests.tiny_models import byte_level_tokenizer, tiny_model

PROMPTS = (Raw("The capital of France is"), Ids(tuple(range(20, 50))), Ids((7,)))
SIZES: dict[str, Any] = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 160, "initializer_range": 0.3, "bos_token_id": None,
    "eos_token_id": None, "pad_token_id": None,
}
# Kind, layers (by the name that its config has for it), and which half.
CASES = (
    ("llama", {"num_hidden_layers": 6}, "low"),
    ("llama", {"num_hidden_layers": 6}, "high"),
    ("llama", {}, "low"),
    ("gpt2", {"n_layer": 8}, "low"),
    ("gpt2", {"n_layer": 8}, "high"),
    ("gpt2", {}, "high"),
    ("qwen2", {"num_hidden_layers": 5}, "low"),
    ("qwen2", {"num_hidden_layers": 7}, "high"),
)


@cache
def model(kind: str, *sizes: tuple[str, int]) -> Model:
    return tiny_model(kind, **dict(sizes))


def reference(
    model: Model, trace: Trace, head: Callable[[Tensor], Tensor] | None = None
) -> tuple[int, ...]:
    """New ids by ``_dola_decoding`` of transformers 4.55, one whole forward for each."""
    d, lm = trace.run.decoding, model.lm
    assert trace.started is not None
    head = head or lm.get_output_embeddings()
    count = lm.config.num_hidden_layers
    start = 0 if not lm.config.tie_word_embeddings else {1: 0, 2: 1}.get(count, 2)
    if d.dola_layers == "low":
        layers = [start] if start == count // 2 else list(range(start, count // 2, 2))
    else:
        layers = list(range(count // 2, count, 2))
    processors: list[Any] = []
    if d.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(d.repetition_penalty))
    if d.do_sample:
        processors += [TemperatureLogitsWarper(d.temperature), TopKLogitsWarper(d.top_k)]
    chain, dice = LogitsProcessorList(processors), torch.Generator().manual_seed(trace.run.seed)
    ids = torch.tensor([trace.started.prompt_ids])
    while ids.shape[1] - len(trace.started.prompt_ids) < d.max_new_tokens:
        out = lm(ids, output_hidden_states=True, use_cache=False)
        final = out.logits[:, -1]
        early = {layer: head(out.hidden_states[layer][:, -1]) for layer in layers}
        apart = {layer: divergence(final[0], logits[0]) for layer, logits in early.items()}
        base = early[max(apart, key=lambda layer: apart[layer])].log_softmax(-1)
        last = final.log_softmax(-1)
        low = last < last.max() + math.log(0.1)
        base[low], last[low] = -1e-3, -math.inf
        scores = chain(ids, last - base)
        newest = scores.argmax(-1, keepdim=True)
        if d.do_sample:
            newest = torch.multinomial(scores.softmax(-1), 1, generator=dice)
        ids = torch.cat([ids, newest], dim=1)
    return tuple(ids[0, len(trace.started.prompt_ids) :].tolist())


def divergence(last: Tensor, early: Tensor) -> float:
    """Mean over the vocabulary of (M ln M/P + M ln M/Q) / 2, with M between P and Q."""
    m = (last.softmax(-1) + early.softmax(-1)) / 2
    ln_p, ln_q = last.log_softmax(-1), early.log_softmax(-1)
    parts = torch.where(m > 0, m * (m.log() - (ln_p + ln_q) / 2), 0.0)
    return float(parts.mean())


def settings(which: Any, tokens: int = 10) -> list[Decoding]:
    plain = Decoding(dola_layers=which, max_new_tokens=tokens, min_new_tokens=tokens)
    drawn = replace(plain, do_sample=True, temperature=1.4, top_k=20)
    return [plain, replace(plain, repetition_penalty=1.2), drawn]


@pytest.mark.parametrize(("kind", "sizes", "which"), CASES)
def test_dola_is_the_library(kind: str, sizes: dict[str, int], which: str) -> None:
    m = model(kind, *sizes.items())
    runs = [Run(m.spec, PROMPTS[0], decoding, 3) for decoding in settings(which)]
    plain = decode(m, [Run(m.spec, PROMPTS[0], Decoding(max_new_tokens=10, min_new_tokens=10))])
    for run in runs:
        trace = decode(m, [run])[0]
        assert trace.started is not None and not trace.started.notices
        assert trace.ids == reference(m, trace)
        assert trace.ids != plain[0].ids


def test_dola_beside_others_is_the_library() -> None:
    m = model("gpt2", ("n_layer", 8))
    others = [Run(m.spec, p, Decoding(do_sample=True, max_new_tokens=14), 9) for p in PROMPTS]
    runs = [Run(m.spec, p, d, 4) for p in PROMPTS for d in settings("high")]
    traces = decode(m, [*others, *runs], joins=[i % 5 for i in range(len(others) + len(runs))])
    for trace in traces[len(others) :]:
        assert trace.ids == reference(m, trace)
    for trace in traces[: len(others)]:
        assert trace.ids == decode(m, [trace.run])[0].ids


@pytest.mark.parametrize("lane", (ALONE, RECOMPUTE))
def test_dola_in_the_other_lanes_is_the_library(lane: str) -> None:
    m = model("llama", ("num_hidden_layers", 6))
    m = replace(m, card=replace(m.card, lane=lane))
    for trace in decode(m, [Run(m.spec, p, settings("low", 6)[2], 4) for p in PROMPTS]):
        assert trace.ids == reference(m, trace)


def test_dola_alone_is_the_library() -> None:
    m = model("llama", ("num_hidden_layers", 6))
    decoding = replace(settings("high")[0], alone=True)
    trace = decode(m, [Run(m.spec, PROMPTS[1], decoding)])[0]
    assert trace.ids == reference(m, trace)


def test_a_long_prompt_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    m = model("llama", ("num_hidden_layers", 6))
    monkeypatch.setattr("playground.decode.loop.CHUNK", 8)
    trace = decode(m, [Run(m.spec, PROMPTS[1], settings("high")[0])])[0]
    assert trace.ids == reference(m, trace)


@pytest.mark.parametrize(
    ("which", "layers", "tied", "expected"),
    (
        ("low", 1, False, (0,)),
        ("low", 1, True, (0,)),
        ("high", 1, True, (0,)),
        ("low", 2, False, (0,)),
        ("low", 2, True, (1,)),
        ("high", 2, False, (1,)),
        ("low", 3, False, (0,)),
        ("low", 3, True, ()),
        ("high", 3, True, (1,)),
        ("low", 4, True, (2,)),
        ("low", 12, True, (2, 4)),
        ("low", 12, False, (0, 2, 4)),
        ("high", 12, True, (6, 8, 10)),
        ("low", 40, False, tuple(range(0, 20, 2))),
        ("low", 41, True, tuple(range(2, 20, 2))),
        ("high", 80, False, tuple(range(60, 80, 2))),
    ),
)
def test_which_layers_may_be_contrasted(
    which: str, layers: int, tied: bool, expected: tuple[int, ...]
) -> None:
    """The library's rule; where it leaves none (three layers, tied) the library breaks off."""
    assert early_layers(which, layers, tied) == expected


def test_the_contrast_by_hand() -> None:
    """Last layer 8/16, 4/16, 3/16, 1/16; early 1/4 each; the last of the tokens has 1/8 of the
    likeliest one's probability and stays. Logits 2, 1, 3/4, 1/4 times as likely as before."""
    contrast = Contrast(Head(1, torch.nn.Identity()), (0,))
    contrast._head = lambda states: states  # type: ignore[assignment, misc]
    contrast.states = (torch.zeros(1, 4), torch.tensor([[5.0, 1.0, 1.0, 1.0]]))
    last = torch.tensor([[8.0, 4.0, 3.0, 1.0]]).log()
    found = contrast(torch.tensor([[1]]), last)
    assert found.exp().tolist()[0] == pytest.approx([2.0, 1.0, 0.75, 0.25])
    assert contrast.layer == 0
    rare = contrast(torch.tensor([[1]]), torch.tensor([[8.0, 4.0, 3.0, 0.79]]).log())
    assert rare[0, 3] == -math.inf


def test_the_layer_that_differs_most_is_chosen() -> None:
    last = torch.tensor([[2.0, 0.0, 0.0]])
    early = torch.stack([last + 1.0, torch.zeros(1, 3), last * -1.0, last * 0.5])
    assert furthest(last, early) == 2


@pytest.mark.parametrize(
    ("kind", "changes", "factor", "cap"),
    (
        ("granite", {"logits_scaling": 4.0}, 0.25, None),
        ("cohere", {"logit_scale": 0.125}, 0.125, None),
        ("gemma2", {"sliding_window": 8, "query_pre_attn_scalar": 8}, 1.0, 30.0),
    ),
)
def test_the_early_layers_get_what_the_model_does_behind_its_head(
    kind: str, changes: dict[str, Any], factor: float, cap: float | None
) -> None:
    """transformers 4.55 compared their bare heads with scaled or bounded last logits."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SIZES, **changes})
    lm = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    m = assemble(ModelSpec(f"tiny/{kind}"), lm, byte_level_tokenizer())
    found = head_of(m.lm)
    assert isinstance(found, Head)
    assert (found.layers, found.cap) == (6, cap)
    assert found.factor == pytest.approx(factor, rel=1e-6)

    def head(hidden: Tensor) -> Tensor:
        logits = m.lm.lm_head(hidden) * factor
        return logits if cap is None else torch.tanh(logits / cap) * cap

    trace = decode(m, [Run(m.spec, PROMPTS[0], settings("high")[0])])[0]
    assert trace.ids == reference(m, trace, head)


def refusing_states(m: Model) -> None:
    def hook(_: Any, __: Any, kwargs: Any) -> None:
        if kwargs.get("output_hidden_states"):
            raise ValueError("no hidden states")

    m.lm.register_forward_pre_hook(hook, with_kwargs=True)


def doubling(m: Model) -> None:
    m.lm.get_output_embeddings().register_forward_hook(lambda _, __, out: out.square())


def of_three_layers(m: Model) -> None:
    m.lm.config.tie_word_embeddings = True
    m.lm.model.layers = m.lm.model.layers[:3]
    m.lm.config.num_hidden_layers = 3


@pytest.mark.parametrize(
    ("spoil", "why"),
    (
        (refusing_states, "gives no hidden states"),
        (of_three_layers, "3 layers has no early one"),
    ),
)
def test_where_a_model_cannot_it_is_said_and_the_run_goes_on(
    spoil: Callable[[Model], None], why: str
) -> None:
    m = tiny_model("llama", num_hidden_layers=4)
    spoil(m)
    greedy = Decoding(max_new_tokens=5, min_new_tokens=5)
    runs = [Run(m.spec, PROMPTS[1], d) for d in (greedy, replace(greedy, dola_layers="low"))]
    plain, trace = decode(m, runs)
    assert trace.started is not None
    assert [why in n for n in trace.started.notices if n.startswith("ignored: DoLa (")] == [True]
    assert trace.ids == plain.ids != ()


def test_a_head_that_does_not_give_the_models_logits_is_refused() -> None:
    """By trial, not by its name: here the model squares what its head gives."""
    m = tiny_model("llama")
    forward = m.lm.forward

    def squared(*given: Any, **more: Any) -> Any:
        out = forward(*given, **more)
        out.logits = out.logits.square()
        return out

    m.lm.forward = squared
    assert head_of(m.lm) == "the output head of the model is of its own kind"


def test_broken_logits_end_the_run() -> None:
    m = tiny_model("llama", num_hidden_layers=4)
    assert isinstance(head_of(m.lm), Head)
    m.lm.model.norm.weight.fill_(float("nan"))
    trace = decode(m, [Run(m.spec, PROMPTS[0], PRESETS["DoLa"])])[0]
    assert trace.problem is not None and trace.problem.code == "NAN_LOGITS"
    assert trace.ids == ()


def test_a_step_tells_the_contrast_as_the_first_processor() -> None:
    m = model("llama", ("num_hidden_layers", 6))
    decoding = replace(PRESETS["DoLa"], effects=True, max_new_tokens=4, min_new_tokens=4)
    trace = decode(m, [Run(m.spec, PROMPTS[0], decoding)])[0]
    names = [[effect.name for effect in step.effects] for step in trace.steps]
    assert names == [["model", "dola_layers", "repetition_penalty", "min_new_tokens"]] * 4
    own = torch.log_softmax(m.lm(torch.tensor([trace.started.prompt_ids])).logits[0, -1], -1)  # type: ignore[union-attr]
    step = trace.steps[0]
    assert step.logprob == pytest.approx(float(own[step.id]), abs=1e-4)
    assert step.effects[1].removed > 300


def test_each_step_tells_the_layer_that_differed_most() -> None:
    """Reckoned here from the whole text; the model's own layers and other processors have none."""
    m = model("gpt2", ("n_layer", 8))
    head = m.lm.get_output_embeddings()
    decoding = Decoding(dola_layers="high", effects=True, max_new_tokens=12, min_new_tokens=12)
    trace = decode(m, [Run(m.spec, PROMPTS[1], decoding)])[0]
    assert trace.started is not None
    told = [effect.layer for step in trace.steps for effect in step.effects]
    assert told[::3] == told[2::3] == [None] * 12
    ids = [*trace.started.prompt_ids, *trace.ids]
    for place, layer in enumerate(told[1::3], len(trace.started.prompt_ids)):
        out = m.lm(torch.tensor([ids[:place]]), output_hidden_states=True)
        apart = {k: divergence(out.logits[0, -1], head(out.hidden_states[k][0, -1]))
                 for k in (4, 6)}
        assert layer == max(apart, key=lambda k: apart[k])
