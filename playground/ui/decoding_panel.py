"""The decoding panel and the head of a column, which edit that column's settings in the browser.

A tab with one run has one panel, whose value is the settings. A tab with columns has a head for
each, whose value is that column's settings, and one panel without a value of its own, which edits
the column whose Settings button was pressed. Any of these values is read with ``read_form``, those
of lanes that choose model and prompt themselves with ``read_lane``. The script keeps them; the
server is only asked what is wrong with them, what has no effect, which models take turns, and what
the server of a picked model lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from playground.core.decoding import KNOBS, PRESETS
from playground.core.prompt import Raw
from playground.core.remote import PREFIX
from playground.core.run import LARGEST_SEED
from playground.core.strategy_notes import NOTES
from playground.engine.admission import check_run
from playground.engine.engine import Engine
from playground.errors import PlaygroundError
from playground.settings import Settings
from playground.ui.controls import offered
from playground.ui.decoding_form import (
    DecodingForm,
    neutral_values,
    preset_values,
    write_form,
)
from playground.ui.lane_form import CHAT, OWN, RAW, LaneForm, read_lane, write_lane
from playground.ui.own_presets import read_presets
from playground.ui.scripted import Bundle, scripted_view
from playground.ui.served import Servers
from playground.ui.token_store import encode

# Groups of settings, in the order of the page; the first is always in sight.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ("do_sample", "temperature", "top_p", "top_k", "max_new_tokens", "seed", "fresh_seed")),
    ("Length", ("min_new_tokens", "stop_strings")),
    ("Cut the tail", ("min_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff",
                      "top_n_sigma")),
    ("Steer", ("xtc_probability", "xtc_threshold", "mirostat_tau", "mirostat_eta")),
    ("Against repetition", ("repetition_penalty", "frequency_penalty", "presence_penalty",
                            "no_repeat_ngram_size", "dry_multiplier", "dry_base",
                            "dry_allowed_length")),
    ("Beams", ("num_beams", "length_penalty", "early_stopping", "num_beam_groups",
               "diversity_penalty")),
    ("Contrast", ("penalty_alpha", "dola_layers", "guidance_scale", "negative_prompt")),
    ("Speed", ("prompt_lookup_tokens", "draft", "draft_tokens")),
    ("Words", ("banned", "bias", "forced")),
    ("Exactness and report", ("alone", "use_cache", "candidates")),
)
# What is no number in a range: kind, label, help, and what its kind needs.
OTHERS: dict[str, tuple[str, str, str, Any]] = {
    "do_sample": ("switch", "Draw at random", "Off: the likeliest token is always taken.", None),
    "seed": ("seed", "Seed", "The same seed throws the same dice.", LARGEST_SEED),
    "fresh_seed": ("switch", "New seed each run", "", None),
    "early_stopping": (
        "choice", "Early stopping", "When a search with enough finished texts ends.",
        [["When a better one is unlikely", False], ["At once", True],
         ["When none can be better", "never"]],
    ),
    "dola_layers": (
        "choice", "DoLa", "The last layer contrasted with the best of these.",
        [["Off", "off"], ["Lower layers", "low"], ["Upper layers", "high"]],
    ),
    "negative_prompt": ("text", "Negative prompt",
                        "Guidance steers away from this. Empty: from no prompt at all.", 2),
    "draft": ("model", "Draft model", "A smaller model with the same vocabulary.", None),
    "stop_strings": ("text", "Stop strings", "One a line, at most four. \\n is a line break.", 2),
    "banned": ("text", "Banned phrases", "One a line. [12, 34] is exact token ids.", 2),
    "bias": ("text", "Bias", "One a line, such as: phrase = 2.5", 2),
    "forced": ("text", "The answer begins with",
               "Its first tokens, told with how likely they were.", 1),
    "alone": ("switch", "Decode alone",
              "No company and no reuse: the last bits of 16-bit numbers stay the same.", None),
    "use_cache": ("switch", "KV cache",
                  "Off: the whole text is read again for every token, to see what that costs.",
                  None),
}

# What a lane has beside its decoding; each tab names those that its lanes have.
SYSTEM_EXAMPLES = ("Answer with one word.", "Talk like a pirate.", "Answer in Chinese.",
                   "Answer in JSON.")
LANE_FIELDS: dict[str, tuple[str, str, str, Any]] = {
    "model": ("picker", "Model", "", None),
    "template": ("choice", "Given as", "", [[RAW, RAW], [CHAT, CHAT]]),
    "control_tokens": ("switch", "Read control tokens in my text", "", None),
    "system": ("text", "System prompt", "", {
        "rows": 2, "examples": SYSTEM_EXAMPLES,
        "placeholder": "How the model should answer. Empty: none.",
    }),
    "prefill": ("text", "Begin the answer with", "", {
        "rows": 1, "placeholder": "The model goes on from here.",
    }),
}

ALL_ROWS = (*(name for _, names in GROUPS for name in names), *LANE_FIELDS)

# Said before the script is there, too: whoever is drawn later finds it.
_PICKED = """(model) => {
  (window.pickedModels ??= {})['%s'] = model;
  window.decoding?.picked('%s');
}"""

def facts() -> dict[str, Any]:
    """What the scripts know of settings, presets and strategies."""
    return {
        "groups": [[title, [_row(name) for name in names]] for title, names in GROUPS],
        "presets": preset_values(),
        "neutral": {**neutral_values(), **OWN},
        "fields": {name: _row(name) for name in LANE_FIELDS},
        "notes": {name: asdict(note) for name, note in NOTES.items()},
        "served": PREFIX,
    }


BUNDLE = Bundle("decoding", "decoding", (
    "served_models.js", "decoding_settings.js", "decoding_presets.js", "decoding_notes.js",
    "decoding_rows.js", "lane_fields.js", "lane_tabs.js", "lane_head.js", "lane_figures.js",
    "lane_picker.js", "lane_board.js", "lane_table.js", "decoding_panel.js",
), ("lane_board.css", "lane_settings.css"), facts)


def decoding_panel(
    settings: Settings, tab: str, preset: str = "", new_tokens: int = 64,
    fields: Sequence[str] = (), stays: bool = False, engine: Engine | None = None,
) -> gr.HTML:
    """The panel of a tab. With a ``preset`` it has settings of its own, and they are its value.

    ``fields`` are those of LANE_FIELDS that its lanes have; ``stays`` keeps it open on one lane.
    Only with an ``engine`` it knows what servers lack; ``tell_model`` says which model is picked.
    """
    limits = settings.limits
    value = start_settings(preset, new_tokens) if preset else ""
    return _component(
        settings, "panel", value, engine, label="Settings", elem_id=f"{tab}-settings",
        tab=tab, drafts=offered(settings), any_model=settings.any_model, fields=list(fields),
        stays=stays,
        limits={"max_new_tokens": limits.new_tokens, "min_new_tokens": limits.new_tokens,
                "num_beams": limits.beams, "num_beam_groups": limits.beams},
    )


def tell_model(model: gr.Dropdown, tab: str) -> None:
    """Let the columns or the panel of a tab know which model is picked for all of them."""
    model.change(None, model, None, js=_PICKED % (tab, tab), show_progress="hidden",
                 api_visibility="private")


def column_head(
    settings: Settings, tab: str, number: int, preset: str, new_tokens: int,
    engine: Engine | None = None,
) -> gr.HTML:
    """The strategy of one column, its line of summary, and the button that opens the panel."""
    return _component(settings, "head", start_settings(preset, new_tokens), engine,
                      label=f"Settings {number + 1}", tab=tab, column=number)


def lane_head(
    settings: Settings, tab: str, number: int, form: LaneForm, fields: Sequence[str] = (),
    engine: Engine | None = None,
) -> gr.HTML:
    """The head of a lane that chooses its model and prompt itself, which are settings too.

    It shows those of LANE_FIELDS that ``fields`` names; without any, only what differs between the
    lanes.
    """
    return _component(
        settings, "head", write_lane(form), engine, prompts=True,
        label=f"Settings {number + 1}", tab=tab, column=number,
        drafts=offered(settings), any_model=settings.any_model, fields=list(fields),
        brief=not fields,
    )


def lane_plan(settings: Settings, tab: str, plan: Callable[[Any], str]) -> gr.HTML:
    """The line above the lanes of a tab that says which of them wait for others; ``plan`` makes it
    of a JSON list of their models."""

    def decoding_plan(models: Any) -> str:
        """Which lanes run first, where their models do not fit in memory together; else nothing."""
        return plan(models)

    return scripted_view(
        BUNDLE, server=(decoding_plan,), css_class="lane-plan", mode="plan", tab=tab,
    )


def start_settings(preset: str, new_tokens: int) -> str:
    """The settings of a preset, with so many new tokens, as a value of these components."""
    return write_form(start_form(preset, new_tokens))


def start_form(preset: str, new_tokens: int) -> DecodingForm:
    """A preset with so many new tokens."""
    return DecodingForm(replace(PRESETS[preset], max_new_tokens=new_tokens), preset)


def _component(
    settings: Settings, kind: str, value: str, engine: Engine | None, prompts: bool = False,
    **props: Any,
) -> gr.HTML:
    """With ``prompts`` its lane chooses the form of its prompt itself."""
    servers = Servers(engine, ALL_ROWS) if engine else None
    check = _checker(settings, servers, prompts)

    def decoding_served(model: Any) -> str:
        """What the server of a picked model lacks; see ``Servers.told``."""
        return servers.told(model) if servers else "{}"

    return scripted_view(
        BUNDLE, value=value, server=(decoding_presets, check, decoding_served),
        css_class=f"decoding-{kind}", mode=kind, begins=value,
        verdict=check(value) if value else "", **props,
    )


def _checker(
    settings: Settings, servers: Servers | None = None, prompts: bool = False
) -> Callable[[Any], str]:
    """The server function that says what settings come to; its answer is JSON."""

    def decoding_check(value: Any) -> str:
        """What settings come to: title, summary, what is ignored, or the problem and its field."""
        told: dict[str, str | list[str]] = {}
        try:
            lane = read_lane(value)
            form = lane.decoding
            run = lane.run(Raw("."), settings.default_model)
            check_run(run, settings.limits)
            told = {"title": form.title, "summary": form.decoding.summary,
                    "ignored": [*form.ignored, *lane.ignored]}
            if servers:
                own = replace(run, prompt=lane.prompt(".")) if prompts else run
                servers.check(own, prompts)
        except PlaygroundError as error:
            problem = error.problem
            if told and problem.advice:
                told["message"] = problem.message
            return encode({**told, "problem": str(problem), "field": problem.field})
        return encode(told)

    return decoding_check


def decoding_presets(text: Any) -> str:
    """Server function: what of the presets that a browser kept can be used, and why not the rest;
    its answer is JSON."""
    found = read_presets(text)
    return encode({"presets": found.presets, "problems": found.problems})


def _row(name: str) -> dict[str, Any]:
    """One setting as the script draws it."""
    if name in OTHERS or name in LANE_FIELDS:
        kind, label, help, more = OTHERS.get(name) or LANE_FIELDS[name]
        return {"name": name, "kind": kind, "label": label, "help": help, "more": more}
    knob = KNOBS[name]
    low = knob.low + knob.step if knob.above_low else knob.low
    return {"name": name, "kind": "number", "label": knob.label, "help": knob.help,
            "low": low, "high": knob.high, "step": knob.step, "whole": knob.whole}
