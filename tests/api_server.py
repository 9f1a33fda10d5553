"""The API on a port of this machine: over the whole app, or over an engine that a test makes up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from openai import OpenAI

from playground.api.door import ApiDoor
from playground.api.openai_routes import openai_app
from playground.settings import Settings
from playground.ui.guard import Guard


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(url: str, key: str = "any") -> OpenAI:
    """OpenAI's own client, which asks once."""
    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=100)


async def no_page(scope: Any, receive: Any, send: Any) -> None:
    """What stands behind the door instead of the page: it says so."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the page"})


@contextmanager
def serving(engine: Any, settings: Settings = Settings()) -> Iterator[str]:
    """The API of an engine behind its door and the page's guard; gives its address."""
    engine.settings = settings
    door = ApiDoor(no_page, openai_app(engine), settings)
    guarded = Guard(door, loopback_only=settings.mode == "local")
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(guarded, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
