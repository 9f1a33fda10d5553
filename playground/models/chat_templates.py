"""From a chat to the text its model's own template makes of it; it knows no token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jinja2

from playground.core.prompt import Message
from playground.errors import TemplateProblem

# What a template can raise: its own refusals, the sandbox's, and the faults of its Jinja code.
_FAULTS = (
    jinja2.TemplateError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
_SYSTEM_MOVED = (
    "This model's chat template refuses a system prompt: "
    "it was put before the first user message, separated by a blank line."
)
_TURNS_JOINED = (
    "This model's chat template refuses two messages of one role in a row: "
    "they were joined by a blank line."
)
_SYSTEM_IGNORED = "This model's chat template ignores the system prompt."
_NO_GENERATION_PROMPT = (
    "This model's chat template has no generation prompt: “{}”, which begins every answer in its "
    "chats, is left to the model to write."
)
_SPACES_DROPPED = "This model's chat template drops the spaces before the beginning of the answer."
_PREFILL_ADVICE = "Leave it out, or write the whole prompt in the Complete tab."

Rendered = tuple[str, list[str]]


def render(tokenizer: Any, messages: Sequence[Message], end: str) -> Rendered:
    """The text of a chat, ready for an answer, and what the reader should know about it.

    Where the last message is the assistant's, the text ends with it, to the last space; ``end`` is
    a character that is in no message. Where the template refuses the messages as they are, they
    are arranged in a way that it takes, and a notice says so. Raises TemplateProblem.
    """
    refused: Exception | None = None
    for arranged, notices in _arrangements(messages):
        try:
            text = _apply(tokenizer, arranged, end)
        except _FAULTS as fault:
            refused = refused or fault
            # Its own refusal (``raise_exception``) has exactly this type; a fault is a subtype.
            if type(refused) is not jinja2.TemplateError:
                break
            continue
        if not text:
            raise TemplateProblem(
                "The model's chat template made nothing of the messages.", field="model"
            )
        if _ignores_system(tokenizer, arranged, end, text):
            notices = [*notices, _SYSTEM_IGNORED]
        if missing := _missing_beginning(tokenizer, arranged, end, text):
            notices = [*notices, _NO_GENERATION_PROMPT.format(missing)]
        if arranged[-1].role == "assistant":
            text, dropped = _left_open(text, arranged[-1].content, end)
            notices = [*notices, *dropped]
        return text, notices
    words = str(refused).strip() or type(refused).__name__
    raise TemplateProblem(
        f"The model's chat template refused these messages: {words[:300]}",
        field="message",
        advice="Change the messages, or use the Complete tab.",
    ) from None


def _apply(tokenizer: Any, messages: Sequence[Message], end: str, open: bool = True) -> str:
    """The template's text, ``open`` for an answer; ``end`` stands behind the assistant's message
    where that is the last.

    ``continue_final_message=True`` does the same, but where a template trims its messages it cuts
    off the spaces at the end of the answer's beginning too.
    """
    given = [{"role": m.role, "content": m.content} for m in messages]
    begun = given[-1]["role"] == "assistant"
    if begun:
        given[-1]["content"] += end
    text = tokenizer.apply_chat_template(
        given, tokenize=False, add_generation_prompt=open and not begun
    )
    return str(text)


def _left_open(text: str, prefill: str, end: str) -> Rendered:
    """The text up to the end of the answer's beginning."""
    head, found, _ = text.rpartition(end)
    if not found:
        raise TemplateProblem(
            "The model's chat template leaves out the beginning of the answer, "
            "so the model cannot go on with it.",
            field="prefill",
            advice=_PREFILL_ADVICE,
        )
    if head.endswith(prefill):
        return head, []
    if head.endswith(prefill.lstrip()):
        return head, [_SPACES_DROPPED]
    raise TemplateProblem(
        "The model's chat template changes the beginning of the answer, "
        "so the model cannot go on with it as it was written.",
        field="prefill",
        advice=_PREFILL_ADVICE,
    )


def _arrangements(messages: Sequence[Message]) -> Iterator[tuple[list[Message], list[str]]]:
    """The messages as they are, and then the ways of saying the same that a template may take."""
    given = list(messages)
    moved, joined = _system_moved(given), _turns_joined(given)
    both = _turns_joined(moved)
    # A blank system prompt is simply left out.
    said = [_SYSTEM_MOVED] if any(m.role == "system" and m.content.strip() for m in given) else []
    yield given, []
    if moved != given:
        yield moved, said
    if joined != given:
        yield joined, [_TURNS_JOINED]
    if both not in (moved, joined):
        yield both, [*said, _TURNS_JOINED]


def _system_moved(messages: list[Message]) -> list[Message]:
    """The system prompt as the first words of the first user message."""
    system = [m.content for m in messages if m.role == "system" and m.content.strip()]
    others = [m for m in messages if m.role != "system"]
    first = next((n for n, m in enumerate(others) if m.role == "user"), None)
    if first is None:
        return messages
    content = "\n\n".join([*system, others[first].content])
    return [*others[:first], replace(others[first], content=content), *others[first + 1 :]]


def _turns_joined(messages: list[Message]) -> list[Message]:
    """Each run of messages of one role as one message."""
    joined: list[Message] = []
    for message in messages:
        if joined and joined[-1].role == message.role:
            content = f"{joined[-1].content}\n\n{message.content}"
            joined[-1] = replace(message, content=content)
        else:
            joined.append(message)
    return joined


def _ignores_system(tokenizer: Any, messages: list[Message], end: str, text: str) -> bool:
    """Whether another system prompt would have given the same text."""
    if not any(m.role == "system" and m.content.strip() for m in messages):
        return False
    other = [
        replace(m, content=m.content + " x") if m.role == "system" else m for m in messages
    ]
    try:
        return _apply(tokenizer, other, end) == text
    except _FAULTS:
        return False


def _missing_beginning(tokenizer: Any, messages: list[Message], end: str, text: str) -> str:
    """What stands before an answer in a chat that goes on, and not at the end of this prompt.

    A template such as Mistral's, where the end of a question begins the answer, misses nothing.
    """
    if messages[-1].role == "assistant":
        return ""
    try:
        if _apply(tokenizer, messages, end, open=False) != text:
            return ""
        answered = _apply(tokenizer, [*messages, Message("assistant", "")], end)
    except _FAULTS:
        return ""
    before, found, _ = answered.partition(end)
    return before[len(text) :].strip() if found and before.startswith(text) else ""
