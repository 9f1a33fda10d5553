"""What a model's end makes of any layer's state: its final norm, then its head; both are found by
what they do and not by a name. It knows no text and no view.

A short trial records what every module was given and gave. The layer's own output, taken through
the modules that stand between the last layer and the head, must give the logits of the model.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from playground.models.head import TRIAL_FAULTS, Head, cap_of, fitted, trial_ids
from playground.models.lanes import takes

_MOST_BETWEEN = 6  # modules between the last layer and the head


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """``between`` are the modules from the last layer's output to the head's input, in order.

    ``finished``: how many of them the last of the hidden states that the model gives out is behind
    already (with most models their final norm), so that they must not be applied to it again.
    ``rows`` are the layers, 0 for the embeddings, each with the place of its hidden state.
    """

    head: Callable[[torch.Tensor], torch.Tensor]
    between: tuple[Any, ...]
    finished: int
    rows: tuple[tuple[int, int], ...]

    def __call__(self, states: torch.Tensor, layer: int) -> torch.Tensor:
        """Logits [tokens, vocabulary], fp32, of a layer's hidden states [tokens, width]."""
        states = states[None]
        for module in self.between[self.finished if layer == self.rows[-1][0] else 0:]:
            states = module(states)
        return self.head(states[0])

    @property
    def said(self) -> str:
        """The modules between, by their class."""
        return ", ".join(type(module).__name__ for module in self.between)


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    name: str
    module: Any
    given: torch.Tensor
    gave: torch.Tensor


_FOUND: weakref.WeakKeyDictionary[Any, Readout | str] = weakref.WeakKeyDictionary()


def readout_of(lm: Any) -> Readout | str:
    """The model's end, proved by a trial; or why there is none to be used, in words."""
    if lm not in _FOUND:
        _FOUND[lm] = _found(lm)
    return _FOUND[lm]


@torch.inference_mode()
def _found(lm: Any) -> Readout | str:
    if lm.get_output_embeddings() is None:
        return "It has no head that makes logits of a hidden state: it gives vectors, not words."
    ids = trial_ids(lm)
    more = {"use_cache": False} if takes(lm, "use_cache") else {}
    try:
        with _recorded(lm) as calls:
            out = lm(input_ids=ids, output_hidden_states=True, **more)
        states, logits = out.hidden_states, out.logits
        if len(states or ()) < 2 or len({state.shape for state in states[:-1]}) > 1:
            return "It does not give a hidden state for each of its layers."
        found = _proved(lm, calls, states, logits)
        return found or "Its way from the last layer to the logits is of its own kind."
    except TRIAL_FAULTS:
        return "It gives no hidden states that its output head can read."


def _proved(
    lm: Any, calls: list[_Call], states: tuple[torch.Tensor, ...], logits: torch.Tensor
) -> Readout | None:
    """The way from the last layer's output to what the head was given (or to the last state, where
    the model scales that by itself), or else through modules to the logits: one that gives these
    logits, and on which the last state lies."""
    linear, last = lm.get_output_embeddings(), states[-1]
    bare = Head(len(states) - 1, linear, cap=cap_of(lm.config.get_text_config(decoder=True)))
    given = [call.given for call in calls if call.module is linear]
    raw, rows = _last_layer(calls, states)
    for target in (*given[-1:], last, logits):
        between = None if raw is None else _between(calls, raw, target)
        if raw is None or between is None:
            continue
        on_the_way = [raw]
        for module in between:
            on_the_way.append(module(on_the_way[-1]))
        end = on_the_way[-1]
        head: Any = _as_logits if target is logits else fitted(bare, end[0], logits[0].float())
        finished = next((n for n, state in enumerate(on_the_way) if _same(state, last)), None)
        if head is None or finished is None or not torch.allclose(
            head(end[0]), logits[0].float(), rtol=0.0, atol=0.15 * float(logits.float().std())
        ):
            continue
        return Readout(head, between, finished, rows)
    return None


def _as_logits(states: torch.Tensor) -> torch.Tensor:
    return states.float()


def _last_layer(
    calls: list[_Call], states: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor | None, tuple[tuple[int, int], ...]]:
    """What the last layer gave, and which states are which layers'.

    Most models give out what each layer is given, and then the end. Mamba's kin give out what each
    layer gave, and then the last one's once more behind the norm: there the same kind of module
    made the first state as made the others.
    """
    count = len(states)
    makers = [_outermost(calls, _gives(state)) for state in states]
    first, before = makers[0], makers[-2]
    if count > 2 and first and before and type(first.module) is type(before.module):
        return states[-2], (*((n + 1, n) for n in range(count - 2)), (count - 1, count - 1))
    layer = _outermost(calls, lambda call: _same(call.given, states[-2]))
    return (layer.gave if layer else None), tuple((n, n) for n in range(count))


def _outermost(calls: list[_Call], which: Callable[[_Call], bool]) -> _Call | None:
    """Of the calls that change what they are given, and are of this kind, the outermost one."""
    some = [call for call in calls if which(call) and not _same(call.given, call.gave)]
    return min(some, key=lambda call: call.name.count("."), default=None)


def _gives(state: torch.Tensor) -> Callable[[_Call], bool]:
    """Whether a call gives this state."""
    return lambda call: _same(call.gave, state)


def _between(
    calls: list[_Call], start: torch.Tensor, end: torch.Tensor
) -> tuple[Any, ...] | None:
    """The modules that lead from ``start`` to ``end``, each the outermost one that does."""
    way: list[Any] = []
    while not _same(start, end):
        maker = _outermost(calls, _gives(end))
        if maker is None or len(way) == _MOST_BETWEEN:
            return None
        way.insert(0, maker.module)
        end = maker.given
    return tuple(way)


@contextmanager
def _recorded(lm: Any) -> Iterator[list[_Call]]:
    """What each module is given first and gives first, in the order in which they end."""
    calls: list[_Call] = []

    def note(name: str) -> Any:
        def hook(module: Any, args: Any, kwargs: Any, gave: Any) -> None:
            given = args[0] if args else kwargs.get("hidden_states")
            gave = gave[0] if isinstance(gave, tuple | list) and gave else gave
            if isinstance(given, torch.Tensor) and isinstance(gave, torch.Tensor):
                calls.append(_Call(name, module, given, gave))

        return hook

    hooks = [
        module.register_forward_hook(note(name), with_kwargs=True)
        for name, module in lm.named_modules() if name
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one is other:
        return True
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
