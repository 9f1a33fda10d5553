"""The language of the page: chosen by the browser's, or by hand; the words are in ui/assets.

Every sentence of the app is written in English where it arises. The page looks it up as it appears
(language.js), so that errors, events and views need not know in what language they are read.
"""

from __future__ import annotations

from functools import cache

import gradio as gr

from playground.ui.scripted import ASSETS, Bundle, scripted_view

LANGUAGES = ("zh",)
BUNDLE = Bundle("languagePicker", "language-picker", ("language.js",), ("language.css",))


@cache
def _words(language: str) -> str:
    return (ASSETS / f"{language}.json").read_text("utf-8")


def words_in(request: object) -> str:
    """Server function: the dictionary of a language, JSON of English templates and its own."""
    language = request.get("language") if isinstance(request, dict) else None
    return _words(language) if language in LANGUAGES else "{}"


def language_picker() -> gr.HTML:
    """The choice, at the end of the header."""
    return scripted_view(BUNDLE, server=(words_in,))
