"""The Models tab in words: who may wish what, and what the rows, the bar and the answers say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from playground.core.events import Loading
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.entry import Freed, ModelStatus
from playground.engine.room import Budget
from playground.errors import Overloaded, PlaygroundError
from playground.settings import Settings
from playground.ui.controls import offered
from playground.ui.model_list import catalog_table, key_of, list_models
from playground.ui.models import _Desk

SPEC = ModelSpec("builtin/tiny-chat")
CARD = ModelCard(SPEC, "Qwen2ForCausalLM", 2_760_000, 11_000_000, "float32", "cpu", 512, 4096, True,
                 "batch", ("It is <b>tiny</b>.",))
LOCAL, PUBLIC = Settings(), Settings(mode="space")


class Models:
    """An engine that has what it is told, and writes down what is wished."""

    def __init__(self, *statuses: ModelStatus, budget: Budget = Budget("cpu", 10**9, 0)) -> None:
        self.statuses, self.taken, self.wishes = statuses, budget, list[tuple[str, ModelSpec]]()

    def models(self) -> tuple[ModelStatus, ...]:
        return self.statuses

    def budget(self) -> Budget:
        return self.taken

    def pin(self, spec: ModelSpec, pinned: bool = True) -> None:
        self.wishes.append(("pin" if pinned else "unpin", spec))

    def park(self, spec: ModelSpec) -> Freed | None:
        self.wishes.append(("park", spec))
        return Freed(0, 2_000_000_000)

    def unload(self, spec: ModelSpec) -> Freed | None:
        if any(s.spec == spec and s.leases for s in self.statuses):
            raise Overloaded("tiny-chat is in use by 1 run.", advice="Stop it first.")
        self.wishes.append(("unload", spec))
        return Freed(11_000_000)

    def load(self, spec: ModelSpec) -> Iterator[Loading | ModelCard]:
        self.wishes.append(("load", spec))
        yield Loading("downloading", 0.4, "3 MB/s")
        yield replace(CARD, spec=spec)

    def fit(self, spec: ModelSpec) -> Any:
        raise PlaygroundError("The Hub does not answer.")


class Wish:
    """What gradio hands to a handler when a button in the list is pressed."""

    def __init__(self, data: Any) -> None:
        self._data = data


def wished(engine: Models, settings: Settings, wish: str, spec: ModelSpec = SPEC) -> list[str]:
    desk = _Desk(engine, settings)  # type: ignore[arg-type]
    return [said for said, _ in desk.wish(Wish({"wish": wish, "model": key_of(spec)}))]  # type: ignore[arg-type]


def buttons(html: str) -> list[str]:
    return re.findall(r'data-wish="(\w+)"', html)


def listed(*statuses: ModelStatus, settings: Settings = LOCAL) -> str:
    return list_models(Models(*statuses), settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "wishes", "words"),
    [
        (ModelStatus(SPEC, "absent"), ["load"], "not loaded"),
        (ModelStatus(SPEC, "absent", freed=Freed(11_000_000)), ["load"], "freed 11 MB"),
        (ModelStatus(SPEC, "loading", progress=Loading("downloading", 0.4)), ["cancel"],
         "downloading 40%"),
        (ModelStatus(SPEC, "ready", CARD), ["pin", "unload"], "ready"),
        (ModelStatus(SPEC, "ready", CARD, pinned=True), ["unpin"], "pinned"),
        (ModelStatus(SPEC, "ready", CARD, unused_for=300.0), ["pin", "unload"],
         "unused for 5 min"),
        (ModelStatus(SPEC, "busy", CARD, leases=1, loaded_for=7300.0), ["pin"],
         "in use by 1, loaded 2 h ago"),
        (ModelStatus(SPEC, "ready", replace(CARD, device="cuda:0")), ["park", "pin", "unload"],
         "cuda:0"),
        (ModelStatus(SPEC, "busy", CARD, leases=2, waiting=1), ["pin"],
         "in use by 2, 1 waiting"),
        (ModelStatus(SPEC, "parked", replace(CARD, device="cuda:0"), parked=22_000_000),
         ["load", "unload"], "22 MB in host memory"),
        (ModelStatus(SPEC, "failed", problem=PlaygroundError("It broke.").problem), ["load"],
         "It broke."),
    ],
)
def test_a_row_says_its_state_and_offers_what_can_be_done(
    status: ModelStatus, wishes: list[str], words: str
) -> None:
    html = listed(status)
    assert buttons(html) == wishes
    assert words in html


def test_a_visitor_of_a_public_page_may_only_load() -> None:
    every = [ModelStatus(SPEC, "absent"), ModelStatus(SPEC, "ready", CARD),
             ModelStatus(SPEC, "loading")]
    assert set(buttons(listed(*every, settings=PUBLIC))) == {"load"}
    engine = Models(ModelStatus(SPEC, "ready", CARD))
    for wish in ("pin", "unpin", "park", "unload", "cancel", "nonsense"):
        assert "come and go by themselves" in wished(engine, PUBLIC, wish)[-1]
    assert engine.wishes == []


def test_a_wish_is_done_and_answered() -> None:
    engine = Models(ModelStatus(SPEC, "ready", CARD))
    assert "tiny-chat is pinned" in wished(engine, LOCAL, "pin")[-1]
    assert "parked; 2.0 GB on the device came back" in wished(engine, LOCAL, "park")[-1]
    assert "unloaded; 11 MB came back" in wished(engine, LOCAL, "unload")[-1]
    said = wished(engine, LOCAL, "load")
    assert "on its way" in said[0] and "downloading 40%" in said[1] and "is ready" in said[-1]
    assert [wish for wish, _ in engine.wishes] == ["pin", "park", "unload", "load"]


def test_a_wish_for_a_model_that_is_gone_or_made_up_does_nothing() -> None:
    engine = Models(ModelStatus(SPEC, "ready", CARD))
    assert "not in the list" in wished(engine, LOCAL, "load", ModelSpec("made/up"))[-1]
    desk = _Desk(engine, LOCAL)  # type: ignore[arg-type]
    for data in (None, "unload", {}, {"wish": "unload"}, {"wish": "unload", "model": 3}):
        assert "not in the list" in next(desk.wish(Wish(data)))[0]  # type: ignore[arg-type]
    assert engine.wishes == []


def test_a_refusal_is_a_sentence() -> None:
    engine = Models(ModelStatus(SPEC, "busy", CARD, leases=1))
    assert "in use by 1 run. Stop it first." in wished(engine, LOCAL, "unload")[-1]
    desk = _Desk(engine, LOCAL)  # type: ignore[arg-type]
    assert "does not answer" in list(desk.fit("builtin/tiny-chat", "auto", "none", ""))[-1]
    assert "dtype cannot be" in list(desk.load("builtin/tiny-chat", "int3", "none", ""))[-1][0]


def test_a_swap_spares_what_is_pinned_or_in_use() -> None:
    other = [ModelStatus(ModelSpec(f"some/{name}"), state, CARD, pinned=name == "pinned")  # type: ignore[arg-type]
             for name, state in (("idle", "ready"), ("pinned", "ready"), ("busy", "busy"))]
    engine = Models(*other)
    list(_Desk(engine, LOCAL).swap("builtin/tiny-chat", "auto", "none", ""))  # type: ignore[arg-type]
    assert engine.wishes == [("unload", ModelSpec("some/idle")), ("load", SPEC)]


def test_the_bar_is_what_is_set_aside_of_what_there_is() -> None:
    engine = Models(budget=Budget("cuda", 8_000_000_000, 2_000_000_000, parked=1_000_000_000))
    html = list_models(engine, LOCAL)  # type: ignore[arg-type]
    assert 'aria-valuenow="0.2500"' in html and "width:25.00%" in html
    assert "2.0 GB of 8.0 GB set aside for models on cuda, 1.0 GB parked" in html
    assert 'aria-valuenow="1.0000"' in list_models(Models(budget=Budget("", 0, 0)), LOCAL)  # type: ignore[arg-type]


def test_nothing_in_a_row_is_read_as_html() -> None:
    bad = ModelSpec('x/"><img src=x onerror=alert(1)>')
    html = listed(ModelStatus(bad, "ready", replace(CARD, spec=bad)))
    assert "<img" not in html and "<b>tiny</b>" not in html
    assert 'data-model="{&quot;' in html


def test_the_catalog_says_what_each_model_needs() -> None:
    html = catalog_table(LOCAL)
    row = next(r for r in html.split("<tr>") if "Qwen/Qwen2.5-0.5B-Instruct" in r)
    assert "chat" in row and "494 M" in row and "apache-2.0" in row and "32,768" in row
    assert "1.0 B" in next(r for r in html.split("<tr>") if "gemma-3-1b-it" in r)  # and no 1000 M
    assert len(re.findall(r"\d (GB|MB)", row)) == 3
    assert "builtin/tiny-chat" in catalog_table(PUBLIC) and "Qwen/" not in catalog_table(PUBLIC)


@pytest.mark.parametrize("settings", [LOCAL, PUBLIC])
def test_an_encoder_is_offered_to_load_and_not_to_write_with(settings: Settings) -> None:
    to_write = [repo for _, repo in offered(settings)]
    to_load = [repo for _, repo in offered(settings, encoders=True)]
    assert "builtin/tiny-encoder" in to_load and "builtin/tiny-encoder" not in to_write
    assert to_load[:2] == to_write[:2] == list(settings.models)
    assert "builtin/tiny-encoder" in catalog_table(settings)
