"""Kept runs of all owners: kept, found, changed and deleted, and nobody sees another's.

Whatever an owner asks, the owner is part of the question: a record of somebody else is one that is
not there. A disk that is full or a file that is held stops no run: what could not be written is
tried again with the next write, and ``trouble`` says so.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

from playground.core.recipe import Recipe, recipe_of
from playground.core.trace import Trace
from playground.errors import RecordNotFound, StorageProblem
from playground.records.access import Access
from playground.records.record import (
    OWN,
    PAGE,
    VISITS,
    Bounds,
    Draft,
    Found,
    Query,
    Record,
    check_label,
    clean,
    end_of,
    packed,
    prompt_text,
    read,
    tokens_of,
    unpacked,
    written,
)
from playground.records.rows import Rows

UNWRITTEN = 64        # runs that are held to be written later
UNDO_SECONDS = 60.0   # what was deleted can come back for so long
MOST_KEYS = 1000      # in one wish


class Records:
    """The records in ``folder``, or in memory without one. Every method may be called anywhere.

    Methods that return a Future return at once; the others wait for the disk, some seconds at most,
    and raise StorageProblem, or RecordNotFound for a key that the owner has not.
    """

    def __init__(
        self, folder: Path | None = None, bounds: Bounds = OWN,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._unwritten: deque[tuple[str, Draft]] = deque(maxlen=UNWRITTEN)
        self._lost = 0
        self._access = Access(
            folder, self._retry, lambda: self._access.settle(self._sweep, Future())
        )
        self._bounds = VISITS if folder is not None and self.path is None else bounds

    @property
    def path(self) -> Path | None:
        """The file; None where records are in memory and end with the app."""
        return self._access.path

    @property
    def notice(self) -> str:
        """What there is to say of how it was opened, such as a damaged file that was set aside."""
        return self._access.database.notice

    @property
    def trouble(self) -> str:
        """Why the latest write failed; empty when it did not."""
        return self._access.trouble

    @property
    def unwritten(self) -> int:
        """How many runs are not on the disk, and wait for it."""
        return len(self._unwritten)

    @property
    def lost(self) -> int:
        """How many runs were given up, since too many waited."""
        return self._lost

    # Writing

    def keep(self, owner: str, draft: Draft) -> Future[str]:
        """Keep a run; the future has its key once it is on the disk, and "" where the owner keeps
        none."""
        future = self._access.submit(lambda rows: self._keep(rows, owner, draft))

        def failed(done: Future[str]) -> None:
            problem = done.exception()
            # Of "records" is what the disk says; of "record", what is wrong with this one.
            if isinstance(problem, StorageProblem) and problem.problem.field == "records":
                self._lost += len(self._unwritten) == UNWRITTEN
                self._unwritten.append((owner, draft))

        future.add_done_callback(failed)
        return future

    def _keep(self, rows: Rows, owner: str, draft: Draft) -> str:
        if not rows.keeps(owner):
            return ""
        trace = draft.trace
        state, reason = end_of(trace)
        created = self._clock() if draft.created is None else draft.created
        record = Record(
            secrets.token_urlsafe(12), created, clean(draft.tab), clean(draft.group), draft.place,
            clean(trace.run.model.label), clean(draft.settings), clean(prompt_text(trace)),
            clean(trace.answer), tokens_of(trace), state, clean(reason), check_label(draft.label),
            draft.star,
        )
        recipe = None if draft.recipe is None else written(draft.recipe)
        rows.add(owner, record, packed(trace), recipe)
        rows.shrink(owner, self._bounds)
        return record.key

    def star(self, owner: str, key: str, on: bool) -> None:
        """Mark a record, or no longer."""
        self._change(owner, key, "star", int(on))

    def label(self, owner: str, key: str, label: object) -> None:
        """Give a record a name of the owner's own. Raises InvalidInput for what is no label."""
        self._change(owner, key, "label", check_label(label))

    def _change(self, owner: str, key: str, column: str, value: object) -> None:
        (key,) = _checked([key])
        if not self._access.write(lambda rows: rows.change(owner, key, column, value)):
            raise _missing()

    def delete(self, owner: str, keys: Sequence[str] | None) -> float:
        """Delete some records, or all of the owner's; ``restore`` takes this stamp for a minute.

        Raises RecordNotFound where none of them is there.
        """
        keys = None if keys is None else _checked(keys)
        stamp = self._clock()
        if not self._access.write(lambda rows: rows.hide(owner, keys, stamp)):
            raise _missing()
        return stamp

    def restore(self, owner: str, stamp: float) -> int:
        """Bring back what was deleted with this stamp; how many."""
        return int(self._access.write(lambda rows: rows.unhide(owner, stamp)))

    def forget(self, *owners: str) -> Future[int]:
        """Owners have gone, and all their records with them."""

        def leave(rows: Rows) -> int:
            # A copy, made at once: other threads put in what the disk would not take.
            for one in [one for one in tuple(self._unwritten) if one[0] in owners]:
                self._unwritten.remove(one)
            return sum(rows.forget(owner) for owner in owners)

        return self._access.submit(leave)

    def keep_runs(self, owner: str, on: bool) -> None:
        """Whether this owner's runs are kept from now on."""
        self._access.write(lambda rows: rows.keep_runs(owner, on))

    # Reading

    def find(self, owner: str, query: Query | None = None) -> Found:
        """A page of the owner's records."""
        if self._unwritten:
            self._access.submit(lambda rows: None)  # maybe the disk takes them now
        return self._access.read(lambda rows: rows.find(owner, query or Query(), PAGE))

    def get(self, owner: str, keys: Sequence[str]) -> list[Record]:
        """These records with their whole texts, in this order. Raises RecordNotFound where one is
        not there."""
        keys = _checked(keys)
        there = self._access.read(lambda rows: rows.get(owner, keys))
        found = {record.key: record for record in there}
        if not all(key in found for key in keys):
            raise _missing()
        return [found[key] for key in keys]

    def trace(self, owner: str, key: str) -> Trace:
        """The run itself, as it was shown."""
        return unpacked(self._told(owner, key)[0])

    def recipe(self, owner: str, key: str) -> Recipe:
        """What it takes to repeat the run, called as the record is."""
        (record,) = self.get(owner, [key])
        data, came_with = self._told(owner, key)
        if came_with is not None:
            return replace(read(came_with), title=record.label)
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return recipe_of(unpacked(data), record.label, made)

    def _told(self, owner: str, key: str) -> tuple[bytes, str | None]:
        (key,) = _checked([key])
        found = self._access.read(lambda rows: rows.trace(owner, key))
        if found is None:
            raise _missing()
        return found

    def keeps(self, owner: str) -> bool:
        """Whether this owner's runs are kept."""
        return self._access.read(lambda rows: rows.keeps(owner))

    # The end, and what happens in between

    def close(self) -> None:
        """Write what waits and end; waits some seconds at most. Nothing is kept afterwards, and
        what was deleted cannot come back."""
        self._access.close(lambda rows: rows.purge(math.inf))

    def _retry(self) -> None:
        """After a write that went well, those that did not."""
        if self._access.trouble:
            return
        for owner, draft in tuple(self._unwritten):
            self._access.settle(partial(self._keep, owner=owner, draft=draft), Future())
            if self._access.trouble:
                return
            self._unwritten.popleft()

    def _sweep(self, rows: Rows) -> None:
        now = self._clock()
        rows.purge(now - UNDO_SECONDS)
        if self._bounds.days is not None:
            rows.expire(now - self._bounds.days * 86_400)


def _checked(keys: object) -> list[str]:
    """Keys as a page may send them. Raises RecordNotFound for what can be none."""
    given = list(keys) if isinstance(keys, (list, tuple)) else [keys]
    known = [one for one in given[: MOST_KEYS + 1] if isinstance(one, str) and one.isascii()]
    if len(known) > MOST_KEYS or len(known) < len(given):
        raise _missing()
    return known


def _missing() -> RecordNotFound:
    return RecordNotFound("There is no such record.", field="record",
                          advice="It may have been deleted, or left to make room.")
