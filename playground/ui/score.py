"""The Score tab: how likely a given text is, token by token, in one to three columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.prompt import Chat, Message, Raw, check_text
from playground.core.score import Scored, ScoreRequest
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, PlaygroundError, Problem
from playground.settings import Settings
from playground.ui.actions import (
    QUIET,
    Actions,
    action_row,
    examples_row,
    resting,
    running,
    wire_examples,
)
from playground.ui.contest import build_contest
from playground.ui.controls import PromptForm, model_picker, prompt_box, prompt_form, read_model
from playground.ui.lane_count import LaneButtons, lane_buttons, lane_count, shown
from playground.ui.lane_form import CHAT, RAW
from playground.ui.score_feed import (
    later_lane,
    refused_lane,
    scored_lane,
    stopped_lane,
    waiting_lane,
)
from playground.ui.score_figures import differences, sheets
from playground.ui.score_view import score_view
from playground.ui.scoring import Ask, News, is_over, play
from playground.ui.served import tell_reasons, why_no_score
from playground.ui.streaming import Stage
from playground.ui.take_over import NOTHING, answers_of, cut, take
from playground.ui.token_store import encode
from playground.ui.token_stream import idle, token_stream

TAB = "score"
MOST = 3
ASKED = ("model", "template", "control_tokens", "given")  # of each column, in this order
HINT = (
    "Each token of your text appears here, coloured by how likely the model found it after "
    "everything before it. Open one to see what it expected instead."
)
_PARIS = "The capital of France is Paris."
_STORY = "Once upon a time there was a little dragon named Max. He liked to sing."


@dataclass(frozen=True)
class Example:
    """A text, and for each column its model (by its place in the settings), form and prompt."""

    label: str
    text: str
    columns: tuple[tuple[int, str, str], ...]


EXAMPLES = (
    Example("A plain sentence", _PARIS, ((-1, RAW, ""),)),
    Example(
        "One answer after two questions", _PARIS,
        ((0, CHAT, "What is the capital of France?"), (0, CHAT, "What is the capital of Italy?")),
    ),
    Example("One story, two models", _STORY, ((0, RAW, ""), (-1, RAW, ""))),
)


@dataclass(frozen=True)
class Column:
    """One column: which model reads which prompt, why it may not, the scored tokens, and what they
    come to."""

    box: gr.Column
    model: gr.Dropdown
    form: PromptForm
    given: gr.Textbox
    remark: gr.HTML
    lane: gr.HTML
    sheet: gr.HTML

    @property
    def inputs(self) -> tuple[gr.Dropdown, gr.Radio, gr.Checkbox, gr.Textbox]:
        """What a handler takes of this column: ASKED."""
        return self.model, self.form.template, self.form.control_tokens, self.given


def build_score(stage: Stage, settings: Settings, tab: gr.Tab) -> None:
    """Build both halves of the tab inside the open Blocks."""
    with gr.Tabs(elem_classes="halves"):
        with gr.Tab("Score a text", id="score-text"):
            _build_text(stage, settings, tab)
        with gr.Tab("Contest", id="score-contest"):
            build_contest(stage, settings)


def _build_text(stage: Stage, settings: Settings, tab: gr.Tab) -> None:
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text to score", "Any text. Enter scores it, Shift+Enter starts a line.")
        actions = action_row(TAB, "Score")
    actions.notice.render()
    examples = examples_row([example.label for example in EXAMPLES])
    with gr.Row(elem_classes="tools"):
        size = lane_buttons()
        taken = gr.Dropdown(
            [NOTHING], value=NOTHING[1], label="Take over an answer", show_label=False,
            container=False, elem_id="score-take", visible=False, interactive=True, min_width=0,
        )
    with gr.Row(elem_classes=["lanes", "score-lanes"]):
        columns = [_build_column(settings, number) for number in range(MOST)]
    difference = score_view("difference", elem_id="score-difference")
    count = lane_count(1, MOST)
    _wire(stage, settings, tab, text, actions, examples, (size, taken), columns, difference,
          count)


def _build_column(settings: Settings, number: int) -> Column:
    with gr.Column(min_width=280, visible=number == 0, elem_classes="lane-column") as box:
        # A column that is added is another model, so that two are compared at once.
        other = settings.models[(-1 - number) % len(settings.models)]
        with gr.Row(elem_classes="score-head"):
            model = model_picker(settings, other, f"Model {number + 1}")
            form = prompt_form()
        given = gr.Textbox(
            "", label=f"Prompt {number + 1}", lines=1, max_lines=8, elem_classes="prompt-box",
            placeholder="Read first and not scored. May be empty.",
        )
        remark = gr.HTML("", elem_classes="remark", padding=False)
        lane = token_stream(hint=HINT, name=TAB, view="tokens", height=220, given=True)
        made = score_view("sheet")
    return Column(box, model, form, given, remark, lane, made)


def _wire(
    stage: Stage, settings: Settings, tab: gr.Tab, text: gr.Textbox, actions: Actions,
    examples: list[gr.Button], tools: tuple[LaneButtons, gr.Dropdown],
    columns: list[Column], difference: gr.HTML, count: gr.Number,
) -> None:
    size, taken = tools
    boxes = [column.box for column in columns]
    form: list[Any] = [text, count, *boxes, *(part for c in columns for part in c.inputs)]
    own = {f"{name}_{n}": part for n, column in enumerate(columns, 1)
           for name, part in zip(ASKED, column.inputs, strict=True)}
    inputs = {"text": text, "columns": count, **own}
    outputs = [*(c.lane for c in columns), *(c.sheet for c in columns), difference]
    go = actions.wire(_runner(stage), inputs, outputs, stage.stopper(TAB), name="score",
                      enter=[text, *(column.given for column in columns)])
    fills = [partial(_fill, settings, example) for example in EXAMPLES]
    wire_examples(examples, fills, form, actions.wide, go)
    reasons = tell_reasons(
        stage.engine, why_no_score, [(c.model, c.form.template) for c in columns],
        [c.remark for c in columns], actions.run, count,
    )
    for change in size.wire(count, boxes, actions.wide):
        change.then(**reasons)
    tab.select(answers_of(stage), None, taken, queue=False, **QUIET)
    taken.input(take, taken, [text, *columns[0].inputs], queue=False, **actions.wide)


def _fill(settings: Settings, example: Example) -> list[Any]:
    """The form as an example wants it."""
    parts: list[Any] = []
    for number in range(MOST):
        if number < len(example.columns):
            place, template, given = example.columns[number]
            model = settings.models[place]
            parts += [model, template, False, given]
        else:
            parts += [gr.skip()] * 4
    return [example.text, len(example.columns), *shown(len(example.columns), MOST), *parts]


@dataclass(frozen=True)
class Lane:
    """One column on its way: what is asked, or why it cannot be."""

    title: str
    subtitle: str
    ask: Ask | None
    refusal: Problem | None = None

    def value(self, news: News, visitor: Visitor) -> str:
        """What its lane shows to this visitor."""
        match news:
            case Problem():
                return refused_lane(self.title, news)
            case Scored():
                spec = self.ask.spec if self.ask else None
                return scored_lane(self.title, self.subtitle, news, visitor, spec)
            case "later":
                return later_lane(self.title, self.subtitle)
            case "stopped":
                return stopped_lane(self.title, self.subtitle)
        return waiting_lane(self.title, self.subtitle, None if news == "reading" else news)


def _runner(stage: Stage) -> Callable[..., Iterator[list[Any]]]:
    def score(
        request: gr.Request, text: Any, columns: int | None, **values: Any
    ) -> Iterator[list[Any]]:
        """How likely a text is, token by token, under one to three models or after as many
        prompts; each column's tokens, its figures and the columns' differences are JSON."""
        lanes = [
            _plan(text, *(values[f"{name}_{n}"] for name in ASKED))
            for n in range(1, (columns or 1) + 1)  # null, which an API client may send, is one
        ]
        yield from stage.show(TAB, request, updates(request, lanes))

    def updates(request: gr.Request, lanes: Sequence[Lane]) -> Iterator[list[Any]]:
        asks = [lane.ask for lane in lanes if lane.ask]
        known: tuple[News, ...] = ()
        told = _Told(lanes, stage.visitor(request))
        for known in play(stage, TAB, request, asks) if asks else ():
            if not all(is_over(one) for one in known):  # the end is told together with the button
                yield [*running(), "", *told.values(known)]
        yield [*resting(), "", *told.values(known)]

    return score


class _Told:
    """What the lanes and sheets were told last: what has not changed is not made again."""

    def __init__(self, lanes: Sequence[Lane], visitor: Visitor) -> None:
        self._lanes, self._visitor = lanes, visitor
        self._known: list[News | None] = [None for _ in lanes]
        self._values = [idle() for _ in lanes]

    def values(self, known: Sequence[News]) -> list[str]:
        """The values of all lanes, all sheets and the difference."""
        left = iter(known)
        for place, lane in enumerate(self._lanes):
            news: News = lane.refusal if lane.refusal else next(left)
            if news != self._known[place]:
                self._known[place] = news
                self._values[place] = lane.value(news, self._visitor)
        scored = [(n, one) for n, one in enumerate(self._known, 1) if isinstance(one, Scored)]
        made = sheets(scored)
        under = [encode(made[n]) if n in made else "" for n in range(1, MOST + 1)]
        rest = [idle()] * (MOST - len(self._lanes))
        found = differences(scored)
        return [*self._values, *rest, *under, encode(found) if found else ""]


def _plan(text: Any, model: Any, template: Any, control_tokens: Any, given: Any) -> Lane:
    """Read one column; what is wrong with it stays in it."""
    label = ""
    try:
        spec = read_model(model)
        label = spec.label
        request = _request(text, template, control_tokens, given)
    except PlaygroundError as error:
        return Lane(label, "", None, error.problem)
    return Lane(label, _subtitle(template, given), Ask(spec, request))


def _request(text: Any, template: Any, control_tokens: Any, given: Any) -> ScoreRequest:
    check_text(text, "text")
    check_text(given, "prompt")
    if not text.strip():
        raise InvalidInput("The text is empty.", field="text", advice="Write or paste a text.")
    if template != CHAT:
        prompt = Raw(given, control_tokens) if given else None
        return ScoreRequest(Raw(text, control_tokens), prompt)
    if not given.strip():
        raise InvalidInput(
            "With the chat template, the text is an answer, and there is no question to it.",
            field="given", advice="Write the question under “Prompt”, or choose raw text.",
        )
    messages = (Message("user", given), Message("assistant", text))
    return ScoreRequest(Chat(messages, control_tokens))


def _subtitle(template: Any, given: str) -> str:
    """What differs between columns, in one quiet line."""
    if not given:
        return "the text alone"
    words = cut(given, 60)
    return f"answer to “{words}” · chat template" if template == CHAT else f"after “{words}”"
