"""What the page says of a model on a server before anything runs on it: which settings, prompts and
views it lacks, and why. The reasons are those with which core/offers.py refuses; it sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.decoding import PRESETS
from playground.core.offers import Capabilities, Inquiry, only_here
from playground.core.prompt import Raw
from playground.core.remote import server_and_model
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.errors import PlaygroundError
from playground.ui.actions import QUIET, sentence
from playground.ui.controls import read_model
from playground.ui.lane_form import CHAT, RAW
from playground.ui.token_store import encode

ASK_AGAIN = 700      # milliseconds after which a page asks whether the server has answered
ASK_LATER = 10_000   # where it did not answer, or a visitor's token is wanted first
PATIENCE = 15.0      # seconds for which a remark waits for a server
_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Lacking:
    """A server that does not offer everything: its name here, and what is known of its offers."""

    server: str
    inquiry: Inquiry


class Servers:
    """What the servers of this app lack, for the page to say as soon as a model is picked."""

    def __init__(self, engine: Engine, rows: Iterable[str]) -> None:
        """``rows`` are the names of all settings of a lane."""
        self._engine, self._rows = engine, tuple(rows)

    def of(self, spec: ModelSpec) -> Lacking | None:
        """What is known of the server of a model, which is asked now where nothing is; None for a
        model of this machine. Raises InvalidInput for a server that nobody named."""
        served = server_and_model(spec.repo)
        inquiry = self._engine.inquire(spec) if served else None
        return Lacking(served[0], inquiry) if served and inquiry else None

    def check(self, run: Run, prompt: bool) -> None:
        """Raise InvalidInput for a run that its server is known not to do; its ``prompt`` counts
        where the lane chooses that itself."""
        found = self.of(run.model)
        if found is None or found.inquiry.offers is None:
            return
        offers = found.inquiry.offers
        if prompt:
            offers.check_prompt(run, found.server)
        offers.check_settings(run, found.server)

    def told(self, model: Any) -> str:
        """What a script must know of a picked model, JSON: the server's name, what it lacks by the
        names of rows, presets and choices, what is said of asking it, and when to ask again."""
        try:
            found = self.of(read_model(model))
        except PlaygroundError as error:
            return encode({"problem": str(error)})
        if found is None:
            return "{}"
        offers, server = found.inquiry.offers, found.server
        if offers is None:
            return encode({"server": server, **_unknown(found)})
        return encode({
            "server": server,
            "lacks": {row: why for row in self._rows
                      if (why := offers.why_no_setting(row, server))},
            "presets": _presets(offers, server),
            "choices": {"template": {form: why for form in (RAW, CHAT)
                                     if (why := _form(offers, form))}},
            "views": {"pace": only_here("pace", server)},
        })


def _unknown(found: Lacking) -> dict[str, Any]:
    if found.inquiry.asking:
        return {"said": f"Asking {found.server} what it takes …", "wait": ASK_AGAIN}
    if found.inquiry.problem is not None:
        return {"problem": str(found.inquiry.problem), "wait": ASK_LATER}
    return {"said": f"What {found.server} takes is found out by the first run.",
            "wait": ASK_LATER}


def _presets(offers: Capabilities, server: str) -> dict[str, str]:
    """The strategies that it cannot follow, and why."""
    told = {}
    for name, decoding in PRESETS.items():
        try:
            offers.check_settings(Run(ModelSpec("any"), Raw("."), decoding), server)
        except PlaygroundError as error:
            told[name] = error.problem.message
    return told


def _form(offers: Capabilities, form: object) -> str:
    """Why it reads no prompt of this form."""
    return offers.why_not("chat" if form == CHAT else "completion")



# Why a server cannot do what a tab would ask of it with a prompt of this form; else nothing.
Why = Callable[[Lacking, Capabilities, object], str]


def why_no_run(found: Lacking, offers: Capabilities, form: object) -> str:
    """Why it goes on from no prompt of this form."""
    return _form(offers, form)


def why_no_score(found: Lacking, offers: Capabilities, form: object) -> str:
    """Why it scores no text that is given in this form."""
    why = offers.why_not("scoring")
    return why or (only_here("chat score", found.server) if form == CHAT else "")


async def reason_of(engine: Engine, why: Why, model: Any, form: object) -> str:
    """``why`` for a picked model, as soon as its server has answered; empty where it is not known.
    """
    servers = Servers(engine, ())
    for _ in range(int(PATIENCE / _POLL)):
        try:
            found = servers.of(read_model(model))
        except PlaygroundError:
            return ""  # a run says what is wrong with it
        if found is None or not found.inquiry.asking:
            break
        await asyncio.sleep(_POLL)
    offers = found.inquiry.offers if found else None
    return why(found, offers, form) if found and offers else ""


def tell_reasons(
    engine: Engine, why: Why, pickers: Sequence[tuple[Any, Any]], remarks: Sequence[gr.HTML],
    run: gr.Button | None = None, count: gr.Number | None = None,
) -> dict[str, Any]:
    """Say under each picker (of a model, and of how its prompt is given) at once what its server
    cannot do; where that is so of every one of the first ``count``, ``run`` is grey. What
    changes the count goes on with ``then(**...)`` of what this returns."""
    outputs = [*remarks, run] if run else [*remarks]
    quiet = {**QUIET, "queue": False, "concurrency_limit": None, "show_progress_on": remarks[0]}

    async def judge(shown: int | None, *values: Any) -> list[Any]:
        asked = [reason_of(engine, why, *pair) for pair in zip(*[iter(values)] * 2, strict=True)]
        reasons = await asyncio.gather(*asked)
        told = [sentence(reason, "wait") if reason else "" for reason in reasons]
        able = not all(reasons[: shown or 1])
        return [*told, gr.update(interactive=able)] if run else told

    inputs = [count or gr.State(1), *(part for pair in pickers for part in pair)]
    changes = [part.change for pair in pickers for part in pair]
    gr.on(changes, judge, inputs, outputs, trigger_mode="always_last", **quiet)
    return {"fn": judge, "inputs": inputs, "outputs": outputs, **quiet}
