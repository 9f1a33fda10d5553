"""The page: header, tabs and launch settings; it knows each tab only by its ``build`` function."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from playground.engine.engine import Engine
from playground.settings import Settings
from playground.ui.actions import QUIET
from playground.ui.blind import WAY_IN, BlindTab, GridSource, build_blind
from playground.ui.blind_grid import cells_of
from playground.ui.chat import build_chat
from playground.ui.complete import CompleteTab, build_complete
from playground.ui.grid import build_grid, key_of
from playground.ui.guard import Guard
from playground.ui.header import header, shared_note
from playground.ui.inside import InsideTab, build_inside
from playground.ui.keeping import keeper_of
from playground.ui.lane_play import describe
from playground.ui.language import language_picker
from playground.ui.logits_section import lead_to_complete
from playground.ui.model_list import list_models
from playground.ui.models import build_models
from playground.ui.recipe import RecipeTab, build_recipe
from playground.ui.records import build_records
from playground.ui.score import build_score
from playground.ui.strategies import build_strategies
from playground.ui.streaming import SessionStreams, Stage
from playground.ui.tab_history import keep_tab_in_address
from playground.ui.theme import KEYS, STYLES, theme
from playground.ui.tokens import TokensTab, build_tokens
from playground.ui.visitor import Visitors
from playground.ui.visitor_tokens import token_boxes

TITLE = "Token by Token"
REFRESH_SECONDS = 3
SPARE_THREADS = 64


@dataclass(frozen=True)
class _Tabs:
    """The row of tabs, those of them that others lead to, and the list of models."""

    row: gr.Tabs
    complete: CompleteTab
    tokens: TokensTab
    inside: InsideTab
    blind: BlindTab
    recipe: RecipeTab
    models: gr.HTML


def build_page(
    engine: Engine, settings: Settings, endpoints: Callable[[], None] = lambda: None
) -> gr.Blocks:
    """The whole page over one engine; ``launch_options`` says how to serve it.

    Programs see what ``endpoints`` adds. The page's own events are no API: they change with it.
    """
    keeper = keeper_of(settings, describe)
    atexit.register(keeper.records.close)
    stage = Stage(engine, SessionStreams(), keeper)
    with gr.Blocks(
        title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)
    ) as page:
        # Here and not at the end: Gradio describes the whole page anew each time it is asked.
        page.queue(api_open=False, max_size=64, default_concurrency_limit=None)
        endpoints()
        public = set(page.fns)
        top = gr.HTML(lambda: header(engine, settings), elem_id="header", padding=False)
        language_picker()
        if note := shared_note(settings):
            gr.HTML(note, elem_id="shared-note", padding=False)
        token_boxes(settings, stage.tokens)
        tabs = _build_tabs(stage, settings)
        _lead(page, tabs, settings.address)
        _keep_fresh(stage, settings, top, tabs.models)
        page.unload(_closer(stage, tabs))
    for number, event in page.fns.items():
        if number not in public:
            event.api_visibility = "private"
    return page


def _build_tabs(stage: Stage, settings: Settings) -> _Tabs:
    with gr.Tabs() as row:
        with gr.Tab("Chat", id="chat"):
            build_chat(stage, settings)
        with gr.Tab("Complete", id="complete"):
            complete = build_complete(stage, settings)
        with gr.Tab("Strategies", id="strategies"):
            build_strategies(stage, settings)
        with gr.Tab("Tokens", id="tokens"):
            tokens = build_tokens(stage, settings)
        with gr.Tab("Score", id="score") as score:
            build_score(stage, settings, score)
        with gr.Tab("Inside", id="inside"):
            inside = build_inside(stage, settings)
        with gr.Tab("Grid", id="grid") as grid:
            work, board = build_grid(stage, settings, grid)
        with gr.Tab("Blind", id="blind") as blind_tab:
            cells = GridSource(board, key_of, cells_of(work))
            blind = build_blind(stage, settings, blind_tab, cells)
        with gr.Tab("Models", id="models"):
            models = build_models(stage.engine, settings)
        with gr.Tab("Recipe", id="recipe"):
            recipe = build_recipe(stage, settings)
        with gr.Tab("Records", id="records"):
            build_records(stage.keeper)
    return _Tabs(row, complete, tokens, inside, blind, recipe, models)


def _lead(page: gr.Blocks, tabs: _Tabs, address: str) -> None:
    """Let the page's address, and buttons and tokens of each tab, open other tabs."""
    row, complete = tabs.row, tabs.complete
    keep_tab_in_address(row)
    tabs.recipe.take_links(page, row, address)
    tabs.recipe.fill_complete(row, complete.text, complete.columns)
    tabs.recipe.fill_tokens(row, tabs.tokens.asked)
    logits = next(section for section in tabs.inside.sections if section.id == "logits")
    lead_to_complete(logits.view, row, complete.text)
    tabs.tokens.take_branches(_branching_lanes(page), row)
    tabs.inside.take_tokens(_token_lanes(page), row)
    tabs.blind.lead_here(_ways_to_blind(page), row)


def _keep_fresh(stage: Stage, settings: Settings, top: gr.HTML, models: gr.HTML) -> None:
    """Tell the header and the list of models, every few seconds, what has changed."""
    shown = gr.State(("", ""))

    def refresh(request: gr.Request, before: tuple[str, str]) -> list[Any]:
        """Only what has changed crosses the wire; a page that asks is one that is open."""
        stage.keeper.meet(request)
        now = (header(stage.engine, settings), list_models(stage.engine, settings))
        if now == before:
            return [gr.skip(), gr.skip(), gr.skip()]
        new = [n if n != b else gr.skip() for n, b in zip(now, before, strict=True)]
        return [*new, now]

    gr.Timer(REFRESH_SECONDS).tick(refresh, shown, [top, models, shown], queue=False, **QUIET)


def _closer(stage: Stage, tabs: _Tabs) -> Callable[[gr.Request], None]:
    ends = (tabs.tokens.close, tabs.recipe.opened.close, tabs.blind.close, tabs.inside.close,
            stage.streams.close, stage.tokens.forget)

    def closed(request: gr.Request) -> None:
        """A page was closed: nothing of it runs on, and nothing of it is held."""
        for end in ends:
            end(str(request.session_hash))

    return closed


def _token_lanes(page: gr.Blocks) -> list[gr.HTML]:
    """Every lane of tokens."""
    parts = [part for part in page.blocks.values() if isinstance(part, gr.HTML)]
    return [part for part in parts if part.props.get("mode") == "lane"]


def _branching_lanes(page: gr.Blocks) -> list[gr.HTML]:
    """Those in which a reader can choose another candidate."""
    return [part for part in _token_lanes(page) if part.props.get("can_branch")]


def _ways_to_blind(page: gr.Blocks) -> list[gr.Button]:
    """The buttons of other tabs that bring their lanes to the blind comparison."""
    buttons = [part for part in page.blocks.values() if isinstance(part, gr.Button)]
    return [button for button in buttons if WAY_IN in (button.elem_classes or ())]


def launch_options(settings: Settings, *behind: Middleware) -> dict[str, Any]:
    """Arguments of ``launch``: what nobody needs is off, and the Guard stands in front, before
    what else stands ``behind`` it."""
    loopback_only = settings.mode == "local"
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "share": settings.share,
        "auth": settings.auth,
        "theme": theme(),
        "css_paths": STYLES,
        "js": KEYS,
        "footer_links": ["api", "gradio", "settings"],
        "show_error": False,
        "quiet": True,
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": settings.mcp,
        "pwa": False,
        "ssr_mode": False,
        "max_file_size": "1mb",
        "allowed_paths": [],
        "state_session_capacity": 500,
        # Each request that runs or waits has a thread for its page; what is quick needs some, too.
        "max_threads": settings.limits.running + settings.limits.waiting + SPARE_THREADS,
        "app_kwargs": {
            "max_body_size": 1_000_000,
            "middleware": [
                Middleware(Guard, loopback_only=loopback_only, visitors=Visitors(settings.mode),
                           unlisted=settings.share),
                *behind,
            ],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    }
