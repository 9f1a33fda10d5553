"""How many bytes a model needs in memory and how many there are; it loads nothing.

The estimate is the weights at the dtype they will have, and a fifth more for the KV cache and
working room.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import psutil

from playground.core.run import ModelSpec
from playground.errors import ModelTooBig

ROOM = 1.2
_LONGEST_HEADER = 100_000_000


def needed_bytes(folder: Path, spec: ModelSpec) -> int:
    """Bytes that the model in ``folder`` will take once it is loaded as ``spec`` says."""
    files = (file for file in folder.glob("*.safetensors") if file.is_file())
    weights = sum(_weights_bytes(file, spec) for file in files)
    return int(weights * ROOM)


def _weights_bytes(file: Path, spec: ModelSpec) -> float:
    """Bytes of one safetensors file's tensors in memory; 8 bytes of length, then a JSON header."""
    on_disk = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= min(_LONGEST_HEADER, on_disk):
            return on_disk
        try:
            header = dict(json.loads(opened.read(length)))
            header.pop("__metadata__", None)
            sizes = [(prod(told["shape"]), str(told["dtype"])) for told in header.values()]
        except (ValueError, TypeError, KeyError):  # damaged: the loader says so in its own words
            return on_disk
    return float(sum(count * _bytes_each(dtype, spec) for count, dtype in sizes))


def _bytes_each(stored: str, spec: ModelSpec) -> float:
    """Bytes of one number; ``auto`` is counted as float32, the largest that it can become."""
    if not stored.startswith(("F", "BF")):
        return 8 if stored.endswith("64") else 4
    if spec.quantization != "none":
        return {"nf4": 0.6, "int8": 1.1}[spec.quantization]  # with scales and the unquantized rest
    return 2 if spec.dtype in ("bfloat16", "float16") else 4


def available_bytes() -> int:
    """Bytes that could be taken now without swapping; a container's own limit is honoured."""
    free: int = psutil.virtual_memory().available
    for limit, used in _CGROUPS:
        try:
            allowed, taken = limit.read_text().strip(), int(used.read_text())
        except (OSError, ValueError):
            continue
        if allowed.isdigit():
            free = min(free, max(0, int(allowed) - taken + _file_cache(used.parent)))
    return free


_CGROUP = Path("/sys/fs/cgroup")
_CGROUPS = (
    (_CGROUP / "memory.max", _CGROUP / "memory.current"),
    (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.usage_in_bytes"),
)


def _file_cache(group: Path) -> int:
    """Bytes of the group that are only cached files, which the kernel gives back when asked."""
    try:
        rows = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(rows.get("inactive_file", 0))
    except (OSError, ValueError):
        return 0


def size(count: float) -> str:
    """Bytes in words, as a person says them."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_each:
            shown = count / bytes_each
            return f"{shown:.1f} {unit}" if shown < 10 else f"{shown:.0f} {unit}"
    return f"{count:.0f} bytes"


def too_big(spec: ModelSpec, need: float, capacity: float) -> ModelTooBig:
    """The refusal of a model that could not fit even alone, with its arithmetic."""
    return ModelTooBig(
        f"{spec.label} needs about {size(need)} (its weights and a fifth more); "
        f"models may take {size(capacity)} here.",
        field="model", given=size(need), allowed=f"up to {size(capacity)}",
        advice="Choose a smaller model or a smaller dtype.",
    )
