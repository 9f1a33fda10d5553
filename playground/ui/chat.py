"""The Chat tab: one to eight conversations beside each other, one message to all of them."""

from __future__ import annotations

import gradio as gr

from playground.settings import Settings
from playground.ui.actions import HEARD, action_row
from playground.ui.blind import way_in
from playground.ui.chat_desk import TAB, ChatDesk, ChatParts
from playground.ui.chats import MOST, Chats
from playground.ui.decoding_panel import decoding_panel, lane_head, lane_plan, start_form
from playground.ui.lane_count import (
    LaneButtons,
    lane_buttons,
    lane_count,
)
from playground.ui.lane_form import CHAT, LaneForm
from playground.ui.lane_turns import planner
from playground.ui.parting import parting_panel
from playground.ui.streaming import Stage
from playground.ui.token_stream import token_stream

FIELDS = ("model", "system", "prefill")
EXAMPLES = (
    "What is the capital of France?",
    "《梦游天姥吟留别》的作者是谁",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "Tell me a short story about a fox.",
)


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
    state, count = gr.State(Chats()), lane_count(1, total)
    parts = ChatParts(message, actions, state, count, heads, boxes, chats, below, lanes, parting)
    _wire(ChatDesk(stage, settings.default_model, parts), size)


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
                    height=320,
                    open_prompt=True,
                    branch=True,
                    hint="After a message: every id the model was given, control tokens marked, "
                    "and each token of its answer.",
                ))
    return below, lanes


def _wire(desk: ChatDesk, size: LaneButtons) -> None:
    parts, actions = desk.parts, desk.parts.actions
    every = list(parts.states.values())
    actions.wire(desk.send, {"message": parts.message, **parts.states}, parts.outputs,
                 desk.stage.stopper(TAB), name="chat", enter=[parts.message])
    turn = {**HEARD, **actions.wide, "outputs": [*actions.outputs, *parts.outputs]}
    gr.on([chat.retry for chat in parts.chats], desk.retry, every, **turn)
    gr.on([chat.edit for chat in parts.chats], desk.edit, every, **turn)
    gr.on([chat.undo for chat in parts.chats], desk.undo, [parts.state, parts.count], **turn)
    gr.on([chat.clear for chat in parts.chats], desk.clear, parts.count, **turn)
    parts.chats[0].example_select(desk.example, every, **turn)
    parts.parting.wire(parts.lanes, actions.wide)
    boxes = [parts.count, *parts.boxes, *parts.below]
    size.more.click(desk.add, every, [*boxes, *parts.heads, parts.state, *parts.chats],
                    queue=False, **actions.wide)
    size.fewer.click(desk.remove, parts.count, [*boxes, parts.lanes[0], parts.parting.panel],
                     queue=False, **actions.wide)
