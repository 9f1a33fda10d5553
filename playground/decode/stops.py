"""Stop strings, found in the bytes that tokens add to a text; it knows no run and no model."""

from __future__ import annotations

from collections.abc import Sequence

from playground.models.pieces import Pieces


class Stops:
    """The stop strings of a run, searched in bytes, as ``StopStringCriteria`` finds them.

    A string counts when it ends inside the newest token, even if it began in the prompt.
    """

    def __init__(self, strings: Sequence[str], pieces: Pieces) -> None:
        self._strings = [s.encode() for s in strings]
        self._longest = max((len(s) for s in self._strings), default=0)
        self._pieces = pieces

    def tail(self, before: bytes, id: int) -> bytes:
        """What must be remembered of the bytes so far once ``id`` is added."""
        return (before + self._pieces.data(id))[-self._longest :] if self._strings else b""

    def tail_of(self, ids: Sequence[int]) -> bytes:
        """The same for a whole prompt."""
        found = b""
        for id in reversed(ids if self._strings else ()):
            if len(found) >= self._longest:
                break
            found = self._pieces.data(id) + found
        return found[-self._longest :] if self._strings else b""

    def hit(self, before: bytes, id: int) -> bool:
        """Whether the token ``id`` after the bytes ``before`` completes a stop string."""
        if not self._strings:
            return False
        new = self._pieces.data(id)
        text = before + new
        return bool(new) and any(s in text[-(len(new) + len(s) - 1) :] for s in self._strings)
