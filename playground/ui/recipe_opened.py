"""A recipe that a reader has opened: read with care, run again, compared; it draws nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from playground.core.prompt import Ids
from playground.core.recipe import (
    LONGEST_FILE,
    Digest,
    Experiment,
    Recipe,
    read_experiment,
)
from playground.core.recipe_link import LETTER, read_link
from playground.core.recipe_table import facts_of, words_of
from playground.core.recipe_verdict import Verdict, check_repeatable, verify
from playground.core.remote import server_and_model
from playground.core.run import ModelSpec, Run
from playground.engine.admission import check_run
from playground.errors import InvalidInput, PlaygroundError, Problem
from playground.models.place import place
from playground.settings import Settings
from playground.ui.recipe_share import PARAMETER, titles_of
from playground.ui.token_feed import TokenFeed

MOST_OPENED = 200
MOST_CHARACTERS = 20_000_000  # of all that is open together
_BADGES = {"same": "same ids", "other": "other ids", "failed": "no verdict"}
_REASONS = {
    "end": "the model ended it", "length": "cut off at its limit",
    "context": "the context was full", "stop string": "ended at a stop string",
    "stopped": "stopped by its reader",
}


def read_given(text: object) -> Experiment:
    """The experiment in what a reader gives: a link, the end of one, or a file's JSON.

    Raises InvalidInput in a sentence.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("There is nothing to open.", field="recipe",
                           advice="Paste a link or a recipe's JSON, or choose its file.")
    if len(text) > LONGEST_FILE:
        raise InvalidInput(f"This has {len(text):,} characters.", field="recipe",
                           allowed=f"at most {LONGEST_FILE:,} characters")
    words = text.strip().removeprefix("\ufeff")
    if words.startswith("{"):
        return read_experiment(words)
    _, found, end = words.rpartition(f"{PARAMETER}=")
    if not found and not words.startswith(LETTER):
        raise InvalidInput("This is neither a shared link nor a recipe's JSON.", field="recipe",
                           advice="Copy what the Share button of a lane gives, or choose a file.")
    return read_link(unquote(end if found else words).split("&")[0])


def refusal_of(run: Run, settings: Settings, *, look: bool = True) -> Problem | None:
    """Why this visitor may not run it, whatever a stranger wrote; None where they may.

    Without ``look`` no folder that it may name is looked at, where any may be named: to look is to
    ask another machine where the path leads to one.
    """
    try:
        if look or not settings.any_model:
            _place(run.model, settings)
            if run.used_draft is not None:
                place(run.used_draft, settings.models, settings.any_model)
        check_run(run, settings.limits)
    except PlaygroundError as error:
        return error.problem
    return None


def _place(spec: ModelSpec, settings: Settings) -> None:
    """Raise PlaygroundError unless this page may run such a model."""
    served = server_and_model(spec.repo)
    if served is None:
        place(spec, settings.models, settings.any_model)
    elif served[0] not in [remote.name for remote in settings.remotes]:
        raise InvalidInput(
            f"It ran on a server called {served[0]}, and this page has none of that name.",
            field="model", given=spec.repo, advice="Choose another model in Complete.",
        )


@dataclass(eq=False)
class Opened:
    """One page's opened experiment, what is shown of it, and what came of running it again.

    ``size`` is how many characters it was read from.
    """

    experiment: Experiment
    settings: Settings
    size: int = 0
    chosen: int = 0
    feeds: dict[int, TokenFeed] = field(default_factory=dict)
    verdicts: dict[int, Verdict | Problem] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """The lane that is shown."""
        return self.experiment.lanes[self.chosen]

    @property
    def titles(self) -> list[str]:
        """A name for each lane."""
        return titles_of(self.experiment.lanes)

    @property
    def choices(self) -> list[str]:
        """The lanes in words, each with what came of it."""
        return [f"{title} · {_BADGES[badge]}" if (badge := self._verdict(n)["badge"]) in _BADGES
                else title for n, title in enumerate(self.titles)]

    def choose(self, place: object) -> None:
        """Show another lane; anything that is no place of one changes nothing."""
        if type(place) is int and 0 <= place < len(self.experiment.lanes):
            self.chosen = place

    def begin(self) -> list[tuple[int, TokenFeed]]:
        """The lanes that are run again, each with a new feed; the others get the reason why not."""
        self.feeds, self.verdicts = {}, {}
        for number, recipe in enumerate(self.experiment.lanes):
            # A stranger's model is fetched for a reader who has it before their eyes.
            trusted = number == self.chosen or not self._unknown(recipe)
            refused = refusal_of(recipe.run, self.settings, look=trusted)
            if refused is None and not trusted:
                refused = InvalidInput(
                    f"Its model, {recipe.run.model.label}, is not among those of this page.",
                    field="model", advice="Choose this lane, and run again, if you trust it.",
                ).problem
            try:
                check_repeatable(recipe)
            except InvalidInput as error:
                refused = refused or error.problem
            if refused is not None:
                self.verdicts[number] = refused
            else:
                self.feeds[number] = TokenFeed(recipe.run, "Run again", self.titles[number])
        return list(self.feeds.items())

    def judge(self) -> None:
        """Compare the runs that are over."""
        for number, feed in self.feeds.items():
            if number in self.verdicts or not feed.trace.is_over:
                continue
            try:
                self.verdicts[number] = verify(self.experiment.lanes[number], feed.trace)
            except InvalidInput as error:
                self.verdicts[number] = error.problem

    def sheet(self) -> dict[str, Any]:
        """What the sheet shows; see token_recipe.js."""
        lanes = self.experiment.lanes
        recipe = self.recipe
        title = recipe.label if len(lanes) == 1 else f"{len(lanes)} lanes"
        return {
            "title": self.experiment.title or title,
            "about": "Shared with you. Nothing runs until you press a button.",
            "notices": self._notices(recipe),
            "label": "Prompt (exact token ids)" if _is_ids(recipe) else "Prompt",
            "prompt": words_of(recipe.run.prompt),
            "facts": facts_of(recipe),
            "verdict": self._verdict(self.chosen),
        }

    def expected(self) -> dict[str, Any]:
        """The answer as it was recorded, with the place where the new one parts from it."""
        recipe = self.recipe
        answer = recipe.answer
        if answer is None:
            return {"title": "Recorded", "sub": recipe.problem or "No answer was recorded."}
        count = answer.ids.count if isinstance(answer.ids, Digest) else len(answer.ids)
        verdict = self.verdicts.get(self.chosen)
        parts = verdict.position if isinstance(verdict, Verdict) else None
        tokens = "1 token" if count == 1 else f"{count} tokens"
        return {
            "title": "Recorded", "sub": f"{tokens} · {_REASONS[answer.reason]}",
            "pieces": answer.pieces, "text": answer.text, "parts": parts,
        }

    def _notices(self, recipe: Recipe) -> list[str]:
        blind = self.experiment.blind
        voted = [f"The file holds the {len(blind.votes)} votes of a blind test, too: the Blind tab "
                 "opens them."] if blind else []
        unknown = self._unknown(recipe)
        refused = refusal_of(recipe.run, self.settings, look=not unknown)
        if refused is not None:
            return [*voted, f"It cannot run here. {refused}"]
        return [*voted, *([
            f"{', '.join(unknown)} is not among the models of this page: running it fetches and "
            "loads that model. Do so if you trust it."
        ] if unknown else [])]

    def _unknown(self, recipe: Recipe) -> list[str]:
        """Models of a recipe that this page does not offer."""
        run = recipe.run
        named = [run.model.repo, run.model.adapter, run.used_draft.repo if run.used_draft else ""]
        # Of a server nothing is fetched.
        return [name for name in named if name and name not in self.settings.models
                and server_and_model(name) is None]

    def _verdict(self, number: int) -> dict[str, str]:
        verdict = self.verdicts.get(number)
        if isinstance(verdict, Verdict):
            return {"badge": "same" if verdict.same else "other", "says": verdict.says}
        if verdict is not None:
            return {"badge": "failed", "says": str(verdict)}
        return {"badge": "running" if number in self.feeds else "none", "says": ""}


class OpenedRecipes:
    """The opened experiment of each page; bounded, the longest unused first out."""

    def __init__(self, most: int = MOST_OPENED) -> None:
        self._most = most
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, session: str, opened: Opened) -> Opened:
        """Remember what a page has opened."""
        with self._lock:
            self._opened.pop(session, None)
            self._opened[session] = opened
            held = sum(one.size for one in self._opened.values())
            while len(self._opened) > self._most or (
                held > MOST_CHARACTERS and len(self._opened) > 1
            ):
                held -= self._opened.popitem(last=False)[1].size
        return opened

    def get(self, session: str) -> Opened | None:
        """What a page has open; None where that is nothing, or was forgotten."""
        with self._lock:
            return self._opened.get(session)

    def close(self, session: str) -> None:
        """A page was closed."""
        with self._lock:
            self._opened.pop(session, None)


def groups(lanes: Sequence[tuple[int, TokenFeed]], most: int) -> list[list[tuple[int, TokenFeed]]]:
    """Lanes in groups of as many as may run together."""
    return [list(lanes[n : n + most]) for n in range(0, len(lanes), most)]


def _is_ids(recipe: Recipe) -> bool:
    return isinstance(recipe.run.prompt, Ids)
