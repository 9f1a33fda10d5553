"""Laws of a lane's settings as a page or a client of the API sends them."""

from __future__ import annotations

import pytest

from playground.core.prompt import Chat, Message, Raw
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.lane_form import CHAT, LaneForm, read_lane, write_lane
from playground.ui.lens import SYSTEM, lens_of


def test_what_is_written_is_read_as_the_same() -> None:
    text = ('{"preset":"Top-p","temperature":0.5,"seed":3,"fresh_seed":false,"model":"a/b",'
            '"template":"Chat template","system":"Be brief."}')
    form = read_lane(text)
    assert read_lane(write_lane(form)) == form
    assert (form.model, form.decoding.decoding.temperature, form.decoding.seed) == ("a/b", 0.5, 3)
    assert read_lane("{}") == LaneForm()


def test_a_text_is_given_as_the_lane_says() -> None:
    assert read_lane('{"system": "Be brief."}').prompt("Hi") == Raw("Hi")
    form = LaneForm("a/b", CHAT, True, "Be brief.", "Well, ")
    said = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Well, "))
    assert form.prompt("Hi") == Chat(said, control_tokens=True)
    assert LaneForm(template=CHAT, system=" ").prompt("Hi") == Chat((Message("user", "Hi"),))


def test_what_has_no_effect_on_a_raw_text_is_told() -> None:
    assert LaneForm(system="Be brief.", prefill="Well").ignored == (
        "System prompt", "Begin the answer with")
    assert LaneForm(template=CHAT, system="Be brief.").ignored == ()


@pytest.mark.parametrize(("given", "field"), (
    ('{"template": "Other"}', "template"), ('{"control_tokens": "no"}', "control_tokens"),
    ('{"model": 3}', "model"), ('{"system": ["x"]}', "system prompt"), ("[]", "settings"),
    ('{"colour": "red"}', "settings"), ('{"temperature": -1}', "temperature"),
))
def test_nonsense_is_refused_by_its_field(given: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_lane(given)
    assert refused.value.problem.field == field


def test_without_a_model_it_is_the_apps_own() -> None:
    assert read_lane("{}").run(Raw("Hi"), "builtin/tiny-chat").model.repo == "builtin/tiny-chat"


def test_a_lens_without_a_base_has_three_lanes_and_says_why() -> None:
    lens = lens_of(Settings(), '{"model": "microsoft/Phi-4-mini-instruct", "system": "Be kind."}')
    assert [form.template for form in lens.forms] == ["Raw text", CHAT, CHAT]
    assert lens.forms[2].system == "Be kind."
    assert "No base model is known that Phi-4-mini-instruct was made from" in lens.remark


def test_in_public_a_base_that_is_not_offered_is_said() -> None:
    public = Settings(mode="shared", models=("Qwen/Qwen2.5-0.5B-Instruct",))
    lens = lens_of(public, '{"model": "Qwen/Qwen2.5-0.5B-Instruct"}')
    assert len(lens.forms) == 3 and "Qwen/Qwen2.5-0.5B, which is not offered here" in lens.remark
    assert lens.forms[2].system == SYSTEM
