"""Laws of where lanes part: what each gave in words by hand, what the panel and the lanes are told,
and what a browser may ask for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from playground.core.compare import Gave, compare
from playground.core.decoding import PRESETS
from playground.core.events import Candidate, Event, Failed, Finished, Piece, Started, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import Problem
from playground.ui.lane_play import Lane
from playground.ui.lane_report import Board
from playground.ui.parting import parting_panel, parting_words
from playground.ui.parting_words import flag_of, given, numbers_of, plain, sentence_of
from playground.ui.token_stream import TokenFeed

STARTED = Started((Piece(1, "a"),), "a", 512)
DONE = Finished("end", "", 1, 2, 0.1, 0.1)
WORDS = {3: ",", 4: " Paris", 5: " Lyon"}


def step(position: int, id: int, share: float, *others: tuple[int, float, float]) -> Step:
    """A token with its probability, and other candidates with the model's and the final one."""
    listed = sorted([(id, share, share), *others], key=lambda one: -one[1])
    rank = [one[0] for one in listed].index(id) + 1
    return Step(position, id, WORDS[id], WORDS[id], math.log(share), rank, share, 1.0, tuple(
        Candidate(i, WORDS[i], math.log(p), q) for i, p, q in listed))


A = (step(0, 3, 0.9), step(1, 5, 0.4, (4, 0.12, 0.12)))
B = (step(0, 3, 0.9), step(1, 4, 0.61, (5, 0.06, 0.06), (3, 0.05, 0.05)))


def trace(
    *steps: Step, model: str = "builtin/tiny-base", preset: str = "Greedy", text: str = "a"
) -> Trace:
    made = Trace(Run(ModelSpec(model), Raw(text), PRESETS[preset]))
    for event in (replace(STARTED, rendered=text), *steps, DONE):
        made = made.add(event)
    return made


def numbers(mine: Trace, other: Trace) -> str:
    return plain(numbers_of(compare(mine, other), mine, other, "A"), "[]")


@pytest.mark.parametrize("gave, words", [
    (Gave(0.04, 3, 0.04), "4.0 %, rank 3"),
    (Gave(0.04, 3, 0.2), "4.0 %, rank 3 (20 % after its settings)"),
    (Gave(0.04, 3, 0.0), "4.0 %, rank 3 (0 % after its settings)"),
    (Gave(0.003, 11, None, listed=False), "at most 0.30 %, rank 11 or lower"),
    (Gave(1e-9, 11, None, listed=False), "under 0.01 %, rank 11 or lower"),
    (None, "nothing that was told"),
])
def test_what_was_given_is_said_with_its_rank_and_nothing_is_made_up(
    gave: Gave | None, words: str
) -> None:
    assert given(gave) == words


def test_two_models_say_what_each_gave_the_others_choice() -> None:
    mine, other = trace(*B, model="x/b"), trace(*A, model="x/a")
    found = compare(mine, other, by="ids")
    assert plain(numbers_of(found, mine, other, "A"), "[]") == (
        "This lane gave [ Paris] 61 %, rank 1 and [ Lyon] 6.0 %, rank 2; "
        "A gave [ Lyon] 40 %, rank 1 and [ Paris] 12 %, rank 2."
    )
    assert found.parting is not None
    assert flag_of(found, found.parting.first) == "61 % here, there 12 %, rank 2"


def test_one_model_gave_both_the_same_and_what_differs_is_how_it_was_chosen() -> None:
    """Greedy “chose with 11 %” once: that is how likely it was, and not why it came."""
    drawn = replace(B[1], logprob=math.log(0.12), rank=2, probability=0.2)
    assert numbers(trace(B[0], drawn, preset="Top-p"), trace(*A)) == (
        "The model gave [ Paris] 12 %, rank 2 and [ Lyon] 40 %, rank 1; this lane drew it with "
        "20 %, A took the likeliest."
    )
    found = compare(trace(*B), trace(*A))
    assert found.parting is not None and flag_of(found, found.parting.first) == "61 %, rank 1"
    for changed, how in (
        (trace(*B, preset="Beam search"), "has it from its whole search"),
        (trace(B[0], replace(B[1], forced=True)), "was given it"),
        (trace(B[0], replace(B[1], rank=2)), "took what its settings made first"),
    ):
        assert f"this lane {how}, A" in numbers(changed, trace(*A))
    assert numbers(trace(*A), trace(*A)) == ""


def test_the_same_model_behind_another_prompt_is_as_another_model() -> None:
    assert numbers(trace(*B, text="b"), trace(*A)).startswith("This lane gave [ Paris] 61 %")


def test_other_vocabularies_are_said_to_be() -> None:
    mine, other = trace(*B, model="x/b"), trace(*A, model="x/a")
    found = compare(mine, other, by="characters")
    assert plain(sentence_of(found, mine, other, "A"), "[]") == (
        "The same text as A for 1 token (1 there), then [ Paris] where A took [ Lyon].")
    assert plain(numbers_of(found, mine, other, "A"), "[]") == (
        "The first other character stands inside a token. This lane gave [ Paris] 61 %, rank 1; "
        "A gave [ Lyon] 40 %, rank 1. Their vocabularies differ: neither has the other's token."
    )


def lanes(*all: tuple[Step, ...], model: str = "builtin/tiny-base") -> list[Lane]:
    made = []
    for n, steps in enumerate(all, 1):
        feed = TokenFeed(Run(ModelSpec(model), Raw("a"), PRESETS["Greedy"]), f"L{n}")
        for event in (STARTED, *steps):
            feed.add(event)
        made.append(Lane(feed, title=f"L{n}"))
    return made


def ended(board: Board) -> dict[str, Any]:
    board.running = False
    return json.loads(board.parting())


def test_the_panel_is_told_what_the_lanes_share_and_how_far_they_diverge() -> None:
    found = ended(Board(lanes(A, B)))
    first, second = found["lanes"]
    assert (found["reference"], first["words"]) == (0, ["The others are compared with this lane."])
    assert (second["at"], second["there"], second["shared"]) == (1, 1, [1, 1])
    assert (second["by"], second["aligned"]) == ("ids", [[0, 0, 1]])
    assert second["divergence"][0] == 0 and 0 < second["divergence"][1] <= 1000
    assert second["chosen"] is True, "the same model read the same: only the choosing can differ"
    assert found["said"] == "Identical to L1 for 1 token, then “ Paris” where L1 took “ Lyon”."


def test_more_lanes_are_said_in_one_sentence() -> None:
    assert ended(Board(lanes(A, B, A)))["said"] == "1 lane leaves L1, of 2; the first at token 2."
    assert ended(Board(lanes(A, A, A)))["said"] == ""


def test_a_lane_that_failed_is_compared_as_far_as_it_came() -> None:
    some = lanes(A, A[:1])
    assert some[1].feed is not None
    some[1].feed.add(Failed(Problem("OOM", "No memory.")))
    refused = Lane(None, Problem("x", "No."), "Refused")
    found = ended(Board([*some, refused]))["lanes"]
    assert found[1]["words"] == [
        "Identical to L1 for 1 token, where it failed and L1 went on."]
    assert found[2]["words"] == ["It was not run."] and found[2]["key"] == ""


def test_a_lane_that_failed_at_once_is_not_what_the_others_are_compared_with() -> None:
    """Two lanes once said that there is nothing of the first to compare with, and were not compared
    with each other."""
    board = Board(some := lanes((), A, B))
    assert json.loads(board.parting())["reference"] == 0
    some[0].feed.add(Failed(Problem("HUB", "No Hub.")))  # type: ignore[union-attr]
    found = ended(board)
    assert found["reference"] == 1 and found["lanes"][2]["at"] == 1
    assert found["lanes"][0]["words"] == ["It wrote nothing."]


def test_each_lane_is_told_its_grey_part_and_its_flag() -> None:
    board = Board(some := lanes(A, B))
    ended(board)
    heads = [json.loads(board.mark(n, lane.value)) for n, lane in enumerate(some)]
    assert [head["parting"] for head in heads] == [
        {"shared": 1, "flags": [[1, "40 %, rank 1"]]},
        {"shared": 1, "flags": [[1, "61 %, rank 1"]]},
    ]
    assert [head.get("parts_at") for head in heads] == [None, 1]


class Request:
    session_hash = "a-page"


def test_the_updates_of_lanes_are_followed_and_end_with_the_last_word() -> None:
    with gr.Blocks():
        parting = parting_panel("complete")
    some = lanes(A, ())

    def played() -> Any:
        for event in B:
            some[1].feed.add(event)  # type: ignore[union-attr]
            yield ["run", "stop", "notice", *(lane.value for lane in some), "idle"]

    updates = list(parting.follow(Request(), some, played()))  # type: ignore[arg-type]
    assert [len(update) for update in updates] == [7] * 3
    assert [json.loads(update[6])["running"] for update in updates] == [True, True, False]
    last = updates[-1]
    assert last[:3] == ["run", "stop", "notice"] and last[5] == "idle"
    assert json.loads(last[4])["parts_at"] == 1
    board = parting.boards.get("a-page")
    assert board is not None and board.running is False


def test_one_refusal_for_all_lanes_leaves_the_panel_empty() -> None:
    with gr.Blocks():
        parting = parting_panel("complete")
    wrong = [Lane(None, Problem("x", "No."), "a")] * 2
    updates = parting.follow(Request(), wrong, iter([["r", "s", "No.", "", ""]]), figures=True)  # type: ignore[arg-type]
    assert list(updates) == [["r", "s", "No.", "", "", "{}", "{}"]]


def test_a_word_diff_is_of_kept_answers_only() -> None:
    one, other = (lane.feed for lane in lanes(A, B))
    assert one is not None and other is not None
    told = json.loads(parting_words({"first": one.key, "second": other.key}))
    assert told["changes"] == [["same", ","], ["gone", " Lyon"], ["new", " Paris"]]
    for hostile in (None, [], {}, {"first": 3, "second": None}, {"first": one.key},
                    {"first": [one.key], "second": other.key}):
        assert parting_words(hostile) == '{"gone":true}'


def test_a_board_looks_at_a_common_start_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four lanes of 100 tokens a second would be compared from their start twice a second."""
    looked: list[int] = []
    from playground.core import compare as module

    def counted(first: Step, second: Step) -> Any:
        looked.append(first.position)
        return true(first, second)

    true = module.divergence
    monkeypatch.setattr(module, "divergence", counted)
    now = [0.0]
    monkeypatch.setattr("playground.ui.lane_report.time.monotonic", lambda: now[0])
    board = Board(some := lanes((), ()))
    events: list[Event] = [step(n, 3, 0.9) for n in range(20)]
    for n, event in enumerate(events):
        for lane in some:
            lane.feed.add(event)  # type: ignore[union-attr]
        now[0] = float(n)
        board.parting()
    assert looked == list(range(20))
