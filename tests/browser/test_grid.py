"""The Grid tab in a real Chromium, with the real app and its real models."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.cut_stream import forget_cut_stream
from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser


def _open(page: Page) -> None:
    open_tab(page, "Grid")
    expect(page.locator("#grid-board .grid-board > .hint")).to_be_attached()


def _example(page: Page, text: str) -> None:
    page.locator("button.example:visible", has_text=text).click()


def _over(page: Page, words: str) -> None:
    expect(page.locator(".grid-board .status")).to_contain_text(words, timeout=120_000)
    expect(page.locator("#grid-run")).to_be_visible()


def test_a_grid_is_planned_run_left_found_again_sorted_compared_and_saved(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit()
    page.evaluate("""localStorage.setItem('playground:presets',
        JSON.stringify({Mild: {preset: 'Top-p', temperature: 0.7}}))""")
    _open(page)
    shoot(page, "grid-empty")
    page.get_by_label("Strategies", exact=True).click()
    expect(page.get_by_role("option", name="Mine: Mild")).to_be_attached()
    page.keyboard.press("Escape")
    boxes = page.locator(".grid-texts textarea:visible")
    boxes.nth(0).fill("The capital of {country} is")
    boxes.nth(1).fill("country\nFrance\nItaly")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator(".grid-board .plan li").first).to_have_text("2 cells: 2 prompts.")
    expect(page.locator(".grid-board .cell[data-state=planned]")).to_have_count(2)
    shoot(page, "grid-planned")

    _example(page, "24 cells")
    expect(page.locator(".grid-board .cell")).to_have_count(24)
    page.reload()  # a closed page: the grid goes on without it
    page.locator("#header .chip.ready").first.wait_for()
    forget_cut_stream(page)
    _open(page)
    _over(page, "24 of 24 done")
    expect(page.locator(".grid-texts textarea:visible").first).to_have_value(
        "Once upon a time\n\nRoses are red,")
    shoot(page, "grid-done")

    page.locator(".grid-board .choice.view select").select_option("list")
    page.locator(".grid-board .sorts", has_text="Perplexity").click()
    told = page.locator(".grid-board tbody tr td.number:nth-last-child(4)").all_inner_texts()
    figures = [float(one.replace(",", "")) for one in told]
    assert len(figures) == 24 and figures == sorted(figures)
    page.locator(".grid-board .filter").fill("roses")
    expect(page.locator(".grid-board .cell")).to_have_count(12)
    page.locator(".grid-board .filter").fill("")

    page.locator(".grid-board .cell .open").first.press("Enter")
    lanes = page.locator("#grid-lanes .lane-column:visible")
    expect(lanes).to_have_count(1)
    expect(lanes.first.locator(".body .tok").first).to_be_visible()
    page.locator(".grid-board .cell .beside:visible").last.click()
    expect(lanes).to_have_count(2)
    expect(lanes.nth(1).locator(".body .tok").first).to_be_visible()
    shoot(page, "grid-compared")

    with page.expect_download() as saved:
        page.locator(".grid-board .files").get_by_role("button", name="CSV").click()
    text = Path(saved.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 24 and {row["state"] for row in rows} == {"done"}


def test_failed_cells_keep_their_reason_on_a_phone(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """The base model has no chat template; the chat model's cells go on."""
    page = visit(width=390, dark=True)
    _open(page)
    _example(page, "Three system prompts")
    _over(page, "6 of 12 done · 6 failed")
    failed = page.locator(".grid-board .cell[data-state=failed] .words")
    expect(failed).to_have_count(6)
    expect(failed.first).to_contain_text("no chat template")
    shoot(page, "grid-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
