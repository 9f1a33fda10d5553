"""The vocabulary in the Inside tab: a table that is asked for page by page; it knows no tokenizer.

What a browser asks is untrusted; an answer is JSON, and a sentence where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from playground.core.events import Piece
from playground.core.inspection import Inspection
from playground.core.plain import from_plain
from playground.core.vocabulary import (
    KINDS,
    Merge,
    TokenFound,
    TokenRequest,
    VocabularyPage,
    VocabularyRequest,
    VocabularyRow,
)
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.controls import read_model
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "Every token that the model knows, to be searched and filtered. Press Look: the table asks for "
    "the rows that are in sight, so that 150,000 of them are no burden."
)


def build_vocabulary(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Vocabulary", id="vocabulary") as tab:
        opened = gr.Textbox("", visible=False, label="Opened token", elem_id="inside-token")
        view = inside_view("vocabulary", HINT, server=questions(stage))
    return Section("vocabulary", tab, view, asks, show, (opened,))


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The first page, and the token that another section opened, ``"<id> <model>"``."""
    asked = [Ask(subject.spec, VocabularyRequest())]
    id, _, model = str(values[0]).partition(" ")
    if id.isdecimal() and len(id) < 10 and model == subject.spec.repo:
        asked.append(Ask(subject.spec, TokenRequest(int(id))))
    return asked


def show(news: Sequence[News]) -> str:
    """The view's value."""
    page = next((one for one in news if isinstance(one, VocabularyPage)), None)
    token = next((one for one in news if isinstance(one, TokenFound)), None)
    found = None if page is None else {
        "model": page.model.repo, "label": page.model.label, "size": page.size,
        "scripts": page.scripts, "kinds": [[*one, *KINDS[one[0]]] for one in page.kinds],
        "page": _page(page), "token": _token(token) if token else None,
    }
    return encode({**stated(news), "found": found})


def questions(stage: Stage) -> tuple[Callable[[object, gr.Request], str], ...]:
    """Server functions: another page, and one token."""

    def answer(model: object, read: Callable[[], Inspection[Any]], request: gr.Request) -> Any:
        """What the model says to a question that is quick, or why it does not. The engine bounds
        how many of a visitor, and of all, hold a thread of the server meanwhile."""
        spec = read_model(model)
        if not any(one.spec == spec and one.state in ("ready", "busy")
                   for one in stage.engine.models()):
            raise InvalidInput(f"{spec.label} is not in memory any more.", field="model",
                               advice="Press Look.")
        return stage.engine.inspect(spec, read(), stage.visitor(request))

    def vocabulary_rows(given: object, request: gr.Request) -> str:
        asked = given if isinstance(given, Mapping) else {}
        try:
            page = answer(asked.get("model"), lambda: from_plain(
                VocabularyRequest, asked.get("query"), "query"), request)
        except PlaygroundError as error:
            return encode({"problem": str(error.problem), "field": error.problem.field})
        return encode(_page(page))

    def vocabulary_token(given: object, request: gr.Request) -> str:
        asked = given if isinstance(given, Mapping) else {}
        try:
            token = answer(asked.get("model"), lambda: from_plain(
                TokenRequest, {"id": asked.get("id")}, "token"), request)
        except PlaygroundError as error:
            return encode({"problem": str(error.problem)})
        return encode(_token(token))

    return vocabulary_rows, vocabulary_token


def _page(page: VocabularyPage) -> dict[str, Any]:
    return {"matching": page.matching, "start": page.start, "rows": [_row(r) for r in page.rows]}


def _row(row: VocabularyRow) -> list[Any]:
    """``[id, text, special, characters, bytes, script, kinds]``."""
    return [*_piece(row.piece), row.characters, row.bytes, row.script, list(row.kinds)]


def _token(found: TokenFound) -> dict[str, Any]:
    return {
        "row": _row(found.row), "name": found.name, "made": found.made,
        "merges": [_merge(one) for one in found.merges],
        "score": None if found.score is None else number(found.score),
        "alone": [_piece(one) for one in found.alone],
        "norm": None if found.norm is None else number(found.norm),
        "neighbours": [[*_piece(piece), number(cosine, 3)] for piece, cosine in found.neighbours],
    }


def _merge(merge: Merge) -> list[Any]:
    return [merge.rank, *(_piece(one) for one in (merge.left, merge.right, merge.made))]


def _piece(piece: Piece) -> list[Any]:
    return [piece.id, piece.text, int(piece.special)]


