"""Starts the playground: reads the settings, builds the engine and the page; no more.

``python app.py`` serves the page, on a laptop and on a Space alike. A tool that imports this module
finds the page as ``demo``. Nothing heavy is imported before it is needed: worker processes import
this module too, under another name, and must stay free of the page.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from playground.core.run import ModelSpec
from playground.environment import go_offline, prepare_environment
from playground.errors import PlaygroundError
from playground.flags import settings_from
from playground.settings import Settings

if TYPE_CHECKING:
    import gradio

    from playground.engine.engine import Engine


def read_settings(arguments: Sequence[str]) -> Settings:
    """The settings, once nothing that is imported later can telephone; the models that are known to
    be encoders are among those that only read. Raises PlaygroundError."""
    prepare_environment()
    settings = settings_from(arguments)
    if settings.offline:
        go_offline()
    # Only now: it imports the Hub's client.
    from playground.models.place import known_encoders

    found = settings.with_encoders(reading := known_encoders(settings.models))
    if reading:
        print(f"{', '.join(reading)}: reads text and writes none, so it is offered in the Inside "
              f"tab, and the other tabs begin with {found.default_model}.", file=sys.stderr)
    return found


def build(settings: Settings) -> tuple[Engine, gradio.Blocks]:
    """The engine, with nothing loaded yet, and the page over it."""
    from playground.api.endpoints import Endpoints
    from playground.engine.engine import Engine
    from playground.ui.page import build_page
    from playground.ui.visitor import Visitors

    engine = _on_zero_gpu(settings) if settings.zero_gpu else Engine(settings)
    if settings.remotes:
        settings = replace(settings, remote_models=engine.remote_models())
    endpoints = Endpoints(engine, Visitors(settings.mode, settings.share).visitor)
    return engine, build_page(engine, settings, endpoints.add)


def _on_zero_gpu(settings: Settings) -> Engine:
    """The engine where there are no worker processes, with every offered model in this one."""
    import spaces  # noqa: F401  before torch, as it wants to be

    from playground.engine.engine import Engine
    from playground.engine.zero import ZeroWorker, gpu_function, held, hold_offered

    start: Any = partial(ZeroWorker, gpu_function())
    engine = Engine(settings, start=start, check=held)
    hold_offered([ModelSpec(repo) for repo in settings.offered], engine.folder_of)
    return engine


def launch(engine: Engine, page: gradio.Blocks, settings: Settings) -> None:
    """Serve the page, and the API beside it; returns when they answer."""
    from starlette.middleware import Middleware

    from playground.api.door import ApiDoor
    from playground.api.endpoints import answer_in_json
    from playground.api.openai_routes import openai_app
    from playground.ui.page import launch_options

    door = Middleware(ApiDoor, api=openai_app(engine), settings=settings)
    page.launch(**launch_options(settings, door), prevent_thread_lock=True)
    # Gradio's page for share links takes its scripts from another host, which the Guard forbids;
    # without it Gradio's robots.txt lets search engines in, so the Guard answers in its stead.
    page.share = False
    answer_in_json(page)


def main(arguments: Sequence[str]) -> int:
    """Serve the page until interrupted; 2 means that the flags make no sense."""
    try:
        settings = read_settings(arguments)
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    # Looking for garbage while all is imported and built takes a tenth of the start and finds none.
    gc.disable()
    engine, page = build(settings)
    launch(engine, page, settings)
    gc.freeze()
    gc.enable()
    # Only now: beside torch's import in another process, gradio's own takes twice as long.
    engine.warm(ModelSpec(settings.models[0]))
    print(f"Open http://{settings.host}:{settings.port} in a browser.", flush=True)
    if settings.share and page.share_url is None:
        print("There is no share link: Gradio's share server could not be reached. The page is on "
              "this machine only.", file=sys.stderr)
    if settings.auth is not None and settings.password_is_new:
        user, password = settings.auth
        print(f"Visitors need the user name {user} and the password {password}.", flush=True)
    if settings.api_key_is_new:
        print(f"Programs need the key {settings.api_keys[0]}.", flush=True)
    page.block_thread()
    return 0


def __getattr__(name: str) -> Any:
    """``demo``, built when somebody asks for it."""
    if name == "demo":
        settings = read_settings([])
        engine, page = build(settings)
        engine.warm(ModelSpec(settings.models[0]))
        return page
    raise AttributeError(name)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
