"""The app as strangers find it behind a share link, over HTTP: what it refuses, what it says."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import networking

import app
from playground.core.events import Event
from playground.core.run import ModelSpec, Run
from playground.core.visitor import Visitor
from playground.core.vocabulary import VocabularyPage
from playground.engine.engine import Engine
from playground.engine.entry import ModelStatus
from playground.engine.waiting import Patience
from playground.environment import hub_token
from playground.flags import settings_from
from playground.settings import Settings
from playground.ui.header import shared_note
from playground.ui.page import build_page, launch_options
from tests.fake_engine import FakeEngine, FakeStream, words

PASSWORD = "open-sesame-5"
ENVIRONMENT = {"PLAYGROUND_PASSWORD": PASSWORD}


class SlowEngine(FakeEngine):
    """Its runs begin, and say nothing until the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.visitors: list[Visitor] = []

    def start(self, runs: Sequence[Run], visitor: Visitor = Visitor()) -> FakeStream:  # type: ignore[override]
        """Begin."""
        self.visitors.append(visitor)
        return _SlowStream([words("a") for _ in runs], self.gate)


    def models(self) -> tuple[ModelStatus, ...]:
        """One is ready."""
        return (ModelStatus(ModelSpec("builtin/tiny-chat"), "ready"),)

    def inspect(self, spec: ModelSpec, request: Any, visitor: Visitor) -> VocabularyPage:
        """It finds nothing."""
        self.visitors.append(visitor)
        return VocabularyPage(spec, size=0, matching=0, start=0, rows=(), scripts=(), kinds=())


class WarmEngine(FakeEngine):
    """One whose models need no loading."""

    def warm(self, spec: ModelSpec) -> None:
        """They are there."""


class _SlowStream(FakeStream):
    def __init__(self, scripts: Sequence[Sequence[Event]], gate: threading.Event) -> None:
        super().__init__(scripts)
        self._gate = gate

    def read(self, wait: float = 0.0) -> list[tuple[int, Event]]:
        """Nothing before the gate is open."""
        return super().read() if self._gate.wait(wait) else []


@dataclass
class Served:
    """A page that is served, and a client that has logged in."""

    page: gr.Blocks
    engine: Any
    settings: Settings
    url: str
    client: httpx.Client

    def call(self, api: str, *data: Any, client: httpx.Client | None = None) -> httpx.Response:
        """Ask for a named endpoint, as curl would."""
        return (client or self.client).post(f"/gradio_api/call/{api}", json={"data": list(data)})

    def answer(self, api: str, *data: Any) -> str:
        """What comes of that in the end."""
        event = self.call(api, *data).json()["event_id"]
        return self.client.get(f"/gradio_api/call/{api}/{event}", timeout=30).text


def serve(engine: Any) -> Iterator[Served]:
    settings = replace(settings_from(["--share"], ENVIRONMENT), port=0)
    page = build_page(engine, settings)
    # The tunnel is on the internet; whatever it brings comes to this door.
    page.launch(**{**launch_options(settings), "share": False, "server_port": None},
                prevent_thread_lock=True)
    url = page.local_url.rstrip("/")
    client = httpx.Client(base_url=url)
    client.get("/")
    client.post("/login", data={"username": "guest", "password": PASSWORD})
    try:
        yield Served(page, engine, settings, url, client)
    finally:
        client.close()
        page.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    """A page over the real engine, in which nothing is loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_canary")
        engine = Engine(settings_from(["--share"], ENVIRONMENT), Patience())
        yield from serve(engine)
        engine.close()


@pytest.fixture()
def slow() -> Iterator[Served]:
    engine = SlowEngine()
    yield from serve(engine)
    engine.gate.set()


# What a share link opens


def test_a_share_link_is_opened_with_a_password_and_for_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """Gradio's share server is on the internet: a stand-in tells what its tunnel was given. The
    page that it leads to was blank: its scripts came from another host, which the Guard forbids.
    Without Gradio's page for share links, Gradio's robots.txt let search engines in."""
    asked: list[dict[str, Any]] = []

    def tunnel(**given: Any) -> str:
        asked.append(given)
        return "http://stand-in.gradio.live"

    def visit(page: gr.Blocks) -> None:
        served.append(httpx.get(page.local_url).text)
        served.append(httpx.get(f"{page.local_url}robots.txt").text)
        page.close()

    served: list[str] = []
    monkeypatch.setattr(networking, "setup_tunnel", tunnel)
    monkeypatch.setattr(gr.Blocks, "block_thread", visit)
    monkeypatch.setattr(app, "build", lambda settings: (engine, build_page(engine, settings)))
    engine = WarmEngine()
    assert app.main(["--share", "--port", "7893"]) == 0
    told = capsys.readouterr().out
    assert [one["local_host"] for one in asked] == ["127.0.0.1"]
    assert "https://stand-in.gradio.live" in told
    assert re.findall(r'(?:src|href)="(https?://[^"]+)"', served[0]) == []
    assert "Disallow: /" in served[1].split("\n"), "a share link is in no search engine"
    assert re.search(r"user name guest and the password [\w-]{12}\.", told)


def test_without_its_server_there_is_no_share_link_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    def tunnel(**given: Any) -> str:
        raise RuntimeError("Could not get share link from Gradio API Server.")

    monkeypatch.setattr(networking, "setup_tunnel", tunnel)
    monkeypatch.setattr(gr.Blocks, "block_thread", lambda page: page.close())
    monkeypatch.setattr(app, "build", lambda settings: (engine, build_page(engine, settings)))
    engine = WarmEngine()
    app.main(["--share", "--port", "7894"])
    assert "There is no share link" in capsys.readouterr().err


def test_launching_in_public_switches_off_what_nobody_needs() -> None:
    options = launch_options(settings_from(["--share"], ENVIRONMENT))
    off = ("run_history", "enable_monitoring", "mcp_server", "show_error", "pwa", "ssr_mode")
    assert {name: options[name] for name in off} == dict.fromkeys(off, False)
    assert (options["share"], options["server_name"]) == (True, "127.0.0.1")
    assert options["auth"] == ("guest", PASSWORD)
    assert (options["allowed_paths"], options["max_file_size"]) == ([], "1mb")
    assert options["state_session_capacity"] == 500
    assert options["app_kwargs"]["max_body_size"] == 1_000_000
    assert [options["app_kwargs"][name] for name in ("docs_url", "redoc_url", "openapi_url")] == [
        None, None, None]


# What it refuses


def test_nothing_is_told_before_the_password(shared: Served) -> None:
    with httpx.Client(base_url=shared.url) as stranger:
        for path in ("/config", "/gradio_api/info", "/gradio_api/file=app.py",
                     "/gradio_api/queue/data?session_hash=x"):
            assert stranger.get(path).status_code == 401, path
        for path in ("queue/join", "call/tokens", "run/tokens", "upload"):
            assert stranger.post(f"/gradio_api/{path}", json={"data": []}).status_code in (401, 422)
        assert shared.call("tokens", "Hi", client=stranger).status_code == 401
        assert "components" not in stranger.get("/").text.replace('"components":[]', "")
        wrong = stranger.post("/login", data={"username": "guest", "password": "guess"})
        assert wrong.status_code == 400


def test_no_event_runs_past_the_queue(shared: Served) -> None:
    """Each of them, so that a new one cannot be forgotten: its limits are those of the queue."""
    config = shared.client.get("/config").json()
    names = [event["api_name"] for event in config["dependencies"] if event["queue"] is not False]
    assert len(names) > 10
    for name in {name for name in names if isinstance(name, str)}:
        answer = shared.client.post(f"/gradio_api/run/{name}", json={"data": []})
        assert answer.status_code == 404, name


@pytest.mark.parametrize("path", [
    "/etc/passwd", "app.py", "./app.py", "../app.py", "playground/../app.py", "%2e%2e/app.py",
    "//etc/passwd", "/proc/self/environ", ".env", "spaces.yaml", "/root/.cache/huggingface/token",
    "records.sqlite3", "http://127.0.0.1:80/", "http://169.254.169.254/latest/meta-data/",
])
def test_no_file_and_no_other_host_is_read(shared: Served, path: str) -> None:
    for route in ("file=", "file/", "proxy="):
        answer = shared.client.get(f"/gradio_api/{route}{path}")
        assert answer.status_code in (400, 403, 404), (route, answer.text[:80])


@pytest.mark.parametrize(("path", "status"), [
    ("/gradio_api/deep_link?session_hash=a", 404), ("/gradio_api/run-history/records", 404),
    ("/gradio_api/runs", 404), ("/monitoring", 403), ("/monitoring/summary", 403), ("/docs", 404),
    ("/redoc", 404), ("/openapi.json", 404), ("/gradio_api/mcp/sse", 404),
    ("/gradio_api/vibe-code", 404), ("/gradio_api/profiling/summary", 404),
])
def test_what_nobody_needs_is_off(shared: Served, path: str, status: int) -> None:
    assert shared.client.get(path).status_code == status


def test_a_request_is_bounded_in_size(shared: Served) -> None:
    big = "x" * 1_100_000
    assert shared.call("tokens", big).status_code == 413
    sent = shared.client.post("/gradio_api/upload", files={"files": ("a.json", big.encode())})
    assert sent.status_code == 413


def test_another_sites_page_sends_nothing_here(shared: Served) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"},
                    {"Origin": "null"}):
        for path in ("queue/join", "call/tokens", "cancel", "upload"):
            sent = shared.client.post(f"/gradio_api/{path}", json={}, headers=headers)
            assert sent.status_code == 403


def test_no_secret_is_told(shared: Served) -> None:
    assert hub_token() == "hf_canary"
    for path in ("/", "/config", "/gradio_api/info"):
        told = shared.client.get(path).text
        assert "hf_canary" not in told and PASSWORD not in told


@pytest.mark.parametrize("model", ["/etc", "../x", "./models", "owner/private", "~"])
def test_only_offered_models_run_whatever_the_browser_asks_for(shared: Served, model: str) -> None:
    """The same answer for a folder that is there and for one that is not; no picker is asked, for a
    lane's settings are a text that a browser writes."""
    lane = json.dumps({"model": model, "template": "Raw text"})
    told = shared.answer("complete", "Once", 1, *["", lane] * 8)
    assert "offers a fixed list of models" in told


def test_a_request_that_asks_for_too_much_is_told_the_sum(shared: Served) -> None:
    """8 columns × 4 beams × 512 tokens are each allowed, and 16,384 together are not 8,192."""
    lane = json.dumps({"model": "builtin/tiny-base", "preset": "Beam search", "num_beams": 4,
                       "max_new_tokens": 512, "template": "Raw text"})
    told = shared.answer("complete", "Once", 8, *["", lane] * 8)
    lanes = json.loads(told.rpartition("data: ")[2])[3:11]
    problems = [json.loads(one)["problem"] for one in lanes]
    assert len(set(problems)) == 1
    assert "8 columns × 4 beams × 512 tokens = 16,384 tokens; here one" in problems[0]


# Whose share


def test_a_fresh_session_is_no_fresh_visitor(slow: Served) -> None:
    """Each call of an API is a session of its own; the cookie and the door are the same."""
    for _ in range(3):
        slow.call("tokens", "Hi", "builtin/tiny-base", "Raw text", False, "{}")
    with httpx.Client(base_url=slow.url) as other:
        other.get("/")
        other.post("/login", data={"username": "guest", "password": PASSWORD})
        headers = {"X-Forwarded-For": "203.0.113.7"}
        other.headers.update(headers)
        slow.call("tokens", "Hi", "builtin/tiny-base", "Raw text", False, "{}", client=other)
        eventually(lambda: len(slow.engine.visitors) == 4)
    first, second, third, fourth = slow.engine.visitors
    assert first == second == third != fourth
    assert {one.address for one in slow.engine.visitors} == {""}


def test_a_table_that_asks_for_rows_takes_its_visitors_share(slow: Served) -> None:
    """All pages had eight questions at once together, and one could keep all of them."""
    table = next(number for number, one in slow.page.blocks.items()
                 if hasattr(one, "vocabulary_rows"))
    asked = {"component_id": table, "fn_name": "vocabulary_rows", "session_hash": "s",
             "data": {"model": "builtin/tiny-chat", "query": {}}}
    told = slow.client.post("/gradio_api/component_server", json=asked)
    assert json.loads(told.json()) == {"matching": 0, "start": 0, "rows": []}, told.text
    slow.call("tokens", "Hi", "builtin/tiny-base", "Raw text", False, "{}")
    eventually(lambda: len(slow.engine.visitors) == 2)
    assert len(set(slow.engine.visitors)) == 1


def test_what_is_quick_does_not_wait_behind_what_runs(slow: Served) -> None:
    """As many requests as may run and wait at once, each with a handler that waits for its model:
    with Gradio's own 40 threads the rest of them was not even begun, and nothing else either."""
    limits = slow.settings.limits
    many = limits.running + limits.waiting
    for _ in range(many):
        slow.call("tokens", "Hi", "builtin/tiny-base", "Raw text", False, "{}")
    eventually(lambda: len(slow.engine.visitors) == many)
    config = slow.client.get("/config").json()
    quick = [event for event in config["dependencies"] if event["queue"] is False
             and not event["inputs"] and event["backend_fn"] and event["outputs"]]
    assert len(quick) > 5
    for event in quick[:5]:
        asked = {"fn_index": event["id"], "data": [], "session_hash": "quick"}
        answer = slow.client.post("/gradio_api/run/predict", json=asked, timeout=10)
        assert answer.status_code == 200, answer.text
    assert not slow.engine.gate.is_set()


# What it tells


@pytest.mark.parametrize(("argv", "environ", "words"), [
    (["--share"], {}, ("who has this link and its password", "Gradio")),
    (["--share", "--public"], {}, ("who has this link.", "Gradio")),
    (["--host", "0.0.0.0", "--public"], {}, ("on this network", "runs this machine")),
    ([], {"SPACE_ID": "a/b"}, ("on this page", "runs this Space")),
])
def test_the_page_says_who_sees_what(
    argv: list[str], environ: dict[str, str], words: tuple[str, ...]
) -> None:
    note = shared_note(settings_from(argv, environ))
    assert "not your prompts or answers" in note
    assert [word for word in words if word not in note] == []


def test_alone_there_is_nothing_to_say() -> None:
    assert shared_note(Settings()) == ""


def eventually(true: Any) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
