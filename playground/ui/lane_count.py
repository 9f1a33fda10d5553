"""How many lanes a tab shows: all of them are built, and the first so many are in sight. It knows
no lane by what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr


def lane_count(start: int, total: int) -> gr.Number:
    """How many lanes are shown, which an event takes and a client of the API can set."""
    return gr.Number(start, label="Columns", minimum=1, maximum=total, precision=0, visible=False)


def shown(count: int, total: int) -> list[Any]:
    """Updates that show the first ``count`` of ``total`` columns."""
    return [gr.update(visible=number < count) for number in range(total)]


def one_more(count: int | None, values: Sequence[Any]) -> tuple[int, list[Any]]:
    """One lane more, set as the last one is; no more than there are ``values``."""
    now = max(1, min(count or 1, len(values)))
    wanted = min(now + 1, len(values))
    copied = list(values)
    copied[wanted - 1] = values[now - 1]
    return wanted, copied


def one_less(count: int | None) -> int:
    """One lane less; one stays."""
    return max(1, (count or 1) - 1)


@dataclass(frozen=True)
class LaneButtons:
    """The two buttons that change how many lanes there are."""

    more: gr.Button
    fewer: gr.Button

    def wire(
        self, count: gr.Number, boxes: Sequence[gr.Column], event: dict[str, Any],
        *copied: Sequence[Any],
    ) -> list[Any]:
        """Let them show and hide the last lane; ``event`` holds the settings of their events, which
        are given back for what comes ``then``.

        ``copied`` are components, one for each lane, whose value a new lane has from the last one.
        """
        total, parts = len(boxes), [part for each in copied for part in each]

        def add(now: int | None, *values: Any) -> list[Any]:
            wanted, _ = one_more(now, boxes)
            own = [values[start : start + total] for start in range(0, len(values), total)]
            told = [value for each in own for value in one_more(now, each)[1]]
            return [wanted, *shown(wanted, total), *told]

        def remove(now: int | None) -> list[Any]:
            wanted = one_less(now)
            return [wanted, *shown(wanted, total)]

        return [
            self.more.click(add, [count, *parts], [count, *boxes, *parts], queue=False, **event),
            self.fewer.click(remove, count, [count, *boxes], queue=False, **event),
        ]


def lane_buttons() -> LaneButtons:
    """Both of them, beside each other."""
    look: dict[str, Any] = {"size": "sm", "elem_classes": "tool", "min_width": 60}
    return LaneButtons(gr.Button("Add lane", **look), gr.Button("Remove lane", **look))
