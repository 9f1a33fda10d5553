"""Contrastive search: ids are those of the paper, each candidate read with its whole text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from playground.core.decoding import Decoding
from playground.core.events import Step
from playground.core.prompt import Ids, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.models.lanes import ALONE, RECOMPUTE
from playground.models.loading import Model, assemble
from tests.architectures import tiny
from tests.reference import decode, events
from tests.tiny_models import CONTEXT, KINDS, byte_level_tokenizer, tiny_model

PROMPTS: tuple[Prompt, ...] = (
    Raw("The capital of France is"), Ids(tuple(range(20, 50))), Ids((7,))
)
PLAIN = Decoding(penalty_alpha=0.6, top_k=4, max_new_tokens=12)
SETTINGS = {
    "the paper's": PLAIN,
    "many": replace(PLAIN, top_k=17),
    "mild": replace(PLAIN, penalty_alpha=0.1, top_k=8),
    "processors before it": replace(
        PLAIN, top_k=6, repetition_penalty=1.4, no_repeat_ngram_size=2
    ),
}


@cache
def model(kind: str) -> Model:
    return tiny_model(kind)


def similarities(model: Model, texts: torch.Tensor) -> torch.Tensor:
    """The largest cosine of the last token's hidden state to that of a token before, [texts]."""
    states = model.lm(texts, output_hidden_states=True, use_cache=False).hidden_states[-1]
    return torch.cosine_similarity(states[:, -1:], states[:, :-1], dim=-1).max(dim=-1).values


def behind(ids: torch.Tensor, candidates: Sequence[int]) -> torch.Tensor:
    """A text [1, tokens] with each of the candidates behind it."""
    newest = torch.tensor(candidates)[:, None]
    return torch.cat([ids.expand(len(candidates), -1), newest], dim=1)


def reference(model: Model, trace: Trace) -> tuple[int, ...]:
    """New ids by equation 5 of arXiv 2202.06417; end tokens are like any other here."""
    d, ids = trace.run.decoding, torch.tensor([trace.started.prompt_ids])  # type: ignore[union-attr]
    processors: list[Any] = []
    if d.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(d.repetition_penalty))
    if d.no_repeat_ngram_size:
        processors.append(NoRepeatNGramLogitsProcessor(d.no_repeat_ngram_size))
    written: list[int] = []
    for _ in range(d.max_new_tokens):
        logits = model.lm(ids, use_cache=False).logits[:, -1]
        probabilities = LogitsProcessorList(processors)(ids, logits).softmax(-1)[0]
        p, likeliest = probabilities.topk(d.top_k)
        penalty = similarities(model, behind(ids, likeliest.tolist()))
        score = (1 - d.penalty_alpha) * p - d.penalty_alpha * penalty
        written.append(int(likeliest[score.argmax()]))
        ids = behind(ids, written[-1:])
    return tuple(written)


def check(model: Model, traces: Sequence[Trace]) -> None:
    for trace in traces:
        assert trace.problem is None, trace.problem
        expected = reference(model, trace)
        ended = len(trace.ids) < len(expected)
        assert trace.ids == expected[: len(trace.ids)], trace.run
        assert trace.finished is not None
        assert trace.finished.reason == ("end" if ended else "length")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_contrastive_search_is_the_papers(kind: str, name: str) -> None:
    m = model(kind)
    trace = decode(m, [Run(m.spec, PROMPTS[0], SETTINGS[name])])[0]
    check(m, [trace])
    greedy = replace(SETTINGS[name], penalty_alpha=0.0, top_k=0)
    assert trace.ids != decode(m, [Run(m.spec, PROMPTS[0], greedy)])[0].ids


@pytest.mark.parametrize("kind", KINDS)
def test_contrastive_search_beside_others_is_the_papers(kind: str) -> None:
    """Rows, beams and searches of several widths share the forwards, join and leave."""
    m = model(kind)
    runs = [Run(m.spec, p, d) for p, d in zip(PROMPTS, SETTINGS.values(), strict=False)]
    others = [
        Run(m.spec, PROMPTS[1], Decoding(do_sample=True, max_new_tokens=9), 3),
        Run(m.spec, PROMPTS[2], Decoding(num_beams=3, max_new_tokens=7)),
        Run(m.spec, PROMPTS[0], Decoding(guidance_scale=1.5, max_new_tokens=16)),
    ]
    traces = decode(m, [*runs, *others], joins=[0, 2, 5, 0, 3, 1])
    check(m, traces[:3])
    for trace in traces[3:]:
        assert trace.ids == decode(m, [trace.run])[0].ids


@pytest.mark.parametrize("lane", (ALONE, RECOMPUTE))
def test_contrastive_search_in_the_other_lanes_is_the_papers(lane: str) -> None:
    m = model("qwen2")
    m = replace(m, card=replace(m.card, lane=lane))
    check(m, decode(m, [Run(m.spec, p, replace(PLAIN, max_new_tokens=6)) for p in PROMPTS]))


def test_contrastive_search_alone_is_the_papers() -> None:
    m = model("llama")
    check(m, decode(m, [Run(m.spec, p, replace(PLAIN, alone=True)) for p in PROMPTS[:2]]))


def test_a_prompt_in_chunks_has_the_same_history(monkeypatch: pytest.MonkeyPatch) -> None:
    m = model("gpt2")
    monkeypatch.setattr("playground.decode.loop.CHUNK", 7)
    check(m, decode(m, [Run(m.spec, PROMPTS[1], PLAIN)]))


@pytest.mark.parametrize("kind", KINDS)
def test_hardly_any_alpha_is_greedy(kind: str) -> None:
    m = model(kind)
    greedy = Decoding(max_new_tokens=20)
    tiny = replace(greedy, penalty_alpha=1e-9, top_k=5)
    for prompt in PROMPTS:
        one, other = decode(m, [Run(m.spec, prompt, d) for d in (greedy, tiny)])
        assert one.ids == other.ids != ()


def test_alpha_one_takes_the_least_similar() -> None:
    m = model("llama")
    decoding = replace(PLAIN, penalty_alpha=1.0, top_k=6, max_new_tokens=1)
    trace = decode(m, [Run(m.spec, PROMPTS[1], decoding)])[0]
    ids = torch.tensor([trace.started.prompt_ids])  # type: ignore[union-attr]
    likeliest = m.lm(ids).logits[0, -1].topk(6).indices.tolist()
    least = int(similarities(m, behind(ids, likeliest)).argmin())
    assert trace.ids == (likeliest[least],) != (likeliest[0],)


def test_a_step_tells_the_models_own_numbers() -> None:
    m = model("qwen2")
    decoding = SETTINGS["processors before it"]
    trace = decode(m, [Run(m.spec, PROMPTS[0], decoding)])[0]
    ids = list(trace.started.prompt_ids)  # type: ignore[union-attr]
    for step in trace.steps:
        logits = m.lm(torch.tensor([ids])).logits[:, -1]
        own = logits.log_softmax(-1)[0]
        processed = RepetitionPenaltyLogitsProcessor(1.4)(torch.tensor([ids]), logits)
        final = NoRepeatNGramLogitsProcessor(2)(torch.tensor([ids]), processed).softmax(-1)[0]
        assert step.logprob == pytest.approx(float(own[step.id]), abs=1e-4)
        assert step.rank == int((own > own[step.id]).sum()) + 1
        assert step.probability == pytest.approx(float(final[step.id]), abs=1e-4)
        assert [c.id for c in step.candidates] == own.topk(10).indices.tolist()
        ids.append(step.id)


def test_a_step_tells_the_penalty_of_each_candidate() -> None:
    """The score after it is (1 - alpha) p - alpha times the similarity: it can be read off."""
    m = model("llama")
    decoding = replace(PLAIN, effects=True, max_new_tokens=3, repetition_penalty=1.1)
    trace = decode(m, [Run(m.spec, PROMPTS[0], decoding)])[0]
    ids = list(trace.started.prompt_ids)  # type: ignore[union-attr]
    for step in trace.steps:
        assert [e.name for e in step.effects] == ["model", "repetition_penalty", "penalty_alpha"]
        effect = step.effects[-1]
        assert len(effect.most_moved) == effect.moved == 4
        assert max(effect.most_moved, key=lambda shift: shift.after).id == step.id
        for shift in effect.most_moved:
            similarity = float(similarities(m, torch.tensor([[*ids, shift.id]])))
            expected = 0.4 * shift.before - 0.6 * similarity
            assert shift.after == pytest.approx(expected, abs=1e-4)
        assert effect.removed > 300 and not {g.id for g in effect.gone} & {
            shift.id for shift in effect.most_moved
        }
        kept = sum(shift.before for shift in effect.most_moved)
        assert effect.mass == pytest.approx(1.0 - kept, abs=1e-5)
        score = {shift.id: shift.after for shift in effect.most_moved}
        assert [w.after for w in effect.watched] == [score.get(w.id, 0.0) for w in effect.watched]
        ids.append(step.id)


def test_what_is_ruled_out_is_never_taken() -> None:
    """The library takes a forbidden token where it is unlike enough: p is 0 there, not minus
    infinity. A forced phrase leaves one token of all."""
    m = model("llama")
    forced = (9, 9, 9, 9, 11)
    decoding = replace(PLAIN, penalty_alpha=0.9, top_k=50, forced=forced, max_new_tokens=8)
    trace = decode(m, [Run(m.spec, PROMPTS[0], decoding)])[0]
    assert trace.ids[:5] == forced and trace.problem is None
    ends = tuple(range(0, 400, 2))
    m = tiny_model("llama", ends=ends)
    long = replace(PLAIN, penalty_alpha=0.9, top_k=50, min_new_tokens=8)
    for prompt in PROMPTS:
        trace = decode(m, [Run(m.spec, prompt, long)])[0]
        assert len(trace.ids) >= 8 and not set(trace.ids[:7]) & set(ends)


def test_stop_strings_and_ends_end_it() -> None:
    m = tiny_model("gpt2", ends=tuple(range(5, 400, 7)))
    reasons = set()
    for prompt in (*PROMPTS, *(Ids((n,)) for n in range(60, 72))):
        decoding = replace(PLAIN, stop_strings=("e", "a"), max_new_tokens=30)
        trace = decode(m, [Run(m.spec, prompt, decoding)])[0]
        assert trace.finished is not None
        reasons.add(trace.finished.reason)
        if trace.finished.reason == "end":
            assert trace.ids[-1] % 7 == 5
    assert reasons >= {"end", "stop string"}


def test_it_ends_with_the_context() -> None:
    """The last token is read too, unlike that of a row, and its position is the last there is."""
    m = tiny_model("gpt2")
    long = replace(PLAIN, max_new_tokens=100, min_new_tokens=100)
    trace = decode(m, [Run(m.spec, Ids((7,) * (CONTEXT - 5)), long)])[0]
    assert trace.finished is not None and trace.finished.reason == "context"
    assert len(trace.ids) == trace.finished.new_tokens == 5


def test_it_stops_at_once_and_keeps_its_text() -> None:
    m = model("llama")
    long = replace(PLAIN, max_new_tokens=40, min_new_tokens=40)
    whole = decode(m, [Run(m.spec, PROMPTS[0], long)])[0]
    for when in (0, 1, 2, 6):
        loop = DecodeLoop(m)
        loop.join(0, Run(m.spec, PROMPTS[0], long))
        trace, step = Trace(Run(m.spec, PROMPTS[0], long)), 0
        while loop.busy:
            if step == when:
                loop.leave(0)
            for _, event in loop.step():
                trace = trace.add(event)
            step += 1
        assert trace.finished is not None and trace.finished.reason == "stopped"
        # The first step reads the prompt; each later one reads the candidates for one token.
        assert trace.ids == whole.ids[: max(0, when - 1)]


def broken(m: Model, forward: int, row: int, states: bool = False) -> None:
    """NaN in the logits (or the last states) of one row of one of the batch's forwards."""
    count = 0

    def hook(_: Any, __: Any, output: Any) -> None:
        nonlocal count
        count += 1
        if count == forward:
            spoiled = output.hidden_states[-1] if states else output.logits
            spoiled[row, -1] = math.nan

    m.lm.register_forward_hook(hook)


def test_broken_logits_behind_the_chosen_candidate_end_it_after_its_token() -> None:
    m = tiny_model("llama")
    run = Run(m.spec, PROMPTS[0], replace(PLAIN, penalty_alpha=1e-9, min_new_tokens=12))
    whole = decode(m, [run])[0]
    broken(m, forward=4, row=0)  # the likeliest is chosen
    trace = decode(m, [run])[0]
    assert trace.problem is not None and trace.problem.code == "NAN_LOGITS"
    assert trace.problem.message.startswith("At token 4 ")
    assert trace.ids == whole.ids[:3]


def test_broken_logits_behind_another_candidate_harm_nobody() -> None:
    m = tiny_model("llama")
    run = Run(m.spec, PROMPTS[0], replace(PLAIN, penalty_alpha=1e-9, min_new_tokens=12))
    whole = decode(m, [run])[0]
    broken(m, forward=4, row=2)
    assert decode(m, [run])[0].ids == whole.ids


def test_broken_states_end_it() -> None:
    m = tiny_model("llama")
    broken(m, forward=4, row=2, states=True)
    trace = decode(m, [Run(m.spec, PROMPTS[0], replace(PLAIN, min_new_tokens=12))])[0]
    assert trace.problem is not None and trace.problem.code == "NAN_LOGITS"
    assert len(trace.ids) == 2


def test_a_model_without_hidden_states_gets_a_sentence() -> None:
    m = tiny_model("llama")
    m.lm.register_forward_hook(lambda _, __, output: setattr(output, "hidden_states", None))
    greedy = Decoding(max_new_tokens=3, min_new_tokens=3)
    trace, other = decode(m, [Run(m.spec, PROMPTS[0], d) for d in (PLAIN, greedy)])
    assert trace.problem is not None and trace.started is not None
    assert "gives no hidden state for each token" in trace.problem.message
    assert len(other.ids) == 3


def test_its_cache_holds_a_text_for_each_candidate() -> None:
    m = model("llama")
    decoding = Decoding(penalty_alpha=0.6, top_k=3, max_new_tokens=6, min_new_tokens=6)
    trace = decode(m, [Run(m.spec, Raw("The capital of France is"), decoding)])[0]
    assert trace.started is not None and trace.finished is not None
    read = len(trace.started.prompt) + 6
    assert trace.finished.cache_bytes == 3 * m.card.cache_bytes(read) > 0


def test_its_clock_and_its_events() -> None:
    m = model("llama")
    started, *steps, finished = events(m, Run(m.spec, PROMPTS[0], PLAIN))
    assert steps and all(isinstance(step, Step) for step in steps)
    assert finished.prefill_seconds > 0 and finished.decode_seconds > 0  # type: ignore[union-attr]


def test_a_step_can_be_chosen_again_otherwise() -> None:
    """What greedy search would have taken there, without a forward."""
    m = model("llama")
    loop = DecodeLoop(m)
    trace = Trace(Run(m.spec, PROMPTS[0], PLAIN))
    loop.join(3, trace.run)
    while loop.busy:
        for _, event in loop.step():
            trace = trace.add(event)
    for step in trace.steps:
        again = loop.replay(3, step.position, Decoding())
        assert (again.id, again.rank) == (step.candidates[0].id, 1)
        assert (again.candidates[0].logprob, again.entropy) == (
            step.candidates[0].logprob, step.entropy
        )


def test_a_model_that_reads_in_both_directions_is_compared_with_what_it_said_then() -> None:
    """In cpmant each token sees those behind it, so the states of a text change as it grows. The
    library's search compares with each token's state as it was when that was the newest, and so
    does ours; a reading of the whole text gives other states, and other ids."""
    lm = tiny("cpmant")
    m = assemble(ModelSpec("tiny/cpmant"), lm, byte_level_tokenizer())
    assert m.card.lane == RECOMPUTE
    trace = decode(m, [Run(m.spec, PROMPTS[1], PLAIN)])[0]
    assert trace.started is not None
    d, ids = PLAIN, torch.tensor([trace.started.prompt_ids])
    said = lm(ids, output_hidden_states=True, use_cache=False)
    logits, states, written = said.logits[:, -1], said.hidden_states[-1][0], []
    for _ in range(d.max_new_tokens):
        p, likeliest = logits.softmax(-1)[0].topk(d.top_k)
        texts = behind(ids, likeliest.tolist())
        # One by one, as a padded batch would need a mask.
        read = [lm(text[None], output_hidden_states=True, use_cache=False) for text in texts]
        newest = torch.stack([one.hidden_states[-1][0, -1] for one in read])
        penalty = torch.cosine_similarity(newest[:, None], states[None], dim=-1).max(-1).values
        best = int(((1 - d.penalty_alpha) * p - d.penalty_alpha * penalty).argmax())
        states = torch.cat([states, newest[best : best + 1]])
        logits, ids = read[best].logits[:, -1], texts[best : best + 1]
        written.append(int(likeliest[best]))
    assert trace.ids == tuple(written)
    assert trace.ids != reference(m, trace)
