"""Where a model is held and in which numbers: device, dtype, 4 and 8 bits; it loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import BitsAndBytesConfig

from playground.core.messages import DeviceMemory
from playground.core.run import ModelSpec
from playground.errors import InvalidInput

USABLE = 0.92  # of what is free on a GPU; the rest goes to kernels, libraries and fragments
_CPU = torch.device("cpu")
_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, ARM


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the weights go: all on ``device``, or ``spread`` over several GPUs.

    ``spread`` are the most bytes that each may take; ``device`` is then where inputs go.
    """

    device: torch.device
    spread: Mapping[int, int] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What ``from_pretrained`` is told; accelerate does the spreading."""
        if self.spread:
            return {"device_map": "auto", "max_memory": dict(self.spread)}
        return {"device_map": {"": self.device}}


def placement_of(name: str, need: float) -> Placement:
    """The device of this name with room for ``need`` bytes. Raises InvalidInput.

    "auto" takes CUDA, then MPS, then the CPU; of several GPUs the emptiest, and all of them for a
    model that fits on none.
    """
    device = device_of(name)
    if device.type != "cuda":
        return Placement(device)
    free = {i: torch.cuda.mem_get_info(i)[0] for i in _gpus(device)}
    return on_gpus(free, need)


def on_gpus(free: Mapping[int, int], need: float) -> Placement:
    """The emptiest GPU where one is enough, because every border costs time; else the fewest."""
    room = {gpu: int(bytes * USABLE) for gpu, bytes in free.items()}
    emptiest, *others = sorted(room, key=lambda gpu: -room[gpu])
    device = torch.device("cuda", emptiest)
    if need <= room[emptiest] or need > sum(room.values()):
        return Placement(device)
    spread = {emptiest: room[emptiest]}
    for gpu in others:
        # A model is cut at whole layers, so what just fits in all may not fit in each.
        if sum(spread.values()) < 1.1 * need:
            spread[gpu] = room[gpu]
    return Placement(device, spread)


def memory_of(device: torch.device) -> DeviceMemory:
    """The memory of a device, of all its GPUs together where no single one is meant."""
    if device.type != "cuda":
        return DeviceMemory(str(device))
    gpus = _gpus(device)
    pairs = [torch.cuda.mem_get_info(gpu) for gpu in gpus]
    return DeviceMemory(
        str(device),
        total=sum(total for _, total in pairs),
        free=sum(free for free, _ in pairs),
        held=sum(torch.cuda.memory_reserved(gpu) for gpu in gpus),
    )


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" takes CUDA, then MPS, then the CPU. Raises InvalidInput."""
    if name != "auto":
        try:
            return torch.device(name)
        except RuntimeError:
            raise InvalidInput(
                f"There is no device {name!r}.",
                field="device",
                given=name,
                allowed="auto, cpu, cuda, cuda:0, mps",
            ) from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else _CPU


def _gpus(device: torch.device) -> range:
    """The GPUs that a name means: "cuda" all, "cuda:1" one."""
    if device.index is None:
        return range(torch.cuda.device_count())
    return range(device.index, device.index + 1)


def exact(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers in fp64; on the host where their device (MPS) has none of these."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def dtype_of(spec: ModelSpec, device: torch.device, stored: str = "") -> torch.dtype:
    """What was asked for; by itself 16 bits on a GPU and fp32 on a CPU, the fastest there.

    A CPU with bf16 units keeps weights in bf16 that are ``stored`` so ("BF16"): half the bytes, and
    nothing is rounded.
    """
    if spec.dtype != "auto":
        chosen: torch.dtype = getattr(torch, spec.dtype)
        return chosen
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if stored == "BF16" and has_fast_bfloat16() else torch.float32


def has_fast_bfloat16() -> bool:
    """Whether this CPU has units for bf16; without, torch computes it many times slower."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(_BFLOAT16_UNITS & set(flags.split()))


def stored_dtype(folder: Path) -> str:
    """The dtype of the largest weight in the files, as safetensors writes it; "" for damaged."""
    largest, found = 0, ""
    for file in sorted(folder.glob("*.safetensors"))[:1]:
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (no dict)
                    one = opened.get_slice(name)
                    shape = one.get_shape()
                    size = int(torch.Size(shape).numel())
                    if size > largest:
                        largest, found = size, str(one.get_dtype())
        except (SafetensorError, OSError):
            return ""
    return found


def quantization_of(spec: ModelSpec, dtype: torch.dtype) -> BitsAndBytesConfig:
    """How bitsandbytes is asked: int8 (LLM.int8) or nf4 with double quantization (QLoRA).

    ``dtype`` is what nf4 weights are computed in.
    """
    if spec.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def slower(spec: ModelSpec, device: torch.device) -> str:
    """What the reader should know of quantized weights on this device, or nothing."""
    if spec.quantization == "none" or device.type != "cpu":
        return ""
    # Measured on a 0.5B model with two cores and no bf16 units.
    times = {"nf4": "2.8", "int8": "2.3"}[spec.quantization]
    return (
        f"{spec.quantization} saves memory here and no time: on a CPU it decoded about {times} "
        "times slower than float32."
    )
