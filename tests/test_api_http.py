"""Laws of the API as HTTP: who comes in, what every refusal looks like, and who hangs up."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import openai
import pytest

from playground.core.events import Event, Failed, Started, Step
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec, Run
from playground.engine.entry import ModelStatus
from playground.errors import Overloaded, Problem
from playground.settings import Settings
from tests.api_server import client, serving
from tests.fake_engine import FakeEngine, FakeStream, words

ASKED: dict[str, Any] = {"model": "builtin/tiny-base", "prompt": "Once"}
TALK: dict[str, Any] = {"model": "m/m", "messages": [{"role": "user", "content": "Hi"}]}
KEYS = ("a-key-of-one-caller", "another-key-of-theirs")
PUBLIC = Settings(mode="space", api_keys=KEYS)


class Endless(FakeStream):
    """A run that says one token and then nothing more, until it is closed."""

    def __init__(self) -> None:
        started, step, *_ = words("a", "b")
        super().__init__([[started, step]])
        self.heard, self.closed = threading.Event(), threading.Event()

    def read(self, wait: float = 0.0) -> list[tuple[int, Event]]:
        if self.waiting:
            return super().read()
        self.heard.set()
        self.closed.wait(wait)
        return []

    @property
    def done(self) -> bool:
        return self.closed.is_set()

    def close(self, column: int | None = None) -> None:  # type: ignore[override]
        self.closed.set()


class OneEngine(FakeEngine):
    """An engine with one stream, or one that raises."""

    def __init__(self, stream: FakeStream | Exception) -> None:
        super().__init__()
        self.stream, self.visitors = stream, list[str]()

    def start(self, runs: Sequence[Run], visitor: str = "") -> FakeStream:
        self.visitors.append(visitor)
        if isinstance(self.stream, Exception):
            raise self.stream
        return self.stream


def failing(code: str, field: str = "", after: Sequence[Event] = ()) -> FakeEngine:
    return FakeEngine([*after, Failed(Problem(code, "It went wrong.", field, "x"))])


def shaped(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer, which has OpenAI's shape and nothing else."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str) and body["error"]["type"]
    error: dict[str, Any] = body["error"]
    return error


def test_a_caller_without_a_key_stays_outside_in_public() -> None:
    engine = OneEngine(FakeStream([words("a")]))
    with serving(engine, PUBLIC) as url:
        for path in ("/v1/models", "/v1/nothing", "/gradio_api/v1/models", "/gradio_api/mcp",
                     "/gradio_api/mcp/"):
            missing = httpx.get(url + path)
            assert shaped(missing, 401)["code"] == "missing_api_key"
            assert missing.headers["www-authenticate"] == "Bearer"
            wrong = httpx.get(url + path, headers={"Authorization": "Bearer a-key-of-one"})
            assert shaped(wrong, 401)["code"] == "invalid_api_key"
        assert httpx.get(url + "/").text == "the page", "the page has a door of its own"
        with pytest.raises(openai.AuthenticationError):
            client(url, "nobody's").models.list()
        assert list(client(url, KEYS[1]).models.list()) == []
        tools = httpx.get(url + "/gradio_api/mcp", headers={"Authorization": f"Bearer {KEYS[0]}"})
        assert tools.text == "the page"


def test_a_caller_is_known_by_its_key_which_is_in_no_name() -> None:
    engine = FakeEngine(*[words("a") for _ in range(3)])
    seen: list[str] = []
    start = engine.start
    engine.start = lambda runs, visitor="": (seen.append(visitor), start(runs))[1]  # type: ignore[method-assign]
    with serving(engine, PUBLIC) as url:
        for key in (KEYS[0], KEYS[1], KEYS[0]):
            client(url, key).completions.create(**ASKED)
    assert seen[0] == seen[2] != seen[1]
    assert not any(key in name for key in KEYS for name in seen)


def test_on_this_machine_any_key_will_do_unless_there_are_some() -> None:
    with serving(FakeEngine()) as url:
        assert httpx.get(url + "/v1/models").status_code == 200
        assert list(client(url, "any").models.list()) == []
    with serving(FakeEngine(), Settings(api_keys=KEYS)) as url:
        assert shaped(httpx.get(url + "/v1/models"), 401)


def test_the_api_is_off_in_public_unless_it_is_switched_on() -> None:
    with serving(FakeEngine(), Settings(mode="shared", api=False, api_keys=KEYS)) as url:
        off = httpx.get(url + "/v1/models", headers={"Authorization": f"Bearer {KEYS[0]}"})
        assert shaped(off, 404)["code"] == "api_off" and "--api" in off.text


@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"},
])
def test_another_sites_page_cannot_run_anything_here(headers: dict[str, str]) -> None:
    """A page in the reader's browser can reach this machine, where no key is asked for."""
    engine = FakeEngine(words("a"))
    with serving(engine) as url:
        shaped(httpx.post(url + "/v1/completions", json=ASKED, headers=headers), 403)
    assert engine.history == []


def test_a_form_is_no_request_and_no_foreign_page_may_send_json() -> None:
    """A form needs no permission of the browser's, and JSON one that is never given."""
    engine = FakeEngine(words("a"))
    with serving(engine) as url:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            sent = httpx.post(url + "/v1/completions", content=json.dumps(ASKED),
                              headers={"Content-Type": kind})
            assert shaped(sent, 415)["param"] == "Content-Type"
        asked = httpx.options(url + "/v1/completions", headers={
            "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization"})
        shaped(asked, 405)
        assert not [name for name in asked.headers if name.startswith("access-control")]
    assert engine.history == []


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1", 404), ("GET", "/v1/", 404), ("GET", "/v1/embeddings", 404),
    ("GET", "/v1/completions", 405), ("DELETE", "/v1/models", 405), ("POST", "/v1/models/x", 405),
    ("GET", "/v1/models/no%2Fsuch", 404), ("GET", "/v1/docs", 404), ("GET", "/v1/../v1/x", 404),
])
def test_a_path_that_is_none_is_told_in_the_same_shape(
    method: str, path: str, status: int
) -> None:
    with serving(FakeEngine()) as url:
        shaped(httpx.request(method, url + path), status)


@pytest.mark.parametrize(("code", "field", "status", "again"), [
    ("VALIDATION", "top_k", 400, None), ("VALIDATION", "model", 404, None),
    ("CONTEXT_OVERFLOW", "prompt", 400, None), ("TEMPLATE", "model", 400, None),
    ("MODEL_NOT_FOUND", "model", 404, None), ("MODEL_INVALID", "model", 400, None),
    ("MODEL_UNSAFE", "model", 400, None), ("MODEL_TOO_BIG", "model", 400, None),
    ("HUB", "model", 503, "after"), ("TIMEOUT", "model", 503, "after"),
    ("TIMEOUT", "max_new_tokens", 503, "never"), ("OVERLOADED", "requests", 429, "after"),
    ("OVERLOADED", "", 503, "after"), ("OOM", "", 500, "never"), ("NAN_LOGITS", "", 500, "never"),
    ("WORKER_DIED", "", 500, None), ("STORAGE", "", 500, None), ("ERROR", "", 500, None),
])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_problem_has_a_status_and_says_whether_to_ask_again(
    code: str, field: str, status: int, again: str | None, stream: bool
) -> None:
    with serving(failing(code, field)) as url:
        answer = httpx.post(url + "/v1/completions", json={**ASKED, "stream": stream})
        assert "It went wrong." in shaped(answer, status)["message"]
        assert ("retry-after" in answer.headers) == (again == "after")
        assert (answer.headers.get("x-should-retry") == "false") == (again == "never")


def test_what_is_turned_away_at_the_door_is_so_too() -> None:
    full = OneEngine(Overloaded("One request of yours is waiting already.", field="requests",
                                retry_after=35))
    with serving(full) as url:
        with pytest.raises(openai.RateLimitError) as refused:
            client(url).completions.create(**ASKED)
        assert refused.value.code == "rate_limit_exceeded"
        assert refused.value.response.headers["retry-after"] == "35"


def test_a_mistake_of_ours_is_told_without_what_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with serving(OneEngine(RuntimeError("secret of the house"))) as url:
        answer = httpx.post(url + "/v1/completions", json=ASKED)
        assert "secret" not in shaped(answer, 500)["message"]
    # The log says where and of what kind; an error's words may quote a prompt.
    assert "RuntimeError" in caplog.text and "work.py" in caplog.text
    assert "secret" not in caplog.text


def test_a_failure_in_the_middle_of_a_stream_is_told_in_it() -> None:
    begun = words("Par", "is")[:-1]
    with serving(failing("WORKER_DIED", after=begun)) as url:
        stream = client(url).completions.create(**ASKED, stream=True)
        heard: list[str] = []
        with pytest.raises(openai.APIError, match="It went wrong"):
            heard += [part.choices[0].text for part in stream]
        assert heard == [] or heard == ["Par", "is"]
    with serving(failing("WORKER_DIED", after=begun)) as url:
        lines = httpx.post(url + "/v1/completions", json={**ASKED, "stream": True}).text
        *told, error, done = [line for line in lines.split("\n\n") if line]
        assert [json.loads(line[6:])["choices"][0]["text"] for line in told] == ["Par", "is"]
        assert json.loads(error[6:])["error"]["type"] == "server_error"
        assert done == "data: [DONE]"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_413(chunked: bool) -> None:
    body = json.dumps({**ASKED, "prompt": "x" * 1_000_000}).encode()
    with serving(FakeEngine()) as url:
        shaped(httpx.post(url + "/v1/completions", content=iter([body]) if chunked else body,
                          headers={"Content-Type": "application/json"}), 413)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_who_hangs_up_ends_its_run(stream: bool) -> None:
    endless = Endless()
    with serving(OneEngine(endless)) as url:
        caller = httpx.Client()
        asked = caller.build_request("POST", url + "/v1/completions",
                                     json={**ASKED, "stream": stream})
        if stream:
            answer = caller.send(asked, stream=True)
            assert next(answer.iter_lines()).startswith("data: {")
            answer.close()
        else:
            def ask() -> None:
                with pytest.raises(httpx.HTTPError):
                    caller.send(asked)

            waiting = threading.Thread(target=ask)
            waiting.start()
            assert endless.heard.wait(60)
            for one in caller._transport._pool.connections:  # type: ignore[attr-defined]
                one._connection._network_stream._sock.shutdown(2)
            waiting.join(60)
        assert endless.closed.wait(60)


def test_others_are_served_while_the_engine_keeps_one_waiting() -> None:
    """The engine's calls block: none of them may be made on the loop that serves everybody."""
    began, go = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def start(self, runs: Sequence[Run], visitor: str = "") -> FakeStream:
            began.set()
            assert go.wait(60)
            return super().start(runs)

    with serving(Slow(words("a"))) as url:
        told: list[int] = []
        asking = threading.Thread(target=lambda: told.append(
            httpx.post(url + "/v1/completions", json=ASKED, timeout=60).status_code))
        asking.start()
        assert began.wait(60)
        assert httpx.get(url + "/v1/models", timeout=60).status_code == 200
        go.set()
        asking.join(60)
        assert told == [200]


def test_a_closing_app_is_503() -> None:
    stopped = words("a", reason="stopped")
    with serving(FakeEngine(stopped)) as url:
        assert "closing" in shaped(httpx.post(url + "/v1/completions", json=ASKED), 503)["message"]


def test_the_first_chunk_of_a_chat_names_the_role() -> None:
    with serving(FakeEngine(words("Hi", reason="end"))) as url:
        first, *rest = client(url).chat.completions.create(**TALK, stream=True)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert all(part.choices[0].delta.role is None for part in rest)
    assert [part.choices[0].finish_reason for part in rest] == [None, "stop"]


def test_a_waiting_stream_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies cut a connection on which nothing is heard; a model may take minutes to load."""
    monkeypatch.setattr("playground.api.openai_routes.QUIET", 0.01)
    silent = Endless()
    silent.waiting.clear()
    with serving(OneEngine(silent)) as url:
        with httpx.stream("POST", url + "/v1/completions", json={**ASKED, "stream": True}) as told:
            assert told.status_code == 200
            assert next(told.iter_lines()) == ": still at work"


def test_half_a_character_has_bytes_in_its_log_probability() -> None:
    started, step, *_ = words("a")
    assert isinstance(step, Step) and isinstance(started, Started)
    half = Step(0, 9, "", "<0xE4><0xBD>", -1.0, 1, 0.4, 1.0, ())
    whole = Step(1, 10, "你", "<0xA0>", -1.0, 1, 0.4, 1.0, ())
    with serving(FakeEngine([started, half, whole, words("a", reason="end")[-1]])) as url:
        told = client(url).chat.completions.create(**TALK, logprobs=True).choices[0]
    assert told.message.content == "你"
    assert told.logprobs
    data = bytes(b for one in told.logprobs.content or () for b in one.bytes or ())
    assert data.decode() == "你"


def test_the_list_has_models_that_write_each_once() -> None:
    spec = ModelSpec("a/b")
    card = ModelCard(spec, "Llama", 1, 1, "float32", "cpu", 512, 100, True, "batch")
    engine = FakeEngine()
    engine.models = lambda: (  # type: ignore[method-assign]
        ModelStatus(spec, "ready", card), ModelStatus(ModelSpec("a/b", dtype="float16"), "ready"),
        ModelStatus(ModelSpec("c/d"), "absent"),
        ModelStatus(ModelSpec("c/d", adapter="e/f"), "busy"),
        ModelStatus(ModelSpec("google-bert/bert-base-uncased"), "ready"))
    with serving(engine) as url:
        assert [one.id for one in client(url).models.list()] == ["a/b", "c/d"]
        told = client(url).models.retrieve("a/b")
    assert told.model_extra == {"state": "ready", "max_model_len": 512}
