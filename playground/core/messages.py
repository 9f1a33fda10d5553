"""What crosses the pipe between app and worker process: commands down, replies up; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from playground.core.decoding import Decoding
from playground.core.events import Event, Paced, Piece, Step
from playground.core.inspection import Finding, Inspection
from playground.core.kept import Kept
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, Scored, ScoreOrContest
from playground.errors import Problem


@dataclass(frozen=True, slots=True)
class Look:
    """Say where models will be held and what memory there is; only before ``Load``."""

    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Load:
    """Load this model from ``folder``; the first command a worker gets, but for ``Look``."""

    spec: ModelSpec
    folder: str
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Begin:
    """Let this run join the rows that are being decoded; ``key`` names it in every reply.

    With a ``pace`` it goes no faster from its first token on.
    """

    key: int
    run: Run
    pace: Paced | None = None


@dataclass(frozen=True, slots=True)
class LoadDraft:
    """Load a smaller model beside the loaded one, to propose tokens for it; it stays."""

    key: int
    spec: ModelSpec
    folder: str


@dataclass(frozen=True, slots=True)
class Attach:
    """Put a LoRA adapter beside the loaded model, over the same weights; other rows go on."""

    key: int
    spec: ModelSpec
    folder: str


@dataclass(frozen=True, slots=True)
class Detach:
    """Forget an adapter that no row uses."""

    key: int
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class Park:
    """Move the weights from the device to host memory; only while there are no rows."""

    key: int


@dataclass(frozen=True, slots=True)
class Unpark:
    """Move the weights back to where they were."""

    key: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Let the row leave at the next step, with ``Finished("stopped")``; a scoring ends silently."""

    key: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Let a run choose ``allowed`` more tokens (None: freely; 0: pause), no faster than one each
    ``seconds``. It is told as ``Paced``; nothing for a run that is over."""

    key: int
    allowed: int | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Amend:
    """Let a run go on with these settings from its next token; ``Amended`` or ``Unamended``."""

    key: int
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Render:
    """Turn a prompt into ids and pieces without decoding, for a preview.

    An ``adapter`` that is attached may bring a chat template of its own.
    """

    key: int
    prompt: Prompt
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """Score given texts, a chunk between two steps of the rows; ``Cancel`` ends it.

    An ``adapter`` that is attached may be asked instead of the model.
    """

    key: int
    request: ScoreOrContest
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Inspect:
    """Look into the model, or an attached adapter, a piece of work between two steps of the rows;
    ``Cancel`` ends it."""

    key: int
    request: Inspection[Any]
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """Choose a recent step of the run ``run_key`` again, under other settings."""

    key: int
    run_key: int
    position: int
    decoding: Decoding
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the process after the current step."""


Command = (
    Look | Load | LoadDraft | Attach | Detach | Park | Unpark
    | Begin | Cancel | Pace | Amend | Render | Score | Inspect | Replay | Shutdown
)


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Where a worker holds its model, and the memory there.

    ``total`` and ``free`` are the device's (all GPUs that it may use together), ``held`` is what
    this process has of it. All are 0 where the device has no memory of its own (cpu, mps).
    """

    device: str
    total: int = 0
    free: int = 0
    held: int = 0

    @property
    def kind(self) -> str:
        """cpu, cuda or mps."""
        return self.device.partition(":")[0]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a loaded model; ``bytes`` are weights in memory, ``context`` tokens.

    ``suggested`` are the settings that its own generation_config asks for and that make sense, as
    pairs of name and value; they are shown and not obeyed. ``parkable``: the weights can be moved
    off the device and back. The card of an adapter counts the adapter's own parameters and bytes.
    ``commit`` is the one on the Hub that its files are of, and empty for other files. ``kept`` is
    what its KV cache holds of a text, computed from its config, each number of ``width`` bytes;
    nothing where it keeps none. ``kind`` is causal, or encoder for a model that reads text and
    writes none.
    """

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
    suggested: tuple[tuple[str, str], ...] = ()
    parkable: bool = False
    commit: str = ""
    kept: Kept = Kept(0)
    width: int = 4
    kind: Literal["causal", "encoder"] = "causal"

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of KV cache that a text of so many tokens fills, by the arithmetic of the config;
        what it really filled is told in ``Finished``."""
        return self.kept.numbers(tokens) * self.width


@dataclass(frozen=True, slots=True)
class Looked:
    """The device that a model would be held on."""

    memory: DeviceMemory


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
class DraftProgress:
    """How far loading the draft ``spec`` is, for all who wait for it."""

    spec: ModelSpec
    progress: LoadProgress


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
class Attached:
    """The adapter is ready."""

    key: int
    card: ModelCard


@dataclass(frozen=True, slots=True)
class Moved:
    """Weights were parked, unparked or detached: ``bytes`` of weights, and what the device got back
    (negative after ``Unpark``)."""

    key: int
    bytes: int
    freed: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Attach, Detach, Park or Unpark could not be done; everything is as it was before."""

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
class ScoreDone:
    """What a scoring or a contest says, all of it."""

    key: int
    result: Scored | Contest


@dataclass(frozen=True, slots=True)
class ScoreFailed:
    """A text that cannot be scored."""

    key: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a look into the model found."""

    key: int
    finding: Finding


@dataclass(frozen=True, slots=True)
class InspectFailed:
    """What cannot be looked at."""

    key: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Replayed:
    """The step as it would have been chosen."""

    key: int
    step: Step


@dataclass(frozen=True, slots=True)
class ReplayFailed:
    """A step that is not stored any more, or settings that it cannot be chosen with."""

    key: int
    problem: Problem


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one step, all rows in one message: pairs of run key and event, in order."""

    items: tuple[tuple[int, Event], ...]


@dataclass(frozen=True, slots=True)
class Alive:
    """Sent every second, so that slow differs from dead; with the memory, where there is some."""

    memory: DeviceMemory | None = None


Reply = (
    Looked | LoadProgress | Loaded | LoadFailed | DraftProgress | DraftLoaded | DraftFailed
    | Attached | Moved | Refused | Rendered | RenderFailed | ScoreDone | ScoreFailed
    | Inspected | InspectFailed | Replayed | ReplayFailed | Events | Alive
)
