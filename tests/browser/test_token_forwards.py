"""Beams, proposals and the KV cache in a real Chromium, from runs that were made up by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import free_port

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page, in a process of its own."""
    port = free_port()
    log = tmp_path_factory.mktemp("forwards") / "log"
    environ = {**os.environ, "PYTHONPATH": str(root), "PORT": str(port)}
    script = Path(__file__).with_name("forwards_app.py")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(script)], env=environ, stdout=out, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + 150
    try:
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5):
                    break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def page(url: str, browser: Browser) -> Iterator[Page]:
    """The page with all three runs."""
    context = browser.new_context(viewport={"width": 900, "height": 1400})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.locator("#slow .ts[data-state=finished]").wait_for()
    yield page
    context.close()
    assert errors == []


def words(nodes: Locator) -> list[str]:
    """The tokens of these nodes."""
    return [text.strip("·") for text in nodes.locator(".tok").all_inner_texts()]


def test_the_tree_leads_from_the_winner_back_to_the_prompt(page: Page) -> None:
    """Every child hangs on its parent, and the winner's way is the strong one."""
    tree = page.locator("#search .beam-tree")
    expect(tree.locator(".node")).to_have_count(9)
    assert words(tree.locator(".node.lead")) == ["a", "c", "."]
    assert words(tree.locator(".node.finished")) == [".", "."]
    assert words(tree.locator(".node.dropped")) == ["<i>"]
    last = tree.locator(".node.kept", has_text="e")
    last.focus()
    page.keyboard.press("ArrowLeft")
    assert words(tree.locator(".node:focus")) == ["d"]
    page.keyboard.press("ArrowLeft")
    assert words(tree.locator(".node:focus")) == ["b"]
    page.keyboard.press("ArrowDown")
    card = page.locator(".beam-card")
    expect(card.locator(".sum")).to_have_text("−1.620 = −1.620 ÷ 1 to the power of 1.0")
    expect(card.locator(".fate")).to_have_text(
        "Dropped: it lost by 0.12 nats to “b”, the last of the 2 that go on."
    )
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(page.locator("#search .beam-rule")).to_have_text(
        "The search ended at step 3: no open hypothesis can still win. The best open one stands "
        "at −0.82; the worst of the 2 that ended has −0.81."
    )


def test_steps_that_no_message_brought_are_fetched_and_only_those_in_sight_exist(
    page: Page,
) -> None:
    tree = page.locator("#long .beam-tree")
    expect(tree.locator(".beam-head").last).to_have_text("step 40")
    assert tree.locator(".node").count() < 30
    tree.evaluate("e => { e.scrollLeft = 0; }")
    expect(tree.locator(".beam-head").first).to_have_text("step 1")
    assert words(tree.locator(".node").first) == ["s1"]
    assert tree.locator(".node").count() < 30


def test_the_list_says_the_same_in_words(page: Page) -> None:
    lane = page.locator("#search")
    lane.get_by_role("button", name="List", exact=True).click()
    lane.get_by_role("button", name="The step before").click()
    expect(lane.locator(".beam-walk span")).to_have_text("step 2 of 3")
    row = lane.locator(".beam-table tr.finished")
    expect(row.locator(".so-far")).to_have_text(" b.")
    expect(row.locator(".figure")).to_have_text("−1.000 = −2.000 ÷ 2 to the power of 1.0")
    expect(row.locator(".fate")).to_have_text("Ended here: the model ended its turn.")
    lane.get_by_role("button", name="Tree", exact=True).click()


def test_another_length_penalty_ranks_what_is_stored_anew(page: Page) -> None:
    """At 1.0: −2.3 ÷ 3 is −0.767, −2.4 ÷ 3 is −0.800, −2.0 ÷ 2 and −3.0 ÷ 3 are −1.000. At 0 the
    totals themselves are compared, and the shortest wins."""
    lane = page.locator("#search")
    ranking = lane.locator(".beam-ranking")
    ranking.locator("summary").click()
    scores = ranking.locator("li b")
    expect(scores).to_have_text(["−0.767", "−0.800", "−1.000", "−1.000"])
    ranking.get_by_role("slider").fill("0")
    expect(scores).to_have_text(["−2.000", "−2.300", "−2.400", "−3.000"])
    expect(ranking.locator("li").first).to_contain_text("÷ 2 to the power of 0.0 b.would win")
    expect(ranking.locator("li", has_text="won").locator("b")).to_have_text("−2.400")
    ranking.get_by_role("button", name="Back to the run’s own").click()
    expect(scores.first).to_have_text("−0.767")


def test_greedy_is_laid_over_and_compared(page: Page) -> None:
    """The search's −2.40 against greedy's −1.0 − 0.75 − 1.5 = −3.25: 0.85 nats ahead."""
    lane = page.locator("#search")
    lane.get_by_label("Lay greedy over").check()
    expect(lane.locator(".beam-verdict")).to_have_text(
        "The search left greedy at step 2, with ·c where greedy took ·x, and ended 0.85 nats "
        "ahead: −2.40 over 3 tokens against −3.25 over 3 tokens."
    )
    assert words(lane.locator(".node.greedy")) == ["a"]
    assert words(lane.locator(".greedy-token")) == ["x", "."]


def test_proposals_are_accepted_and_struck(page: Page) -> None:
    lane = page.locator("#lookup")
    expect(lane.locator(".proposed summary")).to_have_text(
        "Proposed tokens · 1 of 3 accepted (33 %) · 1.50 tokens a forward"
    )
    forward = lane.locator(".forward")
    expect(forward.locator(".accepted .tok")).to_have_text("·the")
    expect(forward.locator("s.tok")).to_have_text("·hill")
    expect(forward.locator(".own .tok")).to_have_text("·sea")
    expect(forward.locator(".unread .tok")).to_have_text("·top")
    body = lane.locator(".body")
    expect(body.locator(".tok.accepted")).to_have_text("·the✓")
    expect(body.locator(".instead s")).to_have_text(["·hill", "·top"])


def test_tokens_of_one_forward_are_one_point_in_time(page: Page) -> None:
    """Where tokens are proposed a step is a forward; each token once had a point of its own."""
    cache = page.locator("#lookup .cache")
    expect(cache.locator("summary")).to_contain_text("Time per forward · 20.0 ms")
    cache.locator("summary").click()
    expect(cache.locator(".feet span")).to_have_text(["forward 2", "forward 2"])
    expect(cache).to_contain_text("Too few forwards yet")


def test_the_cache_is_told_in_times_and_bytes(page: Page) -> None:
    """Medians of the first and the last five of twenty steps: 10 ms and 30 ms."""
    cache = page.locator("#slow .cache")
    expect(cache.locator("summary")).to_contain_text("Time per step")
    cache.locator("summary").click()
    expect(cache).to_contain_text("10.0 ms a step at first, 30.0 ms at the end.")
    expect(cache).to_contain_text(
        "1 of 2 prompt tokens came from the cache of another run; 1 had to be read."
    )
    expect(cache).to_contain_text("Measured at the end: 4.1 kB.")
    assert cache.locator("path.line").get_attribute("d").count("L") == 19
