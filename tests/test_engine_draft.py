"""A draft through the whole engine: loaded beside its model, counted, shared, refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Loading
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.models import footprint
from playground.settings import Settings
from tests.tiny_models import metaspace_tokenizer, save, tiny_lm

PLAIN = Decoding(max_new_tokens=12, min_new_tokens=12)
DRAFTED = replace(PLAIN, draft_tokens=3)
PROMPT = Raw("Once upon a time")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSpec]:
    room = tmp_path_factory.mktemp("models")
    save(room / "model")
    save(room / "draft", num_hidden_layers=1)
    tokenizer = metaspace_tokenizer()
    tokenizer.save_pretrained(room / "other")
    tiny_lm("llama", len(tokenizer)).save_pretrained(room / "other")
    return {path.name: ModelSpec(str(path)) for path in sorted(room.iterdir())}


@pytest.fixture(scope="module")
def engine(shelf: dict[str, ModelSpec]) -> Iterator[Engine]:
    """With room for the model and its draft, and for nothing more."""
    made = Engine(Settings(device="cpu", models=tuple(spec.repo for spec in shelf.values()),
                           memory_bytes=need(shelf["model"]) + need(shelf["draft"])))
    yield made
    made.close()


def need(spec: ModelSpec) -> int:
    return footprint.needed_bytes(Path(spec.repo), spec)


def traces(engine: Engine, runs: list[Run]) -> tuple[list[Trace], list[tuple[int, Loading]]]:
    """The runs as they ended, and what was said of loading."""
    found, told = [Trace(run) for run in runs], []
    for column, event in engine.together(runs):
        found[column] = found[column].add(event)
        if isinstance(event, Loading):
            told.append((column, event))
    return found, told


def test_a_draft_is_loaded_once_beside_its_model_and_changes_no_token(
    engine: Engine, shelf: dict[str, ModelSpec]
) -> None:
    model, draft = shelf["model"], shelf["draft"]
    runs = [Run(model, PROMPT, PLAIN), Run(model, PROMPT, DRAFTED, draft=draft),
            Run(model, PROMPT, replace(DRAFTED, draft_tokens=1), draft=draft)]
    (plain, *drafted), told = traces(engine, runs)
    assert plain.state == "finished" and not plain.proposals
    for trace in drafted:
        assert trace.problem is None and trace.ids == plain.ids
        assert trace.started is not None and not trace.started.notices
        assert trace.proposals and {p.source for p in trace.proposals} == {"draft"}
    waited = [column for column, news in told if "to propose tokens" in news.detail]
    assert 1 in waited and 0 not in waited, "the plain run waits for no draft"
    shares = [news.done for _, news in told if "to propose tokens: " in news.detail]
    assert len(shares) > 5 and shares[-1] == 1.0, "how far its weights are is told"
    entry = engine._manager._entries[model]
    assert entry.need == need(model) + need(draft) and entry.beside == {draft: need(draft)}


def test_a_model_drafts_for_itself_without_a_second_copy(
    engine: Engine, shelf: dict[str, ModelSpec]
) -> None:
    """All room is taken by now: another copy would not fit."""
    model = shelf["model"]
    (trace,), _ = traces(engine, [Run(model, PROMPT, DRAFTED, draft=model)])
    assert trace.problem is None and trace.acceptance == 1.0


def test_a_draft_that_does_not_fit_is_explained_and_the_model_goes_on(
    engine: Engine, shelf: dict[str, ModelSpec]
) -> None:
    model = shelf["model"]
    runs = [Run(model, PROMPT, DRAFTED, draft=shelf["other"]), Run(model, PROMPT, PLAIN)]
    (refused, plain), _ = traces(engine, runs)
    assert refused.problem is not None and refused.problem.code == "MODEL_TOO_BIG"
    assert plain.problem is None and len(plain.ids) == 12


def test_a_draft_with_other_tokens_is_refused_and_its_room_given_back(
    shelf: dict[str, ModelSpec]
) -> None:
    model, other = shelf["model"], shelf["other"]
    engine = Engine(Settings(models=(model.repo, other.repo)))
    try:
        runs = [Run(model, PROMPT, DRAFTED, draft=other), Run(model, PROMPT, PLAIN)]
        (refused, plain), _ = traces(engine, runs)
        assert refused.problem is not None and refused.problem.field == "draft"
        assert "has other tokens than" in refused.problem.message
        assert plain.problem is None and len(plain.ids) == 12
        entry = engine._manager._entries[model]
        assert not entry.beside and entry.need == need(model)
        absent = Run(model, PROMPT, DRAFTED, draft=ModelSpec("/no/such/folder"))
        unused = replace(absent, decoding=PLAIN)
        (refused, again), _ = traces(engine, [absent, unused])
        assert refused.problem is not None and refused.problem.code == "MODEL_NOT_FOUND"
        assert refused.problem.field == "draft" and again.ids == plain.ids
    finally:
        engine.close()
