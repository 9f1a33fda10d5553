"""From a run's events to the small JSON strings that the token view shows; it knows no Gradio.

One ``TokenFeed`` is one lane for the time of one run. ``flush()`` is a slice: the tokens since the
flush before the last one, so that one lost message costs nothing. All tokens stay in ``KEPT``, a
bounded store, under a key nobody can guess; a browser that missed more than that asks for the rest.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from playground.core.events import (
    Beams,
    Event,
    Finished,
    Loading,
    Piece,
    Queued,
    Started,
    Step,
)
from playground.core.run import Run
from playground.core.trace import Trace

LARGEST_SLICE = 128
LARGEST_ANSWER = 500
BEAM_STEPS_IN_A_SLICE = 8

_STAGES = {
    "making room": "Making room in memory",
    "downloading": "Downloading the model",
    "starting": "Starting the model",
    "loading": "Loading the weights",
}
_HELP = {
    "tokens": "New tokens so far.",
    "speed": "Decoding speed; the first token, which the prompt pays for, is left out.",
    "first": "The time in which the whole prompt was read (prefill).",
    "mean": "Mean log-probability in nats a token; nearer to 0 is surer.",
    "perplexity": "exp of the mean surprise: among how many tokens it chose, so to speak.",
}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: object) -> str:
    """JSON on one line that holds no ``<`` and no lone surrogate, whatever the model wrote."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _LONE_SURROGATE.sub("\ufffd", line).replace("<", "\\u003c")


def _number(value: float, digits: int = 4) -> float | None:
    """``value`` to so many significant digits; None for what JSON lacks (infinity, NaN)."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def encode_step(step: Step) -> str:
    """One token as a JSON list; the order is the one that ``token_marks.js`` reads."""
    candidates = [
        [c.id, c.text, _number(c.logprob, 5), _number(c.probability)] for c in step.candidates
    ]
    piece = 0 if step.piece == step.text else step.piece
    return encode(
        [
            step.id,
            step.text,
            piece,
            _number(step.logprob, 5),
            step.rank,
            _number(step.probability),
            _number(step.entropy),
            int(step.special),
            candidates,
        ]
    )


def encode_pieces(pieces: Sequence[Piece]) -> str:
    """A prompt as a JSON list of ``[id, text, special]``."""
    return encode([[piece.id, piece.text, int(piece.special)] for piece in pieces])


def _encode_beams(beams: Beams) -> str:
    rows = [
        [b.parent, b.id, b.piece, _number(b.total, 5), _number(b.score, 5), b.state]
        for b in beams.beams
    ]
    return encode([beams.position, rows])


@dataclass(slots=True, eq=False)
class Record:
    """What is kept of one run, encoded once: a JSON string a token, a beam step, and the prompt."""

    tokens: list[str] = field(default_factory=list)
    beams: list[str] = field(default_factory=list)
    prompt: str = "[]"


class Store:
    """The latest runs by key, bounded by their number and by the tokens they hold together."""

    def __init__(self, most_runs: int = 200, most_tokens: int = 200_000) -> None:
        self._most_runs, self._most_tokens = most_runs, most_tokens
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()

    def open(self) -> tuple[str, Record]:
        """A new empty record and its key; the longest unused are forgotten to make room."""
        key, record = secrets.token_urlsafe(18), Record()
        with self._lock:
            self._records[key] = record
            held = sum(len(r.tokens) for r in self._records.values())
            while len(self._records) > self._most_runs or held > self._most_tokens:
                if len(self._records) == 1:
                    break
                held -= len(self._records.popitem(last=False)[1].tokens)
        return key, record

    def get(self, key: object) -> Record | None:
        """The record under ``key``, now the latest used; None when it is forgotten or never was."""
        with self._lock:
            record = self._records.get(key) if isinstance(key, str) else None
            if record is not None:
                self._records.move_to_end(str(key))
            return record


KEPT = Store()


def read_tokens(request: object) -> str:
    """Tokens (or beam steps) ``from`` an index on, for a browser that missed them; at most 500."""
    asked = request if isinstance(request, dict) else {}
    record, start = KEPT.get(asked.get("key")), asked.get("from")
    if record is None or not isinstance(start, int) or start < 0:
        return '{"gone":true}'
    rows = record.beams if asked.get("what") == "beams" else record.tokens
    some = rows[start : start + LARGEST_ANSWER]
    return f'{{"from":{start},"rows":[{",".join(some)}]}}'


def read_prompt(request: object) -> str:
    """The prompt's pieces of a kept run, for the block that shows what the model sees."""
    record = KEPT.get(request.get("key") if isinstance(request, dict) else None)
    return '{"gone":true}' if record is None else f'{{"pieces":{record.prompt}}}'


def idle(title: str = "", subtitle: str = "", hint: str = "") -> str:
    """The value of a lane where nothing runs yet; an empty ``hint`` leaves the component's own."""
    return encode({"state": "new", "title": title, "sub": subtitle, "hint": hint})


class TokenFeed:
    """One run on its way to one lane: ``add`` every event, yield ``flush()`` when ``due()``.

    ``title`` names the lane and ``subtitle`` says what differs from its neighbours. ``trace`` is
    the run as it stands.
    """

    def __init__(
        self, run: Run, title: str = "", subtitle: str = "", *, flushes_per_second: float = 15.0
    ) -> None:
        self.trace = Trace(run)
        self.title, self.subtitle = title, subtitle
        self.key, self._record = KEPT.open()
        self._pause = 1.0 / flushes_per_second
        self._flushed_at = -math.inf
        self._news = True
        self._value = ""
        self._revision = 0
        self._sent = self._sent_before = 0
        self._logprob = 0.0
        self._first_token_at: float | None = None
        self._last_token_at: float | None = None

    @classmethod
    def of(cls, trace: Trace, title: str = "", subtitle: str = "") -> TokenFeed:
        """A feed that has already taken everything of ``trace``, to show a run that is over."""
        feed = cls(trace.run, title, subtitle)
        for event in (trace.started, *trace.beams, *trace.steps, trace.finished):
            if event is not None:
                feed.add(event)
        feed.trace = trace
        return feed

    def add(self, event: Event) -> None:
        """Fold one event into ``trace``."""
        self.trace = self.trace.add(event)
        self._news = True
        match event:
            case Step():
                self._record.tokens.append(encode_step(event))
                self._logprob += event.logprob
                self._last_token_at = time.monotonic()
                self._first_token_at = self._first_token_at or self._last_token_at
            case Beams():
                self._record.beams.append(_encode_beams(event))
            case Started():
                self._record.prompt = encode_pieces(event.prompt)

    def due(self) -> bool:
        """Whether there is news and the page has had time to show the last."""
        return self._news and time.monotonic() - self._flushed_at >= self._pause

    def flush(self) -> str:
        """The value to yield now. With no news it is the very same string, which costs nothing."""
        if self._news:
            self._news = False
            self._revision += 1
            KEPT.get(self.key)  # A run that still writes is the last to be forgotten.
            self._value = self._slice()
        self._flushed_at = time.monotonic()
        return self._value

    def final(self) -> str:
        """The last value of the run; the same as ``flush()``, said for the reader of a handler."""
        return self.flush()

    def _slice(self) -> str:
        tokens, trace = self._record.tokens, self.trace
        start = max(min(self._sent_before, len(tokens)), len(tokens) - LARGEST_SLICE)
        self._sent_before, self._sent = self._sent, len(tokens)
        head: dict[str, Any] = {
            "key": self.key,
            "revision": self._revision,
            "state": trace.state,
            "title": self.title,
            "sub": self.subtitle,
            **_status(trace),
            "n": len(tokens),
            "from": start,
            "tail": trace.finished.tail if trace.finished else "",
            "stats": self._statistics(),
            "problem": str(trace.problem) if trace.problem else "",
        }
        if trace.finished and trace.finished.score is not None:
            head["score"] = _signed(trace.finished.score, 3)
        if trace.started:
            head["prompt"] = len(trace.started.prompt)
            head["notices"] = trace.started.notices
        rows = f'"rows":[{",".join(tokens[start:])}]'
        return f"{encode(head)[:-1]},{self._beams()}{rows}}}"

    def _beams(self) -> str:
        """The latest steps of the search, and its leading text until the winner's tokens come."""
        kept = self._record.beams
        if not kept:
            return ""
        start = max(0, len(kept) - BEAM_STEPS_IN_A_SLICE)
        leading = "" if self._record.tokens else self.trace.beams[-1].leading
        rows = ",".join(kept[start:])
        steps = f'{{"n":{len(kept)},"from":{start},"rows":[{rows}]}}'
        return f'"leading":{encode(leading)},"beams":{steps},'

    def _statistics(self) -> list[list[str]]:
        """Figures for the footer: value (a dash where unknown), unit, and what it means."""
        trace, count = self.trace, len(self._record.tokens)
        done = trace.finished
        speed = trace.tokens_per_second or self._live_speed()
        mean = self._logprob / count if count else -math.inf
        known = math.isfinite(mean)
        return [
            [f"{count or len(self._record.beams):,}", "tokens", _HELP["tokens"]],
            [f"{speed:.1f}" if speed else "–", "tokens/s", _HELP["speed"]],
            [f"{done.prefill_seconds:.2f} s" if done else "–", "to first token", _HELP["first"]],
            [_signed(mean, 2) if known else "–", "mean log-prob", _HELP["mean"]],
            [
                _short(math.exp(min(-mean, 700))) if known else "–",
                "perplexity",
                _HELP["perplexity"],
            ],
        ]

    def _live_speed(self) -> float | None:
        """Tokens a second as they arrived here; None before there is a stretch to measure."""
        first, last = self._first_token_at, self._last_token_at
        if self.trace.finished or first is None or last is None or last - first < 0.2:
            return None
        return (len(self._record.tokens) - 1) / (last - first)


def _signed(value: float, digits: int) -> str:
    """A figure with a real minus sign, as wide as a digit."""
    return f"{value:.{digits}f}".replace("-", "\u2212")


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.2e}"


def _status(trace: Trace) -> dict[str, Any]:
    """``say`` is read aloud when it changes, ``more`` is not; ``bar`` is a share, or -1."""
    if trace.problem:
        return {"say": "Failed", "more": "", "bar": None}
    if trace.finished:
        return {"say": _why(trace.finished, trace), "more": "", "bar": None}
    match trace.waiting:
        case Queued(ahead=0):
            return {"say": "Next in line", "more": "", "bar": None}
        case Queued(ahead=ahead):
            return {"say": f"Waiting: {ahead} ahead of you", "more": "", "bar": None}
        case Loading(stage=stage, done=done, detail=detail):
            share = "" if done is None else f"{min(max(done, 0.0), 1.0):.0%}".replace("%", " %")
            more = " · ".join(part for part in (share, detail) if part)
            return {"say": _STAGES[stage], "more": more, "bar": -1 if done is None else done}
    if trace.started is None:
        return {"say": "Sent", "more": "", "bar": None}
    if trace.steps:
        return {"say": "Writing", "more": "", "bar": None}
    if trace.beams:
        return {"say": "Searching", "more": f"step {len(trace.beams)}", "bar": None}
    count = len(trace.started.prompt)
    return {"say": f"Reading the prompt ({count:,} tokens)", "more": "", "bar": -1}


def _why(done: Finished, trace: Trace) -> str:
    """Why the run is over, in plain words."""
    match done.reason:
        case "end":
            return "The model ended here by itself."
        case "length":
            return f"Cut off at the limit of {trace.run.decoding.max_new_tokens:,} new tokens."
        case "stop string":
            return "Ended at a stop string."
        case "stopped":
            return "Stopped. What was written stays."
        case "context":
            room = f" of {trace.started.context:,} tokens" if trace.started else ""
            return f"Ended because the model's context{room} is full."
