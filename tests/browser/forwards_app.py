"""A page of three finished runs, made up by hand: a beam search, proposals, and times of a cache.

Its engine answers every run with the same greedy one, so that it can be laid over the search.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from playground.core.decoding import Decoding
from playground.core.events import (
    Beam,
    Beams,
    Event,
    Finished,
    Piece,
    Proposed,
    SearchEnd,
    Started,
    Step,
)
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.ui.theme import theme
from playground.ui.token_store import Live
from playground.ui.token_stream import TokenFeed, token_stream
from tests.fake_engine import FakeEngine

PROMPT = Started((Piece(1, "Once"), Piece(2, " upon")), "Once upon", 64, reused=1)
PLAIN = Run(ModelSpec("builtin/tiny-base"), Raw("Once upon"))
SEARCH = replace(PLAIN, decoding=Decoding(num_beams=2))
LOOKUP = replace(PLAIN, decoding=Decoding(prompt_lookup_tokens=3))


def step(position: int, id: int, piece: str, logprob: float, seconds: float = 0.0) -> Step:
    """A step of which only the token and its log-probability matter."""
    return Step(position, id, piece, piece, logprob, 1, 0.5, 1.0, (), seconds=seconds)


def search() -> list[Event]:
    """Two beams, three steps. " a" leads, then " b"s child " d" does, which ends; " a e" ends later
    and longer: −2.0 over 2 is −1.00, −2.4 over 3 is −0.80, and without a penalty −2.0 is more."""
    return [
        PROMPT,
        Beams(0, (
            Beam(0, 10, " a", -1.0, -1.0, "kept"),
            Beam(0, 11, " b", -1.5, -1.5, "kept"),
            Beam(0, 12, "<i>", -1.62, -1.62, "dropped", lost="total", margin=0.12),
        ), " a", length=1),
        Beams(1, (
            Beam(0, 13, " c", -1.8, -0.9, "kept"),
            Beam(1, 14, " d", -1.9, -0.95, "kept"),
            Beam(1, 2, ".", -2.0, -1.0, "finished", reason="end"),
        ), " a c", length=2),
        Beams(2, (
            Beam(1, 15, " e", -2.3, -0.7667, "kept"),
            Beam(0, 16, " f", -3.0, -1.0, "kept"),
            Beam(0, 2, ".", -2.4, -0.8, "finished", reason="end"),
        ), " a c.", length=3, ends=(SearchEnd(0, "beaten", -0.82, -0.81),)),
        step(0, 10, " a", -1.0), step(1, 13, " c", -0.8), step(2, 2, ".", -0.6),
        Finished("end", "", 2, 3, 0.1, 0.2, score=-0.8),
    ]


def greedy() -> list[Event]:
    """The greedy run of the same prompt: it goes with " a", then takes " x" and ends: −3.25."""
    return [
        PROMPT, step(0, 10, " a", -1.0), step(1, 20, " x", -0.75), step(2, 2, ".", -1.5),
        Finished("end", "", 2, 3, 0.1, 0.2),
    ]


def lookup() -> list[Event]:
    """Three proposed, one of them accepted, and " sea" taken instead of the second: 20 ms for two
    tokens."""
    pieces = (Piece(31, " the"), Piece(32, " hill"), Piece(33, " top"))
    return [
        PROMPT, step(0, 30, " by", -0.1), Proposed(1, "prompt lookup", pieces, 1),
        step(1, 31, " the", -0.2, 0.02), step(2, 34, " sea", -0.3, 0.02),
        Finished("length", "", 2, 3, 0.1, 0.2),
    ]


def slow() -> list[Event]:
    """Twenty-one steps: the first reads the prompt, then ten of 10 ms and ten of 30 ms."""
    times = [0.5, *[0.01] * 10, *[0.03] * 10]
    steps = [step(n, 40, " la", -0.5, seconds) for n, seconds in enumerate(times)]
    return [PROMPT, *steps, Finished("length", "", 2, 21, 0.5, 0.4, cache_bytes=4096)]


def long() -> list[Event]:
    """Forty steps of two beams, of which a message tells the last eight."""
    steps = [
        Beams(n, tuple(Beam(k if n else 0, 50 + n, f" s{n + 1}", -1.0 - n - k, -1.0, "kept")
                       for k in range(2)), "…", length=n + 1)
        for n in range(40)
    ]
    return [PROMPT, *steps]


def shown(run: Run, events: Sequence[Event], title: str) -> str:
    """The value of a lane that shows this run whole; its page can ask for a greedy one."""
    engine = FakeEngine(greedy())
    feed = TokenFeed(run, title)
    feed.plays(Live(engine, engine, 0, ""))  # type: ignore[arg-type]
    for event in events:
        feed.add(event)
    return feed.flush()


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Forwards") as demo:
        lanes = [
            token_stream(elem_id=name, name=name, view="tokens", height=220)
            for name in ("search", "lookup", "slow", "long")
        ]
        demo.load(
            lambda: [shown(SEARCH, search(), "Search"), shown(LOOKUP, lookup(), "Lookup"),
                     shown(PLAIN, slow(), "Slow"), shown(SEARCH, long(), "Long")],
            None, lanes,
        )
    return demo


if __name__ == "__main__":
    build().launch(server_port=int(os.environ.get("PORT", "7912")), theme=theme(), footer_links=[])
