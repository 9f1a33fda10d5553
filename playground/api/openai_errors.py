"""A failure as OpenAI's API tells it: status, headers and one shape of body; it knows no route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playground.errors import (
    BadLogits,
    ContextOverflow,
    DeadlinePassed,
    HubProblem,
    InvalidInput,
    ModelInvalid,
    ModelNotFound,
    ModelTooBig,
    ModelUnsafe,
    OutOfMemory,
    Overloaded,
    Problem,
    TemplateProblem,
)

SECONDS = 5  # after which it is worth asking again, where nobody knows better

# What the engine calls a field, and what the caller has written.
PARAMETERS = {
    "max_new_tokens": "max_tokens", "stop_strings": "stop", "bias": "logit_bias",
    "candidates": "logprobs", "message": "messages", "role": "messages", "prefill": "messages",
    "columns": "n", "request cost": "max_tokens",
}
_STATUS = {
    InvalidInput.code: 400, ContextOverflow.code: 400, TemplateProblem.code: 400,
    ModelNotFound.code: 404, ModelInvalid.code: 400, ModelUnsafe.code: 400, ModelTooBig.code: 400,
    HubProblem.code: 503, DeadlinePassed.code: 503, Overloaded.code: 429,
    OutOfMemory.code: 500, BadLogits.code: 500,
}
_CODES = {ContextOverflow.code: "context_length_exceeded", Overloaded.code: "rate_limit_exceeded"}
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          429: "rate_limit_error"}
# To ask again without a change gives the same: OpenAI's clients would, after any 429 and 5xx.
_FINAL = {OutOfMemory.code, BadLogits.code}


@dataclass(frozen=True, slots=True)
class ApiError:
    """One refusal or failure; ``code`` is for programs, ``message`` for whoever reads it."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that OpenAI's clients read."""
        kind = _TYPES.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param,
                          "code": self.code}}


class ApiRefusal(Exception):
    """Carries an ApiError through the code of a route."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def api_error(problem: Problem) -> ApiError:
    """What a caller is told of a problem of the engine's."""
    status = _status(problem)
    headers: list[tuple[str, str]] = []
    if status in (429, 503):
        headers.append(("Retry-After", str(problem.retry_after or SECONDS)))
    if problem.code in _FINAL or _ran_out_of_time(problem):
        headers = [("x-should-retry", "false")]
    message = str(problem)
    if problem.allowed and status < 429 and problem.allowed not in message:
        message += f" Allowed: {problem.allowed}."
    code = "model_not_found" if status == 404 else _CODES.get(problem.code, problem.code.lower())
    param = PARAMETERS.get(problem.field, problem.field) or None
    return ApiError(status, message, param, code, tuple(headers))


def _status(problem: Problem) -> int:
    if problem.code == InvalidInput.code and problem.field == "model" and problem.given.strip():
        return 404  # not offered here, or no name of a model at all
    if problem.code == Overloaded.code and problem.field != "requests":
        return 503  # the app is closing, or a model is in use: no fault of this caller's
    return _STATUS.get(problem.code, 500)


def _ran_out_of_time(problem: Problem) -> bool:
    """Whether a run was too long for here; a model that is still being loaded comes later."""
    return problem.code == DeadlinePassed.code and problem.field != "model"
