"""Rows of KV caches put beside each other, chosen, and cut to what they need; it knows no model.

Rows lie right-aligned: a row of ``n`` cached tokens fills the last ``n`` columns, and what stands
to the left of them is padding that the attention mask hides. A recurrent state belongs to a row as
a whole: it is never padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import (
    DummyLayer,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from playground.models.slab import SlabLayer

_KNOWN = (
    SlabLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    DynamicIndexedLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    DummyLayer,  # shares the keys and values of another layer
)
# What layers hold, by the names that transformers gives it: for each token, in the axis before the
# last, and for each row.
BY_TOKEN = ("keys", "values", "indexer_keys")
_BY_ROW = ("conv_states", "recurrent_states")


def can_join(cache: DynamicCache) -> bool:
    """Whether every layer is of a kind whose rows can be put beside each other."""
    return all(type(layer) in _KNOWN for layer in cache.layers)


def join(caches: Sequence[DynamicCache]) -> DynamicCache:
    """One cache with the rows of all, in order; shorter ones are padded on their left.

    The first is changed and returned.
    """
    target = caches[0]
    parts: tuple[Any, ...]
    for parts in zip(*(cache.layers for cache in caches), strict=True):
        layer = parts[0]
        for name in BY_TOKEN:
            if getattr(layer, name, None) is not None:
                setattr(layer, name, _beside([getattr(part, name) for part in parts]))
        for name in _BY_ROW:
            states = getattr(layer, name, {})
            for key, state in states.items():
                if state is not None:
                    states[key] = torch.cat([getattr(part, name)[key] for part in parts])
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = max(part.cumulative_length for part in parts)
    return target


def _beside(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """The rows of all [rows, ..., tokens, size], with zeros on the left of those with fewer."""
    stored = max(state.shape[-2] for state in states)
    return torch.cat([_padded(state, stored) for state in states])


def _padded(state: torch.Tensor, stored: int) -> torch.Tensor:
    missing = stored - state.shape[-2]
    return torch.nn.functional.pad(state, (0, 0, missing, 0)) if missing else state


def select(cache: DynamicCache, rows: Sequence[int]) -> None:
    """Keep these rows, in this order; a row may be taken more than once."""
    cache.reorder_cache(torch.tensor(rows))  # type: ignore[arg-type]


def trim(cache: DynamicCache, columns: int) -> None:
    """Keep the last ``columns`` columns: what is left of them is padding in every row."""
    layer: Any
    for layer in cache.layers:
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = min(layer.cumulative_length, columns)
        for name in BY_TOKEN:
            state = getattr(layer, name, None)
            if state is not None and state.shape[-2] > columns:
                setattr(layer, name, state[..., -columns:, :].contiguous())
