"""Laws of the Score tab: its figures are those of core/score.py, refusals stand in place."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import gradio as gr
import pytest

from playground.core.contrast import contrast
from playground.core.events import Candidate, Loading, Piece, Queued, Step
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.score import (
    MEASURES,
    Contender,
    Contest,
    ContestRequest,
    Scored,
    ScoreRequest,
)
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.engine.waiting import Abandoned
from playground.errors import ContextOverflow, InvalidInput, Overloaded
from playground.settings import Settings
from playground.ui.contest import EXAMPLES as CONTESTS
from playground.ui.contest import _opened, read_contest
from playground.ui.lane_form import CHAT, RAW
from playground.ui.score import EXAMPLES, MOST, _fill, _request, build_score
from playground.ui.score_feed import scored_lane
from playground.ui.score_figures import (
    most_surprising,
    ordinal,
    percent,
    running_perplexity,
    shares,
    sheet,
    sheets,
    standings,
    verdict,
    winners,
)
from playground.ui.scoring import Ask, play
from playground.ui.streaming import SessionStreams, Stage
from playground.ui.take_over import answers_of, take
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import read_prompt, read_tokens
from playground.ui.visitor import OWNER
from tests.fake_engine import FakeEngine, words
from tests.one_page import REQUEST
from tests.test_ui_page import handler


def scored(*tokens: tuple[str, float], **more: Any) -> Scored:
    """Tokens with their probabilities; the likeliest candidate is another token, " other"."""
    steps = tuple(
        Step(n, n + 9, text, text, math.log(p) if p else -math.inf, 1 if p >= 0.5 else 3, p, 0.5,
             (Candidate(5, " other", math.log(0.5), 0.5),))
        for n, (text, p) in enumerate(tokens)
    )
    return Scored((Piece(0, "<s>", True), Piece(1, "Once")), steps, **more)


BY_HAND = scored(("a", 0.5), (" fox", 0.25), (" é", 0.5))


class Scorer(FakeEngine):
    """A fake engine that answers each scoring with the next of ``answers``, or raises it."""

    def __init__(self, *answers: Any, news: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.answers, self.news = list(answers), news
        self.asked: list[tuple[ModelSpec, Any, str]] = []
        self.waiting, self.let_on = threading.Event(), threading.Event()

    def score(
        self, spec: ModelSpec, request: Any, visitor: str = "",
        tell: Callable[[Any], None] = lambda _: None, given_up: Callable[[], bool] = lambda: False,
    ) -> Any:
        """The next answer; "wait" waits until it is given up."""
        self.asked.append((spec, request, visitor))
        for one in self.news:
            tell(one)
        answer = self.answers.pop(0)
        if answer == "wait":
            self.waiting.set()
            while not given_up():
                threading.Event().wait(0.01)
            raise Abandoned
        if isinstance(answer, Exception):
            raise answer
        return answer

    contest = score


class Desk:
    """Passes everything on to the engine of the test that runs: the tab takes long to build."""

    engine: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


DESK = Desk()


@cache
def built() -> gr.Blocks:
    with gr.Blocks() as blocks, gr.Tab("Score") as tab:
        build_score(Stage(DESK, SessionStreams()), Settings(), tab)  # type: ignore[arg-type]
    return blocks


def page(engine: Any) -> gr.Blocks:
    DESK.engine = engine
    return built()


def score(engine: Any, **given: Any) -> list[dict[str, Any]]:
    """What the lanes, the sheets and the difference hold after "Score"."""
    run, inputs = handler(page(engine), "score")
    final = list(run(REQUEST, **{**inputs, **given}))[-1]
    assert final[0]["visible"] is True and final[1]["visible"] is False
    return [json.loads(value) if value else {} for value in final[3:]]


def contest(engine: Any, **given: Any) -> list[Any]:
    run, inputs = handler(page(engine), "contest")
    return list(run(REQUEST, **{**inputs, **given}))[-1]


def figure(view: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in view["figures"] if one["name"] == name)


def test_the_figures_are_those_of_the_scoring() -> None:
    """Three tokens of 1/2, 1/4, 1/2: 16 = 2^4 in all, 3 words, 8 bytes; as core/score.py has it."""
    lane, _, _, view, *_ = score(Scorer(BY_HAND), text="a fox é")
    exact = {one["name"]: one["value"] for one in view["figures"]}
    assert exact == {
        "tokens": 3,
        "total": pytest.approx(BY_HAND.total_logprob, rel=1e-9),
        "mean": pytest.approx(BY_HAND.mean_logprob, rel=1e-9),
        "token": pytest.approx(2 ** (4 / 3)),
        "word": pytest.approx(2 ** (4 / 3)),
        "byte": pytest.approx(math.sqrt(2)),
        "bits": pytest.approx(0.5),
    }
    assert figure(view, "total")["shown"] == "\u22122.77"
    assert view["bits"] == [1, 2, 1]
    assert view["running"] == pytest.approx([2, 2**1.5, 2 ** (4 / 3)], rel=1e-3)
    assert (lane["state"], lane["n"], lane["prompt"]) == ("finished", 3, 2)
    assert [row[1] for row in lane["rows"]] == ["a", " fox", " é"]


def test_the_token_view_can_ask_for_what_its_value_leaves_out() -> None:
    made = scored(*[("x", 0.5)] * 450)
    lane = json.loads(scored_lane("A model", "", made))
    assert (lane["n"], len(lane["rows"])) == (450, 200)
    rest = json.loads(read_tokens({"key": lane["key"], "from": 200}))
    assert len(rest["rows"]) == 250
    pieces = json.loads(read_prompt({"key": lane["key"]}))["pieces"]
    assert [text for _, text, _ in pieces] == ["<s>", "Once"]


def test_the_surprises_are_told_in_words() -> None:
    made = scored(("a", 0.9), (" Paris", 0.04), (" é", 0.25), (".", 0.0))
    assert [place for place, _ in most_surprising(made)] == [3, 1, 2], "what was expected is none"
    told = sheet(made)["surprises"][1]
    assert (told["piece"], told["choice"], told["probability"]) == (" Paris", "3rd", "4.0 %")
    assert (told["expected"], told["instead"]) == (" other", "50 %")
    ranks = (1, 2, 3, 4, 11, 12, 13, 21, 112, 1003)
    said = "1st 2nd 3rd 4th 11th 12th 13th 21st 112th 1,003rd"
    assert " ".join(ordinal(rank) for rank in ranks) == said
    assert [percent(p) for p in (1, 0.5, 0.05, 0.001, 1e-9, 0)] == [
        "100 %", "50 %", "5.0 %", "0.10 %", "< 0.01 %", "0 %"]


def test_the_first_choice_of_a_spread_distribution_is_told_as_one() -> None:
    best = Candidate(7, "a", math.log(0.1), 0.1)
    step = Step(0, 7, "a", "a", math.log(0.1), 1, 0.1, 2.0, (best,))
    (told,) = sheet(Scored((), (step,)))["surprises"]
    assert (told["choice"], told["expected"], told["instead"]) == ("1st", None, None)


def test_what_cannot_come_is_written_and_is_json() -> None:
    """Infinity is no JSON; the sign on the screen is."""
    never = scored(("a", 0.0), ("b", 0.5))
    view, *_ = (json.loads(json.dumps(sheet(never), allow_nan=False)),)
    assert figure(view, "total") | {"help": ""} == {
        "name": "total", "label": "total log-prob", "value": None, "shown": "\u2212∞", "help": ""}
    assert figure(view, "token")["shown"] == "∞"
    assert view["running"] == [None, None] and view["bits"] == [None, 1]
    assert running_perplexity(never) == (math.inf, math.inf)


def test_columns_are_compared_token_by_token_and_their_bars_have_one_scale() -> None:
    """1/4 against 1/2 is ln 2 more for the second column, and so is the sum; 8 bits are the top."""
    second = scored(("a", 0.5), (" fox", 0.5), (" é", 0.5))
    engine = Scorer(BY_HAND, second)
    *_, difference = score(engine, text="a fox é", columns=2)
    (found,) = difference if isinstance(difference, list) else [difference]
    assert (found["first"], found["second"]) == (1, 2)
    assert found["total"] == pytest.approx(math.log(2), abs=1e-4)
    assert [pair[3] for pair in found["pairs"]] == pytest.approx([0, math.log(2), 0], abs=1e-3)
    assert found["says"] == (
        "Lane 2 is less surprised, by 0.69 nats: it finds the text about 2 times as likely as "
        "lane 1 does."
    )
    made = sheets([(1, BY_HAND), (2, scored(("a", 2.0**-8)))])
    assert [made[n]["top"] for n in (1, 2)] == [8, 8]


def test_no_number_of_columns_is_one() -> None:
    """An API client may send null, which was a TypeError in the log."""
    lanes = score(Scorer(BY_HAND), text="a fox é", columns=None)[:2]
    assert [lane["state"] for lane in lanes] == ["finished", "new"]


def test_three_columns_are_asked_one_after_another_with_their_own_prompts() -> None:
    """Only one request of a visitor may wait: three at once could be refused."""
    engine = Scorer(BY_HAND, BY_HAND, BY_HAND)
    views = score(
        engine, text="a fox", columns=3, model_1="builtin/tiny-chat", given_2="Once ",
        template_3=CHAT, given_3="Who?",
    )
    assert [spec.repo for spec, _, _ in engine.asked] == [
        "builtin/tiny-chat", "builtin/tiny-chat", "builtin/tiny-base"]
    assert [request for _, request, _ in engine.asked] == [
        ScoreRequest(Raw("a fox")),
        ScoreRequest(Raw("a fox"), Raw("Once ")),
        ScoreRequest(Chat((Message("user", "Who?"), Message("assistant", "a fox")))),
    ]
    assert [lane["sub"] for lane in views[:3]] == [
        "the text alone", "after “Once”", "answer to “Who?” · chat template"]
    assert [one["second"] for one in views[-1]] == [2, 3]
    assert views[-1][0]["says"] == "Lanes 1 and 2 are equally surprised by this text."


@pytest.mark.parametrize(("given", "says"), (
    ({"text": "  \n"}, "The text is empty."),
    ({"text": "a", "template_1": CHAT}, "there is no question to it"),
    ({"text": "a", "control_tokens_1": "no"}, "either on or off"),
    ({"text": "\ud800"}, "half of a character"),
    ({"text": 7}, "must be text"),
    ({"text": "a", "model_1": None}, "model"),
))
def test_a_refusal_stands_in_its_column(given: dict[str, Any], says: str) -> None:
    engine = Scorer()
    lane, *_ = score(engine, **given)
    assert lane["state"] == "failed" and says in lane["problem"]
    assert engine.asked == []


def test_what_happens_to_one_column_leaves_the_others() -> None:
    too_long = ContextOverflow("The text has 900 tokens.", field="text", advice="Shorten it.")
    engine = Scorer(too_long, BY_HAND)
    first, second, _, sheet_1, sheet_2, _, difference = score(engine, text="a fox é", columns=2)
    assert first["problem"] == "The text has 900 tokens. Shorten it."
    assert (second["state"], sheet_1, difference) == ("finished", {}, {})
    assert sheet_2["figures"]


def test_waiting_is_told_for_what_it_is() -> None:
    news = (Queued(2), Loading("downloading", 0.25, "3 of 12 MB"))
    engine = Scorer(BY_HAND, BY_HAND, news=news)
    run, inputs = handler(page(engine), "score")
    updates = list(run(REQUEST, **{**inputs, "text": "a", "columns": 2}))
    told = [json.loads(update[3]) for update in updates]
    said = {(one["say"], one.get("bar"), one["more"]) for one in told}
    assert said <= {
        ("Reading the text", -1, ""), ("Waiting: 2 ahead of you", None, ""),
        ("Downloading 25%", 0.25, "3 of 12 MB"), ("Scored", None, ""),
    }
    assert told[-1]["state"] == "finished"


def test_stop_gives_up_and_says_so() -> None:
    engine = Scorer(BY_HAND, "wait", BY_HAND)
    blocks = page(engine)
    run, inputs = handler(blocks, "score")
    updates = run(REQUEST, **{**inputs, "text": "a fox é", "columns": 3})
    stop = next(f for f in blocks.fns.values() if f.targets and f.fn is not None
                and f.targets[0][0] == _button(blocks, "score-stop"))
    final: list[Any] = []
    for update in updates:
        final = update
        if engine.waiting.is_set():
            stop.fn(REQUEST)
    lanes = [json.loads(value) for value in final[3:6]]
    assert [lane["say"] for lane in lanes] == ["Scored", "Stopped", "Stopped"]
    assert len(engine.asked) == 2, "what had not begun never begins"
    assert final[6] and not final[7]


def _button(blocks: gr.Blocks, elem_id: str) -> int:
    return next(n for n, b in blocks.blocks.items() if getattr(b, "elem_id", "") == elem_id)


def test_who_waits_for_a_text_gives_the_servers_thread_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until there was news the handler held one of the forty threads that serve everybody, and as
    many visitors in a queue held all of them."""
    monkeypatch.setattr("playground.ui.scoring.POLL_SECONDS", 0.01)
    stage = Stage(Scorer("wait"), SessionStreams())  # type: ignore[arg-type]
    updates = play(stage, "score", REQUEST, [Ask(ModelSpec("m"), ScoreRequest(Raw("a")))])
    rescue = threading.Timer(5.0, lambda: stage.streams.close(str(REQUEST.session_hash)))
    rescue.start()
    known = [next(updates) for _ in range(5)]
    rescue.cancel()
    assert known[-2:] == [("reading",)] * 2
    updates.close()


def test_a_closed_page_gives_up_what_it_asked_for() -> None:
    engine = Scorer("wait")
    run, inputs = handler(page(engine), "score")
    updates = run(REQUEST, **{**inputs, "text": "a"})
    next(updates)
    assert engine.waiting.wait(5)
    updates.close()
    threads = [thread for thread in threading.enumerate() if thread.name == "scoring"]
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(("api", "text"), [("score", "text"), ("contest", "prompt")])
def test_another_text_ends_the_one_that_is_still_read(
    api: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio dropped the press of an example while its last one had not ended; and of two others
    the former's last update showed its text, and Score for Stop, over the later one's."""
    monkeypatch.setattr("playground.ui.turns.HAND_OVER_SECONDS", 0.0)
    engine = Scorer("wait", InvalidInput("Too long."))
    run, inputs = handler(page(engine), api)
    form = {**inputs, "continuations": " Paris\n Rome"} if api == "contest" else inputs
    former = run(REQUEST, **{**form, text: "a"})
    next(former)
    assert engine.waiting.wait(5)
    *_, later = run(REQUEST, **{**form, text: "b"})
    assert later[0]["visible"] is True and "Too long." in str(later)
    assert [update for update in former if update != [gr.skip()] * len(later)] == []


def test_a_full_engine_is_a_sentence() -> None:
    full = Overloaded("Too many runs are waiting already: 9.", advice="Try again in a minute.")
    lane, *_ = score(Scorer(full), text="a")
    assert lane["problem"] == "Too many runs are waiting already: 9. Try again in a minute."


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_leaves_nobody_waiting() -> None:
    lanes = score(Scorer(ZeroDivisionError(), BY_HAND), text="a", columns=2)[:2]
    assert all("could not be read" in lane["problem"] for lane in lanes)


def contender(text: str, neutral: float, *tokens: tuple[str, float]) -> Contender:
    return Contender(text, scored(*tokens), math.log(neutral))


# Sums 1/4 and 1/8 beside 1/2; per token 1/2, 1/8 and 1/2; PMI: 4 times, 8 times and half as likely.
RACE = Contest(
    (
        contender(" a b", 1 / 16, (" a", 0.5), (" b", 0.5)),
        contender(" sea", 1 / 64, (" sea", 0.125)),
        contender(" a", 1, (" a", 0.5)),
    ),
    (Piece(0, "<|endoftext|>", True),),
)


def test_a_contest_is_ranked_by_every_rule_by_hand() -> None:
    made = standings(RACE)
    rows = {row["text"]: row for row in made["rows"]}
    assert {rule for rule, _, _ in made["rules"]} == set(MEASURES)
    assert rows[" a b"]["ranks"] == {"total": 2, "token": 1, "byte": 1, "pmi": 2}
    assert rows[" sea"]["ranks"] == {"total": 3, "token": 3, "byte": 3, "pmi": 1}
    assert rows[" a"]["ranks"] == {"total": 1, "token": 1, "byte": 1, "pmi": 3}
    for text, contender in zip(rows, RACE.contenders, strict=True):
        for rule in MEASURES:
            assert rows[text]["scores"][rule] == pytest.approx(contender.score(rule), rel=1e-9)
    assert shares(RACE) == pytest.approx((2 / 7, 1 / 7, 4 / 7))
    assert sum(row["share"] for row in made["rows"]) == pytest.approx(1, abs=1e-5)
    assert (made["neutral"], made["by_itself"]) == (["<|endoftext|>"], True)


def test_the_winners_are_told_in_a_sentence() -> None:
    one = Contest(RACE.contenders[:2], RACE.neutral)
    assert winners(one) == (
        "The rules disagree: “a b” by sum, mean of a token and mean of a byte; “sea” by PMI."
    )
    alone = Contest((contender(" a", 0.25, (" a", 0.5)), contender(" b", 0.25, (" b", 0.1))), ())
    assert winners(alone) == "“a” wins by every rule."


def test_shares_of_what_cannot_come_are_none() -> None:
    never = contender(" a", 0.5, (" a", 0.0))
    assert shares(Contest((never, never), ())) == (0, 0)
    assert shares(Contest((never, contender(" b", 0.5, (" b", 0.5))), ())) == (0, 1)


def test_a_contest_shows_its_winner_and_opens_any_row() -> None:
    engine = Scorer(RACE)
    final = contest(engine, prompt="Once", continuations="a b\nsea\n\na")
    ((_, request, visitor),) = engine.asked
    assert request == ContestRequest(Raw("Once"), (" a b", " sea", " a"))
    assert visitor == Visitor(OWNER)
    assert json.loads(final[3])["rows"][2]["ranks"]["total"] == 1
    assert json.loads(final[4])["title"] == "a", "the tokens of the winner stand open"
    lanes = final[5]
    assert json.loads(_opened(lanes, _event({"place": 1})))["title"] == "sea"
    for wrong in (None, [], {"place": 3}, {"place": -1}, {"place": "1"}, {}):
        assert "__type__" in _opened(lanes, _event(wrong)), wrong


def _event(data: Any) -> gr.EventData:
    return gr.EventData(None, data)


@pytest.mark.parametrize(("given", "says"), (
    ({"continuations": "Paris"}, "from 2 to 20 continuations; 1 were given"),
    ({"continuations": "\n".join(map(str, range(21)))}, "from 2 to 20 continuations; 21"),
    ({"continuations": ""}, "from 2 to 20 continuations; 0"),
    ({"continuations": "a\na"}, "there twice"),
    ({"prompt": ""}, "The prompt is empty."),
    ({"prompt": "", "template": CHAT}, "The message is empty."),
    ({"spaced": "no"}, "either on or off"),
    ({"neutral": 7}, "must be text"),
))
def test_a_contest_that_cannot_be_is_a_sentence_in_place(given: dict[str, Any], says: str) -> None:
    engine = Scorer()
    final = contest(engine, **{"prompt": "Once", "continuations": "a\nb", **given})
    assert says in final[2]
    assert engine.asked == [] and final[3] == ""


def test_a_contest_that_was_stopped_or_failed_says_so() -> None:
    too_long = ContextOverflow("The text has 900 tokens.", field="text")
    assert "900 tokens" in contest(Scorer(too_long), prompt="Once", continuations="a\nb")[2]
    assert "Stopped" in contest(Scorer(Abandoned()), prompt="Once", continuations="a\nb")[2]


def test_a_space_is_put_where_a_word_needs_one() -> None:
    def read(prompt: str, texts: str, template: str = RAW, spaced: bool = True) -> tuple[str, ...]:
        return read_contest(prompt, texts, template, False, spaced, "").continuations

    assert read("Once", "a\n b") == (" a", " b")
    assert read("Once ", "a\nb") == ("a", "b"), "the prompt has it already"
    assert read("Once", "a\nb", spaced=False) == ("a", "b")
    assert read("Who?", "a\nb", template=CHAT) == ("a", "b"), "an answer begins a line"


def test_the_examples_are_contests_and_texts_that_can_be_asked() -> None:
    for one in CONTESTS:
        made = read_contest(
            one.prompt, "\n".join(one.continuations), one.template, False, True, one.neutral)
        assert len(made.continuations) == len(one.continuations)
    assert len(EXAMPLES) == len(CONTESTS) == 3
    for example in EXAMPLES:
        text, count, *rest = _fill(Settings(), example)
        assert (text, count) == (example.text, len(example.columns))
        forms = [rest[MOST + 4 * n : MOST + 4 * n + 4] for n in range(count)]
        for model, template, control_tokens, given in forms:
            assert model in Settings().models
            _request(text, template, control_tokens, given)


def shown(prompt: Prompt, *texts: str) -> tuple[SessionStreams, TokenFeed]:
    """A page whose Tokens tab shows an answer."""
    streams = SessionStreams()
    trace = Trace(Run(ModelSpec("builtin/tiny-chat"), prompt))
    for event in words(*texts):
        trace = trace.add(event)
    feed = TokenFeed.of(trace)
    streams.show("a-page", "tokens", [feed.key])
    return streams, feed


def answers(streams: SessionStreams, session: str = "a-page") -> Any:
    stage = Stage(FakeEngine(), streams)  # type: ignore[arg-type]
    return answers_of(stage)(type(REQUEST)(session_hash=session))  # type: ignore[arg-type]


def test_an_answer_of_another_tab_is_taken_over_with_its_prompt() -> None:
    streams, feed = shown(Raw("Once"), " upon", " a")
    first, (label, key) = answers(streams)["choices"]
    assert first[1] == answers(streams)["value"] == "", "nothing is chosen before somebody does"
    assert label == "Tokens · tiny-chat: upon a" and key == feed.key
    assert take(key) == [" upon a", "builtin/tiny-chat", RAW, False, "Once"]
    assert answers(streams)["visible"] is True
    other = answers(streams, "b-page")
    assert (other["choices"], other["visible"]) == ([first], False), "another page sees none of it"


def test_a_question_is_taken_over_as_one_and_a_longer_chat_as_its_exact_text() -> None:
    user = Message("user", "Who?")
    _, feed = shown(Chat((user,)), "Me")
    assert take(feed.key) == ["Me", "builtin/tiny-chat", CHAT, False, "Who?"]
    _, feed = shown(Chat((Message("system", "Be brief."), user)), "Me")
    assert take(feed.key)[2:] == [RAW, True, "<|im_start|>hi"]


def test_a_branch_is_taken_over_with_what_stood_before_it() -> None:
    """Its trace holds only the rest; and where the beginning is not kept, nothing is offered."""
    started, *steps, done = words(" Lyon", ".")
    run = Run(ModelSpec("builtin/tiny-chat"), Raw("Once"), fork=Fork((3,)))
    stood = words(" in")[1]
    assert isinstance(stood, Step)
    for known, text in (((stood,), " in Lyon."), ((), None)):
        feed = TokenFeed(run, stood=known)
        for event in (started, *steps, done):
            feed.add(event)
        taken = take(feed.key)[0]
        assert taken == text if text else "__type__" in taken


@pytest.mark.parametrize("key", (None, "", 7, [], "no such key"))
def test_taking_over_nothing_changes_nothing(key: Any) -> None:
    assert all("__type__" in one for one in take(key))


def test_a_closed_page_is_forgotten() -> None:
    streams, _ = shown(Raw("Once"), " upon")
    streams.close("a-page")
    assert streams.shown("a-page") == []


def test_a_verdict_of_the_impossible() -> None:
    never, once = scored(("a", 0.0)), scored(("a", 0.5))
    assert verdict(1, 2, contrast(never, once)) == "Only lane 2 finds this text possible."
    assert verdict(1, 3, contrast(never, never)).startswith("Neither lane 1 nor lane 3")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Settings())
    yield made
    made.close()


def test_the_tab_shows_the_numbers_of_the_real_model(engine: Engine) -> None:
    spec = ModelSpec("builtin/tiny-base")
    exact = engine.score(spec, ScoreRequest(Raw(" Paris."), Raw("The capital of France is")))
    lane, _, _, view, *_ = score(
        engine, text=" Paris.", given_1="The capital of France is"
    )
    assert figure(view, "total")["value"] == pytest.approx(exact.total_logprob, rel=1e-9)
    assert figure(view, "bits")["value"] == pytest.approx(exact.bits_per_byte, rel=1e-9)
    assert [row[4] for row in lane["rows"]] == [step.rank for step in exact.steps]
    race = ContestRequest(Raw("The capital of France is"), (" Paris", " London"))
    ranked = engine.contest(spec, race)
    rows = json.loads(contest(
        engine, prompt="The capital of France is", continuations="Paris\nLondon"
    )[3])["rows"]
    for row, one in zip(rows, ranked.contenders, strict=True):
        for rule in MEASURES:
            assert row["scores"][rule] == pytest.approx(one.score(rule), rel=1e-9)
