"""Stands before the API's paths, and asks for a key where strangers can reach them; no engine.

The page's own guard stands before this, and refuses what another site's page sends.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Sequence
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.api.openai_errors import ApiError
from playground.api.openai_routes import error_response
from playground.settings import Settings

# The second is what a Space's front proxy hands on, beside Gradio's own paths.
PATHS = ("/v1", "/gradio_api/v1")
MCP = "/gradio_api/mcp"
LOCAL = "api"

_OFF = ApiError(404, "The API of this playground is off. Whoever runs it can switch it on with "
                "--api, or with api in spaces.yaml.", code="api_off")
_NO_KEY = ApiError(
    401, "A key is needed: send the header Authorization: Bearer KEY. Whoever runs this playground "
    "has the keys.", code="missing_api_key", headers=(("WWW-Authenticate", "Bearer"),))
_WRONG_KEY = ApiError(401, "This key is not one of this playground's.", code="invalid_api_key",
                      headers=(("WWW-Authenticate", "Bearer"),))


class ApiDoor:
    """ASGI middleware: the API's paths lead to ``api``, all others to the page.

    On this machine alone no key is needed unless there are some; else each request to the API, and
    to the MCP tools, must bring one. A caller is known by its key: ``visitor`` in the scope's
    state.
    """

    def __init__(self, app: ASGIApp, api: ASGIApp, settings: Settings) -> None:
        self.page = app
        # The page's limit answers in plain text; the API measures by itself, and answers as such.
        self.api = RequestBodyLimitMiddleware(api, max_body_size=sys.maxsize)
        self.off = not settings.api
        self.open = settings.mode == "local" and not settings.api_keys
        self.keys = settings.api_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        root = scope.get("root_path", "")
        path = scope.get("path", "").removeprefix(root)
        prefix = _prefix(path, (*PATHS, MCP)) if scope["type"] == "http" else None
        if prefix is None:
            await self.page(scope, receive, send)
            return
        if prefix != MCP and self.off:
            await error_response(_OFF)(scope, receive, send)
            return
        visitor = LOCAL if self.open else self._caller(Headers(scope=scope))
        if isinstance(visitor, ApiError):
            await error_response(visitor)(scope, receive, send)
            return
        known = {**scope, "state": {**scope.get("state", {}), "visitor": visitor}}
        if prefix == MCP:
            await self.page(known, receive, send)
        else:
            await self.api({**known, "root_path": root + prefix}, receive, send)

    def _caller(self, headers: Headers) -> str | ApiError:
        """The name of a caller, by its key."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            return _NO_KEY
        key = given.strip().encode("latin-1", "replace")
        # Every key is compared, so that the time tells nothing.
        if not any([hmac.compare_digest(key, one.encode()) for one in self.keys]):
            return _WRONG_KEY
        return f"{LOCAL} {sha256(key).hexdigest()[:32]}"


def _prefix(path: str, prefixes: Sequence[str]) -> str | None:
    return next((one for one in prefixes if path == one or path.startswith(one + "/")), None)
