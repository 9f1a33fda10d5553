"""The Logits section: what a model predicts at every position, and the walk from there to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from playground.core.predictions import (
    MOST_CHOICES,
    Place,
    Predictions,
    PredictionsFound,
    WalkStep,
)
from playground.core.prompt import check_text
from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.actions import QUIET, examples_row
from playground.ui.inside_view import inside_view
from playground.ui.scoring import Ask, News
from playground.ui.scripted import event_of, sent
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "For each token of your text the model's guess at the next one appears here, and the four "
    "steps from its last hidden state to a word."
)
EXAMPLES = (
    Example("The capital of France is", "The capital of France is", -1, (5,)),
    Example("A story", "Once upon a time there was a little dragon named Max.", -1, (5,)),
    Example("床前明月光", "床前明月光，疑是地上霜", -1, (5,)),
)
# What each step of the walk is.
STEPS = {
    "hidden": (
        "The last hidden state",
        "The model without its head turns ids into one vector for each token. The one at this "
        "place is all that the next step reads.",
    ),
    "logits": (
        "Logits",
        "The head compares that vector with one row for each token of the vocabulary. Each gets "
        "a number, its logit; a softmax over all of them makes the probabilities.",
    ),
    "argmax": (
        "The likeliest token",
        "The place of the largest logit is the id of the token that greedy decoding takes.",
    ),
    "text": ("Text", "The tokenizer turns the id back into text."),
}


def build_logits(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    with gr.Tab("Logits", id="logits") as tab:
        with gr.Row(elem_classes="inside-form"):
            count = gr.Slider(
                1, MOST_CHOICES, 5, step=1, label="Candidates at each position",
                elem_id="inside-candidates",
            )
            buttons = examples_row([example.label for example in EXAMPLES])
        view = inside_view("logits", HINT)
    return Section(
        "logits", tab, view, _asks, show, (count,),
        tuple(zip(buttons, EXAMPLES, strict=True)), looks_at_once=(count,),
    )


def _asks(subject: Subject, values: Sequence[Any]) -> Sequence[Ask]:
    """One question, where there is a text."""
    count = values[0]
    if isinstance(count, float) and count.is_integer():  # as a slider may send it
        count = int(count)
    if subject.prompt is None:
        raise InvalidInput("The text is empty.", field="text", advice="Write or paste a text.")
    return [Ask(subject.spec, Predictions(subject.prompt, count))]


def show(news: Sequence[News]) -> str:
    """The view's value."""
    found = next((one for one in news if isinstance(one, PredictionsFound)), None)
    return encode({**stated(news), "found": drawn(found) if found else None})


def drawn(found: PredictionsFound) -> dict[str, Any]:
    """What the browser draws, see inside_logits.js."""
    return {
        "places": [_place(place) for place in found.places],
        "walk": [_step(step) for step in found.walk],
        "at": found.at, "masked": found.masked, "mask": found.mask, "lacks": found.lacks,
        "notices": list(found.notices), "said": summary(found),
    }


def summary(found: PredictionsFound) -> str:
    """How often the model was right, in one sentence."""
    if not found.places:
        return ""
    known = [place for place in found.places if place.actual is not None]
    if found.masked:
        return (
            "An encoder does not go on with a text. At each place it guesses the token "
            "of that place, and unless that is masked it sees it: it mostly says what stands there."
        )
    if not known:
        return "There is no next token in this text to compare with."
    first = sum(place.rank == 1 for place in known)
    count = len(found.places[0].choices)
    within = sum(place.rank <= count for place in known)
    places = "places" if len(known) > 1 else "place"
    listed = f", and {within} times among its {count} likeliest" if count > 1 else ""
    return (
        f"At {len(known)} {places} the text goes on: the model had what really came as its first "
        f"choice {first} times{listed}."
    )


def _place(place: Place) -> dict[str, Any]:
    """A position, its candidates as ``[id, text, logprob]``."""
    actual = place.actual
    return {
        "id": place.piece.id, "piece": place.piece.text, "special": place.piece.special,
        "text": place.text, "entropy": number(place.entropy),
        "choices": [[one.id, one.text, number(one.logprob, 5)] for one in place.choices],
        "actual": None if actual is None else [actual.id, actual.text, number(actual.logprob, 5)],
        "rank": place.rank,
    }


def _step(step: WalkStep) -> dict[str, Any]:
    title, about = STEPS[step.step]
    return {
        "step": step.step, "title": title, "about": about, "code": step.code,
        "shape": str(list(step.shape)) if step.shape else "", "dtype": step.dtype,
        "values": [number(value, 4) for value in step.values], "text": step.text,
        "said": step.said,
    }


def lead_to_complete(view: gr.HTML, tabs: gr.Tabs, text: gr.Textbox) -> None:
    """A click in the view, "continue from here", opens the text up to there in Complete."""
    gr.on([event_of(view, "chosen")], _continued, None, [tabs, text], queue=False, **QUIET)


def _continued(event: gr.EventData) -> list[Any]:
    """The tab, and the text that the browser speaks of; nothing for anything but a text."""
    wish = sent(event)
    try:
        check_text(wish.get("continue"), "text")
    except InvalidInput:
        return [gr.skip(), gr.skip()]
    return [gr.Tabs(selected="complete"), wish["continue"]]


