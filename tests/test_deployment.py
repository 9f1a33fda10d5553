"""A Space becomes what the checkout says: created, brought up to date, and nothing in a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import HfApi
from packaging.requirements import Requirement

from playground import deployment, space
from playground.deployment import Deployment, deploy, deployment_of
from playground.errors import HubProblem, InvalidInput
from playground.flags import settings_from
from playground.space import problems, with_description
from playground.spaces_yaml import description, profile_of
from tests.space_stand_in import Spaces, space_stand_in


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spaces]:
    monkeypatch.setattr(deployment, "get_token", lambda: "hf_of_a_test")
    with space_stand_in() as running:
        yield running


def _wanted(root: Path, profile: str | None = None, **changes: Any) -> Deployment:
    return deployment_of({**description(), **changes}, "me/playground", profile, root,
                         with_description)


def _deploy(hub: Spaces, wanted: Deployment, environ: dict[str, str] | None = None,
            **how: Any) -> list[str]:
    said: list[str] = []
    api = HfApi(endpoint=hub.url, token="hf_of_a_test")
    deploy(wanted, environ or {}, say=said.append, api=api, **how)
    return said


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(hub: Spaces, root: Path) -> None:
    said = _deploy(hub, _wanted(root), dry=True)
    assert hub.changes == [] and hub.spaces == {}
    assert [line.split()[:2] for line in said] == [["would", "create"], ["would", "upload"]]


def test_a_new_space_has_every_file_that_the_app_needs_and_no_other(
    hub: Spaces, root: Path
) -> None:
    _deploy(hub, _wanted(root))
    made = hub.spaces["me/playground"]
    assert hub.changes == ["create me/playground", "commit"]
    assert made["runtime"]["hardware"]["current"] == "cpu-basic"
    assert made["variables"] == description()["variables"]
    files = made["files"]
    package = {p.relative_to(root).as_posix() for p in (root / "playground").rglob("*.py")}
    assert {"app.py", "requirements.txt", "spaces.yaml", "README.md", *package} <= set(files)
    assert any(name.endswith(".safetensors") for name in files)
    for name in files:
        assert not name.startswith(("tests/", "benchmarks/")) and "__pycache__" not in name
    assert files["app.py"] == (root / "app.py").read_bytes()


@pytest.mark.parametrize(("profile", "hardware"), [
    ("cpu", "cpu-basic"), ("gpu", "t4-small"), ("zerogpu", "zero-a10g"),
])
def test_each_profile_is_a_space_that_the_app_can_start_on(
    root: Path, profile: str, hardware: str
) -> None:
    wanted = _wanted(root, profile)
    assert wanted.hardware == hardware
    told = yaml.safe_load(wanted.files["spaces.yaml"])
    assert told["profile"] == profile and problems(told) == []
    block = yaml.safe_load(wanted.files["README.md"].decode().split("---\n")[1])
    assert block["suggested_hardware"] == hardware
    settings = settings_from([], {"SPACE_ID": "me/playground", **wanted.variables})
    assert settings.models == tuple(told["profiles"][profile].get("models") or told["models"])
    lines = wanted.files["requirements.txt"].decode().splitlines()
    torch = next(Requirement(line) for line in lines if line.startswith("torch"))
    assert torch.specifier.contains("2.11.0")
    assert torch.specifier.contains("2.13.0") == (profile != "zerogpu")


@pytest.mark.parametrize(("environ", "profile"), [
    ({}, "cpu"),
    ({"ACCELERATOR": "none"}, "cpu"),
    ({"ACCELERATOR": "t4-small"}, "gpu"),
    ({"ACCELERATOR": "none", "SPACES_ZERO_GPU": "true"}, "zerogpu"),
    ({"ACCELERATOR": "t4-small", "PLAYGROUND_PROFILE": "cpu"}, "cpu"),
])
def test_a_duplicated_space_takes_the_profile_of_its_hardware(
    environ: dict[str, str], profile: str
) -> None:
    assert profile_of(environ) == profile
    told = description()
    expected = told["profiles"][profile].get("models") or told["models"]
    assert settings_from([], {"SPACE_ID": "a/b", **environ}).models == tuple(expected)


def test_off_a_space_no_profile_applies() -> None:
    told = description()
    settings = settings_from([], {"ACCELERATOR": "t4-small", "PLAYGROUND_PROFILE": "gpu"})
    assert settings.models == tuple(told["models"])


def test_an_update_changes_what_differs_and_removes_what_is_gone(hub: Spaces, root: Path) -> None:
    _deploy(hub, _wanted(root))
    made = hub.spaces["me/playground"]
    made["files"] |= {"playground/gone.py": b"", "notes-of-the-owner.md": b"mine"}
    made["variables"]["GRADIO_SSR_MODE"] = "true"
    hub.changes.clear()
    said = _deploy(hub, _wanted(root, "gpu"))
    assert hub.changes == ["variables", "variables", "hardware", "commit"]
    assert made["variables"] == {"GRADIO_SSR_MODE": "false", "PLAYGROUND_PROFILE": "gpu"}
    assert made["runtime"]["hardware"]["current"] == "t4-small"
    assert made["runtime"]["gcTimeout"] == 3600
    assert "playground/gone.py" not in made["files"]
    assert made["files"]["notes-of-the-owner.md"] == b"mine"
    assert any("from cpu-basic to t4-small" in line for line in said)


def test_secrets_come_from_the_environment_and_are_never_said(hub: Spaces, root: Path) -> None:
    wanted = _wanted(root, secrets=["HF_TOKEN"])
    with pytest.raises(InvalidInput, match="HF_TOKEN"):
        _deploy(hub, wanted)
    assert hub.changes == []
    said = _deploy(hub, wanted, {"HF_TOKEN": "hf_very_secret"})
    assert hub.spaces["me/playground"]["secrets"] == {"HF_TOKEN": "hf_very_secret"}
    assert "hf_very_secret" not in " ".join(said) + repr(wanted)
    _deploy(hub, wanted)  # set there already


def test_what_the_hub_refuses_is_a_sentence(
    hub: Spaces, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.refuses = "/api/repos/create"
    with pytest.raises(HubProblem, match="You cannot write here"):
        _deploy(hub, _wanted(root))
    monkeypatch.setattr(deployment, "get_token", lambda: None)
    with pytest.raises(HubProblem, match="who you are"):
        _deploy(hub, _wanted(root))


@pytest.mark.parametrize("name", ["playground", "a/b/c", "../x", "me/", ""])
def test_a_space_has_an_owner_and_a_name(root: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="owner"):
        deployment_of(description(), name, None, root, with_description)


def test_an_unknown_profile_and_an_unknown_package_are_refused(root: Path) -> None:
    with pytest.raises(InvalidInput, match="tpu"):
        _wanted(root, "tpu")
    profiles = {"cpu": {**description()["profiles"]["cpu"], "requirements": {"jax": ">=1"}}}
    with pytest.raises(InvalidInput, match="jax"):
        _wanted(root, profiles=profiles)


def test_the_command_says_what_is_wrong_and_deploys_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert space.main(["deploy", "nobody", "--dry-run"]) == 1
    assert "owner" in capsys.readouterr().out
    assert space.main(["deploy"]) == 2
