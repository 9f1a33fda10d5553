"""What a reader takes away of the runs that are shown: a link, code, calls, files.

A lane asks by the keys of its runs; what a browser sends is untrusted, answers are JSON strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from playground.core.recipe import (
    LONGEST_TITLE,
    MOST_LANES,
    Digest,
    Experiment,
    Recipe,
    recipe_of,
    written_experiment,
)
from playground.core.recipe_code import notebook_of, script_of
from playground.core.recipe_link import link_of, read_link
from playground.core.recipe_table import csv_of, markdown_of
from playground.errors import InvalidInput, PlaygroundError
from playground.models.place import is_folder
from playground.ui.recipe_calls import client_of, curl_of
from playground.ui.token_store import encode, made_of, trace_of

PARAMETER = "recipe"  # of a link: its fragment is #recipe=…


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take runs away: ``write`` gets the experiment and the app's address."""

    write: Callable[[Experiment, object], str]
    name: str = ""  # of the file, where it can be saved
    kind: str = "text/plain"
    alone: bool = False  # of one run only


def _one(write: Callable[[Recipe], str]) -> Callable[[Experiment, object], str]:
    return lambda experiment, _: write(experiment.lanes[0])


WAYS: Mapping[str, Way] = {
    "link": Way(lambda experiment, _: link_of(experiment)),
    "script": Way(_one(script_of), "run.py", "text/x-python", alone=True),
    "notebook": Way(_one(notebook_of), "run.ipynb", "application/x-ipynb+json", alone=True),
    "curl": Way(lambda one, origin: curl_of(one.lanes[0].run, origin), "run.sh", alone=True),
    "client": Way(lambda one, origin: client_of(one.lanes[0].run, origin), "client.py",
                  "text/x-python", alone=True),
    "file": Way(lambda experiment, _: written_experiment(experiment), "recipe.json",
                "application/json"),
    "markdown": Way(lambda experiment, _: markdown_of(experiment), "run.md", "text/markdown"),
    "csv": Way(lambda experiment, _: csv_of(experiment), "runs.csv", "text/csv"),
}


def read_recipe(request: object) -> str:
    """The runs under ``keys``, one to eight, in one of WAYS; ``titles`` are what lanes call them.

    ``text`` is what was asked for, ``says`` what it holds, ``warns`` what of this machine it tells;
    a refusal is a ``problem``, a sentence.
    """
    asked = request if isinstance(request, Mapping) else {}
    try:
        what = asked.get("what")
        if not isinstance(what, str) or what not in WAYS:
            raise InvalidInput("There is no such form.", field="what", given=str(what)[:40],
                               allowed=", ".join(WAYS))
        way = WAYS[what]
        experiment = Experiment(_recipes(asked.get("keys"), asked.get("titles"), way.alone))
        text = way.write(experiment, asked.get("origin"))
    except PlaygroundError as error:
        return encode({"problem": str(error.problem)})
    told = {"text": text, "name": _file_name(experiment, way.name), "kind": way.kind}
    if folders := folders_in_words(experiment):
        told["warns"] = folders
    if what == "link":
        told["says"] = link_in_words(text)
    return encode(told)


def _recipes(keys: object, titles: object, alone: bool) -> tuple[Recipe, ...]:
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_LANES:
        raise InvalidInput(f"1 to {MOST_LANES} runs can be shared together.", field="keys",
                           allowed=f"1 to {MOST_LANES}")
    names = titles if isinstance(titles, list) else []
    found = []
    for number, key in enumerate(keys[:1] if alone else keys):
        trace = trace_of(key)
        if trace is None:
            raise InvalidInput("The server no longer keeps this run.", field="keys",
                               advice="Run it again.")
        name = names[number] if number < len(names) and isinstance(names[number], str) else ""
        name = name[:LONGEST_TITLE].encode("utf-8", "replace").decode()
        found.append(recipe_of(trace, name, made_of(key)))
    return tuple(found)


def link_in_words(text: str) -> str:
    """What the end of a link holds, said from what comes out of it."""
    experiment = read_link(text)
    holds = ["the prompt's text", "every setting and seed", "the model's name and commit"]
    answers = [one.answer for one in experiment.lanes if one.answer is not None]
    if answers and all(answer.pieces for answer in answers):
        exact = not any(isinstance(answer.ids, Digest) for answer in answers)
        holds.append(f"the answer's tokens and {'' if exact else 'a check of '}their ids")
    elif answers:
        holds.append("the answer's text and a check of its ids")
    many = "" if len(experiment.lanes) == 1 else f" for {len(experiment.lanes)} lanes"
    return f"Holds{many} {', '.join(holds[:-1])} and {holds[-1]}. Nothing is stored on a server."


def folders_in_words(experiment: Experiment) -> str:
    """Which folders of this machine a recipe names to whoever gets it; empty without any."""
    runs = [lane.run for lane in experiment.lanes]
    named = {name: None for run in runs for name in (
        run.model.repo, run.model.adapter, run.used_draft.repo if run.used_draft else "",
    ) if is_folder(name)}
    if not named:
        return ""
    many = "Models here are folders" if len(named) > 1 else "A model here is a folder"
    them = "them" if len(named) > 1 else "it"
    return f"{many} on your machine, and what you share names {them}: {', '.join(named)}."


def _file_name(experiment: Experiment, name: str) -> str:
    """A name for the file that says the lane, of letters that every system takes."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", experiment.lanes[0].label).strip("-").lower()[:40]
    return f"{words}-{name}" if words and name else name


def titles_of(lanes: Sequence[Recipe]) -> list[str]:
    """A name for each lane, told apart by numbers where two have the same."""
    labels = [lane.label for lane in lanes]
    return [f"{n + 1} · {label}" if labels.count(label) > 1 else label
            for n, label in enumerate(labels)]

