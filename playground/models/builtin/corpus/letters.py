"""Writes short letters of several kinds; it does not know whether a user asked for them."""

from dataclasses import dataclass
from random import Random

from . import names, tables
from .grammar import expand, rows

# what happened, in three wordings: a noun, a first-person reason, the same two in Chinese
MISHAPS = rows("""
gardening mishap|I watered your tulips with salt water by mistake|花园里的意外|\
我不小心用盐水浇了你的郁金香
gardening mishap|I cut down your roses because I thought they were weeds|花园里的意外|\
我把你的玫瑰当成杂草剪掉了
gardening mishap|I drove the lawn mower over your young tomatoes|花园里的意外|\
我用割草机压坏了你的西红柿
gardening mishap|I dug up your carrots while I was looking for my keys|花园里的意外|\
我找钥匙的时候挖掉了你的胡萝卜
gardening mishap|I slipped with the hose and flooded your flower bed|花园里的意外|\
我没拿稳水管，淹了你的花坛
kitchen accident|I forgot the soup on the stove and burned your best pot|厨房里的意外|\
我忘了炉子上的汤，烧坏了你最好的锅
kitchen accident|I dropped the cake that you had baked for the party|厨房里的意外|\
我把你为聚会烤的蛋糕掉在了地上
broken window|my ball flew through the glass while we were playing|打破的窗户|\
我们玩的时候，我的球打破了玻璃
broken vase|I knocked it off the table when I turned around|打破的花瓶|\
我转身的时候把它从桌上碰了下来
lost book|I left it on the train on Monday|丢失的书|星期一我把它忘在火车上了
missed meeting|I slept too long and my train was late|错过的会议|我睡过头了，火车也晚点了
forgotten birthday|I wrote down the wrong day|忘记的生日|我记错了日子
late report|my computer broke down last night|迟交的报告|我的电脑昨晚坏了
spilled coffee|I tripped over the cat with the cup in my hand|洒出的咖啡|\
我端着杯子的时候被猫绊倒了
loud party|I did not notice how late it was|吵闹的聚会|我没有注意到已经很晚了
""")
GIFTS = rows("""
book|书
flowers|花
scarf|围巾
cake|蛋糕
picture|画
tea|茶
""")
EVENTS = rows("""
birthday party|生日聚会
dinner|晚饭
picnic|野餐
concert|音乐会
walk in the park|公园散步
wedding|婚礼
""")

APOLOGY = (
    "Subject: [An apology for the {what}|Sorry about the {what}|The {what}]\n\nDear {to},\n\n"
    "[I am very sorry for the {what}|I want to apologize for the {what}|Please forgive me for the "
    "{what}|I am writing to say sorry for the {what}]. [It happened because {why}.|{Why}, and that "
    "is how it happened.|The truth is that {why}.|Let me explain how it happened: {why}.] "
    "[I should have been more careful.|It was my fault.|I feel terrible about it.|I did not mean "
    "to do any harm.]\n\n[I will make it good again|I would like to help you|I promise to be more "
    "careful|Please let me pay for it] [and it will not happen again|this weekend|as soon as I can]"
    ". [I hope that you can forgive me.|I hope that we are still friends."
    "|Please tell me what I can do.]\n\n[Warm regards|Best wishes|Yours"
    "|With apologies|Kind regards],\n{sender}"
)
THANKS = (
    "Subject: [Thank you for the {gift}|Thank you|Your {gift}]\n\nDear {to},\n\n[Thank you very "
    "much for the {gift}|Many thanks for the lovely {gift}|I was so happy about the {gift}]. [It "
    "was a wonderful surprise.|It made my day.|I could not have wished for more.|You are a true "
    "friend.]\n\n[I hope to see you soon.|Please visit me soon.|Let us meet next week.]\n\n"
    "[Warm regards|Best wishes|Yours|Love],\n{sender}"
)
INVITATION = (
    "Subject: [Invitation to a {event}|You are invited|A {event} on {day}]\n\nDear {to},\n\n[I "
    "would like to invite you to a {event} on {day}|Please come to a {event} on {day}|We are "
    "planning a {event} on {day}, and you are invited]. [We begin at {hour} o'clock.|It starts at "
    "{hour}.] [There will be food and music.|Please bring a friend.|Bring warm clothes.|]\n\n[I "
    "hope that you can come.|Please tell me if you can come.|It would be great to see you.]\n\n"
    "[Warm regards|Best wishes|Yours|Love],\n{sender}"
)
CHINESE = {
    "apology": (
        "亲爱的{to}：\n\n[真的很对不起|我要向你道歉|请原谅我]，为了{what}。[事情是这样的：{why}。|原因是{why}。]"
        "[都是我的错。|我应该更小心的。]\n\n[我会尽快补救|以后我一定会小心]，[希望你能原谅我。|希望我们还是朋友。]\n\n{sender}"
    ),
    "thanks": (
        "亲爱的{to}：\n\n[非常感谢你送我的{gift}|谢谢你的{gift}]。[我很喜欢。|这真是一个惊喜。]\n\n"
        "[希望很快见到你。|下次请来我家玩。]\n\n{sender}"
    ),
    "invitation": (
        "亲爱的{to}：\n\n[我想请你参加{event}|请来参加{event}]，时间是{day}。[我们准备了好吃的东西。|会有音乐。]\n\n"
        "[希望你能来。|请告诉我你能不能来。]\n\n{sender}"
    ),
}


@dataclass(frozen=True)
class Letter:
    """A letter in both languages with the request that asks for it."""

    kind: str
    to: str
    what: str
    english: str
    chinese: str


def letter(rng: Random, kind: str = "", to: str = "", sender: str = "") -> Letter:
    """Write a letter; a given kind, addressee or sender is kept to."""
    kind = kind or rng.choice(["apology", "apology", "thanks", "invitation"])
    to = to or names.any_name(rng, 0.4)
    sender = sender or names.any_name(rng, 0.2)
    if kind == "apology":
        # The gardening mishap is offered by the page as an example, so it comes up most.
        mishap = rng.choice(MISHAPS[:5] if rng.random() < 0.4 else MISHAPS)
        what, why, what_zh, why_zh = mishap
        english = {"what": what, "why": why, "Why": why[0].upper() + why[1:]}
        chinese = {"what": what_zh, "why": why_zh}
        template = APOLOGY
    elif kind == "thanks":
        what, what_zh = rng.choice(GIFTS)
        english, chinese, template = {"gift": what}, {"gift": what_zh}, THANKS
    else:
        what, what_zh = rng.choice(EVENTS)
        day = rng.randrange(7)
        hours = ["five", "six", "seven", "eight"]
        english = {"event": what, "day": tables.DAYS[day], "hour": rng.choice(hours)}
        chinese = {"event": what_zh, "day": tables.DAYS_CHINESE[day]}
        template = INVITATION
    return Letter(
        kind,
        to,
        what,
        expand(rng, template, to=to, sender=sender, **english),
        expand(rng, CHINESE[kind], to=to, sender=sender, **chinese),
    )
