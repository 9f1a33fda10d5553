"""Lets the laws of decoding be tried on another device: ``python -m pytest --models-on cuda ...``.

Tests make their models and tensors on it; what is under test goes on making its own where it would
make them in the app, so that a tensor on the wrong device is found and not hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def use(device: str) -> None:
    """From now on, for the whole session."""
    # They import torch, which must come after the environment of conftest.
    from playground.decode.loop import DecodeLoop
    from playground.inside.inspector import Inspector
    from tests import architectures, tiny_models

    torch.set_default_device(device)
    made = torch.Generator
    torch.Generator = lambda device=device: made(device)  # type: ignore[misc, assignment]
    tiny_models.tiny_lm = _moved(tiny_models.tiny_lm, device)
    architectures.tiny = _moved(architectures.tiny, device)
    for owner, names in (
        (DecodeLoop, ("__init__", "join", "step", "replay", "amend")),
        (Inspector, ("join", "step")),
    ):
        for name in names:
            setattr(owner, name, _as_in_the_app(getattr(owner, name)))


def _moved(make: Callable[..., Any], device: str) -> Callable[..., Any]:
    """The same model as on the CPU, weight for weight, on the device."""

    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):
            lm = make(*args, **kwargs)
        return lm.to(device)

    return made


def _as_in_the_app(method: Callable[..., Any]) -> Callable[..., Any]:
    """New tensors are on the CPU unless the code says otherwise."""

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):
            return method(*args, **kwargs)

    return called
