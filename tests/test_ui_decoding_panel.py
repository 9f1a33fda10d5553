"""Laws of the decoding panel as the script gets it, and of what the server answers it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import KNOBS, Decoding
from playground.settings import LOCAL_LIMITS, Settings
from playground.ui.decoding_form import DEFAULTS, OWN, read_form
from playground.ui.decoding_panel import GROUPS, OTHERS, column_head, decoding_panel, facts

ROWS = {row["name"]: row for _, rows in facts()["groups"] for row in rows}


@pytest.fixture(scope="module")
def panel() -> gr.HTML:
    with gr.Blocks():
        return decoding_panel(Settings(), "tokens", "Top-p", 48)


def said(panel: gr.HTML, value: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(panel.decoding_check(value))
    return answer


def test_every_setting_has_one_row() -> None:
    names = [name for _, group in GROUPS for name in group]
    # The page does not show yet what each processor did, so it does not ask for it.
    # A name is given where settings are kept under one, and the script says what was changed.
    assert sorted([*names, "effects", "name", "changed"]) == sorted([*DEFAULTS, *OWN])
    assert set(OTHERS) | set(KNOBS) == set(names)


def test_labels_are_told_apart() -> None:
    """What is ignored is found by its label."""
    labels = [row["label"] for row in ROWS.values()]
    assert len(set(labels)) == len(labels)


def test_every_label_that_a_decoding_ignores_is_a_rows_label() -> None:
    idle = Decoding(temperature=0.5, early_stopping=True, negative_prompt="x", dry_base=2.0)
    beams = Decoding(num_beams=2, dola_layers="low", guidance_scale=2.0, draft_tokens=1)
    labels = {row["label"] for row in ROWS.values()}
    assert idle.ignored and beams.ignored
    assert {*idle.ignored, *beams.ignored} <= labels


def test_a_slider_stays_where_the_door_is_open() -> None:
    """Temperature 0 is refused, and the slider once went there."""
    for name, knob in KNOBS.items():
        row = ROWS[name]
        needs = {"top_k": 4} if name == "penalty_alpha" else {}
        needs |= {"max_new_tokens": 4096} if name == "min_new_tokens" else {}
        for end in (row["low"], row["high"]):
            value = int(end) if knob.whole else end
            if (name, value) != ("penalty_alpha", 0.0):
                Decoding(**{**needs, name: value})


def test_a_panel_starts_with_its_preset_and_what_it_comes_to(panel: gr.HTML) -> None:
    form = read_form(panel.value)
    assert form.decoding == Decoding(do_sample=True, top_p=0.9, max_new_tokens=48)
    verdict = json.loads(panel.props["verdict"])
    assert verdict == {"title": "Top-p", "summary": "top-p 0.9", "ignored": []}


def test_the_server_says_what_has_no_effect(panel: gr.HTML) -> None:
    answer = said(panel, '{"preset": "Beam search", "temperature": 0.5, "draft_tokens": 2}')
    assert answer["ignored"] == ["Temperature", "Draft tokens"]
    assert answer["title"] == "Beam search, changed"


def test_the_server_names_the_field_of_a_problem(panel: gr.HTML) -> None:
    answer = said(panel, {"temperature": 9})
    assert answer == {"problem": "Temperature is 9; it must be a number above 0, up to 5.",
                      "field": "temperature"}
    assert said(panel, {"preset": "Contrastive search", "top_k": 1})["field"] == "top_k"
    assert said(panel, "nonsense")["field"] == "settings"


def test_the_limits_of_this_app_are_said_before_a_run() -> None:
    few = Settings(limits=replace(LOCAL_LIMITS, beams=4, new_tokens=100))
    with gr.Blocks():
        head = column_head(few, "complete", 1, "Greedy", 64)
        assert decoding_panel(few, "complete").props["limits"]["num_beams"] == 4
    assert head.label == "Settings 2"
    beams = said(head, {"num_beams": 5, "max_new_tokens": 9})
    assert beams["problem"] == "Beams is 5; here it may be up to 4."
    assert said(head, {"max_new_tokens": 101})["field"] == "max_new_tokens"


def test_no_text_of_a_visitor_reaches_the_page_as_a_template(panel: gr.HTML) -> None:
    """Gradio evaluates ``{{}}`` and ``${}`` in a template as code."""
    assert panel.html_template == '<div class="decoding-panel"></div>'
    assert "<" not in panel.decoding_check({"bias": "<script>"})
