"""Laws of the guard: other sites' pages are refused, plain clients pass, headers always stand."""

from __future__ import annotations

from typing import Any

import pytest

from playground.settings import Mode
from playground.ui.guard import Guard
from playground.ui.visitor import Visitors


def answer(
    method: str, loopback_only: bool = True, mode: Mode = "local", path: str = "/", **headers: str
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers that a request gets through the guard in front of an app that says 200."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:7860", **{k.replace("_", "-"): v for k, v in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
    }
    request = Guard(app, loopback_only, Visitors(mode))(scope, None, send)  # type: ignore[arg-type]
    # Nothing here waits, so one push runs it through, also beside another test's event loop.
    with pytest.raises(StopIteration):
        request.send(None)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_what_gradio_has_and_this_page_does_not_use_is_not_there() -> None:
    """A link of Gradio's own shows all that stands on a page to whoever knows its session."""
    for path in ("/gradio_api/deep_link", "/gradio_api/proxy=http://169.254.169.254/",
                 "/root/gradio_api/vibe-code", "/gradio_api/process_recording"):
        assert answer("GET", path=path)[0] == 404
    assert answer("GET", path="/gradio_api/queue/data")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_post_from_another_site_is_refused(site: str) -> None:
    assert answer("POST", sec_fetch_site=site)[0] == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_a_post_with_a_foreign_origin_is_refused(origin: str) -> None:
    assert answer("POST", origin=origin)[0] == 403


def test_our_own_page_and_plain_clients_pass() -> None:
    own = {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:7860"}
    assert answer("POST", **own)[0] == 200
    assert answer("POST")[0] == 200


def test_our_own_page_passes_behind_a_proxy_that_names_another_host() -> None:
    """On a Space the Host that arrives need not be the one that the browser asked."""
    own = {"sec_fetch_site": "same-origin", "origin": "https://owner-space.hf.space"}
    assert answer("POST", loopback_only=False, host="10.0.0.7:7860", **own)[0] == 200


def test_a_foreign_host_name_never_reaches_a_loopback_server() -> None:
    """DNS rebinding: evil.example resolves to 127.0.0.1 and asks as if it were our own page."""
    assert answer("GET", host="evil.example")[0] == 403
    assert answer("GET", loopback_only=False, host="owner-space.hf.space")[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_picture_can_come_from_nowhere_else(method: str) -> None:
    """A Markdown image in a model's answer would carry the chat to its host in the address."""
    policy = answer(method)[1][b"content-security-policy"].decode()
    assert "img-src 'self' data: blob:;" in policy
    assert "default-src 'self';" in policy


def test_a_browser_that_asks_for_the_page_in_public_is_given_a_cookie_once() -> None:
    """Only the page itself: files that are fetched side by side would each give another one."""
    far = {"host": "example.org"}
    cookie = answer("GET", False, "shared", **far)[1][b"set-cookie"].decode()
    assert cookie.startswith("visitor=") and "HttpOnly" in cookie
    assert b"set-cookie" not in answer("GET", False, "shared", path="/assets/x.js", **far)[1]
    assert b"set-cookie" not in answer("POST", False, "shared", **far)[1]
    known = {**far, "cookie": cookie.partition(";")[0]}
    assert b"set-cookie" not in answer("GET", False, "shared", **known)[1]
    assert b"set-cookie" not in answer("GET")[1], "on this machine there is one owner"
