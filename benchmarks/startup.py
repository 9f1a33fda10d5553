"""How long a newcomer waits: from ``python app.py`` to the page, to the model, to the first token.

    python benchmarks/startup.py [rounds]

Starts the real app in a process of its own, opens it in Chromium (from Debian's package, through
Playwright), runs one greedy completion in the Tokens tab, and prints the median of the rounds.
"""

from __future__ import annotations

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
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

APP = Path(__file__).resolve().parent.parent / "app.py"
STAGES = ("page answers", "page drawn", "model ready", "first token")


def one_round(browser: Browser) -> dict[str, float]:
    """Seconds from the start of the process to each stage."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = browser.new_page()
    data = tempfile.TemporaryDirectory()  # so that no measured run is kept among the reader's own
    began = time.perf_counter()
    app = subprocess.Popen([sys.executable, APP, "--port", str(port), "--data", data.name],
                           stdout=subprocess.DEVNULL)
    seconds: dict[str, float] = {}

    def reached(stage: str) -> None:
        seconds[stage] = time.perf_counter() - began

    try:
        url = f"http://127.0.0.1:{port}"
        _answer(url, app)
        reached("page answers")
        page.goto(url)
        page.locator("h1").wait_for()
        reached("page drawn")
        page.locator("#header .chip.ready").first.wait_for(timeout=120_000)
        reached("model ready")
        page.get_by_role("tab", name="Tokens").click()
        page.locator(".example:visible").first.click()
        page.locator("[data-i]:visible").first.wait_for()
        reached("first token")
    finally:
        page.close()
        app.terminate()
        app.wait()
        data.cleanup()
    return seconds


def _answer(url: str, app: subprocess.Popen[bytes]) -> None:
    while app.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise SystemExit("The app ended before its page answered.")


def main(rounds: int) -> None:
    """Print one line a stage, as benchmarks/LOG.md keeps them."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"),
                                         args=("--no-sandbox", "--disable-gpu"))
        taken = [one_round(browser) for _ in range(rounds)]
        browser.close()
    print(f"{platform.machine()}, Python {platform.python_version()}, {rounds} rounds")
    for stage in STAGES:
        seconds = [one[stage] for one in taken]
        print(f"{stage:13} {statistics.median(seconds):6.2f} s "
              f"(from {min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
