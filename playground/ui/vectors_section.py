"""Embeddings in the Inside tab: the text's tokens without context, and one word in several
sentences, layer by layer; it knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from playground.core.prompt import check_text
from playground.core.vectors import StaticFound, StaticVectors, WordFound, WordVectors, read_lines
from playground.settings import Settings
from playground.ui.actions import examples_row
from playground.ui.inside_view import inside_view
from playground.ui.score_figures import percent
from playground.ui.scoring import Ask, News
from playground.ui.section import Example, Section, Subject, stated
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, number

HINT = (
    "Here stands the vector of each token of the text, and how near they are to each other; and "
    "one word in several sentences: which of its vectors are near, behind which layer."
)
ENCODER, CAUSAL = "builtin/tiny-encoder", "builtin/tiny-base"
_BANK = """\
river: From his canoe the fisherman could see the wet bank.
river: The ferryman tied his boat to the mossy bank.
river: A frog hopped from the bank into the stream.
river: The angler sat on the bank and watched the river.
money: The bank refused a loan to the merchant.
money: My salary goes straight to the bank, said the clerk.
money: Every coin of her savings is guarded by that bank.
money: The teller works in a bank and looks after the vault."""
_BAT = """\
animal: At dusk a tiny bat fluttered past the moon.
animal: The cat in the barn tried to catch a bat.
animal: By its echo the hungry bat finds every insect.
sport: The coach told the hitter to grip his bat and wait.
sport: The player swung the bat and hit the ball.
sport: The opponent came to the pitch with a new bat."""
_RED = """\
ball: Lily had a red ball.
ball: Tom lost his red ball.
sky: In the evening the sky was red.
sky: The sun went down and the sea was red.
fruit: She ate a red apple.
fruit: A red cherry fell from the tree."""


def build_vectors(stage: Stage, settings: Settings) -> Section:
    """Build the section inside the open Tabs."""
    made = _examples(settings)
    with gr.Tab("Embeddings", id="vectors") as tab:
        with gr.Row(elem_classes="inside-form"):
            word = gr.Textbox(
                "bank", label="Word", lines=1, max_lines=1, scale=1, min_width=140,
                elem_id="inside-word", elem_classes="prompt-box",
            )
            sentences = gr.Textbox(
                _BANK, label="Sentences with it, one a line; a label in front names the sense",
                lines=4, max_lines=8, scale=4, min_width=280,  # beneath the word on a phone
                elem_id="inside-sentences", elem_classes="prompt-box",
            )
        examples = examples_row([one.label for one in made])
        view = inside_view("vectors", HINT)
    return Section("vectors", tab, view, asks, show, (word, sentences),
                   tuple(zip(examples, made, strict=True)), submits=(word,))


def _examples(settings: Settings) -> tuple[Example, ...]:
    def offered(repo: str) -> str | None:
        return repo if repo in (*settings.models, *settings.encoders) else None

    bank, bat, red = (("bank", _BANK), ("bat", _BAT), ("red", _RED))
    plain = "Paris Rome red blue Monday Friday seven eight"
    some = [Example("bank, read from left to right", plain, offered(CAUSAL), bank),
            Example("red, in three places", "red blue green black", offered(CAUSAL), red)]
    if offered(ENCODER):
        both = [Example("bank, by the river and with the money", plain, ENCODER, bank),
                Example("bat, the animal and the club", plain, ENCODER, bat)]
        some = [*both, *some]
    return tuple(some)


def asks(subject: Subject, values: Sequence[Any]) -> list[Ask]:
    """The tokens of the text, and the word in its sentences, where there are any.

    Raises InvalidInput.
    """
    word, sentences = values
    check_text(word, "word")
    check_text(sentences, "sentences")
    asked = []
    if word.strip() or sentences.strip():
        asked.append(Ask(subject.spec, WordVectors(read_lines(sentences), word.strip())))
    if subject.prompt is not None:
        asked.append(Ask(subject.spec, StaticVectors(subject.prompt)))
    return asked


def show(news: Sequence[News]) -> str:
    """The view's value."""
    word = next((one for one in news if isinstance(one, WordFound)), None)
    static = next((one for one in news if isinstance(one, StaticFound)), None)
    found = {**({"word": _word(word)} if word else {}),
             **({"static": _static(static)} if static else {})}
    return encode({**stated(news), "found": found or None})


def _static(found: StaticFound) -> dict[str, Any]:
    return {
        "tokens": [[[one.piece.id, one.piece.text, int(one.piece.special)], one.norm, one.values]
                   for one in found.tokens],
        "cosines": found.cosines, "width": found.width, "said": list(static_said(found)),
    }


def static_said(found: StaticFound) -> Iterator[str]:
    """What these vectors are."""
    yield (f"Rows of the embedding matrix, {found.width} values each in {found.dtype}: the same in "
           "every text, before any layer has read the context.")
    if found.tied is not None:
        yield ("The output head multiplies by this very matrix (tied weights)." if found.tied else
               "The output head has a matrix of its own.")
    if found.left_out:
        yield f"{found.left_out} more different tokens of the text are not shown."


def _word(found: WordFound) -> dict[str, Any]:
    return {
        "lines": [[line.text, line.label] for line in found.lines],
        "occurrences": [
            [one.line, one.start, one.end, [[p.id, p.text, int(p.special)] for p in one.pieces]]
            for one in found.occurrences
        ],
        "layers": [
            [layer.cosines, layer.points, layer.shares, number(layer.accuracy),
             number(layer.within), number(layer.between)]
            if layer.accuracy is not None else
            [layer.cosines, layer.points, layer.shares, None, None, None]
            for layer in found.layers
        ],
        "best": best(found), "chance": found.chance, "said": list(word_said(found)),
    }


def best(found: WordFound) -> int:
    """The layer that is shown first: where the neighbours fit best, and of several the one where
    the senses are farthest apart; the last without labels."""
    places = range(len(found.layers))
    return max(places, key=lambda n: (
        found.layers[n].accuracy or 0.0,
        (found.layers[n].within or 0.0) - (found.layers[n].between or 0.0), n))


def word_said(found: WordFound) -> Iterator[str]:
    """What the model could see, what was found, and what was left out."""
    if found.sees_ahead is False:
        yield ("This model reads from left to right: at the word it has not seen what comes behind "
               "it (measured: the vector stays the same when the rest of the line is cut off). "
               "What tells the sense must stand before the word; an encoder sees both sides, and "
               "so it separates senses better.")
    elif found.sees_ahead:
        yield ("This model sees both sides of the word (measured: its vector changes when the rest "
               "of the line is cut off).")
    chosen = found.layers[best(found)]
    if chosen.accuracy is not None and found.chance is not None:
        several = sum(one.accuracy == chosen.accuracy for one in found.layers)
        others = "1 other layer" if several == 2 else f"{several - 1} other layers"
        more = f", as behind {others}" if several > 1 else ""
        yield (f"Behind {name_of(best(found))} the nearest other vector is of the same sense for "
               f"{percent(chosen.accuracy)} of the occurrences{more}; a neighbour drawn by chance "
               f"would be for {percent(found.chance)}.")
    else:
        yield ("Write a label before each line (river: The bank ...), with at least two lines of "
               "each, and it is counted here how well the senses separate.")
    if found.missing:
        lines = ", ".join(str(place + 1) for place in found.missing)
        yield f"The word does not stand in line {lines}."
    yield from found.notices


def name_of(layer: int) -> str:
    """A layer in words."""
    return f"layer {layer}" if layer else "the embeddings"
