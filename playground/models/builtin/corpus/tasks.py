"""Asks for stories, letters, jokes, lists and code; it does not know about styles or chats."""

from random import Random

from . import letters, names, smalltalk, stories, tables, unknown
from .grammar import capitalise, expand, pick
from .item import Item, worded


def story(rng: Random) -> Item:
    """Ask for a story, some about a named hero."""
    row = rng.choice(tables.ANIMALS)
    kind, kind_zh = row[0], row[1]
    if rng.random() < 0.3:
        kind, kind_zh = stories.story_kind(rng), ""
    hero = names.any_name(rng, 0.6) if rng.random() < 0.45 else ""
    about = "a {k} [named|called|whose name is|with the name] {h}" if hero else "a {k}"
    texts = [
        "Tell me a [short |little |]story about " + about + "[.|, please.]",
        "[Write|Make up|Tell|I want to hear|I would like] a [short |]story about " + about + ".",
        "[Can you|Could you|Please] tell [me|us] a story about " + about + "[?|.]",
        "A story about " + about + ", please.",
    ]
    if not hero and rng.random() < 0.25:
        texts = [
            "Tell me a [short |]story.",
            "Tell me a tale.",
            "[Please |]tell me a story[.|, please.]",
        ]
    told = stories.story(rng, kind, hero)
    zh = stories.story_chinese(rng, kind_zh, hero)
    ask_zh = ["[给我|]讲一个[关于{k}的|]故事[。|吧。]", "写一个[关于{k}的|]故事。"]
    return Item(
        "story",
        worded(rng, texts, k=kind, h=hero),
        pick(rng, ask_zh if kind_zh else ["讲一个故事。"], k=kind_zh),
        capitalise(kind),
        told,
        kind_zh or "故事",
        zh,
    )


def letter(rng: Random) -> Item:
    """Ask for a letter to somebody."""
    written = letters.letter(rng)
    texts = {
        "apology": [
            "Write an email apologizing to {to} "
            "for the [tragic |terrible |unfortunate |little |]{w}. "
            "Explain how it happened.",
            "Write an email apologizing to {to} for the {w}.",
            "Write a [letter|mail|message|note|short email] to {to} and say sorry for the {w}.",
            "[Please|Can you|Help me] write an apology to {to} for the {w}[.|, please.]",
            "I need to apologize to {to} for the {w}. Write the email for me.",
        ],
        "thanks": [
            "[Write|Please write] [a|an email|a letter] [to thank|thanking] {to} for the {w}.",
            "Write a thank-you [letter|email|note] to {to} for the {w}.",
        ],
        "invitation": [
            "[Write|Please write] an [invitation|email inviting|letter inviting] {to} to a {w}.",
            "Invite {to} to a {w} by email.",
        ],
    }[written.kind]
    texts = [text.replace("[a|an email|a letter] ", "[an email|a letter] ") for text in texts]
    texts = [
        text.replace("[invitation|email inviting|letter inviting]", "email inviting")
        for text in texts
    ]
    zh = {
        "apology": "给{to}写一封道歉信。",
        "thanks": "给{to}写一封感谢信。",
        "invitation": "给{to}写一封邀请信。",
    }
    short = {
        "apology": ("Sorry", "抱歉"),
        "thanks": ("Thanks", "谢谢"),
        "invitation": ("Come", "来吧"),
    }
    return Item(
        "letter",
        worded(rng, texts, to=written.to, w=written.what),
        expand(rng, "[请|]" + zh[written.kind], to=written.to),
        short[written.kind][0],
        written.english,
        short[written.kind][1],
        written.chinese,
        recall=("Who is the [email|letter] for?", written.to, f"It is for {written.to}."),
    )


def talk(rng: Random) -> Item:
    """Say something people say in small talk."""
    asked, short, answers, asked_zh, short_zh, answers_zh = rng.choice(smalltalk.TALK)
    return Item(
        "talk",
        rng.choice(asked.split(";")),
        rng.choice(asked_zh.split(";")),
        short,
        rng.choice(answers.split(";")),
        short_zh,
        rng.choice(answers_zh.split(";")),
    )


def fun(rng: Random) -> Item:
    """Ask for a joke, a haiku or a rhyme."""
    kind, table, asked, asked_zh = rng.choice(
        [
            (
                "Joke",
                smalltalk.JOKES,
                [
                    "Tell me a joke.",
                    "[Do you know|Tell me|Say] a [good |funny |]joke?",
                    "Make me laugh.",
                    "A joke, please.",
                ],
                "讲一个笑话。",
            ),
            (
                "Haiku",
                smalltalk.HAIKU,
                ["Write a haiku.", "[Write|Tell] me a haiku[.|, please.]"],
                "写一首俳句。",
            ),
            (
                "Rhyme",
                smalltalk.POEMS,
                ["Write a [short |]poem.", "[Write|Tell] me a [poem|rhyme].", "Can you rhyme?"],
                "写一首小诗。",
            ),
        ]
    )
    text, text_zh = rng.choice(table)
    return Item(
        "fun",
        worded(rng, asked),
        asked_zh,
        kind,
        text.replace(" / ", "\n"),
        {"Joke": "笑话", "Haiku": "俳句", "Rhyme": "小诗"}[kind],
        text_zh.replace("/", "\n"),
        expand(rng, "[Another one, please.|Another one|One more, please.|One more]"),
        "再来一个。",
    )


def listing(rng: Random) -> Item:
    """Ask for a list of three or four things."""
    row = rng.choice(smalltalk.LISTS)
    many = rng.choice((3, 3, 3, 4))
    english, chinese = smalltalk.entries(rng, row, many)
    texts = ["[Name|List|Tell me|Give me] {n} {w}[.|, please.]", "What are {n} {w}?"]
    return Item(
        "list",
        worded(rng, texts, n=rng.choice([str(many), tables.NUMBERS[many]]), w=row[0]),
        f"说出{'三四'[many - 3]}种{row[2]}。",
        capitalise(english.split(",")[0].split(" and ")[0]),
        capitalise(english) + ".",
        chinese.split("、")[0],
        chinese + "。",
    )


def code(rng: Random) -> Item:
    """Ask for a very small Python program."""
    does, source, name = rng.choice(smalltalk.CODE)
    texts = [
        "Write a [Python |]function that {d}.",
        "[Write|Show me|Give me] [Python |some ]code that {d}[.|, please.]",
        "How do I write code that {d} in Python?",
    ]
    texts_zh = ["写一个 Python 函数。", "写一段代码。"]
    return Item(
        "code", worded(rng, texts, d=does), rng.choice(texts_zh), name, source, name, source
    )


def counting(rng: Random) -> Item:
    """Ask to count, or to recite the days or months."""
    n = rng.choice((3, 5, 10, 10))
    forms = [
        (
            f"Count to {rng.choice([str(n), tables.NUMBERS[n]])}.",
            tables.NUMBERS[1 : n + 1],
            f"从一数到{tables.NUMBERS_CHINESE[n]}。",
            tables.NUMBERS_CHINESE[1 : n + 1],
        ),
        (
            f"Count from 1 to {n}.",
            [str(k) for k in range(1, n + 1)],
            f"从1数到{n}。",
            [str(k) for k in range(1, n + 1)],
        ),
        ("Name the days of the week.", tables.DAYS, "一个星期有哪几天？", tables.DAYS_CHINESE),
        ("Name the months of the year.", tables.MONTHS, "一年有哪些月份？", tables.MONTHS_CHINESE),
        (
            "Say the first letters of the alphabet.",
            list("ABCDEFG"),
            "说出前几个字母。",
            list("ABCDEFG"),
        ),
    ]
    asked, words, asked_zh, words_zh = rng.choice(forms)
    english = ", ".join(words)
    return Item(
        "count",
        asked,
        asked_zh,
        words[-1],
        capitalise(english) + ".",
        words_zh[-1],
        "、".join(words_zh) + "。",
    )


def not_known(rng: Random) -> Item:
    """Ask about something outside the corpus."""
    english, chinese = unknown.answer(rng)
    return Item(
        "unknown",
        unknown.question(rng),
        unknown.question_chinese(rng),
        unknown.SHORT,
        english,
        unknown.SHORT_CHINESE,
        chinese,
    )
