"""The way to a database: one thread that writes, some who read at once; it knows no record.

What a write says is true once its future has a result: it is on the disk then, and outlives the end
of this process at any moment. A full disk or a file that another program holds makes a job fail
with a sentence, and nothing else.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from playground.errors import PlaygroundError, StorageProblem
from playground.records.database import (
    Database,
    check,
    is_damage,
    open_database,
    reader_of,
    replaced,
    sentence_of,
)
from playground.records.rows import Rows

T = TypeVar("T")
Job = Callable[[Rows], Any]

WAITING = 256  # jobs
READERS = 4    # at once; a search through everything that one owner has may take a while
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 30.0


class Access:
    """The database of ``folder``, or one in memory.

    ``after`` is called in the writer's thread when a job is done, and ``idle`` when none has come
    for a while; both are given ``settle``, which does a job at once.
    """

    def __init__(
        self, folder: Path | None, after: Callable[[], None], idle: Callable[[], None]
    ) -> None:
        self._jobs: queue.Queue[tuple[Job, Future[Any]] | None] = queue.Queue(WAITING)
        self._after, self._idle = after, idle
        self._changing = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.trouble = ""
        self._use(open_database(folder))

    def _use(self, database: Database) -> None:
        """Work with this database from now on; called with ``_changing`` held, or by __init__."""
        self.database = database
        self._rows = Rows(database.connection, database.indexed)
        self._readers: queue.LifoQueue[Rows | None] = queue.LifoQueue()
        # In memory there is one connection, for whoever reads or writes.
        for _ in range(READERS if database.path else 1):
            self._readers.put(Rows(reader_of(database), database.indexed))

    @contextmanager
    def _reader(self) -> Iterator[Rows]:
        """A reader of one's own for a moment; waits for one."""
        while True:
            with self._changing:
                readers = self._readers
            reader = readers.get()
            if reader is not None:
                break
            readers.put(None)  # another database has taken the place of this one
        try:
            yield reader
        finally:
            readers.put(reader)

    def _end_readers(self) -> list[Rows]:
        """Close every reader, each once it is back; called with ``_changing`` held."""
        ended = [self._readers.get() for _ in range(READERS if self.path else 1)]
        for one in filter(None, ended):
            one.close()
        return [one for one in ended if one is not None]

    @property
    def path(self) -> Path | None:
        """The file; None where everything is in memory."""
        return self.database.path

    def submit(self, job: Job) -> Future[Any]:
        """Let the writer do it, as a transaction of its own; never waits."""
        future: Future[Any] = Future()
        with self._starting:
            if self._closed:
                future.set_exception(StorageProblem("The records are closed.", field="records"))
                return future
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="records", daemon=True)
                self._thread.start()
            # Still under the lock: nothing may come behind the last job, where nobody takes it.
            full = self._jobs.full()
            if not full:
                self._jobs.put_nowait((job, future))
        if full:
            future.set_exception(StorageProblem("Too many runs wait to be written.",
                                                field="records"))
        return future

    def write(self, job: Callable[[Rows], T]) -> T:
        """Do a job and wait for it, some seconds at most. Raises StorageProblem, or what the job
        raises."""
        future: Future[T] = self.submit(job)
        return waited(future)

    def read(self, question: Callable[[Rows], T]) -> T:
        """Ask at once, whatever is written meanwhile. Raises StorageProblem."""
        for attempt in (1, 2):
            try:
                with self._reader() as reader:
                    return question(reader)
            except sqlite3.Error as error:
                if attempt == 2 or not is_damage(error):
                    raise StorageProblem(sentence_of(error, self.path), field="records") from error
            # The writer meets the same damage where it reads all, and sets the file aside.
            self.write(lambda rows: check(self.path) if self.path else None)
        raise AssertionError("the second attempt returns or raises")

    def close(self, last: Job) -> None:
        """Write what waits, then ``last``, and end; waits some seconds at most."""
        with self._starting:
            if self._closed:
                return
            thread, self._closed = self._thread, True
        if thread is not None:
            with suppress(queue.Full):  # a disk that hangs must not keep the app from ending
                self._jobs.put((last, Future()), timeout=ANSWER_SECONDS)
                self._jobs.put(None, timeout=ANSWER_SECONDS)
                thread.join(ANSWER_SECONDS)
        with self._changing:
            for one in self._end_readers():
                self._readers.put(one)  # whoever asks hears that it is closed
            self._rows.close()

    def _work(self) -> None:
        while True:
            try:
                asked = self._jobs.get(timeout=PAUSE_SECONDS)
            except queue.Empty:
                self._idle()
                continue
            if asked is None:
                return
            self.settle(*asked)
            self._after()

    def settle(self, job: Job, future: Future[Any]) -> None:
        """In the writer's thread: do a job and give its future what came of it; a damaged file is
        replaced once."""
        for attempt in (1, 2):
            try:
                result = self._transact(job)
            except sqlite3.Error as error:
                if attempt == 1 and is_damage(error) and self._replace():
                    continue
                self.trouble = sentence_of(error, self.path)
                future.set_exception(StorageProblem(self.trouble, field="records"))
                return
            except (PlaygroundError, ValueError, TypeError, OverflowError) as error:
                refused = error if isinstance(error, PlaygroundError) else StorageProblem(
                    f"This run cannot be written down ({type(error).__name__}).", field="record")
                future.set_exception(refused)
                return
            self.trouble = ""
            future.set_result(result)
            return

    def _transact(self, job: Job) -> Any:
        connection = self.database.connection
        alone = self._reader() if self.path is None else nullcontext()
        with alone:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = job(self._rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return result

    def _replace(self) -> bool:
        path = self.path
        if path is None:
            return False
        with self._changing:
            readers, ended = self._readers, self._end_readers()
            try:
                self._rows.close()
                self._use(replaced(path))
            except (OSError, sqlite3.Error):
                for one in ended:
                    readers.put(one)  # whoever asks hears that it is closed
                return False
            readers.put(None)
        return True


def waited(future: Future[T]) -> T:
    """What came of a job, some seconds at most. Raises StorageProblem, or what the job raises."""
    try:
        return future.result(ANSWER_SECONDS)
    except TimeoutError:
        raise StorageProblem(
            "The records are busy.", field="records", advice="Try again in a moment."
        ) from None
