"""Measures what the first and the last of a model's hidden states are, in one short pass.

Models and libraries differ in it: most put the state after the final norm last, some the one
before it, and some begin behind the first layer. So nothing is assumed of an architecture: its
parts are listened to while it reads, and what they gave is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from playground.core.hidden import Ends
from playground.inside.figures import rounded
from playground.inside.passes import inputs
from playground.inside.stack import head_of, is_norm, layers_of
from playground.inside.subject import Subject

MOST_TOKENS = 32


@dataclass
class _Heard:
    """What the parts read and gave in one forward; ``norms`` are those behind the last layer."""

    first_in: torch.Tensor | None = None
    first_out: torch.Tensor | None = None
    last_out: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    head: torch.Tensor | None = None
    norms: list[tuple[str, Any, torch.Tensor]] = field(default_factory=list)


def ends_of(subject: Subject, ids: Sequence[int]) -> Ends:
    """The ends of the hidden states of these tokens, of which ``MOST_TOKENS`` are read."""
    lm = subject.model.lm
    some = torch.tensor([ids[:MOST_TOKENS]], device=lm.device)
    with _listening(lm) as heard:
        out = lm(**inputs(lm, some, None, 0, some.shape[1]), output_hidden_states=True)
    first, last = out.hidden_states[0][0].float(), out.hidden_states[-1][0].float()
    told = getattr(out, "last_hidden_state", heard.last_hidden_state)
    name, norm, normed = heard.norms[-1] if heard.norms else ("", None, None)
    return Ends(
        some.shape[1],
        embedding=_apart(first, lm.get_input_embeddings().weight[some[0]]),
        first_in=_apart(first, heard.first_in), first_out=_apart(first, heard.first_out),
        last_hidden_state=_apart(last, told), last_out=_apart(last, heard.last_out),
        normed=_apart(last, normed), head=_apart(last, heard.head), norm=name,
        kind="" if norm is None else type(norm).__name__,
        before=None if heard.last_out is None else _length(heard.last_out), after=_length(last),
    )


@contextmanager
def _listening(lm: Any) -> Iterator[_Heard]:
    """Inside, the parts of the model tell what they read and gave; nothing is changed by it."""
    heard = _Heard()
    path, layers = layers_of(lm) or ("", None)
    body = set(getattr(lm, "base_model", lm).modules())  # an encoder's head has a norm of its own

    def first_reads(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        heard.first_in = _states((*args, *named.values()))

    def first_gave(_: Any, __: Any, out: Any) -> None:
        heard.first_out = _states(out)

    def last_gave(_: Any, __: Any, out: Any) -> None:
        heard.last_out = _states(out)
        heard.norms.clear()

    def whole_gave(_: Any, __: Any, out: Any) -> None:
        heard.last_hidden_state = getattr(out, "last_hidden_state", heard.last_hidden_state)

    def head_reads(_: Any, args: tuple[Any, ...]) -> None:
        heard.head = _states(args)

    with ExitStack() as held:
        def until_then(*handles: Any) -> None:
            for handle in handles:
                held.callback(handle.remove)

        if layers is not None:
            until_then(
                layers[0].register_forward_pre_hook(first_reads, with_kwargs=True),
                layers[0].register_forward_hook(first_gave),
                layers[-1].register_forward_hook(last_gave),
            )
        if (head := head_of(lm)) is not None:
            until_then(head.register_forward_pre_hook(head_reads))
        for name, module in lm.named_modules():
            if layers is not None and name and path.startswith(f"{name}."):
                until_then(module.register_forward_hook(whole_gave))
            elif module in body and is_norm(module) and not (
                path and name.startswith(f"{path}.")
            ):
                until_then(module.register_forward_hook(_norm_gave(heard, name)))
        yield heard


def _norm_gave(heard: _Heard, name: str) -> Any:
    def gave(norm: Any, _: Any, out: Any) -> None:
        if isinstance(out, torch.Tensor):
            heard.norms.append((name, norm, out))

    return gave


def _states(given: Any) -> torch.Tensor | None:
    """The states among what a module read or gave: itself, or the first tensor of several."""
    some = given if isinstance(given, tuple | list) else (given,)
    return next((one for one in some if isinstance(one, torch.Tensor)), None)


def _apart(state: torch.Tensor, other: torch.Tensor | None) -> float | None:
    """The largest difference; None where the other is of another shape."""
    rows = None if other is None else other.reshape(-1, other.shape[-1]).float()
    if rows is None or rows.shape != state.shape:
        return None
    return float((rows.to(state.device) - state).abs().max())


def _length(states: torch.Tensor) -> float:
    """The mean L2 norm of the states."""
    return rounded(states.float().norm(dim=-1).mean())[0]
