"""The words of the other language: none is missing, and each has the parts of the English."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playground.core.decoding import KNOBS
from playground.ui.language import words_in
from tests.sentences import WORDS, templates

# Prompts that the page offers, names of papers and of models, and code: the same in any language.
AS_THEY_ARE = Path(__file__).parent / "untranslated.json"


def test_every_sentence_of_the_page_and_of_errors_is_translated() -> None:
    known = json.loads(WORDS.read_text("utf-8"))
    same = set(json.loads(AS_THEY_ARE.read_text("utf-8")))
    missing = {text: where for text, where in templates().items()
               if text not in known and text not in same}
    assert not missing, json.dumps(missing, ensure_ascii=False, indent=1)


def test_what_a_run_is_called_is_translated() -> None:
    """Its settings stand in Records as parts of one line, and were found there in English once
    other journeys had left runs behind."""
    known = json.loads(WORDS.read_text("utf-8"))
    parts = {f"{knob.short} {{}}" for knob in KNOBS.values()}
    parts |= {"sampling", "greedy", "begun", "no KV cache", "{} banned", "{} biased", "{} beams",
              "beam search", "beam sampling", "diverse beam search", "contrastive search"}
    assert parts <= set(known), parts - set(known)


def test_every_word_of_the_dictionary_has_its_holes() -> None:
    words: dict[str, str] = json.loads(WORDS.read_text("utf-8"))
    for english, other in words.items():
        holes = english.replace("{{", "").replace("}}", "").count("{}")
        told = other.replace("{{", "").replace("}}", "")
        numbered = {int(n) for n in re.findall(r"\{(\d+)\}", told)}
        assert numbered <= set(range(1, holes + 1)), english
        assert numbered or told.count("{}") <= holes, english


def test_only_languages_of_ours_are_handed_out() -> None:
    assert json.loads(words_in({"language": "zh"}))["Send"] == "发送"
    for asked in (None, "zh", {"language": "../secrets"}, {"language": ["zh"]}, {}):
        assert words_in(asked) == "{}"
