"""Given texts through the model, in chunks, in whatever lane it takes; it knows no score.

Teacher forcing: the logits before every token of a text, the text being what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from transformers import DynamicCache

from playground.decode import cache as kv
from playground.models.lanes import ALONE, BATCH, inputs_of, new_cache, takes
from playground.models.loading import Model

CHUNK = 512  # tokens of each row that are read at once, at most
BESIDE = 128  # the same while others decode and wait; 15 % slower in a 124M model
LOGITS_BYTES = 64 * 2**20  # of the logits of one chunk, in fp32
CACHE_BYTES = 256 * 2**20  # of the rows that share a forward
FEW = 32  # tokens of a row that are worth a forward of their own


class Taker(Protocol):
    """A text that wants the logits before each of its tokens."""

    @property
    def ids(self) -> Sequence[int]:
        """Its tokens, at least one."""

    def take(self, logits: torch.Tensor) -> None:
        """The logits [tokens, vocabulary] before the next tokens; beyond its end, of padding."""


class TeacherForcing:
    """Reads texts that begin alike on one model; ``beside`` others, in smaller chunks."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.beside = False
        self._lm = model.lm

    def read(self, before: Sequence[int], texts: Sequence[Taker]) -> Iterator[None]:
        """Read ``before`` (one token at least) once and each text behind it, a forward at a time.

        Logits are bounded by LOGITS_BYTES, copies of the cache by CACHE_BYTES. A model that cannot
        take up its cache again reads each text whole, in one forward, without these bounds; one
        that looks ahead reads it again for each token.
        """
        if not self._in_chunks:
            read = self._read_prefixes if self._sees_ahead else self._read_whole
            for text in texts:
                yield from read(before, text)
            return
        cache, start, end = new_cache(self._lm), 0, len(before) - 1
        while start < end:
            ids = self._tensor([before[start : min(start + self._chunk, end)]])
            forward(self._lm, ids, cache, start, keep=1)
            start += ids.shape[1]
            yield
        for group in self._groups(texts, kv.size(cache)):
            if len(texts) > 1:
                own = kv.copy(cache, [0] * len(group)) if end else new_cache(self._lm)
            else:
                own = cache
            yield from self._read_group(own, end, before[-1], group)

    @property
    def _chunk(self) -> int:
        return min(CHUNK, BESIDE) if self.beside else CHUNK

    @property
    def _in_chunks(self) -> bool:
        """Whether several tokens at a time may follow what is in the cache: the lane vouches."""
        return self.model.card.lane in (BATCH, ALONE)

    @cached_property
    def _sees_ahead(self) -> bool:
        """Whether tokens change the logits before them, so that each needs a forward of its own.

        CPM-Ant and ProphetNet read a text in both directions, as far as it goes.
        """
        whole, ids = forward(self._lm, self._trial, None, 0), self._trial[:, :5]
        return not _alike(whole[0, 4], forward(self._lm, ids, None, 0)[0, -1])

    @property
    def _trial(self) -> torch.Tensor:
        """Nine tokens, far from each other in the vocabulary."""
        vocabulary = self.model.card.vocabulary
        stride = max(1, vocabulary // 11)
        return self._tensor([[(5 + i * stride) % vocabulary for i in range(9)]])

    def _groups(self, texts: Sequence[Taker], size: int) -> list[list[Taker]]:
        """Texts that share forwards, those of like length together; ``size`` is a row's cache."""
        groups: list[list[Taker]] = []
        for text in sorted(texts, key=lambda text: len(text.ids), reverse=True):
            if groups and len(groups[-1]) < self._most_rows(len(groups[-1][0].ids), size):
                groups[-1].append(text)
            else:
                groups.append([text])
        return groups

    def _most_rows(self, tokens: int, size: int) -> int:
        """How many rows of so many tokens may share a forward."""
        if self.model.card.lane != BATCH:
            return 1
        logits = 4 * self.model.card.vocabulary * min(tokens, FEW)
        return min(LOGITS_BYTES // logits, CACHE_BYTES // max(1, size))

    def _read_group(
        self, cache: DynamicCache, past: int, first: int, texts: Sequence[Taker]
    ) -> Iterator[None]:
        """Rows behind the ``past`` tokens in the cache, each beginning with ``first``.

        Padding stands on the right, where no token of a text can see it.
        """
        longest = max(len(text.ids) for text in texts)
        rows = [[first, *text.ids[:-1], *[first] * (longest - len(text.ids))] for text in texts]
        ids = self._tensor(rows)
        room = LOGITS_BYTES // (4 * self.model.card.vocabulary * len(texts))
        start = 0
        while start < longest:
            some = ids[:, start : start + max(1, min(self._chunk, room))]
            logits = forward(self._lm, some, cache, past + start)
            start += some.shape[1]
            for number, text in enumerate(texts):
                text.take(logits[number])
            del logits  # not to be held while others step
            yield

    def _read_whole(self, before: Sequence[int], text: Taker) -> Iterator[None]:
        ids = self._tensor([[*before, *text.ids[:-1]]])
        count = len(text.ids)
        text.take(forward(self._lm, ids, None, 0, keep=count)[0, -count:])
        yield

    def _read_prefixes(self, before: Sequence[int], text: Taker) -> Iterator[None]:
        for count in range(len(text.ids)):
            ids = self._tensor([[*before, *text.ids[:count]]])
            text.take(forward(self._lm, ids, None, 0, keep=1)[0, -1:])
            yield

    def _tensor(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self._lm.device)


def _alike(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two vectors of logits are one, but for rounding; broken weights are no difference."""
    part = 1e-3 if expected.dtype == torch.float32 else 0.15
    difference = (found - expected).abs()
    near = bool((difference <= part * float(expected.std()) + 1e-6).all())
    return near or not bool(torch.isfinite(expected).all())


def forward(
    lm: Any, ids: torch.Tensor, cache: DynamicCache | None, past: int, keep: int = 0
) -> torch.Tensor:
    """The logits [rows, tokens, vocabulary] after each of ``ids``, or after the last ``keep``.

    ``past`` is how many tokens are in the cache. A model that cannot leave logits out gives all.
    """
    rows, new = ids.shape
    if cache is not None:
        given = inputs_of(lm, ids, cache, [past + new] * rows, keep)
    else:
        whole = {
            "attention_mask": torch.ones_like(ids),
            "position_ids": torch.arange(new, device=ids.device).expand(rows, -1),
            "use_cache": False,
            "logits_to_keep": keep,
        }
        given = {"input_ids": ids, **{name: v for name, v in whole.items() if takes(lm, name)}}
    logits: torch.Tensor = lm(**given).logits
    return logits
