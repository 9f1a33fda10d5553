"""Variables of a prompt, written ``{like this}``: found, and filled in; it knows no table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from playground.errors import InvalidInput

_PART = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]|[^{}]+")


def variables(text: str) -> tuple[str, ...]:
    """The names in braces, each once, in order. Raises InvalidInput for a brace that stands alone;
    ``{{`` and ``}}`` are braces that are meant as such."""
    return tuple(dict.fromkeys(name for _, name in _parts(text) if name is not None))


def fill(text: str, values: Mapping[str, str], longest: int) -> str:
    """The text with a value for each variable, and plain braces for doubled ones.

    What is filled in is not read again: a brace inside a value is a brace. Raises InvalidInput for
    a variable without a value, and for more than ``longest`` characters, before they are made.
    """
    parts = list(_parts(text))
    for _, name in parts:
        if name is not None and name not in values:
            known = ", ".join(values) or "none"
            raise InvalidInput(
                f"The table has no column “{name}” for {{{name}}}; its columns: {known}.",
                field="prompts", given=name, allowed=known,
                advice="Write {{ and }} for braces that are no variable.",
            )
    length = sum(len(words) if name is None else len(values[name]) for words, name in parts)
    if length > longest:
        raise InvalidInput(
            f"A prompt with its variables filled in has {length} characters; here it may have up "
            f"to {longest}.",
            field="prompts", given=length, allowed=f"up to {longest} characters",
        )
    return "".join(words if name is None else values[name] for words, name in parts)


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    """Words, or the name of a variable."""
    for found in _PART.finditer(text):
        whole, name = found[0], found[1]
        if whole in ("{{", "}}"):
            yield whole[0], None
        elif whole in ("{", "}") or name is not None and not name.strip():
            raise InvalidInput(
                f"A prompt has a {whole} that belongs to no variable.", field="prompts",
                given=text[max(0, found.start() - 20) : found.end() + 20],
                allowed="{name} for a column of the table",
                advice="Write {{ and }} for braces that are meant as such.",
            )
        else:
            yield whole, None if name is None else name.strip()
