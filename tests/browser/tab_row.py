"""The way to a tab, in the row or behind its button; it does not know what a tab holds."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

# A row is first drawn with all of its tabs, then measured; what has no room goes behind the button.
_MEASURED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def open_tab(page: Page, *names: str) -> None:
    """Open a tab, then one inside it, and so on; a row inside a tab is drawn when that is opened,
    which the slow machine of CI does later than the next line of a test."""
    for name in names:
        tab = page.get_by_role("tab", name=name, exact=True).locator("visible=true")
        words = re.compile(rf"^\s*{re.escape(name)}\s*$")
        behind = page.locator(".overflow-dropdown button").filter(has_text=words)
        expect(tab.or_(behind).first).to_be_attached()
        page.evaluate(_MEASURED)
        if not tab.count():
            menu = page.locator(".overflow-menu:visible").filter(has=behind)
            menu.locator("> button").click()
            tab = behind
        tab.click()
        # Until it is open, what is in sight is still another tab's; a chosen one gets into the row.
        opened = page.locator("[role=tab].selected, .overflow-dropdown button.selected")
        expect(opened.filter(has_text=words).first).to_be_attached()
