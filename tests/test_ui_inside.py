"""Laws of the Inside tab's frame: what is looked at, that nothing is asked twice, what a token of
another tab brings along."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import Decoding
from playground.core.events import Candidate, Finished, Piece, Started, Step
from playground.core.inspection import Finding, Inspection
from playground.core.lens import LensCell, LensFound, LensRequest, LensTop, LensTopRequest
from playground.core.prompt import Ids, Prompt, Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.score import Scored
from playground.errors import InvalidInput
from playground.ui.inside import _looker
from playground.ui.lens_section import Looked, asks, chosen, show, watching
from playground.ui.looked_at import Given, given_of, given_words, read_subject
from playground.ui.score_feed import scored_lane
from playground.ui.section import Section, Subject
from playground.ui.seen import Seen
from playground.ui.streaming import SessionStreams, Stage
from playground.ui.token_feed import TokenFeed
from tests.one_page import REQUEST

SPEC = ModelSpec("builtin/tiny-base")


def cell(id: int, text: str, share: float, watched: float, rank: int) -> LensCell:
    return LensCell(Piece(id, text), share, 0.5, watched, rank)


FOUND = LensFound(
    2, 0, (Piece(1, "The"), Piece(2, " capital")), None, Piece(9, " of"), (0, 1),
    ((cell(1, "The", 0.9, 0.01, 7), cell(2, " capital", 0.8, 0.1, 2)),
     (cell(5, "<b>", 0.4, 0.02, 9), cell(9, " of", 0.99, 0.99, 1))), "RMSNorm",
)
TOP = LensTop(1, 1, ((Piece(9, " of"), 0.99), (Piece(3, "."), 0.01)))


class Answering:
    """An engine that answers each look from a list, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Inspection[Any]] = []

    def inspect(self, spec: ModelSpec, request: Inspection[Any], *others: Any) -> Finding:
        self.asked.append(request)
        return FOUND if isinstance(request, LensRequest) else TOP

    def models(self) -> tuple[object, ...]:
        return ()


def lens_section() -> Section:
    quiet: Any = SimpleNamespace()
    return Section("lens", quiet, quiet, asks, show, (quiet, quiet), chosen=chosen)


def looker(engine: Answering, seen: Seen, anew: bool = False) -> Callable[..., list[list[Any]]]:
    look = _looker(Stage(engine, SessionStreams()), [lens_section()], seen, anew)  # type: ignore[arg-type]
    return lambda *values: list(look(REQUEST, "lens", *values))


def test_nothing_that_is_shown_is_asked_again() -> None:
    """Coming back to a section asks nothing, another cell asks for that cell, Look asks anew."""
    engine, seen = Answering(), Seen()
    look = looker(engine, seen)
    first = look("The capital", SPEC.repo, None, "", Looked())
    assert [type(one) for one in engine.asked] == [LensRequest, LensTopRequest]
    shown = json.loads(first[-1][-1])
    assert shown["waits"] == "" and shown["found"]["tokens"][0] == [1, "The", 0]
    again = look("The capital", SPEC.repo, None, "", Looked())
    assert len(engine.asked) == 2 and [update[-1] for update in again] == [first[-1][-1]]
    subject = read_subject("The capital", SPEC.repo, None)
    _, looked = chosen(subject, {"layer": 0, "position": 1}, ["", Looked()])
    look("The capital", SPEC.repo, None, "", looked)
    assert engine.asked[2:] == [LensTopRequest(Raw("The capital", True), 0, 1)]
    look("Another text", SPEC.repo, None, "", looked)
    assert engine.asked[3:] == [
        LensRequest(Raw("Another text", True)), LensTopRequest(Raw("Another text", True))
    ], "an open cell is one of the text that it was opened in"
    looker(engine, seen, anew=True)("The capital", SPEC.repo, None, "", Looked())
    assert len(engine.asked) == 7
    seen.close(REQUEST.session_hash)
    look("The capital", SPEC.repo, None, "", Looked())
    assert len(engine.asked) == 9


def test_what_was_seen_is_bounded() -> None:
    seen, engine = Seen(most=2), Answering()
    for text in "abc":
        looker(engine, seen)(text, SPEC.repo, None, "", Looked())
    assert len(seen._found) == 2


def test_a_mistake_is_a_sentence_and_leaves_the_view() -> None:
    engine = Answering()
    (update,) = looker(engine, Seen())("\ud800", SPEC.repo, None, "", Looked())
    assert "lone surrogate" in update[2] and update[3] == gr.skip() and not engine.asked
    (update,) = looker(engine, Seen())("a", SPEC.repo, None, 7, Looked())
    assert "must be text" in update[2]


def test_the_view_is_told_small_values_and_no_markup() -> None:
    value = show([FOUND, TOP])
    found = json.loads(value)["found"]
    assert "<b>" not in value and [text == "<b>" for _, text, _ in found["tokens"]].count(True) == 1
    assert found["came"] == [None, 1] and found["layers"] == [0, 1]
    assert found["rows"][1][1] == [3, 0.99, 0.5, 0.99, 1] and found["read"] == [0, 1]
    assert found["top"]["rows"] == [[9, " of", 0, 0.99], [3, ".", 0, 0.01]]
    waiting = json.loads(show(["reading", "later"]))
    assert waiting["found"] is None and waiting["waits"] == "Looking …"


def test_a_watched_token_is_an_id_where_it_came_by_a_click() -> None:
    subject = Subject(SPEC, Raw("a"))
    text, looked = chosen(subject, {"watch": 9, "text": " of"}, ["", Looked()])
    assert asks(subject, [text, looked])[0].request.watch == 9  # type: ignore[union-attr]
    assert asks(subject, [" on", looked])[0].request.watch == " on"  # type: ignore[union-attr]
    assert watching((9, " of")) == [" of", Looked(watch=(9, " of"))]
    assert asks(Subject(SPEC, None), ["", Looked()]) == []
    for wish in ({}, {"first": "x"}, {"layer": 1}, {"watch": 1}):
        with pytest.raises(InvalidInput):
            chosen(subject, wish, ["", Looked()])


def step(position: int, id: int, text: str) -> Step:
    return Step(position, id, text, text, -0.7, 1, 0.5, 1.0, (Candidate(id, text, -0.7, 0.5),))


def written(fork: Fork | None = None, prompt: Prompt | None = None) -> str:
    """The key of a run that wrote two tokens, kept in the store."""
    feed = TokenFeed(Run(SPEC, prompt or Raw("hi"), Decoding(), seed=0, fork=fork), "Answer")
    begun = len(fork.ids) if fork else 0
    feed.add(Started((Piece(1, "<s>", True), Piece(2, "hi")), "<s>hi", 512))
    feed.add(step(begun, 31, " you"))
    feed.add(step(begun + 1, 32, "!"))
    feed.add(Finished("length", "", 2, 2, 0.1, 0.1))
    return feed.key


def test_a_token_brings_exactly_the_ids_before_it() -> None:
    key = written()
    given = given_of({"key": key, "position": 1}, "Chat")
    assert given.ids == (1, 2, 31) and given.text == "<s>hi you" and given.watched == (32, "!")
    assert given.said == "the first 3 tokens of an answer of tiny-base in Chat"
    piece = given_of({"key": key, "prompt": 1})
    assert piece.ids == (1,) and piece.watched == (2, "hi")
    first = given_of({"key": key, "prompt": 0})
    assert first.ids == (1,) and first.watched is None, "before the first there is nothing"


def test_what_stood_before_a_fork_counts() -> None:
    key = written(Fork(ids=(21, 22)))
    assert given_of({"key": key, "position": 3}).ids == (1, 2, 21, 22, 31)
    assert given_of({"key": key, "position": 3}).watched == (32, "!")


def test_a_scored_text_can_be_looked_into() -> None:
    scored = Scored((Piece(5, "The"),), (step(0, 6, " cat"), step(1, 7, " sat")))
    key = json.loads(scored_lane("A", "", scored, spec=SPEC))["key"]
    given = given_of({"key": key, "position": 1})
    assert given.ids == (5, 6) and given.spec == SPEC and given.watched == (7, " sat")


@pytest.mark.parametrize("wish", [
    None, {}, {"key": 3}, {"key": "nobody's", "position": 0}, {"position": 0},
    {"key": ..., "position": True}, {"key": ..., "position": -1}, {"key": ..., "position": 99},
    {"key": ..., "position": "1"}, {"key": ..., "prompt": -1}, {"key": ..., "prompt": []},
])
def test_what_a_browser_says_of_a_token_is_checked(wish: Any) -> None:
    if isinstance(wish, dict) and wish.get("key") is ...:
        wish = {**wish, "key": written()}
    with pytest.raises(InvalidInput):
        given_of(wish)


def test_ids_stand_for_their_text_and_model_only() -> None:
    """Whoever changes the text, or takes a model with another vocabulary, looks at that text."""
    spec = ModelSpec("builtin/tiny-base", dtype="float32")
    given = Given((1, 2), spec, "<s>hi", "the first 2 tokens")
    assert read_subject("<s>hi", spec.repo, given) == Subject(spec, Ids((1, 2)))
    assert read_subject("<s>hi!", spec.repo, given).prompt == Raw("<s>hi!", control_tokens=True)
    other = read_subject("<s>hi", "builtin/tiny-chat", given)
    assert other == Subject(ModelSpec("builtin/tiny-chat"), Raw("<s>hi", control_tokens=True))
    assert read_subject("", spec.repo, None).prompt is None
    assert "&lt;script" in given_words(Given((1,), spec, "", "<script>"))
