"""spaces.yaml as a Hugging Face Space: checks it, and writes what the README says of it.

    python -m playground.space check    every problem as a sentence; exit 1 if there is one
    python -m playground.space sync     writes the README's front matter and its table of flags

It knows the Hub's rules for a Space, and nothing of models or pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from huggingface_hub import SpaceHardware

from playground.errors import InvalidInput
from playground.settings import DESCRIPTION, description, flags_table, settings_from

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
SECTIONS = ("space", "hardware", "sleep_time", "variables", "secrets", "models", "idle_seconds",
            "data", "limits")


def problems(told: Mapping[str, Any]) -> list[str]:
    """What the Hub, or the app, would not take in this spaces.yaml; one sentence each."""
    found = [f"{key} is no part of spaces.yaml; it has {', '.join(SECTIONS)}."
             for key in told if key not in SECTIONS]
    found += [f"{key} is missing." for key in SECTIONS if key not in told]
    if not found:
        found += _space_problems(told["space"]) if isinstance(told["space"], Mapping) else [
            "space must hold keys and values."
        ]
        found += _runtime_problems(told)
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


def _runtime_problems(told: Mapping[str, Any]) -> Iterator[str]:
    hardware = [kind.value for kind in SpaceHardware]
    if told["hardware"] not in hardware:
        yield f"hardware is {told['hardware']!r}; it can be {', '.join(hardware)}."
    sleep = told["sleep_time"]
    if type(sleep) is not int or (sleep < 60 and sleep != -1):
        yield f"sleep_time is {sleep!r}; it must be -1 (never) or at least 60 seconds."
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
        if re.search(r"TOKEN|SECRET|PASSWORD", str(name)):
            yield f"{name} looks like a secret, and variables are public; list it under secrets."


def front_matter(told: Mapping[str, Any]) -> str:
    """The YAML block that opens the README of a Space, with its two lines of dashes."""
    space = {**told["space"], "suggested_hardware": told["hardware"]}
    return f"---\n{yaml.safe_dump(space, sort_keys=False, allow_unicode=True)}---\n"


_FLAGS = re.compile(r"(?<=<!-- flags -->\n).*?(?=<!-- end of flags -->)", re.DOTALL)


def with_description(readme: str, told: Mapping[str, Any]) -> str:
    """This README with its front matter and its table of flags as they should be."""
    body = re.sub(r"\A---\n.*?\n---\n", "", readme, count=1, flags=re.DOTALL)
    return _FLAGS.sub(lambda _: flags_table() + "\n", front_matter(told) + body)


def main(argv: Sequence[str]) -> int:
    """Do ``check`` or ``sync``; 0 when all is well."""
    if len(argv) != 1 or argv[0] not in ("check", "sync"):
        print(__doc__)
        return 2
    try:
        told = description()
        found = problems(told)
        if not found:
            settings_from((), {})
    except InvalidInput as problem:
        found = [str(problem)]
    if not found:
        readme = README.read_text(encoding="utf-8")
        wanted = with_description(readme, told)
        if argv[0] == "sync":
            README.write_text(wanted, encoding="utf-8")
        elif readme != wanted:
            found = ["README.md differs from spaces.yaml; run python -m playground.space sync."]
    print("\n".join(found) or "spaces.yaml and README.md agree.")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
