"""Runs taken away and opened again, over a fake engine: what is shared, refused, run, compared."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Failed
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.recipe import Experiment, Recipe, read_experiment, written_experiment
from playground.core.recipe_link import link_of, read_link
from playground.core.recipe_table import csv_of, fenced, markdown_of
from playground.core.run import Fork, ModelSpec, Run
from playground.errors import InvalidInput, Problem
from playground.flags import settings_from
from playground.settings import Settings
from playground.ui import recipe_opened
from playground.ui.decoding_form import read_form
from playground.ui.lane_form import read_lane, write_lane
from playground.ui.recipe_calls import checked_origin, client_of, curl_of, fields_of, lane_of
from playground.ui.recipe_opened import Opened, OpenedRecipes, read_given, refusal_of
from playground.ui.recipe_share import WAYS, read_recipe
from playground.ui.token_feed import TokenFeed
from tests.fake_engine import FakeEngine, words
from tests.one_page import REQUEST, page

SPEC = ModelSpec("builtin/tiny-base")
RUN = Run(SPEC, Raw("The capital"), PRESETS["Greedy"])
LOCAL, PUBLIC = Settings(), Settings(mode="space")
AT = "http://127.0.0.1:7860"


def shown(run: Run = RUN, *texts: str) -> TokenFeed:
    """A lane whose run is over."""
    feed = TokenFeed(run, "A lane")
    for event in words(*texts or (" of", " France")):
        feed.add(event)
    return feed


def asked(what: object, *feeds: TokenFeed, **more: object) -> dict[str, Any]:
    keys = [feed.key for feed in feeds]
    request = {"keys": keys, "what": what, "origin": AT, **more}
    told: dict[str, Any] = json.loads(read_recipe(request))
    return told


def recipe(run: Run = RUN, *texts: str) -> Recipe:
    return read_experiment(asked("file", shown(run, *texts))["text"]).lanes[0]


def test_a_lane_is_shared_as_link_and_file_with_the_name_that_it_has() -> None:
    feed = shown()
    by_link = read_link(asked("link", feed, titles=["Mine"])["text"]).lanes[0]
    by_file = read_experiment(asked("file", feed, titles=["Mine"])["text"]).lanes[0]
    assert by_link.title == by_file.title == "Mine"
    assert by_file.answer is not None and by_file.answer.ids == (3, 4)
    assert by_link.answer == by_file.answer and by_link.run == RUN
    assert asked("file", feed, titles=["Mine <b>"])["name"] == "mine-b-recipe.json"
    says = asked("link", feed)["says"]
    assert "the prompt's text" in says and "tokens and their ids" in says and "Nothing is" in says


def test_lanes_are_shared_together_and_code_is_of_one() -> None:
    pair = shown(), shown(RUN, " is")
    assert len(read_link(asked("link", *pair)["text"]).lanes) == 2
    assert "for 2 lanes" in asked("link", *pair)["says"]
    assert len(list(csv.reader(io.StringIO(asked("csv", *pair)["text"])))) == 3


def test_a_failed_run_is_shared_without_an_answer() -> None:
    feed = TokenFeed(RUN)
    for event in (*words(" of")[:2], Failed(Problem("worker_gone", "It is gone."))):
        feed.add(event)
    told = read_link(asked("link", feed)["text"]).lanes[0]
    assert told.answer is None and told.problem == "It is gone."


@pytest.mark.parametrize("request_", [
    None, 7, {}, {"what": "link"}, {"what": "link", "keys": []}, {"what": "link", "keys": "k"},
    {"what": "link", "keys": ["no such key"]}, {"what": "link", "keys": [None]},
    {"what": ["link"], "keys": ["k"]}, {"what": "exe", "keys": ["k"]},
    {"what": "link", "keys": ["k"] * 9},
])
def test_what_a_browser_asks_for_is_refused_in_a_sentence(request_: object) -> None:
    assert set(json.loads(read_recipe(request_))) == {"problem"}


@pytest.mark.parametrize("origin", [None, "", "javascript:alert(1)", "http://a' b", "http://x\n"])
def test_an_address_that_is_none_gets_into_no_command(origin: object) -> None:
    assert "no address" in asked("curl", shown(), origin=origin)["problem"]
    with pytest.raises(InvalidInput):
        checked_origin(origin)


@pytest.mark.parametrize("what", WAYS)
def test_no_answer_holds_markup(what: str) -> None:
    line = read_recipe({"keys": [shown(RUN, "</script><b>").key], "what": what, "origin": AT})
    assert "<" not in line


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_of_a_run_are_those_of_a_panel_again(preset: str) -> None:
    run = replace(RUN, seed=7, decoding=replace(PRESETS[preset], stop_strings=("a\n",)))
    form = read_form(fields_of(run)["settings"])
    assert (form.decoding, form.seed, form.fresh_seed) == (run.decoding, 7, False)
    assert form.preset == preset


@pytest.mark.parametrize(("run", "why"), [
    (replace(RUN, prompt=Ids((1,))), "exact token ids"),
    (replace(RUN, prompt=Chat((Message("user", "a"), Message("assistant", "b"),
                               Message("user", "c")))), "more than one"),
    (replace(RUN, fork=Fork((1,))), "middle of an answer"),
    (replace(RUN, model=ModelSpec("builtin/tiny-base", dtype="bfloat16")), "dtype"),
])
def test_what_a_tab_has_no_field_for_is_said(run: Run, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        fields_of(run)


def test_a_run_that_goes_on_in_an_answer_is_no_call() -> None:
    for write in (curl_of, client_of):
        with pytest.raises(InvalidInput, match="middle of an answer"):
            write(replace(RUN, fork=Fork((1,))), AT)


@pytest.mark.parametrize("prompt", [
    Raw(" x\n", True), Chat((Message("user", "u"),)),
    Chat((Message("system", "s"), Message("user", "u")), True),
    Chat((Message("system", "s"), Message("user", "u"), Message("assistant", "So "))),
])
def test_a_lane_of_complete_holds_the_same_prompt_again(prompt: Prompt) -> None:
    run = replace(RUN, prompt=prompt, seed=9)
    text, form = lane_of(run)
    form = read_lane(write_lane(form))
    assert form.run(form.prompt(text), "another/model") == run


def test_the_tokens_tab_has_no_field_for_a_system_prompt() -> None:
    with pytest.raises(InvalidInput, match="more than one"):
        fields_of(replace(RUN, prompt=Chat((Message("system", "s"), Message("user", "u")))))


def test_a_quote_in_a_prompt_ends_no_command() -> None:
    prompt = "it's \"$(touch /tmp/x)\" `ls`"
    command = curl_of(replace(RUN, prompt=Raw(prompt)), AT)
    words_ = shlex.split(command, comments=True)
    assert json.loads(words_[words_.index("-d") + 1])["prompt"] == prompt
    compile(client_of(replace(RUN, prompt=Raw(prompt)), AT), "client", "exec")


def test_a_table_holds_no_formula_and_markdown_no_way_out() -> None:
    evil: Prompt = Raw("=1+1\n```\n# Not a heading")
    one = replace(recipe(), run=replace(RUN, prompt=evil), title="=A [x](y) | z")
    row = list(csv.reader(io.StringIO(csv_of(Experiment((one,))))))[1]
    assert row[0].startswith("'=") and row[3].startswith("'=")
    page = markdown_of(Experiment((one,)))
    assert "\n````\n=1+1" in page and "\\[x\\]" in page and "\\|" in page
    assert fenced("````") == "`````\n````\n`````"


@pytest.mark.parametrize("give", [
    lambda e: "https://a.b/#recipe=" + link_of(e), link_of, written_experiment,
    lambda e: f"  http://127.0.0.1:7860/?x=1#recipe={link_of(e)}&view=x\n",
])
def test_a_link_its_end_or_a_file_can_be_pasted(give: Any) -> None:
    assert read_given(give(Experiment((recipe(),)))).lanes[0].run == RUN


@pytest.mark.parametrize("given", ["", None, "hello", "{", "https://a.b/", "x" * 1_000_001])
def test_what_is_no_recipe_is_refused_in_a_sentence(given: object) -> None:
    with pytest.raises(InvalidInput):
        read_given(given)


def test_in_public_a_strangers_model_does_not_run_and_the_sheet_says_so() -> None:
    other = replace(recipe(), run=replace(RUN, model=ModelSpec("somebody/model")))
    assert refusal_of(other.run, PUBLIC) is not None and refusal_of(RUN, PUBLIC) is None
    here = Opened(Experiment((other,)), PUBLIC)
    assert here.sheet()["notices"][0].startswith("It cannot run here. This playground offers a")
    assert here.begin() == [] and here.sheet()["verdict"]["badge"] == "failed"


def test_a_strangers_model_is_fetched_only_from_before_the_readers_eyes() -> None:
    """A link of two lanes: the first is known, the second would fetch a model unseen."""
    other = replace(recipe(), run=replace(RUN, model=ModelSpec("somebody/model")))
    here = Opened(Experiment((recipe(), other)), LOCAL)
    assert [number for number, _ in here.begin()] == [0]
    here.choose(1)
    assert "somebody/model is not among" in here.sheet()["notices"][0]
    assert [number for number, _ in here.begin()] == [0, 1]


def test_more_than_this_place_allows_is_refused() -> None:
    many = replace(RUN, decoding=Decoding(num_beams=16))
    small = replace(PUBLIC, limits=replace(PUBLIC.limits, beams=4))
    assert refusal_of(many, small) is not None


def test_no_folder_of_a_stranger_is_looked_at_before_a_button_is_pressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a path leads to another machine, to look whether it is there already tells it who
    looks: a link that names one is opened without that."""
    looked = []
    monkeypatch.setattr(Path, "is_dir", lambda path: bool(looked.append(str(path))))
    other = replace(recipe(), run=replace(RUN, model=ModelSpec("//evil.example/share")))
    here = Opened(Experiment((recipe(), other)), LOCAL)
    here.choose(1)
    assert "//evil.example/share is not among" in here.sheet()["notices"][0] and looked == []
    here.choose(0)
    here.begin()
    assert not [path for path in looked if "evil" in path]
    here.choose(1)
    here.begin()
    assert [path for path in looked if "evil" in path], "whoever presses the button asks for it"


def test_running_again_compares_each_lane() -> None:
    two = Experiment((recipe(RUN, "a", "b"), recipe(RUN, "a", "c")))
    here = Opened(two, LOCAL)
    for _, feed in here.begin():
        for event in words("a", "b"):
            feed.add(event)
    here.judge()
    # The fake engine's ids are places, so both have the same ids.
    assert [one["badge"] for one in map(here._verdict, (0, 1))] == ["same", "same"]
    here = Opened(Experiment((recipe(RUN, "a", "b", "c"),)), LOCAL)
    for _, feed in here.begin():
        for event in words("a", "b"):
            feed.add(event)
    here.judge()
    assert here.sheet()["verdict"]["badge"] == "other" and here.expected()["parts"] == 2
    assert here.choices == ["greedy · other ids"]


def test_the_opened_of_pages_are_bounded() -> None:
    opened = OpenedRecipes(most=2)
    for name in "abc":
        opened.put(name, Opened(Experiment((recipe(),)), LOCAL))
    assert opened.get("a") is None and opened.get("c") is not None
    opened.close("c")
    assert opened.get("c") is None


def test_what_pages_have_open_is_bounded_by_its_length_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three files of 4 characters are two too many where 10 are kept, and one alone always is."""
    monkeypatch.setattr(recipe_opened, "MOST_CHARACTERS", 10)
    opened = OpenedRecipes()
    for name, size in (("a", 4), ("b", 4), ("c", 4)):
        opened.put(name, Opened(Experiment((recipe(),)), LOCAL, size))
    assert [opened.get(name) is None for name in "abc"] == [True, False, False]
    opened.put("d", Opened(Experiment((recipe(),)), LOCAL, 99))
    assert [opened.get(name) is None for name in "bcd"] == [True, True, False]


def test_opening_runs_nothing_and_the_button_does() -> None:
    engine = FakeEngine(words(" of", " France"))
    blocks = page(engine)
    ours = {f.fn.__name__: f.fn for f in blocks.fns.values()
            if getattr(f.fn, "__module__", "") == "playground.ui.recipe"}
    open_recipe, run = ours["open_recipe"], ours["run"]
    told = open_recipe(REQUEST, link_of(Experiment((recipe(),))))
    assert engine.history == [] and json.loads(told[3])["prompt"] == "The capital"
    last = list(run(REQUEST))[-1]
    assert engine.history == [RUN]
    assert json.loads(last[3])["verdict"]["badge"] == "same"
    assert json.loads(last[6])["state"] == "finished"
    broken = open_recipe(REQUEST, "#recipe=broken")
    assert "This link is of another version" in broken[2] and broken[3] == "{}"
    assert "neither a shared link nor" in open_recipe(REQUEST, "What is this?")[2]
    assert "Nothing is open" in list(run(REQUEST))[-1][2] and len(engine.history) == 1


def test_what_is_opened_meanwhile_stays_in_sight() -> None:
    """The run of what was open before writes no more into the page."""
    engine = FakeEngine(words(" of", " France"))
    blocks = page(engine)
    ours = {f.fn.__name__: f.fn for f in blocks.fns.values()
            if getattr(f.fn, "__module__", "") == "playground.ui.recipe"}
    ours["open_recipe"](REQUEST, link_of(Experiment((recipe(),))))
    running = ours["run"](REQUEST)
    next(running)
    other = replace(recipe(), run=replace(RUN, prompt=Raw("Another")))
    ours["open_recipe"](REQUEST, link_of(Experiment((other,))))
    assert list(running) == [] and engine.streams[0].stopped == 1


def test_on_a_space_links_lead_to_its_page_on_the_hub() -> None:
    space = settings_from([], {"SPACE_ID": "owner/name"})
    assert space.address == "https://huggingface.co/spaces/owner/name"
    assert settings_from([], {}).address == ""


@pytest.mark.parametrize("what", ["link", "file", "markdown"])
def test_a_folder_of_this_machine_is_said_before_it_is_shared(what: str) -> None:
    """Whoever gets the link reads the path in it."""
    def warns(model: ModelSpec) -> str | None:
        key = shown(replace(RUN, model=model), "text").key
        told = json.loads(read_recipe({"keys": [key], "what": what, "origin": AT}))
        assert told["text"]
        return told.get("warns")  # type: ignore[no-any-return]

    assert warns(ModelSpec("owner/name")) is None
    assert warns(ModelSpec("/home/anna/model")) == (
        "A model here is a folder on your machine, and what you share names it: /home/anna/model.")
    both = warns(ModelSpec("~/model", adapter="./adapter"))
    assert both is not None and both.endswith("names them: ~/model, ./adapter.")
