"""The Grid tab over a fake engine: its form, its handlers, what a browser is told, its files."""

from __future__ import annotations

import csv
import io
import json
import threading
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Event, Failed, Started, Step
from playground.core.grid_plan import Estimate
from playground.core.plain import from_plain
from playground.core.prompt import Chat, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem
from playground.settings import LOCAL_LIMITS, Limits, Settings
from playground.spaces_yaml import description
from playground.ui import grid_work
from playground.ui.grid import EXAMPLES
from playground.ui.grid_board import answers_of, board_value
from playground.ui.grid_export import harmless, page_of
from playground.ui.grid_form import FIELDS, GridForm
from playground.ui.grid_job import GridJob
from playground.ui.grid_lanes import catch_up, opened
from playground.ui.grid_report import layout, news, time_left
from playground.ui.grid_work import GridWork
from playground.ui.keeping import Keeper
from playground.ui.lane_form import CHAT, RAW
from playground.ui.lane_report import Board
from playground.ui.page import build_page
from playground.ui.token_stream import TokenFeed
from playground.ui.visitor import OWNER
from tests.fake_engine import words
from tests.grid_engine import GridEngine, echo, wait_for

CHAT_MODEL, BASE = "builtin/tiny-chat", "builtin/tiny-base"
PLAIN: dict[str, Any] = {
    "prompts": "Once\n\nRoses", "table": "", "systems": "", "template": RAW,
    "control_tokens": False, "models": [CHAT_MODEL, BASE], "strategies": ["Top-p"], "sweep": "",
    "seeds": "0-1", "new_tokens": 4,
}
REQUEST = SimpleNamespace(session_hash="a-page")


def form(**more: Any) -> GridForm:
    return GridForm({**PLAIN, **more})


def played(engine: GridEngine, **more: Any) -> tuple[GridWork, GridJob]:
    work = GridWork(engine, LOCAL_LIMITS)  # type: ignore[arg-type]
    asked = form(**more)
    job = work.put("", asked.grid(LOCAL_LIMITS), asked.values)
    work.start(job)
    wait_for(lambda: not job.running)
    return work, job


# The form

def test_the_boxes_become_a_grid() -> None:
    grid = form(sweep="top_k 5, 10", systems="-\n\nBe brief.", template=CHAT).grid(LOCAL_LIMITS)
    assert len(grid.cells) == 2 * 2 * 2 * 3 * 2
    assert grid.cells[0].run == Run(
        ModelSpec(CHAT_MODEL), Chat((Message("user", "Once"),)),
        replace(PRESETS["Top-p"], max_new_tokens=4), 0)
    assert {cell.run.decoding.max_new_tokens for cell in grid.cells} == {4}


def test_a_preset_of_ones_own_is_a_strategy() -> None:
    asked = GridForm({**PLAIN, "strategies": ["Mine: Mild"]},
                     {"Mild": {"preset": "Top-p", "temperature": 0.5}})
    assert asked.grid(LOCAL_LIMITS).cells[0].run.decoding == Decoding(
        do_sample=True, top_p=0.9, temperature=0.5, max_new_tokens=4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("prompts", ""), ("prompts", None), ("table", 3), ("systems", {}), ("control_tokens", "no"),
     ("models", None), ("models", "x"), ("models", [3]), ("models", [""]), ("models", ["x"] * 201),
     ("strategies", []), ("strategies", ["Mine: x"]), ("strategies", ["nothing"]), ("sweep", 1),
     ("seeds", "x"), ("strategies", ["Greedy"] * 201), ("new_tokens", None), ("new_tokens", 0),
     ("new_tokens", 1.5), ("new_tokens", float("nan"))],
)
def test_whatever_a_browser_sends_is_a_grid_or_a_sentence(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        form(**{name: value}).grid(LOCAL_LIMITS)
    assert str(refused.value).endswith(".")


def test_every_example_is_a_grid_that_public_visitors_may_run() -> None:
    public = Limits(**description()["limits"]["space"])
    sizes = [len(GridForm(dict(zip(FIELDS, one.values(Settings()), strict=True)))
                 .grid(public).cells) for one in EXAMPLES]
    assert sizes == [8, 24, 12]


# What a browser is told

def test_the_axes_are_told_once_and_cells_as_places_on_them() -> None:
    _, job = played(GridEngine(), strategies=["Greedy", "Top-p"])
    told = json.loads(layout(job))
    assert told["axes"] == [
        ["Prompt", ["Once", "Roses"]], ["System prompt", ["none"]],
        ["Model", ["tiny-chat", "tiny-base"]], ["Strategy", ["Greedy", "Top-p"]],
        ["Seed", ["any", "0", "1"]]]
    assert told["cells"][:3] == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 1, 2]]
    assert len(told["cells"]) == 12


def test_what_changed_crosses_the_wire_once() -> None:
    _, job = played(GridEngine())
    told = json.loads(news(job, 0))
    assert (told["running"], told["counts"], told["total"]) == (False, {"done": 8}, 8)
    assert sorted(row[0] for row in told["cells"]) == list(range(8))
    place, state, text, figures, marks, problem = told["cells"][0]
    assert (state, text, figures["length"], marks, problem) == ("done", f"ab{place % 2}", 3, 0, "")
    assert figures["perplexity"] == pytest.approx(2.0, abs=1e-3)  # each token with one half
    again = json.loads(news(job, told["revision"]))
    assert again["cells"] == []
    for since in (None, "x", True, -1, 10**30):
        assert json.loads(news(job, since))["total"] == 8


def test_a_slice_is_bounded_and_the_rest_is_asked_for() -> None:
    """Answers of 4,000 characters each: about ten of them are a slice."""
    _, job = played(GridEngine(lambda run: words("x" * 9000, reason="end")), seeds="0-19")
    seen, since, slices = set(), 0, 0
    while True:
        line = news(job, since)
        told = json.loads(line)
        assert len(line) < 70_000
        assert all(len(row[2]) <= 4000 and row[4] & 2 for row in told["cells"])
        seen |= {row[0] for row in told["cells"]}
        since, slices = told["revision"], slices + 1
        if not told["more"]:
            break
    assert seen == set(range(80)) and slices == 8


def test_the_plan_says_number_order_loads_tokens_and_that_the_time_is_unknown() -> None:
    work = GridWork(GridEngine(), LOCAL_LIMITS)  # type: ignore[arg-type]
    job = work.put("", form().grid(LOCAL_LIMITS), PLAIN)
    assert json.loads(news(job, 0))["plan"] == [
        "8 cells: 2 prompts × 2 models × 2 seeds.",
        "Order: tiny-chat (4 cells, loads once), then tiny-base (4 cells, loads once).",
        "At most 32 new tokens. Time: unknown until the first cell of tiny-chat and tiny-base."]


def test_the_time_is_in_words_and_says_what_it_leaves_out() -> None:
    base = (ModelSpec(BASE),)
    assert time_left(Estimate(0.2)) == "about 1 s"
    assert time_left(Estimate(61.4), " left") == "about 61 s left"
    assert time_left(Estimate(600.0)) == "about 10 min"
    assert time_left(Estimate(9.0, base)) == (
        "about 9 s without tiny-base, unknown until its first cell")


def test_a_reason_is_told_and_what_ran_stays() -> None:
    def answer(run: Run) -> list[Event]:
        return [Failed(Problem("OOM", "No memory."))] if run.seed else echo(run)

    _, job = played(GridEngine(answer))
    rows = json.loads(news(job, 0))["cells"]
    assert {(row[1], row[5]) for row in rows} == {("done", ""), ("failed", "No memory.")}
    assert "4 cells failed and would run again." in json.loads(news(job, 0))["plan"]


# Files

def test_a_csv_opens_harmlessly_in_a_spreadsheet() -> None:
    evil = "=HYPERLINK(1)"
    _, job = played(GridEngine(lambda run: words(evil, reason="end")), prompts="@SUM(1)\n\n-1+1")
    page = json.loads(page_of(job, "csv", 0))
    rows = list(csv.DictReader(io.StringIO(page["text"])))
    assert {row["prompt"] for row in rows} == {"'@SUM(1)", "'-1+1"}
    assert {row["text"] for row in rows} == {f"'{evil}"}
    assert rows[0]["ids"] == "3" and rows[0]["state"] == "done" and rows[0]["reason"] == "end"
    assert json.loads(rows[0]["settings"])["top_p"] == 0.9
    values = [value for row in rows for value in row.values()]
    assert not [value for value in values if value[:1] in ("=", "+", "@", "\t", "\r")]
    assert harmless(-1.5) == -1.5 and harmless("-1.5") == "'-1.5" and harmless(None) == ""


def test_a_json_file_holds_everything_of_every_cell_in_pages() -> None:
    _, job = played(GridEngine(), seeds="0-29")
    pages, start = [], 0
    while start is not None:
        told = json.loads(page_of(job, "json", start))
        pages.append(told["text"])
        start = told["next"]
    cells = json.loads(f"[{','.join(pages)}]")
    assert len(pages) == 3 and len(cells) == 120
    assert [cell["cell"] for cell in cells] == [cell.identity for cell in job.grid.cells]
    assert (cells[1]["ids"], cells[1]["seed"], cells[1]["prompt_ids"]) == ([3, 4, 5], 1, [1, 2])
    assert from_plain(Run, cells[1]["run"]) == job.grid.cells[1].run


@pytest.mark.parametrize("start", [None, -5, "x", True, 10**9])
def test_a_page_from_anywhere_is_a_page(start: object) -> None:
    _, job = played(GridEngine())
    assert json.loads(page_of(job, "csv", start))["next"] is None


# Open cells

def test_two_cells_are_shown_and_where_they_part_is_said() -> None:
    _, job = played(GridEngine(lambda run: [*words("a", "b")[:-2], Step(
        1, 9 + run.seed, f"s{run.seed}", f"s{run.seed}", -1.0, 1, 0.5, 1.0, ()), echo(run)[-1]]))
    lanes = opened(job, [0, 1])
    assert not any([lane.follow() for lane in lanes])
    board = Board(lanes)
    board.running = False
    told = json.loads(board.parting())["lanes"]
    assert json.loads(board.mark(1, lanes[1].value))["parts_at"] == 1
    left = told[0]["title"]
    assert told[1]["words"] == [f"Identical to {left} for 1 token, then ", {"token": "s1"},
                                f" where {left} took ", {"token": "s0"}, "."]


def page_of_grids(monkeypatch: pytest.MonkeyPatch, engine: GridEngine) -> tuple[Any, Keeper]:
    keeper = Keeper()
    monkeypatch.setattr("playground.ui.page.keeper_of", lambda settings, describe: keeper)
    return build_page(engine, Settings()), keeper  # type: ignore[arg-type]


def test_the_cells_of_a_grid_are_kept_for_whoever_started_it(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, with its place in the grid; a cell that never began is nothing to keep. A second
    start keeps only what ran again."""
    refused = [Failed(Problem("MODEL_NOT_FOUND", "There is no such model."))]
    failing = [True]
    engine = GridEngine(lambda run: refused if failing[0] and run.model.repo == BASE else echo(run))
    blocks, keeper = page_of_grids(monkeypatch, engine)
    run = next(f for f in blocks.fns.values() if f.api_name == "grid_run")

    def kept(board: str) -> tuple[str, list[tuple[str, str, int]]]:
        told = run.fn(REQUEST, own={}, board=board, **PLAIN)[-1]
        job = next(f.fn for f in blocks.fns.values() if getattr(f.fn, "__name__", "") == "over")
        wish = SimpleNamespace(_data={"key": json.loads(told)["key"]})
        wait_for(lambda: "Stop" not in str(job(wish)) and job(wish)[0]["visible"])
        keeper.records._access.submit(lambda rows: None).result(30)
        found = keeper.records.find(OWNER).records
        return told, sorted((one.tab, one.model, one.place) for one in found)

    board, first = kept("{}")
    assert {model for _, model, _ in first} == {"tiny-chat"} and len(first) == 4
    failing[0] = False
    second = kept(board)[1]
    assert len(second) == 8 and {tab for tab, *_ in second} == {"grid"}
    assert sorted(place for *_, place in second) == list(range(8))


def test_the_page_compares_two_open_cells_and_nothing_with_one() -> None:
    blocks = build_page(GridEngine(), Settings())  # type: ignore[arg-type]
    run = next(f for f in blocks.fns.values() if f.api_name == "grid_run")
    key = json.loads(run.fn(REQUEST, own={}, board="{}", **PLAIN)[-1])["key"]
    show = next(f.fn for f in blocks.fns.values()
                if any(name == "open_cells" for _, name in f.targets))
    told = [list(show(SimpleNamespace(_data={"key": key, "places": places}), REQUEST))[-1][-2]
            for places in ([0, 1], [0])]
    assert [one["key"] != "" for one in json.loads(told[0])["lanes"]] == [True, True]
    assert json.loads(told[0])["running"] is False and json.loads(told[1]) == {}


def test_what_two_cells_wrote_is_escaped_in_the_words_about_them() -> None:
    def answer(run: Run) -> list[Event]:
        text = f"<b>{run.seed}"
        step = Step(0, 9 + run.seed, text, text, -1.0, 1, 0.5, 1.0, ())
        return [echo(run)[0], step, echo(run)[-1]]

    _, job = played(GridEngine(answer))
    lanes = opened(job, [0, 1])
    assert not any([lane.follow() for lane in lanes])
    assert "\\u003cb>1" in Board(lanes).parting() and "<" not in Board(lanes).parting()


@pytest.mark.parametrize("places", [None, "x", [-1, 99], [True], [{}], 3])
def test_what_is_no_cell_is_not_opened(places: object) -> None:
    _, job = played(GridEngine())
    assert opened(job, places) == []


def test_a_cell_is_followed_event_by_event_while_it_writes() -> None:
    trace = Trace(Run(ModelSpec(BASE), Raw("Once")))
    feed = TokenFeed.of(trace)
    for event in echo(trace.run):
        trace = trace.add(event)
        catch_up(feed, trace)
        catch_up(feed, trace)
        assert feed.trace == trace
    assert json.loads(feed.flush())["n"] == 3
    catch_up(feed, Trace(trace.run).add(Started((), "", 1)))
    assert feed.trace == trace, "a run that was begun anew is another one"


# Handlers

class Page:
    """The page over an engine, and the handlers of its Grid tab by their name."""

    def __init__(self, engine: GridEngine) -> None:
        self.blocks = build_page(engine, Settings())  # type: ignore[arg-type]
        self.fns = {f.fn.__name__: f for f in self.blocks.fns.values()
                    if f.fn is not None and hasattr(f.fn, "__name__")}
        self.run, self.plan, self.stop = (
            next(f.fn for f in self.blocks.fns.values() if f.api_name == f"grid_{name}")
            for name in ("run", "plan", "stop"))

    def told(self, name: str, data: object) -> Any:
        """What a handler of an event of the board gives."""
        return self.fns[name].fn(SimpleNamespace(_data=data))


@cache
def idle_page() -> Page:
    """A page that runs nothing; building one takes most of a second."""
    return Page(GridEngine())


def test_plan_shows_everything_and_runs_nothing() -> None:
    engine = GridEngine()
    page = Page(engine)
    run, stop, notice, board = page.plan(REQUEST, {}, "{}", **PLAIN)
    assert (run["visible"], stop["visible"], notice, engine.history) == (True, False, "", [])
    assert board_value(board)["version"] == 1


def test_run_keeps_the_key_and_a_reloaded_page_finds_grid_and_form() -> None:
    engine = GridEngine()
    page = Page(engine)
    engine.gate.clear()
    run, stop, _, board = page.run(REQUEST, {}, "{}", **PLAIN)
    assert (run["visible"], stop["visible"]) == (False, True)
    key = board_value(board)["key"]
    closed = next(f.fn for f in page.blocks.fns.values() if f.name == "closed")
    closed(REQUEST)
    found = page.told("find", {"key": key})
    assert found[1]["visible"] is True and board_value(found[3])["key"] == key
    assert found[5:][FIELDS.index("prompts")] == "Once\n\nRoses"
    engine.gate.set()
    wait_for(lambda: page.told("over", {"key": key})[0]["visible"])
    assert len(engine.history) == 8, "the grid went on without its page"


def test_stop_and_resume_are_one_button() -> None:
    engine = GridEngine()
    page = Page(engine)
    engine.gate.clear()
    board = page.run(REQUEST, {}, "{}", **PLAIN)[3]
    wait_for(lambda: engine.streams)
    page.stop(board)
    key = {"key": board_value(board)["key"]}
    wait_for(lambda: page.told("over", key)[0]["visible"])
    assert page.told("over", key)[0]["value"] == "Resume"
    engine.gate.set()
    page.run(REQUEST, {}, board, **PLAIN)
    wait_for(lambda: page.told("over", key)[0].get("value") == "Run")


def test_opening_others_ends_what_was_followed() -> None:
    """A cell that still writes was followed for ever, and a click on another one was not heard."""
    engine = GridEngine()
    page = Page(engine)
    engine.gate.clear()
    board = page.run(REQUEST, {}, "{}", **PLAIN)[3]
    wait_for(lambda: engine.streams)
    wish = SimpleNamespace(_data={"key": board_value(board)["key"], "places": [0]})
    event = page.fns["open_cells"]
    assert event.trigger_mode == "multiple"
    first = event.fn(wish, REQUEST)
    boxes = next(first)[:2]
    assert [box["visible"] for box in boxes] == [True, False]
    former = threading.Thread(target=lambda: list(first))  # as Gradio asks it for more
    former.start()
    wish._data["places"] = [0, 1]
    second = event.fn(wish, REQUEST)
    assert [box["visible"] for box in next(second)[:2]] == [True, True]
    former.join(60)
    assert not former.is_alive()
    engine.gate.set()
    shown = list(second)
    assert json.loads(shown[-1][3])["n"] == 3


def test_a_page_too_many_is_shown_cells_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page that follows cells holds a thread of the server, and nothing bounded them."""
    monkeypatch.setattr(grid_work, "MOST_FOLLOWING", 1)
    engine = GridEngine()
    page = Page(engine)
    engine.gate.clear()
    board = page.run(REQUEST, {}, "{}", **PLAIN)[3]
    wait_for(lambda: engine.streams)
    wish = SimpleNamespace(_data={"key": board_value(board)["key"], "places": [0]})
    event = page.fns["open_cells"]
    first = event.fn(wish, REQUEST)
    assert next(first)[-1] == ""
    ((*shown, notice),) = event.fn(wish, SimpleNamespace(session_hash="another"))
    assert "Too many pages follow cells already" in notice and shown[0]["visible"]
    first.close()
    third = event.fn(wish, SimpleNamespace(session_hash="a third"))
    assert next(third)[-1] == "", "who leaves makes room"
    engine.gate.set()
    list(third)
    finished = event.fn(wish, REQUEST)
    monkeypatch.setattr(grid_work, "MOST_FOLLOWING", 0)
    assert [one[-1] for one in finished] == [""], "what is over is not followed"


@pytest.mark.parametrize("board", [None, "", "[]", "x", '{"key": 3}', "[" * 5000, 7])
def test_any_board_value_is_a_new_grid(board: Any) -> None:
    assert board_value(idle_page().plan(REQUEST, {}, board, **PLAIN)[3])["key"]


def test_what_is_wrong_is_a_sentence_and_the_grid_stays() -> None:
    told = idle_page().plan(REQUEST, {}, "{}", **{**PLAIN, "prompts": "{a"})
    assert "belongs to no variable" in told[2]
    assert told[3] == gr.skip()


@pytest.mark.parametrize("data", [None, {}, {"key": "no such"}, {"key": []}, 3])
def test_a_grid_that_is_gone_is_said(data: object) -> None:
    found = idle_page().told("find", data)
    assert json.loads(found[3]) == {"key": "", "gone": True}
    assert idle_page().told("over", data)[0]["value"] == "Run"


def test_a_browser_is_answered_by_key_alone() -> None:
    work, job = played(GridEngine())
    answers = answers_of(work)
    assert [one.__name__ for one in answers] == ["grid_layout", "grid_news", "grid_file"]
    for answer in answers:
        assert json.loads(answer({"key": "x"})) == json.loads(answer(None)) == {"gone": True}
        assert "gone" not in json.loads(answer({"key": job.key}))
