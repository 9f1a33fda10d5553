"""The logit lens in the Inside tab: what each layer would say next, and a token that is watched; it
knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from playground.core.events import Piece
from playground.core.lens import LensFound, LensRequest, LensTop, LensTopRequest, came_first
from playground.core.prompt import check_text
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "Here stands what each layer would say next, if the model ended there: its final norm and its "
    "head are put on every layer's state, at each position of the text."
)
EXAMPLES = (
    Example("When does it know Paris?", "The capital of France is", -1, (" Paris",)),
    Example("A name it just read", "Lily had a red ball. Tom wanted to play with", -1, ("",)),
    Example("In Chinese", "床前明月光，疑是地上", -1, ("",)),
)


@dataclass(frozen=True)
class Looked:
    """What a reader looks at in the grid of a ``subject``: where its window begins (None: at the
    end), which cell is open (layer and position; none: the last), and the watched token's id with
    the text that stands for it. With another subject only the watched token stays."""

    subject: Subject | None = None
    first: int | None = None
    cell: tuple[int, int] | None = None
    watch: tuple[int, str] | None = None


def build_lens(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Logit lens", id="lens") as tab:
        with gr.Row(elem_classes="inside-form"):
            watch = gr.Textbox(
                "", label="Watched token", placeholder="Empty: what the model says at the end",
                lines=1, max_lines=1, elem_id="inside-watch", elem_classes="prompt-box",
            )
            examples = examples_row([one.label for one in EXAMPLES])
        view = inside_view("lens", HINT)
        looked = gr.State(Looked())
    return Section(
        "lens", tab, view, asks, show, (watch, looked),
        tuple(zip(examples, EXAMPLES, strict=True)), submits=(watch,), chosen=chosen,
    )


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The grid, and the cell that is open. Raises InvalidInput."""
    text, looked = values[0], _of(subject, values[1])
    check_text(text, "watched token")
    if subject.prompt is None:
        return []
    watch: int | str | None = text or None
    if looked.watch is not None and looked.watch[1] == text:
        watch = looked.watch[0]
    return [
        Ask(subject.spec, LensRequest(subject.prompt, looked.first, watch)),
        Ask(subject.spec, LensTopRequest(subject.prompt, *looked.cell or ())),
    ]


def chosen(subject: Subject, wish: Mapping[str, Any], values: Sequence[Any]) -> list[Any]:
    """What the view tells: another window with its open cell, another cell, or a token to be
    watched. Raises InvalidInput."""
    looked = _of(subject, values[1])
    match wish:
        case {"first": int(first), "layer": int(layer), "position": int(position)}:
            return [gr.skip(), replace(looked, first=first, cell=(layer, position))]
        case {"layer": int(layer), "position": int(position)}:
            return [gr.skip(), replace(looked, cell=(layer, position))]
        case {"watch": int(id), "text": str(text)}:
            return [text, replace(looked, watch=(id, text))]
    raise InvalidInput("The page asked for something that is not there.", field="lens")


def watching(token: tuple[int, str] | None) -> list[Any]:
    """The values of the section's controls that watch a token with its text."""
    return [token[1] if token else "", Looked(watch=token)]


def _of(subject: Subject, looked: Any) -> Looked:
    if isinstance(looked, Looked) and looked.subject == subject:
        return looked
    return Looked(subject, watch=looked.watch if isinstance(looked, Looked) else None)


def show(news: Sequence[News]) -> str:
    """The view's value."""
    grid = next((one for one in news if isinstance(one, LensFound)), None)
    top = next((one for one in news if isinstance(one, LensTop)), None)
    found = None if grid is None else {**_grid(grid), "top": None if top is None else _top(top)}
    return encode({**stated(news), "found": found})


def _grid(found: LensFound) -> dict[str, Any]:
    """Tokens once, in a table, and cells as ``[token, probability, entropy, watched, rank]``."""
    table: dict[int, int] = {}
    tokens: list[list[Any]] = []

    def place(piece: Piece) -> int:
        if piece.id not in table:
            table[piece.id] = len(tokens)
            tokens.append(_piece(piece))
        return table[piece.id]

    rows = [
        [[place(cell.top), number(cell.probability), number(cell.entropy),
          number(cell.watched), cell.rank] for cell in row]
        for row in found.rows
    ]
    return {
        "tokens": tokens, "rows": rows, "first": found.first, "count": found.tokens,
        "read": [place(piece) for piece in found.read],
        "next": None if found.next is None else place(found.next),
        "watched": place(found.watched), "layers": found.layers, "end": found.end,
        "notices": found.notices, "masked": found.masked,
        "came": [came_first([row[column].rank for row in found.rows])
                 for column in range(len(found.read))],
    }


def _top(found: LensTop) -> dict[str, Any]:
    return {"layer": found.layer, "position": found.position,
            "rows": [[*_piece(piece), number(share)] for piece, share in found.top]}


def _piece(piece: Piece) -> list[Any]:
    return [piece.id, piece.text, int(piece.special)]
