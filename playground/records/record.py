"""What is kept of a run that is over, and how such a record is asked for; it knows no database."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Literal

from playground.core.events import Finished, Started
from playground.core.plain import from_plain, from_text, to_plain, to_text
from playground.core.prompt import Chat, Ids, Raw
from playground.core.recipe import Digest, Experiment, Recipe, read_experiment, written_experiment
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem, StorageProblem

End = Literal["finished", "stopped", "failed"]

LARGEST_TRACE = 128 * 2**20  # bytes of JSON; a damaged or foreign file may claim anything
LONGEST_LABEL = 200
LONGEST_SEARCH = 500
MOST_WORDS = 20
PAGE = 50
TURN = "\x1e"


@dataclass(frozen=True, slots=True)
class Draft:
    """A run that is over, about to be kept.

    ``settings`` says in words how it decoded, ``tab`` where it ran. Runs that were started together
    have the same ``group`` and time, and each its ``place``. ``created`` is in seconds of Unix
    time; None means now. What came in a file has its ``recipe``, which knows more of it than the
    trace.
    """

    trace: Trace
    tab: str
    settings: str = ""
    group: str = ""
    place: int = 0
    label: str = ""
    star: bool = False
    created: float | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a list shows of a kept run; ``prompt`` and ``answer`` are only their beginnings."""

    key: str
    created: float
    tab: str
    group: str
    place: int
    model: str
    settings: str
    prompt: str
    answer: str
    tokens: int
    state: End
    reason: str
    label: str
    star: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Which records: those that hold every one of ``words`` somewhere, upper or lower case alike.

    There are at most 20 of them, since each is looked for in every text. An empty field asks for
    nothing. ``page`` counts from 0, PAGE records each, the latest
    first, and those that were started together by their places.
    """

    words: str = ""
    starred: bool = False
    model: str = ""
    tab: str = ""
    page: int = 0

    def __post_init__(self) -> None:
        for name in ("words", "model", "tab"):
            given = getattr(self, name)
            if not isinstance(given, str) or len(given) > LONGEST_SEARCH:
                raise InvalidInput(
                    f"The search is a text of at most {LONGEST_SEARCH} characters.",
                    field=name, allowed=f"at most {LONGEST_SEARCH} characters",
                )
        if len(set(self.words.split())) > MOST_WORDS:
            raise InvalidInput(f"The search has at most {MOST_WORDS} different words.",
                               field="words", allowed=f"at most {MOST_WORDS} words")
        if not isinstance(self.starred, bool):
            raise InvalidInput("Only starred records is either on or off.", field="starred")
        if isinstance(self.page, bool) or not isinstance(self.page, int) or self.page < 0:
            raise InvalidInput("A page is a whole number from 0.", field="page", given=self.page)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of records, how many there are in all, and the models and tabs of the owner's."""

    records: tuple[Record, ...]
    total: int
    models: tuple[str, ...]
    tabs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is kept, of one owner and in all; the oldest that has no star leaves first.

    ``days`` is how long one without a star stays; None sets no end.
    """

    records_of_one: int
    bytes_of_one: int
    records: int
    bytes: int
    days: float | None = None


OWN = Bounds(records_of_one=20_000, bytes_of_one=2 * 2**30, records=20_000, bytes=2 * 2**30)
VISITS = Bounds(records_of_one=200, bytes_of_one=16 * 2**20, records=4_000, bytes=256 * 2**20)
VOLUME = Bounds(records_of_one=1_000, bytes_of_one=64 * 2**20, records=50_000, bytes=4 * 2**30,
                days=30)


def over(trace: Trace) -> Trace | None:
    """A run that nobody reads on as one that was stopped; None where it has written nothing."""
    if trace.state in ("finished", "failed"):
        return trace
    if trace.started is None or not (trace.steps or trace.beams):
        return None
    done = Finished("stopped", "", len(trace.started.prompt), len(trace.steps), 0.0, 0.0)
    return trace.add(done)


def told_by(recipe: Recipe) -> Trace:
    """What a recipe tells of its run as a trace: the whole text, but no figures of its tokens."""
    started = Started((), "", recipe.context, commit=recipe.commit)
    trace = Trace(recipe.run, started=started, amended=recipe.amended)
    if recipe.problem:
        return replace(trace, problem=Problem("FILE", recipe.problem))
    answer = recipe.answer
    if answer is None:
        return trace.add(Finished("stopped", "", 0, 0, 0.0, 0.0))
    asked, wrote = (ids.count if isinstance(ids, Digest) else len(ids)
                    for ids in (recipe.prompt_ids, answer.ids))
    return trace.add(Finished(answer.reason, answer.text, asked, wrote, 0.0, 0.0))


def tokens_of(trace: Trace) -> int:
    """How many tokens it wrote, where only their number is known, too."""
    return len(trace.steps) or (trace.finished.new_tokens if trace.finished else 0)


def written(recipe: Recipe) -> str:
    """A recipe as the text that is kept."""
    return written_experiment(Experiment((recipe,)))


def read(text: str) -> Recipe:
    """That recipe again. Raises StorageProblem for what is none."""
    try:
        return read_experiment(text).lanes[0]
    except InvalidInput as error:
        raise StorageProblem(
            "The recipe of this record cannot be read: it was damaged, or written by another "
            "version of this app.", field="record",
        ) from error


def bare(trace: Trace) -> Trace:
    """Only what outlives a run: not where it waited, nor how fast it was let go on."""
    return replace(trace, waiting=None, pace=None, refusal=None)


def end_of(trace: Trace) -> tuple[End, str]:
    """How it ended, with the reason as a word or a sentence."""
    if trace.problem is not None:
        return "failed", str(trace.problem)
    reason = trace.finished.reason if trace.finished is not None else "stopped"
    return ("stopped" if reason == "stopped" else "finished"), reason


def prompt_text(trace: Trace) -> str:
    """What was asked as a text to be searched; of a chat the latest message first, a TURN between
    any two."""
    match trace.run.prompt:
        case Raw(text=text):
            return text
        case Chat(messages=messages):
            asked = [m for m in messages if m.role == "user"][-1:]
            rest = [m for m in messages if m not in asked]
            return TURN.join(message.content for message in (*asked, *rest))
        case Ids():
            return trace.started.rendered if trace.started is not None else ""


def packed(trace: Trace) -> bytes:
    """A trace as compressed canonical JSON."""
    return zlib.compress(to_text(to_plain(bare(trace))).encode("utf-8", "replace"), 6)


def unpacked(data: bytes) -> Trace:
    """The trace again. Raises StorageProblem for what is none."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, LARGEST_TRACE)
        if not reader.eof:
            raise StorageProblem("This record is larger than any run.", field="record")
        return from_plain(Trace, from_text(text.decode(), "record"), "record")
    except (zlib.error, UnicodeDecodeError, ValueError, InvalidInput) as error:
        raise StorageProblem(
            "This record cannot be read: it was damaged, or written by another version of this "
            "app.", field="record",
        ) from error


def check_label(label: object) -> str:
    """A label on one line. Raises InvalidInput for what is too long, or no text."""
    if not isinstance(label, str) or len(label) > LONGEST_LABEL:
        raise InvalidInput(
            f"A label has at most {LONGEST_LABEL} characters.", field="label",
            allowed=f"at most {LONGEST_LABEL} characters",
        )
    return clean(" ".join(label.split()))


def clean(text: str) -> str:
    """A text that SQLite and UTF-8 can carry: without NUL and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
