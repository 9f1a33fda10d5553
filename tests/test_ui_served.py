"""Laws of picking a model on a server: what it lacks is said at once, and is what it refuses."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import KNOBS, PRESETS, Decoding, label_of
from playground.core.offers import Capabilities, Inquiry
from playground.core.prompt import Raw
from playground.core.remote import Remote, repo_of
from playground.core.run import ModelSpec, Run
from playground.core.score import Scored
from playground.engine.engine import Engine
from playground.engine.remote_offers import OPENAI_KNOBS
from playground.errors import InvalidInput, PlaygroundError, RemoteProblem
from playground.settings import Settings
from playground.ui import served
from playground.ui.decoding_form import DEFAULTS
from playground.ui.decoding_panel import ALL_ROWS, decoding_panel, facts, lane_head
from playground.ui.lane_form import CHAT, RAW, LaneForm
from playground.ui.score_feed import scored_lane
from playground.ui.served import Servers, tell_reasons, why_no_run, why_no_score
from playground.ui.token_feed import TokenFeed
from tests.fake_engine import FakeEngine
from tests.remote_stand_in import MODEL, Handler, StandIn, stand_in

PLAIN = Capabilities(
    "some server", 4096, 5, tuple(OPENAI_KNOBS.items()),
    (("scoring", "plain scores nothing."), ("prefill", "plain begins no answer.")),
)
CHATS = replace(PLAIN, missing=(("completion", "chats knows no raw text."),))
HERE = "builtin/tiny-chat"


def there(name: str) -> str:
    """A model on a server."""
    return repo_of(name, MODEL)


FAR = ModelSpec(there("far"))


@pytest.fixture()
def engine() -> FakeEngine:
    made = FakeEngine()
    away = RemoteProblem("gone does not answer.").problem
    made.servers = {
        "plain": [Inquiry(PLAIN)], "chats": [Inquiry(CHATS)], "gone": [Inquiry(problem=away)],
        "slow": [Inquiry(asking=True), Inquiry(asking=True), Inquiry(PLAIN)],
        "later": [Inquiry()],
    }
    return made


def told(engine: Any, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(Servers(engine, ALL_ROWS).told(there(name)))
    return answer


def refusal(offers: Capabilities, decoding: Decoding) -> str:
    """With what a run is refused."""
    try:
        offers.check(Run(ModelSpec(there("plain")), Raw("."), decoding), "plain")
    except InvalidInput as error:
        return error.problem.message
    return ""


# What is grey is what is refused


def test_a_row_is_grey_exactly_where_its_setting_would_be_refused(engine: FakeEngine) -> None:
    """Each setting alone, with whatever gives it an effect; a length and a report are ours."""
    lacks = told(engine, "plain")["lacks"]
    tried = {
        "dry_base": {"dry_multiplier": 1.0}, "xtc_threshold": {"xtc_probability": 0.5},
        "top_p": {"do_sample": True},
    }
    for name in ("top_k", "min_p", "typical_p", "mirostat_tau", "xtc_probability", "top_p",
                 "temperature", "repetition_penalty", "frequency_penalty", "num_beams",
                 "dry_multiplier", "guidance_scale", "max_new_tokens", "no_repeat_ngram_size"):
        knob = KNOBS[name]
        value = 2 if knob.whole else min(knob.high, 0.5)
        more = {"do_sample": name != "num_beams", **tried.get(name, {})}
        why = refusal(PLAIN, Decoding(**{**more, name: value}))
        assert lacks.get(name, "") == why, name
    for name, value in (("dola_layers", "low"), ("banned", ("x",)), ("alone", True),
                        ("use_cache", False), ("stop_strings", ("x",))):
        assert lacks.get(name, "") == refusal(PLAIN, Decoding(**{name: value})), name
    assert lacks["num_beams"] == "plain does not take Beams."
    assert lacks["prefill"] == "plain begins no answer." and "seed" not in lacks
    assert not {"model", "system", "template", "candidates"} & lacks.keys()


def test_a_strategy_is_grey_exactly_where_its_run_would_be_refused(engine: FakeEngine) -> None:
    presets = told(engine, "plain")["presets"]
    assert {name: refusal(PLAIN, one) for name, one in PRESETS.items() if refusal(PLAIN, one)
            } == presets
    assert {"Greedy", "Top-p", "Temperature 0.7"}.isdisjoint(presets) and "Mirostat" in presets


def test_a_setting_is_called_the_same_where_it_is_refused_and_on_its_row() -> None:
    rows = {row["name"]: row["label"] for _, group in facts()["groups"]
            for row in group}
    assert {name: label_of(name) for name in rows if name in DEFAULTS} == {
        name: label for name, label in rows.items() if name in DEFAULTS}


def test_what_is_not_known_yet_greys_nothing_and_is_asked_for_again(engine: FakeEngine) -> None:
    asking, away, later = (told(engine, name) for name in ("slow", "gone", "later"))
    assert asking == {"server": "slow", "said": "Asking slow what it takes …",
                      "wait": served.ASK_AGAIN}
    assert away["problem"] == "gone does not answer." and away["wait"] > asking["wait"]
    assert "first run" in later["said"]
    servers = Servers(engine, ALL_ROWS)  # type: ignore[arg-type]
    assert servers.told(HERE) == "{}"
    assert "problem" in json.loads(servers.told({"no": "text"}))


# What a lane is told


def check(head: gr.HTML, **settings: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(head.decoding_check(settings))
    return answer


def test_a_lane_is_judged_by_its_own_model_and_keeps_what_is_set(engine: FakeEngine) -> None:
    with gr.Blocks():
        head = lane_head(Settings(), "complete", 0, LaneForm(HERE), engine=engine)  # type: ignore[arg-type]
    here = check(head, model=HERE, preset="Mirostat")
    assert "problem" not in here
    far = check(head, model=there("plain"), preset="Mirostat")
    assert far["summary"] == here["summary"] and far["field"] == "mirostat_tau"
    assert far["message"] == "plain does not take Mirostat tau."
    assert far["problem"].startswith(far["message"] + " Set it to neutral;")
    # What has no effect is said to be ignored, and is not refused.
    idle = check(head, model=there("plain"), dry_base=2.0)
    assert idle["ignored"] == ["DRY base"] and "problem" not in idle
    raw = check(head, model=there("chats"), template=RAW)
    assert raw["problem"] == "chats knows no raw text." and raw["field"] == "prompt"
    assert "problem" not in check(head, model=there("chats"), template=CHAT)
    assert check(head, model=there("plain"), template=CHAT, prefill="Well,")["field"] == "prefill"
    assert "problem" not in check(head, model=there("slow"), preset="Mirostat")
    assert told(engine, "chats")["choices"] == {"template": {RAW: "chats knows no raw text."}}


def test_a_column_without_a_prompt_of_its_own_is_judged_by_its_settings(
    engine: FakeEngine
) -> None:
    with gr.Blocks():
        panel = decoding_panel(Settings(), "tokens", "Greedy", 48, engine=engine)  # type: ignore[arg-type]
    assert "problem" not in check(panel, model=there("chats"))
    assert check(panel, model=there("chats"), num_beams=2)["field"] == "num_beams"


# What a tab says under its picker


def judged(engine: Any, why: Any, count: int, *pairs: tuple[str, str]) -> list[Any]:
    with gr.Blocks():
        pickers = [(gr.Dropdown(), gr.Radio()) for _ in pairs]
        remarks = [gr.HTML() for _ in pairs]
        does = tell_reasons(engine, why, pickers, remarks, gr.Button())
    values = [value for pair in pairs for value in pair]
    made: list[Any] = asyncio.run(does["fn"](count, *values))
    return made


def test_a_button_is_grey_where_no_column_in_sight_can_do_it(engine: FakeEngine) -> None:
    pairs = ((there("plain"), RAW), (HERE, RAW))
    one = judged(engine, why_no_score, 1, *pairs)
    assert "plain scores nothing." in one[0] and one[1] == ""
    assert one[2]["interactive"] is False
    assert judged(engine, why_no_score, 2, *pairs)[2]["interactive"] is True
    chat = judged(engine, why_no_score, 1, (there("chats"), CHAT))
    assert "chat template is not told" in chat[0] and chat[1]["interactive"] is False
    assert judged(engine, why_no_score, 1, (there("chats"), RAW))[0] == ""
    assert "knows no raw text" in judged(engine, why_no_run, 1, (there("chats"), RAW))[0]
    assert judged(engine, why_no_run, 1, (there("gone"), RAW))[0] == ""


def test_a_remark_waits_until_the_server_has_answered(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_POLL", 0.001)
    assert "plain scores nothing." in judged(engine, why_no_score, 1, (there("slow"), RAW))[0]


def test_a_scored_token_of_a_server_cannot_be_looked_into() -> None:
    scored = Scored((), (), "", ())
    lane = json.loads(scored_lane("x", "", scored, spec=ModelSpec(there("far"))))
    assert lane["lacks"]["inside"] == "What is inside a model on far stays there."
    assert json.loads(scored_lane("x", "", scored, spec=ModelSpec(HERE)))["lacks"] == {}


def test_a_token_of_a_server_that_nobody_plays_any_more_says_what_it_lacks() -> None:
    """Of a kept run, whose server may be known or not; a run of this machine lacks nothing."""
    kept = json.loads(TokenFeed(Run(FAR, Raw("One"))).flush())["lacks"]
    assert kept["xray"].startswith("far does not give the logits of a step")
    assert "branch" not in kept and "lacks" not in json.loads(
        TokenFeed(Run(ModelSpec(HERE), Raw("One"))).flush())


# How it is found out


def _known(engine: Engine, spec: ModelSpec) -> Inquiry:
    until = time.monotonic() + 20
    while True:
        found = engine.inquire(spec)
        assert found is not None and time.monotonic() < until
        if not found.asking:
            return found
        time.sleep(0.01)


def _engine(server: StandIn, **more: Any) -> Engine:
    engine = Engine(Settings(remotes=(Remote("far", server.url, **more),)))
    engine.remote_models()
    return engine


def test_a_picked_models_server_is_asked_once_and_nothing_is_run() -> None:
    with stand_in() as server:
        engine = _engine(server)
        assert engine.offers(FAR) is None
        found = _known(engine, FAR)
        assert found.offers is not None and found.offers.offers("scoring")
        asked = len(server.seen)
        assert _known(engine, FAR) == found and engine.offers(FAR) == found.offers
        assert len(server.seen) == asked and not server.asked
        assert engine.inquire(ModelSpec(HERE)) is None
        with pytest.raises(PlaygroundError, match="not offered"):
            engine.inquire(ModelSpec(repo_of("far", "another")))
        engine.close()


def test_a_server_that_does_not_answer_is_told_and_not_asked_with_every_look() -> None:
    def refuse(handler: Handler, body: dict[str, Any]) -> bool:
        if body:
            handler.answer({"error": {"message": "no key"}}, 401)
        return bool(body)

    with stand_in() as server:
        server.behave = refuse
        engine = _engine(server)
        found = _known(engine, FAR)
        assert found.offers is None and found.problem is not None
        asked = len(server.seen)
        assert _known(engine, FAR) == found and len(server.seen) == asked
        engine.close()


def test_a_pick_spends_no_visitors_token() -> None:
    with stand_in() as server:
        engine = _engine(server, visitor_token=True, models=(MODEL,))
        asked = len(server.seen)
        assert _known(engine, FAR) == Inquiry() and len(server.seen) == asked
        engine.close()
