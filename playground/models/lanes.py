"""Which lane a loaded model can decode in, by a short trial; it knows no prompt and no run.

batch      several rows share every forward: left padding and joined caches change nothing
alone      one row at a time, with the model's KV cache
recompute  one row at a time, reading the whole text again for each token

A lane is right where it gives the logits of the library's own ``generate()``. With a cache a prompt
is read in chunks, which not every model can.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from playground.models.slab import SlabLayer

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
# The tokens of the trial's two texts, and of the chunks that the longer one is read in.
_LONG, _SHORT, _CHUNK = 12, 5, 5
# Rotary frequencies of these kinds are chosen by the longest text in a forward: one text changes
# its neighbours', and the first chunks of a long prompt get those of a short one.
_BY_LENGTH = ("dynamic", "longrope")

_NOT_IN_BATCH = "This model decodes one text at a time."
_NO_CACHE = "This model's cache is of its own kind: every token reads the whole text again."
_NOT_GENERATE = (
    "Every token reads the whole text again; this model's own generate(), with its cache, gives "
    "other numbers than such a reading."
)


def takes(lm: Any, name: str) -> bool:
    """Whether the model's forward has an argument of this name."""
    return name in _arguments(type(lm))


@lru_cache(maxsize=64)
def _arguments(kind: type) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)  # type: ignore[attr-defined]


def new_cache(lm: Any) -> DynamicCache:
    """An empty KV cache with the layer kinds of this model."""
    cache = DynamicCache(config=lm.config.get_text_config(decoder=True))
    cache.layers = [SlabLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def can_join(cache: DynamicCache) -> bool:
    """Whether rows of this cache can be put together: plain or sliding attention in every layer."""
    kinds = (SlabLayer, DynamicLayer, DynamicSlidingWindowLayer)
    return all(type(layer) in kinds for layer in cache.layers)


@dataclass(frozen=True, slots=True, eq=False)
class _Text:
    """A text of the trial: a prompt and what ``generate()`` writes after it.

    ``ids`` [1, tokens] are both, ``logits`` those that chose each new token.
    """

    ids: torch.Tensor
    prompt: int
    logits: Sequence[torch.Tensor]


# What a way of reading finds: the text's number, how many of its new tokens were read, the logits.
_Found = Iterator[tuple[int, int, torch.Tensor]]


@torch.inference_mode()
def choose_lane(lm: Any, vocabulary: int) -> tuple[str, str]:
    """The lane, and a sentence for the card where it is not ``batch``.

    Reads two texts of different lengths in each lane's way, and compares the next-token logits
    with those of ``generate()``.
    """
    texts = (_written(lm, vocabulary, _LONG, 2), _written(lm, vocabulary, _SHORT, 3))
    if not all(bool(torch.isfinite(row).all()) for text in texts for row in text.logits):
        return BATCH, ""  # broken weights are broken in every lane; the loop says so
    # 16-bit arithmetic differs in its last bits from shape to shape; a wrong mask by far more.
    part = 1e-3 if lm.dtype == torch.float32 else 0.15
    allowed = part * float(texts[0].logits[0].std()) + 1e-6

    def fits(read: Callable[[Any, Sequence[_Text]], _Found]) -> bool:
        try:
            # Not written as `> allowed`, so that NaN counts as different.
            return all(
                bool(((logits.float() - texts[i].logits[new]).abs() <= allowed).all())
                for i, new, logits in read(lm, texts)
            )
        except _TRIAL_FAULTS:
            return False

    if not _rotates_by_length(lm) and fits(_together):
        return BATCH, ""
    if fits(_alone):
        return ALONE, _NOT_IN_BATCH
    return RECOMPUTE, _NO_CACHE if fits(_again) else _NOT_GENERATE


def _rotates_by_length(lm: Any) -> bool:
    config = lm.config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or {}
    # One rope for all layers, or one for each kind of layer.
    ropes = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    return any(one.get("rope_type") in _BY_LENGTH for one in ropes)


def _written(lm: Any, vocabulary: int, prompt: int, new: int) -> _Text:
    """What ``generate()`` writes after ``prompt`` tokens, greedily."""
    step = max(1, vocabulary // 11)
    ids = torch.tensor([[(5 + i * step) % vocabulary for i in range(prompt)]], device=lm.device)
    out = lm.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=new,
        # An id that no model writes: an end token would cut the trial short.
        eos_token_id=vocabulary,
        return_dict_in_generate=True,
        output_logits=True,
    )
    return _Text(out.sequences, prompt, [row[0].float() for row in out.logits])


def _read(
    lm: Any, ids: torch.Tensor, cache: DynamicCache | None, lengths: Sequence[int]
) -> torch.Tensor:
    """The logits [rows, vocabulary] after ``ids`` [rows, tokens], called as the decode loop does.

    ``lengths`` are the tokens of each row, with those in the cache; the rest is padding.
    """
    columns = max(lengths)
    column = torch.arange(columns, device=ids.device)
    padding = columns - torch.tensor(lengths, device=ids.device)[:, None]
    inputs = {
        "attention_mask": (column >= padding).long(),
        "position_ids": (column - padding).clamp(min=0)[:, -ids.shape[1] :],
        "past_key_values": cache,
        "use_cache": cache is not None,
        "logits_to_keep": 1,
    }
    given = {name: value for name, value in inputs.items() if takes(lm, name)}
    logits: torch.Tensor = lm(input_ids=ids, **given).logits
    return logits[:, -1]


def _prefill(lm: Any, text: _Text, cache: DynamicCache) -> torch.Tensor:
    """The logits [vocabulary] after the prompt, which is read in chunks."""
    for start in range(0, text.prompt, _CHUNK):
        end = min(start + _CHUNK, text.prompt)
        logits = _read(lm, text.ids[:, start:end], cache, [end])
    return logits[0]


def _together(lm: Any, texts: Sequence[_Text]) -> _Found:
    """Each prompt, then a step for both, then one for the short text that stays."""
    long, short = texts
    cache, other = new_cache(lm), new_cache(lm)
    yield 0, 0, _prefill(lm, long, cache)
    yield 1, 0, _prefill(lm, short, other)
    if not can_join(cache):
        raise ValueError("a layer of this kind cannot be joined")
    _join(cache, other)
    newest = torch.cat([text.ids[:, text.prompt : text.prompt + 1] for text in texts])
    both = _read(lm, newest, cache, [text.prompt + 1 for text in texts])
    yield 0, 1, both[0]
    yield 1, 1, both[1]
    _leave_last(cache, short.prompt + 1)
    newest = short.ids[:, short.prompt + 1 : short.prompt + 2]
    yield 1, 2, _read(lm, newest, cache, [short.prompt + 2])[0]


def _alone(lm: Any, texts: Sequence[_Text]) -> _Found:
    """Each with a cache of its own, in turns: some models keep their state in themselves."""
    caches = [new_cache(lm) for _ in texts]
    for i, text in enumerate(texts):
        yield i, 0, _prefill(lm, text, caches[i])
    for new in (1, 2):
        for i, text in enumerate(texts):
            end = text.prompt + new
            if new < len(text.logits):
                yield i, new, _read(lm, text.ids[:, end - 1 : end], caches[i], [end])[0]


def _again(lm: Any, texts: Sequence[_Text]) -> _Found:
    """Without a cache."""
    for i, text in enumerate(texts):
        end = text.prompt + 1
        yield i, 1, _read(lm, text.ids[:, :end], None, [end])[0]


def _join(cache: DynamicCache, shorter: DynamicCache) -> None:
    """Put the row of a shorter cache under that of ``cache``, with zeros to its left."""
    layer: Any
    other: Any
    for layer, other in zip(cache.layers, shorter.layers, strict=True):
        pad = (0, 0, layer.keys.shape[-2] - other.keys.shape[-2], 0)
        layer.keys = torch.cat([layer.keys, torch.nn.functional.pad(other.keys, pad)])
        layer.values = torch.cat([layer.values, torch.nn.functional.pad(other.values, pad)])


def _leave_last(cache: DynamicCache, columns: int) -> None:
    """Keep the last row, and of that the last columns: the others were padding."""
    layer: Any
    for layer in cache.layers:
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = min(layer.cumulative_length, columns)
        layer.keys = layer.keys[-1:, :, -columns:]
        layer.values = layer.values[-1:, :, -columns:]
