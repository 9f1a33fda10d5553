"""Which writing system a piece of text is in, by the names that Unicode gives its characters."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# The first word of a letter's name, where it is not the script's own.
_WORDS = {"CJK": "Han", "KANGXI": "Han", "FULLWIDTH": "Latin", "HALFWIDTH": "Katakana",
          "MATHEMATICAL": "Symbols", "MODIFIER": "Symbols"}
_NAMED = ("Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Devanagari", "Bengali",
          "Gurmukhi", "Gujarati", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai",
          "Lao", "Tibetan", "Myanmar", "Georgian", "Hangul", "Ethiopic", "Khmer", "Hiragana",
          "Katakana", "Mongolian")
SCRIPTS = (*_NAMED, "Han", "Other letters", "Digits", "Punctuation", "Symbols", "Spaces", "Mixed",
           "Bytes", "None")
PLACE = {name: place for place, name in enumerate(SCRIPTS)}


@lru_cache(maxsize=2**16)
def script_of_character(character: str) -> str:
    """Its script for a letter; else what it is. Empty for a mark that joins any letter."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        word = unicodedata.name(character, "").split(" ")[0].split("-")[0]
        if word in ("COMBINING", "VARIATION"):
            return ""
        named = word.capitalize()
        return named if named in _NAMED else _WORDS.get(word, "Other letters")
    return {"N": "Digits", "P": "Punctuation", "S": "Symbols"}.get(category[0], "Spaces")


def script_of(text: str) -> str:
    """The one that every character but spaces belongs to; else ``Mixed``."""
    found = {script_of_character(character) for character in text} - {""}
    if len(found) > 1:
        found.discard("Spaces")
    if len(found) == 1:
        return found.pop()
    return "Mixed" if found else "None"
