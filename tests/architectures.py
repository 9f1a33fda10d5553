"""A tiny random model of every causal-LM type that transformers knows, and what is expected of it.

``SIZES`` are the tiny sizes, by the names that configs give them; ``CHANGES`` is what one type
needs beyond. The tables say which lane each type gets, so that a silent downgrade is seen, and
which types are left out, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from playground.models.lanes import ALONE, BATCH, RECOMPUTE, WHOLE

VOCABULARY = 400


def _all(names: str, value: Any) -> dict[str, Any]:
    return dict.fromkeys(names.split(), value)


SIZES: dict[str, Any] = {
    **_all("vocab_size vocab_size_per_layer_input", VOCABULARY),
    **_all("max_position_embeddings n_positions n_ctx max_seq_len context_length", 160),
    **_all("max_target_positions model_max_length", 160),
    **_all("num_hidden_layers n_layer num_layers n_layers decoder_layers encoder_layers", 2),
    **_all("num_decoder_layers num_encoder_layers num_blocks", 2),
    # Widths.
    **_all("hidden_size n_embd d_model emb_dim embedding_size embedding_dim lru_width", 32),
    **_all("word_embed_proj_dim attention_hidden_size input_embedding_size", 32),
    **_all("output_embedding_size", 32),
    **_all("intermediate_size ffn_dim decoder_ffn_dim encoder_ffn_dim ffn_hidden_size n_inner", 48),
    **_all("dim_ff dff d_inner intermediate_size_mlp dense_intermediate_size mlp_dim", 48),
    **_all("feed_forward_size", 48),
    **_all("hidden_size_per_layer_input laurel_rank hc_lowrank", 8),
    # Attention.
    **_all("num_attention_heads n_head num_heads n_heads attention_heads", 4),
    **_all("decoder_attention_heads encoder_attention_heads num_decoder_attention_heads", 4),
    **_all("num_encoder_attention_heads swa_num_attention_heads", 4),
    **_all("linear_num_heads linear_num_key_heads linear_num_value_heads", 4),
    **_all("num_key_value_heads num_kv_heads swa_num_key_value_heads", 2),
    **_all("head_dim d_head swa_head_dim dim_head v_head_dim qk_nope_head_dim", 8),
    **_all("qk_rope_head_dim index_head_dim attention_head_dim attention_head_size", 8),
    **_all("linear_head_dim linear_key_head_dim linear_value_head_dim kv_channels", 8),
    **_all("global_head_dim query_pre_attn_scalar", 8),
    **_all("qk_head_dim q_lora_rank kv_lora_rank o_lora_rank", 16),
    "rotary_dim": 4,
    "index_n_heads": 16,  # with few heads many keys score 0, and chance picks among them
    # Shorter than the longest text, so that every text leaves its window.
    **_all("sliding_window sliding_window_size attention_window_size window_size", 8),
    **_all("attention_chunk_size local_attention index_topk", 8),
    # Experts.
    **_all("num_experts num_local_experts n_routed_experts moe_num_experts", 4),
    **_all("num_experts_per_tok num_experts_per_token moe_topk moe_k", 2),
    **_all("n_group num_expert_group topk_group n_shared_experts num_shared_experts", 1),
    **_all("moe_num_shared_experts first_k_dense_replace num_dense_layers", 1),
    **_all("moe_layer_start_index", 1),
    **_all("moe_intermediate_size shared_expert_intermediate_size expert_ffn_hidden_size", 16),
    **_all("shared_intermediate_size shared_experts_intermediate_size", 16),
    **_all("moe_shared_expert_intermediate_size", 16),
    # State spaces.
    **_all("mamba_d_state state_size ssm_state_size mamba_dt_rank time_step_rank", 4),
    **_all("mamba_n_heads mamba_num_heads mamba_d_head mamba_head_dim mamba_headdim", 8),
    **_all("mamba_n_groups n_groups mamba_ngroups", 1),
    **_all("mamba_chunk_size chunk_size", 8),
    # Weights wild enough that texts differ; tied ones would only repeat the newest token.
    **_all("initializer_range init_std embed_init_std", 0.3),
    "tie_word_embeddings": False,
    "is_decoder": True,
    **_all("bos_token_id eos_token_id pad_token_id", None),
    # What sees and hears in models that do more than read; no text gets there.
    **_all("image_size ext_pw_out_channel depthwise_separable_out_channel", 32),
    **_all("output_channels nemo_conv_channels", 8),
}
_LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_LAYER_KINDS = ("layer_types", "mlp_layer_types", "layers_block_type")

_PADDED = {"pad_token_id": 0}
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0}
_TWO_LAYERS = ["linear_attention", "full_attention"]
_DOTS3 = {
    "num_key_value_heads": 4,
    "layer_types": ["full_attention", "sliding_attention"],
    "per_layer_config": {
        1: {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16}
        | _all("q_lora_rank kv_lora_rank", 16)
        | _all("qk_nope_head_dim qk_rope_head_dim v_head_dim", 8)
    },
}
_QWEN4 = {
    "eos_token_id": VOCABULARY - 1,
    "ple_layer_ids": [1],
    "ngram_vocab_size_base": 50,
    "heads_per_ngram": 2,
    "indexer_n_heads": 16,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 8,
    "indexer_budget": 8,
    "indexer_compress_ratio": 2,
    **_all("make_ngram_vocab_size_divisible_by split_ngram_parts", 1),
}
_ZAMBA = {
    "attention_hidden_size": 64,
    "attention_head_dim": 16,
    "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
}
CHANGES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "blt": {
        "encoder_hash_byte_group_vocab": 64,
        "num_hidden_layers": 2,
        "decoder_config": {"hidden_size_global": 32},
    },
    "dory": {  # its layers are those of three parts, and it says itself how many
        "n_input_layers": 1, "n_recurrent_layers": 1, "n_output_layers": 1,
        "num_hidden_layers": 3,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {"sliding_attention": _ROPE, "full_attention": _ROPE},
    },
    "inkling2_loop_text": {"unpadded_vocab_size": VOCABULARY},
    "inkling2_text": {"unpadded_vocab_size": VOCABULARY},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"sliding_attention": _ROPE, "full_attention": _ROPE},
    },
    "cwm": {"bos_token_id": 1},
    "dbrx": {
        "attn_config": {"rope_theta": 10_000.0, "kv_n_heads": 2, "clip_qkv": 8},
        "ffn_config": {"moe_top_k": 2},
    },
    "dots3_note": {
        "text_config": _DOTS3,
        "vision_config": _all("adapter_in_dim adapter_out_dim", 32)
        | {"mlp_layer_types": ["dense", "dense"]},
        "audio_config": _all("adapter_out_dim adapter_input_size", 32),
    },
    "dots3_note_text": _DOTS3,
    "emu3": {"text_config": {"pad_token_id": 0, "bos_token_id": 1}},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "intermediate_size": 48,
        "activation_sparsity_pattern": ...,
    },
    "gemma4": {"text_config": _PADDED},
    "gemma4_unified": {"text_config": _PADDED},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": _TWO_LAYERS},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "mllama": {"text_config": {"bos_token_id": 1}},
    "modernbert-decoder": {"pad_token_id": 0, "bos_token_id": 1},
    "prophetnet": _PADDED,
    "qwen4_exp": {"text_config": _QWEN4},
    "qwen4_exp_text": _QWEN4,
    "recurrent_gemma": {"num_hidden_layers": 3},
    "roc_bert": _all("pronunciation_vocab_size shape_vocab_size", 16)
    | _all("pronunciation_embed_dim shape_embed_dim", 8),
    "xlm": _PADDED,
    "xlnet": {"use_mems_eval": False},  # its memory is an approximation
    "xlstm": {"hidden_size": 128, "embedding_dim": 128},  # its kernels want multiples of 64
    "xmod": {"default_language": "en_XX", "pad_token_id": 1},
    "zamba": _ZAMBA,
    "zamba2": _ZAMBA | {"initializer_range": 0.15},  # wilder, and its states magnify rounding
    "zaya": {"num_experts_per_tok": 1},
}

_LONGER: dict[str, Any] = {
    "original_max_position_embeddings": 16,
    "rope_parameters": {
        **_ROPE,
        "rope_type": "longrope",
        "short_factor": [1.0] * 4,
        "long_factor": [1.0, 2.0, 4.0, 8.0],
        "short_mscale": 1.0,  # of phimoe alone
        "long_mscale": 1.2,
        "original_max_position_embeddings": 16,
    },
}

# Other shapes of a type that real checkpoints have: name, type, what differs.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "falcon, alibi": ("falcon", {"alibi": True}),
    "falcon, grouped heads": ("falcon", {"new_decoder_architecture": True}),
    "gpt_bigcode, all heads": ("gpt_bigcode", {"multi_query": False}),
    "gpt_neox, sequential": ("gpt_neox", {"use_parallel_residual": False}),
    "llama, yarn": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10_000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 40,
            }
        },
    ),
    "opt, post-norm": ("opt", {"do_layer_norm_before": False, "word_embed_proj_dim": 16}),
    "llama, longer by its longest text": (
        "llama",
        {"rope_parameters": {**_ROPE, "rope_type": "dynamic", "factor": 2.0}},
    ),
    "phi3, longer by its longest text": ("phi3", _LONGER),
    "phimoe, longer by its longest text": ("phimoe", _LONGER),
    "qwen2, sliding": ("qwen2", {"use_sliding_window": True, "max_window_layers": 1}),
}

CORE = (
    *("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "phi", "phi3", "gemma", "gemma2"),
    *("gemma3_text", "gpt2", "gpt_neox", "gptj", "opt", "bloom", "falcon", "olmo2", "stablelm"),
    *("granite", "smollm3", "mixtral", "mpt", "starcoder2", "cohere", "glm", "deepseek_v3"),
    *("mamba", "mamba2", "qwen3_5_text", "lfm2", "bart", "openai-gpt"),
)

LEFT_OUT = {
    "gemma3n": "its eye is a model of timm, which is not installed; gemma3n_text is swept",
    "gemma4_assistant": "a draft head: it reads the KV cache of the model that it drafts for",
    "gemma4_unified_assistant": "a draft head: it reads the KV cache of the model it drafts for",
    "musicgen": "writes several rows of audio codes at once; AutoModelForCausalLM refuses it",
    "musicgen_melody": "writes several rows of audio codes; AutoModelForCausalLM refuses it",
    "reformer": "its forward cannot pad a text to whole chunks where it is told the positions",
}

_LANES: dict[str, str] = {
    # They count positions by the columns of the cache, where a padded row begins later.
    ALONE: """
        bart bigbird_pegasus blenderbot blenderbot-small git marian mbart moss_transcribe_diarize
        mvp pegasus plbart roformer trocr whisper
    """
    # Cache layers of their own kind, which are not put beside each other.
    + """
        deepseek_v4 qwen4_exp qwen4_exp_text
    """,
    # They forget what they knew when they read several tokens at once.
    WHOLE: """
        falcon_mamba jamba mamba moshi prophetnet zamba
    """,
    # No cache at all, or one that is not a DynamicCache, or one that lies in the model.
    RECOMPUTE: """
        minimax openai-gpt recurrent_gemma rwkv xlm xlnet xlstm
    """
    # One whose numbers differ from those of the whole text.
    + """
        blt cpmant
    """,
}
LANES = {kind: lane for lane, kinds in _LANES.items() for kind in kinds.split()}

# Types whose generate() is told not to use its cache, and why: with it, it gives other numbers than
# for the whole text, or does not search.
UNCACHED = {
    "blt": "from the second token on, its logits with the cache are not those of the text",
    "cpmant": "it reads in both directions: what is in its cache has not seen what came later",
    "minimax": "beam search reorders its keys and values, and not its linear states",
    **_all("rwkv xlstm", "beam search raises: their states cannot be reordered"),
}


def lane_of(kind: str) -> str:
    """The lane that a type, or a variant, is expected in."""
    return WHOLE if "longest text" in kind else LANES.get(kind, BATCH)


def tiny(kind: str) -> Any:
    """A random model of a type or a variant, fp32, on the CPU."""
    name, changes = VARIANTS.get(kind, (kind, CHANGES.get(kind, {})))
    config = _config(CONFIG_MAPPING[name], None, changes)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def _config(kind: Any, default: Any, changes: dict[str, Any]) -> Any:
    """A config of this class with tiny sizes, and so on in the configs inside it."""
    default = default if default is not None else kind()
    names = default.to_dict()
    for alias in kind.attribute_map:
        names.pop(alias, None)
    inside = {name: getattr(default, name, None) for name in kind.sub_configs}
    values = dict(_sizes(names, {k: v for k, v in changes.items() if k not in inside}))
    for name, config in inside.items():
        if config is not None:
            values[name] = _config(type(config), config, changes.get(name, {})).to_dict()
    return kind(**values)


def _sizes(names: dict[str, Any], changes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The sizes of a config with these fields, its layers of every kind that it has by default."""
    kinds = {
        name: changes.get(name) or list(dict.fromkeys(names[name]))
        for name in _LAYER_KINDS
        if isinstance(changes.get(name) or names.get(name), list)
    }
    layers = max([2, *(len(found) for found in kinds.values())])
    sizes = {name: value for name, value in SIZES.items() if name in names}
    sizes |= {name: layers for name in _LAYER_COUNTS if name in names}
    sizes |= {name: [f[i % len(f)] for i in range(layers)] for name, f in kinds.items()}
    if "kv_lora_rank" in names:  # latent attention has keys and values for every head
        sizes["num_key_value_heads"] = 4
    return ((name, value) for name, value in (sizes | changes).items() if value is not ...)
