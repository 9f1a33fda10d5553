"""Ids equal ``model.generate()``: greedy, sampled with the same dice, beams; alone, together."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.models.loading import Model, load
from tests.reference import decode, generate
from tests.tiny_models import KINDS, tiny_model

BUILTIN = Path(__file__).parent.parent / "playground" / "models" / "builtin"

PROMPTS = (
    Raw("The capital of France is"),
    Raw("hello"),
    Chat((Message("system", "Answer in one word."), Message("user", "how are you?"))),
    Raw("Once upon a time there was a small fox who liked to read books by the river. " * 2),
    Ids((7,)),
)
# Some tokens more end the text, so that rows leave early and beams do end.
ENDS = tuple(range(5, 400, 29))

PLAIN = {
    "greedy": Decoding(),
    "pure sampling": Decoding(do_sample=True),
    "temperature": Decoding(do_sample=True, temperature=0.7),
    "hot": Decoding(do_sample=True, temperature=1.8),
    "top-k": Decoding(do_sample=True, top_k=7),
    "top-p": Decoding(do_sample=True, top_p=0.8, temperature=1.3),
    "min-p": Decoding(do_sample=True, min_p=0.05, temperature=1.5),
    "typical": Decoding(do_sample=True, typical_p=0.7),
    "top-h": Decoding(do_sample=True, top_h=0.4, temperature=1.2),
    "epsilon": Decoding(do_sample=True, epsilon_cutoff=0.02),
    "eta": Decoding(do_sample=True, eta_cutoff=0.1, temperature=0.6),
    "all at once": Decoding(
        do_sample=True,
        temperature=1.4,
        top_k=40,
        top_p=0.95,
        min_p=0.01,
        typical_p=0.95,
        top_h=0.9,
        epsilon_cutoff=0.005,
        eta_cutoff=0.002,
        repetition_penalty=1.2,
        no_repeat_ngram_size=3,
        min_new_tokens=6,
    ),
    "repetition penalty": Decoding(repetition_penalty=1.3),
    "no repeated n-grams": Decoding(no_repeat_ngram_size=2),
    "at least 12": Decoding(do_sample=True, min_new_tokens=12),
    "stop strings": Decoding(do_sample=True, stop_strings=("e", "th", " the ", "a")),
}
BEAMS = {
    "two": Decoding(num_beams=2),
    "five": Decoding(num_beams=5),
    "long preferred": Decoding(num_beams=4, length_penalty=2.0),
    "short preferred": Decoding(num_beams=4, length_penalty=-1.0),
    "no penalty": Decoding(num_beams=3, length_penalty=0.0),
    "stop early": Decoding(num_beams=4, early_stopping=True),
    "no repeats": Decoding(num_beams=3, no_repeat_ngram_size=2, repetition_penalty=1.1),
    "at least 8": Decoding(num_beams=3, min_new_tokens=8),
    "beam sampling": Decoding(num_beams=3, do_sample=True),
    "beam sampling, hot": Decoding(num_beams=3, do_sample=True, temperature=1.5, top_k=20),
    "beam sampling, cut": Decoding(num_beams=3, do_sample=True, epsilon_cutoff=0.1, eta_cutoff=0.1),
    "stop strings": Decoding(num_beams=3, stop_strings=("e", "in")),
}


@cache
def model(kind: str) -> Model:
    return tiny_model(kind, ends=ENDS)


def runs(model: Model, decoding: Decoding, tokens: int) -> list[Run]:
    decoding = replace(decoding, max_new_tokens=tokens)
    return [Run(model.spec, prompt, decoding, seed) for seed, prompt in enumerate(PROMPTS)]


def check(model: Model, traces: list[Trace]) -> None:
    for trace in traces:
        ids, score = generate(model, trace)
        assert trace.ids == ids, trace.run
        assert trace.finished is not None
        expected = None if score is None else pytest.approx(score, abs=1e-4, rel=1e-5)
        assert trace.finished.score == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PLAIN)
def test_alone_is_generate(kind: str, name: str) -> None:
    m = model(kind)
    for run in runs(m, PLAIN[name], 16)[::3]:
        check(m, decode(m, [run]))


@pytest.mark.parametrize("kind", KINDS)
def test_together_is_generate(kind: str) -> None:
    """Every strategy at once, prompts of 1 to 60 tokens, rows joining while others leave."""
    m = model(kind)
    every = [run for i, d in enumerate(PLAIN.values()) for run in runs(m, d, 24)[i % 3 :: 3]]
    traces = decode(m, every, joins=[3 * (i % 11) for i in range(len(every))])
    check(m, traces)
    reasons = {trace.finished.reason for trace in traces if trace.finished}
    assert reasons >= {"end", "length"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BEAMS)
def test_beams_are_generate(kind: str, name: str) -> None:
    m = model(kind)
    check(m, decode(m, runs(m, BEAMS[name], 12)[1::2]))


@pytest.mark.parametrize("kind", KINDS)
def test_beams_beside_rows_are_generate(kind: str) -> None:
    m = model(kind)
    both = [*runs(m, BEAMS["two"], 20), *runs(m, PLAIN["pure sampling"], 20)]
    check(m, decode(m, both, joins=[i % 4 for i in range(len(both))]))


def test_the_texts_of_the_law_differ() -> None:
    """A law over equal texts would hold for a loop that ignores the settings."""
    m = model("llama")
    texts = {decode(m, [runs(m, d, 24)[0]])[0].ids for d in [*PLAIN.values(), *BEAMS.values()]}
    assert len(texts) >= 15


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_ids_alone_and_beside_others(kind: str) -> None:
    """With one shared generator, four threads drew the wrong sample 20 times of 20."""
    m = model(kind)
    run = runs(m, PLAIN["hot"], 24)[0]
    others = [Run(m.spec, p, Decoding(do_sample=True, max_new_tokens=30), 9) for p in PROMPTS]
    alone = decode(m, [run])[0].ids
    assert decode(m, [run, *others])[0].ids == alone
    assert decode(m, [*others, run], joins=[0, 1, 2, 3, 4, 5])[5].ids == alone


def test_another_seed_gives_other_ids() -> None:
    m = model("llama")
    drawn = [
        Run(m.spec, PROMPTS[0], Decoding(do_sample=True, max_new_tokens=20), seed)
        for seed in range(8)
    ]
    assert len({trace.ids for trace in decode(m, drawn)}) == 8


def test_the_end_of_the_context_is_the_end() -> None:
    """Llama would go on past its positions in silence, GPT-2 with an IndexError."""
    for kind in KINDS:
        m = tiny_model(kind)
        run = Run(m.spec, Ids(tuple(range(3, 153))), Decoding(max_new_tokens=50))
        trace = decode(m, [run])[0]
        assert trace.finished is not None and trace.finished.reason == "context"
        assert len(trace.ids) == m.card.context - 150 == 10
        assert trace.ids == generate(m, trace)[0]


@pytest.mark.parametrize("name", ["tiny-base", "tiny-chat"])
def test_the_built_in_models_are_generate(name: str) -> None:
    m = load(ModelSpec(f"builtin/{name}"), BUILTIN / name)
    prompts = [
        Raw("The capital of France is"),
        Raw("hello,how are you"),
        Raw("《梦游天姥吟留别》的作者是谁"),
    ]
    if m.card.has_chat_template:
        prompts += [
            Chat((Message("system", "Answer in one word."), Message("user", "Who are you?")))
        ]
    settings = [
        Decoding(max_new_tokens=24),
        Decoding(max_new_tokens=24, do_sample=True),
        Decoding(max_new_tokens=24, do_sample=True, top_k=20, top_p=0.9, temperature=0.8),
        Decoding(max_new_tokens=24, do_sample=True, typical_p=0.9, repetition_penalty=1.1),
        Decoding(max_new_tokens=16, num_beams=4),
    ]
    every = [
        Run(m.spec, p, d, seed=s)
        for s, (p, d) in enumerate((p, d) for p in prompts for d in settings)
    ]
    check(m, decode(m, every, joins=[i % 5 for i in range(len(every))]))
