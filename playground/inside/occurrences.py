"""Which tokens cover which characters of a text; it knows tokenizers and no weights."""

from __future__ import annotations

from itertools import accumulate, pairwise

from playground.models.loading import Model
from playground.models.pieces import pieces_of
from playground.models.text import Encoded


def covering(model: Model, text: str, made: Encoded, start: int, end: int) -> tuple[int, ...]:
    """The places, among the tokens of ``text``, of those that hold characters of it from ``start``
    to before ``end``; empty where the tokenizer does not tell.

    The tokenizer's own offsets say it, where it has any; else the bytes of the tokens.
    """
    edges = _offsets(model, text, made) or _by_bytes(model, text, made)
    if edges is None:
        return ()
    return tuple(n for n, (first, after) in enumerate(edges) if first < end and after > start)


def _offsets(model: Model, text: str, made: Encoded) -> list[tuple[int, int]] | None:
    if not getattr(model.tokenizer, "is_fast", False):
        return None
    told = model.tokenizer(text, return_offsets_mapping=True, verbose=False)
    if tuple(told["input_ids"]) != made.ids:
        return None
    return [(int(first), int(after)) for first, after in told["offset_mapping"]]


def _by_bytes(model: Model, text: str, made: Encoded) -> list[tuple[int, int]] | None:
    """Where the tokens' bytes spell the text; special tokens around it cover nothing."""
    pieces = pieces_of(model.tokenizer)
    data = [b"" if piece.special else pieces.data(piece.id) for piece in made.pieces]
    spelled = b"".join(data)
    before = len(spelled) - len(text.encode())  # the space that SentencePiece puts in front
    if before not in (0, 1) or not spelled.endswith(text.encode()):
        return None
    places = [0, *accumulate(len(char.encode()) for char in text)]
    edges = [max(0, edge - before) for edge in (0, *accumulate(map(len, data)))]
    # A token that ends inside of a character holds it too.
    first = {byte: n for n, (a, b) in enumerate(pairwise(places)) for byte in range(a, b)}
    return [(first.get(a, len(text)), first[b - 1] + 1 if b > a else 0)
            for a, b in pairwise(edges)]
