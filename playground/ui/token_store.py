"""What is kept of runs for the token view: tokens as JSON, under keys that nobody can guess.

A browser that was not there (a hidden tab, a lost message) asks here for what it missed. What it
asks is untrusted: anything but a known key and a place to start gets nothing. A handler that is
told a key finds the run behind it with ``run_of``, ``trace_of``, ``answer_of`` and ``live_of``.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from playground.core.events import Piece, Step
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.engine.engine import Engine, Stream
from playground.ui.keeping import Keeping
from playground.ui.making_room import next_to_go

LARGEST_ANSWER = 500
LINE_CHARACTERS = 300  # of JSON that stand for as much memory as a token with its candidates

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: object) -> str:
    """JSON on one line that holds no ``<`` and no lone surrogate, whatever the model wrote."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _LONE_SURROGATE.sub("\ufffd", line).replace("<", "\\u003c")


def number(value: float, digits: int = 4) -> float | None:
    """``value`` to so many significant digits; None for what JSON lacks (infinity, NaN)."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def milliseconds(seconds: float) -> float:
    """Three digits of a time; 0 where there was none."""
    return number(1000.0 * seconds, 3) or 0

def encode_step(step: Step, *, stood: bool = False) -> str:
    """One token as a JSON list; the order is the one that ``token_marks.js`` reads.

    Its marks add up: 1 a control token, 2 put there by the reader, 4 one that ``stood`` already
    when its branch began, 8 one of which a server does not tell everything: null is untold then.
    """
    candidates = [
        [c.id, c.text, number(c.logprob, 5), number(c.probability, 6)] for c in step.candidates
    ]
    piece = 0 if step.piece == step.text else step.piece
    return encode(
        [
            step.id,
            step.text,
            piece,
            number(step.logprob, 5),
            step.rank,
            number(step.probability, 6),
            number(step.entropy),
            step.special + 2 * step.forced + 4 * stood + 8 * (step.entropy != step.entropy),
            candidates,
            milliseconds(step.seconds),
        ]
    )


def encode_pieces(pieces: Sequence[Piece]) -> str:
    """A prompt as a JSON list of ``[id, text, special]``."""
    return encode([[piece.id, piece.text, int(piece.special)] for piece in pieces])


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Where a run is, or was: its column in a stream of the engine, the page that began it, who
    keeps it when it is over, and whose share of the machine it takes."""

    engine: Engine
    stream: Stream
    column: int
    session: str
    keeping: Keeping | None = None
    visitor: Visitor = Visitor()


@dataclass(slots=True, eq=False)
class Record:
    """What is kept of one run, encoded once: a JSON string a token, a beam step, a forward that
    judged proposals, and the prompt.

    ``trace`` is the run as it stands, ``made`` when it was begun (UTC, as in a recipe); ``live``
    where its steps can be asked for, which is nowhere for a run that was only shown again, and
    after its page was closed; ``owner`` whose room it takes. ``spec`` is the model of what is no
    run: of a text that was scored.
    """

    tokens: list[str] = field(default_factory=list)
    beams: list[str] = field(default_factory=list)
    proposals: list[str] = field(default_factory=list)
    prompt: str = "[]"
    trace: Trace | None = None
    spec: ModelSpec | None = None
    live: Live | None = None
    made: str = ""
    is_kept: bool = False
    owner: Visitor = Visitor()

    def keep(self) -> None:
        """Nothing more will come of the run: it is kept once, by whoever keeps this page's."""
        live = self.live
        if self.is_kept or self.trace is None or live is None or live.keeping is None:
            return
        self.is_kept = True
        live.keeping.keep(self.trace, live.column)

    @property
    def weight(self) -> int:
        """About how many tokens it takes the memory of: steps of a search count by how long the
        latest is, and of a prompt some fifteen pieces weigh as much as one token."""
        searched = len(self.beams) * len(self.beams[-1]) if self.beams else 0
        lines = len(self.tokens) + len(self.proposals)
        return lines + (searched + len(self.prompt)) // LINE_CHARACTERS


class Store:
    """The latest runs by key, bounded by their number and by the tokens they hold together; whoever
    holds most makes room first.

    A token takes about 3 kB, as a line and as a step of its trace; what else a record holds counts
    as so many tokens.
    """

    def __init__(self, most_runs: int = 400, most_tokens: int = 60_000) -> None:
        self._most_runs, self._most_tokens = most_runs, most_tokens
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = Lock()

    def open(self, owner: Visitor = Visitor()) -> tuple[str, Record]:
        """A new empty record and its key; others are forgotten to make room."""
        key, record = secrets.token_urlsafe(18), Record(owner=owner)
        with self._lock:
            self._make_room()
            self._records[key] = record
        return key, record

    def _make_room(self) -> None:
        """For one more record."""
        weights = {name: one.weight for name, one in self._records.items()}
        held = sum(weights.values())
        while weights and (len(weights) >= self._most_runs or held > self._most_tokens):
            heavy = held > self._most_tokens  # and not only too many
            gone = next_to_go(
                (name, self._records[name].owner, weight if heavy else 1)
                for name, weight in weights.items()
            )
            held -= weights.pop(gone)
            del self._records[gone]

    def get(self, key: object) -> Record | None:
        """The record under ``key``, now the latest used; None when it is forgotten or never was."""
        with self._lock:
            record = self._records.get(key) if isinstance(key, str) else None
            if record is not None:
                self._records.move_to_end(str(key))
            return record

    def leave(self, session: str) -> None:
        """A page was closed: nobody reads its runs on, or asks for their steps any more."""
        with self._lock:
            left = [one for one in self._records.values()
                    if one.live is not None and one.live.session == session]
        for record in left:
            record.keep()
            record.live = None


KEPT = Store()


def run_of(key: object) -> Run | None:
    """The run that is shown under ``key``; None when it is forgotten or never was."""
    trace = trace_of(key)
    return trace.run if trace else None


def trace_of(key: object) -> Trace | None:
    """That run as it stands."""
    record = KEPT.get(key)
    return record.trace if record else None


def made_of(key: object) -> str:
    """When that run was begun; empty where nobody knows."""
    record = KEPT.get(key)
    return record.made if record else ""


def answer_of(key: object) -> tuple[Step, ...]:
    """The tokens of that run's whole answer, those that stood at its fork included."""
    trace = trace_of(key)
    return trace.whole if trace else ()


def live_of(key: object) -> Live | None:
    """Where that run is in the engine; None too for one that did not come from there."""
    record = KEPT.get(key)
    return record.live if record else None


def read_tokens(request: object) -> str:
    """At most 500 tokens (``what`` may be "beams" or "proposals" instead) ``from`` an index on, for
    a browser that missed them."""
    asked = request if isinstance(request, dict) else {}
    record, start = KEPT.get(asked.get("key")), asked.get("from")
    if record is None or isinstance(start, bool) or not isinstance(start, int) or start < 0:
        return '{"gone":true}'
    others = {"beams": record.beams, "proposals": record.proposals}
    what = asked.get("what")
    rows = others.get(what, record.tokens) if isinstance(what, str) else record.tokens
    some = rows[start : start + LARGEST_ANSWER]
    return f'{{"from":{start},"rows":[{",".join(some)}]}}'


def read_prompt(request: object) -> str:
    """The prompt's pieces of a kept run, for the block that shows what the model sees."""
    record = KEPT.get(request.get("key") if isinstance(request, dict) else None)
    return '{"gone":true}' if record is None else f'{{"pieces":{record.prompt}}}'
