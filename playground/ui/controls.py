"""What every tab asks for in one way: a model and a text; it knows no engine."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.core.run import ModelSpec
from playground.models.catalog import choices
from playground.settings import Settings


def model_picker(
    settings: Settings, value: str = "", label: str = "Model", explained: bool = False
) -> gr.Dropdown:
    """The offered models; locally the catalog, what is cached, and any id or folder."""
    local = settings.mode == "local"
    return gr.Dropdown(
        [
            (ModelSpec(one.repo).label, one.repo)
            for one in choices(settings.models, settings.any_model)
            if one.decodes
        ],
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
