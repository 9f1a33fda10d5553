"""The Recipe tab: a link or a file as a filled-in page, run again and compared when asked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from playground.core.recipe import LONGEST_FILE
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.actions import QUIET, action_row, resting, running, sentence
from playground.ui.columns import Columns
from playground.ui.lane_count import shown
from playground.ui.lane_form import write_lane
from playground.ui.recipe_calls import fields_of, lane_of
from playground.ui.recipe_opened import Opened, OpenedRecipes, groups, read_given
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import expected_view, idle, recipe_view, token_stream

TAB = "recipe"
HINT = (
    "Open a shared link, or a recipe's file, to see its prompt, its settings and its answer here. "
    "Every lane of the other tabs has a Share button that makes them."
)
AGAIN = "“Run again and verify” writes its tokens here."

# What stands behind the # of this page's address, when it is opened and when it is changed.
# Back to a link that is open already is no new one: an entry of the page's own history has a tab.
ON_LOAD = """
() => {
  window.recipeAddress = ADDRESS;
  if (!window.recipeListens) {
    window.recipeListens = true;
    addEventListener('hashchange', () => {
      if (location.hash.startsWith('#recipe=') && !history.state?.tab) location.reload();
    });
  }
  return location.hash.startsWith('#recipe=') ? location.hash : '';
}
"""
TO_FRONT = f"() => ({{ __type__: 'update', selected: '{TAB}' }})"


@dataclass(frozen=True)
class RecipeTab:
    """What the page needs of the tab: its address line, and what ends with a page."""

    given: gr.Textbox
    opened: OpenedRecipes
    open: Callable[..., list[Any]]
    outputs: list[Any]
    notice: gr.HTML
    ways: tuple[gr.Button, gr.Button]

    def take_links(self, page: gr.Blocks, tabs: gr.Tabs, address: str) -> None:
        """Open what the page's address carries, and come to the front for it."""
        from_link = gr.Textbox("", visible=False)
        page.load(None, None, from_link, js=ON_LOAD.replace("ADDRESS", encode(address)))
        wide = {**QUIET, "queue": False, "show_progress_on": self.notice}
        # The tab is drawn while the server still reads the link. Said by the script alone, a later
        # update to another tab changed nothing, so the server says it as well.
        from_link.change(None, None, tabs, js=TO_FRONT, **QUIET)
        from_link.change(self.open, from_link, self.outputs, **wide)
        from_link.change(lambda: gr.Tabs(selected=TAB), None, tabs, queue=False, **QUIET)

    def fill_complete(self, tabs: gr.Tabs, text: gr.Textbox, columns: Columns) -> None:
        """Let a button put every lane that fits into the Complete tab; nothing runs."""
        every = columns.all
        parts = [part for c in every for part in (c.prompt, c.settings)]
        outputs = [self.notice, text, columns.count, *parts, *columns.boxes, tabs]

        def fill(request: gr.Request) -> list[Any]:
            try:
                lanes = [lane_of(one.run) for one in self._of(request).experiment.lanes]
            except PlaygroundError as error:
                return [sentence(error.problem), *[gr.skip()] * (len(outputs) - 1)]
            lanes = lanes[: len(every)]
            told = [value for own, form in lanes for value in (own, write_lane(form))]
            rest = [gr.skip()] * (len(parts) - len(told))
            return ["", "", len(lanes), *told, *rest, *shown(len(lanes), len(every)),
                    gr.Tabs(selected="complete")]

        self.ways[0].click(fill, None, outputs, queue=False,
                           **{**QUIET, "show_progress_on": self.notice})

    def fill_tokens(self, tabs: gr.Tabs, parts: Sequence[Any]) -> None:
        """Let a button put the lane that is shown into the Tokens tab, whose ``parts`` are text,
        model, template, control tokens and settings; nothing runs."""

        def fill(request: gr.Request, *now: Any) -> list[Any]:
            try:
                told = fields_of(self._of(request).recipe.run)
            except PlaygroundError as error:
                return [sentence(error.problem), *now, gr.skip()]
            return ["", told["text"], told["model"], told["template"], told["control_tokens"],
                    told["settings"], gr.Tabs(selected="tokens")]

        self.ways[1].click(fill, list(parts), [self.notice, *parts, tabs], queue=False,
                           **{**QUIET, "show_progress_on": self.notice})

    def _of(self, request: gr.Request) -> Opened:
        return _opened(self.opened, request)


def build_recipe(stage: Stage, settings: Settings) -> RecipeTab:
    """Build the tab inside the open Blocks."""
    opened = OpenedRecipes()
    with gr.Row(elem_classes="tab-head"):
        given = gr.Textbox("", label="Link or recipe", placeholder="Paste a link, or a recipe's "
                           "JSON. Enter opens it.", lines=1, max_lines=4, scale=5,
                           elem_classes="prompt-box", max_length=LONGEST_FILE)
        with gr.Column(scale=1, min_width=100, elem_classes="actions"):
            upload = gr.UploadButton("Open file", file_types=[".json"], size="md", min_width=90)
    actions = action_row(TAB, "Run again and verify", placed=False)
    actions.notice.render()
    # Nothing but the sheet's hint is in sight before something is open: see page.css.
    with gr.Column(elem_classes="recipe-open"):
        pick = gr.Radio([], label="Lane", show_label=False, container=False, visible=False,
                        type="index", elem_classes="recipe-pick")
        sheet = recipe_view(hint=HINT)
        with gr.Row(elem_classes=["tools", "recipe-tools"]):
            actions.run.render()
            actions.stop.render()
            complete = gr.Button("Open in Complete", size="sm", elem_classes="tool", min_width=60)
            tokens = gr.Button("Open in Tokens", size="sm", elem_classes="tool", min_width=60)
        with gr.Row(elem_classes="lanes"):
            with gr.Column(min_width=280, elem_classes="lane-column"):
                expected = expected_view()
            with gr.Column(min_width=280, elem_classes="lane-column"):
                lane = token_stream(hint=AGAIN, view="tokens", name=TAB, branch=True)

    shown_parts = [sheet, pick, expected, lane]
    outputs = [*actions.outputs, *shown_parts]
    tab = RecipeTab(given, opened, _opener(opened, settings), outputs, actions.notice,
                    (complete, tokens))
    given.submit(tab.open, given, outputs, queue=False, **actions.wide)
    upload.upload(_uploader(tab.open), upload, outputs, queue=False, **actions.wide)
    pick.input(_picker(opened), pick, outputs, queue=False, **actions.wide)
    actions.wire(_runner(stage, opened, settings), {}, shown_parts, stage.stopper(TAB))
    return tab


def _opened(opened: OpenedRecipes, request: gr.Request) -> Opened:
    found = opened.get(str(request.session_hash))
    if found is None:
        raise InvalidInput("Nothing is open.", field="recipe",
                           advice="Paste a link or a recipe's JSON, or choose its file.")
    return found


def _opener(opened: OpenedRecipes, settings: Settings) -> Callable[..., list[Any]]:
    def open_recipe(request: gr.Request, given: Any) -> list[Any]:
        """Show what a link or a file says; it runs nothing."""
        try:
            experiment = read_given(given)
        except PlaygroundError as error:
            opened.close(str(request.session_hash))
            return [*resting(), sentence(error.problem), encode({}), _no_lanes(),
                    encode({}), idle()]
        here = Opened(experiment, settings, len(given))
        return _shown(opened.put(str(request.session_hash), here))

    return open_recipe


def _uploader(open_recipe: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def open_file(request: gr.Request, path: Any) -> list[Any]:
        """The text of an uploaded file, as far as it may be read."""
        try:
            with Path(str(path)).open("rb") as file:
                data = file.read(4 * LONGEST_FILE + 1)
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            text = "this is no text"
        return open_recipe(request, text if text.strip().startswith("{") else "{")

    return open_file


def _picker(opened: OpenedRecipes) -> Callable[..., list[Any]]:
    def pick(request: gr.Request, lane: Any) -> list[Any]:
        """Another of the lanes."""
        try:
            here = _opened(opened, request)
        except PlaygroundError as error:
            return [*resting(), sentence(error.problem), encode({}), _no_lanes(), encode({}),
                    idle()]
        here.choose(lane)
        return _shown(here, busy=any(not feed.trace.is_over for feed in here.feeds.values()))

    return pick


def _runner(
    stage: Stage, opened: OpenedRecipes, settings: Settings
) -> Callable[..., Iterator[list[Any]]]:
    def run(request: gr.Request) -> Iterator[list[Any]]:
        """Run every lane of what is open again, and compare."""
        try:
            here = _opened(opened, request)
        except PlaygroundError as error:
            yield [*resting(), sentence(error.problem), encode({}), _no_lanes(), encode({}),
                   idle()]
            return
        yield from stage.show(TAB, request, _again(stage, request, here, opened, settings))

    return run


def _again(
    stage: Stage, request: gr.Request, here: Opened, opened: OpenedRecipes, settings: Settings
) -> Iterator[list[Any]]:
    """The updates of running what is open again; they end where something else is opened."""
    for group in groups(here.begin(), settings.limits.columns):
        for _ in stage.play(TAB, request, [feed for _, feed in group]):
            if opened.get(str(request.session_hash)) is not here:
                return
            here.judge()
            yield _shown(here, busy=True)
    here.judge()
    yield _shown(here)


def _shown(here: Opened, busy: bool = False) -> list[Any]:
    titles = here.choices
    pick = gr.update(choices=titles, value=titles[here.chosen], visible=len(titles) > 1)
    feed = here.feeds.get(here.chosen)
    lane = feed.flush() if feed else idle("Run again", here.recipe.run.decoding.summary, AGAIN)
    return [*(running() if busy else resting()), "", encode(here.sheet()), pick,
            encode(here.expected()), lane]


def _no_lanes() -> Any:
    return gr.update(choices=[], value=None, visible=False)
