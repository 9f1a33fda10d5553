"""The runs of one page, played into feeds at its reader's pace; it knows no tree and no Gradio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from playground.core.decoding import Decoding
from playground.core.events import Failed
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.engine.engine import Engine, Stream
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.keeping import Keeping
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import Live

# Seconds a token, and in words; "step by step" lets a run choose its first token and then waits.
STEP_BY_STEP = -1.0
SPEEDS: tuple[tuple[float, str], ...] = (
    (STEP_BY_STEP, "step by step"),
    (1.0, "1 token a second"),
    (0.5, "2 tokens a second"),
    (0.2, "5 tokens a second"),
    (0.08, "12 tokens a second"),
    (0.0, "full speed"),
)
FULL = len(SPEEDS) - 1


@dataclass(eq=False)
class Playing:
    """A stream of the engine and the feeds of its columns, read without ever waiting."""

    stream: Stream
    feeds: Sequence[TokenFeed]
    paced: bool = True

    def pump(self) -> None:
        """What has happened since, into the feeds."""
        for column, event in self.stream.read(0.0):
            self.feeds[column].add(event)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.stream.done

    def running(self) -> list[tuple[int, TokenFeed]]:
        """The columns that are not over, with their feeds."""
        return [(n, feed) for n, feed in enumerate(self.feeds) if not feed.trace.is_over]

    def stop(self, key: str | None = None) -> None:
        """Stop the run of this key, or all; what was written stays."""
        for column, feed in enumerate(self.feeds):
            if key is None or feed.key == key:
                self.stream.stop(column)


@dataclass(eq=False)
class Following:
    """A run that another tab plays, shown here as it goes on."""

    feed: TokenFeed

    def pump(self) -> None:
        """What has happened since."""
        self.feed.catch_up()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.feed.trace.is_over

    @property
    def feeds(self) -> Sequence[TokenFeed]:
        """The one feed."""
        return (self.feed,)

    def stop(self, key: str | None = None) -> None:
        """It is not this tab's to stop."""


class Pace:
    """How fast the runs of a tab go on: freely, slowly, or token by token when asked."""

    def __init__(self) -> None:
        self.speed = FULL
        self.held = False

    @property
    def seconds(self) -> float:
        """Seconds that a token takes at least."""
        return max(0.0, SPEEDS[self.speed][0])

    def begin(self, playing: Playing, beside: bool) -> None:
        """A stream begins: freely, at the speed that is set, or with its first token alone where it
        is step by step, or where it begins ``beside`` runs that are paused."""
        self.held = SPEEDS[self.speed][0] == STEP_BY_STEP or (self.held and beside)
        if self.held or self.seconds:
            for column, _ in enumerate(playing.feeds):
                playing.stream.pace(column, 1 if self.held else None, self.seconds)

    def pause(self, all: Sequence[Playing]) -> None:
        """Nothing more is chosen until the reader says so."""
        self.held = True
        self._tell(all, 0, self.seconds)

    def step(self, all: Sequence[Playing]) -> None:
        """One token more, in every run; then they wait."""
        self.held = True
        self._tell(all, 1, 0.0)

    def go_on(self, all: Sequence[Playing]) -> None:
        """Freely, at the speed that is set; "step by step" becomes full speed."""
        if SPEEDS[self.speed][0] == STEP_BY_STEP:
            self.speed = FULL
        self.held = False
        self._tell(all, None, self.seconds)

    def change(self, speed: object, all: Sequence[Playing]) -> None:
        """Another of SPEEDS; what is paused stays so. Raises InvalidInput for what is none."""
        if isinstance(speed, bool) or not isinstance(speed, int) or not 0 <= speed <= FULL:
            raise InvalidInput("There is no such speed.", field="speed", given=speed,
                               allowed=", ".join(words for _, words in SPEEDS))
        self.speed = speed
        if SPEEDS[speed][0] == STEP_BY_STEP:
            self.pause(all)
        elif not self.held:
            self._tell(all, None, self.seconds)

    def _tell(self, all: Sequence[Playing], allowed: int | None, seconds: float) -> None:
        for playing in all:
            for column, _ in playing.running():
                playing.stream.pace(column, allowed, seconds)


def _has_begun(trace: Trace) -> bool:
    """Whether a run has told a token of its own, and not only what was put in, or a beam step."""
    return bool(trace.beams) or bool(trace.steps) and not trace.steps[-1].forced


class Player:
    """Whatever plays on one page: begun, read and stopped here. Every method returns at once."""

    def __init__(self, engine: Engine, session: str) -> None:
        self._engine, self._session = engine, session
        self.begin: Callable[[], Keeping | None] = lambda: None  # who keeps what is played next
        self.visitor = Visitor()  # and whose share of the machine it takes
        self.lent: Callable[[], dict[str, Any]] = dict  # the page's own tokens for servers
        self.pace = Pace()
        self._playing: list[Playing | Following] = []

    @property
    def live(self) -> bool:
        """Whether anything may still happen."""
        return bool(self._playing)

    @property
    def feeds(self) -> list[TokenFeed]:
        """The feeds of all that plays."""
        return [feed for one in self._playing for feed in one.feeds]

    @property
    def begun(self) -> bool:
        """Whether every run that plays has told something that it chose, or is over."""
        return all(one.over or _has_begun(feed.trace)
                   for one in self._playing for feed in one.feeds)

    @property
    def paced(self) -> list[Playing]:
        """The streams that the reader can pause; samples go on freely."""
        return [one for one in self._playing if isinstance(one, Playing) and one.paced]

    @property
    def writing(self) -> set[str]:
        """The keys of what still writes and can be stopped here."""
        return {feed.key for one in self.paced for _, feed in one.running()}

    def pump(self) -> None:
        """What has happened since the last time, into the feeds."""
        for one in tuple(self._playing):
            over = one.over
            one.pump()
            if over:
                self._playing.remove(one)

    def play(self, feeds: Sequence[TokenFeed], paced: bool = True) -> None:
        """Begin the runs of these feeds in one stream; one that cannot begin has failed."""
        try:
            runs = [feed.trace.run for feed in feeds]
            stream = self._engine.start(runs, visitor=self.visitor, **self.lent())
        except PlaygroundError as error:
            for feed in feeds:
                feed.add(Failed(error.problem))
            return
        keeping = self.begin()
        for column, feed in enumerate(feeds):
            feed.plays(Live(
                self._engine, stream, column, self._session, keeping, self.visitor
            ))
        beside = bool(self.writing)
        playing = Playing(stream, feeds, paced)
        self._playing.append(playing)
        if paced:
            self.pace.begin(playing, beside)

    def follow(self, feed: TokenFeed) -> None:
        """Show how a run goes on that another tab plays."""
        self._playing.append(Following(feed))

    def stop(self, key: str | None = None) -> None:
        """Stop the run of a key, or every run; what was written stays."""
        for one in self._playing:
            one.stop(key)

    def stop_paced(self) -> None:
        """Stop every run but the samples."""
        for one in self.paced:
            one.stop()

    def stop_samples(self) -> None:
        """Stop the samples that still write."""
        for one in self._playing:
            if isinstance(one, Playing) and not one.paced:
                one.stop()

    def amend(self, decoding: Decoding) -> list[str]:
        """Other settings from the next token on, for every run that can be paused; sentences for
        those that cannot be given them."""
        refused = []
        for playing in self.paced:
            for column, _ in playing.running():
                try:
                    playing.stream.amend(column, decoding)
                except PlaygroundError as error:
                    refused.append(str(error.problem))
        return refused
