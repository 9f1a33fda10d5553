"""A text taken apart by a tokenizer: its tokens are those that the engine reads."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from transformers import ByT5Tokenizer

from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec
from playground.core.tokenization import Tokenized, TokenizeRequest, read_ids
from playground.errors import InvalidInput, Problem
from playground.inside.inspector import Inspector
from playground.inside.tokenization import facts_of
from playground.models.loading import Model, load
from playground.models.text import encode, trace
from playground.ui.section import Subject
from playground.ui.tokenizer_section import asks, show
from tests.tiny_models import UNICODE, metaspace_tokenizer, tiny_model

TEXTS = (*UNICODE, "The capital of France is", "a<|im_end|> b", "   \n\n\t", "x</s>y <s>")


def _ask(model: Model, request: TokenizeRequest) -> Any:
    inspector = Inspector(model)
    inspector.join(0, request)
    while (told := inspector.step()) is None:
        pass
    return told[1]


@pytest.fixture(scope="module")
def builtin(root: Path) -> Model:
    """The tiny chat model, with a tokenizer of 4096 tokens."""
    return load(ModelSpec("builtin/tiny-chat"), root / "playground/models/builtin/tiny-chat", "cpu")


@lru_cache(maxsize=1)
def _tiny() -> Model:
    return tiny_model()


def _with(tokenizer: Any) -> Model:
    return replace(_tiny(), tokenizer=tokenizer)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["byte-level", "metaspace", "Python"])
def test_the_tokens_are_those_that_the_engine_reads(kind: str, text: str) -> None:
    model = {
        "byte-level": _tiny, "metaspace": lambda: _with(metaspace_tokenizer()),
        "Python": lambda: _with(ByT5Tokenizer()),
    }[kind]()
    found = _ask(model, TokenizeRequest(Raw(text, control_tokens=True))).text
    read = encode(model, Raw(text, control_tokens=True), 10_000)
    assert tuple(token.piece for token in found.tokens) == read.pieces
    assert found.count == len(read.ids) and found.text == text


def test_each_token_tells_its_characters(builtin: Model) -> None:
    found = _ask(builtin, TokenizeRequest(Raw("The capital of é 👍🏽", control_tokens=True))).text
    whole = [t for t in found.tokens if "<0x" not in t.piece.text]
    assert [found.text[t.start : t.end] for t in whole] == [t.piece.text for t in whole]
    # é is a letter of two bytes, in this vocabulary two tokens: both stand for that one character.
    halves = [(t.start, t.end) for t in found.tokens if t.piece.text in ("<0xC3>", "<0xA9>")]
    assert halves == [(15, 16), (15, 16)] and found.text[15] == "é"
    assert found.per_token == (19 / 10, 26 / 10)


def test_where_a_tokenizer_does_not_tell_characters_the_pieces_do_or_nothing_does() -> None:
    """ByT5's tokenizer is written in Python: no offsets, no stages. Its half letters have no text
    of their own, so that nobody can tell which characters a token of such a text stands for."""
    found: Tokenized = _ask(_with(ByT5Tokenizer()), TokenizeRequest(Raw("ab", True)))
    assert not found.facts.is_open and not found.facts.model and not found.text.steps
    assert [(t.start, t.end) for t in found.text.tokens] == [(0, 1), (1, 2), (2, 2)]
    assert found.text.around == 1
    other = _ask(_with(ByT5Tokenizer()), TokenizeRequest(Raw("aé", True))).text
    assert {(token.start, token.end) for token in other.tokens} == {(-1, -1)}


def test_the_words_before_bpe_are_the_backends_own(builtin: Model) -> None:
    text = "Once upon a time, there were 12 dragons' eggs.\n\nThe end"
    found = _ask(builtin, TokenizeRequest(Raw(text, control_tokens=True)))
    assert [part.name for part in found.facts.normalizer] == ["NFC"]
    steps = found.text.steps
    assert [step.part.name for step in steps] == ["NFC", "Split", "ByteLevel"]
    assert "".join(steps[1].texts) == text
    numbers = builtin.tokenizer(text).word_ids()
    assert len(steps[2].texts) == len(set(numbers))


def test_added_tokens_are_taken_out_before_any_stage(builtin: Model) -> None:
    found = _ask(builtin, TokenizeRequest(Raw("one<|im_end|> two", control_tokens=True))).text
    assert found.steps[0].texts == ("one", " two")
    assert [token.piece.text for token in found.tokens if token.piece.special] == ["<|im_end|>"]


def test_every_id_decodes(builtin: Model) -> None:
    for start in range(0, 4096, 512):
        ids = tuple(range(start, start + 512))
        back = _ask(builtin, TokenizeRequest(ids=" ".join(map(str, ids)))).read_back
        assert back.text == builtin.tokenizer.decode(list(ids))
        assert tuple(token.piece.id for token in back.tokens) == ids
        assert all(token.piece.text for token in back.tokens)


def test_ids_come_back_from_another_tab_as_they_were(builtin: Model) -> None:
    found = _ask(builtin, TokenizeRequest(Ids((364, 337, 290)))).text
    assert found.text == "The capital of"
    assert [(t.start, t.end) for t in found.tokens] == [(0, 3), (3, 11), (11, 14)]


@pytest.mark.parametrize(("typed", "says"), [
    ("1 2 9999", "Token id 9999 is not in this model's vocabulary of 4096."),
    ("1 two", "'two' is no token id."), ("-1", "'-1' is no token id."),
    (" ".join(["1"] * 1001), "These are 1001 ids; up to 1000 are read back."),
])
def test_what_is_no_id_is_refused_in_a_sentence_and_the_text_stays(
    builtin: Model, typed: str, says: str
) -> None:
    found = _ask(builtin, TokenizeRequest(Raw("The", control_tokens=True), ids=typed))
    assert isinstance(found.read_back, Problem) and found.read_back.message == says
    assert found.text.count == 1


def test_ids_are_read_as_people_paste_them() -> None:
    assert read_ids("[464, 3139,\n 286]") == (464, 3139, 286)
    with pytest.raises(InvalidInput):
        read_ids("1_000")


def test_a_batch_is_padded_on_the_left(builtin: Model) -> None:
    text = Raw("The capital of France is", control_tokens=True)
    batch = _ask(builtin, TokenizeRequest(text, beside="The capital")).batch
    long, short = batch.rows
    assert long.mask == (1, 1, 1, 1, 1) and long.positions == (0, 1, 2, 3, 4)
    assert short.mask == (0, 0, 0, 1, 1) and short.positions == (0, 0, 0, 0, 1)
    assert [piece.text for piece in short.pieces] == ["The", " capital"] and batch.lane == "batch"


def test_a_long_text_is_told_in_part_and_counted_whole(builtin: Model) -> None:
    text = "The capital of France is Paris. " * 1000
    found = _ask(builtin, TokenizeRequest(Raw(text, control_tokens=True))).text
    assert found.count == len(trace(builtin.tokenizer, text).ids) > 7000
    assert len(found.tokens) == 1000 and sum(len(t) for s in found.steps for t in s.texts) < 4000
    too_long = _ask(builtin, TokenizeRequest(Raw("a" * 100_001, control_tokens=True)))
    assert str(too_long.text).startswith("The text has 100001 characters")


def test_one_question_goes_to_two_tokenizers(builtin: Model) -> None:
    subject = Subject(ModelSpec("builtin/tiny-base"), Raw("The", control_tokens=True))
    first, second = asks(subject, ("builtin/tiny-chat", "", ""))
    assert first.request == second.request and second.spec.repo == "builtin/tiny-chat"
    assert len(asks(subject, ("", "", ""))) == 1
    assert asks(Subject(subject.spec, None), ("", "", "")) == []
    assert '"found":null' in show(["reading"])


def test_a_tokenizer_tells_what_it_is(builtin: Model) -> None:
    facts = facts_of(builtin.tokenizer)
    assert (facts.model, facts.size, facts.is_open) == ("BPE", 4096, True)
    names = [part.name for part in (*facts.normalizer, *facts.pre_tokenizer, *facts.decoder)]
    assert names == ["NFC", "Split", "ByteLevel", "ByteLevel"]
