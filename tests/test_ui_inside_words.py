"""The Inside tab while somebody types, and a token that leads from one section to another."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import gradio as gr

from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec
from playground.core.tokenization import TokenizeRequest
from playground.flags import settings_from
from playground.ui.inside import _looker, build_inside, quick
from playground.ui.looked_at import Given
from playground.ui.scoring import Ask
from playground.ui.section import Section, Subject
from playground.ui.seen import Seen


class _Stage:
    """Shows every update, and keeps what was asked of the engine."""

    def __init__(self) -> None:
        self.shown = 0

    def show(self, tab: str, request: Any, updates: Any) -> Any:
        """All of them."""
        self.shown += 1
        yield from updates


def _sections(seen: list[Subject]) -> list[Section]:
    """One that follows a typing hand, and one that does not; neither asks anything."""

    def asks(subject: Subject, values: Any) -> list[Ask]:
        seen.append(subject)
        return []

    def section(id: str, live: bool) -> Section:
        return Section(id, SimpleNamespace(), SimpleNamespace(), asks,  # type: ignore[arg-type]
                       lambda news: id, live=live)

    return [section("live", True), section("other", False)]


def test_typing_looks_with_a_live_section_only_and_at_what_is_typed() -> None:
    """A heavy look that runs is not ended by a letter, and another tab's ids are left behind."""
    seen: list[Subject] = []
    stage: Any = _Stage()
    request: Any = SimpleNamespace(session_hash="a")
    given = Given((1, 2), ModelSpec("builtin/tiny-chat"), "hello", "two tokens")
    typing = _looker(stage, _sections(seen), Seen(), typing=True)
    (nothing,) = typing(request, "other", "hello", "builtin/tiny-chat", given)
    assert all(one == gr.skip() for one in nothing) and stage.shown == 0
    (*_, last) = typing(request, "live", "hello", "builtin/tiny-chat", given)
    assert last[-2:] == ["live", gr.skip()]
    assert seen == [Subject(ModelSpec("builtin/tiny-chat"), Raw("hello", control_tokens=True))]
    look = _looker(stage, _sections(seen), Seen())
    list(look(request, "live", "hello", "builtin/tiny-chat", given))
    assert seen[-1].prompt == Ids((1, 2)) and stage.shown == 2


def test_what_needs_no_forward_offers_no_stop() -> None:
    spec = ModelSpec("builtin/tiny-chat")
    assert quick([Ask(spec, TokenizeRequest(Raw("a")))])
    assert not quick([Ask(spec, SimpleNamespace())])  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _lead() -> Any:
    """The handler of a click in the tokenizer's view."""
    settings = settings_from([])
    stage: Any = SimpleNamespace(stopper=lambda tab: lambda: None, engine=None)
    with gr.Blocks() as page:
        build_inside(stage, settings)
    (led,) = [fn.fn for fn in page.fns.values() if fn.name == "led"]
    return led


def _led(data: Any, *values: Any) -> list[Any]:
    """What a click does to tabs, section, model, token and the section's own controls."""
    made: list[Any] = _lead()(SimpleNamespace(_data=data), *values)
    return made


def test_a_token_opens_in_the_vocabulary_of_its_own_model() -> None:
    chat, base = "builtin/tiny-chat", "builtin/tiny-base"
    same = _led({"value": f"7 {base}", "model": base}, base, chat, "", "")
    assert same[1:4] == ["vocabulary", base, f"7 {base}"]
    assert all(one == gr.skip() for one in same[4:])
    swapped = _led({"value": f"7 {chat}", "model": chat}, base, chat, "", "")
    assert swapped[2] == chat and swapped[4] == base and swapped[5] == gr.skip()
    for junk in (None, "x", {}, {"value": 7, "model": base}, {"value": "7", "model": "other/one"}):
        assert all(one == gr.skip() for one in _led(junk, base, chat, "", ""))
