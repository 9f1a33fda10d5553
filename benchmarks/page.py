"""What the page costs in a real Chromium: paint, bytes on the wire, main thread, and a branch.

    python -m benchmarks.page [MEASURE ...] [--tokens N] [--rate R] [--lanes L]

The real page and its server stand over an engine that plays a recorded run of the built-in base
model, so that what is measured is the page: ``rate`` tokens a second in each lane, whatever else
the machine does. ``branch`` has the real engine.

    stream    tokens painted a second in all lanes against those told; main-thread time per token
    wire      bytes that reach the browser per token, early and late in a long run
    branch    from the click on a candidate to the first new token of the branch
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from playground.core.decoding import Decoding
from playground.core.events import Event, Finished, Started, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.engine.stream import Column, Stream
from playground.settings import Settings
from playground.ui.page import build_page, launch_options

MODEL = ModelSpec("builtin/tiny-base")
PROMPT = "Once upon a time"
RECORDED = 300
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

# Notes how many tokens the lanes have on the screen after each frame that painted some.
WATCH = """
() => {
  window.painted = [];
  const look = () => {
    const count = document.querySelectorAll('.lane-column [data-i]').length;
    const last = window.painted.at(-1);
    if (!last || last[1] !== count) window.painted.push([performance.now() / 1000, count]);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""
OVER = """
(lanes) => document.querySelectorAll('.lane-column .ts[data-state=finished]').length >= lanes
"""


class Playback(Engine):
    """The real engine, but for what it says: a recorded run, over and over, at a steady rate."""

    def __init__(self, settings: Settings, tokens: int, rate: float) -> None:
        super().__init__(settings)
        self.tokens, self.rate = tokens, rate
        self.told_in = 0.0
        decoding = Decoding(max_new_tokens=RECORDED, min_new_tokens=RECORDED, do_sample=True)
        self._recorded: list[Event] = list(self.run(Run(MODEL, Raw(PROMPT), decoding)))
        self._plays = True

    def start(self, runs: Sequence[Run], visitor: str = "") -> Stream:
        """Begin runs that only say what was recorded."""
        if not getattr(self, "_plays", False):
            return super().start(runs, visitor)
        stream = Stream(runs, visitor)
        threading.Thread(target=self._play, args=(stream.columns,), daemon=True).start()
        return stream

    def _play(self, columns: Sequence[Column]) -> None:
        """One token in every lane each 1 / rate seconds, by the clock."""
        started = next(event for event in self._recorded if isinstance(event, Started))
        steps = [event for event in self._recorded if isinstance(event, Step)]
        for column in columns:
            column.tell(started)
        began = time.perf_counter()
        for number in range(self.tokens):
            time.sleep(max(0.0, began + number / self.rate - time.perf_counter()))
            step = replace(steps[number % len(steps)], position=number)
            for column in columns:
                column.tell(step)
        self.told_in = time.perf_counter() - began
        for column in columns:
            column.tell(Finished("length", "", 3, self.tokens, 0.1, self.told_in))


@contextmanager
def served(engine: Engine, settings: Settings) -> Iterator[str]:
    """The page over this engine, on a port of its own."""
    page = build_page(engine, settings)
    page.launch(**launch_options(settings), prevent_thread_lock=True)
    try:
        yield f"http://{settings.host}:{settings.port}"
    finally:
        page.close()
        engine.close()


def settings_now() -> Settings:
    """Local settings with a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return replace(Settings(), port=probe.getsockname()[1])


def opened(browser: Browser, url: str, lanes: int) -> Page:
    """The Complete tab with so many lanes."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(url)
    page.locator("h1").wait_for()
    page.get_by_role("tab", name="Complete").click()
    for _ in range(lanes - 2):
        page.get_by_role("button", name="Add lane").click()
        page.wait_for_timeout(500)
    page.get_by_label("Text for every lane").fill(PROMPT)
    return page


def stream(browser: Browser, tokens: int, rate: float, lanes: int) -> None:
    """Painted against told, and the work of the main thread."""
    settings = settings_now()
    engine = Playback(settings, tokens, rate)
    with served(engine, settings) as url:
        for view in ("Text", "Tokens"):
            page = opened(browser, url, lanes)
            page.locator(".lane-column:visible").first.get_by_role("button", name=view).click()
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable")
            page.evaluate(WATCH)
            before = _metrics(devtools)
            page.get_by_role("button", name="Run").locator("visible=true").first.click()
            page.wait_for_function(OVER, arg=lanes, timeout=600_000)
            page.wait_for_timeout(1000)
            after = _metrics(devtools)
            seen = page.evaluate("window.painted")
            page.close()
            seen = [point for point in seen if point[1] > 0]
            # Of the tokens that are painted at all: running text has none for half a character.
            share = engine.told_in / (seen[-1][0] - seen[0][0])
            told = lanes * tokens / engine.told_in
            busy = 1000 * (after["TaskDuration"] - before["TaskDuration"]) / (lanes * tokens)
            print(f"{view:8} told {told:6.1f}/s  painted at {share:5.3f} of that speed  "
                  f"main thread {busy:5.2f} ms a token")


def wire(browser: Browser, tokens: int, rate: float) -> None:
    """Bytes of the event stream per token of one lane, in portions of a tenth of the run."""
    settings = settings_now()
    engine = Playback(settings, tokens, rate)
    with served(engine, settings) as url:
        page = opened(browser, url, 2)
        page.get_by_role("button", name="Remove lane").click()
        page.wait_for_timeout(500)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Network.enable")
        came: list[tuple[float, int]] = []
        devtools.on(
            "Network.dataReceived", lambda e: came.append((e["timestamp"], e["dataLength"]))
        )
        page.get_by_role("button", name="Run").locator("visible=true").first.click()
        page.wait_for_function(OVER, arg=1, timeout=600_000)
        page.wait_for_timeout(1000)
        page.close()
    first, last = came[0][0], came[-1][0]
    tenth = (last - first) / 10
    each = [
        sum(size for when, size in came if first + n * tenth <= when < first + (n + 1) * tenth)
        / (tokens / 10)
        for n in range(10)
    ]
    print("bytes a token, by tenths of the run: " + "  ".join(f"{one:.0f}" for one in each))


def branch(browser: Browser, rounds: int = 5) -> None:
    """Milliseconds from the click on a candidate to the branch's first new token on the screen."""
    settings = settings_now()
    engine = Engine(settings)
    with served(engine, settings) as url:
        for _ in engine.load(MODEL):
            pass
        *_, done = engine.run(Run(MODEL, Raw(PROMPT), Decoding(max_new_tokens=40)))
        assert isinstance(done, Finished)
        step = done.decode_seconds / done.new_tokens
        taken = [_one_branch(browser, url) for _ in range(rounds)]
    taken.sort()
    print(f"branch: first new token after {statistics.median(taken):.0f} ms "
          f"({taken[0]:.0f} to {taken[-1]:.0f}), a step takes {1000 * step:.1f} ms")


def _one_branch(browser: Browser, url: str) -> float:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.goto(url)
    page.get_by_role("tab", name="Tokens").click()
    page.locator(".example:visible").nth(1).click()
    lane = page.locator(".ts:visible").first
    lane.locator("[data-i='20']").wait_for()
    page.wait_for_timeout(1500)
    lane.locator("[data-i='10']").click()
    page.evaluate(
        """() => {
          const lanes = () => [...document.querySelectorAll('.ts')].filter((l) => l.offsetParent);
          const before = lanes().map((l) => [l, l.querySelectorAll('[data-i]').length]);
          window.branched = new Promise((done) => {
            addEventListener('click', () => {
              const began = performance.now();
              const look = () => {
                const grown = lanes().find((l) => {
                  const known = before.find(([other]) => other === l)?.[1] ?? 0;
                  return l.querySelectorAll('[data-i]').length !== known
                    && l.querySelector("[data-i='11']") && known === 0;
                });
                if (grown) done(performance.now() - began); else requestAnimationFrame(look);
              };
              requestAnimationFrame(look);
            }, { once: true, capture: true });
          });
        }"""
    )
    page.locator("#token-popover [data-candidate]:not([disabled])").nth(1).click()
    took = page.evaluate("window.branched")
    page.close()
    return float(took)


def _metrics(devtools: Any) -> dict[str, float]:
    found = devtools.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}


def main() -> None:
    """Print a line a measure, as benchmarks/LOG.md keeps them."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("measure", nargs="*", default=[], metavar="MEASURE")
    asked.add_argument("--tokens", type=int, default=600)
    asked.add_argument("--rate", type=float, default=100.0)
    asked.add_argument("--lanes", type=int, default=4)
    given = asked.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        for measure in given.measure or ("stream", "wire", "branch"):
            if measure == "stream":
                stream(browser, given.tokens, given.rate, given.lanes)
            elif measure == "wire":
                wire(browser, max(given.tokens, 4000), given.rate)
            else:
                branch(browser)
        browser.close()


if __name__ == "__main__":
    main()
