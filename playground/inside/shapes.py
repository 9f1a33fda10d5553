"""The shapes of a text on its way through a model, measured by one real pass; no tree, no view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.structure import Flow, Heads, Shape, Shapes, ShapesFound
from playground.inside.passes import inputs
from playground.inside.structure import tree_of
from playground.inside.subject import Look, Subject
from playground.models.text import encode

MOST_TOKENS = 256
LOGITS_BYTES = 64 * 2**20  # of the one pass, in fp32
_MOST_TENSORS = 6  # of one module's input or output that are told


def look_at_shapes(subject: Subject, request: Shapes) -> Look:
    """One forward of the text's first tokens, in which every module of the tree is listened to."""
    model = subject.model
    encoded = encode(model, request.prompt, model.card.context + 1)  # none is left for an answer
    yield
    room = LOGITS_BYTES // (4 * model.card.vocabulary)
    read = max(1, min(len(encoded.ids), MOST_TOKENS, room))
    ids = torch.tensor([encoded.ids[:read]], device=model.lm.device)
    with _listening(model.lm) as heard:
        model.lm(**inputs(model.lm, ids, None, 0, read))
    config = model.lm.config.get_text_config(decoder=True)
    flows = tuple(
        Flow(path, one.given, one.gave, one.dtype, one.calls,
             heads_of(config, path, one.gave[0] if one.gave else ()))
        for one in heard for path in one.paths
    )
    return ShapesFound(len(encoded.ids), read, flows, encoded.notices)


@dataclass
class _Heard:
    """What was heard of one module, which stands in the tree under these paths."""

    paths: list[str]
    given: tuple[Shape, ...] = ()
    gave: tuple[Shape, ...] = ()
    dtype: str = ""
    calls: int = 0


@contextmanager
def _listening(lm: Any) -> Iterator[list[_Heard]]:
    """The modules in the order in which they are called; never around a ``yield`` of a look."""
    heard: list[_Heard] = []
    known: dict[int, _Heard] = {}
    hooks = []
    for path, _ in tree_of(lm).walk():
        module = lm.get_submodule(path)
        if id(module) in known:
            known[id(module)].paths.append(path)
            continue
        one = known[id(module)] = _Heard([path])
        hooks.append(module.register_forward_pre_hook(_before(one, heard), with_kwargs=True))
        hooks.append(module.register_forward_hook(_after(one)))
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _before(one: _Heard, heard: list[_Heard]) -> Any:
    def hook(_: Any, args: Any, kwargs: Any) -> None:
        one.calls += 1
        if one.calls == 1:
            given = [tensor for value in args for tensor in _tensors(value)]
            named = ("input_ids", "hidden_states", "input", "x")
            given += [kwargs[n] for n in named if isinstance(kwargs.get(n), torch.Tensor)]
            one.given = tuple(tuple(tensor.shape) for tensor in given[:_MOST_TENSORS])
            heard.append(one)

    return hook


def _after(one: _Heard) -> Any:
    def hook(_: Any, __: Any, out: Any) -> None:
        if one.calls == 1 and not one.gave:
            gave = list(_tensors(out))[:_MOST_TENSORS]
            one.gave = tuple(tuple(tensor.shape) for tensor in gave)
            one.dtype = str(gave[0].dtype).removeprefix("torch.") if gave else ""

    return hook


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of what a module was given or gave: itself, those of a tuple, and of the
    library's outputs the states and the logits."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        yield from (one for one in value if isinstance(one, torch.Tensor))
    else:
        for name in ("last_hidden_state", "logits"):
            if isinstance(tensor := getattr(value, name, None), torch.Tensor):
                yield tensor


# What the projections of queries, keys and values are called.
_QUERY = ("q_proj", "query", "q_lin", "wq")
_KEY = ("k_proj", "key", "k_lin", "wk")
_VALUE = ("v_proj", "value", "v_lin", "wv")
_FUSED = ("c_attn", "query_key_value", "qkv_proj", "Wqkv", "qkv")


def heads_of(config: Any, path: str, gave: Shape) -> tuple[Heads, ...]:
    """How what a projection gave, [1, tokens, width], is read as heads; empty where its width does
    not say so, or the config has no heads."""
    heads = _number(config, "num_attention_heads", "n_head")
    width = _number(config, "hidden_size", "n_embd")
    if not heads or not width or len(gave) < 2:
        return ()
    kv = _number(config, "num_key_value_heads", "num_kv_heads") or heads
    size = _number(config, "head_dim") or width // heads
    name, last = path.rpartition(".")[2], gave[-1]
    query = Heads("query", heads, size)
    shared = [Heads(what, kv, size, max(1, heads // kv)) for what in ("key", "value")]
    if name in _QUERY and last == heads * size:
        return (query,)
    if name in _KEY and last == kv * size:
        return (shared[0],)
    if name in _VALUE and last == kv * size:
        return (shared[1],)
    if name in _FUSED and last == (heads + 2 * kv) * size:
        return (query, *shared)
    return ()


def _number(config: Any, *names: str) -> int:
    values = (getattr(config, name, None) for name in names)
    return next((v for v in values if isinstance(v, int) and v > 0), 0)
