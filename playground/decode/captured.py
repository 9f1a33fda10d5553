"""One row's step with fixed shapes, so that a GPU can replay it as one graph; it knows no run.

A step of one row of a small model is a few hundred small kernels, and starting them takes longer
than they do. With keys and values in buffers of a fixed size, a mask that says how much of them
holds, and the position in a tensor, every step is the same work on the same memory: CUDA records
it once and replays it (CUDA graphs, Nguyen et al. 2021, pytorch.org/blog/accelerating-pytorch-with-
cuda-graphs; the static cache is the library's ``StaticLayer``). The buffers are lent to the cache
of the row that decodes, so that whatever reads, forks or keeps that cache finds its tokens there.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import StaticLayer

from playground.models.lanes import cache_argument, takes
from playground.models.slab import Pair, SlabLayer

log = logging.getLogger(__name__)

LEAST = 256              # tokens that the buffers hold, at least; they double
MOST_BYTES = 2**30       # of buffers; a longer text decodes step by step as others do
WARM_UP = 3              # forwards before a capture: kernels are chosen and memory is set aside
# How far logits may be from a plain forward's: another kernel sums in another order.
_CLOSE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}


def _slabs(cache: DynamicCache) -> list[Any]:
    """Its layers, each a SlabLayer."""
    return cache.layers


class FixedLayer(StaticLayer):  # type: ignore[no-untyped-call]
    """Keys and values [1, heads, capacity, size] that are written in place, at one position.

    The position is a tensor that all layers share; whoever owns them moves it.
    """

    def __init__(self, slab: Any, capacity: int, position: torch.Tensor) -> None:
        super().__init__(capacity)
        self.lazy_initialization(slab.keys, slab.values)
        self.cumulative_length = position

    @property
    def pair(self) -> Pair:
        """The buffers."""
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one token's states at the position; gives all of the buffers."""
        keys, values = self.pair
        keys.index_copy_(2, self.cumulative_length, key_states)
        values.index_copy_(2, self.cumulative_length, value_states)
        return keys, values

    def get_seq_length(self) -> int:
        """The tokens before this one, as a tensor, which a graph reads anew at each replay."""
        return self.cumulative_length[0]  # type: ignore[return-value]


class CapturedStep:
    """The step of one row, for one row's cache at a time; ``graphs`` records it on a CUDA device.

    It is believed once its logits were those of a plain forward; where they are not, or where a
    model cannot be recorded, every step is a plain one.
    """

    def __init__(self, lm: Any, graphs: bool) -> None:
        self._lm = lm
        self._graphs = graphs
        self._layers: list[FixedLayer] = []
        self._owner: weakref.ref[DynamicCache] | None = None
        self._replay: Callable[[], None] | None = None
        self._capacity = 0
        self._static = DynamicCache()
        self._ids = self._position = self._mask = torch.zeros(0)
        self._logits: torch.Tensor | None = None
        self.steps = 0  # how many were of fixed shapes
        self.usable = self._is_plain()
        self.proven = False

    def _is_plain(self) -> bool:
        """Whether the model takes a mask of our own and positions: what the mask must be is known
        for this kernel alone."""
        named = all(takes(self._lm, name) for name in ("attention_mask", "position_ids"))
        return named and self._lm.config._attn_implementation == "sdpa"

    def read(
        self, newest: torch.Tensor, cache: DynamicCache, length: int,
        plainly: Callable[[], torch.Tensor],
    ) -> torch.Tensor:
        """The logits [1, vocabulary] after ``newest`` [1, 1], the text's token number ``length``.

        ``plainly`` reads it as any other row is read; it does so where this cannot.
        """
        if not self.usable or not self._fits(cache, length):
            return plainly()
        try:
            told = self._step(newest, cache, length)
        except (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError) as fault:
            if isinstance(fault, torch.OutOfMemoryError):
                self._let_go()
            else:
                self._give_up(type(fault).__name__)
            return plainly()
        if not self.proven:
            expected = plainly()
            if not self._alike(told, expected):
                self._give_up("other logits")
            self.proven = self.usable
            return expected
        self.steps += 1
        for slab in _slabs(cache):
            slab.extend(length)
        return told

    def _fits(self, cache: DynamicCache, length: int) -> bool:
        """Whether every layer holds one row's tokens in full, and the buffers would not be too
        large."""
        if not all(type(layer) is SlabLayer and layer.is_initialized for layer in cache.layers):
            return False
        slabs = _slabs(cache)
        if slabs[0].keys.shape[0] != 1 or slabs[0].keys.shape[-2] != length - 1:
            return False
        each = sum(one.keys[0, :, 0].nbytes + one.values[0, :, 0].nbytes for one in slabs)
        return bool(self._room_for(length) * each <= MOST_BYTES)

    def _room_for(self, length: int) -> int:
        capacity = LEAST
        while capacity < length:
            capacity *= 2
        return capacity

    def _step(self, newest: torch.Tensor, cache: DynamicCache, length: int) -> torch.Tensor:
        if length > self._capacity:
            self._let_go()
            self._make(cache, self._room_for(length))
        self._lend_to(cache, length)
        self._ids.copy_(newest)
        self._position.fill_(length - 1)
        self._mask[..., length - 1] = True
        if self._replay is None:
            self._record(length)
        assert self._replay is not None
        self._replay()
        assert self._logits is not None
        return self._logits.clone()

    def _make(self, cache: DynamicCache, capacity: int) -> None:
        device = self._lm.device
        self._position = torch.zeros(1, dtype=torch.long, device=device)
        self._ids = torch.zeros((1, 1), dtype=torch.long, device=device)
        self._mask = torch.zeros((1, 1, 1, capacity), dtype=torch.bool, device=device)
        self._layers = [FixedLayer(one, capacity, self._position) for one in _slabs(cache)]
        self._static = DynamicCache()
        self._static.layer_class_to_replicate = None
        self._static.layers = list(self._layers)
        self._capacity = capacity

    def _lend_to(self, cache: DynamicCache, length: int) -> None:
        """Let the buffers be those of this cache, with what it holds; another one gets its own."""
        owner = self._owner() if self._owner else None
        buffers = [layer.pair for layer in self._layers]
        if owner is cache and all(map(SlabLayer.grows_in, _slabs(cache), buffers)):
            return
        if owner is not None:
            for slab, pair in zip(_slabs(owner), buffers, strict=True):
                if slab.lies_in(pair):
                    slab.leave_buffers()
        for slab, pair in zip(_slabs(cache), buffers, strict=True):
            slab.move_to(pair)
        self._mask.zero_()
        self._mask[..., : length - 1] = True
        self._owner = weakref.ref(cache)

    def _forward(self) -> None:
        given = {
            "input_ids": self._ids, "attention_mask": self._mask,
            "position_ids": self._position[None], cache_argument(self._lm): self._static,
            "use_cache": True,
        }
        logits = self._lm(**given).logits[:, -1]
        if self._logits is None:
            self._logits = torch.empty_like(logits)
        self._logits.copy_(logits)

    def _record(self, length: int) -> None:
        """Make the replay; without graphs it is the forward itself."""
        self._logits = None
        if not self._graphs:
            self._replay = self._forward
            return
        aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):  # each writes the same states at the same position
                self._forward()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._forward()
        self._replay = graph.replay

    def _alike(self, told: torch.Tensor, expected: torch.Tensor) -> bool:
        """Whether these are the same logits but for rounding; broken weights are no difference."""
        part = _CLOSE.get(expected.dtype, 0.15)
        near = (told - expected).abs().max() <= part * expected.float().std() + 1e-6
        return bool(near) or not bool(torch.isfinite(expected).all())

    def _let_go(self) -> None:
        """The buffers and what was recorded on them; the cache that has them keeps them."""
        self._layers, self._replay, self._owner, self._capacity = [], None, None, 0

    def _give_up(self, why: str) -> None:
        log.info("A step of %s is not recorded: %s", type(self._lm).__name__, why)
        self._let_go()
        self.usable = False
