"""Bytes that a model needs and bytes that there are, with numbers that a person can check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playground.core.kept import Kept
from playground.core.run import Dtype, ModelSpec, Quantization
from playground.models import footprint, memory, weights
from playground.models.context import context_of, kept_of
from playground.models.memory import Memory
from playground.models.weights import Weights

SPEC = ModelSpec("a/b")
TINY = {
    "model_type": "qwen2", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 64, "tie_word_embeddings": True,
}


def written(folder: Path, tensors: dict[str, tuple[str, list[int]]], name: str = "model") -> Path:
    """A safetensors file whose header names ``tensors``; their bytes are nobody's business here."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for tensor, (dtype, shape) in tensors.items():
        header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
    told = json.dumps(header).encode()
    (folder / f"{name}.safetensors").write_bytes(len(told).to_bytes(8, "little") + told)
    return folder


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A linear layer of 64 by 128, an embedding of 100 by 64, a norm, and ten whole numbers."""
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 100, "num_hidden_layers": 1}))
    return written(tmp_path, {
        "model.layers.0.mlp.up_proj.weight": ("BF16", [64, 128]),
        "model.embed_tokens.weight": ("BF16", [100, 64]),
        "model.norm.weight": ("F32", [64]),
        "model.positions": ("I64", [10]),
    })


@pytest.mark.parametrize(
    ("dtype", "quantization", "count"),
    [
        ("auto", "none", (8192 + 6464) * 4 + 80),
        ("float32", "none", (8192 + 6464) * 4 + 80),
        ("bfloat16", "none", (8192 + 6464) * 2 + 80),
        # A byte a number, and a float for each of the 64 rows.
        ("bfloat16", "int8", 8192 + 64 * 4 + 6464 * 2 + 80),
        # Half a byte; a byte for each of 128 blocks of 64; 4 for 256 blocks; two tables.
        ("bfloat16", "nf4", 4096 + 128 + 2 + 1092 + 6464 * 2 + 80),
    ],
)
def test_only_linear_layers_are_quantized(
    folder: Path, dtype: Dtype, quantization: Quantization, count: int
) -> None:
    spec = ModelSpec("a/b", dtype=dtype, quantization=quantization)
    assert footprint.of_files(folder, spec).weights == count


def test_auto_is_counted_as_what_it_becomes_on_the_device(folder: Path) -> None:
    widths = {"cpu": 4, "cuda:1": 2, "mps": 2}
    for device, width in widths.items():
        found = footprint.of_files(folder, SPEC, device=device)
        assert found.weights == 14656 * width + 80, device
    assert footprint.of_files(folder, SPEC, auto="bfloat16").weights == 14656 * 2 + 80


def test_what_a_file_holds_and_no_model_reads_is_not_counted(tmp_path: Path) -> None:
    """GPT-2's causal masks, rotary tables, layers after the last, a second copy of the embedding:
    the masks alone were a tenth of openai-community/gpt2."""
    config = {"vocab_size": 10, "num_hidden_layers": 1, "tie_word_embeddings": True}
    written(tmp_path, {
        "model.embed_tokens.weight": ("F32", [10, 4]),
        "lm_head.weight": ("F32", [10, 4]),
        "model.layers.0.attn.bias": ("F32", [1, 1, 1024, 1024]),
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [32]),
        "model.layers.1.mlp.up_proj.weight": ("F32", [64, 64]),
        "mtp.fc.weight": ("F32", [64, 64]),
    })
    assert weights.of_folder(tmp_path, config).bytes(4) == 40 * 4
    assert weights.of_folder(tmp_path, config | {"tie_word_embeddings": False}).bytes(4) == 80 * 4


def test_weights_that_are_quantized_in_the_file_stay_as_they_are(tmp_path: Path) -> None:
    written(tmp_path, {"model.layers.0.mlp.up_proj.qweight": ("I32", [8, 64]),
                       "model.layers.0.mlp.down_proj.weight": ("F8_E4M3", [64, 64])})
    for width in (2, 4):
        assert weights.of_folder(tmp_path, {}).bytes(width) == 8 * 64 * 4 + 64 * 64


@pytest.mark.parametrize(
    ("names", "index", "chosen"),
    [
        (["model.safetensors", "consolidated.safetensors"], {}, ["model.safetensors"]),
        (["model.safetensors", "model.fp16.safetensors"], {}, ["model.safetensors"]),
        (["a.safetensors", "b.safetensors", "original/b.safetensors"],
         {"weight_map": {"x": "b.safetensors", "y": "a.safetensors"}},
         ["a.safetensors", "b.safetensors"]),
        (["adapter_model.safetensors"], {}, ["adapter_model.safetensors"]),
        (["onnx/model.safetensors", "model.bin"], {}, []),
    ],
)
def test_weights_are_counted_once(
    names: list[str], index: dict[str, Any], chosen: list[str]
) -> None:
    """Mistral's repos hold every number twice, Llama's have the original files in a folder."""
    assert weights.weight_files(names, index) == chosen


@pytest.mark.parametrize("damage", [b"", b"\xff" * 8, (10**12).to_bytes(8, "little") + b"{}",
                                    (5).to_bytes(8, "little") + b"{}}}}",
                                    (7).to_bytes(8, "little") + b'{"a":1}',
                                    (8).to_bytes(8, "little") + b'{"a":{}}'])
def test_a_damaged_header_is_counted_by_its_file(tmp_path: Path, damage: bytes) -> None:
    """The loader says what is wrong with it; the estimate must only not fall over."""
    (tmp_path / "model.safetensors").write_bytes(damage)
    assert footprint.of_files(tmp_path, SPEC).weights == len(damage)


@pytest.mark.parametrize(
    "config", ["", "[]", "{", "[" * 99_999, '{"num_hidden_layers": 1e9, "hidden_size": "x"}',
               '{"num_hidden_layers": 1000000000000, "hidden_size": 8}',
               '{"num_attention_heads": 0, "hidden_size": -4, "num_hidden_layers": -1}',
               '{"layer_types": [1, null, {}], "per_layer_config": {"0": [], "1": 3}}',
               '{"kv_lora_rank": true, "sliding_window": NaN, "num_hidden_layers": 3}',
               '{"num_hidden_layers": 3, "num_kv_shared_layers": 1000000000000}']
)
def test_no_config_makes_the_estimate_fall_over(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    found = footprint.of_files(folder, SPEC)
    assert found.weights >= 14656 * 4 and found.cache >= 0 and found.context > 0


@pytest.mark.parametrize(
    ("changes", "tokens", "numbers"),
    [
        # Two layers, keys and values, two heads shared by four, of two numbers each: 16 a token.
        ({}, 50, 50 * 16),
        # As many heads as queries have: 32 a token.
        ({"num_key_value_heads": None}, 50, 50 * 32),
        # Qwen's window is off unless its config says so; the second layer then keeps 9 of 50.
        ({"sliding_window": 10}, 50, 50 * 16),
        ({"sliding_window": 10, "use_sliding_window": True, "max_window_layers": 1}, 50,
         50 * 8 + 9 * 8),
        # Every layer slides in Mistral's.
        ({"model_type": "mistral", "sliding_window": 10}, 50, 9 * 16),
        ({"model_type": "mistral", "sliding_window": 10}, 5, 5 * 16),
        # One latent of 6 and one rotary key of 2 a layer.
        ({"model_type": "deepseek_v3", "kv_lora_rank": 6, "qk_rope_head_dim": 2}, 50, 50 * 16),
        # A layer that reads another's keys and values keeps none.
        ({"num_kv_shared_layers": 1}, 50, 50 * 8),
        # Gated delta net: two heads of 4 by 4, and a convolution of 4 over 2 * 4 + 8.
        ({"layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 2,
          "linear_value_head_dim": 4, "linear_num_key_heads": 1, "linear_key_head_dim": 4}, 50,
         50 * 8 + 2 * 4 * 4 + 16 * 4),
    ],
)
def test_a_cache_counted_by_hand(changes: dict[str, Any], tokens: int, numbers: int) -> None:
    config = {name: value for name, value in (TINY | changes).items() if value is not None}
    assert kept_of(config).numbers(tokens) == numbers


def test_a_windows_end_is_where_the_cache_stops_growing() -> None:
    kept = Kept(3, ((5, 10),), 7)
    assert [kept.numbers(n) for n in (0, 1, 10, 11)] == [7, 15, 87, 90]


def test_a_config_within_a_config_is_read() -> None:
    """A model for text and images has its language model's sizes one floor down."""
    outer = {"model_type": "gemma3", "text_config": TINY, "vision_config": {"hidden_size": 4000}}
    assert kept_of(outer) == kept_of(TINY) and context_of(outer) == 64


def test_the_sum_says_its_parts() -> None:
    found = footprint.of(Weights(1000, 500), TINY, SPEC, context=50)
    assert found.weights == 6000 and found.cache == 50 * 16 * 4 and found.each == 64
    assert found.total == found.weights + found.cache + found.room
    assert str(found).startswith("weights 6.0 kB + KV cache of 50 tokens 3.2 kB + working room ")
    assert str(found).endswith(f"= {footprint.size(found.total)}")


def test_a_context_longer_than_the_models_is_the_models() -> None:
    assert footprint.of(Weights(1, 1), TINY, SPEC, context=10**9).context == 64
    long = TINY | {"max_position_embeddings": 10**6}
    assert footprint.of(Weights(1, 1), long, SPEC).context == footprint.USUAL_CONTEXT
    assert footprint.of(Weights(1, 1), long, SPEC, context=9000).context == 9000


BIG = Weights(linear=900_000_000, other=100_000_000, rows=1_000_000, matrices=100)


def _fit(free: float, spec: ModelSpec = SPEC, **config: Any) -> footprint.Fit:
    sizes = TINY | {"hidden_size": 4096, "num_hidden_layers": 32, "max_position_embeddings": 131072}
    return footprint.fit(BIG, sizes | config, spec, Memory("the GPU", int(free), 10**11), 8192)


def test_what_fits_needs_no_advice() -> None:
    found = _fit(10e9)
    assert found.fits and found.advice == "" and str(found).endswith("are free: fits.")


def test_what_does_not_fit_is_told_what_would_with_the_number() -> None:
    """4 GB of weights: two bytes each, one byte for nine in ten, or half a byte for nine in ten."""
    assert 4e9 < _fit(0).footprint.total < 20e9
    found = _fit(8e9)
    assert not found.fits and "does not fit" in str(found)
    said = {one.change: one.footprint for one in found.options}
    assert set(said) >= {"as bfloat16:", "as nf4:"}
    assert said["as nf4:"].weights == BIG.bytes(4, "nf4")
    for one in found.options:
        assert one.footprint.total <= 8e9
        assert f"{one.change} {footprint.size(one.footprint.total)}" in found.advice


def test_a_shorter_context_is_offered_where_the_cache_is_the_trouble() -> None:
    """Half the cache is taken away until the rest fits, and no more."""
    many = {"num_key_value_heads": 4, "head_dim": 1024}
    whole = _fit(0, **many).footprint
    found = _fit(whole.total - whole.cache * 0.3, **many)
    option = next(one for one in found.options if "context" in one.change)
    assert option.change == "with a context of 4,096 tokens"
    assert option.footprint.cache == whole.cache // 2


def test_when_nothing_helps_a_smaller_model_is_the_advice() -> None:
    assert _fit(1e8).advice == "Choose a smaller model."
    nf4 = ModelSpec("a/b", quantization="nf4")
    assert not any("nf4" in one.change for one in _fit(1e9, nf4).options), "it is that already"


def test_the_refusal_shows_the_arithmetic() -> None:
    found = _fit(8e9)
    problem = footprint.too_big(SPEC, found.footprint.total, 8e9, found).problem
    assert str(found.footprint) in problem.message and "8.0 GB" in problem.allowed
    assert "as nf4" in problem.advice and problem.field == "model"


def test_a_containers_limit_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed 1000, taken 400 of which 100 are cached files that the kernel gives back: 700."""
    group = tmp_path / "service"
    group.mkdir()
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/service\n")
    whole = memory.host()
    for place in (group, tmp_path):  # set on the group itself, or on one around it
        (place / "memory.max").write_text("1000\n")
        (place / "memory.current").write_text("400\n")
        (place / "memory.stat").write_text("anon 300\ninactive_file 100\n")
        assert memory.available_bytes() == 700 < whole.free
        assert memory.host() == Memory("this container's memory", 700, 1000)
        (place / "memory.max").write_text("max\n")
        assert memory.available_bytes() > 1000


@pytest.mark.parametrize("free", [float("nan"), float("inf"), -1.0, 11.0])
def test_what_a_device_cannot_have_said_is_not_believed(free: float) -> None:
    assert memory.reported("the GPU", free, 10) is None
    assert memory.reported("the GPU", 4.0, 10) == Memory("the GPU", 4, 10)


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (12_600_000, "13 MB"),
                        (2_050_000_000, "2.0 GB"), (7e11, "700 GB")]
)
def test_sizes_are_said_as_people_say_them(count: float, said: str) -> None:
    assert footprint.size(count) == said
