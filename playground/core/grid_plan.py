"""In which order a grid runs, and how long that may take as far as it was measured; runs nothing.

Cells go by model, so that each is loaded once, and within a model by prompt, so that those who read
the same text follow each other and share its prefix in the KV cache.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from playground.core.grid import Cell
from playground.core.prompt import Chat
from playground.core.run import ModelSpec


@dataclass(frozen=True, slots=True)
class Stretch:
    """The cells of one model, in the order in which they run."""

    model: ModelSpec
    cells: tuple[Cell, ...]

    @property
    def tokens(self) -> int:
        """New tokens of its cells together, at most."""
        return sum(cell.run.decoding.max_new_tokens for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of a model: new tokens a second of all its runs together, the seconds that
    it took to load, and how many tokens a run came to of those that it might write (0 to 1). None
    where nothing was measured."""

    tokens_per_second: float | None = None
    load_seconds: float | None = None
    written: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many seconds are left for the models that were measured, and which were not."""

    seconds: float
    unknown: tuple[ModelSpec, ...] = ()


def plan(cells: Iterable[Cell], ready: Collection[ModelSpec] = ()) -> tuple[Stretch, ...]:
    """Every cell once: models that are ``ready`` first, else in the order of their first cells,
    adapters beside their base; then by system prompt and prompt."""
    models: dict[ModelSpec, dict[ModelSpec, list[Cell]]] = {}
    for cell in cells:
        model = cell.run.model
        models.setdefault(model.base, {}).setdefault(model, []).append(cell)
    loaded = {model.base for model in ready}
    bases = sorted(models, key=lambda base: base not in loaded)
    return tuple(Stretch(model, _by_prompt(mine))
                 for base in bases for model, mine in models[base].items())


def _by_prompt(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Equal prompts beside each other, those with one system prompt too; else as they came."""
    systems: dict[object, int] = {}
    prompts: dict[object, int] = {}
    for cell in cells:
        systems.setdefault(_system(cell), len(systems))
        prompts.setdefault(cell.run.prompt, len(prompts))
    return tuple(sorted(cells, key=lambda c: (systems[_system(c)], prompts[c.run.prompt])))


def _system(cell: Cell) -> str:
    prompt = cell.run.prompt
    if isinstance(prompt, Chat) and prompt.messages[0].role == "system":
        return prompt.messages[0].content
    return ""


def estimate(
    stretches: Iterable[Stretch], speeds: Mapping[ModelSpec, Speed],
    ready: Collection[ModelSpec] = (),
) -> Estimate:
    """How long these cells may take. A model whose speed was not measured, or one that must be
    loaded and never was, adds nothing and is named: no number is made up."""
    seconds, unknown = 0.0, []
    for stretch in stretches:
        speed = speeds.get(stretch.model, Speed())
        load = 0.0 if stretch.model in ready else speed.load_seconds
        if not stretch.cells:
            continue
        if not speed.tokens_per_second or load is None:
            unknown.append(stretch.model)
            continue
        share = 1.0 if speed.written is None else speed.written
        seconds += load + stretch.tokens * share / speed.tokens_per_second
    return Estimate(seconds, tuple(unknown))
