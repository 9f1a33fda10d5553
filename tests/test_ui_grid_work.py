"""Grids at work over a fake engine: order, stop, resume, what changed, failures, bounds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Event, Failed, Loading
from playground.core.grid import Axes, Grid, Strategy, expand
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, Overloaded, Problem
from playground.settings import LOCAL_LIMITS
from playground.ui import grid_player, grid_work
from playground.ui.grid_job import GridJob
from playground.ui.grid_player import Slots
from playground.ui.grid_work import GridWork
from tests.grid_engine import GridEngine, echo, wait_for

ANN = Visitor("ann", "192.0.2.1")
A, B = ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base")
SAMPLED = Strategy("Top-p", replace(PRESETS["Top-p"], max_new_tokens=4))


def grid(prompts: tuple[str, ...] = ("p", "q"), seeds: int = 3, **more: Any) -> Grid:
    given = {"models": (A, B), "strategies": (SAMPLED,), **more}
    return expand(Axes(prompts, seeds=tuple(range(seeds)), **given), 1000, 60_000, 1000)  # type: ignore[arg-type]


def work_of(engine: GridEngine, **limits: int) -> GridWork:
    return GridWork(engine, replace(LOCAL_LIMITS, **limits))  # type: ignore[arg-type]


def play(work: GridWork, job: GridJob) -> None:
    work.start(job)
    wait_for(lambda: not job.running)


def test_every_cell_runs_once_model_by_model_in_batches() -> None:
    """2 prompts × 2 models × 6 seeds = 24 cells. A quarter of 32 running runs is 8 at once, so each
    model has a batch of 8 and, when half of that is over, one of the 4 that are left."""
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(seeds=6), {})
    play(work, job)
    assert job.counts() == {"done": 24}
    assert [model for model, _ in groupby(run.model for run in engine.history)] == [A, B]
    assert [len(batch) for batch in engine.batches] == [8, 4, 8, 4]
    assert len(set(engine.history)) == 24
    prompts = [run.prompt for run in engine.history if run.model == A]
    assert prompts == [Raw("p")] * 6 + [Raw("q")] * 6, "who shares a prompt stands together"


def test_a_visitor_follows_cells_on_so_many_pages() -> None:
    """Four of 24, and those of one address twelve; locally nobody is one of many."""
    work = GridWork(GridEngine(), LOCAL_LIMITS, are_many=True)  # type: ignore[arg-type]
    with ExitStack() as pages:
        for _ in range(4):
            pages.enter_context(work.following(ANN))
        with pytest.raises(Overloaded, match="4 pages of yours"), work.following(ANN):
            pass
        for number in range(8):
            pages.enter_context(work.following(replace(ANN, name=f"cookie {number}")))
        with pytest.raises(Overloaded, match="Too many"), work.following(replace(ANN, name="new")):
            pass
        with work.following(Visitor("bob", "192.0.2.2")):
            pass
    with work.following(ANN):
        pass
    alone = work_of(GridEngine())
    with ExitStack() as pages:
        for _ in range(grid_work.MOST_FOLLOWING):
            pages.enter_context(alone.following(ANN))
        with pytest.raises(Overloaded, match="Too many"), alone.following(ANN):
            pass


def test_finished_cells_are_told_with_coordinates_run_and_trace() -> None:
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(seeds=2, prompts=("p",)), {})
    assert work.finished(job.key) == ()
    play(work, job)
    told = work.finished(job.key)
    assert [(c.at.model, c.at.seed, c.run, c.trace.text) for c in told] == [
        (m, s, Run(model, Raw("p"), SAMPLED.decoding, s), f"ab{s}")
        for m, model in enumerate((A, B)) for s in (0, 1)]
    assert work.finished("another key") == ()


def test_a_failed_cell_keeps_its_reason_and_the_others_go_on() -> None:
    def answer(run: Run) -> list[Event]:
        return [Failed(Problem("TEMPLATE", "No template."))] if run.seed == 1 else echo(run)

    engine = GridEngine(answer)
    work = work_of(engine)
    job = work.put("", grid(), {})
    play(work, job)
    assert job.counts() == {"done": 8, "failed": 4}
    results = [job.result(cell) for cell in job.grid.cells]
    assert {str(r.trace.problem) for r in results if r and r.state == "failed"} == {"No template."}


def test_a_failed_cell_runs_again_and_no_other() -> None:
    broken = True

    def answer(run: Run) -> list[Event]:
        wrong = broken and run.seed == 1
        return [Failed(Problem("OOM", "No memory."))] if wrong else echo(run)

    engine = GridEngine(answer)
    work = work_of(engine)
    job = work.put("", grid(), {})
    play(work, job)
    broken, before = False, len(engine.history)
    play(work, job)
    again = engine.history[before:]
    assert len(again) == 4 and {run.seed for run in again} == {1}
    assert job.counts() == {"done": 12}


def test_only_what_changed_runs_and_what_comes_back_is_still_known() -> None:
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(("p", "q")), {})
    play(work, job)
    assert work.put(job.key, grid(("p", "new")), {}) is job
    assert job.counts() == {"done": 6, "planned": 6}
    play(work, job)
    assert [run.prompt for run in engine.history[12:]] == [Raw("new")] * 6
    work.put(job.key, grid(("p", "q")), {})
    assert job.counts() == {"done": 12}
    play(work, job)
    assert len(engine.history) == 18


def test_stop_in_the_middle_of_a_batch_keeps_what_is_done_and_resume_runs_the_rest() -> None:
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(seeds=6), {})
    engine.gate.clear()
    work.start(job)
    wait_for(lambda: len(engine.streams) == 1)
    job.stopping.set()
    wait_for(lambda: not job.running)
    assert job.counts() == {"stopped": 8, "planned": 16}
    assert engine.streams[0].stopped
    assert len(engine.history) == 8, "nothing is started after Stop"
    engine.gate.set()
    play(work, job)
    assert job.counts() == {"done": 24} and len(engine.history) == 8 + 24


def test_what_waits_to_run_again_shows_as_planned_and_keeps_what_it_had_if_it_does_not() -> None:
    """A cell that had failed lost its reason when a resumed grid was stopped before its turn."""
    engine = GridEngine(lambda run: [Failed(Problem("OOM", "No memory."))])
    work = work_of(engine)
    job = work.put("", grid(seeds=6), {})
    play(work, job)
    engine.gate.clear()
    work.start(job)
    wait_for(lambda: len(engine.batches) == 5)
    assert job.counts() == {"planned": 16, "waiting": 8}
    job.stopping.set()
    wait_for(lambda: not job.running)
    assert job.counts() == {"failed": 16, "stopped": 8}


def test_an_engine_without_room_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_player, "BUSY_SECONDS", 0.0)
    engine = GridEngine(refusals=3)
    work = work_of(engine)
    job = work.put("", grid(), {})
    play(work, job)
    assert job.counts() == {"done": 12} and engine.refusals == 0
    assert len(set(engine.history)) == 12


def test_an_engine_that_never_has_room_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_player, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(grid_player, "PATIENCE_SECONDS", -1.0)
    engine = GridEngine(refusals=10**6)
    work = work_of(engine)
    job = work.put("", grid(), {})
    play(work, job)
    assert job.counts() == {"failed": 12}
    result = job.result(job.grid.cells[0])
    assert result and str(result.trace.problem).startswith("Too many runs wait already.")


def test_a_model_that_cannot_be_loaded_is_not_tried_batch_after_batch() -> None:
    def answer(run: Run) -> list[Event]:
        wrong = run.model == A
        return [Failed(Problem("MODEL_TOO_BIG", "Too big."))] if wrong else echo(run)

    engine = GridEngine(answer)
    work = work_of(engine)
    job = work.put("", grid(seeds=20), {})
    play(work, job)
    assert job.counts() == {"failed": 40, "done": 40}
    assert sum(run.model == A for run in engine.history) == work.width


def test_all_grids_together_take_half_of_the_running_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 running: a grid takes 4 and all of them 8, so the third waits while two write."""
    monkeypatch.setattr(grid_player, "BUSY_SECONDS", 0.0)
    engine = GridEngine()
    work = work_of(engine, running=16)
    engine.gate.clear()
    jobs = [work.put("", grid(), {"n": n}) for n in range(3)]
    for job in jobs:
        work.start(job)
    wait_for(lambda: len(engine.batches) == 2)
    wait_for(lambda: any("other grids" in str(job.waits_for) for job in jobs))
    assert [len(batch) for batch in engine.batches] == [4, 4]
    engine.gate.set()
    wait_for(lambda: not any(job.running for job in jobs))
    assert [job.counts() for job in jobs] == [{"done": 12}] * 3


def test_slots_give_no_more_than_there_are() -> None:
    slots = Slots(5)
    assert [slots.take("a", 4), slots.take("b", 4), slots.take("b", 1)] == [4, 1, 0]
    slots.give("a", 3)
    assert [slots.take("b", 9), slots.take("a", 9)] == [2, 1]


def test_two_grids_do_not_keep_a_third_out_however_long_they_run() -> None:
    """Of 8 slots two grids have 4 each. Once a third wants some, each has 3 at most: what the first
    two give back is the third's, although they ask first."""
    slots = Slots(8)
    assert [slots.take(one, 4) for one in "abc"] == [4, 4, 0]
    slots.give("a", 1)
    slots.give("b", 1)
    assert [slots.take(one, 4) for one in "abc"] == [0, 0, 2]
    slots.leave("c")
    assert [slots.take(one, 4) for one in "ab"] == [1, 1]


def test_a_grid_does_not_use_its_visitors_own_requests() -> None:
    """Only one of a visitor's requests may wait in public; a grid that waits would be it."""
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(), {}, ANN)
    play(work, job)
    assert engine.visitors == {Visitor("grids of ann", "192.0.2.1")}


def test_one_visitor_does_not_start_all_the_grids_that_may_run() -> None:
    """Eight may, of all together; whoever opened eight pages had them all, and nobody else one."""
    engine = GridEngine()
    work = GridWork(engine, LOCAL_LIMITS, are_many=True)  # type: ignore[arg-type]
    engine.gate.clear()
    jobs = []

    def start(visitor: Visitor) -> None:
        jobs.append(work.put("", grid(), {}, visitor))
        work.start(jobs[-1])

    start(ANN)
    start(ANN)
    with pytest.raises(Overloaded, match="2 grids of yours"):
        start(ANN)
    start(Visitor("a cookie", ANN.address))
    start(Visitor("another", ANN.address))
    with pytest.raises(Overloaded, match="Too many grids"):
        start(Visitor("one more", ANN.address))
    start(Visitor("bob", "192.0.2.2"))
    engine.gate.set()
    wait_for(lambda: not any(job.running for job in jobs))


def test_two_grids_of_one_visitor_have_no_more_slots_than_one_of_another() -> None:
    slots = Slots(8)
    assert [slots.take("a", 4, "ann"), slots.take("b", 4, "ann")] == [4, 4]
    assert slots.take("c", 4, "bob") == 0
    slots.give("a", 4)
    assert slots.take("a", 4, "ann") == 0
    assert slots.take("c", 4, "bob") == 4


def test_who_has_many_grids_makes_room_before_who_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_work, "MOST_GRIDS", 3)
    work = work_of(GridEngine())
    bobs = work.put("", grid(), {}, Visitor("bob"))
    play(work, bobs)
    anns = [work.put("", grid(), {}, ANN) for _ in range(2)]
    for job in anns:
        play(work, job)
    work.put("", grid(), {}, ANN)
    assert work.job(bobs.key) is bobs
    assert [work.job(job.key) is job for job in anns] == [False, True]


def test_a_running_grid_takes_no_other_plan() -> None:
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(), {})
    engine.gate.clear()
    work.start(job)
    with pytest.raises(InvalidInput, match="running"):
        work.put(job.key, grid(("other",)), {})
    work.start(job)  # a second click
    engine.gate.set()
    wait_for(lambda: not job.running)
    assert len(engine.history) == 12


def test_changes_are_told_once_and_in_slices() -> None:
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(), {})
    play(work, job)
    first = job.changed(0, 5)
    rest = job.changed(first[-1][1].revision, 99)
    assert (len(first), len(rest)) == (5, 7)
    assert sorted(n for n, _ in (*first, *rest)) == list(range(12))
    assert job.changed(job.revision, 99) == []


def test_speed_and_load_are_measured_and_a_model_that_was_there_tells_no_load() -> None:
    def answer(run: Run) -> list[Event]:
        return [Loading("loading"), *echo(run)] if run.model == A else echo(run)

    engine = GridEngine(answer)
    work = work_of(engine)
    job = work.put("", grid(), {})
    assert set(job.estimate().unknown) == {A, B}
    play(work, job)
    speeds = job.speeds
    assert speeds[A].load_seconds is not None and speeds[B].load_seconds is None
    assert speeds[A].written == pytest.approx(3 / 4)
    assert (speeds[A].tokens_per_second or 0) > 0


def test_grids_are_forgotten_in_time_and_never_while_they_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grid_work, "FORGOTTEN_AFTER", -1.0)
    engine = GridEngine()
    work = work_of(engine)
    job = work.put("", grid(), {})
    engine.gate.clear()
    work.start(job)
    assert work.job(job.key) is job
    engine.gate.set()
    wait_for(lambda: not job.running)
    assert work.job(job.key) is None


def test_grids_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_work, "MOST_GRIDS", 3)
    engine = GridEngine()
    work = work_of(engine)
    first, second, third, fourth = (work.put("", grid(), {}) for _ in range(4))
    assert [work.job(one.key) for one in (first, second)] == [None, second]
    engine.gate.clear()
    for job in (second, third, fourth):
        work.start(job)
    with pytest.raises(Overloaded):
        work.put("", grid(), {})
    engine.gate.set()
    wait_for(lambda: not any(job.running for job in (second, third, fourth)))


def test_a_grid_ends_with_its_engine_and_does_not_ask_it_for_ten_minutes() -> None:
    """Two models: neither's cells wait for an engine that has no room because it is gone."""
    engine = GridEngine()
    engine.is_closed = True
    work = work_of(engine)
    job = work.put("", grid(models=(A, B)), {})
    play(work, job)
    assert set(job.counts()) == {"failed"}


def test_plans_of_others_push_no_answers_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_work, "MOST_GRIDS", 3)
    work = work_of(GridEngine())
    mine = work.put("", grid(), {})
    play(work, mine)
    plans = [work.put("", grid(), {}) for _ in range(9)]
    assert work.job(mine.key) is mine
    assert [work.job(one.key) is one for one in plans] == [False] * 7 + [True] * 2


def test_what_has_changed_is_told_as_it_was_then() -> None:
    """A cell that changes while a slice is written must not carry the slice's end past others."""
    work = work_of(GridEngine())
    job = work.put("", grid(), {})
    play(work, job)
    (place, told), *_ = job.changed(0, 1)
    before = told.revision
    job.add(job.grid.cells[place], Failed(Problem("ERROR", "It failed.")))
    assert told.revision == before and told.state == "done"
    assert job.changed(job.revision - 1, 9)[0][1].state == "failed"


def test_answers_of_cells_that_are_no_longer_asked_for_go_when_there_is_no_room() -> None:
    engine = GridEngine()
    work = work_of(engine, grid_tokens=20)
    job = work.put("", grid(("p",), models=(A,)), {})
    play(work, job)
    work.put(job.key, grid(("q",), models=(A,)), {})
    play(work, job)
    assert job.weight <= 20
    work.put(job.key, grid(("p", "q"), models=(A,)), {})
    assert job.counts().get("done", 0) >= 3


def test_no_key_can_be_guessed_and_anything_may_be_asked_for() -> None:
    work = work_of(GridEngine())
    keys = {work.put("", grid(), {}).key for _ in range(5)}
    assert len(keys) == 5 and min(map(len, keys)) >= 24
    assert [work.job(key) for key in (None, 3, {}, "", "x")] == [None] * 5


def test_greedy_and_sampled_cells_of_one_prompt_start_together() -> None:
    engine = GridEngine()
    work = work_of(engine)
    greedy = Strategy("Greedy", Decoding(max_new_tokens=4))
    play(work, work.put("", grid(strategies=(greedy, SAMPLED), models=(A,), seeds=2), {}))
    assert [len({run.prompt for run in batch}) for batch in engine.batches] == [2]
    assert [run.prompt for run in engine.history] == [Raw("p")] * 3 + [Raw("q")] * 3
