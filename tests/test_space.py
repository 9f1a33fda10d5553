"""The one description of a deployment: it is right, the README repeats it, errors are told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from playground import space
from playground.flags import settings_from
from playground.space import front_matter, problems, with_description
from playground.spaces_yaml import description


def test_spaces_yaml_is_taken_by_the_hub() -> None:
    assert problems(description()) == []


def test_the_readme_repeats_spaces_yaml(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    block = yaml.safe_load(readme.split("---\n")[1])
    told = description()
    hardware = told["profiles"][told["profile"]]["hardware"]
    assert block == {**told["space"], "suggested_hardware": hardware}
    assert readme == with_description(readme, told), "run python -m playground.space sync"


def test_syncing_twice_changes_nothing_and_keeps_the_text() -> None:
    told = description()
    readme = "# Title\n\n---\n\n<!-- flags -->\nstale\n<!-- end of flags -->\nthe end\n"
    once = with_description(readme, told)
    assert with_description(once, told) == once
    assert once.startswith(front_matter(told)) and once.endswith("the end\n")
    assert "stale" not in once and "`--port NUMBER`" in once and "# Title\n\n---\n" in once


def _space(**changes: Any) -> dict[str, Any]:
    told = dict(description())
    return {**told, "space": {**told["space"], **changes}}


def _profile(**changes: Any) -> dict[str, Any]:
    told = dict(description())
    return {**told, "profiles": {**told["profiles"], "cpu": {**told["profiles"]["cpu"], **changes}}}


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (_space(colorFrom="slate"), "colorFrom"),
        (_space(colorTo=None), "colorTo"),
        (_space(short_description="x" * 61), "61 characters"),
        (_space(sdk="streamlit"), "streamlit"),
        (_space(sdk_version="6.31"), "sdk_version"),
        (_space(sdk_version=6.31), "sdk_version"),
        (_space(python_version=3.12), "python_version"),
        (_space(python_version="3.10"), "3.11"),
        (_space(app_file="main.py"), "main.py"),
        (_space(hardware="cpu-basic"), "space.hardware"),
        (_space(fullWidth="yes"), "fullWidth"),
        ({**description(), "data": "here"}, "data"),
        ({**description(), "data": 5}, "data"),
        (_space(header="tiny"), "header"),
        (_profile(hardware="h200"), "h200"),
        (_profile(sleep_time=5), "sleep_time"),
        (_profile(colour="red"), "colour"),
        (_profile(requirements={"torch": 2}), "requirements"),
        ({**description(), "profile": "tpu"}, "tpu"),
        ({**description(), "volumes": [{"type": "bucket"}]}, "mount_path"),
        ({**description(), "variables": {"GRADIO_SSR_MODE": False}}, "variables"),
        ({**description(), "variables": {"HF_TOKEN": "x"}}, "secret"),
        ({**description(), "secrets": {"HF_TOKEN": "x"}}, "secrets"),
        ({**description(), "secrets": ["no name"]}, "no name"),
        ({**description(), "space": []}, "space"),
        ({**description(), "colour": "red"}, "colour"),
        ({key: value for key, value in description().items() if key != "models"}, "models"),
    ],
)
def test_what_the_hub_would_not_take_is_told(broken: dict[str, Any], word: str) -> None:
    assert any(word in sentence for sentence in problems(broken))


def test_check_fails_when_the_readme_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    monkeypatch.setattr(space, "README", readme)
    assert space.main(["check"]) == 1 and "sync" in capsys.readouterr().out
    assert space.main(["sync"]) == 0
    assert space.main(["check"]) == 0
    assert space.main(["deploy"]) == 2


def test_a_space_gets_versions_that_the_requirements_allow(root: Path) -> None:
    lines = (root / "requirements.txt").read_text().splitlines()
    asked = {one.name: one for one in map(Requirement, (x for x in lines if x and x[0] != "#"))}
    told = description()["space"]
    assert asked["gradio"].specifier.contains(told["sdk_version"])
    for zero_gpu in ("2.8.0", "2.9.1", "2.10.0", "2.11.0"):
        assert asked["torch"].specifier.contains(zero_gpu)
    assert "spaces" not in asked, "ZeroGPU brings its own"
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(
        told["python_version"])


def test_what_a_space_offers_is_built_in() -> None:
    """A Space must not depend on a download to show its first page."""
    offered = settings_from([], {"SPACE_ID": "owner/name"}).models
    assert offered and all(repo.startswith("builtin/") for repo in offered)
