"""Will it fit: before a byte of weights moves, and with the number that would help."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.run import ModelSpec
from playground.engine.fitting import Fitting
from playground.engine.room import Budget
from playground.errors import ModelTooBig
from playground.models import catalog, memory
from playground.models.catalog import BUILTIN
from playground.models.download import Downloads
from playground.models.place import HubId
from playground.models.repo import Repo
from playground.models.weights import of_config

HALF = "Qwen/Qwen2.5-0.5B-Instruct"


def fitting(capacity: float, told: str = "", device: str = "cpu") -> Fitting:
    """On a machine with so many bytes for models; ``told`` is the device that a worker found."""
    return Fitting(Downloads(), lambda: Budget(told, int(capacity), 0), device)


def repo() -> Repo:
    config = catalog.entry(HALF).config
    return Repo(HALF, "a" * 40, 5, 10**9, 10**9, config=config, weights=of_config(config))


def test_a_model_of_the_catalog_is_counted_without_asking_the_hub() -> None:
    """494,032,768 numbers of four bytes on a CPU, and two on a GPU."""
    found = fitting(10e9).fit(ModelSpec(HALF), HubId(HALF), None, lambda: False)
    assert found.fits and found.footprint.weights == 494_032_768 * 4
    on_gpu = fitting(10e9, "cuda:0", "auto").fit(ModelSpec(HALF), HubId(HALF), 1000, lambda: False)
    assert on_gpu.footprint.weights == 494_032_768 * 2 and on_gpu.footprint.context == 1000


def test_a_folder_is_counted_from_its_headers() -> None:
    place = BUILTIN / "tiny-chat"
    found = fitting(1e9).fit(ModelSpec("builtin/tiny-chat"), place, None, lambda: False)
    assert found.fits and found.footprint.weights == 2_756_224 * 4
    assert not fitting(1e6).fit(ModelSpec("builtin/tiny-chat"), place, None, lambda: False).fits


def test_what_could_never_fit_is_refused_before_it_is_fetched() -> None:
    with pytest.raises(ModelTooBig) as caught:
        fitting(1.2e9).admit(ModelSpec(HALF), repo())
    said = str(caught.value)
    assert "weights 2.0 GB + KV cache of 4,096 tokens 101 MB" in said
    assert "as nf4: 1.1 GB" in said and caught.value.problem.allowed == "up to 1.2 GB"
    fitting(1.2e9).admit(ModelSpec(HALF, quantization="nf4"), repo())
    fitting(3e9).admit(ModelSpec(HALF), repo())


def test_before_a_gpu_has_told_its_memory_nothing_is_refused_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first model goes where the host's memory says nothing: 40 billion parameters fit on a
    GPU whose machine has not half of that."""
    (tmp_path / "version").write_text("the driver")
    monkeypatch.setattr(memory, "_DRIVERS", (tmp_path / "version",))
    assert memory.kind_of("auto") == "cuda" and memory.kind_of("cpu") == "cpu"
    fitting(1e9, device="auto").admit(ModelSpec(HALF), repo())
    with pytest.raises(ModelTooBig):
        fitting(1e9, "cuda:0", "auto").admit(ModelSpec(HALF), repo())
    monkeypatch.setattr(memory, "_DRIVERS", ())
    assert memory.kind_of("auto") in ("cpu", "mps") and memory.kind_of("cuda:1") == "cuda"


def test_an_adapter_is_not_counted_as_a_model() -> None:
    fitting(1e6).admit(ModelSpec(HALF, adapter="owner/adapter"), repo())
