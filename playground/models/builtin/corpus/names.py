"""Lists known names and invents new ones; it does not know who bears them.

Invented names never repeat often enough to be learnt, so a model can only copy them.
"""

from dataclasses import dataclass
from random import Random

from .grammar import words

GIRLS = words(
    "Mia Sarah Anna Lily Emma Lucy Nora Ruth Rosa Clara Ella Grace Alice Maria Julia Sofia Ivy "
    "Hannah Eva Laura Amy Kate Jane Zoe Nina Olga Tina Wendy Molly Daisy Zara Luna Bella Carmen "
    "Diana Fiona Helen Irene Karen Linda Mary Olivia Paula Rita Stella Vera"
)
BOYS = words(
    "Tom Max Ben Sam Leo Jack Paul Peter David Daniel Oscar Hugo Felix Adam Eric Frank George "
    "Henry Ian James Kevin Luke Mark Nick Oliver Robert Simon Theo Victor Walter Carlos Ahmed "
    "Ravi Omar Bob Charlie Alex Noah Liam Finn Toby Rex Bruno Otto Ivan Hans Pablo Ali John"
)
CHINESE = words(
    "小明 小红 小华 小丽 小刚 小美 小龙 小雨 小月 阿宝 阿强 李明 王芳 张伟 陈静 林娜 乐乐"
)
SURNAMES = words("Smith Brown Green Miller Baker Hill Wood Stone Lake Fisher King Young White Bell")

_ONSETS = words(
    "b br c ch d dr f fl g gr h j k kl kr l m n p pl qu r s sh st t th tr v w y z zh bl sk"
)
_VOWELS = words("a e i o u a e i o ai ee oo ia au")
_CODAS = ["", "", "", "", "n", "r", "l", "s", "k", "m", "x", "th", "rn", "d", "p", "ck"]
_CHINESE_GIVEN = (
    "安北晨大冬风高光海河红花江金兰亮林玲梅明木宁平青秋山石水天文西夏小星雪阳叶玉云竹子"
)


@dataclass(frozen=True)
class Person:
    """A name together with the pronouns that go with it."""

    name: str
    he: str
    him: str
    his: str

    def slots(self) -> dict[str, str]:
        """Return the slots a template may use for this person."""
        return {
            "hero": self.name,
            "he": self.he,
            "He": self.he.capitalize(),
            "him": self.him,
            "his": self.his,
            "His": self.his.capitalize(),
        }


def invented(rng: Random) -> str:
    """Make up a name of one to three syllables, such as Drelka or Voon."""
    syllables = rng.choice((1, 2, 2, 2, 3))
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)]
    return ("".join(parts) + rng.choice(_CODAS)).capitalize()


def any_name(rng: Random, share_invented: float = 0.5) -> str:
    """Return a known or an invented name."""
    return invented(rng) if rng.random() < share_invented else rng.choice(GIRLS + BOYS)


def chinese_name(rng: Random) -> str:
    """Return a known Chinese name or one put together from single characters."""
    if rng.random() < 0.4:
        return rng.choice(CHINESE)
    return rng.choice("小阿大老") + rng.choice(_CHINESE_GIVEN)


def person(rng: Random, share_invented: float = 0.5) -> Person:
    """Return a person whose name and pronouns agree."""
    girl = rng.random() < 0.5
    name = rng.choice(GIRLS if girl else BOYS)
    if rng.random() < share_invented:
        name = invented(rng)
    return Person(name, "she", "her", "her") if girl else Person(name, "he", "him", "his")


def two_names(rng: Random, share_invented: float = 0.5) -> tuple[str, str]:
    """Return two different names."""
    first = any_name(rng, share_invented)
    second = any_name(rng, share_invented)
    while second == first:
        second = any_name(rng, share_invented)
    return first, second
