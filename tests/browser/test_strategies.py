"""What a person does with many lanes: choose, sweep, sort, compare, explain, keep; in Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.cut_stream import forget_cut_stream
from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]


def _open(page: Page) -> None:
    open_tab(page, "Strategies")
    expect(page.locator(".decoding-head:visible")).to_have_count(5)


def _button(page: Page, name: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("button", name=name).locator("visible=true").first


def _reload(page: Page) -> None:
    page.reload()
    _open(page)
    forget_cut_stream(page)


def _heads(page: Page) -> Locator:
    return page.locator(".decoding-head:visible")


def _run(page: Page) -> None:
    page.locator("button.example:visible", has_text="Once upon a time").click()
    expect(page.locator(".lane-board [role=status]").last).to_contain_text("lanes are written")


def _places(page: Page) -> list[str]:
    """The lanes' titles as they stand on the screen, row by row."""
    titles = page.locator(".token-stream:visible .title").all()
    boxes = [(title.bounding_box(), title.inner_text()) for title in titles]
    return [words for box, words in sorted(boxes, key=lambda b: (b[0]["y"], b[0]["x"]))]


def test_lanes_are_chosen_compared_and_sorted(page: Page, shoot: Shoot) -> None:
    _open(page)
    _button(page, "Choose lanes").click()
    _button(page, "The classic six").click()
    page.get_by_label("Prompt lookup", exact=True).check()
    _button(page, "Show these 7 lanes").click()
    expect(_heads(page)).to_have_count(7)
    _run(page)
    lookup = _heads(page).nth(6)
    expect(lookup.locator(".parts")).to_have_text("Identical to Greedy, all 48 tokens.")
    page.get_by_label("Compare with").locator("visible=true").select_option("Prompt lookup")
    expect(_heads(page).nth(0).locator(".parts")).to_have_text(
        "Identical to Prompt lookup, all 48 tokens.")
    beams = page.locator(".lane-column:visible").nth(1)
    expect(beams.locator(".ts .tok.leaves").first).to_have_css("box-shadow", re.compile("inset"))
    table = page.locator(".lane-table table")
    expect(table.locator("tbody tr")).to_have_count(7)
    expect(table.locator("td.best").first).to_be_visible()
    page.get_by_label("Sort by").select_option("forwards")
    assert _places(page)[0] == "Prompt lookup"
    expect(table.locator("tbody th").first).to_have_text("Prompt lookup")
    expect(table.locator("[aria-sort=ascending]")).to_have_text("Forwards")
    table.get_by_role("button", name="Forwards").click()
    assert _places(page)[-1] == "Prompt lookup"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _button(page, "Copy as CSV").click()
    expect(page.locator(".lane-table")).to_contain_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()").split("\r\n")
    assert copied[0] == ("lane,settings,mean_logprob,perplexity,distinct_1,distinct_2,rep_4,"
                         "length,seconds,forwards,parts_at_token")
    assert len(copied) == 8 and re.match(r"Prompt lookup,greedy · prompt lookup 4,-0\.", copied[-1])
    shoot(page, "strategies-many")


def test_a_panel_of_a_narrow_lane_opens_below_the_lanes(page: Page, shoot: Shoot) -> None:
    """A tree in a fifth of the page showed one column and a half, an X-ray five bars without
    names; and the lane that had it was twice as high as the others."""
    _open(page)
    _run(page)
    lanes = page.locator(".token-stream:visible")
    row, docked = page.locator(".lanes:visible"), page.locator(".docked")
    expect(docked).to_have_count(0)
    lanes.nth(1).locator(".beams > summary").click()
    tree = docked.locator(".beam-tree")
    expect(tree.locator(".beam-head").last).to_have_text("step 48")
    assert tree.bounding_box()["width"] > 0.98 * row.bounding_box()["width"]
    # One X-ray below the lanes, that of the token the reader is at.
    for number, key in ((2, "x"), (4, "ArrowRight")):
        lanes.nth(number).locator(".body [data-i]").first.focus()
        page.keyboard.press(key)
        name = lanes.nth(number).locator(".title").text_content()
        expect(docked.filter(has=page.locator(".xray"))).to_have_count(1)
        expect(docked.last.locator(".docked-name")).to_have_text(name)
        expect(docked.last.locator(".verdict")).to_contain_text("Drawn with")
    shoot(page, "strategies-docked")
    page.keyboard.press("Escape")
    docked.last.get_by_role("button", name="Close").click()
    docked.get_by_role("button", name="Close").click()
    expect(docked).to_have_count(0)
    expect(lanes.nth(1).locator(".beams > summary")).to_be_focused()


def test_a_strategy_is_explained_by_the_keyboard(page: Page, shoot: Shoot) -> None:
    _open(page)
    about = page.get_by_role("button", name="What Top-p does").locator("visible=true").first
    about.focus()
    page.keyboard.press("Enter")
    note = page.get_by_role("dialog", name="About Top-p")
    expect(note).to_contain_text("keep the smallest set")
    expect(note).to_contain_text("Holtzman")
    expect(note.get_by_role("link")).to_have_attribute("href", "https://arxiv.org/abs/1904.09751")
    shoot(page, "strategy-note")
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()
    expect(about).to_be_focused()
    ways = _button(page, "Choose lanes")
    ways.click()
    page.get_by_label("Min-p", exact=True).focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Choose lanes")).to_be_hidden()
    expect(ways).to_be_focused()


def test_a_sweep_fills_the_lanes(page: Page) -> None:
    _open(page)
    _button(page, "Sweep a setting").click()
    form = page.get_by_role("region", name="Sweep a setting")
    expect(form).to_contain_text("0.2 · 0.4 · 0.6 · 0.8 · 1 · 1.2 · 1.4 · 1.6")
    form.get_by_label("to", exact=True).fill("9")
    expect(form).to_contain_text("To: Temperature is 9; it must be a number above 0, up to 5.")
    expect(form.get_by_role("button")).to_be_disabled()
    form.get_by_label("to", exact=True).fill("0.6")
    form.get_by_label("in steps").fill("3")
    form.get_by_role("button", name="Show these 3 lanes").click()
    expect(_heads(page)).to_have_count(3)
    expect(_heads(page).nth(1)).to_contain_text("temperature 0.4")
    _run(page)
    titles = page.locator(".token-stream:visible .title")
    expect(titles).to_have_text(["Temperature 0.2", "Temperature 0.4", "Temperature 0.6"])


def test_a_preset_of_ones_own_outlives_the_page_until_it_is_deleted(page: Page) -> None:
    _open(page)
    _button(page, "Settings of lane 4").click()
    panel = page.locator(".decoding-panel:visible")
    panel.get_by_label("Temperature", exact=True).fill("0.6")
    panel.get_by_role("button", name="Save as preset").click()
    panel.get_by_label("Name of the preset").fill("Greedy")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("“Greedy” is a strategy that comes with the page")
    panel.get_by_label("Name of the preset").fill("<b>Calm</b>")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("Saved as “<b>Calm</b>” in this browser.")
    _reload(page)
    choice = _heads(page).nth(0).get_by_label("Strategy of lane 1")
    choice.select_option(label="<b>Calm</b>")
    expect(_heads(page).nth(0)).to_contain_text("temperature 0.6 · top-p 0.9")
    _button(page, "Settings of lane 1").click()
    panel.get_by_role("button", name="Delete preset").click()
    expect(panel).to_contain_text("“<b>Calm</b>” is deleted.")
    expect(choice.locator("option", has_text="Calm")).to_have_count(0)


def test_presets_that_somebody_tampered_with_are_a_sentence(page: Page) -> None:
    kept = {"Good": {"preset": "Top-p"}, "<img src=x onerror=alert(1)>": {"top_p": 7},
            "Bad": {"preset": "Top-p", "__proto__": {"x": 1}}}
    page.evaluate("kept => localStorage.setItem('playground:presets', kept)", json.dumps(kept))
    _reload(page)
    options = _heads(page).nth(0).locator("optgroup[label=Yours] option")
    expect(options).to_have_text(["Good"])
    _button(page, "Settings of lane 1").click()
    panel = page.locator(".decoding-panel:visible")
    expect(panel).to_contain_text("Your preset “<img src=x onerror=alert(1)>” cannot be used: ")
    expect(panel).to_contain_text("a preset does not hold “__proto__”")


def test_many_lanes_on_a_phone(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(width=390, height=844)
    open_tab(page, "Strategies")
    _button(page, "Choose lanes").click()
    # One preset more than lanes: "All" could only end in a button that cannot be pressed.
    _button(page, "The first 24").click()
    _button(page, "Show these 24 lanes").click()
    expect(_heads(page)).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "phone-strategies-many")
