"""Writes the texts that the two built-in models learn from; it does not know how they are trained.

Everything here is made from the seed alone, so the same seed always gives the same corpus.
"""

from random import Random

from .conversations import KINDS, MORE_NAMES, conversation
from .documents import document
from .messages import Conversation


def source(seed: int, purpose: str, number: int = 0) -> Random:
    """Return a source of chance that depends on the seed, a purpose and a number only."""
    return Random(f"{seed}/{purpose}/{number}")


def documents(seed: int, count: int) -> list[str]:
    """Return plain documents for the base model."""
    rng = source(seed, "documents")
    return [document(rng) for _ in range(count)]


def conversations(seed: int, count: int) -> list[Conversation]:
    """Return conversations for the chat model."""
    rng = source(seed, "conversations")
    return [conversation(rng) for _ in range(count)]


__all__ = [
    "KINDS",
    "MORE_NAMES",
    "Conversation",
    "conversation",
    "conversations",
    "document",
    "documents",
    "source",
]
