"""What Gradio's own client says when a reload or another address cuts its open event stream."""

from __future__ import annotations

from playwright.sync_api import Page

_SAID = ("AbortError: signal is aborted", "Unexpected error Connection errored out")


def forget_cut_stream(page: Page) -> None:
    """Take it out of the page's complaints; to be called once the new page stands."""
    said = page.watch.complaints
    said[:] = [one for one in said if not any(words in one for words in _SAID)]
