"""The greedy run beside a beam search: what is run, what is compared, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import Trace
from playground.errors import Problem
from playground.models.catalog import BUILTIN
from playground.models.loading import Model, load
from playground.ui import token_greedy
from playground.ui.token_feed import TokenFeed
from playground.ui.token_greedy import compare, greedy_of, read_greedy
from playground.ui.token_store import Live
from tests.fake_engine import FakeEngine, words
from tests.reference import decode

SPEC = ModelSpec("builtin/tiny-base")
SEARCH = Run(SPEC, Raw("Once upon a time there was a"), Decoding(num_beams=4, max_new_tokens=12))


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No greedy run of another test is found, and no answer waits."""
    monkeypatch.setattr(token_greedy, "KEPT_BESIDE", token_greedy.BesideStore(2))


@pytest.fixture(scope="module")
def model() -> Model:
    """The built-in base model."""
    return load(SPEC, BUILTIN / "tiny-base", device="cpu")


def shown(trace: Trace, *scripts: list[Event], full: bool = False) -> tuple[str, FakeEngine]:
    """A search on a page whose engine answers with these events; gives its key."""
    engine = FakeEngine(*scripts, full=full)
    feed = TokenFeed.of(trace)
    feed.plays(Live(engine, engine, 0, "page"))  # type: ignore[arg-type]
    return feed.key, engine


def ask(key: object, start: object = 0) -> dict[str, Any]:
    """What the browser is told."""
    answer: dict[str, Any] = json.loads(read_greedy({"key": key, "from": start}))
    return answer


def total_of(model: Model, run: Run, ids: tuple[int, ...], prompt: tuple[int, ...]) -> float:
    """The log-probability of ``ids`` after the prompt, from one plain forward."""
    whole = torch.tensor([[*prompt, *ids]])
    with torch.no_grad():
        logprobs = torch.log_softmax(model.lm(whole).logits[0].float(), dim=-1)
    first = len(prompt) - 1
    return float(sum(logprobs[first + n, id] for n, id in enumerate(ids)))


def test_a_search_and_greedy_are_compared_by_what_the_model_itself_says(model: Model) -> None:
    """Against one forward over each text, and the first place where the ids differ."""
    search, greedy = decode(model, [SEARCH, greedy_of(SEARCH)])
    assert search.started is not None
    told = compare(search, greedy)
    assert search.ids != greedy.ids
    left = told["left"]
    assert search.ids[:left] == greedy.ids[:left] and search.ids[left] != greedy.ids[left]
    assert told["beam"]["piece"] == search.steps[left].piece
    for name, trace in (("beam", search), ("greedy", greedy)):
        direct = total_of(model, SEARCH, trace.ids, search.started.prompt_ids)
        assert told[name]["total"] == pytest.approx(direct, abs=1e-3)
        assert told[name]["length"] == len(trace.ids)
    assert told["beam"]["total"] > told["greedy"]["total"]


def test_greedy_is_the_same_run_with_one_beam_and_no_dice() -> None:
    """What beams leave idle stays idle: dice, contrast, guidance, DoLa and proposals."""
    search = replace(SEARCH, seed=5, draft=SPEC, decoding=Decoding(
        num_beams=4, do_sample=True, length_penalty=2.0, early_stopping=True, penalty_alpha=0.6,
        top_k=4, guidance_scale=2.0, dola_layers="high", prompt_lookup_tokens=3,
        repetition_penalty=1.2, max_new_tokens=9,
    ))
    greedy = greedy_of(search)
    assert greedy.decoding == Decoding(top_k=4, repetition_penalty=1.2, max_new_tokens=9)
    assert greedy.decoding.name == "greedy"
    assert (greedy.prompt, greedy.model, greedy.draft) == (search.prompt, search.model, None)


def test_the_page_is_told_greedy_as_it_comes_and_the_comparison_at_the_end(model: Model) -> None:
    """The engine runs it once, however often it is asked for."""
    search, greedy = decode(model, [SEARCH, greedy_of(SEARCH)])
    assert greedy.started and greedy.finished
    key, engine = shown(search, [greedy.started, *greedy.steps, greedy.finished])
    first = ask(key)
    assert [row[0] for row in first["rows"]] == list(greedy.ids)
    assert first["settled"] and first["compared"]["left"] is not None
    rest = ask(key, 10)
    assert (rest["from"], [row[0] for row in rest["rows"]]) == (10, list(greedy.ids[10:]))
    assert engine.history == [greedy_of(SEARCH)]


def test_a_fork_is_compared_from_where_the_search_began(model: Model) -> None:
    """What was put in is no choice of either: both have searched ten tokens after two."""
    forked = replace(SEARCH, fork=Fork(ids=(20, 21)))
    search, greedy = decode(model, [forked, greedy_of(forked)])
    assert (search.beams[0].position, compare(search, greedy)["beam"]["length"]) == (2, 10)


def test_what_cannot_be_laid_over_says_why(model: Model) -> None:
    search = decode(model, [SEARCH])[0]
    assert "no longer keeps" in ask("nobody's")["problem"]
    assert "no longer keeps" in ask(["x"])["problem"]
    assert "no longer keeps" in json.loads(read_greedy(None))["problem"]
    plain = TokenFeed(greedy_of(SEARCH))
    assert ask(plain.key)["problem"] == "This run is no beam search."
    assert "Run it again" in ask(TokenFeed.of(search).key)["problem"]
    key, _ = shown(search, full=True)
    assert "Try again in a minute" in ask(key)["problem"]


def test_a_greedy_run_that_failed_is_begun_again(model: Model) -> None:
    search = decode(model, [SEARCH])[0]
    key, engine = shown(search, [Failed(Problem("OOM", "Memory ended."))], words(" a", " b"))
    assert ask(key, -3)["problem"] == "Memory ended."
    assert len(ask(key)["rows"]) == 2
    assert len(engine.history) == 2


def test_a_stopped_search_without_tokens_is_not_compared(model: Model) -> None:
    search = decode(model, [SEARCH])[0]
    stopped = replace(search, steps=(), finished=Finished("stopped", "", 2, 0, 0.0, 0.0))
    key, _ = shown(stopped, words(" a"))
    told = ask(key)
    assert told["settled"] and "compared" not in told


def test_who_asks_while_another_reads_waits_no_longer_than_he_would_alone() -> None:
    """Each waited for all before him, a quarter of a second each, and held one of the few threads
    that serve everybody."""
    engine = FakeEngine(words("a"))
    beside = token_greedy.Beside(Live(engine, engine, 0, "page"), greedy_of(SEARCH))  # type: ignore[arg-type]
    with beside._lock:
        assert beside.read(0.01) is beside.trace
    assert beside.read(1.0).state == "finished"
