"""What a person sees who picks a model on a server that lacks most things; in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import App, Visit, started_app
from tests.browser.tab_row import open_tab
from tests.remote_stand_in import stand_in

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]
PLAIN, CHATS = "counter on plain", "counter on chats"
LACKING = re.compile(r"\blacking\b")


@pytest.fixture(scope="module")
def app(
    root: Path, tmp_path_factory: pytest.TempPathFactory, empty_hub: str
) -> Iterator[App]:
    """The app with two servers: one with OpenAI's own settings and no figures, one for chats."""
    home = tmp_path_factory.mktemp("served")
    with stand_in("plain") as plain, stand_in("chat only") as chats, started_app(
        root, home, empty_hub, "--remote", f"plain={plain.url}", "--remote", f"chats={chats.url}",
    ) as started:
        yield started


def _row(box: Locator, name: str) -> Locator:
    return box.locator(f"[data-name={name}]")


def _pick(page: Page, label: str, option: str) -> None:
    page.get_by_label(label).locator("visible=true").first.click()
    page.get_by_role("option", name=option).click()


def test_what_the_picked_models_server_lacks_is_grey_with_the_reason(
    visit: Visit, shoot: Shoot
) -> None:
    page = visit()
    open_tab(page, "Complete")
    heads = page.locator(".decoding-head:visible")
    expect(heads).to_have_count(2)
    heads.nth(1).get_by_role("button", name="Settings of lane 2").click()
    panel = page.locator("#complete-settings .decoding-panel")
    top_k, temperature = _row(panel, "top_k"), _row(panel, "temperature")
    number = top_k.get_by_role("spinbutton")
    number.fill("7")  # before the model is picked: it stays, and is refused by name
    _row(heads.nth(1), "model").locator("select").select_option(label=PLAIN)
    expect(heads.nth(1).locator(".problem")).to_have_text("plain does not take Top-k.")
    expect(top_k).to_have_class(LACKING)
    expect(number).to_have_value("7")
    expect(number).to_be_enabled()
    expect(temperature).not_to_have_class(LACKING)
    panel.locator("summary", has_text="Beams").click()
    beams = _row(panel, "num_beams")
    expect(beams.locator(".help")).to_have_text("plain does not take Beams.")
    expect(beams.get_by_role("spinbutton")).to_be_disabled()
    shoot(page, "served-complete")
    number.fill("0")
    number.blur()
    expect(number).to_be_disabled()
    expect(heads.nth(1).locator(".problem")).to_be_hidden()
    # Each lane is judged by its own model.
    panel.get_by_role("button", name="Settings of lane 1").click()
    expect(beams.get_by_role("spinbutton")).to_be_enabled()
    expect(beams.locator(".help")).to_have_text("Texts kept at once. 1 is no beam search.")
    _row(heads.nth(0), "model").locator("select").select_option(label=CHATS)
    expect(heads.nth(0).locator(".problem")).to_contain_text("continues no raw text")
    _row(heads.nth(0), "template").locator("select").select_option(label="Chat template")
    expect(heads.nth(0).locator(".problem")).to_be_hidden()


def test_tabs_with_one_model_say_at_once_what_its_server_cannot_do(
    visit: Visit, shoot: Shoot
) -> None:
    page = visit()
    open_tab(page, "Strategies")
    heads = page.locator(".decoding-head:visible")
    expect(heads).to_have_count(5)
    _pick(page, "Model", PLAIN)
    expect(heads.nth(1).locator(".problem")).to_have_text("plain does not take Beams.")
    expect(heads.nth(3).locator(".problem")).to_be_hidden()
    page.get_by_role("button", name="Choose lanes").locator("visible=true").click()
    expect(page.get_by_label("Mirostat", exact=True)).to_be_disabled()
    expect(page.get_by_label("Pure sampling", exact=True)).to_be_enabled()
    shoot(page, "served-strategies")
    _pick(page, "Model", CHATS)
    remark = page.locator(".remark .sentence:visible")
    expect(remark).to_contain_text("continues no raw text")
    page.get_by_label("Chat template").locator("visible=true").check()
    expect(remark).to_have_count(0)

    open_tab(page, "Tokens")
    pause = page.get_by_text("cannot be paused or slowed").locator("visible=true")
    expect(page.get_by_label("Speed").locator("visible=true")).to_be_enabled()
    _pick(page, "Model", PLAIN)
    expect(pause).to_have_text("plain writes as fast as it can: it cannot be paused or slowed.")
    expect(page.get_by_label("Speed").locator("visible=true")).to_be_disabled()
    prompt = page.get_by_label("Prompt").locator("visible=true").first
    prompt.fill("One")
    page.locator("#tokens-run").click()
    lane = page.locator(".token-stream:visible").first
    expect(lane).to_have_attribute("data-state", "finished")
    lane.locator(".tok[data-i]").first.click()
    menu = page.locator(".token-popover")
    expect(menu.get_by_role("button", name="Look inside")).to_be_disabled()
    expect(menu).to_contain_text("What is inside a model on plain stays there.")
    expect(menu.get_by_role("button", name="X-ray")).to_be_disabled()
    shoot(page, "served-tokens")
    page.keyboard.press("Escape")

    open_tab(page, "Score")
    _pick(page, "Model 1", PLAIN)
    expect(page.locator("#score-run")).to_be_disabled()
    expect(remark).to_contain_text("no log-probabilities of a given text")
    shoot(page, "served-score")
    _pick(page, "Model 1", "tiny-chat")
    expect(page.locator("#score-run")).to_be_enabled()
