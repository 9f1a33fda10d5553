"""The logit lens: every layer's states through the model's own end; it knows no view."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.lens import (
    TOP,
    LensCell,
    LensFound,
    LensRequest,
    LensTop,
    LensTopRequest,
    width_of,
)
from playground.core.prompt import Prompt
from playground.errors import InvalidInput, PlaygroundError
from playground.inside.passes import hidden_of
from playground.inside.readout import Readout, readout_of
from playground.inside.subject import Look, Subject
from playground.models.kinds import ENCODER
from playground.models.pieces import pieces_of
from playground.models.text import encode, tokenize

MOST_LOGITS = 4_000_000  # numbers that are worked on at once; a quarter of it beside others


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as ids, its hidden states, and the end that every layer's states are put through."""

    ids: tuple[int, ...]
    hidden: tuple[torch.Tensor, ...]
    end: Readout


def look_at_lens(subject: Subject, request: LensRequest) -> Look:
    """The grid of a window. Raises InvalidInput and PlaygroundError where there is no lens."""
    ids = _ids(subject, request.text)
    pieces = pieces_of(subject.model.tokenizer)
    wanted, notices = request.watch, list[str]()
    if isinstance(wanted, str):
        wanted, notices = _watched(subject, wanted)
    if wanted is not None:
        _check_id(subject, wanted)
    yield
    text = yield from _read(subject, ids)
    width = width_of(len(text.end.rows))
    last_full = max(0, len(ids) - width)
    first = last_full if request.first is None else min(request.first, last_full)
    window = slice(first, min(first + width, len(ids)))
    if wanted is None:
        last = text.end.rows[-1][0]
        wanted = int(_logits(text, last, slice(window.stop - 1, window.stop))[0].argmax())
    rows, layers = [], tuple(layer for layer, _ in text.end.rows)
    for layer in layers:
        rows.append((yield from _row(subject, text, layer, window, wanted)))
    return LensFound(
        len(ids), first, tuple(pieces[i] for i in ids[window]),
        pieces[ids[window.stop]] if window.stop < len(ids) else None,
        pieces[wanted], layers, tuple(rows), text.end.said, tuple(notices),
        subject.model.card.kind == ENCODER,
    )


def look_at_lens_top(subject: Subject, request: LensTopRequest) -> Look:
    """The likeliest tokens of one cell. Raises InvalidInput for a cell that is not there."""
    ids = _ids(subject, request.text)
    yield
    text = yield from _read(subject, ids)
    layer = text.end.rows[-1][0] if request.layer is None else request.layer
    position = len(ids) - 1 if request.position is None else request.position
    if layer not in dict(text.end.rows) or position >= len(ids):
        raise InvalidInput(
            f"There is no layer {layer} at position {position}.", field="layer",
            given=layer, allowed=f"layers up to {text.end.rows[-1][0]}",
        )
    logits = _logits(text, layer, slice(position, position + 1))
    shares = torch.softmax(logits[0], dim=-1)
    best = shares.topk(min(TOP, len(shares)))
    pieces = pieces_of(subject.model.tokenizer)
    return LensTop(layer, position, tuple(
        (pieces[i], share) for i, share in zip(
            best.indices.tolist(), best.values.tolist(), strict=True)
    ))


def _ids(subject: Subject, prompt: Prompt) -> tuple[int, ...]:
    return encode(subject.model, prompt, subject.model.card.context + 1).ids


def _read(subject: Subject, ids: Sequence[int]) -> Generator[None, None, _Text]:
    end = readout_of(subject.model.lm)
    if isinstance(end, str):
        raise PlaygroundError(
            f"{subject.model.spec.label} cannot be read through the logit lens. {end}",
            field="model", advice="Choose another model.",
        )
    hidden = yield from hidden_of(subject, ids)
    return _Text(tuple(ids), hidden, end)


def _logits(text: _Text, layer: int, window: slice) -> torch.Tensor:
    return text.end(text.hidden[dict(text.end.rows)[layer]][window], layer)


def _row(
    subject: Subject, text: _Text, layer: int, window: slice, watched: int
) -> Generator[None, None, tuple[LensCell, ...]]:
    """One layer's cells, some positions at a time."""
    pieces = pieces_of(subject.model.tokenizer)
    cells: list[LensCell] = []
    start = window.start
    while start < window.stop:
        room = MOST_LOGITS // (4 if subject.beside else 1)
        size = max(1, room // subject.model.card.vocabulary)
        end = min(start + size, window.stop)
        logits = _logits(text, layer, slice(start, end))
        logs = torch.log_softmax(logits, dim=-1)
        best = logs.max(dim=-1)
        entropy = -(logs.exp() * logs.nan_to_num(neginf=0.0)).sum(-1)
        own = logs[:, watched]
        rank = 1 + (logs > own[:, None]).sum(-1)
        columns: Any = (best.indices, best.values.exp(), entropy, own.exp(), rank)
        for id, share, open, one, place in zip(*(c.tolist() for c in columns), strict=True):
            cells.append(LensCell(pieces[id], share, open, one, place))
        start = end
        yield
    return tuple(cells)


def _watched(subject: Subject, text: str) -> tuple[int, list[str]]:
    """The token that is written like ``text``, or the first of those that it becomes; and a
    sentence where it is not the one that was meant, or one of several."""
    tokenizer = subject.model.tokenizer
    pieces = pieces_of(tokenizer)
    ids = tokenize(tokenizer, text, add_special_tokens=False)
    if not ids:
        raise InvalidInput("The watched text becomes no token.", field="watched token")
    written = [i for i in ids if pieces[i].text == text]
    if written:
        return written[0], []
    exact = next((i for i in range(len(tokenizer)) if pieces[i].text == text), None)
    if exact is not None:
        return exact, []
    return ids[0], [
        f"No token is written exactly like that: it becomes {len(ids)}, and the first is watched."
    ]


def _check_id(subject: Subject, id: int) -> None:
    if id >= subject.model.card.vocabulary:
        raise InvalidInput(
            f"The model has no token {id}.", field="watched token", given=id,
            allowed=f"0 to {subject.model.card.vocabulary - 1}",
        )

