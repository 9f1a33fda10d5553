"""Phrases that settings name: what one is, how many and how long; it knows no tokenizer."""

from __future__ import annotations

from typing import TypeGuard

from playground.core.prompt import check_text
from playground.errors import InvalidInput

# A text, or exact token ids.
Phrase = str | tuple[int, ...]

MOST_PHRASES = 32
LONGEST_PHRASE = 256
LARGEST_BIAS = 100.0


def check_stop_strings(given: object) -> None:
    """At most four strings of one to 64 characters, as text-generation servers allow."""
    if not isinstance(given, tuple) or len(given) > 4 or not all(
        isinstance(one, str) and 1 <= len(one) <= 64 for one in given
    ):
        raise InvalidInput(
            "Stop strings are at most 4 texts of 1 to 64 characters each.",
            field="stop_strings",
            given=given,
            allowed="at most 4 texts of 1 to 64 characters",
        )


def check_phrases(banned: object, bias: object, forced: object) -> None:
    """Raise InvalidInput unless these are short lists of short phrases; see ``Decoding``."""
    allowed = f"at most {MOST_PHRASES} texts, or tuples of token ids, of 1 to {LONGEST_PHRASE}"
    if not _is_list(banned) or not all(map(_is_phrase, banned)):
        raise InvalidInput(
            f"Banned phrases are {allowed} characters or ids.",
            field="banned", given=banned, allowed=allowed,
        )
    if not _is_list(bias) or not all(map(_is_biased, bias)):
        raise InvalidInput(
            f"A bias is a phrase and a number from {-LARGEST_BIAS:g} to {LARGEST_BIAS:g}; "
            f"phrases are {allowed} characters or ids.",
            field="bias", given=bias, allowed=allowed,
        )
    if forced not in ("", ()) and not _is_phrase(forced):
        raise InvalidInput(
            f"The answer can begin with a text, or token ids, of 1 to {LONGEST_PHRASE}.",
            field="forced", given=forced, allowed=f"up to {LONGEST_PHRASE} characters or ids",
        )
    for text in (forced, *banned, *(pair[0] for pair in bias if _is_biased(pair))):
        if isinstance(text, str):
            check_text(text, "phrase")


def _is_list(given: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(given, tuple) and len(given) <= MOST_PHRASES


def _is_phrase(given: object) -> TypeGuard[Phrase]:
    if not isinstance(given, (str, tuple)) or not 1 <= len(given) <= LONGEST_PHRASE:
        return False
    return isinstance(given, str) or all(type(i) is int and i >= 0 for i in given)


def _is_biased(given: object) -> TypeGuard[tuple[Phrase, float]]:
    if not isinstance(given, tuple) or len(given) != 2 or not _is_phrase(given[0]):
        return False
    bias = given[1]
    number = isinstance(bias, (int, float)) and not isinstance(bias, bool)
    return number and -LARGEST_BIAS <= bias <= LARGEST_BIAS
