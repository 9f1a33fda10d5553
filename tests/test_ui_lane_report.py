"""Laws of what is said of lanes: where each parts, in words by hand, and what a board tells."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from playground.core.compare import compare
from playground.core.decoding import PRESETS
from playground.core.events import Beams, Failed, Finished, Piece, Started, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem
from playground.settings import Settings
from playground.ui.lane_board import filled, swept
from playground.ui.lane_play import Lane, plan_lane, play_lanes, refusal_of
from playground.ui.lane_report import MOST_BOARDS, Board, Boards
from playground.ui.parting_words import plain, sentence_of
from playground.ui.token_stream import idle

STARTED = Started((Piece(1, "a"),), "a", 512)
WORDS = {1: " Paris", 2: " Lyon", 3: ",", 4: "\n\n"}


def run(preset: str) -> Run:
    return Run(ModelSpec("builtin/tiny-base"), Raw("a"), PRESETS[preset], seed=1)


def steps(*ids: int) -> list[Step]:
    return [Step(n, id, WORDS.get(id, "x"), WORDS.get(id, "x"), -0.5, 1, 0.5, 1.0, ())
            for n, id in enumerate(ids)]


def trace(*ids: int, over: bool = True, preset: str = "Greedy") -> Trace:
    made = Trace(run(preset)).add(STARTED)
    for step in steps(*ids):
        made = made.add(step)
    return made.add(Finished("end", "", 1, len(ids), 0.1, 0.1)) if over else made


def said(mine: Trace, other: Trace) -> tuple[int | None, str]:
    found = compare(mine, other)
    words = sentence_of(found, mine, other, "Greedy")
    return found.parting.first.index if found.parting else None, plain(words, "[]")


@pytest.mark.parametrize("mine, other, at, words", [
    (trace(3, 3, 1), trace(3, 3, 2, 3), 2,
     "Identical to Greedy for 2 tokens, then [ Paris] where Greedy took [ Lyon]."),
    (trace(1, 3), trace(2), 0,
     "Parts from Greedy at the first token: [ Paris] where Greedy took [ Lyon]."),
    (trace(3, 4), trace(3, 1), 1,
     "Identical to Greedy for 1 token, then [↵↵] where Greedy took [ Paris]."),
    (trace(3, 1), trace(3, 1), None, "Identical to Greedy, all 2 tokens."),
    (trace(3), trace(3, 1), None,
     "Identical to Greedy for 1 token, where it ended and Greedy went on."),
    (trace(3, 1), trace(3), None, "Identical to Greedy for 1 token, where Greedy ended."),
    (trace(3, over=False), trace(3, 1), None, "Identical to Greedy for 1 token so far."),
    (trace(over=False), trace(3), None, ""),
    (trace(3), trace(over=False), None, "Nothing of Greedy to compare with."),
    (trace(over=False).add(Beams(0, (), "x")), trace(3), None,
     "Still searching: its tokens are known at the end."),
    (trace(over=False).add(Failed(Problem("OOM", "No memory."))), trace(3), None,
     "It wrote nothing."),
])
def test_where_a_lane_parts_is_a_sentence(
    mine: Trace, other: Trace, at: int | None, words: str
) -> None:
    assert said(mine, other) == (at, words)


def refused() -> Run:
    raise InvalidInput("No.", field="x")


def lanes(*presets: str) -> list[Lane]:
    return [plan_lane(preset, partial(run, preset)) for preset in presets]


def write(lane: Lane, *ids: int) -> None:
    assert lane.feed is not None
    for event in (STARTED, *steps(*ids), Finished("end", "", 1, len(ids), 0.1, 0.1)):
        lane.feed.add(event)


def told(board: Board) -> dict[str, Any]:
    board.running = False
    return json.loads(board.value())


def test_a_board_tells_figures_and_marks_where_lanes_part() -> None:
    some = lanes("Top-p", "Greedy", "Top-p")
    for lane, ids in zip(some, [(3, 1), (3, 2), (3, 2)], strict=True):
        write(lane, *ids)
    board = Board(some)
    found = told(board)
    assert found["reference"] == 1, "the first greedy lane"
    titles = [one["title"] for one in found["lanes"]]
    assert titles == ["Top-p (lane 1)", "Greedy", "Top-p (lane 3)"]
    assert [(one["at"], one["same"]) for one in found["lanes"]] == [
        (1, False), (None, True), (None, True)]
    assert [one["cut"] for one in found["lanes"]] == [False] * 3
    assert found["lanes"][0]["figures"]["mean_logprob"] == -0.5
    assert found["lanes"][0]["figures"]["rep_4"] is None
    marked = json.loads(board.mark(0, some[0].value))
    assert (marked["parts_at"], marked["n"]) == (1, 2)
    assert marked["parting"] == {"shared": 1, "flags": [[1, "61 %, rank 1"]]}
    reference = json.loads(board.mark(1, some[1].value))
    assert "parts_at" not in reference
    assert reference["parting"] == {"shared": 1, "flags": [[1, ""]]}, "two others, no figures"


def test_an_answer_that_a_limit_cut_off_is_told_as_such() -> None:
    """Its length is the limit's, and once was marked as the best of all."""
    [lane] = lanes("Greedy")
    assert lane.feed is not None
    for event in (STARTED, *steps(3, 4), Finished("length", "", 1, 2, 0.1, 0.1)):
        lane.feed.add(event)
    assert told(Board([lane]))["lanes"][0]["cut"] is True


def test_another_lane_can_be_compared_with_and_is_again_in_the_next_run() -> None:
    boards = Boards()
    board = boards.put("a-page", lanes("Greedy", "Top-k", "Top-p"))
    for hostile in (None, True, "1", -1, 3, 10**20, 0.5, [1]):
        board.refer(hostile)
    assert board.reference == 0
    board.refer(2)
    again = boards.put("a-page", lanes("Top-p", "Greedy"))
    assert (again.reference, boards.put("b-page", lanes("Top-k", "Greedy")).reference) == (0, 1)
    assert boards.put("a-page", lanes("Top-k", "Greedy")).reference == 1, "it is not there any more"


def test_a_lane_that_was_not_run_is_said_and_never_compared_with() -> None:
    some = [plan_lane("Greedy", refused), *lanes("Top-k")]
    board = Board(some)
    board.refer(0)
    found = told(board)
    assert (found["reference"], found["lanes"][0]["parts"]) == (1, ["It was not run."])
    assert told(Board([plan_lane("Greedy", refused)]))["reference"] == 0


def test_what_is_wrong_with_all_lanes_alike_is_said_once() -> None:
    """Five lanes once said five times that the prompt they share is empty, as five alerts."""
    wrong = [plan_lane(name, refused) for name in ("Greedy", "Top-k", "Top-p")]
    refusal = refusal_of(wrong)
    assert refusal is not None and str(refusal) == "No."
    [update] = play_lanes(None, "strategies", None, wrong, 4)  # type: ignore[arg-type]
    assert "No." in update[2] and update[3:] == [idle()] * 4
    assert refusal_of([wrong[0], *lanes("Top-k")]) is None, "one lane's own fault stays with it"
    assert refusal_of(wrong[:1]) is None and json.loads(wrong[0].value)["problem"] == "No."


def test_a_board_speaks_twice_a_second_at_most_until_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("playground.ui.lane_report.time.monotonic", lambda: now[0])
    some = lanes("Greedy")
    board = Board(some)
    first = board.value()
    write(some[0], 1)
    now[0] = 0.4
    assert board.value() == first
    now[0] = 0.6
    assert json.loads(board.value())["lanes"][0]["figures"]["length"] == 1


def test_boards_are_bounded() -> None:
    boards = Boards()
    for n in range(MOST_BOARDS + 3):
        boards.put(f"page {n}", lanes("Greedy"))
    assert boards.get("page 2") is None and boards.get("page 3") is not None
    assert boards.get("nobody") is None


@pytest.mark.parametrize("wish", [
    None, 3, [], {}, {"lanes": 3}, {"lanes": []}, {"lanes": ["{}"] * 3}, {"lanes": [3]},
    {"lanes": ["{" * 3]}, {"lanes": ['{"preset": "x"}']}, {"lanes": ["{}" + " " * 200_000]},
    {"lanes": ['{"name": "<img src=x onerror=alert(1)>\\u0000"}']},
])
def test_a_hostile_wish_for_lanes_is_refused(wish: Any) -> None:
    with pytest.raises(InvalidInput):
        filled(wish, 2)


def test_lanes_are_filled_with_what_was_read() -> None:
    wish = {"lanes": ['{"preset":"Top-p","temperature":1.0}', '{"name":"Mild","top_k":3}']}
    assert filled(wish, 2) == ['{"preset":"Top-p"}', '{"preset":"Greedy","top_k":3,"name":"Mild"}']


def test_a_sweep_fills_lanes_named_after_their_value() -> None:
    base = '{"preset":"Pure sampling","max_new_tokens":9}'
    wish = {"knob": "temperature", "from": 0.5, "to": 1, "steps": 2, "base": base}
    assert swept(wish, Settings(), 24) == ([
        '{"preset":"Pure sampling","temperature":0.5,"max_new_tokens":9,"name":"Temperature 0.5"}',
        '{"preset":"Pure sampling","max_new_tokens":9,"name":"Temperature 1"}',
    ], (0.5, 1.0))


@pytest.mark.parametrize("wish, field", [
    (None, "knob"), ({"knob": "temperature", "from": 10**400, "to": 1, "steps": 2}, "from"),
    ({"knob": "temperature", "from": 0.5, "to": 1, "steps": 2, "base": "["}, "settings"),
    ({"knob": "num_beam_groups", "from": 1, "to": 3, "steps": 3, "base": '{"num_beams": 4}'},
     "num_beam_groups"),
    ({"knob": "num_beams", "from": 1, "to": 5, "steps": 2, "base": "{}"}, "num_beams"),
])
def test_a_sweep_that_cannot_be_names_its_field(wish: Any, field: str) -> None:
    few = replace(Settings().limits, beams=4)
    with pytest.raises(InvalidInput) as caught:
        swept(wish, Settings(limits=few), 24)
    assert caught.value.problem.field == field
