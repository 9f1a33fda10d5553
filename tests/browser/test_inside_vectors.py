"""Vectors, hidden states and a quantized copy in a real Chromium, with the real models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tab_row import open_tab

pytestmark = pytest.mark.browser


def _example(page: Page, text: str) -> None:
    page.locator("button.example:visible", has_text=text).click()


def test_hidden_states_are_read_by_keys_and_their_ends_said(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit()
    open_tab(page, "Inside", "Hidden states")
    _example(page, "Chinese")
    view = page.locator(".inside-view.states")
    expect(view.locator(".facts")).to_contain_text("stands behind the final norm, model.norm")
    expect(view.locator(".facts")).to_contain_text("the same, bit for bit")
    told = view.locator(".told")
    expect(told).to_contain_text("layer 5, normed")
    view.locator("canvas").press("ArrowDown")
    expect(told).to_contain_text("layer 4")
    expect(told).to_contain_text("cosine with the next")
    view.get_by_role("button", name="turn").click()
    expect(told).to_contain_text("layer 4")  # another colour, the same cell
    shoot(page, "inside-hidden")


def test_a_word_in_its_sentences_layer_by_layer(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit(width=900, dark=True)
    open_tab(page, "Inside", "Embeddings")
    _example(page, "red, in three places")
    view = page.locator(".inside-view.vectors")
    expect(view.locator(".sentences li")).to_have_count(6)
    expect(view.locator(".facts").first).to_contain_text("reads from left to right")
    slider = view.get_by_role("slider", name="Layer")
    slider.press("Home")
    expect(view.locator(".layers")).to_contain_text("all vectors are the same here")
    slider.press("ArrowRight")
    expect(view.locator(".layers")).to_contain_text("layer 1 of 5")
    expect(view.locator(".picture .dot")).to_have_count(6)
    expect(view.locator("table.tokens tbody tr")).to_have_count(4)
    shoot(page, "inside-vectors")
    page.locator("#inside-word textarea, #inside-word input").fill("purple")
    page.locator("#inside-word textarea, #inside-word input").press("Enter")
    expect(view.locator(".problem").first).to_contain_text("“purple” stands in the lines 0 times")
    assert page.evaluate("document.documentElement.scrollWidth") <= 900


def test_four_bits_beside_all_of_them(
    visit: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    page = visit()
    open_tab(page, "Inside", "Quantized")
    _example(page, "4 bits")
    view = page.locator(".inside-view.quantized")
    expect(view.locator("table.costs thead")).to_contain_text("tiny-base · nf4", timeout=90_000)
    expect(view.locator("table.expected tbody tr")).to_have_count(7)
    expect(view.locator(".facts")).to_contain_text("% of the bytes of the first")
    shoot(page, "inside-quantized")
