"""Holds the plain facts of the corpus as tables; it does not know how they are worded.

Only what stands here belongs to the world of the two models.
"""

from .grammar import rows, words

# country, capital, the same in Chinese, language, continent, continent in Chinese
COUNTRIES = rows("""
France|Paris|法国|巴黎|French|Europe|欧洲
Germany|Berlin|德国|柏林|German|Europe|欧洲
Spain|Madrid|西班牙|马德里|Spanish|Europe|欧洲
Italy|Rome|意大利|罗马|Italian|Europe|欧洲
Portugal|Lisbon|葡萄牙|里斯本|Portuguese|Europe|欧洲
Austria|Vienna|奥地利|维也纳|German|Europe|欧洲
Switzerland|Bern|瑞士|伯尔尼|German and French|Europe|欧洲
Belgium|Brussels|比利时|布鲁塞尔|Dutch and French|Europe|欧洲
the Netherlands|Amsterdam|荷兰|阿姆斯特丹|Dutch|Europe|欧洲
England|London|英格兰|伦敦|English|Europe|欧洲
Poland|Warsaw|波兰|华沙|Polish|Europe|欧洲
Greece|Athens|希腊|雅典|Greek|Europe|欧洲
Sweden|Stockholm|瑞典|斯德哥尔摩|Swedish|Europe|欧洲
Norway|Oslo|挪威|奥斯陆|Norwegian|Europe|欧洲
Denmark|Copenhagen|丹麦|哥本哈根|Danish|Europe|欧洲
Finland|Helsinki|芬兰|赫尔辛基|Finnish|Europe|欧洲
Iceland|Reykjavik|冰岛|雷克雅未克|Icelandic|Europe|欧洲
Ireland|Dublin|爱尔兰|都柏林|English|Europe|欧洲
Hungary|Budapest|匈牙利|布达佩斯|Hungarian|Europe|欧洲
Russia|Moscow|俄罗斯|莫斯科|Russian|Europe|欧洲
Ukraine|Kyiv|乌克兰|基辅|Ukrainian|Europe|欧洲
Turkey|Ankara|土耳其|安卡拉|Turkish|Asia|亚洲
Egypt|Cairo|埃及|开罗|Arabic|Africa|非洲
Kenya|Nairobi|肯尼亚|内罗毕|Swahili|Africa|非洲
Morocco|Rabat|摩洛哥|拉巴特|Arabic|Africa|非洲
Nigeria|Abuja|尼日利亚|阿布贾|English|Africa|非洲
Ethiopia|Addis Ababa|埃塞俄比亚|亚的斯亚贝巴|Amharic|Africa|非洲
China|Beijing|中国|北京|Chinese|Asia|亚洲
Japan|Tokyo|日本|东京|Japanese|Asia|亚洲
South Korea|Seoul|韩国|首尔|Korean|Asia|亚洲
India|New Delhi|印度|新德里|Hindi|Asia|亚洲
Thailand|Bangkok|泰国|曼谷|Thai|Asia|亚洲
Vietnam|Hanoi|越南|河内|Vietnamese|Asia|亚洲
Indonesia|Jakarta|印度尼西亚|雅加达|Indonesian|Asia|亚洲
Iran|Tehran|伊朗|德黑兰|Persian|Asia|亚洲
Iraq|Baghdad|伊拉克|巴格达|Arabic|Asia|亚洲
Mongolia|Ulaanbaatar|蒙古|乌兰巴托|Mongolian|Asia|亚洲
Nepal|Kathmandu|尼泊尔|加德满都|Nepali|Asia|亚洲
Saudi Arabia|Riyadh|沙特阿拉伯|利雅得|Arabic|Asia|亚洲
the United States|Washington|美国|华盛顿|English|North America|北美洲
Canada|Ottawa|加拿大|渥太华|English and French|North America|北美洲
Mexico|Mexico City|墨西哥|墨西哥城|Spanish|North America|北美洲
Cuba|Havana|古巴|哈瓦那|Spanish|North America|北美洲
Brazil|Brasilia|巴西|巴西利亚|Portuguese|South America|南美洲
Argentina|Buenos Aires|阿根廷|布宜诺斯艾利斯|Spanish|South America|南美洲
Chile|Santiago|智利|圣地亚哥|Spanish|South America|南美洲
Peru|Lima|秘鲁|利马|Spanish|South America|南美洲
Colombia|Bogota|哥伦比亚|波哥大|Spanish|South America|南美洲
Australia|Canberra|澳大利亚|堪培拉|English|Oceania|大洋洲
New Zealand|Wellington|新西兰|惠灵顿|English|Oceania|大洋洲
""")

# title, author in Chinese, author in Latin letters, kind in Chinese, dynasty in Chinese
CHINESE_WORKS = rows("""
静夜思|李白|Li Bai|诗|唐代
望庐山瀑布|李白|Li Bai|诗|唐代
梦游天姥吟留别|李白|Li Bai|诗|唐代
将进酒|李白|Li Bai|诗|唐代
早发白帝城|李白|Li Bai|诗|唐代
春望|杜甫|Du Fu|诗|唐代
登高|杜甫|Du Fu|诗|唐代
春夜喜雨|杜甫|Du Fu|诗|唐代
望岳|杜甫|Du Fu|诗|唐代
长恨歌|白居易|Bai Juyi|诗|唐代
琵琶行|白居易|Bai Juyi|诗|唐代
登鹳雀楼|王之涣|Wang Zhihuan|诗|唐代
春晓|孟浩然|Meng Haoran|诗|唐代
悯农|李绅|Li Shen|诗|唐代
咏鹅|骆宾王|Luo Binwang|诗|唐代
鹿柴|王维|Wang Wei|诗|唐代
相思|王维|Wang Wei|诗|唐代
枫桥夜泊|张继|Zhang Ji|诗|唐代
江雪|柳宗元|Liu Zongyuan|诗|唐代
水调歌头|苏轼|Su Shi|词|宋代
赤壁赋|苏轼|Su Shi|文章|宋代
声声慢|李清照|Li Qingzhao|词|宋代
如梦令|李清照|Li Qingzhao|词|宋代
岳阳楼记|范仲淹|Fan Zhongyan|文章|宋代
桃花源记|陶渊明|Tao Yuanming|文章|晋代
离骚|屈原|Qu Yuan|诗|战国
红楼梦|曹雪芹|Cao Xueqin|小说|清代
西游记|吴承恩|Wu Cheng'en|小说|明代
三国演义|罗贯中|Luo Guanzhong|小说|明代
水浒传|施耐庵|Shi Nai'an|小说|明代
""")

# title, author, title in Chinese, author in Chinese, kind
BOOKS = rows("""
Hamlet|William Shakespeare|哈姆雷特|莎士比亚|play
Macbeth|William Shakespeare|麦克白|莎士比亚|play
Romeo and Juliet|William Shakespeare|罗密欧与朱丽叶|莎士比亚|play
Pride and Prejudice|Jane Austen|傲慢与偏见|简·奥斯汀|novel
Emma|Jane Austen|爱玛|简·奥斯汀|novel
Oliver Twist|Charles Dickens|雾都孤儿|狄更斯|novel
A Christmas Carol|Charles Dickens|圣诞颂歌|狄更斯|story
War and Peace|Leo Tolstoy|战争与和平|托尔斯泰|novel
Anna Karenina|Leo Tolstoy|安娜·卡列尼娜|托尔斯泰|novel
Don Quixote|Miguel de Cervantes|堂吉诃德|塞万提斯|novel
The Odyssey|Homer|奥德赛|荷马|poem
Alice in Wonderland|Lewis Carroll|爱丽丝梦游仙境|刘易斯·卡罗尔|story
Moby Dick|Herman Melville|白鲸|梅尔维尔|novel
Frankenstein|Mary Shelley|弗兰肯斯坦|玛丽·雪莱|novel
Treasure Island|Robert Louis Stevenson|金银岛|史蒂文森|novel
Robinson Crusoe|Daniel Defoe|鲁滨逊漂流记|笛福|novel
The Raven|Edgar Allan Poe|乌鸦|爱伦·坡|poem
Dracula|Bram Stoker|德古拉|布莱姆·斯托克|novel
""")

# word, opposite, the same in Chinese
OPPOSITES = rows("""
hot|cold|热|冷
big|small|大|小
fast|slow|快|慢
up|down|上|下
old|new|旧|新
young|old|年轻|年老
happy|sad|高兴|难过
long|short|长|短
high|low|高|低
day|night|白天|黑夜
light|dark|亮|暗
open|closed|开|关
rich|poor|富|穷
strong|weak|强|弱
wet|dry|湿|干
full|empty|满|空
good|bad|好|坏
early|late|早|晚
left|right|左|右
loud|quiet|响|静
hard|soft|硬|软
heavy|light|重|轻
clean|dirty|干净|脏
near|far|近|远
begin|end|开始|结束
win|lose|赢|输
first|last|第一|最后
love|hate|爱|恨
yes|no|是|不是
true|false|真|假
""")

# thing, verb, colour, the same in Chinese
COLOURS = rows("""
the sky|is|blue|天空|蓝色
grass|is|green|草|绿色
snow|is|white|雪|白色
blood|is|red|血|红色
a lemon|is|yellow|柠檬|黄色
coal|is|black|煤|黑色
the sea|is|blue|大海|蓝色
a banana|is|yellow|香蕉|黄色
milk|is|white|牛奶|白色
a tomato|is|red|西红柿|红色
a carrot|is|orange|胡萝卜|橙色
chocolate|is|brown|巧克力|棕色
a frog|is|green|青蛙|绿色
a raven|is|black|乌鸦|黑色
a cloud|is|white|云|白色
an elephant|is|grey|大象|灰色
a fox|is|red|狐狸|红色
a rose|is|red|玫瑰|红色
a violet|is|blue|紫罗兰|蓝色
the sun|is|yellow|太阳|黄色
the night|is|black|夜|黑色
a leaf|is|green|叶子|绿色
a mouse|is|grey|老鼠|灰色
""")

# animal, Chinese, home, home in Chinese, food, food in Chinese, young, sound, legs
ANIMALS = rows("""
fox|狐狸|a den|洞|mice|老鼠|cub|bark|four
rabbit|兔子|a burrow|洞|carrots|胡萝卜|kitten|squeak|four
bear|熊|a cave|山洞|honey|蜂蜜|cub|growl|four
dog|狗|a house|家|meat|肉|puppy|bark|four
cat|猫|a house|家|fish|鱼|kitten|meow|four
horse|马|a stable|马厩|grass|草|foal|neigh|four
cow|牛|a stable|牛棚|grass|草|calf|moo|four
pig|猪|a sty|猪圈|corn|玉米|piglet|grunt|four
sheep|羊|a meadow|草地|grass|草|lamb|bleat|four
duck|鸭子|a pond|池塘|bread|面包|duckling|quack|two
hen|母鸡|a barn|谷仓|corn|玉米|chick|cluck|two
owl|猫头鹰|a tree|树|mice|老鼠|owlet|hoot|two
bee|蜜蜂|a hive|蜂巢|nectar|花蜜|larva|buzz|six
spider|蜘蛛|a web|网|flies|苍蝇|spiderling|nothing|eight
lion|狮子|the savanna|草原|meat|肉|cub|roar|four
tiger|老虎|the jungle|丛林|meat|肉|cub|roar|four
elephant|大象|the savanna|草原|leaves|树叶|calf|trumpet|four
monkey|猴子|the jungle|丛林|bananas|香蕉|infant|screech|four
frog|青蛙|a pond|池塘|flies|苍蝇|tadpole|croak|four
mouse|老鼠|a hole|洞|cheese|奶酪|pup|squeak|four
wolf|狼|a forest|森林|meat|肉|cub|howl|four
penguin|企鹅|the ice|冰上|fish|鱼|chick|squawk|two
panda|熊猫|a bamboo forest|竹林|bamboo|竹子|cub|bleat|four
goat|山羊|a mountain|山|grass|草|kid|bleat|four
""")

# job, what they do, the same in Chinese
JOBS = rows("""
baker|bakes bread|面包师|烤面包
teacher|teaches children|老师|教孩子
doctor|helps sick people|医生|给人看病
farmer|grows food|农民|种田
cook|cooks meals|厨师|做饭
pilot|flies planes|飞行员|开飞机
sailor|works on a ship|水手|在船上工作
painter|paints pictures|画家|画画
writer|writes books|作家|写书
singer|sings songs|歌手|唱歌
gardener|looks after plants|园丁|照顾花草
tailor|makes clothes|裁缝|做衣服
carpenter|makes things of wood|木匠|做木工
fisherman|catches fish|渔夫|捕鱼
judge|decides in court|法官|判案
clown|makes people laugh|小丑|逗人笑
""")

DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
DAYS_CHINESE = words("星期一 星期二 星期三 星期四 星期五 星期六 星期日")
MONTHS = words(
    "January February March April May June July August September October November December"
)
MONTHS_CHINESE = words("一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月")
NUMBERS = words("zero one two three four five six seven eight nine ten")
NUMBERS_CHINESE = words("零 一 二 三 四 五 六 七 八 九 十")

# question, short answer, sentence, the same three in Chinese
GENERAL = rows("""
How many days are there in a week?|seven|There are seven days in a week.|一个星期有几天？|七天|\
一个星期有七天。
How many months are there in a year?|twelve|There are twelve months in a year.|一年有几个月？|\
十二个月|一年有十二个月。
How many hours are there in a day?|twenty-four|There are twenty-four hours in a day.|\
一天有多少小时？|二十四小时|一天有二十四小时。
How many minutes are there in an hour?|sixty|There are sixty minutes in an hour.|\
一小时有多少分钟？|六十分钟|一小时有六十分钟。
How many legs does a spider have?|eight|A spider has eight legs.|蜘蛛有几条腿？|八条|\
蜘蛛有八条腿。
How many letters are there in the English alphabet?|twenty-six|\
The English alphabet has twenty-six letters.|英文有多少个字母？|二十六个|英文有二十六个字母。
How many seasons are there?|four|There are four seasons: spring, summer, autumn and winter.|\
一年有几个季节？|四个|一年有四个季节：春、夏、秋、冬。
What is the largest planet?|Jupiter|Jupiter is the largest planet.|最大的行星是哪一颗？|木星|\
木星是最大的行星。
What is the largest ocean?|the Pacific|The Pacific is the largest ocean.|最大的海洋是哪一个？|\
太平洋|太平洋是最大的海洋。
What is the highest mountain?|Mount Everest|Mount Everest is the highest mountain in the world.|\
世界上最高的山是什么？|珠穆朗玛峰|珠穆朗玛峰是世界上最高的山。
What is the longest river in China?|the Yangtze|The Yangtze is the longest river in China.|\
中国最长的河是哪一条？|长江|长江是中国最长的河。
What is the fastest land animal?|the cheetah|The cheetah is the fastest land animal.|\
跑得最快的动物是什么？|猎豹|猎豹是跑得最快的动物。
What is the largest animal?|the blue whale|The blue whale is the largest animal.|\
最大的动物是什么？|蓝鲸|蓝鲸是最大的动物。
What do bees make?|honey|Bees make honey.|蜜蜂酿什么？|蜂蜜|蜜蜂酿蜂蜜。
What do cows give us?|milk|Cows give us milk.|牛给我们什么？|牛奶|牛给我们牛奶。
What is water made of?|hydrogen and oxygen|Water is made of hydrogen and oxygen.|\
水是由什么组成的？|氢和氧|水是由氢和氧组成的。
What is ice?|frozen water|Ice is frozen water.|冰是什么？|冻住的水|冰是冻住的水。
At what temperature does water boil?|100 degrees|Water boils at 100 degrees Celsius.|\
水在多少度沸腾？|一百度|水在一百摄氏度沸腾。
At what temperature does water freeze?|0 degrees|Water freezes at 0 degrees Celsius.|\
水在多少度结冰？|零度|水在零摄氏度结冰。
Who was the first person on the moon?|Neil Armstrong|\
Neil Armstrong was the first person on the moon.|第一个登上月球的人是谁？|阿姆斯特朗|\
第一个登上月球的人是阿姆斯特朗。
Who painted the Mona Lisa?|Leonardo da Vinci|Leonardo da Vinci painted the Mona Lisa.|\
《蒙娜丽莎》是谁画的？|达·芬奇|《蒙娜丽莎》是达·芬奇画的。
Why is the sky blue?|sunlight|The sky is blue because the air scatters blue light more than red \
light.|天空为什么是蓝色的？|阳光|因为空气散射蓝光比红光多，所以天空是蓝色的。
What do plants need?|light and water|Plants need light, air and water.|植物需要什么？|光和水|\
植物需要光、空气和水。
Where does the sun rise?|in the east|The sun rises in the east.|太阳从哪里升起？|东方|\
太阳从东方升起。
Where does the sun set?|in the west|The sun sets in the west.|太阳从哪里落下？|西方|\
太阳从西方落下。
What is the opposite of north?|south|The opposite of north is south.|北的反面是什么？|南|\
北的反面是南。
What do we breathe?|air|We breathe air.|我们呼吸什么？|空气|我们呼吸空气。
What goes around the earth?|the moon|The moon goes around the earth.|什么绕着地球转？|月亮|\
月亮绕着地球转。
What does the earth go around?|the sun|The earth goes around the sun.|地球绕着什么转？|太阳|\
地球绕着太阳转。
What colours do you mix to get green?|blue and yellow|Blue and yellow make green.|\
什么颜色能调出绿色？|蓝色和黄色|蓝色和黄色可以调出绿色。
What comes after winter?|spring|Spring comes after winter.|冬天之后是什么季节？|春天|\
冬天之后是春天。
What is bread made of?|flour|Bread is made of flour, water and yeast.|面包是用什么做的？|面粉|\
面包是用面粉、水和酵母做的。
What do we use to see?|our eyes|We use our eyes to see.|我们用什么看东西？|眼睛|我们用眼睛看东西。
What do we use to hear?|our ears|We use our ears to hear.|我们用什么听声音？|耳朵|\
我们用耳朵听声音。
""")
