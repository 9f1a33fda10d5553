"""The Records tab: the runs that were kept, to be found again, opened and put side by side."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.errors import PlaygroundError
from playground.ui.actions import QUIET, sentence
from playground.ui.keeping import Keeper
from playground.ui.parting import parting_panel
from playground.ui.record_lanes import can_compare, differences_in_words
from playground.ui.record_list import BESIDE, RecordList
from playground.ui.scripted import Bundle, scripted_view
from playground.ui.token_store import encode
from playground.ui.token_stream import idle, token_stream

TAB = "records"
BUNDLE = Bundle("recordList", "records", ("record_row.js", "records.js"), ("records.css",))


def build_records(keeper: Keeper) -> None:
    """Build the tab inside the open Blocks."""
    listed = RecordList(keeper)
    view = scripted_view(BUNDLE, events=("ask", "show"), elem_id="records-list")
    boxes, lanes = [], []
    with gr.Row(elem_classes=["lanes", "record-lanes"]):
        for _ in range(BESIDE):
            with gr.Column(min_width=280, elem_classes=_lane(False)) as box:
                boxes.append(box)
                lanes.append(token_stream(view="tokens", name=TAB, branch=True))
    remark = gr.HTML("", elem_classes="remark", padding=False)
    parting = parting_panel(TAB, shy=True)

    def ask(request: gr.Request, event: gr.EventData) -> str:
        return listed.answer(keeper.meet(request), event._data)

    def show(request: gr.Request, event: gr.EventData) -> list[Any]:
        """Open some records: what the list says of it, the lanes, and how two of them differ."""
        owner, wish = keeper.meet(request), event._data
        try:
            shown = listed.lanes(owner, wish, keeper.visitors.visitor(request))
        except PlaygroundError as error:
            told = encode({"show": _turn(wish), "problem": str(error.problem)})
            return [told, *[gr.update()] * (2 * BESIDE + 2)]
        told = encode({"show": _turn(wish), "opened": len(shown)})
        values, parted = [lane.value for lane in shown], encode({})
        if can_compare(shown):
            board = parting.boards.put(str(request.session_hash), shown)
            board.running = False
            parted = board.parting()
            values = [board.mark(n, value) for n, value in enumerate(values)]
        said = differences_in_words(shown)
        return [told, *values, *[idle()] * (BESIDE - len(shown)),
                *(gr.update(elem_classes=_lane(n < len(shown))) for n in range(BESIDE)),
                sentence(said, "wait") if said else "", parted]

    at_once = {**QUIET, "queue": False, "trigger_mode": "multiple"}
    view.ask(ask, None, view, **at_once)
    view.show(show, None, [view, *lanes, *boxes, remark, parting.panel], show_progress_on=view,
              **at_once)
    parting.wire(lanes, {**QUIET, "show_progress_on": view})


def _lane(shown: bool) -> list[str]:
    """The classes of a lane; one that is put away is there and not absent (see tokens.py)."""
    return ["lane-column", "record-lane", *([] if shown else ["put-away"])]


def _turn(wish: Any) -> int:
    turn = wish.get("turn") if isinstance(wish, dict) else None
    return turn if isinstance(turn, int) else 0
