"""The Inside tab: one model and one text, and sections that each look at them in another way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.events import Loading, Queued
from playground.core.inspection import Inspection
from playground.core.prompt import Ids, Prompt, Raw, check_text
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.actions import Actions, action_row, resting, running, sentence
from playground.ui.branch_tree import event_of
from playground.ui.controls import model_picker, prompt_box, read_model
from playground.ui.hidden_section import build_hidden
from playground.ui.lens_section import build_lens
from playground.ui.logits_section import build_logits
from playground.ui.quantized_section import build_quantized
from playground.ui.scoring import Ask, News, is_over, play
from playground.ui.section import Example, Section, Subject
from playground.ui.streaming import Stage
from playground.ui.structure_section import build_structure
from playground.ui.tokenizer_section import build_tokenizer
from playground.ui.vectors_section import build_vectors
from playground.ui.vocabulary_section import build_vocabulary

TAB = "inside"
QUICK_SECONDS = 0.7  # that a quick look has until it is shown that it is waited for
_TEXT = "The capital of France is"

# Each builds one section inside the open Tabs; the first is open at the start.
SECTIONS: tuple[Callable[[Stage, Settings], Section], ...] = (
    build_tokenizer,
    build_vocabulary,
    build_structure,
    build_logits,
    build_lens,
    build_vectors,
    build_hidden,
    build_quantized,
)


@dataclass(frozen=True)
class Head:
    """What all sections look at: the model, the text, and where they came from another tab's token
    the exact ids instead (as decimal numbers between spaces)."""

    text: gr.Textbox
    model: gr.Dropdown
    ids: gr.Textbox
    actions: Actions

    @property
    def inputs(self) -> list[Any]:
        """What a handler takes of it."""
        return [self.text, self.model, self.ids]


def build_inside(stage: Stage, settings: Settings) -> tuple[Head, gr.Tabs, list[Section]]:
    """Build the tab inside the open Blocks; the first section looks as soon as it is in sight."""
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text to look at", "Any text. Enter looks, Shift+Enter starts a line.")
        text.value = _TEXT
        with gr.Column(scale=2, min_width=200):
            model = model_picker(settings, settings.models[-1], encoders=True)
        actions = action_row(TAB, "Look")
    actions.notice.render()
    ids = gr.Textbox("", visible=False, label="Exact ids", elem_id="inside-ids")
    head = Head(text, model, ids, actions)
    with gr.Tabs(elem_classes="halves", elem_id="inside-sections") as tabs:
        sections = [build(stage, settings) for build in SECTIONS]
    if sections:
        _wire(stage, settings, head, tabs, sections)
    return head, tabs, sections


def _wire(
    stage: Stage, settings: Settings, head: Head, tabs: gr.Tabs, sections: list[Section]
) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    wide = {**quiet, "show_progress_on": head.actions.notice}
    shown = gr.State(sections[0].id)
    controls = [part for section in sections for part in section.controls]
    go: dict[str, Any] = {
        **wide, "fn": _looker(stage, sections), "inputs": [shown, *head.inputs, *controls],
        "outputs": [head.actions.run, head.actions.stop, head.actions.notice,
                    *(section.view for section in sections)],
        "concurrency_limit": None, "trigger_mode": "multiple",
    }
    gr.on([head.actions.run.click, head.text.submit, head.model.input], **go)
    # One look at a time of those that follow a typing hand, and the last text is never left out.
    last = {**go, "trigger_mode": "always_last"}
    if any(section.live for section in sections):
        head.text.input(**{**last, "fn": _looker(stage, sections, typing=True)})
    # Whoever writes a text of their own looks at that, and no longer at another tab's ids.
    head.text.input(lambda: "", None, head.ids, queue=False, **quiet)
    head.actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)
    for section in sections:
        section.tab.select(
            partial(_opened, section.id), None, shown, queue=False, **quiet
        ).then(**go)
        for part in section.looks_at_once:
            part.input(**(last if section.live else go))
        for box in section.submits:
            box.submit(**go)
        if section.chosen is not None:
            gr.on(
                [event_of(section.view, "chosen")], partial(_chosen, section.chosen),
                list(section.controls), [head.actions.notice, *section.controls],
                trigger_mode="multiple", **wide,
            ).success(**go)
        if section.leads_to:
            _lead(head, tabs, shown, section, sections, go)
        for button, example in section.examples:
            filled = [head.text, head.model, head.ids, *section.controls]
            button.click(
                partial(_filled, settings, section, example), None, filled, queue=False, **wide
            ).then(**go)


def _lead(
    head: Head, tabs: gr.Tabs, shown: gr.State, section: Section, sections: Sequence[Section],
    go: dict[str, Any],
) -> None:
    """Let a click in a section's view open another section, and look there."""
    target = next(one for one in sections if one.id == section.leads_to)

    def led(event: gr.EventData, model: Any, *values: Any) -> list[Any]:
        data: Any = event._data  # from a browser, so it may be anything
        value = data.get("value") if isinstance(data, dict) else None
        wanted = data.get("model") if isinstance(data, dict) else None
        if not isinstance(value, str) or wanted not in (model, *values):
            return [gr.skip()] * (4 + len(values))
        # The section's own choice takes the place of the tab's, and that one its.
        swapped = [model if one == wanted != model else gr.skip() for one in values]
        return [gr.Tabs(selected=target.id), target.id, wanted, value, *swapped]

    gr.on(
        [event_of(section.view, "chosen")], led, [head.model, *section.controls],
        [tabs, shown, head.model, target.controls[0], *section.controls], queue=False,
        show_progress="hidden", api_visibility="private", show_progress_on=head.actions.notice,
    ).then(**go)


def _opened(id: str) -> str:
    return id


def _chosen(
    choose: Callable[[Mapping[str, Any], Sequence[Any]], Sequence[Any]], event: gr.EventData,
    *values: Any,
) -> list[Any]:
    """The controls as a reader wishes by a click in the view; a sentence where it is no wish."""
    wish = event._data if isinstance(event._data, dict) else {}
    try:
        return ["", *choose(wish, values)]
    except PlaygroundError as error:
        return [sentence(error.problem), *[gr.skip()] * len(values)]


def _filled(settings: Settings, section: Section, example: Example) -> list[Any]:
    """The form as an example wants it."""
    model: Any = gr.skip()
    if isinstance(example.model, int):
        model = settings.models[example.model]
    elif example.model:
        model = example.model
    own = [*example.controls, *[gr.skip()] * (len(section.controls) - len(example.controls))]
    return [example.text, model, "", *own]


def _looker(
    stage: Stage, sections: Sequence[Section], typing: bool = False
) -> Callable[..., Iterator[list[Any]]]:
    """What looks with the section that is open; while somebody is typing, only if that is live."""
    live = {section.id for section in sections if section.live}

    def look(request: gr.Request, id: Any, text: Any, model: Any, ids: Any, *values: Any) -> Any:
        if typing and id not in live:
            yield [gr.skip()] * (3 + len(sections))
            return
        # Who types looks at that, and no longer at another tab's ids.
        ids = "" if typing else ids
        yield from stage.show(TAB, request, updates(request, id, text, model, ids, values))

    def updates(
        request: gr.Request, id: Any, text: Any, model: Any, ids: Any, values: Sequence[Any]
    ) -> Iterator[list[Any]]:
        place = next((n for n, one in enumerate(sections) if one.id == id), 0)
        section, start = sections[place], sum(len(one.controls) for one in sections[:place])

        def update(buttons: list[Any], notice: Any, value: Any) -> list[Any]:
            views = [value if n == place else gr.skip() for n in range(len(sections))]
            return [*buttons, notice, *views]

        try:
            subject = Subject(read_model(model), read_prompt(text, ids))
            asks = section.asks(subject, values[start : start + len(section.controls)])
        except PlaygroundError as error:
            yield update(resting(), sentence(error.problem), gr.skip())
            return
        known: tuple[News, ...] = ()
        begun = time.monotonic()
        for known in play(stage, TAB, request, asks) if asks else ():
            waits = any(isinstance(one, Queued | Loading) for one in known)
            late = time.monotonic() > begun + QUICK_SECONDS
            if not all(is_over(one) for one in known) and (waits or late or not quick(asks)):
                yield update(running(), "", section.show(known))
        yield update(resting(), "", section.show(known))

    return look


def quick(asks: Sequence[Ask]) -> bool:
    """Whether all that is asked needs no forward pass."""
    return all(isinstance(ask.request, Inspection) and ask.request.quick for ask in asks)


def read_prompt(text: Any, ids: Any) -> Prompt | None:
    """What is looked at; None for an empty text. Raises InvalidInput."""
    check_text(text, "text")
    check_text(ids, "ids")
    if ids.strip():
        try:
            return Ids(tuple(int(one) for one in ids.split()))
        except ValueError:
            raise InvalidInput("Token ids are whole numbers from 0.", field="ids", given=ids,
                               allowed="whole numbers between spaces") from None
    return Raw(text, control_tokens=True) if text else None
