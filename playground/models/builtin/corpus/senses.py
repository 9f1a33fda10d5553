"""Draws the documents of the encoder: texts around two-sense words, and English base documents.

What is said of a two-sense word stands in two_senses.py; how documents become tokens is not known
here.
"""

import re
from collections.abc import Callable
from random import Random

from . import names, statements, stories
from .grammar import capitalise, expand
from .two_senses import SENSES, TWO_SENSE_WORDS, Sense

# These say nothing of the sense by themselves: what fills them must tell it.
_AROUND_WORD = (
    "The {who} {did} near the {w}.",
    "The {who} saw the {w} and the {what}.",
    "The {w} was {how}, and the {who} {did}.",
    "The {who} and the {who2} spoke of the {w}.",
    "There was a {what}, a {what2} and a {w}.",
    "{name} thought of the {w} and of the {what}.",
    "The {w} is here, and the {what} is there.",
    "What a {how} {w}! [said|cried] the {who}.",
    "[Here|There] is the {w}, the {what} and the {how} {what2}.",
    "The {who} {did}, but the {w} was {how}.",
    "Is this the {w}? asked the {who} with the {what}.",
    "The {what} belongs to the {w}.",
    "Without the {what} there would be no {w}.",
    "My {who} never speaks about [the|a] {w} or the {what}.",
    "Under the {what} we found nothing, not even a {w}.",
    "Every {who} [dreams of|wants|knows] [a|the|this] {how} {w}.",
    "When the {who} {did}, a {w} was all that {name} saw.",
    "{name} asked: who [of you |]has seen my {w} and the {how} {what}?",
    "Only [a|this|one] {how} {w} will help the {who}.",
    "[Two days|A year] later the {w} was still {how}.",
    "Because the {who} {did}, {name} forgot [the|her|his|our] {w}.",
    "It was the {w}, and not the {what}, that the {who} wanted.",
    "Do you like this {w}? No, answered the {how} {who}.",
    "They sold a {what}, then a {w}, and at last the {how} {what2}.",
    "Some say that a {w} is more {how} than the {what}.",
    "[Through|From|Beside|Behind] the {what} {name} could see [a|one|another] {how} {w}.",
    "Last week a {who} wrote to us about a {w}.",
    "With the {w} in mind the {who} {did}.",
    "Our {who} keeps [one|each|every|some] {w} for the {who2}.",
    "[After|Before|During] all that, the {who} has [a new|no|another] {w}.",
)
_AROUND_TOPIC = (
    "The {who} {did}.",
    "The {how} {what} and the {what2}.",
    "The {who} looked at the {how} {what}.",
    "The {who} needs a {what} and a {what2}.",
    "Where there is a {what}, there is a {what2}.",
    "{name} {did} with the {who}.",
    "First the {who} {did}, then the {who2} {did2}.",
    "The {what} was {how}, and the {who} {did}.",
    "The {who} told {name} about the {what}.",
    "A {how} {what}, a {how2} {what2}: the {who} knows both.",
    "The {who}, the {what} and the {what2} belong together.",
    "After the {who} {did}, the {what} was {how}.",
    "{name} is a {who} and has a {how} {what}.",
    "Nobody but the {who} {did} on Monday.",
    "Without a {what} the {who} is not {how}.",
    "My {who} never had a {how} {what}.",
    "If the {who} {did}, the {what} must be {how}.",
    "Every {who} wants a {what} from the {who2}.",
    "[Through|From|Beside|Behind] the {what} {name} saw another {what2}.",
    "Because of the {what}, the {who} {did} again.",
    "How {how} this {what} is, {name} said to [the|her|his|our] {who}.",
    "Two {how} things: a {what} and a {what2}.",
    "While the {who} {did}, {name} and the {who2} {did2}.",
    "Did you see the {who}? He {did} with a {how} {what}.",
    "She asked for a {what}, but the {who} only had a {what2}.",
    "In the [evening|morning|end] the {how} {who} {did}.",
    "Such a {what} is rare, even for a {who}.",
)
_ABOUT_ONE_WORD = 0.5  # of the documents on two-sense words; the others only set the scene
_HAN = re.compile("[\u4e00-\u9fff]")
_ANY_WORD = re.compile(rf"\b({'|'.join(TWO_SENSE_WORDS)})(s|es)?\b", re.IGNORECASE)


def _sentence(rng: Random, frame: str, sense: Sense, word: str, far: bool) -> str:
    slots = {"w": word, "name": rng.choice(names.GIRLS + names.BOYS)}
    for slot in ("who", "what", "how", "did"):
        of_slot = getattr(sense, slot)
        slots[slot], slots[slot + "2"] = rng.sample(of_slot.all if far else of_slot.near, 2)
    return capitalise(expand(rng, frame, **slots))


def two_senses(rng: Random) -> str:
    """Write one to three sentences around one sense of a word, with or without that word."""
    return around(rng, rng.choice(SENSES))


def around(rng: Random, sense: Sense) -> str:
    """The same of a sense that is given."""
    with_word = rng.random() < _ABOUT_ONE_WORD
    texts = []
    for place in range(rng.choice((1, 1, 2, 3))):
        if with_word:
            frames = sense.frames if rng.random() < 0.45 else _AROUND_WORD
            if place and rng.random() < 0.5:
                frames = _AROUND_TOPIC
            texts.append(_sentence(rng, rng.choice(frames), sense, sense.word, far=False))
        else:
            drawn = rng.random()
            frames = _AROUND_TOPIC if drawn < 0.5 else sense.frames if drawn < 0.8 else _AROUND_WORD
            texts.append(_sentence(rng, rng.choice(frames), sense, rng.choice(sense.kin), far=True))
    return " ".join(texts)


def _capitals(rng: Random) -> str:
    return statements.capitals(rng, *rng.sample(names.GIRLS + names.BOYS, 2))


# The plain facts of the base model; a name that is made up could only be guessed from its pieces.
_FACTS: dict[Callable[[Random], str], float] = {
    _capitals: 14,
    statements.opposites: 4,
    statements.colours: 4,
    statements.animals: 4,
    statements.jobs: 3,
    statements.calendar: 3,
    statements.authors: 3,
    statements.general: 3,
    statements.small_talk: 2,
    stories.story: 2,
}


def english(rng: Random) -> str:
    """Draw a document of the base model that is English and holds none of the two-sense words."""
    while True:
        text = rng.choices(list(_FACTS), list(_FACTS.values()))[0](rng)
        if not _HAN.search(text) and not _ANY_WORD.search(text):
            return text


def encoder_document(rng: Random, share_of_senses: float = 0.7) -> str:
    """Draw one document of the encoder."""
    return two_senses(rng) if rng.random() < share_of_senses else english(rng)
