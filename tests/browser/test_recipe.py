"""A run taken away and opened again, in a real Chromium, with the real app; its calls as well."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from playground.core.recipe_link import link_of, read_link
from tests.browser.cut_stream import forget_cut_stream

pytestmark = pytest.mark.browser

PROMPT = "The capital of France is"
Shoot = Callable[[Page, str], None]


def _run(page: Page) -> None:
    page.get_by_role("tab", name="Complete", exact=True).click()
    page.locator("button.example:visible", has_text=PROMPT).first.click()
    expect(page.locator(".share-open:not([disabled]):visible")).to_have_count(2)


def _way(page: Page, name: str) -> str:
    page.locator(".share-ways button:visible", has_text=re.compile(f"^{name}$")).click()
    box = page.locator(".share-text:visible")
    expect(box).to_have_value(re.compile("."))
    return box.input_value()


def _link(page: Page) -> str:
    link = _way(page, "Link")
    expect(page.locator(".share-help:visible")).to_contain_text(f"{len(link):,} characters")
    return link


def _open(page: Page, link: str) -> None:
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".recipe-facts:visible")).to_be_visible()
    forget_cut_stream(page)


def test_a_link_opens_filled_in_runs_when_asked_and_is_verified(
    visit: Callable[..., Page], shoot: Shoot
) -> None:
    page = visit()
    _run(page)
    page.locator(".share-open:visible").first.click()
    link = _link(page)
    shoot(page, "share a link")
    _open(page, link)
    expect(page.locator(".recipe-prompt")).to_have_text(PROMPT)
    expect(page.locator(".recorded .tok").first).to_contain_text("Paris")
    expect(page.locator(".recipe-open .hint:visible")).to_contain_text("writes its tokens here")
    page.get_by_role("button", name="Run again and verify").click()
    verdict = page.locator(".recipe-verdict")
    expect(verdict).to_contain_text(re.compile(r"Same ids: all \d+ tokens came again"))
    shoot(page, "a link is verified")
    page.get_by_role("button", name="Open in Tokens").click()
    tab = page.get_by_role("tabpanel").locator("visible=true").first
    expect(tab.get_by_label("Prompt", exact=True)).to_have_value(PROMPT)
    expect(page.locator(".token-stream:visible [data-i]")).to_have_count(0)


def test_two_lanes_go_in_one_link_and_other_ids_are_explained(
    visit: Callable[..., Page], shoot: Shoot
) -> None:
    page = visit(width=390)
    _run(page)
    page.locator(".share-open:visible").first.click()
    _link(page)
    page.get_by_label("Both lanes together").locator("visible=true").check()
    expect(page.locator(".share-help:visible")).to_contain_text("for 2 lanes")
    shoot(page, "share two lanes on a phone")
    at, _, end = page.locator(".share-text:visible").input_value().partition("#recipe=")
    told = read_link(end)
    lanes = (told.lanes[0], _elsewhere(told.lanes[1]))
    _open(page, f"{at}#recipe={link_of(type(told)(lanes))}")
    page.locator(".recipe-pick label").nth(1).click()
    page.get_by_role("button", name="Run again and verify").click()
    expect(page.locator(".recipe-verdict.other")).to_contain_text("torch was 1.0, is ")
    expect(page.locator(".recorded .tok.parts")).to_have_count(1)
    expect(page.locator(".recipe-pick label").first).to_contain_text("same ids")
    shoot(page, "other ids on a phone")


def _elsewhere(recipe: Any) -> Any:
    seed = (recipe.run.seed + 1) % 2**32
    return replace(recipe, run=replace(recipe.run, seed=seed),
                   facts=replace(recipe.facts, torch="1.0"))


def test_a_broken_link_is_a_sentence(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(dark=True)
    at = page.url.partition("#")[0]
    page.goto("about:blank")
    page.goto(f"{at}#recipe=aXYZ")
    expect(page.locator("#recipe-notice")).to_contain_text("This link is cut off or was changed")
    expect(page.get_by_role("button", name="Run again and verify")).to_be_hidden()
    forget_cut_stream(page)
    shoot(page, "a broken link")


def test_curl_and_the_python_client_are_true(visit: Callable[..., Page]) -> None:
    page = visit()
    _run(page)
    lane = page.locator(".lane-column:visible .ts").first
    page.locator(".share-open:visible").first.click()
    code = _way(page, "Code")
    expected = next(ast.literal_eval(node.value) for node in ast.parse(code).body
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "expected")
    client = _way(page, "Python client")
    said = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True,
                          timeout=120, check=True).stdout
    assert ast.literal_eval(said.splitlines()[-1]) == expected
    told = subprocess.run(["bash", "-c", _way(page, "curl")], capture_output=True, text=True,
                          timeout=120, check=True).stdout
    assert "event: complete" in told and "Paris" in told
    page.get_by_role("button", name="Close", exact=True).locator("visible=true").first.click()
    expect(lane.locator(".share")).to_be_hidden()
