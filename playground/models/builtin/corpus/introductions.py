"""Holds conversations in which the user or the assistant has a name that comes up again.

It does not know about other conversations.
"""

from random import Random

from . import items, names, styles
from .grammar import expand, pick
from .item import Item
from .messages import Conversation, assistant, fitting, system, user

_TELL_NAME = [
    "My name is {n}.",
    "My name is {n}.",
    "My name is {n}[!|, nice to meet you.|. What is your name?| and I live {p}.]",
    "[Hello|Hi|Hello there|Good morning], my name is {n}[.|!]",
    "I am {n}.",
    "[Hello|Hi|Hey], I am {n}[.|!]",
    "I'm {n}.",
    "[Hi|Hello], I'm {n}.",
    "[You can|You may] call me {n}.",
    "Call me {n}.",
    "People call me {n}.",
    "My friends call me {n}.",
    "They call me {n}.",
    "This is {n}[.| speaking.]",
    "{n} is my name.",
    "The name is {n}.",
    "my name is {n}",
]
_GREET_NAME = [
    "Nice to meet you, {n}!",
    "Hello, {n}! [Nice to meet you.|How can I help you?]",
    "Hello {n}, [it is nice to meet you|what can I do for you?|how are you?]",
]
_ASK_NAME = [
    "What is my name?",
    "What is my name?",
    "[Do you know|Tell me|Do you remember] my name[?|, please.]",
    "[And |]What is my name again?",
    "What's my name?",
    "Who am I?",
    "What am I called?",
    "[What did I say|What did I tell you], what is my name?",
    "Can you tell me my name?",
    "what is my name",
]
_KNOW_NAME = [
    "Your name is {n}.",
    "Your name is {n}.",
    "You are {n}.",
    "Your name is {n}, of course.",
]
_TELL_NAME_ZH = ["我叫{n}。", "我的名字是{n}。", "你好，我叫{n}。", "我是{n}。"]
_ASK_NAME_ZH = ["我叫什么名字？", "我的名字是什么？", "你记得我的名字吗？", "我是谁？"]

_NAMED_SYSTEM = [
    "Your name is {n}.",
    "Your name is {n}.",
    "You are {n}.",
    "You are {n}, a [helpful|friendly|kind|clever|tiny] [assistant|robot|helper|model|friend].",
    "You are an assistant [named|called|with the name] {n}.",
    "You are a [helpful|friendly|kind] assistant. Your name is {n}.",
    "You are called {n}.",
    "Your name is {n}, and you are [kind|funny|wise|helpful].",
    "[They|We|People|The users] call you {n}.",
    "The name of the assistant is {n}.",
    "You play {n}, a [helpful|friendly|kind] assistant.",
    "Say that your name is {n}.",
    "你叫{n}。",
    "你的名字是{n}。",
]
_ASK_ASSISTANT = [
    "What is your name?",
    "What is your name?",
    "Who are you?",
    "Who are you?",
    "[Hello|Hi], what is your name?",
    "[Hello|Hi], who are you?",
    "What are you called?",
    "Tell me your name.",
    "What's your name?",
    "Do you have a name?",
    "Please introduce yourself.",
    "who are you",
    "How should I call you?",
]
_ASK_ASSISTANT_ZH = ["你叫什么名字？", "你是谁？", "请介绍一下你自己。"]


def _said(topic: str, short: str, full: str, full_zh: str) -> Item:
    return Item(topic, "", "", short, full, short, full_zh)


def user_name(rng: Random) -> Conversation:
    """The user tells a name and asks for it later, or asks without having told it."""
    if rng.random() < 0.25:
        return _user_name_chinese(rng)
    name = names.any_name(rng, 0.7)
    asked = pick(rng, _ASK_NAME)
    style, messages = "", []
    if rng.random() < 0.35:
        style = rng.choice(["pirate", "polite", "robot", "emoji", "one word", "json"])
        messages = [system(styles.system_prompt(rng, style))]
    elif rng.random() < 0.3:
        messages = [system(styles.plain_system_prompt(rng))]

    def styled(text: str, short: str) -> dict[str, str]:
        return assistant(styles.answer(rng, style, _said("name", short, text, text), False))

    known = expand(rng, rng.choice(_KNOW_NAME), n=name)
    if not messages and rng.random() < 0.25:
        told = expand(rng, "The [user's name|name of the user|user] is {n}.", n=name)
        return [system(told), user(asked), assistant(known)]
    if rng.random() < 0.06:
        text = "I do not know your name. [Please tell me.|You have not told me yet.]"
        return [*messages, user(asked), styled(expand(rng, text), "Unknown")]
    told = pick(rng, _TELL_NAME, n=name, p=rng.choice(["in Paris", "by the sea", "in Berlin"]))
    if rng.random() < 0.1:
        return [*messages, user(f"{told} {asked}"), styled(known, name)]
    greeting = styled(expand(rng, rng.choice(_GREET_NAME), n=name), "Hello")
    messages += [user(told), greeting]
    for _ in range(rng.choices((0, 1, 2), (65, 25, 10))[0]):
        item = items.item(rng)
        while item.topic in ("story", "letter", "code", "count") or not styles.fits(style, item):
            item = items.item(rng)
        messages += [user(item.question), assistant(styles.answer(rng, style, item, False))]
    messages += [user(asked), styled(known, name)]
    return messages


def _user_name_chinese(rng: Random) -> Conversation:
    name = names.chinese_name(rng) if rng.random() < 0.7 else names.any_name(rng)
    messages = [
        user(pick(rng, _TELL_NAME_ZH, n=name)),
        assistant(f"你好，{name}！很高兴认识你。"),
    ]
    if rng.random() < 0.3:
        item = items.item(rng)
        messages += [user(item.question_zh), assistant(item.full_zh)]
    return [*messages, user(rng.choice(_ASK_NAME_ZH)), assistant(f"你叫{name}。")]


def assistant_name(rng: Random) -> Conversation:
    """The system prompt names the assistant, or nobody does, and the user asks for the name."""
    name = names.any_name(rng, 0.7)
    chinese = rng.random() < 0.15
    asked = rng.choice(_ASK_ASSISTANT_ZH) if chinese else pick(rng, _ASK_ASSISTANT)
    if rng.random() < 0.18:
        text = (
            "[I am a tiny language model, and I have no name.|I am a tiny language model without "
        )
        nameless = expand(rng, text + "a name.]")
        messages = [] if rng.random() < 0.5 else [system(styles.plain_system_prompt(rng))]
        return [
            *messages,
            user(asked),
            assistant("我是一个很小的语言模型，没有名字。" if chinese else nameless),
        ]
    prompt = pick(rng, _NAMED_SYSTEM, n=name)
    style = ""
    if rng.random() < 0.25:
        style = rng.choice(["pirate", "polite", "robot", "emoji", "chinese", "one word"])
        prompt += " " + styles.system_prompt(rng, style)
    english = "[My name is {n}.|My name is {n}.|I am {n}.|I am {n}. How can I help you?]"
    said = _said("name", name, expand(rng, english, n=name), f"我叫{name}。")
    messages = [system(prompt)]
    if rng.random() < 0.3:
        item = fitting(rng, style)
        messages += [
            user(item.question_zh if chinese else item.question),
            assistant(styles.answer(rng, style, item, chinese)),
        ]
    return [*messages, user(asked), assistant(styles.answer(rng, style, said, chinese))]
