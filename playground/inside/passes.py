"""A text through a model with its layers laid open, in chunks; it knows no view.

Hidden states, attention and logits are the ones that the model's own forward gives with
``output_hidden_states`` and ``output_attentions``, chunk after chunk over its KV cache.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from playground.errors import InvalidInput
from playground.inside.subject import Subject
from playground.models.lanes import ALONE, BATCH, inputs_of, new_cache, takes

CHUNK = 256   # tokens that are read at once, at most
BESIDE = 64   # the same while others decode and wait
MOST_BYTES = 512 * 2**20  # of hidden states and attention that one pass may hold
MOST_KEPT = 64 * 2**20  # bytes of hidden states that stay for the next look at the same text


@dataclass
class Pass:
    """What a pass left: tensors on the model's device, without a batch dimension.

    ``hidden``: layers + 1 of [tokens, width], as ``output_hidden_states`` gives them: the
    embeddings first; of most models the last is after the final norm. ``attention``: layers of
    [heads, tokens, tokens]; None for a layer that has none, and empty unless asked for.
    """

    ids: tuple[int, ...]
    hidden: tuple[torch.Tensor, ...]
    attention: tuple[torch.Tensor | None, ...] = ()


def read(
    subject: Subject, ids: Sequence[int], *, attention: bool = False,
    logits: Callable[[int, torch.Tensor], None] | None = None,
    around: Callable[[], AbstractContextManager[None]] | None = None,
) -> Generator[None, None, Pass]:
    """Read ``ids``, a piece of work at a time.

    ``logits`` is told of the logits [tokens, vocabulary] from each position on, chunk by chunk; it
    must keep little of them. ``around`` is entered for each forward, and never around a ``yield``:
    for hooks. Raises InvalidInput for a text that is too long for a look.
    """
    lm, lane = subject.model.lm, subject.model.card.lane
    _check(subject, ids, attention)
    chunked = lane in (BATCH, ALONE)
    cache = new_cache(lm) if chunked else None
    hidden: list[list[torch.Tensor]] = []
    rows: list[list[torch.Tensor | None]] = []
    start = 0
    while start < len(ids):
        size = min(BESIDE if subject.beside else CHUNK, len(ids) - start) if chunked else len(ids)
        some = torch.tensor([ids[start : start + size]], device=lm.device)
        given = inputs(lm, some, cache, start, 1 if logits is None else size)
        with eager(lm) if attention else _as_it_is(), (around or _as_it_is)():
            out = lm(**given, output_hidden_states=True, output_attentions=attention)
        hidden.append([layer[0] for layer in out.hidden_states])
        if attention:
            told = getattr(out, "attentions", None) or ()
            rows.append([_padded(layer, start + size, len(ids)) for layer in told])
        if logits is not None:
            logits(start, out.logits[0])
        del out
        start += size
        yield
    return Pass(
        tuple(ids), tuple(torch.cat(parts) for parts in zip(*hidden, strict=True)),
        tuple(_joined(parts) for parts in zip(*rows, strict=True)),
    )


def hidden_of(
    subject: Subject, ids: Sequence[int]
) -> Generator[None, None, tuple[torch.Tensor, ...]]:
    """The ``hidden`` states of a ``Pass``; read anew only where the last look had another text."""
    known = subject.kept.get("hidden")
    if known is not None and known.ids == tuple(ids):
        yield
        return tuple(known.hidden)
    made = yield from read(subject, ids)
    if sum(layer.nbytes for layer in made.hidden) <= MOST_KEPT:
        subject.kept["hidden"] = made
    return made.hidden


def inputs(lm: Any, ids: torch.Tensor, cache: Any, past: int, last: int) -> dict[str, Any]:
    """What the forward is given to read ``ids`` [1, tokens] behind ``past`` tokens in the cache,
    or a whole text without one; logits are wanted after the ``last`` tokens, where it can choose.
    """
    if cache is not None:
        return inputs_of(lm, ids, cache, [past + ids.shape[1]], last)
    given = {"attention_mask": torch.ones_like(ids), "use_cache": False, "logits_to_keep": last}
    return {"input_ids": ids, **{name: v for name, v in given.items() if takes(lm, name)}}


def _check(subject: Subject, ids: Sequence[int], attention: bool) -> None:
    """A pass is bounded: by the context, and by the bytes that it would leave."""
    config = subject.model.lm.config.get_text_config(decoder=True)
    width = getattr(config, "hidden_size", 1024) or 1024
    layers = getattr(config, "num_hidden_layers", 24) or 24
    heads = getattr(config, "num_attention_heads", 16) or 16
    each = subject.model.lm.dtype.itemsize
    tokens = len(ids)
    held = layers * each * (tokens * width + (heads * tokens * tokens if attention else 0))
    if tokens > subject.model.card.context or held > MOST_BYTES:
        most = tokens
        while most > 1 and (most > subject.model.card.context or layers * each * (
            most * width + (heads * most * most if attention else 0)
        ) > MOST_BYTES):
            most -= max(1, most // 16)
        raise InvalidInput(
            f"The text has {tokens} tokens; this look takes {most} of this model.",
            field="text", given=f"{tokens} tokens", allowed=f"at most {most} tokens",
            advice="Look at a shorter text.",
        )


@contextmanager
def eager(lm: Any) -> Iterator[None]:
    """Attention that tells its weights, for one forward: everybody else's rows keep their kernel,
    whose last bits differ. Never around a ``yield`` of a look.

    What the library's own ``set_attn_implementation`` sets are the configs as well, of those models
    that it does it for; the others, such as Falcon, build their masks by it.
    """
    configs = {id(part.config): part.config for part in lm.modules() if hasattr(part, "config")}
    before = [(config, config._attn_implementation) for config in configs.values()
              if hasattr(config, "_attn_implementation")]
    try:
        for config, _ in before:
            config._attn_implementation = "eager"
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _padded(layer: torch.Tensor | None, read: int, tokens: int) -> torch.Tensor | None:
    """A chunk's rows [heads, chunk, keys] of a text of which so many tokens are ``read``, with
    nothing for those that come after it, nor for those that a sliding window has let go."""
    if layer is None:
        return None
    return torch.nn.functional.pad(layer[0], (read - layer.shape[-1], tokens - read))


def _joined(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    some = [part for part in parts if part is not None]
    return torch.cat(some, dim=1) if len(some) == len(parts) else None
