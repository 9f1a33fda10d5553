"""A small Hub on this machine that the real client talks to through HF_ENDPOINT; faults by name.

A repo is a folder. What it serves and how it fails is decided by the name after ``stand-in/``, up
to its first digit: a name in FAULTS fails that way whatever it is asked, one in BODIES
while it sends the weights, and every other name gives the folder's files.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_a_test"

# Name of the repo: status, headers, body of every answer about it.
FAULTS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "absent": (404, {"X-Error-Code": "RepoNotFound"}, b"{}"),
    "private": (401, {"X-Error-Message": "Invalid username or password."}, b"{}"),
    "stranger": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b"{}"),
    "hidden": (403, {"X-Error-Code": "GatedRepo"}, b"{}"),
    "disabled": (403, {"X-Error-Message": "Access to this resource is disabled."}, b"{}"),
    "crowded": (429, {"Retry-After": "7"}, b"{}"),
    "broken": (500, {}, b"{}"),
    "away": (503, {}, b"{}"),
    "portal": (200, {"Content-Type": "text/html"}, b"<html>Welcome to our hotel</html>"),
}
# What happens to the weights on their way: each name in a method of _Answers.
BODIES = ("stalled", "silent", "cut", "always-cut", "reset", "slow", "damaged", "no-range")


class HubStandIn:
    """Serves ``folder`` under any name; counts what was asked, by method and path.

    ``commit`` is what every branch points to; ``ranges`` are the Range headers of weights that
    were asked for; ``open`` lets the bodies of ``slow`` repos go on.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.commit = COMMIT
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.tokens: set[str] = set()
        self.open = threading.Event()
        self.closing = threading.Event()
        self.cuts: Counter[str] = Counter()

    def files(self, name: str) -> list[Path]:
        """The files of a repo; that of ``pickled`` has its weights in a format that runs code."""
        found = sorted(file for file in self.folder.rglob("*") if file.is_file())
        return [f for f in found if name != "pickled" or f.suffix != ".safetensors"]

    def weights_sent(self, name: str = "") -> int:
        """How often weights were asked for whole, not only their header."""
        return sum(count for path, count in self.asked.items()
                   if re.match(rf"GET {name or '[^/]+'}/resolve/.*\.safetensors$", path))


def told(file: Path) -> dict[str, Any]:
    """A file as the Hub's API describes it: weights are large files, with their sha256."""
    data = file.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    about: dict[str, Any] = {"size": len(data), "blobId": blob}
    if file.suffix == ".safetensors":
        sha256 = hashlib.sha256(data).hexdigest()
        about["lfs"] = {"sha256": sha256, "oid": sha256, "size": len(data), "pointerSize": 134}
    return about


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubStandIn

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/models").strip("/")
        _, _, rest = path.partition("stand-in/")
        name, _, rest = rest.partition("/")
        kind = re.split(r"\d", name)[0].rstrip("-")
        ranged = self.headers.get("Range", "").startswith("bytes=0-100000")
        header = ranged and rest.endswith(".safetensors")
        self.hub.asked[f"{self.command} {name}/{rest}{' header' if header else ''}"] += 1
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if kind in FAULTS:
            self._send(*FAULTS[kind])
        elif kind == "headless":
            self.hub.closing.wait(60)
        elif rest.startswith("resolve/"):
            self._file(name, kind, rest.split("/", 2)[2], header)
        elif rest.startswith("tree/"):
            self._send(200, {}, json.dumps(
                [{"type": "file", "path": path, "oid": about["blobId"], **about}
                 for path, about in self._listed(kind)]).encode())
        elif "nowhere" in rest:
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
        else:
            self._about(name, kind)

    def _listed(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in self.hub.files(kind):
            yield str(file.relative_to(self.hub.folder)), told(file)

    def _about(self, name: str, kind: str) -> None:
        siblings = [{"rfilename": path, **about} for path, about in self._listed(kind)]
        about = {"id": f"stand-in/{name}", "sha": self.hub.commit, "siblings": siblings,
                 "tags": [], "private": False, "downloads": 0, "likes": 0,
                 "cardData": {"license": "apache-2.0"}, "gated": kind == "gated" and "auto"}
        self._send(200, {}, json.dumps(about).encode())

    def _file(self, name: str, kind: str, file: str, header: bool) -> None:
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if kind == "gated" and not allowed:
            self._send(401, {"X-Error-Code": "GatedRepo"}, b"{}")
            return
        about = told(self.hub.folder / file)
        tag = about["lfs"]["sha256"] if "lfs" in about else about["blobId"]
        data = (self.hub.folder / file).read_bytes()
        if kind == "damaged" and file.endswith(".safetensors"):
            data = data[:-64] + bytes(64)
        if kind == "misread" and file == "tokenizer.json":
            data = data[:-1] + b"!"
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": self.hub.commit, "Accept-Ranges": "bytes"}
        status, asked = 200, self.headers.get("Range", "")
        if file.endswith(".safetensors") and self.command == "GET" and not header:
            self.hub.ranges.append(asked)
        if (found := re.fullmatch(r"bytes=(\d+)-(\d*)", asked)) and kind != "no-range":
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
            status, data = 206, data[first : last + 1]
        broken = file.endswith(".safetensors") and self.command == "GET" and not header
        if kind in BODIES and broken and kind not in ("damaged", "no-range"):
            self._broken(kind, name, status, headers, data)
        else:
            self._send(status, headers, data)

    def _broken(
        self, kind: str, name: str, status: int, headers: dict[str, str], data: bytes
    ) -> None:
        """The weights, up to where something happens to them."""
        self.hub.cuts[name] += 1
        if kind in ("cut", "reset") and self.hub.cuts[name] > 1:
            self._send(status, headers, data)
            return
        self._begin(status, headers, len(data))
        half = data[: len(data) // 2]
        match kind:
            case "silent":
                self.hub.closing.wait(60)
            case "stalled":
                self.wfile.write(half)
                self.hub.closing.wait(60)
            case "slow":
                self.wfile.write(half)
                self.hub.open.wait(60)
                self.wfile.write(data[len(half) :])
            case "cut":
                self.wfile.write(half)
            case "always-cut":
                pass
            case "reset":
                # An abrupt end throws away what the client has not read: on a busy machine, all.
                # Through so small a buffer, what is written is read, but for a window of it.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                self.wfile.write(half)
                self.wfile.flush()
                abrupt = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
        self.close_connection = True

    def _begin(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._begin(status, headers, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away in the middle of an answer is what some tests are about."""


@contextmanager
def hub_stand_in(folder: Path) -> Iterator[HubStandIn]:
    """A running stand-in that serves ``folder``."""
    handler = type("Answers", (_Answers,), {})
    server = _Server(("127.0.0.1", 0), handler)
    hub = handler.hub = HubStandIn(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        hub.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
