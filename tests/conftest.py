"""What holds for every test: no telemetry, one thread for torch, nobody's Hub cache or records."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

_HOME = tempfile.TemporaryDirectory(prefix="playground-tests-")

# Set before any test module imports torch, gradio or huggingface_hub, which read them once.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_TEMP_DIR=f"{_HOME.name}/gradio",
    HF_HOME=f"{_HOME.name}/huggingface",
    HF_HUB_DISABLE_TELEMETRY="1",
    XDG_DATA_HOME=f"{_HOME.name}/data",
)
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "SPACE_ID",
             "PLAYGROUND_DATA", "HF_HUB_OFFLINE"):
    os.environ.pop(name, None)

# A slow machine is no fault of what is tested; the rest is as the machine's own profile says.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--screenshots DIR`` keeps a picture of every view that the browser tests visit.

    ``--app-url URL`` drives an app that already runs, instead of starting one.
    ``--models-on DEVICE`` tries the laws of decoding there: see ``tests/on_device.py``.
    """
    parser.addoption("--screenshots", metavar="DIR", default=None,
                     help="keep pictures of the page in this folder")
    parser.addoption("--app-url", metavar="URL", default=None,
                     help="drive this app in the browser tests instead of starting one")
    parser.addoption("--models-on", metavar="DEVICE", default=None,
                     help="make the models of the decoding tests on this device")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module takes a model maker by its name."""
    if device := config.getoption("--models-on"):
        from tests.on_device import use

        use(device)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes share the whole suite; what a person picks runs in this one, at once."""
    picked = (config.args_source is not pytest.Config.ArgsSource.TESTPATHS
              or config.option.keyword
              or config.option.markexpr not in config.getini("addopts")
              or config.getoption("lf", False) or config.getoption("failedfirst", False))
    return 0 if picked else min(2, os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The journeys come last: Playwright's event loop stays in this thread once it has begun, and
    whoever calls ``asyncio.run`` after it is refused. The longest files of both come first, so
    that no process waits at the end for another that has just begun one."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.parent.name == "browser", -tests[item.path], item.path))


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page tells what there is at once, without the pauses that a browser needs."""
    monkeypatch.setattr("playground.ui.streaming.FLUSH_SECONDS", 0.0)
