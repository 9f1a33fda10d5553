"""The Grid tab: prompts × system prompts × models × strategies × seeds, planned, run, compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.decoding import PRESETS
from playground.errors import Overloaded, PlaygroundError
from playground.settings import Settings
from playground.ui.actions import (
    HEARD,
    QUIET,
    Actions,
    action_row,
    examples_row,
    resting,
    running,
    sentence,
    wire_examples,
)
from playground.ui.blind import way_in
from playground.ui.controls import offered, prompt_form
from playground.ui.grid_board import board_value, grid_board, key_value
from playground.ui.grid_form import FIELDS, MINE, GridForm
from playground.ui.grid_job import GridJob
from playground.ui.grid_lanes import MOST_OPEN, CellLane, opened
from playground.ui.grid_work import GridWork
from playground.ui.lane_count import shown
from playground.ui.lane_form import CHAT, RAW
from playground.ui.lane_report import Board
from playground.ui.own_presets import read_presets
from playground.ui.parting import Parting, parting_panel
from playground.ui.scripted import sent
from playground.ui.streaming import FLUSH_SECONDS, Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import idle, token_stream

TAB = "grid"
HINT = (
    "Everything above is crossed with everything else: each prompt with each system prompt, model, "
    "strategy and seed is a cell. Plan shows how many there are before anything runs. A grid goes "
    "on when you close this page, and is found again when you come back."
)
_KEPT = "() => { try { return localStorage.getItem('playground:presets') ?? '{}'; } " \
        "catch { return '{}'; } }"


@dataclass(frozen=True)
class Example:
    """What the boxes hold; models by their place in the settings."""

    label: str
    prompts: str
    models: tuple[int, ...]
    strategies: tuple[str, ...] = ("Greedy",)
    table: str = ""
    systems: str = ""
    template: str = RAW
    sweep: str = ""
    seeds: str = "0"
    new_tokens: int = 32

    def values(self, settings: Settings) -> list[Any]:
        """The form's values, in the order of ``FIELDS``."""
        models = list(dict.fromkeys(settings.models[place] for place in self.models))
        return [self.prompts, self.table, self.systems, self.template, False, models,
                list(self.strategies), self.sweep, self.seeds, self.new_tokens]


EXAMPLES = (
    Example(
        "A table of capitals, two models", "The capital of {country} is", (0, -1), new_tokens=8,
        table="country,expected\nFrance,Paris\nItaly,Rome\nJapan,Tokyo\nEgypt,Cairo",
    ),
    Example(
        "24 cells: two beginnings, two models, six draws",
        "Once upon a time\n\nRoses are red,", (0, -1), ("Top-p", "Temperature 1.5"), seeds="0-2",
    ),
    Example(
        "Three system prompts, side by side",
        "What is the capital of France?\n\nTell me a short story about a fox.", (0, -1),
        systems="-\n\nAnswer with one word.\n\nTalk like a pirate.", template=CHAT,
    ),
)


@dataclass(frozen=True)
class _Parts:
    """The components that the handlers speak to."""

    form: dict[str, Any]
    own: gr.State
    plan: gr.Button
    actions: Actions
    board: gr.HTML
    boxes: list[gr.Column]
    lanes: list[gr.HTML]
    said: gr.HTML
    parting: Parting

    @property
    def inputs(self) -> dict[str, Any]:
        """What planning and running take."""
        return {**self.form, "own": self.own, "board": self.board}

    @property
    def outputs(self) -> list[Any]:
        """What they change."""
        return [*self.actions.outputs, self.board]


def build_grid(stage: Stage, settings: Settings, tab: gr.Tab) -> tuple[GridWork, gr.HTML]:
    """Build the tab inside the open Blocks; gives all grids with their answers, and the board,
    from whose value ``key_of`` reads which grid a page shows."""
    work = GridWork(stage.engine, settings.limits, are_many=settings.mode != "local")
    with gr.Row(elem_classes="grid-texts"):
        prompts = _text("Prompts", "One or more, with an empty line between them. {country} is "
                        "filled from the table’s column of that name.")
        table = _text("Table", "CSV, TSV or Markdown, with names in its first row. Each row is "
                      "one prompt.")
        systems = _text("System prompts", "With the chat template. An empty line between them; a "
                        "single - is none.")
    with gr.Row(elem_classes="grid-axes"):
        models = _several("Models", offered(settings), [settings.models[0]],
                          allow_custom_value=settings.any_model)
        strategies = _several("Strategies", list(PRESETS), ["Greedy"])
        sweep = gr.Textbox("", label="Sweeps", lines=1, max_lines=4, min_width=210, scale=4,
                           placeholder="temperature 0.2 to 1.6 in 8")
        seeds = gr.Textbox("0", label="Seeds", lines=1, max_lines=1, min_width=80,
                           placeholder="0-4, 7")
        length = gr.Number(32, label="New tokens", minimum=1, maximum=settings.limits.new_tokens,
                           precision=0, min_width=80)
    with gr.Row(elem_classes=["tools", "grid-actions"]):
        form = prompt_form()
        plan = gr.Button("Plan", size="md", min_width=90, elem_id="grid-plan")
        actions = action_row(TAB)
        way_in(TAB)
    actions.notice.render()
    examples = examples_row([example.label for example in EXAMPLES])
    board = grid_board(work, HINT)
    said = gr.HTML("", elem_id="grid-open-notice", elem_classes="notice", padding=False)
    with gr.Row(elem_classes="lanes", elem_id="grid-lanes"):
        boxes, lanes = zip(*(_lane(number) for number in range(MOST_OPEN)), strict=True)
    parting = parting_panel(TAB, shy=True)
    parts = (prompts, table, systems, form.template, form.control_tokens, models, strategies,
             sweep, seeds, length)
    _wire(stage, settings, work, tab, examples, _Parts(
        dict(zip(FIELDS, parts, strict=True)), gr.State({}), plan, actions, board, list(boxes),
        list(lanes), said, parting,
    ))
    return work, board


def _text(label: str, placeholder: str) -> gr.Textbox:
    return gr.Textbox("", label=label, placeholder=placeholder, lines=4, max_lines=10,
                      min_width=220, elem_classes="prompt-box")


def _several(label: str, choices: Any, value: list[str], **more: Any) -> gr.Dropdown:
    return gr.Dropdown(choices, value=value, label=label, multiselect=True, interactive=True,
                       scale=4, min_width=220, **more)


def _lane(number: int) -> tuple[gr.Column, gr.HTML]:
    with gr.Column(min_width=280, visible=False, elem_classes="lane-column") as box:
        lane = token_stream(hint="Open a cell above.", view="tokens", name=TAB, branch=True)
    return box, lane


def _wire(
    stage: Stage, settings: Settings, work: GridWork, tab: gr.Tab, examples: list[gr.Button],
    parts: _Parts,
) -> None:
    wide = parts.actions.wide
    fields, board, actions = list(parts.form.values()), parts.board, parts.actions
    change = {**wide, "inputs_kwargs": parts.inputs, "outputs": parts.outputs, "queue": False}
    go = {**change, "fn": _changer(stage, settings, work, start=True)}
    actions.run.click(**go, api_name="grid_run")
    parts.plan.click(_changer(stage, settings, work, start=False), api_name="grid_plan", **change)
    fills = [partial(example.values, settings) for example in EXAMPLES]
    wire_examples(examples, fills, fields, wide, go)
    actions.stop.click(
        partial(_stop, work), board, None, queue=False, api_name="grid_stop", **QUIET
    )
    board.grid_over(_ender(work), None, [actions.run, actions.stop], queue=False, **QUIET)
    board.find_grid(
        _finder(work), None, [*parts.outputs, parts.own, *fields], queue=False, **wide
    )
    board.open_cells(
        _opener(stage, work, parts.parting), None,
        [*parts.boxes, *parts.lanes, parts.parting.panel, parts.said],
        **HEARD, show_progress_on=actions.notice,
    )
    parts.parting.wire(parts.lanes, wide)
    asked = gr.Textbox("{}", visible=False)
    tab.select(_strategies, asked, [parts.own, parts.form["strategies"]], queue=False, js=_KEPT,
               **QUIET)


def _changer(
    stage: Stage, settings: Settings, work: GridWork, start: bool
) -> Callable[..., list[Any]]:
    def change(request: gr.Request, own: Any, board: Any, **values: Any) -> list[Any]:
        """Plan the grid that the boxes ask for, or run it: only cells without an answer run."""
        try:
            form = GridForm(values, own if isinstance(own, Mapping) else {})
            plan = form.grid(settings.limits)
            visitor = stage.visitor(request)
            job = work.put(key_of(board), plan, {"own": own, **values}, visitor)
            if start:
                work.start(job, stage.keeper.begin(stage.keeper.meet(request), TAB))
        except PlaygroundError as error:
            before = work.job(key_of(board))
            same = running() if before and before.running else resting()
            return [*same, sentence(error.problem), gr.skip()]
        return [*_buttons(job), "", key_value(job.key, job.version)]

    return change


def _buttons(job: GridJob | None) -> list[Any]:
    """Run or Stop; a grid that was stopped is resumed by the same button."""
    if job is not None and job.running:
        return running()
    counts = job.counts() if job else {}
    begun = counts.get("stopped") or (counts.get("done") and counts.get("planned"))
    run, stop = resting()
    return [{**run, "value": "Resume" if begun else "Run"}, stop]


def key_of(board: Any) -> str:
    """The key in the board's value, which a client of the API may have written."""
    return str(board_value(board).get("key", ""))


def _stop(work: GridWork, board: Any) -> None:
    """Stop the grid; what its cells have written stays."""
    job = work.job(key_of(board))
    if job is not None:
        job.stopping.set()


def _told(work: GridWork, wish: gr.EventData) -> GridJob | None:
    """The grid that a browser's event speaks of."""
    return work.job(sent(wish).get("key"))


def _ender(work: GridWork) -> Callable[..., list[Any]]:
    def over(wish: gr.EventData) -> list[Any]:
        """The browser has seen that nothing runs any more."""
        return _buttons(_told(work, wish))

    return over


def _finder(work: GridWork) -> Callable[..., list[Any]]:
    def find(wish: gr.EventData) -> list[Any]:
        """A page that was opened again finds its grid, and its boxes as they were."""
        job = _told(work, wish)
        if job is None:
            return [*resting(), "", encode({"key": "", "gone": True}), gr.skip(),
                    *[gr.skip()] * len(FIELDS)]
        own = job.form.get("own") or {}
        values = [job.form[name] for name in FIELDS]
        values[FIELDS.index("strategies")] = _choices(own, job.form["strategies"])
        return [*_buttons(job), "", key_value(job.key, job.version), own, *values]

    return find


def _strategies(kept: Any) -> list[Any]:
    """The reader's own presets, from their browser, among the strategies."""
    own = dict(read_presets(kept).presets)
    return [own, _choices(own)]


def _choices(own: Mapping[str, Any], value: Any = None) -> Any:
    names = [*PRESETS, *(f"{MINE}{name}" for name in own)]
    return gr.update(choices=names) if value is None else gr.update(choices=names, value=value)


def _opener(
    stage: Stage, work: GridWork, parting: Parting
) -> Callable[..., Iterator[list[Any]]]:
    def open_cells(wish: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """One or two cells in the token view, until others are opened."""
        job = _told(work, wish)
        lanes = opened(job, sent(wish).get("places")) if job else []
        yield from stage.show(TAB, request, follow(lanes, request))

    def follow(lanes: list[CellLane], request: gr.Request) -> Iterator[list[Any]]:
        session = str(request.session_hash)
        board = parting.boards.put(session, lanes) if len(lanes) > 1 else None

        def now() -> tuple[bool, list[Any]]:
            found = _now(lanes, board)
            stage.streams.show(session, TAB, [one.feed.key for one in lanes if one.feed])
            return found

        more, values = now()
        notice = ""
        try:
            if more:
                with work.following(stage.visitor(request)):
                    while more:
                        yield [*values, notice]
                        time.sleep(FLUSH_SECONDS)
                        more, values = now()
        except Overloaded as full:
            notice = sentence(full.problem)
        yield [*values, notice]

    return open_cells


def _now(lanes: list[CellLane], board: Board | None) -> tuple[bool, list[Any]]:
    """Whether more may come of the open cells, and what their boxes, their lanes and the words
    about both show now."""
    boxes = shown(len(lanes), MOST_OPEN)
    more = any([lane.follow() for lane in lanes])
    values, parted = [lane.value for lane in lanes], encode({})
    if board is not None:
        board.running = more
        parted = board.parting()
        values = [board.mark(n, value) for n, value in enumerate(values)]
    return more, [*boxes, *values, *[idle()] * (MOST_OPEN - len(lanes)), parted]
