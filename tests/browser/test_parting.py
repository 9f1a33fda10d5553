"""What a person sees of where lanes part: the sentence, the figures, the same place in every lane,
a word diff; in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]
Visit = Callable[..., Page]


def _panel(page: Page) -> Locator:
    return page.locator(".parting").locator("visible=true")


def _strategies(page: Page) -> Locator:
    """Five lanes of one prompt, written to the end; the panel under them."""
    page.get_by_role("tab", name="Strategies", exact=True).click()
    expect(_panel(page)).to_contain_text("Two lanes or more")
    page.locator("button.example:visible", has_text="Once upon a time").click()
    expect(page.locator(".lane-board [role=status]").last).to_contain_text("lanes are written")
    return _panel(page)


def _lane(page: Page, number: int) -> Locator:
    return page.locator(".token-stream:visible").nth(number)


def test_a_lane_says_where_it_leaves_the_compared_one_and_what_each_gave(
    page: Page, shoot: Shoot
) -> None:
    panel = _strategies(page)
    beams = panel.locator(".parting-row", has_text="Beam search")
    sentence = beams.locator(".words")
    expect(sentence).to_have_text(re.compile(r"Identical to Greedy for \d+ tokens?, then .+\."))
    expect(beams.locator(".numbers")).to_have_text(re.compile(
        r"The model gave .+ %, rank \d+ and .+ %, rank 1; this lane has it from its whole search, "
        r"Greedy took the likeliest\."))
    at = int(re.search(r"for (\d+)", sentence.inner_text()).group(1))  # type: ignore[union-attr]
    lane = _lane(page, 1)
    expect(lane.locator(".body .shared")).to_have_count(at)
    expect(lane.locator(".body .leaves")).to_have_attribute("data-i", str(at))
    expect(lane.locator(".body .flag")).to_have_text(re.compile(r"^[\d.]+ %, rank \d+$"))
    # The marks stay when the view does not.
    lane.get_by_role("button", name="Text", exact=True).click()
    expect(lane.locator(".running.plain .leaves")).to_have_attribute("data-i", str(at))
    lane.get_by_role("button", name="Tokens", exact=True).click()
    expect(lane.locator(".body .leaves")).to_have_attribute("data-i", str(at))
    page.get_by_label("Compare with").locator("visible=true").select_option("Beam search")
    greedy = panel.locator(".parting-row", has_text="Greedy").first
    expect(greedy.locator(".words")).to_have_text(
        re.compile(f"^Identical to Beam search for {at} "))
    expect(_lane(page, 0).locator(".body .leaves")).to_have_attribute("data-i", str(at))
    shoot(page, "parting-strategies")


def test_a_place_is_marked_in_every_lane_by_pointer_and_keys(page: Page) -> None:
    panel = _strategies(page)
    first = [_lane(page, n).locator(".body [data-i='0']") for n in range(5)]
    first[0].hover()
    expect(_lane(page, 1).locator(".body .twin")).to_have_attribute("data-i", "0")
    expect(panel.locator(".readout")).to_have_text(re.compile(r"^Token 1 · Greedy .+ %, entropy "))
    strip = panel.locator(".parting-row", has_text="Beam search").get_by_role("slider")
    strip.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(strip).to_have_attribute("aria-valuenow", "3")
    expect(strip).to_have_attribute("aria-valuetext", re.compile(
        r"^Token 3 · Beam search .+ · Greedy .+ · divergence at least 0\.\d+ bits$"))
    for number in (0, 1):
        expect(_lane(page, number).locator(".body .twin")).to_have_attribute("data-i", "2")
    strip.blur()
    expect(page.locator(".body .twin")).to_have_count(0)


def test_raw_beside_chat_template_is_compared_in_tokens_and_words(
    visit: Visit, shoot: Shoot
) -> None:
    page = visit(width=390, height=844, dark=True)
    page.get_by_role("tab", name="Complete", exact=True).click()
    page.get_by_label("Text for every lane").fill("hello,how are you")
    page.get_by_role("button", name="Base and chat lens").click()
    panel = _panel(page)
    row = panel.locator(".parting-row").first
    expect(row.locator(".numbers")).to_have_text(re.compile(
        r"^This lane gave .+ (%|lower); tiny-chat \(lane 1\) gave .+\."))
    panel.get_by_role("button", name="Words").click()
    expect(row.locator(".diff ins").first).to_be_visible()
    shown = row.locator(".diff :is(ins, .same)").all_text_contents()
    answer = _lane(page, 1).locator(".body > .running .tok:not(.special)").all_text_contents()
    assert re.sub(r"[\s·⏎]", "", "".join(shown)) == re.sub(r"[\s·⏎]", "", "".join(answer))
    expect(panel.get_by_role("slider")).to_have_count(0)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    shoot(page, "parting-words-mobile-dark")


def test_branches_beside_each_other_are_compared_too(page: Page) -> None:
    page.get_by_role("tab", name="Tokens", exact=True).click()
    expect(_panel(page)).to_have_count(0)
    page.locator("button.example:visible", has_text="The capital of France is").click()
    expect(_lane(page, 0).locator(".say")).to_have_text(re.compile("ended|Cut off"))
    _lane(page, 0).locator(".body [data-i='1']").click()
    page.locator(".token-popover [data-candidate]").nth(1).click()
    expect(_panel(page).locator(".words")).to_have_text(
        re.compile("^Identical to First run for 1 token, then "))
    expect(_panel(page).locator(".numbers")).to_contain_text("this lane was given it")
    expect(_lane(page, 1).locator(".body .leaves")).to_have_attribute("data-i", "1")


def test_two_chats_say_where_they_part_and_are_shared_together(
    visit: Visit, shoot: Shoot
) -> None:
    """Nothing under one chat; with two the panel, the marks and a link of both."""
    page = visit(width=390, height=844, dark=True)
    expect(_panel(page)).to_have_count(0)
    page.get_by_role("button", name="Add lane").locator("visible=true").click()
    second = page.locator(".chat-lanes .lane-column").nth(1)
    second.get_by_role("button", name="Settings").click()
    system = page.get_by_role("textbox", name="System prompt").locator("visible=true")
    system.fill("Talk like a pirate.")
    page.keyboard.press("Escape")
    page.locator("#chat-message textarea").fill("Tell me a short story about a fox.")
    page.locator("#chat-run").click()
    row = _panel(page).locator(".parting-row")
    expect(row.locator(".words")).to_have_text(re.compile("^(Identical .+, then|Parts from) "))
    expect(page.locator("#chat-run")).to_be_visible()
    expect(page.locator(".chat-tokens .body .leaves").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    _panel(page).scroll_into_view_if_needed()
    shoot(page, "parting-chat-mobile-dark")
    page.locator(".chat-tokens .share-open").first.click()
    expect(page.locator(".share-all").locator("visible=true")).to_have_text("Both lanes together")
    page.locator(".share-all").locator("visible=true").get_by_role("checkbox").check()
    expect(page.locator(".share-help").locator("visible=true")).to_contain_text("for 2 lanes")
    page.get_by_role("button", name="Remove lane").locator("visible=true").click()
    expect(_panel(page)).to_have_count(0)
