"""Defines what a question with its answers is; it does not know any question.

"short" is the answer in one word or phrase.
"""

from dataclasses import dataclass
from random import Random

from .grammar import capitalise, pick


@dataclass(frozen=True)
class Item:
    """A question and its answer, in English and in Chinese."""

    topic: str
    question: str
    question_zh: str
    short: str
    full: str
    short_zh: str
    full_zh: str
    # "And of Japan?" asks the same about another thing; empty where that makes no sense.
    follow: str = ""
    follow_zh: str = ""
    # A question about the answer itself, with its short and its full answer.
    recall: tuple[str, str, str] | None = None


def worded(rng: Random, texts: list[str], **slots: str) -> str:
    """Word a question in one of several ways, now and then as carelessly as people type."""
    text = capitalise(pick(rng, texts, **slots))
    drawn = rng.random()
    if drawn < 0.08:
        return text[0].lower() + text[1:]
    return text.rstrip("?？") if drawn < 0.14 else text
