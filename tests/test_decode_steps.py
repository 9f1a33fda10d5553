"""What a step tells is true: probabilities before and after the processors, ranks, ends, times."""

from __future__ import annotations

import math

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.events import Beams, Finished, Started, Step
from playground.core.prompt import Raw
from playground.core.run import Run
from playground.decode.choice import draw, read, report
from playground.decode.processors import build
from playground.models.pieces import pieces_of
from tests.reference import decode, events
from tests.tiny_models import byte_level_tokenizer, tiny_model

PROMPT = Raw("The capital of France is")


def test_the_numbers_of_a_step_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/8, 1/8: entropy 7/4 bits."""
    logits = torch.tensor([[0.25, 0.125, 0.5, 0.125]]).log() + 3.0
    reading = read(logits, 3)
    assert reading.entropy[0] == pytest.approx(1.75 * math.log(2))
    final = torch.tensor([0.9, 0.0, 0.1, 0.0])
    tokenizer = byte_level_tokenizer()
    told = report(reading, 0, final, 0, 3, pieces_of(tokenizer))
    assert (told.id, told.rank) == (0, 2)
    assert told.logprob == pytest.approx(math.log(0.25))
    assert told.probability == pytest.approx(0.9)
    assert [c.id for c in told.candidates][:2] == [2, 0]
    assert [c.logprob for c in told.candidates] == pytest.approx(
        [math.log(0.5), math.log(0.25), math.log(0.125)]
    )
    assert [c.probability for c in told.candidates][:2] == pytest.approx([0.1, 0.9])


def test_a_token_that_the_model_rules_out_does_not_spoil_the_entropy() -> None:
    """0 times minus infinity is NaN, and would look like broken logits."""
    reading = read(torch.tensor([[0.0, 0.0, -math.inf]]), 2)
    assert reading.entropy[0] == pytest.approx(math.log(2))
    assert not reading.is_broken(0)


@pytest.mark.parametrize("bad", (math.nan, math.inf))
def test_nan_and_infinity_are_seen(bad: float) -> None:
    assert read(torch.tensor([[0.0, bad, 1.0]]), 2).is_broken(0)


def test_every_token_forbidden_is_no_choice() -> None:
    """Nor does it end the process, as the checks of ``torch.multinomial`` would on CUDA."""
    assert draw(torch.full((1, 4), -math.inf), None)[1].isnan().all()
    assert draw(torch.tensor([[0.0, math.inf]]), torch.Generator())[1].isnan().all()


def test_candidates_are_a_softmax_of_the_models_logits() -> None:
    """Read again with the whole text so far, as a teacher would: nothing of the cache is used."""
    model = tiny_model("llama")
    decoding = Decoding(do_sample=True, temperature=0.5, top_k=8, max_new_tokens=12, candidates=10)
    trace = decode(model, [Run(model.spec, PROMPT, decoding, 4)])[0]
    assert trace.started is not None
    ids = list(trace.started.prompt_ids)
    for step in trace.steps:
        logits = model.lm(torch.tensor([ids])).logits[0, -1]
        own = torch.softmax(logits, -1)
        best = logits.topk(8)
        final = torch.zeros_like(logits).index_put(
            (best.indices,), torch.softmax(best.values / 0.5, -1)
        )
        assert step.logprob == pytest.approx(float(own[step.id].log()), abs=1e-4)
        assert step.probability == pytest.approx(float(final[step.id]), abs=1e-4)
        assert step.rank == int((own > own[step.id]).sum()) + 1 <= 8
        assert step.entropy == pytest.approx(float(-(own * own.log()).sum()), abs=1e-3)
        assert [c.id for c in step.candidates] == own.topk(10).indices.tolist()
        for candidate in step.candidates:
            assert math.exp(candidate.logprob) == pytest.approx(float(own[candidate.id]), abs=1e-4)
            assert candidate.probability == pytest.approx(float(final[candidate.id]), abs=1e-4)
        ids.append(step.id)


def test_the_shown_probability_is_the_one_that_chose() -> None:
    """With top-k 1 nothing is left to chance, whatever the model thought of the token."""
    model = tiny_model("llama")
    one = Decoding(do_sample=True, top_k=1, max_new_tokens=10)
    trace = decode(model, [Run(model.spec, PROMPT, one)])[0]
    assert all(step.probability == 1.0 and step.rank == 1 for step in trace.steps)
    assert all(math.exp(step.logprob) < 1.0 for step in trace.steps)
    assert trace.ids == decode(model, [Run(model.spec, PROMPT, Decoding(max_new_tokens=10))])[0].ids


def test_draws_follow_the_shown_probabilities() -> None:
    """2000 first tokens: the commonest comes as often as its probability says, within 4 sigma."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.tensor([[1.0, 0.0, 2.0]])
    drawn = [draw(scores, generator) for _ in range(2000)]
    p = float(drawn[0][1][0, 2])
    hits = sum(1 for token, _ in drawn if token == 2)
    assert abs(hits - 2000 * p) < 4 * math.sqrt(2000 * p * (1 - p))


def test_events_come_in_their_order() -> None:
    model = tiny_model("llama")
    told = events(model, Run(model.spec, PROMPT, Decoding(max_new_tokens=5, min_new_tokens=5)))
    assert [type(e) for e in told] == [Started, *[Step] * 5, Finished]
    started, *steps, finished = told
    assert isinstance(started, Started) and isinstance(finished, Finished)
    assert started.rendered == "The capital of France is"
    assert started.context == 160
    assert [s.position for s in steps if isinstance(s, Step)] == [0, 1, 2, 3, 4]
    assert (finished.reason, finished.new_tokens) == ("length", 5)
    assert finished.prompt_tokens == len(started.prompt)
    assert finished.prefill_seconds > 0 and finished.decode_seconds > 0


def test_an_end_token_is_a_step_and_no_text() -> None:
    model = tiny_model("llama", ends=tuple(range(3, 400, 7)))
    trace = decode(model, [Run(model.spec, PROMPT, Decoding(do_sample=True), s) for s in range(4)])[
        0
    ]
    assert trace.finished is not None and trace.finished.reason == "end"
    last = trace.steps[-1]
    assert last.special and last.id % 7 == 3
    assert not any(step.special for step in trace.steps[:-1])
    assert trace.text == "".join(step.text for step in trace.steps[:-1]) + trace.finished.tail


def test_the_text_of_a_trace_is_decode() -> None:
    """Random tokens are full of half characters: the tail completes the text."""
    model = tiny_model("gpt2")
    runs = [
        Run(model.spec, PROMPT, Decoding(do_sample=True, temperature=3.0, max_new_tokens=40), s)
        for s in range(6)
    ]
    for trace in decode(model, runs):
        assert trace.started is not None
        prompt, ids = list(trace.started.prompt_ids), list(trace.ids)
        whole = model.tokenizer.decode(prompt + ids, skip_special_tokens=True)
        assert whole == "The capital of France is" + trace.text


def test_a_stop_string_ends_the_text_and_stays_in_it() -> None:
    model = tiny_model("llama")
    free = decode(model, [Run(model.spec, PROMPT, Decoding(max_new_tokens=30))])[0]
    stop = free.text[5:8]
    stopped = Run(model.spec, PROMPT, Decoding(max_new_tokens=30, stop_strings=(stop,)))
    trace = decode(model, [stopped])[0]
    assert trace.finished is not None and trace.finished.reason == "stop string"
    assert stop in trace.text and stop not in "".join(s.text for s in trace.steps[:-1])
    assert free.text.startswith(trace.text)


def test_the_chain_keeps_its_names_in_the_order_of_the_library() -> None:
    every = Decoding(
        do_sample=True,
        temperature=0.5,
        top_k=5,
        top_p=0.9,
        min_p=0.1,
        typical_p=0.9,
        repetition_penalty=1.1,
        no_repeat_ngram_size=2,
        min_new_tokens=3,
    )
    chain = build(every, 4, (2,), torch.device("cpu"))
    assert chain.names == (
        "repetition_penalty",
        "no_repeat_ngram_size",
        "min_new_tokens",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
    )
    assert build(Decoding(), 4, (2,), torch.device("cpu")).names == ()
    # Without sampling, what only sampling uses is not in the chain.
    assert build(Decoding(temperature=0.5, top_k=5), 4, (2,), torch.device("cpu")).names == ()


def test_beams_are_told_step_by_step() -> None:
    model = tiny_model("llama")
    decoding = Decoding(num_beams=3, max_new_tokens=8)
    told = events(model, Run(model.spec, PROMPT, decoding))
    beams = [e for e in told if isinstance(e, Beams)]
    steps = [e for e in told if isinstance(e, Step)]
    assert [type(e) for e in told] == [Started, *[Beams] * 8, *[Step] * len(steps), Finished]
    assert [b.position for b in beams] == list(range(8))
    totals = {(): 0.0}
    paths: list[tuple[int, ...]] = [()] * 3
    for event in beams[:-1]:
        assert len(event.survivors) == 3
        states = [beam.state for beam in event.beams]
        assert states == sorted(states, key=["kept", "finished", "dropped"].index)
        assert "dropped" in states
        scores = [beam.score for beam in event.survivors]
        assert scores == sorted(scores, reverse=True)
        assert min(scores) >= max(b.score for b in event.beams if b.state == "dropped")
        # A parent is a place among the survivors before: the paths can be drawn.
        grown = [(*paths[b.parent], b.id) for b in event.survivors]
        for path, beam in zip(grown, event.survivors, strict=True):
            assert beam.total < totals[path[:-1]]
            totals[path] = beam.total
        assert len(set(grown)) == 3
        paths = grown
    finished = told[-1]
    assert isinstance(finished, Finished) and finished.score is not None
    assert beams[-1].survivors == ()
    assert finished.score == pytest.approx(sum(s.logprob for s in steps) / len(steps), abs=1e-5)
    assert beams[-1].leading + finished.tail == "".join(s.text for s in steps) + finished.tail


def test_a_beams_steps_are_those_of_the_model() -> None:
    """The winner's numbers, gathered on the way, equal those of one forward over its whole text."""
    model = tiny_model("qwen2")
    trace = decode(model, [Run(model.spec, PROMPT, Decoding(num_beams=4, max_new_tokens=10))])[0]
    assert trace.started is not None
    prompt = trace.started.prompt_ids
    logits = model.lm(torch.tensor([[*prompt, *trace.ids]])).logits[0]
    for position, step in enumerate(trace.steps):
        own = torch.log_softmax(logits[len(prompt) - 1 + position], -1)
        assert step.position == position
        assert step.logprob == pytest.approx(float(own[step.id]), abs=1e-4)
        assert [c.id for c in step.candidates] == own.topk(10).indices.tolist()
