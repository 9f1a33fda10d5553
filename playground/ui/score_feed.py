"""From what happens to a text that is scored to the value of its lane; it knows no Gradio."""

from __future__ import annotations

from playground.core.events import Loading, Queued
from playground.core.run import ModelSpec
from playground.core.score import Scored
from playground.core.visitor import Visitor
from playground.errors import Problem
from playground.ui.model_list import stage
from playground.ui.token_forwards import lacks_of
from playground.ui.token_store import KEPT, encode, encode_pieces, encode_step

FIRST_ROWS = 200  # the browser asks the store for the others


def waiting_lane(title: str, subtitle: str, news: Queued | Loading | None) -> str:
    """A lane whose text waits for its turn, for its model, or (None) is read."""
    more, bar = "", None
    match news:
        case None:
            said, state, bar = "Reading the text", "running", -1.0
        case Queued(ahead=ahead):
            said = f"Waiting: {ahead} ahead of you" if ahead else "Next in line"
            state = "queued"
        case Loading(done=done, detail=more):
            said, state, bar = stage(news).capitalize(), "loading", -1.0 if done is None else done
    head = {"state": state, "title": title, "sub": subtitle, "say": said, "more": more, "bar": bar}
    return encode(head)


def later_lane(title: str, subtitle: str) -> str:
    """A lane whose turn comes after the columns before it."""
    said = "After the lane before it"
    return encode({"state": "queued", "title": title, "sub": subtitle, "say": said})


def refused_lane(title: str, problem: Problem) -> str:
    """A lane without a score: the sentence stands where the text would."""
    said = "Not scored"
    return encode({"state": "failed", "title": title, "say": said, "problem": str(problem)})


def stopped_lane(title: str, subtitle: str) -> str:
    """A lane whose text was not read to its end."""
    said, more = "Stopped", "before there was a score"
    return encode({"state": "finished", "title": title, "sub": subtitle, "say": said, "more": more})


def scored_lane(
    title: str, subtitle: str, scored: Scored, visitor: Visitor = Visitor(),
    spec: ModelSpec | None = None,
) -> str:
    """A lane that shows each scored token; the token view tints them and asks for their figures.

    All of it is kept in the store under a new key, in this visitor's room, from where the view
    takes what this leaves out. ``spec`` is the model that it was scored with.
    """
    key, record = KEPT.open(visitor)
    record.spec = spec
    record.tokens += [encode_step(step) for step in scored.steps]
    record.prompt = encode_pieces(scored.context)
    count = len(scored.steps)
    head = {
        "key": key,
        "revision": 1,
        "state": "finished",
        "title": title,
        "sub": subtitle,
        "say": "Scored",
        "more": "",
        "bar": None,
        "n": len(record.tokens),
        "from": 0,
        "tail": scored.tail,
        "draws": False,
        "stats": [
            [f"{count:,}", "token scored" if count == 1 else "tokens scored",
             "Each has a colour and a probability."],
            [f"{len(scored.context):,}", "read before them", "The prompt, which is not scored."],
        ],
        "problem": "",
        "prompt": len(scored.context),
        "notices": scored.notices,
        "lacks": lacks_of(None, spec),
    }
    return f'{encode(head)[:-1]},"rows":[{",".join(record.tokens[:FIRST_ROWS])}]}}'
