"""One request to the engine on a thread of its own, its news on the event loop; it knows no HTTP.

The engine is read by blocking calls. The loop that serves everybody only takes what a thread puts
into a queue, and who leaves sets a flag: nothing here can make anybody wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from playground.core.events import Event
from playground.core.messages import Rendered
from playground.core.prompt import Prompt
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, ContestRequest, Scored, ScoreRequest
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.engine.stream import Stream
from playground.engine.waiting import Abandoned
from playground.errors import Overloaded, PlaygroundError, Problem

LOG = logging.getLogger(__name__)
MOST_READ = 16  # prompts that are shown in tokens at once, which the engine does not count
RENDER_SECONDS = 30.0  # for a prompt to become ids, the loading of its model included
UNEXPECTED = Problem(
    PlaygroundError.code, "This request failed in a way that the app does not know.",
    advice="The log of the app says more.",
)
_READING = threading.BoundedSemaphore(MOST_READ)
CLOSING = Overloaded("The app is closing.", advice="Try again later.").problem


@dataclass(frozen=True, slots=True)
class Read:
    """A prompt to be shown in tokens; with ``candidates`` every token after the first is scored."""

    spec: ModelSpec
    prompt: Prompt
    candidates: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A text to be scored, or continuations against each other."""

    spec: ModelSpec
    request: ScoreRequest | ContestRequest


@dataclass(frozen=True, slots=True)
class Play:
    """Runs side by side."""

    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A prompt in tokens, and what the model thought of them where that was asked for."""

    rendered: Rendered
    scored: Scored | None = None


Task = Read | Ask | Play
# With the number of the task that it answers; of a run also its place among those of its task.
News = tuple[int, Seen | Scored | Contest | tuple[int, Event]] | Problem


class Work:
    """Tasks one after another for one visitor; the first that fails is the last."""

    def __init__(self, engine: Engine, visitor: Visitor | str, tasks: Sequence[Task]) -> None:
        self._engine, self._visitor, self._tasks = engine, visitor, tasks
        self._gone = threading.Event()
        self._stream: Stream | None = None
        self._told = asyncio.Queue[News | None]()
        self._loop = asyncio.get_running_loop()

    def begin(self) -> None:
        """Start, on a thread of its own."""
        threading.Thread(target=self._attend, name="api", daemon=True).start()

    async def next(self, seconds: float | None = None) -> News | None:
        """The next news; None after the last, which is a Problem where something failed.

        Raises TimeoutError when there is none for so many seconds.
        """
        return await asyncio.wait_for(self._told.get(), seconds)

    def stop(self) -> None:
        """Let go of everything; harmless twice, and returns at once."""
        self._gone.set()
        if self._stream is not None:
            self._stream.close()

    def _tell(self, news: News | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._told.put_nowait, news)
        except RuntimeError:  # the server has ended, and its loop with it
            self.stop()

    def _attend(self) -> None:
        try:
            for number, task in enumerate(self._tasks):
                if self._gone.is_set():
                    break
                self._do(number, task)
        except Abandoned:
            pass
        except PlaygroundError as error:
            self._tell(error.problem)
        except Exception as error:  # nobody may wait for ever after a mistake of ours
            # Its place and its kind, and not its words, which may quote a prompt.
            frames = "".join(traceback.format_tb(error.__traceback__))
            LOG.error("Unexpected %s in a request of the API\n%s", type(error).__name__, frames)
            self._tell(UNEXPECTED)
        finally:
            self._tell(None)

    def _do(self, number: int, task: Task) -> None:
        match task:
            case Read():
                self._tell((number, self._read(task)))
            case Ask(spec, ContestRequest() as request):
                self._tell((number, self._engine.contest(
                    spec, request, self._visitor, given_up=self._gone.is_set)))
            case Ask(spec, ScoreRequest() as request):
                self._tell((number, self._score(spec, request)))
            case Play(runs):
                self._play(number, runs)

    def _read(self, task: Read) -> Seen:
        if not _READING.acquire(blocking=False):
            raise Overloaded("Too many texts are being turned into tokens.", field="requests",
                             given=MOST_READ, advice="Try again in a moment.")
        try:
            rendered = self._engine.render(task.spec, task.prompt, RENDER_SECONDS)
        finally:
            _READING.release()
        if task.candidates is None or len(rendered.pieces) < 2:
            return Seen(rendered)
        request = ScoreRequest(task.prompt, candidates=task.candidates)
        return Seen(rendered, self._score(task.spec, request))

    def _score(self, spec: ModelSpec, request: ScoreRequest) -> Scored:
        return self._engine.score(spec, request, self._visitor, given_up=self._gone.is_set)

    def _play(self, number: int, runs: Sequence[Run]) -> None:
        self._stream = stream = self._engine.start(runs, self._visitor)
        if self._gone.is_set():  # it was not there yet when somebody left
            stream.close()
        while not stream.done:
            for place_and_event in stream.read(0.5):
                self._tell((number, place_and_event))
