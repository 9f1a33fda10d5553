"""Tiny LoRA adapters for the tiny models, written by peft itself; no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from tests.tiny_models import tiny_lm

MODULES = {"llama": ["q_proj", "v_proj", "down_proj"], "qwen2": ["q_proj", "v_proj"],
           "gpt2": ["c_attn"]}


def tuned(kind: str = "llama", seed: int = 1, lm: Any = None, **settings: Any) -> PeftModel:
    """A tiny model with an adapter on it that changes what it writes; peft's own way to run one."""
    told = {"r": 4, "lora_alpha": 16, "target_modules": MODULES[kind],
            "fan_in_fan_out": kind == "gpt2", "task_type": "CAUSAL_LM"}
    lm = tiny_lm(kind, 400) if lm is None else lm
    torch.manual_seed(seed)
    peft = get_peft_model(lm, LoraConfig(**(told | settings)))
    with torch.no_grad():
        for parameter in peft.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return peft.eval()


def save_adapter(folder: Path, kind: str = "llama", seed: int = 1, **settings: Any) -> Path:
    """Write an adapter as a repository has it; gives the folder."""
    tuned(kind, seed, **settings).save_pretrained(folder)
    edit_adapter(folder, base_model_name_or_path="some/model")
    return folder


def edit_adapter(folder: Path, **changes: Any) -> None:
    """Change lines of its adapter_config.json."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
