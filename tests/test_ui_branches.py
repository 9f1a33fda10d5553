"""Laws of the branches of a page: what the engine is asked for, what lanes and tree show then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from playground.core.branches import Tree
from playground.core.decoding import Decoding
from playground.core.events import Amended, Candidate, Event, Finished, Step
from playground.core.prompt import Raw
from playground.core.run import LARGEST_SEED, Fork, ModelSpec, Run
from playground.errors import InvalidInput
from playground.ui.branch_view import frame_of, pace_value, samples_sentence, tree_value
from playground.ui.branches import Branches
from playground.ui.desk import Desk, Desks
from playground.ui.playing import FULL
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import KEPT, answer_of
from playground.ui.tokens import _act
from tests.fake_engine import FakeEngine, FakeStream, words

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("Hi"), Decoding(max_new_tokens=8), seed=5)
DICE = replace(RUN, decoding=Decoding(do_sample=True, max_new_tokens=8))


class Stream(FakeStream):
    """A stream that keeps what was asked of it, and whose runs end when they are stopped."""

    def __init__(self, scripts: Sequence[Sequence[Event]]) -> None:
        super().__init__(scripts)
        self.asked: list[tuple[Any, ...]] = []

    def stop(self, column: int | None = None) -> None:
        self.asked.append(("stop", column))
        rest = [pair for pair in self.waiting if column not in (None, pair[0])]
        self.waiting.clear()
        self.waiting.extend([*rest, (column or 0, Finished("stopped", "", 2, 1, 0.1, 0.1))])

    close = stop

    def pace(self, column: int, allowed: int | None, seconds: float = 0.0) -> None:
        self.asked.append(("pace", column, allowed, seconds))

    def amend(self, column: int, decoding: Decoding) -> None:
        if decoding.num_beams > 1:
            raise InvalidInput("Beams cannot change while a run decodes.", field="num_beams")
        self.asked.append(("amend", column, decoding))


class Engine(FakeEngine):
    """A fake engine of such streams; without a script left, a run writes ``x y``."""

    def start(self, runs: Sequence[Run], visitor: str = "") -> Any:
        self.history.extend(runs)
        scripts = [self.scripts.popleft() if self.scripts else words("x", "y") for _ in runs]
        self.streams.append(Stream(scripts))
        return self.streams[-1]


def page(*scripts: Sequence[Event]) -> tuple[Branches, Engine]:
    engine = Engine(*scripts)
    return Branches(engine, 24, "a-page", lambda run: run.decoding.name), engine  # type: ignore[arg-type]


def ended(branches: Branches, times: int = 200) -> Branches:
    """The page once all is quiet."""
    for _ in range(times):
        branches.pump()
        if not branches.player.live:
            return branches
    raise AssertionError("it does not end")


def begun(*texts: str, run: Run = RUN) -> tuple[Branches, Engine, str]:
    """A page whose first run has written ``texts``, and the run's key."""
    branches, engine = page(words(*texts))
    branches.run(run)
    return ended(branches), engine, branches.tree.branches[0].key


def told(value: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(value)
    return made


def titles(branches: Branches) -> list[str]:
    return [branch.title for _, branch in branches.tree.walk()]


def test_a_candidate_goes_on_beside_its_parent_from_exactly_those_ids() -> None:
    branches, engine, key = begun("a", "b", "c", "d")
    branches.branch({"key": key, "position": 2, "what": "take", "id": 77})
    assert engine.history[1] == replace(RUN, fork=Fork((3, 4), insert=(77,)))
    assert branches.lanes.keys[:2] == (key, branches.tree.branches[1].key)
    assert branches.lanes.focus == 1
    first, second = (told(lane) for lane in frame_of(branches).lanes[:2])
    assert (first["n"], second["n"]) == (4, 2), "what is shared is there at once"
    assert titles(branches) == ["First run", "“#77” instead of “c” at 3"]


def test_the_parent_goes_on_while_its_branch_begins() -> None:
    branches, engine = page(words(*"abcdef"), words("x", "y"))
    branches.run(RUN)
    for _ in range(4):
        branches.pump()
    key = branches.tree.branches[0].key
    branches.branch({"key": key, "position": 1, "what": "take", "id": 4})
    assert len(branches.player.writing) == 2
    assert engine.streams[0].asked == [], "nobody stopped it"
    ended(branches)
    assert len(answer_of(key)) == 6
    assert [step.id for step in answer_of(branches.tree.branches[1].key)] == [3, 3, 4]


def test_a_branch_of_a_branch_stands_on_the_whole_answer() -> None:
    branches, engine, key = begun("a", "b", "c")
    branches.branch({"key": key, "position": 1, "what": "text", "text": " oh"})
    child = ended(branches).tree.branches[1].key
    assert engine.history[1].fork == Fork((3,), insert=" oh")
    branches.branch({"key": child, "position": 2, "what": "take", "id": 9})
    assert engine.history[2].fork == Fork((3, 3), insert=(9,))
    assert [depth for depth, _ in branches.tree.walk()] == [0, 1, 2]


def test_what_was_banned_stays_banned_when_its_place_is_tried_once_more() -> None:
    branches, engine, key = begun("a", "b", "c")
    branches.branch({"key": key, "position": 1, "what": "ban", "id": 4})
    assert engine.history[1] == replace(RUN, fork=Fork((3,), banned=(4,)))
    child = ended(branches).tree.branches[1].key
    branches.branch({"key": child, "position": 1, "what": "ban"})
    assert engine.history[2].fork == Fork((3,), banned=(4, 3))
    branches.branch({"key": child, "position": 2, "what": "ban"})
    assert engine.history[3].fork == Fork((3, 3), banned=(4,)), "at another place it may come"


def test_a_token_drawn_again_has_other_dice() -> None:
    branches, engine, key = begun("a", "b", run=DICE)
    branches.branch({"key": key, "position": 1, "what": "again"})
    made = engine.history[1]
    assert (made.fork, made.decoding) == (Fork((3,)), DICE.decoding)
    assert made.seed != DICE.seed


def test_a_branch_has_the_settings_that_were_in_force_at_its_place() -> None:
    warm = replace(RUN.decoding, do_sample=True, temperature=1.5)
    started, *steps, done = words("a", "b", "c", "d")
    branches, engine = page([started, *steps[:2], Amended(2, warm), *steps[2:], done])
    branches.run(RUN)
    key = ended(branches).tree.branches[0].key
    for position in (1, 2):
        branches.branch({"key": key, "position": position, "what": "take", "id": 9})
    assert [run.decoding for run in engine.history[1:]] == [RUN.decoding, warm]


def test_a_place_that_stood_before_a_branch_has_the_settings_and_bans_of_who_wrote_it() -> None:
    """A branch of a branch had the settings of its parent there, which had chosen other tokens with
    them, and what had been banned at the place could come again."""
    warm = replace(RUN.decoding, do_sample=True, temperature=1.5)
    started, *steps, done = words("a", "b", "c", "d")
    branches, engine = page([started, *steps[:2], Amended(2, warm), *steps[2:], done])
    branches.run(RUN)
    key = ended(branches).tree.branches[0].key
    branches.branch({"key": key, "position": 1, "what": "ban"})
    banned = ended(branches).tree.branches[1].key
    branches.branch({"key": banned, "position": 2, "what": "take", "id": 9})
    child = ended(branches).tree.branches[2].key
    branches.branch({"key": child, "position": 1, "what": "ban"})
    assert engine.history[3].fork == Fork((3,), banned=(4, 3))
    branches.branch({"key": key, "position": 3, "what": "again"})
    drawn = ended(branches).tree.branches[-1].key
    branches.branch({"key": drawn, "position": 1, "what": "take", "id": 9})
    assert [run.decoding for run in engine.history[-2:]] == [warm, RUN.decoding]
    assert engine.history[-1] == replace(RUN, fork=Fork((3,), insert=(9,)))


@pytest.mark.parametrize(("wish", "said"), [
    ({"key": "guessed"}, "no longer kept"),
    ({"key": None}, "no longer kept"),
    ({"position": 2}, "0 to 1"),
    ({"position": -1}, "0 to 1"),
    ({"position": True}, "0 to 1"),
    ({"position": "0"}, "0 to 1"),
    ({"what": "burn"}, "take, ban, again or text"),
    ({"what": "take", "id": "3"}, "token ids"),
    ({"what": "take", "id": -3}, "token ids"),
    ({"what": "take", "id": None}, "token ids"),
    ({"what": "text", "text": ""}, "no text"),
    ({"what": "text", "text": ["x"]}, "no text"),
    ({"what": "again"}, "same token would come again"),
])
def test_a_wish_that_cannot_be_is_a_sentence_and_changes_nothing(
    wish: dict[str, Any], said: str
) -> None:
    branches, engine, key = begun("a", "b")
    before = branches.history
    with pytest.raises(InvalidInput) as caught:
        branches.branch({"key": key, "position": 1, "what": "take", "id": 3} | wish)
    problem = caught.value.problem
    assert said in f"{problem} {problem.allowed}" and problem.field in ("key", *wish, "fork")
    assert branches.history == before and len(engine.history) == 1


def test_four_lanes_are_in_sight_and_the_rest_is_in_the_tree() -> None:
    branches, _, key = begun("a", "b", "c")
    for id in range(10, 15):
        branches.branch({"key": key, "position": 1, "what": "take", "id": id})
        ended(branches)
    assert len(branches.tree.branches) == 6
    assert key in branches.lanes.keys, "the parent stays beside what grows from it"
    hidden = next(b.key for b in branches.tree.branches if b.key not in branches.lanes.keys)
    branches.show(hidden, 3)
    assert branches.lanes.keys[3] == hidden
    assert told(frame_of(branches).lanes[3])["n"] == 3, "it is read from what is kept"


def test_undo_of_a_branch_stops_it_and_the_lanes_are_as_before() -> None:
    branches, engine, key = begun("a", "b")
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    assert told(tree_value(branches))["undo"] == "“#9” instead of “b” at 2"
    branches.undo()
    assert branches.lanes.keys == (key, None, None, None)
    assert engine.streams[1].asked == [("stop", 0)]
    assert not ended(branches).player.writing


def test_a_new_run_begins_a_new_tree_and_undo_brings_the_former_back() -> None:
    branches, engine, key = begun("a", "b")
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    ended(branches)
    lanes = branches.lanes
    branches.run(RUN)
    assert len(branches.tree.branches) == 1 and branches.lanes.keys[1] is None
    branches.undo()
    assert branches.lanes.keys == lanes.keys and len(branches.tree.branches) == 2
    assert ("stop", 0) in engine.streams[2].asked
    assert [told(lane).get("n") for lane in frame_of(branches).lanes] == [2, 3, None, None]


def test_pruning_takes_the_lanes_along_and_undo_brings_them_back() -> None:
    branches, _, key = begun("a", "b", "c")
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    child = ended(branches).tree.branches[1].key
    branches.branch({"key": child, "position": 2, "what": "take", "id": 8})
    ended(branches)
    before = branches.lanes.keys
    branches.prune(child)
    assert branches.lanes.keys == (key, None, None, None)
    assert len(branches.tree.branches) == 1
    branches.undo()
    assert branches.lanes.keys == before
    branches.prune(key)
    assert branches.tree == Tree() and branches.lanes.keys == (None,) * 4


def test_a_name_is_on_the_lane_and_in_the_tree() -> None:
    branches, _, key = begun("a")
    branches.rename(key, "mine")
    assert titles(branches) == ["mine"]
    assert told(frame_of(branches).lanes[0])["title"] == "mine"
    branches.undo()
    assert told(frame_of(branches).lanes[0])["title"] == "First run"


def test_two_branches_are_compared_in_words_side_by_side() -> None:
    """In the words of the panel under the lanes, which marks their tokens as well."""
    branches, _ = page(words("a", "b", "c"))
    branches.run(RUN)
    key = ended(branches).tree.branches[0].key
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    child = ended(branches).tree.branches[1].key
    branches.close(0)
    branches.compare(child)
    assert "second branch" in told(tree_value(branches))["said"]
    branches.compare(key)
    assert {key, child} <= set(branches.lanes.keys)
    said = told(tree_value(branches))["said"]
    assert said == (
        "“#9” instead of “b” at 2: Identical to First run for 1 token, then “x” where First run "
        "took “b”. The model gave “x” 50 %, rank 1 and “b” 50 %, rank 1; this lane took the "
        "likeliest, First run took the likeliest."
    )
    frame = frame_of(branches)
    panel = told(frame.parting)
    assert [lane["key"] for lane in panel["lanes"]] == [
        one for one in branches.lanes.keys if one is not None]
    assert [told(lane).get("parting") for lane in frame.lanes if told(lane).get("key")] == [
        {"shared": 1, "flags": [[1, "50 %, rank 1"]]}] * 2
    first = panel["reference"]
    branches.refer(1 - first)
    assert told(frame_of(branches).parting)["reference"] == 1 - first
    branches.close(0)
    assert told(frame_of(branches).parting) == {}, "one lane is beside no other"
    branches.compare(child)
    assert branches.compared == (key,)


def test_a_run_that_is_forgotten_says_so_and_the_tree_stays() -> None:
    branches, _, key = begun("a", "b")
    KEPT._records.pop(key)
    (node,) = told(tree_value(branches))["nodes"]
    assert (node["state"], node["tokens"]) == ("no longer kept", "")
    assert "no longer kept" in told(frame_of(branches).strips[0])["about"]


def test_the_runs_of_the_tab_are_paused_stepped_and_let_on_together() -> None:
    branches, engine, _ = begun("a", "b")
    key = branches.tree.branches[0].key
    for id in (8, 9):
        branches.branch({"key": key, "position": 1, "what": "take", "id": id})
    one, two = engine.streams[1:]
    for do in ("pause", "step", "go"):
        _act(branches, {"do": do})
    assert one.asked == two.asked == [
        ("pace", 0, 0, 0.0), ("pace", 0, 1, 0.0), ("pace", 0, None, 0.0),
    ]
    assert engine.streams[0].asked == [], "what is over is left alone"


def test_what_a_server_writes_cannot_be_held_back_and_the_pace_says_why() -> None:
    """Beside a run of this machine the pace is that one's; alone, it is grey."""
    branches, _ = page(words("a", "b"), words(*"abcdef"))
    branches.run(replace(RUN, model=ModelSpec("remote/far/org/counter")))
    pace = told(pace_value(branches))
    assert pace["live"] and pace["why"].startswith("far writes as fast as it can")
    ended(branches)
    branches.run(RUN)
    assert told(pace_value(branches))["why"] == ""


def test_a_branch_of_a_paused_tab_shows_its_first_token_and_waits_with_the_others() -> None:
    branches, engine, key = begun("a", "b")
    branches.branch({"key": key, "position": 1, "what": "take", "id": 8})
    _act(branches, {"do": "pause"})
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    assert engine.streams[2].asked == [("pace", 0, 1, 0.0)]
    ended(branches)
    branches.branch({"key": key, "position": 1, "what": "take", "id": 7})
    assert engine.streams[3].asked == [], "with nothing paused beside it, it runs"


def test_a_speed_holds_for_what_runs_and_for_what_comes() -> None:
    branches, engine, key = begun("a", "b")
    _act(branches, {"do": "speed", "speed": 1})
    branches.run(RUN)
    assert engine.streams[1].asked == [("pace", 0, None, 1.0)]
    _act(branches, {"do": "speed", "speed": 0})
    assert engine.streams[1].asked[-1] == ("pace", 0, 0, 0.0)
    _act(branches, {"do": "go"})
    assert branches.player.pace.speed == FULL
    assert engine.streams[1].asked[-1] == ("pace", 0, None, 0.0)


def test_other_settings_reach_every_run_or_say_why_not() -> None:
    branches, engine, key = begun("a", "b")
    branches.branch({"key": key, "position": 1, "what": "take", "id": 8})
    warm = Decoding(do_sample=True)
    assert branches.player.amend(warm) == []
    assert engine.streams[1].asked == [("amend", 0, warm)]
    assert "cannot change" in branches.player.amend(Decoding(num_beams=3))[0]


def test_samples_are_drawn_in_one_batch_with_seeds_that_follow_each_other() -> None:
    branches, engine = page(words("a", "b"), words("a", "c"), words("a", "b"))
    branches.draw(replace(DICE, seed=LARGEST_SEED), 3)
    assert [run.seed for run in engine.history] == [LARGEST_SEED, 0, 1]
    assert len(engine.streams) == 1
    value = told(frame_of(ended(branches)).samples)
    # A made-up token's id is its place, so all three are one way.
    assert value["said"] == "All 3 begin with “ab”, all are the same."
    assert (value["root"]["count"], value["done"], value["running"]) == (3, 3, False)


def test_a_sample_that_still_writes_does_not_end_where_it_has_come_to() -> None:
    """One that was a token behind the others stood there as if it had ended."""
    started, first, last = words("a")
    ended: list[int] = []
    for script in ([started, first], [started, first, last]):
        branches, _ = page(script, words("a", "b"))
        branches.draw(DICE, 2)
        for _ in range(20):
            branches.pump()
        ended.append(told(frame_of(branches).samples)["root"]["ended"])
    assert ended == [0, 1]


def test_greedy_draws_its_samples_at_random_and_says_so() -> None:
    branches, engine = page()
    branches.draw(replace(RUN, decoding=Decoding(num_beams=3, num_beam_groups=3)), 2)
    assert all(run.decoding.draws and run.decoding.num_beams == 1 for run in engine.history)
    assert told(frame_of(branches).samples)["about"].startswith("Diverse beam search draws nothing")


@pytest.mark.parametrize("count", [1, 25, 2.0, True, "20", None])
def test_a_wrong_number_of_samples_is_refused(count: object) -> None:
    branches, engine = page()
    with pytest.raises(InvalidInput, match="from 2 to 24"):
        branches.draw(DICE, count)
    assert engine.history == []


def test_a_sample_that_is_opened_is_a_branch_of_the_run_with_the_same_prompt() -> None:
    branches, _, root = begun("a", "b", "c")
    branches.draw(DICE, 2)
    ended(branches)
    assert branches.drawing is not None
    key = branches.drawing.feeds[1].key
    branches.open_sample(key)
    branches.open_sample(key)
    made = branches.tree.get(key)
    assert made is not None and (made.parent, made.position, made.title) == (root, 2, "Sample 2")
    assert len(branches.tree.branches) == 2 and key in branches.lanes.keys
    branches.draw(replace(DICE, prompt=Raw("Other")), 2)
    other = branches.drawing.feeds[0].key
    branches.open_sample(other)
    assert branches.tree.get(other).parent is None  # type: ignore[union-attr]


def test_samples_from_a_token_go_on_before_it_and_open_as_branches_of_its_run() -> None:
    branches, engine, root = begun("a", "b", "c")
    branches.branch({"key": root, "position": 2, "what": "samples"})
    drawn = engine.history[1:]
    assert len(drawn) == 20 and [run.seed for run in drawn] == list(range(5, 25))
    assert all(run.fork == Fork((3, 4)) and run.decoding.draws for run in drawn)
    value = told(frame_of(ended(branches)).samples)
    assert value["about"].startswith("After 2 tokens of “First run”. ")
    assert value["said"] == "All 20 begin with “xy”, all are the same.", "only what is new"
    assert branches.drawing is not None
    key = branches.drawing.feeds[7].key
    branches.open_sample(key)
    made = branches.tree.get(key)
    assert made is not None and (made.parent, made.position) == (root, 2)
    assert [step.piece for step in answer_of(key)] == ["a", "b", "x", "y"]


@pytest.mark.parametrize("position", [3, -1, None, True, 1.0])
def test_samples_from_no_token_are_refused(position: object) -> None:
    branches, engine, root = begun("a", "b", "c")
    with pytest.raises(InvalidInput, match="from a token"):
        branches.branch({"key": root, "position": position, "what": "samples"})
    assert len(engine.history) == 1 and branches.drawing is None


def test_a_branch_from_another_tab_opens_beside_its_run_which_goes_on_there() -> None:
    branches, engine, _ = begun("a", "b")
    chat = TokenFeed(RUN)
    events = words("p", "q", "r")
    for event in events[:3]:
        chat.add(event)
    branches.branch({"key": chat.key, "position": 1, "what": "take", "id": 9}, "Chat")
    assert titles(branches) == ["The run in Chat", "“#9” instead of “q” at 2"]
    assert branches.lanes.keys[0] == chat.key
    assert told(frame_of(branches).lanes[0])["n"] == 2
    for event in events[3:]:
        chat.add(event)
    assert told(frame_of(ended(branches)).lanes[0])["n"] == 3
    branches.undo()
    branches.undo()
    assert titles(branches) == ["First run"]


@pytest.mark.parametrize("wish", [
    {}, {"do": "explode"}, {"do": ["x"]}, {"do": "speed", "speed": 99}, {"do": "speed"},
    {"do": "speed", "speed": True},
])
def test_what_no_part_of_the_page_asks_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        _act(page()[0], wish)


@pytest.mark.parametrize("do", ["stop", "close", "show", "rename", "prune", "compare", "sample"])
@pytest.mark.parametrize("junk", ["guessed", None, 7, ["x"], {"a": 1}])
def test_a_key_that_leads_nowhere_changes_nothing(do: str, junk: Any) -> None:
    branches, engine, _ = begun("a")
    before = frame_of(branches)
    _act(branches, {"do": do, "key": junk, "lane": junk, "name": junk})
    assert frame_of(branches) == before and engine.streams[0].asked == []


def test_the_sentence_of_the_samples_counts_them() -> None:
    def drawn(*texts: str) -> str:
        from playground.core.samples import merge

        return samples_sentence(merge([
            [step for step in words(*text) if isinstance(step, Step)] for text in texts
        ]))

    assert drawn("ab", "ab") == "All 2 begin with “ab”, all are the same."
    assert drawn() == ""


def candidates(step: Step) -> Step:
    return replace(step, candidates=(Candidate(9, " Nine", -1.0, 0.4),))


def test_a_candidate_is_called_by_its_text() -> None:
    started, *steps, done = words("a", "b")
    branches, _ = page([started, *map(candidates, steps), done])  # type: ignore[arg-type]
    branches.run(RUN)
    key = ended(branches).tree.branches[0].key
    branches.branch({"key": key, "position": 1, "what": "take", "id": 9})
    branches.branch({"key": key, "position": 1, "what": "take", "id": 4})
    assert titles(branches)[1:] == ["“·Nine” instead of “b” at 2", "“b” at 2"]


# The handler that shows it


def desk(*scripts: Sequence[Event]) -> tuple[Desk, Engine]:
    branches, engine = page(*scripts)
    return Desk(branches), engine


def test_frames_come_until_all_is_quiet() -> None:
    one, _ = desk(words("a", "b"))
    frames = list(one.show(lambda branches: branches.run(RUN)))
    assert [frame.live for frame in frames[-2:]] == [True, False] or not frames[-1].live
    assert told(frames[-1].lanes[0])["n"] == 2
    assert not one.branches.player.live


def test_the_first_frame_has_the_first_token_where_it_comes_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty frame before it kept the browser busy until the token's own frame had come."""
    monkeypatch.setattr("playground.ui.desk.BEGIN_SECONDS", 6.0)
    one, _ = desk(words("a", "b"))
    frame = next(one.show(lambda branches: branches.run(RUN)))
    assert told(frame.lanes[0])["n"] >= 1


def test_the_first_frame_does_not_wait_long_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.ui.desk.BEGIN_SECONDS", 0.0)
    one, _ = desk(words("a", "b"))
    frame = next(one.show(lambda branches: branches.run(RUN)))
    assert frame.live and told(frame.lanes[0])["n"] == 0


def test_what_was_put_in_is_no_token_of_the_run_itself() -> None:
    started, step, _ = words("a")
    branches, _ = page([started, replace(step, forced=True), replace(step, position=1)])
    branches.run(RUN)
    begun = []
    for _ in range(3):
        branches.pump()
        begun.append(branches.player.begun)
    assert begun == [False, False, True]


def test_a_later_handler_takes_over_and_the_former_ends_with_what_it_has_begun() -> None:
    """Gradio says a last frame once more when a handler ends: an old one emptied a new lane."""
    one, engine = desk(words(*"abcdefgh"))
    first = one.show(lambda branches: branches.run(RUN))
    for _ in range(4):
        next(first)
    key = one.branches.tree.branches[0].key

    def branch(branches: Branches) -> None:
        branches.branch({"key": key, "position": 0, "what": "take", "id": 9})

    one._gone.set()  # both are read here by one thread, so nobody waits for the other
    second = one.show(branch)
    newest = next(second)
    left = list(first)
    assert len(left) <= 1 and not engine.streams[0].asked
    assert all(frame.shown == newest.shown == (True, True, False, False) for frame in left)
    assert not list(second)[-1].live


def test_a_page_that_goes_stops_its_runs_and_a_handler_that_is_taken_over_does_not() -> None:
    one, engine = desk(words(*"abcdefgh"))
    first = one.show(lambda branches: branches.run(RUN))
    next(first)
    one._gone.set()
    second = one.show(lambda branches: None)
    next(second)
    first.close()
    assert engine.streams[0].asked == []
    second.close()
    assert engine.streams[0].asked == [("stop", 0)]


def test_what_goes_wrong_is_the_notice_until_something_else_is_done() -> None:
    one, _ = desk()
    (frame, *_) = one.show(lambda branches: branches.branch({}))
    assert "no longer kept" in str(frame.notice)
    (frame, *_) = one.show(lambda branches: None)
    assert frame.notice == ""


def test_each_page_has_its_own_branches_and_the_oldest_pages_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("playground.ui.desk.MOST_PAGES", 2)
    engine = Engine()
    desks = Desks(lambda name: Branches(engine, 24, name, str))  # type: ignore[arg-type]
    first, second = desks.of("a"), desks.of("b")
    assert desks.of("a") is first is not second
    showing = [desk.show(lambda branches: branches.run(RUN)) for desk in (first, second)]
    for frames in showing:
        next(frames)
    desks.of("c")
    assert ("stop", 0) in engine.streams[1].asked, "b was unused for the longest time"
    assert desks.of("a") is first
    desks.close("a")
    assert desks.of("a") is not first


def test_a_page_where_something_runs_outlives_those_where_nothing_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody can make up pages: 500 of them stopped what other visitors were running."""
    monkeypatch.setattr("playground.ui.desk.MOST_PAGES", 2)
    engine = Engine()
    desks = Desks(lambda name: Branches(engine, 24, name, str))  # type: ignore[arg-type]
    mine = desks.of("mine")
    frames = mine.show(lambda branches: branches.run(RUN))
    next(frames)
    for number in range(4):
        desks.of(f"made up {number}")
    assert engine.streams[0].asked == [] and desks.of("mine") is mine


def test_pages_that_hold_many_tokens_go_before_there_are_many_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client of the API never closes a page: 500 of them held half a gigabyte and more, which the
    store had long forgotten."""
    monkeypatch.setattr("playground.ui.desk.MOST_TOKENS", 5)
    desks = Desks(lambda name: Branches(Engine(), 24, name, str))  # type: ignore[arg-type]
    first, second, third = (desks.of(name) for name in "abc")
    for desk in (first, second, third):
        for _ in desk.show(lambda branches: branches.run(RUN)):
            pass
        assert desk.branches.tokens == 2
    desks.of("d")
    assert (desks.of("c"), desks.of("b")) == (third, second)
    assert desks.of("a") is not first
