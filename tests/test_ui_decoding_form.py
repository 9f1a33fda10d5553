"""Laws of a column's settings: as text, as a Decoding, and nonsense refused by its field."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

import pytest

from playground.core.decoding import KNOBS, PRESETS, Decoding
from playground.core.run import LARGEST_SEED, ModelSpec
from playground.errors import InvalidInput
from playground.ui.decoding_form import (
    DEFAULTS,
    KEPT_BY_PRESETS,
    DecodingForm,
    neutral_values,
    preset_values,
    read_form,
    title_of,
    write_form,
)
from playground.ui.phrase_lines import read_phrases, write_phrases

# One value for each field, none of them the neutral one, and what the text says for it.
SET: dict[str, tuple[Any, Any]] = {
    "do_sample": (True, True), "temperature": (0.7, 0.7), "top_k": (40, 40), "top_p": (0.9, 0.9),
    "min_p": (0.05, 0.05), "typical_p": (0.8, 0.8), "top_h": (0.4, 0.4),
    "epsilon_cutoff": (0.0003, 0.0003), "eta_cutoff": (0.0006, 0.0006), "top_n_sigma": (1.0, 1.0),
    "xtc_probability": (0.5, 0.5), "xtc_threshold": (0.2, 0.2), "mirostat_tau": (3.0, 3.0),
    "mirostat_eta": (0.3, 0.3), "repetition_penalty": (1.2, 1.2), "frequency_penalty": (0.5, 0.5),
    "presence_penalty": (-0.5, -0.5), "no_repeat_ngram_size": (3, 3), "dry_multiplier": (0.8, 0.8),
    "dry_base": (2.0, 2.0), "dry_allowed_length": (4, 4), "num_beams": (4, 4),
    "length_penalty": (2.0, 2.0), "early_stopping": ("never", "never"), "num_beam_groups": (2, 2),
    "diversity_penalty": (0.5, 0.5), "penalty_alpha": (0.6, 0.6), "dola_layers": ("low", "low"),
    "guidance_scale": (1.5, 1.5), "negative_prompt": ("sad\nstory", "sad\nstory"),
    "prompt_lookup_tokens": (4, 4), "draft_tokens": (5, 5), "max_new_tokens": (32, 32),
    "min_new_tokens": (4, 4), "stop_strings": (("\n", "END"), "\\n\nEND"),
    "banned": (("sorry", (12, 34), "a\\b", "[7]"), "sorry\n[12, 34]\na\\\\b\n\\[7]"),
    "bias": ((("dragon", 2.5), ((3, 4), -100.0), ("a = b", 1.0)),
             "dragon = 2.5\n[3, 4] = -100.0\na = b = 1.0"),
    "forced": ("Well,\n", "Well,\\n"), "candidates": (20, 20), "effects": (True, True),
    "alone": (True, True),
    "use_cache": (False, False),
}
NEEDS = {"penalty_alpha": {"top_k": 4}}  # what a value is refused without


def refused(value: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_form(value)
    return caught.value


def test_every_field_has_a_value_here() -> None:
    assert set(SET) == {field.name for field in fields(Decoding)}
    assert [name for name, (value, _) in SET.items() if value == DEFAULTS[name]] == []


@pytest.mark.parametrize("name", sorted(SET))
def test_every_field_is_read_and_written_back(name: str) -> None:
    value, words = SET[name]
    decoding = Decoding(**{name: value, **NEEDS.get(name, {})})
    text = json.dumps({name: words, **NEEDS.get(name, {})})
    assert read_form(text).decoding == decoding
    written = write_form(DecodingForm(decoding))
    assert json.loads(written)[name] == words
    assert read_form(written) == DecodingForm(decoding)


def test_all_of_it_at_once_survives() -> None:
    everything = Decoding(**{name: value for name, (value, _) in SET.items()})
    form = DecodingForm(everything, "Top-p", 7, False, ModelSpec("builtin/tiny-base"))
    assert read_form(write_form(form)) == form


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_its_name_and_nothing_else(preset: str) -> None:
    """Presets once left the knobs alone that had no slider, so "DoLa" decoded greedily."""
    form = DecodingForm(PRESETS[preset], preset)
    assert json.loads(write_form(form)) == {"preset": preset}
    assert read_form({"preset": preset}).decoding == PRESETS[preset]
    assert form.title == preset


def test_a_preset_keeps_lengths_and_words_and_says_what_was_changed() -> None:
    form = read_form({"preset": "Top-p", "max_new_tokens": 9, "stop_strings": "END"})
    expected = replace(PRESETS["Top-p"], max_new_tokens=9, stop_strings=("END",))
    assert (form.decoding, form.title) == (expected, "Top-p")
    assert read_form({"preset": "Top-p", "temperature": 0.7}).title == "Top-p, changed"


def test_the_page_knows_every_preset_and_every_neutral_value() -> None:
    for preset, values in preset_values().items():
        assert KEPT_BY_PRESETS.isdisjoint(values)
        assert read_form(values).decoding == PRESETS[preset]
    assert read_form(neutral_values()) == DecodingForm(Decoding())


@pytest.mark.parametrize("given, shown", [("NaN", "NaN"), ('""', "empty"), ("null", "empty"),
                                          ('"3"', "'3'"), ("true", "True"), ("[3]", "[3]"),
                                          ("1" * 400, "inf")])
def test_nonsense_in_any_knob_is_refused_by_its_field(
    given: str, shown: str, subtests: pytest.Subtests
) -> None:
    for name, knob in KNOBS.items():
        with subtests.test(name):
            error = refused(f'{{"{name}": {given}}}')
            assert error.problem.field == name
            assert str(error).startswith(f"{knob.label} is {shown}; it must be ")


def test_a_whole_knob_takes_what_a_slider_sends() -> None:
    assert read_form('{"top_k": 40.0}').decoding.top_k == 40
    assert refused({"top_k": 2.5}).problem.field == "top_k"


@pytest.mark.parametrize("value", ["[", "3", '"x"', "[]", "[" * 100_000, 7, b"{}", object()])
def test_what_is_no_object_of_settings_is_a_sentence(value: Any) -> None:
    assert refused(value).problem.field == "settings"
    assert title_of(value) == ""


def test_unknown_names_are_refused_by_name() -> None:
    assert "“temprature”" in str(refused({"temprature": 1}))
    assert "“Topp”" in str(refused({"preset": "Topp"}))
    assert refused({"preset": ["Top-p"]}).problem.field == "preset"


@pytest.mark.parametrize("line, what", [
    ("foo", "an equals sign"), ("= 2", "is no phrase"), ("foo = much", "end with a number"),
    ("foo = nan", "beyond 100"), ("foo = 101", "beyond 100"), ("foo =", "end with a number"),
])
def test_a_bias_line_that_is_none_is_named(line: str, what: str) -> None:
    error = refused({"bias": f"dragon = 2.5\n\n{line}"})
    assert error.problem.field == "bias"
    assert str(error).startswith(f"Bias, line 3: “{line}” ") and what in str(error)


@pytest.mark.parametrize("bias", [[["dragon"]], ["dragon"], [["dragon", "2"]], {"dragon": 2}, 3,
                                  [[["x"], 2]]])
def test_a_bias_that_is_no_list_of_pairs_is_refused_at_the_door(bias: Any) -> None:
    assert refused({"bias": bias}).problem.field == "bias"


def test_lists_are_taken_as_well_as_lines() -> None:
    form = read_form({"banned": ["a", [1, 2]], "bias": [["b", 2], [[3], -1.5]],
                      "stop_strings": ["\n"], "forced": [5, 6]})
    assert form.decoding == Decoding(banned=("a", (1, 2)), bias=(("b", 2), ((3,), -1.5)),
                                     stop_strings=("\n",), forced=(5, 6))


@pytest.mark.parametrize("phrase", ["a", " a ", "\\n", "\n", "a\r", "\\[1]", "[1]", " [1, 2]\n",
                                    "[]", "[x]", "\\", "ß=", "\\\\[3]"])
def test_a_phrase_is_read_as_it_was_written(phrase: str) -> None:
    assert read_phrases(write_phrases((phrase, (1, 2)))) == (phrase, (1, 2))
    pairs = ((phrase, -0.1),)
    assert read_form(write_form(DecodingForm(Decoding(bias=pairs)))).decoding.bias == pairs


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 0.5, "", None, True, "7", math.nan])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    assert refused({"seed": seed}).problem.field == "seed"


def test_a_fresh_seed_is_drawn_only_when_something_is_drawn_with_it() -> None:
    drawn = read_form({"do_sample": True, "seed": 7})
    assert len({drawn.dice() for _ in range(5)}) == 5
    assert read_form({"do_sample": True, "seed": 7, "fresh_seed": False}).dice() == 7
    assert read_form({"seed": 7}).dice() == 7
    assert refused({"fresh_seed": 1}).problem.field == "fresh_seed"


def test_a_draft_and_its_tokens_do_nothing_without_each_other() -> None:
    assert read_form({"draft_tokens": 4}).ignored == ("Draft tokens",)
    assert read_form({"draft": "builtin/tiny-base"}).ignored == ("Draft model",)
    both = read_form({"draft_tokens": 4, "draft": " builtin/tiny-base "})
    assert (both.ignored, both.draft) == ((), ModelSpec("builtin/tiny-base"))
    beams = read_form({"draft_tokens": 4, "draft": "builtin/tiny-base", "num_beams": 2})
    assert beams.ignored == ("Draft tokens", "Draft model")
    for wrong in (3, None, "a\nb"):
        assert refused({"draft": wrong}).problem.field == "draft"
