"""Laws of the page as it is built: its events, its panels, and its handlers over a fake engine."""

from __future__ import annotations

import gzip
import inspect
import json
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from playground.core.decoding import PRESETS
from playground.core.events import Failed, Finished, Step
from playground.core.prompt import Message
from playground.core.run import ModelSpec
from playground.errors import Problem
from playground.settings import Settings
from playground.ui.chats import Chats
from playground.ui.lane_form import read_lane
from playground.ui.page import launch_options
from playground.ui.strategies import LANES as STRATEGIES
from playground.ui.streaming import SessionStreams
from playground.ui.token_stream import idle
from playground.ui.transcript import Transcript
from tests.fake_engine import FakeEngine, FakeStream, words
from tests.one_page import REQUEST, page

# The updates of the Chat tab: run, stop, notice, chats, message, eight chats, eight lanes, and
# where they part.
CHATS, MESSAGE, FIRST, LANE, ALL = 3, 4, 5, 13, 21


def lane(**settings: Any) -> str:
    """A lane's settings as a page sends them."""
    return json.dumps({"model": "builtin/tiny-chat", "template": "Chat template", **settings})


def handler(blocks: gr.Blocks, name: str) -> tuple[Any, dict[str, Any]]:
    """The function behind a named event, and the values that its inputs start with, by name."""
    event = next(f for f in blocks.fns.values() if f.api_name == name)
    values = [getattr(component, "value", None) for component in event.inputs]
    return event.fn, dict(zip(event.input_parameter_names, values, strict=True))


def first_chat(blocks: gr.Blocks) -> gr.Chatbot:
    return next(part for part in blocks.blocks.values() if isinstance(part, gr.Chatbot))


def chats_of(blocks: gr.Blocks) -> list[gr.Chatbot]:
    return [part for part in blocks.blocks.values() if isinstance(part, gr.Chatbot)]


def changed(update: list[Any]) -> list[int]:
    """The outputs of the Chat tab with one lane that an update changes. What is out of sight is
    told that it is empty, which it is."""
    away = [*range(FIRST + 1, LANE), *range(LANE + 1, ALL)]
    assert len(update) == ALL + 1 and all(update[n] in ([], idle()) for n in away)
    return [n for n, value in enumerate(update) if n not in away and value != gr.skip()]


def pressed(blocks: gr.Blocks, event: str) -> Any:
    """The event of a button of the chat's own."""
    return next(f for f in blocks.fns.values() if any(name == event for _, name in f.targets))


def buttons(blocks: gr.Blocks, label: str) -> list[Any]:
    """The events of the buttons with a label, in the order of their tabs."""
    ids = [one._id for one in blocks.blocks.values()
           if isinstance(one, gr.Button) and one.value == label]
    return [next(f for f in blocks.fns.values() if (id, "click") in f.targets) for id in ids]


def test_every_wide_event_shows_progress_in_one_place() -> None:
    """Gradio tells every component that ever was an output of each later update: 200 of them cost
    a quarter of a second for each token. ``show_progress_on`` ends that."""
    wide = [f for f in page(FakeEngine()).fns.values() if len(f.outputs) > 3 and f.fn is not None]
    assert wide
    assert [f.api_name for f in wide if not f.show_progress_on] == []


def test_what_is_pressed_is_heard_while_a_handler_has_not_ended() -> None:
    """Gradio drops a press of the same button until its last event has ended, which is a moment
    after its last word: "Pinned." was read and Unpin pressed, and nothing came of it."""
    writers = [f for f in page(FakeEngine()).fns.values() if inspect.isgeneratorfunction(f.fn)]
    assert len(writers) > 10
    assert [f.fn.__name__ for f in writers if f.trigger_mode == "once"] == []


def test_no_event_can_be_called_past_the_queue() -> None:
    """Without this ``/run/<name>`` skips the queue and its limits."""
    assert page(FakeEngine()).api_open is False


def test_launching_switches_off_what_nobody_needs() -> None:
    options = launch_options(Settings())
    assert options["server_name"] == "127.0.0.1"
    assert not (options["run_history"] or options["enable_monitoring"] or options["show_error"])
    assert options["allowed_paths"] == []
    assert options["max_file_size"] == "1mb"


def test_an_answer_streams_into_the_chat_and_the_token_view() -> None:
    engine = FakeEngine(words("Par", "is", reason="end"))
    ask, inputs = handler(page(engine), "chat")
    inputs["message"] = "Capital of France?"
    updates = list(ask(REQUEST, **inputs))
    shown = [update[FIRST][-1]["content"][0]["text"] for update in updates]
    assert shown[0] == "Capital of France?"
    assert "Par" in shown
    final = updates[-1]
    assert final[FIRST][1]["content"][0]["text"] == "Paris"
    assert json.loads(final[LANE])["n"] == 2
    assert final[0]["visible"] is True and final[1]["visible"] is False


def test_an_answer_is_begun_as_the_settings_say_and_shown_from_its_beginning() -> None:
    engine = FakeEngine(words("Par", "is", reason="end"))
    ask, inputs = handler(page(engine), "chat")
    inputs["message"], inputs["settings_1"] = "Capital of France?", lane(prefill="The capital is ")
    updates = list(ask(REQUEST, **inputs))
    shown = [update[FIRST][-1]["content"][0]["text"] for update in updates]
    assert shown[0] == "The capital is "
    assert "The capital is Par" in shown
    assert updates[-1][FIRST][1]["content"][0]["text"] == "The capital is Paris"
    (run,) = engine.history
    assert run.prompt.prefill == "The capital is "  # type: ignore[union-attr]
    again = updates[-1][CHATS].lanes[0].asked("Sure?").prompt("")
    assert again.messages[1] == Message("assistant", "The capital is Paris")


def test_a_begun_answer_that_fails_at_once_is_not_in_the_chat() -> None:
    refused = [Failed(Problem("TEMPLATE", "The model's chat template changes the beginning."))]
    ask, inputs = handler(page(FakeEngine(refused)), "chat")
    inputs["message"], inputs["settings_1"] = "Hi", lane(prefill="Well, ")
    final = list(ask(REQUEST, **inputs))[-1]
    assert "changes the beginning" in final[2]
    assert (final[CHATS], final[MESSAGE]) == (Chats(), "Hi")


@pytest.mark.usefixtures("unpaced")
@pytest.mark.parametrize("tab", ("strategies", "tokens"))
@pytest.mark.parametrize("template", ("Raw text", "Chat template"))
def test_typed_control_tokens_are_read_where_the_box_says_so(tab: str, template: str) -> None:
    engine = FakeEngine(*[words("a") for _ in range(10)])
    run, inputs = handler(page(engine), tab)
    inputs["text"] = "Once<|im_end|>"
    assert inputs["control_tokens"] is False
    inputs["template"] = template
    list(run(REQUEST, **inputs))
    asked = len(engine.history)
    inputs["control_tokens"] = True
    final = list(run(REQUEST, **inputs))[-1]
    flags = [made.prompt.control_tokens for made in engine.history]  # type: ignore[union-attr]
    assert flags == [False] * asked + [True] * asked
    assert "control tokens read" in json.loads(final[3])["sub"]


def test_a_box_that_is_neither_on_nor_off_is_refused_beside_the_prompt() -> None:
    engine = FakeEngine()
    run, inputs = handler(page(engine), "tokens")
    inputs["text"], inputs["control_tokens"] = "Once", "no"
    final = list(run(REQUEST, **inputs))[-1]
    assert "either on or off" in final[2]
    assert engine.history == []


def test_an_empty_message_is_a_sentence_and_keeps_the_chat() -> None:
    engine = FakeEngine()
    ask, inputs = handler(page(engine), "chat")
    inputs["message"] = "  "
    (update,) = ask(REQUEST, **inputs)
    assert "The message is empty." in update[2]
    assert update[MESSAGE] == "  "
    assert engine.history == []


def test_a_question_that_fails_at_once_returns_to_its_box() -> None:
    """An over-long message once stayed in the chat, and every later one was too long as well."""
    too_long = [Failed(Problem("CONTEXT_OVERFLOW", "The prompt has 3,040 tokens."))]
    ask, inputs = handler(page(FakeEngine(too_long)), "chat")
    inputs["message"] = "word " * 3000
    final = list(ask(REQUEST, **inputs))[-1]
    assert "3,040 tokens" in final[2]
    assert (final[CHATS], final[MESSAGE]) == (Chats(), inputs["message"])


def test_what_is_typed_while_an_answer_streams_stays() -> None:
    ask, inputs = handler(page(FakeEngine(words("a", "b"))), "chat")
    inputs["message"] = "Hi"
    first, *later = [update[MESSAGE] for update in ask(REQUEST, **inputs)]
    assert first == ""
    assert all("value" not in box for box in later)


def test_what_is_pressed_last_wins_over_an_answer_that_is_still_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Clear in the moment in which a handler had not ended yet was undone by its last update."""
    monkeypatch.setattr("playground.ui.turns.HAND_OVER_SECONDS", 0.0)
    engine = FakeEngine(words("a", "b", "c"))
    blocks = page(engine)
    ask, inputs = handler(blocks, "chat")
    answer = ask(REQUEST, **{**inputs, "message": "Hi"})
    for _ in range(3):
        next(answer)
    (cleared,) = pressed(blocks, "clear").fn(REQUEST, 1)
    assert engine.streams[0].stopped == 1
    assert (cleared[CHATS], cleared[FIRST]) == (Chats(), [])
    assert cleared[0]["visible"] is True and cleared[1]["visible"] is False
    (last,) = answer
    assert changed(last) == [], "Gradio says it twice, and it changes nothing"


def test_a_later_handler_waits_until_the_former_has_said_its_last_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("playground.ui.turns.HAND_OVER_SECONDS", 60.0)
    engine = FakeEngine(words("a", "b", "c"))
    blocks = page(engine)
    ask, inputs = handler(blocks, "chat")
    answer = ask(REQUEST, **{**inputs, "message": "Hi"})
    before = next(answer)[CHATS]
    next(answer)
    next(answer)  # by now there is a stream
    said: list[Chats] = []
    here = gr.EventData(first_chat(blocks), None)
    other = threading.Thread(
        target=lambda: said.extend(
            update[CHATS] for update in pressed(blocks, "undo").fn(REQUEST, here, before, 1)
        )
    )
    other.start()
    while not engine.streams[0].stopped:
        other.join(0.01)
    assert changed(next(answer)) == []
    assert said == []
    assert list(answer) == []
    other.join(60)
    assert said == [Chats()]


def test_a_message_is_refused_while_an_answer_is_written_and_heard_as_soon_as_it_is_whole() -> None:
    """Gradio drops an event while its last one runs, also in the moment after the last token."""
    blocks = page(FakeEngine(words("a", "b"), words("c")))
    ask, inputs = handler(blocks, "chat")
    answer = ask(REQUEST, **{**inputs, "message": "Hi"})
    next(answer)
    (refused,) = ask(REQUEST, **{**inputs, "message": "And?"})
    assert "still being written" in refused[2]
    assert changed(refused) == [2, FIRST], "the sentence, and the chat as it is"
    for update in answer:
        if json.loads(update[LANE])["state"] == "finished":
            assert update[0]["visible"] is True, "the end is told together with the button"
            break
    # The former handler has not ended: it stands behind its last update.
    again = ask(REQUEST, **{**inputs, "message": "And?", "chats": update[CHATS]})
    other = threading.Thread(target=lambda: list(answer))
    other.start()
    *_, final = again
    other.join(10)
    assert [turn.text for turn in final[CHATS].lanes[0].turns] == ["Hi", "ab", "And?", "c"]


def test_a_wrong_column_says_why_and_the_others_run() -> None:
    engine = FakeEngine(words("a", "b"))
    run, inputs = handler(page(engine), "complete")
    inputs["prompt_1"], inputs["prompt_2"] = "", "Once"
    final = list(run(REQUEST, **inputs))[-1]
    first, second = json.loads(final[3]), json.loads(final[4])
    assert first["state"] == "failed" and "The prompt is empty." in first["problem"]
    assert second["state"] == "finished" and second["n"] == 2
    assert len(engine.history) == 1


@pytest.mark.usefixtures("unpaced")
def test_strategies_play_side_by_side() -> None:
    engine = FakeEngine(*[words(str(n)) for n in range(5)])
    run, inputs = handler(page(engine), "strategies")
    inputs["text"] = "Once"
    final = list(run(REQUEST, **inputs))[-1]
    titles = [json.loads(lane)["title"] for lane in final[3:8]]
    assert titles == ["Greedy", "Beam search", "Top-k", "Top-p", "Temperature 0.7"]
    assert len({(r.decoding.name, r.decoding.temperature) for r in engine.history}) == 5


@pytest.mark.usefixtures("unpaced")
def test_a_column_is_decoded_as_its_settings_say_and_tells_what_was_in_vain() -> None:
    engine = FakeEngine(*[words("a") for _ in range(5)])
    run, inputs = handler(page(engine), "strategies")
    inputs |= {
        "text": "Once", "settings_1": '{"preset": "DoLa", "temperature": 0.5}', "settings_2": "{}",
        "settings_3": '{"draft_tokens": 3, "draft": "builtin/tiny-chat"}',
    }
    final = [json.loads(lane) for lane in list(run(REQUEST, **inputs))[-1][3:6]]
    assert engine.history[0].decoding.dola_layers == PRESETS["DoLa"].dola_layers
    assert final[0]["title"] == "DoLa, changed"
    assert final[0]["sub"].endswith("ignored: Temperature")
    assert (final[1]["title"], final[1]["sub"]) == ("Greedy", "greedy")
    assert engine.history[2].draft == ModelSpec("builtin/tiny-chat")
    assert "draft tiny-chat" in final[2]["sub"]


@pytest.mark.usefixtures("unpaced")
def test_settings_that_are_wrong_stay_in_their_column() -> None:
    engine = FakeEngine(*[words("a") for _ in range(4)])
    run, inputs = handler(page(engine), "strategies")
    inputs |= {"text": "Once", "settings_2": '{"preset": "Top-k", "bias": "dragon"}'}
    final = [json.loads(lane) for lane in list(run(REQUEST, **inputs))[-1][3:8]]
    assert [lane["state"] for lane in final] == ["finished", "failed", *["finished"] * 3]
    assert final[1]["title"] == "Top-k"
    assert final[1]["problem"].startswith("Bias, line 1: “dragon”")


def test_as_many_columns_run_as_are_asked_for() -> None:
    engine = FakeEngine(*[words("a") for _ in range(3)])
    run, inputs = handler(page(engine), "complete")
    list(run(REQUEST, **{**inputs, "text": "Once", "columns": 3}))
    assert len(engine.history) == 3


@pytest.mark.parametrize("sent", [None, [], [[]], {}, "x", [{}], 10**30, -1, True, 1.0])
def test_an_edit_or_an_example_that_is_none_changes_no_chat(sent: Any) -> None:
    engine = FakeEngine()
    blocks = page(engine)
    event = SimpleNamespace(index=sent, value=sent, target=first_chat(blocks))
    for name in ("edit", "example_select"):
        does = pressed(blocks, name)
        list(does.fn(REQUEST, event, *(getattr(part, "value", None) for part in does.inputs)))
    assert engine.history == []


@pytest.mark.parametrize("first", ["{", '{"preset": "none"}', '{"model": 5}', None, 5])
def test_the_lens_over_settings_that_are_none_says_so_and_leaves_the_lanes(first: Any) -> None:
    blocks = page(FakeEngine())
    (look,) = buttons(blocks, "Base and chat lens")
    values = [getattr(part, "value", None) for part in look.inputs]
    values[2] = first
    told = look.fn(*values)
    assert len(told) == len(look.outputs) and 'class="sentence problem"' in told[-1]
    heads, begin = values[2:], 1 + (len(values) - 2)  # a text, and a prompt for each lane
    assert told[begin : begin + len(heads)] == heads


def test_the_lens_fills_four_lanes_from_one_text() -> None:
    blocks = page(FakeEngine())
    (look,) = buttons(blocks, "Base and chat lens")
    values = [getattr(part, "value", None) for part in look.inputs]
    values[0], values[2] = "Hi", json.dumps({"model": "builtin/tiny-base", "preset": "Top-p"})
    names = [getattr(part, "label", None) or n for n, part in enumerate(look.outputs)]
    made = dict(zip(names, look.fn(*values), strict=True))
    lanes = [read_lane(made[f"Settings {n}"]) for n in range(1, 5)]
    assert [(one.model, one.template, one.system) for one in lanes] == [
        ("builtin/tiny-chat", "Raw text", ""),
        ("builtin/tiny-chat", "Chat template", ""),
        ("builtin/tiny-chat", "Chat template", "Answer in one sentence."),
        ("builtin/tiny-base", "Raw text", ""),
    ]
    assert {one.decoding.preset for one in lanes} == {"Top-p"}
    assert {one.decoding.fresh_seed for one in lanes} == {False}, "all throw the same dice"
    assert (made["Columns"], made["Text for every lane"]) == (4, "Hi")


def test_a_lane_that_is_added_is_set_as_the_last_one_is() -> None:
    blocks = page(FakeEngine())
    chat, complete, *_ = buttons(blocks, "Add lane")
    own = [lane(system=str(n)) for n in range(8)]
    asked = Chats().put({0: Transcript().asked("Hi")})
    made = chat.fn(asked, 1, *own)
    assert made[0] == 2
    assert made[17:25] == [own[0], own[0], *own[2:]]
    assert made[25].lanes[:3] == (asked.lanes[0], asked.lanes[0], Transcript())
    full = complete.fn(8, *own, *"abcdefgh")
    assert (full[0], full[9:17], full[17:]) == (8, own, list("abcdefgh"))
    assert complete.fn(2, *own, *"abcdefgh")[17:] == list("abbdefgh")


def test_one_message_goes_to_every_lane_and_each_answers_as_it_is_set() -> None:
    engine = FakeEngine(words("a"), words("b"), words("c"))
    ask, inputs = handler(page(engine), "chat")
    inputs |= {"message": "Hi", "lanes": 3, "settings_1": lane(system="Be brief."),
               "settings_2": lane(preset="Top-p", seed=7, fresh_seed=False),
               "settings_3": lane(model="builtin/tiny-base")}
    final = list(ask(REQUEST, **inputs))[-1]
    assert [run.model.repo for run in engine.history] == [
        "builtin/tiny-chat", "builtin/tiny-chat", "builtin/tiny-base"]
    assert [len(run.prompt.messages) for run in engine.history] == [2, 1, 1]  # type: ignore[union-attr]
    assert (engine.history[1].seed, engine.history[1].decoding.top_p) == (7, PRESETS["Top-p"].top_p)
    answers = [chat.turns[-1].text for chat in final[CHATS].lanes[:3]]
    assert answers == ["a", "b", "c"]
    assert [said[1]["content"][0]["text"] for said in final[FIRST : FIRST + 3]] == answers
    assert final[FIRST + 3 : LANE] == [[]] * 5


def other(script: list[Any], place: int) -> list[Any]:
    """A script whose token number ``place`` has an id of its own."""
    return [replace(event, id=99) if isinstance(event, Step) and event.position == place else event
            for event in script]


def test_two_chats_say_where_they_part_and_keep_saying_it_when_one_is_asked_again() -> None:
    """What both wrote is shared; an answer that is tried again is compared with the one beside it,
    which stays as it was, and both can still be voted on."""
    blocks = page(FakeEngine(words("a", "b"), other(words("a", "c"), 1), other(words("x", "d"), 0)))
    ask, inputs = handler(blocks, "chat")
    told = list(ask(REQUEST, **{**inputs, "message": "Hi", "lanes": 2}))
    final, writing = told[-1], json.loads(told[1][ALL])
    assert writing["running"] and not json.loads(final[ALL])["running"]
    assert json.loads(final[LANE + 1])["parting"]["shared"] == 1
    assert json.loads(final[LANE + 1])["parts_at"] == 1
    assert json.loads(final[ALL])["lanes"][1]["at"] == 1

    event = SimpleNamespace(target=chats_of(blocks)[1])
    states = [final[CHATS], 2, *(inputs[f"settings_{n}"] for n in range(1, 9))]
    again = list(pressed(blocks, "retry").fn(REQUEST, event, *states))[-1]
    parting = json.loads(again[ALL])
    assert [one["at"] for one in parting["lanes"]] == [None, 0]
    assert json.loads(again[LANE])["key"] == json.loads(final[LANE])["key"]
    way = next(one for one in blocks.blocks.values()
               if getattr(one, "elem_id", None) == "chat-vote-blind")
    vote = next(f.fn for f in blocks.fns.values() if (way._id, "click") in f.targets
                and len(f.outputs) == 1 and getattr(f.outputs[0], "elem_id", "") == "blind-board")
    ballot = json.loads(vote(REQUEST))
    assert {ballot["left"], ballot["right"]} == {"ab", "xd"}

    fewer, *_ = buttons(blocks, "Remove lane")
    *_, lane_one, panel = fewer.fn(2, REQUEST)
    assert "parting" not in json.loads(lane_one) and json.loads(panel) == {}


def test_a_chat_alone_is_compared_with_nothing_and_cleared_ones_no_more() -> None:
    blocks = page(FakeEngine(words("a"), words("b"), words("c")))
    ask, inputs = handler(blocks, "chat")
    alone = list(ask(REQUEST, **{**inputs, "message": "Hi"}))[-1]
    assert len(json.loads(alone[ALL])["lanes"]) == 1 and "parting" not in json.loads(alone[LANE])
    list(ask(REQUEST, **{**inputs, "message": "Hi", "lanes": 2}))
    cleared = list(pressed(blocks, "clear").fn(REQUEST, 2))[-1]
    assert json.loads(cleared[ALL]) == {}


def test_a_lane_that_fails_says_so_and_keeps_its_chat_while_the_others_answer() -> None:
    no_template = [Failed(Problem("TEMPLATE", "This model has no chat template."))]
    engine = FakeEngine(words("a"), no_template)
    ask, inputs = handler(page(engine), "chat")
    final = list(ask(REQUEST, **{**inputs, "message": "Hi", "lanes": 2}))[-1]
    assert [len(chat.turns) for chat in final[CHATS].lanes[:2]] == [2, 0]
    assert "no chat template" in final[FIRST + 1][-1]["content"][0]["text"]
    assert final[2] == "" and final[MESSAGE] == gr.skip()


def test_lanes_whose_models_take_turns_say_so_before_they_start() -> None:
    engine = FakeEngine(words("a"), words("b"), words("c"))
    one, two = ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base")
    engine.rounds = (((one, (0, 2)),), ((two, (1,)),))
    run, inputs = handler(page(engine), "complete")
    models = [lane(model=spec.repo, template="Raw text") for spec in (one, two, one)]
    inputs |= {f"settings_{n}": value for n, value in enumerate(models, 1)}
    first, *_, last = run(REQUEST, **{**inputs, "text": "Once", "columns": 3})
    assert ("tiny-chat and tiny-base do not fit in memory together (3.0 GB of 2.0 GB): "
            "lanes 1 and 3 run first, then lane 2.") in first[2]
    assert last[2] == ""


def test_no_event_of_the_page_is_an_api() -> None:
    """What a component is first filled with is a nameless function, and was an endpoint too."""
    assert page(FakeEngine()).get_api_info()["named_endpoints"] == {}


def test_the_page_stays_light() -> None:
    """A panel of sliders in each possible column once made it 582 components; 24 lanes that nobody
    has asked for yet are three each, and a browser that has them not on the page mounts none. The
    sections of the Inside tab are some ten each, mounted when they are opened. With them its
    configuration has 42 to 45 kB on the wire, half as much as a picture of the page."""
    made = page(FakeEngine())
    assert len(made.config["components"]) < 580
    told = json.dumps(made.get_config_file(), default=str).encode()
    assert len(gzip.compress(told)) < 48_000
    hidden = [c for c in made.blocks.values()
              if "lane-column" in (getattr(c, "elem_classes", None) or ()) and not c.visible]
    assert len(hidden) >= 24 - 5


def test_one_lane_of_the_tokens_tab_is_in_sight_before_a_run() -> None:
    """A column takes no "hidden": four empty lanes once stood side by side."""
    lanes = [c.elem_classes for c in page(FakeEngine()).blocks.values()
             if "branch-lane" in (getattr(c, "elem_classes", None) or ())]
    assert ["put-away" in classes for classes in lanes] == [False, True, True, True]


@pytest.mark.usefixtures("unpaced")
def test_24_strategies_play_in_one_request_with_the_same_dice() -> None:
    """There are more presets than lanes since one of them shows what the KV cache saves."""
    engine = FakeEngine(*[words("a") for _ in range(24)])
    run, inputs = handler(page(engine), "strategies")
    final = list(run(REQUEST, **{**inputs, "text": "Once", "columns": 24}))[-1]
    assert {r.decoding for r in engine.history} == {
        replace(PRESETS[name], max_new_tokens=48) for name in STRATEGIES[:24]}
    assert len({r.seed for r in engine.history if r.decoding.draws}) == 1
    board = json.loads(final[-1])
    assert (board["running"], len(board["lanes"])) == (False, 24)
    assert [lane["same"] for lane in board["lanes"]] == [True] * 24


@pytest.mark.usefixtures("unpaced")
def test_a_lane_says_where_it_leaves_greedy() -> None:
    engine = FakeEngine(words("a", "b"), *[words("a") for _ in range(4)])
    engine.scripts[1] = [*words("a")[:-1], Step(1, 99, "c", "c", -1.0, 2, 0.5, 1.0, ()),
                         Finished("length", "", 2, 2, 0.1, 0.1)]
    run, inputs = handler(page(engine), "strategies")
    final = list(run(REQUEST, **{**inputs, "text": "Once"}))[-1]
    lanes = json.loads(final[-1])["lanes"]
    assert lanes[1]["parts"] == [
        "Identical to Greedy for 1 token, then ", {"token": "c"}, " where Greedy took ",
        {"token": "b"}, "."]
    assert (json.loads(final[4])["parts_at"], "parts_at" in json.loads(final[3])) == (1, False)


def test_a_full_engine_is_a_sentence_in_every_column() -> None:
    run, inputs = handler(page(FakeEngine(full=True)), "tokens")
    inputs["text"] = "Once"
    final = list(run(REQUEST, **inputs))[-1]
    assert "Too many runs wait already. Try again in a minute." in json.loads(final[3])["problem"]


def test_closing_a_handler_in_mid_stream_stops_its_runs() -> None:
    """A closed tab ends the generator wherever it is; the engine must not go on for nobody."""
    engine = FakeEngine(words(*"abcdefgh"))
    run, inputs = handler(page(engine), "tokens")
    inputs["text"] = "Once"
    updates = run(REQUEST, **inputs)
    for _ in range(4):
        next(updates)
    updates.close()
    assert engine.streams[0].stopped == 1


def test_stop_twice_and_stop_of_nothing_are_harmless() -> None:
    streams, stream = SessionStreams(), FakeStream([words("a")])
    streams.stop("a-page", "chat")
    streams.put("a-page", "chat", stream)  # type: ignore[arg-type]
    streams.stop("a-page", "chat")
    streams.stop("a-page", "chat")
    assert stream.stopped == 2


def test_a_second_run_in_one_tab_ends_the_first_and_no_other_pages() -> None:
    streams = SessionStreams()
    first, second, other = (FakeStream([words("a")]) for _ in range(3))
    streams.put("a-page", "chat", first)  # type: ignore[arg-type]
    streams.put("b-page", "chat", other)  # type: ignore[arg-type]
    streams.put("a-page", "chat", second)  # type: ignore[arg-type]
    streams.close("a-page")
    assert (first.stopped, second.stopped, other.stopped) == (1, 1, 0)


def test_what_tabs_showed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of the API never closes a page, and each of its calls left an entry for ever."""
    monkeypatch.setattr("playground.ui.streaming.MOST_SHOWN", 2)
    streams = SessionStreams()
    for session in ("a", "b", "a", "c"):
        streams.show(session, "chat", [session])
    assert [streams.shown(session) for session in "abc"] == [
        [("chat", ("a",))], [], [("chat", ("c",))],
    ]


def test_an_address_that_names_no_tab_opens_none() -> None:
    """What stands behind the # of an address may be anything."""
    go = next(f.fn for f in page(FakeEngine()).fns.values()
              if getattr(f.fn, "__module__", "") == "playground.ui.tab_history")
    for sent in (None, "grid", {}, {"tab": "nowhere"}, {"tab": ["grid"]}, {"tab": None}):
        assert go(SimpleNamespace(_data=sent)) == gr.skip()
    assert go(SimpleNamespace(_data={"tab": "grid"})).selected == "grid"
