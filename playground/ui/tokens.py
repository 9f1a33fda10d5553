"""The Tokens tab: an answer token by token, other ways on from any of its tokens, and samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from playground.errors import InvalidInput
from playground.settings import Settings
from playground.ui.actions import (
    HEARD,
    QUIET,
    action_row,
    examples_row,
    resting,
    running,
    sentence,
    wire_examples,
)
from playground.ui.branch_tree import branch_part
from playground.ui.branch_view import Frame, frame_of
from playground.ui.branches import Branches
from playground.ui.controls import make_run, model_picker, prompt_box, prompt_form, prompt_of
from playground.ui.decoding_form import read_form
from playground.ui.decoding_panel import decoding_panel, tell_model
from playground.ui.desk import Act, Desks
from playground.ui.lane_play import describe
from playground.ui.lanes import LANES
from playground.ui.parting import parting_panel
from playground.ui.scripted import event_of, sent
from playground.ui.served import tell_reasons, why_no_run
from playground.ui.streaming import Stage
from playground.ui.token_store import run_of
from playground.ui.token_stream import token_stream

TAB = "tokens"
EXAMPLES = (
    "The capital of France is",
    "Once upon a time there was a little dragon named",
    "《梦游天姥吟留别》的作者是谁",
)
HINT = (
    "Each token appears here as it is chosen. Click one to see what else could have come, and "
    "click a candidate to go on with it instead."
)


@dataclass(frozen=True)
class TokensTab:
    """What the page needs of the tab: where branches from other tabs go, what ends with it,
    and what its run is asked with: text, model, template, control tokens, settings."""

    outputs: list[Any]
    notice: gr.HTML
    branch: Callable[[gr.Request, gr.EventData], Iterator[list[Any]]]
    close: Callable[[str], None]
    asked: tuple[Any, ...]

    def take_branches(self, lanes: Sequence[gr.HTML], tabs: gr.Tabs) -> None:
        """A branch from a lane of another tab opens here, beside the run that it grows from."""
        lanes = [lane for lane in lanes if lane not in self.outputs]
        if not lanes:
            return
        # Two events: a gr.HTML that is told gr.skip() before it was ever in sight loses its props.
        for does in (
            {"fn": self.branch, "outputs": self.outputs, "show_progress_on": self.notice, **HEARD},
            {"fn": lambda: gr.Tabs(selected=TAB), "outputs": tabs, "queue": False, **QUIET},
        ):
            gr.on([event_of(lane, "branch") for lane in lanes], inputs=None, **does)


def build_tokens(stage: Stage, settings: Settings) -> TokensTab:
    """Build the tab inside the open Blocks."""
    desks = Desks(lambda session: Branches(
        stage.engine, settings.limits.columns, session, describe
    ))
    first = frame_of(Branches(stage.engine, settings.limits.columns, "", describe))
    with gr.Row(elem_classes="tab-body"):
        with gr.Column(scale=4, min_width=320):
            with gr.Row(elem_classes="tab-head"):
                text = prompt_box("Prompt", "The beginning of a text. Enter runs.")
                actions = action_row(TAB)
            actions.notice.render()
            remark = gr.HTML("", elem_classes="remark", padding=False)
            examples = examples_row(EXAMPLES)
            pace = branch_part("pace", first.pace)
            boxes, strips, lanes = _build_lanes(first)
            parting = parting_panel(TAB, shy=True)
            with gr.Row(elem_classes="branch-panels"):
                tree = branch_part("tree", first.tree)
                samples = branch_part("samples", first.samples)
        with gr.Column(scale=1, min_width=260, elem_classes="side"):
            with gr.Accordion("Settings", open=True):
                model = model_picker(settings)
                form = prompt_form()
                panel = decoding_panel(settings, TAB, "Greedy", 48, engine=stage.engine)
    tell_model(model, TAB)
    tell_reasons(stage.engine, why_no_run, [(model, form.template)], [remark])

    does = _Handlers(stage, desks)
    outputs = [*actions.outputs, *lanes, *boxes, *strips, pace, tree, samples, parting.panel]
    inputs = {"text": text, "model": model, "template": form.template,
              "control_tokens": form.control_tokens, "settings": panel}
    # A second event of a part takes over from the first, so none may be held back.
    wide = {**HEARD, **actions.wide, "outputs": outputs}
    go = {**wide, "fn": does.run, "inputs_kwargs": inputs}
    gr.on([actions.run.click, text.submit], api_name="tokens", **go)
    wire_examples(examples, [lambda e=example: e for example in EXAMPLES], text, QUIET, go)
    actions.stop.click(does.stop, None, **wide)

    gr.on([event_of(lane, "branch") for lane in lanes], does.branch, None, **wide)
    acts = [event_of(part, "act") for part in (pace, tree, samples, *strips)]
    gr.on(acts, does.act, None, **wide)
    parting.panel.refer(does.refer, None, **wide)
    samples.draw(does.draw, inputs_kwargs=inputs, **wide)
    pace.amend(does.amend, panel, **wide)
    return TokensTab(outputs, actions.notice, does.branch_of_another_tab, desks.close,
                     tuple(inputs.values()))


def _build_lanes(first: Frame) -> tuple[list[gr.Column], list[gr.HTML], list[gr.HTML]]:
    boxes, strips, lanes = [], [], []
    with gr.Row(elem_classes=["lanes", "branch-lanes"]):
        for number in range(LANES):
            with gr.Column(min_width=280, elem_classes=_lane(first.shown[number])) as box:
                boxes.append(box)
                strips.append(branch_part("strip", first.strips[number]))
                lanes.append(token_stream(view="tokens", name=TAB, hint=HINT, branch=True))
    return boxes, strips, lanes


@dataclass(frozen=True)
class _Handlers:
    """What the tab does: each does something with a page's branches, and shows them while anything
    runs."""

    stage: Stage
    desks: Desks

    def show(self, request: gr.Request, act: Act) -> Iterator[list[Any]]:
        """Do something with this page's branches, and show them while anything runs."""
        stage, session = self.stage, str(request.session_hash)
        desk = self.desks.of(session)
        owner, visitor = stage.keeper.meet(request), stage.visitor(request)

        def owned(branches: Branches) -> str | None:
            player = branches.player
            player.begin = partial(stage.keeper.begin, owner, TAB)
            player.visitor, player.lent = visitor, partial(stage.tokens.lent, session)
            return act(branches)

        for frame in desk.show(owned):
            stage.streams.show(session, TAB, [k for k in desk.branches.lanes.keys if k])
            yield _updates(frame)

    def run(
        self, request: gr.Request, text: Any, model: Any, template: Any, control_tokens: Any,
        settings: Any,
    ) -> Iterator[list[Any]]:
        """One answer token by token; ``settings`` is a JSON object such as {"preset": "Top-p"}."""
        prompt = partial(prompt_of, template, control_tokens, text)
        yield from self.show(
            request, lambda branches: branches.run(make_run(model, prompt, settings))
        )

    def draw(
        self, request: gr.Request, event: gr.EventData, text: Any, model: Any, template: Any,
        control_tokens: Any, settings: Any,
    ) -> Iterator[list[Any]]:
        """Samples of the prompt, as many as the browser says."""
        prompt = partial(prompt_of, template, control_tokens, text)
        count = sent(event).get("count")

        def act(branches: Branches) -> None:
            root = run_of(branches.tree.branches[0].key) if branches.tree.branches else None
            if root is None or text:
                branches.draw(make_run(model, prompt, settings), count)
                return
            # The tree came from another tab, and so does its prompt.
            form = read_form(settings)
            root = replace(root, decoding=form.decoding, seed=form.dice(), fork=None, draft=None)
            branches.draw(root, count)

        yield from self.show(request, act)

    def amend(self, request: gr.Request, settings: Any) -> Iterator[list[Any]]:
        """Other settings for what is being written."""

        def act(branches: Branches) -> str:
            refused = branches.player.amend(read_form(settings).decoding)
            return " ".join(dict.fromkeys(refused))

        yield from self.show(request, act)

    def branch(self, request: gr.Request, event: gr.EventData) -> Iterator[list[Any]]:
        """A candidate or a place of a lane, gone on with."""
        yield from self.show(request, lambda branches: branches.branch(sent(event)))

    def branch_of_another_tab(
        self, request: gr.Request, event: gr.EventData
    ) -> Iterator[list[Any]]:
        """The same in a lane of another tab, whose run comes here with it."""
        where = str(getattr(event.target, "props", {}).get("name", "")).capitalize()
        yield from self.show(request, lambda branches: branches.branch(sent(event), where))

    def stop(self, request: gr.Request) -> Iterator[list[Any]]:
        """Everything stops; what was written stays."""
        yield from self.show(request, lambda branches: branches.stop())

    def act(self, request: gr.Request, event: gr.EventData) -> Iterator[list[Any]]:
        """What the tree, the samples, the pace or the line above a lane asks for."""
        yield from self.show(request, partial(_act, wish=sent(event)))

    def refer(self, request: gr.Request, event: gr.EventData) -> Iterator[list[Any]]:
        """Another lane to compare the others with."""
        yield from self.show(request, lambda branches: branches.refer(sent(event).get("column")))


def _updates(frame: Frame) -> list[Any]:
    stop = running() if frame.live else resting()
    notice = sentence(frame.notice) if frame.notice else ""
    boxes = [gr.update(elem_classes=_lane(shown)) for shown in frame.shown]
    return [*stop, notice, *frame.lanes, *boxes, *frame.strips, frame.pace, frame.tree,
            frame.samples, frame.parting]


def _lane(shown: bool) -> list[str]:
    """The classes of a lane. One that is put away is there and not absent, since a lane that must
    be mounted first shows its branch 100 ms later; a column takes no "hidden" for that."""
    return ["lane-column", "branch-lane", *([] if shown else ["put-away"])]


def _act(branches: Branches, wish: Mapping[str, Any]) -> None:
    """What a part of the page asks for. Raises InvalidInput for anything that none of them asks."""
    key, player = wish.get("key"), branches.player
    match wish.get("do"):
        case "stop":
            branches.stop(key if isinstance(key, str) else "")
        case "close":
            branches.close(wish.get("lane"))
        case "show":
            branches.show(key, wish.get("lane"))
        case "rename":
            branches.rename(key, wish.get("name"))
        case "prune":
            branches.prune(key)
        case "undo":
            branches.undo()
        case "compare":
            branches.compare(key)
        case "sample":
            branches.open_sample(key)
        case "stop samples":
            player.stop_samples()
        case "pause":
            player.pace.pause(player.paced)
        case "step":
            player.pace.step(player.paced)
        case "go":
            player.pace.go_on(player.paced)
        case "speed":
            player.pace.change(wish.get("speed"), player.paced)
        case other:
            raise InvalidInput("The page asked for something that is not there.", field="do",
                               given=other)
