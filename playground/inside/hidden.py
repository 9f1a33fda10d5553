"""The look at hidden states: norms, first values, turns from layer to layer; it draws nothing."""

from __future__ import annotations

import torch

from playground.core.hidden import HiddenFound, HiddenStates, Peak
from playground.errors import InvalidInput
from playground.inside.ends import ends_of
from playground.inside.figures import rounded
from playground.inside.passes import hidden_of
from playground.inside.subject import Look, Subject
from playground.models.text import encode

MOST_CELLS = 20_000   # layers times tokens that are told
MOST_FIRSTS = 24_000  # first values that are told, of all cells together
FIRSTS = 8


def look_at_hidden(subject: Subject, request: HiddenStates) -> Look:
    """See ``HiddenStates``. Raises InvalidInput for a text that is too long to be told whole."""
    made = encode(subject.model, request.prompt, subject.model.card.context + 1)
    _check(subject, len(made.ids))
    yield
    seen = yield from hidden_of(subject, made.ids)
    ends = ends_of(subject, made.ids)
    yield
    states = [state.float() for state in seen]
    cells = sum(len(state) for state in states)
    firsts = max(1, min(FIRSTS, MOST_FIRSTS // cells))
    return HiddenFound(
        made.pieces, tuple(state.shape[-1] for state in states),
        str(seen[-1].dtype).removeprefix("torch."),
        norms=tuple(rounded(state.norm(dim=-1)) for state in states),
        cosines=tuple(_turn(a, b) for a, b in zip(states, states[1:], strict=False)),
        firsts=tuple(tuple(rounded(row) for row in state[:, :firsts]) for state in states),
        peaks=tuple(_peak(state) for state in states),
        ends=ends, notices=made.notices,
    )


def _check(subject: Subject, tokens: int) -> None:
    config = subject.model.lm.config.get_text_config(decoder=True)
    layers = 1 + (getattr(config, "num_hidden_layers", 24) or 24)
    if tokens * layers > MOST_CELLS:
        most = MOST_CELLS // layers
        raise InvalidInput(
            f"The text has {tokens} tokens; the hidden states of {most} can be shown for a model "
            f"of {layers - 1} layers.",
            field="text", given=f"{tokens} tokens", allowed=f"at most {most} tokens",
            advice="Look at a shorter text.",
        )


def _turn(one: torch.Tensor, other: torch.Tensor) -> tuple[float | None, ...]:
    """Cosines between the states of two layers; None where these are of different widths."""
    if one.shape != other.shape:
        return (None,) * len(one)
    return rounded(torch.nn.functional.cosine_similarity(one, other, dim=-1))


def _peak(state: torch.Tensor) -> Peak:
    sizes = state.abs()
    place = int(sizes.argmax())
    position, dimension = divmod(place, state.shape[-1])
    return Peak(position, dimension, rounded(state[position, dimension])[0],
                rounded(sizes.median())[0])
