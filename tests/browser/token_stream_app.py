"""A page of token views fed with made-up events, for the browser tests of the token view alone."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from playground.core.decoding import PRESETS
from playground.core.events import (
    Beam,
    Beams,
    Candidate,
    Event,
    Failed,
    Finished,
    Loading,
    Piece,
    Queued,
    Started,
    Step,
)
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.errors import Problem
from playground.ui.streaming import FLUSH_SECONDS
from playground.ui.theme import theme
from playground.ui.token_stream import TokenFeed, token_stream

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("The capital of France is"), PRESETS["Top-p"])
SEARCH = Run(RUN.model, RUN.prompt, PRESETS["Beam search"])
PROMPT = (
    Piece(1, "<|im_start|>", special=True),
    Piece(2, "user"),
    Piece(3, "\n"),
    Piece(4, "The"),
    Piece(5, " capital"),
    Piece(6, " of"),
    Piece(7, " France"),
    Piece(8, " is"),
    Piece(9, "<|im_end|>", special=True),
    Piece(10, "\n"),
)
WORDS = (
    " Paris",
    ",",
    " a",
    " city",
    " on",
    " the",
    " Seine",
    " with",
    " two",
    " million",
    " people",
    ".",
    "\n",
    "\n",
    "Its",
    " oldest",
    " bridge",
    " is",
    " called",
    " the",
    " new",
    " bridge",
    ".",
)
TRICKS = (
    "${alert(1)}",
    "{{value}}",
    "<img src=x onerror=alert(2)>",
    "</script>",
    "<script>alert(3)</script>",
    "\t",
    "  ",
    "\u200b",
    "\u202e",
    "שלום",
    " مرحبا",
    "\u00a0",
    "&amp;",
    "`+alert(4)+`",
)
PROBABILITIES = (0.82, 0.34, 0.12, 0.031, 0.0042, 0.0002)


def candidates(text: str, probability: float) -> tuple[Candidate, ...]:
    """Ten candidates, ``text`` first, the rest halving; the last two were cut by the settings."""
    others = (" London", " Rome", " a", " the", "\n", " Berlin", ".", " Lyon", "<|im_end|>")
    shares = [probability] + [(1 - probability) / 2 ** (k + 1) for k in range(9)]
    ranked = sorted(zip(range(10), (text, *others), shares, strict=True), key=lambda c: -c[2])
    kept = sum(share for _, _, share in ranked[:8])
    return tuple(
        Candidate(100 + i, name, math.log(share), share / kept if n < 8 else 0.0)
        for n, (i, name, share) in enumerate(ranked)
    )


def step(position: int, text: str, piece: str | None = None, special: bool = False) -> Step:
    """A made-up step; the probabilities go through the whole scale, every sixth off the list."""
    share = PROBABILITIES[(position * 7) % 6]
    listed = candidates(piece or text or "?", share)
    rank = 1 + sum(c.logprob > math.log(share) for c in listed)
    if share < 0.001:
        listed = candidates(" Madrid", 0.5)
        rank = 57
    return Step(
        position,
        100 if rank < 57 else 4711,
        text,
        text if piece is None else piece,
        math.log(share),
        rank,
        min(1.0, share * 1.1),
        0.3 + 0.7 * (position % 7),
        listed,
        special,
    )


def story(words: tuple[str, ...]) -> Iterator[Event]:
    """Waiting, loading, the words, a space and a character out of three tokens, a control token."""
    yield Queued(2)
    yield Loading("loading", 0.45, "260 of 580 MB")
    yield Started(PROMPT, "…", 2048, ("The template has no system role.",))
    steps = [step(n, word) for n, word in enumerate(words)]
    n = len(steps)
    steps += [step(n, " ", " <0xE4>"), step(n + 1, "", "<0xB8>"), step(n + 2, "中", "<0xAD>")]
    steps += [step(n + 3, "<|im_end|>", special=True)]
    yield from steps
    yield Finished("end", "", len(PROMPT), len(steps), 0.31, len(steps) / 40)


FORK = replace(RUN, fork=Fork(tuple(step(n, word).id for n, word in enumerate(WORDS[:4])), (7,)))


def fork() -> Iterator[Event]:
    """A branch: four tokens stand already, one is put there, and the run goes on."""
    yield Started(PROMPT, "…", 2048)
    yield replace(step(4, " in"), forced=True)
    yield from (step(n + 5, word) for n, word in enumerate((" Île", "-", "de", "-", "France", ".")))
    yield Finished("end", "", len(PROMPT), 7, 0.0, 0.2)


def search() -> Iterator[Event]:
    """Beam search: three kept, one finished, one dropped a step; then the winner's tokens."""
    yield Started(PROMPT, "…", 2048)
    for n, word in enumerate(WORDS[:12]):
        total = -0.4 * (n + 1)
        rows = tuple(
            Beam(min(k, 2), 100 + k, name, total - k, (total - k) / (n + 1), state)
            for k, (name, state) in enumerate(
                (
                    (word, "kept"),
                    (" London", "kept"),
                    ("\n", "kept"),
                    ("<|im_end|>", "finished"),
                    (" Rome", "dropped"),
                )
            )
        )
        yield Beams(n, rows, "".join(WORDS[: n + 1]), length=n + 1)
    for n, word in enumerate(WORDS[:12]):
        yield step(n, word)
    yield Finished("length", "", len(PROMPT), 12, 0.2, 1.5, -0.42)


def breaking() -> Iterator[Event]:
    """A run that fails in the middle."""
    yield Started(PROMPT, "…", 2048)
    yield from (step(n, word) for n, word in enumerate(WORDS[:6]))
    yield Failed(
        Problem("OOM", "Memory ended in the middle of the answer.", advice="Ask for fewer tokens.")
    )


def paced(
    feeds: list[TokenFeed], stories: list[Iterator[Event]], pause: float
) -> Iterator[list[str]]:
    """The loop of a tab: events in turn, values 15 times a second."""
    live, shown = list(zip(feeds, stories, strict=True)), -1.0
    while live:
        for feed, events in list(live):
            event = next(events, None)
            if event is None:
                live.remove((feed, events))
            else:
                feed.add(event)
        if time.monotonic() - shown >= FLUSH_SECONDS:
            shown = time.monotonic()
            yield [feed.flush() for feed in feeds]
        time.sleep(pause)
    yield [feed.flush() for feed in feeds]


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Token views") as demo:
        status = gr.HTML("", elem_id="busy")
        with gr.Row():
            lanes = [
                token_stream(
                    "Greedy",
                    "temperature 1.0",
                    hint="Press Run.",
                    elem_id=f"lane-{k}",
                    name="lanes",
                )
                for k in range(2)
            ]
        with gr.Row():
            buttons = {
                name: gr.Button(name, elem_id=name, size="sm")
                for name in (
                    "run",
                    "slow",
                    "search",
                    "break",
                    "long",
                    "gap",
                    "tricks",
                    "all",
                    "fork",
                )
            }
        said = gr.Textbox("", label="branch", elem_id="said")
        with gr.Tabs():
            with gr.Tab("First"):
                gr.HTML("")
            with gr.Tab("Second", id="second"):
                hidden = token_stream(
                    "Hidden", elem_id="hidden-lane", name="hidden", view="tokens", branch=True
                )

            with gr.Tab("Four"):
                with gr.Row():
                    four = [
                        token_stream(f"Lane {k}", elem_id=f"four-{k}", name="four")
                        for k in range(4)
                    ]

        def run(words: tuple[str, ...], pause: float) -> Iterator[list[str]]:
            feeds = [
                TokenFeed(RUN, "Greedy", "no sampling"),
                TokenFeed(RUN, "Top-p 0.9", "temperature 1.0 · seed 7"),
            ]
            yield from paced(feeds, [story(words), story(words)], pause)

        def one(events: Iterator[Event], pause: float, shown: Run = RUN) -> Iterator[str]:
            feeds = [TokenFeed(shown, "One", "alone")]
            yield from (values[0] for values in paced(feeds, [events], pause))

        def all_four() -> Iterator[list[str]]:
            titles = ("Greedy", "Beam search", "Top-p 0.9", "Temperature 1.5")
            runs = (RUN, SEARCH, RUN, RUN)
            feeds = [
                TokenFeed(shown, title, "tiny-base · seed 7 · top-p 0.9")
                for shown, title in zip(runs, titles, strict=True)
            ]
            stories = [story(WORDS * 4), search(), story(WORDS * 4), story(TRICKS * 3)]
            yield from paced(feeds, stories, 0.03)

        def gap() -> Iterator[str]:
            """Only every fourth slice reaches the page, and the last one always."""
            feed = TokenFeed(RUN, "With gaps", "slices are lost on purpose")
            for n, event in enumerate(story(WORDS * 12)):
                feed.add(event)
                value = feed.flush()
                if n % 40 == 3:
                    yield value
                    time.sleep(0.05)
            yield feed.flush()

        def forked() -> Iterator[list[str]]:
            """The branch in the lane that can branch, and without what stood in another."""
            stood = [step(n, word) for n, word in enumerate(WORDS[:4])]
            feeds = [TokenFeed(FORK, "Branch", "token 5", stood=stood), TokenFeed(FORK, "Rest")]
            yield from paced(feeds, [fork(), fork()], 0.01)

        def branched(event: gr.EventData) -> str:
            given = event.text if event.what == "text" else event._data.get("id")
            return f"{event.what}:{event.position}:{given}"

        def press(name: str, does: Callable[..., object], outputs: object) -> None:
            """What a button does; the page counts the handlers that have ended."""
            buttons[name].click(
                does, None, outputs, show_progress="hidden", show_progress_on=[status]
            ).then(None, None, None, js="() => { window.ended = (window.ended ?? 0) + 1; }")

        press("run", lambda: (yield from run(WORDS, 0.03)), lanes)
        press("slow", lambda: (yield from run(WORDS * 8, 0.06)), lanes)
        press("tricks", lambda: (yield from run(TRICKS, 0.01)), lanes)
        press("search", lambda: (yield from one(search(), 0.08, SEARCH)), lanes[0])
        press("break", lambda: (yield from one(breaking(), 0.02)), lanes[0])
        press("long", lambda: (yield from one(story(WORDS * 174), 0.002)), lanes[0])
        press("gap", gap, [hidden])
        press("fork", forked, [hidden, lanes[0]])
        press("all", all_four, four)
        hidden.branch(branched, None, said)
    return demo


if __name__ == "__main__":
    build().launch(server_port=int(os.environ.get("PORT", "7911")), theme=theme(), footer_links=[])
