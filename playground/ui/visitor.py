"""Who is asking: one person on this machine, and in public each browser by a cookie of its own.

What a browser is called by Gradio (its session hash) is chosen by the browser, and so is no one's
name. The cookie is drawn here, no script can read it, and only its hash is ever kept. A cookie can
be made up, and so does not bound anybody alone: the limits count those of one address together.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from playground.core.visitor import Visitor
from playground.settings import Mode

OWNER = "owner"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
YEAR = 365 * 24 * 3600


class Visitors:
    """Knows visitors again. A browser that takes no cookie is nobody: nothing can be its own.

    With ``tunnel`` they come through Gradio's share server, which hides where they come from.
    """

    def __init__(self, mode: Mode = "local", tunnel: bool = False) -> None:
        self.are_many = mode != "local"
        self._tunnel = tunnel
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

    def visitor(self, request: Any) -> Visitor:
        """Whose share of the machine this request takes: that of its cookie, and of its address.

        Those without a cookie (curl, programs) have one share for each address, and one together
        where no address is known.
        """
        if not self.are_many:
            return Visitor(OWNER)
        address = self._address(request)
        return Visitor(self.owner(request) or f"without a cookie {address}", address)

    def _address(self, request: Any) -> str:
        """Where a request comes from; empty where only the visitor says so, or nobody.

        On a Space that is the last hop of X-Forwarded-For, which the Space's own proxy adds; what
        stands before it comes from the visitor. Behind a share link it is nothing: the other end
        of the connection is always the tunnel, and the header may be anything.
        """
        if self._tunnel:
            return ""
        if not self._framed:
            client = getattr(request, "client", None)
            return _network(getattr(client, "host", "") or "")
        headers = getattr(request, "headers", None)
        hops = headers.getlist("x-forwarded-for") if hasattr(headers, "getlist") else []
        found = _network(hops[-1].rpartition(",")[2].strip()) if hops else ""
        # The address of a machine inside would be that of everybody.
        return found if found and ip_address(found.partition("/")[0]).is_global else ""

    def new_cookie(self, cookies: str) -> str | None:
        """The cookie to be set for a browser that sent this ``Cookie`` header; None where it needs
        none."""
        found = re.search(rf"(?:^|;\s*){re.escape(self.cookie)}=([^;]*)", cookies)
        if not self.are_many or (found and _SECRET.fullmatch(found[1].strip())):
            return None
        kind = "SameSite=None; Secure; Partitioned" if self._framed else "SameSite=Lax"
        value = secrets.token_urlsafe(32)
        return f"{self.cookie}={value}; Path=/; Max-Age={YEAR}; HttpOnly; {kind}"


def _network(text: str) -> str:
    """An IPv4 address, or the network of an IPv6 address that one household has (/64); empty for
    anything else."""
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found)
