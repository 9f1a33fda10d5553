"""What votes between two sides say, with how sure that is; it knows no text and no model.

A vote of ``tie`` or ``both bad`` prefers neither side and counts as half a win for each; ``skip``
does not count. A half varies less than a win or a loss does, so that intervals and errors that
take it for a whole trial are rather too wide than too narrow. All of it takes votes for
independent of each other: many votes on one question are not quite, and then are worth less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, log, sqrt
from typing import Literal

Vote = Literal["left", "right", "tie", "both bad", "skip"]

Z95 = 1.959964  # of the normal distribution: 95 % lie within so many standard deviations
BY_LUCK = 0.05  # what luck does more seldom than that is told as more than luck
ENOUGH_VOTES = 10  # of each contestant, for a Bradley-Terry strength
ENOUGH_CONTESTANTS = 3
ELO = 400 / log(10)  # points for a factor of e in the odds: 400 points are odds of 10 to 1

_MOST_ROUNDS = 5000
_CONVERGED = 1e-10
_LEFT_SCORE = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}


@dataclass(frozen=True, slots=True)
class Judged:
    """One vote: the contestants on both sides, by number, and how long their answers were."""

    left: int
    right: int
    vote: Vote
    left_length: int = 0
    right_length: int = 0

    @property
    def left_score(self) -> float | None:
        """1 for a win of the left side, 0 for a loss, one half for neither; None when skipped."""
        return _LEFT_SCORE.get(self.vote)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the votes on one contestant come to.

    ``rate`` is its wins, with one half for each tie and each ``both_bad``, over all counted votes,
    None without any; ``low`` and ``high`` are its 95 % interval. ``luck`` is how often a fair coin
    parts wins and losses at least so unevenly.
    """

    wins: int = 0
    losses: int = 0
    ties: int = 0
    both_bad: int = 0
    rate: float | None = None
    low: float = 0.0
    high: float = 1.0
    luck: float = 1.0

    @property
    def counted(self) -> int:
        """Its votes but for the skipped ones."""
        return self.wins + self.losses + self.ties + self.both_bad


@dataclass(frozen=True, slots=True)
class Lean:
    """How often votes went one way: ``chosen`` of ``of``, and how often a fair coin leans at least
    as far, to either side."""

    chosen: int
    of: int
    luck: float

    @property
    def is_more_than_luck(self) -> bool:
        """Whether a fair coin would do so in fewer than one of twenty cases."""
        return self.luck < BY_LUCK


@dataclass(frozen=True, slots=True)
class Strength:
    """A contestant's Bradley-Terry strength in Elo points, 0 on average, with its 95 % interval."""

    points: float
    low: float
    high: float


def standings(votes: Sequence[Judged], contestants: int) -> tuple[Standing, ...]:
    """What each contestant's votes come to, by its number."""
    return tuple(_standing(votes, one) for one in range(contestants))


def _standing(votes: Sequence[Judged], one: int) -> Standing:
    won = lost = ties = bad = 0
    for vote in votes:
        if one not in (vote.left, vote.right):
            continue
        mine: Vote = "left" if one == vote.left else "right"
        won += vote.vote == mine
        lost += vote.vote in ("left", "right") and vote.vote != mine
        ties += vote.vote == "tie"
        bad += vote.vote == "both bad"
    counted = won + lost + ties + bad
    if not counted:
        return Standing()
    score = won + (ties + bad) / 2
    return Standing(won, lost, ties, bad, score / counted, *wilson(score, counted),
                    luck=by_luck(won, won + lost))


def wilson(successes: float, trials: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a share, 95 % unless another ``z`` is given; 0 to 1 for no trials.

    Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference, J. Am. Stat.
    Assoc. 22. Unlike the share plus and minus its error it stays within 0 and 1 and is usable for
    ten votes: 8 of 10 is 0.490 to 0.943.
    """
    if not trials:
        return 0.0, 1.0
    share, square = successes / trials, z * z
    centre = share + square / (2 * trials)
    reach = z * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    whole = 1 + square / trials
    return max(0.0, (centre - reach) / whole), min(1.0, (centre + reach) / whole)


def by_luck(chosen: int, of: int) -> float:
    """How often a fair coin gives ``chosen`` of ``of``, or what is as uneven: the exact two-sided
    binomial test (for wins and losses, the sign test). 9 of 10 is 22 / 1024 = 0.021."""
    fewer = min(chosen, of - chosen)
    return min(1.0, 2 * sum(comb(of, n) for n in range(fewer + 1)) / (1 << of))


def position_lean(votes: Sequence[Judged]) -> Lean:
    """How often the left side was chosen, of the votes for a side."""
    chosen = sum(vote.vote == "left" for vote in votes)
    return _lean(chosen, chosen + sum(vote.vote == "right" for vote in votes))


def length_lean(votes: Sequence[Judged]) -> Lean:
    """How often the longer answer was chosen, of the votes for a side between unequal lengths."""
    told = [vote for vote in votes
            if vote.vote in ("left", "right") and vote.left_length != vote.right_length]
    longer = sum((vote.vote == "left") == (vote.left_length > vote.right_length) for vote in told)
    return _lean(longer, len(told))


def _lean(chosen: int, of: int) -> Lean:
    return Lean(chosen, of, by_luck(chosen, of))


Wins = Sequence[Sequence[float]]


def wins_between(votes: Sequence[Judged], contestants: int) -> list[list[float]]:
    """For each pair, how often the first beat the second, ties as half a win for both."""
    wins = [[0.0] * contestants for _ in range(contestants)]
    for vote in votes:
        score = vote.left_score
        if score is not None:
            wins[vote.left][vote.right] += score
            wins[vote.right][vote.left] += 1 - score
    return wins


def strengths(votes: Sequence[Judged], contestants: int) -> tuple[Strength, ...] | str:
    """The contestants' Bradley-Terry strengths, or why there are none, in a sentence.

    Two contestants have none, since the win rate says the same of them. With fewer than ten votes
    on one, its odds are unknown by a factor of about 3.5 to either side even at best, and the
    normal approximation behind the interval is not to be trusted. And a group that never lost
    to the others, or never won, has no finite strength: see ``bradley_terry``.
    """
    if contestants < ENOUGH_CONTESTANTS:
        return "With two contestants a Bradley-Terry strength would say the same as the win rate."
    fewest = min(one.counted for one in standings(votes, contestants))
    if fewest < ENOUGH_VOTES:
        return (f"Bradley-Terry strengths need {ENOUGH_VOTES} counted votes on each contestant; "
                f"one of them has {fewest}.")
    wins = wins_between(votes, contestants)
    logs = bradley_terry(wins)
    if logs is None:
        return ("There are no Bradley-Terry strengths: some contestants never won against the "
                "others, not even half, so that how much weaker they are cannot be known.")
    errors = standard_errors(wins, logs)
    return tuple(
        Strength(ELO * one, ELO * (one - Z95 * error), ELO * (one + Z95 * error))
        for one, error in zip(logs, errors, strict=True)
    )


def bradley_terry(wins: Wins) -> tuple[float, ...] | None:
    """Log-strengths with mean 0 that make these wins likeliest: the odds that one contestant beats
    another are exp of the difference. ``wins[i][j]`` is how often i beat j; 3 to 1 gives odds of 3.

    The model is that of Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs,
    Biometrika 39; the MM algorithm and the condition are those of Hunter 2004, MM Algorithms for
    Generalized Bradley-Terry Models, Ann. Stat. 32: the likelihood has a unique maximum exactly if
    the contestants cannot be parted into two groups of which one never beat the other, that is if
    the graph of who beat whom is strongly connected. None where it is not.
    """
    count = len(wins)
    if not is_strongly_connected(wins):
        return None
    met = [[wins[i][j] + wins[j][i] for j in range(count)] for i in range(count)]
    logs = [0.0] * count
    for _ in range(_MOST_ROUNDS):
        power = [exp(one) for one in logs]
        new = [
            log(sum(wins[i]) / sum(met[i][j] / (power[i] + power[j]) for j in range(count)))
            for i in range(count)
        ]
        mean = sum(new) / count
        new = [one - mean for one in new]
        change = max(abs(a - b) for a, b in zip(new, logs, strict=True))
        logs = new
        if change < _CONVERGED:
            break
    return tuple(logs)


def is_strongly_connected(wins: Wins) -> bool:
    """Whether each contestant is reached from each other one along wins, half wins included."""
    turned = list(zip(*wins, strict=True))
    return len(wins) > 1 and all(len(_reached(one)) == len(wins) for one in (wins, turned))


def _reached(wins: Wins) -> set[int]:
    """Who is reached from the first contestant."""
    found, waiting = {0}, [0]
    while waiting:
        row = wins[waiting.pop()]
        new = [one for one, won in enumerate(row) if won > 0 and one not in found]
        found.update(new)
        waiting += new
    return found


def standard_errors(wins: Wins, logs: Sequence[float]) -> tuple[float, ...]:
    """The error of each log-strength, from the observed information at the maximum.

    The information of n comparisons that are won with probability p is n p (1 - p), of the
    difference of two log-strengths; with their mean held at 0 the covariance is the pseudo-inverse
    of the matrix that these sum to, which is (L + J / k)^-1 - J / k for k contestants, all of J 1.
    3 wins to 1: the information is 0.75, the difference has variance 4 / 3 and each strength 1 / 3.
    """
    count = len(wins)
    matrix = [[1 / count] * count for _ in range(count)]
    for i in range(count):
        for j in range(count):
            if i != j:
                p = 1 / (1 + exp(logs[j] - logs[i]))
                information = (wins[i][j] + wins[j][i]) * p * (1 - p)
                matrix[i][j] -= information
                matrix[i][i] += information
    inverse = _inverse(matrix)
    return tuple(sqrt(max(0.0, inverse[i][i] - 1 / count)) for i in range(count))


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """By Gauss and Jordan, with the largest pivot; the matrix is regular."""
    count = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(count))] for i, row in enumerate(matrix)]
    for column in range(count):
        best = max(range(column, count), key=lambda i: abs(rows[i][column]))
        rows[column], rows[best] = rows[best], rows[column]
        pivot = rows[column][column]
        rows[column] = [value / pivot for value in rows[column]]
        for i in range(count):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[count:] for row in rows]
