"""The base-and-chat lens: one text raw, through the template, with a system prompt, and base."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from playground.core.run import ModelSpec
from playground.models.catalog import base_of, chat_of, entry
from playground.settings import Settings
from playground.ui.lane_form import CHAT, RAW, LaneForm, read_lane

SYSTEM = "Answer in one sentence."


@dataclass(frozen=True, slots=True)
class Lens:
    """The lanes of a lens, and why there is no more of them, if so."""

    forms: tuple[LaneForm, ...]
    remark: str = ""


def lens_of(settings: Settings, first: Any) -> Lens:
    """The lens over the first lane's model, with its decoding; all lanes throw the same dice.

    A base model is looked at through the chat model that was made from it. Raises InvalidInput for
    settings that are none.
    """
    form = read_lane(first)
    chat, base = _pair(settings, form.model or settings.default_model)
    made = form.decoding
    dice = replace(made, fresh_seed=False) if made.decoding.draws else made
    raw = LaneForm(chat, RAW, form.control_tokens, decoding=dice)
    templated = replace(raw, template=CHAT)
    forms = (raw, templated, replace(templated, system=form.system.strip() or SYSTEM))
    if not base:
        name = ModelSpec(chat).label
        return Lens(forms, f"No base model is known that {name} was made from, so there are three "
                           "lanes.")
    if not (settings.any_model or base in settings.models):
        return Lens(forms, f"{ModelSpec(chat).label} was made from {base}, which is not offered "
                           "here, so there are three lanes.")
    return Lens((*forms, replace(raw, model=base)))


def _pair(settings: Settings, model: str) -> tuple[str, str]:
    """A chat model that may be used here, and the base behind it, if one is known."""
    if base_of(model):
        return model, base_of(model)
    chat = chat_of(model)
    if chat and (settings.any_model or chat in settings.models):
        return chat, model
    if entry(model).kind == "base":
        return settings.default_model, base_of(settings.default_model)
    return model, ""
