"""spaces.yaml, which describes a deployment: read, for one profile of a Space, and word by word.

It knows what may stand under a name, and not what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import yaml

from playground.environment import is_on
from playground.errors import InvalidInput
from playground.settings import Limits, Mode

DESCRIPTION = Path(__file__).resolve().parent.parent / "spaces.yaml"


def description(path: Path = DESCRIPTION) -> Mapping[str, Any]:
    """spaces.yaml as a mapping. Raises InvalidInput when it is missing or is not one."""
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(
            f"{path.name} cannot be read: {error.strerror}.", field=path.name, given=str(path),
            advice="Start the app from a complete checkout.",
        ) from error
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path.name} is not YAML: {error}.", field=path.name) from error
    if not isinstance(told, Mapping):
        raise InvalidInput(f"{path.name} must hold keys and values.", field=path.name)
    return told


def profile_of(environ: Mapping[str, str]) -> str:
    """Which profile of spaces.yaml is that of the hardware that this Space is on.

    PLAYGROUND_PROFILE says it, else what the Hub tells a Space: SPACES_ZERO_GPU and ACCELERATOR.
    """
    if told := environ.get("PLAYGROUND_PROFILE", "").strip():
        return told
    if is_on(environ, "SPACES_ZERO_GPU"):
        return "zerogpu"
    accelerator = environ.get("ACCELERATOR", "").strip().lower()
    return "cpu" if accelerator in ("", "none") or accelerator.startswith("cpu") else "gpu"


def with_profile(described: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """spaces.yaml as it is for one profile: what that says stands before the rest. Raises
    InvalidInput where there is no such profile."""
    profiles = described.get("profiles")
    known = profiles if isinstance(profiles, Mapping) else {}
    if not isinstance(known.get(name), Mapping):
        raise InvalidInput(
            f"spaces.yaml has no profile {name!r}.", field="profile", given=name,
            allowed=", ".join(map(str, known)), advice="Name one of them, or add it.",
        )
    own = dict(known[name])
    if isinstance(own.get("variables"), Mapping) and isinstance(
        described.get("variables"), Mapping
    ):
        own["variables"] = {**described["variables"], **own["variables"]}
    return {**described, **own, "profile": name}


def switch(described: Mapping[str, Any], name: str) -> bool:
    """A word of spaces.yaml that is true or false; one that is not there is false."""
    given = described.get(name, False)
    if not isinstance(given, bool):
        raise InvalidInput(f"{name} in spaces.yaml is {given!r}; it must be true or false.",
                           field=name, given=given, allowed="true or false")
    return given


def repos(described: Mapping[str, Any], name: str, least: int) -> tuple[str, ...]:
    """The models under a name, at least so many."""
    told = described.get(name, None if least else [])
    whole = isinstance(told, list) and all(isinstance(one, str) and one for one in told)
    if not isinstance(told, list) or not whole or len(told) < least:
        some = " of at least one model" if least else ", which may be empty"
        raise InvalidInput(f"{name} in spaces.yaml must be a list{some}.", field=name, given=told)
    return tuple(told)


def limits(described: Mapping[str, Any], mode: Mode) -> Limits:
    """What visitors may ask for in this mode."""
    told = described.get("limits")
    if not isinstance(told, Mapping) or set(told) != set(get_args(Mode)):
        raise InvalidInput("limits in spaces.yaml must have the entries local, shared and space.",
                           field="limits", given=told)
    names = {one.name for one in fields(Limits)}
    if not isinstance(told[mode], Mapping) or set(told[mode]) != names:
        allowed = ", ".join(sorted(names))
        raise InvalidInput(f"limits.{mode} in spaces.yaml must name exactly {allowed}.",
                           field="limits", given=told[mode], allowed=allowed)
    return Limits(**told[mode])
