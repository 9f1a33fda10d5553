"""Laws of going on in the middle of an answer: the ids are ``generate()``'s, the rest is the run's.

A fork reads what stands like a prompt, tells what is inserted with the model's own numbers, and
chooses freely from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Beams, Event, Finished, Step
from playground.core.prompt import Ids, Prompt, Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.decode.score import Scorer
from playground.errors import InvalidInput, Problem
from playground.models.loading import Model, assemble
from playground.models.text import inserted
from tests.architectures import CORE, tiny
from tests.reference import decode, generate
from tests.test_decode_warm import hybrid_model, sliding_model
from tests.tiny_models import KINDS, UNICODE, byte_level_tokenizer, metaspace_tokenizer, tiny_model

PROMPT = Ids(tuple(range(20, 50)))
NEW = 12
CLOSE = 1e-4


@cache
def model(kind: str = "llama") -> Model:
    return tiny_model(kind)


def run(decoding: Decoding = Decoding(), fork: Fork | None = None, **more: Any) -> Run:
    given: dict[str, Any] = {"prompt": PROMPT, "seed": 3, **more}
    new = NEW if decoding.max_new_tokens == Decoding().max_new_tokens else decoding.max_new_tokens
    return Run(
        model().spec, decoding=replace(decoding, max_new_tokens=new), fork=fork, **given
    )


def one(made: Run, on: Model | None = None) -> Trace:
    (trace,) = decode(on or model(), [made])
    return trace


def finished(trace: Trace) -> Trace:
    assert trace.problem is None, trace.problem
    assert trace.finished is not None
    return trace


def assert_same_steps(found: Sequence[Step], expected: Sequence[Step]) -> None:
    """Equal but for the last bits of their floats."""
    for a, b in zip(found, expected, strict=True):
        assert (a.position, a.id, a.text, a.piece, a.special, a.forced, a.rank) == (
            b.position, b.id, b.text, b.piece, b.special, b.forced, b.rank
        )
        numbers, others = (
            [s.logprob, s.probability, s.entropy,
             *(n for c in s.candidates for n in (c.logprob, c.probability))]
            for s in (a, b)
        )
        assert numbers == pytest.approx(others, abs=CLOSE)


# What has one most likely way on from any place: greedy, and what steers it.
GREEDY = {
    "greedy": Decoding(),
    "penalties": Decoding(
        frequency_penalty=0.7, presence_penalty=0.5, repetition_penalty=1.3, dry_multiplier=2.0,
        dry_allowed_length=1, no_repeat_ngram_size=2,
    ),
    "begun": Decoding(forced=(70, 71, 72, 73), bias=(("e", 3.0),), min_new_tokens=9),
    "guidance": Decoding(guidance_scale=2.0, negative_prompt="A poem about"),
    "guidance without words": Decoding(guidance_scale=2.0),
    "dola": Decoding(dola_layers="high", repetition_penalty=1.2),
    "contrastive": Decoding(penalty_alpha=0.6, top_k=4),
    "prompt lookup": Decoding(prompt_lookup_tokens=4),
    "alone": Decoding(alone=True),
    "without a cache": Decoding(use_cache=False, penalty_alpha=0.6, top_k=4),
}


@pytest.mark.parametrize("name", GREEDY)
def test_a_fork_of_a_greedy_run_reproduces_its_rest(name: str) -> None:
    """Ids, texts and numbers from any place; processors count what stands as answer, not prompt.

    Forks and parent decode together, each at another place of its text.
    """
    parent = finished(one(run(GREEDY[name])))
    places = (0, 1, 5, NEW - 1)
    forks = decode(model(), [run(GREEDY[name], Fork(parent.ids[:k])) for k in places])
    for place, fork in zip(places, forks, strict=True):
        assert_same_steps(finished(fork).steps, parent.steps[place:])
        assert fork.finished and parent.finished
        assert fork.finished.reason == parent.finished.reason
        assert fork.finished.new_tokens == NEW - place
        assert fork.finished.tail == parent.finished.tail


GENERATE = {
    "greedy": Decoding(),
    "sampled": Decoding(do_sample=True, temperature=1.4, top_p=0.95),
    "sampled with penalties": Decoding(
        do_sample=True, repetition_penalty=1.3, no_repeat_ngram_size=2, min_new_tokens=8
    ),
    "beam search": Decoding(num_beams=3, length_penalty=0.5),
    "patient beam search": Decoding(num_beams=2, early_stopping="never", length_penalty=2.0),
    "beam sampling": Decoding(num_beams=3, do_sample=True, temperature=1.2),
    "guidance": Decoding(guidance_scale=1.5, negative_prompt="A poem about"),
    "sampled guidance": Decoding(do_sample=True, guidance_scale=1.5),
    "prompt lookup": Decoding(do_sample=True, temperature=0.3, prompt_lookup_tokens=3),
}
FORKS = {
    "ids": Fork(tuple(range(90, 96))),
    "insert": Fork((), (90, 91)),
    "both": Fork((200, 201, 202), (203,)),
    "banned": Fork((200, 201), (203,), banned=tuple(range(0, 400, 2))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GENERATE)
def test_a_fork_is_generate(name: str, kind: str) -> None:
    """Of prompt, ids and insert together, with fresh dice from the seed; whatever else runs."""
    on = tiny_model(kind, ends=(7, 8, 9))
    runs = [replace(run(GENERATE[name], fork), model=on.spec) for fork in FORKS.values()]
    for trace in decode(on, runs, joins=[0, 0, 2, 3]):
        ids, score = generate(on, finished(trace))
        assert trace.ids == ids
        assert trace.finished and trace.finished.score == (
            None if score is None else pytest.approx(score, abs=CLOSE)
        )
        fork = trace.run.fork
        assert fork and [step.position for step in trace.steps] == list(
            range(len(fork.ids), len(fork.ids) + len(ids))
        )
        assert [step.forced for step in trace.steps].count(True) == len(fork.insert)


@pytest.mark.parametrize("name", ["sampled", "sampled guidance", "beam sampling"])
def test_banned_tokens_do_not_come_at_the_fork_and_may_come_later(name: str) -> None:
    """Whatever the dice say; one by one, until all candidates of the place are banned."""
    seen = set()
    for seed in range(4):
        banned: tuple[int, ...] = ()
        for _ in range(3):
            trace = finished(one(run(GENERATE[name], Fork((200,), banned=banned), seed=seed)))
            assert trace.steps[0].id not in banned
            banned = (*banned, trace.steps[0].id)
            seen |= {step.id for step in trace.steps[1:]}
            candidates = {c.id for c in trace.steps[0].candidates}
        trace = finished(one(run(GENERATE[name], Fork((200,), banned=tuple(candidates)))))
        assert trace.steps[0].id not in candidates and trace.steps[0].rank > len(candidates)
        assert all(c.probability == 0.0 for c in trace.steps[0].candidates)
    free = finished(one(run(Decoding(), Fork((200,)))))
    again = finished(one(run(Decoding(), Fork((200,), banned=free.ids))))
    assert again.steps[0].id not in free.ids and set(free.ids) & set(again.ids[1:])
    assert again.steps[0].rank == 1 + sum(
        c.logprob > again.steps[0].logprob for c in again.steps[0].candidates
    )


def test_an_end_that_is_banned_at_the_fork_lets_the_answer_go_on() -> None:
    on = tiny_model("llama", ends=tuple(range(300)))
    first = finished(one(run(), on))
    assert len(first.ids) == 1 and first.finished and first.finished.reason == "end"
    ends = on.ends
    trace = finished(one(run(fork=Fork(banned=ends)), on))
    assert trace.steps[0].id not in ends and len(trace.ids) > 1


def scored(text: Ids, before: int) -> Sequence[Step]:
    """What the score room tells of a text's tokens from place ``before`` on."""
    scorer = Scorer(model())
    scorer.join(0, ScoreRequest(Ids(text.ids[before:]), prompt=Ids(text.ids[:before])))
    while scorer.busy:
        if told := scorer.step():
            assert not isinstance(told[1], Problem)
            return tuple(told[1].steps)  # type: ignore[union-attr]
    raise AssertionError


@pytest.mark.parametrize("name", ["greedy", "sampled", "beam search", "prompt lookup", "dola",
                                  "contrastive"])
def test_inserted_tokens_are_told_as_the_model_sees_them(name: str) -> None:
    """Log-probability, rank, entropy and candidates are those that the score room tells."""
    ids, insert = (200, 201, 202), (11, 399, 60)
    trace = finished(one(run({**GREEDY, **GENERATE}[name], Fork(ids, insert))))
    forced = [step for step in trace.steps if step.forced]
    assert forced == list(trace.steps[:3]) and tuple(s.id for s in forced) == insert
    for step, expected in zip(
        forced, scored(Ids((*PROMPT.ids, *ids, *insert)), len(PROMPT.ids) + 3), strict=True
    ):
        assert (step.id, step.piece, step.rank) == (expected.id, expected.piece, expected.rank)
        assert step.logprob == pytest.approx(expected.logprob, abs=CLOSE)
        assert step.entropy == pytest.approx(expected.entropy, abs=CLOSE)
        assert [c.id for c in step.candidates] == [c.id for c in expected.candidates]
        for mine, other in zip(step.candidates, expected.candidates, strict=True):
            assert mine.logprob == pytest.approx(other.logprob, abs=CLOSE)
        assert step.draw is None


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(banned=((60,),)),
        Decoding(do_sample=True, top_k=1),
        Decoding(num_beams=2, banned=((60,),)),
        Decoding(penalty_alpha=0.5, top_k=3, banned=((60,),)),
        Decoding(do_sample=True, mirostat_tau=0.5),
        Decoding(forced=(61, 62)),
        Decoding(banned=((60,),), effects=True),
    ],
    ids=lambda decoding: decoding.summary,
)
def test_what_the_settings_rule_out_can_be_inserted(decoding: Decoding) -> None:
    """It is told with the probability that they leave it, which is none; the rest is unmoved."""
    trace = finished(one(run(decoding, Fork((), (60,)))))
    first, second = trace.steps[:2]
    assert first.forced and first.id == 60 and first.probability == 0.0
    assert not second.forced and second.probability > 0.0
    assert first.logprob == pytest.approx(one(run(fork=Fork((), (60,)))).steps[0].logprob)
    if decoding.effects:
        assert [effect.name for effect in first.effects] == ["model", "banned"]


def test_mirostat_begins_where_the_run_begins_to_choose() -> None:
    """A token that nothing drew has no surprise to steer by: with it, mu would fall to nothing."""
    decoding = Decoding(do_sample=True, mirostat_tau=3.0, mirostat_eta=0.8)
    insert = finished(one(run(decoding, Fork((), (60, 61)))))
    stand = finished(one(run(decoding, Fork((60, 61)))))
    assert_same_steps(insert.steps[2:], stand.steps)


def test_the_dice_are_fresh_at_the_first_free_place() -> None:
    """XTC throws them at every step; at those of inserted tokens they are put back."""
    decoding = Decoding(do_sample=True, xtc_probability=0.5, xtc_threshold=0.01)
    insert = finished(one(run(decoding, Fork((60,), (61, 62)), seed=8)))
    stand = finished(one(run(decoding, Fork((60, 61, 62)), seed=8)))
    assert_same_steps(insert.steps[2:], stand.steps)


@pytest.mark.parametrize("text", UNICODE)
def test_the_text_is_exact_across_the_border(text: str) -> None:
    """What stands, what is inserted and what follows join to the decoded ids at every cut, half
    characters in the middle included."""
    tokenizer = byte_level_tokenizer()
    ids = tuple(tokenizer(text)["input_ids"])
    cuts = sorted({1, len(ids) // 2, len(ids) - 2, *range(7, min(len(ids), 14))})
    runs = [
        run(Decoding(do_sample=True, max_new_tokens=len(ids) + 4), Fork(ids[:cut], ids[cut:]))
        for cut in cuts
    ]
    whole = finished(one(replace(runs[0], fork=Fork((), ids))))
    for cut, trace in zip(cuts, decode(model(), runs), strict=True):
        assert_same_steps(finished(trace).steps, whole.steps[cut:])
        joined = replace(trace, beginning=whole.steps[:cut])
        assert joined.whole == (*whole.steps[:cut], *trace.steps)
        assert joined.answer == whole.text == tokenizer.decode(
            whole.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert joined.text == trace.text


def test_a_stop_string_may_begin_before_the_fork() -> None:
    """One that stands already does not end the run: only a new token can complete it."""
    ids = tuple(byte_level_tokenizer()("the river")["input_ids"])
    decoding = Decoding(stop_strings=("river",))
    begun = finished(one(run(decoding, Fork(ids[:-1], ids[-1:]))))
    assert begun.ids == ids[-1:] and begun.finished and begun.finished.reason == "stop string"
    stands = finished(one(run(decoding, Fork(ids))))
    assert len(stands.ids) == NEW - len(ids)


@pytest.mark.parametrize("text", ["Hello, Wörld!", " two", "  spaces", "\n\nnext", "🇫🇷 flag", "a"])
@pytest.mark.parametrize("make", [byte_level_tokenizer, metaspace_tokenizer])
def test_an_inserted_text_becomes_ids_that_spell_it(make: Callable[[], Any], text: str) -> None:
    """Inside a text: without the space that a SentencePiece tokenizer begins every text with."""
    tokenizer = make()
    ids, notices = inserted(tokenizer, text)
    before = tokenizer("x", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode([*before, *ids], clean_up_tokenization_spaces=False) == f"x{text}"
    assert notices == []


@pytest.mark.parametrize("make", [byte_level_tokenizer, metaspace_tokenizer])
def test_control_tokens_in_an_inserted_text_are_plain(make: Callable[[], Any]) -> None:
    tokenizer = make()
    end = tokenizer.eos_token
    ids, notices = inserted(tokenizer, f"so {end} on")
    assert not set(ids) & set(tokenizer.all_special_ids)
    before = tokenizer("x", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode([*before, *ids]) == f"xso {end} on"
    assert notices == [f"{end} in your text is read as plain text, not as a control token."]


def test_a_text_can_be_inserted() -> None:
    """The reader hears what became of it; the page gives ids or a text alike."""
    text = "the fox <|im_end|>"
    trace = finished(one(run(Decoding(max_new_tokens=30), Fork((200,), text))))
    forced = [step for step in trace.steps if step.forced]
    assert "".join(step.text for step in forced) == text
    assert trace.started and "plain text" in trace.started.notices[0]
    ids = tuple(step.id for step in forced)
    same = finished(one(run(Decoding(max_new_tokens=30), Fork((200,), ids))))
    assert_same_steps(trace.steps, same.steps)


def test_an_inserted_end_ends_the_run() -> None:
    (end,) = tiny_model("llama").ends
    for decoding in (Decoding(), Decoding(num_beams=2), Decoding(penalty_alpha=0.5, top_k=3),
                     Decoding(min_new_tokens=8)):
        trace = finished(one(run(decoding, Fork((200,), (60, end)))))
        assert trace.ids == (60, end) and trace.steps[-1].special
        assert trace.finished and trace.finished.reason == "end"
    assert trace.steps[-1].probability == 0.0  # ruled out before the eighth token


def test_an_insert_that_fills_the_answer_is_all_of_it() -> None:
    for decoding in (Decoding(), Decoding(num_beams=2), Decoding(penalty_alpha=0.5, top_k=3)):
        trace = finished(one(run(replace(decoding, max_new_tokens=3), Fork((200,), (60, 61)))))
        assert trace.ids == (60, 61) and trace.finished and trace.finished.reason == "length"


REFUSED = {
    "unknown id": (Fork((400,)), "Token id 400 is not in this model's vocabulary of 400."),
    "unknown insert": (Fork((), (7, 500)), "Token id 500 is not"),
    "unknown ban": (Fork((), (), (999,)), "Token id 999 is not"),
    "ended": (Fork((60, 2)), "The answer has ended with its token 2, '<|im_end|>'"),
    "ended inside": (Fork((60,), (2, 61)), "The answer has ended with its token 2, '<|im_end|>'"),
    "full": (
        Fork(tuple(range(60, 60 + NEW))),
        "12 tokens of the answer stand before the fork; New tokens is 12, and counts the whole "
        "answer. Raise New tokens, or fork earlier.",
    ),
    "too much put in": (
        Fork((60,), tuple(range(60, 60 + NEW))),
        "1 token of the answer stands before the fork, and 12 more are put behind; New tokens",
    ),
    "all banned": (Fork((), (), tuple(range(400))), "Every token of the model is banned."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_gone_on_with_is_refused_in_a_sentence(name: str) -> None:
    """At the door: no event but ``Failed``, and the others of the batch go on."""
    fork, sentence = REFUSED[name]
    failed, other = decode(model(), [run(fork=fork), run()])
    assert failed.problem and failed.problem.field == "fork" and not failed.started
    assert str(failed.problem).startswith(sentence)
    assert finished(other).ids


def test_a_ban_on_what_the_answer_must_begin_with_is_refused() -> None:
    decoding = Decoding(forced=(70, 71, 72))
    failed = one(run(decoding, Fork((70,), banned=(71,))))
    assert failed.problem and failed.problem.field == "fork" and "begin" in str(failed.problem)
    assert finished(one(run(decoding, Fork((70,), (90,), banned=(71,))))).ids[1] == 72


def test_a_context_without_room_behind_the_fork_is_refused() -> None:
    """The context holds 160 tokens; the prompt has 150 of them."""
    prompt = Ids(tuple(range(20, 170)))
    decoding = Decoding(max_new_tokens=100)
    stand = tuple(range(60, 70))
    failed = one(run(decoding, Fork(stand), prompt=prompt))
    assert failed.problem and failed.problem.code == "CONTEXT_OVERFLOW"
    assert failed.problem.field == "fork" and failed.problem.allowed == "at most 9 tokens"
    last = finished(one(run(decoding, Fork(stand[:9]), prompt=prompt)))
    assert len(last.ids) == 1 and last.finished and last.finished.reason == "context"


class Reads:
    """How many tokens each forward of a model reads, rows times tokens."""

    def __init__(self, on: Model) -> None:
        self.tokens: list[int] = []
        self._hook = on.lm.register_forward_pre_hook(
            lambda _, __, known: self.tokens.append(known["input_ids"].numel()), with_kwargs=True
        )

    def close(self) -> list[int]:
        self._hook.remove()
        return self.tokens


class Loop:
    """A loop whose runs join when they are told to."""

    def __init__(self, on: Model) -> None:
        self.loop = DecodeLoop(on, capture=False)  # what is replayed calls no forward
        self.traces: list[Trace] = []

    def join(self, made: Run) -> int:
        self.traces.append(Trace(made))
        self.loop.join(len(self.traces) - 1, made)
        return len(self.traces) - 1

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            for key, event in self.loop.step():
                self.traces[key] = self.traces[key].add(event)

    def end(self) -> list[Trace]:
        while self.loop.busy:
            self.step()
        return [finished(trace) for trace in self.traces]


def reused(trace: Trace) -> int:
    assert trace.started is not None
    return trace.started.reused


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_of_a_finished_run_reads_one_token(kind: str) -> None:
    """The cache is cropped, not computed again."""
    on = tiny_model(kind)
    loop = Loop(on)
    loop.join(replace(run(), model=on.spec))
    (parent,) = loop.end()
    for place in (1, 6, NEW - 2):
        reads = Reads(on)
        key = loop.join(replace(run(fork=Fork(parent.ids[:place], (60,))), model=on.spec))
        fork = loop.end()[key]
        assert reused(fork) == 30 + place - 1
        # The last token that stands, and then one by one; the newest token is never read.
        assert reads.close() == [1] * (NEW - place)
        assert fork.ids == generate(on, fork)[0]


@pytest.mark.parametrize("name", ["greedy", "sampled", "prompt lookup", "beam search"])
def test_a_fork_of_a_run_that_still_decodes_begins_with_its_cache(name: str) -> None:
    """Its row is copied out of the padded batch and cropped; nobody's text changes."""
    on = model()
    loop = Loop(on)
    decoding = replace(GENERATE[name], max_new_tokens=40)
    loop.join(run(Decoding(max_new_tokens=40), prompt=Ids(tuple(range(20, 90)))))
    parent = loop.join(run(decoding))
    loop.step(9)
    before = loop.traces[parent]
    if before.beams:  # the survivor that stands first, back to its first token
        ids, place = [], 0
        for step in reversed(before.beams):
            ids.append(step.survivors[place].id)
            place = step.survivors[place].parent
        stand = tuple(reversed(ids))[:6]
    else:
        stand = before.ids[:6]
    assert len(stand) == 6 and before.state == "running"
    reads = Reads(on)
    fork = loop.join(run(decoding, Fork(stand, (60,))))
    loop.step()
    assert loop.traces[fork].ids[:1] == (60,)  # within the step
    assert reads.close()[-1] == 1
    traces = loop.end()
    assert reused(traces[fork]) == 30 + 5
    for trace in traces:
        assert trace.ids == generate(on, trace)[0]


def test_both_texts_of_a_guided_run_are_known() -> None:
    """Ended or not: a fork reads the last token that stands, behind its prompt and the other."""
    guided = GREEDY["guidance"]
    loop = Loop(model())
    parent = loop.join(run(guided))
    loop.step(8)
    ids = loop.traces[parent].ids
    for _ in range(2):
        reads = Reads(model())
        fork = loop.join(run(guided, Fork(ids[:6])))
        loop.step()
        assert reads.close()[-2:] == [1, 1]
        traces = loop.end()
        assert reused(traces[fork]) == 30 + 5
        assert traces[fork].ids == traces[parent].ids[6:] == generate(model(), traces[fork])[0]


def test_a_fork_of_a_running_beam_search_finds_its_beam() -> None:
    """Any of the survivors, not the first alone."""
    loop = Loop(model())
    parent = loop.join(run(GENERATE["beam search"]))
    loop.step(8)
    beams, paths = loop.traces[parent].beams, []
    for place in range(3):
        path: list[int] = []
        for step in reversed(beams):
            path.append(step.survivors[place].id)
            place = step.survivors[place].parent
        paths.append(tuple(reversed(path)))
    assert len(set(paths)) == 3
    forks = [loop.join(run(fork=Fork(path))) for path in paths]
    traces = loop.end()
    assert [reused(traces[fork]) for fork in forks] == [30 + len(beams) - 1] * 3


def test_dola_needs_the_states_of_the_newest_token_alone() -> None:
    """So it reads one token of a prompt that others have read, and of a fork of its own."""
    dola = GREEDY["dola"]
    decode(model(), [run(dola)])  # once for each model it is tried out whether DoLa may read it
    reads = Reads(model())
    greedy, parent = decode(model(), [run(), run(dola)])
    assert (reused(greedy), reused(parent)) == (0, 29) and reads.close()[:2] == [30, 1]
    loop = Loop(model())
    loop.join(run(dola))
    loop.step(5)
    fork = loop.join(run(dola, Fork(parent.ids[:4])))
    assert finished(loop.end()[fork]).ids == parent.ids[4:]
    assert reused(loop.traces[fork]) == 30 + 3


@pytest.mark.parametrize("make", [sliding_model, hybrid_model])
def test_a_cache_that_cannot_be_cropped_falls_back(make: Callable[[], Model]) -> None:
    """To the prompt, which is kept whole; at the very end of a running text, to its row."""
    on = make()
    loop = Loop(on)
    parent = loop.join(replace(run(Decoding(max_new_tokens=30)), model=on.spec))
    loop.step(9)
    ids = loop.traces[parent].ids
    middle = loop.join(replace(run(fork=Fork(ids[:4], (60,))), model=on.spec))
    loop.step()
    end = loop.join(
        replace(run(Decoding(max_new_tokens=30), fork=Fork((*ids, 60))), model=on.spec)
    )
    traces = loop.end()
    assert reused(traces[middle]) == 30
    assert reused(traces[end]) in (30, 30 + 4, 30 + len(ids))
    for trace in traces:
        assert trace.ids == generate(on, trace)[0]


def test_twenty_samples_of_one_prompt_read_it_once() -> None:
    on = model()
    reads = Reads(on)
    sampled = Decoding(do_sample=True, max_new_tokens=4)
    traces = decode(on, [run(sampled, seed=seed) for seed in range(20)])
    assert reads.close() == [30, 20, 20, 20]
    assert len({trace.ids for trace in traces}) > 15
    stand = Fork(tuple(range(90, 96)))
    reads = Reads(on)
    traces = decode(on, [run(Decoding(do_sample=True, max_new_tokens=9), stand, seed=seed)
                         for seed in range(20)])
    assert reads.close() == [36, 20, 20]
    for trace in traces[:3]:
        assert trace.ids == generate(on, trace)[0]


def events(made: Run) -> list[Event]:
    loop, told = DecodeLoop(model()), list[Event]()
    loop.join(0, made)
    while loop.busy:
        told += [event for _, event in loop.step()]
    return told


def test_beams_search_from_behind_what_was_put_in() -> None:
    """Inserted tokens are told first; the scores count from where the search begins."""
    told = events(run(Decoding(num_beams=3, max_new_tokens=8), Fork((200, 201), (60, 61))))
    kinds = [type(event).__name__ for event in told]
    assert kinds == ["Started", *["Step"] * 2, *["Beams"] * 4, *["Step"] * 4, "Finished"]
    beams = [event for event in told if isinstance(event, Beams)]
    assert [step.position for step in beams] == [4, 5, 6, 7]
    steps = [event for event in told if isinstance(event, Step)]
    assert [step.position for step in steps] == [2, 3, 4, 5, 6, 7]
    last = told[-1]
    assert isinstance(last, Finished) and last.score == pytest.approx(
        sum(step.logprob for step in steps[2:]) / 4
    )
    # While it searches, the text is what was put in and the leading hypothesis behind it.
    trace = Trace(run(fork=Fork((200, 201), (60, 61))))
    for event in told[:-5]:
        trace = trace.add(event)
    whole = trace
    for event in told[-5:]:
        whole = whole.add(event)
    assert trace.text == whole.text and trace.forwards == whole.forwards == 6


@pytest.mark.parametrize("name", ["greedy", "sampled", "guidance", "dola", "prompt lookup"])
def test_a_step_of_a_fork_can_be_replayed(name: str) -> None:
    """Under its own settings it is the very step that was told, a forced one too."""
    decoding = replace({**GREEDY, **GENERATE}[name], effects=True)
    made = run(decoding, Fork((200, 201), (60, 61), banned=(70,)))
    loop = Loop(model())
    loop.join(made)
    (trace,) = loop.end()
    for step in trace.steps:
        assert loop.loop.replay(0, step.position, made.decoding) == step
    free = trace.steps[2]
    assert free.effects[-1].watched and "fork" in [effect.name for effect in free.effects]
    wild = loop.loop.replay(0, 4, replace(made.decoding, do_sample=True, temperature=1.9))
    assert wild.position == 4 and not wild.forced
    forced = loop.loop.replay(0, 3, replace(made.decoding, banned=((61,),)))
    assert (forced.id, forced.forced, forced.probability) == (61, True, 0.0)


def test_a_forks_first_step_forgets_an_earlier_run_of_its_name() -> None:
    """It is not at the first place of the answer, and so steps of the run before were left."""
    loop = DecodeLoop(model())
    for made in (run(), run(fork=Fork((200, 201)))):
        loop.join(0, made)
        while loop.busy:
            loop.step()
    with pytest.raises(InvalidInput, match="Token 2 of this run is not stored"):
        loop.replay(0, 1, Decoding())
    assert loop.replay(0, 2, Decoding()).position == 2


def test_a_fork_in_a_chat_or_a_text_is_behind_its_prompt() -> None:
    prompt: Prompt = Raw("The capital of France is")
    parent = finished(one(run(prompt=prompt)))
    fork = finished(one(run(prompt=prompt, fork=Fork(parent.ids[:4]))))
    assert fork.ids == parent.ids[4:] and fork.started and parent.started
    assert fork.started.prompt == parent.started.prompt
    assert fork.started.rendered == parent.started.rendered
    assert fork.finished and fork.finished.prompt_tokens == len(parent.started.prompt)


# Each lane, and caches with windows and states; the others of the core are slow.
KINDS_OF_CACHE = ("gemma2", "mamba", "bart", "openai-gpt")
OTHERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in CORE if kind not in KINDS_OF_CACHE]


@pytest.mark.parametrize("kind", [*KINDS_OF_CACHE, *OTHERS])
def test_forks_are_generate_on_every_architecture(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a running text and of a finished one, from its middle and its end, and as beams."""
    monkeypatch.setattr("playground.decode.loop.CHUNK", 8)
    on = assemble(ModelSpec(f"tiny/{kind}"), tiny(kind), byte_level_tokenizer())
    sampled = Decoding(do_sample=True, temperature=1.3)
    loop = Loop(on)

    def join(decoding: Decoding, *fork: tuple[int, ...], prompt: Prompt = PROMPT) -> int:
        given = Fork(*fork) if fork else None
        return loop.join(replace(run(decoding, given, prompt=prompt), model=on.spec))

    join(replace(sampled, max_new_tokens=20), prompt=Ids(tuple(range(20, 60))))
    parent = join(sampled)
    while len(loop.traces[parent].ids) < 8:
        loop.step()
    ids = loop.traces[parent].ids
    join(sampled, ids[:4], (60, 61))
    join(sampled, ids[:8])
    join(Decoding(num_beams=2, max_new_tokens=9), ids[:5], (60,))
    join(sampled, (*ids, 61))
    join(sampled, loop.end()[parent].ids[:10])
    for trace in loop.end():
        assert trace.ids == generate(on, trace)[0]
