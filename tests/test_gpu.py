"""What only a CUDA device can show: memory that moves, quantized kernels, a process on a GPU.

The laws of decoding themselves are tried there with ``--models-on cuda``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Started
from playground.core.prompt import Ids, Raw
from playground.core.quantized import Expected, ExpectedFound
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.engine.engine import Engine
from playground.models import footprint
from playground.models.loading import Model, load
from playground.models.parking import Parking, can_park
from playground.settings import Settings
from tests.looked import looked
from tests.reference import decode
from tests.test_recipe_code import BUILTIN, check, recipes

pytestmark = pytest.mark.gpu

BASE, CHAT = ModelSpec("builtin/tiny-base"), ModelSpec("builtin/tiny-chat")
TEXT = Raw("Once upon a time there was a little dragon named")
SAMPLED = Decoding(do_sample=True, top_p=0.95, max_new_tokens=60, min_new_tokens=60)
WAYS = [replace(BASE, dtype="float32"), BASE, replace(BASE, dtype="float16"),
        replace(BASE, quantization="int8"), replace(BASE, quantization="nf4")]


def loaded(spec: ModelSpec = BASE) -> Model:
    return load(spec, BUILTIN / "tiny-base", "cuda")


def taken() -> int:
    """Bytes of the GPU that somebody has, whoever it is."""
    free, total = torch.cuda.mem_get_info()
    return total - free


@pytest.mark.parametrize("spec", WAYS, ids=lambda spec: spec.label)
def test_every_way_of_loading_decodes_as_its_script_does(spec: ModelSpec, tmp_path: Path) -> None:
    """In 32, 16, 8 and 4 bits: the exported script loads the model by itself and compares ids."""
    model = loaded(spec)
    assert model.card.device == "cuda:0" and model.card.bytes < 4.1 * model.card.parameters
    alone = [replace(d, alone=True) for d in (Decoding(max_new_tokens=20), SAMPLED)]
    runs = [Run(spec, TEXT, decoding, 3) for decoding in alone]
    check(recipes(model, runs), tmp_path / "scripts")


@pytest.mark.parametrize("spec", WAYS[3:], ids=lambda spec: spec.label)
def test_a_quantized_model_keeps_its_ids_in_recorded_steps(spec: ModelSpec) -> None:
    """Where its kernels cannot be recorded, or say something else, its steps are plain ones."""
    model = loaded(spec)
    run = Run(spec, TEXT, Decoding(max_new_tokens=60, min_new_tokens=60), 3)
    (plain,) = decode(model, [run], loop=DecodeLoop(model, capture=False))
    (trace,) = decode(model, [run], loop=DecodeLoop(model))
    assert trace.ids[:30] == plain.ids[:30]
    assert not can_park(model.lm)


def test_a_parked_model_is_off_the_device_and_comes_back_as_it_was() -> None:
    lms = [loaded(replace(BASE, dtype="float32")).lm for _ in range(3)]
    ids = torch.arange(20, device="cuda")[None]
    with torch.inference_mode():
        before = [lm(ids).logits for lm in lms]
        held = torch.cuda.memory_allocated()
        parking = Parking()
        moved = parking.park(lms)
        assert moved > 30e6 and held - torch.cuda.memory_allocated() >= 0.99 * moved
        assert all(tensor.is_pinned() for lm in lms for tensor in lm.parameters())
        assert parking.unpark() == moved
        assert torch.cuda.memory_allocated() == pytest.approx(held, rel=0.01)
        assert all(torch.equal(lm(ids).logits, one) for lm, one in zip(lms, before, strict=True))


def test_memory_that_ends_ends_one_run_and_the_model_goes_on() -> None:
    """A prompt whose attention needs more than there is; beside it somebody decodes."""
    model = loaded(replace(BASE, dtype="float32"))
    small = Run(BASE, TEXT, SAMPLED, 1)
    (expected,) = decode(model, [small], loop=DecodeLoop(model, capture=False))
    ids = Ids(tuple(range(100, 500)))
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + 12 * 2**20
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info()[1])
    try:
        loop = DecodeLoop(model, capture=False)
        runs = [small, *[Run(BASE, ids, SAMPLED, seed) for seed in range(40)]]
        traces = decode(model, runs, loop=loop, joins=[0, *[5] * 40])
        failed = [trace.problem for trace in traces if trace.problem is not None]
        assert failed and all(one.code == "OOM" for one in failed), failed
        assert "Memory on cuda:0 ended" in failed[0].message
        (again,) = decode(model, [small], loop=loop)
        assert again.ids == expected.ids
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4"])
def test_what_a_copy_expects_is_measured_on_the_device(quantization: Any) -> None:
    model = loaded(replace(BASE, quantization=quantization))
    found = looked(model, Expected(Ids(tuple(range(300, 340)))))
    assert isinstance(found, ExpectedFound), found
    assert found.device == "cuda:0" and 0 < found.seconds < 30


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Settings(models=(BASE.repo, CHAT.repo), device="cuda"))
    yield made
    made.close()


def ran(engine: Engine, run: Run) -> Trace:
    trace = Trace(run)
    for event in engine.run(run):
        trace = trace.add(event)
    assert trace.state == "finished", trace.problem
    return trace


def test_a_worker_on_the_gpu_streams_parks_and_comes_back(engine: Engine) -> None:
    """Steps are recorded by then; a replay after the weights came back elsewhere would read
    memory that is no longer theirs."""
    run = Run(BASE, TEXT, SAMPLED, 5)
    first, second = ran(engine, run), ran(engine, run)
    assert first.ids == second.ids and isinstance(first.started, Started)
    assert first.started.facts is not None and first.started.facts.device == "cuda:0"
    freed = engine.park(BASE)
    assert freed is not None and freed.device > 5e6
    (status,) = [one for one in engine.models() if one.spec == BASE]
    assert status.state == "parked" and status.parked > 5e6
    third = ran(engine, run)
    assert third.ids == first.ids
    assert "parked" not in [one.state for one in engine.models() if one.spec == BASE]


def test_the_budget_is_the_gpus_own(engine: Engine) -> None:
    ran(engine, Run(BASE, TEXT, SAMPLED, 5))
    budget = engine.budget()
    total = torch.cuda.mem_get_info()[1]
    assert budget.device.startswith("cuda") and 0.5 * total < budget.capacity <= total
    assert 0 < budget.taken < 0.1 * total


def test_a_process_takes_no_more_than_is_counted_for_it() -> None:
    """Context and kernels of CUDA beside the weights; counted before anything is loaded."""
    before = taken()
    one = Engine(Settings(models=(CHAT.repo,), device="cuda"))
    try:
        ran(one, Run(CHAT, TEXT, SAMPLED, 5))
        used = taken() - before
    finally:
        one.close()
    counted = footprint.needed_bytes(BUILTIN / "tiny-chat", CHAT, "cuda")
    assert used <= 1.1 * counted, f"{used / 1e6:.0f} MB taken, {counted / 1e6:.0f} MB counted"


def test_several_strategies_share_recorded_steps_in_the_worker(engine: Engine) -> None:
    runs = [Run(BASE, TEXT, replace(SAMPLED, top_k=k), 5) for k in (0, 5, 50, 500)]
    alone = [ran(engine, run) for run in runs]
    traces = {n: Trace(run) for n, run in enumerate(runs)}
    for column, event in engine.together(runs):
        assert not isinstance(event, Failed), event
        traces[column] = traces[column].add(event)
    for n, trace in traces.items():
        assert isinstance(trace.finished, Finished) and len(trace.ids) == 60
        # In 16 bits company may turn a near tie; the beginning is the same.
        assert trace.ids[:4] == alone[n].ids[:4]
