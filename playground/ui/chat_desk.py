"""What the Chat tab does: a message to every lane, the buttons of one chat, lanes that come and go.

Every handler gives updates for the tab's components; what an answer shows is ``chat_play``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.ui.actions import Actions, resting, sentence
from playground.ui.chat_play import ChatLanes, Shown, play_chats, still_chats
from playground.ui.chats import Chats, Question
from playground.ui.lane_count import one_less, one_more, shown
from playground.ui.parting import Parting
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import idle

TAB = "chat"
BUSY = "The answer is still being written. Escape stops it, and then Enter sends."


@dataclass(frozen=True)
class ChatParts:
    """The components of the tab; a chat and a lane for each column."""

    message: gr.Textbox
    actions: Actions
    state: gr.State
    count: gr.Number
    heads: list[gr.HTML]
    boxes: list[gr.Column]
    chats: list[gr.Chatbot]
    below: list[gr.Column]
    lanes: list[gr.HTML]
    parting: Parting

    @property
    def settings(self) -> dict[str, gr.HTML]:
        """The settings of each lane, by the names that the API shows."""
        return {f"settings_{n}": head for n, head in enumerate(self.heads, 1)}

    @property
    def states(self) -> dict[str, Any]:
        """What every question takes beside its text, by name."""
        return {"chats": self.state, "lanes": self.count, **self.settings}

    @property
    def outputs(self) -> list[Any]:
        """What ``Shown.update`` is for, behind run, stop and notice."""
        return [self.state, self.message, *self.chats, *self.lanes, self.parting.panel]


@dataclass(frozen=True)
class ChatDesk:
    """The handlers of the tab."""

    stage: Stage
    default_model: str
    parts: ChatParts

    def send(
        self, request: gr.Request, message: Any, chats: Chats, lanes: int, **settings: Any
    ) -> Iterator[list[Any]]:
        """A message to one or more lanes and their answers; each lane's ``settings`` are a JSON
        object such as {"model": "builtin/tiny-chat", "system": "Be brief.", "preset": "Top-p"}."""
        asked = self._lanes(request, lanes, [settings[name] for name in self.parts.settings])
        yield from self._ask(asked, chats, chats.asked(message, asked.count), message)

    # Gradio fills the request and the event in by position, so they come before the star.
    def retry(
        self, request: gr.Request, event: gr.RetryData, chats: Chats, lanes: int, *settings: Any
    ) -> Iterator[list[Any]]:
        """The last question of one lane, once more."""
        asked = self._lanes(request, lanes, settings)
        yield from self._ask(asked, chats, chats.again(self._number(event)))

    def edit(
        self, request: gr.Request, event: gr.EditData, chats: Chats, lanes: int, *settings: Any
    ) -> Iterator[list[Any]]:
        """Another text for a message; a question is asked again."""
        asked = self._lanes(request, lanes, settings)
        several = isinstance(event.index, (list, tuple)) and event.index
        told = event.index[0] if several else event.index
        place = told if type(told) is int else -1  # a browser may send anything
        lane = self._number(event)
        changed, questions = chats.edited(lane, place, str(event.value), asked.count)
        if questions or self.stage.is_busy(TAB, request):
            yield from self._ask(asked, chats, questions)
        else:
            yield from self._show(asked, self._rest(asked, changed))

    def example(
        self, request: gr.Request, event: gr.SelectData, chats: Chats, lanes: int, *settings: Any
    ) -> Iterator[list[Any]]:
        """One of the examples that stand in an empty chat, to every lane."""
        asked = self._lanes(request, lanes, settings)
        text = event.value.get("text", "") if isinstance(event.value, dict) else ""
        yield from self._ask(asked, chats, chats.asked(text, asked.count))

    def undo(
        self, request: gr.Request, event: gr.UndoData, chats: Chats, lanes: int
    ) -> Iterator[list[Any]]:
        """Take the last question and its answers back; the question returns to the box."""
        left = self._lanes(request, lanes)
        earlier, text = chats.undone(self._number(event), left.count)
        yield from self._show(left, self._rest(left, earlier, text, empty=True))

    def clear(self, request: gr.Request, lanes: int) -> Iterator[list[Any]]:
        """Every chat begins anew."""
        left = self._lanes(request, lanes)
        yield from self._show(left, self._rest(left, Chats(), empty=True))

    def add(self, chats: Chats, count: int, *settings: Any) -> list[Any]:
        """One lane more, set as the last one is, which goes on from the same conversation."""
        wanted, own = one_more(count, settings)
        if wanted > (count or 1):
            chats = chats.copied(wanted - 2, wanted - 1)
        said = [chat.messages() if n < wanted else []
                for n, chat in enumerate(chats.lanes[: len(settings)])]
        return [*self._sized(wanted), *own, chats, *said]

    def remove(self, count: int, request: gr.Request) -> list[Any]:
        """One lane less; where one is left, nothing is compared with it any more."""
        wanted = one_less(count)
        session, boards = str(request.session_hash), self.parts.parting.boards
        board = boards.get(session)
        if board is None or board.running or wanted > 1:
            return [*self._sized(wanted), gr.skip(), gr.skip()]
        boards.drop(session)
        return [*self._sized(wanted), board.lanes[0].value, encode({})]

    @property
    def _total(self) -> int:
        return len(self.parts.chats)

    def _sized(self, wanted: int) -> list[Any]:
        return [wanted, *shown(wanted, self._total), *shown(wanted, self._total)]

    def _number(self, event: gr.EventData) -> int:
        """The lane whose chat an event is of."""
        ids = [chat._id for chat in self.parts.chats]
        return ids.index(event.target._id) if event.target._id in ids else 0

    def _lanes(
        self, request: gr.Request, lanes: int | None, settings: Sequence[Any] = ()
    ) -> ChatLanes:
        count = max(1, min(lanes or 1, self._total))
        return ChatLanes(self.stage, self.parts.parting.boards, TAB, request, self.default_model,
                         count, settings)

    def _ask(
        self, lanes: ChatLanes, chats: Chats, questions: dict[int, Question], message: Any = None
    ) -> Iterator[list[Any]]:
        if self.stage.is_busy(TAB, lanes.request):
            # What was typed stays, what was edited is as it was.
            same = [gr.skip() for _ in range(lanes.count)]
            yield Shown([gr.skip(), gr.skip()], sentence(BUSY), gr.skip(), None,
                        chats.messages(lanes.count), same).update(self._total)
        else:
            yield from self._show(lanes, play_chats(lanes, chats, questions, message))

    def _show(self, lanes: ChatLanes, news: Iterator[Shown]) -> Iterator[list[Any]]:
        updates = (one.update(self._total) for one in news)
        yield from self.stage.show(TAB, lanes.request, updates,
                                   partial(still_chats, lanes.count, self._total))

    def _rest(
        self, lanes: ChatLanes, chats: Chats, message: str | None = None, empty: bool = False
    ) -> Iterator[Shown]:
        """What is shown when nothing runs; lanes stay as they are unless they are emptied."""
        values = [idle() if empty else gr.skip() for _ in range(lanes.count)]
        if empty:
            lanes.boards.drop(str(lanes.request.session_hash))
        yield Shown(resting(), "", chats, message, chats.messages(lanes.count), values,
                    encode({}) if empty else gr.skip())
