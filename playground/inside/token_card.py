"""One token of a vocabulary: the merges that made it, and its nearest embeddings; no view."""

from __future__ import annotations

import json
from array import array
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.events import Piece
from playground.core.vocabulary import MOST_NEIGHBOURS, Merge, TokenFound, TokenRequest
from playground.inside.subject import Look, Subject
from playground.inside.vocabulary import Vocabulary, vocabulary_of
from playground.models.text import check_ids, inside, pieces_of

_PAIRS = 5000           # merges that are read in one piece of work
_NUMBERS = 2**21        # of the embedding that are compared in one
_MOST_MERGES = 64       # that are told of one token
_MOST_ALONE = 64        # ids that its text becomes
_NONE = 2**32 - 1


@dataclass
class Made:
    """How each token was made: the merge's rank and parts, or a Unigram token's score."""

    kind: str
    ranks: array[int]
    left: array[int]
    right: array[int]
    scores: array[float]


def look_at_token(subject: Subject, request: TokenRequest) -> Look:
    """What there is to know of one token."""
    check_ids([request.id], subject.model.card.vocabulary)
    tokenizer = subject.model.tokenizer
    vocabulary = yield from vocabulary_of(subject)
    row = vocabulary.row(request.id)
    name = pieces_of(tokenizer).name(request.id) or ""
    alone: tuple[Piece, ...] = ()
    if row.kinds == ("text",):
        ids = inside(tokenizer, pieces_of(tokenizer)[request.id].text)
        alone = tuple(pieces_of(tokenizer)[i] for i in ids[:_MOST_ALONE])
    yield
    made = yield from _made(subject)
    score = made.scores[request.id] if request.id < len(made.scores) else None
    merges = tuple(_merges(vocabulary, made, request.id))
    norm, nearest = yield from nearest_to(subject, request.id)
    return TokenFound(
        subject.model.spec, row, name[:400], merges, "" if merges else _why(made, row.kinds),
        score, alone, norm,
        tuple((vocabulary.row(id).piece, cosine) for id, cosine in nearest),
    )


def _why(made: Made, kinds: tuple[str, ...]) -> str:
    """Why no merge is told, in a sentence."""
    if not made.kind:
        return "This tokenizer is written in Python and does not tell how its tokens were made."
    if made.kind != "BPE":
        return f"A {made.kind} vocabulary has no merges."
    if "added" in kinds or "special" in kinds:
        return "No merge made it: it was added to the vocabulary as a whole."
    if "unused" in kinds:
        return "No merge made it: there is no such token."
    return "No merge made it: it is one of the characters or bytes that all merges start from."


def _merges(vocabulary: Vocabulary, made: Made, id: int) -> Iterator[Merge]:
    """The merges that make a token, parts before wholes."""
    order: list[int] = []
    waiting = [id]
    while waiting and len(order) < _MOST_MERGES:
        one = waiting.pop()
        if one < len(made.ranks) and made.ranks[one] != _NONE:
            order.append(one)
            waiting += [made.left[one], made.right[one]]
    for one in sorted(set(order), key=lambda one: made.ranks[one]):
        left, right = made.left[one], made.right[one]
        yield Merge(made.ranks[one], *(vocabulary.row(i).piece for i in (left, right, one)))


def _made(subject: Subject) -> Generator[None, None, Made]:
    """How the tokens of a vocabulary were made, read once; empty where the tokenizer is closed."""
    if "made" not in subject.kept:
        subject.kept["made"] = yield from _read_made(subject)
    kept: Made = subject.kept["made"]
    return kept


def _read_made(subject: Subject) -> Generator[None, None, Made]:
    backend: Any = getattr(subject.model.tokenizer, "backend_tokenizer", None)
    kind = type(backend.model).__name__ if backend is not None else ""
    made = Made(kind, array("I"), array("I"), array("I"), array("d"))
    if kind not in ("BPE", "Unigram"):
        return made
    # The library tells merges and scores only so: as one text, of which the rest is left unread.
    told = backend.model.__getstate__().decode()
    yield
    if kind == "Unigram":
        for number, (_, score) in enumerate(_listed(told, '"vocab":[')):
            made.scores.append(float(score))
            if number % _PAIRS == _PAIRS - 1:
                yield
        return made
    # Some write what goes on with a word as ##ing, and a merge drops that mark.
    mark = len(backend.model.continuing_subword_prefix or "")
    id_of, size = backend.token_to_id, subject.model.card.vocabulary
    for numbers in (made.ranks, made.left, made.right):
        numbers.extend(array("I", [_NONE]) * size)
    for rank, pair in enumerate(_listed(told, '"merges":[')):
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        whole = id_of(left + right[mark:])
        parts = id_of(left), id_of(right)
        if whole is not None and whole < size and made.ranks[whole] == _NONE and None not in parts:
            made.ranks[whole], made.left[whole], made.right[whole] = rank, *parts
        if rank % _PAIRS == _PAIRS - 1:
            yield
    return made


def _listed(told: str, key: str) -> Iterator[Any]:
    """The items of a list in a JSON text, one after the other. A quote inside a string has a
    backslash before it there, so that ``key`` stands nowhere but in its own place."""
    at, decoder = told.find(key), json.JSONDecoder()
    if at < 0:
        return
    at += len(key)
    while told[at] != "]":
        item, at = decoder.raw_decode(told, at)
        yield item
        at += told[at] == ","


def nearest_to(
    subject: Subject, id: int, most: int = MOST_NEIGHBOURS
) -> Generator[None, None, tuple[float | None, list[tuple[int, float]]]]:
    """The length of a token's input embedding, and the tokens with the largest cosine to it, read
    in parts of the matrix; None and nothing where the model has none."""
    table = subject.model.lm.get_input_embeddings()
    weight = getattr(table, "weight", None)
    if weight is None or weight.dim() != 2 or not weight.is_floating_point():
        return None, []
    wanted = weight[id].float()
    norm = float(wanted.norm())
    rows, width = weight.shape
    step = max(256, _NUMBERS // width)
    values = torch.empty(0, device=weight.device)
    places = torch.empty(0, dtype=torch.long, device=weight.device)
    for start in range(0, rows, step):
        part = weight[start : start + step].float()
        cosine = torch.nn.functional.cosine_similarity(part, wanted[None], dim=1)
        if start <= id < start + step:
            cosine[id - start] = -torch.inf  # itself
        values = torch.cat([values, cosine.nan_to_num(-torch.inf)])
        places = torch.cat([places, torch.arange(start, start + len(part), device=weight.device)])
        values, best = values.topk(min(most, len(values)))
        places = places[best]
        yield
    found = zip(places.tolist(), values.tolist(), strict=True)
    return norm, [(place, value) for place, value in found if value > -torch.inf]
