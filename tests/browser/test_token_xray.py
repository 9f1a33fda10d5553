"""The X-ray of a step in a real Chromium, of runs that the built-in model really made."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser


def lanes_of_a_run(page: Page) -> tuple[Locator, Locator]:
    """A greedy lane and one that drew from the top-p, both finished."""
    page.get_by_role("tab", name="Complete").click()
    page.get_by_label("Text for every lane").fill("One day the")
    page.keyboard.press("Enter")
    lanes = page.locator(".ts[data-state=finished]").locator("visible=true")
    expect(lanes).to_have_count(2)
    return lanes.nth(0), lanes.nth(1)


def test_a_slider_chooses_again_from_the_stored_logits(page: Page) -> None:
    """Rows in the order of the chain, a sentence that follows the slider, and no new token."""
    greedy, drawn = lanes_of_a_run(page)
    count = drawn.locator(".stats dd").first.inner_text()
    drawn.locator(".body [data-i]").first.focus()
    page.keyboard.press("x")
    panel = drawn.locator(".xray")
    rows = panel.locator(".stages .processor")
    expect(rows).to_have_text(["The model itself", "Top-p 0.9"])
    expect(panel.locator(".choice .processor")).to_have_text("The draw")
    expect(panel.locator(".needle")).to_be_visible()
    expect(panel.locator(".verdict")).to_contain_text("Drawn with")
    panel.get_by_label("Temperature").first.fill("0.5")
    expect(rows).to_have_text(["The model itself", "Temperature 0.5", "Top-p 0.9"])
    said = re.compile(r"^With temperature 0\.5 the same draw would (still )?have taken ")
    expect(panel.locator(".verdict")).to_have_text(said)
    panel.get_by_label("Repetition penalty").first.fill("1.4")
    expect(rows.nth(1)).to_have_text("Repetition penalty 1.4")
    panel.get_by_label("Temperature").first.fill("9")
    expect(panel.locator(".trouble")).to_have_text(
        "Temperature is 9; it must be a number above 0, up to 5."
    )
    panel.get_by_role("button", name="Back to the run’s own").click()
    expect(rows).to_have_text(["The model itself", "Top-p 0.9"])
    assert drawn.locator(".stats dd").first.inner_text() == count

    greedy.locator(".body [data-i]").first.focus()
    page.keyboard.press("ArrowRight")  # the panel was open beside it, and opens here too
    expect(greedy.locator(".xray .choice .did")).to_contain_text("Greedy: the highest bar wins")
    assert greedy.locator(".xray .needle").count() == 0


def test_the_panel_follows_the_keys_and_escape_closes_it_without_stopping(page: Page) -> None:
    _, drawn = lanes_of_a_run(page)
    drawn.locator(".body [data-i]").first.focus()
    page.keyboard.press("x")
    title = drawn.locator(".xray-title")
    expect(title).to_contain_text("X-ray of token 1:")
    page.keyboard.press("ArrowRight")
    expect(title).to_contain_text("X-ray of token 2:")
    expect(page.locator(".token-popover")).to_be_hidden()
    drawn.get_by_role("button", name="Close").focus()
    page.keyboard.press("Escape")
    expect(drawn.locator(".xray")).to_be_hidden()
    expect(drawn.locator(".body [data-i]").nth(1)).to_be_focused()
