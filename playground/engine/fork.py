"""Starts worker processes from one that has torch imported already; it hears nothing of them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from playground.core.run import ModelSpec
from playground.environment import children_inherit, worker_environment
from playground.errors import WorkerDied

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")


def fork(spec: ModelSpec) -> tuple[Connection, BaseProcess]:
    """A new worker and our end of the pipe to it. Waits for the forkserver's imports; raises
    WorkerDied when no process can be started."""
    ours, theirs = _CONTEXT.Pipe()
    try:
        _start_forkserver()  # does nothing unless it has died
        process = _CONTEXT.Process(
            target=_be_a_worker, args=(theirs,), name=f"worker {spec.label}", daemon=True
        )
        process.start()
    except (OSError, EOFError) as error:
        ours.close()
        raise WorkerDied(
            f"No process could be started for {spec.label} ({type(error).__name__}).",
            field="model", given=spec.repo, advice="Try again; if it fails again, restart the app.",
        ) from error
    finally:
        theirs.close()
    return ours, process


def _be_a_worker(connection: Connection) -> None:
    """The target of the child. It imports by name: this module's own process has no torch."""
    importlib.import_module("playground.worker.serve").serve(connection)


def _start_forkserver() -> None:
    """Start the process that imports torch and forks every worker; returns at once.

    It starts with the environment of a worker, so no secret is in it or in what it forks. Where the
    system cannot fork, workers are spawned and import for themselves.
    """
    if not _FORKS:
        return
    _CONTEXT.set_forkserver_preload(["playground.worker.no_garbage", "playground.worker.preload"])
    with children_inherit(_environment()):
        forkserver.ensure_running()


def _environment() -> dict[str, str]:
    """A worker's environment; PYTHONPATH as Python 3.11's forkserver ignores our sys.path."""
    environment = worker_environment()
    paths = [_ROOT, *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {
        "PYTHONPATH": os.pathsep.join(paths),
        # Asking CUDA whether it is there would open it, and what opened it cannot fork.
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
