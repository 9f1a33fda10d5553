"""Finds the parts of a model by what they are: layers, final norm, head; it knows no text."""

from __future__ import annotations

from typing import Any

from torch import nn


def layers_of(lm: Any) -> tuple[str, Any] | None:
    """The name and the ModuleList of the layers that a text goes through, one after another.

    The longest list of modules that has as many as the config says, or the longest of all. None
    for a model that has no such list.
    """
    config = lm.config.get_text_config(decoder=True)
    told = getattr(config, "num_hidden_layers", None)
    found = [(name, one) for name, one in lm.named_modules()
             if isinstance(one, nn.ModuleList) and len(one)]
    # Lists inside of a layer (experts) have its name before theirs: the outermost comes first.
    fitting = [one for one in found if len(one[1]) == told] or sorted(
        found, key=lambda one: -len(one[1])
    )
    return fitting[0] if fitting else None


def is_norm(module: Any) -> bool:
    """Whether a module normalizes, by the name of its class: LayerNorm, Qwen2RMSNorm ..."""
    return "norm" in type(module).__name__.lower() and not list(module.children())


def head_of(lm: Any) -> Any:
    """The output embeddings; None for a model that has no place for them."""
    try:
        return lm.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None
