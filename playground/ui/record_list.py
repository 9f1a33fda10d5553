"""What the list of records tells a browser, and what it does for one; it knows no Gradio.

A wish comes from a browser and may be anything; every answer is the whole list as JSON text, with
whatever there is to say. Records are found and changed only as those of the owner who asks.
"""

from __future__ import annotations

import csv
import io
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.core.recipe import MOST_LANES, Experiment, read_experiment, written_experiment
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, PlaygroundError
from playground.records.access import waited
from playground.records.record import PAGE, TURN, Draft, Query, Record, told_by
from playground.ui.keeping import VISIT_SECONDS, Keeper
from playground.ui.record_lanes import RecordLane, kept_lane, text_lane, time_of
from playground.ui.token_store import encode

MOST_CHOSEN = 500  # records in one file
BESIDE = 2
FILE = "file"  # what stands where the tab does, of what came in one
_COLUMNS = ("created", "tab", "group", "place", "model", "settings", "state", "reason", "tokens",
            "label", "star", "prompt", "answer")


@dataclass(frozen=True, slots=True)
class File:
    """What a browser is to save."""

    name: str
    kind: str
    text: str


class RecordList:
    """The list of records of whoever asks."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._records = keeper, keeper.records

    def answer(self, owner: str | None, wish: Any) -> str:
        """Do what a browser wishes, and tell the list as it is then."""
        asked: Mapping[str, Any] = wish if isinstance(wish, dict) else {}
        turn = asked.get("turn")
        told: dict[str, Any] = {"turn": turn if isinstance(turn, int) else 0, "place": self.place}
        if owner is None:
            return encode({**told, "nobody": True})
        try:
            told |= self._do(owner, asked)
        except PlaygroundError as error:
            told["problem"] = str(error.problem)
        try:
            told |= self._list(owner, asked.get("query"))
        except PlaygroundError as error:
            told.setdefault("problem", str(error.problem))
        return encode(told)

    def lanes(
        self, owner: str | None, wish: Any, visitor: Visitor = Visitor()
    ) -> list[RecordLane]:
        """The records that a browser wishes to see, at most two.

        Raises RecordNotFound, InvalidInput or StorageProblem.
        """
        asked: Mapping[str, Any] = wish if isinstance(wish, dict) else {}
        keys = asked.get("keys")
        if owner is None or not isinstance(keys, list) or len(keys) > BESIDE:
            raise InvalidInput(f"One or {BESIDE} records can be opened.", field="keys", given=keys,
                               allowed=f"one or {BESIDE}")
        return [self._lane(owner, record, visitor) for record in self._records.get(owner, keys)]

    def _lane(self, owner: str, record: Record, visitor: Visitor) -> RecordLane:
        if record.tab == FILE:
            return text_lane(record, self._records.recipe(owner, record.key))
        return kept_lane(record, self._records.trace(owner, record.key), visitor)

    @property
    def place(self) -> str:
        """Where records are kept and how long, for whoever reads the page."""
        records = self._records
        words = [records.notice] if records.notice else []
        if self._keeper.is_for_the_visit:
            hours = VISIT_SECONDS / 3600
            words.append(
                "Your runs are kept for this visit only: they are deleted "
                f"{'an hour' if hours == 1 else f'{hours:g} hours'} after you leave, and when the "
                "app restarts. Nobody but your browser can see them."
            )
        elif self._keeper.visitors.are_many:
            words.append("Your runs are kept in this app's own storage for 30 days, with a star "
                         "for longer. Nobody but your browser can see them.")
        elif records.path is None:
            words.append("Your runs are kept in memory until the app ends.")
        else:
            words.append(f"Your runs are kept on this machine, in {records.path}.")
        return " ".join(words)

    def _list(self, owner: str, query: Any) -> dict[str, Any]:
        found = self._records.find(owner, _query(query))
        return {
            "rows": [_row(record) for record in found.records],
            "total": found.total,
            "size": PAGE,
            "models": found.models,
            "tabs": found.tabs,
            "keeping": self._records.keeps(owner),
            "trouble": self._trouble,
        }

    @property
    def _trouble(self) -> str:
        """Why the latest write failed, and what has not been written, in a sentence or two."""
        records = self._records
        words = [records.trouble] if records.trouble else []
        if records.trouble and records.unwritten:
            words.append(f"Not written yet: {_runs(records.unwritten)}.")
        if records.lost:
            words.append(f"Given up, since too many waited: {_runs(records.lost)}.")
        return " ".join(words)

    def _do(self, owner: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One wish; what there is to say of it."""
        records, key = self._records, asked.get("key")
        match asked.get("do"):
            case None:
                return {}
            case "star":
                records.star(owner, key, asked.get("on") is True)  # type: ignore[arg-type]
            case "label":
                records.label(owner, key, asked.get("label"))  # type: ignore[arg-type]
            case "delete":
                return self._deleted(owner, _keys(asked))
            case "clear":
                return self._deleted(owner, None)
            case "undo":
                return {"said": f"{_count(records.restore(owner, _number(asked)))} came back."}
            case "keep":
                records.keep_runs(owner, asked.get("on") is True)
            case "recipe":
                return {"file": _file(self._recipe(owner, _keys(asked)))}
            case "import":
                return self._take(owner, asked.get("file"))
            case "csv":
                return {"file": _file(self._csv(owner, _keys(asked)))}
            case other:
                raise InvalidInput("The page asked for something that is not there.", field="do",
                                   given=other)
        return {}

    def _deleted(self, owner: str, keys: list[Any] | None) -> dict[str, Any]:
        before = self._records.find(owner).total
        stamp = self._records.delete(owner, keys)
        gone = before - self._records.find(owner).total
        return {"said": f"{_count(gone)} deleted.", "undo": stamp}

    def _recipe(self, owner: str, keys: list[Any]) -> File:
        if len(keys) > MOST_LANES:
            raise InvalidInput(f"A file holds at most {MOST_LANES} records, and {len(keys)} are "
                               "chosen.", field="keys", allowed=f"at most {MOST_LANES}",
                               advice="Choose fewer, or save them as CSV.")
        lanes = tuple(self._records.recipe(owner, key) for key in keys)
        return File("records.json", "application/json", written_experiment(Experiment(lanes)))

    def _take(self, owner: str, text: Any) -> dict[str, Any]:
        """The runs of a file become records; nobody runs them, and nothing of it is trusted."""
        group, began = secrets.token_urlsafe(9), time.time()
        lanes = read_experiment(text).lanes
        for place, recipe in enumerate(lanes):
            draft = Draft(told_by(recipe), FILE, self._keeper.describe(recipe.run), group, place,
                          label=recipe.title, created=began, recipe=recipe)
            if not waited(self._records.keep(owner, draft)):
                raise InvalidInput("Nothing is kept: “Keep my runs” is off.", field="file",
                                   advice="Switch it on first.")
        return {"said": f"{_count(len(lanes))} came from the file."}

    def _csv(self, owner: str, keys: list[Any]) -> File:
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(_COLUMNS)
        for record in self._records.get(owner, keys):
            values = {name: getattr(record, name) for name in _COLUMNS}
            values |= {"created": time_of(record.created), "star": int(record.star),
                       "prompt": record.prompt.replace(TURN, "\n\n")}
            table.writerow([_cell(values[name]) for name in _COLUMNS])
        return File("records.csv", "text/csv", text.getvalue())


def _row(record: Record) -> dict[str, Any]:
    """One line of the list, texts cut to what a line shows."""
    return {
        "key": record.key, "at": round(record.created * 1000), "tab": record.tab,
        "group": record.group, "place": record.place, "model": record.model,
        "settings": record.settings, "prompt": _line(record.prompt.partition(TURN)[0]),
        "answer": _line(record.answer), "tokens": record.tokens, "state": record.state,
        "reason": record.reason, "label": record.label, "star": record.star,
    }


def _line(text: str) -> str:
    return " ".join(text.split())[:240]


def _query(given: Any) -> Query:
    told = given if isinstance(given, dict) else {}
    known = {name: told[name] for name in ("words", "starred", "model", "tab", "page")
             if name in told}
    return Query(**known)


def _keys(asked: Mapping[str, Any]) -> list[Any]:
    keys = asked.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_CHOSEN:
        raise InvalidInput(f"From 1 to {MOST_CHOSEN} records can be chosen.", field="keys",
                           allowed=f"from 1 to {MOST_CHOSEN}")
    return keys


def _number(asked: Mapping[str, Any]) -> float:
    stamp = asked.get("stamp")
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)):
        raise InvalidInput("There is nothing to bring back.", field="stamp", given=stamp)
    return float(stamp) if abs(stamp) < 1e15 else 0.0


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _file(file: File) -> dict[str, str]:
    return {"name": file.name, "kind": file.kind, "text": file.text}

