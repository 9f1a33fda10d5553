"""The front desk: runs in, events out, models behind it; it knows no page and no torch."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from playground.core.decoding import Decoding
from playground.core.events import Event, Loading, Queued, Step
from playground.core.inspection import F, Inspection
from playground.core.messages import ModelCard, Rendered
from playground.core.offers import Capabilities, Inquiry, only_here
from playground.core.prompt import Prompt
from playground.core.remote import server_and_model
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, ContestRequest, Scored, ScoreOrContest, ScoreRequest
from playground.core.visitor import Visitor, as_visitor
from playground.engine.admission import (
    SCORE_COST,
    Admission,
    Place,
    check_columns,
    check_cost,
    check_prompt,
    check_run,
    check_texts,
    cost_of,
)
from playground.engine.entry import Freed, ModelStatus
from playground.engine.loads import Start
from playground.engine.manager import ModelManager
from playground.engine.model_files import ModelFiles
from playground.engine.plan import Plan
from playground.engine.process import WorkerProcess
from playground.engine.remote import RemoteDesk, Tokens, card_of
from playground.engine.room import Budget
from playground.engine.rounds import Rounds
from playground.engine.stream import Column, Stream
from playground.engine.waiting import TICK, Abandoned, GivenUp, Patience, Tell, never
from playground.environment import remote_token
from playground.errors import DeadlinePassed, InvalidInput, Overloaded, PlaygroundError, Problem
from playground.models import footprint
from playground.models.download import News
from playground.settings import Settings

T = TypeVar("T")

QUICK_AT_ONCE = 8  # quick looks of all visitors together; each holds a thread of the server
QUICK_EACH = 4     # of one visitor; one more may wait, and those of one address have three quarters
QUICK_SECONDS = 10.0
_UNEXPECTED = Problem(
    PlaygroundError.code, "This run failed in a way that the app does not know.",
    advice="The log of the app says more.",
)


def _quiet(_: Queued | Loading) -> None:
    """Tell nobody."""


def _anything(_: ModelSpec) -> None:
    """Every model can be loaded here."""


class Engine:
    """Runs anything that is asked of it within the limits of ``settings``, many at once.

    Nothing here imports torch. The first model that is asked for, or ``warm``, starts the process
    that workers are forked from. ``patience`` says how long it waits for what, and ``start`` makes
    what holds a model: a process, or where there can be none, what stands for it. ``check`` raises
    InvalidInput for a model that cannot be loaded here, before anything is fetched for it.
    """

    def __init__(
        self, settings: Settings, patience: Patience = Patience(), start: Start = WorkerProcess,
        check: Callable[[ModelSpec], object] = _anything,
    ) -> None:
        self.settings = settings
        self._patience = patience
        self._offered = tuple(ModelSpec(repo) for repo in settings.offered)
        self._admission = Admission(settings.limits, by_visitor=settings.mode != "local")
        self._quick = Admission(
            replace(settings.limits, running=QUICK_AT_ONCE, columns=QUICK_EACH,
                    waiting=2 * QUICK_AT_ONCE, seconds=int(QUICK_SECONDS)),
            by_visitor=settings.mode != "local",
        )
        self._remote = RemoteDesk(
            settings.remotes, lambda one: remote_token(one, len(settings.remotes) == 1)
        )
        self._files = ModelFiles(settings, patience, self._remote.place, self.budget)

        def fetch(spec: ModelSpec, news: News, given_up: GivenUp) -> Path:
            check(spec)
            return self._files.fetch(spec, news, given_up)

        self._manager = ModelManager(
            fetch, settings.device, settings.memory_bytes, settings.idle_seconds, patience,
            start=start,
        )
        self._rounds = Rounds(self._manager, self._remote, self._files, patience.stuck)
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._keep_house, name="housekeeper", daemon=True).start()
        atexit.register(self.close)

    @property
    def is_closed(self) -> bool:
        """Whether the app is ending: nothing can be started any more."""
        return self._closed.is_set()

    def start(
        self, runs: Sequence[Run], visitor: Visitor | str = "",
        tokens: Tokens = MappingProxyType({}),
    ) -> Stream:
        """Begin runs side by side and return at once; their events come from the stream.

        ``visitor`` is whose share of the machine they take; ``tokens`` are their own for remote
        servers, by the servers' names, and are not kept. Raises InvalidInput for a number of
        columns that is not allowed, or that may write too much together, and Overloaded when too
        much is running or waiting. What is wrong with one run is its column's ``Failed``; the
        others go on. Runs on one model share its batch; models that do not fit together take turns.
        """
        check_columns(len(runs), self.settings.limits)
        if self._closed.is_set():
            raise Overloaded("The app is closing.", advice="Start it again.")
        stream = Stream(runs, as_visitor(visitor), partial(check_run, limits=self.settings.limits))
        for column in stream.columns:
            try:
                check_run(column.run, self.settings.limits)
                self._files.check_decodes(column.run.model)
            except PlaygroundError as error:
                column.fail(error.problem)
        admitted = [column for column in stream.columns if not column.over]
        if admitted:
            asked = [column.run for column in admitted]
            check_cost(asked, self.settings.limits)
            place = self._admission.enter(stream.visitor, len(asked), cost_of(asked))
            with self._lock:
                self._streams.add(stream)
            threading.Thread(
                target=copy_context().run,
                args=(self._attend, stream, place, admitted, tokens), name="attend", daemon=True,
            ).start()
        return stream

    def run(self, run: Run, visitor: Visitor | str = "") -> Generator[Event]:
        """The events of one run as they come; closing the generator stops the run."""
        with closing(self.together([run], visitor)) as events:
            for _, event in events:
                yield event

    def together(
        self, runs: Sequence[Run], visitor: Visitor | str = ""
    ) -> Generator[tuple[int, Event]]:
        """The events of several runs as they come; closing the generator stops all of them."""
        stream = self.start(runs, visitor)
        try:
            while not stream.done:
                yield from stream.read(1.0)
        finally:
            stream.close()

    def render(self, spec: ModelSpec, prompt: Prompt, timeout: float = 10.0) -> Rendered:
        """The prompt as the model will see it, without decoding. Raises PlaygroundError.

        Waits at most ``timeout`` seconds, a model that must be loaded first included; its loading
        goes on after that.
        """
        check_prompt(prompt, self.settings.limits)
        self._files.check_decodes(spec)
        until = time.monotonic() + timeout
        try:
            if self._remote.place(spec):
                return self._remote.render(spec, prompt, {}, timeout)
            self._manager.warm(spec)
            with self._manager.lease(spec, _quiet, lambda: time.monotonic() > until) as worker:
                return worker.render(prompt, max(0.0, until - time.monotonic()), spec.adapter)
        except Abandoned:
            raise DeadlinePassed(
                f"{spec.label} is still being loaded.", field="model", given=spec.repo,
                advice="Try again in a moment.",
            ) from None

    def score(
        self, spec: ModelSpec, request: ScoreRequest, visitor: Visitor | str = "",
        tell: Tell = _quiet, given_up: GivenUp = never,
        tokens: Tokens = MappingProxyType({}),
    ) -> Scored:
        """How likely a given text is under a model, token by token; waits for its turn and for it.

        ``tell`` hears what it waits for. Raises Abandoned when ``given_up`` says so, which is asked
        every moment, InvalidInput for a text that is too long, Overloaded when too much is running
        or waiting, and any other PlaygroundError.
        """
        made = self._score(spec, request, visitor, tell, given_up, tokens)
        assert isinstance(made, Scored)
        return made

    def contest(
        self, spec: ModelSpec, request: ContestRequest, visitor: Visitor | str = "",
        tell: Tell = _quiet, given_up: GivenUp = never,
        tokens: Tokens = MappingProxyType({}),
    ) -> Contest:
        """Two to twenty continuations of one prompt against each other; else as ``score``."""
        made = self._score(spec, request, visitor, tell, given_up, tokens)
        assert isinstance(made, Contest)
        return made

    def inspect(
        self, spec: ModelSpec, request: Inspection[F], visitor: Visitor | str = "",
        tell: Tell = _quiet, given_up: GivenUp = never,
    ) -> F:
        """What a look into a model finds; waits for its turn and for the model, as ``score`` does.

        A ``quick`` request waits for no run: once the model is there it takes its turn among the
        quick ones, of which a few are answered at once, and has ten seconds.
        """
        check_texts(request.parts, self.settings.limits)
        if self._files.place(spec) is None:
            raise InvalidInput(
                only_here("inside", (server_and_model(spec.repo) or ("",))[0]), field="model",
                given=spec.repo, advice="Look into a model on this machine.",
            )
        if self._files.is_encoder(spec):
            request.refuse_encoder()
        seconds = float(self.settings.limits.seconds)
        with self._until_closed(given_up) as over:
            if request.quick:
                # Whoever waits for a model to be loaded takes no place from those who have theirs.
                with self._manager.lease(spec, tell, over) as worker:
                    with self._quick.turn(self._quick.enter(visitor, 1), tell, over):
                        seconds = min(QUICK_SECONDS, seconds)
                        return worker.inspect(request, seconds, over, spec.adapter)
            with self._turn(visitor, tell, over), self._manager.lease(spec, tell, over) as worker:
                return worker.inspect(request, seconds, over, spec.adapter)

    def _score(
        self, spec: ModelSpec, request: ScoreOrContest, visitor: Visitor | str, tell: Tell,
        given_up: GivenUp, tokens: Tokens,
    ) -> Scored | Contest:
        check_texts(request.parts, self.settings.limits)
        self._files.check_decodes(spec)
        seconds = self.settings.limits.seconds
        with self._until_closed(given_up) as over, self._turn(visitor, tell, over):
            if self._remote.place(spec):
                return self._remote.score(spec, request, tokens, over, seconds)
            with self._manager.lease(spec, tell, over) as worker:
                return worker.score(request, seconds, over, spec.adapter)

    def _turn(
        self, visitor: Visitor | str, tell: Tell, over: GivenUp
    ) -> AbstractContextManager[None]:
        """A turn among the runs. It counts as one run: a worker reads one chunk a step, however
        many texts there are."""
        return self._admission.turn(self._admission.enter(visitor, 1, SCORE_COST), tell, over)

    @contextmanager
    def _until_closed(self, given_up: GivenUp) -> Iterator[GivenUp]:
        """Whether nobody waits any more, the app being closed included, for what is done within."""

        def over() -> bool:
            return given_up() or self._closed.is_set()

        try:
            yield over
        except Abandoned:
            if given_up():
                raise
            raise Overloaded("The app is closing.", advice="Start it again.") from None

    def replay(
        self, stream: Stream, column: int, position: int, decoding: Decoding, timeout: float = 10.0
    ) -> Step:
        """A recent step of a run, chosen again under other settings, without a forward.

        With the same dice: what a run with these settings would have taken after this text. Its
        holder alone can ask for the steps of a stream, while it runs or after. Raises InvalidInput
        for a step that is not stored any more, or settings that need more than its logits.
        """
        return stream.replay(column, position, decoding, timeout)

    def load(self, spec: ModelSpec) -> Iterator[Loading | ModelCard]:
        """Load a model and say how it goes; the last thing said is its card.

        Raises PlaygroundError. Ends without a card when somebody stops the loading.
        """
        self._files.place(spec)
        if self._remote.place(spec):
            yield Loading("starting", None, "asking the server what it offers")
            yield card_of(spec, self._remote.ask(spec, {}))
        else:
            yield from self._manager.watch(spec)

    def unload(self, spec: ModelSpec) -> Freed | None:
        """End a model, stop its loading, or take an adapter off; what that freed, None for nothing.

        Raises Overloaded while somebody uses it, and InvalidInput while it is pinned.
        """
        return None if self._remote.place(spec) else self._manager.unload(spec)

    def park(self, spec: ModelSpec) -> Freed | None:
        """Move a model from its device to host memory, from where it comes back quickly; what the
        device got back, None when it is not there.

        Raises Overloaded while somebody uses it, and InvalidInput where it would free nothing.
        """
        return None if self._remote.place(spec) else self._manager.park(spec)

    def pin(self, spec: ModelSpec, pinned: bool = True) -> None:
        """Let a model stay in memory until it is unpinned. Raises InvalidInput in public."""
        if not self.settings.any_model:
            raise InvalidInput(
                "In public nobody may keep the memory for one model.", field="pinned",
                given=pinned, advice="A model that is used stays by itself.",
            )
        if self._files.place(spec) is not None:
            self._manager.pin(spec, pinned)

    def budget(self) -> Budget:
        """The memory for models and what is taken of it; asks the system, so a few times a second
        at most."""
        return self._manager.budget()

    def fit(
        self, spec: ModelSpec, context: int | None = None, given_up: GivenUp = never
    ) -> footprint.Fit:
        """Whether a model would fit, with ``context`` tokens, if no other were in use; nothing is
        fetched for it but headers. Waits for the Hub where the model is neither here nor known.

        Raises PlaygroundError, and DeadlinePassed as soon as ``given_up`` says so.
        """
        if self._remote.place(spec):
            raise InvalidInput(
                f"{spec.label} is in the memory of that server, and takes none here.",
                field="model", given=spec.repo,
            )
        return self._files.fit(spec, context, given_up)

    def plan(self, models: Sequence[ModelSpec]) -> Plan:
        """In which order columns with these models would run if they were started now: together,
        or in rounds where they do not fit in memory together. Quick; nothing is fetched for it."""
        return self._rounds.plan(models)

    def models(self) -> tuple[ModelStatus, ...]:
        """Every offered, loaded, loading or failed model; cheap enough to be polled."""
        return (*self._manager.statuses(self._offered), *self._remote.statuses())

    def remote_models(self, seconds: float = 2.0) -> tuple[str, ...]:
        """The models of all remote servers, as they are named here; waits so long at most for
        servers that were asked just now."""
        return self._remote.find(seconds)

    def offers(self, spec: ModelSpec) -> Capabilities | None:
        """What a remote server is known to offer for a model; None where it was not asked yet, and
        for a model of this machine. Never waits."""
        return self._remote.offers(spec)

    def inquire(self, spec: ModelSpec) -> Inquiry | None:
        """The same, but a server that was not asked yet is asked now, meanwhile; None for a model
        of this machine. Never waits. Raises InvalidInput for a model that no server has."""
        return self._remote.inquire(spec) if self._remote.place(spec) else None

    def folder_of(self, spec: ModelSpec) -> Path:
        """The folder with the files of a model, downloaded if they must be; waits for that."""
        return self._files.fetch(spec, _quiet, never)

    def warm(self, spec: ModelSpec) -> None:
        """Start loading a model in the background; what goes wrong stands in ``models()``."""
        if not server_and_model(spec.repo):
            self._manager.warm(spec)

    def close(self) -> None:
        """Stop every run and end every worker. Done by itself when the app ends."""
        atexit.unregister(self.close)
        self._closed.set()
        with self._lock:
            streams = list(self._streams)
        for column in [column for stream in streams for column in stream.columns]:
            column.stop()
            column.finish_without_worker()
        self._remote.close()
        self._manager.close()

    def _attend(
        self, stream: Stream, place: Place, columns: list[Column], tokens: Tokens
    ) -> None:
        """See one request through, on a thread of its own."""

        def tell(news: Queued | Loading) -> None:
            for column in columns:
                column.tell(news)

        try:
            with suppress(Abandoned), self._admission.turn(place, tell, lambda: stream.over):
                self._rounds.run(columns, tokens)
        finally:
            with self._lock:
                self._streams.discard(stream)
            for column in columns:  # only after a mistake of ours: nobody may wait for ever
                column.fail(_UNEXPECTED)

    def _keep_house(self) -> None:
        """Every moment: deadlines, streams that nobody reads, models that nobody uses."""
        while not self._closed.wait(TICK):
            now = time.monotonic()
            with self._lock:
                streams = list(self._streams)
            for stream in streams:
                if stream.unread_for(now) > self._patience.unread:
                    stream.stop()
                for column in stream.columns:
                    column.keep_time(now, self.settings.limits.seconds, self._patience.grace)
            self._manager.unload_idle()
