"""Chat templates that refuse, ignore or change what they are given, and answers that are begun."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.core.prompt import Chat, Message
from playground.errors import TemplateProblem
from playground.models.text import encode
from tests.tiny_models import CHATML, STRICT, THINKING, byte_level_tokenizer

MOVED = (
    "This model's chat template refuses a system prompt: "
    "it was put before the first user message, separated by a blank line."
)
JOINED = (
    "This model's chat template refuses two messages of one role in a row: "
    "they were joined by a blank line."
)
DROPPED = "This model's chat template drops the spaces before the beginning of the answer."


def system(text: str) -> Message:
    return Message("system", text)


def user(text: str) -> Message:
    return Message("user", text)


def answer(text: str) -> Message:
    return Message("assistant", text)


def templated(template: str) -> Any:
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


OPEN = "<|im_start|>assistant\n"


def rendered(template: str, *messages: Message, **options: Any) -> tuple[str, tuple[str, ...]]:
    encoded = encode(templated(template), Chat(messages, **options), 500)
    return encoded.rendered, encoded.notices


def test_a_refused_system_prompt_is_put_before_the_first_user_message() -> None:
    text, notices = rendered(STRICT, system("Be brief."), user("hello"))
    assert text == turn("user", "Be brief.\n\nhello") + OPEN
    assert notices == (MOVED,)
    assert rendered(STRICT, user("hello")) == (turn("user", "hello") + OPEN, ())


def test_refused_messages_of_one_role_are_joined() -> None:
    said = (user("one"), user("two"), answer("three"), answer("four"), user("five"))
    text, notices = rendered(STRICT, *said)
    assert text == (
        turn("user", "one\n\ntwo")
        + turn("assistant", "three\n\nfour")
        + turn("user", "five")
        + OPEN
    )
    assert notices == (JOINED,)


def test_both_are_arranged_together() -> None:
    text, notices = rendered(STRICT, system("Be brief."), user("one"), user("two"))
    assert text == turn("user", "Be brief.\n\none\n\ntwo") + OPEN
    assert notices == (MOVED, JOINED)


def test_nothing_is_arranged_for_a_template_that_takes_it() -> None:
    text, notices = rendered(CHATML, system("Be brief."), user("one"), user("two"))
    assert text == turn("system", "Be brief.") + turn("user", "one") + turn("user", "two") + OPEN
    assert notices == ()


def test_a_blank_system_prompt_that_is_refused_is_left_out() -> None:
    assert rendered(STRICT, system(" "), user("hi")) == (turn("user", "hi") + OPEN, ())


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ((answer("first"), user("hi")), "must alternate"),
        ((system("Be brief."), answer("Well")), "System role not supported"),
    ],
)
def test_what_no_arrangement_helps_is_told_in_the_templates_first_words(
    messages: tuple[Message, ...], words: str
) -> None:
    with pytest.raises(TemplateProblem) as caught:
        rendered(STRICT, *messages)
    assert caught.value.problem.message.startswith("The model's chat template refused these")
    assert words in caught.value.problem.message


def test_a_fault_of_the_template_is_no_refusal() -> None:
    """Without its system message this template renders; but it never said that it refuses one."""
    broken = "{% if messages[0].role == 'system' %}{{ messages[0].words.first }}{% endif %}"
    with pytest.raises(TemplateProblem, match="has no attribute 'words'"):
        rendered(broken + CHATML, system("Be brief."), user("hi"))


def test_control_tokens_stay_plain_in_a_message_that_is_arranged() -> None:
    typed = "<|im_end|>"
    for flag, count in ((False, 3), (True, 4)):
        asked = Chat((system(f"Be {typed} brief."), user("hi")), flag)
        encoded = encode(templated(STRICT), asked, 500)
        assert sum(piece.special for piece in encoded.pieces) == count
        assert encoded.rendered == turn("user", f"Be {typed} brief.\n\nhi") + OPEN


def test_a_system_prompt_without_effect_is_told() -> None:
    deaf = CHATML.replace("in messages %}", "in messages if m['role'] != 'system' %}")
    _, notices = rendered(deaf, system("Be brief."), user("hello"))
    assert notices == ("This model's chat template ignores the system prompt.",)
    assert rendered(deaf, user("hello"))[1] == ()


@pytest.mark.parametrize("template", (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% endfor %}",
))
def test_a_missing_generation_prompt_is_told(template: str) -> None:
    _, notices = rendered(template, user("hello"))
    (notice,) = notices
    assert "has no generation prompt: “<|im_start|>assistant”" in notice
    assert rendered(template, user("hello"), answer("Well"))[1] == ()


@pytest.mark.parametrize("template", (
    CHATML,
    # As Mistral's: the end of a question is the beginning of the answer.
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}",
    THINKING,
))
def test_a_template_that_ends_where_an_answer_begins_misses_nothing(template: str) -> None:
    assert rendered(template, user("hello"))[1] == ()


def test_a_begun_answer_is_left_open() -> None:
    text, notices = rendered(CHATML, user("Capital of France?"), answer("The capital is "))
    assert text == turn("user", "Capital of France?") + OPEN + "The capital is "
    assert notices == ()


PREFILLS = st.text(
    st.sampled_from("ab <|é你\n\t\U000f0000\U000f0001\U000f0002"), min_size=1, max_size=12
).filter(str.strip)


@pytest.mark.parametrize("template", [CHATML, THINKING])
@given(begun=PREFILLS)
@settings(max_examples=30, deadline=None)
def test_a_begun_answer_is_what_the_library_goes_on_with(template: str, begun: str) -> None:
    tokenizer = templated(template)
    encoded = encode(tokenizer, Chat((user("hi"), answer(begun)), True), 500)
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": begun}]
    expected = tokenizer.apply_chat_template(
        messages, continue_final_message=True, return_dict=False
    )
    assert list(encoded.ids) == expected
    assert encoded.rendered.endswith(begun)


@given(begun=PREFILLS)
@settings(max_examples=30, deadline=None)
def test_a_template_that_trims_keeps_the_spaces_at_the_end(begun: str) -> None:
    """The library cuts them off there: the model would go on from another text."""
    text, notices = rendered(STRICT, user("hi"), answer(begun))
    assert text == turn("user", "hi") + OPEN + begun.lstrip()
    # A line break at its beginning is there all the same: the template writes one before it.
    assert notices == (() if text.endswith(begun) else (DROPPED,))
    assert not begun.startswith((" ", "\t")) or notices == (DROPPED,)


def test_a_begun_answer_holds_typed_control_tokens_as_text() -> None:
    encoded = encode(templated(CHATML), Chat((user("hi"), answer("Sure <|im_end|> "))), 500)
    assert encoded.rendered.endswith("Sure <|im_end|> ")
    assert [p.text for p in encoded.pieces if p.special].count("<|im_end|>") == 1
    (notice,) = encoded.notices
    assert notice.startswith("<|im_end|> in your text is read as plain text")


def test_answers_in_a_row_are_joined_and_the_last_left_open() -> None:
    text, notices = rendered(STRICT, user("hi"), answer("One."), answer("Two "))
    assert text == turn("user", "hi") + OPEN + "One.\n\nTwo "
    assert notices == (JOINED,)


@pytest.mark.parametrize(
    ("template", "begun", "words"),
    [
        (THINKING, "<think>so</think>Well", "changes the beginning of the answer"),
        (CHATML.replace("{{ m['content'] }}", "{{ m['content'] | upper }}"), "Well", "changes"),
        (CHATML.replace("in messages %}", "in messages[:1] %}"), "Well", "leaves out"),
        (CHATML + "{{ raise_exception('The last one must be a user') }}", "Well", "The last one"),
    ],
)
def test_a_begun_answer_that_a_template_cannot_keep_is_a_sentence(
    template: str, begun: str, words: str
) -> None:
    with pytest.raises(TemplateProblem, match=words) as caught:
        rendered(template, user("hi"), answer(begun))
    assert "Complete tab" in caught.value.problem.advice


def test_a_torn_mark_lets_no_control_token_of_the_template_become_text() -> None:
    """A template that splits at a token tears the marks around it: what then stands between an
    opening and a closing one is the template's, and must stay its control tokens."""
    tokenizer = templated(
        "{% set parts = messages[0]['content'].split('<|im_end|>') %}"
        "{{ parts[0] }}<|im_start|>{{ parts[1] }}<|im_end|>"
    )
    encoded = encode(tokenizer, Chat((user("a<|im_end|>b"),)), 500)
    assert encoded.rendered == "a<|im_start|>b<|im_end|>"
    assert sum(piece.special for piece in encoded.pieces) == 2
