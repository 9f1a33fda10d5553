"""From a prompt to ids: templates, control tokens, contexts, and what is said about them."""

from __future__ import annotations

import pytest
from tokenizers import Regex, normalizers, pre_tokenizers

from playground.core.prompt import Chat, Ids, Message, Raw
from playground.errors import ContextOverflow, InvalidInput, ModelInvalid, TemplateProblem
from playground.models.text import encode
from tests.tiny_models import UNICODE, byte_level_tokenizer, metaspace_tokenizer

ASK = Chat((Message("system", "Be brief."), Message("user", "hello")))


def test_a_chat_is_what_the_template_renders() -> None:
    tokenizer = byte_level_tokenizer()
    encoded = encode(tokenizer, ASK, 200)
    assert encoded.rendered == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert tokenizer.decode(list(encoded.ids)) == encoded.rendered
    assert encoded.notices == ()
    specials = [piece.text for piece in encoded.pieces if piece.special]
    assert specials == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert "".join(piece.text for piece in encoded.pieces) == encoded.rendered


def test_jinja_in_a_message_is_text() -> None:
    encoded = encode(byte_level_tokenizer(), Chat((Message("user", "{{ 1 + 1 }}{% if %}"),)), 200)
    assert "{{ 1 + 1 }}{% if %}" in encoded.rendered


def test_no_template_says_so_and_points_to_complete() -> None:
    with pytest.raises(TemplateProblem) as caught:
        encode(byte_level_tokenizer(chat=False), ASK, 200)
    assert "no chat template" in caught.value.problem.message
    assert "Complete" in caught.value.problem.advice


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
        ("{% for m in messages %}{{ m.content ", "unexpected end of template"),
        ("{{ messages[9]['content'] }}", "has no element 9"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "str"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_fails_is_explained_in_its_own_words(template: str, words: str) -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(TemplateProblem) as caught:
        encode(tokenizer, ASK, 200)
    assert words in caught.value.problem.message


def test_a_template_that_renders_nothing_is_refused() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{% endfor %}"
    with pytest.raises(TemplateProblem, match="nothing"):
        encode(tokenizer, ASK, 200)


def test_a_raw_text_is_tokenized_as_it_stands() -> None:
    tokenizer = byte_level_tokenizer()
    for text in UNICODE:
        encoded = encode(tokenizer, Raw(text), 200)
        assert list(encoded.ids) == tokenizer(text).input_ids
        assert encoded.rendered == text
        assert encoded.notices == ()


def test_a_raw_text_gets_the_tokenizers_own_beginning() -> None:
    encoded = encode(metaspace_tokenizer(), Raw("hello the"), 200)
    assert encoded.pieces[0].text == "<s>" and encoded.pieces[0].special
    assert encoded.rendered == "<s>hello the"
    assert encoded.notices == ()


def test_a_doubled_beginning_is_told() -> None:
    typed = Raw("<s>hello", control_tokens=True)
    encoded = encode(metaspace_tokenizer(), typed, 200)
    assert [p.text for p in encoded.pieces[:2]] == ["<s>", "<s>"]
    assert any("twice" in notice for notice in encoded.notices)
    plain = encode(metaspace_tokenizer(), Raw("<s>hello"), 200)
    assert not any("twice" in notice for notice in plain.notices)


def test_a_beginning_that_a_template_doubles_is_told() -> None:
    tokenizer = metaspace_tokenizer()
    tokenizer.chat_template = "{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}"
    assert any("<s> twice" in n for n in encode(tokenizer, Chat(ASK.messages[1:]), 200).notices)
    tokenizer.chat_template = "{{ bos_token }}{{ messages[0]['content'] }}"
    assert encode(tokenizer, Chat(ASK.messages[1:]), 200).notices == ()


def test_ids_are_taken_as_they_are() -> None:
    tokenizer = byte_level_tokenizer()
    ids = tuple(tokenizer("hello there").input_ids)
    encoded = encode(tokenizer, Ids(ids), 200)
    assert (encoded.ids, encoded.rendered) == (ids, "hello there")


def test_an_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        encode(byte_level_tokenizer(), Ids((5, 400)), 200)
    assert caught.value.problem.message == "Token id 400 is not in this model's vocabulary of 400."


def test_a_prompt_beyond_the_context_gives_both_counts() -> None:
    tokenizer = byte_level_tokenizer()
    assert len(encode(tokenizer, Ids((7,) * 19), 20).ids) == 19
    with pytest.raises(ContextOverflow) as caught:
        encode(tokenizer, Ids((7,) * 20), 20)
    assert "20 tokens" in caught.value.problem.message
    assert caught.value.problem.allowed == "at most 19 tokens"


def test_a_text_that_becomes_no_token_is_refused() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Strip()
    with pytest.raises(InvalidInput, match="no token"):
        encode(tokenizer, Raw("   "), 200)


def test_pieces_show_bytes_that_are_no_character() -> None:
    tokenizer = byte_level_tokenizer()
    assert [p.text for p in encode(tokenizer, Raw("你"), 200).pieces] == [
        "<0xE4>",
        "<0xBD>",
        "<0xA0>",
    ]
    metaspace = encode(metaspace_tokenizer(), Raw("the 你"), 200)
    assert [p.text for p in metaspace.pieces] == ["<s>", " the", " ", "<0xE4>", "<0xBD>", "<0xA0>"]


def test_a_tokenizer_that_panics_is_explained() -> None:
    """A pattern that its library gives up on is a Rust panic, which ``except Exception`` misses."""
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex("^(a+)+$"), "isolated"), pre_tokenizers.ByteLevel()]
    )
    text = "a" * 60 + "b"
    for prompt in (Raw(text), Chat((Message("user", text),))):
        tokenizer.chat_template = "{{ messages[-1]['content'] }}"
        with pytest.raises(ModelInvalid, match="tokenizer broke down"):
            encode(tokenizer, prompt, 200)
