"""The Inside tab: one model and one text, and sections that each look at them in another way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.events import Loading, Queued
from playground.core.inspection import Inspection
from playground.errors import PlaygroundError
from playground.settings import Settings
from playground.ui.actions import (
    HEARD,
    QUIET,
    Actions,
    action_row,
    resting,
    running,
    sentence,
    wire_examples,
)
from playground.ui.attention_section import build_attention
from playground.ui.controls import model_picker, prompt_box
from playground.ui.hidden_section import build_hidden
from playground.ui.lens_section import build_lens, watching
from playground.ui.logits_section import build_logits
from playground.ui.looked_at import NOBODYS, given_of, given_words, read_subject
from playground.ui.quantized_section import build_quantized
from playground.ui.scoring import Ask, News, is_over, play
from playground.ui.scripted import event_of, sent
from playground.ui.section import Example, Section
from playground.ui.seen import Seen
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
    build_attention,
    build_vectors,
    build_hidden,
    build_quantized,
)
_OPENED = "lens"  # the section that a token of another tab opens
# The sections are drawn when the tab is first in sight, and none can be chosen before.
_DRAWN = """async () => {
  const drawn = () => document.querySelector('#inside-sections [role=tab]');
  for (let tries = 0; tries < 200 && !drawn(); tries += 1) {
    await new Promise((done) => setTimeout(done, 50));
  }
}"""


@dataclass(frozen=True)
class Head:
    """What all sections look at: the model, the text, and where they came from another tab's token
    the exact ids (``given``), of which ``chip`` tells."""

    text: gr.Textbox
    model: gr.Dropdown
    given: gr.State
    chip: gr.HTML
    actions: Actions

    @property
    def inputs(self) -> list[Any]:
        """What a handler takes of it."""
        return [self.text, self.model, self.given]


@dataclass(frozen=True)
class InsideTab:
    """The tab as the page sees it."""

    head: Head
    tabs: gr.Tabs
    sections: list[Section]
    shown: gr.State
    go: dict[str, Any]
    close: Callable[[str], None]

    def take_tokens(self, lanes: Sequence[gr.HTML], tabs: gr.Tabs) -> None:
        """A token of a lane of another tab opens here, with the ids before it and watched."""
        lens = next((one for one in self.sections if one.id == _OPENED), None)
        if lens is None or not lanes:
            return
        filled = [self.head.text, self.head.model, self.head.given, self.head.chip, self.shown,
                  self.head.actions.notice, *lens.controls]

        def look(event: gr.EventData) -> list[Any]:
            where = str(getattr(event.target, "props", {}).get("name", "")).capitalize()
            try:
                given = given_of(event._data, where)
            except PlaygroundError as error:
                own = [gr.skip() for _ in lens.controls]
                return [*[gr.skip()] * 5, sentence(error.problem), *own]
            return [given.text, given.spec.repo, given, given_words(given), _OPENED, "",
                    *watching(given.watched)]

        looks = [event_of(lane, "look") for lane in lanes]
        quick = {**QUIET, "queue": False}
        gr.on(looks, lambda: gr.Tabs(selected=TAB), None, tabs, **quick).then(
            None, None, None, js=_DRAWN, **quick
        ).then(lambda: gr.Tabs(selected=_OPENED), None, self.tabs, **quick)
        gr.on(looks, look, None, filled, queue=False, trigger_mode="multiple",
              **self.head.actions.wide).then(**self.go)


def build_inside(stage: Stage, settings: Settings) -> InsideTab:
    """Build the tab inside the open Blocks; the first section looks as soon as it is in sight."""
    with gr.Row(elem_classes="tab-head"):
        text = prompt_box("Text to look at", "Any text. Enter looks, Shift+Enter starts a line.")
        text.value = _TEXT
        with gr.Column(scale=2, min_width=200):
            model = model_picker(settings, settings.models[-1], encoders=True)
        actions = action_row(TAB, "Look")
    chip = gr.HTML("", elem_id="inside-given", elem_classes="notice", padding=False)
    actions.notice.render()
    head = Head(text, model, gr.State(NOBODYS), chip, actions)
    seen = Seen()
    with gr.Tabs(elem_classes="halves", elem_id="inside-sections") as tabs:
        sections = [build(stage, settings) for build in SECTIONS]
    shown = gr.State(sections[0].id)
    go = _wire(stage, settings, head, tabs, sections, seen, shown)
    return InsideTab(head, tabs, sections, shown, go, seen.close)


def _wire(
    stage: Stage, settings: Settings, head: Head, tabs: gr.Tabs, sections: list[Section],
    seen: Seen, shown: gr.State,
) -> dict[str, Any]:
    wide = head.actions.wide
    controls = [part for section in sections for part in section.controls]
    go: dict[str, Any] = {
        **HEARD, **wide, "fn": _looker(stage, sections, seen),
        "inputs": [shown, *head.inputs, *controls],
        "outputs": [*head.actions.outputs, *(section.view for section in sections)],
    }
    head.actions.run.click(**{**go, "fn": _looker(stage, sections, seen, anew=True)})
    gr.on([head.text.submit, head.model.input], **go)
    # One look at a time of those that follow a typing hand, and the last text is never left out.
    last = {**go, "trigger_mode": "always_last"}
    if any(section.live for section in sections):
        head.text.input(**{**last, "fn": _looker(stage, sections, seen, typing=True)})
    # Whoever writes a text of their own, or takes another model, looks at other ids.
    gr.on([head.text.input, head.model.input], lambda: [NOBODYS, ""], None,
          [head.given, head.chip], queue=False, **QUIET)
    head.actions.stop.click(stage.stopper(TAB), None, None, queue=False, **QUIET)
    for section in sections:
        section.tab.select(
            partial(_opened, section.id), None, shown, queue=False, **QUIET
        ).then(**go)
        for part in section.looks_at_once:
            part.input(**(last if section.live else go))
        for box in section.submits:
            box.submit(**go)
        if section.chosen is not None:
            gr.on(
                [event_of(section.view, "chosen")], _chooser(section),
                [*head.inputs, *section.controls], [head.actions.notice, *section.controls],
                trigger_mode="multiple", **wide,
            ).then(**go)
        if section.leads_to:
            _lead(head, tabs, shown, section, sections, go)
        fills = [partial(_filled, settings, section, example) for _, example in section.examples]
        filled = [head.text, head.model, head.given, head.chip, *section.controls]
        wire_examples([button for button, _ in section.examples], fills, filled, wide, go)
    return go


def _lead(
    head: Head, tabs: gr.Tabs, shown: gr.State, section: Section, sections: Sequence[Section],
    go: dict[str, Any],
) -> None:
    """Let a click in a section's view open another section, and look there."""
    target = next(one for one in sections if one.id == section.leads_to)

    def led(event: gr.EventData, model: Any, *values: Any) -> list[Any]:
        value, wanted = sent(event).get("value"), sent(event).get("model")
        if not isinstance(value, str) or wanted not in (model, *values):
            return [gr.skip()] * (4 + len(values))
        # The section's own choice takes the place of the tab's, and that one its.
        swapped = [model if one == wanted != model else gr.skip() for one in values]
        return [gr.Tabs(selected=target.id), target.id, wanted, value, *swapped]

    gr.on(
        [event_of(section.view, "chosen")], led, [head.model, *section.controls],
        [tabs, shown, head.model, target.controls[0], *section.controls], queue=False,
        **head.actions.wide,
    ).then(**go)


def _opened(id: str) -> str:
    return id


def _chooser(section: Section) -> Callable[..., list[Any]]:
    choose = section.chosen
    assert choose is not None

    def chosen(event: gr.EventData, text: Any, model: Any, given: Any, *values: Any) -> list[Any]:
        """The controls as a reader wishes by a click in the view."""
        try:
            return ["", *choose(read_subject(text, model, given), sent(event), values)]
        except PlaygroundError as error:
            return [sentence(error.problem), *[gr.skip()] * len(values)]

    return chosen


def _filled(settings: Settings, section: Section, example: Example) -> list[Any]:
    """The form as an example wants it."""
    model: Any = gr.skip()
    if isinstance(example.model, int):
        model = settings.models[example.model]
    elif example.model:
        model = example.model
    own = [*example.controls, *[gr.skip()] * (len(section.controls) - len(example.controls))]
    return [example.text, model, NOBODYS, "", *own]


def _looker(
    stage: Stage, sections: Sequence[Section], seen: Seen, anew: bool = False,
    typing: bool = False,
) -> Callable[..., Iterator[list[Any]]]:
    """The handler that looks: at what this page has not seen yet, or at everything ``anew``; while
    somebody is ``typing`` only where a section takes part in that."""
    live = {section.id for section in sections if section.live}

    def look(request: gr.Request, id: Any, text: Any, model: Any, given: Any, *values: Any) -> Any:
        if typing and id not in live:
            yield [gr.skip()] * (3 + len(sections))
            return
        # Who types looks at that, and no longer at another tab's ids.
        given = NOBODYS if typing else given
        yield from stage.show(TAB, request, updates(request, id, text, model, given, values))

    def updates(
        request: gr.Request, id: Any, text: Any, model: Any, given: Any, values: Sequence[Any]
    ) -> Iterator[list[Any]]:
        place = next((n for n, one in enumerate(sections) if one.id == id), 0)
        section, start = sections[place], sum(len(one.controls) for one in sections[:place])
        page = str(request.session_hash)

        def update(buttons: list[Any], notice: Any, value: Any) -> list[Any]:
            views = [value if n == place else gr.skip() for n in range(len(sections))]
            return [*buttons, notice, *views]

        try:
            subject = read_subject(text, model, given)
            asks = section.asks(subject, values[start : start + len(section.controls)])
        except PlaygroundError as error:
            yield update(resting(), sentence(error.problem), gr.skip())
            return
        known: list[News] = ["later" for _ in asks] if anew else seen.of(page, asks)
        begun = time.monotonic()
        missing = [n for n, one in enumerate(known) if not is_over(one)]
        for news in play(stage, TAB, request, [asks[n] for n in missing]) if missing else ():
            for n, one in zip(missing, news, strict=True):
                known[n] = one
            waits = any(isinstance(one, Queued | Loading) for one in known)
            late = time.monotonic() > begun + QUICK_SECONDS
            if not all(is_over(one) for one in known) and (waits or late or not quick(asks)):
                yield update(running(), "", section.show(known))
        seen.keep(page, asks, known)
        yield update(resting(), "", section.show(known))

    return look


def quick(asks: Sequence[Ask]) -> bool:
    """Whether all that is asked needs no forward pass."""
    return all(isinstance(ask.request, Inspection) and ask.request.quick for ask in asks)
