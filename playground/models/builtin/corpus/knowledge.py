"""Asks about authors, words, things and numbers; it does not know about styles or chats."""

from random import Random

from . import glossary, tables
from .grammar import capitalise, expand, pick
from .item import Item, worded

_AUTHOR = [
    "Who wrote {t}?",
    "Who wrote {t}?",
    "Who is the author of {t}?",
    "[Tell me|Name|Do you know|Can you tell me] the author of {t}[.|, please.]",
    "[Which|What] [writer|author|poet] wrote {t}?",
    "By whom is {t}?",
    "{t} was written by whom?",
    "Who is {t} by?",
    "author of {t}",
]


_AUTHOR_ZH = [
    "《{t}》的作者是谁？",
    "《{t}》的作者是谁？",
    "《{t}》是谁写的？",
    "谁写了《{t}》？",
    "[请问|你知道|告诉我]《{t}》的作者[是谁|]？",
    "《{t}》的作者",
    "[哪位诗人|哪个人|谁]写了《{t}》？",
    "{t}的作者是谁？",
    "{t}是谁写的？",
]


def chinese_work(rng: Random) -> Item:
    """Ask for the author of a Chinese poem or book."""
    t, author, latin, *_ = rng.choice(tables.CHINESE_WORKS)
    full = pick(
        rng,
        ["{l} ({a}) wrote 《{t}》.", "《{t}》 was written by {l} ({a})."],
        l=latin,
        a=author,
        t=t,
    )
    chinese = pick(
        rng, ["《{t}》的作者是{a}。", "《{t}》的作者是{a}。", "《{t}》是{a}写的。"], t=t, a=author
    )
    return Item(
        "author",
        worded(rng, _AUTHOR, t=f"《{t}》"),
        worded(rng, _AUTHOR_ZH, t=t),
        author,
        full,
        author,
        chinese,
        expand(rng, "[And|What about|And who wrote] 《{t}》?", t=t),
        expand(rng, "[那|]《{t}》呢？", t=t),
    )


def book(rng: Random) -> Item:
    """Ask for the author of a Western book."""
    t, author, t_zh, author_zh, kind = rng.choice(tables.BOOKS)
    full = pick(
        rng,
        ["{a} wrote {t}.", "{t} is a {k} by {a}.", "{t} was written by {a}."],
        a=author,
        t=t,
        k=kind,
    )
    return Item(
        "author",
        worded(rng, _AUTHOR, t=t),
        worded(rng, _AUTHOR_ZH, t=t_zh),
        author,
        full,
        author_zh,
        f"《{t_zh}》的作者是{author_zh}。",
        expand(rng, "[And|What about|And who wrote] {t}?", t=t),
        expand(rng, "[那|]《{t}》呢？", t=t_zh),
    )


def opposite(rng: Random) -> Item:
    """Ask for the opposite of a word."""
    a, b, a_zh, b_zh = rng.choice(tables.OPPOSITES)
    if rng.random() < 0.3 and a != "light" and b != "light":
        a, b, a_zh, b_zh = b, a, b_zh, a_zh
    texts = [
        "What is the opposite of {a}?",
        "[Tell me|Name|Do you know] the opposite of {a}[.|, please.]",
        "[Which|What] word is the opposite of {a}?",
        "What is the contrary of {a}?",
        "opposite of {a}",
        "If it is not {a}, what is it?",
    ]
    return Item(
        "opposite",
        worded(rng, texts, a=a),
        worded(
            rng, ["“{a}”的反义词是什么？", "{a}的反义词是什么？", "“{a}”的反面是什么？"], a=a_zh
        ),
        capitalise(b),
        f"The opposite of {a} is {b}.",
        b_zh,
        f"“{a_zh}”的反义词是“{b_zh}”。",
        expand(rng, "[And of|And|What about] {a}?", a=a),
        f"“{a_zh}”呢？",
    )


def colour(rng: Random) -> Item:
    """Ask for the colour of a thing."""
    t, _, value, t_zh, value_zh = rng.choice(tables.COLOURS)
    texts = [
        "[What|Which] [colour|color] is {t}?",
        "[What is|Tell me|Do you know] the [colour|color] of {t}[?|, please.]",
        "What [colour|color] does {t} have?",
    ]
    return Item(
        "colour",
        worded(rng, texts, t=t),
        worded(rng, ["{t}是什么颜色的？", "{t}是什么颜色？"], t=t_zh),
        capitalise(value),
        capitalise(f"{t} is {value}."),
        value_zh,
        f"{t_zh}是{value_zh}的。",
        expand(rng, "[And|What about|And of] {t}?", t=t),
        f"{t_zh}呢？",
    )


def animal(rng: Random) -> Item:
    """Ask for the food, home, young, sound or legs of an animal."""
    a, zh, home, home_zh, food, food_zh, young, sound, legs = rng.choice(tables.ANIMALS)
    legs_zh = {"two": "两条", "four": "四条", "six": "六条", "eight": "八条"}[legs]
    asked = rng.choice(["food", "home", "legs"])
    texts = {
        "food": ["What does a {a} eat?", "What do you feed a {a}?"],
        "home": ["Where does a {a} live?", "What is the home of a {a}?"],
        "legs": ["How many legs does a {a} have?", "How many legs has a {a}?"],
    }[asked]
    short, full, short_zh, full_zh, texts_zh = {
        "food": (
            food,
            "A {a} eats " + food + ".",
            food_zh,
            f"{zh}吃{food_zh}。",
            [f"{zh}吃什么？"],
        ),
        "home": (
            home,
            "A {a} lives in " + home + ".",
            home_zh,
            f"{zh}住在{home_zh}。",
            [f"{zh}住在哪里？"],
        ),
        "legs": (
            legs,
            "A {a} has " + legs + " legs.",
            legs_zh,
            f"{zh}有{legs_zh}腿。",
            [f"{zh}有几条腿？"],
        ),
    }[asked]
    full = full.replace("lives in the ice", "lives on the ice").replace(
        "in a meadow", "on a meadow"
    )
    full = full.replace("lives in a web", "lives in a web").replace(
        "in a mountain", "on a mountain"
    )
    return Item(
        "animal",
        worded(rng, texts, a=a),
        worded(rng, texts_zh),
        capitalise(short),
        expand(rng, full, a=a),
        short_zh,
        full_zh,
        expand(rng, "[And|What about] a {a}?", a=a),
        f"{zh}呢？",
    )


def job(rng: Random) -> Item:
    """Ask what somebody with a job does."""
    j, does, j_zh, does_zh = rng.choice(tables.JOBS)
    return Item(
        "job",
        worded(rng, ["What does a {j} do?", "What is a {j}?", "What is the job of a {j}?"], j=j),
        worded(rng, ["{j}做什么？", "{j}是做什么的？"], j=j_zh),
        capitalise(does.split()[0]),
        expand(rng, "A {j} {does}.", j=j, does=does),
        does_zh,
        f"{j_zh}{does_zh}。",
        expand(rng, "[And|What about] a {j}?", j=j),
        f"{j_zh}呢？",
    )


def calendar(rng: Random) -> Item:
    """Ask which day or month comes next or came before."""
    pairs = [(tables.DAYS, tables.DAYS_CHINESE), (tables.MONTHS, tables.MONTHS_CHINESE)]
    words, words_zh = rng.choice(pairs)
    index = rng.randrange(len(words))
    after = rng.random() < 0.7
    other = (index + (1 if after else -1)) % len(words)
    where, where_zh = ("after", "之后") if after else ("before", "之前")
    kind = "day" if words is tables.DAYS else "month"
    texts = ["[Which|What] {k} comes {w} {d}?", "What comes {w} {d}?", "What {k} is {w} {d}?"]
    return Item(
        "calendar",
        worded(rng, texts, k=kind, w=where, d=words[index]),
        worded(rng, ["{d}{w}是什么？", "{d}{w}是哪一个？"], d=words_zh[index], w=where_zh),
        words[other],
        f"{words[other]} comes {where} {words[index]}.",
        words_zh[other],
        f"{words_zh[index]}{where_zh}是{words_zh[other]}。",
    )


def small_sum(rng: Random) -> Item:
    """Ask for the sum of two numbers from zero to five."""
    a, b = rng.randrange(6), rng.randrange(6)
    n, z = tables.NUMBERS, tables.NUMBERS_CHINESE
    texts = [
        "What is {a} + {b}?",
        "What is {a} plus {b}?",
        "How much is {a} plus {b}?",
        "{a} + {b} = ?",
        "Add {a} and {b}.",
        "Calculate {a} + {b}.",
    ]
    if rng.random() < 0.3:
        question = worded(rng, texts[1:3], a=n[a], b=n[b])
    else:
        question = worded(rng, texts, a=str(a), b=str(b))
    return Item(
        "sum",
        question,
        worded(rng, ["{a}加{b}等于多少？", "{a}加{b}是几？"], a=z[a], b=z[b]),
        str(a + b),
        f"{a} plus {b} is {a + b}.",
        z[a + b],
        f"{z[a]}加{z[b]}等于{z[a + b]}。",
    )


def general(rng: Random) -> Item:
    """Ask one of the single questions of general knowledge."""
    question, short, full, question_zh, short_zh, full_zh = rng.choice(tables.GENERAL)
    return Item(
        "general",
        worded(rng, ["{q}"] * 4 + ["[Tell me:|A question:|Do you know?] {q}"], q=question),
        question_zh,
        capitalise(short),
        full,
        short_zh,
        full_zh,
    )


def term(rng: Random) -> Item:
    """Ask for the meaning of a word of language-model decoding."""
    name, short, first, second, zh, short_zh, first_zh = rng.choice(glossary.GLOSSARY)
    article = glossary.with_article(name)
    texts = [
        "What is {t}?",
        "What is {t}?",
        "What is {n}?",
        "What does {n} mean?",
        "What does the word {n} mean?",
        "Explain {t}[.|, please.| to me.]",
        "[Can you explain|Please explain|Tell me about|Do you know|Define] {t}[.|?]",
        "What do you mean by {t}?",
        "{n}?",
        "Explain in simple words: what is {t}?",
    ]
    texts_zh = ["什么是{t}？", "{t}是什么？", "{t}是什么意思？", "[请|]解释一下{t}。", "{t}？"]
    return Item(
        "term",
        worded(rng, texts, t=article, n=name),
        pick(rng, texts_zh, t=zh),
        capitalise(short),
        f"{first} {second}" if rng.random() < 0.6 else first,
        short_zh,
        first_zh,
        expand(rng, "[And|And what is|What about] {t}?", t=article),
        f"{zh}呢？",
    )
