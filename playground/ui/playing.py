"""Runs of a page that play into feeds at its reader's pace; it knows no tree and no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.core.decoding import Decoding
from playground.engine.engine import Stream
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.token_feed import TokenFeed

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
        return [(n, feed) for n, feed in enumerate(self.feeds)
                if feed.trace.state not in ("finished", "failed")]

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
        return self.feed.trace.state in ("finished", "failed")

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
            if playing.paced:
                for column, _ in playing.running():
                    playing.stream.pace(column, allowed, seconds)


def amend(all: Sequence[Playing], decoding: Decoding) -> list[str]:
    """Other settings from the next token on, for every run of these; sentences for those that
    cannot."""
    refused = []
    for playing in all:
        for column, _ in playing.running() if playing.paced else ():
            try:
                playing.stream.amend(column, decoding)
            except PlaygroundError as error:
                refused.append(str(error.problem))
    return refused
