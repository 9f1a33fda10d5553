"""The blind test of each page as it stands, bounded, and who may see its names; no Gradio."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from playground.core.blind import BlindTest, another_round, blind_test, turns_of
from playground.core.visitor import Visitor
from playground.errors import InvalidInput
from playground.ui.blind_sources import Round
from playground.ui.making_room import next_to_go

MOST_PAGES = 200
MOST_CHARACTERS = 40_000_000  # of all texts together
ID_CHARACTERS = 30  # an id takes about as much memory
SEEDS = 2**63


@dataclass(frozen=True)
class Ballot:
    """A test, where its answers come from, which of them it has already, and whose room it takes;
    ``key`` opens the file of a revealed one."""

    test: BlindTest
    source: str
    used: frozenset[str] = frozenset()
    owner: Visitor = Visitor()
    key: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @property
    def weight(self) -> int:
        """About how many characters it holds."""
        return sum(
            len(one.text) + ID_CHARACTERS * len(one.ids)
            + sum(len(text) for _, text in turns_of(one.run))
            for one in self.test.answers
        )


class Ballots:
    """The ballot of each page; whoever has most of them makes room, the longest untouched first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ballots: OrderedDict[str, Ballot] = OrderedDict()

    def of(self, session: str) -> Ballot | None:
        """The ballot of a page, if it has one."""
        with self._lock:
            return self._ballots.get(session)

    def revealed(self, key: object) -> BlindTest | None:
        """The revealed test under a key; None for any other, whose names nobody may see yet."""
        with self._lock:
            found = [one.test for one in self._ballots.values() if one.key == key]
        return found[0] if found and found[0].revealed else None

    def put(
        self, session: str, source: str, told: Round, keys: frozenset[str] | None = None,
        owner: Visitor = Visitor(),
    ) -> None:
        """A round of answers: added to the page's test of the same source that is not revealed
        yet, else the first of a new test. ``keys`` name the answers, which are not added twice;
        without them a round is a test of its own.

        Raises InvalidInput where nothing can be chosen between, and where votes would be lost.
        """
        with self._lock:
            now, dice = self._ballots.get(session), secrets.randbelow(SEEDS)
            grows = now is not None and now.source == source and not now.test.revealed
            if now is not None and grows and keys is not None:
                if keys <= now.used:
                    return
                test = another_round(now.test, told.contestants, told.answers, dice)
                self._ballots[session] = replace(now, test=test, used=now.used | keys)
            else:
                _check_over(now)
                test = blind_test(told.contestants, told.answers, dice)
                self._ballots[session] = Ballot(test, source, keys or frozenset(), owner)
            self._ballots.move_to_end(session)
            self._make_room()

    def open(self, session: str, test: BlindTest, owner: Visitor = Visitor()) -> None:
        """Show a test that came in a file, revealed, as its names were. Raises InvalidInput where
        votes would be lost."""
        with self._lock:
            _check_over(self._ballots.get(session))
            self._ballots[session] = Ballot(test.reveal(), "file", owner=owner)
            self._ballots.move_to_end(session)
            self._make_room()

    def change(self, session: str, change: Callable[[BlindTest], BlindTest]) -> None:
        """Another state of the page's test; nothing happens without one."""
        with self._lock:
            now = self._ballots.get(session)
            if now is not None:
                self._ballots[session] = replace(now, test=change(now.test))
                self._ballots.move_to_end(session)

    def forget(self, session: str) -> None:
        """The page wants another test, or was closed."""
        with self._lock:
            self._ballots.pop(session, None)

    def _make_room(self) -> None:
        weights = {page: one.weight for page, one in self._ballots.items()}
        held = sum(weights.values())
        while len(weights) > 1 and (len(weights) > MOST_PAGES or held > MOST_CHARACTERS):
            *others, _ = weights
            heavy = held > MOST_CHARACTERS  # and not only too many
            gone = next_to_go(
                (page, self._ballots[page].owner, weights[page] if heavy else 1)
                for page in others
            )
            held -= weights.pop(gone)
            del self._ballots[gone]


def _check_over(now: Ballot | None) -> None:
    """Raise InvalidInput where another test would take the place of votes that say nothing yet."""
    if now is not None and now.test.votes and not now.test.revealed:
        raise InvalidInput(
            "There are votes whose names are not revealed yet.", field="source",
            advice="Reveal them, or start over, before you compare something else.",
        )
