"""The handle on a worker process: start, send, hear, notice its end; it knows no budget."""

from __future__ import annotations

import importlib
import itertools
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Paced, Step
from playground.core.inspection import F, Inspection
from playground.core.messages import (
    Alive,
    Amend,
    Attach,
    Attached,
    Begin,
    Cancel,
    Command,
    Detach,
    DeviceMemory,
    DraftFailed,
    DraftLoaded,
    DraftProgress,
    Events,
    Inspect,
    Inspected,
    InspectFailed,
    Load,
    LoadDraft,
    Loaded,
    LoadFailed,
    LoadProgress,
    Look,
    Looked,
    ModelCard,
    Moved,
    Pace,
    Park,
    Refused,
    Render,
    Rendered,
    RenderFailed,
    Replay,
    Replayed,
    ReplayFailed,
    Reply,
    Score,
    ScoreDone,
    ScoreFailed,
    Unpark,
)
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, Scored, ScoreOrContest
from playground.environment import children_inherit, worker_environment
from playground.errors import DeadlinePassed, InvalidInput, PlaygroundError, Problem, WorkerDied

log = logging.getLogger(__name__)

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
_PRIVATE = ("Private_Dirty:", "Private_Hugetlb:", "Swap:")
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for what, in seconds.

    ``silence``: no sign of life from a worker. ``load``: files to a ready model. ``grace``: a
    stopped run's last word. ``stuck``: a stopped row that still decodes, after which its worker is
    ended. ``unread``: events that nobody reads. ``stalled``: a download without a new byte.
    ``download``: a whole download. ``blocked``: a model whose worker died three times in a row.
    """

    silence: float = 30.0
    load: float = 900.0
    grace: float = 2.0
    stuck: float = 60.0
    unread: float = 15.0
    stalled: float = 60.0
    download: float = 6 * 3600.0
    blocked: float = 600.0


class Abandoned(Exception):
    """Nobody waits any more for what was being done."""


def as_error(problem: Problem) -> PlaygroundError:
    """The exception that carries a problem which came over a pipe."""
    error = PlaygroundError(problem.message)
    error.problem = problem
    return error


def start_forkserver() -> None:
    """Start the process that imports torch and forks every worker; returns at once.

    It starts with the environment of a worker, so no secret is in it or in what it forks. Where the
    system cannot fork, workers are spawned and import for themselves.
    """
    if not _FORKS:
        return
    _CONTEXT.set_forkserver_preload(["playground.worker.no_garbage", "playground.worker.preload"])
    with children_inherit(_environment()):
        forkserver.ensure_running()


def _environment() -> dict[str, str]:
    """A worker's environment; PYTHONPATH as Python 3.11's forkserver ignores our sys.path."""
    environment = worker_environment()
    paths = [_ROOT, *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {
        "PYTHONPATH": os.pathsep.join(paths),
        # Asking CUDA whether it is there would open it, and what opened it cannot fork.
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }


class WorkerProcess:
    """A process that holds one model.

    What needs an answer waits for it, and may be called from any thread; all else returns at once.
    A listener is called on the thread that reads the pipe, and gets ``Finished`` or ``Failed`` as
    its last event even if the process dies. ``on_end`` is called once, when the process is gone;
    ``crashed`` then says whether it ended without being asked to, a refused load excepted.
    ``device`` is what it last told of the memory of its device, where that has its own.
    """

    def __init__(
        self, spec: ModelSpec, patience: Patience, on_end: Callable[[WorkerProcess], None]
    ) -> None:
        """Fork a worker. Waits for the forkserver's imports; raises WorkerDied when it cannot."""
        self.spec = spec
        self.card: ModelCard | None = None
        self.device: DeviceMemory | None = None
        self.problem: Problem | None = None
        self.crashed = False
        self._patience = patience
        self._on_end = on_end
        self._keys = itertools.count(1)
        self._lock = threading.Lock()
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._answers: dict[int, Future[Any]] = {}
        self._looking: Future[DeviceMemory] = Future()
        self._loading: Future[ModelCard] = Future()
        self._progress: Callable[[LoadProgress], None] = lambda _: None
        self._drafting: dict[int, tuple[ModelSpec, Callable[[LoadProgress], None]]] = {}
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        self._ending = False
        self._refused = False
        self._ended = threading.Event()
        self._connection, self._process = _fork(spec)
        self.pid: int = self._process.pid or 0
        threading.Thread(target=self._hear, name=f"hear {self.pid}", daemon=True).start()
        threading.Thread(target=self._speak, name=f"speak {self.pid}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process can still be asked for something."""
        return not self._ending and not self._ended.is_set()

    @property
    def memory(self) -> int:
        """Bytes of the host that ending this process would give back; 0 when it is gone.

        Weights that are mapped from their file are not among them: the system counts those as
        available already.
        """
        try:
            rows = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
            return sum(1024 * int(row.split()[1]) for row in rows if row.startswith(_PRIVATE))
        except (OSError, ValueError, IndexError):
            pass  # gone, or no Linux
        try:
            return int(psutil.Process(self.pid).memory_full_info().uss)
        except psutil.Error:
            return 0

    def look(self, device: str) -> DeviceMemory:
        """Where models will be held and what memory is there; only before ``load``.

        Raises PlaygroundError.
        """
        self._commands.put(Look(device))
        late = _slow_load(self.spec, self._patience.load, "model")
        found: DeviceMemory = _wait_for(self._looking, self._patience.load, lambda: False, late)
        return found

    def load(
        self,
        folder: Path,
        device: str,
        progress: Callable[[LoadProgress], None],
        given_up: Callable[[], bool],
    ) -> ModelCard:
        """Load the model from ``folder``, waiting for it. On any failure the process is ended.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError.
        """
        self._progress = progress
        self._commands.put(Load(self.spec, str(folder), device))
        try:
            self.card = _wait_for(
                self._loading, self._patience.load, given_up,
                _slow_load(self.spec, self._patience.load, "model"),
            )
            return self.card
        except BaseException:
            self.end()
            raise

    def load_draft(
        self,
        spec: ModelSpec,
        folder: Path,
        progress: Callable[[LoadProgress], None],
        given_up: Callable[[], bool],
    ) -> ModelCard:
        """Load a model beside this one that proposes tokens for it, waiting for it; it stays.

        Nobody decodes here while its weights are read. Raises Abandoned when ``given_up`` says so,
        and PlaygroundError.
        """
        seconds = self._patience.load
        with self._asked(lambda key: LoadDraft(key, spec, str(folder))) as (key, future):
            self._drafting[key] = (spec, progress)
            try:
                card: ModelCard = _wait_for(
                    future, seconds, given_up, _slow_load(spec, seconds, "draft")
                )
            finally:
                del self._drafting[key]
            return card

    def attach(
        self, spec: ModelSpec, folder: Path, given_up: Callable[[], bool]
    ) -> ModelCard:
        """Put an adapter beside the model, waiting for it; rows go on meanwhile.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError.
        """
        seconds = self._patience.load
        with self._asked(lambda key: Attach(key, spec, str(folder))) as (_, future):
            late = _slow_load(spec, seconds, "adapter")
            card: ModelCard = _wait_for(future, seconds, given_up, late)
            return card

    def detach(self, spec: ModelSpec) -> Moved:
        """Take an adapter off that no row uses; what that freed. Raises PlaygroundError."""
        return self._moved(lambda key: Detach(key, spec))

    def park(self) -> Moved:
        """Move the weights to host memory; only while there are no rows. Raises PlaygroundError."""
        return self._moved(Park)

    def unpark(self) -> Moved:
        """Move the weights back to the device. Raises PlaygroundError, and then they stay."""
        return self._moved(Unpark)

    def _moved(self, command: Callable[[int], Command]) -> Moved:
        seconds = self._patience.load
        with self._asked(command) as (_, future):
            late = _slow_load(self.spec, seconds, "model")
            moved: Moved = _wait_for(future, seconds, lambda: False, late)
            return moved

    def begin(
        self, run: Run, listener: Callable[[Event], None], pace: Paced | None = None
    ) -> int:
        """Let ``run`` join the batch, no faster than ``pace``; gives the key that the others take.
        """
        key = next(self._keys)
        with self._lock:
            if not self._ended.is_set():
                self._listeners[key] = listener
                self._commands.put(Begin(key, run, pace))
                return key
        listener(Failed(self.problem or _ended_problem(self.spec, None)))
        return key

    def cancel(self, key: int) -> None:
        """Let the row leave at the next step."""
        self._commands.put(Cancel(key))

    def pace(self, key: int, allowed: int | None, seconds: float) -> None:
        """Let the row have so many turns more, one each ``seconds``; ``Paced`` answers."""
        self._commands.put(Pace(key, allowed, seconds))

    def amend(self, key: int, decoding: Decoding) -> None:
        """Let the row go on with other settings; ``Amended`` or ``Unamended`` answers."""
        self._commands.put(Amend(key, decoding))

    def render(self, prompt: Prompt, timeout: float, adapter: str = "") -> Rendered:
        """The prompt as the model, or an adapter, will see it. Raises PlaygroundError."""
        late = DeadlinePassed(
            f"{self.spec.label} had no time to show this prompt within {timeout:.0f} s.",
            field="prompt", advice="Try again when it is less busy.",
        )
        with self._asked(lambda key: Render(key, prompt, adapter)) as (_, future):
            rendered: Rendered = _wait_for(future, timeout, lambda: False, late)
            return rendered

    def score(
        self, request: ScoreOrContest, seconds: float, given_up: Callable[[], bool],
        adapter: str = "",
    ) -> Scored | Contest:
        """What the model, or an adapter, says of given texts, waiting for it; it stops reading them
        on any failure.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError.
        """
        late = DeadlinePassed(
            f"Scoring took longer than the {seconds:g} s that it may take here.",
            field="text", advice="Score a shorter text.",
        )
        with self._asked(lambda key: Score(key, request, adapter)) as (key, future):
            try:
                result: Scored | Contest = _wait_for(future, seconds, given_up, late)
                return result
            finally:
                if not future.done():
                    self.cancel(key)

    def inspect(
        self, request: Inspection[F], seconds: float, given_up: Callable[[], bool],
        adapter: str = "",
    ) -> F:
        """What a look into the model, or an adapter, finds, waiting for it; it is ended on any
        failure. Raises Abandoned when ``given_up`` says so, and PlaygroundError."""
        late = DeadlinePassed(
            f"This look into {self.spec.label} took longer than the {seconds:g} s that it may take "
            "here.", field="text", advice="Look at a shorter text, or when it is less busy.",
        )
        with self._asked(lambda key: Inspect(key, request, adapter)) as (key, future):
            try:
                found: F = _wait_for(future, seconds, given_up, late)
                return found
            finally:
                if not future.done():
                    self.cancel(key)

    def replay(
        self, run_key: int, position: int, decoding: Decoding, timeout: float, adapter: str = ""
    ) -> Step:
        """A recent step of a run, chosen again under other settings. Raises PlaygroundError."""
        if not self.alive:
            raise InvalidInput(
                f"The steps of this run are gone: {self.spec.label} was unloaded since.",
                field="position", given=position, advice="Run it again to look at it.",
            )
        late = DeadlinePassed(
            f"{self.spec.label} had no time to replay this step within {timeout:.0f} s.",
            field="position", advice="Try again when it is less busy.",
        )
        with self._asked(lambda key: Replay(key, run_key, position, decoding, adapter)) as (_, f):
            step: Step = _wait_for(f, timeout, lambda: False, late)
            return step

    @contextmanager
    def _asked(self, command: Callable[[int], Command]) -> Iterator[tuple[int, Future[Any]]]:
        """A question to the worker: its key, and where the answer comes while somebody waits."""
        key, future = next(self._keys), Future[Any]()
        with self._lock:
            if self._ended.is_set():
                raise as_error(self.problem or _ended_problem(self.spec, None))
            self._answers[key] = future
        self._commands.put(command(key))
        try:
            yield key, future
        finally:
            with self._lock:
                self._answers.pop(key, None)

    def end(self, problem: Problem | None = None) -> int:
        """Kill the process and wait until it is gone; gives the bytes that this freed.

        With a ``problem`` it is ended for a fault, which the runs that are still in it fail with.
        Ending twice is harmless.
        """
        freed = self.memory
        self.problem = self.problem or problem
        self._ending = problem is None
        self._kill()
        self._ended.wait(10)
        return freed

    def _kill(self) -> None:
        if not self._ended.is_set():  # its number may be another process's by then
            self._process.kill()

    def _speak(self) -> None:
        """Send the commands; a thread of its own, because a full pipe blocks."""
        while (command := self._commands.get()) is not None:
            try:
                self._connection.send(command)
            except OSError:
                return

    def _hear(self) -> None:
        """Dispatch replies until the process ends or falls silent."""
        heard = time.monotonic()
        try:
            while True:
                if self._connection.poll(min(1.0, self._patience.silence / 4)):
                    self._dispatch(self._connection.recv())
                    heard = time.monotonic()
                elif time.monotonic() - heard > self._patience.silence:
                    self.problem = _silent_problem(self.spec, self._patience.silence)
                    break
        except (EOFError, OSError, pickle.UnpicklingError):
            pass
        finally:
            self._kill()
            self._bury()

    def _dispatch(self, reply: Reply) -> None:
        match reply:
            case Events(items):
                for key, event in items:
                    self._tell(key, event)
            case Looked(memory):
                self.device = memory
                self._looking.set_result(memory)
            case LoadProgress():
                self._progress(reply)
            case Loaded(card):
                self._loading.set_result(card)
            case LoadFailed(problem):
                self.problem, self._refused = problem, True
                for future in (self._looking, self._loading):
                    if not future.done():
                        future.set_exception(as_error(problem))
            case Rendered(key) | Moved(key):
                self._answer(key, reply)
            case ScoreDone(key, result):
                self._answer(key, result)
            case Inspected(key, finding):
                self._answer(key, finding)
            case Replayed(key, step):
                self._answer(key, step)
            case DraftProgress(spec, said):
                for wanted, tell in list(self._drafting.values()):
                    if wanted == spec:
                        tell(said)
            case DraftLoaded(key, card) | Attached(key, card):
                self._answer(key, card)
            case (
                RenderFailed(key, problem) | ScoreFailed(key, problem)
                | InspectFailed(key, problem) | ReplayFailed(key, problem)
                | DraftFailed(key, problem) | Refused(key, problem)
            ):
                if asked := self._answers.get(key):
                    asked.set_exception(as_error(problem))
            case Alive(memory):
                self.device = memory or self.device

    def _answer(self, key: int, answer: object) -> None:
        if asked := self._answers.get(key):
            asked.set_result(answer)

    def _tell(self, key: int, event: Event) -> None:
        with self._lock:
            last = isinstance(event, (Finished, Failed))
            listener = (self._listeners.pop if last else self._listeners.get)(key, None)
        if listener:
            listener(event)

    def _bury(self) -> None:
        """The process is gone: everybody who waits for something from it hears why."""
        self._process.join(10)
        self.crashed = not self._ending and not self._refused
        if self.problem is None:
            self.problem = _ended_problem(self.spec, self._process.exitcode)
        if self.crashed:
            log.warning("worker %s: %s", self.pid, self.problem.message)
        problem = self.problem
        with self._lock:
            self._ended.set()
            listeners, self._listeners = list(self._listeners.values()), {}
            waiting, self._answers = list(self._answers.values()), {}
        for listener in listeners:
            listener(Failed(problem))
        waiting += [self._looking, self._loading]
        for future in waiting:
            if not future.done():
                future.set_exception(as_error(problem))
        self._commands.put(None)
        self._connection.close()
        self._on_end(self)


def _fork(spec: ModelSpec) -> tuple[Connection, BaseProcess]:
    """A new worker and our end of the pipe to it."""
    ours, theirs = _CONTEXT.Pipe()
    try:
        start_forkserver()  # does nothing unless it has died
        process = _CONTEXT.Process(
            target=_be_a_worker, args=(theirs,), name=f"worker {spec.label}", daemon=True
        )
        process.start()
    except (OSError, EOFError) as error:
        ours.close()
        raise WorkerDied(
            f"No process could be started for {spec.label} ({type(error).__name__}).",
            field="model", given=spec.repo, advice="Try again; if it fails again, restart the app.",
        ) from error
    finally:
        theirs.close()
    return ours, process


def _be_a_worker(connection: Connection) -> None:
    """The target of the child. It imports by name: this module's own process has no torch."""
    importlib.import_module("playground.worker.serve").serve(connection)


def _ended_problem(spec: ModelSpec, exitcode: int | None) -> Problem:
    how = "" if exitcode is None else f" (exit code {exitcode})"
    advice = "Run again: it is started anew."
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        how = f" ({name})"
        if name == "SIGKILL":
            advice = "This is often the system when memory ends. " + advice
    return WorkerDied(
        f"The process that held {spec.label} ended by itself{how}.",
        field="model", given=spec.repo, advice=advice,
    ).problem


def _wait_for(
    future: Future[Any], seconds: float, given_up: Callable[[], bool], late: PlaygroundError
) -> Any:
    """What comes, or what was raised there; Abandoned when nobody waits, ``late`` after a time."""
    until = time.monotonic() + seconds
    while True:
        try:
            return future.result(timeout=min(0.1, seconds))
        except TimeoutError:
            if given_up():
                raise Abandoned from None
            if time.monotonic() >= until:
                raise late from None


def _slow_load(spec: ModelSpec, seconds: float, field: str) -> DeadlinePassed:
    return DeadlinePassed(
        f"{spec.label} was not loaded after {seconds:.0f} s.",
        field=field, given=spec.repo, advice="Choose a smaller model.",
    )


def _silent_problem(spec: ModelSpec, seconds: float) -> Problem:
    return DeadlinePassed(
        f"{spec.label} gave no sign of life for {seconds:.0f} s, so its process was ended.",
        field="model", given=spec.repo,
        advice="Run again: it is started anew. If it happens again, the model's own chat template "
        "or tokenizer may never come to an end.",
    ).problem
