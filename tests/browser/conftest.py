"""The real app in a process of its own, and a real Chromium that tells what it complains of."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

# A busy machine is slow and not broken; a wait that is over at once costs nothing.
WAIT = 30_000
expect.set_options(timeout=WAIT)

ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic",
        "--disable-component-update", "--disable-sync", "--no-first-run")
START_SECONDS = 120


@dataclass(frozen=True)
class App:
    """The app as it runs for these tests."""

    url: str
    log: Path


@dataclass
class Watch:
    """What a page did that it must not do, and what it asked the network for."""

    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)


class _EmptyHub(BaseHTTPRequestHandler):
    """A Hub on this machine that holds no repository, so that no test depends on the network."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def empty_hub() -> Iterator[str]:
    """The address of a Hub without any repository."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def app(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory,
    empty_hub: str,
) -> Iterator[App]:
    """``python app.py`` as a person would start it, with a home and a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    if running := request.config.getoption("--app-url"):
        yield App(running.rstrip("/"), home / "app.log")
        return
    with started_app(root, home, empty_hub) as started:
        yield started


@contextmanager
def started_app(root: Path, home: Path, hub: str, *flags: str) -> Iterator[App]:
    """The app with these flags, for the time of a block; its log is without a traceback."""
    log = home / "app.log"
    url = f"http://127.0.0.1:{free_port()}"
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS")
            if name in os.environ}
    environ = {**kept, "HOME": str(home), "HF_ENDPOINT": hub, "PYTHONUNBUFFERED": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(root / "app.py"), "--port", str(urlsplit(url).port), *flags],
            cwd=home, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            # Where these tests run in the background, Ctrl+C is ignored, and by every child too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        _wait_for(url, process, log)
        yield App(url, log)
    finally:
        _end(process)
    assert "Traceback" not in log.read_text(), f"the app's log:\n{log.read_text()}"


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the app ended:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"no page after {START_SECONDS} s:\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl+C, as a person would end it; what is left of its group after that is killed."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pytest.fail("the app did not end within 15 s of Ctrl+C")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium (or another one on the PATH); in CI a missing browser is a failure."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        sentence = "There is no Chromium on the PATH, so nobody looked at the page."
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=ARGS)
        yield started
        started.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(app: App, browser: Browser) -> Iterator[Visit]:
    """Opens the page in a fresh profile: ``visit(width=390, dark=True)``.

    When the test ends, every console error, page error, dialog and request to another host fails
    it; a test that provokes one takes it out of ``page.watch.complaints``.
    """
    watches: list[Watch] = []
    contexts = []

    def open_page(width: int = 1280, height: int = 860, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=width < 600,
        )
        contexts.append(context)
        page = context.new_page()
        page.watch = _watch(page)
        watches.append(page.watch)
        page.set_default_timeout(WAIT)
        page.goto(app.url)
        page.locator("#header .chip.ready").first.wait_for(timeout=START_SECONDS * 1000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    for watch in watches:
        assert watch.complaints == []
        others = {url for url in watch.asked if urlsplit(url).netloc != urlsplit(app.url).netloc}
        assert not others, "the page asked another host"


def _watch(page: Page) -> Watch:
    watch = Watch()

    def complain(kind: str, what: object) -> None:
        watch.complaints.append(f"{kind}: {what}")

    def failed(asked: Request) -> None:
        if asked.failure == "csp":
            watch.asked.discard(asked.url)  # refused by the browser before it left
        elif asked.failure != "net::ERR_ABORTED":
            complain(str(asked.failure), asked.url)

    # Chromium's own line about a failed request does not name it; the response does.
    page.on("console", lambda said: said.type == "error"
            and not said.text.startswith("Failed to load resource")
            and complain("console", said.text))
    page.on("response", lambda answer: answer.status >= 400
            and complain(str(answer.status), answer.url))
    page.on("requestfailed", failed)
    page.on("pageerror", lambda error: complain("page error", error))
    page.on("dialog", lambda dialog: (complain("dialog", dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: asked.url.startswith("http") and watch.asked.add(asked.url))
    return watch


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page at 1280 × 860, with the default model ready."""
    return visit()


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """``shoot(page, "chat")`` keeps a picture when pytest runs with ``--screenshots DIR``."""
    folder = request.config.getoption("--screenshots")

    def keep(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep
