"""The Embeddings and Quantized sections say what was found, in figures that a person can check."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

import pytest

from playground.core.events import Piece
from playground.core.prompt import Raw
from playground.core.quantized import ExpectedFound, Likely
from playground.core.run import ModelSpec
from playground.core.vectors import (
    Layer,
    Line,
    Occurrence,
    StaticFound,
    TokenVector,
    WordFound,
)
from playground.errors import InvalidInput, Problem
from playground.settings import Settings
from playground.ui import quantized_section, vectors_section
from playground.ui.quantized_figures import apart, perplexity
from playground.ui.section import Subject

SUBJECT = Subject(ModelSpec("builtin/tiny-base"), Raw("a b"))
LINES = (Line("a bank", "river"), Line("the bank", "river"), Line("bank b", "money"),
         Line("bank c", "money"), Line("none"))
SPOTS = tuple(Occurrence(n, 0, 4, (Piece(n, "bank"),)) for n in range(4))


def layer(accuracy: float | None, within: float = 0.5, between: float = 0.5) -> Layer:
    return Layer((0.1,) * 6, ((0.0, 1.0),) * 4, (0.6, 0.2), accuracy, within, between)


def word(*layers: Layer, sees_ahead: bool | None = False) -> WordFound:
    return WordFound(LINES, SPOTS, layers, (4,), 1 / 3, sees_ahead)


def test_the_layer_that_separates_best_is_shown_and_said() -> None:
    found = word(layer(1 / 3), layer(1.0, 0.9, 0.8), layer(1.0, 0.9, 0.3))
    assert vectors_section.best(found) == 2  # as right as layer 1, and farther apart
    said = " ".join(vectors_section.word_said(found))
    assert "Behind layer 2" in said and "100 % of the occurrences, as behind 1 other layer;" in said
    assert "chance would be for 33 %" in said and "not stand in line 5" in said
    assert "reads from left to right" in said and "an encoder sees both sides" in said
    said = " ".join(vectors_section.word_said(word(layer(None), sees_ahead=True)))
    assert "sees both sides" in said and "Write a label" in said and "left to right" not in said
    unknown = word(layer(None), sees_ahead=None)
    assert "both sides" not in " ".join(vectors_section.word_said(unknown))


def test_the_section_asks_for_what_there_is() -> None:
    asked = vectors_section.asks(SUBJECT, ["bank", "river: a bank\nmoney: the bank"])
    assert [len(one.request.parts) for one in asked] == [2, 1]
    assert len(vectors_section.asks(SUBJECT, ["", " "])) == 1
    assert vectors_section.asks(Subject(SUBJECT.spec, None), ["", ""]) == []
    for values in (["", "a bank"], ["bank", "a bank"], [None, ""], ["bank", 3]):
        with pytest.raises(InvalidInput):
            vectors_section.asks(SUBJECT, values)


def test_the_examples_offer_the_encoder_where_it_is_offered() -> None:
    some = vectors_section._examples(Settings())
    encoder, causal = vectors_section.ENCODER, vectors_section.CAUSAL
    assert [one.model for one in some] == [encoder, encoder, causal, causal]
    none = vectors_section._examples(Settings(models=("a/b",), encoders=()))
    assert [one.model for one in none] == [None, None]
    for one in some:
        assert len(vectors_section.asks(SUBJECT, one.controls)) == 2


def test_one_half_may_fail_alone() -> None:
    static = StaticFound((TokenVector(Piece(7, "</b>"), 2.0, (0.5, -0.5)),), ((1.0,),), 192,
                         "float32", True, 3)
    refused = Problem("INVALID_INPUT", "There is no word to look for.")
    text = vectors_section.show([refused, static])
    value = json.loads(text)
    assert value["problems"][0].startswith("There is no word") and "word" not in value["found"]
    assert value["found"]["static"]["tokens"] == [[[7, "</b>", 0], 2.0, [0.5, -0.5]]]
    assert "3 more different tokens" in " ".join(value["found"]["static"]["said"])
    assert "<" not in text
    both = json.loads(vectors_section.show([word(layer(0.5)), static]))["found"]
    assert both["word"]["layers"][0][3:] == [0.5, 0.5, 0.5] and both["word"]["best"] == 0


def logs(*shares: float) -> bytes:
    return array("f", [math.log(p) if p else -math.inf for p in shares]).tobytes()


def test_divergence_by_hand() -> None:
    """½ and ½ against ¼ and ¾: ½ ln 2 + ½ ln ⅔ nats one way, ¼ ln ½ + ¾ ln 1½ the other."""
    (found,) = apart(logs(0.5, 0.5), logs(0.25, 0.75), 2)
    assert found.forward == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-6)
    assert found.backward == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-6)
    middle = (0.375, 0.625)
    shannon = 0.5 * sum(p * math.log(p / m) for p, m in zip((0.5, 0.5), middle, strict=True))
    shannon += 0.5 * sum(p * math.log(p / m) for p, m in zip((0.25, 0.75), middle, strict=True))
    assert found.jensen_shannon == pytest.approx(shannon, abs=1e-6)
    (same, other) = apart(logs(0.5, 0.5, 0.9, 0.1), logs(0.5, 0.5, 0.1, 0.9), 2)
    assert (same.forward, same.agree, other.agree) == (0.0, True, False)
    (apart_wholly,) = apart(logs(1.0, 0.0), logs(0.0, 1.0), 2)
    assert apart_wholly.forward == math.inf
    assert apart_wholly.jensen_shannon == pytest.approx(math.log(2))  # its most
    assert perplexity([math.log(0.5), math.log(0.125)]) == pytest.approx(4.0)
    assert perplexity([]) is None


def expected(name: str, weights: int, packed: bytes, **more: Any) -> ExpectedFound:
    tops = ((Likely(Piece(0, "a"), -0.7),), (Likely(Piece(1, "b"), -0.1),))
    return ExpectedFound((Piece(0, "a"), Piece(1, "b")), 0, tops, (math.log(0.5),), 2, 0.0123,
                         weights, name, more.pop("quantization", "none"), "float32", "cpu", packed,
                         **more)


def test_two_copies_side_by_side_in_figures() -> None:
    one = expected("m", 400, logs(0.5, 0.5, 0.9, 0.1))
    other = expected("m · nf4", 100, logs(0.5, 0.5, 0.1, 0.9), quantization="nf4",
                     notices=("It is slow.",))
    half = json.loads(quantized_section.show([one, "reading"]))
    assert half["waits"] and half["found"]["sides"][1] is None and half["found"]["between"] == []
    value = json.loads(quantized_section.show([one, other]))
    found = value["found"]
    assert [side["perplexity"] for side in found["sides"]] == [2.0, 2.0]
    assert [row[3] for row in found["between"]] == [True, False]
    said = " ".join(found["said"])
    assert "same at 1 of 2 positions" in said and "25 % of the bytes" in said
    assert "not quantized" in said and "no benchmark" in said and "It is slow." in said
    wider = json.loads(quantized_section.show([one, expected("m · f", 800, logs(1, 0, 1, 0))]))
    said = " ".join(wider["found"]["said"])
    assert "200 % of the bytes" in said and "not quantized" not in said
    assert wider["found"]["between"][0][1] is not None


def test_two_different_copies_are_asked_for() -> None:
    asked = quantized_section.asks(SUBJECT, ["auto", "nf4"])
    assert [one.spec.label for one in asked] == ["tiny-base", "tiny-base · nf4"]
    asked = quantized_section.asks(SUBJECT, ["float32", "bfloat16"])
    assert [one.spec.dtype for one in asked] == ["float32", "bfloat16"]
    for values in (["nf4", "nf4"], ["auto", "evil"], [["nf4"], "auto"], [None, "auto"]):
        with pytest.raises(InvalidInput):
            quantized_section.asks(SUBJECT, values)
