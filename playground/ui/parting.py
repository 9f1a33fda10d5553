"""Where lanes part: the panel under lanes side by side, and the lanes' own marks; it compares
nothing itself.

A tab whose lanes are played together::

    columns = build_columns(...)
    parting = parting_panel(TAB)                         # where it shall stand: under the lanes
    outputs = [run, stop, notice, *columns.lanes, parting.panel]
    yield from parting.play(stage, TAB, request, lanes, len(columns.lanes))
    parting.wire(columns.lanes, event)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.align import word_diff
from playground.ui.lane_play import BEFORE_LANES, Lane, play_lanes, refusal_of, still_lanes
from playground.ui.lane_report import Board, Boards
from playground.ui.scripted import scripted_view, sent
from playground.ui.streaming import Stage
from playground.ui.token_store import encode, trace_of
from playground.ui.token_stream import BUNDLE


@dataclass(frozen=True)
class Parting:
    """The panel of a tab, and the boards of the pages that show it."""

    panel: gr.HTML
    boards: Boards

    def play(
        self, stage: Stage, tab: str, request: gr.Request, lanes: Sequence[Lane], total: int,
        *, figures: bool = False,
    ) -> Iterator[list[Any]]:
        """Play the lanes of a tab that has built ``total``, and follow them, until a later event of
        the tab takes over."""
        played = play_lanes(stage, tab, request, lanes, total)
        yield from stage.show(tab, request, self.follow(request, lanes, played, figures=figures),
                              partial(still_lanes, len(lanes), total))

    def follow(
        self, request: gr.Request, lanes: Sequence[Lane], updates: Iterator[list[Any]],
        *, figures: bool = False,
    ) -> Iterator[list[Any]]:
        """The updates of ``play_lanes``, each lane with where it parts; behind them the panel's,
        and with ``figures`` that of a lane board's bar."""
        if refusal_of(lanes) is not None:
            for update in updates:
                yield [*update, *[encode({})] * (1 + figures)]
            return
        board = self.boards.put(str(request.session_hash), lanes)
        last: list[Any] = []
        try:
            for last in updates:
                yield _told(board, last, figures)
        finally:
            board.running = False
        yield _told(board, last, figures)

    def wire(
        self, lanes: Sequence[gr.HTML], event: dict[str, Any], bar: gr.HTML | None = None
    ) -> None:
        """Let a reader say which lane the others are compared with; ``bar`` shows ``Board.value``.

        ``event`` holds the settings of the event. What a browser sends may be anything.
        """

        def refer(wish: gr.EventData, request: gr.Request) -> list[Any]:
            board = self.boards.get(str(request.session_hash))
            if board is not None:
                board.refer(sent(wish).get("column"))
            if board is None or board.running:  # The run's own handler tells it with its next news.
                return [gr.skip()] * len(outputs)
            told = [board.parting()] if bar is None else [board.parting(), board.value()]
            marked = [board.mark(n, lane.value) for n, lane in enumerate(board.lanes)]
            return [*told, *marked, *[gr.skip()] * (len(lanes) - len(marked))]

        outputs = [self.panel, *([] if bar is None else [bar]), *lanes]
        self.panel.refer(refer, None, outputs, queue=False, **event)


def _told(board: Board, update: list[Any], figures: bool) -> list[Any]:
    told = [board.parting(), *([board.value()] if figures else [])]
    count = len(board.lanes)
    ours, lanes = update[:BEFORE_LANES], update[BEFORE_LANES:]
    marked = [board.mark(n, value) for n, value in enumerate(lanes[:count])]
    return [*ours, *marked, *lanes[count:], *told]


def parting_panel(name: str, *, shy: bool = False) -> Parting:
    """The panel, placed here; ``name`` is the one that the tab's ``token_stream`` lanes have.

    A ``shy`` one is out of sight while there is nothing to compare.
    ``panel.refer(handler)`` gets ``gr.EventData`` with the ``column`` that the others are to be
    compared with.
    """
    panel = scripted_view(
        BUNDLE, value="{}", events=("refer",), server=(parting_words,), css_class="parting",
        mode="parting", name=name, shy=shy,
    )
    return Parting(panel, Boards())


def parting_words(request: object) -> str:
    """Server function: the word diff of the answers under two keys; its answer is JSON."""
    asked = request if isinstance(request, dict) else {}
    first, second = trace_of(asked.get("first")), trace_of(asked.get("second"))
    if first is None or second is None:
        return '{"gone":true}'
    changes = word_diff(first.answer, second.answer)
    return encode({"changes": [[change.kind, change.text] for change in changes]})
