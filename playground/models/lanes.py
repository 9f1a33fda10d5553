"""Which lane a loaded model can decode in, by a short trial; it knows no prompt and no run.

batch      several rows share every forward: left padding and joined caches change nothing
alone      one row at a time, with the model's KV cache
recompute  one row at a time, reading the whole text again for each token
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

BATCH, ALONE, RECOMPUTE = "batch", "alone", "recompute"

# What a model can raise when it is called in a way that it was not written for.
_TRIAL_FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    AssertionError,
)
_LONG, _SHORT = 7, 3


def takes(lm: Any, name: str) -> bool:
    """Whether the model's forward has an argument of this name."""
    return name in _arguments(type(lm))


@lru_cache(maxsize=64)
def _arguments(kind: type) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)  # type: ignore[attr-defined]


def new_cache(lm: Any) -> DynamicCache:
    """An empty KV cache with the layer kinds of this model."""
    return DynamicCache(config=lm.config.get_text_config(decoder=True))


def can_join(cache: DynamicCache) -> bool:
    """Whether rows of this cache can be put together: plain or sliding attention in every layer."""
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)


@torch.inference_mode()
def choose_lane(lm: Any, vocabulary: int) -> tuple[str, str]:
    """The lane, and a sentence for the card where it is not ``batch``.

    Compares the next-token logits of two texts of different lengths, three ways.
    """
    step = max(1, vocabulary // 11)
    ids = torch.tensor([[(5 + i * step) % vocabulary for i in range(_LONG)]], device=lm.device)
    expected = [_whole(lm, ids), _whole(lm, ids[:, :_SHORT])]
    # 16-bit arithmetic differs in its last bits from shape to shape; a wrong mask by far more.
    allowed = (1e-3 if lm.dtype == torch.float32 else 0.15) * float(expected[0].std()) + 1e-6
    try:
        found = _cached(lm, ids, new_cache(lm))
    except _TRIAL_FAULTS:
        found = expected[0] + torch.inf
    if not _close(found, expected[0], allowed):
        return (
            RECOMPUTE,
            "This model's cache is of its own kind: every token reads the whole text again.",
        )
    try:
        cache = new_cache(lm)
        rows = _padded(lm, ids, cache)
        joined = can_join(cache) and all(
            _close(row, one, allowed) for row, one in zip(rows, expected, strict=True)
        )
    except _TRIAL_FAULTS:
        joined = False
    return (BATCH, "") if joined else (ALONE, "This model decodes one text at a time.")


def _close(found: torch.Tensor, expected: torch.Tensor, allowed: float) -> bool:
    difference = (found - expected).abs()
    # Not written as `> allowed`, so that NaN counts as different.
    return bool((difference <= allowed).all()) or not bool(torch.isfinite(expected).all())


def _whole(lm: Any, ids: torch.Tensor) -> torch.Tensor:
    alone = {"use_cache": False} if takes(lm, "use_cache") else {}
    return lm(input_ids=ids, **alone).logits[0, -1].float()  # type: ignore[no-any-return]


def _cached(lm: Any, ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
    """With another text read in between: some models keep their state in themselves."""
    lm(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True)
    lm(input_ids=ids[:, -_SHORT:], past_key_values=new_cache(lm), use_cache=True)
    return lm(input_ids=ids[:, -1:], past_key_values=cache, use_cache=True).logits[0, -1].float()  # type: ignore[no-any-return]


def _padded(lm: Any, ids: torch.Tensor, cache: DynamicCache) -> list[torch.Tensor]:
    """Both texts in one batch, the short one padded on its left, the last token by cache."""
    pad = _LONG - _SHORT
    rows = torch.cat([ids, torch.cat([ids[:, :1].expand(1, pad), ids[:, :_SHORT]], dim=1)])
    mask = torch.ones_like(rows)
    mask[1, :pad] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    more = [{"position_ids": positions[:, :-1]}, {"position_ids": positions[:, -1:]}]
    if not takes(lm, "position_ids"):
        more = [{}, {}]
    lm(
        input_ids=rows[:, :-1],
        attention_mask=mask[:, :-1],
        past_key_values=cache,
        use_cache=True,
        **more[0],
    )
    out = lm(
        input_ids=rows[:, -1:],
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
        **more[1],
    )
    return [row[-1].float() for row in out.logits]
