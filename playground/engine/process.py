"""The handle on a worker process: send, hear, notice its end; it knows no budget."""

from __future__ import annotations

import itertools
import logging
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
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
from playground.engine.fork import fork
from playground.engine.waiting import GivenUp, Patience, never, wait_for
from playground.errors import (
    DeadlinePassed,
    InvalidInput,
    PlaygroundError,
    Problem,
    WorkerDied,
    as_error,
)

log = logging.getLogger(__name__)

_PRIVATE = ("Private_Dirty:", "Private_Hugetlb:", "Swap:")


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
        self._drafting: list[tuple[ModelSpec, Callable[[LoadProgress], None]]] = []
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        self._ending = False
        self._refused = False
        self._ended = threading.Event()
        self._connection, self._process = fork(spec)
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
        return wait_for(self._looking, self._patience.load, never, self._late(self.spec, "model"))

    def load(
        self, folder: Path, device: str, progress: Callable[[LoadProgress], None],
        given_up: GivenUp,
    ) -> ModelCard:
        """Load the model from ``folder``, waiting for it. On any failure the process is ended.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError.
        """
        self._progress = progress
        self._commands.put(Load(self.spec, str(folder), device))
        late = self._late(self.spec, "model")
        try:
            self.card = wait_for(self._loading, self._patience.load, given_up, late)
            return self.card
        except BaseException:
            self.end()
            raise

    def load_draft(
        self, spec: ModelSpec, folder: Path, progress: Callable[[LoadProgress], None],
        given_up: GivenUp,
    ) -> ModelCard:
        """Load a model beside this one that proposes tokens for it, waiting for it; it stays.

        Nobody decodes here while its weights are read. Raises Abandoned when ``given_up`` says so,
        and PlaygroundError.
        """
        told = (spec, progress)
        self._drafting.append(told)
        try:
            card: ModelCard = self._ask(
                lambda key: LoadDraft(key, spec, str(folder)), self._patience.load,
                self._late(spec, "draft"), given_up,
            )
            return card
        finally:
            self._drafting.remove(told)

    def attach(self, spec: ModelSpec, folder: Path, given_up: GivenUp) -> ModelCard:
        """Put an adapter beside the model, waiting for it; rows go on meanwhile.

        Raises Abandoned when ``given_up`` says so, and PlaygroundError.
        """
        card: ModelCard = self._ask(
            lambda key: Attach(key, spec, str(folder)), self._patience.load,
            self._late(spec, "adapter"), given_up,
        )
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
        moved: Moved = self._ask(command, self._patience.load, self._late(self.spec, "model"))
        return moved

    def _late(self, spec: ModelSpec, field: str) -> DeadlinePassed:
        return DeadlinePassed(
            f"{spec.label} was not loaded after {self._patience.load:.0f} s.",
            field=field, given=spec.repo, advice="Choose a smaller model.",
        )

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
        rendered: Rendered = self._ask(lambda key: Render(key, prompt, adapter), timeout, late)
        return rendered

    def score(
        self, request: ScoreOrContest, seconds: float, given_up: GivenUp,
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
        scored: Scored | Contest = self._ask(
            lambda key: Score(key, request, adapter), seconds, late, given_up)
        return scored

    def inspect(
        self, request: Inspection[F], seconds: float, given_up: GivenUp,
        adapter: str = "",
    ) -> F:
        """What a look into the model, or an adapter, finds, waiting for it; it is ended on any
        failure. Raises Abandoned when ``given_up`` says so, and PlaygroundError."""
        late = DeadlinePassed(
            f"This look into {self.spec.label} took longer than the {seconds:g} s that it may take "
            "here.", field="text", advice="Look at a shorter text, or when it is less busy.",
        )
        found: F = self._ask(lambda key: Inspect(key, request, adapter), seconds, late, given_up)
        return found

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
        step: Step = self._ask(
            lambda key: Replay(key, run_key, position, decoding, adapter), timeout, late)
        return step

    def _ask(
        self, command: Callable[[int], Command], seconds: float, late: PlaygroundError,
        given_up: GivenUp = never,
    ) -> Any:
        """What the worker answers to a command that carries this key, waited for; what is scored or
        looked at is cancelled where nobody waits any more."""
        key, future = next(self._keys), Future[Any]()
        asked = command(key)
        with self._lock:
            if self._ended.is_set():
                raise as_error(self.problem or _ended_problem(self.spec, None))
            self._answers[key] = future
        self._commands.put(asked)
        try:
            return wait_for(future, seconds, given_up, late)
        finally:
            with self._lock:
                self._answers.pop(key, None)
            if isinstance(asked, Score | Inspect) and not future.done():
                self.cancel(key)

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
                for wanted, tell in list(self._drafting):
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


def _silent_problem(spec: ModelSpec, seconds: float) -> Problem:
    return DeadlinePassed(
        f"{spec.label} gave no sign of life for {seconds:.0f} s, so its process was ended.",
        field="model", given=spec.repo,
        advice="Run again: it is started anew. If it happens again, the model's own chat template "
        "or tokenizer may never come to an end.",
    ).problem
