"""Models of real shapes with random weights, made on the spot; the built-in one as it ships."""

from __future__ import annotations

from dataclasses import replace

import torch
from transformers import AutoModelForCausalLM, GPT2Config, Qwen2Config

from playground.core.run import ModelSpec
from playground.models.loading import Model, assemble, load
from playground.models.place import place

BUILTIN = ModelSpec("builtin/tiny-base")

CONFIGS = {
    "gpt2-124m": lambda: GPT2Config(eos_token_id=None, bos_token_id=None),
    "qwen2.5-0.5b": lambda: Qwen2Config(
        vocab_size=151_936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24,
        num_attention_heads=14, num_key_value_heads=2, max_position_embeddings=32_768,
        tie_word_embeddings=True, eos_token_id=None, bos_token_id=None,
    ),
}
NAMES = ("builtin", *CONFIGS)


def make(name: str, cuda: torch.device | None = None) -> Model:
    """A model in fp32 on the CPU, or in bf16 on a CUDA device; the random ones borrow the built-in
    tokenizer."""
    made = _on_cpu(name)
    if cuda is None:
        return made
    lm = made.lm.to(cuda, torch.bfloat16)
    card = replace(made.card, device=str(lm.device), dtype="bfloat16", width=2,
                   bytes=int(lm.get_memory_footprint()))
    return replace(made, lm=lm, card=card)


def _on_cpu(name: str) -> Model:
    folder = place(BUILTIN, (BUILTIN.repo,), any_model=False)
    builtin = load(BUILTIN, str(folder), "cpu")
    if name == "builtin":
        return builtin
    torch.manual_seed(0)
    lm = AutoModelForCausalLM.from_config(CONFIGS[name](), dtype=torch.float32)
    model = assemble(ModelSpec(f"random/{name}"), lm, builtin.tokenizer)
    # What the tokenizer calls an end is an ordinary token of random weights.
    lm.generation_config.eos_token_id = None
    return model
