"""The statements: every question that is asked of the tables, each with its owner; no thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from playground.records.database import SAID
from playground.records.record import Bounds, Found, Query, Record, clean

BEGINNING = 400  # characters of prompt and answer that a list shows
PORTION = 500    # keys in one statement, and records that leave in one write
_COLUMNS = ("key, created, tab, batch, place, model, settings, {prompt}, {answer}, tokens, state, "
            "reason, label, star")
_BRIEF = _COLUMNS.format(prompt=f"substr(prompt, 1, {BEGINNING})",
                         answer=f"substr(answer, 1, {BEGINNING})")
_WHOLE = _COLUMNS.format(prompt="prompt", answer="answer")
_THERE = "owner = ? AND deleted IS NULL"


class Rows:
    """The tables of an open database. Whoever calls holds the transaction."""

    def __init__(self, connection: sqlite3.Connection, indexed: bool) -> None:
        self._do = connection.execute
        self._indexed = indexed
        self.close = connection.close

    # Writing

    def add(self, owner: str, record: Record, trace: bytes, recipe: str | None) -> None:
        """A new record with its trace, and a recipe that came with it."""
        texts = (record.prompt, record.answer, recipe or "")
        size = len(trace) + sum(len(text.encode()) for text in texts)
        row = self._do(
            "INSERT INTO records (key, owner, created, tab, batch, place, model, settings, prompt, "
            "answer, tokens, state, reason, label, star, bytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (record.key, owner, record.created, record.tab, record.group, record.place,
             record.model, record.settings, record.prompt, record.answer, record.tokens,
             record.state, record.reason, record.label, int(record.star), size),
        ).lastrowid
        self._do("INSERT INTO traces (id, trace, recipe) VALUES (?, ?, ?)", (row, trace, recipe))
        self._tell(f"id = {row}", ())

    def change(self, owner: str, key: str, column: str, value: object) -> int:
        """Another label or star; how many records were changed."""
        changed = self._do(f"UPDATE records SET {column} = ? WHERE key = ? AND {_THERE}",
                           (value, key, owner)).rowcount
        if changed and column == "label":
            found = "key = ? AND owner = ?"
            self._untell(found, (key, owner))
            self._tell(found, (key, owner))
        return changed

    def hide(self, owner: str, keys: Sequence[str] | None, stamp: float) -> int:
        """Delete for now; how many."""
        if keys is None:
            return self._do(f"UPDATE records SET deleted = ? WHERE {_THERE}",
                            (stamp, owner)).rowcount
        return sum(
            self._do(f"UPDATE records SET deleted = ? WHERE {_THERE} AND key IN ({_marks(some)})",
                     (stamp, owner, *some)).rowcount
            for some in _portions(keys)
        )

    def unhide(self, owner: str, stamp: float) -> int:
        """Bring back what was deleted then."""
        return self._do("UPDATE records SET deleted = NULL WHERE owner = ? AND deleted = ?",
                        (owner, stamp)).rowcount

    def forget(self, owner: str) -> int:
        """Delete everything of an owner for good."""
        gone = self._remove("owner = ?", (owner,))
        self._do("DELETE FROM owners WHERE owner = ?", (owner,))
        return gone

    def keep_runs(self, owner: str, on: bool) -> None:
        """Whether an owner's runs are kept."""
        self._do("INSERT INTO owners (owner, keeping) VALUES (?, ?) "
                 "ON CONFLICT (owner) DO UPDATE SET keeping = excluded.keeping", (owner, int(on)))

    def purge(self, before: float) -> int:
        """Delete for good what was deleted before then."""
        return self._remove("deleted < ?", (before,))

    def expire(self, before: float) -> int:
        """Delete for good what is older and has no star."""
        return self._remove("star = 0 AND created < ?", (before,))

    def shrink(self, owner: str, bounds: Bounds) -> None:
        """Let the oldest go until the owner, and all together, are within bounds."""
        self._shrink("owner = ?", (owner,), bounds.records_of_one, bounds.bytes_of_one)
        self._shrink("1", (), bounds.records, bounds.bytes)

    def _shrink(self, whose: str, given: tuple[Any, ...], most: int, most_bytes: int) -> None:
        count, size = self._do(
            f"SELECT count(*), coalesce(sum(bytes), 0) FROM records WHERE {whose}", given
        ).fetchone()
        if count <= most and size <= most_bytes:
            return
        leave = []
        # The one that has just come is the last to go, whatever its age and star.
        for row, weight in self._do(
            f"SELECT id, bytes FROM records WHERE {whose} AND id < (SELECT max(id) FROM records) "
            "ORDER BY deleted IS NULL, star, created, id LIMIT ?", (*given, PORTION),
        ):
            if count <= most and size <= most_bytes:
                break
            leave.append(row)
            count, size = count - 1, size - weight
        self._remove(f"id IN ({_marks(leave)})", tuple(leave))

    def _remove(self, which: str, given: tuple[Any, ...]) -> int:
        self._untell(which, given)
        gone = self._do(f"DELETE FROM records WHERE {which}", given).rowcount
        if gone:
            self._do("PRAGMA incremental_vacuum(1000)").fetchall()
        return gone

    def _tell(self, which: str, given: tuple[Any, ...]) -> None:
        if self._indexed:
            self._do(f"INSERT INTO words (rowid, said) SELECT id, {SAID} FROM records "
                     f"WHERE {which}", given)

    def _untell(self, which: str, given: tuple[Any, ...]) -> None:
        if self._indexed:
            self._do(f"DELETE FROM words WHERE rowid IN (SELECT id FROM records WHERE {which})",
                     given)

    # Reading

    def keeps(self, owner: str) -> bool:
        """Whether an owner's runs are kept."""
        found = self._do("SELECT keeping FROM owners WHERE owner = ?", (owner,)).fetchone()
        return found is None or bool(found[0])

    def find(self, owner: str, query: Query, size: int) -> Found:
        """A page of records and what there is to choose from."""
        where, given = self._where(owner, query)
        total = self._do(f"SELECT count(*) FROM records WHERE {where}", given).fetchone()[0]
        rows = self._do(
            f"SELECT {_BRIEF} FROM records WHERE {where} "
            "ORDER BY created DESC, batch, place, id "
            "LIMIT ? OFFSET ?", (*given, size, min(query.page, 10**9) * size),
        )
        return Found(tuple(map(_record, rows)), total, self._all("model", owner),
                     self._all("tab", owner))

    def get(self, owner: str, keys: Sequence[str]) -> list[Record]:
        """Those of these records that are there, whole."""
        return [
            _record(row) for some in _portions(keys) for row in self._do(
                f"SELECT {_WHOLE} FROM records WHERE {_THERE} AND key IN ({_marks(some)})",
                (owner, *some))
        ]

    def trace(self, owner: str, key: str) -> tuple[bytes, str | None] | None:
        """A record's trace as it was packed, and the recipe that it came with."""
        found: tuple[bytes, str | None] | None = self._do(
            "SELECT trace, recipe FROM traces WHERE id = "
            f"(SELECT id FROM records WHERE key = ? AND {_THERE})", (key, owner)).fetchone()
        return found

    def _where(self, owner: str, query: Query) -> tuple[str, list[Any]]:
        parts: list[str] = [_THERE]
        given: list[Any] = [owner]
        if query.starred:
            parts.append("star = 1")
        for column, value in (("model", query.model), ("tab", query.tab)):
            if value:
                parts.append(f"{column} = ?")
                given.append(clean(value))
        for word in dict.fromkeys(clean(query.words).split()):
            # An index of three letters each knows nothing shorter, such as a word of Chinese.
            if self._indexed and len(word) >= 3:
                parts.append("id IN (SELECT rowid FROM words WHERE words MATCH ?)")
                given.append('"' + word.replace('"', '""') + '"')
            else:
                parts.append(f"instr(folded({SAID}), ?) > 0")
                given.append(word.casefold())
        return " AND ".join(parts), given

    def _all(self, column: str, owner: str) -> tuple[str, ...]:
        rows = self._do(f"SELECT DISTINCT {column} FROM records WHERE {_THERE} ORDER BY 1",
                        (owner,))
        return tuple(value for (value,) in rows)


def _record(row: Sequence[Any]) -> Record:
    return Record(*(*row[:-1], bool(row[-1])))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _portions(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + PORTION] for start in range(0, len(keys), PORTION)]
