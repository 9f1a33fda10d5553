"""Vectors are the model's own numbers; how well senses separate is a figure checked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from playground.core.prompt import Raw
from playground.core.run import ModelSpec
from playground.core.vectors import (
    Line,
    StaticFound,
    StaticVectors,
    WordFound,
    WordVectors,
    chance,
    means,
    nearest,
    read_lines,
    spans,
)
from playground.errors import InvalidInput, Problem
from playground.inside.occurrences import _by_bytes, covering
from playground.inside.vectors import principal
from playground.models.loading import Model, assemble, load
from playground.models.text import encode
from tests.architectures import CORE
from tests.looked import architecture, looked
from tests.test_encoders import masked, save
from tests.tiny_models import byte_level_tokenizer, metaspace_tokenizer, tiny_lm, tiny_model

LINES = (
    Line("They sat on the bank of the river.", "river"),
    Line("The bank lent money to a bank.", "money"),
)
BANK = WordVectors(LINES, "bank")


def states(model: Model, text: str) -> torch.Tensor:
    """[layers + 1, tokens, width] of the library itself."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        return torch.cat(model.lm(input_ids=ids, output_hidden_states=True).hidden_states)


def tokens_of(model: Model, text: str, word: str, start: int = 0) -> list[int]:
    """The tokens of a word, counted by the characters of all tokens."""
    first = text.index(word, start)
    ends, found = 0, []
    for n, id in enumerate(model.tokenizer(text)["input_ids"]):
        before, ends = ends, ends + len(model.tokenizer.decode([id]))
        if before < first + len(word) and ends > first:
            found.append(n)
    return found


@pytest.mark.parametrize("kind", [k for k in CORE if k != "deepseek_v3"])
def test_a_words_vector_is_the_mean_of_the_librarys_own(kind: str) -> None:
    model = architecture(kind)
    found = looked(model, BANK)
    assert isinstance(found, WordFound), found
    one, two = (states(model, line.text) for line in LINES)
    vectors = torch.stack([
        one[:, tokens_of(model, LINES[0].text, "bank")].mean(dim=1),
        two[:, tokens_of(model, LINES[1].text, "bank")].mean(dim=1),
        two[:, tokens_of(model, LINES[1].text, "bank", 10)].mean(dim=1),
    ])
    assert len(found.layers) == vectors.shape[1] and len(found.occurrences) == 3
    for layer, told in enumerate(found.layers):
        own = torch.nn.functional.cosine_similarity(
            vectors[[0, 0, 1], layer], vectors[[1, 2, 2], layer], dim=-1)
        assert told.cosines == pytest.approx(own.tolist(), abs=2e-3), layer
    assert found.sees_ahead is False
    assert found.labels == ("river", "money", "money")


def test_an_encoder_sees_what_comes_behind_the_word(tmp_path: Path) -> None:
    model = load(ModelSpec("some/bert"), save(tmp_path, masked()))
    found = looked(model, BANK)
    assert isinstance(found, WordFound) and found.sees_ahead is True
    own = states(model, LINES[0].text)[-1, tokens_of(model, LINES[0].text, "bank")].mean(dim=0)
    other = states(model, LINES[1].text)[-1, tokens_of(model, LINES[1].text, "bank")].mean(dim=0)
    cosine = float(torch.nn.functional.cosine_similarity(own, other, dim=0))
    assert found.layers[-1].cosines[0] == pytest.approx(cosine, abs=2e-3)
    ends = WordVectors((Line("by the bank"), Line("in the bank")), "bank")
    assert looked(model, ends).sees_ahead is None  # nothing comes behind it


def test_static_vectors_are_rows_of_the_embedding_matrix() -> None:
    model = tiny_model("llama")
    found = looked(model, StaticVectors(Raw("the cat the dog")))
    assert isinstance(found, StaticFound)
    assert len({one.piece.id for one in found.tokens}) == len(found.tokens)
    matrix = model.lm.get_input_embeddings().weight
    for one in found.tokens:
        row = matrix[one.piece.id]
        assert one.norm == pytest.approx(float(row.norm()), rel=1e-3)
        assert one.values == pytest.approx(row[:64].tolist(), rel=1e-3)
    a, b = (matrix[one.piece.id] for one in found.tokens[:2])
    cosine = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
    assert found.cosines[0][1] == pytest.approx(cosine, abs=1e-3)
    assert found.cosines[0][0] == 1.0
    assert found.tied is bool(model.lm.config.tie_word_embeddings)


def test_principal_components_by_hand() -> None:
    """Three to either side along one axis, one along another: 18 and 2 of 20 in squares."""
    points, shares = principal(torch.tensor([[3.0, 0, 5], [-3, 0, 5], [0, 1, 5], [0, -1, 5]]))
    assert shares == pytest.approx((0.9, 0.1))
    assert points.abs().tolist() == [pytest.approx(p) for p in ([3, 0], [3, 0], [0, 1], [0, 1])]
    largest = points.abs().argmax(dim=0)
    assert all(float(points[largest[axis], axis]) > 0 for axis in range(2))
    turned, _ = principal(torch.tensor([[3.0, 0, 5], [-3, 0, 5], [0, 1, 5], [0, -1, 5]]), -points)
    assert torch.allclose(turned, -points)  # as the layer before
    same, none = principal(torch.ones(5, 7))
    assert none == (0.0, 0.0) and not same.any()
    two, shares = principal(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert shares[0] == 1.0 and two[0, 0] == pytest.approx(0.5**0.5)


def test_the_nearest_neighbour_by_hand() -> None:
    """Of four, the third is nearer to the first than to its like; a fifth without a label and a
    sixth whose label nobody has are no neighbours."""
    labels = ["a", "a", "b", "b", "", "c"]
    cosines = [
        [1.0, 0.9, 0.8, 0.1, 1.0, 1.0],
        [0.9, 1.0, 0.2, 0.1, 1.0, 1.0],
        [0.8, 0.2, 1.0, 0.7, 1.0, 1.0],
        [0.1, 0.1, 0.7, 1.0, 1.0, 1.0],
        [1.0] * 6, [1.0] * 6,
    ]
    assert nearest(cosines, labels) == 0.75
    assert chance(labels) == pytest.approx(1 / 3)  # one of three others has the same label
    assert nearest([[1.0] * 6] * 6, labels) == pytest.approx(1 / 3)  # all are equally near
    assert nearest(cosines, ["a"] * 6) is None and chance([""] * 6) is None
    # Of those with a label: within 0.9 and 0.7; between 0.8, 0.1, 0.2, 0.1 and four 1.0 with c.
    assert means(cosines, labels) == (pytest.approx(0.8), pytest.approx(5.2 / 8))
    assert means(cosines, [""] * 6) == (None, None)


def test_lines_and_their_labels() -> None:
    text = "river: The bank.\n\n  money:  A bank.\n河：岸\nAt 10:30, the bank.\n a : b c "
    assert read_lines(text) == (
        Line("The bank.", "river"), Line("A bank.", "money"), Line("岸", "河"),
        Line("At 10:30, the bank."), Line("b c", "a"),
    )
    assert read_lines("Two words: no label") == (Line("Two words: no label"),)


def test_a_word_is_found_whole_and_inside_of_chinese() -> None:
    assert spans("The Bank, a riverbank and banks; bank", "bank") == ((4, 8), (33, 37))
    assert spans("我去银行，他行走", "行") == ((3, 4), (6, 7))
    assert spans("a+b", "+") == ((1, 2),)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("metaspace", [False, True])
def test_tokens_that_cover_a_word(metaspace: bool, slow: bool) -> None:
    """By the tokenizer's offsets and, without, by the tokens' bytes; a Chinese character is several
    tokens here."""
    tokenizer = metaspace_tokenizer() if metaspace else byte_level_tokenizer()
    model = assemble(ModelSpec("x/y"), tiny_lm("llama", len(tokenizer)), tokenizer)
    text = "the cat 银行 is"
    made = encode(model, Raw(text), 100)
    if slow:
        edges = _by_bytes(model, text, made)
        assert edges is not None
        found = {word: tuple(n for n, (a, b) in enumerate(edges)
                             if a < text.index(word) + len(word) and b > text.index(word))
                 for word in ("cat", "行", "is")}
    else:
        found = {word: covering(model, text, made, text.index(word), text.index(word) + len(word))
                 for word in ("cat", "行", "is")}
    for word, places in found.items():
        assert places, word
        spelled = tokenizer.decode([made.ids[n] for n in places])
        assert spelled.strip() == word and places == tuple(range(places[0], places[-1] + 1))


@pytest.mark.parametrize(("lines", "word", "field"), [
    (LINES, " ", "word"), (LINES, "a" * 61, "word"), (LINES[:1], "bank", "sentences"),
    (LINES * 13, "bank", "sentences"), ((*LINES, Line("a " * 400)), "bank", "sentences"),
])
def test_what_cannot_be_compared_is_refused(lines: tuple[Line, ...], word: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        WordVectors(lines, word)
    assert refused.value.problem.field == field


def test_a_word_that_stands_nowhere_is_said() -> None:
    refused = looked(tiny_model("llama"), WordVectors(LINES, "shore"))
    assert isinstance(refused, Problem) and "0 times" in refused.message
    found = looked(tiny_model("llama"), WordVectors((*LINES, Line("no such thing")), "bank"))
    assert found.missing == (2,) and found.chance is None  # one river alone has no like
