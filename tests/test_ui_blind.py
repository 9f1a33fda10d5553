"""Laws of the Blind tab: no name before the reveal, votes that count once, bounds, files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from playground.core.blind import Answer, BlindTest, blind_test
from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Event, Failed
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.recipe import Experiment, read_experiment, written_experiment
from playground.core.recipe_link import link_of, read_link
from playground.core.run import Fork, ModelSpec, Run
from playground.core.visitor import Visitor
from playground.core.votes import Vote
from playground.errors import InvalidInput, Problem
from playground.settings import Settings
from playground.ui import ballots as ballots_module
from playground.ui.ballots import Ballots
from playground.ui.blind import WAY_IN, _one_axis
from playground.ui.blind_examples import EXAMPLES
from playground.ui.blind_export import csv_file, json_file, read_file
from playground.ui.blind_grid import cells_of
from playground.ui.blind_report import report
from playground.ui.blind_sources import GridCell, Round, axes_of, grid_round, named
from tests.fake_engine import FakeEngine, words
from tests.one_page import REQUEST
from tests.one_page import page as page_over
from tests.test_ui_grid import GridEngine, played
from tests.test_ui_page import handler

pytestmark = pytest.mark.usefixtures("unpaced")

SECRETS = ("hidden-alpha", "hidden-beta", "top-p", "greedy", "31337", "Raw", "seed")


class Tab:
    """The Blind tab of a page, as its browser speaks to it."""

    def __init__(self, *scripts: Sequence[Event]) -> None:
        self.engine = FakeEngine(*scripts)
        self.page = page_over(self.engine)
        self.board = next(one for one in self.page.blocks.values()
                          if getattr(one, "elem_id", None) == "blind-board")
        self.told: list[str] = [self.board.value]

    def event(self, name: str) -> Any:
        return next(f.fn for f in self.page.fns.values() if (self.board._id, name) in f.targets)

    def act(self, **wish: Any) -> dict[str, Any]:
        self.told.append(self.event("act")(SimpleNamespace(_data=wish), REQUEST))
        return json.loads(self.told[-1])

    def write(self, example: object) -> list[dict[str, Any]]:
        event = SimpleNamespace(_data={"example": example})
        told = list(self.event("write")(event, REQUEST))
        self.told += [one for one in told if isinstance(one, str)]
        return [json.loads(one) for one in told if isinstance(one, str)]

    def file(self, key: object, form: str) -> str:
        return self.board.blind_file({"key": key, "form": form})["text"]

    def complete(self, text: str = "Hello") -> None:
        run, inputs = handler(self.page, "complete")
        inputs |= {"text": text, "columns": 2,
                   "settings_1": json.dumps({"model": "org/hidden-alpha", "preset": "Greedy"}),
                   "settings_2": json.dumps({"model": "org/hidden-beta", "preset": "Top-p",
                                             "seed": 31337, "fresh_seed": False})}
        list(run(REQUEST, **inputs))

    def press_way_in(self, tab: str) -> dict[str, Any]:
        way = next(one for one in self.page.blocks.values()
                   if getattr(one, "elem_id", None) == f"{tab}-{WAY_IN}")
        fn = next(f.fn for f in self.page.fns.values()
                  if (way._id, "click") in f.targets and self.board in f.outputs)
        self.told.append(fn(REQUEST))
        return json.loads(self.told[-1])


def test_nothing_tells_the_names_before_the_reveal() -> None:
    """Whatever the page does with two lanes, no value on its way to the browser has a word of who
    wrote; after the reveal they are all there."""
    tab = Tab(words("first", " answer"), words("second", " one"),
              words("third", " text"), words("fourth", " text"))
    tab.complete()
    value = tab.press_way_in("complete")
    assert value["state"] == "voting" and (value["at"], value["of"]) == (0, 1)
    assert {value["left"], value["right"]} == {"first answer", "second one"}
    assert value["turns"] == [["", "Hello"]]
    assert tab.act(do="vote", at=0, vote="left")["state"] == "voted"
    tab.act(do="undo")
    tab.act(do="vote", at=0, vote="nonsense")
    tab.act(do="start", source="strategies")
    tab.complete("Another")
    assert tab.press_way_in("complete")["of"] == 2
    assert tab.file("", "json") == ""
    told = "".join(tab.told[1:])  # the first one offers examples, by name
    assert not [word for word in SECRETS if word in told]
    assert "key" not in told
    value = tab.act(do="reveal")
    assert all(word in tab.told[-1] for word in ("hidden-alpha", "hidden-beta", "top-p", "greedy"))
    assert "hidden-alpha" in tab.file(value["key"], "json")


def test_the_file_of_a_test_that_is_not_revealed_is_nobodys() -> None:
    ballots = Ballots()
    ballots.put("page", "complete", two_by(2))
    ballot = ballots.of("page")
    assert ballot is not None and ballots.revealed(ballot.key) is None
    ballots.change("page", lambda test: test.reveal())
    assert ballots.revealed(ballot.key) == ballot.test.reveal()
    assert ballots.revealed("") is None and ballots.revealed(None) is None


def test_a_key_that_is_pressed_twice_votes_once() -> None:
    tab = Tab(*[words("a", str(n)) for n in range(8)])
    assert tab.write(0)[-1]["state"] == "voting"
    assert tab.act(do="vote", at=0, vote="left")["at"] == 1
    assert tab.act(do="vote", at=0, vote="left")["at"] == 1
    assert tab.act(do="vote", at=1, vote="tie")["at"] == 2
    assert tab.act(do="undo")["at"] == 1


def test_voting_ends_with_the_reveal() -> None:
    tab = Tab(*[words("a", str(n)) for n in range(8)])
    tab.write(0)
    tab.act(do="vote", at=0, vote="left")
    assert tab.act(do="reveal")["state"] == "revealed"
    value = tab.act(do="vote", at=1, vote="left")
    assert "revealed" in value["problem"]
    assert [one["vote"] for one in value["matches"]] == ["left", "", "", ""]
    assert tab.act(do="new")["state"] == "idle"


def test_an_example_writes_tells_how_far_it_is_and_lists_itself_nowhere() -> None:
    """The list of answers in the Score tab names their models."""
    tab = Tab(*[words("a", str(n)) for n in range(8)])
    told = tab.write(1)
    assert told[0]["state"] == "writing" and told[0]["of"] == 8
    assert told[-1]["of"] == 4
    assert not [word for word in ("pirate", "tiny", "greedy") if word in "".join(tab.told[1:])]
    take = next(one for one in tab.page.blocks.values()
                if getattr(one, "elem_id", None) == "score-take")
    answers = next(f.fn for f in tab.page.fns.values() if f.outputs == [take])
    assert len(answers(REQUEST)["choices"]) == 1


@pytest.mark.parametrize("example", [None, -1, 99, True, "0"])
def test_an_example_that_is_none_changes_nothing(example: object) -> None:
    assert Tab().write(example) == []


def test_an_example_that_fails_says_why() -> None:
    failed = [Failed(Problem("OOM", "Memory ended."))]
    assert "Memory ended" in Tab(*[failed] * 8).write(0)[-1]["problem"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_has_two_contestants_and_fits_on_a_space(example: Any) -> None:
    runs = example.runs(Settings())
    assert {contestant for contestant, _, _ in runs} == {0, 1}
    assert 2 <= len(runs) <= 8


def test_lanes_that_do_not_make_a_match_say_why() -> None:
    tab = Tab(words("same"), words("same"))
    assert "not two lanes" in tab.press_way_in("complete")["problem"]
    tab.complete()
    assert "letter by letter" in tab.press_way_in("complete")["problem"]
    # The button opens the tab, too, which asks for what there is and must not wipe the sentence.
    look = next(f.fn for f in tab.page.fns.values()
                if f.outputs == [tab.board] and any(name == "select" for _, name in f.targets))
    assert "letter by letter" in look(REQUEST)
    assert tab.act(do="new")["problem"] == "" and "letter" not in look(REQUEST)


@pytest.mark.parametrize("wish", [{}, {"do": "hack"}, {"do": "vote", "vote": ["left"], "at": 0},
                                  {"do": "start", "source": {"a": 1}}])
def test_what_a_browser_makes_up_changes_nothing(wish: dict[str, Any]) -> None:
    assert Tab().act(**wish)["state"] == "idle"


def test_the_same_answers_are_not_added_twice_and_others_only_when_nothing_is_lost() -> None:
    ballots = Ballots()
    for _ in range(2):
        ballots.put("page", "complete", two_by(2), frozenset("ab"))
    ballots.put("page", "complete", two_by(1), frozenset("cd"))
    test = ballots.of("page").test  # type: ignore[union-attr]
    assert len(test.matches) == 3 and test.contestants == ("greedy", "top-p")
    ballots.put("page", "strategies", two_by(1), frozenset("ef"))
    ballots.change("page", lambda test: test.vote("left"))
    with pytest.raises(InvalidInput, match="not revealed yet"):
        ballots.put("page", "complete", two_by(1), frozenset("gh"))
    ballots.change("page", lambda test: test.reveal())
    ballots.put("page", "complete", two_by(1), frozenset("gh"))


def test_ballots_are_bounded_by_number_and_by_what_they_hold(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    ballots = Ballots()
    monkeypatch.setattr(ballots_module, "MOST_PAGES", 3)
    for page in range(5):
        ballots.put(f"{page}", "complete", two_by(1))
    assert [ballots.of(f"{page}") is not None for page in range(5)] == [False] * 2 + [True] * 3
    monkeypatch.setattr(ballots_module, "MOST_CHARACTERS", 1)
    ballots.put("last", "complete", two_by(1))
    assert ballots.of("4") is None and ballots.of("last") is not None
    ballots.forget("last")
    assert ballots.of("last") is None


def test_who_opens_many_pages_pushes_no_others_ballot_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ballots = Ballots()
    monkeypatch.setattr(ballots_module, "MOST_PAGES", 3)
    ballots.put("bobs", "complete", two_by(1), owner=Visitor("bob"))
    for page in range(5):
        ballots.put(f"{page}", "complete", two_by(1), owner=Visitor("ann"))
    assert ballots.of("bobs") is not None
    assert [ballots.of(f"{page}") is not None for page in range(5)] == [False] * 3 + [True] * 2


def a_run(prompt: Prompt | str = "Hi", decoding: Decoding | None = None, model: str = "m",
          seed: int = 0) -> Run:
    asked = Raw(prompt) if isinstance(prompt, str) else prompt
    return Run(ModelSpec(model), asked, decoding or Decoding(), seed)


def test_lanes_are_named_by_what_tells_them_apart() -> None:
    greedy, top_p = PRESETS["Greedy"], PRESETS["Top-p"]
    assert named([a_run(decoding=greedy), a_run(decoding=top_p, seed=9)], [1, 2]) == [
        "greedy", "top-p 0.9"]
    assert named([a_run(model="o/a"), a_run(model="o/b", decoding=top_p)], [1, 2]) == [
        "a · greedy", "b · top-p 0.9"]
    chats = [Chat((Message("system", "Be brief."), Message("user", "Hi"))),
             Chat((Message("user", "Hi"),))]
    assert named([a_run(chat) for chat in chats], [1, 2]) == [
        "system “Be brief.”", "no system prompt"]
    assert named([a_run("Hi"), a_run("Ho")], [1, 2]) == ["“Hi”", "“Ho”"]
    assert named([a_run(seed=1), a_run(seed=2)], [1, 3]) == ["lane 1", "lane 3"]
    assert named([a_run(), a_run(), a_run(decoding=top_p)], [1, 2, 3]) == [
        "greedy · lane 1", "greedy · lane 2", "top-p 0.9"]


def cells() -> list[GridCell]:
    """2 countries × 2 models × (greedy, top-p with seeds 0 and 1)."""
    made = []
    for country in ("France", "Italy"):
        for model in ("m/a", "m/b"):
            for strategy, seed in (("Greedy", ""), ("Top-p", "0"), ("Top-p", "1")):
                prompt = f"The capital of {country} is"
                run = a_run(prompt, PRESETS[strategy], model, int(seed or 0))
                at = {"prompt": "The capital of {country} is", "row": country, "system": "",
                      "model": model, "strategy": strategy, "seed": seed}
                made.append(GridCell(at, run, f"{country} {model} {strategy} {seed}", (1,),
                                     f"country: {country}"))
    return made


def test_cells_of_a_grid_are_compared_by_one_axis_and_share_all_others() -> None:
    assert axes_of(cells()) == [("model", 2), ("strategy", 2)]
    told = grid_round(cells(), "model")
    test = blind_test(told.contestants, told.answers, 0)
    # Per country: greedy once, top-p with two seeds; a greedy cell stands for both seeds, but the
    # same two runs meet once.
    assert len(test.matches) == 2 * 3
    for match in test.matches:
        left, right = (test.answers[place].run for place in (match.left, match.right))
        assert (left.prompt, left.decoding, left.seed) == (right.prompt, right.decoding, right.seed)
    told = grid_round(cells(), "strategy")
    test = blind_test(told.contestants, told.answers, 0)
    assert told.contestants == ("Greedy", "Top-p")
    assert len(test.matches) == 2 * 2 * 2, "the greedy cell meets the draw of each seed"
    with pytest.raises(InvalidInput, match="no two finished cells"):
        grid_round(cells(), "prompt")


def two_by(questions: int) -> Round:
    answers = [Answer(c, q, a_run(f"question {q}", model=f"m{c}"), f"{c} {q}" + "!" * 3 * c)
               for q in range(questions) for c in (0, 1)]
    return Round(("greedy", "top-p"), tuple(answers))


def voted(of: int, won: int) -> BlindTest:
    """So many matches of greedy and top-p, the first of which greedy won."""
    told = two_by(of)
    test = blind_test(told.contestants, told.answers, 1)
    for number, match in enumerate(test.matches):
        side: Vote = "left" if test.answers[match.left].contestant == (number >= won) else "right"
        test = test.vote(side)
    return test.reveal()


@pytest.mark.parametrize(("of", "won", "said"), [
    (10, 9, "You chose greedy over top-p in 9 of 10; by luck that happens in 2.1 % of cases."),
    (10, 8, "in 8 of 10; by luck that happens in 11 % of cases, so it tells little."),
    (5, 5, "too few votes to say anything: even 5 of 5 would happen by luck in 6.2 % of cases."),
    (10, 5, "won 5 each: these votes do not tell them apart."),
])
def test_what_the_votes_say_is_said_with_how_likely_luck_is(of: int, won: int, said: str) -> None:
    assert said in report(voted(of, won))["says"][0]


def test_biases_are_said() -> None:
    """Greedy, whose answers are the shorter ones, won 9 of 10."""
    made = report(voted(10, 9))
    assert made["says"][1] == ("You chose the shorter answer in 9 of 10; by luck that happens in "
                               "2.1 % of cases, so length may have decided.")
    assert made["rows"][0]["name"] == "greedy" and made["rows"][0]["interval"] == "60 to 98 %"
    assert "Too few votes" in report(voted(5, 5))["says"][2]


def test_no_votes_say_nothing() -> None:
    told = two_by(3)
    test = blind_test(told.contestants, told.answers, 0).vote("skip").reveal()
    made = report(test)
    assert "nothing can be said" in made["says"][0]
    assert "Not counted: 1 skipped, 2 without a vote." in made["says"]
    assert made["rows"][0]["shown"] == "–"
    tied = blind_test(told.contestants, told.answers, 0).vote("tie").reveal()
    assert "preferred neither" in report(tied)["says"][0]


def test_a_file_comes_back_as_the_same_test() -> None:
    test = voted(4, 3)
    assert read_file(json_file(test)) == test
    opened = read_experiment(json_file(test))
    assert opened.blind == test and [one.title for one in opened.lanes] == ["greedy", "top-p"] * 4
    assert opened.lanes[0].run == test.answers[0].run
    assert written_experiment(replace(opened, blind=None)) == written_experiment(
        read_link_of(opened)), "a link carries no votes"
    results = json.loads(json_file(test))["results"]
    assert results["standings"][0]["wins"] == 3 and results["longer_chosen"]["of"] == 4


def read_link_of(experiment: Experiment) -> Experiment:
    return read_link(link_of(experiment))


def test_a_saved_answer_is_a_recipe_that_can_be_verified() -> None:
    """With the ids that were written, without those that stood at its fork, and why it ended."""
    run = replace(a_run(), fork=Fork((5, 6), ()))
    answers = tuple(Answer(n, 0, run, f"text {n}", (5, 6, 7 + n), reason="end") for n in (0, 1))
    lanes = read_experiment(json_file(blind_test(("a", "b"), answers, 0).reveal())).lanes
    assert [(one.answer.ids, one.answer.reason) for one in lanes if one.answer] == [
        ((7,), "end"), ((8,), "end")]


def test_a_file_of_many_answers_opens_as_the_first_eight() -> None:
    opened = read_experiment(json_file(voted(10, 9)))
    assert len(opened.lanes) == 8 and opened.title == "The first 8 of 20 answers of a blind test"


def test_a_saved_test_is_opened_again_and_a_recipe_without_votes_is_none() -> None:
    tab, test = Tab(*[words("a", str(n)) for n in range(8)]), voted(4, 3)
    value = tab.act(do="open", file=json_file(test))
    assert value["state"] == "revealed" and value["says"] == report(test)["says"]
    assert tab.file(value["key"], "json") == json_file(test)
    without = written_experiment(replace(read_experiment(json_file(test)), blind=None))
    assert "Recipe tab" in tab.act(do="open", file=without)["problem"]
    assert "empty" in tab.act(do="open", file=None)["problem"]
    tab.act(do="new")
    tab.write(0)
    tab.act(do="vote", at=0, vote="left")
    assert "not revealed yet" in tab.act(do="open", file=json_file(test))["problem"]


def test_the_file_of_somebody_who_did_not_reveal_shows_its_names() -> None:
    """Whoever has the file can read them there."""
    hidden = replace(voted(2, 1), revealed=False)
    assert Tab().act(do="open", file=json_file(hidden))["state"] == "revealed"


@pytest.mark.parametrize("blind", [5, {}, {"contestants": [1]}, {
    "contestants": ["a"] * 481, "answers": [], "matches": []}])
def test_a_strangers_votes_are_refused_in_a_sentence(blind: Any) -> None:
    data = json.loads(json_file(voted(1, 1)))
    with pytest.raises(InvalidInput):
        read_file(json.dumps({**data, "blind": blind}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":"token-by-token/recipe"}', None])
def test_a_strangers_file_is_refused_in_a_sentence(text: Any) -> None:
    with pytest.raises(InvalidInput):
        read_file(text)


def test_the_table_has_a_row_a_match_and_no_formula() -> None:
    told = two_by(1)
    answers = (told.answers[0], Answer(1, 0, told.answers[1].run, "=HYPERLINK(1)"))
    test = blind_test(told.contestants, answers, 0).vote("left").reveal()
    head, row = csv.reader(io.StringIO(csv_file(test)))
    told_row = dict(zip(head, row, strict=True))
    assert told_row["vote"] == "left" and told_row["winner"] == told_row["left"]
    assert told_row["prompt"] == "question 0"
    assert "'=HYPERLINK(1)" in row


def test_every_other_tab_with_lanes_has_a_way_here() -> None:
    page = Tab().page
    ways = {one.elem_id for one in page.blocks.values()
            if isinstance(one, gr.Button) and WAY_IN in (one.elem_classes or ())}
    assert ways == {f"{tab}-{WAY_IN}" for tab in ("chat", "complete", "strategies", "grid")}


def test_a_grids_cells_are_voted_on_by_what_they_differ_in() -> None:
    """2 models × (greedy, and top-p with seeds 0 and 1) after one prompt."""
    engine = GridEngine()
    work, job = played(engine, prompts="Once", models=["o/hidden-alpha", "o/hidden-beta"],
                       strategies=["Greedy", "Top-p"], seeds="0-1")
    known = cells_of(work)(job.key)
    assert len(known) == 6 and cells_of(work)("no such key") == ()
    assert {cell.at["model"] for cell in known} == {"hidden-alpha", "hidden-beta"}
    assert {cell.at["seed"] for cell in known} == {"", "0", "1"}
    assert [axis for axis, _ in axes_of(known)] == ["model", "strategy"]
    with pytest.raises(InvalidInput, match="models and strategies"):
        _one_axis(known)
    told = grid_round(known, "strategy")
    assert told.contestants == ("Greedy", "Top-p") and len(told.answers) == 2 * (2 + 2)


def test_the_newer_of_two_answers_says_that_it_is() -> None:
    """The button of another tab adds a match and brings the tab to the front, which asks too: the
    second answer, made before the match was added, came last on a busy machine and hid it."""
    tab = Tab(words("first"), words("second"))
    tab.complete()
    revisions = [tab.press_way_in("complete")["revision"]]
    revisions += [tab.act(do="vote", at=0, vote="left")["revision"] for _ in range(2)]
    assert revisions == sorted(set(revisions))
