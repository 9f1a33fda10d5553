"""Where texts part, over their token ids; it knows no page and draws nothing."""

from __future__ import annotations

from collections.abc import Sequence


def parted(a: Sequence[int], b: Sequence[int]) -> int | None:
    """The first place where both have a token and it is not the same one.

    None while one of them is how the other begins: then they have not parted, and may yet.
    """
    pairs = zip(a, b, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), None)
