"""Who may run now, who waits, who is turned away at the door; it knows no model and no worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.core.run import Run
from playground.errors import InvalidInput, Overloaded
from playground.settings import Limits


@dataclass(eq=False, slots=True)
class Place:
    """One request's place: how many runs it has, and whether they may run."""

    visitor: str
    runs: int
    running: bool = False


class Admission:
    """First come, first served, with a bound on what each visitor has running and waiting.

    A visitor's requests may run beside each other (a branch beside the run that it left, which may
    be paused) while they have no more runs together than one request may have; one more may wait.
    ``by_visitor`` switches this rule on; a request without a visitor's name is under the limits of
    the whole house only.
    """

    def __init__(self, limits: Limits, by_visitor: bool) -> None:
        self._limits = limits
        self._by_visitor = by_visitor
        self._changed = threading.Condition()
        self._places: list[Place] = []

    def enter(self, visitor: str, runs: int) -> Place:
        """Take a place. Raises Overloaded when too much waits already; never blocks."""
        with self._changed:
            place = Place(visitor, runs)
            self._places.append(place)
            self._admit()
            mine = sum(p.visitor == visitor and not p.running for p in self._places)
            if self._by_visitor and visitor and not place.running and mine > 1:
                self._places.remove(place)
                raise Overloaded(
                    "One request of yours is waiting already, behind those that run.",
                    field="requests", given=mine, allowed="one that waits",
                    advice="Stop one of them, or wait for it.",
                )
            waiting = sum(p.runs for p in self._places if not p.running)
            if not place.running and waiting > self._limits.waiting:
                self._places.remove(place)
                raise Overloaded(
                    f"Too many runs are waiting already: {waiting - runs}.",
                    field="requests", given=waiting, allowed=f"up to {self._limits.waiting}",
                    advice="Try again in a minute.",
                )
            return place

    @contextmanager
    def turn(
        self, place: Place, ahead: Callable[[int], None], given_up: Callable[[], bool]
    ) -> Iterator[bool]:
        """Wait for this place's turn, saying how many runs go first; False when it was given up."""
        told = None
        try:
            while not given_up():
                with self._changed:
                    if place.running:
                        break
                    before = self._places[: self._places.index(place)]
                    count = sum(p.runs for p in before)
                if count != told:
                    ahead(count)
                    told = count
                with self._changed:
                    self._changed.wait_for(lambda: place.running, 0.1)
            yield place.running and not given_up()
        finally:
            with self._changed:
                self._places.remove(place)
                self._admit()

    def _admit(self) -> None:
        """Let those run whose turn it is, in the order in which they came."""
        running = [p for p in self._places if p.running]
        free = self._limits.running - sum(p.runs for p in running)
        for place in self._places:
            if place.running or not self._has_room_of_his_own(place):
                continue
            if place.runs > free and running:
                break  # nobody overtakes a big request for ever
            place.running = True
            running.append(place)
            free -= place.runs
        self._changed.notify_all()

    def _has_room_of_his_own(self, place: Place) -> bool:
        """Whether its visitor has so few runs already that these may run beside them."""
        if not self._by_visitor or not place.visitor:
            return True
        his = sum(p.runs for p in self._places if p.running and p.visitor == place.visitor)
        return his == 0 or his + place.runs <= self._limits.columns


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
