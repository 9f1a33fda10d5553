"""One column's settings as the page keeps them, a small JSON text, and as a Decoding; no Gradio.

The text names a preset and what differs from it: ``{"preset": "Top-p", "temperature": 0.7}``. Lists
of phrases are lines, as a person types them. What arrives was written by a browser or by a client
of the API, so all of it is checked on the way in, by the doors of the types where they have one.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from playground.core.decoding import KNOBS, PRESETS, Decoding
from playground.core.run import LARGEST_SEED, ModelSpec
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.phrase_lines import (
    read_bias,
    read_phrase,
    read_phrases,
    read_texts,
    write_bias,
    write_phrase,
    write_phrases,
    write_texts,
)

DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(Decoding)}
# What no strategy decides, so that choosing a preset leaves it alone.
KEPT_BY_PRESETS = frozenset({
    "max_new_tokens", "min_new_tokens", "stop_strings", "banned", "bias", "forced",
    "negative_prompt", "candidates", "effects", "alone",
})
# Beside the decoding.
OWN: Mapping[str, Any] = {"seed": 0, "fresh_seed": True, "draft": "", "name": "", "changed": False}
START = "Greedy"
LONGEST_NAME = 40

Words = Callable[[Any], Any]
_READERS: Mapping[str, Words] = {
    "stop_strings": read_texts, "banned": read_phrases, "bias": read_bias, "forced": read_phrase,
}
_WRITERS: Mapping[str, Words] = {
    "stop_strings": write_texts, "banned": write_phrases, "bias": write_bias,
    "forced": write_phrase,
}


@dataclass(frozen=True, slots=True)
class DecodingForm:
    """What one column is set to. ``fresh_seed`` draws a new seed for each run that draws at all.

    ``name`` is the reader's own for these settings, and ``changed`` says that they are no longer
    what was saved under it.
    """

    decoding: Decoding
    preset: str = START
    seed: int = 0
    fresh_seed: bool = True
    draft: ModelSpec | None = None
    name: str = ""
    changed: bool = False

    @property
    def title(self) -> str:
        """The reader's name or the preset's, and whether it was changed."""
        if self.name:
            return f"{self.name}, changed" if self.changed else self.name
        chosen = _of_preset(self.preset)
        same = all(getattr(self.decoding, name) == value for name, value in chosen.items())
        return self.preset if same else f"{self.preset}, changed"

    @property
    def ignored(self) -> tuple[str, ...]:
        """Labels of settings that are set and have no effect, the draft's among them."""
        found, label = self.decoding.ignored, KNOBS["draft_tokens"].label
        proposes = self.decoding.is_speculative and self.decoding.draft_tokens > 0
        if self.draft is None:
            return (*found, label) if proposes else found
        return found if proposes else (*found, "Draft model")

    def dice(self, fresh: int | None = None) -> int:
        """The seed of the next run; ``fresh`` is the new one where one was drawn already."""
        if not (self.fresh_seed and self.decoding.draws):
            return self.seed
        return random.randint(0, LARGEST_SEED) if fresh is None else fresh


def read_form(value: Any) -> DecodingForm:
    """The settings in a JSON text (or an object already); what it leaves out is the preset's.

    Raises InvalidInput, naming the field.
    """
    given = read_object(value)
    preset = given.pop("preset", START)
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InvalidInput(
            f"There is no strategy {_quoted(preset)}.", field="preset", given=preset,
            allowed=", ".join(PRESETS),
        )
    unknown = [name for name in given if name not in DEFAULTS and name not in OWN]
    if unknown:
        raise InvalidInput(
            f"There is no setting {_quoted(unknown[0])}.", field="settings", given=unknown[0],
            allowed=", ".join([*DEFAULTS, *OWN]),
        )
    named = {name: _read(name, given[name]) for name in DEFAULTS if name in given}
    own = {**OWN, **given}
    return DecodingForm(
        Decoding(**{**_of_preset(preset), **named}), preset,
        _seed(own["seed"]), _switch("fresh_seed", own["fresh_seed"]), _draft(own["draft"]),
        checked_name(own["name"]) if own["name"] != "" else "", _switch("changed", own["changed"]),
    )


def write_form(form: DecodingForm) -> str:
    """The text that ``read_form`` reads as the same form."""
    base = {**DEFAULTS, **_of_preset(form.preset), **OWN}
    now = {name: getattr(form.decoding, name) for name in DEFAULTS}
    draft = form.draft.repo if form.draft else ""
    now |= {"seed": form.seed, "fresh_seed": form.fresh_seed, "draft": draft,
            "name": form.name, "changed": form.changed}
    differs = {name: value for name, value in now.items() if value != base[name]}
    text = {"preset": form.preset, **_in_words(differs)}
    return json.dumps(text, ensure_ascii=False, separators=(",", ":"))


def title_of(value: Any) -> str:
    """The title of settings that may be wrong: at least the name of their preset, or nothing."""
    try:
        return read_form(value).title
    except PlaygroundError:
        pass
    try:
        preset = read_object(value).get("preset", START)
    except InvalidInput:
        return ""
    return preset if isinstance(preset, str) and preset in PRESETS else ""


def preset_values() -> dict[str, dict[str, Any]]:
    """What each preset sets, in the words of the text."""
    return {name: _in_words(_of_preset(name)) for name in PRESETS}


def neutral_values() -> dict[str, Any]:
    """Every setting where nothing is set, in the words of the text."""
    return {**_in_words(DEFAULTS), **OWN}


def _of_preset(preset: str) -> dict[str, Any]:
    chosen = PRESETS[preset]
    return {name: getattr(chosen, name) for name in DEFAULTS if name not in KEPT_BY_PRESETS}


def _in_words(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _WRITERS.get(name, _same)(value) for name, value in values.items()}


def read_object(value: Any) -> dict[str, Any]:
    """The names and values of a JSON text, or of an object already. Raises InvalidInput."""
    try:
        text = json.dumps(value) if isinstance(value, Mapping) else value
        value = json.loads(text or "{}", parse_int=_integer) if isinstance(text, str) else None
    except (TypeError, ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        raise InvalidInput(
            "Settings are a JSON object of names and values.", field="settings", given=value,
            allowed='such as {"preset": "Top-p", "temperature": 0.7}',
        )
    return dict(value)


def read_list(value: Any) -> list[Any]:
    """The values of a JSON list; none where it is something else."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, list) else []


def _integer(digits: str) -> float:
    """Python reads 400 digits as a number that no float holds; to a knob that is infinity."""
    return int(digits) if len(digits) < 17 else float(digits)


def _read(name: str, value: Any) -> Any:
    """One setting as the type's door wants it; nonsense goes on as it is, to be refused there."""
    if name not in KNOBS:
        return _READERS.get(name, _same)(value)
    if value is None or value == "":
        allowed = KNOBS[name].allowed
        raise InvalidInput(f"{KNOBS[name].label} is empty; it must be {allowed}.", field=name,
                           given="", allowed=allowed)
    return _whole(value) if KNOBS[name].whole else value


def _whole(value: Any) -> Any:
    """To JavaScript 4 and 4.0 are one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _seed(value: Any) -> int:
    value = _whole(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
        allowed = f"a whole number from 0 to {LARGEST_SEED}"
        shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
        shown = "empty" if value in (None, "") else shown
        raise InvalidInput(f"Seed is {shown}; it must be {allowed}.", field="seed", given=shown,
                           allowed=allowed)
    return value


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        label = "New seed each run" if name == "fresh_seed" else "Whether a preset was changed"
        raise InvalidInput(f"{label} is either on or off.", field=name, given=value,
                           allowed="true or false")
    return value


def checked_name(value: Any) -> str:
    """A name for settings. Raises InvalidInput unless it is a short line that people can read."""
    fits = isinstance(value, str) and 1 <= len(value) <= LONGEST_NAME and value.isprintable()
    if not fits or value.strip() != value:
        allowed = f"1 to {LONGEST_NAME} characters on one line"
        raise InvalidInput(f"A preset's name has {allowed}, none of them a space at an end.",
                           field="name", given=value, allowed=allowed)
    return str(value)


def _draft(value: Any) -> ModelSpec | None:
    if not isinstance(value, str):
        raise InvalidInput("The draft model is a name.", field="draft", given=value,
                           allowed="a Hub id such as owner/name, or a folder")
    try:
        return ModelSpec(value.strip()) if value.strip() else None
    except InvalidInput as error:
        raise InvalidInput(f"The draft: {error.problem.message}", field="draft",
                           given=value) from None


def _same(value: Any) -> Any:
    return value


def _quoted(value: object) -> str:
    text = str(value)
    return f"“{text if len(text) <= 40 else f'{text[:39]}…'}”"
