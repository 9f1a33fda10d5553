"""A checkout on its way to a Hugging Face Space: what it should be there, and the calls that make
it so; it knows the Hub's client, and nothing of models or pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    Volume,
    get_token,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from playground.errors import HubProblem, InvalidInput
from playground.spaces_yaml import with_profile

# What a Space needs of a checkout; the rest (tests, benchmarks) stays at home.
FILES = ("app.py", "requirements.txt", "spaces.yaml", "README.md", "LICENSE", "docs/*.png",
         "playground/**/*")
_LEFT_OUT = re.compile(r"(^|/)(__pycache__|\.[^/]*)(/|$)|\.pyi$|\.pyc$")
MESSAGE = "The playground as it is in its repository"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Space as it should be; ``files`` are paths in it with their content."""

    repo: str
    profile: str
    hardware: str
    sleep_time: int
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    volumes: tuple[Mapping[str, str], ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Now:
    """A Space as it is."""

    files: frozenset[str]
    variables: Mapping[str, str]
    secrets: frozenset[str]
    hardware: str
    sleep_time: int | None


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing to do, in words and as a call."""

    words: str
    do: Callable[[], object]


def deployment_of(
    told: Mapping[str, Any], repo: str, profile: str | None, root: Path,
    with_description: Callable[[str, Mapping[str, Any]], str],
) -> Deployment:
    """The Space that a checkout at ``root`` describes; ``told`` is its spaces.yaml, checked.

    Its README and its requirements are those of the profile. Raises InvalidInput.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if repo.count("/") != 1:
        raise InvalidInput(
            "A Space is named by its owner and its name.", field="OWNER/NAME", given=repo,
            allowed="owner/name",
        )
    name = profile or told["profile"]
    own = with_profile(told, name)
    files = dict(_files(root))
    described = {**told, "profile": name}
    files["spaces.yaml"] = _with_profile_named(files["spaces.yaml"].decode(), name).encode()
    files["README.md"] = with_description(files["README.md"].decode(), described).encode()
    files["requirements.txt"] = _pinned(
        files["requirements.txt"].decode(), own.get("requirements") or {}
    ).encode()
    return Deployment(
        repo, name, own["hardware"], own["sleep_time"],
        {**own["variables"], "PLAYGROUND_PROFILE": name} if profile else dict(own["variables"]),
        tuple(own["secrets"]), tuple(own["volumes"]), files,
    )


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for pattern in FILES:
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not _LEFT_OUT.search(name):
                yield name, path.read_bytes()


def _with_profile_named(text: str, name: str) -> str:
    """spaces.yaml, its comments kept, with another ``profile``."""
    changed = re.sub(r"(?m)^profile:.*$", f"profile: {name}", text, count=1)
    assert yaml.safe_load(changed)["profile"] == name
    return changed


def _pinned(requirements: str, pins: Mapping[str, str]) -> str:
    """requirements.txt with other ranges for some packages. Raises InvalidInput for one that is
    not there."""
    for package, versions in pins.items():
        line = re.compile(rf"(?m)^{re.escape(package)}[<>=!~].*$")
        if not line.search(requirements):
            raise InvalidInput(
                f"The profile gives a range for {package}, and requirements.txt has no such line.",
                field="requirements", given=package,
            )
        requirements = line.sub(f"{package}{versions}", requirements)
    return requirements


def deploy(
    wanted: Deployment, environ: Mapping[str, str], *, private: bool = False, dry: bool = False,
    say: Callable[[str], object] = print, api: HfApi | None = None,
) -> None:
    """Create the Space or bring it up to date, and say each step; a ``dry`` one only says them.

    The values of its secrets come from ``environ``; one that is already set may be missing there.
    Raises InvalidInput for one that is nowhere, and HubProblem for what the Hub refuses.
    """
    client = api or HfApi()
    if not dry and not get_token():
        raise HubProblem("To deploy, the Hub must know who you are.",
                         advice="Run `hf auth login`, or set HF_TOKEN.")
    try:
        now = _now(client, wanted.repo)
        for step in list(_steps(client, wanted, now, environ, private)):
            say(("would " if dry else "") + step.words)
            if not dry:
                step.do()
    except HfHubHTTPError as error:
        raise HubProblem(
            f"The Hub refused: {_first_line(error)}", field="OWNER/NAME", given=wanted.repo,
            advice="See whether your token may write to this Space, then run it again; what is "
            "done already stays done.",
        ) from None
    except OSError as error:
        raise HubProblem(f"The Hub cannot be reached ({type(error).__name__}).",
                         advice="Run it again when it can.") from None
    if not dry:
        say(f"https://huggingface.co/spaces/{wanted.repo}")


def _first_line(error: HfHubHTTPError) -> str:
    said = error.server_message or str(error)
    return (said.strip().splitlines() or ["no reason was given"])[0][:200]


def _now(api: HfApi, repo: str) -> _Now | None:
    """The Space as the Hub tells it; None where there is none."""
    try:
        files = frozenset(api.list_repo_files(repo, repo_type="space"))
    except RepositoryNotFoundError:
        return None
    runtime = api.get_space_runtime(repo)
    variables = {name: one.value for name, one in api.get_space_variables(repo).items()}
    return _Now(
        files, variables, frozenset(api.get_space_secrets(repo)),
        str(getattr(runtime, "requested_hardware", None) or runtime.hardware or ""),
        runtime.sleep_time,
    )


def _steps(
    api: HfApi, wanted: Deployment, now: _Now | None, environ: Mapping[str, str], private: bool
) -> Iterator[_Step]:
    """What must be done, in an order in which the Space never runs without what it needs."""
    repo = wanted.repo
    secrets = {name: environ[name] for name in wanted.secrets if environ.get(name)}
    there = now.secrets if now else frozenset()
    for name in wanted.secrets:
        if name not in secrets and name not in there:
            raise InvalidInput(
                f"The secret {name} is wanted, and neither this environment nor the Space has it.",
                field=name, advice=f"Set {name} here, or in the settings of the Space.",
            )
    volumes = [Volume(**one) for one in wanted.volumes]
    if now is None:
        yield _Step(
            f"create {repo} on {wanted.hardware}" + (", private" if private else ""),
            lambda: api.create_repo(
                repo, repo_type="space", space_sdk="gradio", private=private or None,
                space_hardware=wanted.hardware,  # type: ignore[arg-type]
                space_sleep_time=_sleep(wanted), space_volumes=volumes or None,
                space_variables=[{"key": k, "value": v} for k, v in wanted.variables.items()],
                space_secrets=[{"key": k, "value": v} for k, v in secrets.items()],
            ),
        )
    else:
        yield from _changes(api, wanted, now, secrets, volumes)
    yield from _upload(api, wanted, now)


def _changes(
    api: HfApi, wanted: Deployment, now: _Now, secrets: Mapping[str, str], volumes: list[Volume]
) -> Iterator[_Step]:
    repo = wanted.repo
    for name, value in wanted.variables.items():
        if now.variables.get(name) != value:
            yield _Step(f"set the variable {name}",
                        lambda name=name, value=value: api.add_space_variable(repo, name, value))
    for name, value in secrets.items():
        yield _Step(f"set the secret {name}",
                    lambda name=name, value=value: api.add_space_secret(repo, name, value))
    if volumes:
        yield _Step(f"mount {len(volumes)} volumes", lambda: api.set_space_volumes(repo, volumes))
    if now.hardware != wanted.hardware:
        yield _Step(
            f"move it from {now.hardware or 'no hardware'} to {wanted.hardware}",
            lambda: api.request_space_hardware(
                repo, wanted.hardware, sleep_time=_sleep(wanted)  # type: ignore[arg-type]
            ),
        )
    elif _sleep(wanted) is not None and now.sleep_time != wanted.sleep_time:
        yield _Step(f"let it sleep after {wanted.sleep_time} s",
                    lambda: api.set_space_sleep_time(repo, wanted.sleep_time))


def _sleep(wanted: Deployment) -> int | None:
    """The free hardware sleeps when it wants to; the Hub refuses another time for it."""
    return None if wanted.hardware in ("cpu-basic", "zero-a10g") else wanted.sleep_time


def _upload(api: HfApi, wanted: Deployment, now: _Now | None) -> Iterator[_Step]:
    """One commit with every file, and without those of the package that are no more."""
    gone = sorted(
        name for name in (now.files if now else ())
        if name.startswith("playground/") and name not in wanted.files
    )
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, content) for name, content in wanted.files.items()
    ]
    operations += [CommitOperationDelete(name) for name in gone]
    size = sum(map(len, wanted.files.values())) / 1e6
    removed = f", remove {len(gone)}" if gone else ""
    yield _Step(
        f"upload {len(wanted.files)} files ({size:.1f} MB){removed}",
        lambda: api.create_commit(
            wanted.repo, operations, commit_message=MESSAGE, repo_type="space"
        ),
    )
