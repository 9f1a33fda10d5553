"""Laws of banned, biased and forced phrases: their ids, their processors, and ``generate()``."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.core.phrases import Phrase
from playground.core.prompt import Ids, Raw
from playground.core.run import Run
from playground.decode.extra import Forced
from playground.decode.phrases import Phrases, phrases_of
from playground.decode.processors import Chain, build
from playground.errors import InvalidInput
from playground.models.loading import Model
from playground.models.pieces import pieces_of
from tests.reference import decode, events, generate
from tests.tiny_models import byte_level_tokenizer, metaspace_tokenizer, tiny_model

CPU = torch.device("cpu")
ENDS = tuple(range(5, 400, 29))
PROMPTS = (Raw("The capital of France is"), Ids((70, 71, 72, 70, 71, 72, 70, 71)), Ids((7,)))
NEW = 20


@cache
def model(kind: str = "llama") -> Model:
    return tiny_model(kind, ends=ENDS)


def chain(phrases: Phrases, prompt_tokens: int = 1, **knobs: Any) -> Chain:
    return build(Decoding(**knobs), prompt_tokens, (), CPU, phrases=phrases)


def after(found: Chain, *ids: int) -> list[float]:
    """What a chain makes of five scores of zero after these ids."""
    return found(torch.tensor([ids]), torch.zeros(1, 5))[0].tolist()  # type: ignore[no-any-return]


def written(model: Model, ids: tuple[int, ...]) -> bytes:
    return b"".join(pieces_of(model.tokenizer).data(id) for id in ids)


def problem(**knobs: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        m = model()
        phrases_of(m.tokenizer, Decoding(**knobs), m.card.vocabulary, (*ENDS, 2))
    return caught.value


# From a phrase to ids.


def test_a_text_stands_alone_and_after_a_space_and_ids_are_exact() -> None:
    tokenizer = byte_level_tokenizer()

    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False))

    found = phrases_of(
        tokenizer, Decoding(banned=("the", (9, 8)), bias=((" is", 2), ((9, 8), -1.5))), 400
    )
    assert found.banned == (ids("the"), ids(" the"), (9, 8))
    assert found.bias == ((ids(" is"), 2.0), (ids("  is"), 2.0), ((9, 8), -1.5))
    assert found.forced == ()
    assert phrases_of(tokenizer, Decoding(forced="the end"), 400).forced == ids("the end")
    assert phrases_of(tokenizer, Decoding(), 400) == Phrases()


def test_a_phrase_counts_once_and_its_last_bias_counts() -> None:
    tokenizer = byte_level_tokenizer()
    a, spaced = (tuple(tokenizer.encode(t)) for t in ("a", " a"))
    found = phrases_of(tokenizer, Decoding(banned=("a", "a", a), bias=(("a", 1), (a, 3))), 400)
    assert found.banned == (a, spaced)
    assert found.bias == ((a, 3.0), (spaced, 1.0))


@pytest.mark.parametrize("text", ["the", " the", "capital it", "  two", "é", "name\n"])
def test_a_sentencepiece_phrase_is_spelled_as_it_stands(text: str) -> None:
    """Alone "the" has the ids of " the": banning it would miss "o|the|r", and forced "Paris" would
    come with a space that nobody wrote."""
    tokenizer = metaspace_tokenizer()
    pieces = pieces_of(tokenizer)
    found = phrases_of(tokenizer, Decoding(forced=text, banned=(text,)), len(tokenizer))
    spelled = [b"".join(map(pieces.data, ids)).decode() for ids in (found.forced, *found.banned)]
    assert spelled == [text, text, f" {text}"]


def words(*known: str) -> PreTrainedTokenizerFast:
    """A tokenizer of whole small words, that drops what it calls accents."""
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(("?", *known))}, "?"))
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.StripAccents()])
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?")


def test_a_tokenizer_that_changes_the_text_gives_what_it_has() -> None:
    found = phrases_of(words("the", "end"), Decoding(banned=("The End",)), 3)
    assert found.banned == ((1, 2),)


@pytest.mark.parametrize("field", ["banned", "bias", "forced"])
def test_what_cannot_be_written_is_a_sentence(field: str) -> None:
    def refused(phrase: Phrase) -> str:
        value = {"banned": (phrase,), "bias": ((phrase, 1.0),), "forced": phrase}[field]
        with pytest.raises(InvalidInput) as caught:
            phrases_of(words("the"), Decoding(**{field: value}), 2)  # type: ignore[arg-type]
        assert caught.value.problem.field == field
        return str(caught.value)

    assert refused("\u0301").startswith("The phrase '\u0301' becomes no token in this model.")
    assert refused("the cat") == "This model has no tokens to write 'the cat' with."
    assert refused((1, 2)) == "Token id 2 is not in this model's vocabulary of 2."


def test_an_end_token_cannot_be_banned() -> None:
    """transformers leaves it out in silence, and raises where nothing else is banned."""
    for phrase in ("<|im_end|>", (2,), (ENDS[0],)):
        found = problem(banned=("some words", phrase)).problem
        assert found.field == "banned" and "cannot be banned" in found.message
        assert "At least" in found.advice and "-100" in found.advice
    m = model()
    phrases_of(m.tokenizer, Decoding(banned=((2, 9), (9, 2)), bias=(((2,), -100),)), 400, (2,))


def test_more_forced_tokens_than_may_be_written_are_refused() -> None:
    m = model()
    for forced, new, fits in (((9,) * 8, 8, True), ((9,) * 9, 8, False)):
        run = Run(m.spec, PROMPTS[0], Decoding(forced=forced, max_new_tokens=new))
        trace = decode(m, [run])[0]
        assert (trace.problem is None) == fits
    assert trace.problem is not None and trace.problem.field == "forced"
    assert trace.problem.message == "The answer is to begin with 9 tokens, and 8 may be written."
    full = Ids(tuple(range(3, 3 + m.card.context - 4)))
    trace = decode(m, [Run(m.spec, full, Decoding(forced=(9,) * 5))])[0]
    assert trace.problem is not None and trace.problem.allowed == "at most 4 tokens"


# What the processors do, on five tokens.


def test_bias_by_hand() -> None:
    """A bias on several tokens falls on the last of them, once the text ends in the others."""
    bias = chain(Phrases(bias=(((1,), 2.0), ((3,), -0.5), ((2, 1), 3.0), ((4, 2, 0), 5.0))))
    assert bias.names == ("bias",)
    assert after(bias, 0) == [0.0, 2.0, 0.0, -0.5, 0.0]
    assert after(bias, 0, 2) == [0.0, 5.0, 0.0, -0.5, 0.0]
    assert after(bias, 0, 4, 2) == [5.0, 5.0, 0.0, -0.5, 0.0]
    assert after(bias, 2, 4) == [0.0, 2.0, 0.0, -0.5, 0.0]
    # The beginning of a phrase is longer than the text so far.
    assert after(chain(Phrases(bias=(((4, 2, 0), 5.0),))), 2) == [0.0] * 5
    rows = bias(torch.tensor([[0, 2], [2, 0]]), torch.zeros(2, 5))
    assert rows[:, 1].tolist() == [5.0, 2.0]


def test_bans_by_hand() -> None:
    out = -math.inf
    banned = chain(Phrases(banned=((1,), (2, 3), (4, 2, 3), (4, 4))))
    assert banned.names == ("banned",)
    assert after(banned, 0) == [0.0, out, 0.0, 0.0, 0.0]
    assert after(banned, 2) == [0.0, out, 0.0, out, 0.0]
    assert after(banned, 4, 2) == [0.0, out, 0.0, out, 0.0]
    assert after(banned, 2, 4) == [0.0, out, 0.0, 0.0, out]
    # A bias cannot bring back what is banned.
    both = chain(Phrases(banned=((1,),), bias=(((1,), 100.0),)))
    assert both.names == ("bias", "banned")
    assert after(both, 0) == [0.0, out, 0.0, 0.0, 0.0]


def test_forced_by_hand() -> None:
    out = -math.inf
    scores = torch.tensor([[0.5, -1.0, out, 2.0, 0.0]])
    forced = Forced((1, 2), prompt_tokens=2)

    def at(*ids: int) -> list[float]:
        return forced(torch.tensor([ids]), scores)[0].tolist()  # type: ignore[no-any-return]

    assert at(7, 7) == [out, -1.0, out, out, out]
    assert at(7, 7, 1) == [out, out, 0.0, out, out]
    assert at(7, 7, 1, 2) == scores[0].tolist()


def test_every_phrase_in_its_place() -> None:
    """In generate()'s order: bias first of all, bans after the n-gram rule, forced tokens last."""
    found = chain(
        Phrases(((1,),), (((1,), 1.0),), (1,)),
        do_sample=True, temperature=0.5, top_n_sigma=1.0, repetition_penalty=1.1,
        no_repeat_ngram_size=2, frequency_penalty=0.1, presence_penalty=0.1, dry_multiplier=1.0,
    )
    assert found.names == (
        "bias", "repetition_penalty", "no_repeat_ngram_size", "banned", "frequency_penalty",
        "presence_penalty", "dry_multiplier", "forced", "top_n_sigma", "temperature",
    )


# Ids equal generate().

SOME = tuple((id,) for id in range(40, 400, 16) if id not in ENDS)
PHRASES = {
    "banned": Decoding(banned=("e", "the capital", (79, 124), (355, 298), (5, 5), *SOME)),
    "bias": Decoding(bias=(("e", 4.0), (" the", -3), ((177, 79), -9.0), ((300,), 2.0))),
    "both": Decoding(banned=("a", (177, 79)), bias=((" is", 5.0), ((355, 298), -6.0)),
                     no_repeat_ngram_size=3, repetition_penalty=1.2),
    "forced": Decoding(forced=" Paris is"),
    "all": Decoding(forced=(70, 71, 70, 71), banned=((71,), "e"), bias=(((72,), 4.0),),
                    no_repeat_ngram_size=2, min_new_tokens=8),
}
STRATEGIES = {
    "greedy": Decoding(),
    "sampled": Decoding(do_sample=True, temperature=1.3),
    "cut": Decoding(do_sample=True, temperature=0.7, top_k=20, top_p=0.9, min_p=0.02, top_h=0.8,
                    typical_p=0.9, epsilon_cutoff=0.001, eta_cutoff=0.001),
    "beams": Decoding(num_beams=3),
    "beam sampling": Decoding(num_beams=3, do_sample=True, top_k=20),
}


def settings(phrases: Decoding, strategy: Decoding) -> Decoding:
    names = ("banned", "bias", "forced", "repetition_penalty", "no_repeat_ngram_size",
             "min_new_tokens")
    return replace(strategy, max_new_tokens=NEW, **{n: getattr(phrases, n) for n in names})


@pytest.mark.parametrize("name", PHRASES)
def test_phrases_are_generate(name: str) -> None:
    """Every strategy at once, in company; and most texts are others than without phrases."""
    m = model()

    def runs(phrases: Decoding) -> list[Run]:
        d = [settings(phrases, strategy) for strategy in STRATEGIES.values()]
        return [Run(m.spec, PROMPTS[i % 2], one, seed=i) for i, one in enumerate(d)]

    traces = decode(m, runs(PHRASES[name]), joins=[0, 2, 3, 0, 1])
    for trace in traces:
        ids, score = generate(m, trace)
        assert trace.ids == ids, trace.run
        assert trace.finished is not None
        assert trace.finished.score == (None if score is None else pytest.approx(score, abs=1e-4))
    free = decode(m, runs(Decoding()))
    assert sum(one.ids != other.ids for one, other in zip(traces, free, strict=True)) >= 3


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_banned_is_not_written(strategy: str) -> None:
    m = model()
    d = settings(PHRASES["banned"], STRATEGIES[strategy])
    for trace in decode(m, [Run(m.spec, prompt, d, 3) for prompt in PROMPTS[1:]]):
        assert trace.started is not None
        text = (*trace.started.prompt_ids, *trace.ids)
        for ids in phrases_of(m.tokenizer, d, m.card.vocabulary).banned:
            places = range(len(trace.started.prompt_ids) - len(ids) + 1, len(text))
            assert all(text[i : i + len(ids)] != ids for i in places)


EVERY = {
    **STRATEGIES,
    "mirostat": Decoding(do_sample=True, mirostat_tau=2.0),
    "ours": Decoding(do_sample=True, top_n_sigma=1.0, xtc_probability=1.0, dry_multiplier=2.0,
                     frequency_penalty=2.0, presence_penalty=2.0),
}


@pytest.mark.parametrize("strategy", EVERY)
def test_the_text_begins_with_what_is_forced(strategy: str) -> None:
    """Whatever would forbid it: a ban, n-grams, a least length (5 ends a text), a penalty."""
    m = model("gpt2")
    forced = (70, 71, 70, 71, 70, 90, 90, 90)
    d = replace(EVERY[strategy], forced=forced, banned=((71,), (90, 90)), max_new_tokens=16,
                no_repeat_ngram_size=1, repetition_penalty=5.0)
    traces = decode(m, [Run(m.spec, prompt, d, 1) for prompt in PROMPTS])
    assert [trace.ids[:8] for trace in traces] == [forced] * 3
    assert all(len(trace.ids) > 8 for trace in traces)
    d = replace(EVERY[strategy], forced=(70, ENDS[0]), min_new_tokens=8, max_new_tokens=16)
    for trace in decode(m, [Run(m.spec, prompt, d, 1) for prompt in PROMPTS]):
        assert trace.ids == (70, ENDS[0])
        assert trace.finished is not None and trace.finished.reason == "end"


def test_a_forced_step_tells_the_models_own_numbers() -> None:
    m = model()
    run = Run(m.spec, PROMPTS[0], Decoding(forced=(90, 91), max_new_tokens=2))
    told = events(m, run)
    steps = [event for event in told if isinstance(event, Step)]
    prompt = decode(m, [run])[0].started
    assert prompt is not None
    logits = m.lm(torch.tensor([[*prompt.prompt_ids, 90]])).logits[0]
    for step, own in zip(steps, torch.log_softmax(logits[-2:], -1), strict=True):
        assert step.logprob == pytest.approx(float(own[step.id]), abs=1e-4)
        assert step.rank == int((own > own[step.id]).sum()) + 1 > 1
        assert step.probability == 1.0
        assert all(c.probability == 0.0 for c in step.candidates)


def test_dice_fall_at_forced_steps_too() -> None:
    """What comes after a forced beginning that would have come anyway is what comes without it."""
    m = model()
    d = Decoding(do_sample=True, temperature=1.5, max_new_tokens=20)
    free = decode(m, [Run(m.spec, PROMPTS[0], d, seed=4)])[0].ids
    for known in (1, 5, 12):
        run = Run(m.spec, PROMPTS[0], replace(d, forced=free[:known]), seed=4)
        assert decode(m, [run])[0].ids == free
    branch = Run(m.spec, PROMPTS[0], replace(d, forced=(*free[:5], 90)), seed=4)
    assert decode(m, [branch])[0].ids[5] == 90


def test_a_bad_phrase_fails_its_run_alone() -> None:
    m = model()
    good = Run(m.spec, PROMPTS[0], Decoding(max_new_tokens=4))
    bad = replace(good, decoding=Decoding(banned=((4000,),), max_new_tokens=4))
    first, second = decode(m, [bad, good])
    assert first.problem is not None and first.problem.field == "banned"
    assert len(second.ids) == 4
    assert isinstance(events(m, bad)[-1], Failed)
    assert written(m, second.ids)
