"""A grid through the real engine and both built-in models."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.grid import Axes, Strategy, expand
from playground.core.run import ModelSpec
from playground.core.trace import Trace
from playground.engine import manager
from playground.engine.engine import Engine
from playground.settings import Settings
from playground.ui.grid_work import GridWork
from tests.grid_engine import wait_for

MODELS = (ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base"))


def test_24_cells_on_two_models_load_each_once_and_write_what_single_calls_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """3 prompts × 2 models × (greedy + one draw of 3 seeds) = 24."""
    started: Counter[ModelSpec] = Counter()
    begin = manager.WorkerProcess.__init__

    def counted(self: object, spec: ModelSpec, *rest: object) -> None:
        started[spec] += 1
        begin(self, spec, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(manager.WorkerProcess, "__init__", counted)
    strategies = (Strategy("Greedy", Decoding(max_new_tokens=8)),
                  Strategy("Top-p", replace(PRESETS["Top-p"], max_new_tokens=8)))
    prompts = ("Once upon a time", "The capital of France is", "Roses are red,")
    grid = expand(Axes(prompts, MODELS, strategies, (0, 1, 2)), 24, 1000, 1000)
    engine = Engine(Settings())
    try:
        work = GridWork(engine, engine.settings.limits)
        job = work.put("", grid, {})
        work.start(job)
        wait_for(lambda: not job.running)
        assert job.counts() == {"done": 24}
        assert started == dict.fromkeys(MODELS, 1)
        done = work.finished(job.key)
        assert [cell.run for cell in done] == [cell.run for cell in grid.cells]
        for cell in done[:: 5]:
            alone = Trace(cell.run)
            for event in engine.run(cell.run):
                alone = alone.add(event)
            assert alone.ids == cell.trace.ids and len(alone.ids) == cell.trace.finished.new_tokens  # type: ignore[union-attr]
    finally:
        engine.close()
