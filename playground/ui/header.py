"""The one row on top: the name, the models in memory with their state, and the memory."""

from __future__ import annotations

from html import escape

import psutil

from playground.engine.engine import Engine, ModelStatus
from playground.models.footprint import size
from playground.settings import Settings
from playground.ui.model_list import stage


def header(engine: Engine, settings: Settings) -> str:
    """The header as safe HTML; it is asked for every few seconds, so it must stay cheap."""
    # What was typed in and failed is said in the Models tab; here it would stand for ever.
    known = [
        status
        for status in engine.models()
        if status.state != "absent"
        # Of a server only what is in use or was asked: it may have fifty models.
        and (not status.server or status.leases or status.offers is not None)
        and (status.state != "failed" or status.spec.repo in settings.offered)
    ]
    chips = "".join(_chip(status) for status in known)
    if not known:
        chips = '<span class="chip">no model in memory</span>'
    if settings.offline:
        chips += '<span class="chip" title="The Hub is not asked for anything.">offline</span>'
    memory = psutil.virtual_memory()
    used = f"{size(memory.total - memory.available)} of {size(memory.total)} memory"
    return (
        '<div class="masthead"><h1>Token by Token</h1>'
        '<p class="claim">what a language model really does, side by side</p>'
        f'<div class="chips" role="status">{chips}<span class="memory">{escape(used)}</span></div>'
        "</div>"
    )


def shared_note(settings: Settings) -> str:
    """What visitors of a shared app can see of each other, as safe HTML; empty where nobody else
    comes."""
    match settings.mode:
        case "local":
            return ""
        case "space":
            who, could = "everybody on this page", "whoever runs this Space could"
        case _:
            door = settings.auth is not None
            if settings.share:
                who = f"everybody who has this link{' and its password' if door else ''}"
                could = "whoever runs this machine, and Gradio\u2019s server in between, could"
            else:
                who = f"everybody on this network{' who has the password' if door else ''}"
                could = "whoever runs this machine could"
    return (
        f'<p class="shared-note" role="note"><b>Shared</b> with {who}. Others see the loaded '
        f"models and how full the memory is, not your prompts or answers; {could}.</p>"
    )


def _chip(status: ModelStatus) -> str:
    card = status.card
    match status.state:
        case "loading":
            said = stage(status.progress)
        case "failed":
            said = "failed"
        case "busy":
            said = "in use"
        case "parked":
            said = "parked"
        case _:
            said = "ready"
    where = f" · {card.device} · {size(card.bytes)}" if card else ""
    where = " · remote" if status.server else where
    bar = "<progress></progress>" if status.state == "loading" else ""
    return (
        f'<span class="chip {escape(status.state)}"><b>{escape(status.spec.label)}</b> '
        f"{escape(said + where)}{bar}</span>"
    )
