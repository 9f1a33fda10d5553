"""Every run that ends is kept here, whatever tab it ran in; never in the way of a stream.

It knows whose run it is, and that a visit ends; the records know how much is kept and how long.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from playground.core.run import Run
from playground.core.trace import Trace
from playground.records.record import OWN, VISITS, VOLUME, Draft, over
from playground.records.store import Records
from playground.settings import Settings
from playground.ui.visitor import Visitors

VISIT_SECONDS = 3600.0  # without a sign of life, after which a visit has ended
SWEEP_SECONDS = 60.0
MOST_VISITS = 50_000  # a program can make up a cookie for each request


@dataclass(frozen=True, slots=True, eq=False)
class Keeping:
    """Where the runs of one stream go when they are over: whose they are, in which tab and when
    they began, and the ``group`` of those that were started together."""

    records: Records
    owner: str
    tab: str
    group: str
    began: float
    describe: Callable[[Run], str]
    still: Callable[[str], None] = lambda owner: None

    def keep(self, trace: Trace, place: int) -> None:
        """Keep a run as it stands; one that nobody reads on was stopped. Returns at once."""
        ended = over(trace)
        if ended is not None:
            self.still(self.owner)
            self.records.keep(self.owner, Draft(
                ended, self.tab, self.describe(ended.run), self.group, place,
                created=self.began,
            ))


class Keeper:
    """Keeps what visitors run, and lets it go with the visit where there is no better place.

    ``describe`` says in words how a run decodes. Without records they are in memory.
    """

    def __init__(
        self, records: Records | None = None, visitors: Visitors | None = None,
        describe: Callable[[Run], str] = lambda run: run.decoding.summary,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.records, self.visitors = records or Records(), visitors or Visitors()
        self.describe, self._clock = describe, clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}
        self._swept = clock()

    @property
    def is_for_the_visit(self) -> bool:
        """Whether records go when their owner does."""
        return self.visitors.are_many and self.records.path is None

    def meet(self, request: Any) -> str | None:
        """A sign of life of a visitor: the owner of what is run there, None for nobody."""
        owner, now = self.visitors.owner(request), self._clock()
        if self.is_for_the_visit:
            with self._lock:
                if owner is not None:
                    self._seen.pop(owner, None)  # so that the longest unseen stand first
                    self._seen[owner] = now
                ended = self._ended(now)
            if ended:
                self.records.forget(*ended).add_done_callback(
                    lambda done: self._again(ended) if done.exception() else None
                )
        return owner

    def _again(self, owners: Sequence[str]) -> None:
        """Their records could not be deleted, for the disk or the writer has no time: the next
        sweep tries again, unless they have come back."""
        with self._lock:
            for owner in owners:
                self._seen.setdefault(owner, -math.inf)

    def _ended(self, now: float) -> list[str]:
        """Owners whose visit has ended, looked for once a minute; where there are too many, the
        longest unseen among them."""
        many = len(self._seen) > MOST_VISITS
        if now - self._swept < SWEEP_SECONDS and not many:
            return []
        self._swept = now
        first = islice(self._seen, MOST_VISITS // 10 if many else 0)
        old = (owner for owner, at in self._seen.items() if now - at > VISIT_SECONDS)
        ended = list(dict.fromkeys((*first, *old)))
        for owner in ended:
            del self._seen[owner]
        return ended

    def begin(self, owner: str | None, tab: str) -> Keeping | None:
        """Where the runs go that an owner begins together now; None where they are nobody's."""
        if owner is None:
            return None
        return Keeping(self.records, owner, tab, secrets.token_urlsafe(9), time.time(),
                       self.describe, self._still)

    def _still(self, owner: str) -> None:
        """A run goes on when its page is closed, and may end after the visit has: what is kept of
        it goes an hour later, as if its owner had been here."""
        if self.is_for_the_visit:
            with self._lock:
                self._seen.setdefault(owner, self._clock())


def keeper_of(settings: Settings, describe: Callable[[Run], str]) -> Keeper:
    """The keeper of an app with these settings, its records opened."""
    bounds = OWN if settings.mode == "local" else VISITS if settings.data is None else VOLUME
    return Keeper(
        Records(settings.data, bounds), Visitors(settings.mode, settings.share), describe
    )
