"""The Score tab in a real Chromium, with the real app and its real models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser


def _example(page: Page, text: str) -> None:
    page.locator("button.example:visible", has_text=text).click()


def test_a_text_is_scored_compared_and_opened(visit: Callable[..., Page]) -> None:
    page = visit()
    open_tab(page, "Score")
    _example(page, "One answer after two questions")
    first, second = (page.locator(".score-lanes .lane-column:visible").nth(n) for n in range(2))
    wrong = second.locator(".body .tok", has_text="France")
    expect(wrong).to_be_visible()
    tints = [lane.locator(".body .tok", has_text="France").evaluate(
        "(token) => getComputedStyle(token).backgroundColor") for lane in (first, second)]
    assert tints[0] != tints[1], "in the answer to the other question it is a surprise"
    told = second.locator(".surprises button").first
    expect(told).to_contain_text("France")
    told.click()
    panel = page.locator(".token-popover")
    expect(panel).to_be_visible()
    expect(panel.locator("li").first).to_contain_text("Italy")
    expect(panel.locator("li", has_text="France")).to_contain_text("in the text")
    expect(panel).not_to_contain_text("X-ray")  # nothing chose this token
    page.keyboard.press("Escape")
    expect(page.locator(".difference .verdict")).to_contain_text("Lane 1 is less surprised")


def test_a_contest_shows_a_winner_by_each_rule(visit: Callable[..., Page]) -> None:
    page = visit(width=390, dark=True)
    open_tab(page, "Score", "Contest")
    _example(page, "Capital of France")
    rows = page.locator("#contest-ranking tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("Paris")
    page.get_by_role("button", name="PMI").click()
    expect(rows.first.locator("td.by")).to_contain_text("best")
    rows.last.get_by_role("button").press("Enter")
    lane = page.locator(".token-stream:visible .title")
    expect(lane).to_have_text("a cat")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
