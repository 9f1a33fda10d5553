"""Laws of reading a request: every knob can be asked for, and nothing is ignored in silence."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.api.openai_errors import ApiRefusal, api_error
from playground.api.openai_request import CHAT, COMPLETION, Asked, read_request
from playground.core.decoding import KNOBS, Decoding
from playground.core.plain import to_plain
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import ModelSpec
from playground.errors import InvalidInput
from playground.settings import LOCAL_LIMITS

PLAIN: dict[str, Any] = {"model": "m/m", "prompt": "Once"}
TALK: dict[str, Any] = {"model": "m/m", "messages": [{"role": "user", "content": "Hi"}]}
# Settings that only an answer's own parameters can ask for, and what these are called.
OPENAI = {"max_new_tokens": "max_tokens", "stop_strings": "stop", "candidates": "logprobs"}
ODD: dict[str, Any] = {
    "do_sample": False, "early_stopping": "never", "dola_layers": "high", "negative_prompt": "no",
    "banned": ("bad", (7, 8)), "bias": (("good", 2.5), ((9,), -1.0)), "forced": "Well",
    "alone": True, "use_cache": False, "max_new_tokens": 77, "stop_strings": ("a", "b"),
    "candidates": 7, "num_beam_groups": 2, "top_k": 4,
}


def read(body: object, chat: bool = False) -> Asked:
    return read_request(json.dumps(body).encode(), chat, LOCAL_LIMITS)


def refused(body: object, chat: bool = False) -> tuple[int, str | None, str]:
    """Status, parameter and sentence of a refusal."""
    with pytest.raises((InvalidInput, ApiRefusal)) as error:
        read(body, chat)
    told = error.value
    made = told.error if isinstance(told, ApiRefusal) else api_error(told.problem)
    return made.status, made.param, made.message


def odd(name: str) -> Any:
    """A value of a setting that is not its default."""
    if name in ODD:
        return ODD[name]
    one = KNOBS[name]
    middle = (one.low + one.high) / 2
    return int(middle) if one.whole else middle


@pytest.mark.parametrize("chat", [False, True], ids=["completion", "chat"])
def test_every_setting_of_a_decoding_can_be_asked_for(
    chat: bool, subtests: pytest.Subtests
) -> None:
    """A knob that is added to ``Decoding`` and forgotten here would fail this."""
    needed: dict[str, dict[str, Any]] = {
        "num_beam_groups": {"num_beams": 4}, "penalty_alpha": {"top_k": 4},
        "min_new_tokens": {"max_tokens": 4096}}
    for name in (one.name for one in fields(Decoding) if one.name != "effects"):
        with subtests.test(name):
            beside = needed.get(name, {})
            value = odd(name)
            asked = OPENAI.get(name, name)
            given_ = to_plain(value)
            if chat and name == "candidates":
                beside, asked = {"logprobs": True}, "top_logprobs"
            (run,) = read({**(TALK if chat else PLAIN), **beside, asked: given_}, chat).runs
            assert getattr(run.decoding, name) == value


def test_openais_defaults_draw_and_a_temperature_of_0_does_not() -> None:
    def decoding(**more: Any) -> Decoding:
        return read({**PLAIN, **more}).runs[0].decoding

    assert decoding() == Decoding(do_sample=True, max_new_tokens=16, candidates=1)
    assert decoding(temperature=0) == replace(decoding(), do_sample=False)
    assert decoding(temperature=0.0, top_p=0.9).do_sample is False
    assert decoding(do_sample=False).do_sample is False
    assert decoding(num_beams=2).do_sample is False, "beam search draws where it is told to"
    assert decoding(num_beams=2, do_sample=True).do_sample is True
    assert read(TALK, chat=True).runs[0].decoding.max_new_tokens == LOCAL_LIMITS.new_tokens
    assert refused({**PLAIN, "temperature": 0, "do_sample": True})[1] == "do_sample"


def test_answers_that_say_no_length_share_what_a_request_may_write() -> None:
    tight = replace(LOCAL_LIMITS, request_tokens=1000)

    def most(**more: Any) -> int:
        body = json.dumps({**TALK, **more}).encode()
        return read_request(body, True, tight).runs[0].decoding.max_new_tokens

    assert (most(), most(n=4), most(n=2, num_beams=5)) == (1000, 250, 100)
    assert most(n=4, max_tokens=400) == 400, "what is asked for is for the engine to refuse"


def test_what_has_no_effect_is_said() -> None:
    assert read({**PLAIN, "temperature": 0, "top_k": 5}).notices == (
        "Top-k has no effect with these settings.",)
    assert read(PLAIN).notices == ()


def test_each_text_has_a_seed_of_its_own() -> None:
    assert [run.seed for run in read({**PLAIN, "n": 3, "seed": 2**32 - 2}).runs] == [
        2**32 - 2, 2**32 - 1, 0]
    drawn = [read(PLAIN).runs[0].seed for _ in range(8)]
    assert len(set(drawn)) > 1
    assert [run.seed for run in read({**PLAIN, "prompt": ["a", "b"], "n": 2, "seed": 5}).runs] == [
        5, 6, 5, 6]


def test_prompts_are_texts_ids_and_lists_of_them() -> None:
    prompts = {"a": (Raw("a"),), ("a", "b"): (Raw("a"), Raw("b")), (1, 2): (Ids((1, 2)),),
               ((1,), (2, 3)): (Ids((1,)), Ids((2, 3))), ("a", (2,)): (Raw("a"), Ids((2,)))}
    for value, made in prompts.items():
        assert read({**PLAIN, "prompt": value}).prompts == made
    assert read({**PLAIN, "control_tokens": True}).prompts == (Raw("Once", True),)


def test_messages_are_a_chat() -> None:
    parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]
    made = read({**TALK, "messages": [{"role": "developer", "content": parts},
                                      {"role": "user", "content": "Hi", "name": None}]}, chat=True)
    assert made.prompts == (Chat((Message("system", "Be brief."), Message("user", "Hi"))),)


def test_a_model_is_all_that_decides_its_weights() -> None:
    told = read({**PLAIN, "dtype": "float32", "quantization": "nf4", "adapter": "a/b",
                 "revision": "main", "draft": "d/d"})
    assert told.model == ModelSpec("m/m", "main", "float32", "nf4", "a/b")
    assert told.runs[0].draft == ModelSpec("d/d")


def test_null_is_as_if_it_were_left_out() -> None:
    nulls = dict.fromkeys((*COMPLETION, "tools", "user", "suffix"))
    assert read({**nulls, **PLAIN, "seed": 1}) == read({**PLAIN, "seed": 1})
    nulls = dict.fromkeys((*CHAT, "tools", "user", "response_format"))
    assert read({**nulls, **TALK, "seed": 1}, True) == read({**TALK, "seed": 1}, True)


@pytest.mark.parametrize(("more", "param", "said"), [
    ({"frobnicate": 1}, "frobnicate", "There is no parameter 'frobnicate'. There are"),
    ({"max_new_tokens": 9}, "max_new_tokens", "max_tokens"),
    ({"tools": [{"type": "function"}]}, "tools", "[]"),
    ({"user": "me"}, "user", "Leave it out"),
    ({"best_of": 3}, "best_of", "1"),
    ({"suffix": "end"}, "suffix", "not supported"),
    ({"messages": []}, "messages", "There are prompt"),
    ({"top_logprobs": 2}, "top_logprobs", "There is no parameter"),
    ({"model": None}, "model", "No model"),
    ({"model": 7}, "model", "No model"),
    ({"prompt": None}, "prompt", "no prompt"),
    ({"prompt": ""}, "prompt", "empty"),
    ({"prompt": []}, "prompt", "from 1 to 24"),
    ({"prompt": ["a"] * 25}, "prompt", "25"),
    ({"prompt": [[1, "a"]]}, "prompt[0][1]", "whole number"),
    ({"prompt": [True]}, "prompt[0]", "a list"),
    ({"prompt": "\ud800"}, "prompt", "lone surrogate"),
    ({"n": 0}, "n", "from 1 to 24"),
    ({"n": True}, "n", "whole number"),
    ({"stream": "yes"}, "stream", "true or false"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "Set stream to true"),
    ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x", "include_usage"),
    ({"stop": ["a"] * 5}, "stop", "at most 4"),
    ({"stop": [1]}, "stop[0]", "text"),
    ({"logprobs": 51}, "logprobs", "from 0 to 50"),
    ({"logit_bias": {"the": 1}}, "logit_bias", "no token id"),
    ({"logit_bias": {"5": "x"}}, "logit_bias.5", "number"),
    ({"logit_bias": {"5": 101}}, "logit_bias", "-100 to 100"),
    ({"max_tokens": 0}, "max_tokens", "whole number from 1"),
    ({"temperature": "warm"}, "temperature", "number"),
    ({"temperature": -1}, "temperature", "above 0"),
    ({"top_p": 0}, "top_p", "above 0"),
    ({"seed": 2**80}, "seed", "from 0 to"),
    ({"seed": 1.5}, "seed", "whole number"),
    ({"dtype": "float8"}, "dtype", "bfloat16"),
])
def test_what_makes_no_sense_is_refused_by_name(
    more: dict[str, Any], param: str, said: str
) -> None:
    status, told, message = refused({**PLAIN, **more})
    assert (status, told) == (400, param)
    assert said in message


@pytest.mark.parametrize(("more", "param"), [
    ({"messages": "Hi"}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, "messages[0].name"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
     "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages"),
    ({"prompt": "Once"}, "prompt"),
    ({"echo": True}, "echo"),
    ({"logprobs": 3}, "logprobs"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
])
def test_what_makes_no_sense_in_a_chat_is_refused_by_name(
    more: dict[str, Any], param: str
) -> None:
    assert refused({**TALK, **more}, chat=True)[:2] == (400, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"n":NaN}', b'{"n":1,"n":2}',
                                  b"[" * 100_000, b'{"seed":1' + b"0" * 9999 + b"}"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as error:
        read_request(body, False, LOCAL_LIMITS)
    assert error.value.problem.field == "body"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3), max_leaves=6)


@given(st.dictionaries(st.sampled_from([*COMPLETION, *CHAT, "tools", "x"]), JSON, max_size=6),
       st.booleans())
@settings(max_examples=200, deadline=None)
def test_whatever_is_sent_is_a_request_or_a_refusal_that_names_a_parameter(
    more: dict[str, Any], chat: bool
) -> None:
    try:
        read_request(json.dumps({**(TALK if chat else PLAIN), **more}).encode(), chat, LOCAL_LIMITS)
    except InvalidInput as error:
        assert error.problem.field
    except ApiRefusal as error:
        assert error.error.param and error.error.status == 400
