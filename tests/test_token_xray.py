"""The laws of the lens: what a browser may ask of a step, and what it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import (
    Amended,
    Candidate,
    Draw,
    Effect,
    Shift,
    Started,
    Step,
)
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.errors import InvalidInput
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import KEPT, Live
from playground.ui.token_xray import read_xray

OWN = Decoding(do_sample=True, temperature=0.7, top_p=0.9, banned=((5, 6),), candidates=3)
RUN = Run(ModelSpec("builtin/tiny-base"), Raw("One"), OWN)
TOLD = Step(0, 7, " a", " a", -0.7, 1, 0.6, 1.25, (Candidate(7, " a", -0.7, 0.6),))
EFFECTS = (
    Effect("model", (Shift(7, " a", 0.5, 0.5), Shift(8, "<b>", 0.25, 0.25))),
    Effect("temperature", (Shift(7, " a", 0.5, 0.6), Shift(8, "<b>", 0.25, 0.2)), moved=100,
           most_moved=(Shift(7, " a", 0.5, 0.6),)),
    Effect("top_p", (Shift(7, " a", 0.6, 1.0), Shift(8, "<b>", 0.2, 0.0)), removed=99, mass=0.4,
           gone=(Shift(8, "<b>", 0.2, 0.0),)),
)


class Engine:
    """Answers every replay with the same step, and remembers what it was asked."""

    def __init__(self, answer: Step | InvalidInput) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, int, int, Decoding]] = []

    def replay(self, stream: Any, column: int, position: int, decoding: Decoding) -> Step:
        self.asked.append((stream, column, position, decoding))
        if isinstance(self.answer, InvalidInput):
            raise self.answer
        return self.answer


def play(answer: Step | InvalidInput, run: Run = RUN, told: Step = TOLD) -> tuple[str, Engine]:
    """The key of a run with one token, and the engine that is asked about it."""
    feed, engine = TokenFeed(run), Engine(answer)
    feed.add(Started((), "One", 2048))
    feed.add(told)
    feed.plays(Live(engine, "stream", 2, "me"))  # type: ignore[arg-type]
    kept.append(feed)
    return feed.key, engine


kept: list[TokenFeed] = []


def ask(**request: Any) -> dict[str, Any]:
    value = read_xray(request)
    assert "<" not in value
    return json.loads(value)


REPLAYED = replace(TOLD, effects=EFFECTS, draw=Draw(0.0, 1.0, 0.4375))


def test_what_each_processor_did_comes_in_order() -> None:
    key, engine = play(REPLAYED)
    said = ask(key=key, position=0)
    assert [(s["label"], s["value"]) for s in said["stages"]] == [
        ("The model itself", ""), ("Temperature", "0.7"), ("Top-p", "0.9"),
    ]
    last = said["stages"][2]
    assert (last["removed"], last["mass"]) == (99, 0.4)
    assert last["gone"] == [[8, "<b>", 0.2, 0.0]]
    assert said["draw"] == [0.0, 1.0, 0.4375]
    assert (said["draws"], said["forced"]) == (True, False)
    assert engine.asked == [("stream", 2, 0, replace(OWN, effects=True, candidates=10))]


def test_a_token_that_was_put_there_is_told_as_such() -> None:
    put = replace(REPLAYED, forced=True, draw=None, effects=(Effect("fork", (), removed=9),))
    key, _ = play(put, told=replace(TOLD, forced=True))
    said = ask(key=key, position=0)
    assert (said["forced"], said["draw"], said["stages"][0]["label"]) == (True, None, "Your branch")


def test_dola_says_which_layer_it_took() -> None:
    for layer, words in ((0, "against the embeddings"), (4, "against layer 4")):
        dola = Effect("dola_layers", (), layer=layer)
        key, _ = play(replace(REPLAYED, effects=(EFFECTS[0], dola)))
        assert [s["value"] for s in ask(key=key, position=0)["stages"]] == ["", words]


def test_sliders_begin_at_the_run_s_own_values() -> None:
    key, _ = play(REPLAYED, replace(RUN, decoding=replace(OWN, typical_p=0.8)))
    values = {one["name"]: one["value"] for one in ask(key=key, position=0)["sliders"]}
    assert values == {"temperature": 0.7, "top_k": 0, "top_p": 0.9, "min_p": 0.0,
                      "repetition_penalty": 1.0, "typical_p": 0.8}


def test_what_is_tried_changes_nothing_else() -> None:
    key, engine = play(REPLAYED)
    ask(key=key, position=0, settings={"temperature": 2, "top_k": 4.0})
    tried = replace(OWN, temperature=2, top_k=4, effects=True, candidates=10)
    assert engine.asked[-1][3] == tried


def test_a_token_after_a_change_is_asked_with_the_changed_settings() -> None:
    key, engine = play(REPLAYED)
    changed = replace(OWN, temperature=1.5)
    kept[-1].add(Amended(1, changed))
    ask(key=key, position=0)
    ask(key=key, position=1)
    assert [asked[3].temperature for asked in engine.asked] == [0.7, 1.5]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 0}, "Temperature is 0; it must be a number above 0, up to 5."),
        ({"temperature": ""}, "Temperature is empty"),
        ({"temperature": None}, "Temperature is empty"),
        ({"temperature": "hot"}, "Temperature is 'hot'"),
        ({"top_k": 2.5}, "Top-k is 2.5; it must be a whole number"),
        ({"do_sample": 1}, "do_sample must be true or false."),
        ({"max_new_tokens": 4}, "A stored step cannot be tried with another max_new_tokens."),
        ({"preset": "Top-p"}, "A stored step cannot be tried with another preset."),
        (["temperature"], "A stored step cannot be tried with another settings."),
        ("temperature", "A stored step cannot be tried with another settings."),
    ],
)
def test_settings_come_through_the_door_of_the_panel(settings: Any, says: str) -> None:
    key, engine = play(REPLAYED)
    assert ask(key=key, position=0, settings=settings)["problem"].startswith(says)
    assert engine.asked == []


@pytest.mark.parametrize("position", [-1, "0", None, True, 1.0, [0]])
def test_a_place_is_a_whole_number(position: Any) -> None:
    key, engine = play(REPLAYED)
    assert ask(key=key, position=position)["problem"].startswith("A token has a number.")
    assert engine.asked == []


@pytest.mark.parametrize("request_", [None, "x", [], {}, {"key": []}, {"key": "guessed"}])
def test_nobody_asks_without_the_key(request_: Any) -> None:
    said = json.loads(read_xray(request_))
    assert said["problem"].startswith("The server no longer keeps this run.")


def test_a_step_that_is_gone_is_a_sentence() -> None:
    key, _ = play(InvalidInput("Token 1 of this run is not stored.", advice="Run it again."))
    assert ask(key=key, position=0)["problem"] == "Token 1 of this run is not stored. Run it again."


def test_a_beam_search_is_sent_to_its_tree() -> None:
    key, engine = play(REPLAYED, replace(RUN, decoding=Decoding(num_beams=3)))
    assert ask(key=key, position=0)["problem"].endswith("what each step kept and dropped.")
    assert engine.asked == []


def test_a_run_that_told_its_effects_needs_no_engine() -> None:
    """As it was told, though not under other settings."""
    own = replace(OWN, effects=True)
    key, _ = play(REPLAYED, replace(RUN, decoding=own), REPLAYED)
    KEPT.leave("me")
    assert [s["name"] for s in ask(key=key, position=0)["stages"]] == ["model", "temperature",
                                                                     "top_p"]
    said = ask(key=key, position=0, settings={"temperature": 1.5})
    assert said["problem"].startswith("This run was begun on a page that has been closed")


def test_a_token_before_a_branch_belongs_to_another_lane() -> None:
    run = replace(RUN, fork=Fork((1, 2, 3)))
    key, engine = play(REPLAYED, run, replace(TOLD, position=3))
    assert ask(key=key, position=2)["problem"].startswith("Token 3 stood already")
    assert "stages" in ask(key=key, position=3)
    assert [asked[2] for asked in engine.asked] == [3]
