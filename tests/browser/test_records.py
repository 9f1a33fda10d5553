"""What is kept of runs, in Chromium: found, marked, opened, compared, deleted, brought back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.cut_stream import forget_cut_stream
from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]


def _button(page: Page, name: str) -> Locator:
    return page.locator(".records").get_by_role("button", name=name, exact=True)


def _rows(page: Page) -> Locator:
    return page.locator(".records .record:visible")


def reload(page: Page) -> None:
    page.reload()
    page.locator("#header .chip.ready").first.wait_for()
    forget_cut_stream(page)


def _forget_all(page: Page) -> None:
    """Other tests of the same app were the same person."""
    open_tab(page, "Records")
    expect(page.locator(".records .place")).to_contain_text("records.sqlite3")
    if _button(page, "Clear all mine").is_visible():
        _button(page, "Clear all mine").click()
        _button(page, "Delete all of them").click()
        expect(_rows(page)).to_have_count(0)


def test_a_run_is_found_marked_opened_compared_deleted_and_there_again(
    page: Page, shoot: Shoot
) -> None:
    _forget_all(page)
    open_tab(page, "Complete")
    page.locator("button.example:visible", has_text="The capital of France").click()
    lanes = page.locator(".token-stream:visible")
    expect(lanes.locator(".tok", has_text="Paris").first).to_be_visible()
    expect(page.locator("#complete-run")).to_be_visible()
    open_tab(page, "Records")
    search = page.get_by_role("searchbox", name="Search records")
    search.fill("capital france")  # what top-p goes on with is not known
    expect(_rows(page)).to_have_count(2)
    expect(_rows(page).first).to_contain_text("greedy")
    search.fill("nowhere to be found")
    expect(page.locator(".records .empty")).to_have_text("No record is like this.")
    search.fill("capital france")
    expect(_rows(page)).to_have_count(2)

    first = _rows(page).first
    first.get_by_role("button", name="Star for The capital of France is").click()
    expect(first.locator(".star")).to_have_attribute("aria-pressed", "true")
    first.focus()
    page.keyboard.press("l")
    page.keyboard.type("<b>best</b>")
    page.keyboard.press("Enter")
    expect(first.locator(".label .set")).to_have_text("<b>best</b>")
    _button(page, "★ Starred").click()
    expect(_rows(page)).to_have_count(1)
    _button(page, "★ Starred").click()
    expect(_rows(page)).to_have_count(2)

    first.focus()
    page.keyboard.press("Enter")
    opened = page.locator(".record-lane .token-stream:visible")
    expect(opened).to_have_count(1)
    expect(opened.locator(".title")).to_have_text("<b>best</b>")
    opened.locator(".body .tok", has_text="Paris").first.click()
    expect(page.locator(".token-popover li").first).to_contain_text("Paris")
    page.keyboard.press("Escape")
    for row in (0, 1):
        _rows(page).nth(row).get_by_role("checkbox").check()
    _button(page, "Compare").click()
    expect(opened).to_have_count(2)
    shoot(page, "records")

    _button(page, "Delete").click()
    expect(_rows(page)).to_have_count(0)
    expect(page.locator(".records .said")).to_have_text("2 records deleted.")
    _button(page, "Undo").click()
    expect(_rows(page)).to_have_count(2)

    reload(page)
    open_tab(page, "Records")
    expect(page.locator(".records .place")).to_contain_text("records.sqlite3")
    kept = _rows(page).filter(has_text="<b>best</b>")
    expect(kept).to_have_count(1)
    expect(kept.locator(".star")).to_have_attribute("aria-pressed", "true")


def test_records_fit_a_phone(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(width=390, dark=True)
    page.locator("#chat-message textarea").fill("What is the capital of France?")
    page.keyboard.press("Enter")
    # The list is read when the tab opens, and a run is a record once its answer is over: Send, in
    # sight before the press has been heard, says nothing of that; what ended it does.
    expect(page.locator(".ts[data-state=finished]:visible").first).to_be_visible()
    expect(page.locator("#chat-run")).to_be_visible()
    open_tab(page, "Records")
    row = _rows(page).filter(has_text="What is the capital of France?").first
    expect(row).to_contain_text("chat")
    row.locator(".texts").click()
    expect(page.locator(".record-lane .token-stream:visible")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "records-390-dark")
