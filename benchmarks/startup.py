"""How long a newcomer waits, against what no app over these libraries could do without.

    python benchmarks/startup.py [rounds] [--drawn]

Two ratios, each pair measured in turn: from ``python app.py`` to a page that answers HTTP, against
``import gradio`` and the launch of an empty Blocks; and from ``python app.py``, and from the engine
alone, to the first token of the built-in model, against ``import torch, transformers``. Wall time
is what is waited for; CPU seconds of all processes say the same on a machine that others use too.

With ``--drawn`` the app is opened in Chromium (from Debian's package, through Playwright) instead,
and the stages are those that a reader sees.
"""

from __future__ import annotations

import json
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
STAGES = ("page answers", "page drawn", "model ready", "first token")
EMPTY = """
import sys, gradio
with gradio.Blocks() as page:
    pass
page.launch(server_port=int(sys.argv[1]), quiet=True)
"""
LIBRARIES = "import torch, transformers"
ALONE = """
from playground.core.decoding import Decoding
from playground.core.events import Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.flags import settings_from
if __name__ == "__main__":
    engine = Engine(settings_from([]))
    run = Run(ModelSpec("builtin/tiny-chat"), Raw("Once"), Decoding(max_new_tokens=1))
    assert any(isinstance(event, Step) for event in engine.run(run))
    engine.close()
"""
TOKENS = ("Once upon a time", "builtin/tiny-chat", "Raw text", False, "{}")


class Clock:
    """Wall and CPU seconds of a process and its children, from its start."""

    def __init__(self, *command: str) -> None:
        self._began = time.perf_counter()
        self.process = psutil.Popen([sys.executable, *command], cwd=ROOT,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def now(self) -> tuple[float, float]:
        """Seconds until now: wall, CPU."""
        wall, cpu = time.perf_counter() - self._began, 0.0
        for one in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.Error):  # it may end while we look
                times = one.cpu_times()
                cpu += times.user + times.system
        return wall, cpu

    def until_it_ends(self) -> tuple[float, float]:
        """Seconds until it has ended by itself."""
        wall = most = 0.0
        while self.process.poll() is None:
            wall, cpu = self.now()
            most = max(most, cpu)  # those that have ended are not counted any more
            time.sleep(0.02)
        assert self.process.returncode == 0, "it failed"
        return wall, most

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answer(url: str, is_over: Callable[[], bool]) -> None:
    while not is_over():
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit("The app ended before its page answered.")


def _first_token(url: str) -> None:
    """Ask for an answer as a program would, and read until its first token."""
    body = json.dumps({"data": TOKENS}).encode()
    asked = urllib.request.Request(f"{url}/gradio_api/call/tokens", body,
                                   {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as told:
        event = json.load(told)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/tokens/{event}") as lines:
        for line in lines:
            if line.startswith(b"data: [") and _tokens(json.loads(line[6:])):
                return
    raise SystemExit("There was no token.")


def _tokens(values: list[Any]) -> int:
    lanes = [json.loads(one) for one in values if isinstance(one, str) and one.startswith("{")]
    return max((one.get("n", 0) for one in lanes if isinstance(one.get("n"), int)), default=0)


def measured() -> dict[str, tuple[float, float]]:
    """One round: each figure's wall and CPU seconds."""
    told: dict[str, tuple[float, float]] = {}
    port = _port()
    clock = Clock("-c", EMPTY, str(port))
    _answer(f"http://127.0.0.1:{port}", lambda: clock.process.poll() is not None)
    told["empty Blocks answers"] = clock.now()
    clock.end()
    port = _port()
    with tempfile.TemporaryDirectory() as data:  # no measured run among the reader's own
        clock = Clock(str(APP), "--port", str(port), "--data", data)
        _answer(f"http://127.0.0.1:{port}", lambda: clock.process.poll() is not None)
        told["the page answers"] = clock.now()
        _first_token(f"http://127.0.0.1:{port}")
        told["the app's first token"] = clock.now()
        clock.end()
    told["torch, transformers imported"] = Clock("-c", LIBRARIES).until_it_ends()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "alone.py"
        script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{ALONE}")
        told["the engine's first token"] = Clock(str(script)).until_it_ends()
    return told


RATIOS = (
    ("the page answers", "empty Blocks answers"),
    ("the app's first token", "torch, transformers imported"),
    ("the engine's first token", "torch, transformers imported"),
)


def ratios(rounds: int) -> None:
    """Print medians, and the ratio of each pair round by round."""
    taken = [measured() for _ in range(rounds)]
    for name in taken[0]:
        wall, cpu = ([one[name][kind] for one in taken] for kind in (0, 1))
        print(f"{name:30} {statistics.median(wall):6.2f} s ({min(wall):.2f} to {max(wall):.2f}), "
              f"{statistics.median(cpu):5.2f} CPU s ({min(cpu):.2f} to {max(cpu):.2f})")
    for ours, theirs in RATIOS:
        wall, cpu = ([one[ours][kind] / one[theirs][kind] for one in taken] for kind in (0, 1))
        print(f"{ours} / {theirs}: {statistics.median(wall):.2f} ({min(wall):.2f} to "
              f"{max(wall):.2f}), CPU {statistics.median(cpu):.2f} ({min(cpu):.2f} to "
              f"{max(cpu):.2f})")


def drawn(rounds: int) -> None:
    """Print one line a stage."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"),
                                         args=("--no-sandbox", "--disable-gpu"))
        taken = [_drawn(browser) for _ in range(rounds)]
        browser.close()
    for stage in STAGES:
        seconds = [one[stage] for one in taken]
        print(f"{stage:13} {statistics.median(seconds):6.2f} s "
              f"(from {min(seconds):.2f} to {max(seconds):.2f})")


def _drawn(browser: Any) -> dict[str, float]:
    """Seconds from the start of the process to each stage."""
    port, page = _port(), browser.new_page()
    with tempfile.TemporaryDirectory() as data:
        clock = Clock(str(APP), "--port", str(port), "--data", data)
        seconds: dict[str, float] = {}
        try:
            url = f"http://127.0.0.1:{port}"
            _answer(url, lambda: clock.process.poll() is not None)
            seconds["page answers"] = clock.now()[0]
            page.goto(url)
            page.locator("h1").wait_for()
            seconds["page drawn"] = clock.now()[0]
            page.locator("#header .chip.ready").first.wait_for(timeout=120_000)
            seconds["model ready"] = clock.now()[0]
            page.get_by_role("tab", name="Tokens").click()
            page.locator(".example:visible").first.click()
            page.locator("[data-i]:visible").first.wait_for()
            seconds["first token"] = clock.now()[0]
        finally:
            page.close()
            clock.end()
    return seconds


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if word != "--drawn"]
    print(f"{platform.machine()}, Python {platform.python_version()}, load {psutil.getloadavg()}")
    (drawn if "--drawn" in sys.argv else ratios)(int(given[0]) if given else 3)
