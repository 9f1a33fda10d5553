"""The views of the Inside tab, drawn in the browser; it knows no model and no view's content.

A view's value is JSON: what ``stated()`` says of all of them, and ``found``, which its own script
draws (``INSIDE.name = (root, found, ways) => ...``, see inside_shared.js), or nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.ui.scripted import Bundle, scripted_view

# They share one scope. How a token is written down is the token view's.
BUNDLE = Bundle(
    "insideView",
    "inside-view",
    scripts=(
        "token_marks.js",
        "copy_text.js",
        "inside_shared.js",
        "inside_tokenizer.js",
        "inside_vocabulary.js",
        "inside_structure.js",
        "inside_head_adds.js",
        "inside_logits.js",
        "inside_heat.js",
        "inside_lens.js",
        "inside_attention.js",
        "inside_vectors.js",
        "inside_hidden.js",
        "inside_quantized.js",
    ),
    styles=(
        "inside.css",
        "inside_tokenizer.css",
        "inside_vocabulary.css",
        "inside_structure.css",
        "inside_logits.css",
        "inside_lens.css",
        "inside_attention.css",
        "inside_vectors.css",
    ),
)


def inside_view(
    mode: str, hint: str, *, server: tuple[Callable[..., object], ...] = (), **props: Any
) -> gr.HTML:
    """The view that ``INSIDE[mode]`` draws; ``hint`` stands there before anything was found.

    ``view.chosen(handler)`` gets ``gr.EventData`` with what the script told with ``tell(data)``,
    which may be anything.
    """
    return scripted_view(
        BUNDLE, events=("chosen",), server=server, elem_id=f"inside-{mode}",
        told={"mode": mode, "hint": hint}, **props,
    )
