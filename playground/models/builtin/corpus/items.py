"""Says how often each topic is asked about and draws items; it does not know their wordings."""

from collections.abc import Callable
from random import Random

from . import geography, knowledge, tasks
from .item import Item

# How often each topic is asked about.
TOPICS: dict[Callable[[Random], Item], float] = {
    geography.capital: 16,
    geography.country: 3,
    geography.language: 2,
    geography.continent: 2,
    knowledge.chinese_work: 9,
    knowledge.book: 5,
    knowledge.opposite: 4,
    knowledge.colour: 3,
    knowledge.animal: 3,
    knowledge.job: 2,
    knowledge.calendar: 3,
    knowledge.small_sum: 3,
    knowledge.general: 6,
    knowledge.term: 9,
    tasks.story: 8,
    tasks.letter: 5,
    tasks.talk: 7,
    tasks.fun: 4,
    tasks.listing: 2,
    tasks.code: 2,
    tasks.counting: 2,
    tasks.not_known: 16,
}


def item(rng: Random) -> Item:
    """Draw an item of any topic."""
    return rng.choices(list(TOPICS), list(TOPICS.values()))[0](rng)
