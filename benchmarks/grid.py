"""What a grid costs beside the same runs called one by one, as a ratio within one run.

    python -m benchmarks.grid [ROUNDS]

24 cells: two prompts, two strategies, three seeds, on both built-in models, 64 new tokens each.
First a grid on a cold engine, which counts how often each model is loaded. Then, with both models
in memory and in turn, ROUNDS times (3 unless given): a grid whose prompts are new, and 24 single
calls of the same shape, by the clock and in CPU seconds of all processes.
This process imports no torch.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import psutil

from playground.core.decoding import PRESETS
from playground.core.events import Failed
from playground.core.grid import Axes, Cell, Grid, Strategy, expand
from playground.core.run import ModelSpec
from playground.engine import manager
from playground.engine.engine import Engine
from playground.settings import Settings
from playground.ui.grid_work import GridWork

MODELS = (ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base"))
TOKENS = 64


def grid(number: int) -> Grid:
    """24 cells; another number is another grid of the same shape."""
    prompts = (f"Once upon a time there was a fox named {number}", f"{number} roses are red,")
    strategies = tuple(
        Strategy(name, replace(PRESETS[name], max_new_tokens=TOKENS, min_new_tokens=TOKENS))
        for name in ("Top-p", "Temperature 0.7")
    )
    return expand(Axes(prompts, MODELS, strategies, (0, 1, 2)), 24, 24 * TOKENS, 1000)


def count_loads() -> Counter[ModelSpec]:
    """How often a process is started for each model, from now on."""
    started: Counter[ModelSpec] = Counter()
    start = manager.WorkerProcess.__init__

    def counted(self: object, spec: ModelSpec, *rest: object, **more: object) -> None:
        started[spec] += 1
        start(self, spec, *rest, **more)  # type: ignore[arg-type]

    manager.WorkerProcess.__init__ = counted  # type: ignore[assignment, method-assign]
    return started


def play(work: GridWork, cells: Grid) -> None:
    """The whole grid, as the page plays it."""
    job = work.put("", cells, {})
    work.start(job)
    while job.running:
        time.sleep(0.01)
    assert job.counts() == {"done": len(cells.cells)}, job.counts()


def one_by_one(engine: Engine, cells: Sequence[Cell]) -> None:
    """The same runs, each alone, model by model as the grid would."""
    for cell in sorted(cells, key=lambda cell: cell.at.model):
        last = list(engine.run(cell.run))[-1]
        assert not isinstance(last, Failed), last


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and CPU seconds of this process and its workers."""
    began, busy = time.perf_counter(), _cpu()
    work()
    return time.perf_counter() - began, _cpu() - busy


def _cpu() -> float:
    here = psutil.Process()
    times = [one.cpu_times() for one in (here, *here.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def main(rounds: int) -> None:
    """Print the loads, then a table of both ways."""
    loads = count_loads()
    engine = Engine(Settings())
    work = GridWork(engine, engine.settings.limits)
    cold, _ = timed(lambda: play(work, grid(0)))
    print(f"24 cells on a cold engine: {cold:.2f} s; processes started: "
          + ", ".join(f"{spec.label} {count}" for spec, count in loads.items()))
    pairs = []
    for number in range(1, rounds + 1):
        ours = timed(lambda n=number: play(work, grid(n)))  # type: ignore[misc]
        single = timed(lambda n=number: one_by_one(engine, grid(-n).cells))  # type: ignore[misc]
        pairs.append((*ours, *single))
    engine.close()
    print(f"| medians of {rounds} | grid | 24 single calls | ratio (range) |")
    print("|---|---|---|---|")
    for name, place in (("clock, s", 0), ("CPU, s", 1)):
        ratios = [pair[place] / pair[place + 2] for pair in pairs]
        grids, singles = (statistics.median(p[place + side] for p in pairs) for side in (0, 2))
        print(f"| {name} | {grids:.2f} | {singles:.2f} | {statistics.median(ratios):.3f} "
              f"({min(ratios):.3f} to {max(ratios):.3f}) |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
