"""A link carries a whole recipe, is short, and costs nothing where it is hostile or broken."""

from __future__ import annotations

import base64
import random
import re
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from playground.core.prompt import Chat, Message
from playground.core.recipe import Answer, Experiment, Recipe, digest_of, written_experiment
from playground.core.recipe_link import LETTER, LONGEST_LINK, link_of, read_link
from playground.core.run import Run
from playground.errors import InvalidInput
from tests.test_core_recipe import FACTS, RECIPE, SPEC

ENGLISH = (
    "The river was low that summer, and the stones that had not been seen for years lay in the sun "
    "like the backs of old animals. Every morning Anna walked along the bank with her grandfather, "
    "who told her the name of each bird and then, because he was honest, which of the names he had "
    "made up. \"That one,\" he said, pointing at something brown, \"is a lesser evening clerk.\" "
    "She wrote it down. Years later, when she had become a biologist and could have corrected him, "
    "she found the notebook in a drawer and discovered 14 species that science has never heard of. "
)


def english(tokens: int) -> tuple[str, ...]:
    """So many pieces as a tokenizer of 150,000 tokens makes them; no sentence comes twice."""
    dice = random.Random(4)
    words = re.findall(r" ?\w+|[^\w\s]|\s", ENGLISH)
    rare = [f" {''.join(dice.choices('aeiourstlnmdpc', k=dice.randint(3, 8)))}" for _ in range(250)]
    return tuple(dice.choice(words if dice.random() < 0.75 else rare) for _ in range(tokens))


def answered(pieces: tuple[str, ...]) -> Recipe:
    ids = tuple(zlib.crc32(piece.encode()) % 150_000 for piece in pieces)
    return replace(RECIPE, answer=Answer(ids, pieces, "".join(pieces), "end"))


def test_a_short_link_comes_back_to_the_last_id() -> None:
    told = read_link(link_of(Experiment((RECIPE,), "One")))
    assert told == Experiment((replace(RECIPE, prompt_ids=digest_of((1, 2))),), "One")


def test_a_long_answer_is_its_tokens_texts_and_a_digest() -> None:
    recipe = answered(english(900))
    told = read_link(link_of(Experiment((recipe,)))).lanes[0].answer
    assert told is not None and recipe.answer is not None and isinstance(recipe.answer.ids, tuple)
    assert told == replace(recipe.answer, ids=digest_of(recipe.answer.ids))


def test_512_tokens_of_chat_stay_under_2000_characters() -> None:
    """Settings and the prompt's text apart: what the rest of the link takes."""
    chat = Run(SPEC, Chat((Message("user", "Tell me about the river."),)), RECIPE.run.decoding, 7)
    recipe = replace(answered(english(512)), run=chat, prompt_ids=tuple(range(9, 29)))
    whole = len(link_of(Experiment((recipe,))))
    asked = len(link_of(Experiment((Recipe(chat),))))
    assert whole - asked < 2000
    assert whole < 2200


def test_a_very_long_answer_is_its_text_and_a_digest() -> None:
    long = tuple(f" {random.Random(n).getrandbits(48):x}" for n in range(2000))
    told = read_link(link_of(Experiment((answered(long),)))).lanes[0].answer
    assert told is not None and told.pieces == () and told.text == "".join(long)


def test_what_no_link_can_carry_is_refused() -> None:
    noise = "".join(random.Random(1).choices([chr(c) for c in range(0x4E00, 0x9FFF)], k=60_000))
    run = Run(SPEC, Chat((Message("user", noise),)))
    with pytest.raises(InvalidInput, match="Save the file instead"):
        link_of(Experiment((Recipe(run),)))


@example(["", "0"], "0")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=90), max_size=12), st.text(max_size=40))
def test_any_pieces_come_back(pieces: list[str], text: str) -> None:
    pieces = [piece.encode("utf-8", "replace").decode() for piece in pieces]
    text = text.encode("utf-8", "replace").decode()
    answer = Answer(tuple(range(len(pieces))), tuple(pieces), text)
    told = read_link(link_of(Experiment((replace(RECIPE, answer=answer),))))
    assert told.lanes[0].answer == answer


LINK = link_of(Experiment((RECIPE,)))


@pytest.mark.parametrize("link", ["", None, 7, "#", "<script>", "b" + LINK[1:], LINK[:-3],
                                  LINK[:40], LINK + "AAAA", LETTER, LETTER + "A", LETTER + "AAAAAA",
                                  "a" * (LONGEST_LINK + 1)])
def test_a_broken_link_is_a_sentence(link: object) -> None:
    with pytest.raises(InvalidInput, match="^This link ") as refused:
        read_link(link)
    assert refused.value.problem.field == "link"


@pytest.mark.parametrize("place", range(1, len(LINK), 7))
def test_a_changed_letter_is_noticed(place: int) -> None:
    other = "A" if LINK[place] != "A" else "B"
    with pytest.raises(InvalidInput):
        read_link(LINK[:place] + other + LINK[place + 1 :])


def sealed(data: bytes) -> str:
    from playground.core.recipe_link import _WORDS

    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    packed = squeeze.compress(data) + squeeze.flush() + zlib.crc32(data).to_bytes(4, "big")
    return LETTER + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def test_a_bomb_does_not_go_off() -> None:
    """40 MB of one letter in 52,000 characters; it unfolds to no more than a file may have."""
    bomb = sealed(b"a" * 40_000_000)
    assert len(bomb) < LONGEST_LINK
    tracemalloc.start()
    with pytest.raises(InvalidInput, match="unfolds to more than 1,000,000 characters"):
        read_link(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("data", ['{"lanes":[{"answer":{"pieces":7}}]}', '{"lanes":7}', "[]",
                                  '{"lanes":[7]}', '{"lanes":[{"answer":{"pieces":["","zz"]}}]}'])
def test_what_is_packed_wrongly_is_refused(data: str) -> None:
    with pytest.raises(InvalidInput, match="no recipe of this app"):
        read_link(sealed(data.encode()))
    ours = written_experiment(Experiment((Recipe(Run(SPEC, RECIPE.run.prompt), facts=FACTS),)))
    answer = '{"ids":[1],"pieces":"x\\u001f\\u001fy"}'
    wrong = ours.replace('"lanes":[{', f'"lanes":[{{"answer":{answer},')
    with pytest.raises(InvalidInput):
        read_link(sealed(wrong.encode()))
