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

    A chat that ends with the assistant's message asks the model to go on with that answer. The
    text of a control token in a message is plain text unless ``control_tokens`` is set. Raises
    InvalidInput when there is no message to answer or to go on with.
    """

    messages: tuple[Message, ...]
    control_tokens: bool = False

    def __post_init__(self) -> None:
        _check_switch(self.control_tokens)
        asked = [m for m in self.messages if m.role != "system"]
        if not asked or not asked[-1].content.strip():
            if asked and asked[-1].role == "assistant":
                raise InvalidInput(
                    "The beginning of the answer is empty.", field="prefill",
                    advice="Write how the answer begins, or leave it out.",
                )
            raise InvalidInput(
                "The message is empty.", field="message", advice="Write something to send."
            )

    @property
    def prefill(self) -> str:
        """The beginning of the answer that the model goes on with; empty when there is none."""
        last = self.messages[-1]
        return last.content if last.role == "assistant" else ""


@dataclass(frozen=True, slots=True)
class Raw:
    """A text that the model continues as it stands, with no template.

    The text of a control token in it is plain text unless ``control_tokens`` is set.
    """

    text: str
    control_tokens: bool = False

    def __post_init__(self) -> None:
        _check_switch(self.control_tokens)
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


def _check_switch(value: object) -> None:
    """A page can send anything for a checkbox, and ``"no"`` would count as yes."""
    if not isinstance(value, bool):
        raise InvalidInput(
            "Reading control tokens in a text is either on or off.",
            field="control_tokens", given=value, allowed="on or off",
        )


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
