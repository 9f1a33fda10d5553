"""Figures of tensors as they are read on a page; it knows no model."""

from __future__ import annotations

import torch


def rounded(some: torch.Tensor) -> tuple[float, ...]:
    """To four digits: what is read, and no more."""
    return tuple(float(f"{value:.4g}") for value in some.reshape(-1).tolist())
