"""Laws of whose share a request takes: no header and no fresh page makes anybody else of one."""

from __future__ import annotations

import gradio as gr
import pytest
from fastapi import Request

from playground.core.visitor import Visitor
from playground.settings import Mode
from playground.ui.visitor import OWNER, Visitors

A, B = ("a" * 43, "b" * 43)


def request(
    peer: str = "192.0.2.1", cookie: str = "", forwarded: tuple[str, ...] = (),
    session: str = "a page", name: str = "visitor",
) -> gr.Request:
    """A request as Gradio hands it to a handler; each of ``forwarded`` is a header of its own."""
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    if cookie:
        headers.append((b"cookie", f"{name}={cookie}".encode()))
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    return gr.Request(Request(scope), session_hash=session)


def space(**given: object) -> Visitor:
    return Visitors("space").visitor(request(name="__Host-visitor", **given))  # type: ignore[arg-type]


def test_on_this_machine_everybody_is_its_owner() -> None:
    assert Visitors("local").visitor(request(cookie=A)) == Visitor(OWNER)


def test_a_fresh_page_or_a_header_makes_nobody_else_of_a_visitor() -> None:
    """The session hash is chosen by the browser: with a fresh one for each request, one person had
    all the places that there are."""
    shared = Visitors("shared")
    first = shared.visitor(request(cookie=A))
    again = request(cookie=A, session="another", forwarded=("203.0.113.9",))
    assert shared.visitor(again) == first
    assert shared.visitor(request(cookie=B)) == Visitor(shared.owner(request(cookie=B)) or "",
                                                        "192.0.2.1")
    assert first.name and first.name != A and first.address == "192.0.2.1"


def test_who_sends_no_cookie_counts_by_the_address() -> None:
    shared = Visitors("shared")
    one, again, other = (shared.visitor(request(peer=peer)) for peer in
                         ("192.0.2.1", "192.0.2.1", "192.0.2.2"))
    assert one == again != other and one.name


@pytest.mark.parametrize(("forwarded", "address"), [
    (("8.8.8.8",), "8.8.8.8"),
    (("1.1.1.1, 8.8.8.8",), "8.8.8.8"),
    (("1.1.1.1", "8.8.8.8"), "8.8.8.8"),
    (("8.8.8.8, 10.0.0.7",), ""),
    (("8.8.8.8, unknown",), ""),
    (("2a00:1450:4001:81b::200e",), "2a00:1450:4001:81b::/64"),
    (("::ffff:8.8.8.8",), "8.8.8.8"),
    ((), ""),
])
def test_on_a_space_only_the_last_hop_is_believed(
    forwarded: tuple[str, ...], address: str
) -> None:
    """It is the Space's own proxy that adds it; a visitor writes what stands before it. A machine
    inside would be everybody's address."""
    assert space(peer="10.0.0.7", forwarded=forwarded, cookie=A).address == address


def test_behind_a_share_link_no_address_is_known() -> None:
    """The tunnel ends on this machine, and what it says of the other end anybody can write."""
    shared = Visitors("shared", tunnel=True)
    told = shared.visitor(request(peer="127.0.0.1", cookie=A, forwarded=("203.0.113.9",)))
    assert told.name and told.address == ""
    bare = {shared.visitor(request(peer=peer)) for peer in ("127.0.0.1", "203.0.113.9")}
    assert len(bare) == 1, "those without a cookie are one visitor together"


def test_a_household_with_many_ipv6_addresses_is_one() -> None:
    shared = Visitors("shared")
    one, other, next_door = (shared.visitor(request(peer=f"2001:db8:0:{net}::{host}")).address
                             for net, host in (("1", "1"), ("1", "ffff"), ("2", "1")))
    assert one == other == "2001:db8:0:1::/64" != next_door


@pytest.mark.parametrize("mode", ["shared", "space"])
def test_a_request_that_tells_nothing_is_still_somebody(mode: Mode) -> None:
    """Whoever sends neither cookie nor address is under a visitor's limits, and not under none."""
    assert Visitors(mode).visitor(gr.Request(session_hash="x", headers={}, cookies={})).name
