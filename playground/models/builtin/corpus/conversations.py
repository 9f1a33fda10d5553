"""Puts questions, styles, names and follow-ups together into conversations.

It does not know how a conversation becomes tokens; a message is a pair of role and content.
"""

from random import Random

from . import geography, items, knowledge, names, styles
from .grammar import expand, pick
from .introductions import assistant_name, user_name
from .item import Item
from .messages import Conversation, assistant, fitting, system, user

_REPEAT = [
    "[Say|Repeat|Write]: {w}",
    "[Repeat after me|Say after me|Please repeat|Copy this]: {w}",
    "Say the word {w}.",
    'Say "{w}".',
]

# How many conversations are of which kind.
KINDS = {"questions": 70, "user name": 12, "assistant name": 9, "repeat": 3, "thread": 6}
# Copying names is learnt last, so the end of the training has more of it.
MORE_NAMES = {"questions": 45, "user name": 22, "assistant name": 20, "repeat": 8, "thread": 5}


def _opening(rng: Random, chinese: bool) -> tuple[str, str, Conversation]:
    """Choose a style, where it is asked for, and the system message."""
    drawn = rng.random()
    if drawn < 0.30:
        return "", "", []
    if drawn < 0.42:
        return "", "", [system(styles.plain_system_prompt(rng))]
    style = rng.choice(styles.STYLES)
    if style == "english" and not chinese and rng.random() < 0.7:
        style = "chinese"
    if drawn < 0.50 and style in styles.BESIDE:
        return style, "beside", []
    return style, "", [system(styles.system_prompt(rng, style))]


def _with_instruction(rng: Random, question: str, style: str) -> str:
    wish = pick(rng, styles.BESIDE[style])
    wish = wish[0].upper() + wish[1:]
    if rng.random() < 0.3 and wish.endswith("."):
        return f"{wish[:-1].removesuffix(', please')}: {question}"
    end = "" if question[-1] in ".?!。？" else "."
    return f"{question}{end} {wish}"


def _again(rng: Random, item: Item, style: str, chinese: bool) -> tuple[str, str] | None:
    """Ask for the last answer in another form."""
    forms = []
    if style != "chinese" and not chinese:
        text = (
            "[In Chinese, please.|In Chinese|And in Chinese?|Say it in Chinese.|Translate it into "
        )
        forms.append((text + "Chinese.|用中文说。]", item.full_zh))
    if chinese and style != "english":
        text = "[用英文说。|In English, please.|And in English?|Say it in English.]"
        forms.append((text, item.full))
    if style not in ("one word", "chinese") and not chinese:
        text = "[In one word, please.|In one word|Shorter, please.|One word, please.]"
        forms.append((text, item.short))
    if not forms:
        return None
    asked, answered = rng.choice(forms)
    return expand(rng, asked), answered


def _follow_up(rng: Random, last: Item, style: str, chinese: bool) -> tuple[Conversation, Item]:
    """Continue after an answer: the same of another thing, another form, thanks, or anew."""
    drawn = rng.random()
    if last.follow and drawn < 0.6:
        item = _same_kind(rng, last)
        asked = item.follow_zh if chinese else item.follow
        return [user(asked), assistant(styles.answer(rng, style, item, chinese))], item
    if drawn < 0.75 and last.topic not in ("story", "letter", "code", "talk"):
        again = _again(rng, last, style, chinese)
        if again:
            return [user(again[0]), assistant(again[1])], last
    item = fitting(rng, style)
    asked = item.question_zh if chinese else item.question
    return [user(asked), assistant(styles.answer(rng, style, item, chinese))], item


def _same_kind(rng: Random, last: Item) -> Item:
    makers = [maker for maker in items.TOPICS if maker(Random(0)).topic == last.topic]
    for _ in range(60):
        item = rng.choice(makers)(rng)
        alike = last.topic not in ("author", "fun", "animal") or _alike(item, last)
        new = item.follow != last.follow and item.short != last.short
        if alike and (new or last.topic == "fun"):
            return item
    return last


def _alike(item: Item, last: Item) -> bool:
    if last.topic == "animal":
        return item.full.split()[2:3] == last.full.split()[2:3]
    return item.short == last.short if last.topic == "fun" else True


def questions(rng: Random) -> Conversation:
    """One to four questions and answers in one style and one language."""
    chinese = rng.random() < 0.2
    style, where, messages = _opening(rng, chinese)
    item = fitting(rng, style)
    asked = item.question_zh if chinese else item.question
    if where == "beside":
        asked = _with_instruction(rng, asked, style)
    messages = [*messages, user(asked), assistant(styles.answer(rng, style, item, chinese))]
    if where == "beside":
        return messages
    for _ in range(rng.choices((0, 1, 2, 3), (50, 34, 10, 6))[0]):
        if item.topic in ("story", "letter") and rng.random() < 0.5:
            break
        turn, item = _follow_up(rng, item, style, chinese)
        messages += turn
    return messages


def thread(rng: Random) -> Conversation:
    """A question and a chain of "And of ...?" in a plain style."""
    maker = rng.choice(
        [
            geography.capital,
            geography.capital,
            geography.capital,
            knowledge.opposite,
            knowledge.term,
        ]
    )
    item = maker(rng)
    chinese = rng.random() < 0.2
    messages = [
        user(item.question_zh if chinese else item.question),
        assistant(item.full_zh if chinese else item.full),
    ]
    for _ in range(rng.randrange(1, 4)):
        item = maker(rng)
        messages.append(user(item.follow_zh if chinese else item.follow))
        messages.append(assistant(item.full_zh if chinese else item.full))
    return messages


def repeat(rng: Random) -> Conversation:
    """The user asks to repeat some words."""
    words = [names.any_name(rng, 0.8) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    if rng.random() < 0.4:
        words = [word.lower() for word in words]
    text = rng.choice([" ", ", "]).join(words)
    return [user(pick(rng, _REPEAT, w=text)), assistant(text)]


_MAKERS = {
    "questions": questions,
    "user name": user_name,
    "assistant name": assistant_name,
    "repeat": repeat,
    "thread": thread,
}


def conversation(rng: Random, kinds: dict[str, int] = KINDS) -> Conversation:
    """Make one conversation; every kind comes as often as its weight says."""
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    return _MAKERS[kind](rng)
