"""A server of somebody else's that answers as OpenAI's API does: name, address; it asks none.

A model on it is named ``remote/NAME/MODEL``: NAME is what the host calls the server, MODEL what the
server calls the model. An address never is part of it, so that nobody can make one up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

from playground.errors import InvalidInput

PREFIX = "remote/"
MOST_MODELS = 50
LONGEST_NAME = 200
UNTOLD = math.nan  # what a number is that a server does not tell; a rank is 0 then

_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{0,39}")


class Secret:
    """A token on its way to a server; it prints, compares and pickles as nothing."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("A secret is not written down.")

    def tell(self) -> str:
        """The token itself, for the header of a request."""
        return self._value


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that the host of this app has named: where its API is, with ``/v1`` at its end.

    ``models`` are those that are offered, all that it lists where there are none. With
    ``visitor_token`` every visitor brings a token of their own, and the host's is never sent there.
    Raises InvalidInput, naming what is wrong.
    """

    name: str
    url: str
    visitor_token: bool = False
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidInput(
                f"A remote server cannot be called {self.name!r}.", field="--remote",
                given=self.name, allowed="up to 40 of a-z, 0-9, . and -",
                advice="Write --remote NAME=URL.",
            )
        _check_url(self.url)
        secure = self.url.startswith("https://") or _is_loopback(self.url)
        if self.visitor_token and not secure:
            raise InvalidInput(
                f"Visitors' tokens would go to {self.name} in the clear.", field="visitor_token",
                given=self.name, allowed="an address with https://",
            )
        if len(self.models) > MOST_MODELS or not all(map(is_name, self.models)):
            raise InvalidInput(
                f"The models of {self.name} are up to {MOST_MODELS} names as the server has them.",
                field="remotes", given=len(self.models),
            )

    @property
    def variable(self) -> str:
        """The environment variable with the host's own token for it."""
        return "PLAYGROUND_REMOTE_TOKEN_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    @property
    def root(self) -> str:
        """Where the server's other routes are, without the ``/v1``."""
        return self.url.removesuffix("/v1")


def remote_from(told: object) -> Remote:
    """A remote as a flag says it (``URL`` or ``NAME=URL``), or an entry of ``remotes`` in
    spaces.yaml. Without a name it is called after its host. Raises InvalidInput."""
    if isinstance(told, str):
        name, equals, url = told.partition("=")
        if not equals or "/" in name:
            name, url = "", told
        return Remote(name or _named_after(url), _with_version(url))
    known = {"name", "url", "visitor_token", "models"}
    if not isinstance(told, Mapping) or not {"name", "url"} <= set(told) <= known:
        raise InvalidInput(
            "An entry of remotes in spaces.yaml has name and url, and may have visitor_token and "
            "models.", field="remotes", given=told,
        )
    models, own = told.get("models", []), told.get("visitor_token", False)
    if not isinstance(models, list) or not isinstance(own, bool):
        raise InvalidInput(
            "models of a remote is a list of names, and visitor_token is true or false.",
            field="remotes", given=told["name"],
        )
    return Remote(told["name"], _with_version(told["url"]), own, tuple(models))


def is_name(name: object) -> bool:
    """Whether this can be what a server calls a model: a short text that prints."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()


def repo_of(server: str, model: str) -> str:
    """What a model on a server is called here."""
    return f"{PREFIX}{server}/{model}"


def server_and_model(repo: str) -> tuple[str, str] | None:
    """The server and its name for the model; None for a repo that is not on a server. No id on the
    Hub has two slashes."""
    if not repo.startswith(PREFIX):
        return None
    server, slash, model = repo.removeprefix(PREFIX).partition("/")
    return (server, model) if slash and server and model else None


def untold_id(text: str) -> int:
    """The number of a token whose id the server does not tell: below 0, and the same for the same
    text, so that tokens of such servers can be told apart and compared."""
    return -1 - crc32(text.encode("utf-8", "replace"))


def _named_after(url: str) -> str:
    try:
        found = urlsplit(url)
        host, port = found.hostname or "", found.port
    except ValueError:
        host, port = "", None
    name = re.sub(r"[^a-z0-9.\-]", "-", host.lower()).strip(".-")
    return f"{name}-{port}"[:40] if port else name[:40]


def _with_version(url: Any) -> Any:
    """The address with ``/v1`` where it has no path of its own."""
    if not isinstance(url, str):
        return url
    plain = url.rstrip("/")
    return f"{plain}/v1" if plain.count("/") == 2 else plain


def _check_url(url: object) -> None:
    allowed = "an address such as http://127.0.0.1:8000/v1"
    try:
        found = urlsplit(url) if isinstance(url, str) and url.isprintable() else None
        host, _ = (found.hostname, found.port) if found else (None, None)
    except ValueError:
        found = host = None
    if found is None or found.scheme not in ("http", "https") or not host:
        raise InvalidInput("This is no address of a remote server.", field="--remote",
                           given=url, allowed=allowed)
    if found.username is not None or found.password is not None or found.query or found.fragment:
        raise InvalidInput(
            "The address of a remote server holds no password, token or question mark.",
            field="--remote", allowed=allowed,
            advice="Put its token in the environment variable PLAYGROUND_REMOTE_TOKEN.",
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
