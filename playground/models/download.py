"""From a Hub id to a folder of verified files on disk; it knows no model and imports no torch.

The Hub's client may retry for ever and cannot be interrupted, so it works in a child process that
can be killed (``playground.models.hub``). Only that child is given the Hub token. There is one for
all who want the same files, and it ends when nobody does any more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import constants

from playground.core.events import Loading
from playground.errors import HubProblem, ModelTooBig, PlaygroundError, Problem, as_error
from playground.models import hub_cache
from playground.models.hub_faults import offline
from playground.models.hub_process import GivenUp, HubProcess, silent, unwanted
from playground.models.memory import size
from playground.models.place import HubId
from playground.models.repo import Repo, repo_from

News = Callable[[Loading], None]
Admit = Callable[[Repo], None]

_TICK = 0.1
_OF_NO_FILE = (HubProblem.code, ModelTooBig.code)


class Downloads:
    """The downloads of this app.

    ``stalled`` are the seconds without a new byte and ``deadline`` those in all after which a
    download is ended; ``asking`` those that a model which is on the disk waits for the Hub to name
    a newer commit. What was fetched or found once stays the model's commit as long as the app runs.
    Where it is ``offline`` the Hub is not asked at all.
    """

    def __init__(
        self, stalled: float = 60.0, deadline: float = 6 * 3600.0, asking: float = 1.5,
        offline: bool = False,
    ) -> None:
        self._stalled, self._deadline, self._asking = stalled, deadline, asking
        self._offline = offline
        self._changed = threading.Condition()
        self._attempts: dict[HubId, _Attempt] = {}
        self._pinned: dict[HubId, str] = {}

    def fetch(
        self, hub: HubId, token: str | None, news: News, given_up: GivenUp,
        admit: Admit | None = None,
    ) -> Path:
        """The folder with the files of ``hub``: from the disk, and as new as the Hub has them.

        ``admit`` is asked once the Hub has said what the repo is, before its weights come, and may
        raise. Raises PlaygroundError with a sentence for what went wrong, and DeadlinePassed as
        soon as ``given_up`` says that nobody waits any more.
        """
        with self._changed:
            pinned = self._pinned.get(hub, "")
        if pinned and (folder := hub_cache.snapshot(hub.repo, pinned)):
            return folder
        have = hub_cache.snapshot(hub.repo, hub.revision)
        if have and (self._is_offline or hub_cache.commit_of(have) == hub.revision):
            return self._pin(hub, have)
        if self._is_offline:
            raise offline(hub.repo)
        attempt = self._join(hub, token, have)
        try:
            return self._pin(hub, self._wait(attempt, news, given_up, admit))
        finally:
            with self._changed:
                attempt.askers -= 1
                self._changed.notify_all()

    def look(self, hub: HubId, token: str | None, given_up: GivenUp) -> Repo:
        """What the Hub says of a repo, its weights counted from their headers; fetches none.

        Raises as ``fetch`` does.
        """
        if self._is_offline:
            raise offline(hub.repo)
        with HubProcess(hub, token, "", look=True) as child:
            for said in child.says(given_up, self._stalled, self._stalled):
                if "repo" in said:
                    return repo_from(said["repo"])
        raise silent(hub)

    @property
    def _is_offline(self) -> bool:
        return self._offline or constants.is_offline_mode()

    def _pin(self, hub: HubId, folder: Path) -> Path:
        with self._changed:
            self._pinned[hub] = hub_cache.commit_of(folder)
        return folder

    def _join(self, hub: HubId, token: str | None, have: Path | None) -> _Attempt:
        """The attempt that runs for these files, begun now if none does."""
        with self._changed:
            # One that was given up ends within a moment; its files must not be written by two.
            self._changed.wait_for(lambda: not self._ending(hub), 10)
            attempt = self._attempts.get(hub)
            if attempt is not None:
                attempt.askers += 1
                return attempt
            attempt = self._attempts[hub] = _Attempt(hub, have, askers=1)
        threading.Thread(
            target=self._run, args=(attempt, token), name="download", daemon=True
        ).start()
        return attempt

    def _ending(self, hub: HubId) -> bool:
        attempt = self._attempts.get(hub)
        return attempt is not None and attempt.askers == 0

    def _wait(
        self, attempt: _Attempt, news: News, given_up: GivenUp, admit: Admit | None
    ) -> Path:
        """Hear an attempt out, together with everybody else who wants its files."""
        told: Loading | None = None
        admitted = False
        while True:
            with self._changed:
                if not attempt.over and attempt.said == told:
                    self._changed.wait(_TICK)
                said, repo, folder = attempt.said, attempt.repo, attempt.folder
                problem = attempt.problem
            if given_up():
                raise unwanted(attempt.hub)
            if said and said != told:
                news(said)
                told = said
            if folder:
                return folder
            if problem:
                raise as_error(problem)
            if repo and not admitted:
                if admit:
                    admit(repo)
                admitted = attempt.go = True

    def _run(self, attempt: _Attempt, token: str | None) -> None:
        """One attempt, on a thread of its own. Whatever happens, those who wait hear of it."""
        folder: Path | None = None
        problem: Problem | None = silent(attempt.hub).problem
        try:
            folder, problem = self._follow(attempt, token), None
        except PlaygroundError as error:
            problem = error.problem
            # A Hub that is away, or no room for a newer commit: no reason to refuse what is here.
            if attempt.have and (not attempt.newer or problem.code in _OF_NO_FILE):
                folder, problem = attempt.have, None
        finally:
            with self._changed:
                attempt.folder, attempt.problem = folder, problem
                del self._attempts[attempt.hub]
                self._changed.notify_all()

    def _follow(self, attempt: _Attempt, token: str | None) -> Path:
        """Start the child and pass on what it says."""
        hub, have = attempt.hub, attempt.have
        asking = "asking the Hub for a newer commit" if have else "asking the Hub"
        self._tell(attempt, Loading("starting" if have else "downloading", None, asking))
        commit = hub_cache.commit_of(have) if have else ""
        pace = Pace()
        with HubProcess(hub, token, commit) as child:
            patience = self._asking if have else self._stalled
            going = False
            for said in child.says(lambda: attempt.askers == 0, patience, self._deadline):
                if "folder" in said:
                    return Path(said["folder"])
                if "newer" in said:
                    attempt.newer = True
                    child.stalled = self._stalled
                elif "repo" in said:
                    with self._changed:
                        attempt.repo = repo_from(said["repo"])
                    self._tell(attempt, _begun(attempt.repo))
                elif "done" in said:
                    self._tell(attempt, pace.progress(**said))
                if attempt.go and not going:
                    going = True
                    child.send("go")
        raise silent(hub)

    def _tell(self, attempt: _Attempt, said: Loading) -> None:
        with self._changed:
            attempt.said = said
            self._changed.notify_all()


@dataclass(eq=False)
class _Attempt:
    """One child's work and who waits for it. ``have`` is the commit on the disk, ``newer`` whether
    the Hub has another; ``go`` whether anybody who waits has admitted the repo."""

    hub: HubId
    have: Path | None
    askers: int = 0
    said: Loading | None = None
    repo: Repo | None = None
    newer: bool = False
    go: bool = False
    folder: Path | None = None
    problem: Problem | None = None

    @property
    def over(self) -> bool:
        """Whether there is a result."""
        return bool(self.folder or self.problem)


@dataclass
class Pace:
    """How fast bytes have come lately, and how long the rest will take."""

    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=60))

    def progress(self, done: int, total: int, checking: str = "") -> Loading:
        """What is told of it."""
        if checking:
            detail = f"checking {checking}: {size(done)} of {size(total)}"
            return Loading("downloading", min(1.0, done / total) if total else None, detail)
        now = time.monotonic()
        while self.seen and (now - self.seen[0][0] > 15 or self.seen[-1][1] > done):
            self.seen.popleft()
        self.seen.append((now, done))
        seconds, count = now - self.seen[0][0], done - self.seen[0][1]
        detail = f"{size(done)} of {size(total)}"
        if seconds > 0.5 and count > 0:
            detail += f", {size(count / seconds)}/s, {_time((total - done) * seconds / count)} left"
        return Loading("downloading", min(1.0, done / total) if total else None, detail)


def _time(seconds: float) -> str:
    """Seconds in the unit that a person would choose."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _begun(repo: Repo) -> Loading:
    """Sizes before bytes."""
    done = (repo.bytes - repo.missing) / repo.bytes if repo.bytes else None
    detail = f"{repo.files} files of commit {repo.commit[:7]}, {size(repo.missing)} to fetch"
    return Loading("downloading", done, detail)
