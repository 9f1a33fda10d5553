"""Two answers aligned token by token: where they part, and what each gave the other's choice; it
knows no model and draws nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, isnan, log2
from typing import Literal

from playground.core.align import Stretch, stretches, words_of
from playground.core.events import Step
from playground.core.trace import Trace

LOOKED_AT = 64  # steps whose candidates tell whether two vocabularies are one
ENOUGH_ALIKE = 8  # ids that both know, alike, that are taken for proof of it


def parted(a: Sequence[int], b: Sequence[int], start: int = 0) -> int | None:
    """The first place, from ``start`` on, where both have a token and it is not the same one.

    None while one of them is how the other begins: then they have not parted, and may yet.
    """
    end = min(len(a), len(b))
    return next((place for place in range(start, end) if a[place] != b[place]), None)


@dataclass(frozen=True, slots=True)
class Gave:
    """What a lane gave a token at a place, whether it chose it or not.

    ``probability`` and ``rank`` are the model's own, before any processor; ``chosen_with`` is the
    probability after them. Of a token that was not ``listed`` among the step's candidates only
    this is known: its probability is at most, and its rank at least, what stands here. What a
    server does not tell is NaN, and a rank 0.
    """

    probability: float
    rank: int
    chosen_with: float | None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """A token at which two answers part: its ``index`` in its own answer, what its own lane gave
    it, and what the other lane gave it there; None where that lane has no such token, because its
    vocabulary is another one, or told no candidates."""

    index: int
    own: Gave
    other: Gave | None


@dataclass(frozen=True, slots=True)
class Parting:
    """The first difference. ``inside``: it lies in the middle of a token, whose beginning both
    answers have; only where characters are compared."""

    first: Choice
    second: Choice
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Divergence:
    """Jensen-Shannon divergences at one place, in bits, from 0 (alike) to 1 (nothing in common):
    of what the two models gave, and of what the tokens were chosen with after all processors.

    Each is a lower bound of the true one, see ``divergence``.
    """

    model: float
    chosen: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers, aligned.

    ``first`` and ``second`` count the whole tokens of their common start: the same number where
    ids are compared. ``aligned`` are stretches of tokens that stand for each other, the common
    start first; by characters one token may stand for several. ``divergences`` are those at each
    token of the common start and at the one after it, where both answers read the same tokens of
    themselves (their prompts need not be the same: ``same_prompt``); none by characters.
    """

    by: Literal["ids", "characters"]
    first: int
    second: int
    parting: Parting | None
    aligned: tuple[Stretch, ...]
    divergences: tuple[Divergence, ...]
    same_model: bool
    same_prompt: bool


def compare(
    first: Trace, second: Trace, *, before: Comparison | None = None,
    by: Literal["ids", "characters"] | None = None,
) -> Comparison:
    """Align two answers, whose tokens before a fork count.

    ``before`` is an earlier comparison of the same two runs: what it found of their common start
    is not looked at again. ``by`` is what ``same_vocabulary`` says, unless it is given.
    """
    alike = by or ("ids" if same_vocabulary(first, second) else "characters")
    return _by_ids(first, second, before) if alike == "ids" else _by_characters(first, second)


def same_vocabulary(first: Trace, second: Trace) -> bool:
    """Whether two runs number the same tokens alike, as far as they show it.

    The same files (repository and revision, whatever adapter is on them) prove it. Else it is
    decided by the ids that both told with their pieces, in prompts, answers and candidates, of the
    first 64 steps: one id with two pieces proves that they do not, and at least 8 that are alike
    are taken to say that they do. Too few are no.
    """
    one, other = first.run.model, second.run.model
    if (one.repo, one.revision) == (other.repo, other.revision):
        return True
    known = dict(_told(first))
    alike = set()
    for id, piece in _told(second):
        mine = known.get(id)
        if mine is not None and mine != piece:
            return False
        if mine is not None:
            alike.add(id)
    return len(alike) >= ENOUGH_ALIKE


def _told(trace: Trace) -> Iterator[tuple[int, str]]:
    """Ids with their pieces; an untold one says nothing of a vocabulary."""
    for piece in trace.started.prompt if trace.started else ():
        yield piece.id, piece.text
    for step in trace.whole[:LOOKED_AT]:
        for id, text in ((step.id, step.piece), *((c.id, c.text) for c in step.candidates)):
            if id >= 0:
                yield id, text


def gave(step: Step, id: int) -> Gave | None:
    """What the lane of ``step`` gave the token ``id`` there; None where nothing is told of it."""
    if step.id == id:
        return Gave(exp(step.logprob), step.rank, step.probability)
    for rank, one in enumerate(step.candidates, start=1):
        if one.id == id:
            return Gave(exp(one.logprob), rank, one.probability)
    if not step.candidates:
        return None
    # The candidates are the likeliest: what is not among them is no likelier than the last.
    return Gave(exp(step.candidates[-1].logprob), len(step.candidates) + 1, None, listed=False)


def divergence(first: Step, second: Step) -> Divergence:
    """Lower bounds of the Jensen-Shannon divergences of two next-token distributions, in bits.

    Of each distribution only some probabilities were told, so the outcomes are merged: each token
    that both told, what only the first told, what only the second told, and all the rest. Merging
    never makes two distributions more different (the data-processing inequality). What one of them
    did not tell of such a bucket is chosen so that they differ least: it is no more than what is
    left of 1, and under the model no token is likelier than the last of its candidates. So the true
    divergence is this or more.
    """
    bounds = []
    for after in (False, True):
        one, other = _known(first, after), _known(second, after)
        bounds.append(_least_divergence(one, other, _cap(first, after), _cap(second, after)))
    return Divergence(*bounds)


def _known(step: Step, after: bool) -> dict[int, float]:
    """Tokens with their probabilities under the model, or ``after`` the processors, where they are
    told."""
    known = {one.id: one.probability if after else exp(one.logprob) for one in step.candidates}
    known[step.id] = step.probability if after else exp(step.logprob)
    return {id: p for id, p in known.items() if not isnan(p)}


def _cap(step: Step, after: bool) -> float:
    """The most that a token which was not told can have; any, where processors had their say."""
    return exp(step.candidates[-1].logprob) if step.candidates and not after else 1.0


def _least_divergence(
    one: Mapping[int, float], other: Mapping[int, float], cap_one: float, cap_other: float
) -> float:
    both = one.keys() & other.keys()
    shared_one, shared_other = sum(one[id] for id in both), sum(other[id] for id in both)
    mine, its = sum(one.values()) - shared_one, sum(other.values()) - shared_other
    left_one, left_other = (max(0.0, 1.0 - sum(known.values())) for known in (one, other))
    # Of ``mine`` the second has x, and of ``its`` the first has y. Two distributions differ least
    # where all ratios are one; where a limit forbids that, the least lies on a limit, because the
    # divergence is convex in x and y.
    most_x = min(left_other, cap_other * (len(one) - len(both)))
    most_y = min(left_one, cap_one * (len(other) - len(both)))
    whole_one, whole_other = mine + left_one, its + left_other
    x = whole_other * _share(mine, left_one)
    y = whole_one * _share(its, left_other)
    if x <= most_x and y <= most_y:
        points = [(x, y)]
    else:
        points = [
            (most_x, min(most_y, left_one * _share(its, left_other - most_x))),
            (min(most_x, left_other * _share(mine, left_one - most_y)), most_y),
        ]
    same = sum(_parts(one[id], other[id]) for id in both)
    least = min(
        _parts(mine, x) + _parts(y, its) + _parts(left_one - y, left_other - x) for x, y in points
    )
    return min(1.0, max(0.0, (same + least) / 2))


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part > 0 else 0.0


def _parts(p: float, q: float) -> float:
    p, q = max(0.0, p), max(0.0, q)
    return sum(a * log2(2 * a / (p + q)) for a in (p, q) if a > 0)


def _by_ids(first: Trace, second: Trace, before: Comparison | None) -> Comparison:
    one, other = first.whole, second.whole
    a, b = [step.id for step in one], [step.id for step in other]
    known = before if before is not None and before.by == "ids" else None
    place = parted(a, b, known.first if known else 0)
    common = min(len(a), len(b)) if place is None else place
    # The place after the common start is one that both may yet reach.
    reached = min(common + 1, len(a), len(b))
    told = known.divergences if known else ()
    more = (divergence(one[n], other[n]) for n in range(len(told), reached))
    later = () if place is None else stretches(a[place:], b[place:])
    aligned = (Stretch(0, 0, common), *(
        Stretch(common + s.first, common + s.second, s.count) for s in later))
    parting = None
    if place is not None:
        x, y = one[place], other[place]
        parting = Parting(_choice(place, x, gave(y, x.id)), _choice(place, y, gave(x, y.id)))
    return Comparison(
        "ids", common, common, parting, tuple(s for s in aligned if s.count), (*told, *more),
        _same_model(first, second), _same_prompt(first, second),
    )


def _choice(index: int, step: Step, other: Gave | None) -> Choice:
    return Choice(index, Gave(exp(step.logprob), step.rank, step.probability), other)


def _same_model(first: Trace, second: Trace) -> bool:
    return first.run.model == second.run.model


def _same_prompt(first: Trace, second: Trace) -> bool:
    if first.started is None or second.started is None:
        return first.run.prompt == second.run.prompt
    return first.started.rendered == second.started.rendered


def _by_characters(first: Trace, second: Trace) -> Comparison:
    """Control tokens have no characters, and a character may lie in the middle of a token."""
    (text_a, ends_a), (text_b, ends_b) = _characters(first.whole), _characters(second.whole)
    end = min(len(text_a), len(text_b))
    at = next((n for n in range(end) if text_a[n] != text_b[n]), end)
    x, y = bisect_right(ends_a, at), bisect_right(ends_b, at)
    parting = None
    if at < end:
        inside = at > min([0, *ends_a][x], [0, *ends_b][y])
        parting = Parting(_choice(x, first.whole[x], None), _choice(y, second.whole[y], None),
                          inside)
    runs = [Stretch(0, 0, at), *_equal_words(text_a, text_b, at)]
    return Comparison(
        "characters", x, y, parting, _tokens_of(runs, ends_a, ends_b), (),
        _same_model(first, second), _same_prompt(first, second),
    )


def _characters(steps: Sequence[Step]) -> tuple[str, list[int]]:
    """The text of tokens, and how many characters stand up to the end of each."""
    texts = ["" if step.special else step.text for step in steps]
    return "".join(texts), list(accumulate(len(text) for text in texts))


def _equal_words(a: str, b: str, start: int) -> Iterator[Stretch]:
    """Stretches of characters, whole words, that are equal beyond ``start``."""
    one, other = words_of(a[start:]), words_of(b[start:])
    places_a, places_b = (
        [*accumulate((len(word) for word in words), initial=start)]
        for words in (one, other)
    )
    for s in stretches(one, other):
        x, y = places_a[s.first], places_b[s.second]
        yield Stretch(x, y, places_a[s.first + s.count] - x)


def _tokens_of(
    runs: Sequence[Stretch], ends_a: Sequence[int], ends_b: Sequence[int]
) -> tuple[Stretch, ...]:
    """For each token of the first that begins in a stretch of characters, the one of the second
    that has its first character."""
    starts = [0, *ends_a][: len(ends_a)]
    found: list[Stretch] = []
    token = 0
    for run in runs:
        while token < len(starts) and starts[token] < run.first:
            token += 1
        while token < len(starts) and starts[token] < run.first + run.count:
            other = bisect_right(ends_b, run.second + starts[token] - run.first)
            last = found[-1] if found else None
            if ends_a[token] > starts[token]:
                if last and (last.first + last.count, last.second + last.count) == (token, other):
                    found[-1] = Stretch(last.first, last.second, last.count + 1)
                else:
                    found.append(Stretch(token, other, 1))
            token += 1
    return tuple(found)
