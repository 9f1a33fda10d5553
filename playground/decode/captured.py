"""A batch's step with fixed shapes, so that a GPU can replay it as one graph; it knows no run.

A step of a few rows of a small model is about a thousand small kernels, and starting them takes
longer than they do. With keys and values in buffers of a fixed size, a mask that says how much of
them holds, and the column of the newest tokens in a tensor, every step is the same work on the same
memory: CUDA records it once and replays it (CUDA graphs, Nguyen et al. 2021,
pytorch.org/blog/accelerating-pytorch-with-cuda-graphs; the static cache is the library's
``StaticLayer``). The buffers are lent to the cache of the rows that decode, so that whatever reads,
forks or keeps that cache finds its tokens there.
"""

from __future__ import annotations

import logging
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import StaticLayer

from playground.models.lanes import cache_argument, takes
from playground.models.slab import Pair, SlabLayer

log = logging.getLogger(__name__)

LEAST = 256              # tokens that the buffers hold, at least; they double
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # so many are recorded; a few idle ones fill them up
MOST_BYTES = 2**29       # of all buffers; what does not fit decodes step by step as elsewhere
WARM_UP = 3              # forwards before a capture: kernels are chosen and memory is set aside
# Plain steps of a shape before it is recorded, which costs about as much as these: what ends
# sooner is not worth it.
PATIENCE = 4
# How far logits may be from a plain forward's: another kernel sums in another order.
_CLOSE = {torch.float32: 1e-3, torch.bfloat16: 0.15, torch.float16: 0.05}


def _slabs(cache: DynamicCache) -> list[Any]:
    """Its layers, each a SlabLayer."""
    return cache.layers


class FixedLayer(StaticLayer):  # type: ignore[no-untyped-call]
    """Keys and values [rows, heads, capacity, size] that are written in place, at one column.

    The column is a tensor that all layers share; whoever owns them moves it.
    """

    def __init__(self, slab: Any, rows: int, capacity: int, column: torch.Tensor) -> None:
        super().__init__(capacity)
        keys, values = (one[:1].expand(rows, -1, -1, -1) for one in (slab.keys, slab.values))
        self.lazy_initialization(keys, values)
        self.cumulative_length = column

    def of(self, rows: int) -> Pair:
        """The buffers of the first so many rows."""
        assert self.keys is not None and self.values is not None
        return self.keys[:rows], self.values[:rows]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> Pair:
        """Write one token's states of each row at the column; gives all of the buffers."""
        assert self.keys is not None and self.values is not None
        self.keys.index_copy_(2, self.cumulative_length, key_states)
        self.values.index_copy_(2, self.cumulative_length, value_states)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """The tokens before this one, as a tensor, which a graph reads anew at each replay."""
        return self.cumulative_length[0]  # type: ignore[return-value]


class Recording:
    """The step of so many ``rows`` on buffers of ``capacity`` tokens, for one cache at a time.

    The cache lies right-aligned (see decode.cache): the newest tokens of all rows stand in one
    column, and a shorter row has padding before its first.
    """

    def __init__(self, lm: Any, cache: DynamicCache, rows: int, capacity: int) -> None:
        self._lm = lm
        self._owner: weakref.ref[DynamicCache] | None = None
        self._replay: Callable[[], None] | None = None
        self._logits: torch.Tensor | None = None
        self._paddings: list[int] = []
        self.proven = False
        device = lm.device
        self._ids = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._column = torch.zeros(1, dtype=torch.long, device=device)
        self._padding = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._places = torch.arange(capacity, device=device)
        self._layers = [FixedLayer(one, rows, capacity, self._column) for one in _slabs(cache)]
        self._static = DynamicCache()
        self._static.layer_class_to_replicate = None
        self._static.layers = list(self._layers)

    def step(
        self, newest: torch.Tensor, cache: DynamicCache, lengths: Sequence[int], graphs: bool
    ) -> torch.Tensor:
        """The logits [rows, vocabulary] after ``newest`` [rows, 1]; the cache lies here then."""
        self._lend_to(cache, lengths)
        self._ids[: len(lengths)].copy_(newest)
        self._column.fill_(max(lengths) - 1)
        if self._replay is None:
            self._replay = self._recorded() if graphs else self._forward
        self._replay()
        assert self._logits is not None
        return self._logits[: len(lengths)].clone()

    def _lend_to(self, cache: DynamicCache, lengths: Sequence[int]) -> None:
        """Let the buffers be those of this cache, with what it holds; another one gets its own."""
        owner = self._owner() if self._owner else None
        rows, longest = len(lengths), max(lengths)
        buffers = [layer.of(rows) for layer in self._layers]
        if owner is not cache or not all(map(SlabLayer.grows_in, _slabs(cache), buffers)):
            if owner is not None:
                for slab, pair in zip(_slabs(owner), buffers, strict=True):
                    if slab.lies_in(pair):
                        slab.leave_buffers()
            for slab, pair in zip(_slabs(cache), buffers, strict=True):
                slab.move_to(pair)
            self._owner = weakref.ref(cache)
        paddings = [longest - length for length in lengths]
        if paddings != self._paddings:
            # Rows that idle have none: they look at whatever lies there, and nobody at them.
            whole = [*paddings, *[0] * (len(self._ids) - rows)]
            self._padding.copy_(torch.tensor(whole)[:, None])
            self._paddings = paddings

    def _forward(self) -> None:
        seen = (self._places <= self._column) & (self._places >= self._padding)
        given = {
            "input_ids": self._ids, "attention_mask": seen[:, None, None],
            "position_ids": self._column - self._padding,
            cache_argument(self._lm): self._static, "use_cache": True,
        }
        logits = self._lm(**given).logits[:, -1]
        if self._logits is None:
            self._logits = torch.empty_like(logits)
        self._logits.copy_(logits)

    def _recorded(self) -> Callable[[], None]:
        """The forward as one graph."""
        aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):  # each writes the same states at the same column
                self._forward()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Another thread of the worker, which brings an adapter, may use the device meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._forward()
        return graph.replay


class CapturedStep:
    """The steps of batches, recorded where ``graphs`` says so (on a CUDA device).

    A recording is believed once its logits were those of a plain forward; where they are not, or
    where a model cannot be recorded, every step is a plain one.
    """

    def __init__(self, lm: Any, graphs: bool) -> None:
        self._lm = lm
        self._graphs = graphs
        self._recordings: dict[tuple[int, int], Recording] = {}  # the latest used last
        self._asked: Counter[tuple[int, int]] = Counter()
        self.steps = 0  # how many were of fixed shapes
        self.usable = self._is_plain()

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and capacity of what is recorded and was found right."""
        return tuple(shape for shape, one in self._recordings.items() if one.proven)

    def _is_plain(self) -> bool:
        """Whether the model takes a mask of our own and positions: what the mask must be is known
        for this kernel alone."""
        named = all(takes(self._lm, name) for name in ("attention_mask", "position_ids"))
        return named and self._lm.config._attn_implementation == "sdpa"

    def read(
        self, newest: torch.Tensor, cache: DynamicCache, lengths: Sequence[int],
        plainly: Callable[[], torch.Tensor],
    ) -> torch.Tensor:
        """The logits [rows, vocabulary] after ``newest`` [rows, 1], the last token of each row.

        ``lengths`` are the tokens of each row with it. ``plainly`` reads them as they are read
        elsewhere; it does so where this cannot, or not yet.
        """
        recording, told = None, None
        try:
            if self.usable and (recording := self._recording(cache, lengths)):
                told = recording.step(newest, cache, lengths, self._graphs)
        except (RuntimeError, ValueError, TypeError, NotImplementedError, AttributeError) as fault:
            if isinstance(fault, torch.OutOfMemoryError):
                self._let_go()
            else:
                self._give_up(type(fault).__name__)
        if recording is None or told is None:
            return plainly()
        if not recording.proven:
            expected = plainly()
            recording.proven = _alike(told, expected)
            if not recording.proven:
                self._give_up("other logits")
            return expected
        self.steps += 1
        for slab in _slabs(cache):
            slab.extend(max(lengths))
        return told

    def _recording(self, cache: DynamicCache, lengths: Sequence[int]) -> Recording | None:
        """What is recorded for such a batch, or begins to be; None where nothing is."""
        longest = max(lengths)
        if len(lengths) > ROWS[-1] or not _holds_all(cache, len(lengths), longest - 1):
            return None
        shape = (next(rows for rows in ROWS if rows >= len(lengths)), _room_for(longest))
        recording = self._recordings.pop(shape, None)
        if recording is None:
            self._asked[shape] += 1
            if self._asked[shape] <= PATIENCE or not self._make_room(cache, shape):
                return None
            recording = Recording(self._lm, cache, *shape)
        self._recordings[shape] = recording
        return recording

    def _make_room(self, cache: DynamicCache, shape: tuple[int, int]) -> bool:
        """Let go of what was not used for longest, so that another fits; False where it cannot."""
        slabs = _slabs(cache)
        each = sum(one.keys[0, :, :1].nbytes + one.values[0, :, :1].nbytes for one in slabs)
        most = MOST_BYTES // max(1, each)
        if shape[0] * shape[1] > most:
            return False
        while sum(rows * tokens for rows, tokens in (*self._recordings, shape)) > most:
            del self._recordings[next(iter(self._recordings))]
        return True

    def _let_go(self) -> None:
        """The buffers and what was recorded on them; the caches that have them keep them."""
        self._recordings.clear()
        self._asked.clear()

    def _give_up(self, why: str) -> None:
        log.info("A step of %s is not recorded: %s", type(self._lm).__name__, why)
        self._let_go()
        self.usable = False


def _holds_all(cache: DynamicCache, rows: int, columns: int) -> bool:
    """Whether every layer holds so many columns of so many rows, in full."""
    if not all(type(layer) is SlabLayer and layer.is_initialized for layer in cache.layers):
        return False
    return bool(_slabs(cache)[0].keys.shape[0:3:2] == (rows, columns))


def _room_for(length: int) -> int:
    """The capacity that a row of this length is recorded with."""
    capacity = LEAST
    while capacity < length:
        capacity *= 2
    return capacity


def _alike(told: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether these are the same logits but for rounding; broken weights are no difference."""
    part = _CLOSE.get(expected.dtype, 0.15)
    near = (told - expected).abs().max() <= part * expected.float().std() + 1e-6
    return bool(near) or not bool(torch.isfinite(expected).all())
