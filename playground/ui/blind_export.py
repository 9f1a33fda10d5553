"""A revealed blind test as a file: JSON with everything, CSV with a row a match; no Gradio."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from playground.core.blind import Answer, BlindTest, turns_of
from playground.core.recipe import (
    LONGEST_TITLE,
    MOST_LANES,
    Experiment,
    Recipe,
    read_experiment,
    written_experiment,
)
from playground.core.recipe import Answer as Wrote
from playground.core.votes import length_lean, position_lean, standings, strengths
from playground.errors import InvalidInput
from playground.ui.grid_export import harmless

HEAD = ("match", "prompt", "left", "right", "vote", "winner", "left_characters",
        "right_characters", "left_text", "right_text")
_SIDES = {"left": 0, "right": 1}


def json_file(test: BlindTest) -> str:
    """A recipe's file that the Recipe tab opens, of as many answers as that can hold; in it the
    whole test, with every answer, match and vote, and what these come to."""
    judged, count = test.judged, len(test.contestants)
    ranked = strengths(judged, count)
    results: dict[str, Any] = {
        "standings": [asdict(one) for one in standings(judged, count)],
        "strengths": ranked if isinstance(ranked, str) else [asdict(one) for one in ranked],
        "longer_chosen": asdict(length_lean(judged)),
        "left_chosen": asdict(position_lean(judged)),
    }
    lanes = tuple(_recipe_of(test, answer) for answer in test.answers[:MOST_LANES])
    many = len(test.answers) > MOST_LANES
    title = f"The first {MOST_LANES} of {len(test.answers)} answers of a blind test" * many
    return written_experiment(Experiment(lanes, title, test), results)


def _recipe_of(test: BlindTest, answer: Answer) -> Recipe:
    """What it takes to repeat an answer, called as its contestant."""
    stood = len(answer.run.fork.ids) if answer.run.fork else 0
    ids = answer.ids[stood:]
    text = answer.text.encode("utf-8", "replace").decode()
    wrote = Wrote(ids, text=text, reason=answer.reason) if ids else None
    return Recipe(answer.run, test.contestants[answer.contestant][:LONGEST_TITLE], answer=wrote)


def read_file(text: object) -> BlindTest:
    """The test in such a file, which a stranger may have written; its results are not read, since
    they follow from it. Raises InvalidInput naming the field."""
    test = read_experiment(text).blind
    if test is None:
        raise InvalidInput("The file holds no blind test.", field="file",
                           advice="The Recipe tab opens it.")
    return test


def csv_file(test: BlindTest) -> str:
    """A row a match, with a head; the vote is empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEAD)
    for number, match in enumerate(test.matches):
        pair = [test.answers[place] for place in (match.left, match.right)]
        names = [test.contestants[one.contestant] for one in pair]
        vote = test.votes[number] if number < len(test.votes) else ""
        asked = test.asked(number).turns or turns_of(pair[0].run)
        row = (number + 1, asked[-1][1] if asked else "", *names, vote,
               names[_SIDES[vote]] if vote in _SIDES else "",
               *(len(one.text) for one in pair), *(one.text for one in pair))
        writer.writerow([harmless(value) for value in row])
    return out.getvalue()
