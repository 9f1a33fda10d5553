"""Which lane a loaded model can decode in, by a short trial; it knows no prompt and no run.

batch      several rows share every forward: left padding and joined caches change nothing
alone      one row at a time, with the model's KV cache
whole      the same, and a prompt is read in one forward: the model cannot take up a second chunk
recompute  one row at a time, reading the whole text again for each token
none       an encoder: it decodes nothing

A lane is right where it gives the logits of the library's own ``generate()``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers import DynamicCache, GenerationMixin
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from playground.models import joining
from playground.models.slab import SlabLayer

BATCH, ALONE, WHOLE, RECOMPUTE, NONE = "batch", "alone", "whole", "recompute", "none"

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
_NOT_IN_CHUNKS = "This model decodes one text at a time, and reads a prompt all at once."
_NO_CACHE = "This model's cache is of its own kind: every token reads the whole text again."
_CHANGED = (ValueError, TypeError, AttributeError)  # how a renamed argument or method shows
_CACHES = ("cache", "past_key_values", "cache_params")  # before 5.24 the last two
_NOT_GENERATE = (
    "Every token reads the whole text again; this model's own generate(), with its cache, gives "
    "other numbers than such a reading."
)


def takes(lm: Any, name: str) -> bool:
    """Whether the model's forward has an argument of this name."""
    return name in _arguments(type(lm))


def cache_argument(lm: Any) -> str:
    """What the model's forward calls its KV cache: transformers renamed it in 5.24.

    Raises ValueError where it takes none: left out, every token would be read without the text.
    """
    found = next((name for name in _CACHES if takes(lm, name)), None)
    if found is None:
        raise ValueError(f"{type(lm).__name__} takes no KV cache")
    return found


@lru_cache(maxsize=64)
def _arguments(kind: type) -> frozenset[str]:
    return frozenset(inspect.signature(kind.forward).parameters)  # type: ignore[attr-defined]


def padding_of(
    lengths: Sequence[int], device: torch.device | str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention mask and position ids [rows, columns] of texts of these ``lengths`` in one batch:
    padding on the left, with mask 0 and position 0, so that all end in the same column."""
    columns = max(lengths)
    column = torch.arange(columns, device=device)
    padding = columns - torch.tensor(lengths, device=device)[:, None]
    return (column >= padding).long(), (column - padding).clamp(min=0)


def inputs_of(
    lm: Any, ids: torch.Tensor, cache: DynamicCache | None, lengths: Sequence[int], last: int = 1
) -> dict[str, Any]:
    """What the model's forward is given to read ``ids`` [rows, tokens], the newest of each row.

    ``lengths`` are the tokens of each row, with those in the cache; the rest of its columns is
    padding, on the left. Logits are wanted after the ``last`` tokens.
    """
    mask, positions = padding_of(lengths, ids.device)
    if cache is None:
        # Some append a token to every text, and read their prediction there.
        keep = {"logits_to_keep": last} if takes(lm, "logits_to_keep") else {}
        whole: dict[str, Any] = lm.prepare_inputs_for_generation(
            ids, attention_mask=mask, use_cache=False, is_first_iteration=True, **keep
        )
        return {
            name: value for name, value in whole.items() if name == "input_ids" or takes(lm, name)
        }
    new, named = ids.shape[1], cache_argument(lm)
    # State-space models have a mask for the new tokens only.
    states = named == "cache_params" or (bool(cache.layers) and all(cache.is_linear))
    inputs = {
        "attention_mask": mask[:, -new:] if states else mask,
        "position_ids": positions[:, -new:],
        named: cache,
        "use_cache": True,
        "logits_to_keep": last,
    }
    known = {name: value for name, value in inputs.items() if takes(lm, name)}
    return {"input_ids": ids, **known}


def new_cache(lm: Any) -> DynamicCache:
    """An empty KV cache with the layer kinds of this model."""
    cache = DynamicCache(config=lm.config.get_text_config(decoder=True))
    cache.layers = [SlabLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def remembers(lm: Any) -> bool:
    """Whether the cache holds a token that was read into it: a look of one forward, at weights
    whose kind is proven, that an unknown version of the library still means what it meant."""
    cache = new_cache(lm)
    try:
        token = torch.zeros((1, 1), dtype=torch.long, device=lm.device)
        lm(**inputs_of(lm, token, cache, [1]))
        return int(cache.get_seq_length()) == 1
    except _CHANGED:
        return False


def has_only_attention(cache: DynamicCache) -> bool:
    """Whether every layer is plain or sliding attention, so that tokens can be taken out again."""
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

    if not rotates_by_length(lm):
        if fits(_together):
            return BATCH, ""
        if fits(_alone):
            return ALONE, _NOT_IN_BATCH
    if fits(_whole):
        return WHOLE, _NOT_IN_CHUNKS
    return RECOMPUTE, _NO_CACHE if fits(_again) else _NOT_GENERATE


def rotates_by_length(lm: Any) -> bool:
    """Whether the longest text in a forward decides how all of them are rotated."""
    config = lm.config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or {}
    # One rope for all layers, or one for each kind of layer.
    ropes = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    return any(one.get("rope_type") in _BY_LENGTH for one in ropes)


@torch.inference_mode()
def sees_ahead(lm: Any, vocabulary: int) -> bool:
    """Whether each token of a text sees those behind it, as in an encoder.

    So do models of BERT's kind whose config has no ``is_decoder``; others may leave it out.
    """
    if getattr(lm.config.get_text_config(decoder=True), "is_decoder", True):
        return False
    ids = _trial_ids(vocabulary, _LONG, lm.device)
    try:
        whole, begin = (lm(input_ids=ids[:, :end]).logits[0, _SHORT - 1] for end in (_LONG, _SHORT))
    except _TRIAL_FAULTS:
        return False
    return not torch.allclose(whole, begin, rtol=0.0, atol=0.15 * float(begin.float().std()))


def switches_at(lm: Any) -> int | None:
    """The most tokens that a cache may hold to be read on with; None where any cache may.

    Behind ``original_max_position_embeddings`` tokens longrope turns by other frequencies, and so
    ``generate()`` of Phi-3 and its kin reads a text that grows past it once more from its begin.
    Of other types it reads on, with what was turned by the first ones.
    """
    if type(lm).prepare_inputs_for_generation is GenerationMixin.prepare_inputs_for_generation:
        return None
    config: Any = lm.config.get_text_config(decoder=True)
    at = getattr(config, "original_max_position_embeddings", None)
    return at if isinstance(at, int) and rotates_by_length(lm) else None


def _written(lm: Any, vocabulary: int, prompt: int, new: int) -> _Text:
    """What ``generate()`` writes after ``prompt`` tokens, greedily."""
    ids = _trial_ids(vocabulary, prompt, lm.device)
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


def _trial_ids(vocabulary: int, tokens: int, device: torch.device) -> torch.Tensor:
    step = max(1, vocabulary // 11)
    return torch.tensor([[(5 + i * step) % vocabulary for i in range(tokens)]], device=device)


def read_newest(
    lm: Any, ids: torch.Tensor, cache: DynamicCache | None, lengths: Sequence[int]
) -> torch.Tensor:
    """The logits [rows, vocabulary] after the newest token of each row."""
    logits: torch.Tensor = lm(**inputs_of(lm, ids, cache, lengths)).logits
    return logits[:, -1]


def _prefill(lm: Any, text: _Text, cache: DynamicCache, chunk: int = _CHUNK) -> torch.Tensor:
    """The logits [vocabulary] after the prompt, which is read in chunks."""
    for start in range(0, text.prompt, chunk):
        end = min(start + chunk, text.prompt)
        logits = read_newest(lm, text.ids[:, start:end], cache, [end])
    return logits[0]


def _together(lm: Any, texts: Sequence[_Text]) -> _Found:
    """Each prompt, then a step for both, then one for the short text that stays."""
    long, short = texts
    cache, other = new_cache(lm), new_cache(lm)
    yield 0, 0, _prefill(lm, long, cache)
    yield 1, 0, _prefill(lm, short, other)
    if not joining.can_join(cache):
        raise ValueError("a layer of this kind cannot be joined")
    joining.join([cache, other])
    newest = torch.cat([text.ids[:, text.prompt : text.prompt + 1] for text in texts])
    both = read_newest(lm, newest, cache, [text.prompt + 1 for text in texts])
    yield 0, 1, both[0]
    yield 1, 1, both[1]
    joining.select(cache, [1])
    joining.trim(cache, short.prompt + 1)
    newest = short.ids[:, short.prompt + 1 : short.prompt + 2]
    yield 1, 2, read_newest(lm, newest, cache, [short.prompt + 2])[0]


def _alone(lm: Any, texts: Sequence[_Text], chunk: int = _CHUNK) -> _Found:
    """Each with a cache of its own, in turns: some models keep their state in themselves."""
    caches = [new_cache(lm) for _ in texts]
    for i, text in enumerate(texts):
        yield i, 0, _prefill(lm, text, caches[i], chunk)
    for new in (1, 2):
        for i, text in enumerate(texts):
            end = text.prompt + new
            if new < len(text.logits):
                yield i, new, read_newest(lm, text.ids[:, end - 1 : end], caches[i], [end])[0]


def _whole(lm: Any, texts: Sequence[_Text]) -> _Found:
    """The same, with each prompt in one forward."""
    return _alone(lm, texts, _LONG)


def _again(lm: Any, texts: Sequence[_Text]) -> _Found:
    """Without a cache."""
    for i, text in enumerate(texts):
        end = text.prompt + 1
        yield i, 1, read_newest(lm, text.ids[:, :end], None, [end])[0]
