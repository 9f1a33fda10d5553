"""A layer of the KV cache that has room to grow, so that a step copies one token and not all.

The library's ``DynamicLayer`` concatenates: every step copies all keys and values. Here they are
views into larger buffers, and a step writes behind their end.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # tokens more than are needed, at least; and a quarter of what there is

Pair = tuple[torch.Tensor, torch.Tensor]


class SlabLayer(DynamicLayer):
    """``DynamicLayer`` with room behind its keys and values.

    ``keys`` and ``values`` may be replaced from outside (rows selected, columns cut): the next
    ``update`` then takes buffers of its own. What is part of ``keys`` is never written over; two
    layers must not grow out of one buffer, so a copy selects its rows before it grows.
    """

    _buffers: Pair | None = None
    _views: Pair | None = None  # keys and values as they were left here

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> Pair:
        """Write the new states [rows, heads, tokens, size] behind the old; gives all of them."""
        if not self.is_initialized or self.keys.numel() == 0:
            self.lazy_initialization(key_states, value_states)
            # A copy: a model may cut all three of query, key and value out of one tensor.
            self.keys, self.values = key_states.clone(), value_states.clone()
            return self.keys, self.values
        before, new = self.keys.shape[-2], key_states.shape[-2]
        buffers = self._buffers
        if not self._owns_buffers() or buffers is None or buffers[0].shape[-2] < before + new:
            buffers = (_grown(self.keys, before + new), _grown(self.values, before + new))
            self._buffers = buffers
        buffers[0].narrow(-2, before, new).copy_(key_states)
        buffers[1].narrow(-2, before, new).copy_(value_states)
        return self._look(before + new)

    def crop(self, tokens_to_remove: int) -> None:
        """Remove the newest tokens; the buffers stay."""
        owned = self._owns_buffers()
        super().crop(tokens_to_remove)
        if owned and self.is_initialized:
            self._look(self.keys.shape[-2])

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Select rows; the buffers of the old ones are let go."""
        super().reorder_cache(beam_idx)
        self._buffers = self._views = None

    def grows_in(self, buffers: Pair) -> bool:
        """Whether its keys and values are the beginning of these, and may grow there."""
        return self._owns_buffers() and self.lies_in(buffers)

    def lies_in(self, buffers: Pair) -> bool:
        """Whether its keys are a part of these buffers."""
        return self.keys.untyped_storage().data_ptr() == buffers[0].untyped_storage().data_ptr()

    def move_to(self, buffers: Pair) -> None:
        """Lie at the beginning of these buffers from now on, which must be large enough."""
        tokens = self.keys.shape[-2]
        buffers[0].narrow(-2, 0, tokens).copy_(self.keys)
        buffers[1].narrow(-2, 0, tokens).copy_(self.values)
        self._buffers = buffers
        self._look(tokens)

    def leave_buffers(self) -> None:
        """Take what it holds out of buffers that others will write to."""
        self.keys, self.values = self.keys.clone(), self.values.clone()
        self._buffers = self._views = None

    def extend(self, tokens: int) -> None:
        """Hold so many tokens of its buffers: somebody wrote the newest there."""
        self._look(tokens)

    def _owns_buffers(self) -> bool:
        """Whether keys and values still are the beginning of the buffers."""
        views = self._views
        return views is not None and self.keys is views[0] and self.values is views[1]

    def _look(self, tokens: int) -> Pair:
        """Make the beginning of the buffers the keys and values."""
        assert self._buffers is not None
        keys, values = self._buffers
        self._views = (keys.narrow(-2, 0, tokens), values.narrow(-2, 0, tokens))
        self.keys, self.values = self._views
        return self._views


def _grown(states: torch.Tensor, tokens: int) -> torch.Tensor:
    """A buffer that begins with ``states`` and has room for ``tokens`` and more."""
    room = tokens + max(_ROOM, tokens // 4)
    buffer = states.new_empty((*states.shape[:-2], room, states.shape[-1]))
    buffer.narrow(-2, 0, states.shape[-2]).copy_(states)
    return buffer
