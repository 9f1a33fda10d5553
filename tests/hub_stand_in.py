"""A small Hub on this machine that the real client talks to through HF_ENDPOINT; faults by name.

A repo is a folder. What it serves and how it fails is decided by the name after ``stand-in/``:
a name in FAULTS fails that way, every other name gives the folder's files.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Name of the repo: status, headers, body of every answer about it.
FAULTS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "absent": (404, {"X-Error-Code": "RepoNotFound"}, b"{}"),
    "private": (401, {"X-Error-Message": "Invalid username or password."}, b"{}"),
    "gated": (403, {"X-Error-Code": "GatedRepo"}, b"{}"),
    "disabled": (403, {"X-Error-Message": "Access to this resource is disabled."}, b"{}"),
    "crowded": (429, {"Retry-After": "7"}, b"{}"),
    "broken": (500, {}, b"{}"),
    "portal": (200, {"Content-Type": "text/html"}, b"<html>Welcome to our hotel</html>"),
}


class HubStandIn:
    """Serves ``folder`` under any name; counts what was asked, by method and path."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.asked: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.closing = threading.Event()

    def files(self, name: str) -> list[Path]:
        """The files of a repo; that of ``pickled`` has its weights in a format that runs code."""
        found = sorted(file for file in self.folder.iterdir() if file.is_file())
        return [f for f in found if name != "pickled" or f.suffix != ".safetensors"]

    def content(self, name: str, file: str) -> bytes:
        """The bytes of a file; those of ``damaged`` weights are as many, and wrong."""
        data = (self.folder / file).read_bytes()
        if name.startswith("damaged") and file.endswith(".safetensors"):
            data = data[:-64] + bytes(64)
        return data


def _told(file: Path) -> dict[str, Any]:
    """A file as the Hub's API describes it: weights are large files, with their checksum."""
    data = file.read_bytes()
    told: dict[str, Any] = {"size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
    if file.suffix == ".safetensors":
        sha256 = hashlib.sha256(data).hexdigest()
        told["lfs"] = {"sha256": sha256, "oid": sha256, "size": len(data), "pointerSize": 134}
    return told


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
        self.hub.asked[f"{self.command} {name}/{rest}"] += 1
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if name in FAULTS:
            self._send(*FAULTS[name])
        elif rest.startswith("resolve/"):
            self._file(name, rest.split("/", 2)[2])
        elif rest.startswith("tree/"):
            rows = [{"type": "file", "path": file.name, "oid": _told(file)["blobId"], **_told(file)}
                    for file in self.hub.files(name)]
            self._send(200, {}, json.dumps(rows).encode())
        else:
            siblings = [{"rfilename": file.name, **_told(file)} for file in self.hub.files(name)]
            about = {"id": f"stand-in/{name}", "sha": COMMIT, "siblings": siblings, "tags": [],
                     "private": False, "downloads": 0, "likes": 0}
            self._send(200, {}, json.dumps(about).encode())

    def _file(self, name: str, file: str) -> None:
        told = _told(self.hub.folder / file)
        tag = told["lfs"]["sha256"] if "lfs" in told else told["blobId"]
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        data = self.hub.content(name, file)
        if self.command == "GET" and name.startswith("stalled") and file.endswith(".safetensors"):
            self.send_response(200)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:1000])
            self.hub.closing.wait(60)
            return
        self._send(200, headers, data)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def hub_stand_in(folder: Path) -> Iterator[HubStandIn]:
    """A running stand-in that serves ``folder``."""
    handler = type("Answers", (_Answers,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub = handler.hub = HubStandIn(folder, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
