"""The app's settings as one frozen value; it does not know where they come from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from playground.core.remote import Remote
from playground.errors import InvalidInput

Mode = Literal["local", "shared", "space"]

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
