"""A revealed blind test as a file: JSON with everything, CSV with a row a match; no Gradio."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from playground.core.blind import BlindTest, turns_of
from playground.core.plain import from_plain, from_text, to_plain, to_text
from playground.core.votes import length_lean, position_lean, standings, strengths
from playground.errors import InvalidInput
from playground.ui.grid_export import harmless

FORMAT = "blind-1"
LONGEST_FILE = 20_000_000
HEAD = ("match", "prompt", "left", "right", "vote", "winner", "left_characters",
        "right_characters", "left_text", "right_text")
_SIDES = {"left": 0, "right": 1}


def json_file(test: BlindTest) -> str:
    """Contestants, answers with their runs, matches and votes, and what they come to."""
    judged, count = test.judged, len(test.contestants)
    ranked = strengths(judged, count)
    results: dict[str, Any] = {
        "standings": [asdict(one) for one in standings(judged, count)],
        "strengths": ranked if isinstance(ranked, str) else [asdict(one) for one in ranked],
        "longer_chosen": asdict(length_lean(judged)),
        "left_chosen": asdict(position_lean(judged)),
    }
    return to_text({"format": FORMAT, "test": to_plain(test), "results": results})


def read_file(text: str) -> BlindTest:
    """The test in such a file, which a stranger may have written; its results are not read, since
    they follow from it. Raises InvalidInput naming the field."""
    if len(text) > LONGEST_FILE:
        raise InvalidInput("The file is too long to be a blind test.", field="file")
    data = from_text(text, "file")
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InvalidInput("The file is no blind test.", field="format", allowed=FORMAT)
    return from_plain(BlindTest, data.get("test"), "test")


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
