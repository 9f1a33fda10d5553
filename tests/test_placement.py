"""Where a model goes and in which numbers, told by hand-made devices."""

from __future__ import annotations

from pathlib import Path

import accelerate
import pytest
import torch
from safetensors.torch import load_file, save_file

from playground.core.messages import DeviceMemory
from playground.core.run import ModelSpec
from playground.errors import InvalidInput
from playground.models import placement
from playground.models.loading import load
from playground.models.placement import (
    device_of,
    dtype_of,
    has_fast_bfloat16,
    memory_of,
    on_gpus,
    placement_of,
    quantization_of,
    stored_dtype,
)
from tests.tiny_models import save, tiny_lm

CPU = torch.device("cpu")
GB = 10**9
SPEC = ModelSpec("some/model")


@pytest.mark.parametrize(
    ("flags", "fast"),
    [
        ("flags\t\t: fpu avx2 avx512f", False),
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("Features\t: fp asimd", False),
        ("nothing of the kind", False),
    ],
)
def test_bf16_units_are_read_from_the_cpu_itself(
    flags: str, fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AVX-512 alone is not enough: it emulates bf16, many times slower than fp32."""
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(placement, "_CPUINFO", told)
    assert has_fast_bfloat16() is fast


def test_a_system_without_cpuinfo_has_no_bf16_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_CPUINFO", Path("/no/such/file"))
    assert has_fast_bfloat16() is False


@pytest.mark.parametrize(
    ("fast", "stored", "dtype"),
    [
        (True, "BF16", torch.bfloat16),
        (True, "F32", torch.float32),
        (True, "F16", torch.float32),
        (False, "BF16", torch.float32),
    ],
)
def test_a_cpu_keeps_bf16_where_it_is_fast_and_nothing_is_rounded(
    fast: bool, stored: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "has_fast_bfloat16", lambda: fast)
    assert dtype_of(SPEC, CPU, stored) == dtype
    assert dtype_of(ModelSpec("some/model", dtype="float16"), CPU, stored) == torch.float16


def test_bf16_files_stay_bf16_on_a_cpu_with_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path)
    file = folder / "model.safetensors"
    assert stored_dtype(folder) == "F32"
    save_file({k: v.bfloat16() for k, v in load_file(file).items()}, file, {"format": "pt"})
    assert stored_dtype(folder) == "BF16"
    monkeypatch.setattr(placement, "has_fast_bfloat16", lambda: True)
    assert load(SPEC, folder).card.dtype == "bfloat16"
    file.write_bytes(b"no header")
    assert stored_dtype(folder) == "", "the loader says what is wrong with it"


def test_one_gpu_where_one_is_enough() -> None:
    """24 GB of which 92 % may be used are 22.08 GB."""
    free = {0: 10 * GB, 1: 24 * GB}
    assert on_gpus(free, 22 * GB) == placement.Placement(torch.device("cuda:1"))
    assert on_gpus(free, 22 * GB).arguments == {"device_map": {"": torch.device("cuda:1")}}


def test_the_fewest_gpus_for_a_model_that_fits_on_none() -> None:
    """92 % of 24, 24 and 10 GB are 22.08, 22.08 and 9.2 GB; a tenth more is kept for the cuts."""
    free = {0: 24 * GB, 1: 10 * GB, 2: 24 * GB}
    spread = on_gpus(free, 30 * GB)
    assert spread.device == torch.device("cuda:0")
    assert spread.arguments == {
        "device_map": "auto", "max_memory": {0: 22_080_000_000, 2: 22_080_000_000},
    }
    assert sorted(on_gpus(free, 45 * GB).spread or ()) == [0, 1, 2]


def test_what_fits_nowhere_is_left_to_one_gpu_to_refuse() -> None:
    assert on_gpus({0: 24 * GB, 1: 24 * GB}, 50 * GB).spread is None


def test_accelerate_cuts_a_spread_model_at_whole_layers() -> None:
    """The map that ``device_map="auto"`` makes of our bytes: both GPUs, and nothing on disk."""
    lm = tiny_lm("llama", 400, num_hidden_layers=6)
    need = sum(p.nbytes for p in lm.parameters())
    spread = on_gpus({0: int(0.8 * need), 1: int(0.8 * need)}, need).spread
    assert spread is not None and len(spread) == 2
    made = accelerate.infer_auto_device_map(lm, dict(spread), lm._no_split_modules)
    assert set(made.values()) == {0, 1}
    layers = {name for name in made if ".layers." in name}
    assert layers and all(name.count(".") == 2 for name in layers)


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no device 'gpu9'"):
        placement_of("gpu9", 1)
    assert placement_of("cpu", 10**15) == placement.Placement(CPU), "a CPU is asked no further"


def test_4_bits_are_quantized_twice() -> None:
    config = quantization_of(ModelSpec("a/b", quantization="nf4"), torch.bfloat16)
    assert config.bnb_4bit_use_double_quant and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


class Gpus:
    """Two GPUs that are none: free and total bytes, and what this process holds."""

    free = (10 * GB, 20 * GB)
    total = (24 * GB, 24 * GB)
    held = (1 * GB, 2 * GB)

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        patch.setattr(torch.cuda, "mem_get_info", lambda i: (self.free[i], self.total[i]))
        patch.setattr(torch.cuda, "memory_reserved", lambda i: self.held[i])
        patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)


def test_auto_takes_the_emptiest_gpu_and_tells_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch)
    assert placement_of("auto", 15 * GB).device == torch.device("cuda:1")
    assert placement_of("auto", 25 * GB).spread is not None
    assert placement_of("cuda:0", 25 * GB) == placement.Placement(torch.device("cuda:0"))
    assert memory_of(device_of("auto")) == DeviceMemory("cuda", 48 * GB, 30 * GB, 3 * GB)
    assert memory_of(device_of("cuda:1")) == DeviceMemory("cuda:1", 24 * GB, 20 * GB, 2 * GB)
    assert memory_of(CPU) == DeviceMemory("cpu")


def test_an_older_gpu_computes_in_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch)
    assert dtype_of(SPEC, device_of("auto"), "BF16") == torch.float16
