"""Where a model is held and in which numbers: device, dtype, 4 and 8 bits; it loads nothing."""

from __future__ import annotations

import torch
from transformers import BitsAndBytesConfig

from playground.core.run import ModelSpec
from playground.errors import InvalidInput


def quantization_of(spec: ModelSpec, device: torch.device) -> BitsAndBytesConfig:
    """How bitsandbytes is asked for 8 bits (LLM.int8) or 4 bits (nf4, computing in the dtype)."""
    if spec.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype_of(spec, device)
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
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype_of(spec: ModelSpec, device: torch.device) -> torch.dtype:
    """What was asked for; by itself fp32 on the CPU (the fastest there), 16 bits elsewhere."""
    if spec.dtype != "auto":
        chosen: torch.dtype = getattr(torch, spec.dtype)
        return chosen
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32
