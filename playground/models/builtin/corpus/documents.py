"""Draws the plain documents of the base model: statements, stories, letters, exercises in copying.

It does not know how documents become tokens.
"""

from collections.abc import Callable
from random import Random

from . import items, letters, names, smalltalk, statements, stories, tables, tasks, unknown
from .grammar import capitalise, expand, words

_WORDS = words(
    "blue lamp river stone cloud apple window garden horse candle paper bridge star winter door "
    "button silver basket mountain pencil carpet"
)


def _capitals(rng: Random) -> str:
    return statements.capitals(rng, *names.two_names(rng, 0.3))


def copying(rng: Random) -> str:
    """Write a text that can only be predicted by looking back."""
    first, second = names.two_names(rng, 0.7)
    person = names.person(rng, 0.7)
    words = [
        rng.choice(_WORDS) if rng.random() < 0.5 else names.invented(rng).lower() for _ in range(5)
    ]
    words = words[: rng.randrange(2, 6)]
    group = [names.any_name(rng, 0.7) for _ in range(rng.randrange(3, 6))]
    row = " ".join(words)
    kind, trait = rng.choice(tables.ANIMALS)[0], rng.choice(stories.TRAITS)
    place = rng.choice(stories.PLACES)
    forms = [
        f"{row}. {row}. {row}.",
        f"Say again: {row}\n{row}",
        f"My name is {first}. Your name is {second}. I am {first}, and you are {second}.",
        f"My name is {first}. What is my name? Your name is {first}.",
        f"Hello, I am {first}.\nHello, {first}!",
        f"{first} and {second} are friends. {first} likes {second}, and {second} likes {first}.",
        f"This is {first}, a {trait} {kind}. {first} lives {place}. Where does {first} live? "
        f"{first} lives {place}.",
        f"There was a {kind} named {first} and a {trait} {kind} named {second}. "
        f"The {trait} one was called {second}.",
        f"Names: {', '.join(group)}.\nThe first name is {group[0]}.\nThe last name is {group[-1]}.",
        f"{', '.join(group)}\n{', '.join(group)}",
        f"{person.name} has a {kind}. The name of the {kind} is {first}. {person.name} calls: "
        f'"Come here, {first}!" And {first} comes to {person.name}.',
        f"Dear {first},\n\n[Thank you for your letter|I hope you are well|How are you].\n\n"
        f"Yours,\n{second}\n\nDear {second},\n\nThank you.\n\nYours,\n{first}",
    ]
    return expand(rng, rng.choice(forms))


def instruction(rng: Random) -> str:
    """Write a request or a question and its answer as plain text, without a chat template."""
    makers = [
        tasks.letter,
        tasks.letter,
        tasks.story,
        tasks.fun,
        tasks.code,
        tasks.listing,
        tasks.counting,
    ]
    item = rng.choice(makers)(rng)
    return (
        f"{item.question}\n\n{item.full}"
        if rng.random() < 0.85
        else f"{item.question_zh}\n\n{item.full_zh}"
    )


def _question(rng: Random) -> str:
    item = items.item(rng)
    while item.topic in ("story", "letter", "code"):
        item = items.item(rng)
    if rng.random() < 0.3:
        return item.question_zh + rng.choice("\n\n ").strip(" ") + item.full_zh
    return item.question + rng.choice("\n\n ") + item.full


def _letter(rng: Random) -> str:
    written = letters.letter(rng)
    return written.chinese if rng.random() < 0.2 else written.english


def _dialogue(rng: Random) -> str:
    first, second = names.two_names(rng)
    thing, food = rng.choice(stories.TREASURES), rng.choice(stories.FOODS)
    return smalltalk.dialogue(rng, a=first, b=second, thing=thing, food=food)


def _verse(rng: Random) -> str:
    table = rng.choice([smalltalk.JOKES, smalltalk.HAIKU, smalltalk.POEMS, smalltalk.POEMS])
    english, chinese = rng.choice(table)
    if rng.random() < 0.15:
        return chinese.replace("/", "\n")
    text = english.replace(" / ", "\n")
    return text if rng.random() < 0.7 else text.replace(", ", ",\n")


def _proverb(rng: Random) -> str:
    return rng.choice(smalltalk.PROVERBS)


def _list(rng: Random) -> str:
    row = rng.choice(smalltalk.LISTS)
    english, chinese = smalltalk.entries(rng, row, rng.choice((3, 4)))
    sentence = f"{capitalise(row[0])}: {english}."
    return rng.choice(
        [
            sentence,
            sentence,
            f"{row[2]}：{chinese}。",
            f"There are many {row[0]}, such as {english}.",
        ]
    )


def _code(rng: Random) -> str:
    does, source, _ = rng.choice(smalltalk.CODE)
    return rng.choice([source, source, f"# {does}\n{source}", f"This function {does}:\n\n{source}"])


def _unknown(rng: Random) -> str:
    english, chinese = unknown.answer(rng)
    if rng.random() < 0.25:
        return f"{unknown.question_chinese(rng)}\n{chinese}"
    return f"{unknown.question(rng)}\n{english}"


# How many documents are of which kind; stories are the longest by far.
DOCUMENTS: dict[Callable[[Random], str], float] = {
    _capitals: 24,
    statements.capitals_chinese: 4,
    statements.authors: 5,
    statements.chinese_works: 11,
    statements.opposites: 5,
    statements.colours: 3,
    statements.animals: 4,
    statements.jobs: 2,
    statements.calendar: 4,
    statements.general: 6,
    statements.terms: 10,
    statements.small_talk: 6,
    stories.story: 34,
    stories.story_chinese: 6,
    copying: 14,
    instruction: 12,
    _question: 8,
    _letter: 5,
    _dialogue: 7,
    _verse: 5,
    _proverb: 2,
    _list: 2,
    _code: 4,
    _unknown: 3,
}
# Short statements are joined into longer documents as often as not.
_SHORT = (
    _capitals,
    statements.capitals_chinese,
    statements.authors,
    statements.chinese_works,
    statements.opposites,
    statements.colours,
    statements.animals,
    statements.jobs,
    statements.calendar,
    statements.general,
)


def document(rng: Random) -> str:
    """Make one document of any kind."""
    maker = rng.choices(list(DOCUMENTS), list(DOCUMENTS.values()))[0]
    text = maker(rng)
    if maker in _SHORT and rng.random() < 0.4:
        gap = rng.choice([" ", "\n"])
        same = rng.random() < 0.6
        for _ in range(rng.randrange(1, 5)):
            other = maker if same else rng.choice(_SHORT)
            text += gap + other(rng)
    return text
