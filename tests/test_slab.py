"""A slab layer holds what the library's layer holds, whatever is done to it, and never overlaps."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from playground.decode import cache as kv
from playground.models.slab import SlabLayer


def caches() -> tuple[DynamicCache, DynamicCache]:
    ours, theirs = DynamicCache(), DynamicCache()
    for cache, kind in ((ours, SlabLayer), (theirs, DynamicLayer)):
        cache.layer_class_to_replicate = None
        cache.layers = [kind(), kind()]
    return ours, theirs


def write(cache: DynamicCache, rows: int, tokens: int, first: int) -> None:
    """New states whose numbers are all different."""
    count = rows * 2 * tokens * 3
    states = torch.arange(first, first + count, dtype=torch.float32).view(rows, 2, tokens, 3)
    for layer in range(2):
        cache.update(states + layer, -states - layer, layer)


def same(ours: DynamicCache, theirs: DynamicCache) -> bool:
    return all(
        torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)
        for a, b in zip(ours.layers, theirs.layers, strict=True)
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 90)),
        st.tuples(st.just("crop"), st.integers(1, 5)),
        st.tuples(st.just("select"), st.lists(st.integers(0, 1), min_size=2, max_size=2)),
        st.tuples(st.just("trim"), st.integers(1, 6)),
        st.tuples(st.just("copy"), st.lists(st.integers(0, 1), min_size=2, max_size=2)),
        st.tuples(st.just("undo"), st.integers(1, 4)),
    ),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_a_slab_is_a_dynamic_layer(steps: list[tuple[str, object]]) -> None:
    """Growing, cropping, selecting, trimming, copying, going back: always the same keys."""
    pair = caches()
    left: list[tuple[DynamicCache, DynamicCache]] = []
    first = 0
    for cache in pair:
        write(cache, 2, 3, first)
    for name, how in steps:
        first += 1000
        if name == "copy":
            left.append(pair)
            pair = (kv.copy(pair[0], how), kv.copy(pair[1], how))  # type: ignore[arg-type]
        for cache in pair:
            if name == "write":
                write(cache, 2, how, first)  # type: ignore[arg-type]
            elif name == "crop" and kv.width(cache) > 5:
                cache.crop(-how)  # type: ignore[operator]
            elif name == "select":
                kv.select(cache, how)  # type: ignore[arg-type]
            elif name == "trim" and kv.width(cache) > 6:
                kv.trim(cache, kv.width(cache) - how)  # type: ignore[operator]
            elif name == "undo":
                before = kv.Snapshot(cache)
                write(cache, 2, how, first)  # type: ignore[arg-type]
                before.restore()
        assert same(*pair)
    # What was copied from still holds what it held.
    assert all(same(*one) for one in left)


def test_a_step_writes_in_place() -> None:
    """After the first growth the buffer stays where it is, for 64 tokens at least."""
    ours, _ = caches()
    write(ours, 1, 10, 0)
    write(ours, 1, 1, 100)
    place = ours.layers[0].keys.data_ptr()  # type: ignore[union-attr]
    for step in range(60):
        write(ours, 1, 1, step)
        assert ours.layers[0].keys.data_ptr() == place  # type: ignore[union-attr]


def test_a_layer_keeps_its_own_keys_only() -> None:
    """GPT-2 cuts query, key and value out of one tensor; kept as a view, all three would stay."""
    ours, _ = caches()
    whole = torch.zeros(1, 5, 3 * 6)
    keys = whole[..., 6:12].view(1, 5, 2, 3).transpose(1, 2)
    ours.update(keys, keys, 0)
    assert ours.layers[0].keys.untyped_storage().nbytes() == 5 * 6 * 4  # type: ignore[union-attr]
