"""Who is asking: one person on this machine, and in public each browser by a cookie of its own.

What a browser is called by Gradio (its session hash) is chosen by the browser, and so is no one's
name. The cookie is drawn here, no script can read it, and only its hash is ever kept.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Any

from playground.settings import Mode

OWNER = "owner"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
YEAR = 365 * 24 * 3600


class Visitors:
    """Knows visitors again. A browser that takes no cookie is nobody: nothing can be its own."""

    def __init__(self, mode: Mode = "local") -> None:
        self.are_many = mode != "local"
        # A Space is shown inside a page of huggingface.co, so that its cookie is a third party's.
        self._framed = mode == "space"
        self.cookie = "__Host-visitor" if self._framed else "visitor"

    def owner(self, request: Any) -> str | None:
        """The owner of what this request asks for; None for a browser without a cookie."""
        if not self.are_many:
            return OWNER
        cookies = getattr(request, "cookies", None)
        given = cookies.get(self.cookie) if cookies is not None else None
        if not isinstance(given, str) or not _SECRET.fullmatch(given):
            return None
        return sha256(given.encode()).hexdigest()

    def new_cookie(self, cookies: str) -> str | None:
        """The cookie to be set for a browser that sent this ``Cookie`` header; None where it needs
        none."""
        found = re.search(rf"(?:^|;\s*){re.escape(self.cookie)}=([^;]*)", cookies)
        if not self.are_many or (found and _SECRET.fullmatch(found[1].strip())):
            return None
        kind = "SameSite=None; Secure; Partitioned" if self._framed else "SameSite=Lax"
        value = secrets.token_urlsafe(32)
        return f"{self.cookie}={value}; Path=/; Max-Age={YEAR}; HttpOnly; {kind}"
