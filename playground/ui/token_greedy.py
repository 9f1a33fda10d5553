"""The greedy run beside a beam search, for a browser that lays it over; it knows no component.

It is run when somebody first asks, from the same prompt, whose KV cache is still warm, with the
same settings but one beam. What a browser asks is untrusted, and answers are JSON strings.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from playground.core.compare import parted
from playground.core.events import Step
from playground.core.run import Run
from playground.core.trace import Trace
from playground.engine.stream import Stream
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.token_store import Live, encode, live_of, number, trace_of

MOST_KEPT = 64
# A question is answered after so long, with what has come by then.
ANSWER_SECONDS = 0.25


def greedy_of(run: Run) -> Run:
    """The same run with one beam and no dice: what only works without beams stays off."""
    plain = replace(
        run.decoding, num_beams=1, num_beam_groups=1, diversity_penalty=0.0, length_penalty=1.0,
        early_stopping=False, do_sample=False, penalty_alpha=0.0, guidance_scale=1.0,
        dola_layers="off", prompt_lookup_tokens=0, draft_tokens=0,
    )
    return replace(run, decoding=plain, draft=None)


class Beside:
    """One greedy run: its stream, and its trace so far."""

    def __init__(self, live: Live, run: Run) -> None:
        self.trace = Trace(run)
        self._stream: Stream = live.engine.start([run], visitor=live.visitor)
        self._lock = Lock()

    @property
    def is_over(self) -> bool:
        """Whether everything has been read."""
        return self.trace.state in ("finished", "failed")

    def read(self, seconds: float) -> Trace:
        """Take what comes within so long, or until the end; what somebody else takes meanwhile is
        there as well."""
        until = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            return self.trace
        try:
            while not self.is_over and (wait := until - time.monotonic()) > 0:
                for _, event in self._stream.read(wait):
                    self.trace = self.trace.add(event)
            return self.trace
        finally:
            self._lock.release()


class BesideStore:
    """The latest greedy runs, by the key of the search that they are laid over."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Beside] = OrderedDict()
        self._lock = Lock()

    def of(self, key: str, live: Live | None, run: Run) -> Beside:
        """The greedy run beside ``run``, begun if it must be; a failed one is begun again. Raises
        PlaygroundError."""
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known.trace.problem is None:
                self._kept.move_to_end(key)
                return known
            if live is None:
                raise InvalidInput(
                    "This search was not run on this page, so greedy cannot be laid over it.",
                    field="key", advice="Run it again.",
                )
            self._kept[key] = begun = Beside(live, greedy_of(run))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return begun


KEPT_BESIDE = BesideStore()


def read_greedy(request: object) -> str:
    """Greedy's tokens ``from`` an index on, and how it compares once both runs are over.

    ``rows`` are ``[id, piece]`` at the places of the search's steps. A run that cannot be had is a
    ``problem``, a sentence.
    """
    asked = request if isinstance(request, Mapping) else {}
    key, start = asked.get("key"), asked.get("from")
    try:
        trace = trace_of(key)
        if trace is None or not isinstance(key, str):
            raise InvalidInput(
                "The server no longer keeps this run.", field="key", advice="Run it again."
            )
        if not trace.run.decoding.is_beam_search:
            raise InvalidInput("This run is no beam search.", field="key")
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            start = 0
        greedy = KEPT_BESIDE.of(key, live_of(key), trace.run).read(ANSWER_SECONDS)
        if greedy.problem is not None:
            return encode({"problem": str(greedy.problem)})
    except PlaygroundError as error:
        return encode({"problem": str(error.problem)})
    return encode(_told(trace_of(key) or trace, greedy, start))


def _told(trace: Trace, greedy: Trace, start: int) -> dict[str, Any]:
    rows = [[step.id, step.piece] for step in _searched(trace, greedy)[start:]]
    ended = greedy.finished is not None
    told: dict[str, Any] = {"from": start, "rows": rows, "ended": ended}
    if ended and trace.state in ("finished", "failed"):
        told["settled"] = True
        if trace.steps:
            told["compared"] = compare(trace, greedy)
    return told


def _searched(trace: Trace, other: Trace) -> list[Step]:
    """The steps of ``other`` at the places where ``trace`` searched."""
    if not trace.beams:
        return []
    first = trace.beams[0].position
    return [step for step in other.steps if step.position >= first]


def compare(trace: Trace, greedy: Trace) -> dict[str, Any]:
    """Where a search left greedy (a place from 0; None where it did not), and for each its token
    there, its total under the model itself (nats) and its length."""
    runs = {"beam": _searched(trace, trace), "greedy": _searched(trace, greedy)}
    left = parted(*([step.id for step in steps] for steps in runs.values()))
    told: dict[str, Any] = {"left": left}
    for name, steps in runs.items():
        told[name] = {
            "piece": "" if left is None else steps[left].piece,
            "total": number(sum(step.logprob for step in steps), 7),
            "length": len(steps),
        }
    return told
