"""The Blind tab in a real Chromium, with the real app and its real models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser


def _complete(page: Page, prompt: str, again: bool = False) -> None:
    """Two lanes, both ended, brought to the Blind tab; ``again`` where they hold an answer.

    A story: what is drawn for a short question is now and then what greedy writes, letter by
    letter, and of two answers that are the same none can be chosen.
    """
    open_tab(page, "Complete")
    lanes = page.locator(".token-stream:visible")
    expect(lanes).to_have_count(2)
    text = lanes.last.locator(".body > .running")
    if again:  # a tab that comes back draws its lanes anew, as ended as they were
        expect(text).not_to_be_empty()
    before = text.inner_text()
    asked = page.get_by_label("Text for every lane")
    asked.fill(prompt)
    asked.press("Enter")
    expect(text).not_to_have_text(before)
    for lane in range(2):
        expect(lanes.nth(lane)).to_have_attribute("data-state", "finished", timeout=60_000)
    page.locator("#complete-vote-blind").click()
    # The match is there before its tab is in sight, and only in sight it takes a key.
    expect(_title(page)).to_be_visible()


def _title(page: Page) -> Locator:
    return page.locator(".blind .head h2")


def test_two_lanes_are_voted_on_by_key_and_revealed(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None], tmp_path: Path
) -> None:
    page = visit()
    _complete(page, "Once upon a time there was a little dragon named")
    expect(_title(page)).to_have_text("Match 1 of 1")
    expect(page.locator(".blind .asked")).to_have_text(
        "Once upon a time there was a little dragon named")
    shoot(page, "blind-match")
    board = page.locator(".blind")
    seen = board.evaluate("(board) => board.outerHTML")
    assert not [word for word in ("greedy", "top-p", "tiny", "seed", "Greedy") if word in seen]
    page.keyboard.press("2")
    expect(_title(page)).to_have_text("The only match has its vote")
    page.keyboard.press("z")
    expect(_title(page)).to_have_text("Match 1 of 1")
    page.keyboard.press("ArrowLeft")
    expect(_title(page)).to_have_text("The only match has its vote")

    _complete(page, "Once upon a time there was a small owl", again=True)
    expect(_title(page)).to_have_text("Match 2 of 2")
    page.keyboard.press("0")
    # Before the last vote has come back, Reveal asks to be pressed twice.
    expect(_title(page)).to_have_text("All 2 matches have their vote")
    page.get_by_role("button", name="Reveal").click()
    rows = page.locator(".blind .standings tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".rate")).to_have_text("75 %")
    names = rows.locator("th").all_inner_texts()
    assert sorted(names) == ["greedy", "top-p 0.9"]
    expect(page.locator(".blind .says li").first).to_contain_text("too few votes")
    expect(page.locator(".blind .matches li")).to_have_count(2)
    shoot(page, "blind-revealed")
    with page.expect_download() as told:
        page.get_by_role("button", name="Save as JSON").click()
    file = tmp_path / "blind.json"
    told.value.save_as(file)
    test = json.loads(file.read_text("utf-8"))["blind"]
    assert test["votes"] == ["left", "tie"] and test["contestants"] == ["greedy", "top-p 0.9"]
    page.get_by_role("button", name="New comparison").click()
    expect(page.locator(".blind .pill", has_text="Open file")).to_be_visible()
    shoot(page, "blind-idle")
    page.locator(".blind input[type=file]").set_input_files(file)
    expect(rows.first.locator(".rate")).to_have_text("75 %")
    open_tab(page, "Recipe")
    with page.expect_file_chooser() as chooser:
        page.locator("button:visible", has_text="Open file").click()
    chooser.value.set_files(file)
    expect(page.locator(".recipe-notice")).to_contain_text("2 votes of a blind test")
    expect(page.locator(".recipe-pick label")).to_have_count(4)
    shoot(page, "blind-in-recipe")


def test_an_example_begins_with_one_click_on_a_phone(visit: Callable[..., Page]) -> None:
    page = visit(width=390, dark=True)
    open_tab(page, "Blind")
    page.locator(".blind .pill", has_text="system prompt").click()
    expect(_title(page)).to_contain_text("Match 1 of", timeout=60_000)
    expect(page.locator(".blind .asked .role")).to_have_text("User")
    expect(page.locator(".blind .asked")).not_to_contain_text("pirate")
    page.locator(".blind .vote.both-bad").click()
    expect(_title(page)).to_contain_text("Match 2 of")
    page.get_by_role("button", name="Reveal").click()
    page.get_by_role("button", name="Stop voting").click()
    expect(page.locator(".blind .standings")).to_contain_text("pirate")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_cells_of_a_grid_are_voted_on(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit()
    open_tab(page, "Grid")
    page.locator("button.example:visible", has_text="24 cells").click()
    expect(page.locator("#grid-run")).to_be_hidden()
    expect(page.locator("#grid-run")).to_be_visible(timeout=90_000)
    page.locator("#grid-vote-blind").click()
    expect(page.locator(".blind .problem")).to_contain_text("models, strategies and prompts")
    shoot(page, "blind-sources")
    page.locator(".blind .way", has_text="by strategy").click()
    expect(_title(page)).to_contain_text("Match 1 of ")
    # 2 prompts, 2 models, 3 seeds; where both strategies wrote the same there is nothing to choose.
    count = int(_title(page).inner_text().split()[-1])
    assert 8 <= count <= 12
    shoot(page, "blind-grid-match")
    for number in range(count):
        expect(_title(page)).to_have_text(f"Match {number + 1} of {count}")
        page.keyboard.press("1")
    expect(_title(page)).to_have_text(f"All {count} matches have their vote")
    page.get_by_role("button", name="Reveal").click()
    names = page.locator(".blind .standings tbody th").all_inner_texts()
    assert sorted(names) == ["Temperature 1.5", "Top-p"]
    expect(page.locator(".blind .says li").nth(2)).to_contain_text(
        f"You chose the left side in {count} of {count}; by luck that happens in")
    shoot(page, "blind-grid-revealed")
