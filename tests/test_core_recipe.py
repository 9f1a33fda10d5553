"""A recipe and its file: the same value comes back, and what a stranger wrote is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Amended, Candidate, Failed, Finished, Piece, Started, Step
from playground.core.facts import Facts, Spelled
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.recipe import (
    LONGEST_FILE,
    Answer,
    Digest,
    Experiment,
    Recipe,
    digest_of,
    read_experiment,
    recipe_of,
    same_tokens,
    written_experiment,
)
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem

SPEC = ModelSpec("builtin/tiny-base")
FACTS = Facts("float32", "cpu", "none", "sdpa", "batch", "ab12", (0, 3), 0, "2.13", "5.23", "0.1.0")
STARTED = Started((Piece(1, "<s>", True), Piece(2, "hi")), "<s>hi", 512, (), 1, "c0ffee", FACTS,
                  Spelled(forced=(7,)))


def step(n: int, text: str, piece: str = "", forced: bool = False) -> Step:
    piece = piece or text
    return Step(n, n + 3, text, piece, -0.7, 1, 0.5, 1.0, (Candidate(n + 3, piece, -0.7, 0.5),),
                forced=forced)


def finished(run: Run, *steps: Step, reason: str = "length", company: int = 2) -> Trace:
    trace = Trace(run).add(STARTED)
    for one in steps:
        trace = trace.add(one)
    return trace.add(Finished(reason, "", 2, len(steps), 0.1, 0.1, company=company))  # type: ignore[arg-type]


RECIPE = recipe_of(finished(Run(SPEC, Raw("hi"), PRESETS["Top-p"], 7), step(0, "a"), step(1, " ü")),
                   "Top-p", "2026-01-31T12:00:00Z")


def test_a_recipe_says_what_was_asked_what_answered_and_what_decided_it() -> None:
    assert RECIPE.prompt_ids == (1, 2) and RECIPE.commit == "c0ffee" and RECIPE.context == 512
    assert RECIPE.facts is FACTS and RECIPE.spelled.forced == (7,)
    assert RECIPE.answer == Answer((3, 4), ("a", " ü"), "a ü", "length", company=2, reused=1)


def test_half_a_character_is_its_own_piece_and_no_text() -> None:
    trace = finished(Run(SPEC, Raw("hi")), step(0, "", "<0xE4>"), step(1, "ä", "<0xA4>"))
    answer = recipe_of(trace).answer
    assert answer is not None and answer.pieces == ("<0xE4>", "ä") and answer.text == "ä"


def test_what_was_inserted_as_text_is_repeated_as_ids() -> None:
    run = Run(SPEC, Raw("hi"), fork=Fork((5,), " so"))
    trace = finished(run, step(1, " so", forced=True), step(2, "x"))
    assert recipe_of(trace).run.fork == Fork((5,), (4,))


def test_a_run_that_failed_or_goes_on_expects_no_ids() -> None:
    run = Run(SPEC, Raw("hi"))
    going = Trace(run).add(STARTED).add(step(0, "a"))
    assert recipe_of(going).answer is None and recipe_of(Trace(run)).prompt_ids == ()
    failed = recipe_of(going.add(Failed(Problem("worker_gone", "Gone."))))
    assert failed.answer is None and failed.problem.startswith("Gone.")


def test_an_experiment_comes_back_and_is_canonical() -> None:
    chat = Chat((Message("system", "s"), Message("user", "你好 </script> 😀")))
    other = replace(RECIPE, run=Run(SPEC, chat, Decoding(early_stopping="never")), title="B",
                    amended=(Amended(1, PRESETS["Greedy"]),), prompt_ids=digest_of((1, 2)))
    both = Experiment((RECIPE, other, Recipe(Run(SPEC, Ids((1, 2))))), "Two and one")
    text = written_experiment(both)
    assert read_experiment(text) == both
    assert written_experiment(read_experiment(json.dumps(json.loads(text), indent=1))) == text
    assert read_experiment("\ufeff" + text) == both  # as some editors save it


def test_a_digest_is_the_first_8_bytes_of_sha256() -> None:
    """printf '\\x01\\0\\0\\0\\x02\\0\\0\\0' | sha256sum begins with 34fb5c825de7ca4a."""
    assert digest_of((1, 2)) == Digest(2, "34fb5c825de7ca4a")
    assert same_tokens((1, 2), digest_of((1, 2))) and not same_tokens((2, 1), digest_of((1, 2)))
    assert not same_tokens(digest_of((1,)), digest_of((1, 2)))


PLAIN = json.loads(written_experiment(Experiment((RECIPE,))))


def changed(path: str, value: object) -> str:
    data = json.loads(json.dumps(PLAIN))
    *way, last = path.split(".")
    place = data
    for name in way:
        place = place[int(name)] if name.isdigit() else place[name]
    place[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "file"), ("no", "file"), ("[]", "file"), ("[" * 100_000, "file"),
        ("x" * (LONGEST_FILE + 1), "file"), ('{"format": "other"}', "file"),
        (changed("version", 2), "version"), (changed("version", True), "version"),
        (changed("lanes", []), "lanes"), (changed("lanes", PLAIN["lanes"] * 9), "lanes"),
        (changed("lanes.0.run", {}), "file.lanes[0].run.model"),
        (changed("lanes.0.code", "import os"), "file.lanes[0].code"),
        (changed("lanes.0.run.seed", -1), "seed"), (changed("lanes.0.run.seed", 1.5),
                                                    "file.lanes[0].run.seed"),
        (changed("lanes.0.run.decoding.top_p", 7), "top_p"),
        (changed("lanes.0.commit", "../x"), "commit"), (changed("lanes.0.made", "now"), "made"),
        (changed("lanes.0.title", "x" * 201), "title"),
        (changed("lanes.0.facts.dtype", "float32\nimport os"), "dtype"),
        (changed("lanes.0.answer.ids", [1, -2]), "answer"),
        (changed("lanes.0.answer.ids", [1] * 4097), "answer"),
        (changed("lanes.0.answer.pieces", ["a"]), "pieces"),
        (changed("lanes.0.answer.company", -1), "company"),
        (changed("lanes.0.spelled", {"bias": [[[1], "-Infinity"]]}), "spelled"),
        (changed("lanes.0.spelled", {"banned": [[1, -1]]}), "spelled"),
        (changed("lanes.0.amended", [{"position": 0, "decoding": {}}] * 4097), "amended"),
        (changed("lanes.0.prompt_ids", {"count": 2, "sha256": "XY"}), "sha256"),
        (changed("lanes.0.run.prompt.text", "\ud800"), "file.lanes[0].run.prompt.text"),
    ],
)
def test_a_strangers_file_is_refused_by_the_name_of_its_field(text: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_experiment(text)
    assert refused.value.problem.field == field
    assert len(str(refused.value)) < 400


def test_a_newer_file_is_said_to_be_newer() -> None:
    with pytest.raises(InvalidInput, match=r"version 2, and this app reads version 1\..*newer"):
        read_experiment(changed("version", 2))
