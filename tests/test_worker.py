"""What a worker process is: seen from outside, in an app of its own that is killed at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tiny_models import save

# An app that runs one prompt, then an unending one, and tells what a test cannot see from outside.
APP = """
import sys
print("imported as", __name__, flush=True)
import json
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    from playground.core.decoding import Decoding
    from playground.core.events import Step
    from playground.core.prompt import Raw
    from playground.core.run import ModelSpec, Run
    from playground.engine.engine import Engine
    from playground.settings import Settings

    engine = Engine(Settings(models=(sys.argv[2],)))
    spec = ModelSpec(sys.argv[2])
    kinds = [type(event).__name__ for event in engine.run(Run(spec, Raw("Once upon a time")))]
    worker = engine._manager._entries[spec].resident.worker
    torch = [name for name in ("torch", "transformers", "gradio") if name in sys.modules]
    told = {"last": kinds[-1], "pid": worker.pid, "heavy": torch}
    print("TOLD", json.dumps(told), flush=True)
    long = Decoding(max_new_tokens=4000, min_new_tokens=4000, candidates=1)
    steps = 0
    while True:
        for event in engine.run(Run(spec, Raw("Once upon a time"), long)):
            steps += isinstance(event, Step)
            if steps == 5:
                print("RUNNING", flush=True)
"""


@dataclass(frozen=True)
class App:
    """A running app: its process, what it told, and all that it has printed until then."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    printed: str


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[App]:
    """The app, started from another folder with a token in its environment."""
    room = tmp_path_factory.mktemp("app")
    folder = save(room / "model", max_position_embeddings=8192)
    (room / "app.py").write_text(APP)
    process = subprocess.Popen(
        [sys.executable, str(room / "app.py"), str(root), str(folder)], cwd=room, text=True,
        stdout=subprocess.PIPE, env=os.environ | {"HF_TOKEN": "hf_of_a_test", "MY_SECRET": "x"},
    )
    printed = []
    assert process.stdout
    for line in process.stdout:
        printed.append(line)
        if line.startswith("RUNNING"):
            break
    told = next(line for line in printed if line.startswith("TOLD"))
    yield App(process, json.loads(told.removeprefix("TOLD")), "".join(printed))
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_app_process_has_no_torch(app: App) -> None:
    """It has built an engine and run a prompt."""
    assert app.told["last"] == "Finished"
    assert app.told["heavy"] == []


def test_a_worker_has_no_token(app: App) -> None:
    environment = psutil.Process(app.told["pid"]).environ()
    assert "PATH" in environment, "the environment can be read"
    assert not {"HF_TOKEN", "MY_SECRET"} & set(environment)
    assert "hf_of_a_test" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_a_worker_is_forked_from_what_has_torch_already(app: App) -> None:
    """Python 3.11's forkserver skips what it cannot import in silence, and each load takes long."""
    worker = psutil.Process(app.told["pid"])
    parent = worker.parent()
    assert parent and parent.pid != app.process.pid
    assert any("torch" in row.path for row in parent.memory_maps())


def test_a_worker_does_not_import_the_app_again(app: App) -> None:
    """multiprocessing imports the main module in every child, with the page and all it needs."""
    assert "imported as __main__" in app.printed
    assert "__mp_main__" not in app.printed


def test_when_memory_ends_linux_ends_a_worker_and_not_the_app(app: App) -> None:
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text())
              for pid in (app.told["pid"], app.process.pid)]
    assert scores[0] > scores[1]


def test_ctrl_c_is_for_the_app_and_not_for_its_workers(app: App) -> None:
    os.kill(app.told["pid"], signal.SIGINT)
    time.sleep(0.5)
    assert psutil.pid_exists(app.told["pid"])


def test_a_worker_dies_with_its_parent(app: App) -> None:
    """Last in this file: the app is killed in the middle of a run, and cannot tell its worker."""
    family = psutil.Process(app.process.pid).children(recursive=True)
    assert app.told["pid"] in [process.pid for process in family]
    app.process.kill()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive, "a worker, or what forks workers, has outlived the app"
