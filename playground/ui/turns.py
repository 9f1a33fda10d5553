"""Whose word is the last in a tab: a later event of a page ends what an earlier one still shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

import gradio as gr

# The former handler's last word is long on its way by then.
HAND_OVER_SECONDS = 1.0


class Played(Protocol):
    """What a handler plays: a stream of runs."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come of it."""

    def close(self) -> None:
        """End it: nobody hears of it any more."""


class Turn:
    """One handler of a tab, from its first update to its last; ``taken`` once a later one began."""

    def __init__(self) -> None:
        self.played: Played | None = None
        self.taken = False
        self.gone = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether something still runs for it, or is about to."""
        return not self.gone.is_set() and (self.played is None or not self.played.done)


class Turns:
    """The latest handler of each tab of each page."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, str], Turn] = {}

    def of(self, session: str, tab: str) -> Turn | None:
        """The handler that shows something in a tab now, if any."""
        with self._lock:
            return self._turns.get((session, tab))

    def show(
        self, session: str, tab: str, updates: Iterator[list[Any]],
        still: Callable[[list[Any]], list[Any]] | None = None,
    ) -> Generator[list[Any]]:
        """``updates``, until a later handler begins; what an earlier one plays is ended first.

        Gradio says the last update of a handler once more when it ends, and a press of a button may
        reach the server while an update is on its way. So a handler that is taken over ends with an
        update that changes nothing, and the later one waits for that. ``still`` makes it of the
        last one, where gr.skip() for every output will not do.
        """
        turn = Turn()
        with self._lock:
            before = self._turns.get((session, tab))
            self._turns[session, tab] = turn
        try:
            if before is not None:
                _end(before)
            for update in updates:
                if turn.taken:
                    yield still(update) if still else [gr.skip() for _ in update]
                    break
                yield update
        finally:
            if isinstance(updates, Generator):
                updates.close()
            with self._lock:
                if self._turns.get((session, tab)) is turn:
                    del self._turns[session, tab]
            turn.gone.set()


def _end(turn: Turn) -> None:
    turn.taken = True
    if turn.played is not None:
        turn.played.close()
    turn.gone.wait(HAND_OVER_SECONDS)
