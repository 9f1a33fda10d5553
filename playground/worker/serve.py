"""What runs in the child: one model, one loop for all its rows, commands in, events out.

Three threads: one reads commands, one tells the app that the process lives, and the first does all
work with torch. The process ends when the pipe ends, so it never outlives the app.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

import torch

from playground.core.events import Failed, Finished
from playground.core.messages import (
    Alive,
    Begin,
    Cancel,
    Command,
    DraftFailed,
    DraftLoaded,
    Events,
    Load,
    LoadDraft,
    Loaded,
    LoadFailed,
    Render,
    Rendered,
    RenderFailed,
    Reply,
    Score,
    ScoreDone,
    ScoreFailed,
    Shutdown,
)
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec
from playground.core.score import ScoreOrContest
from playground.decode.loop import DecodeLoop
from playground.decode.score import Scorer
from playground.decode.speculate import check_draft
from playground.errors import OutOfMemory, PlaygroundError, Problem
from playground.models.loading import Model, load
from playground.models.text import encode

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
ENCODING_SECONDS = 2.0


class Pipe:
    """The worker's end of the pipe; without an app at the other end, the process ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.commands: SimpleQueue[Command] = SimpleQueue()
        self.silent_from: float | None = None

    def start(self) -> None:
        """Read commands and send heartbeats in threads of their own."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def send(self, reply: Reply) -> None:
        """Send ``reply``; when nobody can hear it any more, the process ends."""
        try:
            with self._lock:
                self._connection.send(reply)
        except OSError:
            os._exit(0)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Inside, heartbeats end after ENCODING_SECONDS, so that the app's watchdog sees a hang.

        For work that runs what a repo brings (a chat template, a tokenizer) and that may never end.
        """
        self.silent_from = time.monotonic() + ENCODING_SECONDS
        try:
            yield
        finally:
            self.silent_from = None

    def _read(self) -> None:
        while True:
            try:
                self.commands.put(self._connection.recv())
            except (EOFError, OSError):
                os._exit(0)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            silent_from = self.silent_from
            if silent_from is None or time.monotonic() < silent_from:
                self.send(Alive())


class Worker:
    """One loaded model and the rows that are being decoded with it."""

    def __init__(self, pipe: Pipe, command: Load) -> None:
        self._pipe = pipe
        self._model = load(command.spec, command.folder, command.device, pipe.send)
        self._device = command.device
        self._drafts: dict[ModelSpec, Model] = {command.spec: self._model}
        self._loop = DecodeLoop(self._model, self._drafts)
        self._scorer = Scorer(self._model)
        self._rows: set[int] = set()
        self.card = self._model.card

    def work(self) -> None:
        """Obey commands and decode until Shutdown."""
        while True:
            for command in self._waiting():
                if isinstance(command, Shutdown):
                    return
                self._obey(command)
            if self._loop.busy:
                self._step()
            if self._scorer.busy:
                self._score_on()

    def _waiting(self) -> Iterator[Command]:
        """The commands that have come; when there is nothing to do, wait for one."""
        if not (self._loop.busy or self._scorer.busy):
            yield self._pipe.commands.get()
        while True:
            try:
                yield self._pipe.commands.get_nowait()
            except Empty:
                return

    def _obey(self, command: Command) -> None:
        match command:
            case Begin(key, run):
                self._rows.add(key)
                try:
                    with self._pipe.bounded():  # the loop would encode inside a step, unwatched
                        encode(self._model, run.prompt, self.card.context)
                    self._loop.join(key, run)
                # What a repo brings may raise anything, and a panic in the tokenizer's Rust is a
                # BaseException (pyo3_runtime.PanicException) that cannot be imported by name. At
                # this border it fails one run; it must not end everybody's.
                except BaseException as error:
                    self._fail([key], explained(error, "run"))
            case Cancel(key):
                self._loop.leave(key)
                self._scorer.leave(key)
            case Render(key, prompt):
                self._render(key, prompt)
            case Score(key, request):
                self._score(key, request)
            case LoadDraft(key, spec, folder):
                self._load_draft(key, spec, folder)
            case Load() | Shutdown():
                raise AssertionError(f"{type(command).__name__} is not for a loaded worker")

    def _load_draft(self, key: int, spec: ModelSpec, folder: str) -> None:
        """Put a draft beside the model; nobody decodes while its weights are read."""
        threads = torch.get_num_threads()
        try:
            if spec not in self._drafts:
                draft = load(spec, folder, self._device)
                check_draft(self._model, draft)
                self._drafts[spec] = draft
        except BaseException as error:  # the same border as for Begin
            self._pipe.send(DraftFailed(key, explained(error, "draft")))
            gc.collect()
        else:
            self._pipe.send(DraftLoaded(key, self._drafts[spec].card))
        finally:
            torch.set_num_threads(threads)  # loading has set those of the smaller model

    def _render(self, key: int, prompt: Prompt) -> None:
        try:
            with self._pipe.bounded():
                made = encode(self._model, prompt, self.card.context)
        except BaseException as error:  # the same border as for Begin
            self._pipe.send(RenderFailed(key, explained(error, "preview")))
        else:
            self._pipe.send(Rendered(key, made.rendered, made.pieces, made.notices))

    def _score(self, key: int, request: ScoreOrContest) -> None:
        try:
            with self._pipe.bounded():
                self._scorer.join(key, request)
        except BaseException as error:  # the same border as for Begin
            self._pipe.send(ScoreFailed(key, explained(error, "scoring")))

    def _score_on(self) -> None:
        """One chunk of a text that is scored; whoever decodes waits for no more than that."""
        key = self._scorer.turn
        try:
            told = self._scorer.step()
        except BaseException as error:  # the same border as for a step
            problem, poisoned = explained(error, "scoring"), isinstance(error, _POISONED)
            del error
            self._pipe.send(ScoreFailed(key, problem))
            if poisoned:
                os._exit(1)
            gc.collect()
            return
        if told is not None:
            key, result = told
            failed = isinstance(result, Problem)
            self._pipe.send(ScoreFailed(key, result) if failed else ScoreDone(key, result))

    def _step(self) -> None:
        """One step of all rows; a failure that belongs to no single row fails every row."""
        try:
            items = tuple(self._loop.step())
        except BaseException as error:  # the same border: memory, a kernel, a bug; the model stays
            problem, poisoned = explained(error, "run"), isinstance(error, _POISONED)
            del error
            self._fail(sorted(self._rows), problem)
            if poisoned:
                os._exit(1)
            self._loop = DecodeLoop(self._model, self._drafts)
            gc.collect()
            return
        self._rows -= {key for key, event in items if isinstance(event, (Finished, Failed))}
        if items:
            self._pipe.send(Events(items))

    def _fail(self, keys: list[int], problem: Problem) -> None:
        self._rows -= set(keys)
        self._pipe.send(Events(tuple((key, Failed(problem)) for key in keys)))


# After a device-side assert every later call on the device fails: only a new process helps.
_POISONED = tuple(kind for kind in (getattr(torch, "AcceleratorError", None),) if kind)


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


def serve(connection: Connection) -> None:
    """Be a worker: the target of the child process. The first command is a Load."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then ends us
    with suppress(OSError):  # when memory ends, Linux ends a process: rather this than the app
        Path("/proc/self/oom_score_adj").write_text("500")
    pipe = Pipe(connection)
    pipe.start()
    command = pipe.commands.get()
    if not isinstance(command, Load):
        return
    try:
        worker = Worker(pipe, command)
    except BaseException as error:  # the same border: a hostile tokenizer.json can panic here
        pipe.send(LoadFailed(explained(error, "model")))
        return
    pipe.send(Loaded(worker.card))
    worker.work()
