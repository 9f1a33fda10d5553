"""Truth of the OpenAI-compatible API: what OpenAI's own client hears is what the engine did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import openai
import pytest

import app
from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.settings import Settings
from tests.api_server import client, free_port

BASE, CHAT = "builtin/tiny-base", "builtin/tiny-chat"
FRANCE = "The capital of France is"
HELLO = [{"role": "system", "content": "Be brief."},
         {"role": "user", "content": "Hi! Who are you?"}]
HELLO_CHAT = Chat((Message("system", "Be brief."), Message("user", "Hi! Who are you?")))


@dataclass(frozen=True)
class Served:
    """The whole app on a port, its engine, and OpenAI's client of it."""

    url: str
    engine: Engine
    openai: openai.OpenAI

    def trace(self, model: str, prompt: Prompt, decoding: Decoding, seed: int = 0) -> Trace:
        """The same run as a tab of the page starts it."""
        trace = Trace(Run(ModelSpec(model), prompt, decoding, seed))
        for event in self.engine.run(trace.run):
            trace = trace.add(event)
        assert trace.state == "finished", trace.problem
        return trace


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    settings = Settings(port=free_port())
    engine, page = app.build(settings)
    app.launch(engine, page, settings)
    url = f"http://127.0.0.1:{settings.port}"
    yield Served(url, engine, client(url))
    page.close()
    engine.close()


ENDS = {"end": "stop", "length": "length", "context": "length"}
DRAWN = Decoding(do_sample=True, temperature=1.3, top_p=0.9, max_new_tokens=12)
CASES: dict[str, tuple[Decoding, dict[str, Any], dict[str, Any]]] = {
    "greedy": (Decoding(max_new_tokens=12), {"temperature": 0}, {}),
    "drawn": (DRAWN, {"temperature": 1.3, "top_p": 0.9}, {}),
    "as OpenAI draws": (Decoding(do_sample=True, max_new_tokens=12), {}, {}),
    "penalties": (replace(DRAWN, presence_penalty=0.5, frequency_penalty=0.25),
                  {"temperature": 1.3, "top_p": 0.9, "presence_penalty": 0.5,
                   "frequency_penalty": 0.25}, {}),
    "our knobs": (replace(DRAWN, top_p=1.0, min_p=0.05, mirostat_tau=3.0, repetition_penalty=1.2),
                  {"temperature": 1.3},
                  {"min_p": 0.05, "mirostat_tau": 3.0, "repetition_penalty": 1.2}),
    "beams": (Decoding(num_beams=3, length_penalty=0.5, max_new_tokens=12), {},
              {"num_beams": 3, "length_penalty": 0.5}),
    "contrastive": (Decoding(penalty_alpha=0.6, top_k=4, max_new_tokens=12), {},
                    {"penalty_alpha": 0.6, "top_k": 4}),
    "banned": (Decoding(max_new_tokens=12, banned=("Paris", (14,))), {"temperature": 0},
               {"banned": ["Paris", [14]]}),
    "looked up": (Decoding(max_new_tokens=12, prompt_lookup_tokens=3), {"temperature": 0},
                  {"prompt_lookup_tokens": 3}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_completion_is_the_engines_own_run(served: Served, name: str, stream: bool) -> None:
    decoding, openais, ours = CASES[name]
    told = served.openai.completions.create(
        model=BASE, prompt=FRANCE, max_tokens=12, seed=7, logprobs=3, stream=stream, **openais,
        extra_body={**ours, "return_token_ids": True},
    )
    parts = list(told) if stream else [told]
    trace = served.trace(BASE, Raw(FRANCE), replace(decoding, candidates=3), 7)
    assert "".join(part.choices[0].text for part in parts) == trace.text
    last = parts[-1].choices[0]
    assert trace.finished and last.finish_reason == ENDS[trace.finished.reason]
    assert [id for part in parts for id in part.choices[0].model_extra["token_ids"]] == list(
        trace.ids)
    logprobs = [part.choices[0].logprobs for part in parts if part.choices[0].logprobs]
    joined: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "text_offset": [],
                                    "top_logprobs": []}
    for field, values in joined.items():
        values += [one for part in logprobs for one in getattr(part, field)]
    assert joined["tokens"] == [step.piece for step in trace.steps]
    assert joined["token_logprobs"] == pytest.approx(
        [step.logprob for step in trace.steps], abs=1e-5)
    texts = ["" if step.special else step.text for step in trace.steps]
    assert joined["text_offset"] == [len("".join(texts[:n])) for n in range(len(texts))]
    for told_top, step in zip(joined["top_logprobs"], trace.steps, strict=True):
        expected = {**{c.text: c.logprob for c in step.candidates}, step.piece: step.logprob}
        assert told_top == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_chat_is_the_engines_own_run(served: Served, stream: bool) -> None:
    told = served.openai.chat.completions.create(
        model=CHAT, messages=HELLO, seed=3, logprobs=True, top_logprobs=2, stream=stream, n=2,
        max_completion_tokens=40, extra_body={"return_token_ids": True},
    )
    parts = list(told) if stream else [told]
    for place in range(2):
        mine = [c for part in parts for c in part.choices if c.index == place]
        trace = served.trace(CHAT, HELLO_CHAT, Decoding(do_sample=True, candidates=2,
                                                        max_new_tokens=40), 3 + place)
        messages = [c.delta if stream else c.message for c in mine]
        assert messages[0].role == "assistant"
        assert "".join(message.content or "" for message in messages) == trace.text
        assert trace.finished and mine[-1].finish_reason == ENDS[trace.finished.reason]
        assert [id for c in mine for id in c.model_extra["token_ids"]] == list(trace.ids)
        assert mine[-1].model_extra["seed"] == 3 + place
        content = [one for c in mine if c.logprobs for one in c.logprobs.content]
        assert [one.token for one in content] == [step.piece for step in trace.steps]
        assert [one.logprob for one in content] == pytest.approx(
            [step.logprob for step in trace.steps], abs=1e-5)
        assert [[top.model_extra["token_id"] for top in one.top_logprobs] for one in content] == [
            [c.id for c in step.candidates] for step in trace.steps]


def test_an_answer_that_is_begun_goes_on(served: Served) -> None:
    begun = [{"role": "user", "content": "What is the capital of France?"},
             {"role": "assistant", "content": "The capital"}]
    told = served.openai.chat.completions.create(
        model=CHAT, messages=begun, temperature=0, max_tokens=8)
    chat = Chat(tuple(Message(one["role"], one["content"]) for one in begun))  # type: ignore[arg-type]
    assert told.choices[0].message.content == served.trace(
        CHAT, chat, Decoding(max_new_tokens=8)).text


@pytest.mark.parametrize("most", [0, 4])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_echo_tells_what_the_engine_scores(served: Served, most: int, stream: bool) -> None:
    told = served.openai.completions.create(
        model=BASE, prompt=FRANCE, echo=True, logprobs=2, max_tokens=most, temperature=0,
        stream=stream,
    )
    parts = list(told) if stream else [told]
    scored = served.engine.score(ModelSpec(BASE), ScoreRequest(Raw(FRANCE), candidates=2))
    trace = served.trace(BASE, Raw(FRANCE), Decoding(max_new_tokens=max(1, most), candidates=2))
    steps = [*scored.steps, *(trace.steps if most else ())]
    text = "".join(part.choices[0].text for part in parts)
    assert text == FRANCE + (trace.text if most else "")
    assert parts[-1].choices[0].finish_reason == "length"
    told_logprobs = [part.choices[0].logprobs for part in parts if part.choices[0].logprobs]
    tokens = [one for part in told_logprobs for one in part.tokens]
    assert tokens == [*(piece.text for piece in scored.context), *(s.piece for s in steps)]
    logprobs = [one for part in told_logprobs for one in part.token_logprobs]
    assert logprobs[0] is None
    assert logprobs[1:] == pytest.approx([step.logprob for step in steps], abs=1e-5)
    offsets = [one for part in told_logprobs for one in part.text_offset]
    assert all(text[at:].startswith(token) for at, token in zip(offsets, tokens, strict=True))
    if not stream:
        assert told.usage.prompt_tokens == len(scored.context) + len(scored.steps)
        assert told.usage.completion_tokens == most


def test_a_prompt_of_one_token_is_echoed_with_nothing_to_score(served: Served) -> None:
    told = served.openai.completions.create(
        model=BASE, prompt=[364], echo=True, logprobs=1, max_tokens=0)
    assert (told.choices[0].logprobs.tokens, told.choices[0].logprobs.token_logprobs) == (
        ["The"], [None])


def test_prompts_of_ids_and_of_texts_are_answered_in_order(served: Served) -> None:
    ids = [step.id for step in served.trace(BASE, Raw(FRANCE), Decoding()).started.prompt]  # type: ignore[union-attr]
    told = served.openai.completions.create(
        model=BASE, prompt=[ids, ids[:2]], n=2, max_tokens=3, seed=5,
        extra_body={"return_token_ids": True})
    traces = [served.trace(BASE, Ids(tuple(prompt)), Decoding(do_sample=True, max_new_tokens=3),
                           seed) for prompt in (ids, ids[:2]) for seed in (5, 6)]
    assert [choice.index for choice in told.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in told.choices] == [trace.text for trace in traces]
    assert [choice.model_extra["prompt_token_ids"] for choice in told.choices] == [
        ids, ids, ids[:2], ids[:2]]
    assert told.usage.prompt_tokens == len(ids) + 2
    assert told.usage.completion_tokens == sum(len(trace.ids) for trace in traces)
    texts = served.openai.completions.create(
        model=BASE, prompt=[FRANCE, "Once upon"], max_tokens=3, temperature=0)
    assert [choice.text for choice in texts.choices] == [
        served.trace(BASE, Raw(text), Decoding(max_new_tokens=3)).text
        for text in (FRANCE, "Once upon")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_stop_string_is_no_part_of_the_text(served: Served, stream: bool) -> None:
    whole = served.trace(BASE, Raw(FRANCE), Decoding(max_new_tokens=16)).text
    stop = whole[20:26]
    told = served.openai.completions.create(
        model=BASE, prompt=FRANCE, temperature=0, max_tokens=16, stop=[stop, "never"], logprobs=0,
        stream=stream, extra_body={"return_token_ids": True})
    parts = list(told) if stream else [told]
    for choice in (part.choices[0] for part in parts):
        tokens = choice.logprobs.tokens if choice.logprobs else []
        assert len(choice.model_extra["token_ids"]) == len(tokens)
    assert "".join(part.choices[0].text for part in parts) == whole[: whole.index(stop)]
    assert parts[-1].choices[0].finish_reason == "stop"


def test_a_bias_on_an_id_bans_it_or_makes_it_sure(served: Served) -> None:
    def first(bias: dict[str, int]) -> int:
        told = served.openai.completions.create(
            model=BASE, prompt=FRANCE, temperature=0, max_tokens=1, logit_bias=bias,
            extra_body={"return_token_ids": True})
        made: int = told.choices[0].model_extra["token_ids"][0]
        return made

    likeliest = first({})
    assert first({str(likeliest): -100}) != likeliest
    assert first({"42": 100}) == 42


def test_usage_counts_what_was_read_written_and_cached(served: Served) -> None:
    prompt = "Once upon a time there was a small fox who lived in a quiet forest near the sea."
    asked: dict[str, Any] = {"model": BASE, "prompt": prompt, "temperature": 0, "max_tokens": 5}
    served.openai.completions.create(**asked)
    trace = served.trace(BASE, Raw(prompt), Decoding(max_new_tokens=5))
    assert trace.started and trace.started.reused > 0
    *parts, last = served.openai.completions.create(
        **asked, stream=True, stream_options={"include_usage": True})
    assert last.choices == [] and all(part.usage is None for part in parts)
    usage = last.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(trace.started.prompt), 5)
    assert usage.total_tokens == usage.prompt_tokens + 5
    assert usage.prompt_tokens_details.cached_tokens == trace.started.reused


def test_models_are_listed_and_found(served: Served) -> None:
    assert {one.id for one in served.openai.models.list()} >= {BASE, CHAT}
    assert served.openai.models.retrieve(BASE).owned_by == "builtin"
    with pytest.raises(openai.NotFoundError) as none:
        served.openai.models.retrieve("no/such")
    assert none.value.code == "model_not_found" and BASE in str(none.value)


def test_the_api_is_under_a_spaces_front_proxy_too(served: Served) -> None:
    proxied = openai.OpenAI(base_url=f"{served.url}/gradio_api/v1", api_key="any")
    assert {one.id for one in proxied.models.list()} >= {BASE, CHAT}


@pytest.mark.parametrize(("more", "status", "param"), [
    ({"model": "builtin/none"}, 404, "model"),
    ({"model": "not a model"}, 404, "model"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"max_tokens": 5000}, 400, "max_tokens"),
    ({"prompt": "word " * 2000}, 400, "prompt"),
    ({"prompt": [10**9]}, 400, "prompt"),
    ({"logit_bias": {"99999999": 1}}, 400, "logit_bias"),
    ({"temperature": 9}, 400, "temperature"),
    ({"seed": -1}, 400, "seed"),
    ({"n": 25}, 400, "n"),
    ({"prompt": ["a"] * 13, "n": 2}, 400, "n"),
])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_the_engine_refuses_has_a_status_and_a_name(
    served: Served, more: dict[str, Any], status: int, param: str, stream: bool
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        served.openai.completions.create(
            **{"model": BASE, "prompt": FRANCE, "max_tokens": 3, "stream": stream, **more})
    assert (refused.value.status_code, refused.value.param) == (status, param)
    assert refused.value.type == ("not_found_error" if status == 404 else "invalid_request_error")


def test_a_base_model_without_a_template_refuses_a_chat(served: Served) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        served.openai.chat.completions.create(model=BASE, messages=HELLO)
    assert refused.value.code == "template"


def test_the_servers_own_docs_of_it_are_off(served: Served) -> None:
    answer = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any")
    for path in ("/docs", "/openapi.json"):
        with pytest.raises(openai.NotFoundError):
            answer.get(path, cast_to=object)
