"""Which columns of one request run together and which after one another; it starts nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from playground.core.run import ModelSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """The rounds of a request, one after the other.

    Each round is the models that are in memory at the same time, with the numbers (from 0) of the
    columns that each of them decodes. ``need`` are the bytes that all of them would take together,
    ``capacity`` those that there are.
    """

    rounds: tuple[tuple[tuple[ModelSpec, tuple[int, ...]], ...], ...]
    need: int
    capacity: int

    @property
    def takes_turns(self) -> bool:
        """Whether some columns wait until others are over."""
        return len(self.rounds) > 1


def plan_rounds(
    models: Sequence[ModelSpec], needs: Mapping[ModelSpec, int], ready: Collection[ModelSpec],
    capacity: int,
) -> Plan:
    """The fewest rounds that keep the order of the columns.

    ``models`` is that of each column, ``needs`` the bytes of each base (0 where they are not
    known). A model that is ``ready`` goes first, so that it is not ended for another. One that
    would not even fit alone is refused when its turn comes, so it keeps nobody waiting.
    """
    columns: dict[ModelSpec, tuple[int, ...]] = {}
    for number, spec in enumerate(models):
        columns[spec] = (*columns.get(spec, ()), number)
    rounds: list[dict[ModelSpec, tuple[int, ...]]] = []
    for spec in sorted(columns, key=lambda one: one not in ready):
        together = {*rounds[-1], spec} if rounds else set()
        if not rounds or _bytes(together, needs, capacity) > capacity:
            rounds.append({})
        rounds[-1][spec] = columns[spec]
    return Plan(
        tuple(tuple(one.items()) for one in rounds), _bytes(set(columns), needs, capacity), capacity
    )


def _bytes(models: set[ModelSpec], needs: Mapping[ModelSpec, int], capacity: int) -> int:
    """Of all models that could fit, adapters on one base counted once."""
    found = [needs.get(base, 0) for base in {spec.base for spec in models}]
    return sum(one for one in found if one <= capacity)
