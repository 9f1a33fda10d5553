"""A stream and the admission to it, by hand: no process, no thread, no model."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Paced, Queued, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.visitor import Visitor
from playground.engine.admission import Admission, Place, check_cost
from playground.engine.stream import Stream
from playground.engine.waiting import Abandoned
from playground.errors import InvalidInput, Overloaded, PlaygroundError
from playground.flags import settings_from
from playground.settings import LOCAL_LIMITS, Limits

RUN = Run(ModelSpec("some/model"), Raw("Once"))
STEP = Step(0, 5, " upon", " upon", -0.1, 1, 0.9, 0.3, ())
LENGTH = Finished("length", "", 1, 1, 0.1, 0.1)


class Batch:
    """What a worker is to a column: remembers who joined and who was asked to leave."""

    def __init__(self) -> None:
        self.listeners: dict[int, Callable[[Event], None]] = {}
        self.cancelled: list[int] = []
        self.paced: list[tuple[int, int | None, float]] = []
        self.amended: list[tuple[int, Decoding]] = []
        self.begun: list[tuple[Run, Paced | None]] = []

    def begin(
        self, run: Run, listener: Callable[[Event], None], pace: Paced | None = None, /
    ) -> int:
        self.begun.append((run, pace))
        self.listeners[len(self.listeners)] = listener
        return len(self.listeners) - 1

    def cancel(self, key: int, /) -> None:
        self.cancelled.append(key)

    def pace(self, key: int, allowed: int | None, seconds: float, /) -> None:
        self.paced.append((key, allowed, seconds))

    def amend(self, key: int, decoding: Decoding, /) -> None:
        self.amended.append((key, decoding))


def begun(runs: int = 1) -> tuple[Stream, Batch]:
    stream, batch = Stream([RUN] * runs), Batch()
    for column in stream.columns:
        column.begin(batch)
    return stream, batch


def later(stream: Stream, seconds: float, *, limit: float = 600.0, grace: float = 2.0) -> None:
    """What the housekeeper does, so many seconds from now."""
    for column in stream.columns:
        column.keep_time(time.monotonic() + seconds, limit, grace)


def test_a_stream_is_done_when_all_is_said_and_read() -> None:
    stream, batch = begun(2)
    batch.listeners[0](STEP)
    batch.listeners[0](LENGTH)
    assert stream.read() == [(0, STEP), (0, LENGTH)] and not stream.done
    batch.listeners[1](LENGTH)
    assert not stream.done, "it is said and not read"
    assert stream.read() == [(1, LENGTH)] and stream.done
    assert stream.read(5.0) == [], "after the end nobody waits"


def test_stop_asks_the_row_to_leave_once() -> None:
    stream, batch = begun(2)
    for _ in range(3):
        stream.stop(1)
    assert batch.cancelled == [1]
    stream.close()
    assert batch.cancelled == [1, 0]


def test_a_stopped_run_waits_for_the_workers_word_but_not_for_ever() -> None:
    """In the prefill of a long prompt no step comes for a while; the reader need not wait."""
    stream, batch = begun()
    batch.listeners[0](STEP)
    stream.stop()
    later(stream, 1.0)
    assert not stream.over
    later(stream, 3.0)
    assert stream.over and not stream.columns[0].gone.is_set(), "the row is still in its batch"
    assert stream.read()[-1] == (0, Finished("stopped", "", 0, 1, 0.0, 0.0))
    batch.listeners[0](STEP)
    batch.listeners[0](LENGTH)
    assert stream.read() == [], "what comes after the end is dropped"
    assert stream.columns[0].gone.is_set()


def test_a_deadline_ends_in_a_finished_run_and_a_sentence() -> None:
    stream, batch = begun()
    later(stream, 59.0, limit=60.0)
    assert batch.cancelled == []
    later(stream, 61.0, limit=60.0)
    assert batch.cancelled == [0]
    stopped = Finished("stopped", "", 1, 7, 0.1, 0.1)
    batch.listeners[0](stopped)
    (_, first), (_, last) = stream.read()
    assert first == stopped and isinstance(last, Failed)
    assert last.problem.code == "TIMEOUT" and "60 s" in last.problem.message


def test_a_deadline_holds_against_a_worker_that_does_not_answer() -> None:
    stream, _ = begun()
    later(stream, 61.0, limit=60.0)
    later(stream, 70.0, limit=60.0)
    assert [type(event) for _, event in stream.read()] == [Finished, Failed]
    assert stream.done


def test_the_clock_of_a_run_starts_with_its_work_and_not_in_the_queue() -> None:
    stream = Stream([RUN])
    later(stream, 1000.0, limit=60.0)
    assert not stream.over and stream.read() == []


def test_a_stop_before_the_start_never_joins() -> None:
    stream, batch = Stream([RUN]), Batch()
    stream.stop()
    stream.columns[0].begin(batch)
    assert not batch.listeners and stream.columns[0].gone.is_set() and stream.over


def test_unread_counts_only_while_something_waits_to_be_read() -> None:
    stream, batch = begun()
    assert stream.unread_for(time.monotonic() + 100) == 0
    batch.listeners[0](STEP)
    assert stream.unread_for(time.monotonic() + 100) > 99
    stream.read()
    assert stream.unread_for(time.monotonic() + 100) == 0


def admission(
    running: int, waiting: int, by_visitor: bool = False, columns: int = 9,
    clock: Callable[[], float] = time.monotonic,
) -> Admission:
    limits = Limits(prompt_characters=9, new_tokens=9, columns=columns, beams=9, running=running,
                    waiting=waiting, seconds=9, grid_cells=9, grid_tokens=9, request_tokens=99)
    return Admission(limits, by_visitor, clock)


def leave(desk: Admission, place: object) -> None:
    with desk.turn(place, lambda _: None, lambda: False):  # type: ignore[arg-type]
        pass


def test_first_come_first_served() -> None:
    desk = admission(running=2, waiting=9)
    places = [desk.enter("", 1) for _ in range(4)]
    assert [p.running for p in places] == [True, True, False, False]
    leave(desk, places[1])
    assert [p.running for p in places] == [True, True, True, False]


def test_a_big_request_is_not_overtaken_for_ever() -> None:
    """Three columns wait for two who run; one who comes later and would fit waits behind them."""
    desk = admission(running=3, waiting=9)
    first, second = desk.enter("", 1), desk.enter("", 1)
    big, small = desk.enter("", 3), desk.enter("", 1)
    leave(desk, first)
    assert not big.running and not small.running
    leave(desk, second)
    assert big.running and not small.running


def test_a_request_bigger_than_the_house_runs_alone() -> None:
    desk = admission(running=2, waiting=9)
    assert desk.enter("", 5).running


def test_who_waits_for_another_step_waits_no_longer_than_for_his_own() -> None:
    """He waited for all before him, ten seconds each where the worker was busy, and held one of the
    few threads that serve everybody."""
    stream, _ = begun()
    with stream.replaying, pytest.raises(Overloaded, match="being looked at"):
        stream.replay(0, 0, Decoding(), 0.01)


def test_a_visitor_has_no_more_runs_at_once_than_one_request_may_have() -> None:
    """Nine of them here. A branch had to wait for the run that it left, which was paused: for
    ever, in public, where a visitor had one running request."""
    desk = admission(running=20, waiting=9, by_visitor=True)
    first, branch, third = desk.enter("ann", 7), desk.enter("ann", 2), desk.enter("ann", 1)
    bob = desk.enter("bob", 1)
    running = [place.running for place in (first, branch, third, bob)]
    assert running == [True, True, False, True]
    with pytest.raises(Overloaded) as caught:
        desk.enter("ann", 1)
    assert caught.value.problem.allowed == "one that waits"
    leave(desk, branch)
    assert third.running


def test_the_cookies_of_one_address_leave_a_quarter_to_others() -> None:
    """One hundred cookies can be made up in a moment: 12 of 16 may run, 24 of 32 may wait."""
    desk = admission(running=16, waiting=32, by_visitor=True, columns=4)
    places = []
    for n in range(100):
        with suppress(Overloaded):
            places.append(desk.enter(Visitor(f"cookie {n}", "192.0.2.1"), 1))
    assert (sum(p.running for p in places), sum(not p.running for p in places)) == (12, 24)
    with pytest.raises(Overloaded, match="24 runs of your address"):
        desk.enter(Visitor("one more", "192.0.2.1"), 1)
    assert desk.enter(Visitor("bob", "192.0.2.2"), 4).running
    assert not desk.enter(Visitor("eve", "192.0.2.3"), 4).running, "there is room to wait for her"


def test_all_through_a_tunnel_are_bounded_one_by_one_and_all_together() -> None:
    """Nobody's address is known there: they are not one visitor."""
    desk = admission(running=16, waiting=32, by_visitor=True, columns=4)
    places = [desk.enter(Visitor(f"cookie {n}"), 4) for n in range(12)]
    assert sum(place.running for place in places) == 4
    with pytest.raises(Overloaded, match="Too many runs are waiting already: 32"):
        desk.enter(Visitor("one more"), 4)


def test_who_sends_many_requests_does_not_keep_another_waiting() -> None:
    """Four people of one address wait, then Bob comes: he is served after one of them, since two
    have had as much of the address's four shares as he has had of his: nothing."""
    desk = admission(running=1, waiting=99, by_visitor=True)
    desk.enter("first", 1, 100)
    school = [desk.enter(Visitor(f"pupil {n}", "192.0.2.1"), 1, 100) for n in range(4)]
    bob = desk.enter(Visitor("bob", "192.0.2.2"), 1, 100)
    assert _served(desk, [*school, bob]) == [school[0], bob, *school[1:]]


def test_who_asked_for_much_waits_behind_who_asked_for_little() -> None:
    """While both wanted something, Ann had a hundred times as much as Bob."""
    desk = admission(running=1, waiting=99, by_visitor=True)
    first = desk.enter("first", 1, 1)
    places = [desk.enter(name, 1, cost) for name, cost in (("ann", 4000), ("bob", 40))]
    leave(desk, first)
    anns = desk.enter("ann", 1, 40)
    leave(desk, places[0])
    bobs = desk.enter("bob", 1, 40)
    assert _served(desk, [anns, bobs]) == [bobs, anns]


def test_nobody_starves_behind_visitors_who_come_for_the_first_time() -> None:
    """Ann has had 1000 while Bob wanted something too, so time went on by 500, and 500 are left
    that she is ahead. She and one who is new want something then: each who is served moves time on
    by 100/2, so that after ten who are new she is next."""
    desk = admission(running=1, waiting=99, by_visitor=True)
    first = desk.enter("first", 1, 1)
    ann, bob = desk.enter("ann", 1, 1000), desk.enter("bob", 1, 100)
    leave(desk, first)
    again = desk.enter("ann", 1, 100)
    leave(desk, ann)
    now, new = bob, 0
    while not again.running:
        after = desk.enter(f"new {new}", 1, 100)
        leave(desk, now)
        now, new = after, new + 1
        assert new < 20
    assert new == 10


def _served(desk: Admission, places: list[Place]) -> list[Place]:
    """The order in which these are served, one at a time."""
    order = []
    while len(order) < len(places):
        (now,) = [place for place in desk._places if place.running]
        leave(desk, now)
        order += [place for place in places if place.running and place not in order]
    return order


def test_who_is_turned_away_hears_how_long_it_may_take() -> None:
    """Before anything has ended, as long as a run may take; then as long as the latest took, for
    each time that the house must be filled again: 3 s, and with 2 runs waiting for 1 place, 9."""
    now = [0.0]
    desk = admission(running=1, waiting=2, clock=lambda: now[0])
    first = desk.enter("", 1)
    desk.enter("", 2)
    with pytest.raises(Overloaded) as caught:
        desk.enter("", 1)
    assert caught.value.problem.retry_after == 30
    assert "in about 30 s" in str(caught.value)
    assert desk.queued(1).detail == ""
    now[0] = 3.0
    leave(desk, first)
    desk.enter("", 2)
    with pytest.raises(Overloaded) as caught:
        desk.enter("", 1)
    assert caught.value.problem.retry_after == 9
    assert (desk.queued(1).detail, desk.queued(3).detail) == ("about 3 s", "about 9 s")


def test_a_request_that_is_too_much_is_refused_with_its_sum() -> None:
    """Each of its columns alone is allowed: 3 of 4 beams × 40 tokens and one of 20 are 500."""
    limits = replace(LOCAL_LIMITS, request_tokens=500)
    search = replace(RUN, decoding=Decoding(num_beams=4, max_new_tokens=40))
    short = replace(RUN, decoding=Decoding(max_new_tokens=20))
    check_cost([search] * 3 + [short], limits)
    with pytest.raises(InvalidInput) as caught:
        check_cost([search] * 3 + [short] * 2, limits)
    assert caught.value.problem.field == "request cost"
    assert ("3 columns × 4 beams × 40 tokens + 2 columns × 1 beam × 20 tokens = 520 tokens"
            in str(caught.value))
    assert caught.value.problem.allowed == "up to 500 tokens"


@pytest.mark.parametrize("argv", [[], ["--share"]])
def test_a_grid_fills_its_batch_within_what_a_request_may_write(argv: list[str]) -> None:
    limits = settings_from(argv, {}).limits
    width = min(limits.columns, limits.running // 4)
    assert width * limits.beams * limits.new_tokens <= limits.request_tokens
    assert limits.columns * limits.new_tokens <= limits.request_tokens


def test_a_full_house_turns_away_and_forgets_who_was_turned_away() -> None:
    desk = admission(running=1, waiting=2)
    first, _ = desk.enter("", 1), desk.enter("", 2)
    for _ in range(3):
        with pytest.raises(PlaygroundError, match="waiting already: 2"):
            desk.enter("", 1)
    leave(desk, first)
    assert not desk.enter("", 2).running


def test_who_waits_hears_how_many_go_first() -> None:
    desk = admission(running=1, waiting=9)
    desk.enter("", 1)
    desk.enter("", 3)
    last = desk.enter("", 1)
    told: list[object] = []
    with pytest.raises(Abandoned), desk.turn(last, told.append, lambda: bool(told)):
        raise AssertionError("it was not its turn")
    assert told == [Queued(4)]
