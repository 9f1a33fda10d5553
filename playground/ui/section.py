"""One view of the Inside tab as the frame sees it: what it asks a model, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.events import Loading, Queued
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec
from playground.errors import Problem
from playground.ui.scoring import Ask, News, is_over


@dataclass(frozen=True)
class Subject:
    """What the reader looks at: a model, and a text, or the ids of another tab's run.

    ``prompt`` is None where there is neither.
    """

    spec: ModelSpec
    prompt: Prompt | None


@dataclass(frozen=True)
class Example:
    """A button that fills the form and looks: the text, the model's place in the settings or its
    name (None leaves it), and values of the section's own controls, in their order."""

    label: str
    text: str
    model: int | str | None = None
    controls: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Section:
    """A tab of the Inside tab, built by a ``build_x(stage, settings)`` inside the open Tabs.

    ``controls`` are its own inputs: each look gets their values in this order. ``asks`` turns them
    into questions, and raises PlaygroundError where they are none; an empty sequence asks nothing.
    ``show`` makes the value of ``view``, JSON, of what is known of each question; it is called
    whenever there is news.
    """

    id: str
    tab: gr.Tab
    view: gr.HTML
    asks: Callable[[Subject, Sequence[Any]], Sequence[Ask]]
    show: Callable[[Sequence[News]], str]
    controls: tuple[Any, ...] = ()
    examples: tuple[tuple[gr.Button, Example], ...] = ()
    looks_at_once: tuple[Any, ...] = ()
    """Controls whose change looks again by itself."""
    submits: tuple[Any, ...] = ()
    """Controls, text boxes, in which Enter looks."""
    chosen: Callable[[Subject, Mapping[str, Any], Sequence[Any]], Sequence[Any]] | None = None
    """What is looked at, what a reader chose in the view (any object that a browser may send) and
    the values of ``controls`` make new values for these, and then it looks again. Raises
    InvalidInput."""
    live: bool = False
    """It looks again as the reader types: all that it asks is quick."""
    leads_to: str = ""
    """The section that a click in the view opens, with ``value`` of what the view told as its first
    control's, and ``model`` as the tab's: the section's own or one of its controls'."""


def waiting(news: Sequence[News]) -> str:
    """The sentence for what is waited for; empty when all is there."""
    for one in news:
        match one:
            case Queued(ahead):
                return f"Waiting for a place, {ahead} before it." if ahead else "Next in line."
            case Loading() as loading:
                share = f" {loading.done:.0%}" if loading.done is not None else ""
                return f"Loading the model{share}: {loading.detail}".rstrip(": ")
            case "reading" | "later":
                return "Looking …"
    return ""


def stated(news: Sequence[News]) -> dict[str, Any]:
    """What every view says alike: ``waits`` (a sentence), and for each question its ``problem``,
    a sentence where there is one."""
    said: list[str] = []
    for one in news:
        said.append(str(one) if isinstance(one, Problem) else
                    "Stopped." if one == "stopped" else "")
    return {"waits": "" if all(is_over(one) for one in news) else waiting(news), "problems": said}
