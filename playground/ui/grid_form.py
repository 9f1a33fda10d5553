"""What the boxes of the Grid tab hold, as a grid; it knows no component and no model.

All of it was written by a browser or a client of the API, so each value passes a door that names
its field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from playground.core.decoding import PRESETS
from playground.core.grid import Axes, Grid, Strategy, expand
from playground.core.grid_text import paragraphs, seeds, sweeps, system_prompts
from playground.core.run import ModelSpec
from playground.core.table import read_table
from playground.errors import InvalidInput
from playground.settings import Limits
from playground.ui.controls import read_model
from playground.ui.decoding_form import read_form
from playground.ui.lane_form import CHAT

MINE = "Mine: "
MOST_CHOSEN = 200  # models or strategies
FIELDS = ("prompts", "table", "systems", "template", "control_tokens", "models", "strategies",
          "sweep", "seeds", "new_tokens")


@dataclass(frozen=True, slots=True)
class GridForm:
    """The boxes as they are, in the order of ``FIELDS``, and the reader's own presets by name."""

    values: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def grid(self, limits: Limits) -> Grid:
        """The grid that they ask for. Raises InvalidInput, naming the field."""
        given = self.values
        axes = Axes(
            prompts=_some(paragraphs(given["prompts"], "prompts")),
            models=tuple(_models(given["models"])),
            strategies=tuple(self._strategies()),
            seeds=seeds(given["seeds"]),
            systems=system_prompts(given["systems"]),
            table=read_table(given["table"], limits.grid_cells),
            chat=given["template"] == CHAT,
            control_tokens=given["control_tokens"],
        )
        return expand(axes, limits.grid_cells, limits.grid_tokens, limits.prompt_characters)

    def _strategies(self) -> Iterator[Strategy]:
        length = self.values["new_tokens"]
        whole = int(length) if isinstance(length, float) and length.is_integer() else length
        chosen = [Strategy(name, self._named(name)) for name in _names(self.values["strategies"])]
        for one in (*chosen, *sweeps(self.values["sweep"])):
            yield replace(one, decoding=replace(one.decoding, max_new_tokens=whole))

    def _named(self, name: str) -> Any:
        if name in PRESETS:
            return PRESETS[name]
        own = self.own.get(name.removeprefix(MINE)) if name.startswith(MINE) else None
        if own is None:
            raise InvalidInput(f"There is no strategy “{name[:40]}”.", field="strategies",
                               given=name, allowed=", ".join(PRESETS))
        return read_form(own).decoding


def _some(prompts: tuple[str, ...]) -> tuple[str, ...]:
    if not prompts:
        raise InvalidInput("There is no prompt.", field="prompts",
                           advice="Write one, or several with an empty line between them.")
    return prompts


def _models(value: Any) -> Iterator[ModelSpec]:
    return (read_model(one) for one in _names(value))


def _names(value: Any) -> list[str]:
    """A choice of several: a list of texts; none of them is an empty list."""
    names = [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise InvalidInput("A choice of several is a list of names.", field="choice", given=value)
    if len(names) > MOST_CHOSEN:
        raise InvalidInput(f"A choice of several has up to {MOST_CHOSEN} names.", field="choice",
                           given=len(names), allowed=f"up to {MOST_CHOSEN}")
    return names
