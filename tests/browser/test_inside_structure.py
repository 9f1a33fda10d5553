"""A model's modules walked by keys, and its predictions continued in another tab."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser

Shoot = Callable[[Page, str], None]
Visit = Callable[..., Page]


def _chosen(view: Locator) -> Locator:
    return view.locator("[aria-selected=true]")


def test_a_models_modules_are_walked_by_keys(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Inside", "Structure")
    view = page.locator(".inside-view.structure")
    # The tree comes first, and stands still once the shapes of the text are there.
    expect(view.locator(".way li").first).to_contain_text("[1, 5]")
    expect(view.locator(".way li").last).to_contain_text("[1, 5, 4096]")
    page.get_by_role("treeitem").first.focus()
    for key, path in (
        ("ArrowDown", "model"), ("ArrowDown", "model.embed_tokens"),
        ("ArrowDown", "model.layers"), ("ArrowDown", "model.layers.0"),
        ("ArrowRight", "model.layers.0"), ("ArrowRight", "model.layers.0.self_attn"),
        ("ArrowRight", "model.layers.0.self_attn"),
        ("ArrowRight", "model.layers.0.self_attn.q_proj"),
        ("k", "model.layers.0.self_attn.k_proj"),
    ):
        page.keyboard.press(key)
        expect(_chosen(view)).to_have_attribute("data-path", path)
        expect(_chosen(view)).to_be_focused()
    part = view.locator(".part")
    expect(part).to_contain_text("Makes the key of each token")
    expect(part).to_contain_text("2 heads × 32 = 64, each read by 3 query heads")
    shoot(page, "inside-structure")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator('[data-path="model.layers.0.self_attn.k_proj"]')).to_have_count(0)
    find = page.get_by_label("Find a module by its name or class")
    find.fill("lm_head")
    expect(view.locator("[role=treeitem]")).to_have_count(2)
    find.press("Enter")
    expect(part).to_contain_text("the same tensor as model.embed_tokens.weight")


def test_a_prediction_is_continued_in_complete(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Inside", "Logits")
    view = page.locator(".inside-view.logits")
    rows = view.get_by_role("option")
    expect(rows).to_have_count(5)
    rows.last.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(_chosen(view)).to_have_attribute("data-place", "1")
    expect(view.locator(".place")).to_contain_text("After 2 tokens")
    view.locator(".walk summary").nth(1).click()
    expect(view.locator(".walk details[open]").last).to_contain_text("[1, 5, 4096] float32")
    shoot(page, "inside-logits")
    view.get_by_role("button", name="Continue from here in Complete").click()
    expect(page.get_by_label("Text for every lane")).to_have_value("The capital")


@pytest.mark.parametrize("name", ("Structure", "Logits"))
def test_on_a_phone_nothing_is_wider_than_the_page(
    visit: Visit, shoot: Shoot, name: str
) -> None:
    page = visit(width=390)
    open_tab(page, "Inside", name)
    view = page.locator(f".inside-view.{name.lower()}")
    expect(view.locator(".way li, .walk li").last).to_be_visible()
    if name == "Structure":
        view.get_by_role("button", name="Open all").click()
    shoot(page, f"phone-inside-{name.lower()}")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
