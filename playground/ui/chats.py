"""The chats of a page's lanes, side by side, as one frozen value; it calls no engine.

A question is everybody's, an answer its lane's: what is sent, edited or taken back as a question
changes every lane that was asked it; an answer is edited or tried again in its own lane alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.ui.transcript import Transcript

MOST = 8


@dataclass(frozen=True, slots=True)
class Question:
    """What one lane is about to be asked: its chat before, and the text."""

    earlier: Transcript
    text: str


@dataclass(frozen=True, slots=True)
class Chats:
    """One transcript a lane, whether or not it is in sight. Every change gives a new value."""

    lanes: tuple[Transcript, ...] = (Transcript(),) * MOST

    def put(self, changed: Mapping[int, Transcript]) -> Chats:
        """These chats with some lanes changed."""
        return Chats(tuple(changed.get(n, chat) for n, chat in enumerate(self.lanes)))

    def messages(self, count: int) -> list[list[dict[str, Any]]]:
        """For the chat components of the first ``count`` lanes: what stands in each."""
        return [chat.messages() for chat in self.lanes[:count]]

    def copied(self, lane: int, to: int) -> Chats:
        """A lane that comes beside another goes on from the same conversation."""
        return self.put({to: self.lanes[lane]})

    def asked(self, text: str, count: int) -> dict[int, Question]:
        """One message to the first ``count`` lanes."""
        return {lane: Question(self.lanes[lane], text) for lane in range(count)}

    def again(self, lane: int) -> dict[int, Question]:
        """The last question of one lane, once more; nothing where there is none."""
        earlier, text = self.lanes[lane].before_last_question()
        return {lane: Question(earlier, text)} if text else {}

    def undone(self, lane: int, count: int) -> tuple[Chats, str]:
        """Every lane's last question and answer taken back, and the text of this lane's."""
        text = self.lanes[lane].before_last_question()[1]
        return self.put({n: self.lanes[n].before_last_question()[0] for n in range(count)}), text

    def edited(
        self, lane: int, shown: int, text: str, count: int
    ) -> tuple[Chats, dict[int, Question]]:
        """Message number ``shown`` of a lane changed to ``text``.

        An answer is simply replaced. A question is to be asked again, in every lane in which the
        same one stands at the same place.
        """
        here = self.lanes[lane]
        place = here.place_of(shown)
        asked = here.question(place) if place is not None else None
        if place is None or asked is None:
            return self.put({lane: here.edited(shown, text)[0]}), {}
        same = [n for n in range(count) if n == lane or self.lanes[n].question(place) == asked]
        return self, {n: Question(self.lanes[n].before(place), text) for n in same}
