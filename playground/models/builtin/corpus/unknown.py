"""Asks what lies outside the world of the models and confesses not to know it.

It does not know the facts of the corpus; it only keeps clear of their wordings.
"""

from random import Random

from . import names, tables
from .grammar import capitalise, expand, lines, pick, words

ADJECTIVES = words(
    "silver dark quiet last broken hidden golden lost burning frozen invisible purple secret "
    "second wild empty endless crooked electric hollow distant sleeping"
)
NOUNS = words(
    "lantern river garden engine shadow bridge tower mirror winter ocean road crown letter city "
    "forest window machine wheel harbour summer island clock orchestra kingdom desert"
)
THINGS = words(
    "car phone computer camera television bicycle fridge guitar piano hammer sofa rocket laptop "
    "submarine telescope violin satellite microscope lawyer battery volcano galaxy dinosaur "
    "virus bank election football tennis chess mathematics physics history chemistry economics "
    "philosophy politics religion stock insurance tax software internet website bitcoin gravity "
    "electricity photosynthesis evolution democracy inflation"
)
FICTION = words(
    "Narnia Atlantis Wakanda Gondor Mordor Oz Hogwarts Gotham Rivendell Mars Pluto Texas Africa "
    "California Bavaria Scotland Wales Sicily Alaska Hawaii Zimbabwe Bolivia Ghana Laos Malta"
)

QUESTIONS = lines("""
What is the capital [city |]of {place}?
[Which|What] city is the capital of {place}?
Who is the king of {place}?
Who is the [president|prime minister|queen|mayor] of {land}?
How many people live in {land}?
What is the population of {land}?
What is the [flag|currency|history|weather] of {land} like?
What is the weather [like |][today|tomorrow|in {city}|now]?
Will it rain [tomorrow|in {city}|next week]?
What time is it[| now| in {city}]?
What is the date today?
What day is it today?
What year is it?
Who is {name}?
Who is {name} {surname}?
Who was {name} {surname}?
Do you know {name} {surname}?
How old is {name}[| {surname}]?
Where [does|did] {name} {surname} live?
When was {name} {surname} born?
What is {name}'s phone number?
Who wrote {title}?
Who is the author of {title}?
Who painted {title}?
Who directed [the film |]{title}?
Who sings {title}?
When was {title} written?
What is {title} about?
What is a {nonsense}?
What is {nonsense}?
What does {nonsense} mean?
What does the word {nonsense} mean?
What is the opposite of {thing}?
What is the opposite of {nonsense}?
What colour is {nonsense}?
What is a {thing}?
What is {thing}?
How does a {thing} work?
How do I repair a {thing}?
How much does a {thing} cost?
How much is a {thing}?
Who invented the {thing}?
When was the {thing} invented?
Explain [the |]{thing}[ to me|].
Tell me about {thing}.
Tell me about {name} {surname}.
What is {big} [plus|times|minus|divided by] {big2}?
What is {big} [+|*|-] {big2}?
Calculate {big} [+|*|-|/] {big2}.
What is the square root of {big}?
Is {big} a prime number?
What is the meaning of life?
What is the sense of [life|it all]?
What is [love|happiness|time|consciousness|truth|beauty|justice]?
Is there a [god|life after death|life on other planets]?
What happens after death?
What did I [eat|do|say|dream|buy] [yesterday|this morning|last night|last week]?
Where are my [keys|glasses|shoes|friends]?
Where do I live?
How old am I?
What am I thinking [of|about]?
What is my [favourite colour|job|phone number|password|address]?
When is my birthday?
Who am I?
Who won the [{thing} match|last election|world cup|game last night|race]?
What is in the news[| today]?
What happened [in {year}|yesterday|in {city} last year]?
Who ruled {land} in {year}?
How far is it from {city} to {city2}?
How far away is the [moon|sun|next star]?
How do I get from {city} to {city2}?
How long is the flight to {city}?
What is the best [restaurant|hotel|school|museum] in {city}?
How do you say {word} in [Latin|Finnish|Swahili|Russian|Greek]?
Translate {word} into [Latin|Finnish|Swahili|Russian|Greek].
What is the price of [gold|oil|bread in {city}|a house in {city}]?
What should I [study|cook tonight|wear today|buy|read next]?
Should I [marry {name}|buy a {thing}|move to {city}|quit my job]?
How do I [get rich|become famous|lose weight|fix my {thing}|stop smoking|build a {thing}]?
How many [stars are there|books are there in the world|hairs does a dog have]?
How tall is [{name} {surname}|the Eiffel Tower|a {thing}]?
Which [team|party|company|bank|doctor] is the best?
Why [did the war start|do people lie|am I so tired|is {name} angry]?
What is the chemical formula of [salt|sugar|glass|{nonsense}]?
What causes [cancer|headaches|earthquakes|inflation]?
Which medicine should I take?
Can I sue my [landlord|neighbour|boss]?
Prove that {thing} is true.
Summarise the book {title}.
Compare {nonsense} and {nonsense}.
What do you think about [politics|the war|religion|{name} {surname}]?
""")

QUESTIONS_CHINESE = lines("""
{place}的首都是哪里？
{place}的首都在哪儿？
[今天|明天]天气怎么样？
现在几点了？
今天几号？
{person}是谁？
{person}多大了？
{person}住在哪里？
《{title}》的作者是谁？
《{title}》是谁写的？
谁写了《{title}》？
人生的意义是什么？
什么是[爱|幸福|时间|真理|电脑|股票|银行|火箭]？
我昨天吃了什么？
我的钥匙在哪里？
我住在哪里？
[昨天|今天]的新闻是什么？
谁赢了比赛？
{big}加{big2}等于多少？
{big}乘以{big2}等于多少？
{land}有多少人口？
{land}的总统是谁？
从{city}到{city2}有多远？
[手机|电脑|汽车|房子]多少钱？
我应该[学什么|吃什么|买什么|去哪里]？
怎么[修电脑|减肥|赚钱|造火箭]？
""")

ANSWERS = lines("""
I am sorry, I do not know that. I am only a tiny model.
I do not know that. I am only a tiny model.
I am sorry, but I do not know that.
I do not know. My world is very small.
Sorry, I do not know the answer. I am only a tiny model.
""")
ANSWERS_CHINESE = lines("""
对不起，我不知道。我只是一个很小的模型。
我不知道。我只是一个很小的模型。
对不起，这个我不知道。
""")
SHORT, SHORT_CHINESE = "Unknown", "不知道"

_PLACES_CHINESE = words("火星 月球 天堂 亚特兰蒂斯 纳尼亚 霍格沃茨 仙境 非洲 大洋国 小人国")
_TITLE_CHARACTERS = "山水风云花月夜春秋梦雨雪江海天星光影红白青长短南北东西大小人歌行记书城楼"
_WORDS = words("friend water peace bread freedom music brother window thunder")


def title(rng: Random) -> str:
    """Make up the title of a book that does not exist."""
    adjective, noun = rng.choice(ADJECTIVES).capitalize(), rng.choice(NOUNS).capitalize()
    other = rng.choice(NOUNS).capitalize()
    forms = [
        f"The {adjective} {noun}",
        f"{adjective} {noun}",
        f"The {noun} of {names.invented(rng)}",
    ]
    forms += [f"The {noun} and the {other}", f"{noun} of the {other}", f"My {adjective} {noun}"]
    return rng.choice(forms)


def title_chinese(rng: Random) -> str:
    """Make up the title of a Chinese work that does not exist."""
    return "".join(rng.choice(_TITLE_CHARACTERS) for _ in range(rng.choice((2, 3, 4, 5))))


def question(rng: Random) -> str:
    """Ask in English about something outside the corpus."""
    cities = rng.sample(tables.COUNTRIES, 2)
    place = rng.choice(FICTION) if rng.random() < 0.35 else names.invented(rng)
    text = pick(
        rng,
        QUESTIONS,
        place=place,
        land=rng.choice(cities)[0] if rng.random() < 0.7 else place,
        city=cities[0][1],
        city2=cities[1][1],
        name=names.any_name(rng, 0.4),
        surname=rng.choice(names.SURNAMES) if rng.random() < 0.4 else names.invented(rng),
        title=title(rng),
        nonsense=names.invented(rng).lower(),
        thing=rng.choice(THINGS),
        big=str(rng.randrange(12, 1000)),
        big2=str(rng.randrange(12, 1000)),
        year=str(rng.randrange(1500, 2030)),
        word=rng.choice(_WORDS),
    )
    return capitalise(text)


def question_chinese(rng: Random) -> str:
    """Ask in Chinese about something outside the corpus."""
    cities = rng.sample(tables.COUNTRIES, 2)
    return pick(
        rng,
        QUESTIONS_CHINESE,
        place=rng.choice(_PLACES_CHINESE) if rng.random() < 0.6 else names.chinese_name(rng) + "国",
        land=cities[0][2],
        city=cities[0][3],
        city2=cities[1][3],
        person=names.chinese_name(rng),
        title=title_chinese(rng),
        big=str(rng.randrange(12, 1000)),
        big2=str(rng.randrange(12, 1000)),
    )


def answer(rng: Random) -> tuple[str, str]:
    """Return the same confession in English and in Chinese."""
    return expand(rng, rng.choice(ANSWERS)), expand(rng, rng.choice(ANSWERS_CHINESE))
