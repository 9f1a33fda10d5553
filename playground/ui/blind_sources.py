"""Where answers to compare blind come from: lanes that tabs show, cells of a grid; no Gradio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from playground.core.blind import Answer, turns_of
from playground.core.events import Reason
from playground.core.prompt import Chat
from playground.core.run import Run
from playground.errors import InvalidInput
from playground.ui.take_over import cut, kept_answer
from playground.ui.token_store import trace_of

LONGEST_NAME = 60
LONGEST_ABOUT = 600
# What cells of a grid can be compared by, and what one and many are called.
AXES = {
    "model": ("model", "models"), "strategy": ("strategy", "strategies"),
    "system": ("system prompt", "system prompts"), "prompt": ("prompt", "prompts"),
}


@dataclass(frozen=True, slots=True)
class Round:
    """Answers of contestants, by their names, that are put beside each other."""

    contestants: tuple[str, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell with its answer. ``at`` names its value on each axis ("model", "strategy", "system",
    "prompt", "row", "seed"), "" for a seed that makes no difference; ``about`` is its row of the
    table in words."""

    at: Mapping[str, str]
    run: Run
    text: str
    ids: tuple[int, ...] = ()
    about: str = ""
    reason: Reason = "length"


class GridCells(Protocol):
    """Whoever knows the cells of a visitor's grid that have their answer, by the grid's key."""

    def __call__(self, key: str) -> Sequence[GridCell]: ...


def lanes_round(keys: Sequence[str]) -> Round:
    """What the lanes behind these keys of the store answered; each is a contestant.

    Raises InvalidInput while one still writes, and for fewer than two with an answer.
    """
    traces = [trace for key in keys if (trace := trace_of(key)) is not None]
    if any(not trace.is_over for trace in traces):
        raise InvalidInput("A lane is still writing.", field="lanes",
                           advice="Wait until it has ended, or stop it.")
    known = [(n, *found) for n, key in enumerate(keys, 1) if (found := kept_answer(key))]
    told = [(n, trace, text) for n, trace, text in known if trace.finished is not None]
    if len(told) < 2:
        raise InvalidInput("There are not two lanes with an answer.", field="lanes",
                           advice="Run at least two lanes first.")
    names = named([trace.run for _, trace, _ in told], [n for n, _, _ in told])
    answers = [
        Answer(place, 0, trace.run, text, tuple(step.id for step in trace.whole),
               reason=trace.finished.reason)
        for place, (_, trace, text) in enumerate(told)
    ]
    return Round(tuple(names), tuple(answers))


def named(runs: Sequence[Run], numbers: Sequence[int]) -> list[str]:
    """A name for each run, of what tells it from the others; lane ``numbers`` where nothing does.

    Never of its seed, so that the same settings have the same name in the next round.
    """
    parts = [_parts(run) for run in runs]
    differ = [field for field in parts[0] if len({one[field] for one in parts}) > 1]
    names = [" · ".join(one[field] or f"no {field}" for field in differ) for one in parts]
    count = Counter(names)
    names = [name if count[name] == 1 else " · ".join(filter(None, (name, f"lane {number}")))
             for name, number in zip(names, numbers, strict=True)]
    return names


def _parts(run: Run) -> dict[str, str]:
    """What a run is made of, in words, its seed left out."""
    turns = turns_of(run)
    system = " ".join(text for role, text in turns if role == "system")
    asked = " / ".join(text for role, text in turns if role != "system")
    return {
        "model": run.model.label if run.model.revision == "" else
        f"{run.model.label} at {run.model.revision[:12]}",
        "system prompt": f"system “{cut(system, LONGEST_NAME)}”" if system else "",
        "prompt": f"“{cut(asked, LONGEST_NAME)}”" if asked else "exact ids",
        "template": "chat template" if isinstance(run.prompt, Chat) else "raw text",
        "strategy": run.decoding.summary,
        "draft": f"draft {run.used_draft.label}" if run.used_draft else "",
        "length": f"up to {run.decoding.max_new_tokens} tokens",
    }


def axes_of(cells: Sequence[GridCell]) -> list[tuple[str, int]]:
    """The axes by which cells can be compared, each with how many values it has."""
    counts = [(axis, len({cell.at[axis] for cell in cells})) for axis in AXES]
    return [(axis, count) for axis, count in counts if count > 1]


def grid_round(cells: Sequence[GridCell], axis: object) -> Round:
    """The cells of a grid by their value on one axis; a question is what they share on all others.

    A cell whose strategy draws nothing stands for every seed. Raises InvalidInput for an axis that
    has no two values.
    """
    if axis not in dict(axes_of(cells)):
        raise InvalidInput("The grid has no two finished cells that differ in this.", field="grid",
                           given=axis, advice="Run the grid first.")
    names = list(dict.fromkeys(cell.at[str(axis)] for cell in cells))
    seeds = sorted({cell.at["seed"] for cell in cells} - {""}) or [""]
    questions: dict[tuple[str, ...], int] = {}
    answers = []
    for cell in cells:
        for seed in [cell.at["seed"]] if cell.at["seed"] else seeds:
            rest = [value for name, value in cell.at.items() if name not in (axis, "seed")]
            question = questions.setdefault((*rest, seed), len(questions))
            contestant = names.index(cell.at[str(axis)])
            answers.append(Answer(contestant, question, cell.run, cell.text, cell.ids,
                                  cut(cell.about, LONGEST_ABOUT), cell.reason))
    return Round(tuple(_short(names)), tuple(answers))


def _short(names: Sequence[str]) -> list[str]:
    """Names of a bearable length that stay different."""
    short = [cut(name, LONGEST_NAME) or "none" for name in names]
    alike = Counter(short)
    return [one if alike[one] == 1 else f"{one} ({n})" for n, one in enumerate(short, 1)]
