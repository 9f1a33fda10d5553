"""Whose share of the machine a request takes; it knows no cookie, and trusts no header."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks for runs.

    ``name`` is who it is; an empty one is nobody, who is under the limits of the whole app only.
    ``address`` is where the request came from, as far as that is known for sure: those who come
    from one address are bounded together as well.
    """

    name: str = ""
    address: str = ""


def as_visitor(given: Visitor | str) -> Visitor:
    """A visitor; a plain text is the name of one whose address nobody knows."""
    return given if isinstance(given, Visitor) else Visitor(given)
