"""Values and their plain JSON: the same value comes back, and nonsense is refused by its path."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import (
    Beam,
    Beams,
    Candidate,
    Draw,
    Effect,
    Finished,
    Piece,
    Proposed,
    Shift,
    Started,
    Step,
)
from playground.core.plain import _once, from_plain, from_text, to_plain, to_text
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem

SPEC = ModelSpec("builtin/tiny-base")
RUNS = [
    Run(SPEC, Raw("Hi")),
    Run(SPEC, Chat((Message("system", "s"), Message("user", "ü 你好 😀"))), seed=7),
    Run(SPEC, Ids((1, 2, 3)), Decoding(do_sample=True, top_p=0.9, early_stopping="never")),
    Run(SPEC, Raw("x"), Decoding(banned=("a", (1, 2)), bias=((("b"), -1.5), ((3,), 2.0)))),
    Run(SPEC, Raw("x"), draft=SPEC, fork=Fork((5, 6), " so", (7,))),
    Run(SPEC, Raw("x"), fork=Fork((5, 6), (8,))),
]


def back(kind: type, value: object) -> object:
    return from_plain(kind, from_text(to_text(to_plain(value)), "file"), "value")


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_a_run_comes_back(run: Run) -> None:
    assert back(Run, run) == run


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_back_and_says_only_what_is_moved(preset: str) -> None:
    decoding = PRESETS[preset]
    assert back(Decoding, decoding) == decoding
    assert to_plain(Decoding()) == {}
    assert "temperature" not in to_plain(PRESETS["Top-p"])


def test_a_whole_trace_comes_back() -> None:
    candidate = Candidate(3, " Paris", -0.5, 0.6)
    effect = Effect("top_k", (Shift(3, " Paris", 0.4, 0.6),), removed=2, mass=0.25)
    trace = Trace(RUNS[1])
    for event in (
        Started((Piece(1, "<s>", True), Piece(2, "ü")), "<s>ü", 512, ("a note",), 1, "abc"),
        Beams(0, (Beam(0, 3, "x", -1.0, -1.0, "kept"),), "x", length=1),
        Proposed(0, "draft", (Piece(3, " Paris"),), 1),
        Step(0, 3, " Paris", " Paris", -math.inf, 1, 0.6, 1.5, (candidate,), effects=(effect,),
             draw=Draw(0.0, 0.6, 0.25), seconds=0.01),
        Finished("end", "", 2, 1, 0.1, 0.2),
    ):
        trace = trace.add(event)
    assert back(Trace, trace) == trace
    failed = Trace(RUNS[0], problem=Problem("OOM", "Memory ended."))
    assert back(Trace, failed) == failed


def test_equal_values_have_the_same_text() -> None:
    """By hand: names sorted, no spaces, defaults left out."""
    assert to_text(to_plain(RUNS[0])) == (
        '{"model":{"repo":"builtin/tiny-base"},"prompt":{"kind":"Raw","text":"Hi"}}'
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", "run cannot be read: it must be an object"),
        ('{"prompt":{"kind":"Raw","text":"x"}}', "run.model"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Exec","text":"x"}}', "run.prompt.kind"),
        ('{"model":{"repo":"a/b"},"prompt":{"text":"x"}}', "run.prompt.kind"),
        ('{"model":{"repo":1},"prompt":{"kind":"Raw","text":"x"}}', "run.model.repo"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},"seed":true}', "run.seed"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},"seed":1.5}', "run.seed"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},"evil":1}', "run.evil"),
        ('{"model":{"repo":"a/b","dtype":"int4"},"prompt":{"kind":"Raw","text":"x"}}',
         "run.model.dtype"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Ids","ids":[1,"2"]}}', "run.prompt.ids[1]"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"\\ud800"}}', "run.prompt.text"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},'
         '"decoding":{"bias":[["a",1,2]]}}', "run.decoding.bias[0]"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},'
         '"decoding":{"temperature":99}}', "Temperature"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},'
         '"decoding":{"temperature":"NaN"}}', "Temperature is NaN"),
        ('{"model":{"repo":"a/b"},"prompt":{"kind":"Raw","text":"x"},'
         f'"decoding":{{"top_p":{10**400}}}}}', "run.decoding.top_p"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(text: str, path: str) -> None:
    with pytest.raises(InvalidInput, match=path.replace("[", "\\[")):
        from_plain(Run, from_text(text, "file"), "run")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"a":1,"a":2}', "NaN", "[Infinity]", "1" * 10_000, "\x00"],
    ids=["nothing", "open", "deep", "twice", "nan", "infinity", "endless", "zero"],
)
def test_what_is_no_json_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InvalidInput, match="The file is no JSON that can be read"):
        from_text(text, "file")


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["model", "prompt", "kind", "repo", "decoding"]), inner),
    max_leaves=8,
)


@given(_PLAIN)
def test_anything_else_is_refused_and_nothing_else_is_raised(data: object) -> None:
    try:
        run = from_plain(Run, data, "run")
    except InvalidInput:
        return
    assert isinstance(run, Run)


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


def test_a_name_that_stands_twice_is_found_without_comparing_each_with_each() -> None:
    """A file of a million characters has 90,000 names, and their pairs are 8,100,000,000."""
    names = [Counted(number) for number in range(1000)]
    Counted.compared = 0
    with pytest.raises(ValueError, match="'999' stands twice"):
        _once([(name, 0) for name in [*names, Counted(999)]])
    assert Counted.compared < 1000


@dataclass(frozen=True, slots=True)
class Share:
    """A field that is a number or nothing."""

    done: float | None = None


@pytest.mark.parametrize("given", [[], {}, [1.0], "half"])
def test_what_is_neither_a_number_nor_nothing_is_refused_in_a_sentence(given: object) -> None:
    with pytest.raises(InvalidInput, match=r"share\.done cannot be read"):
        from_plain(Share, {"done": given}, "share")
    assert from_plain(Share, {"done": "Infinity"}, "share").done == float("inf")
