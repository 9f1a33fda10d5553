"""Laws of the tokens that visitors bring: for their own page, and only as long as it is open."""

from __future__ import annotations

import gradio as gr

from playground.core.remote import Remote
from playground.settings import Settings
from playground.ui.visitor_tokens import MOST_PAGES, VisitorTokens, token_boxes


def _told(tokens: VisitorTokens, page: str) -> dict[str, str]:
    lent = tokens.lent(page).get("tokens", {})
    return {server: secret.tell() for server, secret in lent.items()}


def test_a_page_has_its_own_tokens_until_it_is_closed() -> None:
    tokens = VisitorTokens()
    tokens.put("mine", "hf", " hf_one ")
    tokens.put("yours", "hf", "hf_two")
    assert _told(tokens, "mine") == {"hf": "hf_one"} and _told(tokens, "yours") == {"hf": "hf_two"}
    assert "hf_one" not in repr(tokens.lent("mine"))
    for none in ("", "a b", "ä", "line\nend", "x" * 500, None, 7):
        tokens.put("yours", "hf", none)
        assert tokens.lent("yours") == {}
        tokens.put("yours", "hf", "hf_two")
    tokens.forget("mine")
    assert tokens.lent("mine") == {}


def test_pages_that_are_never_closed_are_bounded() -> None:
    tokens = VisitorTokens()
    for page in range(MOST_PAGES + 1):
        tokens.put(str(page), "hf", "token")
    assert tokens.lent("0") == {} and _told(tokens, "1") == {"hf": "token"}


def test_a_box_stands_only_where_a_server_wants_a_visitors_token() -> None:
    own = Remote("gpu", "http://127.0.0.1:1/v1")
    theirs = Remote("hf", "https://router.huggingface.co/v1", visitor_token=True)
    for remotes, labels in (((), []), ((own,), []), ((own, theirs), ["Your token for hf"])):
        with gr.Blocks() as page:
            token_boxes(Settings(remotes=remotes), VisitorTokens())
        boxes = [one for one in page.blocks.values() if isinstance(one, gr.Textbox)]
        assert [one.label for one in boxes] == labels
        assert all(one.type == "password" for one in boxes)
