"""The tokens that open pages brought for servers whose host has none: in memory, by page, gone when
the page is closed. It sends none."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import gradio as gr

from playground.core.remote import Secret
from playground.settings import Settings
from playground.ui.actions import QUIET

MOST_PAGES = 500
LONGEST = 400

_INFO = "Goes to {name} with what you run there; kept in no file, forgotten with this tab."


class VisitorTokens:
    """What each page brought, by the server's name; of pages that were never closed the oldest go.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, dict[str, Secret]] = OrderedDict()

    def put(self, page: str, server: str, token: object) -> None:
        """Take a token for a server; one that is none (empty, too long, no header) takes it away.
        """
        plain = token.strip() if isinstance(token, str) else ""
        good = 0 < len(plain) <= LONGEST and plain.isascii() and plain.isprintable()
        with self._lock:
            mine = self._pages.pop(page, {})
            mine.pop(server, None)
            if good and " " not in plain:
                mine[server] = Secret(plain)
            if mine:
                self._pages[page] = mine
            while len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)

    def lent(self, page: str) -> dict[str, Any]:
        """The argument ``tokens`` of ``engine.start`` for a page; nothing where it brought none."""
        with self._lock:
            mine = dict(self._pages.get(page, {}))
        return {"tokens": mine} if mine else {}

    def forget(self, page: str) -> None:
        """The page was closed."""
        with self._lock:
            self._pages.pop(page, None)


def token_boxes(settings: Settings, tokens: VisitorTokens) -> None:
    """A box for each server that wants a visitor's own token; nothing where none does."""
    wanting = [remote.name for remote in settings.remotes if remote.visitor_token]
    if not wanting:
        return
    with gr.Row(elem_classes="visitor-tokens"):
        for name in wanting:
            box = gr.Textbox(
                "", label=f"Your token for {name}", info=_INFO.format(name=name), type="password",
                max_length=LONGEST, html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
            )
            # A token that is pasted changes the box without a key.
            gr.on(
                [box.change, box.blur], _taker(tokens, name), box, None, queue=False,
                trigger_mode="always_last", **QUIET,
            )


def _taker(tokens: VisitorTokens, server: str) -> Any:
    def take(token: Any, request: gr.Request) -> None:
        if request.session_hash:  # a caller without a page has no place of its own
            tokens.put(str(request.session_hash), server, token)

    return take
