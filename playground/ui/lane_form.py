"""All that one lane is set to, a small JSON text: its model, its prompt's form, its decoding.

The text is that of ``decoding_form`` with a few names more: ``{"model": "builtin/tiny-chat",
"template": "Chat template", "system": "Be brief.", "preset": "Top-p"}``. It was written by a
browser or a client of the API, so all of it is checked on the way in. No Gradio.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from playground.core.prompt import Chat, Message, Prompt, Raw, check_text
from playground.core.run import ModelSpec, Run
from playground.errors import InvalidInput
from playground.ui.decoding_form import DecodingForm, read_form, read_object, write_form

RAW, CHAT = "Raw text", "Chat template"


@dataclass(frozen=True, slots=True)
class LaneForm:
    """One lane's settings. Without a ``model`` it is the app's own; ``system`` and ``prefill`` are
    of use with the chat template alone."""

    model: str = ""
    template: str = RAW
    control_tokens: bool = False
    system: str = ""
    prefill: str = ""
    decoding: DecodingForm = field(default_factory=lambda: read_form("{}"))

    @property
    def ignored(self) -> tuple[str, ...]:
        """Labels of what is set and has no effect on a text that is given raw."""
        set_ = {"System prompt": self.system.strip(), "Begin the answer with": self.prefill.strip()}
        return tuple(label for label, text in set_.items() if text) if self.template == RAW else ()

    def prompt(self, text: Any) -> Prompt:
        """A text continued as it stands, or as the user's turn of a chat. Raises InvalidInput."""
        if self.template == RAW:
            return Raw(text, self.control_tokens)
        lead = [Message("system", self.system)] if self.system.strip() else []
        asked = Chat((*lead, Message("user", text)), self.control_tokens)
        begun = [Message("assistant", self.prefill)] if self.prefill.strip() else []
        return replace(asked, messages=(*asked.messages, *begun))

    def run(self, prompt: Prompt, default_model: str) -> Run:
        """The run of this lane, with a new seed where it asks for one. Raises InvalidInput."""
        made = self.decoding
        return Run(
            ModelSpec(self.model.strip() or default_model), prompt, made.decoding, made.dice(),
            made.draft,
        )


# What a lane has beside its decoding, and what that is where nothing is said.
OWN: Mapping[str, Any] = {
    one.name: one.default for one in fields(LaneForm) if one.name != "decoding"
}


def read_lane(value: Any) -> LaneForm:
    """The settings in a JSON text (or an object already). Raises InvalidInput, naming the field."""
    given = read_object(value)
    own = {name: given.pop(name, default) for name, default in OWN.items()}
    if own["template"] not in (RAW, CHAT):
        raise InvalidInput("A text is given raw, or through the chat template.", field="template",
                           given=own["template"], allowed=f"{RAW}, or {CHAT}")
    if not isinstance(own["control_tokens"], bool):
        raise InvalidInput("Reading control tokens in a text is either on or off.",
                           field="control_tokens", given=own["control_tokens"], allowed="on or off")
    for name, label in (("model", "model"), ("system", "system prompt"),
                        ("prefill", "beginning of the answer")):
        check_text(own[name], label)
    return LaneForm(**own, decoding=read_form(given))


def write_lane(form: LaneForm) -> str:
    """The text that ``read_lane`` reads as the same form."""
    own = {name: getattr(form, name) for name in OWN}
    differs = {name: value for name, value in own.items() if value != OWN[name]}
    text = {**read_object(write_form(form.decoding)), **differs}
    return json.dumps(text, ensure_ascii=False, separators=(",", ":"))
