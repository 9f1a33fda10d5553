"""The worker's end of the pipe to the app: commands in, replies out, and a sign of life."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Protocol

from playground.core.messages import Alive, Command, DeviceMemory, Reply
from playground.worker.bounds import memory_bounded

HEARTBEAT_SECONDS = 1.0
ENCODING_SECONDS = 2.0


def _nothing() -> DeviceMemory | None:
    return None


class Outlet(Protocol):
    """Where a station's replies go."""

    def send(self, reply: Reply, /) -> None:
        """Send ``reply``."""

    def bounded(self) -> AbstractContextManager[None]:
        """Inside, what a repo brings can take only so much."""


class Pipe:
    """The worker's end of the pipe; without an app at the other end, the process ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.commands: SimpleQueue[Command] = SimpleQueue()
        self.silent_from: float | None = None
        self.memory: Callable[[], DeviceMemory | None] = _nothing

    def start(self) -> None:
        """Read commands and send heartbeats in threads of their own."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def send(self, reply: Reply) -> None:
        """Send ``reply``; when nobody can hear it any more, the process ends."""
        try:
            with self._lock:
                self._connection.send(reply)
        except OSError:
            os._exit(0)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Inside, heartbeats end after ENCODING_SECONDS, so that the app's watchdog sees a hang,
        and the memory that can be had is bounded.

        For work that runs what a repo brings (a chat template, a tokenizer), which may never end
        and ask for anything.
        """
        self.silent_from = time.monotonic() + ENCODING_SECONDS
        try:
            with memory_bounded():
                yield
        finally:
            self.silent_from = None

    def _read(self) -> None:
        while True:
            try:
                self.commands.put(self._connection.recv())
            except (EOFError, OSError):
                os._exit(0)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            silent_from = self.silent_from
            if silent_from is None or time.monotonic() < silent_from:
                self.send(Alive(self.memory()))
