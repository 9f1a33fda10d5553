"""Starts the playground: reads the settings, builds the engine and the page; no more.

``python app.py`` serves the page, on a laptop and on a Space alike. A tool that imports this module
finds the page as ``demo``. Nothing heavy is imported before it is needed: worker processes import
this module too, under another name, and must stay free of the page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from playground.errors import PlaygroundError
from playground.settings import Settings, prepare_environment, settings_from

if TYPE_CHECKING:
    import gradio


def build(settings: Settings) -> gradio.Blocks:
    """The engine with its default model on the way, and the page over it."""
    # The engine first: its forkserver imports torch while this process imports gradio.
    from playground.core.run import ModelSpec
    from playground.engine.engine import Engine

    engine = Engine(settings)
    engine.warm(ModelSpec(settings.models[0]))

    from playground.ui.page import build_page

    return build_page(engine, settings)


def main(arguments: Sequence[str]) -> int:
    """Serve the page until interrupted; 2 means that the flags make no sense."""
    prepare_environment()
    try:
        settings = settings_from(arguments)
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 2
    page = build(settings)

    from playground.ui.page import launch_options

    page.launch(**launch_options(settings), prevent_thread_lock=True)
    print(f"Open http://{settings.host}:{settings.port} in a browser.", flush=True)
    if settings.auth is not None and settings.password_is_new:
        user, password = settings.auth
        print(f"Visitors need the user name {user} and the password {password}.", flush=True)
    page.block_thread()
    return 0


def __getattr__(name: str) -> Any:
    """``demo``, built when somebody asks for it."""
    if name == "demo":
        prepare_environment()
        return build(settings_from([]))
    raise AttributeError(name)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
