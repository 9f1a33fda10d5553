"""The laws of a run and its parts: they pickle, compare, and refuse what no model can take."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import LARGEST_SEED, LONGEST_INSERT, MOST_IDS, Fork, ModelSpec, Run
from playground.errors import InvalidInput

SPEC = ModelSpec("builtin/tiny-chat")
TEXTS = ["a", " ", "\n", "\x00", "🇫🇷👨‍👩‍👧", "《梦游天姥吟留别》", "e\u0301", "مرحبا",
         "<|im_end|>", "{{value}}${1}"]


def _refused(field: str, make: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        make(*given, **named)
    assert refused.value.problem.field == field
    return str(refused.value)


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_is_carried_as_it_stands(text: str) -> None:
    run = Run(SPEC, Raw(text), Decoding(do_sample=True), seed=7)
    again = pickle.loads(pickle.dumps(run))
    assert again == run and hash(again) == hash(run)
    assert again.prompt.text == text


def test_a_chat_survives_the_pipe() -> None:
    chat = Chat((Message("system", ""), Message("user", "Hi."), Message("assistant", "Oh!")))
    assert pickle.loads(pickle.dumps(chat)) == chat
    _refused("message", Chat, (*chat.messages, Message("user", " \n")))


def test_an_empty_prompt_is_refused_and_says_what_to_do() -> None:
    assert _refused("prompt", Raw, "").startswith("The prompt is empty. Write")
    assert _refused("message", Chat, ()).startswith("The message is empty. Write")
    _refused("message", Chat, (Message("user", " \t"),))
    _refused("message", Chat, (Message("system", "You are kind."),))
    _refused("prompt", Ids, ())


def test_a_chat_that_ends_with_the_assistant_asks_to_go_on_with_that_answer() -> None:
    ask = Message("user", "Hi.")
    assert Chat((ask, Message("assistant", "Well, "))).prefill == "Well, "
    assert Chat((ask,)).prefill == ""
    assert Chat((ask, Message("assistant", "Oh!"), ask)).prefill == ""
    for empty in ("", " \n"):
        sentence = _refused("prefill", Chat, (ask, Message("assistant", empty)))
        assert sentence.startswith("The beginning of the answer is empty. Write")


@pytest.mark.parametrize("value", ["no", 1, None, [True]])
def test_control_tokens_are_on_or_off(value: Any) -> None:
    """Any checkbox can send any value, and ``"no"`` would count as yes."""
    assert not Raw("a").control_tokens and not Chat((Message("user", "a"),)).control_tokens
    _refused("control_tokens", Raw, "a", control_tokens=value)
    _refused("control_tokens", Chat, (Message("user", "a"),), control_tokens=value)


def test_half_a_character_is_refused() -> None:
    """A lone surrogate passes through JSON and then ends any tokenizer with a TypeError."""
    _refused("prompt", Raw, "ab\ud83d")
    _refused("message", Message, "user", "\udc00")
    _refused("model", ModelSpec, "owner/\ud800")


@pytest.mark.parametrize("ids", [(-1,), (1.0,), (True,), ("1",), (None,)])
def test_ids_are_whole_numbers_from_zero(ids: Any) -> None:
    _refused("prompt", Ids, ids)


def test_a_role_is_one_of_three() -> None:
    assert "tool" in _refused("role", Message, "tool", "x")


@pytest.mark.parametrize("repo", ["", "  ", "a" * 301, "a\nb", "a\x00b"])
def test_a_model_has_a_name(repo: str) -> None:
    _refused("model", ModelSpec, repo)


@pytest.mark.parametrize(("field", "value"), [("dtype", "float64"), ("quantization", "int3")])
def test_a_spec_lists_what_it_takes(field: str, value: Any) -> None:
    sentence = _refused(field, ModelSpec, "a/b", **{field: value})
    assert value in sentence and ("auto, float32" in sentence or "none, nf4, int8" in sentence)


def test_equal_specs_are_one_key() -> None:
    """The manager counts on this: two visitors who ask for the same weights share one worker."""
    assert len({ModelSpec("a/b"), ModelSpec("a/b", dtype="auto"), ModelSpec("a/b", "main")}) == 2


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (ModelSpec("builtin/tiny-chat"), "tiny-chat"),
        (ModelSpec("owner/name", dtype="bfloat16", quantization="nf4"), "name · bfloat16 · nf4"),
        (ModelSpec("/models/mine/"), "mine"),
        (ModelSpec("owner/name", adapter="me/pirate", quantization="int8"), "name + pirate · int8"),
    ],
)
def test_a_label_is_short(spec: ModelSpec, label: str) -> None:
    assert spec.label == label


def test_an_adapter_has_its_base() -> None:
    spec = ModelSpec("owner/name", "main", "float16", "nf4", adapter="me/pirate")
    assert spec.base == ModelSpec("owner/name", "main", "float16", "nf4") != spec
    _refused("adapter", ModelSpec, "owner/name", adapter="x" * 301)
    _refused("adapter", ModelSpec, "owner/name", adapter="a\nb")


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 1.0, True, "1", None, float("nan")])
def test_a_seed_out_of_range_is_refused(seed: Any) -> None:
    _refused("seed", Run, SPEC, Raw("a"), seed=seed)


def test_the_ends_of_the_seeds() -> None:
    assert Run(SPEC, Raw("a"), seed=0) != Run(SPEC, Raw("a"), seed=LARGEST_SEED)


NO_IDS = [[1, 2], (1, -1), (True,), (1.0,), ("7",), None, tuple(range(MOST_IDS + 1))]


@pytest.mark.parametrize("given", NO_IDS, ids=lambda given: repr(given)[:12])
@pytest.mark.parametrize("name", ["ids", "insert", "banned"])
def test_a_fork_takes_token_ids_only(name: str, given: Any) -> None:
    """From a browser may come anything; a list would make a run that cannot be hashed."""
    assert "token ids" in _refused("fork", Fork, **{name: given})


def test_a_fork_takes_a_text_to_insert_that_is_not_endless() -> None:
    _refused("fork", Fork, (), "\ud800")
    assert f"it may have {LONGEST_INSERT}" in _refused("fork", Fork, (), "a" * (LONGEST_INSERT + 1))
    assert Fork((), "a" * LONGEST_INSERT).insert
    run = Run(SPEC, Raw("Hi."), fork=Fork((1, 2), "🇫🇷", (3,)))
    again = pickle.loads(pickle.dumps(run))
    assert again == run and hash(again) == hash(run) and again != Run(SPEC, Raw("Hi."))
