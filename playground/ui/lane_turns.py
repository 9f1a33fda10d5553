"""Which lanes run first where their models do not fit in memory together, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from playground.core.run import ModelSpec
from playground.engine.engine import Engine
from playground.engine.plan import Plan
from playground.errors import PlaygroundError
from playground.models.footprint import size
from playground.settings import Settings
from playground.ui.actions import sentence
from playground.ui.decoding_form import read_list


def words_of(plan: Plan, numbers: Sequence[int]) -> str:
    """A sentence, such as "tiny-chat and tiny-base do not fit in memory together (40 MB of 30 MB):
    lanes 1 and 3 run first, then lane 2."; empty where all run together.

    ``numbers`` are the lanes (from 0) of the columns that were planned.
    """
    if not plan.takes_turns:
        return ""
    models = [spec.label for one in plan.rounds for spec, _ in one]
    rounds = []
    for one in plan.rounds:
        lanes = sorted(numbers[n] + 1 for _, columns in one for n in columns)
        rounds.append(f"lane{'s' if len(lanes) > 1 else ''} {_listed(lanes)}")
    first, *others = rounds
    verb = "run" if first.startswith("lanes") else "runs"
    order = ", ".join([f"{first} {verb} first", *(f"then {one}" for one in others)])
    return (
        f"{_listed(models)} do not fit in memory together ({size(plan.need)} of "
        f"{size(plan.capacity)}): {order}."
    )


def _listed(things: Sequence[Any]) -> str:
    """One, two and three."""
    *most, last = map(str, things)
    return f"{', '.join(most)} and {last}" if most else last


def waiting_notice(engine: Engine, models: Mapping[int, ModelSpec]) -> str:
    """The sentence as a notice, for lanes (from 0) that are about to run their models."""
    if len(set(models.values())) < 2:
        return ""
    words = words_of(engine.plan(list(models.values())), list(models))
    return sentence(words, "wait") if words else ""


def planner(engine: Engine, settings: Settings) -> Callable[[Any], str]:
    """What a page may ask as soon as models are chosen: the sentence for a JSON list of them."""

    def plan(models: Any) -> str:
        given = read_list(models)
        chosen: list[ModelSpec] = []
        numbers: list[int] = []
        for number, repo in enumerate(given[: settings.limits.columns]):
            with suppress(PlaygroundError):  # its lane says what is wrong with it
                chosen.append(ModelSpec(repo if isinstance(repo, str) and repo
                                        else settings.default_model))
                numbers.append(number)
        return words_of(engine.plan(chosen), numbers) if len(set(chosen)) > 1 else ""

    return plan
