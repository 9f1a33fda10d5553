"""Opened records as lanes side by side, and what differs beneath two of them; knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from playground.core.recipe import Recipe, recipe_of
from playground.core.recipe_verdict import facts_that_differ
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.records.record import Record
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import KEPT, encode

TEXT_ALONE = ("A record that came in a file has its text alone, so the two are not compared token "
              "by token. Its recipe can be run again.")


@dataclass(frozen=True, slots=True)
class RecordLane:
    """A record that is opened: its feed, None for one that came in a file, and its recipe."""

    title: str
    recipe: Recipe
    feed: TokenFeed | None = None
    text: str = ""

    @property
    def value(self) -> str:
        """What the page is told of it."""
        return self.feed.flush() if self.feed else self.text


def kept_lane(record: Record, trace: Trace, visitor: Visitor = Visitor()) -> RecordLane:
    """A run that was kept here, with every token; it takes this visitor's room in the store."""
    feed = TokenFeed.of(trace, _title(record), _subtitle(record), visitor)
    if (shown := KEPT.get(feed.key)) is not None:
        shown.made = time_of(record.created)
    return RecordLane(_title(record), recipe_of(trace), feed)


def text_lane(record: Record, recipe: Recipe) -> RecordLane:
    """A record that came in a file: its text, for nobody here saw its tokens."""
    failed = record.state == "failed"
    return RecordLane(_title(record), recipe, text=encode({
        "state": record.state if failed else "finished", "title": _title(record),
        "sub": _subtitle(record), "say": "From a file",
        "more": "its text alone; its recipe can be run again", "n": 0, "leading": record.answer,
        "stats": [[f"{record.tokens:,}", "tokens", "As the file says."]],
        "problem": record.reason if failed else "",
    }))


def differences_in_words(lanes: Sequence[RecordLane]) -> str:
    """What two opened records do not share beside their settings; empty where nobody knows of
    anything."""
    if len(lanes) != 2:
        return ""
    told = facts_that_differ(lanes[0].recipe, lanes[1].recipe)
    said = f"They did not run alike: {'; '.join(told)}." if told else ""
    return " ".join(part for part in (said, "" if can_compare(lanes) else TEXT_ALONE) if part)


def can_compare(lanes: Sequence[RecordLane]) -> bool:
    """Whether there are two, and the tokens of both are known."""
    return len(lanes) > 1 and all(lane.feed is not None for lane in lanes)


def time_of(seconds: float) -> str:
    """A moment in UTC, as in a recipe."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _title(record: Record) -> str:
    return record.label or record.model


def _subtitle(record: Record) -> str:
    parts = (record.model if record.label else "", record.settings,
             f"{record.tab.capitalize()}, {time_of(record.created)[:16].replace('T', ' ')} UTC")
    return " · ".join(part for part in parts if part)
