"""What tabs ask for in one way: a model, a text and how it is given, and the run that comes of it;
it knows no engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.models.catalog import choices
from playground.settings import Settings
from playground.ui.decoding_form import read_form
from playground.ui.lane_form import CHAT, RAW


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


@dataclass(frozen=True)
class PromptForm:
    """How a text becomes a prompt: raw or through the chat template, control tokens read or not."""

    template: gr.Radio
    control_tokens: gr.Checkbox


def prompt_form() -> PromptForm:
    """The two choices, beside each other where there is room."""
    with gr.Row(elem_classes="prompt-form"):
        template = gr.Radio(
            [RAW, CHAT], value=RAW, label="The text is given as", show_label=False, container=False
        )
        control = gr.Checkbox(False, label="Read control tokens in my text", container=False)
    return PromptForm(template, control)


def prompt_of(template: Any, control_tokens: Any, text: Any) -> Prompt:
    """A text continued as it stands, or as the user's turn of a chat."""
    if template == CHAT:
        return Chat((Message("user", text),), control_tokens)
    return Raw(text, control_tokens)


def read_model(value: Any) -> ModelSpec:
    """The model that a picker names. Raises InvalidInput for anything but text."""
    return ModelSpec(value.strip() if isinstance(value, str) else value)


def make_run(
    model: Any, prompt: Callable[[], Prompt], settings: Any, fresh: int | None = None
) -> Run:
    """A run from a column's decoding settings. Raises InvalidInput naming the field.

    Where it asks for a new seed it gets ``fresh``, so that columns can throw the same dice.
    """
    form = read_form(settings)
    return Run(read_model(model), prompt(), form.decoding, form.dice(fresh), form.draft)
