"""Laws of a reader's own presets: kept ones come back, hostile ones are sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from playground.errors import InvalidInput
from playground.ui.decoding_form import DecodingForm, read_form, title_of, write_form
from playground.ui.own_presets import MOST_PRESETS, read_presets

MILD = {"preset": "Top-p", "temperature": 0.7, "stop_strings": "END"}


def test_what_was_saved_comes_back() -> None:
    found = read_presets(json.dumps({"Mild": MILD, "Größer 大": {"preset": "Greedy"}}))
    assert found.presets == {"Mild": MILD, "Größer 大": {"preset": "Greedy"}}
    assert found.problems == ()


@pytest.mark.parametrize("text", ["", "[", "[]", "3", "null", '"x"', "[" * 100_000, None, 7, b"{}",
                                  "{}" + " " * 300_000])
def test_a_text_that_is_no_object_is_one_sentence(text: Any) -> None:
    found = read_presets(text)
    assert found.presets == {}
    assert found.problems[0].startswith("Your presets cannot be read:")


@pytest.mark.parametrize("name, settings, says", [
    ("Greedy", MILD, "a strategy that comes with the page has this name"),
    ("", MILD, "A preset's name has 1 to 40 characters"),
    (" Mild", MILD, "A preset's name has"),
    ("x" * 41, MILD, "A preset's name has"),
    ("a\nb", MILD, "A preset's name has"),
    ("\u202egreedy", MILD, "A preset's name has"),
    ("\ud800", MILD, "A preset's name has"),
    ("Mild", "Top-p", "no object of settings"),
    ("Mild", None, "no object of settings"),
    ("Mild", {"preset": "Topp"}, "There is no strategy"),
    ("Mild", {"preset": "Top-p", "top_p": 7}, "Top-p is 7; it must be"),
    ("Mild", {"preset": "Top-p", "bias": "dragon"}, "Bias, line 1"),
    ("Mild", {"preset": "Top-p", "onclick": "alert(1)"}, "does not hold “onclick”"),
    ("Mild", {"seed": 3}, "does not hold “seed”"),
    ("Mild", {"name": "Top-p"}, "does not hold “name”"),
    ("Mild", {"max_new_tokens": 10**9}, "does not hold “max_new_tokens”"),
])
def test_a_hostile_preset_is_left_out_with_a_sentence(name: str, settings: Any, says: str) -> None:
    found = read_presets(json.dumps({name: settings, "Good": MILD}))
    assert list(found.presets) == ["Good"]
    (problem,) = found.problems
    assert problem.startswith("Your preset “") and says in problem
    assert problem.isprintable() and len(problem) < 300


def test_more_than_are_listed_are_counted() -> None:
    found = read_presets(json.dumps({f"n{n}": MILD for n in range(MOST_PRESETS + 2)}))
    assert len(found.presets) == MOST_PRESETS
    assert found.problems == ("Of your 52 presets the first 50 are listed.",)


def test_settings_under_a_name_have_it_as_their_title() -> None:
    form = read_form({**MILD, "name": "Mild"})
    assert (form.title, form.decoding.temperature) == ("Mild", 0.7)
    assert read_form({**MILD, "name": "Mild", "changed": True}).title == "Mild, changed"
    assert read_form(write_form(form)) == form
    assert title_of({"name": "Mild", "top_p": 7}) == "Greedy", "what is wrong has its base's name"


@pytest.mark.parametrize("wrong", [{"name": 3}, {"name": "a\nb"}, {"name": None},
                                   {"name": "x" * 41}, {"changed": "yes"}])
def test_a_name_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_form(wrong)
    assert refused.value.problem.field == next(iter(wrong))


def test_lanes_of_one_run_can_share_their_dice() -> None:
    drawn, kept = read_form({"do_sample": True}), DecodingForm(drawn_off(), seed=7)
    assert (drawn.dice(5), kept.dice(5)) == (5, 7)
    assert read_form({"do_sample": True, "seed": 9, "fresh_seed": False}).dice(5) == 9


def drawn_off() -> Any:
    return read_form({}).decoding
