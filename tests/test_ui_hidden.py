"""What the page says of hidden states is what was measured, whatever that was."""

from __future__ import annotations

import json
from dataclasses import replace

from playground.core.events import Loading, Piece
from playground.core.hidden import Ends, HiddenFound, Peak
from playground.core.prompt import Raw
from playground.core.run import ModelSpec
from playground.ui.hidden_section import asks, ends_said, giants, labels, show
from playground.ui.section import Subject

# A Llama: rows of the matrix go in, and the norm is behind the last layer.
NORMED = Ends(2, 0.0, 0.0, 3.5, 0.0, 16.1, 0.0, 0.0, "model.norm", "LlamaRMSNorm", 31.3, 5.66)
FOUND = HiddenFound(
    (Piece(1, "<s>", True), Piece(2, "</script>")), (4, 4, 4), "float32",
    ((1.0, 2.0), (4.0, 8.0), (2.0, 2.0)), ((0.5, None), (1.0, 0.0)),
    (((0.5,), (0.25,)),) * 3,
    (Peak(0, 1, 0.9, 0.5), Peak(1, 3, -1500.0, 0.5), Peak(0, 0, 1.5, 1.0)), NORMED,
)


def said(ends: Ends) -> str:
    return " ".join(ends_said(ends))


def test_the_final_norm_is_said_to_be_where_it_was_measured() -> None:
    assert "stands behind the final norm, model.norm (LlamaRMSNorm)" in said(NORMED)
    assert "31.3 long on average, and the norm makes them 5.66" in said(NORMED)
    before = replace(NORMED, last_out=0.0, normed=16.1, last_hidden_state=16.1, head=16.1)
    assert "stands before the final norm" in said(before)
    assert "not the same: the largest difference is 16.1" in said(before)
    none = replace(NORMED, norm="", kind="", normed=None, last_out=0.0)
    assert "no final norm stands behind the layers" in said(none)
    assert "something of its own" in said(replace(none, last_out=2.0))


def test_the_first_state_is_said_to_be_what_it_was_measured_to_be() -> None:
    assert "embedding matrix as they are" in said(NORMED)
    assert "not the bare rows" in said(replace(NORMED, embedding=1.06))
    later = replace(NORMED, embedding=1.4, first_in=1.4, first_out=0.0)
    assert "what it reads is not among them" in said(later)
    assert labels(FOUND) == ["embeddings", "layer 1", "layer 2, normed"]
    assert labels(replace(FOUND, ends=later)) == ["layer 1", "layer 2", "final norm"]
    assert labels(replace(FOUND, ends=replace(NORMED, normed=1.0)))[-1] == "layer 2"


def test_massive_activations_are_said_with_their_place() -> None:
    (words,) = giants(FOUND)
    assert "in one layer" in words and "3,000 times its layer's median" in words
    assert "position 2, dimension 3 of layer 1" in words
    (words,) = giants(replace(FOUND, peaks=(FOUND.peaks[0],) * 3))
    assert words.startswith("No massive activation")


def test_the_view_gets_figures_and_waits_in_words() -> None:
    value = json.loads(show([FOUND]))
    assert value["waits"] == "" and value["problems"] == [""]
    found = value["found"]
    assert found["scale"] == [1.0, 8.0] and found["cosines"][0] == [0.5, None]
    assert found["table"][1][:2] == [6.0, 0.5] and found["table"][2][1] is None
    assert "</script>" not in show([FOUND])
    waits = json.loads(show([Loading("loading", 0.5, "reading the weights")]))
    assert waits["found"] is None and "50%" in waits["waits"]
    spec = ModelSpec("builtin/tiny-base")
    assert asks(Subject(spec, None), []) == []
    assert asks(Subject(spec, Raw("a")), [])[0].request.parts == (Raw("a"),)
