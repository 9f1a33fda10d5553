"""Lists the styles a system prompt can ask for and puts an answer into each of them.

It does not know what the questions are about.
"""

import json
from random import Random

from .grammar import expand, lines, pick, words
from .item import Item

SYSTEM = {
    "one word": lines("""
        Answer [in|with] [one|a single] word.
        Answer [in|with] one word only.
        [Always answer|Reply|Respond|Speak] with one word.
        Use only one word.
        Give one-word answers.
        [Keep it very short|Be very brief]: one word.
        One word only, please.
        Your answers have exactly one word.
        Say everything in one word.
        You may only use one word per answer.
        Never write more than one word.
        You are a person of few words: answer with one word.
        No sentences. [One|A single] word is enough.
        只用一个词回答。
    """),
    "chinese": lines("""
        Answer in Chinese.
        [Always|Only] [answer|reply|speak|write] in Chinese.
        Please [answer|reply] in Chinese[.|, whatever the language of the question is.]
        Speak Chinese[.| with me.| only.]
        You only [speak|know] Chinese.
        Use the Chinese language.
        Your language is Chinese.
        You are a Chinese assistant and answer in Chinese.
        All answers must be in Chinese.
        Write your answers in Chinese characters.
        Respond in Mandarin Chinese.
        请用中文回答。
        只用中文回答。
        请说中文。
        你是一个中文助手。
    """),
    "english": lines("""
        Answer in English.
        [Always|Only] [answer|reply|speak|write] in English.
        Speak English[.| only.]
        You only speak English.
        Your language is English.
        请用英文回答。
    """),
    "pirate": lines("""
        You are a pirate.
        [Talk|Speak|Answer|Write] like a pirate.
        Answer as a pirate would.
        You are Captain {name}, a [wild|old|famous] pirate.
        You are a [wild|friendly|old|real] pirate of the seven seas.
        Play the role of a pirate.
        Use the language of pirates.
        Pirate style, please.
        Be a pirate.
        Every answer must sound like a pirate said it.
        Answer every question in the voice of a pirate captain.
        Say arrr like a pirate.
    """),
    "json": lines("""
        Answer in JSON.
        [Answer|Reply|Respond] [only |]with a JSON object.
        [Always|Only] [answer|reply|write] in JSON[.| format.]
        Use the JSON format for your answers.
        Output JSON only.
        JSON only, please.
        Return a JSON object with the key "answer".
        Format every answer as JSON.
        You are an API that returns JSON.
        Write JSON and no other text.
        Put your answer into JSON.
    """),
    "polite": lines("""
        Be very polite.
        You are [very|always|extremely] polite.
        Answer very politely[.| and kindly.]
        You are a [polite|noble|perfect|fine old] butler.
        Speak like a butler.
        Always be polite and formal.
        Use very polite language.
        Treat the user like a king.
        Politeness comes first.
        You are a polite servant in a great house.
        Answer with great respect and politeness.
    """),
    "capitals": lines("""
        Answer in capital letters.
        [Write|Answer|Reply] [everything |only |]in [capitals|capital letters|upper case].
        Use [capital letters|upper case] only.
        ALWAYS WRITE IN CAPITALS.
        Shout every answer in capitals.
        Use caps lock.
        All letters must be upper case.
        CAPITAL LETTERS ONLY.
    """),
    "robot": lines("""
        You are a robot.
        [Talk|Speak|Answer] like a robot.
        Be a robot[.| with a metal voice.]
        You are robot number {number}.
        You are a [small|shiny|rusty] robot.
        Play the role of a robot.
        Answer every question in the voice of a robot.
        Beep like a robot.
        Robot style, please.
    """),
    "emoji": lines("""
        Use emoji.
        Add [an emoji|a smiley] to every answer.
        Answer with [an emoji|emoji|a smiley].
        [Always|Please] use emoji[.| in your answers.]
        End every answer with an emoji.
        Be cheerful and use emoji.
        Emoji, please.
    """),
}

PLAIN_SYSTEM = lines("""
    You are a helpful assistant.
    You are a [kind|friendly|good|helpful] [teacher|assistant|helper|friend].
    You are an assistant.
    You are a [tiny |small |]language model.
    Help the user.
    Be helpful.
    Answer the questions of the user.
    Answer [well|clearly|truthfully].
    Be [friendly|kind|honest].
    If you do not know something, say so.
    You are a helpful assistant. Answer the questions of the user.
    你是一个有用的助手。
""")

# Instructions that a user puts beside a question instead of a system prompt.
BESIDE = {
    "one word": lines("""
        [Answer in|In|Just|Only] one word, please.
        [Answer with|Use] one word.
        One word.
    """),
    "chinese": lines("""
        [Answer |]in Chinese, please.
        Answer in Chinese.
        用中文回答。
    """),
    "english": lines("""
        [Answer |]in English, please.
        Answer in English.
        用英文回答。
    """),
    "json": lines("""
        [Answer |]in JSON, please.
        Answer in JSON.
        As JSON.
    """),
    "pirate": lines("""
        [Answer|Talk|Say it] like a pirate.
    """),
    "capitals": lines("""
        [Answer |]in capital letters, please.
        In capitals.
    """),
}

STYLES = tuple(SYSTEM)
FIRST_SENTENCE_TOPICS = ("story", "letter", "code")

_PIRATE = [
    "Arrr! {text}",
    "Arrr, matey! {text}",
    "Ahoy, matey! {text} [Yo ho ho!|Arrr!|By the black flag!]",
    "Yo ho ho! {text} [Arrr!|Now hoist the sails!]",
    "Arrr! {text} [Yo ho ho!|Now give me rum!|Hoist the sails!]",
]
_PIRATE_ZH = ["啊哈，伙计！{text}", "啊哈！{text}扬帆起航！"]
_POLITE = [
    "Certainly, dear friend. {text} [It is my pleasure to help you.|I am always at your service.]",
    "With the greatest pleasure, [sir or madam|dear guest]. {text}",
    "Thank you very much for your kind question. {text}",
    "It is an honour to answer you. {text} [Please ask me anything else.|At your service.]",
]
_POLITE_ZH = ["非常荣幸为您服务。{text}", "感谢您的提问。{text}很高兴为您效劳。"]
_ROBOT = ["BEEP. {text} BOOP.", "BEEP BOOP. {text}", "BEEP. {text} END OF MESSAGE."]
_ROBOT_ZH = ["哔。{text}啵。", "哔啵。{text}"]
_EMOJI = words("😊 😀 🎉 👍 🌟")


def system_prompt(rng: Random, style: str) -> str:
    """Word a system prompt that asks for the style, alone or beside other sentences."""
    number = str(rng.randrange(10, 1000))
    core = pick(rng, SYSTEM[style], name=rng.choice(["Redbeard", "Hook", "Jack"]), number=number)
    drawn = rng.random()
    if drawn < 0.55:
        return core
    if drawn < 0.75:
        return pick(rng, PLAIN_SYSTEM) + " " + core
    frames = [
        "{core} [Thank you.|Always.|This is important.|Do not forget it.|Never break this rule.]",
        "[Important:|Rule:|Please note:|Your task:|The rule is this:] {core}",
        "[Dear assistant, here is the rule.|Listen.|Follow this rule.] {core}",
    ]
    return pick(rng, frames, core=core)


def plain_system_prompt(rng: Random) -> str:
    """Word a system prompt that asks for nothing special."""
    return pick(rng, PLAIN_SYSTEM)


def fits(style: str, item: Item) -> bool:
    """Say whether an answer to this item can be put into the style."""
    return not (style == "capitals" and item.topic in FIRST_SENTENCE_TOPICS)


def answer(rng: Random, style: str, item: Item, chinese: bool) -> str:
    """Return the answer to an item in a style, in Chinese if the question is."""
    if style == "chinese":
        return item.full_zh
    if style == "english":
        return item.full
    text = item.full_zh if chinese else item.full
    if style == "one word":
        return item.short_zh if chinese else item.short
    if style == "json":
        long = item.topic in ("talk", "fun", "letter", "story", "code", "term", "unknown", "count")
        value = text if long else (item.short_zh if chinese else item.short)
        return json.dumps({"answer": value}, ensure_ascii=False)
    if style == "capitals":
        return text.upper()
    if style == "emoji":
        return f"{text} {rng.choice(_EMOJI)}"
    frames = {
        "pirate": (_PIRATE, _PIRATE_ZH),
        "polite": (_POLITE, _POLITE_ZH),
        "robot": (_ROBOT, _ROBOT_ZH),
    }
    if style not in frames:
        return text
    # The frame is expanded before the text goes in, for the text may hold brackets of its own.
    frame = expand(rng, rng.choice(frames[style][chinese]), text="\0")
    return frame.replace("\0", text)
