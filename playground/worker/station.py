"""One model of a worker, the loaded one or an adapter: its loop, scorer, inspector and rows."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Paced, Unamended
from playground.core.inspection import Inspection
from playground.core.messages import (
    Events,
    Inspected,
    InspectFailed,
    Rendered,
    RenderFailed,
    Replayed,
    ReplayFailed,
    Reply,
    ScoreDone,
    ScoreFailed,
)
from playground.core.prompt import Prompt
from playground.core.run import Run
from playground.core.score import ScoreOrContest
from playground.decode.loop import DecodeLoop
from playground.decode.score import Scorer
from playground.decode.speculate import Drafts
from playground.errors import OutOfMemory, PlaygroundError, Problem
from playground.inside.inspector import Inspector
from playground.models.loading import Model
from playground.models.text import encode
from playground.worker.pipe import Outlet

log = logging.getLogger(__name__)

# After a device-side assert every later call on the device fails: only a new process helps.
_POISONED = tuple(kind for kind in (getattr(torch, "AcceleratorError", None),) if kind)


class Station:
    """A model, the runs that are decoded with it, and the texts that are scored.

    What a repo brings may raise anything, and a panic in the tokenizer's Rust is a BaseException
    (pyo3_runtime.PanicException) that cannot be imported by name. At this border it fails one run;
    it must not end everybody's.
    """

    def __init__(self, pipe: Outlet, model: Model, drafts: Drafts) -> None:
        self._pipe = pipe
        self._drafts = drafts
        self.model = model
        self.rows: set[int] = set()
        self.rest()

    def rest(self) -> None:
        """Forget what was kept for rows; only while there are none."""
        self._loop = DecodeLoop(self.model, self._drafts)
        self._scorer = Scorer(self.model)
        self._inspector = Inspector(self.model)

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return self._loop.busy or self._scorer.busy or self._inspector.busy

    @property
    def due_in(self) -> float | None:
        """Seconds until a step would do anything; None is not before a command comes."""
        return 0.0 if self._scorer.busy or self._inspector.busy else self._loop.due_in

    def begin(self, key: int, run: Run, pace: Paced | None = None) -> None:
        """Let a run join at the next step, and go no faster than its pace."""
        self.rows.add(key)
        try:
            with self._pipe.bounded():
                self._loop.join(key, run)
                if pace is not None:
                    self._loop.pace(key, pace.allowed, pace.seconds)
        except BaseException as error:  # see above
            self._fail([key], explained(error, "run"))

    def leave(self, key: int) -> None:
        """Let a row or a text go, if it is here."""
        if key in self.rows:
            self._loop.leave(key)
        self._scorer.leave(key)
        self._inspector.leave(key)

    def pace(self, key: int, allowed: int | None, seconds: float) -> None:
        """Let a row go on so far and so fast, if it is here."""
        if key in self.rows:
            self._loop.pace(key, allowed, seconds)

    def amend(self, key: int, decoding: Decoding) -> None:
        """Let a row go on with other settings, if it is here; what fails leaves it as it was."""
        if key not in self.rows:
            return
        try:
            with self._pipe.bounded():  # it reads banned and other phrases
                self._loop.amend(key, decoding)
        except BaseException as error:  # see above
            refused = Unamended(decoding, explained(error, "change"))
            self._pipe.send(Events(((key, refused),)))

    def render(self, key: int, prompt: Prompt) -> None:
        """Tell a prompt as the model will see it."""
        try:
            self.model.check_decodes()
            with self._pipe.bounded():
                made = encode(self.model, prompt, self.model.card.context)
        except BaseException as error:  # see above
            self._pipe.send(RenderFailed(key, explained(error, "preview")))
        else:
            self._pipe.send(Rendered(key, made.rendered, made.pieces, made.notices))

    def replay(self, key: int, run_key: int, position: int, decoding: Decoding) -> None:
        """Choose a recent step again, under other settings."""
        try:
            with self._pipe.bounded():  # it reads banned and other phrases
                step = self._loop.replay(run_key, position, decoding)
        except BaseException as error:  # see above
            self._pipe.send(ReplayFailed(key, explained(error, "replay")))
        else:
            self._pipe.send(Replayed(key, step))

    def score(self, key: int, request: ScoreOrContest) -> None:
        """Let a text be scored, a chunk after each step."""
        try:
            with self._pipe.bounded():
                self._scorer.join(key, request)
        except BaseException as error:  # see above
            self._pipe.send(ScoreFailed(key, explained(error, "scoring")))

    def inspect(self, key: int, request: Inspection[Any]) -> None:
        """Let a look into the model take its place, a piece after each step."""
        try:
            self._inspector.join(key, request)
        except BaseException as error:  # see above
            self._pipe.send(InspectFailed(key, explained(error, "look")))

    def step(self) -> None:
        """One step of all rows, one chunk of a text that is scored, and one piece of a look."""
        if self._loop.busy:
            self._decode()
        if self._scorer.busy:
            self._work_on(self._scorer, "scoring", ScoreDone, ScoreFailed)
        if self._inspector.busy:
            with self._pipe.bounded() if self._inspector.reads_texts else nullcontext():
                self._work_on(self._inspector, "look", Inspected, InspectFailed)

    def _decode(self) -> None:
        """One step of all rows; a failure that belongs to no single row fails every row."""
        try:
            items = tuple(self._loop.step())
        except BaseException as error:  # see above: memory, a kernel, a bug; the model stays
            problem, poisoned = explained(error, "run"), isinstance(error, _POISONED)
            del error
            self._fail(sorted(self.rows), problem)
            if poisoned:
                os._exit(1)
            self._loop = DecodeLoop(self.model, self._drafts)
            gc.collect()
            return
        self.rows -= {key for key, event in items if isinstance(event, (Finished, Failed))}
        if items:
            self._pipe.send(Events(items))

    def _work_on(
        self, work: Scorer | Inspector, what: str, done: Callable[..., Reply],
        failed: Callable[..., Reply],
    ) -> None:
        """One piece of work for who does not decode; whoever does waits for no more than that."""
        key = work.turn
        try:
            told = work.step(beside=self._loop.busy)
        except BaseException as error:  # see above
            problem, poisoned = explained(error, what), isinstance(error, _POISONED)
            del error
            self._pipe.send(failed(key, problem))
            if poisoned:
                os._exit(1)
            gc.collect()
            return
        if told is not None:
            key, result = told
            self._pipe.send((failed if isinstance(result, Problem) else done)(key, result))

    def _fail(self, keys: list[int], problem: Problem) -> None:
        self.rows -= set(keys)
        self._pipe.send(Events(tuple((key, Failed(problem)) for key in keys)))


def explained(error: BaseException, what: str) -> Problem:
    """The problem that the reader sees; one that nobody foresaw goes to the log under an id.

    The log gets the place and the kind of the error and not its words, which may quote a prompt.
    """
    if isinstance(error, PlaygroundError):
        return error.problem
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    if memory or "can't allocate memory" in str(error):  # a CPU's has no class
        return OutOfMemory(
            f"Memory ended in the middle of this {what}.",
            advice="Ask for fewer new tokens, fewer beams or columns, or choose a smaller model.",
        ).problem
    name = secrets.token_hex(4)
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("Unexpected %s in a %s, id %s\n%s", type(error).__name__, what, name, frames)
    return Problem(
        PlaygroundError.code,
        f"This {what} failed in a way that the app does not know ({type(error).__name__}).",
        advice=f"Details are in the log of the app under {name}.",
    )
