"""What happens while a run runs, in order; plain values that pickle, compare and print well.

    Queued* Loading* Started (Step | Beams | Proposed)* Finished        or Failed at any point

Beam search sends one ``Beams`` a step while it searches, and the winner's ``Step``s at its end.
Speculative decoding sends a ``Proposed`` before the ``Step``s of the forward that judged it.
At a fork what is inserted comes first, as ``Step``s that are ``forced``, under any strategy.
``Paced``, ``Amended`` and ``Unamended`` answer what is asked of a run, at any point before its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Literal, TypeVar

from playground.core.decoding import Decoding
from playground.core.facts import Facts, Spelled
from playground.errors import Problem

T = TypeVar("T")


def _pickled_whole(kind: type[T]) -> type[T]:
    """Let a dataclass of several fields pickle as one call with all its values.

    By itself a frozen one with slots asks for each field and sets each again, in Python; there are
    a dozen of them in a step, and every step of everybody crosses the pipe.
    """
    values = attrgetter(*(one.name for one in fields(kind)))  # type: ignore[arg-type]

    def reduce(self: T) -> tuple[type[T], tuple[object, ...]]:
        return kind, values(self)

    kind.__reduce__ = reduce  # type: ignore[assignment, method-assign]
    return kind


@dataclass(frozen=True, slots=True)
class Queued:
    """The run waits; ``ahead`` others go first. ``detail`` says which, where it is for memory; two
    that differ in nothing else are equal."""

    ahead: int
    detail: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Loading:
    """The model comes: ``stage`` says what is done, ``done`` the share of it (0 to 1) if known."""

    stage: Literal["making room", "downloading", "starting", "loading"]
    done: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of the prompt: its id, its own text (bytes that are no character as ``<0xE4>``)."""

    id: int
    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt became ids and decoding begins; ``rendered`` is the exact text behind the ids.

    ``reused`` tokens at its beginning need not be read: the KV cache of another run holds them. In
    a run with a ``fork`` they count on into the answer's tokens that stand already, which are no
    part of ``prompt``.
    ``commit`` is the one on the Hub that the model's files are of; empty for other files.
    ``facts`` are the model as it runs, ``spelled`` the texts among the settings as ids; both None
    where nobody can tell.
    """

    prompt: tuple[Piece, ...]
    rendered: str
    context: int
    notices: tuple[str, ...] = ()
    reused: int = 0
    commit: str = ""
    facts: Facts | None = None
    spelled: Spelled | None = None

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The ids that the model was given."""
        return tuple(piece.id for piece in self.prompt)


@_pickled_whole
@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could have come: log-probability (nats) before processors, probability after.

    What a server does not tell is as in ``Step``.
    """

    id: int
    text: str
    logprob: float
    probability: float


@dataclass(frozen=True, slots=True)
class Shift:
    """What happened to one token's probability."""

    id: int
    text: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What one processor did to the distribution of a step.

    ``name`` is the field of ``Decoding`` that switches it on, or "fork" for what a run's fork bans;
    the first effect of a step is called "model" and tells the model's own softmax, before and after
    alike. ``watched`` are the step's candidates and the chosen token. The processor ruled
    ``removed`` tokens out, which had ``mass`` in all just before; ``gone`` are the likeliest of
    them. Of the tokens that stayed it gave ``moved`` another score; ``most_moved`` are those whose
    probability changed most.

    Contrastive search comes last, as "penalty_alpha": what is ``before`` is the probability, and
    ``after`` the score that decides, which may be negative. ``most_moved`` are all its candidates.
    DoLa, "dola_layers", tells the early ``layer`` that this step was contrasted with; 0 are the
    embeddings.
    """

    name: str
    watched: tuple[Shift, ...]
    removed: int = 0
    mass: float = 0.0
    gone: tuple[Shift, ...] = ()
    moved: int = 0
    most_moved: tuple[Shift, ...] = ()
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """Where the dice fell: a ``point`` of [0, 1) in the chosen token's share, from ``low`` to below
    ``high``, when all tokens lie side by side in order of falling final probability."""

    low: float
    high: float
    point: float


@_pickled_whole
@dataclass(frozen=True, slots=True)
class Step:
    """One chosen token.

    ``text`` is what the token adds to the text (empty while a character is incomplete), ``piece``
    the token by itself. ``logprob`` (nats) and ``rank`` (1 is the likeliest) are the model's own,
    before any processor; ``probability`` is the one the token was really chosen with; ``entropy``
    (nats) is of the model's own distribution. ``candidates`` are the likeliest before processors.
    On request: ``effects`` are what each processor did, in order, and ``draw`` where the dice fell.
    A ``forced`` token was inserted by the reader at a fork: nothing chose it, and ``probability``
    is what the settings left of it (0.0 where they rule it out).

    ``seconds`` is the wall time of the forward whose logits it was chosen from: of the last chunk
    of the prompt for the first token, else of a forward that all rows of a batch share, or that
    gave several tokens at once. 0 where no forward was needed, and for the winner of a beam search,
    whose ``Beams`` have it. Two steps that differ in nothing else are equal.

    A server of somebody else's may not tell everything: an untold ``id`` is below 0 and the same
    for the same text (core.remote.untold_id), an untold ``rank`` is 0, and an untold number NaN.
    """

    position: int
    id: int
    text: str
    piece: str
    logprob: float
    rank: int
    probability: float
    entropy: float
    candidates: tuple[Candidate, ...]
    special: bool = False
    effects: tuple[Effect, ...] = ()
    draw: Draw | None = None
    forced: bool = False
    seconds: float = field(default=0.0, compare=False)


Reason = Literal["end", "length", "stop string", "stopped", "context"]
Lost = Literal["", "total", "score", "place"]


@dataclass(frozen=True, slots=True)
class Beam:
    """One hypothesis after a step of beam search.

    ``parent`` is the index of the survivor it grew from (in the previous ``Beams``), ``total`` the
    sum of log-probabilities (nats) and ``score`` the total over length to the length penalty.
    ``group`` is that of diverse beam search. ``reason`` is what ended it, None where it has not
    ended.

    A "dropped" one says what it ``lost`` by. Had it gone on: its "total", which is ``margin`` nats
    below that of the last survivor of its group. Had it ended: its "score", ``margin`` below the
    worst that its group keeps of those that ended; or its "place", since only as many of the first
    continuations as there are beams may end.
    """

    parent: int
    id: int
    piece: str
    total: float
    score: float
    state: Literal["kept", "finished", "dropped"]
    group: int = 0
    reason: Reason | None = None
    lost: Lost = ""
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """Why a ``group`` searches no more, after a step.

    "ended": every continuation that was looked at has ended. "limit": so it has, but some only
    because the run may have no more tokens. "enough": it has as many ended hypotheses as beams, and
    early stopping asks for no more. "beaten": no open hypothesis can still win, as early stopping
    reckons it: the best could come to the score ``possible``, and the ``worst`` of the ended ones
    has no less. Both are None where no hypothesis is open.
    """

    group: int
    why: Literal["ended", "limit", "enough", "beaten"]
    possible: float | None = None
    worst: float | None = None


@dataclass(frozen=True, slots=True)
class Beams:
    """One step of beam search: survivors first, then the finished and the best of the dropped.

    All its hypotheses have ``length`` new tokens, those of a fork not counted, which is the length
    in their scores. ``ends`` are the groups whose search this step ended. ``seconds`` as in
    ``Step``.
    """

    position: int
    beams: tuple[Beam, ...]
    leading: str
    seconds: float = field(default=0.0, compare=False)
    length: int = 0
    ends: tuple[SearchEnd, ...] = ()

    @property
    def survivors(self) -> tuple[Beam, ...]:
        """The hypotheses that go on, in the order that the next step's ``parent`` counts."""
        return tuple(beam for beam in self.beams if beam.state == "kept")


Source = Literal["prompt lookup", "draft"]


@dataclass(frozen=True, slots=True)
class Proposed:
    """Tokens that were proposed for the places from ``position`` on, and read in one forward.

    The first ``accepted`` of them are what the model itself chose there, and so are the next
    ``Step``s. Where another ``Step`` follows these, it is the model's choice instead of the next
    proposed token, which it rejected; what was proposed after that was thrown away.
    """

    position: int
    source: Source
    pieces: tuple[Piece, ...]
    accepted: int

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids that were proposed."""
        return tuple(piece.id for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Paced:
    """The run may choose ``allowed`` more tokens (None: freely; 0: it is paused), no faster than
    one each ``seconds``. Told when it is asked for, and again with 0 when they are chosen.

    A step of beam search counts as one, and so do all tokens of one speculative forward.
    """

    allowed: int | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Amended:
    """From the token at ``position`` on the run decodes with these settings."""

    position: int
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Unamended:
    """These settings were refused, and the run goes on with those that it has."""

    decoding: Decoding
    problem: Problem


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over: ``tail`` completes the text, times are seconds in the worker.

    ``new_tokens`` are those that this run told, so not those that stood at its fork. ``reason``:
    the model ended its turn, the token limit, a stop string, the Stop button, or the end of the
    context. ``cache_bytes`` are what its own texts filled of the KV cache at its end,
    without padding and without room to grow; 0 where nothing is kept between steps. ``company``
    are the most texts of other runs that shared one of its forwards.
    """

    reason: Reason
    tail: str
    prompt_tokens: int
    new_tokens: int
    prefill_seconds: float
    decode_seconds: float
    score: float | None = None
    cache_bytes: int = 0
    company: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended in a failure that is explained; what came before it stays."""

    problem: Problem


Event = (
    Queued | Loading | Started | Step | Beams | Proposed | Paced | Amended | Unamended
    | Finished | Failed
)
