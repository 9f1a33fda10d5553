"""The handle on a download process: start, hear, notice its silence, end; it fetches nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from playground.environment import own_environment
from playground.errors import DeadlinePassed, HubProblem, Problem, as_error
from playground.models.place import HubId

GivenUp = Callable[[], bool]

_TICK = 0.1
_ROOT = str(Path(__file__).resolve().parent.parent.parent)
_SCRIPT = """import sys
sys.path.insert(0, sys.argv[1])
from playground.models.hub import main
main()
"""


class HubProcess:
    """A download process and the pipes to it; killed at the end of a ``with``."""

    def __init__(self, hub: HubId, token: str | None, have: str, look: bool = False) -> None:
        self._hub = hub
        self.stalled = 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, _ROOT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=own_environment(),
        )
        request = {"repo": hub.repo, "revision": hub.revision, "token": token, "have": have,
                   "count": not look, "look": look}
        self.send(json.dumps(request))

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def send(self, line: str) -> None:
        """Say something to it; one that is dead is noticed by its silence."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def says(
        self, given_up: GivenUp, stalled: float, deadline: float
    ) -> Iterator[dict[str, Any]]:
        """What it says, line by line, and an empty answer now and then while it says nothing.

        ``stalled`` may be changed meanwhile. Raises PlaygroundError for a problem that it tells,
        for too long a silence, and when nobody waits any more.
        """
        assert self._process.stdout
        lines: SimpleQueue[str] = SimpleQueue()
        reader = threading.Thread(
            target=_pass_on, args=(self._process.stdout, lines), name="download", daemon=True
        )
        reader.start()
        self.stalled = stalled
        start = heard = time.monotonic()
        while True:
            now = time.monotonic()
            if given_up():
                raise unwanted(self._hub)
            if now - heard > self.stalled or now - start > deadline:
                raise _too_slow(self._hub, now - heard > self.stalled, self.stalled, deadline)
            try:
                line = lines.get(timeout=_TICK)
            except Empty:
                yield {}
                continue
            heard = time.monotonic()
            if not line:
                return
            said: dict[str, Any] = json.loads(line)
            if "problem" in said:
                raise as_error(Problem(**said["problem"]))
            yield said


def _pass_on(told: IO[str], lines: SimpleQueue[str]) -> None:
    """Lines as they come, and an empty one at the end."""
    try:
        for line in told:
            lines.put(line)
    except ValueError:  # closed under us, because nobody waits any more
        pass
    lines.put("")


def unwanted(hub: HubId) -> DeadlinePassed:
    """What whoever has given up is told, if it is told anything."""
    return DeadlinePassed(f"Nobody waits for {hub.repo} any more.", field="model")


def silent(hub: HubId) -> HubProblem:
    """The sentence for a process that ended without a result."""
    return HubProblem(
        f"The download of {hub.repo} ended without a word.", field="model", given=hub.repo,
        advice="Try again; the log of the app may say more.",
    )


def _too_slow(hub: HubId, is_stalled: bool, stalled: float, deadline: float) -> HubProblem:
    what = f"sent nothing for {stalled:g} s" if is_stalled else f"took longer than {deadline:g} s"
    return HubProblem(
        f"The Hub {what}, so the download of {hub.repo} was stopped.",
        field="model", given=hub.repo,
        advice="Try again: what has come already is kept.",
    )
