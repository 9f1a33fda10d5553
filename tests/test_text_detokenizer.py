"""New ids to new text: joined texts equal ``tokenizer.decode``, and no half character is shown."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from playground.models.pieces import Detokenizer, pieces_of
from tests.tiny_models import UNICODE, byte_level_tokenizer, metaspace_tokenizer

TOKENIZERS = {"byte-level": byte_level_tokenizer, "metaspace": metaspace_tokenizer}
PROMPT = "Once upon a time"


def stream(tokenizer: Any, prompt: list[int], ids: list[int]) -> tuple[list[str], str]:
    """The text of each id, and the tail."""
    detokenizer = Detokenizer(tokenizer, prompt)
    return [detokenizer.push(id) for id in ids], detokenizer.finish()


def decoded(tokenizer: Any, ids: list[int], skip: bool = False) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", UNICODE)
def test_joined_texts_are_decode(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    prompt = tokenizer(PROMPT).input_ids
    ids = tokenizer(" " + text, add_special_tokens=False).input_ids
    texts, tail = stream(tokenizer, prompt, ids)
    before = decoded(tokenizer, prompt)
    assert before + "".join(texts) + tail == decoded(tokenizer, prompt + ids)
    assert text in "".join(texts) and tail == ""


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", UNICODE)
def test_no_half_character_is_ever_shown(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    texts, _ = stream(tokenizer, [], tokenizer(text, add_special_tokens=False).input_ids)
    assert "".join(texts) == text
    assert not any("�" in part for part in texts)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_texts_without_the_special_ones_are_the_text(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    end = tokenizer.eos_token_id
    one, two = (tokenizer(t, add_special_tokens=False).input_ids for t in ("hello 你", " fox"))
    prompt, ids = tokenizer(PROMPT).input_ids, [*one, end, *two, end]
    special = pieces_of(tokenizer).special
    texts, tail = stream(tokenizer, prompt, ids)
    plain = "".join(t for t, id in zip(texts, ids, strict=True) if id not in special) + tail
    before = decoded(tokenizer, prompt, skip=True)
    assert before + plain == decoded(tokenizer, prompt + ids, skip=True)
    whole = decoded(tokenizer, prompt) + "".join(texts) + tail
    assert whole == decoded(tokenizer, prompt + ids)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("cut", (1, 2))
def test_a_character_cut_off_becomes_one_mark_at_the_end(kind: str, cut: int) -> None:
    """A stream that only drops what is incomplete would show less than ``decode``."""
    tokenizer = TOKENIZERS[kind]()
    ids = tokenizer("the 你", add_special_tokens=False).input_ids[:-cut]
    texts, tail = stream(tokenizer, [], ids)
    assert ("".join(texts), tail) == ("the ", "�")


def test_byte_level_streams_are_decode_for_any_ids() -> None:
    """Random ids make bytes that are no UTF-8 at nearly every step."""
    tokenizer = byte_level_tokenizer()
    dice = random.Random(0)
    for _ in range(300):
        ids = [dice.randrange(3, len(tokenizer)) for _ in range(dice.randint(1, 15))]
        texts, tail = stream(tokenizer, [], ids)
        assert "".join(texts) + tail == decoded(tokenizer, ids)


def test_metaspace_streams_never_break() -> None:
    """``DecodeStream`` raised "Invalid prefix" on 756 of 2000 such streams.

    Equality with ``decode`` is no law here: the byte-fallback decoder marks a whole run of bytes as
    broken, with the good characters in it, which a screen has shown by then.
    """
    tokenizer = metaspace_tokenizer()
    pieces, dice = pieces_of(tokenizer), random.Random(0)
    prompt = tokenizer(PROMPT).input_ids
    for _ in range(300):
        ids = [dice.randrange(3, len(tokenizer)) for _ in range(15)]
        texts, _ = stream(tokenizer, prompt, ids)
        words = [(t, pieces[i].text) for t, i in zip(texts, ids, strict=True) if i >= 259]
        assert all(text.lstrip("�") == piece for text, piece in words)


def test_the_first_word_after_a_prompt_keeps_its_space() -> None:
    tokenizer = metaspace_tokenizer()
    prompt = tokenizer("hello").input_ids
    word = tokenizer.convert_tokens_to_ids("▁the")
    assert stream(tokenizer, prompt, [word, word])[0] == [" the", " the"]
    assert stream(tokenizer, [], [word, word])[0] == ["the", " the"]
    assert stream(tokenizer, [tokenizer.bos_token_id], [word, word])[0] == ["the", " the"]


def test_a_prompt_that_ends_in_half_a_character_is_completed() -> None:
    tokenizer = byte_level_tokenizer()
    first, *rest = tokenizer("你").input_ids
    assert stream(tokenizer, [first], rest) == (["", "你"], "")


def test_an_id_without_a_token_adds_nothing() -> None:
    """Embeddings are padded to round sizes; a model can choose such a row."""
    tokenizer = byte_level_tokenizer()
    assert stream(tokenizer, [], [9999]) == ([""], "")
    assert pieces_of(tokenizer)[9999].text == "<no token 9999>"


def test_every_id_has_a_piece() -> None:
    for make in TOKENIZERS.values():
        tokenizer = make()
        assert all(pieces_of(tokenizer)[id].text for id in range(len(tokenizer)))


def test_a_tokenizer_of_another_kind_streams_through_decode() -> None:
    """WordPiece has no bytes: its spaces are made by its decoder, from the tokens around."""
    words = ["[UNK]", "[SEP]", "read", "##ing", "a", "book", "##s"]
    backend = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.decoder = decoders.WordPiece()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="[SEP]")
    texts, tail = stream(tokenizer, [4], [2, 3, 4, 5, 6])
    assert (texts, tail) == ([" read", "ing", " a", " book", "s"], "")
