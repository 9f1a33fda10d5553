"""Documents that cannot lie: their code runs, their links lead somewhere, their command is CI's."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.flags import flags_table
from tests.api_server import free_port

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {name: (ROOT / name).read_text(encoding="utf-8")
             for name in ("README.md", "CONTRIBUTING.md")}
BLOCKS = [pytest.param(block, id=f"{name}-{number}") for name, text in DOCUMENTS.items()
          for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))]


# Where a block asks an app that runs; here one of the test's own answers instead.
APP = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app, started as the README says."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    app = subprocess.Popen(
        [sys.executable, "-u", ROOT / "app.py", "--port", str(port)], stdout=subprocess.PIPE,
        env={"HOME": str(home), "PATH": os.environ["PATH"]}, cwd=home, text=True,
        start_new_session=True,
        # Where these tests run in the background, Ctrl+C is ignored, and by every child too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        assert app.stdout is not None
        assert app.stdout.readline().startswith("Open http")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(app.pid, signal.SIGINT)
        app.communicate(timeout=60)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs(
    block: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if APP in block:
        block = block.replace(APP, request.getfixturevalue("running"))
    script = tmp_path / "block.py"
    script.write_text(block, encoding="utf-8")
    told = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}, check=False)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_and_picture_is_there(name: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", DOCUMENTS[name])
    assert targets
    missing = [target for target in targets
               if not target.startswith("https://") and not (ROOT / target).exists()]
    assert not missing


def test_the_flags_are_those_of_the_app() -> None:
    assert f"<!-- flags -->\n{flags_table()}\n<!-- end of flags -->" in DOCUMENTS["README.md"]
    script = [sys.executable, str(ROOT / "app.py"), "--help"]
    told = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    named = re.findall(r"^\| `(--[a-z-]+)", DOCUMENTS["README.md"], re.M)
    assert named and all(flag in told for flag in named)


def _house() -> dict[str, str]:
    """Path to phrase, from the tree in the README: two spaces a level, a folder ends with ``/``."""
    block = re.search(r"<!-- the house -->\n```\n(.*?)```", DOCUMENTS["README.md"], re.S)
    assert block
    told, folders = {}, [""]
    for line in block[1].splitlines():
        indent, name, phrase = re.fullmatch(r"( *)(\S+)\s*(.*)", line).groups()  # type: ignore[union-attr]
        level = len(indent) // 2
        path = folders[level] + name
        folders[level + 1:] = [path] if name.endswith("/") else []
        assert path not in told, f"{path} is drawn twice"
        told[path] = phrase
    return told


def test_the_house_is_as_it_is_drawn() -> None:
    house = _house()
    assert not [path for path in house if not (ROOT / path).exists()], "drawn, and not there"
    assert not [path for path, phrase in house.items() if not phrase], "without a phrase"
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "playground").rglob("*.py")
               if path.name != "__init__.py" and "builtin" not in path.parts}
    assert not sorted(modules - house.keys()), "there, and not drawn"


def test_ci_runs_the_test_command_that_the_reader_is_given() -> None:
    """.ci/run takes the first line with pytest below the marker; so does this."""
    readme = DOCUMENTS["README.md"]
    lines = readme.partition("<!-- the test command -->")[2].splitlines()
    command = next(line for line in lines if "pytest" in line)
    assert command == 'pip install -e ".[test]" && python -m pytest'
    assert readme.count("<!-- the test command -->") == 1
    assert "<!-- the test command -->" in (ROOT / ".ci" / "run").read_text()
