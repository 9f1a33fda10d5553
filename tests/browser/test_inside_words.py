"""Tokenizer and vocabulary of the Inside tab in a real Chromium, with the real app and models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser


def _tokenizer(page: Page, lane: int = 0) -> tuple[object, object]:
    root = page.locator(".inside-view.tokenizer .tz-lane").nth(lane)
    return root, root.locator(".tz-strip").first.locator(".tz-token")


def test_a_text_is_taken_apart_as_it_is_typed_and_a_token_opens_in_the_vocabulary(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit()
    open_tab(page, "Inside")
    text = page.get_by_label("Text to look at")
    text.fill("")
    text.press_sequentially("The capital of France", delay=10)
    lane, tokens = _tokenizer(page)
    expect(lane.locator(".tz-figures b").first).to_have_text("4 tokens")
    expect(page.locator("#inside-run")).to_be_visible()  # nothing to stop: it was quick
    expect(tokens.nth(3)).to_contain_text("France")
    page.locator("#inside-other input").click()
    page.get_by_role("option", name="tiny-chat").click()
    expect(page.locator(".tz-lane")).to_have_count(2)
    tokens.nth(3).hover()
    expect(lane.locator(".tz-detail").first).to_contain_text("7 bytes: 20 46 72 61 6E 63 65")
    other, others = _tokenizer(page, 1)
    expect(others.locator("xpath=self::*[contains(@class, 'linked')]")).to_have_count(1)
    expect(others.nth(3)).to_have_class("tz-token linked")
    shoot(page, "inside-tokenizer")
    others.nth(3).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    card = page.locator(".inside-view.vocabulary .vc-card")
    expect(card.locator(".vc-title")).to_contain_text("France")
    expect(card.locator(".vc-merges li").last).to_contain_text("#2,068")
    expect(card.locator(".vc-near li")).to_have_count(20)
    # The other lane's model has taken the place of the tab's.
    expect(page.locator(".inside-view.vocabulary h3").first).to_contain_text("tiny-chat")
    expect(page.locator(".vc-row.opened")).to_contain_text("France")
    shoot(page, "inside-vocabulary")


def test_a_vocabulary_is_filtered_and_walked_through_without_all_its_rows(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit(width=390, dark=True)
    open_tab(page, "Inside", "Vocabulary")
    view = page.locator(".inside-view.vocabulary")
    expect(view.locator(".vc-count")).to_have_text("All 4,096 tokens.")
    view.locator(".vc-row").first.focus()
    page.keyboard.press("End")
    expect(view.locator(".vc-row[data-at='4095'] .vc-id")).to_have_text("4095")
    assert view.locator(".vc-row").count() < 80
    view.get_by_role("button", name="Chinese", exact=True).click()
    expect(view.locator(".vc-count")).to_have_text("548 tokens of 4,096.")
    expect(view.locator(".vc-row").first).to_contain_text("的")
    view.get_by_label("Pattern").fill("(a")
    expect(view.locator(".vc-said .problem")).to_contain_text("The pattern cannot be read")
    view.get_by_label("Pattern").fill("")
    view.get_by_role("button", name="Everything", exact=True).click()
    view.get_by_label("Search").fill(" par")
    expect(view.locator(".vc-count")).to_have_text("6 tokens of 4,096.")
    view.locator(".vc-row", has_text="Paris").click()
    expect(view.locator(".vc-facts")).to_contain_text("becomes this token")
    view.locator(".vc-near .vc-open").first.click()
    expect(view.locator(".vc-title")).not_to_contain_text("Paris")
    shoot(page, "inside-vocabulary-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_ids_come_back_as_text_and_a_batch_is_padded(visit: Callable[..., Page]) -> None:
    page = visit()
    open_tab(page, "Inside")
    page.locator("button.example:visible", has_text="A batch of two").click()
    lane, _ = _tokenizer(page)
    expect(lane.locator(".tz-batch td.padded").first).to_be_visible()
    assert lane.locator(".tz-batch td.padded").count() == 16  # four columns of four lines
    back = page.get_by_label("Ids back to text")
    back.fill("364 337")  # as if it was pasted: no key is pressed
    expect(lane.locator(".tz-decoded")).to_have_text("The·capital")
    back.press_sequentially(" 99999", delay=10)
    expect(lane.locator(".problem")).to_contain_text("Token id 99999 is not in this model's")
    for _ in range(6):
        back.press("Backspace")
    expect(lane.locator(".tz-decoded")).to_have_text("The·capital")
