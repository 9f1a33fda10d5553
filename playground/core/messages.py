"""What crosses the pipe between app and worker process: commands down, replies up; plain values."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.events import Event, Piece
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.errors import Problem


@dataclass(frozen=True, slots=True)
class Load:
    """Load this model from ``folder``; the first command a worker gets."""

    spec: ModelSpec
    folder: str
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Begin:
    """Let this run join the rows that are being decoded; ``key`` names it in every reply."""

    key: int
    run: Run


@dataclass(frozen=True, slots=True)
class LoadDraft:
    """Load a smaller model beside the loaded one, to propose tokens for it; it stays."""

    key: int
    spec: ModelSpec
    folder: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Let the row leave at the next step, with ``Finished("stopped")``."""

    key: int


@dataclass(frozen=True, slots=True)
class Render:
    """Turn a prompt into ids and pieces without decoding, for a preview."""

    key: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the process after the current step."""


Command = Load | LoadDraft | Begin | Cancel | Render | Shutdown


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a loaded model; ``bytes`` are weights in memory, ``context`` tokens."""

    spec: ModelSpec
    architecture: str
    parameters: int
    bytes: int
    dtype: str
    device: str
    context: int
    vocabulary: int
    has_chat_template: bool
    lane: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far loading is; ``done`` from 0 to 1 where known."""

    done: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is ready."""

    card: ModelCard


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The model cannot be loaded; the worker ends after this."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class DraftLoaded:
    """The draft model is ready."""

    key: int
    card: ModelCard


@dataclass(frozen=True, slots=True)
class DraftFailed:
    """The draft model cannot be loaded, or does not fit the model it is for."""

    key: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as the model will see it."""

    key: int
    rendered: str
    pieces: tuple[Piece, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderFailed:
    """A prompt that cannot be rendered."""

    key: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one step, all rows in one message: pairs of run key and event, in order."""

    items: tuple[tuple[int, Event], ...]


@dataclass(frozen=True, slots=True)
class Alive:
    """Sent when the worker has nothing else to say for a while, so that slow differs from dead."""


Reply = (
    LoadProgress | Loaded | LoadFailed | DraftLoaded | DraftFailed
    | Rendered | RenderFailed | Events | Alive
)
