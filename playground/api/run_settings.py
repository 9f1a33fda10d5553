"""From a model's name and a plain object of settings to what a run is made of; no Gradio, no route.

``{"preset": "Top-p", "temperature": 0.7, "dtype": "float32", "draft": "owner/name"}``: a preset or
greedy, then every setting of ``Decoding`` and of ``ModelSpec`` by its name, and a draft.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from playground.core.decoding import PRESETS, Decoding
from playground.core.plain import from_plain, to_plain
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.errors import InvalidInput, shown

# Nothing here tells what each processor did.
KNOBS = tuple(one.name for one in fields(Decoding) if one.name != "effects")
MODEL = tuple(one.name for one in fields(ModelSpec) if one.name != "repo")
START = "Greedy"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """All of a run but its prompt and its seed."""

    model: ModelSpec
    decoding: Decoding
    draft: ModelSpec | None = None

    def run(self, prompt: Prompt, seed: int) -> Run:
        """The run of a prompt."""
        return Run(self.model, prompt, self.decoding, seed, self.draft)


def read_settings(model: object, given: object, default_model: str) -> RunSettings:
    """The settings in an object. Raises InvalidInput, naming the field."""
    if not isinstance(given, dict | None):
        raise InvalidInput("settings must be an object of names and values.", field="settings",
                           given=given)
    named = dict(given or {})
    preset = named.pop("preset", START)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InvalidInput(
            f"There is no strategy {shown(preset, quoted=True)}. There are {', '.join(PRESETS)}.",
            field="preset", given=preset, allowed=", ".join(PRESETS),
        )
    unknown = next((name for name in named if name not in (*KNOBS, *MODEL, "draft")), None)
    if unknown is not None:
        names = ", ".join(["preset", "draft", *MODEL, *KNOBS])
        raise InvalidInput(f"There is no setting {shown(unknown, quoted=True)}. There are {names}.",
                           field="settings", given=unknown, allowed=names)
    draft = _text(named.pop("draft", ""), "draft")
    more: dict[str, Any] = {name: _text(named.pop(name), name) for name in MODEL if name in named}
    repo = _text(model, "model").strip() or default_model
    decoding = from_plain(Decoding, {**to_plain(PRESETS[preset]), **named})
    return RunSettings(ModelSpec(repo, **more), decoding, ModelSpec(draft) if draft else None)


def _text(given: object, name: str) -> str:
    return from_plain(str, given, name)
