r"""Phrases as a person types them, one a line; it knows no setting and no Gradio.

In a line ``\n``, ``\t``, ``\r`` and ``\\`` mean what they mean in code. A line that is a list of
whole numbers, such as ``[12, 34]``, is exact token ids; ``\[12, 34]`` is that text. What is no text
goes on as it is, lists as tuples, to be refused at the door of ``Decoding``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from playground.core.phrases import LARGEST_BIAS, Phrase
from playground.errors import InvalidInput

_IDS = re.compile(r"\s*\[\s*\d{1,9}(\s*,\s*\d{1,9})*\s*\]\s*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "[": "["}


def read_texts(value: Any) -> Any:
    """Texts, one a line."""
    return tuple(map(_unescaped, _lines(value))) if isinstance(value, str) else _tuple(value)


def read_phrase(value: Any) -> Any:
    """One text, or exact ids; an empty text is no ids."""
    if not isinstance(value, str):
        return _tuple(value)
    if not value:
        return ()
    return tuple(json.loads(value)) if _IDS.fullmatch(value) else _unescaped(value)


def read_phrases(value: Any) -> Any:
    """Phrases, one a line, or a list of them."""
    if isinstance(value, str):
        return tuple(map(read_phrase, _lines(value)))
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def read_bias(value: Any) -> Any:
    """Lines such as ``phrase = 2.5``, or a list of pairs.

    Raises InvalidInput, naming the line, for one that is something else.
    """
    if isinstance(value, str):
        lines = enumerate(value.split("\n"), 1)
        return tuple(_read_pair(number, line) for number, line in lines if line.strip())
    if not isinstance(value, list):
        return value
    return tuple((_tuple(p[0]), p[1]) if isinstance(p, list) and len(p) == 2 else p for p in value)


def write_texts(texts: Sequence[str]) -> str:
    """What ``read_texts`` reads."""
    return "\n".join(map(_escaped, texts))


def write_phrase(phrase: Phrase) -> str:
    """What ``read_phrase`` reads."""
    if not isinstance(phrase, str):
        return json.dumps(list(phrase)) if phrase else ""
    escaped = _escaped(phrase)
    return escaped.replace("[", "\\[", 1) if _IDS.fullmatch(phrase) else escaped


def write_phrases(phrases: Sequence[Phrase]) -> str:
    """What ``read_phrases`` reads."""
    return "\n".join(map(write_phrase, phrases))


def write_bias(pairs: Sequence[tuple[Phrase, float]]) -> str:
    """What ``read_bias`` reads."""
    return "\n".join(f"{write_phrase(phrase)} = {weight!r}" for phrase, weight in pairs)


def _read_pair(number: int, line: str) -> tuple[Any, float]:
    phrase, sign, given = line.rpartition("=")
    phrase = phrase.removesuffix(" ")
    if not sign or not phrase:
        _refuse(number, line, "is no phrase with an equals sign and a number")
    try:
        weight = float(given)
    except ValueError:
        _refuse(number, line, "does not end with a number")
    if not abs(weight) <= LARGEST_BIAS:  # NaN as well
        _refuse(number, line, f"has a number beyond {LARGEST_BIAS:g}")
    return read_phrase(phrase), weight


def _refuse(number: int, line: str, what: str) -> NoReturn:
    shown = line if len(line) <= 40 else f"{line[:39]}…"
    raise InvalidInput(
        f"Bias, line {number}: “{shown}” {what}.", field="bias", given=line,
        allowed=f"phrase = number, from {-LARGEST_BIAS:g} to {LARGEST_BIAS:g}",
        advice="Write it as in: phrase = 2.5",
    )


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\([ntr\\\[])", lambda found: _ESCAPES[found[1]], text)


def _escaped(text: str) -> str:
    for sign in ("\\", "n", "t", "r"):
        text = text.replace(_ESCAPES[sign], f"\\{sign}")
    return text
