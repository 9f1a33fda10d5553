"""What a model keeps of the tokens it has read, in numbers, from its config.json; no torch.

Follows what transformers' own ``DynamicCache`` holds: keys and values of every token for each
key-value head (one latent vector for multi-head latent attention), the last ``window - 1`` tokens
of a sliding layer, a state of one size for a linear or convolutional layer, and nothing for a layer
that uses another layer's keys and values.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Literal

from playground.core.kept import Kept
from playground.models.kinds import is_encoder
from playground.models.weights import Config, number, text_config

Kind = Literal["full", "sliding", "linear", "both", "none"]

UNSAID = 2048  # tokens, where a config does not say how long a context the model was built for

_KINDS: dict[str, Kind] = {
    "full_attention": "full", "attention": "full", "sliding_attention": "sliding",
    "chunked_attention": "sliding", "linear_attention": "linear", "mamba": "linear",
    "mamba2": "linear", "recurrent": "linear", "conv": "linear", "hybrid": "both",
    "moe": "none", "mlp": "none",
}
_LETTERS: dict[str, Kind] = {"M": "linear", "*": "full", "-": "none", "E": "none"}
# Of the types whose configs may leave the layers out: every how many layers one reads all tokens.
_EVERY = {"gemma2": 2, "gpt_oss": 2, "cohere2": 4, "olmo3": 4, "exaone4": 4, "llama4_text": 4,
          "gemma3n_text": 5, "gemma3_text": 6, "gemma4_text": 6}
_EVERY_LINEAR = {"qwen3_next": 4, "qwen3_5": 4, "qwen3_5_text": 4, "qwen3_5_moe_text": 4,
                 "olmo_hybrid": 4}
_STATE_ONLY = ("mamba", "mamba2", "falcon_mamba", "rwkv")
_OFF_BY_DEFAULT = ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3")


def context_of(config: Config) -> int:
    """How many tokens the model was built to read; UNSAID where its config does not say."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
    found = number(text_config(config), *names)
    return found if found > 0 else UNSAID


def kept_of(config: Config) -> Kept:
    """What a model with this config.json keeps of one text; an encoder keeps nothing."""
    if is_encoder(config):
        return Kept(0)
    text = dict(text_config(config))
    each, fixed, windows = 0, 0, dict[int, int]()
    own = text.get("per_layer_config")
    for place, kind in enumerate(layers_of(text)):
        changed = own.get(str(place)) if isinstance(own, dict) else None
        numbers = _a_token(ChainMap(changed, text) if isinstance(changed, dict) else text, kind)
        if kind in ("full", "both"):
            each += numbers
        if kind == "sliding":
            most = max(1, (_window(text) or context_of(text)) - 1)
            windows[most] = windows.get(most, 0) + numbers
        if kind in ("linear", "both"):
            fixed += _state(text)
    return Kept(each, tuple((numbers, most) for most, numbers in windows.items()), fixed)


def layers_of(text: Config) -> list[Kind]:
    """The kind of each layer, as the config says or as its type does where the config is silent."""
    count = min(number(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers"), 10_000)
    kinds = _said(text, count) or _by_type(text, count)
    shared = min(number(text, "num_kv_shared_layers"), len(kinds))
    none: list[Kind] = ["none"] * shared
    return [*kinds[: len(kinds) - shared], *none] if shared else kinds


def _said(text: Config, count: int) -> list[Kind]:
    """The kinds that the config names; empty where it names none."""
    for name in ("layer_types", "layers_block_type", "block_types", "_block_types"):
        named = text.get(name)
        if isinstance(named, list) and named:
            kinds = [_KINDS.get(str(one), "full") for one in named]
            if text.get("model_type") == "recurrent_gemma":  # a pattern; its attention is local
                kinds = ["sliding" if kind == "full" else kind for kind in kinds]
            return [kinds[i % len(kinds)] for i in range(max(count, len(kinds)))][:count or None]
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:
        return [_LETTERS.get(letter, "full") for letter in pattern]
    for name in ("attn_layer_indices", "full_attn_idxs"):
        places = text.get(name)
        if isinstance(places, list):
            return ["full" if i in places else "linear" for i in range(count)]
    if period := number(text, "attn_layer_period"):
        offset = number(text, "attn_layer_offset")
        return ["full" if i % period == offset else "linear" for i in range(count)]
    return []


def _by_type(text: Config, count: int) -> list[Kind]:
    kind = str(text.get("model_type"))
    if kind == "recurrent_gemma":
        return ["linear" if (i + 1) % 3 else "sliding" for i in range(count)]
    if kind in _STATE_ONLY:
        return ["linear"] * count
    if kind == "falcon_h1":
        return ["both"] * count
    every = number(text, "full_attention_interval", default=_EVERY_LINEAR.get(kind, 0))
    if every:
        return ["linear" if (i + 1) % every else "full" for i in range(count)]
    if not _window(text):
        return ["full"] * count
    if kind in _OFF_BY_DEFAULT:
        first = number(text, "max_window_layers")
        return ["sliding" if i >= first else "full" for i in range(count)]
    every = _pattern(text) or _EVERY.get(kind, 0)
    return ["sliding" if not every or (i + 1) % every else "full" for i in range(count)]


def _pattern(text: Config) -> int:
    told = text.get("sliding_window_pattern", text.get("_sliding_window_pattern"))
    return len(told) if isinstance(told, str) else number({"every": told}, "every")


def _window(text: Config) -> int:
    """Tokens that a sliding layer attends to; 0 where no layer slides."""
    off = text.get("model_type") in _OFF_BY_DEFAULT
    if not text.get("use_sliding_window", not off):
        return 0
    return number(text, "sliding_window", "attention_window_size", "attention_chunk_size")


def _a_token(text: Config, kind: Kind) -> int:
    """Keys and values of one token in one layer."""
    if latent := number(text, "kv_lora_rank"):
        # What picks the tokens of sparse attention keeps keys of its own.
        return latent + number(text, "qk_rope_head_dim") + number(text, "index_head_dim")
    heads = number(text, "num_attention_heads", "n_head", "n_heads", "num_heads",
                   "attention_heads", default=1)
    hidden = number(text, "hidden_size", "n_embd", "d_model")
    size = number(text, "head_dim", "attention_head_dim", default=hidden // max(1, heads))
    shared = number(text, "num_key_value_heads", "num_kv_heads", default=_kv_heads(text, heads))
    if text.get("model_type") == "falcon" and not text.get("new_decoder_architecture"):
        shared = _kv_heads(text, heads)
    said = text.get("model_type") != "gemma4_text" or "per_layer_config" in text
    if kind == "full" and not said:
        size = number(text, "global_head_dim", default=512)
        if text.get("attention_k_eq_v"):
            shared = number(text, "num_global_key_value_heads", default=shared)
    return 2 * shared * size


def _kv_heads(text: Config, heads: int) -> int:
    """Where a config names no key-value heads: one for all in multi-query types, else as many."""
    nested = text.get("attn_config")  # MPT
    if isinstance(nested, Mapping) and number(nested, "kv_n_heads"):
        return number(nested, "kv_n_heads")
    many = text.get("model_type") not in ("falcon", "gpt_bigcode")
    return heads if not text.get("multi_query", not many) else 1


def _state(text: Config) -> int:
    """Numbers of a linear layer's state: of its short convolution, and of its recurrence."""
    hidden = number(text, "hidden_size", "d_model")
    if text.get("model_type") in ("lfm2", "lfm2_moe"):
        return hidden * number(text, "conv_L_cache", default=3)
    if width := number(text, "lru_width"):
        return width * number(text, "conv1d_width", default=4)
    if text.get("model_type") == "rwkv":
        return 5 * hidden
    if values := number(text, "linear_num_value_heads"):
        keys = number(text, "linear_num_key_heads") * number(text, "linear_key_head_dim")
        width = values * number(text, "linear_value_head_dim")
        taps = number(text, "linear_conv_kernel_dim", default=4)
        return (2 * keys + width) * taps + width * number(text, "linear_key_head_dim")
    return _mamba(text, hidden)


def _mamba(text: Config, hidden: int) -> int:
    state = number(text, "mamba_d_state", "ssm_state_size", "state_size", default=16)
    taps = number(text, "mamba_d_conv", "conv_kernel", default=4)
    inner = number(text, "mamba_d_ssm") or hidden * number(
        text, "mamba_expand", "expand", default=2
    )
    heads = number(text, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    if not heads and text.get("model_type") == "mamba2":
        heads = number(text, "num_heads")
    if size := heads and number(text, "mamba_d_head", "mamba_head_dim", "mamba_headdim"):
        inner = heads * size
    groups = number(text, "mamba_n_groups", "n_groups", "mamba_ngroups", default=1)
    mixed = inner + (2 * groups * state if heads else 0)
    return mixed * taps + inner * state

