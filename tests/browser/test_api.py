"""The API on this machine, which asks for no key, and a page of another site that would use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import Browser

from tests.api_server import serving
from tests.fake_engine import FakeEngine, words

pytestmark = pytest.mark.browser

# Each way that a browser has: what comes of it, in a word.
TRY = """async (url) => {
  const body = JSON.stringify({model: "m/m", prompt: "Once"});
  const said = (answer) => answer.type === "opaque" ? "opaque" : answer.status;
  const post = (headers, mode) => fetch(url + "/v1/completions", {
    method: "POST", headers, mode, body, credentials: "include"}).then(said, () => "no");
  return [await post({"Content-Type": "application/json"}, "cors"),
    await post({"Content-Type": "application/json", Authorization: "Bearer x"}, "cors"),
    await post({"Content-Type": "text/plain"}, "cors"),
    await post({"Content-Type": "text/plain"}, "no-cors"),
    await fetch(url + "/v1/models").then((r) => r.status, () => "no")];
}"""

# A form needs no permission at all, and its text can be JSON.
FORM = """(url) => {
  const form = document.createElement("form");
  Object.assign(form, {action: url + "/v1/completions", method: "post", enctype: "text/plain"});
  const field = document.createElement("input");
  Object.assign(field, {name: '{"model": "m/m", "prompt": "Once", "stop": "', value: '"}'});
  form.append(field);
  document.body.append(form);
  form.submit();
}"""


class _Elsewhere(BaseHTTPRequestHandler):
    """A site of somebody else's."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Elsewhere</title><p>Hello"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of another site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_site_can_neither_run_nor_read_anything(
    browser: Browser, elsewhere: int, host: str
) -> None:
    engine = FakeEngine(words("a"))
    with serving(engine) as url:
        page = browser.new_page()
        page.goto(f"http://{host}:{elsewhere}/")
        assert page.evaluate(TRY, url) == ["no", "no", "no", "opaque", "no"]
        with page.expect_navigation() as sent:
            page.evaluate(FORM, url)
        assert sent.value.status == 403
        page.close()
        assert engine.history == []
        asked = {"model": "m/m", "prompt": "Once"}
        assert httpx.post(f"{url}/v1/completions", json=asked).status_code == 200, "a program can"
