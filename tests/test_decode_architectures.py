"""Ids equal ``generate()`` on the architectures that people load, in the lane each one gets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import ModelSpec, Run
from playground.models.loading import assemble
from tests.reference import decode, generate
from tests.tiny_models import byte_level_tokenizer

SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 160,
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
FEW_HEADS = {"num_key_value_heads": 4}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 8},
    "gemma": {},
    "gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"sliding_window": 8, "query_pre_attn_scalar": 8},
    "phi": FEW_HEADS,
    "phi3": {},
    "olmo2": {},
    "stablelm": {},
    "starcoder2": {},
    "granite": {},
    "smollm3": {},
    "cohere": {},
    "gpt_neox": {},
    "gptj": {"rotary_dim": 4},
    "codegen": {"rotary_dim": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "window_size": 8},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {},
    "mpt": {"d_model": 32, "n_heads": 4},
    "falcon": {"head_dim": ...},
    "gpt_bigcode": {},
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "rwkv": {"attention_hidden_size": 32},
    "mamba": {"state_size": 4},
    "mamba2": {"state_size": 4, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 8},
}
# State-space and recurrent models have no keys and values.
OWN_CACHES = ("rwkv", "mamba", "mamba2", "recurrent_gemma")
PROMPTS = (tuple(range(20, 50)), (7, 8, 9), tuple(range(100, 113)))
SETTINGS = (
    Decoding(max_new_tokens=8),
    Decoding(do_sample=True, temperature=1.3, max_new_tokens=12),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ids_equal_generate_in_the_lane_of(kind: str) -> None:
    torch.manual_seed(0)
    sizes = {k: v for k, v in (SIZES | KINDS[kind]).items() if v is not ...}
    config = AutoConfig.for_model(kind, **sizes)
    lm = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model = assemble(ModelSpec(f"tiny/{kind}"), lm, byte_level_tokenizer())
    assert model.card.lane == ("recompute" if kind in OWN_CACHES else "batch")
    runs = [
        Run(model.spec, Ids(ids), settings, seed)
        for seed, ids in enumerate(PROMPTS)
        for settings in SETTINGS
    ]
    for trace in decode(model, runs, joins=[0, 0, 1, 2, 2, 5]):
        assert trace.problem is None, trace.problem
        assert trace.ids == generate(model, trace)[0]
