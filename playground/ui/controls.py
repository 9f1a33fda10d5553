"""The panels that every tab shares: model picker and decoding panel; they know no engine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.decoding import KNOBS, PRESETS, Decoding
from playground.core.run import LARGEST_SEED, ModelSpec
from playground.settings import Settings

COMMON = ("temperature", "top_p", "top_k", "max_new_tokens")
MORE = (
    "min_p",
    "typical_p",
    "top_h",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "mirostat_tau",
    "mirostat_eta",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "no_repeat_ngram_size",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "num_beams",
    "length_penalty",
    "min_new_tokens",
    "candidates",
)
KEPT_BY_PRESETS = ("max_new_tokens", "min_new_tokens", "stop_strings", "candidates")


@dataclass(frozen=True)
class DecodingPanel:
    """The components of one decoding; ``read`` turns their values into that and a seed."""

    preset: gr.Dropdown
    knobs: dict[str, Any]
    seed: gr.Number
    fresh_seed: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What a handler must list as inputs, in the order that ``read`` takes them."""
        return [*self.knobs.values(), self.seed, self.fresh_seed]

    @property
    def size(self) -> int:
        """How many values ``read`` takes."""
        return len(self.knobs) + 2

    def read(self, values: Sequence[Any]) -> tuple[Decoding, int]:
        """The decoding and the seed (drawn now where the box says so).

        Raises InvalidInput, naming the field, for a value outside its range.
        """
        *knobs, seed, fresh = values
        given = dict(zip(self.knobs, knobs, strict=True))
        given["stop_strings"] = _lines(given["stop_strings"])
        decoding = Decoding(**{name: _whole(name, value) for name, value in given.items()})
        if fresh is True and decoding.draws:
            return decoding, random.randint(0, LARGEST_SEED)
        return decoding, _whole("seed", seed)


def _whole(name: str, value: Any) -> Any:
    """Sliders send 4.0 for 4; what is no whole number goes on as it is, to be refused."""
    whole = name == "seed" or (name in KNOBS and KNOBS[name].whole)
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _lines(value: Any) -> Any:
    """One stop string a line, with ``\\n`` and ``\\t`` meaning what they mean in code."""
    if not isinstance(value, str):
        return value
    lines = (line.replace("\\n", "\n").replace("\\t", "\t") for line in value.split("\n"))
    return tuple(line for line in lines if line)


def decoding_panel(settings: Settings, preset: str, new_tokens: int = 64) -> DecodingPanel:
    """The settings of one run: common knobs first, the rest behind "More"."""
    start = PRESETS[preset]
    most = settings.limits.new_tokens
    choice = gr.Dropdown(
        list(PRESETS), value=preset, label="Strategy", interactive=True, min_width=120
    )
    knobs: dict[str, Any] = {
        "do_sample": gr.Checkbox(
            start.do_sample,
            label="Draw at random",
            info="Off: the likeliest token is always taken.",
        )
    }
    for name in COMMON:
        value = new_tokens if name == "max_new_tokens" else getattr(start, name)
        knobs[name] = _slider(name, value, most)
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=None, min_width=90)
        fresh = gr.Checkbox(True, label="New seed each run", min_width=90)
    with gr.Accordion("More", open=False):
        for name in MORE:
            knobs[name] = _slider(name, getattr(start, name), most)
        knobs["early_stopping"] = gr.Checkbox(
            start.early_stopping,
            label="Early stopping",
            info="Beam search ends as soon as it has enough finished texts.",
        )
        knobs["stop_strings"] = gr.Textbox(
            "", label="Stop strings", info="One a line, at most four. \\n is a line break.", lines=2
        )
    panel = DecodingPanel(choice, knobs, seed, fresh)
    _follow_preset(panel)
    return panel


def _slider(name: str, value: float, most_tokens: int) -> gr.Slider:
    knob = KNOBS[name]
    high = min(knob.high, most_tokens) if name.endswith("new_tokens") else knob.high
    return gr.Slider(knob.low, high, value, step=knob.step, label=knob.label, info=knob.help)


def _follow_preset(panel: DecodingPanel) -> None:
    """Choosing a preset sets every knob that is part of a strategy and leaves the lengths alone."""
    names = [name for name in panel.knobs if name not in KEPT_BY_PRESETS]

    def set_knobs(preset: str) -> list[Any]:
        chosen = PRESETS.get(preset, Decoding())
        return [getattr(chosen, name) for name in names]

    panel.preset.input(
        set_knobs,
        panel.preset,
        [panel.knobs[name] for name in names],
        show_progress="hidden",
        show_progress_on=panel.preset,
        queue=False,
        api_visibility="private",
    )


def model_picker(
    settings: Settings, value: str = "", label: str = "Model", explained: bool = False
) -> gr.Dropdown:
    """The offered models; in local use any Hub id or folder may be typed as well."""
    local = settings.mode == "local"
    return gr.Dropdown(
        [(ModelSpec(repo).label, repo) for repo in settings.models],
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
