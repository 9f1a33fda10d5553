"""Lanes side by side, planned and played together: what each of them shows; it builds none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Prompt, Raw
from playground.core.run import Run
from playground.errors import PlaygroundError, Problem
from playground.ui.actions import resting, running, sentence
from playground.ui.lane_turns import waiting_notice
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import TokenFeed, idle

BEFORE_LANES = 3  # outputs of ``play_lanes``: run, stop, notice
SECONDS_A_LANE = 0.008  # between two updates: 15 a second for up to 8 lanes, 5 for 24


@dataclass(frozen=True)
class Lane:
    """What one column is about to show: a feed with its run, or why there is no run; with neither
    it is empty."""

    feed: TokenFeed | None
    problem: Problem | None = None
    title: str = ""

    @property
    def value(self) -> str:
        """What the lane must be told now; why there is no run stands where the text would."""
        if self.feed:
            return self.feed.flush()
        if self.problem is None:
            return idle()
        return encode({"state": "failed", "title": self.title, "say": "Not run",
                       "problem": str(self.problem)})


def plan_lane(title: str, read: Callable[[], Run]) -> Lane:
    """Read one column into a run; what is wrong with it stays in its own column."""
    try:
        run = read()
    except PlaygroundError as error:
        return Lane(None, error.problem, title)
    title = title or run.model.label
    return Lane(TokenFeed(run, title, describe(run)), title=title)


def refusal_of(lanes: Sequence[Lane]) -> Problem | None:
    """What is wrong with several lanes alike, such as a prompt that they share; else None."""
    first, *others = lanes
    alike = bool(others) and all(lane.problem == first.problem for lane in others)
    return first.problem if alike else None


def play_lanes(
    stage: Stage, tab: str, request: gr.Request, lanes: Sequence[Lane], total: int
) -> Iterator[list[Any]]:
    """Run the lanes together; yields updates for run, stop, notice and ``total`` lanes.

    Where their models do not fit in memory together the notice says first which of them wait.

    A browser draws some hundred of its updates a second, so many lanes are told less often. What is
    wrong with several lanes alike is said once, in the notice, and no lane says it again.
    """
    refusal = refusal_of(lanes)
    if refusal is not None:
        yield [*resting(), sentence(refusal), *[idle()] * total]
        return
    feeds = {n: lane.feed for n, lane in enumerate(lanes) if lane.feed is not None}
    rest = [idle()] * (total - len(lanes))
    if feeds:
        models = {n: feed.trace.run.model for n, feed in feeds.items()}
        waits = waiting_notice(stage.engine, models)
        shown = -math.inf
        for _ in stage.play(tab, request, list(feeds.values())):
            if time.monotonic() - shown < SECONDS_A_LANE * len(lanes):
                continue
            if all(feed.trace.is_over for feed in feeds.values()):
                continue  # that they ended is told together with the button
            shown = time.monotonic()
            yield [*running(), waits, *(lane.value for lane in lanes), *rest]
    yield [*resting(), "", *(lane.value for lane in lanes), *rest]


def describe(run: Run) -> str:
    """How a run decodes, with which dice, and what was set in vain, in one quiet line."""
    seed = f"seed {run.seed}" if run.decoding.draws else ""
    form = _form_of(run.prompt)
    counted = isinstance(run.prompt, (Chat, Raw)) and run.prompt.control_tokens
    tokens = "control tokens read" if counted else ""
    draft = f"draft {run.used_draft.label}" if run.used_draft else ""
    ignored = f"ignored: {', '.join(run.decoding.ignored)}" if run.decoding.ignored else ""
    parts = (form, tokens, run.decoding.summary, draft, seed, ignored)
    return " · ".join(part for part in parts if part)


def _form_of(prompt: Prompt) -> str:
    """How a text became the prompt, where it did not stay as it was."""
    if not isinstance(prompt, Chat):
        return ""
    led = any(message.role == "system" for message in prompt.messages)
    return "chat template, system prompt" if led else "chat template"


def still_lanes(count: int, total: int, update: list[Any]) -> list[Any]:
    """An update of ``total`` lanes, of which ``count`` are in sight, that changes nothing. The
    others are told once more that they are empty, since a gr.HTML that is told gr.skip() before it
    was ever in sight loses its props."""
    away = range(BEFORE_LANES + count, BEFORE_LANES + total)
    return [value if n in away else gr.skip() for n, value in enumerate(update)]
