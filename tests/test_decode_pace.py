"""A run that is held, slowed or given other settings writes what it would have written anyway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from playground.core.decoding import Decoding
from playground.core.events import (
    Amended,
    Beams,
    Event,
    Failed,
    Finished,
    Paced,
    Proposed,
    Step,
    Unamended,
)
from playground.core.prompt import Ids
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.decode import loop as loops
from playground.decode.loop import DecodeLoop
from playground.decode.pace import Paces
from playground.models.lanes import ALONE, BATCH, RECOMPUTE
from playground.models.loading import Model, assemble
from tests.reference import decode, generate
from tests.tiny_models import CONTEXT, byte_level_tokenizer, tiny_model

PROMPT, OTHER, THIRD = Ids((7, 8, 9, 20, 7, 8, 9, 21, 7, 8)), Ids((30, 31, 32)), Ids((40, 41) * 20)
NEW = 10
GREEDY = Decoding(max_new_tokens=NEW, min_new_tokens=NEW, candidates=2)
SAMPLED = replace(GREEDY, do_sample=True)
STRATEGIES = {
    "greedy": GREEDY,
    "sampled": replace(SAMPLED, temperature=1.3, top_k=40),
    "penalties": replace(SAMPLED, repetition_penalty=1.4, frequency_penalty=0.7),
    "mirostat": replace(SAMPLED, mirostat_tau=4.0),
    "XTC": replace(SAMPLED, xtc_probability=0.5, xtc_threshold=0.02),
    "beams": replace(GREEDY, num_beams=3),
    "diverse beams": replace(GREEDY, num_beams=4, num_beam_groups=2, diversity_penalty=0.5),
    "contrastive": replace(GREEDY, penalty_alpha=0.6, top_k=3),
    "guidance": replace(SAMPLED, guidance_scale=1.5),
    "DoLa": replace(GREEDY, dola_layers="low"),
    "lookup": replace(SAMPLED, prompt_lookup_tokens=3),
    "alone": replace(SAMPLED, alone=True),
    "alone, guided": replace(SAMPLED, alone=True, guidance_scale=1.5),
    "without a cache": replace(SAMPLED, use_cache=False),
    "beams without a cache": replace(GREEDY, num_beams=3, use_cache=False),
}


@lru_cache(maxsize=1)
def model() -> Model:
    """Four layers, so that DoLa finds an early one."""
    made = tiny_model("llama", num_hidden_layers=4)
    assert made.card.lane == BATCH
    return made


@lru_cache(maxsize=1)
def sliding() -> Model:
    """A window of 8 tokens in every layer."""
    tokenizer = byte_level_tokenizer()
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=CONTEXT,
        initializer_range=0.35, bos_token_id=None, eos_token_id=None, sliding_window=8,
    )
    return assemble(ModelSpec("tiny/sliding"), MistralForCausalLM(config), tokenizer, {})


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A loop, and the trace of each of its runs by key."""

    def __init__(self, of: Model, clock: Callable[[], float] = Clock()) -> None:
        self.loop = DecodeLoop(of, clock=clock)
        self.traces: dict[int, Trace] = {}
        self.events: dict[int, list[Event]] = {}

    def join(self, key: int, run: Run) -> None:
        self.traces[key], self.events[key] = Trace(run), []
        self.loop.join(key, run)

    def step(self) -> dict[int, list[Event]]:
        """One step; what it told of each run."""
        told: dict[int, list[Event]] = {key: [] for key in self.traces}
        for key, event in self.loop.step():
            told[key].append(event)
            self.events[key].append(event)
            self.traces[key] = self.traces[key].add(event)
        return told

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def finish(self) -> None:
        for _ in range(500):
            if not self.loop.busy:
                return
            self.step()
        raise AssertionError("the loop does not end")


def run(decoding: Decoding, prompt: Ids = PROMPT, seed: int = 5, of: Model | None = None) -> Run:
    return Run((of or model()).spec, prompt, decoding, seed)


def undisturbed(one: Run, of: Model | None = None) -> Trace:
    return decode(of or model(), [one])[0]


def turns(events: Sequence[Event]) -> int:
    """How many forwards these events come from: beams tell their steps together at the end."""
    if any(isinstance(event, Beams) for event in events):
        return sum(isinstance(event, Beams) for event in events)
    shared = sum(event.accepted for event in events if isinstance(event, Proposed))
    return sum(isinstance(event, Step) for event in events) - shared


# A pace by itself.


def test_a_run_without_a_pace_goes_freely() -> None:
    paces = Paces(Clock())
    assert paces.may_go(1) and paces.went(1) is None and paces.wait([1]) == 0.0
    assert paces.wait([]) is None and not paces


def test_so_many_turns_and_then_none() -> None:
    paces = Paces(Clock())
    assert paces.set(1, 2, 0.0) == Paced(2, 0.0)
    assert paces.may_go(1) and paces.went(1) is None
    assert paces.may_go(1) and paces.went(1) == Paced(0, 0.0)
    assert not paces.may_go(1) and paces.wait([1]) is None and paces.wait([1, 2]) == 0.0
    paces.set(1, None, 0.0)
    assert paces.may_go(1) and not paces


def test_one_turn_in_each_slot_of_time() -> None:
    """The clock stands at 100.1; slots of half a second begin at 100.5, 101.0, …"""
    clock = Clock()
    clock.now = 100.1
    paces = Paces(clock)
    paces.set(1, None, 0.5)
    went = []
    for _ in range(40):
        clock.now += 0.1
        paces.tick()
        if paces.may_go(1):
            paces.went(1)
            went.append(round(clock.now, 1))
    assert went == pytest.approx([100.5, 101.0, 101.5, 102.0, 102.5, 103.0, 103.5, 104.0], abs=0.11)
    assert all(b - a == pytest.approx(0.5, abs=0.11) for a, b in zip(went, went[1:], strict=False))


def test_it_waits_until_the_first_is_due_and_not_longer() -> None:
    """At 100.25: a slot of 0.5 begins in 0.25 s, one of 1 in 0.75 s; who is paused is not due."""
    clock = Clock()
    clock.now = 100.25
    paces = Paces(clock)
    paces.set(1, None, 1.0)
    assert paces.wait([1]) == pytest.approx(0.75)
    paces.set(2, None, 0.5)
    paces.set(3, 0, 0.1)
    assert paces.wait([1, 2, 3]) == pytest.approx(0.25) and paces.wait([3]) is None
    clock.now = 100.5
    paces.tick()
    assert paces.wait([2]) == 0.0 and paces.may_go(2) and not paces.may_go(1)


def test_a_step_that_is_asked_for_comes_at_once_however_slow_the_run_is() -> None:
    paces = Paces(Clock())
    paces.set(1, 0, 30.0)
    paces.set(1, 1, 30.0)
    paces.tick()
    assert paces.may_go(1) and paces.wait([1]) == 0.0


# Runs that are held.


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_held_run_writes_what_it_would_have_written(name: str) -> None:
    """Paused before its third turn, led on one turn at a time, then let go; beside it others join,
    leave by themselves and are stopped."""
    decoding = STRATEGIES[name]
    told = Told(model())
    told.join(0, run(decoding))
    told.join(1, run(SAMPLED, OTHER, seed=8))
    while turns(told.events[0]) < 2:
        told.step()
    told.loop.pace(0, 0)
    held = told.step()[0]
    assert held == [Paced(0)], "it is told at once, and no token with it"
    told.join(2, run(replace(GREEDY, max_new_tokens=3, min_new_tokens=3), THIRD))
    told.steps(3)
    assert told.step()[0] == [] and told.traces[2].state == "finished"
    for _ in range(2):
        told.loop.pace(0, 1)
        first, *given = told.step()[0]
        assert first == Paced(1) and given[-1] == Paced(0) and turns(given) == 1
        assert told.step()[0] == []
    told.join(3, run(GREEDY, OTHER))
    told.steps(2)
    told.loop.leave(3)
    told.loop.pace(0, None)
    told.finish()
    alone = undisturbed(run(decoding))
    assert told.traces[0].ids == alone.ids and len(alone.ids) == NEW
    assert told.traces[0].text == alone.text
    assert told.traces[1].ids == undisturbed(run(SAMPLED, OTHER, seed=8)).ids
    assert told.traces[0].finished is not None and alone.finished is not None
    assert told.traces[0].finished.cache_bytes == alone.finished.cache_bytes


@pytest.mark.parametrize("name", ("greedy", "sampled", "beams"))
def test_a_held_row_of_a_sliding_window_goes_on_with_its_window(name: str) -> None:
    """Its window is full before it leaves the batch, and its neighbour is longer or shorter."""
    for neighbour in (OTHER, THIRD):
        told = Told(sliding())
        told.join(0, run(STRATEGIES[name], of=sliding()))
        told.join(1, run(replace(GREEDY, max_new_tokens=40), neighbour, of=sliding()))
        told.steps(3)
        told.loop.pace(0, 0)
        told.steps(4)
        told.loop.pace(0, None)
        told.finish()
        for trace in told.traces.values():
            assert trace.ids == undisturbed(trace.run, sliding()).ids == generate(
                sliding(), trace)[0]


def test_a_model_that_decodes_one_text_at_a_time_holds_runs_too() -> None:
    for lane in (ALONE, RECOMPUTE):
        made = replace(model(), card=replace(model().card, lane=lane))
        told = Told(made)
        for key, prompt in enumerate((PROMPT, OTHER)):
            told.join(key, run(SAMPLED, prompt))
        told.steps(3)
        told.loop.pace(1, 0)
        told.steps(3)
        assert len(told.traces[1].ids) < len(told.traces[0].ids)
        told.loop.pace(1, None)
        told.finish()
        for trace in told.traces.values():
            assert trace.ids == undisturbed(trace.run).ids


def test_others_go_on_while_one_is_held_and_nothing_of_it_is_decoded() -> None:
    told = Told(model())
    for key, prompt in enumerate((PROMPT, OTHER)):
        told.join(key, run(GREEDY, prompt))
    told.steps(2)
    told.loop.pace(0, 0)
    told.finish()
    assert told.traces[1].state == "finished" and told.traces[0].is_paused
    assert not told.loop.busy and told.loop.due_in is None, "a worker would wait for a command"
    assert told.loop.step() == []


def test_a_run_that_is_paused_before_it_begins_reads_its_prompt_and_waits() -> None:
    for decoding in (GREEDY, STRATEGIES["contrastive"]):
        told = Told(model())
        told.join(0, run(decoding))
        told.loop.pace(0, 0)
        told.finish()
        assert [type(event).__name__ for event in told.events[0]] == ["Paced", "Started"]
        told.loop.pace(0, 1)
        told.finish()
        assert len(told.traces[0].ids) == 1 and told.traces[0].is_paused
        told.loop.pace(0, None)
        told.finish()
        assert told.traces[0].ids == undisturbed(run(decoding)).ids


@pytest.mark.parametrize("when", (0, 3))
def test_stop_reaches_a_held_run_at_once(when: int) -> None:
    told = Told(model())
    told.join(0, run(GREEDY))
    told.join(1, run(GREEDY, OTHER))
    told.steps(when)
    told.loop.pace(0, 0)
    told.steps(2)
    before = told.traces[0].ids
    told.loop.leave(0)
    assert told.loop.due_in == 0
    last = told.step()[0][-1]
    assert isinstance(last, Finished) and last.reason == "stopped"
    assert told.traces[0].ids == before and not told.loop._paces, "nothing of it is left"
    told.finish()
    assert told.traces[1].ids == undisturbed(run(GREEDY, OTHER)).ids


def test_what_is_asked_of_a_run_that_is_not_here_is_nothing() -> None:
    told = Told(model())
    told.loop.pace(7, 0)
    told.loop.amend(7, SAMPLED)
    assert not told.loop.busy and told.loop.step() == []
    told.join(7, run(GREEDY))
    told.finish()
    assert told.traces[7].ids == undisturbed(run(GREEDY)).ids


def test_no_memory_for_the_part_of_a_held_run_fails_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told(model())
    for key, prompt in enumerate((PROMPT, OTHER)):
        told.join(key, run(GREEDY, prompt))
    told.steps(2)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(loops.Batch, "part", full)
    told.loop.pace(0, 0)
    assert isinstance(told.step()[0][-1], Failed)
    told.finish()
    assert told.traces[0].problem is not None and told.traces[0].problem.code == "OOM"
    assert told.traces[1].ids == undisturbed(run(GREEDY, OTHER)).ids


def test_runs_of_one_pace_share_their_forwards() -> None:
    """Four lanes that began at different times, each told a token every half second; a fifth goes
    freely all the time."""
    clock = Clock()
    told = Told(model(), clock)
    rows: list[int] = []
    lm = model().lm
    hook = lm.register_forward_hook(lambda _, __, out: rows.append(out.logits.shape[0]))
    try:
        for key in range(4):
            told.join(key, run(GREEDY, Ids((50 + key, 51, 52 + key))))
            told.step()
        for key in range(4):
            clock.now += 0.01
            told.loop.pace(key, None, 0.5)
        told.step()
        for _ in range(3):
            clock.now += 0.25
            told.steps(2)
        rows.clear()
        for _ in range(4):
            clock.now += 0.25
            told.steps(3)
        assert rows == [4, 4], "two slots have begun in this second"
    finally:
        hook.remove()
    assert 0 < told.loop.due_in <= 0.5  # type: ignore[operator]


def test_a_slow_run_tells_one_token_in_each_slot_and_others_are_not_slowed() -> None:
    clock = Clock()
    told = Told(model(), clock)
    told.join(0, run(GREEDY))
    told.join(1, run(replace(GREEDY, max_new_tokens=100, min_new_tokens=100), OTHER))
    told.loop.pace(0, None, 1.0)
    counts = []
    for _ in range(4):
        told.steps(5)
        counts.append((len(told.traces[0].ids), len(told.traces[1].ids)))
        clock.now += 1.0
    assert counts == [(0, 5), (1, 10), (2, 15), (3, 20)]
    told.loop.pace(0, None)
    told.finish()
    for trace in told.traces.values():
        assert trace.ids == undisturbed(trace.run).ids


# Other settings from the next token on.


def forced_along(before: Trace, count: int, decoding: Decoding) -> Run:
    """A run with these settings that begins with the first tokens of another."""
    return replace(before.run, decoding=decoding, fork=Fork(before.ids[:count]))


def amended(one: Run, count: int, decoding: Decoding, of: Model | None = None) -> Told:
    """A run that is given other settings after ``count`` tokens, beside another run."""
    told = Told(of or model())
    told.join(0, one)
    told.join(1, run(SAMPLED, OTHER))
    while len(told.traces[0].ids) < count:
        told.step()
    told.loop.amend(0, decoding)
    told.finish()
    assert told.traces[1].ids == undisturbed(run(SAMPLED, OTHER)).ids
    return told


PLAIN = {
    "greedy": GREEDY,
    "longer": replace(GREEDY, max_new_tokens=NEW + 7),
    "repetition": replace(GREEDY, repetition_penalty=1.8),
    "no repeats": replace(GREEDY, no_repeat_ngram_size=1),
    "counts": replace(GREEDY, frequency_penalty=1.9, presence_penalty=1.5),
    "banned and biased": replace(GREEDY, banned=((7,), (9,)), bias=(((20,), -50.0),)),
    "DRY": replace(GREEDY, dry_multiplier=4.0, dry_allowed_length=1),
}


@pytest.mark.parametrize("count", (0, 4))
@pytest.mark.parametrize("name", PLAIN)
def test_from_there_on_it_is_a_run_with_the_new_settings(name: str, count: int) -> None:
    """The first tokens are those of the old settings; the rest is what a run with the new ones
    writes behind them, whose penalties count the whole answer."""
    old = replace(GREEDY, repetition_penalty=1.1)
    told = amended(run(old), count, PLAIN[name])
    trace, before = told.traces[0], undisturbed(run(old))
    assert trace.amended == (Amended(count, PLAIN[name]),)
    assert trace.ids[:count] == before.ids[:count]
    assert trace.ids[count:] == undisturbed(forced_along(before, count, PLAIN[name])).ids
    assert len(trace.ids) == PLAIN[name].max_new_tokens


def test_the_dice_go_on_where_they_were() -> None:
    """Four tokens drawn at one temperature, the rest at another: as one generator throws them."""
    cold, hot = replace(SAMPLED, temperature=0.7), replace(SAMPLED, temperature=1.9, top_k=60)
    trace = amended(run(cold), 4, hot).traces[0]
    assert trace.ids[:4] == undisturbed(run(cold)).ids[:4]
    dice = torch.Generator().manual_seed(5)
    for _ in range(4):
        torch.multinomial(torch.ones(1, model().card.vocabulary), 1, generator=dice)
    for place in range(4, NEW):
        text = torch.tensor([[*PROMPT.ids, *trace.ids[:place]]])
        with torch.inference_mode():
            logits = model().lm(text).logits[:, -1] / 1.9
        kept = logits.masked_fill(logits < logits.topk(60).values[:, -1:], -torch.inf)
        drawn = torch.multinomial(torch.softmax(kept, -1), 1, generator=dice)
        assert int(drawn) == trace.ids[place]


def test_dice_that_were_not_thrown_yet_begin_at_that_place() -> None:
    """As a replay of that step throws them; and they rest while nothing is drawn."""
    told = Told(model())
    told.join(0, run(GREEDY))
    told.steps(4)
    would = told.loop.replay(0, 3, SAMPLED)
    told.loop.pace(0, 0)
    told.loop.amend(0, SAMPLED)
    told.loop.pace(0, 1)
    told.step()
    assert told.traces[0].decoding_at(4) == SAMPLED
    assert told.loop.replay(0, 4, SAMPLED) == told.traces[0].steps[4]
    assert would.position == 3
    before = told.loop._members().__next__()._generator.get_state()  # type: ignore[attr-defined]
    told.loop.amend(0, GREEDY)
    told.loop.pace(0, 2)
    told.finish()
    told.loop.amend(0, SAMPLED)
    told.step()
    after = told.loop._members().__next__()._generator.get_state()  # type: ignore[attr-defined]
    assert torch.equal(before, after)


def test_a_run_amended_before_its_first_token_is_the_other_run() -> None:
    """At a fork too: its dice are fresh there."""
    for fork in (None, Fork((20, 21, 22), insert=(23,))):
        one = replace(run(GREEDY), fork=fork)
        told = Told(model())
        told.join(0, one)
        told.loop.amend(0, SAMPLED)
        told.finish()
        assert told.traces[0].ids == undisturbed(replace(one, decoding=SAMPLED)).ids
        assert told.traces[0].amended == (Amended(len(fork.ids) if fork else 0, SAMPLED),)


def test_mirostat_goes_on_from_what_it_had_come_to() -> None:
    """Its mu begins at twice tau, 8; eta is changed after four tokens and tau stays."""
    first = replace(SAMPLED, mirostat_tau=4.0)
    told = Told(model())
    told.join(0, run(first))
    told.steps(4)
    row: Any = next(told.loop._members())
    mu = row.chain.mirostat.mu
    told.loop.amend(0, replace(first, mirostat_eta=0.5))
    assert row.chain.mirostat.mu == mu != 8.0
    told.loop.amend(0, SAMPLED)
    told.loop.amend(0, first)
    assert row.chain.mirostat.mu == 8.0, "it was off in between"


def test_new_stop_strings_see_what_is_written_already() -> None:
    """A string of which half is written before it is asked for: the answer's own token."""
    whole = undisturbed(run(GREEDY))
    texts = [(step.text, step.position) for step in whole.steps]
    plain = next(n for n in range(2, NEW) if (texts[n - 1][0] + texts[n][0]).isascii()
                 and texts[n - 1][0] and texts[n][0])
    string = texts[plain - 1][0] + texts[plain][0]
    told = amended(run(GREEDY), plain, replace(GREEDY, stop_strings=(string,)))
    assert told.traces[0].ids == whole.ids[: plain + 1]
    assert told.traces[0].finished is not None
    assert told.traces[0].finished.reason == "stop string"


def test_a_strategy_around_the_plain_ones_takes_new_knobs_and_stays() -> None:
    for name in ("guidance", "DoLa", "lookup", "alone", "without a cache"):
        old = STRATEGIES[name]
        before = undisturbed(run(old))
        new = replace(old, banned=((before.ids[4],),))
        told = amended(run(old), 4, new)
        assert told.traces[0].ids[:4] == before.ids[:4], name
        if not old.do_sample:
            rest = undisturbed(forced_along(before, 4, new)).ids
            assert told.traces[0].ids[4:] == rest, name
        assert told.traces[0].amended and told.traces[0].ids != before.ids, name


REFUSED = {
    "num_beams": replace(GREEDY, num_beams=3),
    "penalty_alpha": replace(GREEDY, penalty_alpha=0.6, top_k=3),
    "guidance_scale": replace(GREEDY, guidance_scale=1.5),
    "dola_layers": replace(GREEDY, dola_layers="low"),
    "prompt_lookup_tokens": replace(GREEDY, prompt_lookup_tokens=3),
    "use_cache": replace(GREEDY, use_cache=False),
    "alone": replace(GREEDY, alone=True),
    "max_new_tokens": replace(GREEDY, max_new_tokens=4, min_new_tokens=0),
    "banned": replace(GREEDY, banned=((100_000,),)),
    "forced": replace(GREEDY, forced=(7,) * 50),
}


@pytest.mark.parametrize("field", REFUSED)
def test_what_would_make_it_another_run_is_refused_and_changes_nothing(field: str) -> None:
    told = amended(run(GREEDY), 4, REFUSED[field])
    trace = told.traces[0]
    assert trace.ids == undisturbed(run(GREEDY)).ids and trace.amended == ()
    assert trace.refusal is not None and trace.refusal.field == field
    assert any(isinstance(event, Unamended) for event in told.events[0])


@pytest.mark.parametrize("name", ("beams", "contrastive"))
def test_a_search_keeps_its_settings(name: str) -> None:
    decoding = STRATEGIES[name]
    told = amended(run(decoding), 0, replace(decoding, max_new_tokens=NEW + 1))
    assert told.traces[0].refusal is not None
    assert told.traces[0].refusal.field == ("num_beams" if name == "beams" else "penalty_alpha")
    assert told.traces[0].ids == undisturbed(run(decoding)).ids


def test_a_replay_of_a_step_knows_the_settings_that_it_was_chosen_with() -> None:
    """The step before the change and the one after it, each under its own, give what was told."""
    hot = replace(SAMPLED, temperature=1.9, max_new_tokens=NEW + 5)
    told = amended(run(SAMPLED), 4, hot)
    trace = told.traces[0]
    for place in (0, 3, 4, NEW + 4):
        assert told.loop.replay(0, place, trace.decoding_at(place)) == trace.steps[place]


# Without a cache, and what one costs.


@pytest.mark.parametrize("name", ("greedy", "sampled", "mirostat", "beams", "guidance", "DoLa"))
def test_without_a_cache_a_run_writes_the_same(name: str) -> None:
    with_cache, without = (replace(STRATEGIES[name], use_cache=on) for on in (True, False))
    shapes: list[tuple[int, ...]] = []
    hook = model().lm.register_forward_pre_hook(
        lambda _, __, known: shapes.append(tuple(known["input_ids"].shape)), with_kwargs=True
    )
    try:
        traces = decode(model(), [run(without), run(with_cache), run(GREEDY, OTHER)], [0, 2, 3])
    finally:
        hook.remove()
    assert traces[0].ids == traces[1].ids == undisturbed(run(with_cache)).ids
    assert (1, len(PROMPT.ids) + NEW - 1) in shapes, "the whole text, up to its last but one"
    assert traces[0].finished is not None and traces[1].finished is not None
    assert traces[0].finished.cache_bytes == 0 < traces[1].finished.cache_bytes
    assert traces[0].started is not None and traces[0].started.reused == 0


@pytest.mark.parametrize("name", ("greedy", "sampled", "beams"))
def test_without_a_cache_is_generate_without_a_cache(name: str) -> None:
    trace = undisturbed(run(replace(STRATEGIES[name], use_cache=False)))
    assert trace.ids == generate(model(), trace)[0]


def test_proposals_need_a_cache_and_say_so() -> None:
    decoding = replace(GREEDY, prompt_lookup_tokens=3, use_cache=False)
    assert decoding.ignored == ("Prompt lookup",) and "no KV cache" in decoding.summary
    assert undisturbed(run(decoding)).proposals == ()


def test_the_cache_of_a_run_is_what_its_own_tokens_fill() -> None:
    """2 (keys and values) x 4 layers x 2 heads x 8 numbers x 4 bytes = 512 bytes a token. Ten
    tokens of the prompt and nine new ones have been read, alone and in a padded batch alike; three
    beams fill three times as much, guidance reads its second text too: one token and nine."""
    each = 2 * 4 * 2 * 8 * 4
    assert model().card.cache_bytes(1) == each == 512
    alone, beside = undisturbed(run(GREEDY)), decode(model(), [run(GREEDY), run(GREEDY, THIRD)])[0]
    for trace in (alone, beside):
        assert trace.finished is not None
        assert trace.finished.cache_bytes == 19 * each == model().card.cache_bytes(19)
    for name, tokens in (("beams", 3 * 19), ("guidance", 19 + 10), ("lookup", 19),
                         ("alone, guided", 19 + 10)):
        done = undisturbed(run(STRATEGIES[name])).finished
        assert done is not None and done.cache_bytes == tokens * each, name
    stopped = Told(model())
    stopped.join(0, run(GREEDY))
    stopped.join(1, run(STRATEGIES["beams"]))
    stopped.steps(4)
    stopped.loop.leave(0)
    stopped.loop.leave(1)
    stopped.finish()
    bytes = [t.finished.cache_bytes for t in stopped.traces.values() if t.finished is not None]
    assert bytes == [13 * each, 3 * 13 * each]


def test_a_run_of_one_token_fills_what_its_prompt_does() -> None:
    done = undisturbed(run(replace(GREEDY, max_new_tokens=1, min_new_tokens=1))).finished
    assert done is not None and done.cache_bytes == 10 * 512


def test_a_sliding_window_fills_no_more_than_its_window() -> None:
    """2 layers x 2 x 2 heads x 8 numbers x 4 bytes = 256 a token, of at most 7 tokens."""
    card = sliding().card
    assert [card.cache_bytes(n) for n in (1, 7, 8, 100)] == [256, 7 * 256, 7 * 256, 7 * 256]
    for decoding in (GREEDY, STRATEGIES["lookup"]):
        done = undisturbed(run(decoding, of=sliding()), sliding()).finished
        assert done is not None and done.cache_bytes == card.cache_bytes(19)


def test_every_step_says_how_long_its_forward_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one second each time it is read: a forward reads it twice."""
    ticks = iter(range(10_000))
    monkeypatch.setattr("playground.decode.batch.time.perf_counter", lambda: float(next(ticks)))
    for name in ("greedy", "contrastive", "lookup", "alone, guided", "without a cache"):
        steps = undisturbed(run(STRATEGIES[name])).steps
        assert [step.seconds for step in steps] == [1.0] * NEW, name
    beams = undisturbed(run(STRATEGIES["beams"]))
    assert [told.seconds for told in beams.beams] == [1.0] * NEW
    assert {step.seconds for step in beams.steps} == {0.0}
