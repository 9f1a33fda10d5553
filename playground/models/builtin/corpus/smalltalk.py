"""Holds small talk, jokes, verses, lists and little programs; it knows no facts.

Every entry pairs wordings of a request with an answer in English and in Chinese.
"""

from random import Random

from .grammar import expand, rows

# requests, one word, answer, requests in Chinese, one word, answer
TALK = rows("""
hello;Hello!;Hi;hi there;Hey;Good day!;hey there|Hello|Hello! How can I help you?;\
Hi! What can I do for you?;Hello! It is nice to meet you.|你好;你好！;您好|你好|\
你好！我能帮你什么忙？
hello,how are you;Hello, how are you?;How are you?;how are you today?;Hi, how are you doing?;\
how are you;Hello how are you;How do you do?|Fine|I am fine, thank you. How are you?;\
Hello! I am very well, thank you. And you?|你好吗？;你好,你好吗;你最近怎么样？|很好|\
我很好，谢谢。你呢？
Good morning!;good morning;Good morning to you|Hello|Good morning! I hope you slept well.;\
Good morning! How can I help you?|早上好！;早安|早安|早上好！希望你睡得好。
Good evening!;good evening|Hello|Good evening! How was your day?|晚上好！|晚上好|\
晚上好！今天过得怎么样？
Good night!;good night|Bye|Good night! Sleep well.;Good night and sweet dreams.|晚安！|晚安|\
晚安！做个好梦。
Goodbye!;Bye;See you later;bye bye;I have to go now.|Bye|Goodbye! It was nice to talk to you.;\
Bye! See you soon.|再见！;拜拜|再见|再见！和你聊天很高兴。
Thank you!;thanks;Thanks a lot!;Thank you very much.;That was helpful.|Gladly|You are welcome!;\
You are welcome. I am happy to help.|谢谢！;多谢;非常感谢|不客气|不客气！
Are you a human?;Are you a person?;Are you a robot?;Are you real?|Model|\
No, I am a tiny language model.;I am not a human. I am a tiny language model.|你是人吗？;\
你是机器人吗？|模型|不，我是一个很小的语言模型。
How old are you?;When were you born?;What is your age?|Young|\
I am a language model, so I have no age.|你多大了？;你几岁？|没有|我是语言模型，没有年龄。
What can you do?;How can you help me?;What do you know?;Help!;help me please;\
What are you good at?|Talk|I can tell stories, write letters, name capitals and explain the \
words of language models.;I can name capitals, tell stories and jokes, and write letters.|\
你会做什么？;你能做什么？;你知道什么？|聊天|我会讲故事、写信、说首都，还会解释语言模型的词。
Who made you?;Where do you come from?;Who trained you?|People|\
I was trained on a small made-up text for this playground.|谁创造了你？;你是谁做的？|人|\
我是用一个小小的自编文本训练出来的。
Are you smart?;Are you clever?;Are you always right?;Can I trust you?|No|\
No, I am tiny, and I am often wrong.;I am only a tiny model, so please do not trust me too much.|\
你聪明吗？;你总是对的吗？|不|我很小，经常会说错。
I am sad.;I feel sad today.;I am not happy.;I feel lonely.|Sorry|\
I am sorry to hear that. Do you want to hear a story?;\
I am sorry. I hope tomorrow will be better.|我很难过。;我不开心。|抱抱|\
听到这个我很难过。你想听一个故事吗？
I am happy.;I feel great!;Today is a good day.;I had a wonderful day.|Great|\
That is wonderful! I am happy for you.|我很高兴。;今天真好。|真好|太好了！我为你高兴。
I am tired.;I am so sleepy.|Sleep|Then you should rest a little. Good night!|我累了。;我好困。|\
休息|那就休息一下吧。
I am hungry.;I want to eat something.|Eat|\
Then eat something good. How about some soup and bread?|我饿了。|吃饭|\
那就吃点好吃的吧，来碗汤怎么样？
I am bored.;I have nothing to do.|Read|Shall I tell you a story or a joke?|我很无聊。|故事|\
要我讲一个故事或者笑话吗？
Do you like music?;Do you like cats?;Do you like me?;Do you like rain?|Yes|\
Yes, I do, as far as a tiny model can like anything.|你喜欢音乐吗？;你喜欢我吗？|喜欢|\
喜欢，只要一个小模型也能喜欢什么。
I love you.;I like you.|Thanks|Thank you! That is very kind of you.|我喜欢你。;我爱你。|谢谢|\
谢谢！你真好。
You are wrong.;That is wrong.;That is not right.|Sorry|\
I am sorry. I am only a tiny model and I am often wrong.|你错了。;不对。|抱歉|\
对不起，我只是一个很小的模型，经常会错。
Say something.;Surprise me.;Tell me something nice.;Cheer me up.|Smile|\
The sun comes up again every morning.;You are doing well, and I am happy that you are here.|\
说点什么。|微笑|每天早上太阳都会升起。
What is your favourite colour?;Which colour do you like best?|Blue|\
I like blue, like the sky and the sea.|你最喜欢什么颜色？|蓝色|我喜欢蓝色，像天空和大海。
Where are you?;Where do you live?|Here|I live in a small file on this computer.|你在哪里？;\
你住在哪里？|这里|我住在这台电脑的一个小文件里。
ok;Okay.;I see.;Good.;Nice!;Great!;Cool.|Great|I am glad. What else can I do for you?|好的。;\
明白了。;好|好|好的，还有什么要帮忙的吗？
""")

JOKES = rows("""
Why did the chicken cross the road? To get to the other side.|鸡为什么要过马路？因为它想去对面。
Why is six afraid of seven? Because seven eight nine.|为什么六害怕七？因为七吃了九。
What do you call a bear without teeth? A gummy bear.|没有牙齿的熊叫什么？软糖熊。
Why did the book go to the doctor? Because it had too many pages.|\
书为什么去看医生？因为它的页太多了。
What has four wheels and flies? A rubbish truck.|什么东西有四个轮子还有苍蝇？垃圾车。
Why do fish live in salt water? Because pepper makes them sneeze.|\
鱼为什么住在盐水里？因为胡椒会让它们打喷嚏。
What did the zero say to the eight? Nice belt!|零对八说了什么？好漂亮的腰带！
Why was the token sad? Because nobody sampled it.|词元为什么难过？因为没有人采样它。
Why did the model cross the road? Because it was the most likely step.|\
模型为什么过马路？因为这一步概率最大。
What do you call a sleeping dinosaur? A dino-snore.|睡着的恐龙叫什么？呼噜龙。
Why was the computer cold? It left its windows open.|电脑为什么冷？因为它没关窗户。
What is brown and sticky? A stick.|什么又棕又直？一根棍子。
""")

HAIKU = rows("""
An old silent pond / A frog jumps into the pond / Splash! Silence again|\
古老的池塘/青蛙跳进水中央/扑通一声响
White snow on the hill / A small bird looks for its food / The winter is long|\
白雪盖山冈/小鸟独自找食粮/冬天多漫长
Moon over the sea / A boat comes home in the night / The waves are singing|\
明月照大海/小船夜里慢慢来/浪花唱起来
Red leaves in the wind / The summer says a goodbye / I drink my hot tea|\
红叶随风飘/夏天轻轻说再见/热茶手中抱
The token is drawn / A thousand roads were open / One road is the text|\
词元抽出来/千条道路都打开/一条成文字
Rain falls on the roof / The cat is asleep by me / The day can wait now|\
雨落屋顶上/小猫睡在我身旁/今天不用忙
""")

POEMS = rows("""
Roses are red, violets are blue, sugar is sweet, and so are you.|\
玫瑰红，紫罗兰蓝，糖是甜的，你也一样。
Roses are red, violets are blue, the sun is yellow, and I think of you.|\
玫瑰红，紫罗兰蓝，太阳是黄的，我想着你。
Roses are red, violets are blue, I am a model, I cannot love you.|\
玫瑰红，紫罗兰蓝，我是模型，我不会爱。
The moon is bright, the night is long, the river sings a quiet song.|\
月亮明，夜晚长，小河轻轻把歌唱。
The cat sat down upon the mat, it saw a mouse, and that was that.|小猫坐在垫子上，看见老鼠追一场。
Snow is falling on the town, softly, softly, coming down.|雪花落在小镇上，轻轻柔柔到处扬。
The little boat goes up and down, it sails from town to town to town.|\
小船上下慢慢摇，从这镇到那镇飘。
""")

# what is asked for, English entries, the same in Chinese
LISTS = rows("""
fruits|apples, bananas, pears, cherries, lemons, berries, oranges|水果|\
苹果、香蕉、梨、樱桃、柠檬、橙子
colours|red, blue, green, yellow, black, white, brown|颜色|红色、蓝色、绿色、黄色、黑色、白色
animals|a fox, a bear, a cat, a dog, a horse, an owl, a rabbit|动物|狐狸、熊、猫、狗、马、猫头鹰
vegetables|carrots, tomatoes, onions, beans, potatoes, peas|蔬菜|胡萝卜、西红柿、洋葱、豆子、土豆
drinks|water, tea, coffee, milk, juice|饮料|水、茶、咖啡、牛奶、果汁
things to wear|a hat, a coat, a scarf, shoes, a shirt|衣服|帽子、大衣、围巾、鞋子、衬衫
cities|Paris, London, Berlin, Rome, Tokyo, Madrid|城市|巴黎、伦敦、柏林、罗马、东京、马德里
jobs|a baker, a teacher, a doctor, a farmer, a pilot|工作|面包师、老师、医生、农民、飞行员
""")

CODE = [
    ("adds two numbers", "def add(a, b):\n    return a + b", "add"),
    ("subtracts two numbers", "def subtract(a, b):\n    return a - b", "subtract"),
    ("multiplies two numbers", "def multiply(a, b):\n    return a * b", "multiply"),
    ("squares a number", "def square(x):\n    return x * x", "square"),
    ("doubles a number", "def double(x):\n    return 2 * x", "double"),
    ("says hello", 'def hello(name):\n    print("Hello, " + name)', "hello"),
    ("prints hello world", 'print("Hello, world!")', "print"),
    (
        "returns the larger of two numbers",
        "def larger(a, b):\n    if a > b:\n        return a\n    return b",
        "larger",
    ),
    (
        "sums a list",
        "def total(numbers):\n    result = 0\n    for number in numbers:\n"
        "        result += number\n    return result",
        "total",
    ),
    ("counts to ten", "for i in range(1, 11):\n    print(i)", "range"),
    ("checks whether a number is even", "def is_even(n):\n    return n % 2 == 0", "is_even"),
    (
        "computes the factorial",
        "def factorial(n):\n    if n == 0:\n        return 1\n    return n * factorial(n - 1)",
        "factorial",
    ),
]

PROVERBS = [
    "Practice makes perfect.",
    "Better late than never.",
    "Actions speak louder than words.",
    "All that glitters is not gold.",
    "The early bird catches the worm.",
    "Too many cooks spoil the broth.",
    "An apple a day keeps the doctor away.",
    "Where there is a will, there is a way.",
    "A friend in need is a friend indeed.",
    "Rome was not built in a day.",
    "Slow and steady wins the race.",
    "When in Rome, do as the Romans do.",
]

DIALOGUES = [
    "{a}: [Hello|Hi|Good morning], {b}! [How are you|How is it going]?\n{b}: [I am fine, thank you"
    "|Very well, {a}|Not so good, {a}]. [And you|How are you]?\n{a}: [I am fine, too."
    "|I am a little tired.|Great!] [Shall we go for a walk|Do you want some tea"
    "|Do you have time]?\n{b}: [Yes, please|With pleasure|Sorry, I have no time], {a}.",
    "{a}: Who are you?\n{b}: [My name is|I am] {b}. [And who are you|What is your name]?\n"
    "{a}: [I am|My name is] {a}.\n{b}: [Nice to meet you|Hello], {a}.\n"
    "{a}: [Nice to meet you, too|Hello], {b}.",
    "{a}: [Have you seen|Where is] my {thing}, {b}?\n{b}: Your {thing}? [It is on the table|I have "
    "not seen it|It is under the bed], {a}.\n{a}: [Thank you|Oh no|Ah, there it is], {b}!",
    "{a}: What did you [eat|cook|buy] today, {b}?\n{b}: [I had some|There was] {food}. "
    "[It was very good|It was too hot|There is some left for you], {a}.\n{a}: I like {food}, too.",
    "hello,how are you?\n[I am fine, thank you. And you?|I am very well, thanks."
    "|Fine, thanks. What about you?]\n[I am fine, too.|Very well, thank you."
    "|I am a bit tired today.]",
]


def entries(rng: Random, row: tuple[str, ...], many: int) -> tuple[str, str]:
    """Draw some entries of a list, in English and in Chinese."""
    english = rng.sample(row[1].split(", "), many)
    chinese = rng.sample(row[3].split("、"), min(many, 5))
    return ", ".join(english[:-1]) + " and " + english[-1], "、".join(chinese)


def dialogue(rng: Random, **slots: str) -> str:
    """Write a short conversation between two named people."""
    return expand(rng, rng.choice(DIALOGUES), **slots)
