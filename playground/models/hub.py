"""The download process: asks the Hub, fetches what a model needs; its parent may end it.

Parent and child talk in lines of JSON. A request comes first; then the child says ``newer`` (the
Hub has another commit than the parent), ``repo`` (what is known before the weights come, upon which
it waits for the line "go" if it was told to), ``done`` of ``total`` bytes, ``checking`` a file, and
at last ``folder`` or ``problem``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from huggingface_hub import HfApi, constants

from playground.errors import ModelInvalid, ModelUnsafe, PlaygroundError
from playground.models.checks import check_config, check_texts
from playground.models.hub_cache import needed_files
from playground.models.hub_faults import explained
from playground.models.hub_files import Fetching, storage
from playground.models.repo import Repo
from playground.models.weights import INDEX, json_object, weight_files


class Parent:
    """The other end of the pipes: told what happens, and heard when it says "go" or ends."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self.go = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, **told: Any) -> None:
        """One line."""
        with self._lock:
            print(json.dumps(told), file=self._out, flush=True)

    def _listen(self) -> None:
        """stdin ends when the app does, and so does this process."""
        for line in sys.stdin:
            if line.strip() == "go":
                self.go.set()
        os._exit(1)


def main() -> None:
    """Be the download process: one request on stdin, one result on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then ends us
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with what we say
    request = json.loads(sys.stdin.readline())
    parent = Parent(out)
    try:
        parent.say(folder=str(serve(parent, **request)))
    except PlaygroundError as error:
        parent.say(problem=asdict(error.problem))
    # Whatever the Hub's client raises: each is explained by its kind, the unknown ones by name.
    except Exception as error:
        problem = explained(error, request["repo"], bool(request["token"])).problem
        parent.say(problem=asdict(problem))
    os._exit(0)  # a thread may still wait for a file that nobody wants any more


def serve(
    parent: Parent, repo: str, revision: str, token: str | None, have: str, count: bool, look: bool
) -> Path:
    """The folder with a repo's files, fetched as far as they are missing.

    ``have`` is the commit that is there already, ``count`` asks for what the weights count and for
    a wait until the parent says "go", ``look`` for that alone: nothing more is fetched then.
    """
    api = HfApi(token=token or False)  # None would be whatever token lies on this machine
    info = api.model_info(repo, revision=revision or None, files_metadata=True)
    commit = str(info.sha)
    if commit == have:
        return storage(repo) / "snapshots" / commit
    parent.say(newer=commit)
    files = {one.rfilename: one for one in info.siblings or []}
    fetching = Fetching(parent.say, repo, commit, token, files)
    settings = [name for name in ("config.json", "adapter_config.json", INDEX) if name in files]
    fetching.bring(settings)
    config = json_object(fetching.blob("config.json")) if "config.json" in files else {}
    check_config(config)
    index = json_object(fetching.blob(INDEX)) if INDEX in files else {}
    weights = weight_files(files, index)
    _check_weights(repo, weights, files)
    fetching.needed = needed_files(files, index)
    counted = fetching.counted(api, weights, config) if count or look else None
    card: Any = info.card_data or {}
    told = Repo(
        repo, commit, len(fetching.needed), fetching.total, fetching.total - fetching.there,
        bool(info.gated), str(card.get("license") or ""), config, counted,
    )
    parent.say(repo=told.described())
    if look:
        return storage(repo)
    if count:
        parent.go.wait()
    return _fetch(fetching, revision)


def _fetch(fetching: Fetching, revision: str) -> Path:
    """Small files before weights, so that what is refused is refused before they come."""
    fetching.check_disk()
    texts = [name for name in fetching.needed if not name.endswith(".safetensors")]
    fetching.bring(texts)
    folder = fetching.laid_out(texts)
    if "config.json" in texts:
        check_texts(folder)
    fetching.bring(fetching.needed)
    folder = fetching.laid_out(fetching.needed)
    if revision != fetching.commit:
        # Only now: a branch that is half fetched must not hide the whole one of before.
        ref = storage(fetching.repo) / "refs" / (revision or constants.DEFAULT_REVISION)
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(fetching.commit, encoding="utf-8")
    return folder


def _check_weights(repo: str, weights: list[str], files: Iterable[str]) -> None:
    if not weights:
        raise ModelUnsafe(
            f"{repo} has no safetensors weights, and other formats can run code.",
            field="model", given=repo, advice="Choose a repo that has .safetensors files.",
        )
    missing = sorted(set(weights) - set(files))
    if missing:
        raise ModelInvalid(
            f"{INDEX} of {repo} names weights that the repo does not hold: {missing[0][:80]!r}.",
            field="model", given=repo, advice="Choose another revision or another model.",
        )
