"""Everything that can go wrong for the person at the screen, as one tree; knows no page, no model.

    PlaygroundError
    ├── InvalidInput        VALIDATION         a field was given something it cannot take
    │   └── ContextOverflow CONTEXT_OVERFLOW   prompt and new tokens do not fit the model's context
    ├── TemplateProblem     TEMPLATE           no chat template, or it refused the messages
    ├── ModelNotFound       MODEL_NOT_FOUND    no such id on the Hub, no such folder here
    ├── ModelInvalid        MODEL_INVALID      files that do not make a causal language model
    ├── ModelUnsafe         MODEL_UNSAFE       a repo that wants its own code or pickles to be run
    ├── ModelTooBig         MODEL_TOO_BIG      more bytes than there are
    ├── HubProblem          HUB                the Hub refused, is away, or is too slow
    ├── RemoteProblem       REMOTE             a remote server refused, is away, or makes no sense
    ├── OutOfMemory         OOM                memory ended in the middle of a run
    ├── BadLogits           NAN_LOGITS         the model computed NaN or infinity
    ├── DeadlinePassed      TIMEOUT            a run or a load took longer than it may
    ├── WorkerDied          WORKER_DIED        the model's process ended by itself
    └── Overloaded          OVERLOADED         too much is waiting already

A ``Problem`` is the value that crosses a pipe and reaches the page; a ``PlaygroundError``
carries one through Python code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure in words: what happened, to which field, what was given, what is allowed;
    ``retry_after`` are the seconds after which trying again is worth it, 0 where nobody knows."""

    code: str
    message: str
    field: str = ""
    given: str = ""
    allowed: str = ""
    advice: str = ""
    retry_after: int = 0

    def __str__(self) -> str:
        """The sentence for the screen: what is wrong, then what to do next."""
        return f"{self.message} {self.advice}".strip()


class PlaygroundError(Exception):
    """A failure that is explained to the reader; never shown as a traceback."""

    code: ClassVar[str] = "ERROR"

    def __init__(
        self, message: str, *,
        field: str = "", given: object = "", allowed: str = "", advice: str = "",
        retry_after: int = 0,
    ) -> None:
        super().__init__(message)
        self.problem = Problem(
            self.code, message, field, shown(given), allowed, advice, retry_after
        )

    def __str__(self) -> str:
        return str(self.problem)


def as_error(problem: Problem) -> PlaygroundError:
    """The exception that carries a problem which came over a pipe."""
    error = PlaygroundError(problem.message)
    error.problem = problem
    return error


def shown(given: object, quoted: bool = False) -> str:
    """What was given, short enough for a sentence; a text as it is, or in quotes."""
    try:
        text = given if isinstance(given, str) and not quoted else repr(given)
    except ValueError:  # of a whole number with thousands of digits Python prints none
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "…"


class InvalidInput(PlaygroundError):
    """A field was given something it cannot take."""

    code = "VALIDATION"


class ContextOverflow(InvalidInput):
    """The prompt, or the prompt and the new tokens, are longer than the model's context."""

    code = "CONTEXT_OVERFLOW"


class TemplateProblem(PlaygroundError):
    """The model has no chat template, or the template refused the messages."""

    code = "TEMPLATE"


class ModelNotFound(PlaygroundError):
    """No such model on the Hub and no such folder here."""

    code = "MODEL_NOT_FOUND"


class ModelInvalid(PlaygroundError):
    """Files that do not make a causal language model."""

    code = "MODEL_INVALID"


class ModelUnsafe(PlaygroundError):
    """A repo that wants its own code or pickled weights to be run."""

    code = "MODEL_UNSAFE"


class ModelTooBig(PlaygroundError):
    """The model needs more memory than there is."""

    code = "MODEL_TOO_BIG"


class HubProblem(PlaygroundError):
    """The Hub refused, cannot be reached, or is too slow."""

    code = "HUB"


class RemoteProblem(PlaygroundError):
    """A server that holds a model refused, cannot be reached, or says what cannot be read."""

    code = "REMOTE"


class OutOfMemory(PlaygroundError):
    """Memory ended in the middle of a run."""

    code = "OOM"


class BadLogits(PlaygroundError):
    """The model computed NaN or infinity where logits should be."""

    code = "NAN_LOGITS"


class DeadlinePassed(PlaygroundError):
    """A run or a load took longer than it may."""

    code = "TIMEOUT"


class WorkerDied(PlaygroundError):
    """The process that held the model ended by itself."""

    code = "WORKER_DIED"


class Overloaded(PlaygroundError):
    """Too much is running or waiting already."""

    code = "OVERLOADED"


class StorageProblem(PlaygroundError):
    """Records cannot be written or read: a full disk, a folder that is closed, a damaged file."""

    code = "STORAGE"


class RecordNotFound(PlaygroundError):
    """No such record; one that belongs to somebody else looks the same."""

    code = "NOT_FOUND"
