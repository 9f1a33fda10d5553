"""This process's environment, which no other module reads, and what its children inherit of it.

No secret reaches a process that holds a model. It knows no flag and no page.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playground.core.remote import Remote, Secret

_SECRET = re.compile(r"TOKEN|SECRET|KEY|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SWAPPED = threading.Lock()


def prepare_environment() -> None:
    """Switch telemetry off; must be called before gradio or huggingface_hub is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Gradio groups its statistics with pandas after this many events: 10 ms each, and not for us.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000"


def go_offline() -> None:
    """Keep every library, here and in processes that start later, from asking the Hub; must be
    called before huggingface_hub is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def is_on(environ: Mapping[str, str], name: str) -> bool:
    """Whether a variable says yes, as people write it."""
    return environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def own_environment() -> dict[str, str]:
    """This process's own environment, for a child that is to have all of it."""
    with _SWAPPED:
        return dict(os.environ)


def worker_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that holds a model: no secret in it, and no way to the Hub.

    A worker reads a folder that the download process has filled, so it needs neither.
    """
    environ = os.environ if environ is None else environ
    kept = {name: value for name, value in environ.items() if not _SECRET.search(name)}
    return kept | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_TOKEN_PATH": os.devnull,
        "TOKENIZERS_PARALLELISM": "false",
    }


@contextmanager
def children_inherit(environment: Mapping[str, str]) -> Iterator[None]:
    """Inside, children inherit ``environment`` instead of this process's own.

    For children that are started without a say in it, as multiprocessing's forkserver is. The block
    must be short: the rest of this process sees the same environment meanwhile.
    """
    with _SWAPPED:
        own = dict(os.environ)
        changed = [name for name in {*own, *environment} if own.get(name) != environment.get(name)]
        _set(environment, changed)
        try:
            yield
        finally:
            _set(own, changed)


def _set(environment: Mapping[str, str], names: Sequence[str]) -> None:
    for name in names:
        if name in environment:
            os.environ[name] = environment[name]
        else:
            os.environ.pop(name, None)


def hub_token(environ: Mapping[str, str] | None = None) -> str | None:
    """The Hub token of whoever started the app, from HF_TOKEN or from ``hf auth login``'s file."""
    environ = os.environ if environ is None else environ
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := environ.get(name, "").strip():
            return token
    cache = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    home = Path(environ.get("HF_HOME") or Path(cache) / "huggingface")
    stored = Path(environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        return stored.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def remote_token(
    remote: Remote, only: bool, environ: Mapping[str, str] | None = None
) -> Secret | None:
    """The host's own token for a remote server; none where visitors bring theirs.

    The variable without a name counts for the ``only`` server that there is: one server's token is
    never sent to another.
    """
    environ = os.environ if environ is None else environ
    names = (remote.variable, *(("PLAYGROUND_REMOTE_TOKEN",) if only else ()))
    found = next((told for name in names if (told := environ.get(name, "").strip())), "")
    return Secret(found) if found and not remote.visitor_token else None
