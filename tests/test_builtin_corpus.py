"""Laws of the corpus that the built-in models learn from; no model is needed here."""

import json
import re
import subprocess
import sys

import pytest

from playground.models.builtin import corpus, held_out
from playground.models.builtin.corpus import items, styles, tables, unknown

SEED = 20261121


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return corpus.documents(SEED, 4000)


@pytest.fixture(scope="module")
def conversations() -> list[corpus.Conversation]:
    return corpus.conversations(SEED, 4000)


@pytest.fixture(scope="module")
def text(documents, conversations) -> str:
    messages = [message["content"] for chat in conversations for message in chat]
    return "\n".join([*documents, *messages])


def test_the_corpus_is_the_same_from_the_same_seed():
    assert corpus.documents(3, 200) == corpus.documents(3, 200)
    assert corpus.conversations(3, 200) == corpus.conversations(3, 200)
    assert corpus.documents(3, 200) != corpus.documents(4, 200)


def test_the_corpus_needs_no_torch():
    code = "import sys, playground.models.builtin.corpus; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_held_out_wording_stands_in_the_corpus(text, subtests):
    for wording in held_out.all_wordings():
        with subtests.test(wording):
            parts = [re.escape(part) for part in re.split(r"\{\w+\}", wording)]
            assert not re.search(r"[^\n]{1,25}".join(parts), text, re.IGNORECASE)


@pytest.mark.parametrize("name", held_out.UNSEEN_NAMES)
def test_no_unseen_name_stands_in_the_corpus(name, text):
    assert name not in text


def test_nothing_is_left_to_expand(text):
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("{"))
    assert not re.search(r"\{\w+\}|\[[^\]\n]*\||\0", prose)


def test_every_conversation_alternates_and_ends_with_the_assistant(conversations):
    for chat in conversations:
        roles = [message["role"] for message in chat if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"] for message in chat)


def test_a_system_message_only_comes_first(conversations):
    assert not any(message["role"] == "system" for chat in conversations for message in chat[1:])


@pytest.mark.parametrize("style", styles.STYLES)
def test_every_style_answers_every_topic(style, subtests):
    for topic in items.TOPICS:
        with subtests.test(topic.__name__):
            rng = corpus.source(SEED, "test")
            for chinese in (False, True):
                item = topic(rng)
                assert not styles.fits(style, item) or styles.answer(rng, style, item, chinese)


def test_answers_in_json_are_json():
    rng = corpus.source(SEED, "test")
    for _ in range(100):
        assert "answer" in json.loads(styles.answer(rng, "json", items.item(rng), False))


def test_every_capital_is_stated_in_the_base_corpus(documents):
    text = "\n".join([*documents, *corpus.documents(SEED + 1, 8000)])
    missing = [row[0] for row in tables.COUNTRIES if f"{row[0]} is {row[1]}" not in text]
    assert not missing


def test_what_is_not_known_is_not_asked_about_what_is_known():
    rng = corpus.source(SEED, "test")
    capitals = [f"capital of {row[0]}?" for row in tables.COUNTRIES]
    for _ in range(3000):
        question = unknown.question(rng)
        assert not any(question.endswith(capital) for capital in capitals)
