"""The command line: its flags, and what they, the environment and spaces.yaml come to.

It draws no page and starts nothing.
"""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from playground.core.remote import Remote, remote_from
from playground.environment import is_on, own_environment
from playground.errors import InvalidInput
from playground.settings import EVERYWHERE, LOOPBACK, Mode, Settings
from playground.spaces_yaml import (
    DESCRIPTION,
    description,
    limits,
    profile_of,
    repos,
    switch,
    with_profile,
)

APP_FOLDER = "token-by-token"


@dataclass(frozen=True, slots=True)
class Flag:
    """One command-line flag: what the parser, ``--help`` and the README's table are made from."""

    name: str
    help: str
    metavar: str = ""
    default: str = ""
    variable: str = ""
    repeats: bool = False


FLAGS = (
    Flag("--host", "Address to listen on. Any but this machine's own needs --password or --public.",
         "ADDRESS", LOOPBACK, "GRADIO_SERVER_NAME"),
    Flag("--port", "Port to listen on.", "NUMBER", "7860", "GRADIO_SERVER_PORT"),
    Flag("--share", "Open a temporary public link through Gradio's server, behind a password.",
         variable="GRADIO_SHARE"),
    Flag("--user", "Name that visitors log in with, together with the password.", "NAME", "guest"),
    Flag("--password", "Password that the page asks for. --share makes one up and prints it once.",
         "WORD", variable="PLAYGROUND_PASSWORD"),
    Flag("--public", "Let everybody in without a password."),
    Flag("--model", "Offer this Hub id or folder, before those of spaces.yaml; an encoder in the "
         "Inside tab. May be repeated.", "ID", repeats=True),
    Flag("--remote", "Offer the models of this OpenAI-compatible server (vLLM, SGLang, llama.cpp), "
         "as NAME=URL or URL. May be repeated. Its token: PLAYGROUND_REMOTE_TOKEN_NAME.",
         "URL", repeats=True),
    Flag("--device", "Where models run: auto, cpu, mps, cuda or cuda:1.", "NAME", "auto"),
    Flag("--memory", "Most memory that loaded models may take together, such as 8GB.",
         "SIZE", "what is free"),
    Flag("--idle-minutes", "Unload a model that nobody has used for this long.", "NUMBER",
         "from spaces.yaml"),
    Flag("--offline", "Ask the Hub for nothing: only the built-in models and what is on this "
         "machine already can be used.", variable="HF_HUB_OFFLINE"),
    Flag("--data", "Folder in which runs are kept. Without one, in public they are kept for the "
         "visit, or in the volume that spaces.yaml names.", "FOLDER", "the user's data folder",
         "PLAYGROUND_DATA"),
    Flag("--api", "Serve the OpenAI-compatible API in public too; on this machine it always is. "
         "Callers need one of the keys in the variable (commas between them), or the one that is "
         "made up and printed once.", variable="PLAYGROUND_API_KEYS"),
    Flag("--mcp", "Offer MCP tools too; needs pip install \"gradio[mcp]\". In public with a key."),
)

_EPILOG = (
    "A flag wins over the environment, and both over spaces.yaml, which holds the offered models, "
    "the limits of visitors and when a model is unloaded. A Hub token is taken from HF_TOKEN or "
    "from `hf auth login`; in public it is used for the offered models only."
)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are sentences instead of an exit."""

    def error(self, message: str) -> NoReturn:
        raise InvalidInput(
            f"The command line is not understood: {message}.",
            field="command line",
            advice="python app.py --help lists the flags.",
        )


def parser() -> argparse.ArgumentParser:
    """The command line of app.py, made from FLAGS."""
    made = _Parser(prog="app.py", description="A playground over Hugging Face language models.",
                   epilog=_EPILOG, allow_abbrev=False)
    for flag in FLAGS:
        default = f" Default: {flag.default}." if flag.default else ""
        variable = f" Environment: {flag.variable}." if flag.variable else ""
        told = f"{flag.help}{default}{variable}"
        if not flag.metavar:
            made.add_argument(flag.name, action="store_true", help=told)
        elif flag.repeats:
            made.add_argument(flag.name, action="append", default=[], metavar=flag.metavar,
                              help=told)
        else:
            made.add_argument(flag.name, metavar=flag.metavar, help=told)
    return made


def flags_table() -> str:
    """The flags as a Markdown table, as it stands in the README."""
    rows = ["| flag | default | environment | what it does |", "|---|---|---|---|"]
    for flag in FLAGS:
        name = f"`{flag.name} {flag.metavar}`" if flag.metavar else f"`{flag.name}`"
        variable = f"`{flag.variable}`" if flag.variable else ""
        default = flag.default or ("" if flag.metavar else "off")
        rows.append(f"| {name} | {default} | {variable} | {flag.help} |")
    return "\n".join(rows)


def settings_from(
    argv: Sequence[str], environ: Mapping[str, str] | None = None, described_in: Path = DESCRIPTION
) -> Settings:
    """The settings of an app started with these flags (``sys.argv[1:]``) in this environment.

    A flag wins over the environment, and both over spaces.yaml. On a Space (``SPACE_ID``) the mode
    and the host are given. Raises InvalidInput with a sentence for whoever started the app.
    """
    environ = own_environment() if environ is None else environ
    flags = parser().parse_args(argv)
    described = description(described_in)
    on_space = bool(environ.get("SPACE_ID"))
    if on_space:
        described = with_profile(described, profile_of(environ))
    share = (flags.share or is_on(environ, "GRADIO_SHARE")) and not on_space
    host = EVERYWHERE if on_space else (flags.host or environ.get("GRADIO_SERVER_NAME") or LOOPBACK)
    mode: Mode = "space" if on_space else "shared" if share or not _is_loopback(host) else "local"
    password = flags.password or environ.get("PLAYGROUND_PASSWORD") or ""
    _check_door(mode, host, share, password, flags.public)
    is_new = share and not password and not flags.public
    password = secrets.token_urlsafe(9) if is_new else password
    api, mcp = (getattr(flags, name) or switch(described, name) for name in ("api", "mcp"))
    if mcp and find_spec("mcp") is None:
        raise InvalidInput("MCP tools need a package that is not installed.", field="--mcp",
                           advice='Run: pip install "gradio[mcp]"')
    api_keys = _api_keys(environ)
    key_is_new = mode != "local" and (api or mcp) and not api_keys
    return Settings(
        mode=mode,
        host=host,
        port=_port(flags.port or environ.get("GRADIO_SERVER_PORT") or "7860"),
        share=share,
        auth=(flags.user or "guest", password) if password else None,
        password_is_new=is_new,
        models=tuple(dict.fromkeys((*flags.model, *repos(described, "models", least=1)))),
        encoders=repos(described, "encoders", least=0),
        device=_device(flags.device or "auto"),
        limits=limits(described, mode),
        idle_seconds=_idle_seconds(flags.idle_minutes, described),
        memory_bytes=_bytes(flags.memory) if flags.memory else None,
        data=_data(flags.data or environ.get("PLAYGROUND_DATA") or "", mode, environ, described),
        space=environ.get("SPACE_ID", ""),
        zero_gpu=on_space and is_on(environ, "SPACES_ZERO_GPU"),
        offline=flags.offline or is_on(environ, "HF_HUB_OFFLINE"),
        api=api or mode == "local",
        api_keys=(secrets.token_urlsafe(24),) if key_is_new else api_keys,
        api_key_is_new=key_is_new,
        mcp=mcp,
        remotes=_remotes(flags.remote, described),
    )


def _check_door(mode: Mode, host: str, share: bool, password: str, public: bool) -> None:
    """Nobody opens the app to strangers by accident."""
    if password and public:
        raise InvalidInput(
            "--public lets everybody in and --password does not; give one of the two.",
            field="--public",
        )
    if mode == "shared" and not share and not password and not public:
        raise InvalidInput(
            f"--host {host} would let anybody on the network use this machine.",
            field="--host", given=host, allowed=f"{LOOPBACK}, or another address with a password",
            advice="Add --password WORD, or --public to let everybody in.",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(given: str) -> int:
    number = int(given) if given.isascii() and given.isdigit() else 0
    if not 1 <= number <= 65535:
        raise InvalidInput(
            f"The port is {given!r}; it must be a whole number from 1 to 65535.",
            field="--port", given=given, allowed="a whole number from 1 to 65535",
        )
    return number


def _device(given: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", given):
        allowed = "auto, cpu, mps, cuda or cuda:1"
        raise InvalidInput(f"The device is {given!r}; it can be {allowed}.",
                           field="--device", given=given, allowed=allowed)
    return given


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
          "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def _bytes(given: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", given.strip().lower())
    size = int(float(found[1]) * _UNITS[found[2] or ""]) if found else 0
    if size < 1:
        raise InvalidInput(f"The memory is {given!r}; write a size such as 8GB or 512MiB.",
                           field="--memory", given=given, allowed="a size such as 8GB or 512MiB")
    return size


def _idle_seconds(minutes: str | None, described: Mapping[str, Any]) -> float:
    given: object = described.get("idle_seconds") if minutes is None else minutes
    try:
        number = math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        name = "idle_seconds" if minutes is None else "--idle-minutes"
        raise InvalidInput(f"{name} is {given!r}; it must be a number above 0.",
                           field=name, given=given, allowed="a number above 0")
    return number if minutes is None else number * 60


def _api_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    keys = [key.strip() for key in environ.get("PLAYGROUND_API_KEYS", "").split(",")]
    found = tuple(dict.fromkeys(key for key in keys if key))
    if not all(re.fullmatch(r"[!-~]{16,200}", key) for key in found):
        allowed = "16 to 200 letters, digits and signs, with commas between keys"
        raise InvalidInput(  # which one, and what it is, is nobody's business
            "A key in PLAYGROUND_API_KEYS is too easy to guess, or cannot be sent.",
            field="PLAYGROUND_API_KEYS", allowed=allowed, advice=f"A key has {allowed}.",
        )
    return found


def _remotes(flags: Sequence[str], described: Mapping[str, Any]) -> tuple[Remote, ...]:
    told = described.get("remotes", [])
    if not isinstance(told, list):
        raise InvalidInput("remotes in spaces.yaml must be a list.", field="remotes", given=told)
    found = tuple(remote_from(one) for one in (*flags, *told))
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"Two remote servers are called {name}.", field="--remote", given=name,
                advice="Name them apart: --remote NAME=URL.",
            )
    return found


def _data(
    given: str, mode: Mode, environ: Mapping[str, str], described: Mapping[str, Any]
) -> Path | None:
    """Where runs are kept: where it is said, else in the user's own folder; on a Space in the
    volume that is mounted, and in public nowhere else."""
    if given:
        return Path(given).expanduser().absolute()
    if mode == "local":
        return _user_folder(environ)
    volume = described.get("data")
    if volume is not None and (not isinstance(volume, str) or not os.path.isabs(volume)):
        raise InvalidInput(
            f"data in spaces.yaml is {volume!r}; it must be the full path of a folder.",
            field="data", given=volume, allowed="the full path of a folder",
        )
    mounted = mode == "space" and volume is not None and os.path.ismount(volume)
    return Path(volume) / APP_FOLDER if mounted and volume else None


def _user_folder(environ: Mapping[str, str]) -> Path | None:
    """Where this user's programs keep what is theirs; None where no home is known."""
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME", "")
    match sys.platform:
        case "win32":
            folder = environ.get("LOCALAPPDATA") or (home and str(Path(home, "AppData", "Local")))
        case "darwin":
            folder = home and str(Path(home, "Library", "Application Support"))
        case _:
            folder = environ.get("XDG_DATA_HOME", "")
            if not os.path.isabs(folder):
                folder = home and str(Path(home, ".local", "share"))
    return Path(folder) / APP_FOLDER if folder else None
