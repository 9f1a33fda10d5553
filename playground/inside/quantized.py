"""The look at what one copy of a model expects, whole distributions included; it knows no other
copy: two of these are compared where both have come."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter

import torch

from playground.core.quantized import Expected, ExpectedFound, Likely
from playground.errors import InvalidInput
from playground.inside.passes import read
from playground.inside.subject import Look, Subject
from playground.models.kinds import ENCODER
from playground.models.pieces import pieces_of
from playground.models.text import encode

MOST_TOKENS = 256
MOST_BYTES = 8 * 2**20  # of distributions: 13 positions of a vocabulary of 150,000


def look_at_expected(subject: Subject, request: Expected) -> Look:
    """See ``Expected``: of a text that is too long for whole distributions, the last positions.

    Raises InvalidInput for an encoder and for a text that is too long.
    """
    model = subject.model
    if model.card.kind == ENCODER:
        request.refuse_encoder()
    made = encode(model, request.prompt, model.card.context + 1)
    tokens = len(made.ids)
    if tokens > MOST_TOKENS:
        raise InvalidInput(
            f"The text has {tokens} tokens; this comparison takes {MOST_TOKENS}.", field="text",
            given=f"{tokens} tokens", allowed=f"at most {MOST_TOKENS} tokens",
            advice="Look at a shorter text.",
        )
    pieces = pieces_of(model.tokenizer)
    yield
    rows: list[torch.Tensor] = []
    told: list[float] = []

    def keep(start: int, logits: torch.Tensor) -> None:
        shares = logits.float().log_softmax(dim=-1).cpu()
        follow = made.ids[start + 1 : start + 1 + len(shares)]
        told.extend(shares[range(len(follow)), list(follow)].tolist())
        first = tokens - _most(shares.shape[1])
        rows.append(shares[max(0, first - start) :])

    yield from read(subject, made.ids, logits=keep)
    shares = torch.cat(rows)
    best = shares.topk(min(request.top, shares.shape[1]), dim=-1)
    tops = tuple(
        tuple(Likely(pieces[id], value) for id, value in zip(ids, values, strict=True))
        for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    )
    seconds = yield from _timed(subject, made.ids)
    card = model.card
    return ExpectedFound(
        made.pieces, tokens - len(shares), tops, tuple(told), shares.shape[1], seconds, card.bytes,
        model.spec.label, model.spec.quantization, card.dtype, card.device,
        shares.numpy().tobytes(), (*made.notices, *card.notices),
    )


def _most(vocabulary: int) -> int:
    """Positions whose whole distributions may be kept."""
    return max(1, MOST_BYTES // (4 * vocabulary))


def _timed(subject: Subject, ids: Sequence[int]) -> Generator[None, None, float]:
    """Seconds of a pass, without what others do between its pieces."""
    work, spent = read(subject, ids), 0.0
    while True:
        begin = perf_counter()
        try:
            next(work)
        except StopIteration:
            return spent + perf_counter() - begin
        finally:
            if subject.model.lm.device.type == "cuda":
                torch.cuda.synchronize()
        spent += perf_counter() - begin
        yield
