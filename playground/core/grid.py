"""An experiment as a grid: axes that are crossed, and the cells that come of it; it runs nothing.

Prompts, with variables filled from the rows of a table, × system prompts × models × strategies ×
seeds. A cell is a ``Run`` and where in the grid it stands; its identity is a hash of the run, so
that a cell whose run has not changed is known again in the next grid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from playground.core.decoding import Decoding
from playground.core.plain import to_text
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.core.table import Table
from playground.core.variables import fill, variables
from playground.errors import InvalidInput

LONGEST_TOGETHER = 6_000_000  # characters of all cells' prompts: a table can multiply a short text


@dataclass(frozen=True, slots=True)
class Strategy:
    """Decoding settings under the name that a reader knows them by."""

    name: str
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class Axes:
    """What is crossed. ``systems`` are system prompts, "" for none; both they and ``prompts`` may
    hold ``{variables}``, for which ``table`` has a column each.

    With ``chat`` a prompt is the user's turn, through the model's chat template; without, a text
    to continue. Raises InvalidInput for an empty axis, one value twice, and a system prompt
    without ``chat``.
    """

    prompts: tuple[str, ...]
    models: tuple[ModelSpec, ...]
    strategies: tuple[Strategy, ...]
    seeds: tuple[int, ...] = (0,)
    systems: tuple[str, ...] = ("",)
    table: Table | None = None
    chat: bool = False
    control_tokens: bool = False

    def __post_init__(self) -> None:
        axes: tuple[tuple[str, str, Sequence[object]], ...] = (
            ("prompts", "prompt", self.prompts),
            ("models", "model", self.models),
            ("strategies", "strategy", [one.name for one in self.strategies]),
            ("seeds", "seed", self.seeds),
            ("systems", "system prompt", self.systems),
        )
        for field, word, values in axes:
            if not values:
                raise InvalidInput(f"A grid needs a {word}, at least one.", field=field)
            if len(set(values)) < len(values):
                seen: set[object] = set()
                # set.add gives None, so this is the first value that was there before.
                twice = next(one for one in values if one in seen or seen.add(one))  # type: ignore[func-returns-value]
                name = twice.label if isinstance(twice, ModelSpec) else twice
                raise InvalidInput(f"The {word} “{name}” stands there twice.", field=field,
                                   given=name, advice="Take one of them out.")
        if not self.chat and any(self.systems):
            raise InvalidInput(
                "A text that is continued as it stands has no system prompt.", field="systems",
                advice="Choose the chat template, or empty the system prompts.",
            )


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a cell stands: the place of its value on each axis, counted from 0.

    ``row`` is that of the table, None for a prompt that has no variables; ``seed`` is the number
    itself, None under a strategy that draws nothing.
    """

    prompt: int
    row: int | None
    system: int
    model: int
    strategy: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a grid, where it stands, and the hash that knows it again."""

    at: Coordinates
    run: Run
    identity: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Axes and their cells. ``notes`` say in sentences what was left out and why."""

    axes: Axes
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """New tokens of all cells together, at most."""
        return sum(cell.run.decoding.max_new_tokens for cell in self.cells)


def identity(run: Run) -> str:
    """A hash of everything in a run: equal runs have the same one, others do not."""
    told = {**asdict(run), "prompt": [type(run.prompt).__name__, asdict(run.prompt)]}
    text = to_text(_whole(told))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def _whole(value: Any) -> Any:
    """A number that is whole is one number, however it was written: 1 equals 1.0."""
    if isinstance(value, Mapping):
        return {str(key): _whole(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def expand(axes: Axes, most_cells: int, most_tokens: int, longest: int) -> Grid:
    """The cells of a grid, system prompts and prompts outermost, so that those who share a text
    stand together. A strategy that draws nothing runs once, whatever seeds there are, and cells
    that would ask the same are one.

    Raises InvalidInput for a variable without a column, more cells or new tokens in all than these
    bounds, and a prompt of more than ``longest`` characters.
    """
    count = _texts(axes) * len(axes.models) * sum(_dice(axes))
    if count > most_cells:
        raise InvalidInput(
            f"This grid has {count:,} cells; here it may have up to {most_cells:,}.",
            field="cells", given=count, allowed=f"up to {most_cells}",
            advice="Take values out of an axis.",
        )
    used = {(s, p): _used(axes, s, p) for s in range(len(axes.systems))
            for p in range(len(axes.prompts))}
    cells: dict[str, Cell] = {}
    for at, prompt in _prompts(axes, used, longest):
        for cell in _cells(axes, at, prompt):
            cells.setdefault(cell.identity, cell)
    grid = Grid(axes, tuple(cells.values()), tuple(_notes(axes, used, count - len(cells))))
    if grid.tokens > most_tokens:
        raise InvalidInput(
            f"This grid may write {grid.tokens:,} new tokens; here it may be {most_tokens:,}.",
            field="cells", given=grid.tokens, allowed=f"up to {most_tokens} tokens in all",
            advice="Ask for fewer new tokens, or take values out of an axis.",
        )
    return grid


Pair = tuple[int, int]
Texts = tuple[int, int, int | None]  # system, prompt, row


def _texts(axes: Axes) -> int:
    """How many texts are asked, counted without making a pair of them: two boxes full of short
    paragraphs have millions."""
    plain = [sum(not variables(text) for text in axis) for axis in (axes.systems, axes.prompts)]
    pairs, fixed = len(axes.systems) * len(axes.prompts), plain[0] * plain[1]
    return fixed + (pairs - fixed) * (len(axes.table.rows) if axes.table else 1)


def _dice(axes: Axes) -> list[int]:
    """For each strategy, how many seeds make a difference to it."""
    return [len(axes.seeds) if one.decoding.draws else 1 for one in axes.strategies]


def _used(axes: Axes, system: int, prompt: int) -> tuple[str, ...]:
    """The variables of a system prompt and a prompt together."""
    names = (*variables(axes.systems[system]), *variables(axes.prompts[prompt]))
    if names and axes.table is None:
        raise InvalidInput(
            f"There is no table with a column “{names[0]}” for {{{names[0]}}}.", field="table",
            given=names[0],
            advice="Paste a table, or write {{ and }} for braces that are no variable.",
        )
    return tuple(dict.fromkeys(names))


def _prompts(
    axes: Axes, used: Mapping[Pair, tuple[str, ...]], longest: int
) -> Iterator[tuple[Texts, Prompt]]:
    """Each text that is asked, filled in."""
    together, each = 0, len(axes.models) * sum(_dice(axes))
    for (system, prompt), names in used.items():
        numbers = range(len(axes.table.rows)) if names and axes.table else (None,)
        for row in numbers:
            values = {} if row is None or axes.table is None else axes.table.row(row)
            told = fill(axes.systems[system], values, longest)
            asked = fill(axes.prompts[prompt], values, longest)
            together += each * (len(told) + len(asked))
            if together > LONGEST_TOGETHER:
                raise InvalidInput(
                    "The prompts of this grid, filled in, are too long together.", field="prompts",
                    given=f"more than {LONGEST_TOGETHER:,} characters",
                    allowed=f"up to {LONGEST_TOGETHER:,} characters", advice="Use fewer rows.",
                )
            yield (system, prompt, row), _prompt(axes, told, asked, row)


def _prompt(axes: Axes, told: str, asked: str, row: int | None) -> Prompt:
    try:
        if not axes.chat:
            return Raw(asked, axes.control_tokens)
        system = (Message("system", told),) if told.strip() else ()
        return Chat((*system, Message("user", asked)), axes.control_tokens)
    except InvalidInput as error:
        where = "" if row is None else f" (row {row + 1} of the table)"
        raise InvalidInput(f"{error.problem.message[:-1]}{where}.", field="prompts",
                           advice=error.problem.advice) from None


def _cells(axes: Axes, at: Texts, prompt: Prompt) -> Iterator[Cell]:
    system, asked, row = at
    for m, model in enumerate(axes.models):
        for s, strategy in enumerate(axes.strategies):
            for seed in axes.seeds if strategy.decoding.draws else (None,):
                run = Run(model, prompt, strategy.decoding, seed or 0)
                where = Coordinates(asked, row, system, m, s, seed)
                yield Cell(where, run, identity(run))


def _notes(
    axes: Axes, used: Mapping[Pair, tuple[str, ...]], left_out: int
) -> Iterator[str]:
    """What a reader who counts the axes would miss."""
    still = [one.name for one in axes.strategies if not one.decoding.draws]
    if still and len(axes.seeds) > 1:
        verb = "draws" if len(still) == 1 else "draw"
        yield f"{', '.join(still)} {verb} nothing, so seeds make no difference: one cell each."
    if left_out:
        again = "1 cell asks" if left_out == 1 else f"{left_out:,} cells ask"
        yield f"{again} the same as another and {'is' if left_out == 1 else 'are'} left out."
    if axes.table is not None:
        known = {name for names in used.values() for name in names}
        idle = [name for name in axes.table.columns if name not in known]
        if idle:
            yield f"No prompt uses {', '.join(f'{{{name}}}' for name in idle)} of the table."
