"""Stands before every request: refuses other sites' pages, and keeps the browser at home."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from playground.ui.visitor import Visitors

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What a model writes may hold Markdown images: without this an image's address would carry the
# conversation to another host. Gradio's own bundle needs inline scripts, styles and workers.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# What Gradio has and this page does not use: values of a whole page as a link, requests to other
# hosts in this one's name, code written into the app, recordings.
ROBOTS = "/robots.txt"  # Gradio answers it by whether its own page for share links is served
CLOSED = tuple(f"/gradio_api/{name}" for name in
               ("deep_link", "proxy=", "vibe-", "undo-vibe-edit", "process_recording"))


class Guard:
    """ASGI middleware: a POST that another site's page sends is refused with 403.

    The rule is that of Sec-Fetch-Site and Origin, as in Datasette's csrf.py; clients that send
    neither header (curl, gradio_client) are no browsers and pass. With ``loopback_only`` a request
    whose Host is another name is refused too, which stops DNS rebinding. Parts of Gradio that this
    page does not use are not there. Who asks for the page itself gets the cookie by which
    ``visitors`` knows it again. Where the page is ``unlisted`` search engines are told to leave.
    """

    def __init__(
        self, app: Any, loopback_only: bool = False, visitors: Visitors | None = None,
        unlisted: bool = False,
    ) -> None:
        self.app = app
        self.loopback_only = loopback_only
        self.unlisted = unlisted
        self.visitors = visitors or Visitors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        if self._refused(scope["method"], headers):
            await _refuse(send)
            return
        if any(name in scope["path"] for name in CLOSED):
            await _refuse(send, 404, "There is nothing here.")
            return
        root = scope.get("root_path", "")
        if self.unlisted and scope["path"] in (ROBOTS, root + ROBOTS):
            await _answer(send, 200, b"text/plain", b"User-agent: *\nDisallow: /\n")
            return

        own = list(HEADERS)
        page = scope["method"] == "GET" and scope["path"] in ("/", root + "/")
        cookie = self.visitors.new_cookie(headers.get("cookie", "")) if page else None
        if cookie is not None:
            own.append((b"set-cookie", cookie.encode()))

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        await self.app(scope, receive, send_guarded)

    def _refused(self, method: str, headers: dict[str, str]) -> bool:
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self.loopback_only and name not in LOOPBACK:
            return True
        if method in ("GET", "HEAD", "OPTIONS"):
            return False
        # Where the browser says it itself, that is enough: a proxy may have changed the Host.
        if "sec-fetch-site" in headers:
            return headers["sec-fetch-site"] not in ("none", "same-origin")
        origin = headers.get("origin")
        return origin is not None and urlsplit(origin).netloc != host


async def _refuse(
    send: Send, status: int = 403,
    message: str = "This request came from another site's page and is refused.",
) -> None:
    """In the shape that a program expects of the API, and as good as any for a page."""
    kind = "permission_error" if status == 403 else "not_found_error"
    error = {"message": message, "type": kind, "param": None, "code": None}
    await _answer(send, status, b"application/json", json.dumps({"error": error}).encode())


async def _answer(send: Send, status: int, kind: bytes, body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), *HEADERS],
        }
    )
    await send({"type": "http.response.body", "body": body})
