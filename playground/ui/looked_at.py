"""What the Inside tab looks at: a text that was written there, or the exact ids before a token of
another tab, found by the token store's key; it knows no view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from playground.core.prompt import Ids, Prompt, Raw, check_text
from playground.core.run import ModelSpec
from playground.errors import InvalidInput
from playground.ui.controls import read_model
from playground.ui.section import Subject
from playground.ui.token_store import KEPT, Record


@dataclass(frozen=True)
class Given:
    """Exact ids of another tab: whose (``spec``), as which text they are shown, what they are in
    words, and the token that came after them with its text."""

    ids: tuple[int, ...]
    spec: ModelSpec
    text: str
    said: str
    watched: tuple[int, str] | None = None


NOBODYS: Given | None = None  # nothing came from another tab


def read_subject(text: Any, model: Any, given: Any) -> Subject:
    """What is looked at. The ids stand for their text as long as that and their model stand in the
    form. Raises InvalidInput."""
    check_text(text, "text")
    spec = read_model(model)
    if isinstance(given, Given) and (text, spec.repo) == (given.text, given.spec.repo):
        return Subject(given.spec, Ids(given.ids))
    prompt: Prompt | None = Raw(text, control_tokens=True) if text else None
    return Subject(spec, prompt)


def given_of(wish: Any, where: str = "") -> Given:
    """The ids before the token that a browser speaks of: ``key``, and its ``position`` in the
    answer or its place in the ``prompt``. Raises InvalidInput for anything else."""
    wish = wish if isinstance(wish, Mapping) else {}
    record = KEPT.get(wish.get("key"))
    spec = _spec(record)
    if record is None or spec is None:
        raise InvalidInput(
            "This run is no longer kept on the server, so nothing can be looked at.",
            field="key", advice="Run it again.",
        )
    prompt = [(int(id), str(text)) for id, text, _ in json.loads(record.prompt)]
    answer = _answer(record)
    place = wish.get("prompt")
    count = place if place is not None else wish.get("position")
    tokens = [*prompt, *answer]
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidInput("This token is not there.", field="position", given=count)
    count += 0 if place is not None else len(prompt)
    if count >= len(tokens):
        raise InvalidInput("This token is not there.", field="position", given=count)
    before = tokens[: max(count, 1)]
    kind = "a text under" if record.trace is None else "an answer of"
    of = f"{kind} {spec.label}{f' in {where}' if where else ''}"
    some = len(before)
    said = f"the first {some} tokens of {of}" if some > 1 else f"the first token of {of}"
    return Given(
        tuple(id for id, _ in before), spec, "".join(text for _, text in before), said,
        tokens[count] if count else None,
    )


def given_words(given: Given) -> str:
    """Of what the ids are, as safe HTML."""
    return (
        f'<p class="sentence wait">Looking at exactly the ids of {escape(given.said)}. '
        "Write in the box to look at another text.</p>"
    )


def _spec(record: Record | None) -> ModelSpec | None:
    if record is None:
        return None
    return record.trace.run.model if record.trace is not None else record.spec


def _answer(record: Record) -> list[tuple[int, str]]:
    """The tokens of a record's whole answer, with those that stood before its fork."""
    told = [(int(row[0]), str(row[1] if row[2] == 0 else row[2]))
            for row in map(json.loads, record.tokens)]
    trace = record.trace
    fork = trace.run.fork if trace is not None else None
    if trace is None or fork is None or len(told) == len(fork.ids) + len(trace.steps):
        return told
    return [*((id, "") for id in fork.ids), *told]
