"""Quantized and not in the Inside tab: one text through two copies of one model, side by side; it
knows no model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from playground.core.quantized import Expected, ExpectedFound
from playground.core.run import ModelSpec
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.quantized_figures import Apart, apart, perplexity
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "The same text goes through two copies of the model, here side by side: how many bytes each "
    "takes, what each expects at every position, and how far these expectations are apart."
)
WAYS = {
    "auto": "as it loads", "float32": "float32", "bfloat16": "bfloat16", "float16": "float16",
    "int8": "int8 (8 bits)", "nf4": "nf4 (4 bits)",
}
EXAMPLES = (
    Example("4 bits", "The capital of France is Paris.", None, ("auto", "nf4")),
    Example("8 bits", "Once upon a time there was a little dragon named Max.", None,
            ("auto", "int8")),
    Example("16 bits against 32", "床前明月光，疑是地上霜。", None, ("float32", "bfloat16")),
)


def build_quantized(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    choices = [(words, name) for name, words in WAYS.items()]
    with gr.Tab("Quantized", id="quantized") as tab:
        with gr.Row(elem_classes="inside-form"):
            left = gr.Dropdown(choices, value="auto", label="One copy", interactive=True,
                               elem_id="inside-left")
            right = gr.Dropdown(choices, value="nf4", label="The other", interactive=True,
                                elem_id="inside-right")
        examples = examples_row([one.label for one in EXAMPLES])
        view = inside_view("quantized", HINT)
    return Section("quantized", tab, view, asks, show, (left, right),
                   tuple(zip(examples, EXAMPLES, strict=True)))


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The same question to both copies, which are loaded one after the other. Raises InvalidInput
    for two that are the same."""
    if subject.prompt is None:
        return []
    one, other = (_spec(subject.spec, value) for value in values)
    if one == other:
        raise InvalidInput(
            "Both copies are the same.", field="copies", given=WAYS[values[0]],
            allowed="two different ones", advice="Choose another one on either side.",
        )
    return [Ask(spec, Expected(subject.prompt)) for spec in (one, other)]


def _spec(spec: ModelSpec, way: Any) -> ModelSpec:
    if way in ("int8", "nf4"):
        return replace(spec, quantization=way, dtype="auto")
    return replace(spec, dtype=way, quantization="none")


def show(news: Sequence[News]) -> str:
    """The view's value: each side as soon as it has come, what is between them when both have."""
    sides = [one if isinstance(one, ExpectedFound) else None for one in news]
    known = [one for one in sides if one]
    if not known:
        return encode({**stated(news), "found": None})
    both = (sides[0], sides[1]) if len(sides) == 2 and sides[0] and sides[1] else None
    between = apart(both[0].logprobs, both[1].logprobs, both[0].vocabulary) if both else ()
    found = {
        "pieces": [_piece(piece) for piece in known[0].pieces], "first": known[0].first,
        "sides": [None if one is None else _side(one) for one in sides],
        "between": [[number(one.forward), number(one.backward), number(one.jensen_shannon),
                     one.agree] for one in between],
        "said": list(said(*both, between)) if both else [],
    }
    return encode({**stated(news), "found": found})


def _side(found: ExpectedFound) -> dict[str, Any]:
    text = perplexity(found.told)
    return {
        "name": found.name, "weights": found.weights, "dtype": found.dtype, "device": found.device,
        "seconds": number(found.seconds, 2), "perplexity": None if text is None else number(text),
        "tops": [[[*_piece(one.piece), number(one.logprob)] for one in top] for top in found.tops],
        "notices": found.notices,
    }


def _piece(piece: Any) -> list[Any]:
    return [piece.id, piece.text, int(piece.special)]


def said(one: ExpectedFound, other: ExpectedFound, between: Sequence[Apart]) -> Iterator[str]:
    """What the comparison comes to."""
    agree = sum(position.agree for position in between)
    mean = sum(position.forward for position in between) / len(between)
    whole = len(one.pieces) == len(between)
    where = "" if whole else (
        f" These are the last {len(between)} of {len(one.pieces)} positions, of which the whole "
        f"distributions ({one.vocabulary:,} numbers each) were compared.")
    far = f"{mean:.3g} nats" if math.isfinite(mean) else "infinitely far"
    yield (f"The first choice is the same at {agree} of {len(between)} positions. The second copy "
           f"is {far} from the first on average (KL divergence).{where}")
    small = "" if one.quantization == other.quantization == "none" else (
        " Embeddings, norms and the head are not quantized, and of a small model they are much.")
    yield (f"The weights of the second take {100 * other.weights / one.weights:.0f} % of the bytes "
           f"of the first.{small}")
    yield ("The milliseconds are one measurement of one pass over this text and no benchmark: "
           "writing token by token takes other ways, and other times.")
    yield from dict.fromkeys((*one.notices, *other.notices))
