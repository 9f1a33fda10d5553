"""Proposed tokens change how many forwards a text takes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count
from typing import Any

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from playground.core.decoding import Decoding
from playground.core.events import Source
from playground.core.prompt import Ids, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode import speculate
from playground.decode.loop import DecodeLoop
from playground.decode.row import Row
from playground.decode.speculate import PromptLookup, check_draft
from playground.errors import InvalidInput
from playground.models.lanes import RECOMPUTE
from playground.models.loading import Model, assemble, load
from playground.models.place import place
from tests.tiny_models import (
    CONTEXT,
    KINDS,
    byte_level_tokenizer,
    metaspace_tokenizer,
    tiny_lm,
    tiny_model,
)

PROMPT = Ids((7, 8, 9, 20, 7, 8, 9, 21, 7, 8))
NEW = 18
GREEDY = Decoding(max_new_tokens=NEW, min_new_tokens=NEW)
SAMPLED = Decoding(do_sample=True, max_new_tokens=NEW, min_new_tokens=NEW)
SETTINGS = {
    "greedy": GREEDY,
    "sampled": SAMPLED,
    "penalties": Decoding(
        do_sample=True, repetition_penalty=1.4, frequency_penalty=0.7, presence_penalty=0.4,
        max_new_tokens=NEW,
    ),
    "no repeats, greedy": Decoding(no_repeat_ngram_size=2, max_new_tokens=NEW),
    "cuts": Decoding(
        do_sample=True, temperature=1.5, top_k=40, top_p=0.9, typical_p=0.95, max_new_tokens=NEW,
        effects=True,
    ),
    "mirostat": Decoding(do_sample=True, mirostat_tau=4.0, max_new_tokens=NEW),
    "XTC": Decoding(do_sample=True, xtc_probability=0.5, xtc_threshold=0.02, max_new_tokens=NEW),
    "DRY": Decoding(do_sample=True, dry_multiplier=1.0, max_new_tokens=NEW),
}


def decode(
    model: Model,
    runs: Sequence[Run],
    drafts: Mapping[ModelSpec, Model] = {},
    leave_after: int | None = None,
) -> list[Trace]:
    """The traces of runs that begin together; the first leaves before the step with this number."""
    loop = DecodeLoop(model, drafts)
    traces = [Trace(run) for run in runs]
    for key, run in enumerate(runs):
        loop.join(key, run)
    for step in count():
        if step == leave_after:
            loop.leave(0)
        for key, event in loop.step():
            traces[key] = traces[key].add(event)
        if not loop.busy:
            return traces
        assert step < 500, "the loop does not end"
    raise AssertionError


def plain(model: Model, decoding: Decoding, prompt: Prompt = PROMPT, seed: int = 3) -> Trace:
    without = replace(decoding, prompt_lookup_tokens=0, draft_tokens=0)
    trace = decode(model, [Run(model.spec, prompt, without, seed)])[0]
    assert trace.problem is None and not trace.proposals
    return trace


def looked_up(decoding: Decoding, tokens: int = 4) -> Decoding:
    return replace(decoding, prompt_lookup_tokens=tokens)


class Oracle:
    """Proposes what is known to come, wrong in every ``wrong``-th place of the text."""

    source: Source = "prompt lookup"

    def __init__(self, text: Sequence[int], length: int = 4, wrong: int = 0) -> None:
        known = enumerate(text)
        self._text = [(id + 1) % 400 if wrong and i % wrong == 0 else id for i, id in known]
        self._length = length

    def propose(self, ids: torch.Tensor, most: int) -> list[int]:
        begin = ids.shape[1]
        return self._text[begin : begin + min(self._length, most)]


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let an oracle, told the whole text of a plain run, propose for the runs that speculate."""

    def use(trace: Trace, length: int = 4, wrong: int = 0, more: Sequence[int] = ()) -> None:
        assert trace.started is not None
        text = [*trace.started.prompt_ids, *trace.ids, *more]

        def plan(_: Model, run: Run, __: Any) -> tuple[list[Oracle], list[str]]:
            on = run.decoding.is_speculative
            return ([Oracle(text, length, wrong)] if on else []), []

        monkeypatch.setattr("playground.decode.strategy.plan", plan)

    return use


def assert_same(found: Trace, expected: Trace) -> None:
    """Every number and text of every step, and the end; and proposals that say the truth."""
    assert found.problem is None, found.problem
    assert found.ids == expected.ids
    for step, other in zip(found.steps, expected.steps, strict=True):
        assert (step.position, step.text, step.piece, step.rank, step.special) == (
            other.position, other.text, other.piece, other.rank, other.special
        )
        mine, theirs = (
            [s.logprob, s.probability, s.entropy,
             *(n for c in s.candidates for n in (c.logprob, c.probability))]
            for s in (step, other)
        )
        assert mine == pytest.approx(theirs, abs=1e-4)
        assert [(e.name, e.removed) for e in step.effects] == [
            (e.name, e.removed) for e in other.effects
        ]
        assert (step.draw is None) == (other.draw is None)
        if step.draw is not None and other.draw is not None:
            assert (step.draw.low, step.draw.high, step.draw.point) == pytest.approx(
                (other.draw.low, other.draw.high, other.draw.point), abs=1e-4
            )
        assert [c.id for c in step.candidates] == [c.id for c in other.candidates]
    assert found.finished is not None and expected.finished is not None
    for name in ("reason", "tail", "prompt_tokens", "new_tokens"):
        assert getattr(found.finished, name) == getattr(expected.finished, name)
    for proposed in found.proposals:
        begin, right = proposed.position, proposed.accepted
        chosen = expected.ids[begin : begin + len(proposed.pieces)]
        assert proposed.ids[:right] == chosen[:right]
        assert proposed.ids[right : right + 1] != chosen[right : right + 1] or not chosen[right:]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("llama", name) for name in SETTINGS]
    + [(kind, name) for kind in KINDS[1:] for name in ("greedy", "cuts")],
)
def test_steps_equal_plain_decoding(kind: str, name: str, oracle: Any) -> None:
    """Every third token is proposed wrongly, so every forward accepts some and rejects one."""
    model = tiny_model(kind)
    expected = plain(model, SETTINGS[name])
    oracle(expected, length=4, wrong=3)
    run = Run(model.spec, PROMPT, looked_up(SETTINGS[name]), 3)
    found = decode(model, [run])[0]
    assert_same(found, expected)
    assert found.forwards < len(found.ids)
    assert {0 < p.accepted < len(p.pieces) for p in found.proposals[:-1]} == {True}


@pytest.mark.parametrize("wrong, forwards", [(0, 5), (1, 18), (2, 10)])
def test_forwards_by_hand(wrong: int, forwards: int, oracle: Any) -> None:
    """18 tokens, 4 proposed. All right: the prompt gives one, three forwards give five, one two.

    All wrong: each gives one. Every second wrong (places 10, 12, 14 … of the text, the first of
    which the prompt's own forward chooses): eight forwards give the right one and the next, and
    the last token comes alone.
    """
    model = tiny_model("llama")
    calls = []
    expected = plain(model, GREEDY)
    oracle(expected, length=4, wrong=wrong)
    model.lm.register_forward_pre_hook(
        lambda _, __, given: calls.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    found = decode(model, [Run(model.spec, PROMPT, looked_up(GREEDY), 3)])[0]
    assert_same(found, expected)
    assert len(calls) == found.forwards == forwards
    assert calls[0] == 10 and max(calls[1:]) == 5
    if wrong < 2:
        assert found.acceptance == 1 - wrong


def test_the_first_place_where_the_last_words_stood_is_looked_up() -> None:
    def proposed(ids: list[int], most: int = 9) -> list[int]:
        return PromptLookup(4).propose(torch.tensor([ids]), most)

    assert proposed([1, 2, 3, 4, 5, 6, 1, 2]) == [3, 4, 5, 6]
    assert proposed([1, 2, 3, 1, 2, 4, 1, 2]) == [3, 1, 2, 4]
    assert proposed([9, 2, 3, 5, 1, 2]) == [3, 5, 1, 2]  # "1 2" is new, "2" is not
    assert proposed([1, 2, 3, 4]) == []
    assert proposed([7]) == []
    assert proposed([5, 5]) == [5]
    assert proposed([1, 2, 3, 4, 5, 6, 1, 2], most=2) == [3, 4]
    assert proposed([1, 2, 3, 4, 5, 6, 1, 2], most=0) == []


@lru_cache(maxsize=1)
def pair() -> tuple[Model, Model]:
    """A model whose second layer says little, and a draft that has its first layer only."""
    target = tiny_model("llama")
    draft = replace(tiny_model("llama", num_hidden_layers=1), spec=ModelSpec("tiny/draft"))
    second = target.lm.model.layers[1]
    for part in (second.self_attn.o_proj, second.mlp.down_proj):
        part.weight.mul_(0.1)
    theirs = target.lm.state_dict()
    draft.lm.load_state_dict({name: theirs[name] for name in draft.lm.state_dict()})
    return target, draft


@pytest.mark.parametrize("name", ("greedy", "penalties", "mirostat", "XTC"))
def test_steps_with_a_draft_equal_plain_decoding(name: str) -> None:
    target, draft = pair()
    decoding = replace(SETTINGS[name], draft_tokens=3)
    run = Run(target.spec, PROMPT, decoding, 3, draft.spec)
    found = decode(target, [run], {draft.spec: draft})[0]
    assert_same(found, plain(target, decoding))
    assert found.started is not None and not found.started.notices
    assert found.proposals and {p.source for p in found.proposals} == {"draft"}


def test_a_draft_proposes_what_it_would_write_itself() -> None:
    """Its cache is rolled back to where the texts part, so each guess is that of a fresh read."""
    target, draft = pair()
    decoding = replace(SAMPLED, draft_tokens=4, temperature=0.5, max_new_tokens=40)
    runs = [Run(target.spec, PROMPT, decoding, seed, draft.spec) for seed in (5, 6)]
    traces = decode(target, runs, {draft.spec: draft})
    accepted = {p.accepted for trace in traces for p in trace.proposals}
    assert accepted & {0} and accepted & {1, 2, 3} and accepted & {4}, "none, some and all"
    for trace in traces:
        for proposed in trace.proposals:
            text = [*PROMPT.ids, *trace.ids[: proposed.position]]
            for id in proposed.ids:
                assert id == int(draft.lm(torch.tensor([text])).logits[0, -1].argmax())
                text.append(id)


def test_a_draft_that_is_the_model_itself_is_always_right() -> None:
    target = pair()[0]
    reads: list[int] = []
    hook = target.lm.register_forward_pre_hook(
        lambda _, __, given: reads.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    decoding = replace(GREEDY, draft_tokens=4, max_new_tokens=16, min_new_tokens=0)
    run = Run(target.spec, PROMPT, decoding, 3, target.spec)
    found = decode(target, [run], {target.spec: target})[0]
    hook.remove()
    assert_same(found, plain(target, decoding))
    # 16 tokens: the prompt gives one, three forwards give five each.
    assert (found.acceptance, found.forwards) == (1.0, 4)
    # The draft reads the prompt with its first new token, then its own guesses, and each time
    # what it has not read yet: its last guess and the token that followed it.
    assert reads == [10, 11, 1, 1, 1, 5, 2, 1, 1, 1, 5, 2, 1, 1, 1, 5]


def test_the_text_is_asked_before_the_draft() -> None:
    target, draft = pair()
    decoding = replace(SAMPLED, draft_tokens=2, prompt_lookup_tokens=2)
    run = Run(target.spec, PROMPT, decoding, 3, draft.spec)
    found = decode(target, [run], {draft.spec: draft})[0]
    assert_same(found, plain(target, decoding))
    assert {p.source for p in found.proposals} == {"prompt lookup", "draft"}


def test_a_long_prompt_is_read_by_the_draft_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 tokens in chunks of 8: three forwards without a draft, then it has caught up."""
    target, draft = pair()
    monkeypatch.setattr(speculate, "CHUNK", 8)
    prompt = Ids(tuple(range(40, 70)))
    decoding = replace(GREEDY, draft_tokens=3)
    run = Run(target.spec, prompt, decoding, 3, draft.spec)
    found = decode(target, [run], {draft.spec: draft})[0]
    assert_same(found, plain(target, decoding, prompt))
    assert found.proposals[0].position == 1 + 4 - (4 * 8 >= 30 + 4)


def test_a_draft_with_a_shorter_context_ends_with_it() -> None:
    target, draft = pair()
    short = replace(draft, card=replace(draft.card, context=20))
    decoding = replace(GREEDY, draft_tokens=3)
    run = Run(target.spec, PROMPT, decoding, 3, short.spec)
    found = decode(target, [run], {short.spec: short})[0]
    assert_same(found, plain(target, decoding))
    assert found.proposals
    assert all(len(PROMPT.ids) + p.position + len(p.ids) <= 20 for p in found.proposals)


@pytest.mark.parametrize("rows, draft_rows", ((400, 432), (432, 400)))
def test_rows_that_pad_a_vocabulary_are_not_proposed_and_not_read(
    rows: int, draft_rows: int
) -> None:
    """Models of one family pad the same vocabulary to different sizes; an id without a row in the
    other's embedding would be read past its end."""
    target, draft = (
        assemble(ModelSpec(f"tiny/{n}"), tiny_lm("llama", n), byte_level_tokenizer())
        for n in (rows, draft_rows)
    )
    check_draft(target, draft)
    high = Decoding(
        do_sample=True, temperature=5.0, max_new_tokens=40, draft_tokens=4
    )
    run = Run(target.spec, PROMPT, high, 1, draft.spec)
    found = decode(target, [run], {draft.spec: draft})[0]
    assert_same(found, plain(target, high, seed=1))
    assert all(id < rows for p in found.proposals for id in p.ids)
    if rows > draft_rows:
        assert max(found.ids) >= draft_rows, "the case has come"


def test_a_draft_must_share_the_vocabulary_and_go_back() -> None:
    target, draft = pair()
    check_draft(target, draft)
    tokenizer = metaspace_tokenizer()
    other = assemble(ModelSpec("tiny/other"), tiny_lm("llama", len(tokenizer)), tokenizer)
    with pytest.raises(InvalidInput, match="other has other tokens than llama") as refused:
        check_draft(target, other)
    assert refused.value.problem.field == "draft"
    with pytest.raises(InvalidInput, match="cannot be rolled back"):
        check_draft(target, recomputing())


@lru_cache(maxsize=1)
def sliding() -> Model:
    """A model with a window of eight tokens: those before have left its cache."""
    config = MistralConfig(
        vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=CONTEXT,
        sliding_window=8, initializer_range=0.35, bos_token_id=None, eos_token_id=None,
    )
    torch.manual_seed(0)
    return assemble(ModelSpec("tiny/sliding"), MistralForCausalLM(config), byte_level_tokenizer())


@pytest.mark.parametrize("tokens", (10, 3))
def test_a_sliding_window_goes_back_to_what_had_left_it(tokens: int, oracle: Any) -> None:
    """The rejected tokens have pushed others out; and in the end nothing more than the window is
    kept, for a cache that waits for the next prompt must not grow for ever."""
    model, prompt = sliding(), Ids(PROMPT.ids[:tokens])
    expected = plain(model, SAMPLED, prompt)
    oracle(expected, length=4, wrong=3)
    loop, run = DecodeLoop(model), Run(model.spec, prompt, looked_up(SAMPLED), 3)
    loop.join(0, run)
    found = Trace(run)
    while loop.busy:
        for _, event in loop.step():
            found = found.add(event)
    assert_same(found, expected)
    assert found.forwards < len(found.ids)
    more = Run(model.spec, Ids((*prompt.ids, *found.ids, 33)), GREEDY)
    loop.join(1, more)
    again = Trace(more)
    while loop.busy:
        for _, event in loop.step():
            again = again.add(event)
        caches = [batch._cache for batch in loop._batches]
        assert all(layer.keys.shape[-2] < 8 for cache in caches for layer in cache.layers)
    assert again.started is not None and again.started.reused == tokens + NEW - 1
    assert_same(again, plain(model, GREEDY, more.prompt))


def test_a_draft_with_a_sliding_window_goes_back_too() -> None:
    model = sliding()
    decoding = replace(SAMPLED, draft_tokens=3)
    run = Run(model.spec, PROMPT, decoding, 3, model.spec)
    found = decode(model, [run], {model.spec: model})[0]
    assert_same(found, plain(model, decoding))
    for proposed in found.proposals:
        text = [*PROMPT.ids, *found.ids[: proposed.position]]
        for id in proposed.ids:
            assert id == int(model.lm(torch.tensor([text])).logits[0, -1].argmax())
            text.append(id)


def recomputing() -> Model:
    model = tiny_model("llama")
    return replace(model, card=replace(model.card, lane=RECOMPUTE))


def recurrent() -> Model:
    config = MambaConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, state_size=4, initializer_range=0.35
    )
    torch.manual_seed(0)
    return assemble(ModelSpec("tiny/mamba"), MambaForCausalLM(config), byte_level_tokenizer())


@pytest.mark.parametrize("make", (recurrent, recomputing))
def test_a_model_that_cannot_go_back_decodes_plainly_and_says_so(make: Any) -> None:
    model = make()
    decoding = replace(GREEDY, prompt_lookup_tokens=4, draft_tokens=2)
    found = decode(model, [Run(model.spec, PROMPT, decoding, 3)])[0]
    assert_same(found, plain(model, decoding))
    assert not found.proposals and found.started is not None
    assert found.started.notices == (
        "ignored: Prompt lookup (the KV cache of this model cannot be rolled back).",
        "ignored: Draft tokens (the KV cache of this model cannot be rolled back).",
    )


def test_draft_tokens_without_a_draft_are_said_to_be_ignored() -> None:
    model = tiny_model("llama")
    found = decode(model, [Run(model.spec, PROMPT, replace(GREEDY, draft_tokens=2))])[0]
    assert found.started is not None and not found.proposals
    assert found.started.notices == ("ignored: Draft tokens (no draft model is chosen).",)


def test_exact_runs_in_16_bits_read_one_token_at_a_time() -> None:
    model = tiny_model("llama")
    half = assemble(model.spec, model.lm.to(torch.bfloat16), model.tokenizer)
    exact = replace(looked_up(GREEDY), alone=True)
    found = decode(half, [Run(half.spec, PROMPT, exact)])[0]
    assert found.started is not None and not found.proposals
    assert found.started.notices == (
        "ignored: Prompt lookup (in bfloat16 several tokens in one forward are rounded "
        "differently).",
    )


@pytest.mark.parametrize("beside", (False, True))
def test_a_stop_string_inside_accepted_tokens_ends_the_run(beside: bool, oracle: Any) -> None:
    model = tiny_model("llama")
    whole = plain(model, GREEDY)
    # Tokens 1 to 5 come of the second forward; the fourth of them ends the text.
    decoding = replace(GREEDY, min_new_tokens=0, stop_strings=(whole.steps[4].piece,))
    expected = plain(model, decoding)
    assert expected.finished is not None and expected.finished.reason == "stop string"
    oracle(whole, length=5)
    runs = [Run(model.spec, PROMPT, looked_up(decoding), 3)]
    runs += [Run(model.spec, Ids((30, 31)), SAMPLED, 1)] if beside else []
    found = decode(model, runs)[0]
    assert_same(found, expected)
    assert 1 < len(found.ids) <= 5 and found.forwards == 2
    assert found.proposals[0].accepted == len(found.ids) - 1 < len(found.proposals[0].pieces)


def test_an_end_token_inside_accepted_tokens_ends_the_run(oracle: Any) -> None:
    free = Decoding(max_new_tokens=NEW)
    whole = plain(tiny_model("llama"), free)
    places = range(2, len(whole.ids))
    end = next(whole.ids[i] for i in places if whole.ids[i] not in whole.ids[:i])
    model = tiny_model("llama", ends=(end,))
    expected = plain(model, free)
    assert expected.finished is not None and expected.finished.reason == "end"
    oracle(whole, length=12)
    found = decode(model, [Run(model.spec, PROMPT, looked_up(free), 3)])[0]
    assert_same(found, expected)
    assert found.ids[-1] == end and found.forwards == 2


def test_the_limit_is_reached_exactly(oracle: Any) -> None:
    """Seven tokens, four proposed: the prompt gives one, a forward five, and the last comes alone,
    since nobody need propose what a forward gives anyway."""
    model = tiny_model("llama")
    whole = plain(model, GREEDY)
    decoding = Decoding(max_new_tokens=7)
    oracle(whole, length=4)
    found = decode(model, [Run(model.spec, PROMPT, looked_up(decoding), 3)])[0]
    assert_same(found, plain(model, decoding))
    assert found.forwards == 3 and len(found.proposals) == 1
    assert found.finished is not None and found.finished.reason == "length"


def test_the_context_ends_a_run(oracle: Any) -> None:
    """A prompt of 150 tokens leaves ten of 160; no token is read beyond the last position."""
    model = tiny_model("gpt2")
    prompt = Ids(tuple(i % 390 for i in range(CONTEXT - 10)))
    free = Decoding(max_new_tokens=100)
    expected = plain(model, free, prompt)
    oracle(expected, length=16, more=[5] * 20)
    found = decode(model, [Run(model.spec, prompt, looked_up(free), 3)])[0]
    assert_same(found, expected)
    assert found.finished is not None and found.finished.reason == "context"
    assert len(found.ids) == 10 and found.forwards == 2


def test_leaving_keeps_what_was_written(oracle: Any) -> None:
    model = tiny_model("llama")
    long = Decoding(max_new_tokens=40, min_new_tokens=40)
    whole = plain(model, long)
    oracle(whole, length=3)
    run = Run(model.spec, PROMPT, looked_up(long), 3)
    # The prompt gives one token, and three steps four each.
    left = decode(model, [run, Run(model.spec, PROMPT, SAMPLED, 3)], leave_after=4)[0]
    assert left.ids == whole.ids[:13]
    assert left.finished is not None and left.finished.reason == "stopped"
    assert left.finished.new_tokens == 13


def test_a_run_beside_others_changes_nobodys_tokens(oracle: Any) -> None:
    model = tiny_model("llama")
    settings = (SAMPLED, GREEDY, SETTINGS["XTC"])
    expected = [plain(model, decoding) for decoding in settings]
    oracle(expected[0], length=3, wrong=4)
    runs = [Run(model.spec, PROMPT, looked_up(settings[0]), 3)]
    runs += [Run(model.spec, PROMPT, decoding, 3) for decoding in settings[1:]]
    for found, other in zip(decode(model, runs), expected, strict=True):
        assert_same(found, other)


def test_broken_logits_in_the_middle_keep_the_tokens_before(oracle: Any) -> None:
    model = tiny_model("llama")
    whole = plain(model, GREEDY)
    oracle(whole, length=4)

    def poison(_: Any, __: Any, output: Any) -> None:
        if output.logits.shape[1] == 5:
            output.logits[0, 2, 7] = float("nan")

    model.lm.register_forward_hook(poison)
    runs = [Run(model.spec, PROMPT, d, 3) for d in (looked_up(GREEDY), GREEDY)]
    broken, other = decode(model, runs)
    assert broken.problem is not None and broken.problem.code == "NAN_LOGITS"
    assert "token 4 " in broken.problem.message
    assert broken.ids == whole.ids[:3] and broken.proposals[0].accepted == 2
    assert other.problem is None and other.ids == whole.ids


@pytest.mark.parametrize("during", ("forward", "choice"))
def test_memory_that_ends_fails_the_run_and_keeps_its_text(
    during: str, oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second forward of the run, or its choice of the eighth token, finds no memory."""
    model = tiny_model("llama")
    whole = plain(model, GREEDY)
    oracle(whole, length=4)
    full = torch.OutOfMemoryError("CUDA out of memory")
    original, forwards = Row.choose, count(1)

    def choose(row: Row, *given: Any) -> Any:
        if row.decoding.is_speculative and row.new_tokens == 7:
            raise full
        return original(row, *given)

    def hook(_: Any, __: Any, output: Any) -> None:
        if output.logits.shape[1] == 5 and next(forwards) == 2:
            raise full

    if during == "choice":
        monkeypatch.setattr(Row, "choose", choose)
    else:
        model.lm.register_forward_hook(hook)
    runs = [Run(model.spec, PROMPT, d, 3) for d in (looked_up(GREEDY), GREEDY)]
    failed, other = decode(model, runs)
    assert failed.problem is not None and failed.problem.code == "OOM"
    assert failed.ids == whole.ids[: 7 if during == "choice" else 6]
    assert other.problem is None and other.ids == whole.ids


def test_what_was_read_serves_the_next_prompt(oracle: Any) -> None:
    """The cache that ended with rejected tokens holds just the text: 10 and 17 of 18 tokens."""
    model = tiny_model("llama")
    whole = plain(model, GREEDY)
    oracle(whole, length=5, wrong=4)
    loop = DecodeLoop(model)
    loop.join(0, Run(model.spec, PROMPT, looked_up(GREEDY), 3))
    while loop.busy:
        loop.step()
    more = Ids((*PROMPT.ids, *whole.ids, 33, 34))
    loop.join(1, Run(model.spec, more, GREEDY))
    trace = Trace(Run(model.spec, more, GREEDY))
    while loop.busy:
        for _, event in loop.step():
            trace = trace.add(event)
    assert trace.started is not None and trace.started.reused == len(PROMPT.ids) + NEW - 1
    assert_same(trace, plain(model, GREEDY, more))


@lru_cache(maxsize=2)
def built_in(name: str) -> Model:
    spec = ModelSpec(f"builtin/{name}")
    return load(spec, str(place(spec, (spec.repo,), any_model=False)), "cpu")


STORY = Raw("Once upon a time there was a little dragon named")


@pytest.mark.parametrize("sampled", (False, True))
def test_the_built_in_models_draft_for_each_other(sampled: bool) -> None:
    """They share a tokenizer, and both tell stories, in which names come again and again."""
    base, chat = built_in("tiny-base"), built_in("tiny-chat")
    check_draft(base, chat)
    decoding = Decoding(do_sample=sampled, temperature=0.7, max_new_tokens=40, min_new_tokens=40)
    expected = plain(base, decoding, STORY)
    for knobs in ({"prompt_lookup_tokens": 5}, {"draft_tokens": 3}):
        run = Run(base.spec, STORY, replace(decoding, **knobs), 3, chat.spec)
        found = decode(base, [run], {chat.spec: chat})[0]
        assert_same(found, expected)
        assert found.forwards < len(found.ids) == 40
