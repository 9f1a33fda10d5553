"""From a hidden state to logits, as a model itself does it; it knows no prompt and no run."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import Any

import torch

from playground.models.lanes import takes

# What a model can raise where it has no such states, or a head of another shape.
TRIAL_FAULTS = (
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError,
    AssertionError,
)
# The names that Gemma, RecurrentGemma and xLSTM gave it.
_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
_TRIAL = 5  # tokens


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The output head of a model of ``layers`` layers.

    Many models do more than multiply by the head's matrix: Granite divides what it gives, Cohere
    multiplies it (``factor``), Gemma bounds it (``cap``).
    """

    layers: int
    linear: Any
    factor: float = 1.0
    cap: float | None = None

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [..., vocabulary] of hidden states [..., width], fp32."""
        weights = self.linear.weight.dtype
        # Weights in 8 bits are integers; their layer converts by itself.
        hidden = hidden.to(weights) if weights.is_floating_point else hidden
        logits: torch.Tensor = self.linear(hidden).float()
        logits = logits if self.factor == 1.0 else self.factor * logits
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


_HEADS: weakref.WeakKeyDictionary[Any, Head] = weakref.WeakKeyDictionary()


def head_of(lm: Any) -> Head | str:
    """The model's head, proved by a short trial; or why it cannot be used, in words.

    The trial: the head makes of the last hidden state the logits that the model gave.
    """
    found = _HEADS.get(lm) or _found(lm)
    if isinstance(found, Head):
        _HEADS[lm] = found
    return found


@torch.inference_mode()
def _found(lm: Any) -> Head | str:
    config = lm.config.get_text_config(decoder=True)
    more = {"use_cache": False} if takes(lm, "use_cache") else {}
    try:
        out = lm(input_ids=trial_ids(lm), output_hidden_states=True, **more)
        states, logits = out.hidden_states, out.logits[0].float()
        layers = int(config.num_hidden_layers)
        if len(states) != layers + 1 or len({state.shape for state in states}) > 1:
            return "the model does not give a hidden state for each of its layers"
        head = Head(layers, lm.get_output_embeddings(), cap=cap_of(config))
        found = fitted(head, states[-1][0], logits)
        return found or "the output head of the model is of its own kind"
    except TRIAL_FAULTS:
        return "the model gives no hidden states that its output head can read"


def trial_ids(lm: Any) -> torch.Tensor:
    """A few tokens [1, tokens] from all over the vocabulary, on the model's device."""
    rows = lm.get_input_embeddings().weight.shape[0]
    ids = torch.tensor([[(3 + i * (rows // _TRIAL)) % rows for i in range(_TRIAL)]])
    return ids.to(lm.device)


def cap_of(config: Any) -> float | None:
    """The bound that a model puts on its logits, by the names that its config may have for it."""
    caps = (getattr(config, name, None) for name in _CAPS)
    return next((float(cap) for cap in caps if cap), None)


def fitted(head: Head, hidden: torch.Tensor, logits: torch.Tensor) -> Head | None:
    """The head with the factor that the model multiplies by; None where no factor explains it."""
    # As in the trial of the lanes: 16-bit numbers round more.
    allowed = (1e-3 if hidden.dtype == torch.float32 else 0.15) * float(logits.std()) + 1e-6
    bare = Head(head.layers, head.linear)(hidden)
    wanted = logits if head.cap is None else torch.atanh(logits / head.cap) * head.cap
    for factor in (1.0, float((wanted * bare).sum() / bare.square().sum())):
        found = replace(head, factor=factor)
        if bool(((found(hidden) - logits).abs() <= allowed).all()):
            return found
    return None
