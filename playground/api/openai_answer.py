"""What came of a request as OpenAI's objects, whole or as chunks; it knows no route and no engine.

Beyond OpenAI's own fields: ``notices`` (sentences), a choice's ``seed`` where dice were thrown, on
request its ``token_ids`` (in a stream, those of a chunk's own tokens) and ``prompt_token_ids``, and
the ``token_id`` of each log-probability in a chat.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from playground.api.openai_choice import Choice, Delta, Told
from playground.api.openai_request import Asked
from playground.core.events import Candidate, Event, Piece, Started, Step
from playground.core.prompt import Raw
from playground.core.score import Scored
from playground.errors import Problem

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_IMPOSSIBLE = -9999.0  # JSON has no infinity; this is what OpenAI says
_LISTS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


@dataclass(slots=True)
class Echo:
    """A prompt that is told back: its tokens, and what the model thought of each after the first
    where that was asked for."""

    pieces: tuple[Piece, ...] = ()
    steps: tuple[Step, ...] = ()
    context: tuple[Piece, ...] = ()
    notices: tuple[str, ...] = ()
    text: str = ""


@dataclass(slots=True)
class Answer:
    """One answer while it comes."""

    asked: Asked
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))
    choices: list[Choice] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)
    _whole: list[list[Delta]] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = "chatcmpl" if self.asked.chat else "cmpl"
        self.id = self.id or f"{kind}-{secrets.token_hex(12)}"
        self.choices = [Choice(run) for run in self.asked.runs]
        self.echoes = [Echo() for _ in self.asked.prompts]
        self._whole = [[] for _ in range(len(self.asked.prompts) * self.asked.n)]

    def echo(self, place: int, pieces: Sequence[Piece], scored: Scored | None) -> None:
        """What a prompt is in tokens, and what each was worth; before its runs begin."""
        told = self.echoes[place]
        told.pieces = tuple(pieces)
        if scored is not None:
            told.steps, told.context, told.notices = scored.steps, scored.context, scored.notices
        else:
            told.context = told.pieces
        prompt = self.asked.prompts[place]
        told.text = prompt.text if isinstance(prompt, Raw) else _spelled(told.pieces)
        first = place * self.asked.n
        for choice in self.choices[first : first + self.asked.n]:
            choice.before = len(told.text)

    def beginning(self) -> Iterator[tuple[int, Delta | Echo]]:
        """What every choice begins with: its role in a chat, its prompt where that is echoed."""
        for place in range(len(self._whole) if self.asked.chat or self.asked.echo else 0):
            yield place, self.echoes[place // self.asked.n] if self.asked.echo else Delta()

    def add(self, place: int, event: Event) -> Delta | Problem | None:
        """What can be told of a choice after one more event; a Problem ends all."""
        choice = self.choices[place]
        delta = choice.add(event)
        if choice.problem is not None:
            return choice.problem
        if delta is not None and not self.asked.stream:
            self._whole[place].append(delta)
        return delta

    @property
    def started(self) -> bool:
        """Whether every run has begun, so that little is left that could be refused."""
        return all(choice.started for choice in self.choices)

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        choices = []
        for place, deltas in enumerate(self._whole):
            told = [one for delta in deltas for one in delta.told]
            text = "".join(delta.text for delta in deltas)
            reason = next((d.reason for d in deltas if d.reason), "length")
            choices.append(self._choice(place, text, told, reason))
        kind = "chat.completion" if self.asked.chat else "text_completion"
        return {**self._head(kind), "choices": choices, "usage": self.usage(), **self._notices()}

    def _choice(self, place: int, text: str, told: list[Told], reason: str) -> dict[str, Any]:
        made: dict[str, Any] = {"index": place, "finish_reason": reason,
                                **self._ids(told), **self._beside(place)}
        if self.asked.chat:
            made["message"] = {"role": "assistant", "content": text, "refusal": None}
            made["logprobs"] = self._logprobs(told)
            return made
        echo = self.echoes[place // self.asked.n] if self.asked.echo else Echo()
        return {**made, "text": echo.text + text, "logprobs": self._logprobs(told, echo)}

    def chunk(self, place: int, delta: Delta | Echo) -> dict[str, Any]:
        """One chunk of a stream."""
        text = delta.text
        reason = delta.reason if isinstance(delta, Delta) else None
        told = list(delta.told) if isinstance(delta, Delta) else []
        made: dict[str, Any] = {"index": place, "finish_reason": reason, **self._ids(told)}
        if not self.asked.runs and reason is None:
            made["finish_reason"] = "length"  # an echo alone
        if reason is not None or not self.asked.runs:
            made.update(self._beside(place))
        if self.asked.chat:
            first = {"role": "assistant"} if not (told or text or reason) else {}
            made["delta"] = {**first, **({"content": text} if text or first else {})}
            made["logprobs"] = self._logprobs(told) if told else None
            return self._chunk([made])
        echo = delta if isinstance(delta, Echo) else Echo()
        made["text"] = text
        made["logprobs"] = self._logprobs(told, echo) if told or echo.context else None
        return self._chunk([made])

    def last(self) -> dict[str, Any]:
        """The chunk with the usage, after those of the choices."""
        return {**self._chunk([]), "usage": self.usage()}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.asked.chat else "text_completion"
        usage = {"usage": None} if self.asked.usage else {}
        ends = any(choice["finish_reason"] for choice in choices)
        return {**self._head(kind), "choices": choices, **usage,
                **(self._notices() if ends else {})}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created,
                "model": self.asked.model.repo}

    def _ids(self, told: Sequence[Told]) -> dict[str, Any]:
        """The ids of the tokens that are told, one for each log-probability of an answer."""
        return {"token_ids": [one.step.id for one in told]} if self.asked.token_ids else {}

    def _beside(self, place: int) -> dict[str, Any]:
        """What OpenAI does not tell of a choice."""
        made: dict[str, Any] = {}
        choice = self.choices[place] if self.choices else None
        if choice is not None and choice.run.decoding.draws:
            made["seed"] = choice.run.seed
        if self.asked.token_ids:
            made["prompt_token_ids"] = [one.id for one in self._prompt(place // self.asked.n)]
        return made

    def _prompt(self, place: int) -> Sequence[Piece]:
        """The tokens of a prompt."""
        started = self._started(place)
        return started[0].prompt if started else self.echoes[place].pieces

    def _started(self, place: int) -> list[Started]:
        first = place * self.asked.n
        return [c.started for c in self.choices[first : first + self.asked.n] if c.started]

    def usage(self) -> dict[str, Any]:
        """Tokens read and written; those that no text of a prompt had to read were cached."""
        prompts = range(len(self.asked.prompts))
        read = sum(len(self._prompt(place)) for place in prompts)
        written = sum(choice.finished.new_tokens for choice in self.choices if choice.finished)
        cached = 0
        for place in prompts:
            reused = [min(one.reused, len(one.prompt)) for one in self._started(place)]
            cached += min(reused, default=0)
        return {"prompt_tokens": read, "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": cached}}

    def _notices(self) -> dict[str, Any]:
        """What the reader of the answer should know, each sentence once."""
        said = [*self.asked.notices]
        for echo in self.echoes:
            said += echo.notices
        for choice in self.choices:
            said += choice.started.notices if choice.started else ()
        return {"notices": list(dict.fromkeys(said))} if said else {}

    def _logprobs(self, told: Sequence[Told], echo: Echo | None = None) -> dict[str, Any] | None:
        if self.asked.top is None:
            return None
        if self.asked.chat:
            return {"content": [self._of_chat(one.step) for one in told], "refusal": None}
        made: dict[str, list[Any]] = {name: [] for name in _LISTS}
        for step, piece, offset in _echoed(echo or Echo()):
            self._put(made, step, piece, offset)
        for one in told:
            self._put(made, one.step, one.step.piece, one.offset)
        return made

    def _put(self, made: dict[str, list[Any]], step: Step | None, piece: str, offset: int) -> None:
        made["tokens"].append(piece)
        made["text_offset"].append(offset)
        made["token_logprobs"].append(None if step is None else _finite(step.logprob))
        made["top_logprobs"].append(None if step is None else {
            **{c.text: _finite(c.logprob) for c in self._candidates(step)},
            piece: _finite(step.logprob),
        })

    def _candidates(self, step: Step) -> Sequence[Candidate]:
        return step.candidates[: self.asked.top]

    def _of_chat(self, step: Step) -> dict[str, Any]:
        return {
            **_token(step.id, step.piece, step.logprob),
            "top_logprobs": [_token(c.id, c.text, c.logprob) for c in self._candidates(step)],
        }


def _token(id: int, piece: str, logprob: float) -> dict[str, Any]:
    return {"token": piece, "logprob": _finite(logprob), "bytes": list(_bytes(piece)),
            "token_id": id}


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _IMPOSSIBLE


def _bytes(piece: str) -> bytes:
    """The bytes of a token's own text, in which those that are no character are spelled out."""
    made, end = b"", 0
    for found in _BYTE.finditer(piece):
        made += piece[end : found.start()].encode() + bytes.fromhex(found[1])
        end = found.end()
    return made + piece[end:].encode()


def _spelled(pieces: Sequence[Piece]) -> str:
    """The text of tokens, control tokens left out."""
    return b"".join(_bytes(piece.text) for piece in pieces if not piece.special).decode(
        "utf-8", errors="replace")


def _echoed(echo: Echo) -> Iterator[tuple[Step | None, str, int]]:
    """The tokens of a prompt, with where each begins in its text; the first have no step."""
    after = sum(len(step.text) for step in echo.steps if not step.special)
    place = len(echo.text) - after - len(_spelled(echo.context))
    for piece in echo.context:
        yield None, piece.text, max(0, place)
        place += 0 if piece.special else len(_spelled([piece]))
    place = max(0, len(echo.text) - after)
    for step in echo.steps:
        yield step, step.piece, place
        place += 0 if step.special else len(step.text)
