"""A fork through the whole engine: over the pipe, beside its parent, with adapters and drafts."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence

import pytest

from playground.core.decoding import Decoding
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.settings import Settings
from tests.tiny_adapters import save_adapter
from tests.tiny_models import save

PROMPT = Raw("Once upon a time")
SHORT = Decoding(max_new_tokens=12, min_new_tokens=12)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSpec]:
    room = tmp_path_factory.mktemp("models")
    base = ModelSpec(str(save(room / "base", max_position_embeddings=8192)))
    draft = ModelSpec(str(save(room / "draft", num_hidden_layers=1)))
    adapter = str(save_adapter(room / "adapter"))
    return {"base": base, "draft": draft, "adapted": ModelSpec(base.repo, adapter=adapter)}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Settings())
    yield made
    made.close()


def traces(engine: Engine, runs: Sequence[Run]) -> list[Trace]:
    found = [Trace(run) for run in runs]
    for column, event in engine.together(runs):
        found[column] = found[column].add(event)
    return found


def test_a_fork_crosses_the_pipe_with_adapters_and_drafts(
    engine: Engine, shelf: dict[str, ModelSpec]
) -> None:
    """Each goes on with its own parent's rest, from a text in one column and from ids in others."""
    proposing = Decoding(max_new_tokens=12, min_new_tokens=12, draft_tokens=3)
    runs = [
        Run(shelf["base"], PROMPT, SHORT),
        Run(shelf["adapted"], PROMPT, SHORT),
        Run(shelf["base"], PROMPT, proposing, draft=shelf["draft"]),
        Run(shelf["base"], PROMPT, Decoding(max_new_tokens=12, num_beams=2), fork=Fork((200,))),
    ]
    parents = traces(engine, runs)
    assert all(trace.state == "finished" for trace in parents)
    assert parents[0].ids != parents[1].ids and parents[0].ids == parents[2].ids
    forks = [
        Run(one.run.model, PROMPT, one.run.decoding, draft=one.run.draft, fork=Fork(one.ids[:5]))
        for one in parents[:3]
    ]
    put = Run(shelf["base"], PROMPT, SHORT, fork=Fork(parents[0].ids[:5], " a fox", (7,)))
    lost = Run(shelf["base"], PROMPT, SHORT, fork=Fork((400,)))
    assert pickle.loads(pickle.dumps(put)) == put and hash(put) == hash(pickle.loads(
        pickle.dumps(put)
    ))
    *rests, told, failed = traces(engine, [*forks, put, lost])
    for parent, rest in zip(parents[:3], rests, strict=True):
        assert rest.ids == parent.ids[5:] and rest.text == parent.text[-len(rest.text) :]
        assert rest.started and parent.started and rest.started.prompt == parent.started.prompt
    assert rests[2].proposals
    forced = [step for step in told.steps if step.forced]
    assert "".join(step.text for step in forced) == " a fox"
    assert told.steps[: len(forced)] == tuple(forced) and told.steps[0].position == 5
    assert failed.problem and (failed.problem.code, failed.problem.field) == ("VALIDATION", "fork")


def test_a_run_that_goes_on_is_forked_without_reading_it_again(
    engine: Engine, shelf: dict[str, ModelSpec]
) -> None:
    """What a click on a candidate does while tokens come: the parent's cache is cropped."""
    # Long texts: no end is written before so many tokens.
    long = Decoding(max_new_tokens=4000, min_new_tokens=4000)
    run = Run(shelf["base"], PROMPT, long)
    stream = engine.start([run])
    parent = Trace(run)
    try:
        while len(parent.steps) < 30:
            for _, event in stream.read(5.0):
                parent = parent.add(event)
        step = parent.steps[20]
        taken, *_ = [c.id for c in step.candidates if c.probability and c.id != step.id]
        short = Decoding(max_new_tokens=26, min_new_tokens=26)
        forks = [Fork(parent.ids[:20], (taken,)), Fork(parent.ids[:20], (), (parent.ids[20],))]
        took, banned = traces(engine, [Run(shelf["base"], PROMPT, short, fork=f) for f in forks])
        assert not stream.over
    finally:
        stream.close()
    assert took.started and banned.started and parent.started
    prompt = len(parent.started.prompt)
    assert took.started.reused == prompt + 19
    assert took.steps[0].forced and not banned.steps[0].forced
    assert took.steps[0].rank == 1 + [c.id for c in step.candidates].index(taken)
    # Greedy without its favourite is greedy with the second: both go the same way.
    assert took.ids == banned.ids and len(took.ids) == 6
