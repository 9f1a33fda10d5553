"""A small part of the Hub that keeps Spaces, for the real client to talk to: what it asked, and
what there is afterwards."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FREE = ("cpu-basic", "zero-a10g")


class Spaces:
    """The Spaces of the stand-in by name, and every request that changes something, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.spaces: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
        self.refuses = ""  # a part of a path that is answered with 403


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Spaces

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        name, what = self._named()
        space = self.hub.spaces.get(name)
        if space is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif what.startswith("tree/"):
            self._tell([{"type": "file", "path": path, "oid": "0" * 40, "size": len(data)}
                        for path, data in space["files"].items()])
        elif what == "runtime":
            self._tell(space["runtime"])
        elif what == "variables":
            self._tell({k: {"key": k, "value": v} for k, v in space["variables"].items()})
        elif what == "secrets":
            self._tell({key: {"key": key} for key in space["secrets"]})
        else:
            self._tell({"id": name, "sha": "0" * 40, "siblings": [], "tags": [], "private": False})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.hub.refuses and self.hub.refuses in self.path:
            self._send(403, b'{"error": "You cannot write here."}', {})
        elif self.path.startswith("/api/validate-yaml"):
            self._tell({"errors": [], "warnings": []})
        elif self.path.startswith("/api/repos/create"):
            self._create(json.loads(body))
        else:
            self._change(*self._named(), body)

    def _named(self) -> tuple[str, str]:
        path = self.path.partition("?")[0].removeprefix("/api/spaces/")
        owner, name, *rest = path.split("/", 2)
        return f"{owner}/{name}", rest[0] if rest else ""

    def _create(self, told: dict[str, Any]) -> None:
        name = f"{told.get('organization', 'me')}/{told['name']}"
        hardware = told.get("hardware", "cpu-basic")
        self.hub.spaces[name] = {
            "files": {}, "private": told.get("private", False) or told.get("visibility"),
            "variables": {one["key"]: one["value"] for one in told.get("variables", [])},
            "secrets": {one["key"]: one["value"] for one in told.get("secrets", [])},
            "runtime": _runtime(hardware, told.get("sleepTimeSeconds")),
        }
        self.hub.changes.append(f"create {name}")
        self._tell({"url": f"{self.hub.url}/spaces/{name}", "id": name, "name": name})

    def _change(self, name: str, what: str, body: bytes) -> None:
        space = self.hub.spaces[name]
        if what.startswith("preupload/"):
            files = json.loads(body)["files"]
            self._tell({"files": [{"path": one["path"], "uploadMode": "regular",
                                   "shouldIgnore": False} for one in files]})
            return
        self.hub.changes.append(what.split("/")[0])
        if what.startswith("commit/"):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    space["files"][line["value"]["path"]] = content
                elif line["key"] == "deletedFile":
                    del space["files"][line["value"]["path"]]
            self._tell({"success": True, "commitOid": "1" * 40, "hookOutput": "",
                        "commitUrl": f"{self.hub.url}/spaces/{name}/commit/{'1' * 40}"})
            return
        told = json.loads(body)
        match what:
            case "variables" | "secrets":
                space[what][told["key"]] = told["value"]
                self._tell({k: {"key": k, "value": v} for k, v in space[what].items()})
            case "hardware":
                space["runtime"] = _runtime(told["flavor"], told.get("sleepTimeSeconds"))
                self._tell(space["runtime"])
            case "sleeptime":
                space["runtime"] = _runtime(space["runtime"]["hardware"]["current"],
                                            told["seconds"])
                self._tell(space["runtime"])
            case _:
                self._send(404, b"{}", {})

    def _tell(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _runtime(hardware: str, sleep: int | None) -> dict[str, Any]:
    if sleep is not None and hardware in FREE:
        raise AssertionError(f"the Hub takes no sleep time for {hardware}")
    return {"stage": "RUNNING", "hardware": {"current": hardware, "requested": hardware},
            "gcTimeout": sleep, "storage": None}


@contextmanager
def space_stand_in() -> Iterator[Spaces]:
    """A running stand-in without any Space."""
    handler = type("Answers", (_Answers,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub = handler.hub = Spaces()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
