"""spaces.yaml as a Hugging Face Space: checks it, and writes what the README says of it.

    python -m playground.space check    every problem as a sentence; exit 1 if there is one
    python -m playground.space sync     writes the README's front matter and its table of flags
    python -m playground.space deploy OWNER/NAME [--profile NAME] [--private] [--dry-run]
                                        creates the Space or brings it up to date; a dry run says
                                        what it would do

It knows the Hub's rules for a Space, and nothing of models or pages.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from huggingface_hub import SpaceHardware

from playground.environment import own_environment, prepare_environment
from playground.errors import InvalidInput, PlaygroundError
from playground.flags import flags_table, settings_from
from playground.spaces_yaml import DESCRIPTION, description, with_profile

README = DESCRIPTION.parent / "README.md"

COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
REQUIRED = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
            "app_file", "license")
# The keys that the Hub reads for a Gradio Space; it silently ignores every other.
KINDS: Mapping[str, type] = {
    "title": str, "emoji": str, "colorFrom": str, "colorTo": str, "sdk": str, "sdk_version": str,
    "python_version": str, "app_file": str, "license": str, "short_description": str,
    "header": str, "thumbnail": str, "base_path": str, "startup_duration_timeout": str,
    "fullWidth": bool, "pinned": bool, "disable_embedding": bool,
    "tags": list, "models": list, "datasets": list, "preload_from_hub": list,
}
SECTIONS = ("space", "profile", "profiles", "variables", "secrets", "volumes", "models", "encoders",
            "idle_seconds", "data", "api", "mcp", "limits", "remotes")
# What a profile may say; the last ones instead of, or beside, what is said for all.
OF_A_PROFILE = ("hardware", "sleep_time", "requirements", "models", "idle_seconds", "variables")


def problems(told: Mapping[str, Any]) -> list[str]:
    """What the Hub, or the app, would not take in this spaces.yaml; one sentence each."""
    found = [f"{key} is no part of spaces.yaml; it has {', '.join(SECTIONS)}."
             for key in told if key not in SECTIONS]
    found += [f"{key} is missing." for key in SECTIONS if key not in told and key != "remotes"]
    if not found:
        found += _space_problems(told["space"]) if isinstance(told["space"], Mapping) else [
            "space must hold keys and values."
        ]
        found += _runtime_problems(told)
        found += _profile_problems(told)
    return found


def _space_problems(space: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"space.{key} is missing." for key in REQUIRED if key not in space)
    for key, value in space.items():
        if key not in KINDS:
            yield f"space.{key} is no key that the Hub reads for a Gradio Space."
        elif type(value) is not KINDS[key]:
            yield f"space.{key} is {value!r}; it must be a {KINDS[key].__name__}."
    said = {key: value for key, value in space.items() if isinstance(value, str)}
    for key in ("colorFrom", "colorTo"):
        if key in said and said[key] not in COLOURS:
            yield f"space.{key} is {said[key]!r}; it can be {', '.join(COLOURS)}."
    if len(said.get("short_description", "")) > 60:
        yield f"space.short_description has {len(said['short_description'])} characters; 60 fit."
    if said.get("sdk", "gradio") != "gradio":
        yield f"space.sdk is {said['sdk']!r}; this app needs gradio."
    if not re.fullmatch(r"\d+\.\d+\.\d+", said.get("sdk_version", "6.0.0")):
        yield f"space.sdk_version is {said['sdk_version']!r}; it must be a full version."
    if not re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", said.get("python_version", "3.12")):
        yield f"space.python_version is {said['python_version']!r}; it must be 3.11 or newer."
    if said.get("header", "default") not in ("mini", "default"):
        yield f"space.header is {said['header']!r}; it can be mini or default."
    if "app_file" in said and not (DESCRIPTION.parent / said["app_file"]).is_file():
        yield f"space.app_file is {said['app_file']!r}, and there is no such file."


def _profile_problems(told: Mapping[str, Any]) -> Iterator[str]:
    profiles = told["profiles"]
    if not isinstance(profiles, Mapping) or told["profile"] not in profiles:
        yield f"profile is {told['profile']!r}, and profiles must hold one of that name."
        return
    hardware = [kind.value for kind in SpaceHardware]
    for name, own in profiles.items():
        if not isinstance(own, Mapping):
            yield f"profiles.{name} must hold keys and values."
            continue
        yield from (f"profiles.{name}.{key} is none of {', '.join(OF_A_PROFILE)}."
                    for key in own if key not in OF_A_PROFILE)
        if own.get("hardware") not in hardware:
            yield (f"profiles.{name}.hardware is {own.get('hardware')!r}; "
                   f"it can be {', '.join(hardware)}.")
        sleep = own.get("sleep_time")
        if type(sleep) is not int or (sleep < 60 and sleep != -1):
            yield (f"profiles.{name}.sleep_time is {sleep!r}; "
                   "it must be -1 (never) or at least 60 seconds.")
        pins = own.get("requirements", {})
        if not isinstance(pins, Mapping) or not all(isinstance(v, str) for v in pins.values()):
            yield f"profiles.{name}.requirements must be names with ranges of versions."


def _runtime_problems(told: Mapping[str, Any]) -> Iterator[str]:
    volumes = told["volumes"]
    keys = {"type", "source", "mount_path"}
    if not isinstance(volumes, list) or not all(
        isinstance(one, Mapping) and keys <= set(one) for one in volumes
    ):
        yield "volumes must be a list, each with type, source and mount_path."
    if not isinstance(told["data"], str) or not told["data"].startswith("/"):
        yield f"data is {told['data']!r}; it must be the full path at which a volume is mounted."
    variables, secrets = told["variables"], told["secrets"]
    if not isinstance(variables, Mapping) or not all(type(v) is str for v in variables.values()):
        yield "variables must be names with texts; put numbers and true or false in quotes."
        variables = {}
    if not isinstance(secrets, list) or not all(isinstance(name, str) for name in secrets):
        yield "secrets must be a list of names."
        secrets = []
    for name in (*variables, *secrets):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            yield f"{name!r} cannot be the name of an environment variable."
    for name in variables:
        if re.search(r"TOKEN|SECRET|PASSWORD|KEYS?$", str(name)):
            yield f"{name} looks like a secret, and variables are public; list it under secrets."


def front_matter(told: Mapping[str, Any]) -> str:
    """The YAML block that opens the README of a Space, with its two lines of dashes."""
    hardware = with_profile(told, told["profile"])["hardware"]
    space = {**told["space"], "suggested_hardware": hardware}
    return f"---\n{yaml.safe_dump(space, sort_keys=False, allow_unicode=True)}---\n"


_FLAGS = re.compile(r"(?<=<!-- flags -->\n).*?(?=<!-- end of flags -->)", re.DOTALL)


def with_description(readme: str, told: Mapping[str, Any]) -> str:
    """This README with its front matter and its table of flags as they should be."""
    body = re.sub(r"\A---\n.*?\n---\n", "", readme, count=1, flags=re.DOTALL)
    return _FLAGS.sub(lambda _: flags_table() + "\n", front_matter(told) + body)


def main(argv: Sequence[str]) -> int:
    """Do ``check``, ``sync`` or ``deploy``; 0 when all is well, 2 where nothing was understood."""
    if argv[:1] == ["deploy"]:
        return _deploy(argv[1:])
    if len(argv) != 1 or argv[0] not in ("check", "sync"):
        print(__doc__)
        return 2
    found = _wrong(sync=argv[0] == "sync")
    print("\n".join(found) or "spaces.yaml and README.md agree.")
    return 1 if found else 0


def _wrong(sync: bool = False) -> list[str]:
    """Every problem of this checkout in a sentence; a README that differs is none after a sync."""
    try:
        told = description()
        found = problems(told)
        if not found:
            settings_from((), {})
            for name in told["profiles"]:
                settings_from((), {"SPACE_ID": "owner/name", "PLAYGROUND_PROFILE": name})
    except InvalidInput as problem:
        found = [str(problem)]
    if not found:
        readme = README.read_text(encoding="utf-8")
        wanted = with_description(readme, told)
        if sync:
            README.write_text(wanted, encoding="utf-8")
        elif readme != wanted:
            found = ["README.md differs from spaces.yaml; run python -m playground.space sync."]
    return found


def _deploy(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m playground.space deploy", allow_abbrev=False)
    parser.add_argument("repo", metavar="OWNER/NAME", help="The Space.")
    parser.add_argument("--profile", help="A profile of spaces.yaml; else the one that it names.")
    parser.add_argument("--private", action="store_true", help="Where the Space is new.")
    parser.add_argument("--dry-run", action="store_true", help="Say what would be done.")
    try:
        flags = parser.parse_args(argv)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    prepare_environment()
    # Here, as the Hub's client is for those who deploy.
    from playground.deployment import deploy, deployment_of

    if found := _wrong():
        print("\n".join(found))
        return 1
    try:
        wanted = deployment_of(description(), flags.repo, flags.profile, DESCRIPTION.parent,
                               with_description)
        deploy(wanted, own_environment(), private=flags.private, dry=flags.dry_run, say=print)
    except PlaygroundError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
