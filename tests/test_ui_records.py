"""Laws of the Records tab: every run is kept once, for its owner, whatever a browser wishes."""

from __future__ import annotations

import csv
import io
import json
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.core.facts import Facts
from playground.core.prompt import Chat, Message, Raw
from playground.core.recipe import recipe_of
from playground.core.recipe_verdict import facts_that_differ
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import Problem, StorageProblem
from playground.records import access, database
from playground.records.record import Draft, Query
from playground.records.store import Records
from playground.settings import Settings
from playground.ui import keeping as keeping_module
from playground.ui.branches import Branches
from playground.ui.keeping import SWEEP_SECONDS, VISIT_SECONDS, Keeper, keeper_of
from playground.ui.page import build_page, launch_options
from playground.ui.record_lanes import TEXT_ALONE, RecordLane, differences_in_words
from playground.ui.record_list import RecordList
from playground.ui.records import build_records
from playground.ui.streaming import SessionStreams, Stage
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import KEPT
from playground.ui.visitor import OWNER, Visitors
from tests.fake_engine import FakeEngine, words


def visitor(name: str, secret: str = "", session: str = "a-page") -> SimpleNamespace:
    """A request of a browser with this cookie, 43 characters of it."""
    cookies = {name: secret.ljust(43, "x")} if secret else {}
    return SimpleNamespace(session_hash=session, cookies=cookies)


HERE = visitor("")
RUN = Run(ModelSpec("builtin/tiny-base"), Raw("Once"), Decoding(max_new_tokens=8))


def stage_of(*scripts: Any, keeper: Keeper | None = None) -> Stage:
    return Stage(FakeEngine(*scripts), SessionStreams(), keeper or Keeper())  # type: ignore[arg-type]


def kept(keeper: Keeper, owner: str = OWNER) -> list[tuple[str, str, str, int]]:
    """Tab, answer, how it ended and place of what is kept, when the writer has done all."""
    keeper.records._access.submit(lambda rows: None).result(30)
    return [(one.tab, one.answer, one.state, one.place)
            for one in keeper.records.find(owner).records]


def play(stage: Stage, request: Any = HERE, runs: int = 1) -> Iterator[None]:
    return stage.play("complete", request, [TokenFeed(RUN) for _ in range(runs)])


# Keeping


def test_runs_that_were_started_together_are_kept_as_one_group_in_their_order() -> None:
    stage = stage_of(words("a"), words("b", "c"), words("d"))
    list(play(stage, runs=3))
    assert kept(stage.keeper) == [("complete", text, "finished", n)
                                  for n, text in enumerate(("a", "bc", "d"))]
    (first, *others) = stage.keeper.records.find(OWNER).records
    assert {one.group for one in others} == {first.group} != {""}
    assert {one.created for one in others} == {first.created}
    assert first.settings == RUN.decoding.summary


def test_a_run_that_fails_is_kept_with_what_it_had_written() -> None:
    started, first, *_ = words("Par", "is")
    stage = stage_of([started, first, Failed(Problem("OOM", "Memory ended."))])
    list(play(stage))
    assert kept(stage.keeper) == [("complete", "Par", "failed", 0)]


def test_a_run_whose_page_closes_is_kept_with_what_it_had_written_and_once() -> None:
    stage = stage_of(words(*"abcdef"))
    playing = play(stage)
    for _ in range(5):
        next(playing)
    playing.close()
    stage.streams.close("a-page")
    ((tab, answer, state, _),) = kept(stage.keeper)
    assert (tab, state) == ("complete", "stopped") and "abcdef".startswith(answer) and answer


def test_a_run_that_never_began_is_not_kept() -> None:
    stage = Stage(FakeEngine(full=True), SessionStreams())  # type: ignore[arg-type]
    list(play(stage))
    assert kept(stage.keeper) == []


def test_a_run_that_is_shown_again_is_not_kept_again() -> None:
    stage = stage_of(words("a"))
    (feed,) = feeds = [TokenFeed(RUN)]
    list(stage.play("complete", HERE, feeds))  # type: ignore[arg-type]
    TokenFeed.of(feed.trace)
    assert len(kept(stage.keeper)) == 1


def test_branches_and_samples_are_kept_and_what_a_closed_page_leaves() -> None:
    """They are not played by a stage, but pumped by the tab's own handlers."""
    keeper = Keeper()
    engine = FakeEngine(words("a", "b"), words("s"), words("t"), words(*"unread"))
    branches = Branches(engine, 24, "a-page", lambda run: "words")  # type: ignore[arg-type]
    branches.player.begin = lambda: keeper.begin(OWNER, "tokens")
    branches.run(RUN)
    while branches.player.live:
        branches.pump()
    branches.draw(RUN, 2)
    while branches.player.live:
        branches.pump()
    branches.run(RUN)
    for _ in range(3):
        branches.pump()
    KEPT.leave("a-page")
    assert sorted(kept(keeper)) == [
        ("tokens", "ab", "finished", 0), ("tokens", "s", "finished", 0),
        ("tokens", "t", "finished", 1), ("tokens", "un", "stopped", 0),
    ]


def test_every_tab_keeps_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the page as it is built, whatever handler plays."""
    keeper = Keeper()
    monkeypatch.setattr("playground.ui.page.keeper_of", lambda settings, describe: keeper)
    engine = FakeEngine(*[words("a") for _ in range(9)])
    page = build_page(engine, Settings())  # type: ignore[arg-type]
    asked = {"chat": {"message": "Hi"}, "complete": {"text": "Once"},
             "strategies": {"text": "Once"}, "tokens": {"text": "Once"}}
    for name, given in asked.items():
        event = next(f for f in page.fns.values() if f.api_name == name)
        values = [getattr(component, "value", None) for component in event.inputs]
        inputs = dict(zip(event.input_parameter_names, values, strict=True)) | given
        list(event.fn(HERE, **inputs))
    assert len(kept(keeper)) == len(engine.history) == 9
    assert {tab for tab, *_ in kept(keeper)} == set(asked)


def test_what_ends_after_its_visit_goes_like_the_rest() -> None:
    """A grid writes on when its page is closed."""
    now = [0.0]
    keeper = Keeper(Records(), Visitors("space"), clock=lambda: now[0])
    keeping = keeper.begin("one", "grid")
    now[0] = VISIT_SECONDS + 100
    assert keeping is not None
    keeping.keep(written("a"), 0)
    keeper.meet(visitor("visitor", "b"))
    assert len(kept(keeper, "one")) == 1
    now[0] += VISIT_SECONDS + 100
    keeper.meet(visitor("visitor", "b"))
    assert kept(keeper, "one") == []


# Whose


def test_on_this_machine_all_pages_are_one_owner_and_in_public_each_browser_is_its_own() -> None:
    here = Visitors("local")
    assert here.owner(HERE) == here.owner(visitor("visitor", "a")) == OWNER
    public = Visitors("shared")
    a, b = (public.owner(visitor("visitor", one)) for one in "ab")
    assert a and b and a != b and a == public.owner(visitor("visitor", "a", "another page"))
    assert a != "a".ljust(43, "x"), "what is kept is not what opens it"
    for wrong in ("", "x" * 44, "x" * 42 + "\n", "ä" * 43):
        assert public.owner(SimpleNamespace(cookies={"visitor": wrong}, session_hash="s")) is None
    assert public.owner(SimpleNamespace(session_hash="a")) is None, "a session is no name"
    assert public.owner(visitor("owner", "a")) is None


def test_a_cookie_is_given_once_and_no_script_reads_it() -> None:
    assert Visitors("local").new_cookie("") is None
    shared, space = Visitors("shared"), Visitors("space")
    given = shared.new_cookie("other=1")
    assert given is not None and "HttpOnly" in given and "SameSite=Lax" in given
    pair = given.partition(";")[0]
    assert shared.new_cookie(f"a=b; {pair}; c=d") is None
    assert shared.new_cookie("visitor=tooshort") is not None
    assert shared.new_cookie("not" + pair) is not None
    assert given != shared.new_cookie("")
    framed = space.new_cookie("")
    assert framed is not None and framed.startswith("__Host-visitor=")
    assert "Secure" in framed and "SameSite=None" in framed and "Partitioned" in framed


def test_a_visit_ends_an_hour_after_its_last_sign_of_life_and_its_records_with_it() -> None:
    now = [0.0]
    keeper = Keeper(Records(), Visitors("shared"), clock=lambda: now[0])
    a, b = (keeper.meet(visitor("visitor", one)) for one in "ab")
    for owner in (a, b):
        keeping = keeper.begin(owner, "chat")
        assert keeping is not None
        keeping.keep(Trace(RUN).add(words("x")[0]).add(words("x")[1]), 0)
    assert len(kept(keeper, str(a))) == len(kept(keeper, str(b))) == 1
    now[0] = VISIT_SECONDS - 1
    keeper.meet(visitor("visitor", "a"))
    now[0] = VISIT_SECONDS + 100
    keeper.meet(SimpleNamespace(session_hash="s", cookies={}))  # somebody without a cookie
    assert len(kept(keeper, str(a))) == 1 and kept(keeper, str(b)) == []


def test_a_visit_that_could_not_be_deleted_is_deleted_by_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than 256 visits end together, and the writer takes no more jobs: nothing may stay."""
    now = [0.0]
    keeper = Keeper(Records(), Visitors("shared"), clock=lambda: now[0])
    owner = str(keeper.meet(visitor("visitor", "a")))
    keeping = keeper.begin(owner, "chat")
    assert keeping is not None
    keeping.keep(Trace(RUN).add(words("x")[0]).add(words("x")[1]), 0)
    assert len(kept(keeper, owner)) == 1
    asked, done = [], keeper.records.forget

    def full(*owners: str) -> Future[int]:
        asked.append(owners)
        refused: Future[int] = Future()
        refused.set_exception(StorageProblem("Too many runs wait to be written."))
        return refused

    monkeypatch.setattr(keeper.records, "forget", full)
    now[0] = VISIT_SECONDS + 100
    keeper.meet(SimpleNamespace(session_hash="s", cookies={}))
    assert asked == [(owner,)] and len(kept(keeper, owner)) == 1
    monkeypatch.setattr(keeper.records, "forget", done)
    now[0] += SWEEP_SECONDS
    keeper.meet(SimpleNamespace(session_hash="s", cookies={}))
    assert kept(keeper, owner) == []


def test_made_up_cookies_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 21st of at most 20 lets the two go that were longest unseen; the first was seen again."""
    monkeypatch.setattr(keeping_module, "MOST_VISITS", 20)
    keeper = Keeper(Records(), Visitors("shared"), clock=lambda: 0.0)
    asked = [str(keeper.meet(visitor("visitor", one))) for one in "abcdefghijklmnopqrst"]
    keeper.meet(visitor("visitor", "a"))
    keeper.meet(visitor("visitor", "u"))
    assert len(keeper._seen) == 19
    assert asked[0] in keeper._seen and not set(asked[1:3]) & set(keeper._seen)


def test_who_is_nobody_has_no_records(tmp_path: Any) -> None:
    keeper = Keeper(Records(tmp_path), Visitors("space"))
    stage = stage_of(words("a"), keeper=keeper)
    list(play(stage, HERE))
    keeper.records.close()
    assert Records(tmp_path).find(OWNER).total == 0
    told = json.loads(RecordList(keeper).answer(keeper.meet(HERE), {"do": "clear"}))
    assert told["nobody"] is True and "rows" not in told


def test_the_page_says_where_records_are(tmp_path: Any) -> None:
    def told(settings: Settings) -> str:
        keeper = keeper_of(settings, str)
        try:
            return RecordList(keeper).place
        finally:
            keeper.records.close()

    assert str(tmp_path / "records.sqlite3") in told(Settings(data=tmp_path))
    assert "in memory until the app ends" in told(Settings())
    assert "for this visit only" in told(Settings(mode="shared"))
    assert "for this visit only" in told(Settings(mode="space"))
    volume = told(Settings(mode="space", data=tmp_path / "volume"))
    assert "30 days" in volume and str(tmp_path) not in volume
    (tmp_path / "file").write_text("in the way")
    broken = told(Settings(data=tmp_path / "file"))
    assert "cannot be used" in broken and "in memory until the app ends" in broken
    public = told(Settings(mode="space", data=tmp_path / "file"))
    assert "for this visit only" in public


# The list


@pytest.fixture
def filled() -> tuple[RecordList, list[str]]:
    """Three records of the owner's: a raw text, a chat, and one that failed."""
    records = Records()
    keeper = Keeper(records)
    traces = [Trace(RUN), Trace(Run(RUN.model, Chat((Message("system", "Be brief."),
                                                     Message("user", "=1+1 \n why?"))))),
              Trace(RUN)]
    for n, trace in enumerate(traces):
        for event in words("a", " <b>")[: -1 if n == 2 else None]:
            trace = trace.add(event)
        traces[n] = trace
    traces[2] = traces[2].add(Failed(Problem("OOM", "Memory ended.")))
    keys = [records.keep(OWNER, Draft(trace, tab, "words", tab, n, created=1e9 + n)).result(30)
            for n, (trace, tab) in enumerate(zip(traces, ("complete", "chat", "tokens"),
                                                 strict=True))]
    return RecordList(keeper), keys


def answer(listed: RecordList, wish: Any, owner: str = OWNER) -> dict[str, Any]:
    text = listed.answer(owner, wish)
    assert "<" not in text
    return json.loads(text)  # type: ignore[no-any-return]


def test_the_list_tells_what_a_line_shows(filled: tuple[RecordList, list[str]]) -> None:
    listed, keys = filled
    told = answer(listed, {"turn": 7})
    assert (told["turn"], told["total"], told["keeping"]) == (7, 3, True)
    assert [row["key"] for row in told["rows"]] == keys[::-1]
    failed, chat, raw = told["rows"]
    assert (failed["state"], failed["reason"], failed["answer"]) == ("failed", "Memory ended.",
                                                                     "a <b>")
    assert (chat["prompt"], chat["at"], chat["tokens"]) == ("=1+1 why?", 1_000_000_001_000, 2)
    assert raw["prompt"] == "Once" and told["tabs"] == ["chat", "complete", "tokens"]


def test_a_record_is_starred_labelled_deleted_and_brought_back(
    filled: tuple[RecordList, list[str]]
) -> None:
    listed, (first, second, _) = filled
    assert answer(listed, {"do": "star", "key": first, "on": True})["rows"][2]["star"] is True
    told = answer(listed, {"do": "label", "key": second, "label": " the <best> "})
    assert told["rows"][1]["label"] == "the <best>"
    assert [row["key"] for row in answer(listed, {"query": {"starred": True}})["rows"]] == [first]
    assert answer(listed, {"query": {"words": "best"}})["total"] == 1
    told = answer(listed, {"do": "delete", "keys": [first, second]})
    assert (told["total"], told["said"]) == (1, "2 records deleted.")
    told = answer(listed, {"do": "undo", "stamp": told["undo"]})
    assert (told["total"], told["said"]) == (3, "2 records came back.")
    told = answer(listed, {"do": "clear"})
    assert (told["total"], told["said"]) == (0, "3 records deleted.")
    assert answer(listed, {"do": "undo", "stamp": told["undo"]})["total"] == 3
    told = answer(listed, {"do": "keep", "on": False})
    assert told["keeping"] is False and listed._records.keeps(OWNER) is False


@pytest.mark.parametrize("wish", [
    None, 5, [], "x", {"turn": "x"}, {"query": 5}, {"query": {"words": 5}},
    {"query": {"page": -1}}, {"query": {"page": 10**30}}, {"do": "nonsense"}, {"do": ["star"]},
    {"do": "star"}, {"do": "star", "key": ["x"], "on": True}, {"do": "label", "key": "x"},
    {"do": "label", "key": "x", "label": "y" * 999}, {"do": "delete"}, {"do": "delete", "keys": []},
    {"do": "delete", "keys": "x"}, {"do": "delete", "keys": [1]}, {"do": "delete", "keys": [None]},
    {"do": "delete", "keys": ["x"] * 501}, {"do": "undo"}, {"do": "undo", "stamp": True},
    {"do": "undo", "stamp": 10**400}, {"do": "undo", "stamp": "now"}, {"do": "csv", "keys": ["x"]},
    {"do": "csv"}, {"do": "star", "key": "\ud800", "on": True},
])
def test_whatever_a_browser_wishes_nothing_breaks_and_nothing_goes(
    wish: Any, filled: tuple[RecordList, list[str]]
) -> None:
    listed, keys = filled
    told = answer(listed, wish)
    if isinstance(wish, dict) and "do" in wish and wish.get("stamp") != 10**400:
        assert told["problem"]
    assert {row["key"] for row in answer(listed, {})["rows"]} == set(keys)


def test_what_is_not_written_is_told_and_the_page_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    records = Records(tmp_path)
    stage = stage_of(words("a"), words("b"), keeper=Keeper(records))
    other = sqlite3.connect(tmp_path / database.NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    feeds = [TokenFeed(RUN), TokenFeed(RUN)]
    list(stage.play("chat", HERE, feeds))  # type: ignore[arg-type]
    assert [feed.trace.text for feed in feeds] == ["a", "b"], "the answers are on the screen"
    with pytest.raises(StorageProblem):
        records.star(OWNER, "x", True)  # after these two the writer has had its say
    told = answer(RecordList(stage.keeper), {})
    assert "held by another program" in told["trouble"]
    assert told["trouble"].endswith("Not written yet: 2 runs.") and told["total"] == 0
    other.execute("COMMIT")
    records.keep_runs(OWNER, True)
    records.close()
    assert RecordList(Keeper(Records(tmp_path)))._list(OWNER, None)["total"] == 2


def test_what_is_anothers_cannot_be_opened_or_saved(filled: tuple[RecordList, list[str]]) -> None:
    listed, keys = filled
    for owner in ("other", None):
        for wish in ({"keys": keys[:1]}, {"keys": keys[:2]}, {"keys": "x"}, {"keys": keys}, None):
            with pytest.raises(Exception, match="no such record|can be opened"):
                listed.lanes(owner, wish)
    told = answer(listed, {"do": "csv", "keys": keys}, "other")
    assert "no such record" in told["problem"] and "file" not in told


def test_a_record_opens_as_it_was_shown(filled: tuple[RecordList, list[str]]) -> None:
    listed, keys = filled
    shown, other = values(listed.lanes(OWNER, {"keys": [keys[2], keys[0]]}))
    assert (shown["state"], shown["n"], shown["problem"]) == ("failed", 2, "Memory ended.")
    assert [row[1] for row in other["rows"]] == ["a", " <b>"]
    assert "2001-09-09 01:46 UTC" in shown["sub"] and shown["title"] == "tiny-base"
    assert listed.lanes(OWNER, {"keys": []}) == []


def test_a_saved_table_is_whole_and_no_formula(filled: tuple[RecordList, list[str]]) -> None:
    listed, keys = filled
    file = answer(listed, {"do": "csv", "keys": keys})["file"]
    rows = list(csv.DictReader(io.StringIO(file["text"], newline="")))
    assert [row["tab"] for row in rows] == ["complete", "chat", "tokens"]
    assert rows[1]["prompt"] == "'=1+1 \n why?\n\nBe brief." and rows[1]["answer"] == "a <b>"
    assert rows[2]["reason"] == "Memory ended." and rows[0]["created"] == "2001-09-09T01:46:40Z"


def test_what_is_saved_opens_elsewhere_and_saves_to_the_same_bytes() -> None:
    """Prompt and settings in any script, ids and pieces, label and time; a failure with its reason,
    and a run without an answer."""
    records = Records()
    prompt = Raw("《梦游》\n\t🙂 e\u0301 \u202e <b>\0")
    run = Run(RUN.model, prompt, Decoding(stop_strings=("。",)), seed=7)
    whole, failed, bare = Trace(run), Trace(run), Trace(run)
    for event in words("中", "文\n", "\ufffd", "🙂"):
        whole = whole.add(event)
    failed = failed.add(words("a")[0]).add(Failed(Problem("OOM", "Memory ended.")))
    keys = [records.keep(OWNER, Draft(trace, "chat", label=label, created=1e9)).result(30)
            for trace, label in ((whole, "über <x>"), (failed, ""), (bare, ""))]
    saved = answer(RecordList(Keeper(records)), {"do": "recipe", "keys": keys})["file"]["text"]
    elsewhere = Keeper(Records())
    told = answer(RecordList(elsewhere), {"do": "import", "file": saved})
    assert told["said"] == "3 records came from the file."
    assert [(row["state"], row["label"], row["tokens"], row["tab"]) for row in told["rows"]] == [
        ("finished", "über <x>", 4, "file"), ("failed", "", 0, "file"), ("stopped", "", 0, "file")]
    keys = [row["key"] for row in told["rows"]]
    again = answer(RecordList(elsewhere), {"do": "recipe", "keys": keys})["file"]["text"]
    assert again == saved
    shown, no = values(RecordList(elsewhere).lanes(OWNER, {"keys": keys[:2]}))
    assert (shown["leading"], shown["title"]) == ("中文\n\ufffd🙂", "über <x>")
    assert (no["state"], no["problem"]) == ("failed", "Memory ended.")
    one = answer(RecordList(elsewhere), {"do": "label", "key": keys[0], "label": "new"})
    assert '"title":"new"' in answer(RecordList(elsewhere), {
        "do": "recipe", "keys": [one["rows"][0]["key"]]})["file"]["text"]


@pytest.mark.parametrize("file", [
    None, 5, "", "{", "[]", '{"format": "other"}', '{"format":"token-by-token/recipe","version":9}',
    '{"format":"token-by-token/recipe","version":1,"lanes":[]}', "x" * 1_000_001, "[" * 100_000,
    '{"format":"token-by-token/recipe","version":1,"lanes":[{"run":{"model":{"repo":5}}}]}',
])
def test_a_strangers_file_is_refused_in_a_sentence_and_nothing_is_kept(
    file: Any, filled: tuple[RecordList, list[str]]
) -> None:
    told = answer(filled[0], {"do": "import", "file": file})
    assert told["problem"].endswith(".") and told["total"] == 3


def test_a_file_that_the_disk_has_no_time_for_is_refused_in_a_sentence(
    tmp_path: Path, filled: tuple[RecordList, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, keys = filled
    saved = answer(listed, {"do": "recipe", "keys": keys[:1]})["file"]["text"]
    records = Records(tmp_path)
    other = sqlite3.connect(tmp_path / database.NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(access, "ANSWER_SECONDS", 0.01)
    told = answer(RecordList(Keeper(records)), {"do": "import", "file": saved})
    assert told["problem"].startswith("The records are busy.")
    other.execute("COMMIT")
    monkeypatch.undo()
    records.close()


def test_more_than_eight_are_no_recipe_and_none_comes_in_while_none_is_kept(
    filled: tuple[RecordList, list[str]]
) -> None:
    listed, keys = filled
    assert "at most 8" in answer(listed, {"do": "recipe", "keys": keys * 3})["problem"]
    saved = answer(listed, {"do": "recipe", "keys": keys})["file"]["text"]
    answer(listed, {"do": "keep", "on": False})
    told = answer(listed, {"do": "import", "file": saved})
    assert "Keep my runs" in told["problem"] and told["total"] == 3


def test_a_prompt_never_reaches_the_log(caplog: pytest.LogCaptureFixture,
                                        capfd: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    records = Records(tmp_path)
    trace = Trace(Run(RUN.model, Raw("a very secret prompt"))).add(Failed(Problem("OOM", "No.")))
    object.__setattr__(trace.run, "seed", {1})
    with pytest.raises(Exception, match="cannot be written down"):
        records.keep(OWNER, Draft(trace, "chat")).result(30)
    assert records.find(OWNER, Query(words="secret")).total == 0
    records.close()
    told = capfd.readouterr()
    assert "secret" not in caplog.text + told.out + told.err


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Browser:
    """A client that keeps its cookies and calls the page's events as a browser does."""

    def __init__(self, page: gr.Blocks, session: str) -> None:
        self._fns, self._session = page.fns, session
        self._http = httpx.Client(base_url=page.local_url, timeout=30)
        assert self._http.get("/").status_code == 200

    def call(self, event: Any, data: list[Any], wish: Any = None) -> Any:
        """The last output of an event."""
        joined = self._http.post("/gradio_api/queue/join", json={
            "data": data, "fn_index": event._id, "session_hash": self._session,
            "event_data": wish, "trigger_id": event.targets[0][0]})
        assert joined.status_code == 200, joined.text
        with self._http.stream("GET", "/gradio_api/queue/data",
                               params={"session_hash": self._session}) as told:
            for line in told.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {}
                if message.get("msg") == "process_completed":
                    assert message["success"], message
                    return message["output"]["data"]
        raise AssertionError("no answer")

    def records(self) -> dict[str, Any]:
        """What the list of records shows to this browser."""
        event = next(f for f in self._fns.values() if f.fn is not None
                     and getattr(f.fn, "__module__", "").endswith("ui.records")
                     and f.fn.__name__ == "ask")
        (told,) = self.call(event, [], {"turn": 1})
        return json.loads(told)  # type: ignore[no-any-return]


def test_in_public_each_browser_sees_its_own_through_the_server_as_it_is_served(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cookie crosses the guard, Gradio's queue and its threads; a session's name opens nothing,
    and a browser without a cookie has nothing."""
    settings = Settings(mode="shared", port=free_port())
    keeper = keeper_of(settings, str)
    monkeypatch.setattr("playground.ui.page.keeper_of", lambda settings, describe: keeper)
    page = build_page(FakeEngine(words("a"), words("b")), settings)  # type: ignore[arg-type]
    page.launch(**launch_options(settings), prevent_thread_lock=True)
    try:
        one, other, thief = Browser(page, "one"), Browser(page, "other"), Browser(page, "one")
        run = next(f for f in page.fns.values() if f.api_name == "complete")
        values = [getattr(part, "value", None) for part in run.inputs]
        given = dict(zip(run.input_parameter_names, values, strict=True)) | {"text": "Once"}
        one.call(run, list(given.values()))
        keeper.records._access.submit(lambda rows: None).result(30)
        assert [row["answer"] for row in one.records()["rows"]] == ["a", "b"]
        assert other.records()["total"] == thief.records()["total"] == 0
        one._http.cookies.clear()
        assert one.records()["nobody"] is True
    finally:
        page.close()


# Two records beside each other


def values(lanes: Sequence[RecordLane]) -> list[dict[str, Any]]:
    return [json.loads(lane.value) for lane in lanes]


def test_two_opened_records_say_where_they_part_and_one_says_nothing() -> None:
    """As the page is told it: the panel's lanes, the place in the lane that leaves the other, and
    anew when the other lane is chosen to compare with."""
    keeper = Keeper()
    keys = [keeper.records.keep(OWNER, Draft(trace, "complete", created=1e9)).result(30)
            for trace in (written("a", "b"), written("a", "c", at=1))]
    with gr.Blocks() as page:
        build_records(keeper)
    show = next(f for f in page.fns.values() if any(name == "show" for _, name in f.targets))

    def told(*wanted: str) -> list[Any]:
        return show.fn(HERE, SimpleNamespace(_data={"turn": 1, "keys": list(wanted)}))

    both = told(*keys)
    parting = json.loads(both[-1])
    assert [one["at"] for one in parting["lanes"]] == [None, 1] and not parting["running"]
    assert json.loads(both[2])["parts_at"] == 1 and both[-2] == ""
    refer = next(f for f in page.fns.values() if any(name == "refer" for _, name in f.targets))
    panel, first, second = refer.fn(SimpleNamespace(_data={"column": 1}), HERE)
    assert json.loads(panel)["reference"] == 1
    assert json.loads(first)["parts_at"] == 1 and "parts_at" not in json.loads(second)
    assert json.loads(told(keys[0])[-1]) == {} and "parting" not in json.loads(told(keys[0])[1])


def test_two_records_that_did_not_run_alike_say_what_differs() -> None:
    """Of two models only what is not theirs; a text from a file is not compared by tokens."""
    then = recipe_of(written("a"))
    facts = Facts(dtype="float32", device="cpu", torch="2.8.0", template="abc")
    first = replace(then, facts=facts, commit="1" * 40)
    second = replace(then, facts=replace(facts, torch="2.9.0", template="def"), commit="2" * 40)
    assert facts_that_differ(first, first) == ()
    assert facts_that_differ(first, second) == (
        "commit of the model's files: 111111111111 and 222222222222", "torch: 2.8.0 and 2.9.0")
    elsewhere = replace(second, run=replace(RUN, model=ModelSpec("org/other")))
    assert facts_that_differ(first, elsewhere) == ("torch: 2.8.0 and 2.9.0",)
    feed = TokenFeed.of(written("a"))
    lanes = [RecordLane("one", first, feed), RecordLane("two", elsewhere, feed)]
    assert differences_in_words(lanes) == "They did not run alike: torch: 2.8.0 and 2.9.0."
    assert differences_in_words([lanes[0], RecordLane("two", first)]) == TEXT_ALONE
    assert differences_in_words(lanes[:1]) == differences_in_words([lanes[0]] * 2) == ""


def written(*texts: str, at: int | None = None) -> Trace:
    """A run that is over; its token number ``at`` has an id of its own."""
    trace = Trace(RUN)
    for event in words(*texts):
        own = isinstance(event, Step) and event.position == at
        trace = trace.add(replace(event, id=99) if own else event)  # type: ignore[call-arg]
    return trace
