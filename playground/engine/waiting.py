"""How long the engine waits for what, and how waiting ends; it starts nothing, knows no model."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from playground.core.events import Loading, Queued
from playground.errors import PlaygroundError

T = TypeVar("T")
GivenUp = Callable[[], bool]
Tell = Callable[[Queued | Loading], None]

TICK = 0.1  # seconds between two looks at whether somebody still waits


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for what, in seconds.

    ``silence``: no sign of life from a worker. ``load``: files to a ready model. ``grace``: a
    stopped run's last word. ``stuck``: a stopped row that still decodes, after which its worker is
    ended. ``unread``: events that nobody reads. ``stalled``: a download without a new byte.
    ``download``: a whole download. ``blocked``: a model whose worker died three times in a row.
    """

    silence: float = 30.0
    load: float = 900.0
    grace: float = 2.0
    stuck: float = 60.0
    unread: float = 15.0
    stalled: float = 60.0
    download: float = 6 * 3600.0
    blocked: float = 600.0


class Abandoned(Exception):
    """Nobody waits any more for what was being done."""


def never() -> bool:
    """Wait as long as it takes."""
    return False


def wait_for(future: Future[T], seconds: float, given_up: GivenUp, late: PlaygroundError) -> T:
    """What comes, or what was raised there; Abandoned when nobody waits, ``late`` after a time."""
    until = time.monotonic() + seconds
    while True:
        try:
            return future.result(timeout=min(TICK, seconds))
        except TimeoutError:
            if given_up():
                raise Abandoned from None
            if time.monotonic() >= until:
                raise late from None
