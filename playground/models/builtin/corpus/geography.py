"""Asks about countries: capitals, languages, continents. It does not know about styles or chats."""

from random import Random

from . import tables
from .grammar import capitalise, expand, pick, words
from .item import Item, worded

_CAPITAL = [
    "What is the capital of {c}?",
    "What is the capital of {c}?",
    "What is the capital [city|town] of {c}?",
    "[Which|What] city is the capital of {c}?",
    "[Tell me|Name|Give me|Say|Write down] the capital of {c}[.|, please.]",
    "[Please tell me|Can you tell me|Do you know|Would you tell me] the capital [city |]of {c}?",
    "[Please tell me|Can you tell me|Do you know] what the capital of {c} is[?|.]",
    "What is {c}[ and what is its capital|'s capital|'s capital city]?",
    "capital of {c}",
    "The capital of {c}?",
    "What is the captial of {c}?",
    "Where is the government of {c}?",
    "What do you call the capital of {c}?",
    "[Which|What] is the main city of {c}, I mean the capital?",
    "[I need to know|I would like to know|I want to know|Help me with|Quiz:] the capital of {c}.",
    "Hello, what is the capital of {c}?",
    "If I go to {c}, which city is the capital?",
    "[My teacher asks|My son asks|They ask me|A question]: what is the capital of {c}?",
    "{c} has which capital?",
    "{c}, capital?",
]


_CAPITAL_ZH = [
    "{c}的首都是哪里？",
    "{c}的首都是[什么|哪个城市|哪儿]？",
    "[请问|你知道|告诉我]{c}的首都[是哪里|是什么|在哪里]？",
    "哪个城市是{c}的首都？",
    "{c}首都",
]


def capital(rng: Random) -> Item:
    """Ask for the capital of a country."""
    c, city, c_zh, city_zh, *_ = rng.choice(tables.COUNTRIES)
    full = pick(
        rng,
        ["The capital of {c} is {city}."] * 4 + ["{city} is the capital of {c}."],
        c=c,
        city=city,
    )
    texts = [text for text in _CAPITAL if not (c.startswith("the ") and "'s" in text)]
    return Item(
        "capital",
        worded(rng, texts, c=c, city=city),
        worded(rng, _CAPITAL_ZH, c=c_zh),
        city,
        full,
        city_zh,
        f"{c_zh}的首都是{city_zh}。",
        expand(rng, "[And of|And of|And|What about|How about|And what about] {c}?", c=c),
        expand(rng, "[那|]{c}呢？", c=c_zh),
    )


def country(rng: Random) -> Item:
    """Ask for the country of a capital."""
    c, city, c_zh, city_zh, *_ = rng.choice(tables.COUNTRIES)
    texts = [
        "{city} is the capital of which country?",
        "[Which|What] country has the capital {city}?",
        "[What country|Where] is {city}[| in]?",
        "Where is {city}?",
        "[Which|What] country is {city} in?",
        "What is {city}?",
    ]
    return Item(
        "country",
        worded(rng, texts[:2] + texts[3:], city=city),
        worded(
            rng, ["{city}是哪个国家的首都？", "{city}在哪里？", "{city}在哪个国家？"], city=city_zh
        ),
        capitalise(c),
        f"{city} is the capital of {c}.",
        c_zh,
        f"{city_zh}是{c_zh}的首都。",
        expand(rng, "[And|What about|How about] {city}?", city=city),
        f"{city_zh}呢？",
    )


def language(rng: Random) -> Item:
    """Ask for the language of a country."""
    c, _, c_zh, _, spoken, *_ = rng.choice(
        [row for row in tables.COUNTRIES if " and " not in row[4]]
    )
    texts = [
        "[What|Which] language do [they|people] speak in {c}?",
        "[What|Which] language is spoken in {c}?",
        "What do people speak in {c}?",
    ]
    spoken_zh = LANGUAGES_ZH[spoken]
    return Item(
        "language",
        worded(rng, texts, c=c),
        worded(rng, ["{c}人说什么语言？", "在{c}说什么语言？"], c=c_zh),
        spoken,
        f"People in {c} speak {spoken}.",
        spoken_zh,
        f"{c_zh}人说{spoken_zh}。",
        expand(rng, "[And in|What about] {c}?", c=c),
        f"{c_zh}呢？",
    )


_LANGUAGES = words(
    "French 法语 German 德语 Spanish 西班牙语 Italian 意大利语 "
    "Portuguese 葡萄牙语 Dutch 荷兰语 English 英语 Polish 波兰语 "
    "Greek 希腊语 Swedish 瑞典语 Norwegian 挪威语 Danish 丹麦语 "
    "Finnish 芬兰语 Icelandic 冰岛语 Hungarian 匈牙利语 Russian 俄语 "
    "Ukrainian 乌克兰语 Turkish 土耳其语 Arabic 阿拉伯语 Swahili 斯瓦希里语 "
    "Amharic 阿姆哈拉语 Chinese 汉语 Japanese 日语 Korean 韩语 "
    "Hindi 印地语 Thai 泰语 Vietnamese 越南语 Indonesian 印尼语 "
    "Persian 波斯语 Mongolian 蒙古语 Nepali 尼泊尔语"
)
LANGUAGES_ZH = dict(zip(_LANGUAGES[::2], _LANGUAGES[1::2], strict=True))


def continent(rng: Random) -> Item:
    """Ask for the continent of a country."""
    c, _, c_zh, _, _, where, where_zh = rng.choice(tables.COUNTRIES)
    texts = [
        "[Which|What] continent is {c} [in|on]?",
        "On which continent is {c}?",
        "Where is {c}?",
    ]
    return Item(
        "continent",
        worded(rng, texts, c=c),
        worded(rng, ["{c}在哪个洲？", "{c}在哪里？"], c=c_zh),
        where,
        capitalise(f"{c} is in {where}."),
        where_zh,
        f"{c_zh}在{where_zh}。",
        expand(rng, "And {c}?", c=c),
        f"{c_zh}呢？",
    )
