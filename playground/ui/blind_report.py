"""What the Blind tab shows: a match without names, and after the reveal what the votes say; as
JSON, in figures and sentences. It knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playground.core.blind import MOST_IN_A_ROUND, BlindTest
from playground.core.votes import (
    BY_LUCK,
    Lean,
    Standing,
    Strength,
    by_luck,
    length_lean,
    position_lean,
    standings,
    strengths,
)
from playground.ui.score_figures import percent
from playground.ui.take_over import cut

EXCERPT = 240
FEWEST_TO_LEAN = 6  # votes; of five, even 5 to 0 happens by luck in 6 % of cases


def match_value(test: BlindTest) -> dict[str, Any]:
    """The match that waits for a vote: its texts and what was asked, and nothing of who wrote."""
    number = test.at
    if number is None:
        return {"state": "voted", "of": len(test.matches), "voted": len(test.votes)}
    match, asked = test.matches[number], test.asked(number)
    return {
        "state": "voting", "at": number, "of": len(test.matches), "voted": len(test.votes),
        "turns": [list(turn) for turn in asked.turns], "note": asked.note,
        "left": test.answers[match.left].text, "right": test.answers[match.right].text,
    }


def report(test: BlindTest) -> dict[str, Any]:
    """What a revealed test comes to."""
    made = standings(test.judged, len(test.contestants))
    ranked = strengths(test.judged, len(test.contestants))
    order = sorted(range(len(made)), key=lambda n: (made[n].rate is None, -(made[n].rate or 0)))
    ranks = ranked if isinstance(ranked, tuple) else None
    return {
        "state": "revealed",
        "rows": [_row(test.contestants[n], made[n], ranks[n] if ranks else None) for n in order],
        "says": [verdict(test.contestants, made), *leanings(test), *_rest(test)],
        "strengths": ranked if isinstance(ranked, str) else "",
        "about": ABOUT,
        "matches": [_match(test, number) for number in range(len(test.matches))],
    }


ABOUT = (
    "The win rate counts a tie, and both bad, as half a win. Its bar is the 95 % interval "
    "(Wilson): where your share may lie if you went on voting on matches like these. It says "
    "nothing of what others would choose."
)


def _row(name: str, one: Standing, strength: Strength | None) -> dict[str, Any]:
    told = one.rate is not None
    return {
        "name": name, "wins": one.wins, "losses": one.losses, "ties": one.ties,
        "both_bad": one.both_bad, "counted": one.counted,
        "rate": one.rate, "low": one.low, "high": one.high,
        "shown": f"{100 * one.rate:.0f} %" if one.rate is not None else "–",
        "interval": f"{100 * one.low:.0f} to {100 * one.high:.0f} %" if told else "not known",
        "strength": _points(strength.points) if strength else "",
        "strength_interval":
            f"{_points(strength.low)} to {_points(strength.high)}" if strength else "",
    }


def _points(value: float) -> str:
    return f"{value:+.0f}".replace("-", "\u2212")


def verdict(names: Sequence[str], made: Sequence[Standing]) -> str:
    """Whether the votes tell the contestants apart, in a sentence, by the sign test."""
    decided = sum(one.wins for one in made)
    if not any(one.counted for one in made):
        return "No match has a vote that counts, so nothing can be said."
    if not decided:
        return "You preferred neither side in any match: these votes do not tell them apart."
    if len(made) == 2:
        return _verdict_of_two(names, made)
    clear = [(n, one) for n, one in enumerate(made) if one.luck < BY_LUCK / len(made)]
    if not clear:
        return (
            f"These {_votes(decided)} for a side do not tell the {len(made)} contestants apart: "
            "such differences come about by luck, too."
        )
    better = [names[n] for n, one in clear if one.wins > one.losses]
    worse = [names[n] for n, one in clear if one.wins < one.losses]
    parts = [f"{listed(better)} won more often" if better else "",
             f"{listed(worse)} lost more often" if worse else ""]
    return (f"{', and '.join(filter(None, parts))} than luck explains, with the "
            f"{len(made)} comparisons taken into account.")


def _verdict_of_two(names: Sequence[str], made: Sequence[Standing]) -> str:
    first, second = (0, 1) if made[0].wins >= made[1].wins else (1, 0)
    won, of = made[first].wins, made[first].wins + made[first].losses
    if won == made[second].wins:
        return f"{names[0]} and {names[1]} won {won} each: these votes do not tell them apart."
    said = f"You chose {names[first]} over {names[second]} in {won} of {of}"
    if of < FEWEST_TO_LEAN:
        most = percent(by_luck(of, of))
        return (f"{said}. That is too few votes to say anything: even {of} of {of} would happen "
                f"by luck in {most} of cases.")
    luck = made[first].luck
    if luck < BY_LUCK:
        return f"{said}; by luck that happens in {percent(luck)} of cases."
    return f"{said}; by luck that happens in {percent(luck)} of cases, so it tells little."


def leanings(test: BlindTest) -> list[str]:
    """Whether length or side may have decided, each in a sentence."""
    length, side = length_lean(test.judged), position_lean(test.judged)
    left = side.chosen * 2 >= side.of
    shown = side if left else Lean(side.of - side.chosen, side.of, side.luck)
    longer = length.chosen * 2 >= length.of
    counted = length if longer else Lean(length.of - length.chosen, length.of, length.luck)
    return [
        _leaning(counted, f"the {'longer' if longer else 'shorter'} answer", "length"),
        _leaning(shown, f"the {'left' if left else 'right'} side", "position"),
    ]


def _leaning(lean: Lean, what: str, kind: str) -> str:
    if lean.of < FEWEST_TO_LEAN:
        return f"Too few votes for a side ({lean.of}) to check for a {kind} bias."
    said = f"You chose {what} in {lean.chosen} of {lean.of}"
    if lean.is_more_than_luck:
        return (f"{said}; by luck that happens in {percent(lean.luck)} of cases, so {kind} may "
                "have decided.")
    return (f"{said}: no sign of a {kind} bias (luck alone is as uneven in {percent(lean.luck)} of "
            "cases).")


def _rest(test: BlindTest) -> list[str]:
    """What was not voted on."""
    said = []
    skipped = sum(vote == "skip" for vote in test.votes)
    open_ = len(test.matches) - len(test.votes)
    if skipped or open_:
        parts = [f"{skipped} skipped" if skipped else "",
                 f"{open_} without a vote" if open_ else ""]
        said.append(f"Not counted: {', '.join(filter(None, parts))}.")
    if test.alike:
        pairs = "1 pair" if test.alike == 1 else f"{test.alike} pairs"
        said.append(f"{pairs} wrote the same, letter by letter, and no match came of it.")
    if test.left_out:
        said.append(f"{test.left_out} more pairs were left out: a round has up to "
                    f"{MOST_IN_A_ROUND} matches, drawn so that all contestants meet equally often.")
    return said


def _match(test: BlindTest, number: int) -> dict[str, Any]:
    match = test.matches[number]
    left, right = test.answers[match.left], test.answers[match.right]
    vote = test.votes[number] if number < len(test.votes) else ""
    asked = test.asked(number)
    return {
        "asked": cut(asked.turns[-1][1], 80) if asked.turns else "different prompts",
        "left": test.contestants[left.contestant], "right": test.contestants[right.contestant],
        "texts": [cut(left.text, EXCERPT), cut(right.text, EXCERPT)], "vote": vote,
    }


def _votes(count: int) -> str:
    return "1 vote" if count == 1 else f"{count} votes"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
