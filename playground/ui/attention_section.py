"""Attention in the Inside tab: a head or a mean over the pieces, and all heads of a layer as small
pictures; it knows no model."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.core.attention import AttentionFound, AttentionRequest, HeadsFound, HeadsRequest
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "Here stands what each token looks at: the attention weights of every layer and head, as the "
    "model computes them."
)
EXAMPLES = (
    Example("Looking back at a name", "Tom and Lily went to the park. Tom was happy. Lily", -1),
    Example("A thing said twice", "One two three four five. One two three four", -1),
    Example("In Chinese", "床前明月光，疑是地上霜。举头望明月", -1),
)


@dataclass(frozen=True)
class Head:
    """What is shown: a head of a layer, None for the mean over all; without the first token.

    Another model may lack it: then its look says which there are.
    """

    layer: int | None = None
    head: int | None = None
    without_first: bool = False


def build_attention(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Attention", id="attention") as tab:
        examples = examples_row([example.label for example in EXAMPLES])
        view = inside_view("attention", HINT)
        head = gr.State(Head())  # inside the Tab: as a part of the Tabs it would be drawn as one
    return Section(
        "attention", tab, view, asks, show, (head,),
        tuple(zip(examples, EXAMPLES, strict=True)), chosen=chosen,
    )


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The head, and the pictures of all heads of its layer."""
    if subject.prompt is None:
        return []
    head = values[0] if isinstance(values[0], Head) else Head()
    text, spec = subject.prompt, subject.spec
    return [
        Ask(spec, AttentionRequest(text, head.layer, head.head, head.without_first)),
        Ask(spec, HeadsRequest(text, head.layer, head.without_first)),
    ]


def chosen(subject: Subject, wish: Mapping[str, Any], values: Sequence[Any]) -> list[Any]:
    """Another layer or head, with or without the first token. Raises InvalidInput."""
    match wish:
        case {"layer": int() | None as layer, "head": int() | None as head,
              "without_first": bool(without_first)}:
            return [Head(layer, head, without_first)]
    raise InvalidInput("The page asked for something that is not there.", field="attention")


def show(news: Sequence[News]) -> str:
    """The view's value."""
    found = next((one for one in news if isinstance(one, AttentionFound)), None)
    heads = next((one for one in news if isinstance(one, HeadsFound)), None)
    told = None if found is None else {
        **_head(found), "pictures": None if heads is None else _pictures(heads),
    }
    return encode({**stated(news), "found": told})


def _head(found: AttentionFound) -> dict[str, Any]:
    return {
        "pieces": [[piece.id, piece.text, int(piece.special)] for piece in found.pieces],
        "layer": found.layer, "head": found.head, "causal": found.causal,
        "weights": b64encode(found.weights).decode(), "sink": number(found.sink),
        "layers": found.layers, "heads": found.heads, "depth": found.depth,
        "notices": found.notices,
    }


def _pictures(heads: HeadsFound) -> dict[str, Any]:
    return {
        "layer": heads.layer, "names": heads.names, "size": heads.size,
        "bytes": b64encode(heads.pictures).decode(), "sinks": [number(one) for one in heads.sinks],
    }
