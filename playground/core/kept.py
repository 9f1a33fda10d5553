"""How much a model keeps of a text that it has read, as arithmetic; it knows no model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """Numbers kept for one text: ``each`` for every token, ``windows`` pairs of (for every token,
    of at most so many tokens), ``fixed`` whatever the length."""

    each: int
    windows: tuple[tuple[int, int], ...] = ()
    fixed: int = 0

    def numbers(self, tokens: int) -> int:
        """How many numbers are kept of a text of ``tokens``."""
        windows = sum(each * min(tokens, most) for each, most in self.windows)
        return self.each * tokens + windows + self.fixed
