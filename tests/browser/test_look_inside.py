"""The way from a token of any tab to the Inside tab, in a real Chromium: its model, the exact ids
before it, itself watched, and the probability that stands at it there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from playground.core.decoding import Decoding
from playground.core.prompt import Raw
from playground.core.recipe import Answer, Experiment, Recipe
from playground.core.recipe_link import link_of
from playground.core.run import ModelSpec, Run
from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser

PROMPT = "The capital of France is"
BASE = "builtin/tiny-base"


def _example(page: Page, words: str) -> None:
    page.locator("button.example:visible", has_text=words).first.click()


def _tokens(page: Page) -> Locator:
    return page.locator(".token-stream:visible .body [data-i]")


def _strategies(page: Page) -> Locator:
    """A winner of a beam search, read in the table."""
    open_tab(page, "Strategies")
    _example(page, PROMPT)
    expect(page.locator(".lane-board [role=status]").last).to_contain_text("lanes are written")
    beams = page.locator(".token-stream:visible").nth(1)
    beams.get_by_role("button", name="Table", exact=True).click()
    beams.locator(".body").evaluate("body => { body.scrollTop = 0; }")
    return beams.locator(".body [data-i='2']")


def _score(page: Page) -> Locator:
    """A token that nobody chose: the model expects another one there."""
    open_tab(page, "Score", "Score a text")
    _example(page, "One answer after two questions")
    second = page.locator(".score-lanes .lane-column:visible").nth(1)
    return second.locator(".body [data-i]", has_text="France")


def _contest(page: Page) -> Locator:
    open_tab(page, "Score", "Contest")
    _example(page, "Capital of France")
    expect(page.locator("#contest-ranking tbody tr")).to_have_count(5)
    return _tokens(page).first


def _grid(page: Page) -> Locator:
    open_tab(page, "Grid")
    page.get_by_label("Prompts", exact=True).fill(PROMPT)
    page.locator("#grid-run").click()
    page.locator(".grid-board .cell[data-state=done] .open").press("Enter")
    return _tokens(page).nth(2)


def _records(page: Page) -> Locator:
    """A token that was read for the prompt, in a run that came back from the database."""
    open_tab(page, "Complete")
    _example(page, PROMPT)
    expect(page.locator(".ts[data-state=finished]:visible")).to_have_count(2)
    expect(page.locator("#complete-run")).to_be_visible()
    open_tab(page, "Records")
    page.locator(".records .record:visible").filter(has_text="greedy").first.press("Enter")
    page.locator(".record-lane:visible details.prompt summary").click()
    return page.locator(".record-lane:visible details.prompt [data-i='3']")


def _recipe(page: Page) -> Locator:
    """A run that somebody else had, with other ids, written again here."""
    run = Run(ModelSpec(BASE), Raw(PROMPT), Decoding(do_sample=False, max_new_tokens=6), seed=0)
    told = Recipe(run, answer=Answer((0,) * 6))
    open_tab(page, "Recipe")
    page.get_by_label("Link or recipe").fill(f"#recipe={link_of(Experiment((told,)))}")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Run again").click()
    return _tokens(page).nth(2)


@pytest.mark.parametrize(
    ("way", "told", "text"),
    [
        (_strategies, "the first 7 tokens of an answer of tiny-base in Strategies", None),
        (_score, "the first 20 tokens of a text under tiny-chat in Score", None),
        (_contest, "the first 5 tokens of a text under tiny-base in Contest", PROMPT),
        (_grid, "the first 7 tokens of an answer of tiny-chat in Grid", None),
        (_records, "the first 3 tokens of an answer of tiny-base in Records", "The capital of"),
        (_recipe, "the first 7 tokens of an answer of tiny-base in Recipe", f"{PROMPT} Paris,"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_token_of_every_tab_leads_inside(
    visit: Callable[..., Page], way: Callable[[Page], Locator], told: str, text: str | None
) -> None:
    """What it was given there is what the last layer gives it here, on the same ids: no digit of it
    would be the same on others."""
    page = visit()
    token = way(page)
    expect(token).to_be_visible()
    token.click()
    panel = page.locator(".token-popover")
    name = panel.locator(".head .tok").inner_text()
    given = panel.locator(".facts div", has_text="probability").locator("dd")
    share = given.inner_text() if given.count() else None  # a piece of the prompt has none
    panel.get_by_role("button", name="Look inside").click()
    lens = page.locator("#inside-lens")
    expect(page.locator("#inside-given")).to_contain_text(f"exactly the ids of {told}.")
    expect(lens.locator(".lens-side h3 bdi").first).to_have_text(name)
    expect(lens.locator(".verdict bdi").first).to_have_text(name)
    if text is not None:
        expect(page.get_by_label("Text to look at")).to_have_value(text)
    if share is not None:
        expect(lens.locator(".lens-side .share").first).to_have_text(share)
    last = lens.locator("tbody tr").first.locator("td").last
    expect(last).to_have_attribute("aria-selected", "true")
