"""The tokenizer in the Inside tab: a text to ids to pieces and back, live; it knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from playground.core.events import Piece
from playground.core.prompt import Chat, check_text
from playground.core.tokenization import (
    PaddedBatch,
    Part,
    TakenApart,
    Tokenized,
    TokenizeRequest,
    TokenizerFacts,
)
from playground.core.tokenizer_notes import about
from playground.errors import Problem
from playground.settings import Settings
from playground.ui.controls import offered, read_model
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "The tokens of your text appear here as you type: their ids, bytes and characters, and what "
    "the tokenizer did to the text before it cut it."
)
EXAMPLES = (
    Example("The notes’ sentence", "The capital of France is", None, ("", "", "")),
    Example("Spaces and letters matter", "Paris paris  PARIS\n paris, Paris.", None, ("", "", "")),
    Example("Chinese and emoji", "床前明月光，疑是地上霜。 👍🏽 café", None, ("", "", "")),
    Example("A batch of two", "The capital of France is", None, ("", "Hello", "")),
    Example("Ids back to text", "The capital of France is", None, ("", "", "364 337 290")),
)


def build_tokenizer(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Tokenizer", id="tokenizer") as tab:
        with gr.Row(elem_classes="examples"):
            examples = [gr.Button(one.label, size="sm", elem_classes="example", min_width=60)
                        for one in EXAMPLES]
        with gr.Row(elem_classes="inside-form"):
            other = gr.Dropdown(
                [("none", ""), *offered(settings, encoders=True)], value="", min_width=160,
                label="Beside it, the tokenizer of", interactive=True, elem_id="inside-other",
                allow_custom_value=settings.mode == "local",
            )
            beside = gr.Textbox(
                "", label="A second text, for a batch of two", lines=1, max_lines=4, min_width=200,
                placeholder="Any other text", elem_id="inside-beside",
                elem_classes="prompt-box",
            )
            ids = gr.Textbox(
                "", label="Ids back to text", lines=1, max_lines=4, min_width=200,
                placeholder="464 3139 286", elem_id="inside-back", elem_classes="prompt-box",
            )
        view = inside_view("tokenizer", HINT)
    controls = (other, beside, ids)
    return Section(
        "tokenizer", tab, view, asks, show, controls,
        tuple(zip(examples, EXAMPLES, strict=True)), looks_at_once=controls, live=True,
        leads_to="vocabulary",
    )


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The same question for one tokenizer or two. Raises InvalidInput."""
    other, beside, ids = values
    check_text(beside, "second text")
    check_text(ids, "ids")
    prompt = subject.prompt
    if isinstance(prompt, Chat) or (prompt is None and not ids.strip()):
        return []
    request = TokenizeRequest(prompt, beside, ids)
    specs = [subject.spec, *([read_model(other)] if other else [])]
    return [Ask(spec, request) for spec in specs]


def show(news: Sequence[News]) -> str:
    """The view's value: a lane for each tokenizer."""
    lanes = [_lane(one) for one in news if isinstance(one, Tokenized)]
    return encode({**stated(news), "found": {"lanes": lanes} if lanes else None})


def _lane(found: Tokenized) -> dict[str, Any]:
    return {
        "model": found.model.repo, "label": found.model.label, "facts": _facts(found.facts),
        "text": _taken(found.text), "batch": _batch(found.batch), "back": _taken(found.read_back),
    }


def _facts(facts: TokenizerFacts) -> dict[str, Any]:
    return {
        "kind": facts.kind, "model": facts.model, "about": about(facts.model),
        "open": facts.is_open, "size": facts.size, "added": facts.added,
        "decoder": [_part(one, True) for one in facts.decoder],
        "specials": [[name.removesuffix("_token"), *_piece(one)] for name, one in facts.specials],
    }


def _taken(taken: TakenApart | Problem | None) -> Any:
    """A text as tokens ``[id, piece, special, start, end]``; a sentence where it cannot be had."""
    if taken is None or isinstance(taken, Problem):
        return str(taken) if taken else None
    per = taken.per_token
    return {
        "text": taken.text, "count": taken.count, "around": taken.around,
        "characters": len(taken.text), "bytes": len(taken.text.encode()),
        "per": [number(one, 3) for one in per] if per else None, "decoded": taken.decoded,
        "tokens": [[*_piece(one.piece), one.start, one.end] for one in taken.tokens],
        "steps": [[one.stage, *_part(one.part), list(one.texts)] for one in taken.steps],
        "stepped": taken.stepped,
    }


def _batch(batch: PaddedBatch | Problem | None) -> Any:
    if batch is None or isinstance(batch, Problem):
        return str(batch) if batch else None
    return {
        "rows": [{"pieces": [_piece(one) for one in row.pieces], "mask": list(row.mask),
                  "positions": list(row.positions)} for row in batch.rows],
        "together": batch.lane == "batch", "side": batch.own_side,
        "pad": _piece(batch.pad) if batch.pad else None,
    }


def _piece(piece: Piece) -> list[Any]:
    return [piece.id, piece.text, int(piece.special)]


def _part(part: Part, decodes: bool = False) -> list[str]:
    return [part.name, part.settings, about(part.name, decodes)]
