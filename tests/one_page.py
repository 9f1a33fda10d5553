"""One page that many tests share, since building one takes most of a second.

It speaks to the engine of the test that asked for it last, in a browser that has just opened it.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.ui.page import build_page

# The request of the browser at hand; its session is another one each time the page is given out.
REQUEST = SimpleNamespace(session_hash="")
_SESSIONS = count(1)


class _EngineAtHand:
    """Stands where the page has its engine, and passes everything on to the test's own."""

    def __init__(self) -> None:
        self.engine: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


_AT_HAND = _EngineAtHand()


@cache
def _built() -> gr.Blocks:
    return build_page(_AT_HAND, Settings())  # type: ignore[arg-type]


def page(engine: Any) -> gr.Blocks:
    """The page over this engine, for a browser that nothing has happened in."""
    _AT_HAND.engine = engine
    REQUEST.session_hash = f"page-{next(_SESSIONS)}"
    return _built()
