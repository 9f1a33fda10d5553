"""A reader's own presets, as their browser keeps them: checked when they come back; no Gradio.

The text is a JSON object of names and settings: ``{"Mild": {"preset": "Top-p", "temperature":
0.7}}``. It lay in a browser, where anybody may have written anything into it, so each preset passes
the doors of ``decoding_form`` and what does not is left out with a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.core.decoding import PRESETS
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.decoding_form import DEFAULTS, LONGEST_NAME, checked_name, read_form

MOST_PRESETS = 50
LONGEST_TEXT = 200_000
# What a preset of one's own may hold: not its dice, no length and no report, which every tab has.
SAVED = frozenset({*DEFAULTS, "preset", "draft"} - {"max_new_tokens", "candidates", "effects"})


@dataclass(frozen=True, slots=True)
class OwnPresets:
    """Name to settings of those that can be used, and a sentence for each that cannot."""

    presets: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...] = ()


def read_presets(text: object) -> OwnPresets:
    """What of a browser's text can be used; never raises."""
    try:
        kept = _object(text)
    except InvalidInput as error:
        return OwnPresets({}, (str(error),))
    presets, problems = {}, []
    for name, settings in list(kept.items())[:MOST_PRESETS]:
        try:
            presets[_own_name(name)] = _settings(settings)
        except PlaygroundError as error:
            problems.append(f"Your preset “{_short(name)}” cannot be used: {error.problem.message}")
    if len(kept) > MOST_PRESETS:
        problems.append(f"Of your {len(kept)} presets the first {MOST_PRESETS} are listed.")
    return OwnPresets(presets, tuple(problems))


def _object(text: object) -> dict[str, Any]:
    try:
        fits = isinstance(text, str) and len(text) <= LONGEST_TEXT
        value = json.loads(text) if fits else None  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(
            "Your presets cannot be read: what this browser kept is not an object of names and "
            "settings.", field="presets", given=text, allowed="a JSON object",
            advice="Save one anew, which writes over it.",
        )
    return value


def _own_name(name: str) -> str:
    if name in PRESETS:
        raise InvalidInput("a strategy that comes with the page has this name.", field="name",
                           given=name, allowed="another name")
    return checked_name(name)


def _settings(settings: object) -> Mapping[str, Any]:
    """The settings as they were given, once ``read_form`` has taken them."""
    if not isinstance(settings, Mapping):
        raise InvalidInput("it is no object of settings.", field="settings", given=settings)
    foreign = [name for name in settings if name not in SAVED]
    if foreign:
        raise InvalidInput(f"a preset does not hold “{_short(foreign[0])}”.", field="settings",
                           given=foreign[0], allowed=", ".join(sorted(SAVED)))
    read_form(settings)
    return settings


def _short(name: str) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"
