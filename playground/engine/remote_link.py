"""The runs on one model of a server, as the batch that a column joins; it knows no queue."""

from __future__ import annotations

import asyncio
import itertools
import logging
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Paced, Started, Step, Unamended
from playground.core.offers import only_here
from playground.core.run import Run
from playground.engine.remote_run import play
from playground.engine.remote_texts import Served
from playground.errors import InvalidInput, Problem

log = logging.getLogger(__name__)

_MISTAKE = Problem("ERROR", "This run failed in a way that the app does not know.",
                   advice="The log of the app says more.")


class RemoteLink:
    """The runs on one model of a server, as the batch that a column joins."""

    def __init__(self, loop: asyncio.AbstractEventLoop, served: Served) -> None:
        self._loop, self._served = loop, served
        self._keys = itertools.count()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._begun: set[int] = set()

    def begin(
        self, run: Run, listener: Callable[[Event], None], pace: Paced | None = None, /
    ) -> int:
        """Ask the server for this run. It goes as fast as the server writes."""
        key = next(self._keys)
        self._listeners[key] = listener
        if pace is not None and (pace.allowed is not None or pace.seconds):
            listener(Paced(None))
        self._on_loop(self._create, key, run)
        return key

    def _on_loop(self, call: Callable[..., None], *given: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *given)
        except RuntimeError:  # the app is closing
            for listener in self._listeners.values():
                listener(Finished("stopped", "", 0, 0, 0.0, 0.0))

    def _create(self, key: int, run: Run) -> None:
        listener = self._listeners[key]

        def tell(event: Event) -> None:
            if isinstance(event, Started):
                self._begun.add(key)
            listener(event)

        task = self._loop.create_task(play(self._served, run, tell))
        self._tasks[key] = task
        task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: int, task: asyncio.Task[None]) -> None:
        """The last word, where the run has not said it: nobody may wait for ever."""
        listener = self._listeners[key]
        if task.cancelled():
            listener(Finished("stopped", "", 0, 0, 0.0, 0.0))
        elif error := task.exception():
            # Its place and its kind, and not its words, which may quote a prompt.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("Unexpected %s in a remote run\n%s", type(error).__name__, frames)
            listener(Failed(_MISTAKE))

    def cancel(self, key: int, /) -> None:
        """Close the connection of a run; returns at once."""
        self._on_loop(self._cancel, key)

    def _cancel(self, key: int) -> None:
        if task := self._tasks.get(key):
            task.cancel()

    def pace(self, key: int, allowed: int | None, seconds: float, /) -> None:
        """A server writes as fast as it can. Raises InvalidInput for another pace; of a run that
        has not begun it is told that it goes freely."""
        self._listeners[key](Paced(None))
        if key in self._begun and (allowed is not None or seconds):
            raise InvalidInput(
                only_here("pace", self._served.name), field="pace",
                advice="Stop is heard at once.",
            )

    def amend(self, key: int, decoding: Decoding, /) -> None:
        """Refused: a server takes its settings once."""
        self._listeners[key](Unamended(decoding, InvalidInput(
            only_here("amend", self._served.name), field="settings",
            advice="Run again with these settings.",
        ).problem))

    def replay(
        self, key: int, position: int, decoding: Decoding, timeout: float, adapter: str, /
    ) -> Step:
        """Refused: the logits stay on the server. Raises InvalidInput."""
        raise InvalidInput(
            only_here("replay", self._served.name), field="position", given=position,
        )
