"""Who may run now, who waits, who is turned away at the door; it knows no model and no worker."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from playground.core.events import Queued
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.core.run import Run
from playground.core.visitor import Visitor, as_visitor
from playground.engine.fair_order import FairOrder
from playground.engine.waiting import Abandoned, GivenUp, Tell
from playground.errors import InvalidInput, Overloaded
from playground.settings import Limits

SCORE_COST = 64.0  # tokens; a text that is scored is read in chunks, and writes nothing
REMEMBERED = 20    # requests, of whose time the time of the next is guessed


@dataclass(eq=False, slots=True)
class Place:
    """One request's place: how many runs it has, its tag in the fair order (see FairOrder), and
    since when it runs, None while it waits."""

    visitor: Visitor
    runs: int
    cost: float
    tag: float
    since: float | None = None

    @property
    def running(self) -> bool:
        """Whether its runs may run."""
        return self.since is not None


class Admission:
    """Who may run now, in a fair order, with a bound on what each visitor has running and waiting.

    A visitor's requests may run beside each other (a branch beside the run that it left, which may
    be paused) while they have no more runs together than one request may have; one more may wait.
    All visitors of one address together leave a quarter of the places to others, running and
    waiting. ``by_visitor`` switches these rules and the fair order on; without it, and for a
    request without a visitor's name, it is first come, first served, under the limits of the whole
    house.
    """

    def __init__(
        self, limits: Limits, by_visitor: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._by_visitor = by_visitor
        self._clock = clock
        self._changed = threading.Condition()
        self._places: list[Place] = []
        self._order = FairOrder()
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    def enter(self, visitor: Visitor | str, runs: int, cost: float = 0.0) -> Place:
        """Take a place for so many runs that cost so many tokens at most. Raises Overloaded, saying
        how long to wait, when too much waits already; never blocks."""
        who = as_visitor(visitor) if self._by_visitor else Visitor()
        with self._changed:
            place = Place(who, runs, max(cost, float(runs)), self._order.tag(who))
            self._places.append(place)
            self._admit()
            if not place.running:
                try:
                    self._check_waiting(place)
                except Overloaded:
                    self._places.remove(place)
                    raise
                self._order.take(who, place.tag, place.cost)
            return place

    def _check_waiting(self, place: Place) -> None:
        """Raise Overloaded where one more that waits is too many: for its visitor, for its address,
        or for all."""
        who, waiting = place.visitor, [p for p in self._places if not p.running]
        mine = sum(p.visitor.name == who.name for p in waiting)
        if who.name and mine > 1:
            raise self._turned_away(
                place, "One request of yours is waiting already, behind those that run.", mine,
                "one that waits", "Stop one of them, or wait for it, about {} s.",
            )
        near = sum(p.runs for p in waiting if p.visitor.address == who.address)
        most = self._of_an_address(self._limits.waiting)
        if who.address and near > most:
            raise self._turned_away(
                place, f"{near - place.runs} runs of your address, which others may share with "
                "you, are waiting already.", near, f"up to {most} of one address",
                "Try again in about {} s.",
            )
        all_of_them = sum(p.runs for p in waiting)
        if all_of_them > self._limits.waiting:
            raise self._turned_away(
                place, f"Too many runs are waiting already: {all_of_them - place.runs}.",
                all_of_them, f"up to {self._limits.waiting}", "Try again in about {} s.",
            )

    def _turned_away(
        self, place: Place, message: str, given: int, allowed: str, advice: str
    ) -> Overloaded:
        waiting = sum(p.runs for p in self._places if not p.running and p is not place)
        seconds = self._wait(waiting)
        return Overloaded(message, field="requests", given=given, allowed=allowed,
                          advice=advice.format(seconds), retry_after=seconds)

    def _wait(self, runs: int) -> int:
        """About how many seconds go by until so many runs and all that run now have had their turn:
        as long as the latest took, or as long as they may where none has ended yet."""
        rounds = 1 + runs // max(1, self._limits.running)
        took = sum(self._took) / len(self._took) if self._took else self._limits.seconds
        seconds = max(1, math.ceil(rounds * took))
        return seconds if seconds <= 10 else 5 * math.ceil(seconds / 5)

    def queued(self, ahead: int) -> Queued:
        """What is told to who waits behind so many runs; how long that is, once one has ended."""
        with self._changed:
            seconds = self._wait(max(0, ahead - self._limits.running))
            return Queued(ahead, f"about {seconds} s" if self._took else "")

    @contextmanager
    def turn(self, place: Place, tell: Tell, given_up: GivenUp) -> Iterator[None]:
        """This place's turn, waited for; ``tell`` hears how many runs go first. Raises Abandoned
        when it was given up."""
        told: Queued | None = None
        try:
            while not given_up():
                with self._changed:
                    if place.running:
                        break
                    news = self.queued(self._ahead(place))
                if news != told:
                    tell(news)
                    told = news
                with self._changed:
                    self._changed.wait_for(lambda: place.running, 0.1)
            if not place.running or given_up():
                raise Abandoned
            yield
        finally:
            with self._changed:
                self._places.remove(place)
                if place.since is not None:
                    self._took.append(self._clock() - place.since)
                self._admit()

    def _ahead(self, place: Place) -> int:
        queue = self._queue()
        running = sum(p.runs for p in self._places if p.running)
        return running + sum(p.runs for p in queue[: queue.index(place)])

    def _queue(self) -> list[Place]:
        """Those who wait, the next first; of equal tags, the one who came first."""
        return sorted((p for p in self._places if not p.running), key=lambda p: p.tag)

    def _admit(self) -> None:
        """Let those run whose turn it is."""
        taken = sum(p.runs for p in self._places if p.running)
        for place in self._queue():
            if not self._has_room_of_his_own(place):
                continue
            if taken and place.runs > self._limits.running - taken:
                break  # nobody overtakes a big request for ever
            place.since = self._clock()
            taken += place.runs
            self._order.take(place.visitor, place.tag, place.cost)
            wanting = len({p.visitor for p in self._places})
            self._order.serve(place.tag, place.cost, wanting)
        self._changed.notify_all()

    def _has_room_of_his_own(self, place: Place) -> bool:
        """Whether its visitor, and all of its address, have so few runs already that these may run
        beside them."""
        who, running = place.visitor, [p for p in self._places if p.running]
        his = sum(p.runs for p in running if who.name and p.visitor.name == who.name)
        near = sum(p.runs for p in running if who.address and p.visitor.address == who.address)
        most = self._of_an_address(self._limits.running)
        return (his == 0 or his + place.runs <= self._limits.columns) and (
            near == 0 or near + place.runs <= most
        )

    def _of_an_address(self, places: int) -> int:
        """How many of so many places those of one address may have together."""
        return max(self._limits.columns, places * 3 // 4)


def cost_of(runs: Sequence[Run]) -> int:
    """How many tokens these runs may write together, each beam's counted."""
    return sum(run.decoding.num_beams * run.decoding.max_new_tokens for run in runs)


def check_cost(runs: Sequence[Run], limits: Limits) -> None:
    """Raise InvalidInput, showing the sum, for runs that are each allowed and together too much."""
    cost = cost_of(runs)
    if cost <= limits.request_tokens:
        return
    kinds = Counter((run.decoding.num_beams, run.decoding.max_new_tokens) for run in runs)
    terms = [
        f"{_counted(columns, 'column')} \u00d7 {_counted(beams, 'beam')} \u00d7 {tokens:,} tokens"
        for (beams, tokens), columns in kinds.most_common(3)
    ]
    more = " + \u2026" if len(kinds) > len(terms) else ""
    raise InvalidInput(
        f"This request may write {' + '.join(terms)}{more} = {cost:,} tokens; here one request may "
        f"write up to {limits.request_tokens:,}.",
        field="request cost", given=cost, allowed=f"up to {limits.request_tokens:,} tokens",
        advice="Ask for fewer columns, beams or new tokens.",
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def check_columns(count: int, limits: Limits) -> None:
    """Raise InvalidInput unless this many runs may go side by side."""
    if not 1 <= count <= limits.columns:
        raise InvalidInput(
            f"There are {count} columns; there may be from 1 to {limits.columns}.",
            field="columns", given=count, allowed=f"from 1 to {limits.columns}",
        )


def check_run(run: Run, limits: Limits) -> None:
    """Raise InvalidInput, naming the field, for a run that asks for more than it may."""
    check_prompt(run.prompt, limits)
    asked = (
        ("max_new_tokens", "New tokens", run.decoding.max_new_tokens, limits.new_tokens),
        ("num_beams", "Beams", run.decoding.num_beams, limits.beams),
    )
    for field, label, given, most in asked:
        if given > most:
            raise InvalidInput(
                f"{label} is {given}; here it may be up to {most}.",
                field=field, given=given, allowed=f"up to {most}",
            )


def check_texts(texts: Sequence[Prompt], limits: Limits) -> None:
    """Raise InvalidInput for texts that are scored and that together are longer than a prompt."""
    for text in texts:
        check_prompt(text, limits)
    together = sum(_length(text)[0] for text in texts)
    if together > limits.prompt_characters:
        raise InvalidInput(
            f"All texts together have {together} characters; here they may have up to "
            f"{limits.prompt_characters}.",
            field="text", given=together, allowed=f"up to {limits.prompt_characters} characters",
            advice="Shorten them.",
        )


def check_prompt(prompt: Prompt, limits: Limits) -> None:
    """Raise InvalidInput for a prompt that is too long to be worth tokenizing."""
    length, what = _length(prompt)
    if length > limits.prompt_characters:
        raise InvalidInput(
            f"The prompt has {length} {what}; here it may have up to {limits.prompt_characters}.",
            field="prompt", given=length, allowed=f"up to {limits.prompt_characters} {what}",
            advice="Shorten it; nothing is cut off silently.",
        )


def _length(prompt: Prompt) -> tuple[int, str]:
    match prompt:
        case Chat(messages):
            return sum(len(message.content) for message in messages), "characters"
        case Raw(text):
            return len(text), "characters"
        case Ids(ids):
            return len(ids), "token ids"
