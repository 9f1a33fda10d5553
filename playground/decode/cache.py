"""The KV cache of a batch: rows joined, chosen, trimmed, rolled back; it knows no run.

Rows lie right-aligned: a row of ``n`` cached tokens fills the last ``n`` columns, and what stands
to the left of them is padding that the attention mask hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from playground.models.joining import BY_TOKEN
from playground.models.joining import join as join
from playground.models.joining import select as select
from playground.models.joining import trim as trim
from playground.models.slab import SlabLayer


def width(cache: DynamicCache) -> int:
    """How many columns (tokens) the cache stands for, padding included."""
    return int(cache.get_seq_length())


def size(cache: DynamicCache) -> int:
    """Bytes of keys, values and recurrent states, room to grow included."""
    return sum(
        tensor.untyped_storage().nbytes()
        for layer in cache.layers
        for state in layer.__dict__.values()
        for tensor in _tensors(state)
    )


def filled(cache: DynamicCache, tokens: Sequence[int]) -> int:
    """Bytes of it that rows with so many cached ``tokens`` each fill: no padding, no room to grow.

    A sliding window holds its last tokens only, a recurrent state takes the same for any length.
    """
    total = 0
    for layer in cache.layers:
        for name, state in layer.__dict__.items():
            for tensor in _tensors(state):
                if name not in BY_TOKEN:  # a counter has no axes, a state one for the rows
                    total += len(tokens) * (tensor[0].nbytes if tensor.dim() else 0)
                elif tensor.numel():
                    stored = tensor.shape[-2]
                    each = tensor[0].nbytes // stored
                    total += each * sum(min(stored, count) for count in tokens)
    return total


def _tensors(state: Any) -> list[torch.Tensor]:
    """The tensors in one attribute of a layer: itself, or those in its list or dict."""
    if isinstance(state, torch.Tensor):
        return [state]
    if isinstance(state, dict):
        state = list(state.values())
    return [t for t in state if isinstance(t, torch.Tensor)] if isinstance(state, list) else []


def can_crop(cache: DynamicCache) -> bool:
    """Whether the newest tokens can be taken away again: full attention in every layer."""
    return all(type(layer) in (SlabLayer, DynamicLayer) for layer in cache.layers)


def keep_past(cache: DynamicCache, on: bool) -> None:
    """Let sliding windows hold what left them until the next ``crop``, which can then go back."""
    for layer in cache.layers:
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.record_past = on


def copy(cache: DynamicCache, rows: Sequence[int]) -> DynamicCache:
    """Another cache with these rows of this one, which stays as it is."""
    other = DynamicCache()
    other.layer_class_to_replicate = None
    other.layers = [_layer_copy(layer) for layer in cache.layers]
    select(other, rows)
    return other


def _layer_copy(layer: Any) -> Any:
    """A twin of a layer, to be selected from: until then it shares the tensors."""
    twin = object.__new__(type(layer))
    twin.__dict__.update(_state(layer))
    return twin


def _state(layer: Any, apart: bool = False) -> dict[str, Any]:
    """The attributes of a layer, its lists and dicts copied; with ``apart`` their tensors too.

    Keys and values are replaced when they grow. Recurrent states, which stand in lists or dicts,
    are written in place.
    """

    def own(value: Any) -> Any:
        return value.clone() if apart and isinstance(value, torch.Tensor) else value

    state = dict(layer.__dict__)
    for name, value in state.items():
        if isinstance(value, list):
            state[name] = [own(one) for one in value]
        elif isinstance(value, dict):
            state[name] = {key: own(one) for key, one in value.items()}
    return state


class Snapshot:
    """The cache as it was, to go back to after a forward that broke off in its middle.

    Costs next to nothing: layers replace their keys and values when they grow, so the old ones need
    only be kept; recurrent states, which do not grow, are copied.
    """

    def __init__(self, cache: DynamicCache) -> None:
        self._cache = cache
        self._states = [_state(layer, apart=True) for layer in cache.layers]

    def restore(self) -> None:
        """Put every layer back."""
        for layer, state in zip(self._cache.layers, self._states, strict=True):
            layer.__dict__.clear()
            layer.__dict__.update(state)
