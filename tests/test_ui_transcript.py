"""Laws of the transcript: what is asked, what is shown, and what editing takes back."""

from __future__ import annotations

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Failed
from playground.core.prompt import Chat, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, WorkerDied
from playground.ui.transcript import Transcript
from tests.fake_engine import words


def trace(*texts: str, reason: str = "end") -> Trace:
    made = Trace(Run(ModelSpec("builtin/tiny-chat"), Raw("hi"), Decoding()))
    for event in words(*texts, reason=reason):
        made = made.add(event)
    return made


def chat() -> Transcript:
    first = Transcript().asked("Capital of France?").answered(trace("Par", "is"))
    return first.asked("And of Japan?").answered(trace("Tokyo"))


def test_the_prompt_is_every_turn_after_the_system_prompt() -> None:
    prompt = chat().asked("Thanks").prompt("Be brief.")
    assert prompt == Chat(
        (
            Message("system", "Be brief."),
            Message("user", "Capital of France?"),
            Message("assistant", "Paris"),
            Message("user", "And of Japan?"),
            Message("assistant", "Tokyo"),
            Message("user", "Thanks"),
        )
    )


def test_a_blank_system_prompt_is_none() -> None:
    assert Transcript().asked("Hi").prompt("  ").messages == (Message("user", "Hi"),)


def test_a_begun_answer_stands_last_in_the_prompt_and_first_in_the_answer() -> None:
    prompt = Transcript().asked("Hi").prompt("", "Well, ")
    assert prompt == Chat((Message("user", "Hi"), Message("assistant", "Well, ")))
    assert Transcript().asked("Hi").prompt("", "  ").prefill == ""
    made = Trace(Run(ModelSpec("builtin/tiny-chat"), prompt, Decoding()))
    for event in words("hel", "lo"):
        made = made.add(event)
    assert Transcript().asked("Hi").answered(made).turns[-1].text == "Well, hello"


def test_an_empty_message_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidInput) as refused:
        Transcript().asked("   ").prompt("", "Well, ")
    assert refused.value.problem.field == "message"


def test_a_growing_answer_is_replaced_and_not_repeated() -> None:
    growing = Transcript().asked("Hi").answered(trace("He")).answered(trace("He", "llo"))
    assert [turn.text for turn in growing.turns] == ["Hi", "Hello"]


def test_under_each_answer_stands_its_speed_and_count() -> None:
    shown = Transcript().asked("Hi").answered(trace("He", "llo")).messages()
    assert [message["role"] for message in shown] == ["user", "assistant", "assistant"]
    # Two tokens, the first paid for by prefill: one token in 0.1 s is 10 tok/s.
    assert shown[2]["metadata"]["title"] == "2 tokens · 10 tok/s · ended by itself"


def test_undo_takes_back_the_last_question_and_its_answer() -> None:
    earlier, text = chat().before_last_question()
    assert text == "And of Japan?"
    assert [turn.text for turn in earlier.turns] == ["Capital of France?", "Paris"]


def test_undo_of_nothing_is_nothing() -> None:
    assert Transcript().before_last_question() == (Transcript(), "")


def test_an_edited_question_takes_back_all_that_came_after_it() -> None:
    earlier, text = chat().edited(0, "Capital of Spain?")
    assert (earlier, text) == (Transcript(), "Capital of Spain?")
    # The second question is the fourth thing shown: question, answer, its figures, question.
    earlier, text = chat().edited(3, "And of Peru?")
    assert text == "And of Peru?"
    assert [turn.text for turn in earlier.turns] == ["Capital of France?", "Paris"]


def test_an_edited_answer_is_what_the_model_is_told_it_said() -> None:
    changed, text = chat().edited(1, "Lyon")
    assert text == ""
    assert changed.asked("Why?").prompt("").messages[1] == Message("assistant", "Lyon")


def test_editing_a_line_of_figures_changes_nothing() -> None:
    assert chat().edited(2, "99 tokens") == (chat(), "")


def test_a_failed_answer_keeps_its_text_and_says_why() -> None:
    partial = trace("He")
    failed = Trace(partial.run, None, partial.started, partial.steps).add(
        Failed(WorkerDied("The model's process ended.", advice="Send again.").problem)
    )
    shown = Transcript().asked("Hi").answered(failed).messages()
    assert shown[1]["content"][0]["text"] == "He"
    assert shown[2]["metadata"]["title"] == "Not finished"
    assert "process ended" in shown[2]["content"][0]["text"]


def test_an_answer_that_never_began_is_not_part_of_the_prompt() -> None:
    empty = Trace(trace().run).add(Failed(WorkerDied("It ended.").problem))
    again = Transcript().asked("Hi").answered(empty).asked("Hi again")
    assert [m.role for m in again.prompt("").messages] == ["user", "user"]
