"""Hidden states in the Inside tab: a strip of every layer and position, and what the ends of the
hidden states are, in words; it knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import gradio as gr

from playground.core.hidden import MASSIVE, MASSIVE_TIMES, Ends, HiddenFound, HiddenStates, scale
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "Here stands the state that the model holds of each token behind each of its layers: how long "
    "the vector is, how far a layer turns it, and its first values."
)
EXAMPLES = (
    Example("A plain sentence", "The capital of France is", -1),
    Example("Chinese", "床前明月光，疑是地上霜。", -1),
    Example("A question to the chat model", "What is the capital of Italy?", 0),
)


def build_hidden(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Hidden states", id="hidden") as tab:
        examples = examples_row([one.label for one in EXAMPLES])
        view = inside_view("states", HINT)
    return Section("hidden", tab, view, asks, show,
                   examples=tuple(zip(examples, EXAMPLES, strict=True)))


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The states of the text, where there is one."""
    return [] if subject.prompt is None else [Ask(subject.spec, HiddenStates(subject.prompt))]


def show(news: Sequence[News]) -> str:
    """The view's value."""
    found = next((one for one in news if isinstance(one, HiddenFound)), None)
    return encode({**stated(news), "found": None if found is None else _found(found)})


def _found(found: HiddenFound) -> dict[str, Any]:
    low, high = scale(found.norms)
    return {
        "pieces": [[piece.id, piece.text, int(piece.special)] for piece in found.pieces],
        "labels": labels(found), "widths": found.widths, "norms": found.norms,
        "cosines": found.cosines, "firsts": found.firsts, "scale": [low, high],
        "table": [_row(found, layer) for layer in range(len(found.norms))],
        "said": [*shapes(found), *ends_said(found.ends), *giants(found)],
        "notices": found.notices,
    }


def _row(found: HiddenFound, layer: int) -> list[Any]:
    """Mean norm, mean cosine with the next layer, and the peak: position, dimension, value."""
    turns = [one for one in found.cosines[layer] if one is not None] if (
        layer < len(found.cosines)) else []
    peak = found.peaks[layer]
    return [number(fmean(found.norms[layer])), number(fmean(turns)) if turns else None,
            peak.position, peak.dimension, number(peak.value), peak.massive]


def labels(found: HiddenFound) -> list[str]:
    """What each state is, for the head of its row."""
    ends, last = found.ends, len(found.norms) - 1
    behind = 1 if ends.first_out == 0 and ends.first_in != 0 else 0
    names = [f"layer {n + behind}" for n in range(last + 1)]
    if not behind:
        names[0] = "embeddings"
    if ends.normed == 0:
        names[-1] = f"{names[-1]}, normed" if not behind else "final norm"
    return names


def shapes(found: HiddenFound) -> Iterator[str]:
    """What ``output_hidden_states`` gives for this text, as a shape."""
    tokens, widths = len(found.pieces), found.widths
    count = f"hidden_states holds {len(widths)} tensors"
    if len(set(widths)) == 1:
        yield f"{count} of shape [1, {tokens}, {widths[0]}] in {found.dtype}."
    else:
        yield f"{count} of shape [1, {tokens}, n], where n is {', '.join(map(str, widths))}."


def ends_said(ends: Ends) -> Iterator[str]:
    """What the first and the last hidden state are, as it was measured."""
    if ends.first_in == 0 and ends.embedding == 0:
        yield ("hidden_states[0] is what the first layer reads: the tokens' rows of the embedding "
               "matrix as they are.")
    elif ends.first_in == 0:
        apart = "" if ends.embedding is None else (
            f" (the largest difference is {_short(ends.embedding)})")
        yield ("hidden_states[0] is what the first layer reads. It is not the bare rows of the "
               f"embedding matrix{apart}: positions, a factor or a norm were put on them.")
    elif ends.first_out == 0:
        yield "hidden_states[0] is what the first layer gave: what it reads is not among them."
    if ends.last_hidden_state is not None:
        same = ends.last_hidden_state == 0
        yield ("hidden_states[-1] and last_hidden_state are " + (
            "the same, bit for bit" if same else
            f"not the same: the largest difference is {_short(ends.last_hidden_state)}")
            + f" (measured on {ends.tokens} tokens).")
    yield _last(ends)
    if ends.head is not None and ends.head != 0:
        yield "The output head reads something else than hidden_states[-1]."


def _last(ends: Ends) -> str:
    norm = f"{ends.norm} ({ends.kind})"
    if ends.norm and ends.normed == 0:
        before = "." if ends.before is None else (
            f": the last layer gave states {_short(ends.before)} long on average, and the norm "
            f"makes them {_short(ends.after)}.")
        return f"hidden_states[-1] stands behind the final norm, {norm}{before}"
    if ends.norm and ends.last_out == 0:
        return (f"hidden_states[-1] stands before the final norm, {norm}: it is what the last "
                "layer gave.")
    if ends.last_out == 0:
        return ("hidden_states[-1] is what the last layer gave: no final norm stands behind the "
                "layers of this model.")
    return ("hidden_states[-1] is neither what the last layer gave nor that behind a norm: this "
            "model does something of its own at its end.")


def giants(found: HiddenFound) -> Iterator[str]:
    """The massive activations, or that there are none."""
    names = labels(found)
    massive = [(names[layer], one) for layer, one in enumerate(found.peaks) if one.massive]
    rule = f"above {MASSIVE:.0f} and {MASSIVE_TIMES:,.0f} times the layer's median"
    if not massive:
        name, peak = max(zip(names, found.peaks, strict=True), key=lambda one: abs(one[1].value))
        yield (f"No massive activation ({rule}). The largest value is {_short(peak.value)}: "
               f"{name}, position {peak.position + 1}, dimension {peak.dimension}.")
        return
    name, peak = max(massive, key=lambda one: abs(one[1].value))
    where = "in one layer" if len(massive) == 1 else f"in {len(massive)} layers"
    times = "" if not peak.median else (
        f", {abs(peak.value) / peak.median:,.0f} times its layer's median")
    yield (f"Massive activations {where} ({rule}): the largest is {_short(peak.value)}{times}, at "
           f"position {peak.position + 1}, dimension {peak.dimension} of {name}. The colours end "
           "below them.")


def _short(value: float) -> str:
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return shown.replace("-", "−")
