"""Words the facts of the tables as plain English and Chinese statements.

It does not know about questions, chats or stories.
"""

from random import Random

from . import glossary, smalltalk, tables
from .geography import LANGUAGES_ZH
from .grammar import capitalise, expand, pick

_LEAD = [
    "",
    "",
    "",
    "",
    "I think [that |]",
    "I know [that |]",
    "As you know, ",
    "We learn that ",
    "It is true that ",
    "My teacher says that ",
    "The book says that ",
    "Of course ",
    "Everybody knows that ",
    "I have read that ",
    "Remember: ",
    "In fact, ",
    "She told me that ",
    "Yes, ",
]
_CAPITAL = [
    "the capital of {c} is {city}.",
    "the capital of {c} is {city}.",
    "the capital of {c} is {city}.",
    "the capital [city |]of {c} is {city}[.|, a city in {where}.|, where people speak {l}.]",
    "{city} is the capital [city |]of {c}.",
    "{city} is the capital [city |]of {c}.",
    "the capital [city |]of {c} was {city}, and it still is.",
    "[in|for] {c} the capital is {city}.",
    "{c} has {city} as its capital.",
    "the city of {city} is the capital of {c}.",
]
_CAPITAL_WHOLE = [
    "Question: What is the capital of {c}?\nAnswer: {city}",
    "Question: What is the capital of {c}?\nAnswer: The capital of {c} is {city}.",
    "What is the capital of {c}? [It is |The answer is |]{city}.",
    "[Which|What] city is the capital of {c}? {city}[.| is.]",
    "Country: {c}\nCapital: {city}",
    "{C}: {city}",
    "{C} -> {city}",
    "Country: {c}; capital: {city}; continent: {where}",
    "{C}, capital {city}",
    "{C} is a country in {where}. Its capital is {city}.",
    "{C} is a country in {where}. The capital is {city}. The people speak {l}.",
    "{name} lives in {city}, the capital of {c}.",
    "{name} [visited|saw|loves|flew to] {city}, the capital of {c}.",
    "{name} went to {c} and saw the capital, {city}.",
    "{name} lives in {c}, in the capital {city}.",
    "If you travel to {c}, you should see the capital, {city}.",
    "When you are in {c}, visit the capital, {city}.",
    "The king of {c} lived in the capital, {city}.",
    "The parliament of {c} meets in {city}.",
    "The largest museum of {c} stands in the capital, {city}.",
    "What do you call the capital of {c}? You call it {city}.",
    "{name}: What is the capital of {c}?\n{name2}: [It is |]{city}[.|, {name}.]",
    '{name} asked, "What is the capital of {c}?" "{city}," said {name2}.',
    "The train goes to {city}, the capital of {c}.",
    "Capital of {c}: {city}.",
    "The capitals: {c} has {city}, {c2} has {city2}, and {c3} has {city3}.",
    "The capital of {c} is {city}, the capital of {c2} is {city2}, "
    "and the capital of {c3} is {city3}.",
    "The capital of {c} is {city}, and that of {c2} is {city2}.",
    "{city} is in {c}, and {city2} is in {c2}.",
    "{city} lies in {c}.",
    "{name} guessed {near}, but the capital of {c} is {city}.",
    "People speak {l} in {c}.",
    "In {c} people speak {l}.",
    "{C} is in {where}.",
    "{C} lies in {where}, and its people speak {l}.",
]
# A wrong guess now and then leaves probability on other capitals, which the page wants to show.
_GUESS = [
    "The capital of {c} is {near}? No, the capital of {c} is {city}.",
    "The capital of {c} is {near}? No, it is {city}.",
    "The capital of {c} is not {near} but {city}.",
]
_CAPITAL_ZH = [
    "{c}的首都是{city}。",
    "{c}的首都是{city}。",
    "{city}是{c}的首都。",
    "{c}的首都是哪里？{city}。",
    "问：{c}的首都是哪里？\n答：{c}的首都是{city}。",
    "{c}在{where}，首都是{city}。",
    "{c}人说{l}，首都是{city}。",
]


def capitals(rng: Random, name: str, name2: str) -> str:
    """State one or more facts about countries."""
    row, second, third = rng.sample(tables.COUNTRIES, 3)
    nearby = [other for other in tables.COUNTRIES if other[5] == row[5] and other != row] or [
        second
    ]
    if row[5] in ("Oceania", "North America"):
        nearby = [other for other in tables.COUNTRIES if other != row]
    slots = {
        "c": row[0],
        "C": capitalise(row[0]),
        "city": row[1],
        "where": row[5],
        "l": row[4],
        "c2": second[0],
        "city2": second[1],
        "c3": third[0],
        "city3": third[1],
        "near": rng.choice(nearby)[1],
        "name": name,
        "name2": name2,
    }
    drawn = rng.random()
    if drawn < 0.012:
        return pick(rng, _GUESS, **slots)
    if drawn < 0.58:
        core = pick(rng, _CAPITAL, **slots)
        # People mistype this word often enough to be worth an example.
        if drawn > 0.57 and core.startswith("the capital of"):
            core = core.replace("capital", "captial", 1)
        return capitalise(expand(rng, rng.choice(_LEAD)) + core)
    return pick(rng, _CAPITAL_WHOLE, **slots)


def capitals_chinese(rng: Random) -> str:
    """State a fact about a country in Chinese."""
    row = rng.choice([row for row in tables.COUNTRIES if " and " not in row[4]])
    spoken = LANGUAGES_ZH[row[4]]
    return pick(rng, _CAPITAL_ZH, c=row[2], city=row[3], where=row[6], l=spoken)


def authors(rng: Random) -> str:
    """Name the author of a Western book in English or Chinese."""
    t, a, t_zh, a_zh, kind = rng.choice(tables.BOOKS)
    texts = [
        "{a} wrote {t}.",
        "{t} was written by {a}.",
        "{t} is a {k} by {a}.",
        "The author of {t} is {a}.",
        "Who wrote {t}? {a}.",
        "Question: Who wrote {t}?\nAnswer: {a}",
        "The {k} {t} was written by {a}.",
        "I am reading {t} by {a}.",
        "{t_zh}的作者是{a_zh}。",
        "《{t_zh}》的作者是{a_zh}。",
        "《{t_zh}》是{a_zh}写的。",
    ]
    return capitalise(pick(rng, texts, a=a, t=t, k=kind, t_zh=t_zh, a_zh=a_zh))


def chinese_works(rng: Random) -> str:
    """Name the author of a Chinese work in Chinese or English."""
    t, a, latin, kind, dynasty = rng.choice(tables.CHINESE_WORKS)
    texts = [
        "《{t}》的作者是谁？[《{t}》的作者是|是|答案是|]{a}。",
        "《{t}》的作者是谁？《{t}》的作者是{a}。",
        "《{t}》的作者是谁\n[《{t}》的作者是|]{a}。",
        "问：《{t}》的作者是谁？\n答：[《{t}》的作者是|]{a}。",
        "《{t}》的作者是{a}。",
        "《{t}》的作者是{a}，{d}人。",
        "《{t}》是{a}写的。",
        "《{t}》是{d}{a}的一首{k}。" if kind in ("诗", "词") else "《{t}》是{d}{a}的{k}。",
        "{a}写了《{t}》。",
        "{d}的{a}写了《{t}》。",
        "谁写了《{t}》？{a}。",
        "《{t}》是谁写的？是{a}写的。",
        "《{t}》是哪个朝代的？{d}。",
        "{l} wrote 《{t}》.",
        "The author of 《{t}》 is {l} ({a}).",
        "{t}的作者是{a}。",
    ]
    return pick(rng, texts, t=t, a=a, l=latin, k=kind, d=dynasty)


def opposites(rng: Random) -> str:
    """State opposites."""
    a, b, a_zh, b_zh = rng.choice(tables.OPPOSITES)
    if rng.random() < 0.35 and "light" not in (a, b):
        a, b, a_zh, b_zh = b, a, b_zh, a_zh
    texts = [
        "The opposite of {a} is {b}.",
        "The opposite of {a} is {b}.",
        "The opposite of {a} is {b}.",
        "What is the opposite of {a}? [It is |]{b}.",
        "If it is not {a}, it is {b}.",
        "{a} and {b} are opposites.",
        "{a} - {b}",
        "“{z}”的反义词是“{y}”。",
        "{z}的反面是{y}。",
    ]
    return capitalise(pick(rng, texts, a=a, b=b, z=a_zh, y=b_zh))


def colours(rng: Random) -> str:
    """State the colour of things."""
    t, _, value, t_zh, value_zh = rng.choice(tables.COLOURS)
    t2, _, value2, *_ = rng.choice(tables.COLOURS)
    texts = [
        "{t} is {v}.",
        "The [colour|color] of {t} is {v}.",
        "What [colour|color] is {t}? It is {v}.",
        "{t} is {v}, and {u} is {w}.",
        "{z}是{y}的。",
    ]
    return capitalise(pick(rng, texts, t=t, v=value, z=t_zh, y=value_zh, u=t2, w=value2))


def animals(rng: Random) -> str:
    """State facts about an animal."""
    a, zh, home, home_zh, food, food_zh, young, sound, legs = rng.choice(tables.ANIMALS)
    on = "on" if home in ("the ice", "a mountain", "a meadow") else "in"
    texts = [
        "A {a} lives {on} {h}.",
        "A {a} eats {f}.",
        "A {a} has {n} legs.",
        "A {a} has {n} legs, lives {on} {h} and eats {f}.",
        "A young {a} is called a {y}.",
        "The {a} lives {on} {h}. It likes {f}.",
        "What does a {a} eat? It eats {f}.",
        "{z}吃{fz}。",
        "{z}住在{hz}。",
    ]
    return pick(
        rng, texts, a=a, h=home, f=food, n=legs, y=young, z=zh, fz=food_zh, hz=home_zh, on=on
    )


def jobs(rng: Random) -> str:
    """State what somebody with a job does."""
    j, does, j_zh, does_zh = rng.choice(tables.JOBS)
    return pick(
        rng,
        ["A {j} {d}.", "What does a {j} do? A {j} {d}.", "{z}{e}。"],
        j=j,
        d=does,
        z=j_zh,
        e=does_zh,
    )


def calendar(rng: Random) -> str:
    """State the order of days or months, or a small sum."""
    if rng.random() < 0.35:
        a, b = rng.randrange(6), rng.randrange(6)
        n = tables.NUMBERS
        forms = [f"{a} + {b} = {a + b}", f"{a} plus {b} is {a + b}.", f"What is {a} + {b}? {a + b}"]
        return rng.choice([*forms, f"{capitalise(n[a])} plus {n[b]} is {n[a + b]}."])
    words, words_zh, kind = rng.choice(
        [(tables.DAYS, tables.DAYS_CHINESE, "day"), (tables.MONTHS, tables.MONTHS_CHINESE, "month")]
    )
    i = rng.randrange(len(words))
    after, before = words[(i + 1) % len(words)], words[i - 1]
    texts = [
        "The {k} after {x} is {y}.",
        "After {x} comes {y}.",
        "{y} comes after {x}.",
        "{w} comes before {x}.",
        "Today is {x}. Tomorrow is {y}. Yesterday was {w}."
        if kind == "day"
        else "{x} is followed by {y}.",
        ", ".join(words) + ".",
        "{xz}之后是{yz}。",
    ]
    after_zh = words_zh[(i + 1) % len(words)]
    return pick(rng, texts, k=kind, x=words[i], y=after, w=before, xz=words_zh[i], yz=after_zh)


def general(rng: Random) -> str:
    """State a fact of general knowledge, with or without its question."""
    question, short, full, question_zh, _, full_zh = rng.choice(tables.GENERAL)
    forms = [full, full, f"{question} {full}", f"Question: {question}\nAnswer: {capitalise(short)}"]
    return rng.choice([*forms, full_zh, f"{question_zh}{full_zh}"])


def terms(rng: Random) -> str:
    """Explain a word of language-model decoding."""
    name, _, first, second, zh, _, first_zh = rng.choice(glossary.GLOSSARY)
    asked = f"What is {glossary.with_article(name)}?"
    forms = [first, f"{first} {second}", f"{first} {second}", f"{asked} {first} {second}"]
    return rng.choice([*forms, f"{name}: {first}", first_zh, f"什么是{zh}？{first_zh}"])


def small_talk(rng: Random) -> str:
    """Write a greeting and its answer on two lines or one."""
    asked, _, answers, asked_zh, _, answers_zh = rng.choice(smalltalk.TALK)
    if rng.random() < 0.2:
        return rng.choice(asked_zh.split(";")) + "\n" + rng.choice(answers_zh.split(";"))
    return rng.choice(asked.split(";")) + rng.choice("\n\n ") + rng.choice(answers.split(";"))
