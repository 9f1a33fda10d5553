"""Expands bracket grammars such as "[Hello|Hi], {name}" with a given source of chance.

This module knows nothing about what the texts say.
"""

import re
from random import Random

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIO])(?!one|uni|use|eu)")


def expand(rng: Random, text: str, /, **slots: str) -> str:
    """Choose one alternative in every bracket, innermost first, then fill the slots."""
    while match := _ALTERNATIVES.search(text):
        chosen = rng.choice(match.group(1).split("|"))
        text = text[: match.start()] + chosen + text[match.end() :]
    text = _SLOT.sub(lambda match: slots[match.group(1)], text)
    return _ARTICLE.sub(r"\1n ", text)


def pick(rng: Random, texts: list[str], /, **slots: str) -> str:
    """Choose one text of a list and expand it."""
    return expand(rng, rng.choice(texts), **slots)


def capitalise(text: str) -> str:
    """Make the first letter a capital and leave the rest alone."""
    return text[:1].upper() + text[1:]


def rows(table: str) -> list[tuple[str, ...]]:
    """Read a table with one row per line and fields divided by bars."""
    lines = (line.strip() for line in table.strip().splitlines())
    return [tuple(field.strip() for field in line.split("|")) for line in lines if line]


def lines(text: str) -> list[str]:
    """Read a list with one entry per line."""
    return [line.strip() for line in text.strip().splitlines() if line.strip()]


def words(text: str) -> list[str]:
    """Read a list of words with blanks between them."""
    return text.split()
