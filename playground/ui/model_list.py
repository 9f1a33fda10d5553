"""The models as safe HTML: what is in memory, against which budget, and what there is to pick from.

It decides nothing: every button in a row only says what is wished for which model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from html import escape

from playground.core.events import Loading
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.engine import Engine, ModelStatus
from playground.engine.room import Budget
from playground.models.catalog import WAYS, CatalogEntry, choices, entry
from playground.models.footprint import size
from playground.settings import Settings

STATES = {
    "absent": "not loaded",
    "loading": "loading",
    "ready": "ready",
    "busy": "in use",
    "parked": "parked",
    "failed": "failed",
}
# What can be wished for a model in each state; busy ones are left alone.
WISHES = {
    "absent": ("load",),
    "failed": ("load",),
    "loading": ("cancel",),
    "ready": ("park", "pin", "unload"),
    "busy": ("pin",),
    "parked": ("load", "unload"),
}
# What one on a server is in each state.
SERVED = {"absent": "not asked yet", "ready": "reachable", "busy": "in use",
          "failed": "not reached"}
WORDS = {"load": "Load", "cancel": "Cancel", "park": "Park", "pin": "Pin", "unpin": "Unpin",
         "unload": "Unload"}


def key_of(spec: ModelSpec) -> str:
    """What names a model in the page's wishes."""
    return json.dumps(asdict(spec), sort_keys=True)


def list_models(engine: Engine, settings: Settings) -> str:
    """Every offered, loaded, parked or failed model, a row each, under the bar of the budget."""
    statuses = engine.models()
    rows = "".join(_row(status, settings.any_model) for status in statuses)
    heads = ("Model", "State", "Memory", "Device", "Context", "About")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return (
        f'{_bar(engine.budget())}<table class="models"><thead><tr>{head}'
        f'<th><span class="unseen">Wishes</span></th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _bar(budget: Budget) -> str:
    """Bytes set aside for models against what they may take."""
    share = min(1.0, budget.taken / budget.capacity) if budget.capacity > 0 else 1.0
    where = "this machine" if budget.device in ("", "cpu") else budget.device
    said = f"{size(budget.taken)} of {size(budget.capacity)} set aside for models on {where}"
    if budget.parked:
        said += f", {size(budget.parked)} parked in host memory"
    return (
        f'<div class="budget"><span class="bar" role="meter" aria-valuemin="0" aria-valuemax="1" '
        f'aria-valuenow="{share:.4f}" aria-label="Memory for models">'
        f'<span style="width:{share:.2%}"></span></span><span>{escape(said)}</span></div>'
    )


def _row(status: ModelStatus, may_manage: bool) -> str:
    card, spec = status.card, status.spec
    if status.server:
        return _served_row(status)
    # A name is nobody's word: <bdi> keeps it as it is, in any language and direction.
    pinned = ' <span class="pinned">pinned</span>' if status.pinned else ""
    name = f"<bdi>{escape(spec.label)}</bdi>{pinned}"
    return (
        f'<tr><th scope="row">{name}<small><bdi>{escape(spec.repo)}</bdi></small></th>'
        f'<td><span class="state {escape(status.state)}">{escape(_state(status))}</span></td>'
        f"{_cell(_memory(status))}{_cell(f'{card.device} · {card.dtype}' if card else '')}"
        f"{_cell(f'{card.context:,}' if card else '')}"
        f"<td>{escape(_about(status))}</td>"
        f'<td class="wishes">{_buttons(status, may_manage)}</td></tr>'
    )


def _served_row(status: ModelStatus) -> str:
    """One on a server: nothing of it is in this machine's memory."""
    offers, spec = status.offers, status.spec
    key = escape(key_of(spec), quote=True)
    said = SERVED.get(status.state, status.state)
    if status.state == "busy":
        said += f" by {status.leases}"
    elif status.asked_for is not None and status.asked_for >= 60:
        said += f", asked {_age(status.asked_for)} ago"
    known = not spec.repo.endswith("/?")
    name = f"<bdi>{escape(spec.label if known else status.server)}</bdi>"
    small = f"<bdi>{escape(spec.repo)}</bdi>" if known else "a server whose models are not known"
    return (
        f'<tr><th scope="row">{name}<small>{small}</small></th>'
        f'<td><span class="state {escape(status.state)}">{escape(said)}</span></td>{_cell("")}'
        f"{_cell(f'remote · {offers.server}' if offers and offers.server else 'remote')}"
        f"{_cell(f'{offers.context:,}' if offers and offers.context else '')}"
        f"<td>{_served_about(status)}</td>"
        f'<td class="wishes"><button type="button" data-wish="load" data-model="{key}" '
        f'aria-label="Ask {escape(status.server, quote=True)} again">Ask again</button></td></tr>'
    )


def _cell(words: str) -> str:
    """A cell of the table; what is not known is a dash, and left out where rows are cards."""
    return f"<td>{escape(words)}</td>" if words else '<td class="none">–</td>'


def _served_about(status: ModelStatus) -> str:
    if status.problem is not None:
        return escape(str(status.problem))
    if status.offers is None:
        return "What it offers is found out when it is used first."
    offers = status.offers
    if not offers.missing:
        return "It offers everything that can be asked of a server."
    has = f"{offers.alternatives} candidates a token" if offers.alternatives else "Text only"
    lacks = ", ".join(ability for ability, _ in offers.missing)
    whys = "".join(f"<li>{escape(why)}</li>" for why in dict.fromkeys(
        why for _, why in offers.missing))
    return (f"<details><summary>{escape(f'{has}; without {lacks}.')}</summary>"
            f"<ul>{whys}</ul></details>")


def _state(status: ModelStatus) -> str:
    if status.state == "loading":
        said = stage(status.progress)
    elif status.state == "busy":
        said = f"in use by {status.leases}"
    else:
        said = STATES[status.state]
    if status.waiting:
        said += f", {status.waiting} waiting"
    if status.state != "loading" and status.loaded_for is not None and status.loaded_for >= 60:
        said += f", loaded {_age(status.loaded_for)} ago"
    if status.state == "ready" and status.unused_for is not None and status.unused_for >= 60:
        said += f", unused for {_age(status.unused_for)}"
    return said


def _age(seconds: float) -> str:
    """Minutes, or hours once there are some: what changes rarely need not be sent often."""
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def _memory(status: ModelStatus) -> str:
    if status.parked:
        return f"{size(status.parked)} in host memory"
    if status.card:
        return f"{size(status.card.bytes)} of weights"
    return f"freed {status.freed}" if status.freed else ""


def _about(status: ModelStatus) -> str:
    if status.problem is not None:
        return str(status.problem)
    if status.state == "loading" and status.progress and status.progress.detail:
        return status.progress.detail
    card = status.card
    if card is None:
        return entry(status.spec.repo).note
    template = "chat template" if card.has_chat_template else "no chat template"
    return " ".join((f"{card.architecture}, {template}.", *card.notices))


def _buttons(status: ModelStatus, may_manage: bool) -> str:
    """What may be wished; a visitor of a public page may load, and the rest happens by itself."""
    on_device = status.card is not None and status.card.device != "cpu"
    wishes = [
        "unpin" if wish == "pin" and status.pinned else wish
        for wish in WISHES[status.state]
        if (wish != "park" or on_device)
        and not (wish in ("unload", "park") and status.pinned)
        and (may_manage or wish == "load")
    ]
    key = escape(key_of(status.spec), quote=True)
    return "".join(
        f'<button type="button" data-wish="{wish}" data-model="{key}" '
        f'aria-label="{WORDS[wish]} {escape(status.spec.label, quote=True)}">{WORDS[wish]}</button>'
        for wish in wishes
    )


def stage(event: Loading | None) -> str:
    """How far loading is, in a few words, as in "downloading 40%"."""
    if event is None:
        return "loading"
    return event.stage if event.done is None else f"{event.stage} {event.done:.0%}"


def progress(label: str, event: Loading) -> str:
    """A sentence with a bar while a model comes."""
    bar = (
        "<progress></progress>"
        if event.done is None
        else f'<progress max="1" value="{event.done:.3f}"></progress>'
    )
    detail = f" · {event.detail}" if event.detail else ""
    return f'<div class="sentence wait">{escape(f"{label}: {stage(event)}{detail}")} {bar}</div>'


def facts(card: ModelCard) -> str:
    """A loaded model in one line."""
    if card.device == "remote":
        lacks = " ".join(card.notices) or "It offers everything that can be asked of a server."
        return f"{card.architecture}, context {card.context or 'not told'}. {lacks}"
    return (
        f"{card.architecture}, {card.parameters / 1e6:,.1f} M parameters, {size(card.bytes)} as "
        f"{card.dtype} on {card.device}, context {card.context:,} tokens"
    )


def catalog_table(settings: Settings) -> str:
    """The models to pick from, with what each needs in memory, counted from its config."""
    heads = ("Model", "Kind", "Parameters", "Licence", "Context", *WAYS, "About")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(_catalog_row(one) for one in choices(settings.offered, settings.any_model))
    return (
        f'<table class="models catalog"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _catalog_row(one: CatalogEntry) -> str:
    needs = [one.needs(way) for way in WAYS]
    gated = " (gated)" if one.gated else ""
    cells: Iterable[str] = (
        one.kind,
        _count(one.parameters),
        (one.licence or "–") + gated,
        f"{one.context:,}" if one.context else "–",
        *(size(need.total) if need else "–" for need in needs),
        one.note,
    )
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(one.repo)}</th>{shown}</tr>'


def _count(parameters: int) -> str:
    """Parameters as people say them."""
    if not parameters:
        return "–"
    millions = round(parameters / 1e6)
    return f"{parameters / 1e9:.1f} B" if millions >= 1000 else f"{millions} M"
