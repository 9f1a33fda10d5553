"""Bytes that a model needs and bytes that there are, with numbers that a person can check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.core.run import Dtype, ModelSpec, Quantization
from playground.models import footprint


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A hundred numbers of 16 bits, ten whole numbers of 64, in one safetensors file."""
    header = {
        "__metadata__": {"format": "pt"},
        "weight": {"dtype": "BF16", "shape": [10, 10], "data_offsets": [0, 200]},
        "positions": {"dtype": "I64", "shape": [10], "data_offsets": [200, 280]},
    }
    told = json.dumps(header).encode()
    data = len(told).to_bytes(8, "little") + told + bytes(280)
    (tmp_path / "model.safetensors").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("dtype", "quantization", "weights"),
    [
        ("auto", "none", 100 * 4 + 80),
        ("float32", "none", 100 * 4 + 80),
        ("bfloat16", "none", 100 * 2 + 80),
        ("auto", "int8", 100 * 1.1 + 80),
        ("auto", "nf4", 100 * 0.6 + 80),
    ],
)
def test_the_estimate_follows_the_dtype_the_weights_will_have(
    folder: Path, dtype: Dtype, quantization: Quantization, weights: float
) -> None:
    spec = ModelSpec("a/b", dtype=dtype, quantization=quantization)
    assert footprint.needed_bytes(folder, spec) == pytest.approx(weights * 1.2, abs=1)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 8, (10**12).to_bytes(8, "little") + b"{}",
                                    (5).to_bytes(8, "little") + b"{}}}}",
                                    (7).to_bytes(8, "little") + b'{"a":1}',
                                    (8).to_bytes(8, "little") + b'{"a":{}}'])
def test_a_damaged_header_is_counted_by_its_file(tmp_path: Path, damage: bytes) -> None:
    """The loader says what is wrong with it; the estimate must only not fall over."""
    (tmp_path / "model.safetensors").write_bytes(damage)
    need = footprint.needed_bytes(tmp_path, ModelSpec("a/b"))
    assert need == int(len(damage) * 1.2)


def test_a_containers_limit_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed 1000, taken 400 of which 100 are cached files that the kernel gives back: 700."""
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(footprint, "_CGROUPS", ((limit, used),))
    whole = footprint.available_bytes()
    limit.write_text("1000\n")
    used.write_text("400\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 100\n")
    assert footprint.available_bytes() == 700 < whole
    limit.write_text("max\n")
    assert footprint.available_bytes() > 1000


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (12_600_000, "13 MB"),
                        (2_050_000_000, "2.0 GB"), (7e11, "700 GB")]
)
def test_sizes_are_said_as_people_say_them(count: float, said: str) -> None:
    assert footprint.size(count) == said
