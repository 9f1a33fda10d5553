"""A playground behind its own API is a server like any other: the same tokens near and far."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Message, Raw
from playground.core.remote import remote_from, repo_of
from playground.core.run import Fork, ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.settings import Settings

CHAT = Chat((Message("user", "What is the capital of France?"),))
TEXT = Raw("Once upon a time")


@pytest.fixture(scope="module")
def near() -> Iterator[Engine]:
    """The playground with the models."""
    made = Engine(Settings())
    yield made
    made.close()


@pytest.fixture(scope="module")
def far(near: Engine) -> Iterator[Engine]:
    """A playground that asks the first one, served on loopback as uvicorn serves it."""
    routes = pytest.importorskip("playground.api.openai_routes")
    import uvicorn

    from playground.core.visitor import Visitor

    api = routes.openai_app(near)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """What the app's door does: it says who calls, and takes the mount's path off."""
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].removeprefix("/v1"),
                     "state": {"visitor": Visitor()}}
        await api(scope, receive, send)

    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True).start()
    url = f"own=http://127.0.0.1:{taken.getsockname()[1]}"
    made = Engine(Settings(remotes=(remote_from(url),)))
    yield made
    made.close()
    server.should_exit = True


def _both(near: Engine, far: Engine, repo: str, run: Run) -> tuple[Trace, Trace]:
    traces = []
    for engine, name in ((near, repo), (far, repo_of("own", repo))):
        trace = Trace(replace(run, model=ModelSpec(name)))
        for event in engine.run(trace.run):
            trace = trace.add(event)
        assert trace.state == "finished", trace.problem
        traces.append(trace)
    return traces[0], traces[1]


def test_greedy_ids_are_those_of_a_run_here(near: Engine, far: Engine) -> None:
    run = Run(ModelSpec("any"), CHAT, Decoding(max_new_tokens=16))
    here, there = _both(near, far, "builtin/tiny-chat", run)
    assert here.ids == there.ids and here.text == there.text
    for one, other in zip(here.steps, there.steps, strict=True):
        assert (one.id, one.piece, one.rank, one.special) == (
            other.id, other.piece, other.rank, other.special)
        assert other.logprob == pytest.approx(one.logprob, abs=1e-5)
        assert [c.id for c in one.candidates] == [c.id for c in other.candidates]


@pytest.mark.parametrize("decoding", [
    Decoding(max_new_tokens=12),
    Decoding(max_new_tokens=12, do_sample=True, temperature=0.8, top_p=0.9),
    Decoding(max_new_tokens=12, do_sample=True, mirostat_tau=3.0),
    Decoding(max_new_tokens=12, num_beams=3),
    Decoding(max_new_tokens=12, dry_multiplier=0.8, banned=(" girl",)),
], ids=lambda decoding: decoding.name)
def test_any_settings_and_dice_give_the_same_text_far_away(
    near: Engine, far: Engine, decoding: Decoding
) -> None:
    run = Run(ModelSpec("any"), TEXT, decoding, seed=5)
    here, there = _both(near, far, "builtin/tiny-base", run)
    assert here.text == there.text != ""
    assert here.ids == there.ids


def test_a_raw_text_can_be_branched_from_far_away(near: Engine, far: Engine) -> None:
    run = Run(ModelSpec("any"), TEXT, Decoding(max_new_tokens=8))
    here, there = _both(near, far, "builtin/tiny-base", run)
    taken = here.steps[3].candidates[1].id
    branch = replace(run, fork=Fork(there.ids[:3], (taken,)))
    one, other = _both(near, far, "builtin/tiny-base", branch)
    assert one.ids == other.ids != here.ids[3:] and one.ids[0] == taken


def test_a_text_is_as_likely_there_as_here(near: Engine, far: Engine) -> None:
    asked = ScoreRequest(Raw(" there was a fox"), TEXT)
    here = near.score(ModelSpec("builtin/tiny-base"), asked)
    there = far.score(ModelSpec(repo_of("own", "builtin/tiny-base")), asked)
    assert [step.id for step in here.steps] == [step.id for step in there.steps]
    assert there.total_logprob == pytest.approx(here.total_logprob, abs=1e-4)
