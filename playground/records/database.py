"""A file of records, opened: its schema, older ones brought up to it, a damaged one set aside.

It knows no owner and no run. A file that is not ours, or that a newer version wrote, is left alone.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.errors import StorageProblem

NAME = "records.sqlite3"
APPLICATION = int.from_bytes(b"ToBT", "big")
BUSY_SECONDS = 5.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# One tuple of statements a version. Never change one that was released: add the next.
MIGRATIONS: list[Sequence[str]] = [
    (
        """CREATE TABLE records (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            created REAL NOT NULL,
            tab TEXT NOT NULL,
            batch TEXT NOT NULL,
            place INTEGER NOT NULL,
            model TEXT NOT NULL,
            settings TEXT NOT NULL,
            prompt TEXT NOT NULL,
            answer TEXT NOT NULL,
            tokens INTEGER NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL,
            label TEXT NOT NULL,
            star INTEGER NOT NULL,
            deleted REAL,
            bytes INTEGER NOT NULL
        )""",
        "CREATE INDEX records_in_order ON records (owner, deleted, created DESC, batch, place, id)",
        "CREATE INDEX records_by_size ON records (owner, star, created, bytes)",
        "CREATE INDEX records_by_age ON records (star, created)",
        "CREATE INDEX records_deleted ON records (deleted) WHERE deleted IS NOT NULL",
        """CREATE TABLE traces (
            id INTEGER PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE,
            trace BLOB NOT NULL,
            recipe TEXT
        )""",
        "CREATE TABLE owners (owner TEXT PRIMARY KEY, keeping INTEGER NOT NULL)",
    ),
]

# The index of three letters each finds what LIKE finds, in any script; it can be made anew.
_INDEX = "CREATE VIRTUAL TABLE words USING fts5 (said, tokenize = 'trigram')"
SAID = "label || char(10) || model || char(10) || prompt || char(10) || answer"


@dataclass(frozen=True)
class Database:
    """An open file, or memory where ``path`` is None; ``indexed`` where words have an index.

    ``notice`` is what there is to say of its opening.
    """

    connection: sqlite3.Connection
    path: Path | None
    indexed: bool
    notice: str = ""


def open_database(folder: Path | None) -> Database:
    """The records in ``folder``, or in memory without one, or where that cannot be used.

    Then the notice says why. A damaged file is set aside under another name, never overwritten.
    """
    if folder is None:
        return in_memory()
    path = folder / NAME
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            return in_memory(sentence_of(error, path))
    except StorageProblem as problem:
        return in_memory(str(problem))
    except OSError as error:
        return in_memory(f"{folder} cannot be used: {error.strerror}.")
    try:
        return replaced(path)
    except (sqlite3.DatabaseError, OSError) as error:
        return in_memory(f"{path} is damaged and cannot be set aside: {error}.")


def replaced(path: Path) -> Database:
    """A new file in place of a damaged one, which is there still under another name.

    Raises OSError where it cannot be renamed.
    """
    aside = path.with_name(f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.stem.partition('+')[0]}+{number}{path.suffix}")
    for end in ("", "-wal", "-shm"):
        if (part := path.with_name(path.name + end)).exists():
            part.rename(aside.with_name(aside.name + end))
    new = _opened(path)
    notice = f"The file of records was damaged. It is kept as {aside.name}, and a new one began."
    return Database(new.connection, path, new.indexed, notice)


def in_memory(notice: str = "") -> Database:
    """Records that end with the app, and why they are there."""
    connection = _connected(":memory:")
    return Database(connection, None, _prepare(connection), notice)


def reader_of(database: Database) -> sqlite3.Connection:
    """A second connection that only reads, so that nobody who reads waits for who writes."""
    if database.path is None:
        return database.connection
    connection = _connected(str(database.path))
    connection.execute("PRAGMA query_only = ON")
    return connection


def check(path: Path) -> None:
    """Read all of a file, past what an open connection remembers of it. Raises
    sqlite3.DatabaseError where it is damaged."""
    connection = _connected(str(path))
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.close()
    if said != "ok":
        error = sqlite3.DatabaseError(said)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, or is no database at all."""
    return _code(error) in _DAMAGED


def sentence_of(error: sqlite3.Error, path: Path | None) -> str:
    """Why SQLite could not do it, for whoever reads the page."""
    where = "The file of records" if path is None else str(path)
    match _code(error):
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_TOOBIG:
            return f"{where} cannot be written: the disk is full, or it failed."
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{where} is held by another program."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return f"{where} may only be read."
        case sqlite3.SQLITE_CANTOPEN:
            return f"{where} cannot be opened."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{where} is damaged."
    return f"{where} cannot be used ({error})."


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary error code; 0 where Python itself refused."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _connected(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    return connection


def _opened(path: Path) -> Database:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Prompts are nobody else's business: the file is its owner's from its first byte.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = _connected(str(path))
    try:
        return Database(connection, path, _prepare(connection))
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection) -> bool:
    """The schema as this version knows it; whether words are indexed. Raises StorageProblem for a
    file that must be left alone."""
    _leave_alone(connection)
    # Only a new file takes this; what was deleted gives its room back in small portions.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: what was acknowledged outlives a power failure too, for some milliseconds of the writer.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("BEGIN IMMEDIATE")
    try:
        migrate(connection)
        indexed = _index(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return indexed


def _leave_alone(connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (application or version or tables):
        raise StorageProblem(f"{NAME} in this folder belongs to another program and is left alone.")
    if version > len(MIGRATIONS):
        raise StorageProblem(
            f"{NAME} was written by a newer version of this app and is left alone.",
            given=version, allowed=f"at most version {len(MIGRATIONS)}",
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Every step from the file's version to ours, inside the caller's transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _index(connection: sqlite3.Connection) -> bool:
    """Make the index of words, where this SQLite has one, and make it whole."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone()
    try:
        connection.execute("SELECT rowid FROM words LIMIT 1" if known else _INDEX)
    except sqlite3.OperationalError:
        return False  # an SQLite without FTS5, or before trigrams (3.34)
    told, all_of_them = connection.execute(
        "SELECT (SELECT count(*) FROM words_docsize), (SELECT count(*) FROM records)"
    ).fetchone()
    if told != all_of_them:  # an SQLite without an index wrote here
        connection.execute("DELETE FROM words")
        connection.execute(f"INSERT INTO words (rowid, said) SELECT id, {SAID} FROM records")
    return True
