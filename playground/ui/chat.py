"""The Chat tab: one to eight conversations beside each other, one message to all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.actions import Actions, action_row, resting, sentence
from playground.ui.blind import way_in
from playground.ui.chat_play import ChatLanes, Shown, play_chats
from playground.ui.chats import MOST, Chats, Question
from playground.ui.decoding_panel import decoding_panel, lane_head, lane_plan, start_form
from playground.ui.lane_count import (
    LaneButtons,
    lane_buttons,
    lane_count,
    one_less,
    one_more,
    shown,
)
from playground.ui.lane_form import CHAT, LaneForm
from playground.ui.lane_turns import planner
from playground.ui.parting import Parting, parting_panel
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import idle, token_stream

TAB = "chat"
FIELDS = ("model", "system", "prefill")
EXAMPLES = (
    "What is the capital of France?",
    "《梦游天姥吟留别》的作者是谁",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "Tell me a short story about a fox.",
)
BUSY = "The answer is still being written. Escape stops it, and then Enter sends."


@dataclass(frozen=True)
class _Parts:
    """The components of the tab that its handlers speak to; a chat and a lane for each column."""

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
    def settings(self) -> dict[str, Any]:
        """The settings of each lane, by the names that the API shows."""
        return {f"settings_{n}": head for n, head in enumerate(self.heads, 1)}

    @property
    def outputs(self) -> list[Any]:
        a = self.actions
        return [a.run, a.stop, a.notice, self.state, self.message, *self.chats, *self.lanes,
                self.parting.panel]


def build_chat(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    total = max(1, min(MOST, settings.limits.columns))
    form = LaneForm(settings.default_model, CHAT, decoding=start_form("Greedy", 128))
    with gr.Row(elem_classes=["tab-body", "chat-body"]):
        with gr.Column(scale=4, min_width=0, elem_classes="lanes-side"):
            lane_plan(settings, TAB, planner(stage.engine, settings))
            boxes, heads, chats = _build_chats(stage, settings, form, total)
            with gr.Row(elem_classes="tab-head"):
                message = gr.Textbox(
                    "",
                    label="Message",
                    placeholder="Enter sends, Shift+Enter starts a line, Escape stops.",
                    lines=1,
                    max_lines=8,
                    scale=6,
                    autofocus=True,
                    elem_id="chat-message",
                )
                actions = action_row(TAB, "Send")
            actions.notice.render()
            with gr.Row(elem_classes="tools"):
                size = lane_buttons()
                way_in(TAB)
            with gr.Accordion("The exact prompt, and the answer token by token", open=True):
                below, lanes = _build_lanes(total)
            parting = parting_panel(TAB, shy=True)
        with gr.Column(scale=0, min_width=0, elem_classes=["side", "tucked", "stays"]):
            decoding_panel(settings, TAB, fields=FIELDS, stays=True)
    parts = _Parts(message, actions, gr.State(Chats()), lane_count(1, total), heads, boxes, chats,
                   below, lanes, parting)
    _wire(stage, settings, parts)
    _wire_count(parts, size)


def _build_chats(
    stage: Stage, settings: Settings, form: LaneForm, total: int
) -> tuple[list[gr.Column], list[gr.HTML], list[gr.Chatbot]]:
    boxes, heads, chats = [], [], []
    with gr.Row(elem_classes=["lanes", "chat-lanes"], elem_id="chat-messages"):
        for number in range(total):
            with gr.Column(min_width=0, visible=number == 0, elem_classes="lane-column") as box:
                boxes.append(box)
                heads.append(lane_head(settings, TAB, number, form, engine=stage.engine))
                chats.append(gr.Chatbot(
                    label=f"Chat {number + 1}",
                    show_label=False,
                    height=440,
                    editable="all",
                    buttons=["copy", "copy_all"],
                    placeholder="### Ask something\nBelow the answer stands the exact prompt.",
                    examples=[{"text": text} for text in EXAMPLES] if number == 0 else None,
                    feedback_options=None,
                    allow_file_downloads=False,
                ))
    return boxes, heads, chats


def _build_lanes(total: int) -> tuple[list[gr.Column], list[gr.HTML]]:
    below, lanes = [], []
    with gr.Row(elem_classes=["lanes", "chat-tokens"]):
        for number in range(total):
            with gr.Column(min_width=0, visible=number == 0, elem_classes="lane-column") as box:
                below.append(box)
                lanes.append(token_stream(
                    "Answer",
                    view="tokens",
                    name="chat",
                    height=240,
                    open_prompt=True,
                    branch=True,
                    hint="After a message: every id the model was given, control tokens marked, "
                    "and each token of its answer.",
                ))
    return below, lanes


def _wire(stage: Stage, settings: Settings, parts: _Parts) -> None:
    total, same = len(parts.chats), gr.skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    # Whatever is pressed while another handler has not ended is heard: see ``Turns.show``.
    go = {**quiet, "show_progress_on": parts.actions.notice, "outputs": parts.outputs,
          "concurrency_limit": None, "trigger_mode": "multiple"}
    states = {"chats": parts.state, "lanes": parts.count, **parts.settings}

    def lanes_of(request: gr.Request, lanes: int | None, values: dict[str, Any]) -> ChatLanes:
        count = max(1, min(lanes or 1, total))
        return ChatLanes(stage, parts.parting.boards, TAB, request, settings.default_model, count,
                      [values[name] for name in parts.settings])

    def updates(news: Iterator[Shown], lane: ChatLanes) -> Iterator[list[Any]]:
        """What is shown as updates of the outputs; lanes out of sight are told that they are empty,
        since a gr.HTML that is told gr.skip() before it was ever in sight loses its props."""
        away = total - lane.count
        for one in news:
            message = same() if one.message is None else one.message
            yield [*one.buttons, one.notice, one.chats, message, *one.messages, *[[]] * away,
                   *one.values, *[idle()] * away, one.parting]

    def show(lane: ChatLanes, news: Iterator[Shown]) -> Iterator[list[Any]]:
        yield from stage.show(TAB, lane.request, updates(news, lane), still(lane.count))

    def still(count: int) -> Callable[[list[Any]], list[Any]]:
        """An update that changes nothing of what is in sight."""
        def changed(update: list[Any]) -> list[Any]:
            chats, lanes = update[5 : 5 + total], update[5 + total : -1]
            return [*[same() for _ in update[:5]], *[same() for _ in chats[:count]], *chats[count:],
                    *[same() for _ in lanes[:count]], *lanes[count:], same()]
        return changed

    def refuse(lane: ChatLanes, chats: Chats) -> Iterator[list[Any]]:
        """While an answer is written: what was typed stays, what was edited is as it was."""
        away = total - lane.count
        said = [chat.messages() for chat in chats.lanes[: lane.count]]
        yield [same(), same(), sentence(BUSY), same(), same(), *said, *[[]] * away,
               *[same() for _ in range(lane.count)], *[idle()] * away, same()]

    def ask(lane: ChatLanes, chats: Chats, questions: dict[int, Question],
            message: Any = None) -> Iterator[list[Any]]:
        if stage.is_busy(TAB, lane.request):
            yield from refuse(lane, chats)
        else:
            yield from show(lane, play_chats(lane, chats, questions, message))

    def send(
        request: gr.Request, message: Any, chats: Chats, lanes: int, **values: Any
    ) -> Iterator[list[Any]]:
        """A message to one or more lanes and their answers; each lane's ``settings`` are a JSON
        object such as {"model": "builtin/tiny-chat", "system": "Be brief.", "preset": "Top-p"}."""
        lane = lanes_of(request, lanes, values)
        yield from ask(lane, chats, chats.asked(message, lane.count), message)

    # Gradio fills the request and the event in by position, so they come before the star.
    def retry(
        request: gr.Request, event: gr.RetryData, chats: Chats, lanes: int, *values: Any
    ) -> Iterator[list[Any]]:
        lane = lanes_of(request, lanes, dict(zip(parts.settings, values, strict=True)))
        yield from ask(lane, chats, chats.again(number_of(event)))

    def edit(
        request: gr.Request, event: gr.EditData, chats: Chats, lanes: int, *values: Any
    ) -> Iterator[list[Any]]:
        lane = lanes_of(request, lanes, dict(zip(parts.settings, values, strict=True)))
        several = isinstance(event.index, (list, tuple)) and event.index
        told = event.index[0] if several else event.index
        place = told if type(told) is int else -1  # a browser may send anything
        changed, questions = chats.edited(number_of(event), place, str(event.value), lane.count)
        if questions or stage.is_busy(TAB, request):
            yield from ask(lane, chats, questions)
        else:
            yield from show(lane, rest(lane, changed))

    def example(
        request: gr.Request, event: gr.SelectData, chats: Chats, lanes: int, *values: Any
    ) -> Iterator[list[Any]]:
        lane = lanes_of(request, lanes, dict(zip(parts.settings, values, strict=True)))
        text = event.value.get("text", "") if isinstance(event.value, dict) else ""
        yield from ask(lane, chats, chats.asked(text, lane.count))

    def undo(
        request: gr.Request, event: gr.UndoData, chats: Chats, lanes: int
    ) -> Iterator[list[Any]]:
        """Take the last question and its answers back; the question returns to the box."""
        lane = lanes_of(request, lanes, dict.fromkeys(parts.settings))
        earlier, text = chats.undone(number_of(event), lane.count)
        yield from show(lane, rest(lane, earlier, text, empty=True))

    def clear(request: gr.Request, lanes: int) -> Iterator[list[Any]]:
        lane = lanes_of(request, lanes, dict.fromkeys(parts.settings))
        yield from show(lane, rest(lane, Chats(), empty=True))

    def rest(
        lane: ChatLanes, chats: Chats, message: str | None = None, empty: bool = False
    ) -> Iterator[Shown]:
        """What is shown when nothing runs; lanes stay as they are unless they are emptied."""
        said = [chat.messages() for chat in chats.lanes[: lane.count]]
        values = [idle() if empty else same() for _ in said]
        if empty:
            lane.boards.drop(str(lane.request.session_hash))
        yield Shown(resting(), "", chats, message, said, values, encode({}) if empty else same())

    def number_of(event: gr.EventData) -> int:
        """The lane whose chat an event is of."""
        return next((n for n, chat in enumerate(parts.chats) if chat._id == event.target._id), 0)

    gr.on(
        [parts.message.submit, parts.actions.run.click], send,
        inputs_kwargs={"message": parts.message, **states},
        **go, api_name="chat",
    )
    every = list(states.values())
    gr.on([chat.retry for chat in parts.chats], retry, every, **go)
    gr.on([chat.edit for chat in parts.chats], edit, every, **go)
    gr.on([chat.undo for chat in parts.chats], undo, [parts.state, parts.count], **go)
    gr.on([chat.clear for chat in parts.chats], clear, parts.count, **go)
    parts.chats[0].example_select(example, every, **go)
    parts.actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    parts.parting.wire(parts.lanes, {**quiet, "show_progress_on": parts.actions.notice})


def _wire_count(parts: _Parts, size: LaneButtons) -> None:
    """Let two buttons add and remove the last lane; a new one is set as the last one was, and goes
    on from the same conversation."""
    boxes = [*parts.boxes, *parts.below]
    event: dict[str, Any] = {"queue": False, "show_progress": "hidden",
                             "api_visibility": "private", "show_progress_on": parts.actions.notice}

    def sized(wanted: int) -> list[Any]:
        total = len(parts.boxes)
        return [wanted, *shown(wanted, total), *shown(wanted, total)]

    def add(chats: Chats, count: int, *values: Any) -> list[Any]:
        wanted, own = one_more(count, values)
        if wanted > (count or 1):
            chats = chats.copied(wanted - 2, wanted - 1)
        said = [chat.messages() if n < wanted else [] for n, chat in
                enumerate(chats.lanes[: len(values)])]
        return [*sized(wanted), *own, chats, *said]

    def remove(count: int, request: gr.Request) -> list[Any]:
        """One lane less; where one is left, nothing is compared with it any more."""
        wanted = one_less(count)
        session, boards = str(request.session_hash), parts.parting.boards
        board = boards.get(session)
        if board is None or board.running or wanted > 1:
            return [*sized(wanted), gr.skip(), gr.skip()]
        boards.drop(session)
        return [*sized(wanted), board.lanes[0].value, encode({})]

    size.more.click(add, [parts.state, parts.count, *parts.heads],
               [parts.count, *boxes, *parts.heads, parts.state, *parts.chats], **event)
    size.fewer.click(remove, parts.count,
                [parts.count, *boxes, parts.lanes[0], parts.parting.panel], **event)
