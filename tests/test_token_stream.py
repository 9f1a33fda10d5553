"""The laws of the token view's Python side: slices that join, a bounded store, no markup."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.events import (
    Amended,
    Beam,
    Beams,
    Candidate,
    Event,
    Failed,
    Finished,
    Loading,
    Paced,
    Piece,
    Queued,
    Reason,
    Started,
    Step,
)
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.visitor import Visitor
from playground.errors import Problem
from playground.ui import token_feed, token_store, token_stream
from playground.ui.making_room import next_to_go
from playground.ui.token_feed import TokenFeed, idle
from playground.ui.token_store import (
    KEPT,
    Live,
    Record,
    Store,
    answer_of,
    live_of,
    read_prompt,
    read_tokens,
    run_of,
    trace_of,
)

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("One"), Decoding(max_new_tokens=1500))
STARTED = Started((Piece(0, "<s>", True), Piece(7, "One")), "<s>One", 2048, ("A note.",))
ASSETS = Path(token_stream.__file__).parent / "assets"


def step(position: int, text: str = "a", logprob: float = -0.5, piece: str | None = None) -> Step:
    candidates = tuple(Candidate(k, f"c{k}", -0.5 - k, 0.1) for k in range(10))
    own = text if piece is None else piece
    return Step(position, position, text, own, logprob, 1, 0.6, 1.25, candidates)


def finished(reason: Reason = "end", new_tokens: int = 2, score: float | None = None) -> Finished:
    return Finished(reason, "", 2, new_tokens, 0.25, 0.5, score)


def feed_of(*events: Event) -> TokenFeed:
    feed = TokenFeed(RUN, "Title", "what differs")
    for event in events:
        feed.add(event)
    return feed


def message(value: str) -> dict[str, Any]:
    """What the browser reads; strict, as ``JSON.parse`` is."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    return json.loads(value, parse_constant=refuse)


class Page:
    """The browser's side of the contract, in the ten lines that matter of token_stream.js."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.asked = 0

    def take(self, value: str) -> None:
        said = message(value)
        self.append(said["from"], said["rows"])
        while len(self.rows) < said["n"]:
            self.asked += 1
            answer = message(read_tokens({"key": said["key"], "from": len(self.rows)}))
            self.append(answer["from"], answer["rows"])

    def append(self, start: int, rows: list[Any]) -> None:
        if start <= len(self.rows):
            self.rows += rows[len(self.rows) - start :]


@pytest.mark.parametrize("every", [1, 3, 7, 50, 1000])
def test_slices_join_to_the_whole_run(every: int) -> None:
    feed, page = feed_of(STARTED), Page()
    for n in range(1000):
        feed.add(step(n, f"word{n} "))
        if n % every == 0:
            page.take(feed.flush())
    page.take(feed.flush())
    assert [row[1] for row in page.rows] == [f"word{n} " for n in range(1000)]


def test_one_lost_slice_costs_nothing() -> None:
    """Every second slice is lost; the overlap covers it, and the server is never asked."""
    feed, page = feed_of(STARTED), Page()
    for n in range(400):
        feed.add(step(n))
        value = feed.flush()
        if n % 2:
            page.take(value)
    assert [row[0] for row in page.rows] == list(range(400))
    assert page.asked == 0


def test_a_page_that_saw_only_the_end_asks_for_the_rest() -> None:
    feed, page = feed_of(STARTED, *(step(n) for n in range(1300)), finished()), Page()
    page.take(feed.flush())
    assert [row[0] for row in page.rows] == list(range(1300))
    assert page.asked == 3  # 500 + 500 + 300


def test_a_value_grows_with_the_news_and_not_with_the_run() -> None:
    feed, sizes = feed_of(STARTED), []
    for n in range(3000):
        feed.add(step(n))
        sizes.append(len(feed.flush()))
    assert max(sizes) <= sizes[10] + 40


def test_no_news_is_the_very_same_string() -> None:
    feed = feed_of(STARTED, step(0))
    first = feed.flush()
    assert feed.flush() is first
    feed.add(step(1))
    assert feed.flush() != first


def test_nothing_in_a_value_can_be_a_tag() -> None:
    """Gradio puts a plain value into innerHTML and warns of scripts: no ``<`` may stand there."""
    tricks = ("</script>", "<img src=x onerror=alert(1)>", "${alert(1)}", "{{value}}", "\ud800")
    feed = feed_of(STARTED, *(step(n, trick) for n, trick in enumerate(tricks)))
    value = feed.flush()
    assert "<" not in value
    assert [row[1] for row in message(value)["rows"]] == [*tricks[:4], "\ufffd"]


def test_infinite_log_probability_is_json() -> None:
    row = message(feed_of(STARTED, step(0, logprob=-math.inf)).flush())["rows"][0]
    assert row[3] is None


def test_a_step_keeps_its_numbers_and_its_piece() -> None:
    [row] = message(feed_of(STARTED, step(5, "", -1.25, "<0xE4>")).flush())["rows"]
    assert row[:8] == [5, "", "<0xE4>", -1.25, 1, 0.6, 1.25, 0]
    assert row[8][2] == [2, "c2", -2.5, 0.1]
    [row] = message(feed_of(STARTED, step(5, "same")).flush())["rows"]
    assert row[2] == 0


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "Sent"),
        ([Queued(0)], "Next in line"),
        ([Queued(2)], "Waiting: 2 ahead of you"),
        ([Loading("downloading", 0.5)], "Downloading the model"),
        ([STARTED], "Reading the prompt (2 tokens)"),
        ([STARTED, step(0)], "Writing"),
        ([STARTED, Beams(0, (), "a")], "Searching"),
        ([STARTED, step(0), Paced(0)], "Paused"),
        ([STARTED, step(0), Paced(0), Paced(None)], "Writing"),
        ([STARTED, finished("end")], "The model ended here."),
        ([STARTED, finished("length")], "Cut off at 1,500 new tokens."),
        ([STARTED, finished("stop string")], "Ended at a stop string."),
        ([STARTED, finished("stopped")], "Stopped. What was written stays."),
        (
            [STARTED, finished("context")],
            "Ended because the model's context of 2,048 tokens is full.",
        ),
        ([STARTED, Failed(Problem("OOM", "Memory ended."))], "Failed"),
    ],
)
def test_the_status_says_what_happens(events: list[Event], says: str) -> None:
    assert message(feed_of(*events).flush())["say"] == says


def test_a_run_that_was_lengthened_names_the_limit_that_ended_it() -> None:
    """It named the one that it had begun with."""
    feed = feed_of(STARTED, step(0), Amended(1, Decoding(max_new_tokens=2)), step(1),
                   finished("length"))
    assert message(feed.flush())["say"] == "Cut off at 2 new tokens."


def test_a_run_that_draws_from_a_token_on_can_be_drawn_again_there() -> None:
    """The page said that nothing was drawn, and did not let its reader ask."""
    feed = feed_of(STARTED, step(0))
    assert message(feed.flush())["draws"] is False
    feed.add(Amended(1, Decoding(do_sample=True)))
    assert message(feed.flush())["draws"] is True


def test_loading_shows_its_share_where_it_is_known() -> None:
    known = message(feed_of(Loading("loading", 0.45, "260 of 580 MB")).flush())
    assert (known["more"], known["bar"]) == ("45 % · 260 of 580 MB", 0.45)
    assert message(feed_of(Loading("starting")).flush())["bar"] == -1


def test_statistics_by_hand() -> None:
    """Tokens of probability 1/2 and 1/8: mean log-probability −ln 4, perplexity 4."""
    two = (step(0, logprob=math.log(1 / 2)), step(1, logprob=math.log(1 / 8)))
    said = message(feed_of(STARTED, *two, finished(score=-0.42)).flush())
    assert [(value, unit) for value, unit, _ in said["stats"]] == [
        ("2", "tokens"),
        ("2.0", "tok/s"),  # one token after the first, in half a second
        ("0.25 s", "to first token"),
        ("−1.39", "mean log-prob"),
        ("4.00", "perplexity"),
    ]
    assert said["score"] == "−0.420"


def test_the_time_to_the_first_token_is_known_before_the_end_unless_it_was_held_back() -> None:
    """A run that was paused while it wrote showed a dash for it, though tokens stood."""
    for pace, known in ((Paced(None, 0.5), True), (Paced(0), False)):
        said = message(feed_of(STARTED, pace, step(0), Paced(0)).flush())["stats"]
        assert (said[2][0] != "–") is known


def test_what_is_left_of_the_listed_figures_is_no_token() -> None:
    """Seven of 1/7: with four digits each the rest of 1 was shown as other tokens' share."""
    seven = tuple(Candidate(k, "c", -2.0, 1 / 7) for k in range(7))
    row = message(feed_of(STARTED, replace(step(0), candidates=seven)).flush())["rows"][0]
    assert abs(1.0 - sum(final for *_, final in row[8])) < 1e-5


def test_what_the_reader_put_there_is_no_figure_of_the_model() -> None:
    """One token of 1/4 behind a put-in one that was all but impossible, and a large perplexity."""
    put = replace(step(0, logprob=-30.0), forced=True)
    feed = feed_of(STARTED, put)
    assert [value for value, *_ in message(feed.flush())["stats"]][3:] == ["–", "–"]
    feed.add(step(1, logprob=math.log(1 / 4)))
    said = message(feed.flush())["stats"]
    assert [value for value, *_ in said][3:] == ["−1.39", "4.00"] and said[0][0] == "2"
    surprised = message(feed_of(STARTED, step(0, logprob=-math.log(5160))).flush())["stats"]
    assert surprised[4][0] == "5,160"


def test_a_failure_keeps_the_text_and_says_what_to_do() -> None:
    problem = Problem("OOM", "Memory ended in the middle.", advice="Ask for fewer tokens.")
    feed = feed_of(STARTED, step(0, "so far"), Failed(problem))
    said = message(feed.flush())
    assert said["state"] == "failed"
    assert said["problem"] == "Memory ended in the middle. Ask for fewer tokens."
    assert said["rows"][0][1] == "so far"
    assert feed.trace.text == "so far"


def test_a_search_shows_its_last_steps_then_the_winner() -> None:
    beam = Beam(0, 3, " a", -1.5, -0.75, "kept")
    searching = feed_of(STARTED, *(Beams(n, (beam,), "a" * (n + 1)) for n in range(20)))
    said = message(searching.flush())
    assert said["leading"] == "a" * 20
    assert (said["beams"]["n"], said["beams"]["from"]) == (20, 12)
    assert said["beams"]["rows"][-1][0] == 19
    searching.add(step(0, "the winner"))
    assert message(searching.flush())["leading"] == ""
    kept = message(read_tokens({"key": searching.key, "from": 0, "what": "beams"}))
    assert len(kept["rows"]) == 20


def test_a_kept_run_is_shown_again() -> None:
    beam = Beams(0, (Beam(0, 3, "x", -1.0, -1.0, "kept"),), "x")
    before = feed_of(STARTED, beam, step(0, "x"), finished())
    again = TokenFeed.of(before.trace, "Title", "what differs")
    assert again.trace == before.trace
    assert again.key != before.key
    same = ("state", "rows", "n", "say", "beams", "prompt", "notices", "stats")
    first, second = message(before.flush()), message(again.flush())
    assert {name: first[name] for name in same} == {name: second[name] for name in same}


def test_a_kept_failure_is_shown_again() -> None:
    before = feed_of(STARTED, step(0, "x"), Failed(Problem("OOM", "Memory ended.")))
    assert message(TokenFeed.of(before.trace).flush())["problem"] == "Memory ended."


def test_the_store_forgets_the_longest_unused_run() -> None:
    store = Store(most_runs=2)
    first, _ = store.open()
    second, _ = store.open()
    assert store.get(first) is not None
    third, _ = store.open()
    assert store.get(second) is None
    assert store.get(first) is not None
    assert store.get(third) is not None


def test_the_store_is_bounded_by_tokens_too() -> None:
    store = Store(most_runs=100, most_tokens=10)
    keys = []
    for _ in range(5):
        key, record = store.open()
        record.tokens.extend(["[]"] * 4)
        keys.append(key)
    assert [store.get(key) is not None for key in keys] == [False, False, True, True, True]


def test_who_holds_most_makes_room_first() -> None:
    """60,000 tokens were everybody's: whoever ran a few long answers pushed out all others'."""
    store = Store(most_runs=100, most_tokens=10)

    def put(owner: Visitor, tokens: int) -> str:
        key, record = store.open(owner)
        record.tokens.extend(["[]"] * tokens)
        return key

    bobs = put(Visitor("bob"), 3)
    anns = [put(Visitor("ann"), 4) for _ in range(6)]
    assert store.get(bobs) is not None
    assert [store.get(key) is not None for key in anns] == [False] * 4 + [True] * 2


def test_made_up_cookies_hold_no_more_than_four_people_would() -> None:
    """Twenty cookies of one address hold one token each, and Bob eight: the twenty count as four
    who hold five each, so it is Bob's that goes; of thirty-six it is one of theirs."""
    def kept(cookies: int) -> list[tuple[str, Visitor, int]]:
        made = [(f"c{n}", Visitor(f"c{n}", "192.0.2.1"), 1) for n in range(cookies)]
        return [("bobs", Visitor("bob", "192.0.2.2"), 8), *made]

    assert next_to_go(kept(20)) == "bobs"
    assert next_to_go(kept(36)) == "c0"


@pytest.mark.parametrize("held", [
    Record(beams=["x" * 600] * 3), Record(proposals=["[]"] * 6), Record(prompt="x" * 1800),
])
def test_a_search_proposals_and_a_prompt_count_as_tokens_do(held: Record) -> None:
    """Only tokens were counted: a search has none before its end, and a long prompt with an answer
    of one token was held 400 times."""
    assert held.weight == 6
    store = Store(most_runs=100, most_tokens=10)
    keys = []
    for _ in range(4):
        key, record = store.open()
        record.beams, record.proposals, record.prompt = held.beams, held.proposals, held.prompt
        keys.append(key)
    assert [store.get(key) is not None for key in keys] == [False, False, True, True]


def test_a_run_that_still_writes_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Store(most_runs=2)
    monkeypatch.setattr(token_feed, "KEPT", small)
    monkeypatch.setattr(token_store, "KEPT", small)
    feed = feed_of(STARTED)
    for n in range(10):
        feed.add(step(n))
        feed.flush()
        TokenFeed(RUN)
    assert len(message(read_tokens({"key": feed.key, "from": 0}))["rows"]) == 10


@pytest.mark.parametrize(
    "request_", [None, "x", 3, [], {}, {"key": []}, {"key": "guessed", "from": 0}, {"from": 1}]
)
def test_a_request_without_the_key_gets_nothing(request_: object) -> None:
    assert read_tokens(request_) == read_prompt(request_) == '{"gone":true}'


def test_a_key_leads_to_its_run_as_it_stands() -> None:
    feed = feed_of(STARTED, step(0), step(1))
    assert run_of(feed.key) is RUN
    assert trace_of(feed.key) is feed.trace
    assert trace_of(feed.key).ids == (0, 1)
    again = TokenFeed.of(feed.trace)
    assert trace_of(again.key) is feed.trace
    for key in ("guessed", None, [], 3):
        assert run_of(key) is trace_of(key) is live_of(key) is None


def test_the_whole_answer_begins_with_what_stood() -> None:
    feed = TokenFeed(replace(RUN, fork=Fork((0, 1))), stood=[step(0), step(1)])
    feed.add(step(2))
    assert [one.id for one in answer_of(feed.key)] == [0, 1, 2]
    assert answer_of("guessed") == ()


def test_a_second_feed_of_a_run_follows_the_first() -> None:
    first = feed_of(STARTED, step(0))
    second = TokenFeed.kept(first.key, "Again")
    assert second is not None and second.key == first.key
    assert (json.loads(second.flush())["n"], json.loads(second.flush())["title"]) == (1, "Again")
    first.add(step(1))
    second.catch_up()
    shown, other = json.loads(second.flush()), json.loads(first.flush())
    assert (shown["n"], shown["stats"][3]) == (2, other["stats"][3])
    value = second.flush()
    second.catch_up()
    assert second.flush() is value, "no news costs nothing"
    second.rename("Other")
    assert json.loads(second.flush())["title"] == "Other"
    assert TokenFeed.kept("guessed") is None


def test_a_closed_page_leaves_its_runs_readable_and_nothing_to_ask() -> None:
    mine, yours = feed_of(STARTED, step(0)), feed_of(STARTED)
    for feed, session in ((mine, "mine"), (yours, "yours")):
        feed.plays(Live(engine=None, stream=None, column=1, session=session))
    assert live_of(mine.key).column == 1
    KEPT.leave("mine")
    assert live_of(mine.key) is None
    assert trace_of(mine.key) is mine.trace
    assert live_of(yours.key) is not None


@pytest.mark.parametrize("start", [-1, "0", None, 1.5, [0], True])
def test_a_request_from_nowhere_gets_nothing(start: object) -> None:
    feed = feed_of(STARTED, step(0))
    assert read_tokens({"key": feed.key, "from": start}) == '{"gone":true}'


def test_a_branch_shows_what_stood_before_it_and_what_was_put_there() -> None:
    run = replace(RUN, fork=Fork((0, 1), (5,)))
    put = replace(step(2), special=True, forced=True)
    feed = TokenFeed(run, stood=(step(0, logprob=-1.0), step(1, logprob=-1.0)))
    for event in (STARTED, put, step(3, logprob=-1.0)):
        feed.add(event)
    said = message(feed.flush())
    assert [row[7] for row in said["rows"]] == [4, 4, 1 + 2, 0]
    assert "first" not in said
    assert feed.trace.ids == (2, 3)


def test_a_branch_without_what_stood_counts_on_from_there() -> None:
    feed = TokenFeed(replace(RUN, fork=Fork((0, 1))))
    feed.add(step(2))
    assert message(feed.flush())["first"] == 2


def test_the_prompt_comes_when_it_is_asked_for() -> None:
    feed = feed_of(STARTED)
    said = message(feed.flush())
    assert said["prompt"] == 2
    assert said["notices"] == ["A note."]
    assert message(read_prompt({"key": feed.key}))["pieces"] == [[0, "<s>", 1], [7, "One", 0]]


def test_an_idle_lane_says_what_it_will_be() -> None:
    said = message(idle("Greedy", "no dice", "Press Run."))
    assert (said["state"], said["title"], said["hint"]) == ("new", "Greedy", "Press Run.")


def test_a_lane_has_a_branch_event() -> None:
    assert callable(token_stream.token_stream("T", branch=True).branch)


@pytest.mark.parametrize("module", [token_feed, token_store])
def test_the_feed_knows_no_gradio(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    names = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert not any(name and name.startswith("gradio") for name in names)


def _luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of ``#rrggbb``."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_tinted_text_is_readable_and_the_scale_needs_no_colour_vision(dark: bool) -> None:
    """WCAG AA (4.5) on every tint; each step differs from the one before in lightness alone."""
    css = (ASSETS / "token_stream.css").read_text(encoding="utf-8")
    rules = re.findall(r"^(\.dark )?\.ts, (?:\.dark )?\.token-popover \{(.*?)\}", css, re.S | re.M)
    [block] = [body for prefix, body in rules if bool(prefix) == dark]
    scale = [re.search(rf"--s{level}: (#\w{{6}})", block)[1] for level in range(1, 6)]
    ink = re.search(r"--tint-ink: (#\w{6})", block)[1]
    assert min(_contrast(ink, colour) for colour in scale) >= 4.5
    lightness = [_luminance(colour) for colour in scale]
    assert lightness == sorted(lightness, reverse=not dark)
    assert all(_contrast(a, b) >= 1.1 for a, b in pairwise(scale))
