"""The Structure section: what a model is made of, and which shapes a text has in it; no tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from playground.core.module_notes import note_of
from playground.core.structure import (
    Bare,
    Flow,
    Part,
    Shapes,
    ShapesFound,
    Structure,
    StructureFound,
    spine,
)
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode

HINT = (
    "The model's modules appear here as print(model) shows them: with shapes, parameters and "
    "bytes, what each is for, and the shapes that your text has on its way."
)
EXAMPLES = (
    Example("The capital of France is", "The capital of France is", -1),
    Example("The chat model", "What is the capital of France?", 0),
    Example("《梦游天姥吟留别》的作者是谁", "《梦游天姥吟留别》的作者是谁", 0),
)


def build_structure(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Structure", id="structure") as tab:
        buttons = examples_row([example.label for example in EXAMPLES])
        view = inside_view("structure", HINT)
    return Section(
        "structure", tab, view, _asks, show, examples=tuple(zip(buttons, EXAMPLES, strict=True)),
    )


def _asks(subject: Subject, values: Sequence[Any]) -> Sequence[Ask]:
    """The tree, which needs no text, and then the shapes of a text, where there is one."""
    asks = [Ask(subject.spec, Structure())]
    if subject.prompt is not None:
        asks.append(Ask(subject.spec, Shapes(subject.prompt)))
    return asks


def show(news: Sequence[News]) -> str:
    """The tree as soon as it is there; the shapes when they are."""
    found = next((one for one in news if isinstance(one, StructureFound)), None)
    shapes = next((one for one in news if isinstance(one, ShapesFound)), None)
    return encode({**stated(news), "found": drawn(found, shapes) if found else None})


def drawn(found: StructureFound, shapes: ShapesFound | None) -> dict[str, Any]:
    """What the browser draws, see inside_structure.js."""
    notes: dict[str, int] = {}
    return {
        "tree": _node(found.tree, "", notes),
        "notes": list(notes),
        "bare": _bare(found.bare),
        "printed": found.printed,
        "notices": [*found.notices, *(shapes.notices if shapes else ())],
        "shapes": _shapes(found.tree, shapes),
    }


def _node(part: Part, within: str, notes: dict[str, int]) -> dict[str, Any]:
    """A module; a sentence that many have is told once, by its place among ``notes``."""
    note = notes.setdefault(note_of(part, within), len(notes))
    return {
        "name": part.name, "kind": part.kind, "given": part.given, "role": part.role,
        "count": part.count, "parameters": part.parameters, "bytes": part.bytes, "note": note,
        "weights": [asdict(weight) for weight in part.weights],
        "parts": [_node(one, part.kind, notes) for one in part.parts],
    }


def _bare(bare: Bare | None) -> dict[str, Any] | None:
    return None if bare is None else asdict(bare)


def _shapes(tree: Part, shapes: ShapesFound | None) -> dict[str, Any] | None:
    if shapes is None:
        return None
    return {
        "tokens": shapes.tokens, "read": shapes.read,
        "flows": {flow.path: _flow(flow) for flow in shapes.flows},
        "spine": [[path, part.kind, part.count] for path, part, _ in spine(tree, shapes)],
    }


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "given": [_shape(one) for one in flow.given], "gave": [_shape(one) for one in flow.gave],
        "dtype": flow.dtype, "calls": flow.calls, "heads": [asdict(one) for one in flow.heads],
    }


def _shape(shape: Sequence[int]) -> str:
    """As Python writes it, with the brackets of a torch.Size: [1, 6, 896]."""
    return str(list(shape))
