"""From a Hub id to a folder of verified files on disk; it knows no model and imports no torch.

The Hub's client may retry for ever and cannot be interrupted, so it works in a child process that
can be killed. Only that child is given the Hub token. Parent and child talk in lines of JSON.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, TextIO

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from playground.core.events import Loading
from playground.errors import (
    DeadlinePassed,
    HubProblem,
    ModelInvalid,
    ModelNotFound,
    ModelTooBig,
    ModelUnsafe,
    PlaygroundError,
    Problem,
)
from playground.models.catalog import HubId
from playground.models.footprint import size
from playground.settings import child_environment

log = logging.getLogger(__name__)

News = Callable[[Loading], None]

# Small files, and weights in a format that runs no code. Nothing else is fetched.
PATTERNS = ("*.json", "*.jinja", "*.txt", "*.model", "*.safetensors")

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
_CHILD = """import sys
sys.path.insert(0, sys.argv[1])
from playground.models.download import main
main()
"""


def fetch(
    hub: HubId, token: str | None, news: News, given_up: Callable[[], bool],
    stalled: float = 60.0, deadline: float = 6 * 3600.0,
) -> Path:
    """The folder with the files of ``hub``, fetched if they are not in the cache already.

    ``stalled`` are the seconds without a new byte, ``deadline`` the seconds in all, after which the
    child is killed. Raises PlaygroundError with a sentence for what went wrong, and DeadlinePassed
    as soon as ``given_up`` says that nobody waits any more.
    """
    if folder := cached(hub):
        return folder
    news(Loading("downloading", None, "asking the Hub"))
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, _ROOT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment(),
    )
    try:
        assert child.stdin and child.stdout
        request = {"repo": hub.repo, "revision": hub.revision, "token": token}
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()
        return _follow(hub, child.stdout, news, given_up, stalled, deadline)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


def cached(hub: HubId) -> Path | None:
    """The folder of a model that is complete in the cache; asks nobody."""
    try:
        folder = snapshot_download(
            hub.repo, revision=hub.revision or None, local_files_only=True,
            allow_patterns=list(PATTERNS),
        )
    except LocalEntryNotFoundError:
        return None
    found = Path(folder)
    complete = (found / "config.json").exists() and any(found.glob("*.safetensors"))
    return found if complete else None


def _follow(
    hub: HubId, told: IO[str], news: News, given_up: Callable[[], bool],
    stalled: float, deadline: float,
) -> Path:
    """Hear the child out."""
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_pass_on, args=(told, lines), name="download", daemon=True).start()
    start = heard = time.monotonic()
    while True:
        now = time.monotonic()
        if given_up():
            raise DeadlinePassed(f"Nobody waits for {hub.repo} any more.", field="model")
        if now - heard > stalled or now - start > deadline:
            raise _too_slow(hub, now - heard > stalled, stalled, deadline)
        try:
            line = lines.get(timeout=0.1)
        except Empty:
            continue
        heard = time.monotonic()
        said: dict[str, Any] = json.loads(line) if line else _silent(hub)
        if "folder" in said:
            return Path(said["folder"])
        if "problem" in said:
            error = PlaygroundError(said["problem"]["message"])
            error.problem = Problem(**said["problem"])
            raise error
        news(_progress(said["done"], said["total"], now - start))


def _pass_on(told: IO[str], lines: SimpleQueue[str]) -> None:
    """Lines as they come, and an empty one at the end."""
    try:
        for line in told:
            lines.put(line)
    except ValueError:  # closed under us, because nobody waits any more
        pass
    lines.put("")


def _progress(done: int, total: int, seconds: float) -> Loading:
    speed = done / seconds if seconds > 0 else 0.0
    left = f", {(total - done) / speed:.0f} s left" if speed > 0 else ""
    detail = f"{size(done)} of {size(total)}, {size(speed)}/s{left}"
    return Loading("downloading", min(1.0, done / total) if total else None, detail)


def _silent(hub: HubId) -> dict[str, Any]:
    error = HubProblem(
        f"The download of {hub.repo} ended without a word.", field="model", given=hub.repo,
        advice="Try again; the log of the app may say more.",
    )
    return {"problem": asdict(error.problem)}


def _too_slow(hub: HubId, is_stalled: bool, stalled: float, deadline: float) -> HubProblem:
    what = f"sent nothing for {stalled:g} s" if is_stalled else f"took longer than {deadline:g} s"
    return HubProblem(
        f"The Hub {what}, so the download of {hub.repo} was stopped.",
        field="model", given=hub.repo,
        advice="Try again: what has come already is kept.",
    )


def main() -> None:
    """Be the download process: one request on stdin, then progress and one result on stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then ends us
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with what we say
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    said: dict[str, Any]
    try:
        folder = _download(request["repo"], request["revision"], request["token"], out)
        said = {"folder": str(folder)}
    except PlaygroundError as error:
        said = {"problem": asdict(error.problem)}
    # Whatever the Hub's client raises: each is explained by its kind, the unknown ones by name.
    except Exception as error:
        said = {"problem": asdict(explained(error, request["repo"]).problem)}
    print(json.dumps(said), file=out, flush=True)


def _die_with_parent() -> None:
    """stdin ends when the app does."""
    sys.stdin.read()
    os._exit(1)


def _download(repo: str, revision: str, token: str | None, out: TextIO) -> Path:
    """Sizes before bytes, small files before weights, and every weight file's checksum."""
    info = HfApi(token=token).model_info(repo, revision=revision or None, files_metadata=True)
    files = [f for f in info.siblings or [] if _wanted(f.rfilename)]
    weights = [f for f in files if f.rfilename.endswith(".safetensors")]
    if not weights:
        raise ModelUnsafe(
            f"{repo} has no safetensors weights, and other formats can run code.",
            field="model", given=repo, advice="Choose a repo that has .safetensors files.",
        )
    total = sum(f.size or 0 for f in files)
    _check_disk(repo, total)
    common: dict[str, Any] = {
        "revision": revision or None, "token": token, "tqdm_class": _counting(out, total),
    }
    folder = Path(snapshot_download(repo, allow_patterns=list(PATTERNS), **common))
    for file in weights:
        if file.lfs and _sha256(folder / file.rfilename) != file.lfs.sha256:
            os.unlink(os.path.realpath(folder / file.rfilename))
            (folder / file.rfilename).unlink(missing_ok=True)
            raise ModelInvalid(
                f"{file.rfilename} of {repo} arrived damaged: its checksum is wrong.",
                field="model", given=repo, advice="Try again: it is fetched anew.",
            )
    return folder


def _wanted(name: str) -> bool:
    return any(name.endswith(pattern[1:]) for pattern in PATTERNS)


def _check_disk(repo: str, total: int) -> None:
    """Raise ModelTooBig when the files cannot fit on the disk of the cache."""
    place = Path(constants.HF_HUB_CACHE)
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if total > free:
        raise ModelTooBig(
            f"{repo} takes {size(total)} of disk; {size(free)} are free.",
            field="model", given=size(total), allowed=f"up to {size(free)}",
            advice="Free some disk, or choose a smaller model.",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _counting(out: TextIO, total: int) -> type[tqdm]:
    """A progress bar that draws nothing and says how many bytes have come, a few times a second."""

    class Bytes(tqdm):
        """Counts bytes; the client has one bar for what arrives and one for what is written."""

        told = 0
        told_at = 0.0

        def __init__(self, *args: Any, **named: Any) -> None:
            named.pop("name", None)
            super().__init__(*args, **{**named, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            """Count ``n`` more."""
            answer = super().update(n)
            if self.unit == "B" and self.n > Bytes.told and time.monotonic() - Bytes.told_at > 0.2:
                Bytes.told, Bytes.told_at = int(self.n), time.monotonic()
                print(json.dumps({"done": Bytes.told, "total": total}), file=out, flush=True)
            return answer

    return Bytes


def explained(error: BaseException, repo: str) -> PlaygroundError:
    """The sentence for what the Hub's client raised."""
    about = {"field": "model", "given": repo}
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, GatedRepoError):
            return HubProblem(
                f"{repo} is gated: its owner lets in only those who have asked.", **about,
                advice="Accept its terms on its page on the Hub, and log in with `hf auth login`.",
            )
        if isinstance(cause, RepositoryNotFoundError) or _is_hidden(cause):
            return ModelNotFound(
                f"There is no model {repo} on the Hub, or it is private.", **about,
                advice="Check the spelling of owner and name; for a folder write ./ before it.",
            )
        if isinstance(cause, RevisionNotFoundError):
            return ModelNotFound(
                f"{repo} has no such branch, tag or commit.", field="revision", given=repo,
                advice="Leave the revision empty for the main branch.",
            )
        if isinstance(cause, DisabledRepoError):
            return HubProblem(
                f"The Hub has disabled {repo}.", **about, advice="Choose another model."
            )
        if isinstance(cause, HfHubHTTPError):
            return _http_problem(cause, repo)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return ModelTooBig(
                f"The disk is full before all of {repo} has come.", **about,
                advice="Free some disk and try again.",
            )
        if isinstance(cause, PermissionError):
            return HubProblem(
                "The cache of the Hub's files cannot be written.", **about,
                advice="Check who owns the folder that HF_HOME names.",
            )
    if any(_is_network(cause) for cause in causes):
        return HubProblem(
            "The Hub cannot be reached.", **about,
            advice="Check the connection; models that were fetched before still load.",
        )
    if any(isinstance(cause, json.JSONDecodeError) for cause in causes):
        return HubProblem(
            "What answered in the Hub's place is not the Hub.", **about,
            advice="Log in to the network that you are in, and try again.",
        )
    log.error("download of %s: %r", repo, error)
    return HubProblem(
        f"The download of {repo} failed ({type(error).__name__}).", **about,
        advice="Try again; the log of the app says more.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from: the client wraps what happened in what it tried next."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_hidden(error: BaseException) -> bool:
    """Whether the Hub says 401, as it does to strangers for what is private or not there at all.

    With a token that it does not know, it names the credentials instead.
    """
    if not isinstance(error, HfHubHTTPError) or error.response.status_code != 401:
        return False
    return "credentials" not in error.response.headers.get("x-error-message", "").lower()


def _is_network(error: BaseException) -> bool:
    """Connection refused, no such host, timeouts; the HTTP library differs between versions."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, (OfflineModeIsEnabled, ConnectionError)) or "TransportError" in names


def _http_problem(error: HfHubHTTPError, repo: str) -> HubProblem:
    status = error.response.status_code
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        return HubProblem(
            "The Hub asks to be left alone for a while (too many requests).",
            field="model", given=repo,
            advice=f"Try again in {wait} s." if wait.isdigit() else "Try again in a few minutes.",
        )
    if status in (401, 403):
        return HubProblem(
            f"The Hub does not let this app read {repo}.", field="model", given=repo,
            advice="Log in anew with `hf auth login`, as somebody who may.",
        )
    return HubProblem(
        f"The Hub answered with an error ({status}).", field="model", given=repo,
        advice="Try again later; models that were fetched before still load.",
    )
