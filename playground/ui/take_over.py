"""Answers that the tabs of a page show, taken over as texts with what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Message, Raw
from playground.core.trace import Trace
from playground.ui.lane_form import CHAT, RAW
from playground.ui.streaming import Stage
from playground.ui.token_store import KEPT

NOTHING = ("Take over an answer of another tab …", "")


def answers_of(stage: Stage) -> Callable[[gr.Request], Any]:
    """The handler that fills the list of answers when the tab is opened."""

    def answers(request: gr.Request) -> Any:
        """The answers that the other tabs of this page show, to be taken over."""
        found = [
            (_named(tab, place if len(keys) > 1 else None, *answer), key)
            for tab, keys in stage.streams.shown(str(request.session_hash))
            for place, key in enumerate(keys, 1)
            if (answer := kept_answer(key)) and answer[1].strip()
        ]
        return gr.update(choices=[NOTHING, *found], value=NOTHING[1], visible=bool(found))

    return answers


def kept_answer(key: Any) -> tuple[Trace, str] | None:
    """A run that is kept, with its whole answer; None where that is not known.

    The trace of a run with a fork holds only what came after it, the store what stood before, too.
    """
    record = KEPT.get(key)
    if record is None or record.trace is None or record.trace.started is None:
        return None
    trace = record.trace
    if trace.run.fork is None:
        return trace, trace.text
    rows = [json.loads(row) for row in record.tokens]
    if len(rows) != len(trace.run.fork.ids) + len(trace.steps):
        return None
    tail = trace.finished.tail if trace.finished else ""
    return trace, "".join(row[1] for row in rows if not row[7] & 1) + tail


def _named(tab: str, place: int | None, trace: Trace, text: str) -> str:
    """An answer in the list of those that can be taken over."""
    lane = f", lane {place}" if place else ""
    return f"{tab.capitalize()}{lane} · {trace.run.model.label}: {cut(text, 48)}"


def cut(text: str, most: int) -> str:
    """A text on one line, cut where it is too long for it."""
    words = " ".join(text.split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def take(key: Any) -> list[Any]:
    """The text, model and prompt of an answer of another tab; nothing changes without one."""
    answer = kept_answer(key)
    if answer is None:
        return [gr.skip()] * 5
    trace, text = answer
    return [text, trace.run.model.repo, *_given(trace)]


def _given(trace: Trace) -> tuple[str, bool, str]:
    """The prompt of a run as this tab takes it: one question, or the exact text behind it."""
    match trace.run.prompt:
        case Raw(text, control_tokens):
            return RAW, control_tokens, text
        case Chat((Message("user", question),), control_tokens):
            return CHAT, control_tokens, question
    assert trace.started is not None
    return RAW, True, trace.started.rendered
