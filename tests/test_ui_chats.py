"""Laws of chats side by side: a question is everybody's, an answer its lane's."""

from __future__ import annotations

from playground.core.run import ModelSpec
from playground.engine.plan import plan_rounds
from playground.ui.chats import Chats
from playground.ui.lane_turns import words_of
from playground.ui.transcript import Transcript
from tests.test_ui_transcript import trace


def two() -> Chats:
    """Two lanes that were asked the same and answered differently."""
    ends = {n: Transcript().asked("Hi").answered(trace(word)) for n, word in enumerate("ab")}
    return Chats().put(ends)


def texts(chat: Transcript) -> list[str]:
    return [turn.text for turn in chat.turns]


def test_one_message_is_asked_of_every_lane_in_sight() -> None:
    assert {n: (texts(q.earlier), q.text) for n, q in two().asked("And?", 2).items()} == {
        0: (["Hi", "a"], "And?"), 1: (["Hi", "b"], "And?")}


def test_trying_again_is_one_lanes() -> None:
    again = two().again(1)
    assert {n: (texts(q.earlier), q.text) for n, q in again.items()} == {1: ([], "Hi")}
    assert Chats().again(0) == {}


def test_taking_back_is_everybodys() -> None:
    earlier, text = two().undone(1, 2)
    assert (earlier, text) == (Chats(), "Hi")
    kept, _ = two().undone(0, 1)
    assert texts(kept.lanes[1]) == ["Hi", "b"], "a lane out of sight stays as it was"


def test_an_edited_question_is_asked_again_where_the_same_one_stands() -> None:
    chats = two().put({2: Transcript().asked("Hello").answered(trace("c"))})
    same, questions = chats.edited(0, 0, "Hey", 3)
    assert same == chats
    assert {n: (texts(q.earlier), q.text) for n, q in questions.items()} == {
        0: ([], "Hey"), 1: ([], "Hey")}


def test_an_edited_answer_is_its_lanes() -> None:
    changed, questions = two().edited(1, 1, "other", 2)
    assert questions == {}
    assert [texts(chat) for chat in changed.lanes[:2]] == [["Hi", "a"], ["Hi", "other"]]


def test_a_lane_that_is_added_goes_on_from_the_same_conversation() -> None:
    assert two().copied(1, 2).lanes[2] == two().lanes[1]


def test_the_order_of_rounds_in_words() -> None:
    a, b, c = (ModelSpec(f"tiny/{name}") for name in "abc")
    sizes = {a: 2 * 10**9, b: 10**9, c: 10**9}
    plan = plan_rounds([a, b, a], sizes, (), 2 * 10**9)
    assert words_of(plan, [0, 1, 2]) == (
        "a and b do not fit in memory together (3.0 GB of 2.0 GB): lanes 1 and 3 run first, then "
        "lane 2.")
    three = plan_rounds([c, a, b], sizes, (), 2 * 10**9)
    assert words_of(three, [0, 3, 5]).endswith(
        "(4.0 GB of 2.0 GB): lane 1 runs first, then lane 4, then lane 6.")
    assert words_of(plan_rounds([b, c], sizes, (), 2 * 10**9), [0, 1]) == ""
