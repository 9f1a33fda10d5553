"""A run as it stands: the fold of its events, with its text and statistics; it draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, isnan
from typing import Literal

from playground.core.decoding import Decoding
from playground.core.events import (
    Amended,
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
    Unamended,
)
from playground.core.run import Run
from playground.errors import Problem

State = Literal["new", "queued", "loading", "running", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything known of a run so far. ``add`` gives the next trace; nothing is ever changed.

    ``amended`` are the changes of its settings, the last one of each place; ``pace`` is what was
    told last of it, None before; ``refusal`` is why the latest change of its
    settings was refused, None where it was not. ``beginning`` are the steps of another run that
    stand before this one's fork, where they are known; ``steps``, the text and every figure are of
    what this run wrote itself, and ``whole`` and ``answer`` of both together. Raises ValueError for
    a beginning that is not that of the fork.
    """

    run: Run
    waiting: Queued | Loading | None = None
    started: Started | None = None
    steps: tuple[Step, ...] = ()
    beams: tuple[Beams, ...] = ()
    finished: Finished | None = None
    problem: Problem | None = None
    proposals: tuple[Proposed, ...] = ()
    amended: tuple[Amended, ...] = ()
    pace: Paced | None = None
    refusal: Problem | None = None
    beginning: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        stand = self.run.fork.ids if self.run.fork is not None else ()
        if self.beginning and tuple(step.id for step in self.beginning) != stand:
            raise ValueError("the beginning has other tokens than those that stand at the fork")

    def add(self, event: Event) -> Trace:
        """This trace with one more event."""
        match event:
            case Queued() | Loading():
                return replace(self, waiting=event)
            case Started():
                return replace(self, started=event, waiting=None)
            case Step():
                return replace(self, steps=(*self.steps, event))
            case Beams():
                return replace(self, beams=(*self.beams, event))
            case Proposed():
                return replace(self, proposals=(*self.proposals, event))
            case Paced():
                return replace(self, pace=event)
            case Amended():
                # No token was chosen with what was changed at the same place before.
                kept = tuple(one for one in self.amended if one.position != event.position)
                return replace(self, amended=(*kept, event), refusal=None)
            case Unamended():
                return replace(self, refusal=event.problem)
            case Finished():
                return replace(self, finished=event, waiting=None)
            case Failed():
                return replace(self, problem=event.problem, waiting=None)

    @property
    def state(self) -> State:
        """Where the run is, in a word."""
        if self.problem is not None:
            return "failed"
        if self.finished is not None:
            return "finished"
        if self.started is not None:
            return "running"
        match self.waiting:
            case Queued():
                return "queued"
            case Loading():
                return "loading"
            case None:
                return "new"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens in it."""
        return self.state in ("finished", "failed")

    @property
    def is_paused(self) -> bool:
        """Whether it waits to be let on."""
        return self.state == "running" and self.pace is not None and self.pace.allowed == 0

    def decoding_at(self, position: int) -> Decoding:
        """The settings that the token at ``position`` was, or would be, chosen with."""
        known = [one.decoding for one in self.amended if one.position <= position]
        return known[-1] if known else self.run.decoding

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the new tokens, as ``model.generate()`` would give them."""
        return tuple(step.id for step in self.steps)

    @property
    def text(self) -> str:
        """The new text without control tokens; while beam search runs, its leading hypothesis.

        At a fork it begins in the middle of a text, maybe in the middle of a character.
        """
        tail = self.finished.tail if self.finished else ""
        if self.beams and all(step.forced for step in self.steps):
            tail = self.beams[-1].leading
        return _text(self.steps) + tail

    @property
    def whole(self) -> tuple[Step, ...]:
        """The steps of the whole answer, those that stand before a fork included."""
        return (*self.beginning, *self.steps)

    @property
    def answer(self) -> str:
        """The text of the whole answer."""
        return _text(self.beginning) + self.text

    @property
    def mean_logprob(self) -> float | None:
        """The mean log-probability (nats) of the new tokens under the model itself, without those
        that the reader put there; None before the first, and where a server tells none."""
        told = [step.logprob for step in self.steps if not (step.forced or isnan(step.logprob))]
        return sum(told) / len(told) if told else None

    @property
    def perplexity(self) -> float | None:
        """exp of the mean surprise of the tokens that ``mean_logprob`` is of."""
        mean = self.mean_logprob
        return None if mean is None else exp(-mean)

    @property
    def forwards(self) -> int:
        """How often the model has read, up to now: the whole prompt counts once, a draft's do not.

        One forward gave every ``Step`` that no other shares with it, and every ``Proposed`` with
        the tokens that it accepted and the one after them.
        """
        shared = {
            proposed.position + n for proposed in self.proposals
            for n in range(proposed.accepted + 1)
        }
        # The winner's steps after a beam search were read by it; what was inserted came before.
        told = [step for step in self.steps if step.forced or not self.beams]
        alone = len(self.beams) + sum(step.position not in shared for step in told)
        return len(self.proposals) + alone

    @property
    def acceptance(self) -> float | None:
        """The share of the proposed tokens that the model chose itself; None without any."""
        proposed = sum(len(one.pieces) for one in self.proposals)
        return sum(one.accepted for one in self.proposals) / proposed if proposed else None

    @property
    def forward_seconds(self) -> tuple[float, ...]:
        """The time of each forward that gave tokens, the first of which read the prompt's end; 0.0
        where it was not told."""
        # One forward gave all the tokens that it accepted and the one after them.
        again = {p.position + n + 1 for p in self.proposals for n in range(p.accepted)}
        own = [step for step in self.steps if step.position not in again]
        before = [step.seconds for step in own if step.forced]
        after = [step.seconds for step in own if not step.forced]
        return (*before, *(beams.seconds for beams in self.beams), *after)

    @property
    def tokens_per_second(self) -> float | None:
        """New tokens per second of decoding, the first (which prefill pays for) left out.

        Of the time of its own forwards, so that neither a pause nor what the model read for others
        counts; of all the time at its end where no forward told its own.
        """
        spent = sum(self.forward_seconds[1:])
        searching = all(step.forced for step in self.steps)
        count = len(self.steps) + (len(self.beams) if searching else 0)
        if spent > 0 and count > 1:
            return (count - 1) / spent
        done = self.finished
        if done is None or done.new_tokens < 2 or done.decode_seconds <= 0:
            return None
        return (done.new_tokens - 1) / done.decode_seconds


def _text(steps: Sequence[Step]) -> str:
    """What these tokens add to the text, control tokens left out."""
    return "".join(step.text for step in steps if not step.special)
