"""The one token view: every token in the app is shown by this component; it knows no model.

A tab that streams two lanes, whole::

    from playground.ui.token_stream import TokenFeed, idle, token_stream

    with gr.Row():
        lanes = [token_stream("Greedy", name="compare"), token_stream("Top-p", name="compare")]
    status, go = gr.HTML(), gr.Button("Run", variant="primary")

    def answer(request: gr.Request, prompt):
        runs = [Run(spec, Raw(prompt), PRESETS[n]) for n in ("Greedy", "Top-p")]
        feeds = [TokenFeed(run, name) for run, name in zip(runs, ("Greedy", "Top-p"))]
        for _ in stage.play("compare", request, feeds):
            yield [feed.flush() for feed in feeds]

    go.click(answer, prompt, lanes, show_progress="hidden", show_progress_on=[status])

A lane without news gives the same string again, which costs the browser nothing. ``feed.trace`` is
the run as it stands. ``idle(title, subtitle, hint)`` is the value that empties a lane.
``TokenFeed.of(trace)`` shows a kept run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import gradio as gr

from playground.ui.recipe_share import read_recipe
from playground.ui.scripted import Bundle, scripted_view
from playground.ui.token_feed import TokenFeed, idle
from playground.ui.token_greedy import read_greedy
from playground.ui.token_store import read_prompt, read_tokens
from playground.ui.token_xray import read_xray

__all__ = ["TokenFeed", "expected_view", "idle", "recipe_view", "token_stream"]

View = Literal["text", "tokens", "table"]
BUNDLE = Bundle(
    "tokenStream",
    "token-stream",
    scripts=(
        "token_marks.js",
        "token_actions.js",
        "token_popover.js",
        "token_text.js",
        "token_table.js",
        "token_pieces.js",
        "token_prompt.js",
        "token_csv.js",
        "copy_text.js",
        "token_share_ways.js",
        "token_head.js",
        "token_legend.js",
        "token_dock.js",
        "token_panels.js",
        "token_search.js",
        "token_reel.js",
        "token_beam_tree.js",
        "token_beam_lists.js",
        "token_beam_greedy.js",
        "token_beams.js",
        "token_amended.js",
        "token_parting.js",
        "token_proposed.js",
        "token_cache.js",
        "token_xray_stages.js",
        "token_xray.js",
        "token_share.js",
        "token_lane.js",
        "parting_strip.js",
        "parting.js",
        "token_recipe.js",
        "token_stream.js",
    ),
    styles=(
        "token_stream.css",
        "token_dock.css",
        "token_xray.css",
        "token_forwards.css",
        "parting.css",
        "token_share.css",
    ),
)


def token_stream_tokens(request: object) -> str:
    """Server function: tokens or beam steps that a browser missed."""
    return read_tokens(request)


def token_stream_prompt(request: object) -> str:
    """Server function: the pieces of the prompt, when somebody opens that block."""
    return read_prompt(request)


def token_stream_xray(request: object) -> str:
    """Server function: what each processor did at one step, also under other settings."""
    return read_xray(request)


def token_stream_greedy(request: object) -> str:
    """Server function: the greedy run beside a beam search."""
    return read_greedy(request)


def token_stream_recipe(request: object) -> str:
    """Server function: the runs of some lanes as a link, as code or as a file."""
    return read_recipe(request)


def token_stream(
    title: str = "",
    subtitle: str = "",
    *,
    hint: str = "Tokens appear here.",
    view: View = "text",
    height: int = 320,
    name: str = "tokens",
    open_prompt: bool = False,
    open_search: bool = True,
    branch: bool = False,
    given: bool = False,
    visible: bool = True,
    elem_id: str | None = None,
    elem_classes: Sequence[str] = (),
    render: bool = True,
) -> gr.HTML:
    """One lane of tokens. Its value is a string from ``idle``, ``flush`` or ``final``.

    ``hint`` stands in the empty lane. ``view`` is the first view; a reader's own choice is
    remembered in the browser for all lanes with the same ``name``. ``height`` (pixels) is that of
    everything between header and figures; the tokens scroll inside it. ``open_prompt`` unfolds the
    prompt's pieces from the start, and without ``open_search`` the tree of a beam search stays
    folded until somebody asks for it. With ``branch`` a reader can ask for another way on:
    ``lane.branch(handler)`` gets ``gr.EventData`` with ``key``, ``position`` and ``what``: "take"
    the candidate ``id``, "ban" the token ``id`` that stands there, draw it "again", put other
    "text" there, which is ``text``, or draw "samples" of how it goes on before that place. All of
    it comes from a browser and may be anything; ``token_store.trace_of(key)`` is the run that it
    speaks of, or None. ``lane.look(handler)`` gets ``key`` and the ``position`` of a token, or its
    place in the ``prompt``: a wish to look into the model there. The tokens of a ``given`` text
    were chosen by nobody: nothing is said of how, and of no cache.
    """
    return scripted_view(
        BUNDLE,
        value=idle(title, subtitle),
        events=("branch", "look"),
        server=(token_stream_tokens, token_stream_prompt, token_stream_xray, token_stream_greedy,
                token_stream_recipe),
        visible=visible,
        elem_id=elem_id,
        elem_classes=elem_classes,
        render=render,
        mode="lane",
        hint=hint,
        view=view,
        height=height,
        name=name,
        open_prompt=open_prompt,
        open_search=open_search,
        can_branch=branch,
        given=given,
    )


def recipe_view(hint: str) -> gr.HTML:
    """A recipe as a sheet. Its value is a JSON object, see token_recipe.js; ``hint`` stands where
    there is none."""
    return scripted_view(BUNDLE, value="{}", mode="recipe", hint=hint)


def expected_view() -> gr.HTML:
    """An answer as it was recorded, beside the lane where it is written again."""
    return scripted_view(
        BUNDLE, value="{}", mode="expected", hint="The recorded answer appears here.",
    )
