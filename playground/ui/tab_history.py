"""The open tab in the page's address, so that Back, a reload and a link lead to it; it knows no
tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.ui.scripted import Bundle, scripted_view, sent

BUNDLE = Bundle("tabHistory", "tab-history", ("tab_history.js",))


def keep_tab_in_address(tabs: gr.Tabs) -> None:
    """Let the page's tabs be those of its history; a tab is called by its id."""
    ids = [str(part.id) for part in tabs.children if isinstance(part, gr.Tab)]
    address = scripted_view(BUNDLE, events=("asked",), told={"tabs": " ".join(ids)})

    def go(event: gr.EventData) -> Any:
        tab = sent(event).get("tab")
        return gr.Tabs(selected=tab) if tab in ids else gr.skip()

    address.asked(go, None, tabs, queue=False, trigger_mode="multiple", show_progress="hidden",
                  api_visibility="private")
