"""Builds the messages of a conversation; it does not know which messages belong together."""

from random import Random

from . import items, styles
from .item import Item

Conversation = list[dict[str, str]]


def user(text: str) -> dict[str, str]:
    """Return a message of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    """Return a message of the assistant."""
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, str]:
    """Return a system message."""
    return {"role": "system", "content": text}


def fitting(rng: Random, style: str) -> Item:
    """Draw an item whose answer can be put into the style."""
    item = items.item(rng)
    while not styles.fits(style, item):
        item = items.item(rng)
    return item
