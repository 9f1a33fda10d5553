"""One page's branches under a lock, and the one handler at a time that shows them.

Every event of the tab does what it is for and then shows the whole tab until all is quiet, or until
a later event takes over: so several runs stream at once, and no handler writes over another's news.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from playground.errors import PlaygroundError, Problem
from playground.ui.branch_view import Frame, frame_of
from playground.ui.branches import Branches
from playground.ui.streaming import FLUSH_SECONDS

HAND_OVER_SECONDS = 1.0  # the former handler's last word is long on its way by then
LEAST_SECONDS = 0.2      # so that a handler that took over has the last word in any case
QUIET_SECONDS = 0.25     # how often figures of the tree and the samples change
BEGIN_SECONDS = 0.06     # that a first frame waits for the first token of what was just begun
FIRST_SECONDS = 0.015    # between looks while the first token of what was just done is waited for
PULSE_SECONDS = 1.0      # how often a handler without news finds out that its page has gone
MOST_PAGES = 500
MOST_TOKENS = 200_000    # of all pages together, about 3 kB each

Act = Callable[[Branches], str | None]


class Desk:
    """The branches of one page."""

    def __init__(self, branches: Branches) -> None:
        self.branches = branches
        self._changed = threading.Condition(threading.RLock())
        self._turn = 0
        self._gone = threading.Event()
        self._gone.set()
        self._figures_at = 0.0
        self._frame: Frame | None = None
        self._notice: str | Problem = ""

    def show(self, act: Act) -> Iterator[Frame]:
        """Do something, then frames as long as anything runs, or until a later call takes over.

        ``act`` returns a sentence for the reader, if any; so does what it raises. Closing the
        generator means that the page has gone, and stops everything.

        Gradio says the last frame of a handler once more when it ends. So a handler that is taken
        over ends with a frame of what the later one has begun, and the later one waits for that.
        """
        with self._changed:
            self._notice = self._do(act)
            self._turn += 1
            mine, before, gone = self._turn, self._gone, threading.Event()
            self._gone = gone
            self._changed.notify_all()
        before.wait(HAND_OVER_SECONDS)
        try:
            yield from self._frames(mine)
        except GeneratorExit:
            with self._changed:
                if self._turn == mine:
                    self.branches.stop()
            raise
        finally:
            gone.set()

    def close(self) -> None:
        """The page has gone: nobody reads what its runs write."""
        with self._changed:
            self._turn += 1
            self.branches.stop()
            self._changed.notify_all()

    def _do(self, act: Act) -> str | Problem:
        self.branches.pump()
        self._figures_at = 0.0
        try:
            return act(self.branches) or ""
        except PlaygroundError as error:
            return error.problem

    def _frames(self, mine: int) -> Iterator[Frame]:
        least = time.monotonic() + LEAST_SECONDS
        self._await_first(mine)
        frame = self._next(mine, 0.0)
        yield frame
        while self._turn == mine and (frame.live or time.monotonic() < least):
            first = time.monotonic() < least
            frame = self._next(mine, FIRST_SECONDS if first else FLUSH_SECONDS)
            yield frame

    def _await_first(self, mine: int) -> None:
        """Wait a moment for the first tokens: a frame without them would have the browser at work
        when they come, and a branch would be on the screen later."""
        until, player = time.monotonic() + BEGIN_SECONDS, self.branches.player
        with self._changed:
            while self._turn == mine and not player.begun and time.monotonic() < until:
                self._changed.wait(BEGIN_SECONDS / 15)
                self.branches.pump()

    def _next(self, mine: int, pause: float) -> Frame:
        """The next frame that differs from the last, or the same one after a pulse; at once when
        another handler takes over. Looks every ``pause`` seconds; without one the first look is
        now."""
        until = time.monotonic() + PULSE_SECONDS
        with self._changed:
            last = self._frame
            while True:
                if pause and self._turn == mine:
                    self._changed.wait(pause)
                pause = pause or FLUSH_SECONDS
                self.branches.pump()
                frame = self._now()
                late = time.monotonic() > until
                if frame != last or late or self._turn != mine or not frame.live:
                    return frame

    def _now(self) -> Frame:
        now = time.monotonic()
        figures = now - self._figures_at >= QUIET_SECONDS or not self.branches.player.live
        self._frame = frame_of(self.branches, self._notice, None if figures else self._frame)
        if figures:
            self._figures_at = now
        return self._frame


class Desks:
    """The desk of each open page; those of pages that were never closed go, the longest unused
    first, and rather one where nothing runs; only of these for the tokens that they hold."""

    def __init__(self, make: Callable[[str], Branches]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._desks: OrderedDict[str, Desk] = OrderedDict()

    def of(self, session: str) -> Desk:
        """The desk of a page, a new one the first time."""
        with self._lock:
            desk = self._desks.get(session)
            if desk is None:
                desk = self._desks[session] = Desk(self._make(session))
            self._desks.move_to_end(session)
            left = self._leave()
        for one in left:
            one.close()
        return desk

    def _leave(self) -> list[Desk]:
        """Take away the desks that are too many, or hold too much; never the latest."""
        *others, _ = self._desks
        idle = {name: None for name in others if not self._desks[name].branches.player.live}
        held = sum(desk.branches.tokens for desk in self._desks.values())
        left = []
        for name in (*idle, *(name for name in others if name not in idle)):
            if len(self._desks) <= MOST_PAGES and (held <= MOST_TOKENS or name not in idle):
                break
            left.append(self._desks.pop(name))
            held -= left[-1].branches.tokens
        return left

    def close(self, session: str) -> None:
        """A page was closed."""
        with self._lock:
            desk = self._desks.pop(session, None)
        if desk is not None:
            desk.close()
