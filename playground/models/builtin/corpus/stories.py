"""Tells short stories about a hero, an animal or both; it does not know who asked for them."""

from random import Random

from . import names, tables
from .grammar import expand, words

TRAITS = words(
    "little small young clever shy brave lazy kind hungry curious lonely proud old funny"
)
PLACES = [
    "in a dark forest",
    "in a small village",
    "by the sea",
    "on a green hill",
    "near a big lake",
    "in a quiet town",
    "at the foot of a mountain",
    "on a lonely island",
    "beside a river",
    "in an old castle",
    "on a farm",
    "in a city full of lights",
    "in a valley far away",
]
TREASURES = [
    "golden key",
    "silver bell",
    "red kite",
    "blue stone",
    "small lamp",
    "wooden box",
    "old map",
    "magic book",
    "green hat",
    "glass ball",
    "yellow umbrella",
    "round mirror",
    "tiny drum",
]
FOODS = ["soup", "bread", "cake", "apples", "honey", "cheese", "rice", "pancakes", "berries"]
FANTASY = ["dragon", "robot", "giant", "wizard", "princess", "witch", "knight", "snowman", "elf"]

OPENINGS = [
    "[Once upon a time|Once upon a time|Once upon a time|Long ago|Once|Many years ago] there "
    "[was|lived] a {trait} {kind} named {hero}[.| who lived {place}.| {place}.]",
    "[Once upon a time|Once upon a time|Long ago|One day], {place}, [there was|there lived|lived] "
    "a {trait} {kind} named {hero}.",
    "{hero} was a {trait} {kind} who lived {place}.",
    "[Once upon a time|Once] a {trait} {kind} [named {hero}|called {hero}] lived {place}.",
    "Once upon a time there was a {trait} {kind}. [{His} name was {hero}.|The {kind} was called "
    "{hero}.]",
    "There was once a {trait} {kind} named {hero}, [and {he} lived {place}|who had no friends"
    "|who loved {food}].",
    "This is the story of {hero}, a {trait} {kind} [who lived {place}|from far away].",
]

LOVES = [
    "{hero} loved {food} [more than anything|very much|and sunshine].",
    "Every [morning|evening|day] {hero} [walked to the water|looked at the sky|sang a song"
    "|sat under a tree].",
    "{He} had a [good friend|best friend|neighbour] named {friend}.",
    "[Everybody|Nobody] there knew {hero}.",
    "{hero} was always [hungry|happy|busy|tired|in a hurry].",
    "{He} lived alone and [sometimes felt sad|liked it that way|often dreamed of the sea].",
    "",
    "",
]

LOST = [
    "One [day|morning|evening] {hero} lost {his} {thing}. {He} looked [under the bed|behind the "
    "door|in the garden|everywhere], but {he} could not find it. [{hero} began to cry.|{He} was "
    'very sad.] Then {friend} came [along the road|by|to visit]. "[Why are you sad|What is wrong'
    '|What happened], {hero}?" asked {friend}. "I have lost my {thing}," said {hero}. "[Do not '
    'worry|Do not cry|Let us look together]," said {friend}. [They looked all day, and at last '
    "they found the {thing}|{friend} looked up and saw the {thing}] [in a tree|in the grass|under "
    "a stone|in {hero}'s own pocket]. {hero} [laughed|danced for joy|was so glad] and thanked "
    "{friend}.",
]
STORM = [
    "One night there was a [big|terrible|loud] storm. The wind [howled|roared] and the rain fell "
    "[hard|for hours]. {hero} heard somebody [knock at the door|cry for help]. It was {friend}, "
    '[a wet and cold {other}|a small {other}]. "[Please let me in|Please help me|May I come in]'
    '," said {friend}. "[Of course|Come in|Sit by the fire]," said {hero}. {hero} gave {friend} '
    "some warm {food}. In the morning [the sun was shining|the sky was blue again]. {friend} "
    '[gave {hero} a {thing}|thanked {hero}|smiled] and said, "I will never forget you, {hero}."',
]
FINDING = [
    "One day {hero} found a {thing} [in the forest|on the road|under an old tree|in the sand]. "
    '"[What a beautiful|Look, a] {thing}!" [said|thought|whispered] {hero}. '
    "{He} [took it home|put it in {his} pocket|held it up to the light]. Suddenly the {thing} "
    'began to [speak|shine|sing]. "[Make a wish|You may have one wish|I can help you], {hero}," '
    '[it said|said a soft voice]. {hero} thought [for a long time|about it]. "I wish for [a '
    'friend|a good day|{food} for everybody|nothing, for I am happy]," {he} said. And [so it was'
    "|the wish came true|the {thing} smiled].",
]
CONTEST = [
    'One day {hero} and {friend} [had a race|ran a race|wanted to know who was faster]. "I am '
    '[faster|stronger|better] than you," said {friend}. "[We will see|Let us try|Maybe]," said '
    "{hero}. {friend} ran [fast|like the wind] but [soon stopped to sleep|stopped to eat "
    "{food}|fell into the water]. {hero} [walked slowly and never stopped|did not stop|helped "
    "{friend} up]. In the end [{hero} won the race|they crossed the line together|nobody won]. "
    '"[Slow and steady is good|You are a true friend|That was fun]," said {friend}.',
]
FEAR = [
    "{hero} was afraid of [the dark|the water|thunder|high places]. {His} friend {friend} said, "
    '"[You are braver than you think|Take my hand|I will go with you]." So they [walked into the '
    "cave|climbed the hill|crossed the bridge|went down to the lake] together. At first {hero} "
    "[shook like a leaf|closed {his} eyes|wanted to run home]. But then {he} saw [a thousand stars"
    '|a golden fish|a {thing}|a small light]. "[How beautiful|Look at that|I am not afraid any '
    'more]!" cried {hero}. From that day on {hero} was [not afraid|brave|never afraid again].',
]
JOURNEY = [
    "One morning {hero} decided to [see the world|go to the sea|find a friend|visit the king]. "
    "{He} packed some {food} and a {thing} and [set off|went away|said goodbye]. On the way {he} "
    'met a {other} named {friend}. "Where are you going, {hero}?" asked {friend}. "[To the end '
    'of the world|I do not know yet|Far away]," said {hero}. "[May I come with you|Can we go '
    'together]?" asked {friend}. They walked for [three days|seven days|a long time]. At last they '
    "came to [a golden gate|the sea|a little house|the top of a mountain]. [There they stayed"
    "|It was the most beautiful place in the world|There they ate the {food} together].",
]
SHARING = [
    "{hero} had [a lot of|one basket of|a big bowl of] {food}. A [hungry|poor|tired] {other} "
    'named {friend} came and said, "[I am so hungry|I have not eaten for two days|That smells '
    'good]." {hero} [thought for a moment|did not want to share|smiled]. Then {he} said, "[Sit '
    'down and eat with me|Half of it is yours|There is enough for both of us], {friend}." They ate '
    "[all the {food}|until the moon came up|and talked]. {friend} [told {hero} a story|gave {hero} "
    'a {thing}|sang a song]. "[Food tastes better with a friend|Thank you|Sharing is good]," '
    "said {friend}.",
]
TRICK = [
    "One day {hero} [played a trick on|laughed at|shouted at] {friend}. {friend} was [angry|sad"
    '|hurt] and went [home|away]. "It was only a joke," said {hero}, but {friend} did not '
    "[answer|laugh]. That night {hero} could not sleep. In the morning {he} [baked a cake|picked "
    'flowers|took {his} {thing}] and went to {friend}. "I am sorry, {friend}," said {hero}. '
    '"[That was wrong of me|Please forgive me|I will not do it again]." {friend} [smiled|looked '
    'at {hero} for a long time|laughed] and said, "[Let us be friends again|It is all right'
    '|Come in]."',
]
RESCUE = [
    "One day {hero} saw a [small|little|young] {other} who had fallen into [a hole|the river|a "
    'well]. "Help!" cried the {other}. {hero} [ran to get a rope|jumped in at once|called '
    "for help]. {He} pulled and pulled, and at last the {other} was [safe|free|on dry land]. "
    '"[Thank you|You saved me]! My name is {friend}," said the {other}. "[I am|My name is] '
    '{hero}," said {hero}. A year later {hero} was in danger [in the forest|on the lake], and '
    "who came to help? It was {friend}.",
]
BUILDING = [
    '{hero} wanted to build [a boat|a house|a kite|a machine|a bridge]. "[You are too small|You '
    'cannot do that|That is too hard]," said {friend}. But {hero} [did not listen|worked every '
    "day|read many books]. The first try [broke|fell down|did not work], and so did the second. "
    "{hero} [tried again|did not give up|took a deep breath]. The third one was [perfect|better "
    "than all the others|strong and beautiful]. {friend} [could not believe it|was amazed] and "
    'said, "[Well done|I was wrong|Teach me how to do it], {hero}!"',
]
MUSIC = [
    "{hero} had a [beautiful|strange|soft] voice, but {he} was too shy to sing. One evening "
    '{friend} heard {him} [by the river|behind the house|under the stars]. "[Please sing again'
    '|That was wonderful|You must sing for everybody], {hero}," said {friend}. The next day {hero} '
    "sang [in front of the whole village|for the king|at the market]. [Everybody listened|The "
    "birds fell silent|Even the old people cried]. After the song {hero} [was not shy any more"
    "|smiled at {friend}|got a {thing} as a present].",
]
STAR = [
    "One night {hero} saw a star fall [into the lake|behind the hill|into the garden]. {He} ran "
    'there and found it [in the grass|under the water|sitting on a stone]. "I want to go home," '
    'said the star. "[I will help you|Do not be sad|Climb on my back]," said {hero}. With the '
    "help of {friend} {he} [built a ladder|made a kite|climbed the highest tree]. The star [flew up"
    "|jumped back into the sky|said goodbye]. Since then it [shines for {hero} every night"
    "|winks at {hero}|is the brightest star of all].",
]
PLOTS = [
    LOST,
    STORM,
    FINDING,
    CONTEST,
    FEAR,
    JOURNEY,
    SHARING,
    TRICK,
    RESCUE,
    BUILDING,
    MUSIC,
    STAR,
]

ENDINGS = [
    "From [then on|that day on], {hero} and {friend} were [best friends|good friends|always "
    "together].",
    "And they lived happily ever after.",
    "{hero} went [home|to bed] and [slept well|dreamed of tomorrow|was happy].",
    "That was the [best|longest|strangest] day of {hero}'s life.",
    "And {hero} never [forgot that day|forgot {friend}|lost the {thing} again].",
    "The end.",
    "",
]

_CHINESE_TEXT = [
    "[从前|很久以前|有一天]，[森林里|山上|河边|村子里|海边]有一只[小|聪明的|可爱的|胆小的]{kind}，"
    "[它的名字叫|名叫|叫]{hero}。",
    "[{hero}[很喜欢|最爱]吃[苹果|蛋糕|蜂蜜|米饭]。|]",
    "[有一天|一天早上|一个下雨的晚上]，{hero}[遇到了|看见了]一只{other}，名叫{friend}。",
    "[{friend}说：“{hero}，你能帮我吗？”{hero}说：“当然可以。”"
    "|{friend}说：“我很饿。”{hero}就把自己的[苹果|面包]分给了它。"
    "|{hero}丢了[帽子|钥匙|书包]，{friend}帮它找到了。"
    "|{hero}和{friend}比赛跑步，[{hero}赢了|{friend}赢了|它们一起到了终点]。"
    "|{hero}怕黑，{friend}说：“别怕，我陪你。”它们一起走回了家。]",
    "[从此，它们成了好朋友。|后来，{hero}和{friend}每天一起玩。|{hero}高兴地回家了。"
    "|从那以后，{hero}再也不孤单了。]",
]


def _cast(rng: Random, kind: str, hero: str) -> dict[str, str]:
    lead = names.person(rng)
    if hero:
        lead = names.Person(hero, lead.he, lead.him, lead.his)
    friend = names.any_name(rng)
    while friend == lead.name:
        friend = names.any_name(rng)
    slots = lead.slots()
    slots.update(kind=kind, friend=friend)
    return slots


def story_kind(rng: Random) -> str:
    """Choose who a story is about: an animal, a being of fantasy, a child or a worker."""
    drawn = rng.random()
    if drawn < 0.5:
        return rng.choice(tables.ANIMALS)[0]
    if drawn < 0.7:
        return rng.choice(FANTASY)
    return rng.choice(["girl", "boy"]) if drawn < 0.85 else rng.choice(tables.JOBS)[0]


def story(rng: Random, kind: str = "", hero: str = "", full: bool = True) -> str:
    """Tell a story in English; a given kind or hero is kept to."""
    kind = kind or story_kind(rng)
    slots = _cast(rng, kind, hero)
    if kind in ("girl", "boy", "princess", "witch"):
        words = ("he", "him", "his") if kind == "boy" else ("she", "her", "her")
        slots.update(names.Person(slots["hero"], *words).slots())
    slots["trait"] = rng.choice(TRAITS)
    slots["place"] = rng.choice(PLACES)
    slots["food"] = rng.choice(FOODS)
    slots["thing"] = rng.choice(TREASURES)
    slots["other"] = rng.choice([row[0] for row in tables.ANIMALS if row[0] != kind])
    parts = [rng.choice(OPENINGS), rng.choice(LOVES), rng.choice(rng.choice(PLOTS))]
    if full:
        parts.append(rng.choice(ENDINGS))
    told = (expand(rng, part, **slots) for part in parts if part)
    return " ".join(part for part in told if part)


def story_chinese(rng: Random, kind: str = "", hero: str = "") -> str:
    """Tell a story in Chinese about an animal."""
    kind = kind or rng.choice(tables.ANIMALS)[1]
    other = rng.choice([row[1] for row in tables.ANIMALS if row[1] != kind])
    hero = hero or names.chinese_name(rng)
    friend = names.chinese_name(rng)
    while friend == hero:
        friend = names.chinese_name(rng)
    slots = {"kind": kind, "other": other, "hero": hero, "friend": friend}
    return "".join(expand(rng, part, **slots) for part in _CHINESE_TEXT)
