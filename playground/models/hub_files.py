"""The files of one commit on their way into the Hub's cache; it runs in the download process.

A file that is cut off goes on where it stopped, in this process or a later one, and gets its name
in the cache only after its checksum is right.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers
from tqdm import tqdm

from playground.errors import ModelInvalid, ModelTooBig
from playground.models.hub_faults import is_network
from playground.models.memory import size
from playground.models.weights import Tensor, Weights, header, of_tensors

_AT_ONCE = 4  # files
# The client hands bytes on in pieces of 10 MB: a slow line would look dead, and a cut lose them.
constants.DOWNLOAD_CHUNK_SIZE = 1 << 18
_TRIES = 2  # connections in a row that bring nothing
_ORPHANED = 3600.0  # seconds after which a part of a file is not taken up again by anybody

Say = Callable[..., None]


def storage(repo: str) -> Path:
    """Where the cache keeps a repo."""
    name = repo_folder_name(repo_id=repo, repo_type="model")
    return Path(constants.HF_HUB_CACHE).expanduser().resolve() / name


class Fetching:
    """The files of one commit on their way into the cache; ``needed`` are those to be counted."""

    def __init__(
        self, say: Say, repo: str, commit: str, token: str | None,
        files: dict[str, RepoSibling],
    ) -> None:
        self.repo, self.commit = repo, commit
        self.needed: list[str] = []
        self._say, self._token, self._files = say, token, files
        # Compressed, a file could not go on in its middle.
        self._headers = {**build_hf_headers(token=token or False), "Accept-Encoding": "identity"}
        self._blobs = storage(repo) / "blobs"
        self._lock = threading.Lock()
        self._parts: dict[str, int] = {}
        self._told_at = 0.0
        self._blobs.mkdir(parents=True, exist_ok=True)
        _sweep(self._blobs, {_digest(one) for one in files.values()})

    @property
    def total(self) -> int:
        """Bytes of all that is needed."""
        return sum(self._size(name) for name in self.needed)

    @property
    def there(self) -> int:
        """Bytes of it that are on the disk."""
        return sum(
            self._size(name) if self._is_here(name) else _length(self._part(name))
            for name in self.needed
        )

    def blob(self, name: str) -> Path:
        """Where the cache keeps a file, under its checksum."""
        return self._blobs / _digest(self._files[name])

    def check_disk(self) -> None:
        """Raise ModelTooBig when what is missing cannot fit on the disk of the cache."""
        missing, free = self.total - self.there, shutil.disk_usage(self._blobs).free
        if missing > free:
            raise ModelTooBig(
                f"{self.repo} takes another {size(missing)} of disk; {size(free)} are free.",
                field="model", given=size(missing), allowed=f"up to {size(free)}",
                advice="Free some disk, or choose a smaller model.",
            )

    def bring(self, names: list[str]) -> None:
        """Fetch those of the files that are not there. The first failure ends all."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for one in [pool.submit(self._bring, name) for name in names]:
                one.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # the others end with the process

    def laid_out(self, names: list[str]) -> Path:
        """The snapshot's folder with these files in it, which are in the cache by now."""
        return Path(
            snapshot_download(
                self.repo, revision=self.commit, token=self._token or False, tqdm_class=_Silent,
                allow_patterns=[glob.escape(name) for name in names],
            )
        )

    def counted(self, api: HfApi, names: list[str], config: dict[str, Any]) -> Weights:
        """What the weights count, from the headers alone: on the disk, or by range requests."""

        def headers(name: str) -> list[Tensor]:
            if self._is_here(name):
                with self.blob(name).open("rb") as opened:
                    return header(opened, self._size(name))
            told = api.parse_safetensors_file_metadata(self.repo, name, revision=self.commit)
            return [(one, info.dtype, info.shape) for one, info in told.tensors.items()]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [tensor for part in pool.map(headers, names) for tensor in part]
        return of_tensors(found, config)

    def _bring(self, name: str) -> None:
        """One file, whole and checked, under its checksum's name."""
        if self._is_here(name):
            return
        locks = self._blobs.parent.parent / ".locks" / self._blobs.parent.name
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{_digest(self._files[name])}.lock", mode=0o664)
        while True:  # another program may be fetching the same
            try:
                with lock.acquire(timeout=0.5):
                    if not self._is_here(name):
                        self._fetch(name)
                    return
            except Timeout:
                self._tell(name, _length(self._part(name)))

    def _fetch(self, name: str) -> None:
        part, wanted = self._part(name), self._size(name)
        if _length(part) > wanted:
            part.unlink()
        try:
            self._go_on(name, part)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                part.unlink(missing_ok=True)
                free = shutil.disk_usage(self._blobs).free
                raise ModelTooBig(
                    f"The disk is full: {self.repo} needs another {size(self.total - self.there)}, "
                    f"and {size(free)} are free.", field="model", given=self.repo,
                    advice="Free some disk and try again; other files that came are kept.",
                ) from error
            raise
        if not self._is_right(name, part):
            part.unlink()
            raise ModelInvalid(
                f"{name} of {self.repo} arrived damaged: its checksum is wrong.",
                field="model", given=self.repo, advice="Try again: it is fetched anew.",
            )
        os.replace(part, self.blob(name))

    def _go_on(self, name: str, part: Path) -> None:
        """Append what is missing. A connection that breaks is made again as long as bytes come."""
        tries = 0
        while True:
            start = _length(part)
            self._tell(name, start)
            try:
                with part.open("ab") as opened:
                    http_get(
                        hf_hub_url(self.repo, name, revision=self.commit), opened,
                        resume_size=start, headers=self._headers, expected_size=self._size(name),
                        tqdm_class=_counting(lambda count: self._more(name, count)),
                    )
                return
            # Every version of the client has another HTTP library with errors of its own.
            except Exception as error:
                tries = 0 if _length(part) > start else tries + 1
                if not is_network(error) or tries > _TRIES:
                    raise
                time.sleep(1)

    def _is_right(self, name: str, file: Path) -> bool:
        """Whether a file's checksum is the Hub's: sha256 of a large file, git's sha1 of others."""
        about = self._files[name]
        wanted, length = _digest(about), _length(file)
        found = hashlib.sha256() if about.lfs else hashlib.sha1(b"blob %d\0" % length)
        done, told_at = 0, time.monotonic()
        with file.open("rb") as opened:
            while block := opened.read(1 << 22):
                found.update(block)
                done += len(block)
                if time.monotonic() - told_at > 0.5:
                    told_at = time.monotonic()
                    self._say(checking=name, done=done, total=length)
        return found.hexdigest() == wanted

    def _is_here(self, name: str) -> bool:
        blob = self.blob(name)
        return blob.is_file() and blob.stat().st_size == self._size(name)

    def _part(self, name: str) -> Path:
        return self._blobs / f"{_digest(self._files[name])}.incomplete"

    def _size(self, name: str) -> int:
        return self._files[name].size or 0

    def _more(self, name: str, count: float) -> None:
        self._tell(name, self._parts.get(name, 0) + int(count))

    def _tell(self, name: str, done: int) -> None:
        """Say how many bytes there are, a few times a second, and only when there are more."""
        with self._lock:
            changed, self._parts[name] = self._parts.get(name) != done, done
            if not changed or not self.needed or time.monotonic() - self._told_at < 0.2:
                return
            self._told_at = time.monotonic()
        here = sum(
            self._parts.get(one) or (self._size(one) if self._is_here(one) else 0)
            for one in self.needed
        )
        self._say(done=here, total=self.total)


def _digest(file: RepoSibling) -> str:
    """The name under which the cache keeps a file: its sha256, or git's sha1 of a small one."""
    found = (file.lfs.sha256 if file.lfs else file.blob_id) or ""
    if not found.isalnum():
        raise ModelInvalid(f"The Hub names no checksum of {file.rfilename}.", field="model")
    return found


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _sweep(blobs: Path, wanted: set[str]) -> None:
    """Remove parts of files that processes which were killed have left behind."""
    for part in blobs.glob("*.incomplete"):
        digest, _, rest = part.name.partition(".")
        try:
            ours = digest in wanted and rest == "incomplete"
            if not ours and time.time() - part.stat().st_mtime > _ORPHANED:
                part.unlink()
        except OSError:
            continue  # somebody else was quicker


class _Silent(tqdm):
    """A progress bar that draws nothing."""

    def __init__(self, *args: Any, **named: Any) -> None:
        named.pop("name", None)
        super().__init__(*args, **{**named, "file": io.StringIO(), "disable": False})


def _counting(more: Callable[[float], None]) -> type[tqdm]:
    """A progress bar that draws nothing and tells ``more`` of the bytes that come."""

    class Bytes(_Silent):
        """Counts bytes; fewer than none where a server begins anew."""

        def update(self, n: float | None = 1) -> bool | None:
            """Count ``n`` more."""
            more(n or 0)
            return super().update(n)

    return Bytes
