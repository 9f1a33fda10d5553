"""What the token view tells of beam steps, proposals and the KV cache, with numbers by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

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
from playground.core.kept import Kept
from playground.core.messages import ModelCard
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.ui.token_feed import TokenFeed
from playground.ui.token_forwards import (
    cache_of,
    encode_beams,
    encode_proposed,
    rules_of,
    speculation_of,
)
from playground.ui.token_store import encode_step, read_tokens

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("a b"))
STARTED = Started((Piece(1, "a"), Piece(2, " b"), Piece(3, " c")), "a b c", 64, reused=2)


def step(position: int, text: str = " x", seconds: float = 0.0) -> Step:
    """A step of which only the place matters."""
    return Step(position, 7, text, text, -0.5, 1, 0.6, 1.0, (), seconds=seconds)


def trace_of(*events: Event, run: Run = RUN) -> Trace:
    """The fold of these events."""
    trace = Trace(run)
    for event in events:
        trace = trace.add(event)
    return trace


def test_a_beam_step_tells_totals_and_what_was_lost() -> None:
    """A hypothesis that just goes on needs six numbers; the rest is told where there is any."""
    beams = Beams(
        4,
        (
            Beam(1, 30, " a", -1.23456789, -0.61, "kept", group=1),
            Beam(0, 2, "</s>", -2.0, -1.0, "finished", reason="end"),
            Beam(0, 31, " b", -2.5, -1.25, "dropped", lost="total", margin=0.123456),
            Beam(0, 32, " c", -math.inf, -math.inf, "dropped", lost="total", margin=math.inf),
        ),
        "a", 0.0123456, 2, (SearchEnd(0, "beaten", -1.5, -1.0), SearchEnd(1, "ended")),
    )
    assert json.loads(encode_beams(beams)) == [
        4, 2, 12.3,
        [
            [1, 30, " a", -1.234568, 0, 1],
            [0, 2, "</s>", -2.0, 1, 0, "end", "", 0.0],
            [0, 31, " b", -2.5, 2, 0, "", "total", 0.1235],
            [0, 32, " c", None, 2, 0, "", "total", None],
        ],
        [[0, "beaten", -1.5, -1.0], [1, "ended", None, None]],
    ]


def test_the_rules_of_a_search_are_told_and_only_of_a_search() -> None:
    assert rules_of(Decoding()) is None
    told = rules_of(Decoding(num_beams=4, num_beam_groups=2, length_penalty=0.8,
                             early_stopping="never"))
    assert told == {"beams": 4, "groups": 2, "penalty": 0.8, "early": "never", "draws": False}


def test_proposals_are_told_with_their_pieces() -> None:
    proposed = Proposed(3, "prompt lookup", (Piece(5, " <b>"), Piece(6, "!", True)), 1)
    assert json.loads(encode_proposed(proposed)) == [
        3, "prompt lookup", 1, [[5, " <b>", 0], [6, "!", 1]]
    ]
    assert "<" not in encode_proposed(proposed)


def test_speculation_counts_tokens_a_forward() -> None:
    """One token of the prompt's forward, then 3 of a forward that accepted 2 of 4: 4 tokens of 2
    forwards, half of the proposed ones accepted."""
    pieces = tuple(Piece(n, "x") for n in range(4))
    trace = trace_of(
        STARTED, step(0), Proposed(1, "draft", pieces, 2), step(1), step(2), step(3)
    )
    assert speculation_of(trace) == {"proposed": 4, "accepted": 2, "a_forward": 2.0}


def test_speculation_is_told_only_where_tokens_are_proposed() -> None:
    assert speculation_of(trace_of(STARTED)) is None
    lookup = replace(RUN, decoding=Decoding(prompt_lookup_tokens=4))
    assert speculation_of(trace_of(STARTED, run=lookup)) == {}


def test_the_cache_counts_what_stood_at_a_fork_as_read() -> None:
    assert cache_of(trace_of()) is None
    assert cache_of(trace_of(STARTED)) == {"on": True, "prompt": 3, "reused": 2}
    forked = replace(RUN, fork=Fork(ids=(7, 7)))
    done = Finished("length", "", 3, 4, 0.1, 0.2, cache_bytes=4096)
    assert cache_of(trace_of(STARTED, done, run=forked)) == {
        "on": True, "prompt": 5, "reused": 2, "measured": 4096,
    }
    without = replace(RUN, decoding=Decoding(use_cache=False))
    assert cache_of(trace_of(replace(STARTED, reused=0), run=without)) == {
        "on": False, "prompt": 3, "reused": 0,
    }


def card(kept: Kept) -> ModelCard:
    """A model that keeps so much, two bytes a number."""
    return ModelCard(
        RUN.model, "Llama", 10, 20, "bfloat16", "cpu", 64, 100, False, "llama", kept=kept, width=2
    )


def test_the_caches_bytes_are_computed_for_what_was_read() -> None:
    """Three tokens of prompt and two of three new ones, 10 numbers of 2 bytes each: 100 bytes; two
    beams after two steps have read four tokens each: 2 x 4 x 20 = 160."""
    plain = cache_of(trace_of(STARTED, step(0), step(1), step(2)), card(Kept(10)))
    assert plain is not None
    assert [plain[name] for name in ("tokens", "texts", "computed", "each")] == [5, 1, 100, 20]
    search = replace(RUN, decoding=Decoding(num_beams=2))
    events = [Beams(n, (Beam(0, 1, "x", -1.0, -1.0, "kept"),), "x") for n in range(2)]
    beams = cache_of(trace_of(STARTED, *events, run=search), card(Kept(10)))
    assert beams is not None
    assert [beams[name] for name in ("tokens", "texts", "computed", "of")] == [4, 2, 160, "beam"]


def test_a_contrastive_search_keeps_a_text_for_each_candidate() -> None:
    """To choose the third token after a prompt of three it read four texts of six, 20 bytes a
    token: 480. It said 120 beside a measured 480. Before the first there is the prompt alone."""
    run = replace(RUN, decoding=Decoding(penalty_alpha=0.6, top_k=4))
    told = cache_of(trace_of(STARTED, step(0), step(1), step(2), run=run), card(Kept(10)))
    assert told is not None
    assert [told[n] for n in ("tokens", "texts", "computed", "of")] == [6, 4, 480, "candidate"]
    first = cache_of(trace_of(STARTED, run=run), card(Kept(10)))
    assert first is not None and [first[n] for n in ("texts", "computed")] == [1, 60]


def test_a_window_keeps_no_more_than_its_tokens() -> None:
    """4 numbers for every token and 6 for the last two: (5 x 4 + 2 x 6) x 2 = 64 bytes."""
    told = cache_of(trace_of(STARTED, step(0), step(1), step(2)), card(Kept(4, ((6, 2),))))
    assert told is not None and told["computed"] == 64
    assert "each" not in told, "a token more is not the same bytes more"


def test_a_token_tells_the_milliseconds_of_its_forward() -> None:
    assert json.loads(encode_step(step(0, seconds=0.01234)))[-1] == 12.3
    assert json.loads(encode_step(step(0)))[-1] == 0


def test_a_browser_can_ask_for_proposals_and_beam_steps_that_it_missed() -> None:
    feed = TokenFeed(RUN)
    feed.add(STARTED)
    for n in range(20):
        feed.add(Proposed(n, "draft", (Piece(n, "x"),), 0))
        feed.add(step(n))
    said: dict[str, Any] = json.loads(feed.flush())
    assert (said["proposals"]["n"], said["proposals"]["from"]) == (20, 12)
    asked = {"key": feed.key, "from": 0, "what": "proposals"}
    rows = json.loads(read_tokens(asked))["rows"]
    assert [row[0] for row in rows] == list(range(20))
    assert json.loads(read_tokens({**asked, "what": "beams"}))["rows"] == []
    assert json.loads(read_tokens({**asked, "what": ["beams"]}))["rows"][0][0] == 7
