"""Events of the views that we draw in the browser: as Gradio takes them, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr


def event_of(view: gr.HTML, name: str) -> Any:
    """A view's own event as ``gr.on`` takes it: Gradio gives those of its components what it gives
    no event of a gr.HTML."""
    event = getattr(view, name)
    event.__self__, event.event_name, event.has_trigger = view, name, True
    event.callback, event.connection, event.event_specific_args = None, "sse", []
    return event


def sent(event: gr.EventData) -> Mapping[str, Any]:
    """What a browser sent with an event: an object that may hold anything, or nothing."""
    return event._data if isinstance(event._data, dict) else {}
