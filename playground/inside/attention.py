"""Attention weights as the model's own eager forward gives them; it knows no view."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.attention import (
    LARGEST_THUMB,
    MOST_TOKENS,
    AttentionFound,
    AttentionRequest,
    HeadsFound,
    HeadsRequest,
)
from playground.core.prompt import Prompt
from playground.errors import InvalidInput, PlaygroundError
from playground.inside.passes import MOST_KEPT, eager, read
from playground.inside.subject import Look, Subject
from playground.models.head import TRIAL_FAULTS, trial_ids
from playground.models.lanes import takes
from playground.models.pieces import pieces_of
from playground.models.text import encode

_NONE = "None of its layers is attention with weights: it carries the past in a state instead."
_TOO_LITTLE = 1e-6  # of a row's attention, beside the first token, to be made a whole again


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """``layers`` (from 1, of ``depth``) with their weights, each [heads, tokens, tokens]."""

    ids: tuple[int, ...]
    depth: int
    layers: tuple[int, ...]
    weights: tuple[torch.Tensor, ...]


def look_at_attention(subject: Subject, request: AttentionRequest) -> Look:
    """One head, or a mean. Raises InvalidInput and PlaygroundError."""
    ids = _ids(subject, request.text)
    yield
    held = yield from _weights(subject, ids)
    heads = _layer(held, request.layer)
    if request.head is not None and request.head > heads[0].shape[0]:
        raise InvalidInput(
            f"Layer {request.layer} has {heads[0].shape[0]} heads.", field="head",
            given=request.head, allowed=f"1 to {heads[0].shape[0]}",
        )
    sums, count, sink = None, 0, 0.0
    for layer in heads:
        some = layer if request.head is None else layer[request.head - 1 : request.head]
        sink += _sink(some)
        part = _shown(some, request.without_first).mean(0)
        sums, count = part if sums is None else sums + part, count + 1
        yield
    assert sums is not None
    pieces = pieces_of(subject.model.tokenizer)
    causal = all(bool((layer.triu(1) == 0).all()) for layer in held.weights)
    return AttentionFound(
        tuple(pieces[i] for i in ids), request.layer, request.head, causal,
        _packed(sums / count, causal), sink / count, held.layers,
        tuple(layer.shape[0] for layer in held.weights), held.depth, _notices(held),
    )


def look_at_heads(subject: Subject, request: HeadsRequest) -> Look:
    """Small pictures of a layer's heads, or of the layers. Raises as ``look_at_attention``."""
    ids = _ids(subject, request.text)
    yield
    held = yield from _weights(subject, ids)
    layers = _layer(held, request.layer)
    pictures, sinks = list[torch.Tensor](), list[float]()
    for layer in layers:
        shown = _shown(layer, request.without_first)
        shown = shown.mean(0, keepdim=True) if request.layer is None else shown
        pictures.append(_thumbs(shown))
        sinks += [_sink(layer)] if request.layer is None else [_sink(head[None]) for head in layer]
        yield
    made = torch.cat(pictures)
    names = held.layers if request.layer is None else tuple(range(1, len(made) + 1))
    return HeadsFound(
        request.layer, names, made.shape[-1],
        (255 * made.sqrt()).round().to(torch.uint8).cpu().numpy().tobytes(), tuple(sinks),
    )


def _ids(subject: Subject, prompt: Prompt) -> tuple[int, ...]:
    ids = encode(subject.model, prompt, subject.model.card.context + 1).ids
    if len(ids) > MOST_TOKENS:
        raise InvalidInput(
            f"The text has {len(ids)} tokens; attention is shown for at most {MOST_TOKENS}, since "
            "each token looks at each other one.", field="text", given=f"{len(ids)} tokens",
            allowed=f"at most {MOST_TOKENS} tokens", advice="Look at a shorter text.",
        )
    return ids


def _weights(subject: Subject, ids: Sequence[int]) -> Generator[None, None, Weights]:
    """Read, or kept from the last look at the same text."""
    known = subject.kept.get("attention")
    if isinstance(known, Weights) and known.ids == tuple(ids):
        return known
    lm = subject.model.lm
    refusal = _refusal(lm)
    if refusal:
        raise PlaygroundError(
            f"{subject.model.spec.label} shows no attention. {refusal}", field="model",
            advice="Choose another model.",
        )
    made = yield from read(subject, ids, attention=True)
    some = [(n, layer.float()) for n, layer in enumerate(made.attention, 1) if layer is not None]
    if not some:
        raise PlaygroundError(
            f"{subject.model.spec.label} shows no attention. {_NONE}", field="model",
            advice="Choose another model.",
        )
    depth = len(made.hidden) - 1
    layers = _layers(lm, depth, len(made.attention))
    held = Weights(tuple(ids), depth, tuple(layers[n - 1] for n, _ in some),
                   tuple(layer for _, layer in some))
    if sum(layer.nbytes for layer in held.weights) <= MOST_KEPT:
        subject.kept["attention"] = held
    return held


def _layers(lm: Any, depth: int, count: int) -> tuple[int, ...]:
    """Which layers the weights are of: a model that mixes kinds of layers gives out only those of
    the layers with attention."""
    kinds = getattr(lm.config.get_text_config(decoder=True), "layer_types", None) or ()
    some = [n for n, kind in enumerate(kinds, 1)
            if "attention" in str(kind) and "linear" not in str(kind)]
    return tuple(some) if count != depth and len(some) == count else tuple(range(1, count + 1))


def _layer(held: Weights, layer: int | None) -> tuple[torch.Tensor, ...]:
    if layer is None:
        return held.weights
    if layer not in held.layers:
        raise InvalidInput(
            f"Layer {layer} has no attention weights here.", field="layer", given=layer,
            allowed=", ".join(map(str, held.layers)),
        )
    return (held.weights[held.layers.index(layer)],)


def _notices(held: Weights) -> tuple[str, ...]:
    if len(held.layers) == held.depth:
        return ()
    return (
        f"{len(held.layers)} of its {held.depth} layers have attention weights; the others carry "
        "the past in another way (a state, a convolution), which has none.",
    )


def _shown(heads: torch.Tensor, without_first: bool) -> torch.Tensor:
    """Weights [heads, tokens, tokens] as they are shown."""
    if not without_first:
        return heads
    rest = heads.clone()
    rest[:, :, 0] = 0.0
    left = rest.sum(-1, keepdim=True)
    return torch.where(left > _TOO_LITTLE, rest / left.clamp(min=_TOO_LITTLE), rest.new_zeros(()))


def _sink(heads: torch.Tensor) -> float:
    """The mean share that the tokens behind the first give to the first."""
    return float(heads[:, 1:, 0].mean()) if heads.shape[1] > 1 else 1.0


def _thumbs(heads: torch.Tensor) -> torch.Tensor:
    """The largest weight of each pixel, [heads, size, size]."""
    size = min(heads.shape[-1], LARGEST_THUMB)
    made: torch.Tensor = torch.nn.functional.adaptive_max_pool2d(heads[None], (size, size))[0]
    return made.clamp(0.0, 1.0)


def _packed(weights: torch.Tensor, causal: bool) -> bytes:
    rows = (65535 * weights.clamp(0.0, 1.0)).round().to(torch.int32).cpu()
    if causal:
        size = len(rows)
        rows = rows[torch.tril_indices(size, size).unbind()]
    return bytes(rows.numpy().astype("<u2").tobytes())


_REFUSALS: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def _refusal(lm: Any) -> str:
    """Why this model's weights cannot be shown, in words; empty where they can.

    A short trial: with them told, the logits are the ones that the model gives otherwise.
    """
    if lm not in _REFUSALS:
        _REFUSALS[lm] = _tried(lm)
    return _REFUSALS[lm]


@torch.inference_mode()
def _tried(lm: Any) -> str:
    ids = trial_ids(lm)
    more = {"use_cache": False} if takes(lm, "use_cache") else {}
    try:
        usual = lm(input_ids=ids, **more)
        with eager(lm):
            told = lm(input_ids=ids, output_attentions=True, **more)
        weights = getattr(told, "attentions", None)
        if not any(layer is not None for layer in weights or ()):
            return _NONE
        name = "logits" if getattr(usual, "logits", None) is not None else "last_hidden_state"
        one, other = getattr(usual, name).float(), getattr(told, name).float()
        if not torch.allclose(one, other, rtol=0.0, atol=0.15 * float(one.std())):
            return "What it computes with its weights told is not what it computes otherwise."
        shape = next(layer.shape for layer in weights or () if layer is not None)
        if len(shape) != 4 or shape[-1] != ids.shape[1]:
            return "Its attention weights have a shape of their own kind."
        return ""
    except TRIAL_FAULTS:
        return "Its attention does not tell its weights."
