"""Answers compared blind: contestants, who meets whom on which side, and the votes; draws nothing.

A contestant is anything that answers differ in: a model, a prompt, a way of decoding, a lane. A
match is two answers of two contestants to one question. Which answer stands left comes from a seed
that the voter does not know, and each contestant stands left as often as right, or once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import get_args

from playground.core.blind_sides import flipped, sided
from playground.core.events import Reason
from playground.core.prompt import Chat, Ids, Raw
from playground.core.run import Run
from playground.core.votes import Judged, Vote
from playground.errors import InvalidInput

MOST_IN_A_ROUND = 60
MOST_MATCHES = 240
MOST_CONTESTANTS = 2 * MOST_MATCHES


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant, by number, answered to a question, by number.

    ``text`` is what the voter reads, without control tokens; ``ids`` are its tokens where they are
    known, and ``reason`` is why it ended. ``about`` says what a question is about to a voter who
    may not see the prompts, since these are what is compared.
    """

    contestant: int
    question: int
    run: Run
    text: str
    ids: tuple[int, ...] = ()
    about: str = ""
    reason: Reason = "length"


@dataclass(frozen=True, slots=True)
class Match:
    """Two answers side by side, by their places among the answers."""

    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Asked:
    """As much of two prompts as both share: pairs of a role ("" for a text that is continued) and
    what it said; ``note`` says what is withheld."""

    turns: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class BlindTest:
    """Matches and the votes on the first of them, in order; nobody votes once it is ``revealed``.

    ``alike`` pairs wrote the same and are no matches; ``left_out`` ones are beyond the bound.
    Raises InvalidInput for places and numbers that are not there.
    """

    contestants: tuple[str, ...]
    answers: tuple[Answer, ...]
    matches: tuple[Match, ...]
    votes: tuple[Vote, ...] = ()
    revealed: bool = False
    alike: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        known, places = len(self.contestants), len(self.answers)
        if known > MOST_CONTESTANTS:
            raise InvalidInput(
                f"A comparison has up to {MOST_CONTESTANTS} contestants.", field="contestants",
                given=known, allowed=f"up to {MOST_CONTESTANTS}",
            )
        if any(not 0 <= one.contestant < known for one in self.answers):
            raise InvalidInput("An answer names a contestant that is not there.", field="answers")
        for match in self.matches:
            if not (0 <= match.left < places and 0 <= match.right < places):
                raise InvalidInput("A match names an answer that is not there.", field="matches")
            left, right = self.answers[match.left], self.answers[match.right]
            if left.contestant == right.contestant or left.question != right.question:
                raise InvalidInput(
                    "A match has two contestants and one question.", field="matches"
                )
        if len(self.votes) > len(self.matches) or len(self.matches) > MOST_MATCHES:
            raise InvalidInput(
                f"A comparison has up to {MOST_MATCHES} matches and a vote for each.",
                field="votes", given=len(self.matches), allowed=f"up to {MOST_MATCHES} matches",
            )

    @property
    def at(self) -> int | None:
        """The number of the match that waits for a vote; None after the last vote."""
        return len(self.votes) if len(self.votes) < len(self.matches) else None

    @property
    def judged(self) -> tuple[Judged, ...]:
        """The votes with who stood where, lengths in characters: what a reader sees of them, and
        the same measure for contestants whose tokenizers differ."""
        pairs = zip(self.matches, self.votes, strict=False)
        return tuple(self._judged(match, vote) for match, vote in pairs)

    def _judged(self, match: Match, vote: Vote) -> Judged:
        left, right = self.answers[match.left], self.answers[match.right]
        return Judged(left.contestant, right.contestant, vote, len(left.text), len(right.text))

    def asked(self, number: int) -> Asked:
        """What the voter may read of the question of a match."""
        match = self.matches[number]
        return shared_prompt(self.answers[match.left], self.answers[match.right])

    def vote(self, vote: object) -> BlindTest:
        """This test with a vote on the match that waits for one. Raises InvalidInput."""
        allowed = get_args(Vote)
        if vote not in allowed:
            raise InvalidInput(f"A vote is one of {', '.join(allowed)}.", field="vote", given=vote,
                               allowed=", ".join(allowed))
        if self.revealed:
            raise InvalidInput("The names are revealed, so voting is over.", field="vote",
                               advice="Begin another comparison.")
        if self.at is None:
            raise InvalidInput("Every match has its vote.", field="vote")
        known: Vote = next(one for one in allowed if one == vote)
        return replace(self, votes=(*self.votes, known))

    def undo(self) -> BlindTest:
        """Without the latest vote; the same test where there is none or it is revealed."""
        return self if self.revealed else replace(self, votes=self.votes[:-1])

    def reveal(self) -> BlindTest:
        """With the names shown; nobody votes any more."""
        return replace(self, revealed=True)


def blind_test(contestants: Sequence[str], answers: Sequence[Answer], seed: int) -> BlindTest:
    """Every pair of answers of two contestants to one question, or a sample that has each pair of
    contestants equally often; order and sides come from ``seed``. Raises InvalidInput when there
    is no pair to choose from."""
    return _with_round(BlindTest(tuple(contestants), (), ()), answers, Random(seed))


def another_round(
    test: BlindTest, contestants: Sequence[str], answers: Sequence[Answer], seed: int
) -> BlindTest:
    """A test that is not revealed with answers to other questions: contestants of the same name
    are the same. Which way round the new matches stand is drawn so that sides even out in the long
    run without being known. Raises InvalidInput as ``blind_test`` does, and once revealed."""
    if test.revealed:
        raise InvalidInput("The names are revealed, so nothing can be added.", field="vote",
                           advice="Begin another comparison.")
    names = tuple(dict.fromkeys((*test.contestants, *contestants)))
    first = 1 + max((one.question for one in test.answers), default=-1)
    moved = [
        replace(one, contestant=names.index(contestants[one.contestant]),
                question=one.question + first)
        for one in answers
    ]
    return _with_round(replace(test, contestants=names), moved, Random(seed))


def _with_round(test: BlindTest, answers: Sequence[Answer], dice: Random) -> BlindTest:
    pairs = list(_pairs(answers))
    texts = [answer.text.strip() for answer in answers]
    unlike = [(a, b) for a, b in pairs if texts[a] != texts[b]]
    if not unlike:
        raise InvalidInput(
            "The answers are the same, letter by letter: there is nothing to choose." if pairs else
            "There are no two answers of different contestants to one question.", field="answers",
            advice="Change a setting or the prompt, and run again." if pairs else
            "Run at least two lanes, and wait until they have ended.",
        )
    chosen = _sample(unlike, answers, MOST_IN_A_ROUND, dice)
    sides = sided([(answers[a].contestant, answers[b].contestant) for a, b in chosen], dice)
    base = len(test.answers)
    round_ = [
        Match(base + (a if kept else b), base + (b if kept else a))
        for (a, b), kept in zip(chosen, sides, strict=True)
    ]
    every = (*test.answers, *answers)

    def contestants(matches: Sequence[Match]) -> list[tuple[int, int]]:
        return [(every[m.left].contestant, every[m.right].contestant) for m in matches]

    if flipped(contestants(test.matches), contestants(round_), dice):
        round_ = [Match(match.right, match.left) for match in round_]
    dice.shuffle(round_)
    return replace(
        test, answers=every, matches=(*test.matches, *round_),
        alike=test.alike + len(pairs) - len(unlike),
        left_out=test.left_out + len(unlike) - len(chosen),
    )


def _pairs(answers: Sequence[Answer]) -> Iterator[tuple[int, int]]:
    """Places of two answers of different contestants to one question, the same two runs once."""
    questions: dict[int, list[int]] = {}
    for place, answer in enumerate(answers):
        questions.setdefault(answer.question, []).append(place)
    # By number: a run is hashed once, and not with its whole prompt for each of its pairs.
    numbers: dict[Run, int] = {}
    run = [numbers.setdefault(answer.run, len(numbers)) for answer in answers]
    seen: set[frozenset[int]] = set()
    for places in questions.values():
        for a, b in combinations(places, 2):
            runs = frozenset((run[a], run[b]))
            again = runs in seen and len(runs) == 2
            if answers[a].contestant != answers[b].contestant and not again:
                seen.add(runs)
                yield a, b


def _sample(
    pairs: Sequence[tuple[int, int]], answers: Sequence[Answer], most: int, dice: Random
) -> list[tuple[int, int]]:
    """At most ``most`` pairs in which each two contestants meet equally often, or once more."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for a, b in pairs:
        both = tuple(sorted((answers[a].contestant, answers[b].contestant)))
        groups.setdefault(both, []).append((a, b))
    waiting = list(groups.values())
    dice.shuffle(waiting)
    for group in waiting:
        dice.shuffle(group)
    chosen: list[tuple[int, int]] = []
    while waiting and len(chosen) < most:
        chosen += [group.pop() for group in waiting[: most - len(chosen)]]
        waiting = [group for group in waiting if group]
    return chosen


def shared_prompt(one: Answer, other: Answer) -> Asked:
    """What two answers were both asked. What only one of them was asked would tell them apart."""
    a, b = turns_of(one.run), turns_of(other.run)
    told = [[(role, text) for role, text in turns if role == "system"] for turns in (a, b)]
    rest = [[(role, text) for role, text in turns if role != "system"] for turns in (a, b)]
    system = told[0] if told[0] == told[1] else []
    if [text for _, text in rest[0]] == [text for _, text in rest[1]] and rest[0]:
        alike = rest[0] == rest[1]
        return Asked((*system, *(rest[0] if alike else [("", text) for _, text in rest[0]])))
    if rest[0] and rest[1] and rest[0][-1] == rest[1][-1] and len(rest[0]) + len(rest[1]) > 2:
        return Asked((*system, rest[0][-1]), "The turns before this one differ and stay hidden.")
    if one.about and one.about == other.about:
        return Asked((("", one.about),), "The prompts differ and stay hidden until you reveal.")
    return Asked((), "The prompts differ and stay hidden until you reveal.")


def turns_of(run: Run) -> tuple[tuple[str, str], ...]:
    """A prompt as pairs of a role and a text; nothing for one of which only ids are known."""
    match run.prompt:
        case Raw(text):
            return (("", text),)
        case Chat(messages):
            return tuple((message.role, message.content) for message in messages)
        case Ids():
            return ()
