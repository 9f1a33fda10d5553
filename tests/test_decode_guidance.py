"""Classifier-free guidance: ids of ``generate(guidance_scale=…)``, by the batch's own forwards."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import UnbatchedClassifierFreeGuidanceLogitsProcessor

from playground.core.decoding import Decoding
from playground.core.events import Step
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.guidance import Guide
from playground.decode.loop import DecodeLoop
from playground.models.lanes import ALONE, BATCH, RECOMPUTE
from playground.models.loading import Model, load
from tests.reference import decode, generate
from tests.tiny_models import CONTEXT, KINDS, tiny_model

BUILTIN = Path(__file__).parent.parent / "playground" / "models" / "builtin"
ENDS = tuple(range(5, 400, 29))
PROMPTS = (Raw("The capital of France is"), Ids(tuple(range(20, 60))), Ids((7,)))
OTHER = "Once upon a time"
SETTINGS = {
    "greedy": Decoding(guidance_scale=1.5),
    "away from the prompt": Decoding(guidance_scale=0.4),
    "none of the prompt": Decoding(guidance_scale=0.0),
    "negative prompt": Decoding(guidance_scale=3.0, negative_prompt=OTHER),
    "sampled": Decoding(guidance_scale=1.5, do_sample=True, negative_prompt="hello"),
    "with others behind it": Decoding(
        guidance_scale=2.5, negative_prompt=OTHER, do_sample=True, temperature=1.3, top_k=30,
        top_p=0.9, repetition_penalty=1.2, no_repeat_ngram_size=3, min_new_tokens=6,
    ),
    "stop strings": Decoding(guidance_scale=1.2, do_sample=True, stop_strings=("e", "in")),
}


@cache
def model(kind: str) -> Model:
    return tiny_model(kind, ends=ENDS)


def runs(model: Model, tokens: int = 16) -> list[Run]:
    return [
        Run(model.spec, prompt, replace(decoding, max_new_tokens=tokens), seed)
        for seed, prompt in enumerate(PROMPTS)
        for decoding in SETTINGS.values()
    ]


def check(model: Model, traces: list[Trace]) -> None:
    for trace in traces:
        assert trace.ids == generate(model, trace)[0], trace.run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_guidance_is_generate(kind: str, name: str) -> None:
    m = model(kind)
    run = Run(m.spec, PROMPTS[0], replace(SETTINGS[name], max_new_tokens=16), 3)
    check(m, decode(m, [run]))


@pytest.mark.parametrize("kind", KINDS)
def test_guidance_beside_others_is_generate(kind: str) -> None:
    """Rows of one and of two texts share the forwards, and join and leave in between."""
    m = model(kind)
    plain = [Run(m.spec, p, Decoding(do_sample=True, max_new_tokens=20), 5) for p in PROMPTS]
    every = [*plain, *runs(m)[::2]]
    check(m, decode(m, every, joins=[2 * (i % 5) for i in range(len(every))]))


@pytest.mark.parametrize("lane", (ALONE, RECOMPUTE))
def test_guidance_in_the_other_lanes_is_generate(lane: str) -> None:
    m = model("qwen2")
    m = replace(m, card=replace(m.card, lane=lane))
    check(m, decode(m, runs(m, 8)[::2]))


def test_guidance_alone_is_generate() -> None:
    m = model("llama")
    alone = [replace(run, decoding=replace(run.decoding, alone=True)) for run in runs(m, 8)[:6]]
    check(m, decode(m, alone))


@pytest.mark.parametrize("lane", (BATCH, ALONE))
def test_texts_that_cannot_be_padded_are_read_one_after_the_other(lane: str) -> None:
    """In the lane of a model such as BART, padding changes the numbers and raises nothing."""
    m = tiny_model("qwen2")
    m = replace(m, card=replace(m.card, lane=lane))
    decoding = replace(SETTINGS["negative prompt"], max_new_tokens=8, alone=lane == BATCH)
    whole = decode(m, [Run(m.spec, PROMPTS[1], decoding)])[0]

    def hook(_: object, __: object, kwargs: dict[str, torch.Tensor]) -> None:
        assert kwargs["input_ids"].shape[0] == 1 and bool(kwargs["attention_mask"].all())

    m.lm.register_forward_pre_hook(hook, with_kwargs=True)
    trace = decode(m, [Run(m.spec, PROMPTS[1], decoding)])[0]
    assert trace.problem is None and trace.ids == whole.ids != ()


def test_a_chat_goes_on_from_what_a_guided_run_has_read() -> None:
    """The cache that is kept is that of the prompt, not of the negative one."""
    for lane in (BATCH, ALONE):
        m = tiny_model("llama")
        m = replace(m, card=replace(m.card, lane=lane))
        guided = replace(SETTINGS["negative prompt"], max_new_tokens=8, min_new_tokens=8)
        loop = DecodeLoop(m)
        first = followed(loop, 0, Run(m.spec, PROMPTS[1], guided))
        assert isinstance(PROMPTS[1], Ids)
        longer = Run(m.spec, Ids((*PROMPTS[1].ids, *first.ids, 7)), Decoding(max_new_tokens=8))
        again = followed(loop, 1, longer)
        assert again.started is not None and again.started.reused >= 40
        assert again.ids == generate(m, again)[0]


def followed(loop: DecodeLoop, key: int, run: Run) -> Trace:
    """A run to its end, in a loop that has done others."""
    trace = Trace(run)
    loop.join(key, run)
    while loop.busy:
        for _, event in loop.step():
            trace = trace.add(event)
    return trace


@pytest.mark.parametrize("name", ("tiny-base", "tiny-chat"))
def test_guidance_on_the_built_in_models_is_generate(name: str) -> None:
    m = load(ModelSpec(f"builtin/{name}"), BUILTIN / name, device="cpu")
    for decoding in (SETTINGS["greedy"], SETTINGS["with others behind it"]):
        run = Run(m.spec, PROMPTS[0], replace(decoding, max_new_tokens=12), 1)
        check(m, decode(m, [run]))


def test_the_texts_of_these_laws_differ() -> None:
    """A guidance that did nothing would pass all of the above if the library's did nothing."""
    m = model("llama")
    scales = (0.0, 1.0, 1.5, 4.0)
    greedy = [Decoding(guidance_scale=scale, max_new_tokens=12) for scale in scales]
    assert len({trace.ids for trace in decode(m, [Run(m.spec, PROMPTS[0], d) for d in greedy])}) > 2


def test_guidance_by_hand() -> None:
    """Own probabilities 1/2, 1/4, 1/4; the other's 1/4, 1/4, 1/2; scale 2 gives 1, 1/4, 1/8."""
    guide = Guide(2.0)
    guide.other = torch.tensor([[0.25, 0.25, 0.5]]).log() - 7.0
    own = torch.tensor([[0.5, 0.25, 0.25]]).log() + 3.0
    found = guide(torch.tensor([[1]]), own)
    assert found.exp().tolist()[0] == pytest.approx([1.0, 0.25, 0.125])


def test_the_numbers_are_those_of_the_library() -> None:
    m = model("llama")
    ids, other = torch.tensor([[3, 4, 5]]), torch.tensor([[9, 8]])
    theirs = UnbatchedClassifierFreeGuidanceLogitsProcessor(1.7, m.lm, other)
    guide = Guide(1.7)
    guide.other = m.lm(other).logits[:, -1]
    scores = m.lm(ids).logits[:, -1]
    assert torch.equal(guide(ids, scores), theirs(ids, scores))


def test_what_the_model_rules_out_stays_out() -> None:
    """Minus infinity minus minus infinity is NaN, which would be chosen."""
    guide = Guide(1.5)
    guide.other = torch.tensor([[0.0, 0.0, -math.inf]])
    found = guide(torch.tensor([[1]]), torch.tensor([[0.0, 1.0, -math.inf]]))
    assert found[0, 2] == -math.inf and bool(torch.isfinite(found[0, :2]).all())


def test_a_step_tells_the_models_own_numbers_and_the_guided_probability() -> None:
    m = model("qwen2")
    decoding = Decoding(guidance_scale=2.0, max_new_tokens=6, min_new_tokens=6)
    trace = decode(m, [Run(m.spec, PROMPTS[0], decoding)])[0]
    assert trace.started is not None
    prompt = list(trace.started.prompt_ids)
    for step in trace.steps:
        text = [*prompt, *trace.ids[: step.position]]
        own = torch.log_softmax(m.lm(torch.tensor([text])).logits[0, -1], -1)
        other = torch.log_softmax(m.lm(torch.tensor([text[len(prompt) - 1 :]])).logits[0, -1], -1)
        final = 2.0 * (own - other) + other
        final[list(m.lm.generation_config.eos_token_id)] = -math.inf
        assert step.logprob == pytest.approx(float(own[step.id]), abs=1e-4)
        assert step.id == int(final.argmax())
        assert step.probability == pytest.approx(float(final.softmax(-1)[step.id]), abs=1e-4)


def test_a_negative_prompt_longer_than_the_context_is_refused() -> None:
    m = model("llama")
    far = Decoding(guidance_scale=2.0, negative_prompt="one two three " * 100)
    trace, other = decode(m, [Run(m.spec, Ids((7,)), d) for d in (far, Decoding())])
    assert trace.problem is not None and trace.problem.code == "CONTEXT_OVERFLOW"
    assert trace.problem.field == "negative_prompt"
    assert trace.problem.message.startswith("The negative prompt has ")
    assert other.problem is None


def test_both_texts_end_with_the_context() -> None:
    """The negative prompt is the longer one here: no token may be read behind its context."""
    m = tiny_model("gpt2")  # its table of positions ends with the context
    text = "Once upon a time there was a small fox who liked to read books by the river. " * 3
    decoding = Decoding(guidance_scale=1.5, negative_prompt=text, max_new_tokens=100,
                        min_new_tokens=100)
    trace = decode(m, [Run(m.spec, Ids((7,)), decoding)])[0]
    other = len(m.tokenizer(text)["input_ids"])
    assert 60 < other < CONTEXT
    assert trace.finished is not None and trace.finished.reason == "context"
    assert trace.finished.new_tokens == CONTEXT - other


def test_control_tokens_in_a_negative_prompt_are_said() -> None:
    m = model("llama")
    decoding = Decoding(guidance_scale=2.0, negative_prompt="a <|im_end|>", max_new_tokens=1)
    trace = decode(m, [Run(m.spec, Ids((7,)), decoding)])[0]
    assert trace.started is not None
    assert any(notice.startswith("Negative prompt: ") for notice in trace.started.notices)


@pytest.mark.parametrize("text", (0, 1))
def test_broken_logits_of_either_text_end_the_run(text: int) -> None:
    m = tiny_model("llama")
    run = Run(m.spec, Ids((7, 8)), Decoding(guidance_scale=2.0, max_new_tokens=9, min_new_tokens=9))
    forwards = 0

    def hook(_: object, __: object, output: object) -> None:
        nonlocal forwards
        forwards += 1
        if forwards == 5:
            output.logits[text, -1, 0] = math.nan  # type: ignore[attr-defined]

    m.lm.register_forward_hook(hook)
    trace = decode(m, [run])[0]
    assert trace.problem is not None and trace.problem.code == "NAN_LOGITS"
    assert len(trace.ids) == 3  # two forwards read the prompts, and the fifth is broken


def test_guidance_stops_at_once() -> None:
    m = model("llama")
    loop = DecodeLoop(m)
    long = Decoding(guidance_scale=2.0, max_new_tokens=50, min_new_tokens=50)
    for key in range(2):
        loop.join(key, Run(m.spec, PROMPTS[key], long))
    steps = [0, 0]
    for number in range(60):
        if number == 4:
            loop.leave(0)
        for key, event in loop.step():
            steps[key] += isinstance(event, Step)
    assert steps == [4, 50]
    assert not loop.busy
