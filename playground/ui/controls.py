"""What every tab asks for in one way: a model and a text; it knows no engine."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.core.run import ModelSpec
from playground.models.catalog import choices
from playground.settings import Settings


def offered(settings: Settings, encoders: bool = False) -> list[tuple[str, str]]:
    """Label and repo of each model that can be picked, those on servers after those offered here;
    locally the catalog and what is cached.

    Only those that decode, unless ``encoders`` are wanted too: what looks into a model wants them,
    and none that is on a server."""
    served = () if encoders else settings.remote_models
    known = choices((*settings.offered, *served), settings.any_model)
    return [(ModelSpec(one.repo).label, one.repo) for one in known if one.decodes or encoders]


def model_picker(
    settings: Settings, value: str = "", label: str = "Model", explained: bool = False,
    encoders: bool = False,
) -> gr.Dropdown:
    """The models that are offered; locally any id or folder may be typed as well."""
    local = settings.mode == "local"
    return gr.Dropdown(
        offered(settings, encoders),
        value=value or settings.models[0],
        label=label,
        allow_custom_value=local,
        info="Pick one, or type a Hub id or a folder." if local and explained else None,
        interactive=True,
        min_width=140,
    )


def prompt_box(label: str, placeholder: str) -> gr.Textbox:
    """The one text of a tab; Enter runs, Shift+Enter starts a line."""
    return gr.Textbox(
        "",
        label=label,
        placeholder=placeholder,
        lines=1,
        max_lines=8,
        scale=5,
        elem_classes="prompt-box",
    )


def read_model(value: Any) -> ModelSpec:
    """The model that a picker names. Raises InvalidInput for anything but text."""
    return ModelSpec(value.strip() if isinstance(value, str) else value)
