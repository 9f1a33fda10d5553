"""The Gradio endpoints and MCP tools, heard by the real clients: what they tell is what the engine
did, what they refuse is a sentence, and a call of a recipe is the same run again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import gradio_client
import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import app
from playground.api.endpoints import NAMES, Endpoints
from playground.api.run_settings import read_settings
from playground.api.work import MOST_READ
from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Failed
from playground.core.messages import Rendered
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem
from playground.settings import Settings
from playground.ui.page import build_page
from playground.ui.recipe_calls import call_of
from tests.api_server import free_port
from tests.fake_engine import FakeEngine, words

BASE, CHAT = ModelSpec("builtin/tiny-base"), ModelSpec("builtin/tiny-chat")
FRANCE = "The capital of France is"
HELLO = [{"role": "user", "content": "Hi! Who are you?"}]


class Served:
    """The whole app on a port, with MCP tools, and Gradio's client of it."""

    def __init__(self) -> None:
        settings = Settings(port=free_port(), mcp=True)
        self.engine, self.page = app.build(settings)
        app.launch(self.engine, self.page, settings)
        self.url = f"http://127.0.0.1:{settings.port}"
        self.client = gradio_client.Client(self.url, verbose=False)

    def trace(self, run: Run) -> Trace:
        """The same run as a tab of the page starts it."""
        trace = Trace(run)
        for event in self.engine.run(run):
            trace = trace.add(event)
        assert trace.state == "finished", trace.problem
        return trace

    def tool(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """See ``tool_of``."""
        return tool_of(self.url, name, arguments)


def tool_of(
    url: str, name: str, arguments: dict[str, Any], headers: dict[str, str] | None = None
) -> tuple[bool, str]:
    """Whether an MCP tool failed, and what it said, through the mcp package's client; without a
    name, which tools there are."""
    async def call() -> tuple[bool, str]:
        async with (
            httpx.AsyncClient(headers=headers, follow_redirects=True, timeout=60) as http,
            streamable_http_client(f"{url}/gradio_api/mcp/", http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            if not name:
                told = await session.list_tools()
                return False, json.dumps([
                    [t.name, t.description, sorted(t.inputSchema["properties"])]
                    for t in told.tools])
            answer = await session.call_tool(name, arguments)
            return bool(answer.isError), answer.content[0].text  # type: ignore[union-attr]

    return asyncio.run(call())


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.page.close()
    made.engine.close()


def test_the_endpoints_are_a_handful_typed_and_documented(served: Served) -> None:
    told = served.client.view_api(return_format="dict")
    assert set(told["named_endpoints"]) == {f"/{name}" for name in NAMES}
    assert told["unnamed_endpoints"] == {}
    info = httpx.get(f"{served.url}/gradio_api/info").json()["named_endpoints"]
    for endpoint in info.values():
        assert endpoint["description"]
        assert all(one["python_type"]["type"] for one in endpoint["parameters"])
        needed = [one for one in endpoint["parameters"] if not one["parameter_has_default"]]
        assert needed == endpoint["parameters"][: len(needed)] and 1 <= len(needed) <= 2


@pytest.mark.parametrize("preset", ["Greedy", "Top-p", "Beam search", "Contrastive search"])
def test_a_completion_is_the_engines_own_run(served: Served, preset: str) -> None:
    told = served.client.predict(
        prompt=FRANCE, model=BASE.repo, settings={"preset": preset, "max_new_tokens": 8}, seed=3,
        tokens=True, api_name="/complete")
    decoding = replace(PRESETS[preset], max_new_tokens=8)
    trace = served.trace(Run(BASE, Raw(FRANCE), decoding, 3))
    assert (told["text"], told["ids"], told["seed"]) == (trace.text, list(trace.ids), 3)
    assert told["prompt_ids"] == list(trace.started.prompt_ids)  # type: ignore[union-attr]
    assert [one["logprob"] for one in told["tokens"]] == pytest.approx(
        [step.logprob for step in trace.steps], abs=1e-5)
    assert told["perplexity"] == pytest.approx(trace.perplexity, rel=1e-4)


def test_an_answer_is_the_engines_own_run(served: Served) -> None:
    told = served.client.predict(HELLO, CHAT.repo, {"max_new_tokens": 30}, api_name="/chat")
    chat = Chat((Message("user", "Hi! Who are you?"),))
    trace = served.trace(Run(CHAT, chat, Decoding(max_new_tokens=30)))
    assert told["text"] == trace.text and "tokens" not in told
    assert told["prompt"] == trace.started.rendered  # type: ignore[union-attr]


def test_a_comparison_tells_where_answers_part(served: Served) -> None:
    ways = [{"model": BASE.repo, "max_new_tokens": 8}, {"model": BASE.repo, "max_new_tokens": 8},
            {"model": CHAT.repo, "max_new_tokens": 8}]
    told = served.client.predict(FRANCE, ways, api_name="/compare")
    traces = [served.trace(Run(spec, Raw(FRANCE), Decoding(max_new_tokens=8)))
              for spec in (BASE, BASE, CHAT)]
    assert [one["ids"] for one in told["answers"]] == [list(trace.ids) for trace in traces]
    same, other = told["partings"]
    assert same == {"same_tokens": 8, "compared_by": "ids", "parts": False}
    place = other["same_tokens"]
    assert traces[0].ids[:place] == traces[2].ids[:place]
    assert (other["first"]["id"], other["this"]["id"]) == (
        traces[0].ids[place], traces[2].ids[place])
    assert other["first"]["probability"] == pytest.approx(
        traces[0].steps[place].candidates[0].probability, abs=1e-5)


def test_next_tokens_are_the_first_steps_candidates(served: Served) -> None:
    told = served.client.predict(FRANCE, BASE.repo, 5, api_name="/next_tokens")
    step = served.trace(Run(BASE, Raw(FRANCE), Decoding(max_new_tokens=1, candidates=5))).steps[0]
    assert [one["id"] for one in told["tokens"]] == [one.id for one in step.candidates]
    assert sum(one["probability"] for one in told["tokens"]) + told["others"] == pytest.approx(1)


def test_a_score_is_the_engines_own(served: Served) -> None:
    told = served.client.predict(" Paris.", FRANCE, BASE.repo, 2, api_name="/score")
    scored = served.engine.score(BASE, ScoreRequest(Raw(" Paris."), Raw(FRANCE), 2))
    assert told["total_logprob"] == pytest.approx(scored.total_logprob, abs=1e-5)
    assert [one["token"] for one in told["tokens"]] == [step.piece for step in scored.steps]


def test_tokens_are_those_that_the_model_reads(served: Served) -> None:
    told = served.client.predict("Hi<|im_end|>", CHAT.repo, chat=True, api_name="/tokenize")
    rendered = served.engine.render(CHAT, Chat((Message("user", "Hi<|im_end|>"),)))
    assert told["ids"] == [piece.id for piece in rendered.pieces]
    assert told["text"] == rendered.rendered and told["notices"]
    back = served.client.predict(told["ids"], CHAT.repo, api_name="/tokenize")
    assert back["text"] == told["text"]


@pytest.mark.parametrize(("name", "arguments", "said"), [
    ("complete", {"prompt": ""}, "The prompt is empty."),
    ("complete", {"prompt": "x", "model": "builtin/none"}, "no built-in model"),
    ("complete", {"prompt": "x", "settings": {"top_q": 1}}, "There is no setting 'top_q'"),
    ("complete", {"prompt": "x", "settings": {"preset": "Magic"}}, "no strategy 'Magic'"),
    ("complete", {"prompt": "x", "settings": {"temperature": 99}}, "Temperature is 99"),
    ("complete", {"prompt": "x", "seed": -1}, "Seed is -1"),
    ("complete", {"prompt": [10**9]}, "not in this model's vocabulary"),
    ("chat", {"messages": []}, "message is empty"),
    ("chat", {"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ("chat", {"messages": HELLO, "model": BASE.repo}, "no chat template"),
    ("compare", {"prompt": "x", "variants": [{}]}, "at least two"),
    ("next_tokens", {"text": "x", "count": 51}, "Candidates is 51"),
    ("score", {"text": ""}, "The prompt is empty."),
    ("tokenize", {"text": "x", "chat": "yes"}, "true or false"),
])
def test_what_is_refused_is_a_sentence_in_either_client(
    served: Served, name: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(gradio_client.exceptions.AppError) as refused:
        served.client.predict(**arguments, api_name=f"/{name}")
    assert said in str(refused.value)
    failed, told = served.tool(name, **arguments)
    # The schema that a tool gives of its arguments is held by the mcp package itself.
    assert failed and (said in told or "validation error" in told.lower())


def test_the_tools_of_mcp_are_the_endpoints(served: Served) -> None:
    tools = {name: told for name, *told in json.loads(served.tool("")[1])}
    assert set(tools) == set(NAMES)
    description, names = tools["next_tokens"]
    assert "likeliest next tokens" in description
    assert names == ["chat", "count", "model", "text"]


def test_a_tool_answers_in_json_what_the_endpoint_does(served: Served) -> None:
    asked: dict[str, Any] = {"text": FRANCE, "model": BASE.repo, "count": 3}
    failed, told = served.tool("next_tokens", **asked)
    assert not failed
    assert json.loads(told) == served.client.predict(**asked, api_name="/next_tokens")


PROMPTS: tuple[Prompt, ...] = (
    Raw(" x\n", True), Ids((1, 2)), Chat((Message("user", "u"),)),
    Chat((Message("system", "s"), Message("user", "u"), Message("assistant", "So ")), True),
)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: type(prompt).__name__)
def test_the_call_of_a_recipe_is_its_run_again(prompt: Prompt, subtests: pytest.Subtests) -> None:
    for preset, whole in PRESETS.items():
        with subtests.test(preset):
            spec = ModelSpec("builtin/tiny-chat", dtype="float32")
            decoding = replace(whole, banned=("a", (3,)), bias=(("b", 0.5),), effects=True)
            run = Run(spec, prompt, decoding, 9)
            engine = FakeEngine(words("a"))
            engine.settings = Settings()  # type: ignore[attr-defined]
            name, arguments = call_of(run)
            made = Endpoints(engine, lambda request: "v")  # type: ignore[arg-type]
            asyncio.run(getattr(made, name)(SimpleNamespace(),
                                            **json.loads(json.dumps(arguments))))
            assert engine.history == [replace(run, decoding=replace(decoding, effects=False))]


def test_every_setting_can_be_given_and_an_unknown_one_is_refused() -> None:
    for one in fields(Decoding):
        if one.name != "effects":
            read_settings("", {one.name: _plain(one.default)}, "m")
    with pytest.raises(InvalidInput, match="no setting 'effects'"):
        read_settings("", {"effects": True}, "m")
    made = read_settings("a/b", {"draft": "d/d", "dtype": "float32"}, "m")
    assert (made.model, made.draft) == (ModelSpec("a/b", dtype="float32"), ModelSpec("d/d"))
    assert read_settings("", None, "m").model == ModelSpec("m")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_a_failure_on_the_way_is_a_sentence_and_ends_the_rest() -> None:
    failed = [*words("a")[:1], Failed(Problem("OOM", "Memory ended."))]
    engine = FakeEngine(words(*"abcdefgh"), failed)
    engine.settings = Settings()  # type: ignore[attr-defined]
    endpoints = Endpoints(engine, lambda request: "v")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="Memory ended"):
        asyncio.run(endpoints.compare(SimpleNamespace(), "x", [{}, {}]))  # type: ignore[arg-type]
    assert engine.streams[0].stopped


class Noting(FakeEngine):
    """An engine that answers each run with one token, and notes who asked."""

    settings = Settings()

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def start(self, runs: Any, visitor: str = "") -> Any:
        self.seen.append(visitor)
        self.scripts.extend(words("a") for _ in runs)
        return super().start(runs, visitor)


def test_a_tool_is_asked_for_by_whom_the_door_has_let_in() -> None:
    engine = Noting()
    endpoints = Endpoints(engine, lambda request: "a page")  # type: ignore[arg-type]
    for request in (SimpleNamespace(state=SimpleNamespace(visitor="api 1")),
                    SimpleNamespace(state=SimpleNamespace())):
        asyncio.run(endpoints.complete(request, "x"))  # type: ignore[arg-type]
    assert engine.seen == ["api 1", "a page"]


def test_in_public_tools_need_a_key_and_endpoints_the_password() -> None:
    """Gradio asks for no password before its MCP server, which would have been a way around it."""
    keys = ("a-key-of-one-caller", "another-key-of-theirs")
    settings = Settings(mode="shared", port=free_port(), auth=("guest", "a-password"),
                        api_keys=keys, mcp=True)
    engine: Any = Noting()
    engine.settings = settings
    page = build_page(engine, settings, Endpoints(engine, lambda request: "a page").add)
    app.launch(engine, page, settings)
    url = f"http://127.0.0.1:{settings.port}"
    try:
        for path in ("mcp", "mcp/", "mcp/sse", "mcp/messages/", "mcp/schema"):
            assert httpx.get(f"{url}/gradio_api/{path}").status_code == 401
        asked = {"data": ["x"], "fn_index": 1, "session_hash": "s"}
        for path in ("run/complete", "call/complete", "queue/join"):
            assert httpx.post(f"{url}/gradio_api/{path}", json=asked).status_code == 401
        for key in (keys[0], keys[1], keys[0]):
            failed, told = tool_of(url, "complete", {"prompt": "x"},
                                   {"Authorization": f"Bearer {key}"})
            assert not failed and json.loads(told)["text"] == "a"
        assert engine.seen[0] == engine.seen[2] != engine.seen[1]
        client = gradio_client.Client(url, auth=settings.auth, verbose=False)
        assert client.predict("x", api_name="/complete")["text"] == "a"
        assert engine.seen[3] == "a page"
    finally:
        page.close()


def test_texts_that_are_turned_into_tokens_are_few_at_once() -> None:
    """The engine does not count them, and each waits on a thread of its own."""
    go, waiting = threading.Event(), threading.Semaphore(0)

    class Slow(Noting):
        def render(self, *asked: Any) -> Rendered:
            waiting.release()
            assert go.wait(60)
            return Rendered(1, "x", ())

    async def ask() -> list[Any]:
        endpoints = Endpoints(Slow(), lambda request: "v")  # type: ignore[arg-type]
        asked = [asyncio.ensure_future(endpoints.tokenize(SimpleNamespace(), "x"))  # type: ignore[arg-type]
                 for _ in range(MOST_READ)]
        for _ in range(MOST_READ):
            assert await asyncio.to_thread(waiting.acquire, timeout=60)
        with pytest.raises(Exception, match="Too many texts"):
            await endpoints.tokenize(SimpleNamespace(), "x")  # type: ignore[arg-type]
        go.set()
        return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == MOST_READ
