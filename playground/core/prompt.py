"""What a model is asked: a chat, a raw text or token ids; it knows no tokenizer and no template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from playground.errors import InvalidInput

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise InvalidInput(
                f"A message cannot have the role {self.role!r}; it is system, user or assistant.",
                field="role",
                given=self.role,
                allowed="system, user, assistant",
            )
        check_text(self.content, "message")


@dataclass(frozen=True, slots=True)
class Chat:
    """Messages that the model's own chat template turns into text; a system prompt comes first.

    Raises InvalidInput when there is no message to answer.
    """

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        asked = [m for m in self.messages if m.role != "system"]
        if not asked or not asked[-1].content.strip():
            raise InvalidInput(
                "The message is empty.", field="message", advice="Write something to send."
            )


@dataclass(frozen=True, slots=True)
class Raw:
    """A text that the model continues as it stands, with no template."""

    text: str

    def __post_init__(self) -> None:
        check_text(self.text, "prompt")
        if not self.text:
            raise InvalidInput(
                "The prompt is empty.", field="prompt",
                advice="Write the beginning of a text to continue.",
            )


@dataclass(frozen=True, slots=True)
class Ids:
    """Exact token ids; what branching and repeating use, since text may tokenize differently."""

    ids: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.ids:
            raise InvalidInput("The prompt has no token ids.", field="prompt")
        if any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in self.ids):
            raise InvalidInput(
                "Token ids are whole numbers from 0.", field="prompt", given=self.ids
            )


Prompt = Chat | Raw | Ids


def check_text(text: object, field: str) -> None:
    """Raise InvalidInput unless ``text`` is a string that UTF-8 can carry (no lone surrogate)."""
    if not isinstance(text, str):
        raise InvalidInput(f"The {field} must be text.", field=field, given=text)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(
            f"The {field} holds half of a character (a lone surrogate) that no model can read.",
            field=field,
            advice="Delete it or paste the text again.",
        ) from None
