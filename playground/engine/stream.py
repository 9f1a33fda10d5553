"""What N runs are doing, as a queue that one reader empties; it knows no worker and no budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from playground.core.amend import check_amend
from playground.core.decoding import Decoding
from playground.core.events import Amended, Event, Failed, Finished, Paced, Started, Step
from playground.core.run import Run
from playground.core.visitor import Visitor
from playground.errors import DeadlinePassed, InvalidInput, Overloaded, Problem

SLOWEST = 60.0  # seconds for a token, at most


class Batch(Protocol):
    """What a run joins: ``begin`` gives the key that the others take, and returns at once."""

    def begin(
        self, run: Run, listener: Callable[[Event], None], pace: Paced | None = None, /
    ) -> int:
        """Let a run join, no faster than ``pace``."""

    def cancel(self, key: int, /) -> None:
        """Let a run leave; returns at once."""

    def pace(self, key: int, allowed: int | None, seconds: float, /) -> None:
        """Let a run have so many turns more, one each ``seconds``; returns at once."""

    def amend(self, key: int, decoding: Decoding, /) -> None:
        """Let a run go on with other settings; returns at once."""

    def replay(
        self, key: int, position: int, decoding: Decoding, timeout: float, adapter: str, /
    ) -> Step:
        """Choose a recent step of a run again, waiting for it."""


def _anything(_: Run) -> None:
    """No run asks for too much."""


class Column:
    """One run of a stream: its place, its end, and how to let its row leave the batch.

    A column is *over* when its reader has been given the last event, and *gone* when no worker
    decodes for it any more. A stopped run can be over before it is gone.
    """

    def __init__(self, stream: Stream, index: int, run: Run) -> None:
        self.index = index
        self.run = run
        self.over = False
        self.gone = threading.Event()
        self.began_at: float | None = None
        self.stopped_at: float | None = None
        self._stream = stream
        self._expired: Problem | None = None
        self._prompt_tokens = 0
        self._new_tokens = 0
        self._leave: Callable[[], None] | None = None
        self._pace: Paced | None = None
        self._asked: list[Callable[[Batch, int], None]] = []
        self._joined: tuple[Batch, int] | None = None

    def begin(self, batch: Batch) -> None:
        """Let the run join the batch of a worker."""
        with self._stream.changed:
            if self.over:
                self.gone.set()
                return
            self.began_at = time.monotonic()
            run, pace = self.run, self._pace
        key = batch.begin(run, self.tell, pace)
        with self._stream.changed:
            self._leave = partial(batch.cancel, key)
            self._joined = batch, key
            for ask in self._asked:
                ask(batch, key)
            stopped = self.stopped_at is not None
        if stopped:
            batch.cancel(key)

    def tell(self, event: Event) -> None:
        """One more event of this run; what comes after its end is dropped."""
        with self._stream.changed:
            last = isinstance(event, (Finished, Failed))
            if last:
                self.gone.set()
            if self.over:
                return
            if isinstance(event, Started):
                self._prompt_tokens = len(event.prompt)
            elif isinstance(event, Step):
                self._new_tokens += 1
            elif isinstance(event, Paced):
                self._pace = event
            elif isinstance(event, Amended):
                self.run = replace(self.run, decoding=event.decoding)
            self._stream.put(self.index, event)
            if last:
                self._end(event)

    def _end(self, last: Event) -> None:
        self.over = True
        if self._expired and isinstance(last, Finished):
            self._stream.put(self.index, Failed(self._expired))

    def fail(self, problem: Problem) -> None:
        """End a run that has no row."""
        self.tell(Failed(problem))

    def stop(self) -> None:
        """Let the row leave; a run that has not begun is over at once."""
        with self._stream.changed:
            if self.over or self.stopped_at is not None:
                return
            self.stopped_at = time.monotonic()
            leave = self._leave
            if self.began_at is None:
                self._finish()
        if leave:
            leave()

    def pace(self, wanted: Paced) -> None:
        """Let the run go so far and so fast; one that has not begun begins like that."""
        with self._stream.changed:
            if self.over:
                return
            if self.began_at is None:
                self._pace = wanted
                self._stream.put(self.index, wanted)
            else:
                self._ask(lambda batch, key: batch.pace(key, wanted.allowed, wanted.seconds))

    def amend(self, decoding: Decoding) -> None:
        """Let the run go on with other settings. Raises InvalidInput where it cannot."""
        with self._stream.changed:
            if self.over:
                raise InvalidInput(
                    "This run is over, so its settings cannot change.", field="settings",
                    advice="Run again with these settings.",
                )
            check_amend(self.run.decoding, decoding)
            if self.began_at is None:
                stands = len(self.run.fork.ids) if self.run.fork else 0
                self.tell(Amended(stands, decoding))
            else:
                self._ask(lambda batch, key: batch.amend(key, decoding))

    def _ask(self, ask: Callable[[Batch, int], None]) -> None:
        """Ask something of the row, at the latest when it has joined; in the order of asking."""
        if self._joined is None:
            self._asked.append(ask)
        else:
            ask(*self._joined)

    def expire(self, problem: Problem) -> None:
        """Stop the run because its time is up; ``problem`` follows what it has written."""
        with self._stream.changed:
            if self.stopped_at is None:
                self._expired = problem
        self.stop()

    def finish_without_worker(self) -> None:
        """End a stopped run whose worker has not answered yet; its row leaves when it can."""
        with self._stream.changed:
            if not self.over:
                self._finish()

    def _finish(self) -> None:
        last = Finished("stopped", "", self._prompt_tokens, self._new_tokens, 0.0, 0.0)
        self._stream.put(self.index, last)
        self._end(last)

    def replay(self, position: int, decoding: Decoding, timeout: float) -> Step:
        """Choose a recent step of this run again, under other settings, in its worker.

        One step of a stream at a time, so that a slider does not fill the worker's queue; whoever
        waits for that waits no longer than ``timeout`` for both. Raises InvalidInput where there is
        no such step any more, Overloaded, and any other PlaygroundError.
        """
        if self._joined is None:
            raise InvalidInput(
                "This run has not begun, so there is no step of it to look at.",
                field="position", given=position,
            )
        batch, key = self._joined
        until = time.monotonic() + timeout
        if not self._stream.replaying.acquire(timeout=timeout):
            raise Overloaded(
                "Other steps of these runs are being looked at.", field="position", given=position,
                advice="Try again in a moment.",
            )
        try:
            left = max(0.0, until - time.monotonic())
            return batch.replay(key, position, decoding, left, self.run.model.adapter)
        finally:
            self._stream.replaying.release()

    def keep_time(self, now: float, seconds: float, grace: float) -> None:
        """Called every moment: the deadline of a run, and the patience with a stopped one."""
        if self.over:
            return
        if self.stopped_at is not None:
            if now - self.stopped_at > grace:
                self.finish_without_worker()
        elif self.began_at is not None and now - self.began_at > seconds:
            paused = self._pace is not None and self._pace.allowed == 0
            self.expire(_late_paused(seconds) if paused else _late(self.run, seconds))


class Stream:
    """What N runs are doing. One reader calls ``read``; anybody may call ``stop``."""

    def __init__(
        self, runs: Sequence[Run], visitor: Visitor = Visitor(),
        check: Callable[[Run], None] = _anything,
    ) -> None:
        """``check`` raises InvalidInput for a run that asks for more than it may."""
        self.visitor = visitor
        self._check = check
        self.changed = threading.Condition(threading.RLock())
        self.replaying = threading.Lock()
        self.columns = tuple(Column(self, index, run) for index, run in enumerate(runs))
        self._events: list[tuple[int, Event]] = []
        self._read_at = time.monotonic()
        self._readers = 0

    def put(self, column: int, event: Event) -> None:
        """Add an event; for the engine."""
        with self.changed:
            self._events.append((column, event))
            self.changed.notify_all()

    def read(self, wait: float = 0.0) -> list[tuple[int, Event]]:
        """All events since the last read, as pairs of column and event, in order.

        Waits at most ``wait`` seconds for the first; after the end there is nothing more.
        """
        with self.changed:
            self._readers += 1
            try:
                self.changed.wait_for(lambda: self._events or self.over, wait)
                events, self._events = self._events, []
            finally:
                self._readers -= 1
                self._read_at = time.monotonic()
        return events

    @property
    def over(self) -> bool:
        """Whether no run will say anything more."""
        return all(column.over for column in self.columns)

    @property
    def done(self) -> bool:
        """Whether every event has been read and none will come."""
        with self.changed:
            return self.over and not self._events

    def stop(self, column: int | None = None) -> None:
        """Stop one run, or all; the text so far stays. Harmless twice, and returns at once."""
        for one in self.columns:
            if column is None or one.index == column:
                one.stop()

    def pace(self, column: int, allowed: int | None, seconds: float = 0.0) -> None:
        """Let a run choose ``allowed`` more tokens (None: all; 0: pause; 1: one step), no faster
        than one each ``seconds``. Returns at once; ``Paced`` is told, but of a run that is over.

        A token is what one forward gives: a step of beam search, and all the tokens that it took
        of a proposal, count as one. Raises InvalidInput for a number out of its range.
        """
        whole = isinstance(allowed, int) and not isinstance(allowed, bool) and allowed >= 0
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not (allowed is None or whole) or not (number and 0 <= seconds <= SLOWEST):
            raise InvalidInput(
                "A pace is a number of tokens from 0 (or none, for all) and from 0 to "
                f"{SLOWEST:g} seconds for each.",
                field="pace", given=(allowed, seconds),
                allowed=f"a whole number or None, and 0 to {SLOWEST:g}",
            )
        self._column(column).pace(Paced(allowed, float(seconds)))

    def amend(self, column: int, decoding: Decoding) -> None:
        """Let a run go on with other settings from its next token. Returns at once; ``Amended`` is
        told, or ``Unamended`` where only its worker can know that it cannot.

        Raises InvalidInput, naming the field, for what cannot change (see core.amend), what is more
        than a run may ask for, and a run that is over.
        """
        one = self._column(column)
        self._check(replace(one.run, decoding=decoding))
        one.amend(decoding)

    def _column(self, column: int) -> Column:
        if not 0 <= column < len(self.columns):
            raise InvalidInput(
                f"There is no column {column + 1}.", field="column", given=column,
                allowed=f"0 to {len(self.columns) - 1}",
            )
        return self.columns[column]

    def replay(self, column: int, position: int, decoding: Decoding, timeout: float) -> Step:
        """See Engine.replay."""
        return self._column(column).replay(position, decoding, timeout)

    def close(self) -> None:
        """The reader has gone: stop everything. Cheap enough for an event loop's thread."""
        self.stop()

    def unread_for(self, now: float) -> float:
        """Seconds for which nobody has come for the events that wait."""
        with self.changed:
            return 0.0 if self._readers or not self._events else now - self._read_at


def _late_paused(seconds: float) -> Problem:
    return DeadlinePassed(
        f"This run was paused when the {seconds:g} s that a run may take here were over; what it "
        "wrote until then stays.",
        field="pace", given="paused", advice="Go on sooner, or fork it where it ended.",
    ).problem


def _late(run: Run, seconds: float) -> Problem:
    return DeadlinePassed(
        f"This run took longer than the {seconds:g} s that a run may take here; "
        "what it wrote until then stays.",
        field="max_new_tokens", given=run.decoding.max_new_tokens,
        advice="Ask for fewer new tokens.",
    ).problem
