"""Moves the weights of loaded models from a device to host memory and back; it knows no run.

A parked model comes back at the speed of a copy: its process, tokenizer and modules stay, and its
weights lie in pinned host memory, which a GPU reads without a detour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

Mover = Callable[[torch.Tensor, torch.device], torch.Tensor]


def can_park(lm: Any) -> bool:
    """Whether parking gives memory back: plain weights on a device with memory of its own.

    Quantized ones keep state outside their tensors, which bitsandbytes does not move back.
    """
    kinds = {parameter.device.type for parameter in lm.parameters()}
    return not kinds & {"cpu", "mps", "meta"} and getattr(lm, "hf_quantizer", None) is None


def copied(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on ``device``; on the host in pinned memory, where there is a GPU to pin for."""
    if device.type != "cpu" or not torch.cuda.is_available():
        return tensor.to(device, non_blocking=True)
    host = torch.empty_like(tensor, device=device, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


class Parking:
    """Where the weights of some models were, while they are in host memory."""

    def __init__(self, mover: Mover = copied) -> None:
        self._mover = mover
        self._away: list[tuple[torch.Tensor, torch.device]] = []

    @property
    def parked(self) -> bool:
        """Whether the weights are away from their device."""
        return bool(self._away)

    def park(self, lms: Iterable[Any], host: torch.device = torch.device("cpu")) -> int:
        """Move every weight and buffer of the models to the host; gives their bytes.

        What several models share is moved once. If memory ends, everything is moved back and the
        error raised.
        """
        found = {id(t): t for lm in lms for t in (*lm.parameters(), *lm.buffers())}
        self._away = self._moved([(t, host) for t in found.values() if t.device.type != host.type])
        return sum(tensor.nbytes for tensor, _ in self._away)

    def unpark(self) -> int:
        """Move everything back to where it was; gives the bytes. Raises as ``park`` does."""
        self._moved(self._away)
        moved = sum(tensor.nbytes for tensor, _ in self._away)
        self._away = []
        return moved

    def _moved(
        self, wanted: list[tuple[torch.Tensor, torch.device]]
    ) -> list[tuple[torch.Tensor, torch.device]]:
        """Let each tensor be where it is wanted, all or none; gives where they came from."""
        before: list[tuple[torch.Tensor, torch.Tensor]] = []
        try:
            for tensor, device in wanted:
                before.append((tensor, tensor.data))
                tensor.data = self._mover(tensor.data, device)
            _finish_copies()
        except (RuntimeError, MemoryError):
            for tensor, data in before:
                tensor.data = data
            raise
        return [(tensor, data.device) for tensor, data in before]


def _finish_copies() -> None:
    """Wait for copies that run by themselves; what they copied from must live until then."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def released() -> None:
    """Give memory that torch keeps for later back to the device, where others can have it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
