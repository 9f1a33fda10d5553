"""From a run's events to the small JSON strings that the token view shows; it knows no Gradio.

One ``TokenFeed`` is one lane for the time of one run. ``flush()`` is a slice: the tokens since the
flush before the last one, so that one lost message costs nothing; a browser that missed more asks
the store (``token_store.py``) for the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from playground.core.amend import amendments
from playground.core.events import (
    Beams,
    Event,
    Failed,
    Finished,
    Loading,
    Paced,
    Proposed,
    Queued,
    Started,
    Step,
)
from playground.core.run import Run
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.ui.token_forwards import (
    cache_of,
    card_of,
    encode_beams,
    encode_proposed,
    lacks_of,
    rules_of,
    speculation_of,
)
from playground.ui.token_store import (
    KEPT,
    Live,
    Record,
    encode,
    encode_pieces,
    encode_step,
)

LARGEST_SLICE = 128
FORWARDS_IN_A_SLICE = 8

_STAGES = {
    "making room": "Making room in memory",
    "downloading": "Downloading the model",
    "starting": "Starting the model",
    "loading": "Loading the weights",
}
_HELP = {
    "tokens": "New tokens so far.",
    "speed": "Tokens a second of the lane's own forwards: pauses and what the model reads for "
    "other lanes in between are left out, and so is the first token, which the prompt pays for.",
    "first": "The time in which the whole prompt was read (prefill).",
    "mean": "Mean log-probability in nats a token; nearer to 0 is surer. Tokens that you put there "
    "are left out.",
    "perplexity": "exp of the mean surprise: among how many tokens it chose, so to speak. Tokens "
    "that you put there are left out.",
}


def idle(
    title: str = "", subtitle: str = "", hint: str = "", open_prompt: bool = False
) -> str:
    """The value of a lane where nothing runs yet; an empty ``hint`` leaves the component's own.

    With ``open_prompt`` the prompt of the next run is unfolded, as if the reader had opened it.
    """
    head = {"state": "new", "title": title, "sub": subtitle, "hint": hint}
    return encode({**head, "unfold": True} if open_prompt else head)


class TokenFeed:
    """One run on its way to one lane: ``add`` every event, and yield ``flush()`` now and then.

    ``title`` names the lane and ``subtitle`` says what differs from its neighbours. ``trace`` is
    the run as it stands. A run with a fork tells only what comes after the tokens that stand
    already: ``stood`` are their steps, which the lane shows before it, quietly. ``owner`` is whose
    room in the store it takes, until it plays.
    """

    def __init__(
        self, run: Run, title: str = "", subtitle: str = "", *,
        stood: Sequence[Step] = (),
        kept: tuple[str, Record] | None = None, owner: Visitor = Visitor(),
    ) -> None:
        self.title, self.subtitle = title, subtitle
        self.key, self._record = kept or KEPT.open(owner)
        if kept is None:
            self._record.trace = Trace(run, beginning=tuple(stood))
            self._record.tokens += [encode_step(step, stood=True) for step in stood]
        self.trace = self._record.trace or Trace(run)
        self._news = True
        self._value = ""
        self._revision = 0
        self._sent = self._sent_before = 0
        self._card = card_of(self._record.live, run) if self.trace.started else None
        self._stood = len(self.trace.beginning)
        self._chosen, self._logprob = 0, 0.0
        self._count(self.trace.whole)
        self._started_at: float | None = None
        self._first_token_after: float | None = None

    @classmethod
    def of(
        cls, trace: Trace, title: str = "", subtitle: str = "", owner: Visitor = Visitor()
    ) -> TokenFeed:
        """A feed that has already taken everything of ``trace``, to show a run that is over."""
        feed = cls(trace.run, title, subtitle, stood=trace.beginning, owner=owner)
        events = (trace.started, *trace.beams, *trace.proposals, *trace.steps, trace.finished)
        for event in events:
            if event is not None:
                feed.add(event)
        feed.trace = feed._record.trace = trace
        return feed

    @classmethod
    def kept(cls, key: str, title: str = "", subtitle: str = "") -> TokenFeed | None:
        """A feed of a run that another one writes or wrote; None when it is forgotten."""
        record = KEPT.get(key)
        if record is None or record.trace is None:
            return None
        return cls(record.trace.run, title, subtitle, kept=(key, record))

    def catch_up(self) -> None:
        """Take what another feed has added to the same run."""
        trace = self._record.trace
        if trace is not None and trace is not self.trace:
            self._count(trace.steps[len(self.trace.steps) :])
            self.trace, self._news = trace, True

    def rename(self, title: str) -> None:
        """Another name for the lane."""
        self._news = self._news or title != self.title
        self.title = title

    def add(self, event: Event) -> None:
        """Fold one event into ``trace``."""
        self.trace = self._record.trace = self.trace.add(event)
        self._news = True
        match event:
            case Step():
                self._record.tokens.append(encode_step(event))
                self._count([event])
                self._time_first()
            case Beams():
                self._time_first()
                self._record.beams.append(encode_beams(event))
            case Paced(allowed=0):
                self._started_at = None
            case Proposed():
                self._record.proposals.append(encode_proposed(event))
            case Started():
                self._started_at = time.monotonic()
                self._record.prompt = encode_pieces(event.prompt)
                self._card = card_of(self._record.live, self.trace.run)
            case Finished() | Failed():
                self._record.keep()

    def _count(self, steps: Sequence[Step]) -> None:
        """Count what the model chose; what the reader put there says nothing of the model."""
        told = [s.logprob for s in steps if not s.forced and s.logprob == s.logprob]
        self._chosen += len(told)
        self._logprob += sum(told)

    def _time_first(self) -> None:
        """How long the first token took to come here, where the reader did not hold it back."""
        if self._first_token_after is None and self._started_at is not None:
            self._first_token_after = time.monotonic() - self._started_at

    def plays(self, live: Live) -> None:
        """Say where the run is in the engine, so that a reader can ask for its steps."""
        self._record.live, self._record.owner = live, live.visitor
        self._record.made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def leave(self) -> None:
        """Nobody reads the run on: what there is of it is kept."""
        self._record.keep()

    def flush(self) -> str:
        """The value to yield now. With no news it is the very same string, which costs nothing."""
        if self._news:
            self._news = False
            self._revision += 1
            KEPT.get(self.key)  # A run that still writes is the last to be forgotten.
            self._value = self._slice()
        return self._value

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
            "draws": any(d.draws for d in (
                trace.run.decoding, *(one.decoding for one in trace.amended)
            )),
            "stats": self._statistics(),
            "problem": str(trace.problem) if trace.problem else "",
        }
        if trace.amended:
            head["amended"] = amendments(trace)
        if trace.run.fork is not None and not self._stood:
            head["first"] = len(trace.run.fork.ids)
        if trace.finished and trace.finished.score is not None:
            head["score"] = _signed(trace.finished.score, 3)
        live = self._record.live
        if lacks := lacks_of(live.engine if live else None, trace.run.model):
            head["lacks"] = lacks
        if trace.started:
            head["prompt"] = len(trace.started.prompt)
            head["notices"] = trace.started.notices
        for name, told in (
            ("search", rules_of(trace.run.decoding)),
            ("speculation", speculation_of(trace)),
            ("cache", cache_of(trace, self._card)),
        ):
            if told is not None:
                head[name] = told
        rows = f'"rows":[{",".join(tokens[start:])}]'
        return f"{encode(head)[:-1]},{self._forwards()}{rows}}}"

    def _forwards(self) -> str:
        """The latest steps of a search, with its leading text until the winner's tokens come, and
        the latest proposals."""
        record, parts = self._record, ""
        if record.beams:
            leading = "" if record.tokens else self.trace.beams[-1].leading
            parts = f'"leading":{encode(leading)},'
        for name, kept in (("beams", record.beams), ("proposals", record.proposals)):
            if kept:
                start = max(0, len(kept) - FORWARDS_IN_A_SLICE)
                rows = ",".join(kept[start:])
                parts += f'"{name}":{{"n":{len(kept)},"from":{start},"rows":[{rows}]}},'
        return parts

    def _statistics(self) -> list[list[str]]:
        """Figures for the footer: value (a dash where unknown), unit, and what it means."""
        trace, count = self.trace, len(self._record.tokens)
        speed, done = trace.tokens_per_second, trace.finished
        first = done.prefill_seconds if done else self._first_token_after
        mean = self._logprob / self._chosen if self._chosen else -math.inf
        known = math.isfinite(mean)
        return [
            [f"{count or len(self._record.beams):,}", "tokens", _HELP["tokens"]],
            [f"{speed:.1f}" if speed else "–", "tok/s", _HELP["speed"]],
            ["–" if first is None else f"{first:.2f} s", "to first token", _HELP["first"]],
            [_signed(mean, 2) if known else "–", "mean log-prob", _HELP["mean"]],
            [
                _short(math.exp(min(-mean, 700))) if known else "–",
                "perplexity",
                _HELP["perplexity"],
            ],
        ]


def _signed(value: float, digits: int) -> str:
    """A figure with a real minus sign, as wide as a digit."""
    return f"{value:.{digits}f}".replace("-", "\u2212")


def _short(value: float) -> str:
    """Two decimals of a small figure, a large one in thousands, a power of ten beyond a million."""
    return f"{value:.2f}" if value < 1000 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def _status(trace: Trace) -> dict[str, Any]:
    """``say`` is read aloud when it changes, ``more`` is not; ``bar`` is a share, or -1."""
    if trace.problem:
        return {"say": "Failed", "more": "", "bar": None}
    if trace.finished:
        return {"say": _why(trace.finished, trace), "more": "", "bar": None}
    match trace.waiting:
        case Queued(ahead=ahead, detail=detail):
            say = f"Waiting: {ahead} ahead of you" if ahead else "Next in line"
            return {"say": say, "more": detail, "bar": None}
        case Loading(stage=stage, done=done, detail=detail):
            share = "" if done is None else f"{min(max(done, 0.0), 1.0):.0%}".replace("%", " %")
            more = " · ".join(part for part in (share, detail) if part)
            return {"say": _STAGES[stage], "more": more, "bar": -1 if done is None else done}
    if trace.started is None:
        return {"say": "Sent", "more": "", "bar": None}
    if trace.is_paused:
        return {"say": "Paused", "more": "", "bar": None}
    if trace.steps:
        return {"say": "Writing", "more": "", "bar": None}
    if trace.beams:
        return {"say": "Searching", "more": f"step {len(trace.beams)}", "bar": None}
    count = len(trace.started.prompt)
    if not count:
        return {"say": "Reading the prompt", "more": "", "bar": -1}
    return {"say": f"Reading the prompt ({count:,} tokens)", "more": "", "bar": -1}


def _why(done: Finished, trace: Trace) -> str:
    """Why the run is over, in plain words."""
    match done.reason:
        case "end":
            return "The model ended here."
        case "length":
            last = trace.steps[-1].position if trace.steps else 0
            limit = trace.decoding_at(last).max_new_tokens
            return f"Cut off at {limit:,} new tokens."
        case "stop string":
            return "Ended at a stop string."
        case "stopped":
            return "Stopped. What was written stays."
        case "context":
            room = f" of {trace.started.context:,} tokens" if trace.started else ""
            return f"Ended because the model's context{room} is full."
