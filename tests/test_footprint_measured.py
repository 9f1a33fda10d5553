"""What is counted before loading, against the bytes that random models of many kinds then take.

Core kinds by default, one for each way of keeping a context; the long list is ``slow``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

from playground.core.run import ModelSpec, Quantization
from playground.models import footprint
from playground.models.context import kept_of
from playground.models.footprint import of_files
from playground.models.lanes import cache_argument
from playground.models.placement import quantization_of
from playground.models.weights import text_config

SIZES: dict[str, Any] = {
    "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
    "max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None,
}
MANY_HEADS = {"num_key_value_heads": ...}  # ... leaves a size out
LATENT = {
    "q_lora_rank": 64, "kv_lora_rank": 48, "qk_rope_head_dim": 16, "qk_nope_head_dim": 32,
    "v_head_dim": 32, "num_key_value_heads": 4, "head_dim": 16,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
DELTA = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
         "linear_value_head_dim": 16}
MAMBA = {"mamba_d_state": 16, "mamba_n_heads": 8, "mamba_d_head": 32, "mamba_n_groups": 1}

CORE: dict[str, dict[str, Any]] = {
    "qwen2": {"tie_word_embeddings": True},
    "gpt2": MANY_HEADS,
    "gemma3_text": {"sliding_window": 8, "num_hidden_layers": 6},
    "mixtral": {"num_local_experts": 4},
    "qwen3_5_text": DELTA,
}
REST: dict[str, dict[str, Any]] = {
    "llama": {}, "qwen3": {}, "mistral": {"sliding_window": 8}, "gemma": {},
    "gemma2": {"sliding_window": 8}, "gemma4_text": {
        "sliding_window": 8, "num_hidden_layers": 6, "global_head_dim": 64,
        "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 1000},
    "phi": {"num_key_value_heads": 4}, "phi3": {"sliding_window": 8}, "olmo2": {},
    "olmo3": {"sliding_window": 8}, "stablelm": {}, "starcoder2": {"sliding_window": 8},
    "granite": {}, "smollm3": {}, "cohere": {}, "cohere2": {"sliding_window": 8},
    "exaone4": {"sliding_window": 8}, "glm": {}, "glm4": {}, "ernie4_5": {}, "seed_oss": {},
    "apertus": {}, "arcee": {}, "hunyuan_v1_dense": {}, "persimmon": MANY_HEADS,
    "gpt_neox": MANY_HEADS, "gptj": MANY_HEADS | {"rotary_dim": 4},
    "codegen": MANY_HEADS | {"rotary_dim": 4}, "gpt_neo": MANY_HEADS | {
        "attention_types": [[["global", "local"], 2]], "num_layers": 4, "window_size": 8},
    "opt": MANY_HEADS | {"ffn_dim": 256, "word_embed_proj_dim": 128}, "bloom": MANY_HEADS,
    "biogpt": MANY_HEADS, "mpt": MANY_HEADS | {"d_model": 128, "n_heads": 4, "n_layers": 4},
    "falcon": MANY_HEADS | {"head_dim": ...}, "gpt_bigcode": MANY_HEADS,
    "gpt_oss": {"sliding_window": 8, "num_local_experts": 2, "num_experts_per_tok": 1},
    "llama4_text": {"attention_chunk_size": 8, "num_local_experts": 2,
                    "intermediate_size_mlp": 256},
    "qwen3_moe": EXPERTS, "qwen3_next": DELTA | EXPERTS | {"shared_expert_intermediate_size": 64},
    "deepseek_v2": LATENT | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
                             "topk_group": 1, "moe_intermediate_size": 64},
    "deepseek_v3": LATENT | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
                             "topk_group": 1, "moe_intermediate_size": 64},
    "deepseek_v32": LATENT | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1,
                              "topk_group": 1, "moe_intermediate_size": 64, "index_topk": 64,
                              "index_n_heads": 4, "index_head_dim": 24},
    "minicpm3": LATENT | {"head_dim": 48},
    "jamba": {"mamba_d_state": 16, "mamba_dt_rank": 8, "num_experts": 2, "attn_layer_period": 2,
              "attn_layer_offset": 1, "use_mamba_kernels": False},
    "bamba": MAMBA | {"attn_layer_indices": [1, 3]}, "falcon_h1": MAMBA | {"mamba_d_ssm": 256},
    "granitemoehybrid": MAMBA | {
        "layer_types": ["mamba", "attention", "mamba", "attention"], "num_local_experts": 2,
        "num_experts_per_tok": 1, "shared_intermediate_size": 64},
    "nemotron_h": {"hybrid_override_pattern": "M*-M", "ssm_state_size": 16, "mamba_num_heads": 8,
                   "mamba_head_dim": 32, "n_groups": 1, "chunk_size": 8},
    "lfm2": {"full_attn_idxs": [1, 3], "block_ff_dim": 256, "block_multiple_of": 8},
}
NO_MODEL_CACHE = ("rwkv", "mamba", "mamba2", "recurrent_gemma")  # they keep their state themselves
KINDS = [pytest.param(kind, id=kind, marks=[] if kind in CORE else pytest.mark.slow)
         for kind in (*CORE, *REST)]
WAYS: tuple[tuple[str, Quantization], ...] = (
    ("float32", "none"), ("bfloat16", "none"), ("float32", "int8"), ("float32", "nf4"),
)


def made(kind: str) -> Any:
    """A random model of this kind."""
    torch.manual_seed(0)
    sizes = SIZES | {**CORE, **REST}[kind]
    config = AutoConfig.for_model(kind, **{k: v for k, v in sizes.items() if v is not ...})
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def held(lm: Any) -> int:
    """Bytes of a loaded model, the scales of its quantized layers included, which
    ``get_memory_footprint`` leaves out: an eighth of 4-bit weights without double quantization."""
    scales = []
    for module in lm.modules():
        weight = getattr(module, "weight", None)
        scales.append(getattr(weight, "SCB", None))
        state = getattr(weight, "quant_state", None)
        while state is not None:
            scales += [state.absmax, state.code, getattr(state, "offset", None)]
            state = getattr(state, "state2", None)
    found = [t for t in scales if isinstance(t, torch.Tensor)]
    return int(lm.get_memory_footprint()) + sum(t.numel() * t.element_size() for t in found)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_what_loading_takes(kind: str, tmp_path: Path) -> None:
    """Within a twentieth, in both dtypes and both quantizations, embeddings and experts left as
    they are."""
    made(kind).save_pretrained(tmp_path)
    for dtype, quantization in WAYS:
        spec = ModelSpec("a/b", dtype=dtype, quantization=quantization)  # type: ignore[arg-type]
        more: dict[str, Any] = {}
        if quantization != "none":
            config = quantization_of(spec, torch.float32)
            more = {"quantization_config": config, "device_map": {"": "cpu"}}
        lm = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=getattr(torch, dtype), **more)
        told, real = of_files(tmp_path, spec).weights, held(lm)
        assert told == pytest.approx(real, rel=0.05), (dtype, quantization)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_is_what_a_forward_leaves_behind(kind: str, tmp_path: Path) -> None:
    """To the byte: read 20 tokens and one more, with sliding windows of 8. Of each config as
    transformers writes it, and as older versions did, which left the kinds of layers out."""
    lm = made(kind)
    cache = DynamicCache(config=lm.config.get_text_config(decoder=True))
    with torch.inference_mode():
        lm(input_ids=torch.arange(20)[None] + 5, **{cache_argument(lm): cache}, use_cache=True)
        lm(input_ids=torch.tensor([[7]]), **{cache_argument(lm): cache}, use_cache=True)
    lm.config.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    real = _numbers(cache)
    assert kept_of(config).numbers(21) == real
    if kind not in ("granitemoehybrid", "nemotron_h"):  # of these the kinds are always written
        older = {k: v for k, v in config.items() if k not in ("layer_types", "layers_block_type")}
        assert kept_of(older).numbers(21) == real
    lm.save_pretrained(tmp_path)
    half = of_files(tmp_path, ModelSpec("a/b", dtype="bfloat16"), context=21)
    assert (half.context, half.cache) == (21, 2 * real)


def _numbers(cache: DynamicCache) -> int:
    """Keys, values and states of a cache, in numbers."""
    found = []
    for layer in cache.layers:
        for name in ("keys", "values", "indexer_keys", "conv_states", "recurrent_states"):
            value = getattr(layer, name, None)
            found += list(value.values() if isinstance(value, dict) else
                          value if isinstance(value, list | tuple) else [value])
    return sum(t.numel() for t in found if isinstance(t, torch.Tensor))


@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_the_working_room_is_enough(kind: str, tmp_path: Path) -> None:
    """A chunk of 200 tokens on its way through the model stays inside what is set aside for it."""
    lm = made(kind)
    lm.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    widest = 0

    def measure(_: Any, __: Any, out: Any) -> None:
        nonlocal widest
        widest += out.numel() * out.element_size() if isinstance(out, torch.Tensor) else 0

    for block in lm.modules():
        if len(list(block.children())) == 0:
            block.register_forward_hook(measure)
    with torch.inference_mode():
        lm(input_ids=torch.arange(200)[None], use_cache=False, logits_to_keep=1)
    layers = text_config(config).get("num_hidden_layers") or config["n_layer"]
    spared = of_files(tmp_path, ModelSpec("a/b")).room - footprint.PROCESS["cpu"]
    assert widest / layers < spared, "what one layer makes, if nothing of it were freed"
