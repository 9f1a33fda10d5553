"""The logit lens and attention in a real Chromium, and the way there from another tab's token."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]


def _example(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).locator("visible=true").click()


def test_the_lens_shows_when_a_token_came_first(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit()
    open_tab(page, "Inside", "Logit lens")
    _example(page, "When does it know Paris?")
    lens = page.locator("#inside-lens")
    expect(lens.locator(".verdict")).to_contain_text("Paris")
    expect(lens.locator(".lens-top li").first).to_contain_text("Paris")
    rows, cells = lens.locator("tbody tr"), lens.locator("tbody td")
    expect(cells).to_have_count(rows.count() * lens.locator("thead th[scope=col]").count())
    expect(lens.locator("td[aria-selected=true]")).to_contain_text("Paris")
    lens.locator("td[aria-selected=true]").press("ArrowLeft")
    page.keyboard.press("Enter")
    top = lens.locator(".lens-top")
    expect(top.locator("h3")).to_contain_text("position 4")
    expect(top.locator("li")).to_have_count(10)
    second = top.locator("li button").nth(1)
    written = second.locator("bdi").inner_text()
    second.click()
    expect(lens.locator(".verdict bdi").first).to_have_text(written)
    lens.get_by_role("button", name="watched token").click()
    expect(lens.locator("td .rank").first).to_be_visible()
    shoot(page, "lens")


def test_attention_of_a_head_is_read_in_four_ways(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(width=390, dark=True)
    open_tab(page, "Inside", "Attention")
    _example(page, "A thing said twice")
    view = page.locator("#inside-attention")
    expect(view.locator(".mosaic .thumb").first).to_be_visible()
    view.locator(".mosaic .thumb").nth(1).click()
    expect(view.get_by_role("heading", name="Heads of layer 2")).to_be_visible()
    view.locator(".mosaic .thumb").nth(2).click()
    expect(view.locator(".mosaic .thumb[aria-pressed=true]")).to_contain_text("3")
    text = view.locator(".attention-text")
    text.locator("[data-place='7']").click()
    expect(view.locator(".attention-looked h3")).to_contain_text("position 8")
    expect(view.locator(".attention-arcs path").first).to_be_attached()
    page.keyboard.press("ArrowRight")
    expect(view.locator(".attention-looked h3")).to_contain_text("position 9")
    view.get_by_label("without the first token").check()
    looked = view.locator(".attention-looked .rank")
    expect(looked.get_by_text("position 1", exact=True)).to_have_count(0)
    view.get_by_role("button", name="matrix", exact=True).click()
    expect(view.locator(".matrix-frame canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "attention-phone")


def test_a_token_of_chat_and_of_complete_leads_inside(
    visit: Callable[..., Page], shoot: Shoot
) -> None:
    """With its model, exactly the ids before it, and itself watched: by a click and by a key."""
    page = visit()
    page.locator("#chat-message textarea").fill("What is the capital of France?")
    page.keyboard.press("Enter")
    answer = page.locator(".token-stream:visible").first
    token = answer.locator(".body .tok", has_text="Paris").first
    expect(page.locator("#chat-run")).to_be_visible()
    token.click()
    page.get_by_role("button", name="Look inside").click()
    lens = page.locator("#inside-lens")
    expect(lens.locator(".verdict bdi").first).to_contain_text("Paris")
    given = page.locator("#inside-given")
    expect(given).to_contain_text("an answer of tiny-chat in Chat")
    box = page.locator(".prompt-box textarea:visible").first
    assert box.input_value().startswith("<|im_start|>") and box.input_value().endswith(" is")
    expect(lens.locator("td[aria-selected=true]")).to_contain_text("Paris")
    shoot(page, "looked-inside")
    open_tab(page, "Complete")
    page.locator(".examples button:visible", has_text="The capital of France is").first.click()
    token = page.locator(".token-stream:visible").first.locator(".body .tok").first
    expect(page.locator("#complete-run")).to_be_visible()
    token.press("i")
    expect(given).to_contain_text("the first 5 tokens of an answer of tiny-base in Complete")
    expect(lens.locator("thead th[scope=col]")).to_have_count(5)
    expect(box).to_have_value("The capital of France is")
    box.fill("Another text")
    expect(given).to_be_empty()
