"""How long a shared link takes to open: from the drawn page to the recipe in it.

    python -m benchmarks.link [rounds]

Starts the real app once, and opens the link of a chat whose answer has 512 tokens in a fresh
profile of Chromium each round. The page itself says when it was drawn and when the recipe's
prompt, facts and answer could be read, by its own clock.
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
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from playground.core.prompt import Chat, Message
from playground.core.recipe import Experiment
from playground.core.recipe_link import link_of
from playground.core.run import Run
from tests.test_core_recipe import RECIPE, SPEC
from tests.test_core_recipe_link import answered, english

APP = Path(__file__).resolve().parent.parent / "app.py"
STAGES = ("page drawn", "recipe shown", "between")
# Looked at in every frame: the tabs, then the sheet's prompt and the last of the answer's tokens.
WATCH = """
window.seen = {};
const seen = (name, found) => {
  if (!(name in window.seen) && found) window.seen[name] = performance.now();
};
const look = () => {
  seen('drawn', document.querySelector('[role=tab]')?.offsetParent);
  seen('shown', document.querySelector('.recipe-sheet .recipe-prompt')?.offsetParent
    && [...document.querySelectorAll('.recipe-open .running')].some(
      (one) => one.textContent.length > 1000));
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def long_chat() -> str:
    """The end of a link to a chat of 512 tokens."""
    chat = Run(SPEC, Chat((Message("user", "Tell me about the river."),)), RECIPE.run.decoding, 7)
    recipe = replace(answered(english(512)), run=chat, prompt_ids=tuple(range(9, 29)))
    return link_of(Experiment((recipe,)))


def one_round(browser: Browser, url: str) -> dict[str, float]:
    """Seconds from the start of the navigation, and between its two ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.seen?.shown", timeout=120_000)
    seen = page.evaluate("window.seen")
    context.close()
    drawn, shown = seen["drawn"] / 1000, seen["shown"] / 1000
    return {"page drawn": drawn, "recipe shown": shown, "between": shown - drawn}


def _answer(url: str, app: subprocess.Popen[bytes]) -> None:
    while app.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("The app ended before its page answered.")


def main(rounds: int) -> None:
    """Print one line a stage, as benchmarks/LOG.md keeps them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, link = f"http://127.0.0.1:{port}", long_chat()
    with tempfile.TemporaryDirectory() as data:
        app = subprocess.Popen([sys.executable, APP, "--port", str(port), "--data", data],
                               stdout=subprocess.DEVNULL)
        try:
            _answer(url, app)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=shutil.which("chromium"),
                                                 args=("--no-sandbox", "--disable-gpu"))
                one_round(browser, f"{url}/#recipe={link}")  # the server's first page is slower
                taken = [one_round(browser, f"{url}/#recipe={link}") for _ in range(rounds)]
                browser.close()
        finally:
            app.terminate()
            app.wait()
    print(f"{platform.machine()}, Python {platform.python_version()}, {rounds} rounds, "
          f"a link of {len(link):,} characters")
    for stage in STAGES:
        seconds = [one[stage] for one in taken]
        print(f"{stage:13} {statistics.median(seconds):6.2f} s "
              f"(from {min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
