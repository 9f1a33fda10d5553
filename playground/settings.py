"""The app's settings as one frozen value, from spaces.yaml, environment and flags; draws no page.

Every other module is handed what it needs: nothing else in the package reads the environment.
"""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
import re
import secrets
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import yaml

from playground.core.remote import Remote, Secret, remote_from
from playground.errors import InvalidInput

Mode = Literal["local", "shared", "space"]

DESCRIPTION = Path(__file__).resolve().parent.parent / "spaces.yaml"

APP_FOLDER = "token-by-token"

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may ask for, and how many runs there may be at once.

    ``columns`` are the runs of one request, side by side; each tab offers as many of them as it has
    a use for. ``request_tokens`` are what all of them may write together, each beam's counted.
    ``seconds`` is from a run's first token of work to its last; ``running`` and ``waiting`` count
    runs (columns) of all visitors together. ``grid_cells`` are the runs of one grid, which wait for
    their turn a few at a time, and ``grid_tokens`` what they may all write.
    """

    prompt_characters: int
    new_tokens: int
    columns: int
    beams: int
    running: int
    waiting: int
    seconds: int
    grid_cells: int
    grid_tokens: int
    request_tokens: int

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInput(
                    f"The limit {one.name} is {value!r}; it must be a whole number from 1.",
                    field=one.name, given=value, allowed="a whole number from 1",
                )


LOCAL_LIMITS = Limits(prompt_characters=200_000, new_tokens=4096, columns=24, beams=16,
                      running=32, waiting=64, seconds=600, grid_cells=1000,
                      grid_tokens=60_000, request_tokens=600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this app runs. ``models`` are the offered repos, the first being the default;
    ``encoders`` are those that can only be looked into.

    ``auth`` is the user and password that the page asks for; ``password_is_new`` says that the
    password was made up just now and must be shown once. ``memory_bytes`` bounds what loaded
    models may take together; None leaves it to what the machine has. ``data`` is the folder in
    which runs are kept; without one they are in memory. ``space`` is the owner/name of the Space
    that this is, and ``zero_gpu`` says that it gets a GPU for moments only. ``offline``: the Hub is
    never asked for anything. ``remotes`` are servers whose models are offered beside ours, and
    ``remote_models`` those that they were found to have when the app started.
    ``api`` says that programs are served; where others can reach the app they need one of
    ``api_keys``, which was made up just now where ``api_key_is_new``. ``mcp`` offers tools.
    """

    mode: Mode = "local"
    host: str = LOOPBACK
    port: int = 7860
    share: bool = False
    auth: tuple[str, str] | None = field(default=None, repr=False)
    password_is_new: bool = False
    models: tuple[str, ...] = ("builtin/tiny-chat", "builtin/tiny-base")
    encoders: tuple[str, ...] = ("builtin/tiny-encoder",)
    device: str = "auto"
    limits: Limits = LOCAL_LIMITS
    idle_seconds: float = 1800.0
    memory_bytes: int | None = None
    data: Path | None = None
    space: str = ""
    zero_gpu: bool = False
    offline: bool = False
    api: bool = True
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    api_key_is_new: bool = False
    mcp: bool = False
    remotes: tuple[Remote, ...] = ()
    remote_models: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where links lead that people pass on; empty where the browser knows it best. On a Space
        that is its page on the Hub, which hands a link's end on to the app inside."""
        return f"https://huggingface.co/spaces/{self.space}" if self.space else ""

    @property
    def any_model(self) -> bool:
        """Whether a visitor may type any id or folder; in public only ``offered`` may be used."""
        return self.mode == "local"

    @property
    def offered(self) -> tuple[str, ...]:
        """Every offered repo, those that write first."""
        return tuple(dict.fromkeys((*self.models, *self.encoders)))

    @property
    def default_model(self) -> str:
        """The repo that is loaded at the start."""
        return self.models[0]

    def with_encoders(self, known: Collection[str]) -> Settings:
        """These settings with those of ``models`` that are ``known`` to be encoders among the
        ``encoders``: they are looked into, and no tab begins to write with one.

        Raises InvalidInput where none is left that writes.
        """
        writing = tuple(repo for repo in self.models if repo not in known)
        reading = [repo for repo in self.models if repo in known]
        if not writing:
            raise InvalidInput(
                f"No offered model writes text: {', '.join(reading)} only read it.",
                field="models", given=self.models, allowed="at least one base or chat model",
                advice="Offer one with --model, or under models in spaces.yaml.",
            )
        encoders = tuple(dict.fromkeys((*reading, *self.encoders)))
        return replace(self, models=writing, encoders=encoders)


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
    Flag("--model", "Offer this Hub id or folder, before those of spaces.yaml. May be repeated.",
         "ID", repeats=True),
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


_EPILOG = (
    "A flag wins over the environment, and both over spaces.yaml, which holds the offered models, "
    "the limits of visitors and when a model is unloaded. A Hub token is taken from HF_TOKEN or "
    "from `hf auth login`; in public it is used for the offered models only."
)


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
    environ = os.environ if environ is None else environ
    flags = parser().parse_args(argv)
    described = description(described_in)
    on_space = bool(environ.get("SPACE_ID"))
    if on_space:
        described = with_profile(described, profile_of(environ))
    share = (flags.share or _is_on(environ, "GRADIO_SHARE")) and not on_space
    host = EVERYWHERE if on_space else (flags.host or environ.get("GRADIO_SERVER_NAME") or LOOPBACK)
    mode: Mode = "space" if on_space else "shared" if share or not _is_loopback(host) else "local"
    password = flags.password or environ.get("PLAYGROUND_PASSWORD") or ""
    _check_door(mode, host, share, password, flags.public)
    is_new = share and not password and not flags.public
    password = secrets.token_urlsafe(9) if is_new else password
    api, mcp = (getattr(flags, name) or _switch(described, name) for name in ("api", "mcp"))
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
        models=tuple(dict.fromkeys((*flags.model, *_models(described)))),
        encoders=_repos(described.get("encoders", []), "encoders", least=0),
        device=_device(flags.device or "auto"),
        limits=_limits(described, mode),
        idle_seconds=_idle_seconds(flags.idle_minutes, described),
        memory_bytes=_bytes(flags.memory) if flags.memory else None,
        data=_data(flags.data or environ.get("PLAYGROUND_DATA") or "", mode, environ, described),
        space=environ.get("SPACE_ID", ""),
        zero_gpu=on_space and _is_on(environ, "SPACES_ZERO_GPU"),
        offline=flags.offline or _is_on(environ, "HF_HUB_OFFLINE"),
        api=api or mode == "local",
        api_keys=(secrets.token_urlsafe(24),) if key_is_new else api_keys,
        api_key_is_new=key_is_new,
        mcp=mcp,
        remotes=_remotes(flags.remote, described),
    )


def prepare_environment() -> None:
    """Switch telemetry off; must be called before gradio or huggingface_hub is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Gradio groups its statistics with pandas after this many events: 10 ms each, and not for us.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000"


def go_offline() -> None:
    """Keep every library, here and in processes that start later, from asking the Hub; must be
    called before huggingface_hub is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"


_SECRET = re.compile(r"TOKEN|SECRET|KEY|PASSWORD|CREDENTIAL", re.IGNORECASE)


def worker_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that holds a model: no secret in it, and no way to the Hub.

    A worker reads a folder that the download process has filled, so it needs neither.
    """
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if not _SECRET.search(name)}
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_TOKEN_PATH": os.devnull,
        "TOKENIZERS_PARALLELISM": "false",
    }


_SWAPPED = threading.Lock()


@contextmanager
def children_inherit(environment: Mapping[str, str]) -> Iterator[None]:
    """Inside, children inherit ``environment`` instead of this process's own.

    For children that are started without a say in it, as multiprocessing's forkserver is. The block
    must be short: the rest of this process sees the same environment meanwhile.
    """
    with _SWAPPED:
        own = dict(os.environ)
        changed = [name for name in {*own, *environment} if own.get(name) != environment.get(name)]
        _set(environment, changed)
        try:
            yield
        finally:
            _set(own, changed)


def child_environment() -> dict[str, str]:
    """This process's own environment, for a child that is to have all of it."""
    with _SWAPPED:
        return dict(os.environ)


def _set(environment: Mapping[str, str], names: Sequence[str]) -> None:
    for name in names:
        if name in environment:
            os.environ[name] = environment[name]
        else:
            os.environ.pop(name, None)


def hub_token(environ: Mapping[str, str] | None = None) -> str | None:
    """The Hub token of whoever started the app, from HF_TOKEN or from ``hf auth login``'s file."""
    environ = os.environ if environ is None else environ
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := environ.get(name, "").strip():
            return token
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    home = Path(environ.get("HF_HOME") or Path(cache) / "huggingface")
    stored = Path(environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        return stored.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def remote_token(
    remote: Remote, only: bool, environ: Mapping[str, str] | None = None
) -> Secret | None:
    """The host's own token for a remote server; none where visitors bring theirs.

    The variable without a name counts for the ``only`` server that there is: one server's token is
    never sent to another.
    """
    environ = os.environ if environ is None else environ
    names = (remote.variable, *(("PLAYGROUND_REMOTE_TOKEN",) if only else ()))
    found = next((told for name in names if (told := environ.get(name, "").strip())), "")
    return Secret(found) if found and not remote.visitor_token else None


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
    if _is_on(environ, "SPACES_ZERO_GPU"):
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


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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


def _switch(described: Mapping[str, Any], name: str) -> bool:
    """A word of spaces.yaml that is true or false; one that is not there is false."""
    given = described.get(name, False)
    if not isinstance(given, bool):
        raise InvalidInput(f"{name} in spaces.yaml is {given!r}; it must be true or false.",
                           field=name, given=given, allowed="true or false")
    return given


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


def _models(described: Mapping[str, Any]) -> tuple[str, ...]:
    return _repos(described.get("models"), "models", least=1)


def _repos(told: object, field: str, least: int) -> tuple[str, ...]:
    whole = isinstance(told, list) and all(isinstance(one, str) and one for one in told)
    if not isinstance(told, list) or not whole or len(told) < least:
        some = " of at least one model" if least else ", which may be empty"
        raise InvalidInput(f"{field} in spaces.yaml must be a list{some}.", field=field, given=told)
    return tuple(told)


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


def _limits(described: Mapping[str, Any], mode: Mode) -> Limits:
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
