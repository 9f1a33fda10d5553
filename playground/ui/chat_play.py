"""Questions to several chats at once, played: what each of them shows while it is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gradio as gr

from playground.core.run import Run
from playground.errors import PlaygroundError, Problem
from playground.ui.actions import resting, running, sentence
from playground.ui.chats import Chats, Question
from playground.ui.lane_form import read_lane
from playground.ui.lane_play import Lane, plan_lane
from playground.ui.lane_report import Board, Boards
from playground.ui.lane_turns import waiting_notice
from playground.ui.streaming import Stage
from playground.ui.token_stream import idle
from playground.ui.transcript import Transcript

SECONDS_A_CHAT = 0.02  # between two updates: 15 a second for up to 3 chats, 6 for 8


@dataclass(frozen=True)
class ChatLanes:
    """The lanes of a tab of a page that are in sight, their settings, and where they part."""

    stage: Stage
    boards: Boards
    tab: str
    request: gr.Request
    default_model: str
    count: int
    settings: Sequence[Any]

    def run(self, lane: int, chat: Transcript) -> Run:
        """A chat as the run of a lane. Raises InvalidInput."""
        form = read_lane(self.settings[lane])
        return form.run(chat.prompt(form.system, form.prefill), self.default_model)

    def board(self, asked: Mapping[int, Lane]) -> Board:
        """Where the lanes part, those that are not asked with what they wrote before."""
        before = self.boards.get(str(self.request.session_hash))
        old = dict(enumerate(before.lanes)) if before else {}
        lanes = [asked.get(n) or old.get(n) or Lane(None) for n in range(self.count)]
        return self.boards.put(str(self.request.session_hash), lanes)


@dataclass(frozen=True)
class Shown:
    """What a tab shows now: messages and a lane's value for each chat, and where the lanes part;
    ``message`` None: as is."""

    buttons: list[Any]
    notice: Any
    chats: Any
    message: str | None
    messages: Sequence[Any]
    values: Sequence[Any]
    parting: Any = field(default_factory=gr.skip)

    def update(self, total: int) -> list[Any]:
        """For the components of a tab that has built ``total`` lanes: run, stop, notice, chats,
        message, the messages of each chat, the value of each lane, and where they part. Lanes out
        of sight are told that they are empty, since a gr.HTML that is told gr.skip() before it was
        ever in sight loses its props."""
        away = total - len(self.messages)
        message = gr.skip() if self.message is None else self.message
        return [*self.buttons, self.notice, self.chats, message, *self.messages, *[[]] * away,
                *self.values, *[idle()] * away, self.parting]


def still_chats(count: int, total: int, update: list[Any]) -> list[Any]:
    """An update of ``total`` lanes that changes nothing of the ``count`` that are in sight."""
    *before, parting = update
    first = len(before) - 2 * total
    away = {start + n for start in (first, first + total) for n in range(count, total)}
    return [value if n in away else gr.skip() for n, value in enumerate(update)]


@dataclass
class _Asked:
    """One lane that is being answered. ``before`` is its chat where the answer fails at once."""

    before: Transcript
    chat: Transcript
    lane: Lane

    @property
    def problem(self) -> Problem | None:
        """Why nothing was written, if it is so."""
        feed = self.lane.feed
        if feed is None:
            return self.lane.problem
        return None if feed.trace.text else feed.trace.problem

    @property
    def now(self) -> Transcript:
        """The chat as it is to be kept now."""
        feed = self.lane.feed
        if self.problem is not None or feed is None:
            return self.before
        answered = self.chat.answered(feed.trace)
        return answered if answered.turns[-1].text or feed.trace.is_over else self.chat

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The chat as it is to be shown, with what went wrong."""
        return self.now.messages() if self.problem is None else self.chat.refused(self.problem)


def play_chats(
    lanes: ChatLanes, chats: Chats, questions: Mapping[int, Question], message: str | None
) -> Iterator[Shown]:
    """Ask each lane its question and show the answers as they are written.

    Where all fail before a word was written, the chats return to what they were, with the question
    back in its box; what is wrong is said once. Where some do, each of these says so, and keeps its
    chat as it was.
    """
    asked: dict[int, _Asked] = {}
    try:
        for n, question in questions.items():
            chat = question.earlier.asked(question.text)
            lane = plan_lane("", partial(lanes.run, n, chat))
            asked[n] = _Asked(chats.lanes[n], chat, lane)
    except PlaygroundError as error:
        yield _refused(lanes, chats, error.problem, message)
        return
    alike = {one.lane.problem for one in asked.values()}
    if not asked or (len(alike) == 1 and None not in alike):
        yield _refused(lanes, chats, alike.pop() if alike else None, message)
        return
    yield from _answers(lanes, chats, asked, message)


def _answers(
    lanes: ChatLanes, chats: Chats, asked: Mapping[int, _Asked], message: str | None
) -> Iterator[Shown]:
    """The answers as they are written, from the first moment to the last."""
    feeds = {n: one.lane.feed for n, one in asked.items() if one.lane.feed is not None}
    models = {n: feed.trace.run.model for n, feed in feeds.items()}
    board = lanes.board({n: one.lane for n, one in asked.items()})

    def shown(buttons: list[Any], notice: Any, box: str | None) -> Shown:
        now = chats.put({n: one.now for n, one in asked.items()})
        said = [asked[n].messages if n in asked else chats.lanes[n].messages()
                for n in range(lanes.count)]
        told = board.parting()
        values = [board.mark(n, one.value) for n, one in enumerate(board.lanes)]
        return Shown(buttons, notice, now, box, said, values, told)

    try:
        waits = waiting_notice(lanes.stage.engine, models)
        yield shown(running(), waits, "" if message is not None else None)
        at = time.monotonic()
        for _ in lanes.stage.play(lanes.tab, lanes.request, list(feeds.values())):
            late = time.monotonic() - at >= SECONDS_A_CHAT * len(asked)
            if late and not all(feed.trace.is_over for feed in feeds.values()):
                at = time.monotonic()
                yield shown(running(), gr.skip(), None)
    finally:
        board.running = False
        # Of lanes that were not asked this time the answers are still in sight.
        keys = [one.feed.key for one in board.lanes if one.feed is not None]
        lanes.stage.streams.show(str(lanes.request.session_hash), lanes.tab, keys)
    problems = [one.problem for one in asked.values()]
    if all(problem is not None for problem in problems):
        last = shown(resting(), sentence(problems[0] or ""), message)
        yield replace(last, chats=chats, messages=chats.messages(lanes.count))
        return
    yield shown(resting(), "", None)


def _refused(
    lanes: ChatLanes, chats: Chats, problem: Problem | None, message: str | None
) -> Shown:
    """Nothing is run: the chats as they were, and why."""
    return Shown(resting(), sentence(problem) if problem else "", chats, message,
                 chats.messages(lanes.count), [gr.skip()] * lanes.count)
