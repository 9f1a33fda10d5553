"""Models that come from the Hub, through the whole engine, with a Hub on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Loading, Started, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.errors import HubProblem, InvalidInput
from playground.settings import Settings
from tests.hub_stand_in import COMMIT, TOKEN, HubStandIn, hub_stand_in
from tests.tiny_models import save

PROMPT = Raw("Once upon a time")
SHORT = Decoding(max_new_tokens=5, min_new_tokens=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("repo"))


@pytest.fixture()
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with hub_stand_in(folder) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


@pytest.fixture()
def engine() -> Iterator[Engine]:
    made = Engine(Settings())
    yield made
    made.close()


def run(name: str) -> Run:
    return Run(ModelSpec(f"stand-in/{name}"), PROMPT, SHORT)


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 150
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def downloads() -> list[int]:
    """The download processes of this process."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it may end while we look
            if "playground.models.hub" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def weights_fetched(hub: HubStandIn) -> int:
    return hub.weights_sent()


def test_a_model_of_the_hub_is_fetched_loaded_and_run(hub: HubStandIn, engine: Engine) -> None:
    events = list(engine.run(run("runs")))
    stages = list(dict.fromkeys(e.stage for e in events if isinstance(e, Loading)))
    assert stages == ["downloading", "starting", "loading"]
    card = next(row.card for row in engine.models() if row.spec == run("runs").model)
    started = next(event for event in events if isinstance(event, Started))
    assert card and card.commit == started.commit == COMMIT, "kept with the run"
    assert sum(isinstance(e, Step) for e in events) == 5 and isinstance(events[-1], Finished)
    assert downloads() == []


def test_an_absent_model_is_one_sentence(hub: HubStandIn, engine: Engine) -> None:
    events = list(engine.run(run("absent")))
    failed = events[-1]
    assert isinstance(failed, Failed) and failed.problem.code == "MODEL_NOT_FOUND"
    assert failed.problem.field == "model" and failed.problem.given == "stand-in/absent"
    assert "\n" not in str(failed.problem)


def test_five_columns_share_one_download(hub: HubStandIn, engine: Engine) -> None:
    """Five columns of two streams want one model at once."""
    streams = [engine.start([run("shared")] * 2), engine.start([run("shared")] * 3)]
    events: list[Event] = []
    for stream in streams:
        while not stream.done:
            events += [event for _, event in stream.read(0.5)]
    assert sum(isinstance(event, Finished) for event in events) == 5
    assert weights_fetched(hub) == 1


def test_two_ways_to_load_one_repo_share_one_download(hub: HubStandIn, engine: Engine) -> None:
    """Each is a model of its own to the manager; two downloads would write into one file."""
    half = Run(ModelSpec("stand-in/both", dtype="bfloat16"), PROMPT, SHORT)
    events = [event for _, event in engine.together([run("both"), half])]
    assert sum(isinstance(event, Finished) for event in events) == 2
    assert weights_fetched(hub) == 1


def test_a_model_that_cannot_fit_is_refused_before_its_weights_come(
    hub: HubStandIn, folder: Path
) -> None:
    engine = Engine(Settings(memory_bytes=1_000_000, device="cpu"))
    try:
        failed = list(engine.run(run("big")))[-1]
        found = engine.fit(run("big2").model)
    finally:
        engine.close()
    assert isinstance(failed, Failed) and failed.problem.code == "MODEL_TOO_BIG"
    assert "working room" in failed.problem.message
    assert not found.fits and found.footprint.weights == 44192 * 4
    assert weights_fetched(hub) == 0


def test_a_cached_model_runs_while_the_hub_is_down(
    hub: HubStandIn, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(list(engine.run(run("served")))[-1], Finished)
    assert engine.unload(run("served").model)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    events = list(engine.run(run("served")))
    assert isinstance(events[-1], Finished)
    assert "downloading" not in [e.stage for e in events if isinstance(e, Loading)]


def test_stop_ends_a_download_that_nobody_else_waits_for(hub: HubStandIn, engine: Engine) -> None:
    stream = engine.start([run("stalled")])
    eventually(lambda: bool(downloads()))
    stream.stop()
    assert stream.over, "the reader does not wait for the process to end"
    eventually(lambda: downloads() == [])
    assert all(row.state != "failed" for row in engine.models()), "stopping is no failure"


# In public, and without the Hub


@pytest.fixture()
def public(hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """What a visitor of a share link meets, whose host may see what nobody else may."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    made = Engine(Settings(mode="shared", models=("stand-in/gated-offered", "builtin/tiny-base")))
    yield made
    made.close()


def test_in_public_the_hosts_token_is_for_what_the_host_offers(
    hub: HubStandIn, public: Engine
) -> None:
    assert public.fit(ModelSpec("stand-in/gated-offered")).fits
    assert hub.tokens == {f"Bearer {TOKEN}"}


def test_an_offered_encoder_is_one_of_them(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the models that write were, so that a gated encoder could not be offered."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    engine = Engine(Settings(mode="shared", models=("builtin/tiny-base",),
                             encoders=("stand-in/gated-offered",)))
    try:
        assert engine.fit(ModelSpec("stand-in/gated-offered")).fits
        assert hub.tokens == {f"Bearer {TOKEN}"}
    finally:
        engine.close()


@pytest.mark.parametrize("wish", [
    ModelSpec("stand-in/gated-private"), ModelSpec("stand-in/gated-offered", revision="secret"),
    ModelSpec("stand-in/gated-offered", adapter="stand-in/gated-private"),
    ModelSpec("builtin/tiny-base", adapter="stand-in/gated-private"),
])
def test_in_public_nothing_else_is_asked_of_the_hub_in_the_hosts_name(
    hub: HubStandIn, public: Engine, wish: ModelSpec
) -> None:
    for ask in (lambda: public.fit(wish), lambda: list(public.load(wish)),
                lambda: public.render(wish, PROMPT)):
        with pytest.raises(InvalidInput):
            ask()
    lanes = [Run(wish, PROMPT, SHORT),
             Run(ModelSpec("builtin/tiny-base"), PROMPT, Decoding(draft_tokens=2), draft=wish)]
    told = [event for _, event in public.together(lanes) if isinstance(event, Failed)]
    assert [event.problem.code for event in told] == ["VALIDATION"] * 2
    assert not hub.asked


def test_offline_the_hub_is_not_asked_and_what_is_here_runs(hub: HubStandIn) -> None:
    engine = Engine(Settings(offline=True))
    try:
        (*_, failed) = engine.run(run("never-fetched"))
        assert isinstance(failed, Failed) and "works offline" in failed.problem.message
        with pytest.raises(HubProblem, match="works offline"):
            engine.fit(ModelSpec("stand-in/never-fetched"))
        (*_, done) = engine.run(Run(ModelSpec("builtin/tiny-base"), PROMPT, SHORT))
        assert isinstance(done, Finished)
    finally:
        engine.close()
    assert not hub.asked
