"""A model on a ZeroGPU: the handle that a worker process else has; it knows no page.

There is no worker process here. The models are in this process from its start, and each session of
work is a call of one GPU function, which the Hub runs in a forked child that has a GPU for so long.
Nothing is shared with it but values: a run that is stopped is let go between two steps, and what a
child knew (a KV cache, stored logits) ends with it. Imported on a ZeroGPU only: it imports torch.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Paced, Started, Step, Unamended
from playground.core.inspection import F, Inspection
from playground.core.messages import (
    Begin,
    Command,
    DeviceMemory,
    Events,
    Inspect,
    Inspected,
    InspectFailed,
    LoadProgress,
    ModelCard,
    Moved,
    Render,
    Rendered,
    RenderFailed,
    Reply,
    Score,
    ScoreDone,
    ScoreFailed,
)
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, Scored, ScoreOrContest
from playground.engine.waiting import Abandoned, GivenUp, Patience
from playground.errors import (
    InvalidInput,
    Overloaded,
    PlaygroundError,
    Problem,
    WorkerDied,
    as_error,
)
from playground.worker import zero

held = zero.held

log = logging.getLogger(__name__)

# Runs that are begun within this time share a session: columns of one request begin in a row.
GATHER_SECONDS = 0.05

GpuFunction = Callable[[ModelSpec, Sequence[Command]], Generator[tuple[Reply, ...]]]


def gpu_function() -> GpuFunction:
    """The function that the Hub gives a GPU to; off ZeroGPU ``spaces`` gives it back as it is."""
    # Only on a ZeroGPU is it there, and it must come before CUDA is touched.
    import spaces

    decorated: GpuFunction = spaces.GPU(duration=zero.seconds_of)(zero.session)
    return decorated


def hold_offered(
    models: Sequence[ModelSpec], folder_of: Callable[[ModelSpec], Path], device: str = "cuda"
) -> None:
    """Bring every offered model into this process; one that cannot come is left out, and whoever
    asks for it is told. On the first thread, before the page is served."""
    for spec in models:
        try:
            zero.hold(spec, folder_of(spec), device)
        except PlaygroundError as error:
            log.warning("%s is not offered: %s", spec.label, error)


class ZeroWorker:
    """What ``WorkerProcess`` is elsewhere, over sessions of ``gpu``; the same methods.

    Parking, drafts beside a model and adapters are refused: nothing can be brought to the device
    after the start.
    """

    def __init__(
        self, gpu: GpuFunction, spec: ModelSpec, patience: Patience,
        on_end: Callable[[ZeroWorker], None],
    ) -> None:
        self.spec = spec
        self.card: ModelCard | None = None
        self.device: DeviceMemory | None = None
        self.problem: Problem | None = None
        self.crashed = False
        self.alive = True
        self.pid = 0
        self.memory = 0
        self._gpu = gpu
        self._patience = patience
        self._on_end = on_end
        self._keys = itertools.count(1)
        self._lock = threading.Lock()
        self._gathered: list[Begin] = []
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._answers: dict[int, Future[Any]] = {}
        self._counts: dict[int, tuple[int, int]] = {}

    def look(self, device: str) -> DeviceMemory:
        """Its memory is the Hub's business; weights wait in the memory of the host."""
        return DeviceMemory("cuda:0" if device == "auto" else device)

    def load(
        self, folder: Path, device: str, progress: Callable[[LoadProgress], None],
        given_up: GivenUp,
    ) -> ModelCard:
        """Take the model that this process has had from its start. Raises InvalidInput."""
        self.card = zero.held(self.spec)
        return self.card

    def begin(
        self, run: Run, listener: Callable[[Event], None], pace: Paced | None = None
    ) -> int:
        """Let ``run`` join the next session; gives the key that the others take."""
        key = next(self._keys)
        if pace is not None:
            listener(Paced(None, 0.0))
        with self._lock:
            self._listeners[key] = listener
            self._gathered.append(Begin(key, run))
            first = len(self._gathered) == 1
        if first:
            # The Hub knows by the context whose request it is, and whose quota is used.
            threading.Timer(GATHER_SECONDS, copy_context().run, (self._session,)).start()
        return key

    def cancel(self, key: int) -> None:
        """Let the row go; its session ends when nobody is left in it."""
        with self._lock:
            listener = self._listeners.pop(key, None)
            prompt, new = self._counts.pop(key, (0, 0))
        if listener:
            listener(Finished("stopped", "", prompt, new, 0.0, 0.0))

    def pace(self, key: int, allowed: int | None, seconds: float) -> None:
        """A pause would hold a GPU that others wait for: a run goes on, and is told so."""
        self._tell(key, Paced(None, 0.0))

    def amend(self, key: int, decoding: Decoding) -> None:
        """Nothing reaches a run once it has its GPU."""
        self._tell(key, Unamended(decoding, _not_here("Settings cannot change during a run")))

    def render(self, prompt: Prompt, timeout: float, adapter: str = "") -> Rendered:
        """The prompt as the model will see it; needs no GPU. Raises PlaygroundError."""
        (reply,) = zero.render(self.spec, Render(next(self._keys), prompt, adapter))
        if isinstance(reply, RenderFailed):
            raise as_error(reply.problem)
        assert isinstance(reply, Rendered)
        return reply

    def score(
        self, request: ScoreOrContest, seconds: float, given_up: GivenUp,
        adapter: str = "",
    ) -> Scored | Contest:
        """What the model says of given texts, in a session of its own."""
        result: Scored | Contest = self._ask(
            lambda key: Score(key, request, adapter), given_up)
        return result

    def inspect(
        self, request: Inspection[F], seconds: float, given_up: GivenUp,
        adapter: str = "",
    ) -> F:
        """What a look into the model finds, in a session of its own."""
        found: F = self._ask(lambda key: Inspect(key, request, adapter), given_up)
        return found

    def replay(
        self, run_key: int, position: int, decoding: Decoding, timeout: float, adapter: str = ""
    ) -> Step:
        """The stored logits of a run end with its session."""
        raise as_error(_not_here("A step cannot be chosen again after its run"))

    def load_draft(self, spec: ModelSpec, *_: Any) -> ModelCard:
        """A draft is one of the models that are here already."""
        raise as_error(_not_here("A draft model cannot be loaded beside another"))

    def attach(self, spec: ModelSpec, *_: Any) -> ModelCard:
        """Adapters come after the start."""
        raise as_error(_not_here("An adapter cannot be put on"))

    def detach(self, spec: ModelSpec) -> Moved:
        """There is none."""
        raise as_error(_not_here("An adapter cannot be taken off"))

    def park(self) -> Moved:
        """The Hub moves weights, and nobody else."""
        raise as_error(_not_here("A model cannot be parked"))

    unpark = park

    def end(self, problem: Problem | None = None) -> int:
        """Let every run go; the model stays in the process, and nothing is freed."""
        self.alive, self.problem = False, problem
        for key in list(self._listeners):
            if problem:
                self._tell(key, Failed(problem))
            self.cancel(key)
        self._on_end(self)
        return 0

    def _ask(self, command: Callable[[int], Command], given_up: GivenUp) -> Any:
        """Ask one thing in a session of its own, on this thread."""
        key, future = next(self._keys), Future[Any]()
        self._answers[key] = future
        try:
            with self._at_work([command(key)]) as replies:
                for sent in replies:
                    self._hear(sent)
                    if future.done():
                        break
                    if given_up():
                        raise Abandoned
            if not future.done():
                raise as_error(_ended(self.spec))
            return future.result()
        finally:
            del self._answers[key]

    def _session(self) -> None:
        """One call of the GPU function for all runs that have gathered."""
        with self._lock:
            commands, self._gathered = self._gathered, []
            commands = [one for one in commands if one.key in self._listeners]
        keys = {one.key for one in commands}
        problem = _ended(self.spec)
        try:
            if not commands:
                return
            with self._at_work(commands) as replies:
                for sent in replies:
                    self._hear(sent)
                    if keys.isdisjoint(self._listeners):
                        break  # everybody has an end or has left: the child stops at its next step
        except PlaygroundError as error:
            problem = error.problem
        finally:
            for key in keys:
                self._tell(key, Failed(problem))  # who has had an end hears no more

    @contextmanager
    def _at_work(self, commands: Sequence[Command]) -> Iterator[Iterator[tuple[Reply, ...]]]:
        """A session, ended with the block. What the Hub raises (no quota left, no GPU in time, a
        child that died) is told in its own words."""
        replies = self._gpu(self.spec, tuple(commands))
        try:
            yield replies
        except (PlaygroundError, Abandoned):
            raise
        except Exception as error:  # gradio's, which the engine does not know
            raise _refused(self.spec, error) from None
        finally:
            replies.close()

    def _hear(self, sent: tuple[Reply, ...]) -> None:
        for reply in sent:
            match reply:
                case Events(items):
                    for key, event in items:
                        self._tell(key, event)
                case ScoreDone(key, answer) | Inspected(key, answer):
                    self._answers[key].set_result(answer)
                case ScoreFailed(key, problem) | InspectFailed(key, problem):
                    self._answers[key].set_exception(as_error(problem))

    def _tell(self, key: int, event: Event) -> None:
        with self._lock:
            last = isinstance(event, Finished | Failed)
            listener = (self._listeners.pop if last else self._listeners.get)(key, None)
            if listener and isinstance(event, Started):
                self._counts[key] = (len(event.prompt), 0)
            elif listener and isinstance(event, Step):
                prompt, new = self._counts.get(key, (0, 0))
                self._counts[key] = (prompt, new + 1)
            elif last:
                self._counts.pop(key, None)
        if listener:
            listener(event)


def _not_here(what: str) -> Problem:
    return InvalidInput(
        f"{what} on a ZeroGPU, where a run has its GPU for a moment only.", field="model",
        advice="Run it on a machine of your own, or on a Space with a GPU.",
    ).problem


def _ended(spec: ModelSpec) -> Problem:
    return WorkerDied(
        f"The GPU session of {spec.label} ended before its answer did.", field="model",
        given=spec.repo, advice="Run again.",
    ).problem


def _refused(spec: ModelSpec, error: Exception) -> PlaygroundError:
    """What the Hub said, as a sentence; its own errors have a title and a message."""
    title, message = (getattr(error, name, "") for name in ("title", "message"))
    if not isinstance(message, str) or not message:
        log.error("Unexpected %s in a GPU session", type(error).__name__)
        return as_error(_ended(spec))
    said = " ".join(f"{title}: {message}".split())[:400]
    return Overloaded(said, field="model", given=spec.repo)
