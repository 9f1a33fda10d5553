"""Laws of models on servers: what they tell is shown, and what they do harms nobody else."""

from __future__ import annotations

import json
import logging
import math
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playground.core.compare import compare
from playground.core.decoding import Decoding
from playground.core.events import Finished, Paced, Step, Unamended
from playground.core.plain import from_plain, to_plain
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.recipe import Experiment, read_experiment, recipe_of, written_experiment
from playground.core.recipe_code import script_of
from playground.core.recipe_link import link_of, read_link
from playground.core.remote import Remote, Secret, remote_from, repo_of, server_and_model
from playground.core.run import Fork, ModelSpec, Run
from playground.core.score import ContestRequest, ScoreRequest
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.environment import own_environment, remote_token
from playground.errors import InvalidInput, PlaygroundError
from playground.flags import settings_from
from playground.settings import Settings
from playground.ui.controls import offered
from playground.ui.header import header
from playground.ui.model_list import list_models
from playground.ui.token_store import encode_step
from tests.remote_stand_in import MODEL, SHARES, Handler, StandIn, greedy, stand_in

SPEC = ModelSpec(repo_of("far", MODEL))
FOUR = Decoding(max_new_tokens=4, candidates=3)
LOGS = [math.log(share) for share in SHARES]


def _engine(server: StandIn, **more: Any) -> Engine:
    return Engine(Settings(remotes=(Remote("far", server.url, **more),)))


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@pytest.fixture(scope="module")
def engine(server: StandIn) -> Iterator[Engine]:
    """One that has found out what the server offers."""
    made = _engine(server)
    assert _run(made, Run(SPEC, Raw("One"), FOUR)).state == "finished"
    yield made
    made.close()


@pytest.fixture()
def free(server: StandIn) -> Iterator[StandIn]:
    """The shared server, well-behaved again afterwards."""
    yield server
    server.behave = None


def _run(engine: Engine, run: Run, **more: Any) -> Trace:
    trace = Trace(run)
    stream = engine.start([run], **more)
    while not stream.done:
        for _, event in stream.read(1.0):
            trace = trace.add(event)
    return trace


def _settle(engine: Engine) -> None:
    """A run's last event is read a moment before it has left the server."""
    until = time.monotonic() + 10
    while any(status.leases for status in engine.models()):
        assert time.monotonic() < until
        time.sleep(0.01)


def _words(trace: Trace) -> str:
    assert trace.problem is not None
    return str(trace.problem)


# What it tells


def test_a_token_comes_with_what_its_server_tells(engine: Engine) -> None:
    """Ids, ranks and the alternatives by the rule of the stand-in; no entropy: it tells none."""
    trace = _run(engine, Run(SPEC, Raw("One two"), FOUR))
    assert trace.ids == tuple(greedy([0, 1], 4)) == (3, 5, 7, 9)
    assert trace.text == " four six eight ten"
    step = trace.steps[0]
    assert (step.rank, step.piece) == (1, " four")
    assert step.logprob == pytest.approx(math.log(0.6)) and step.probability == pytest.approx(0.6)
    assert math.isnan(step.entropy)
    assert [one.text for one in step.candidates] == [" four", " five", " six"]
    assert [one.logprob for one in step.candidates] == pytest.approx(LOGS[:3])
    # Of the others this server tells the texts only; the same text has the same number.
    assert step.candidates[0].id == 3 and all(one.id < 0 for one in step.candidates[1:])
    assert trace.started is not None and trace.started.prompt_ids == (0, 1)
    assert trace.started.rendered == "One two" and trace.started.context == 4096
    assert trace.finished is not None and trace.finished.reason == "length"
    assert (trace.finished.prompt_tokens, trace.finished.new_tokens) == (2, 4)
    assert trace.mean_logprob == pytest.approx(math.log(0.6))


def test_what_it_offers_is_found_out_by_asking(engine: Engine) -> None:
    """It refuses more than 10 log-probabilities and nonsense for the knobs that it knows."""
    offers = engine.offers(SPEC)
    assert offers is not None and offers.server == "vLLM"
    assert offers.context == 4096
    assert {"top_k", "min_p", "repetition_penalty", "min_new_tokens"} <= dict(offers.knobs).keys()
    for ability in ("chat", "completion", "logprobs", "id prompts", "scoring", "tokenize"):
        assert offers.offers(ability), ability  # type: ignore[arg-type]


def test_a_setting_that_it_lacks_is_refused_by_name_before_anything_is_sent(
    engine: Engine, free: StandIn
) -> None:
    before = len(free.asked)
    trace = _run(engine, Run(SPEC, Raw("One"), Decoding(mirostat_tau=3.0, do_sample=True)))
    assert trace.problem is not None and trace.problem.field == "mirostat_tau"
    assert "far does not take Mirostat tau." in _words(trace)
    assert len(free.asked) == before


def test_all_settings_are_said_so_that_no_default_of_the_server_counts(
    engine: Engine, free: StandIn
) -> None:
    drawn = Decoding(do_sample=True, temperature=0.7, top_k=5, stop_strings=("ten",),
                     max_new_tokens=2)
    _run(engine, Run(SPEC, Raw("One"), drawn, seed=7))
    body = free.asked[-1]
    told = {name: body[name] for name in ("temperature", "top_k", "top_p", "min_p", "seed", "stop",
                                          "repetition_penalty", "max_tokens")}
    assert told == {"temperature": 0.7, "top_k": 5, "top_p": 1.0, "min_p": 0.0, "seed": 7,
                    "stop": ["ten"], "repetition_penalty": 1.0, "max_tokens": 2}
    _run(engine, Run(SPEC, Raw("One"), Decoding(max_new_tokens=1)))
    assert free.asked[-1]["temperature"] == 0.0 and "seed" not in free.asked[-1]


def test_what_a_token_was_drawn_with_is_not_made_up(engine: Engine) -> None:
    """Only the server knows what its own top-k left of a probability."""
    drawn = Decoding(do_sample=True, top_k=2, max_new_tokens=1)
    step = _run(engine, Run(SPEC, Raw("One"), drawn)).steps[0]
    assert math.isnan(step.probability) and math.isnan(step.candidates[0].probability)
    assert step.logprob == pytest.approx(math.log(0.6))


def test_lanes_on_a_server_run_beside_each_other_and_a_wrong_one_alone_fails(
    engine: Engine
) -> None:
    runs = [Run(SPEC, Raw("One"), FOUR), Run(SPEC, Raw("One"), Decoding(num_beams=4)),
            Run(SPEC, Chat((Message("user", "Hi"),)), FOUR)]
    traces = [Trace(run) for run in runs]
    for column, event in engine.together(runs):
        traces[column] = traces[column].add(event)
    assert [trace.state for trace in traces] == ["finished", "failed", "finished"]
    assert "Beams" in _words(traces[1])
    assert traces[2].text == " three five seven nine"


# Going on from the middle


def test_a_branch_goes_on_through_ids(engine: Engine, free: StandIn) -> None:
    """What stands and what is put in is read by its ids; the prompt's own come from the server."""
    fork = Fork((3, 5), insert=(9,))
    trace = _run(engine, Run(SPEC, Raw("One two"), FOUR, fork=fork))
    assert free.asked[-1]["prompt"] == [0, 1, 3, 5, 9]
    assert free.asked[-1]["max_tokens"] == 1
    assert [(s.position, s.id, s.forced) for s in trace.steps] == [(2, 9, True), (3, 1, False)]
    assert trace.steps[0].text == " ten" and math.isnan(trace.steps[0].logprob)
    text = _run(engine, Run(SPEC, Ids((0, 1)), FOUR, fork=Fork((3,), insert=" ten")))
    assert text.ids == (9, 1, 3)


def test_a_fork_on_untold_ids_is_refused() -> None:
    with pytest.raises(InvalidInput, match="tells no ids"):
        Fork((-5,))


# Scoring


def test_a_given_text_is_scored_by_its_prompts_logprobs(engine: Engine) -> None:
    """P(three|One) = 0.6 and P(six|three) = 0.2 by the rule."""
    scored = engine.score(SPEC, ScoreRequest(Raw(" three six"), Raw("One"), candidates=2))
    assert [piece.text for piece in scored.context] == ["One"]
    assert [(step.id, step.rank) for step in scored.steps] == [(2, 1), (5, 2)]
    assert scored.total_logprob == pytest.approx(math.log(0.6) + math.log(0.2))
    contest = engine.contest(
        SPEC, ContestRequest(Raw("One"), (" three", " four"), neutral=Raw("One two")))
    assert contest.winner("total").continuation == " three"
    with pytest.raises(InvalidInput, match="neutral prompt"):
        engine.contest(SPEC, ContestRequest(Raw("One"), (" three", " four")))


def test_a_prompt_is_shown_as_the_server_reads_it(engine: Engine) -> None:
    told = engine.render(SPEC, Raw("One two"))
    assert [(piece.id, piece.text) for piece in told.pieces] == [(0, "One"), (1, " two")]


# A server that offers less


def test_a_server_that_only_chats_says_what_is_missing() -> None:
    with stand_in("chat only") as small:
        engine = _engine(small)
        trace = _run(engine, Run(SPEC, Chat((Message("user", "Hi"),)), FOUR))
        assert trace.text == " three five seven nine" and trace.mean_logprob is None
        assert trace.started is not None and "no figures" in trace.started.notices[0]
        assert all(step.id < 0 and step.rank == 0 for step in trace.steps)
        for run, words in (
            (Run(SPEC, Raw("One"), FOUR), "continues no raw text"),
            (Run(SPEC, Raw("One"), FOUR, fork=Fork((1,))), "raw text"),
            (Run(SPEC, Chat((Message("user", "Hi"),)), FOUR, fork=Fork((1,))), "only chats"),
        ):
            assert words in _words(_run(engine, run))
        with pytest.raises(InvalidInput, match="only chats"):
            engine.score(SPEC, ScoreRequest(Raw("One two")))
        recipe = recipe_of(trace)
        assert recipe.answer is not None and recipe.answer.text == trace.text
        engine.close()


# Stop, pace, other settings


def test_stop_closes_the_connection() -> None:
    with stand_in() as slow:
        engine = _engine(slow)
        _run(engine, Run(SPEC, Raw("One"), FOUR))
        slow.held = threading.Event()
        stream = engine.start([Run(SPEC, Raw("One"), Decoding(max_new_tokens=2000))])
        trace = Trace(stream.columns[0].run)
        while not trace.steps:
            for _, event in stream.read(5.0):
                trace = trace.add(event)
        stream.stop()
        while not stream.done:
            for _, event in stream.read(5.0):
                trace = trace.add(event)
        assert trace.finished is not None and trace.finished.reason == "stopped"
        assert trace.text == " three"
        slow.held.set()  # the server writes on, into a connection that nobody reads
        assert slow.disconnected.wait(10)
        engine.close()


def test_other_settings_pace_and_replay_are_answered_and_not_dropped() -> None:
    with stand_in() as slow:
        engine = _engine(slow)
        _run(engine, Run(SPEC, Raw("One"), FOUR))
        slow.held = threading.Event()
        stream = engine.start([Run(SPEC, Raw("One"), Decoding(max_new_tokens=3))])
        events: list[Any] = []
        while not any(isinstance(event, Step) for event in events):
            events += [event for _, event in stream.read(5.0)]
        stream.amend(0, Decoding(max_new_tokens=3, do_sample=True))
        with pytest.raises(InvalidInput, match="cannot be paused"):
            stream.pace(0, 0)
        with pytest.raises(InvalidInput, match="logits"):
            engine.replay(stream, 0, 0, Decoding())
        slow.held.set()
        while not stream.done:
            events += [event for _, event in stream.read(5.0)]
        assert any(isinstance(event, Unamended) for event in events)
        assert Paced(None) in events
        assert isinstance(events[-1], Finished)
        engine.close()


# Failures


def test_a_busy_server_is_asked_again_and_one_that_stays_so_is_told(
    engine: Engine, free: StandIn
) -> None:
    refusals = iter([429, 503])

    def busy(handler: Handler, body: dict[str, Any]) -> bool:
        status = next(refusals, None) if body.get("stream") else None
        if status is not None:
            handler.answer({"error": {"message": "full"}}, status, {"retry-after": "0"})
        return status is not None

    free.behave = busy
    assert _run(engine, Run(SPEC, Raw("One"), FOUR)).state == "finished"
    free.behave = lambda handler, body: handler.answer(
        {"error": {"message": "full"}}, 503, {"retry-after": "3600"}) or True
    trace = _run(engine, Run(SPEC, Raw("One"), FOUR))
    assert trace.problem is not None and trace.problem.code == "OVERLOADED"
    assert _words(trace) == "far refused this (HTTP 503): “full”. Try again in a minute."


def test_nothing_is_asked_again_once_a_token_was_shown(engine: Engine, free: StandIn) -> None:
    def break_off(handler: Handler, body: dict[str, Any]) -> bool:
        handler.begin_stream()
        handler.event({"choices": [handler.choice([1], 0, body)]})
        handler.connection.shutdown(socket.SHUT_RDWR)
        return True

    before = len(free.asked)
    free.behave = break_off
    trace = _run(engine, Run(SPEC, Raw("One"), FOUR))
    assert trace.text == " two" and "stopped in the middle" in _words(trace)
    assert len(free.asked) == before + 1


def test_a_server_that_is_away_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        engine = Engine(Settings(remotes=(Remote("far", url),)))
        assert "far cannot be reached" in _words(_run(engine, Run(SPEC, Raw("One"), FOUR)))
        engine.remote_models(5.0)
        assert [status.state for status in engine.models()][-1] == "failed"
        engine.close()


def _raw(data: bytes) -> Any:
    def send(handler: Handler, body: dict[str, Any]) -> bool:
        handler.begin_stream()
        handler.wfile.write(data)
        return True

    return send


def _endless_line(handler: Handler, body: dict[str, Any]) -> bool:
    handler.begin_stream()
    handler.wfile.write(b"data: ")
    while True:
        handler.wfile.write(b"x" * 65536)


def _endless_comments(handler: Handler, body: dict[str, Any]) -> bool:
    handler.begin_stream()
    while True:
        handler.wfile.write(b": still here\n" * 5000)


def _endless_tokens(handler: Handler, body: dict[str, Any]) -> bool:
    handler.begin_stream()
    while True:
        handler.event({"choices": [{"index": 0, "text": " two"}]})


def _elsewhere(handler: Handler, body: dict[str, Any]) -> bool:
    handler.answer({}, 307, {"location": "http://127.0.0.1:1/v1/completions"})
    return True


HOSTILE: dict[str, tuple[Any, str]] = {
    "an endless line": (_endless_line, "does not end"),
    "endless comments": (_endless_comments, "more than 1 MB"),
    "endless tokens": (_endless_tokens, "more tokens than were asked for"),
    "no UTF-8": (_raw(b"data: {\"choices\": \"\xff\xfe\"}\n\n"), "not JSON in UTF-8"),
    "no JSON": (_raw(b"data: {nonsense\n\n"), "not JSON in UTF-8"),
    "deep JSON": (_raw(b"data: " + b"[" * 100_000 + b"\n\n"), "not JSON in UTF-8"),
    "a list": (_raw(b"data: [1, 2]\n\n"), "no object"),
    "its own failure": (_raw(b'data: {"error": {"message": "CUDA <b>broke</b>"}}\n\n'),
                        "failed while it wrote: “CUDA <b>broke</b>”"),
    "another host": (_elsewhere, "another address"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_server_ends_its_own_run_in_a_sentence(
    engine: Engine, free: StandIn, name: str
) -> None:
    free.behave, words = HOSTILE[name]
    assert words in _words(_run(engine, Run(SPEC, Raw("One"), FOUR)))
    free.behave = None
    assert _run(engine, Run(SPEC, Raw("One"), FOUR)).state == "finished"


def test_wrong_types_and_numbers_are_not_told(engine: Engine, free: StandIn) -> None:
    """NaN, infinity, text for a number, ids that are none and half a character: the token stays."""
    told = {"tokens": [" two", 7], "token_logprobs": ["x", 10**400],
            "top_logprobs": [{" two": float("nan"), " six": -1.0, "\ud800": -2.0}, "no"]}
    choice = {"index": 0, "text": " two\ud800", "logprobs": told, "token_ids": [-1, "a"],
              "finish_reason": "length", "stop_reason": {}}
    data = json.dumps({"choices": [choice], "usage": {"prompt_tokens": "many"}})
    free.behave = _raw(b"data: " + data.encode() + b"\n\n")
    trace = _run(engine, Run(SPEC, Raw("One"), FOUR))
    assert [(step.piece, step.text) for step in trace.steps] == [(" two", " two"), ("", "?")]
    assert all(math.isnan(step.logprob) and step.id < 0 for step in trace.steps)
    assert [[one.text for one in step.candidates] for step in trace.steps] == [[" six", "?"], []]
    assert trace.finished is not None and trace.finished.reason == "length"


# Names, addresses and tokens


@pytest.mark.parametrize("told", [
    "ftp://host/v1", "http://", "http://user:word@host/v1", "http://host/v1?key=1", "a b=http://h",
    "http://host:99999/v1", "NAME=http://host", 7, {"name": "x"}, {"name": "x", "url": 3},
])
def test_an_address_that_is_none_is_refused(told: Any) -> None:
    with pytest.raises(InvalidInput):
        remote_from(told)


def test_a_server_is_named_by_its_host_or_by_the_flag() -> None:
    assert remote_from("http://gpu1:8000") == Remote("gpu1-8000", "http://gpu1:8000/v1")
    assert remote_from("big=https://host/api/v1/").url == "https://host/api/v1"
    assert server_and_model("remote/big/org/name") == ("big", "org/name")
    assert server_and_model("remote/name") is None  # that may be somebody on the Hub
    assert ModelSpec("remote/big/org/name").label == "name on big"
    with pytest.raises(InvalidInput, match="Two remote servers"):
        settings_from(["--remote", "a=http://x", "--remote", "a=http://y"], {})
    with pytest.raises(InvalidInput, match="in the clear"):
        remote_from({"name": "hf", "url": "http://far.example/v1", "visitor_token": True})


def test_a_visitor_names_no_server(engine: Engine) -> None:
    for repo, words in (
        ("remote/127.0.0.1/x", "No remote server is called 127.0.0.1."),
        ("remote/near/model", "No remote server is called near."),
        ("remote/far/another", "not offered here with the model another"),
    ):
        assert words in _words(_run(engine, Run(ModelSpec(repo), Raw("One"), FOUR)))
    spec = ModelSpec(SPEC.repo, dtype="float16")
    assert "dtype cannot be chosen" in _words(_run(engine, Run(spec, Raw("One"), FOUR)))


def test_each_server_gets_its_own_token_and_no_other() -> None:
    one, two = Remote("one", "http://127.0.0.1:1/v1"), Remote("two", "http://127.0.0.1:2/v1")
    environ = {"PLAYGROUND_REMOTE_TOKEN": "plain", "PLAYGROUND_REMOTE_TOKEN_TWO": "own"}

    def told(remote: Remote, only: bool) -> str | None:
        found = remote_token(remote, only, environ)
        return found and found.tell()

    assert (told(one, True), told(one, False), told(two, False)) == ("plain", None, "own")
    visitors = Remote("hf", "https://router.huggingface.co/v1", visitor_token=True)
    assert told(visitors, True) is None


def test_a_visitors_token_is_sent_and_written_down_nowhere(
    caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = Secret("hf_verysecret")
    with stand_in() as server:
        engine = _engine(server, visitor_token=True)
        run = Run(SPEC, Raw("One"), FOUR)
        assert "wants a token of yours" in _words(_run(engine, run))
        trace = _run(engine, run, tokens={"far": secret})
        assert trace.state == "finished"
        sent = [headers.get("authorization") for path, headers, body in server.seen if body]
        assert set(sent) == {"Bearer hf_verysecret"}
        server.behave = lambda handler, body: handler.answer(
            {"error": "Bearer tokens must be good"}, 401) or True
        failed = _run(engine, run, tokens={"far": secret})
        assert "Give a token of yours" in _words(failed)
        shown = f"{secret!r}{trace}{failed}{recipe_of(trace)}{engine.models()}{caplog.text}"
        assert "verysecret" not in shown
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        engine.close()


def test_what_the_host_may_not_do_with_a_server_is_answered(engine: Engine) -> None:
    with pytest.raises(PlaygroundError, match="memory of that server"):
        engine.fit(SPEC)
    assert engine.unload(SPEC) is None and engine.park(SPEC) is None
    assert engine.plan([SPEC, SPEC]).rounds == (((SPEC, (0, 1)),),)
    *_, card = engine.load(SPEC)
    assert getattr(card, "device", "") == "remote"


# What the page says


def test_a_model_on_a_server_stands_in_the_list_the_header_and_the_pickers(
    engine: Engine, server: StandIn
) -> None:
    _settle(engine)
    settings = replace(engine.settings, remote_models=engine.remote_models())
    assert ("counter on far", SPEC.repo) in offered(settings)
    assert not any(repo == SPEC.repo for _, repo in offered(settings, encoders=True))
    listed = list_models(engine, settings)
    for words in ("reachable", "remote · vLLM", "4,096", "everything that can be asked",
                  "Ask far again"):
        assert words in listed
    assert "<b>counter on far</b> ready · remote</span>" in header(engine, settings)
    with stand_in("chat only") as small:
        less = _engine(small)
        _run(less, Run(SPEC, Chat((Message("user", "Hi"),)), FOUR))
        _settle(less)
        listed = list_models(less, less.settings)
        assert "Text only; without completion" in listed and "only chats" in listed
        less.close()


# What is taken away


def test_a_recipe_names_the_server_and_no_address_and_its_script_asks_the_same(
    engine: Engine, server: StandIn
) -> None:
    """The script is run by the real ``openai`` client, where that is installed."""
    pytest.importorskip("openai")
    trace = _run(engine, Run(SPEC, Raw("One two"), FOUR))
    recipe = recipe_of(trace, "far away")
    experiment = Experiment((recipe,))
    assert read_experiment(written_experiment(experiment)) == experiment
    assert read_link(link_of(experiment)).lanes[0].run == trace.run
    script = script_of(recipe)
    assert server.url not in written_experiment(experiment) + script
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env=own_environment() | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "any"},
    )
    assert told.stdout == " four six eight ten\nThe same text.\n", told.stderr


def test_answers_with_untold_ids_are_kept_compared_and_shared() -> None:
    """The same text has the same number, so two answers part where their texts do."""
    with stand_in("chat only") as small:
        engine = _engine(small)
        run = Run(SPEC, Chat((Message("user", "Hi"),)), FOUR)
        shorter = replace(run, decoding=Decoding(max_new_tokens=2))
        one, two = _run(engine, run), _run(engine, shorter)
        engine.close()
    found = compare(one, two)
    assert (found.by, found.first, found.parting) == ("ids", 2, None)
    assert [(d.model, d.chosen) for d in found.divergences] == [(0.0, 0.0)] * 2
    recipe = recipe_of(one)
    assert recipe.answer is not None and all(id < 0 for id in recipe.answer.ids)
    shared = read_link(link_of(Experiment((recipe,)))).lanes[0].answer
    assert shared is not None and shared.text == one.text
    kept = from_plain(Trace, to_plain(one), "trace")
    assert kept.text == one.text and kept.mean_logprob is None
    line = json.loads(encode_step(one.steps[0]))
    assert line[0] < 0 and line[3] is None and line[4] == 0 and line[7] & 8


# A real server


@pytest.fixture(scope="module")
def transformers_serve(root: Path) -> Iterator[str]:
    """``transformers serve`` with the built-in chat model, in the numbers that we decode with."""
    pytest.importorskip("openai")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    model = str(root / "playground" / "models" / "builtin" / "tiny-chat")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model, "--device",
               "cpu", "--dtype", "float32", "--port", port, "--host", "127.0.0.1"]
    with subprocess.Popen(
        command, env=own_environment() | {"HF_HUB_OFFLINE": "1"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        for _ in range(600):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.mark.slow
def test_transformers_serve_writes_what_we_write(transformers_serve: str) -> None:
    """Greedy, and with a penalty: the same text as a run on this machine. With the same seed it
    draws the same again, and what it does not know is refused."""
    engine = Engine(Settings(remotes=(remote_from(f"tf={transformers_serve}"),)))
    (repo,) = engine.remote_models(30.0)
    far, near = ModelSpec(repo), ModelSpec("builtin/tiny-chat")
    chat = Chat((Message("user", "What is the capital of France?"),))
    settings = Decoding(max_new_tokens=24), Decoding(max_new_tokens=24, repetition_penalty=1.3)
    for prompt in (Raw("Once upon a time"), chat):
        for decoding in settings:
            texts = [_run(engine, Run(spec, prompt, decoding)).text for spec in (far, near)]
            assert texts[0] == texts[1] != ""
    drawn = Run(far, Raw("Once upon a time"), Decoding(do_sample=True, temperature=1.5,
                                                      max_new_tokens=24), seed=3)
    one, same, other = (_run(engine, replace(drawn, seed=seed)).text for seed in (3, 3, 4))
    assert one == same != other
    offers = engine.offers(far)
    assert offers is not None and offers.server == "transformers serve"
    assert not offers.offers("logprobs") and not offers.offers("id prompts")
    refused = _run(engine, Run(far, chat, Decoding(presence_penalty=1.0)))
    assert "tf does not take Presence penalty." in _words(refused)
    engine.close()
