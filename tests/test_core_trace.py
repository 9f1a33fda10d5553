"""The laws of the fold from events to a trace, with numbers that a person can check by hand."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields, replace
from math import exp, log

import pytest

from playground.core.decoding import Decoding
from playground.core.events import (
    Amended,
    Beam,
    Beams,
    Candidate,
    Draw,
    Effect,
    Event,
    Failed,
    Finished,
    Loading,
    Paced,
    Piece,
    Proposed,
    Queued,
    Shift,
    Started,
    Step,
    Unamended,
)
from playground.core.prompt import Raw
from playground.core.run import Fork, ModelSpec, Run
from playground.core.trace import State, Trace
from playground.errors import InvalidInput, Problem

RUN = Run(ModelSpec("builtin/tiny-base"), Raw("Hi"), Decoding())
STARTED = Started((Piece(0, "<s>", special=True), Piece(7, "Hi")), "<s>Hi", context=512)


def _step(position: int, text: str, probability: float = 0.5, special: bool = False) -> Step:
    """A greedy step whose model gave this probability to the token that was chosen."""
    candidate = Candidate(100 + position, text, log(probability), probability)
    return Step(position, 100 + position, text, text, log(probability), 1, probability, 0.7,
                (candidate,), special)


def test_a_step_crosses_the_pipe_with_all_that_it_has() -> None:
    """Also what does not count when two are compared."""
    given = replace(
        _step(3, " Paris"), effects=(Effect("top_k", (Shift(1, "a", 0.5, 0.25),), removed=7),),
        draw=Draw(0.0, 0.5, 0.25), forced=True, seconds=0.003,
    )
    again = pickle.loads(pickle.dumps(given))
    assert again == given and all(
        getattr(again, one.name) == getattr(given, one.name) for one in fields(Step)
    )
    assert copy.copy(given) == given and copy.deepcopy(given) == given


def _finished(tail: str = "", new_tokens: int = 3, decode_seconds: float = 0.5) -> Finished:
    return Finished("end", tail, 2, new_tokens, 0.1, decode_seconds)


def _fold(*events: Event) -> Trace:
    trace = Trace(RUN)
    for event in events:
        trace = trace.add(event)
    return trace


PROBLEM = Problem("OOM", "Memory ended.", advice="Ask for less.")


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((), "new"),
        ((Queued(2),), "queued"),
        ((Queued(2), Loading("loading", 0.5)), "loading"),
        ((Queued(2), Loading("loading"), STARTED), "running"),
        ((STARTED, _step(2, "a")), "running"),
        ((STARTED, _step(2, "a"), _finished()), "finished"),
        ((STARTED, _step(2, "a"), Failed(PROBLEM)), "failed"),
        ((Queued(1), Failed(PROBLEM)), "failed"),
        ((Failed(PROBLEM),), "failed"),
    ],
)
def test_the_state_follows_the_events(events: tuple[Event, ...], state: State) -> None:
    trace = _fold(*events)
    assert trace.state == state
    assert (trace.waiting is not None) == (state in ("queued", "loading"))


def test_adding_leaves_the_trace_before_as_it_was() -> None:
    before = _fold(STARTED, _step(2, "a"))
    after = before.add(_step(3, "b"))
    assert (before.text, after.text) == ("a", "ab")


def test_the_text_has_no_control_tokens_and_has_its_tail() -> None:
    """A character of several bytes is empty until it is whole; the tail is what was held back."""
    trace = _fold(STARTED, _step(2, "Paris"), _step(3, ""), _step(4, "é"),
                  _step(5, "<|im_end|>", special=True), _finished(tail="�"))
    assert trace.text == "Parisé�"
    assert trace.ids == (102, 103, 104, 105)
    assert trace.started is not None and trace.started.prompt_ids == (0, 7)


def test_perplexity_by_hand() -> None:
    """Probabilities 1/2, 1/4 and 1/8 multiply to 1/64, whose third root is 1/4: perplexity 4."""
    trace = _fold(STARTED, _step(2, "a", 1 / 2), _step(3, "b", 1 / 4), _step(4, "c", 1 / 8))
    assert trace.mean_logprob == pytest.approx(-2 * log(2))
    assert trace.perplexity == pytest.approx(4.0)
    assert _fold(STARTED).perplexity is None


def test_what_the_reader_put_there_says_nothing_of_the_model() -> None:
    """An emoji of probability e-20 before two tokens of 1/4: the perplexity is 4, not 1,980."""
    put = replace(_step(0, "☃", exp(-20)), forced=True)
    assert _fold(STARTED, put).perplexity is None
    trace = _fold(STARTED, put, _step(1, "a", 1 / 4), _step(2, "b", 1 / 4))
    assert trace.perplexity == pytest.approx(4.0)


def test_the_speed_leaves_out_the_token_that_prefill_pays_for() -> None:
    """Three tokens, half a second of decoding: two of them were decoded, so four a second."""
    assert _fold(STARTED, _finished()).tokens_per_second == pytest.approx(4.0)
    assert _fold(STARTED, _finished(new_tokens=1)).tokens_per_second is None
    assert _fold(STARTED, _finished(decode_seconds=0.0)).tokens_per_second is None
    assert _fold(STARTED).tokens_per_second is None


def test_the_speed_is_that_of_its_own_forwards() -> None:
    """Two tokens after the first in a quarter of a second are eight a second, though decoding took
    ten: the reader had paused it. Lanes in one loop once had the same speed, with a cache or not.
    """
    steps = [replace(_step(n, "a"), seconds=s) for n, s in enumerate((3.0, 0.125, 0.125))]
    assert _fold(STARTED, *steps).tokens_per_second == pytest.approx(8.0)
    trace = _fold(STARTED, *steps, _finished(decode_seconds=10.0))
    assert trace.tokens_per_second == pytest.approx(8.0)


def test_tokens_of_one_forward_share_its_time() -> None:
    """Two proposed tokens were accepted: with the one after them three from half a second."""
    proposed = Proposed(1, "prompt lookup", (Piece(1, "a"), Piece(2, "b")), 2)
    steps = [replace(_step(n, "a"), seconds=0.5) for n in range(4)]
    trace = _fold(STARTED, steps[0], proposed, *steps[1:])
    assert trace.forward_seconds == (0.5, 0.5) and trace.tokens_per_second == pytest.approx(6.0)


def test_a_search_is_as_fast_as_its_steps() -> None:
    """Three steps of half a second, the first of them the prompt's: two tokens in a second; the
    winner's tokens bring no time of their own."""
    search = _fold(STARTED, *(Beams(n, (), "x", 0.5) for n in range(3)))
    assert search.tokens_per_second == pytest.approx(2.0)
    for n in range(3):
        search = search.add(_step(n, "a"))
    assert search.tokens_per_second == pytest.approx(2.0)


def test_beam_search_shows_its_leader_until_the_winner_comes() -> None:
    kept, lost = Beam(0, 5, " a", -1.0, -1.0, "kept"), Beam(0, 6, " b", -3.0, -3.0, "dropped")
    searching = _fold(STARTED, Beams(2, (kept, lost), "Hi a"))
    assert searching.text == "Hi a" and searching.state == "running"
    assert searching.beams[-1].survivors == (kept,)
    assert searching.add(_step(2, " b")).text == " b"


def test_forwards_and_acceptance_by_hand() -> None:
    """Six tokens. The prompt gave one; the next forward judged three proposed tokens, kept two and
    chose the one after them itself; one came alone; the last forward kept its one and ended there.
    """
    pieces = tuple(Piece(100 + i, str(i)) for i in range(9))
    trace = _fold(STARTED, _step(0, "a"), Proposed(1, "draft", pieces[1:4], 2),
                  *(_step(i, "b") for i in (1, 2, 3)), _step(4, "c"))
    assert (trace.forwards, trace.acceptance) == (3, pytest.approx(2 / 3))
    trace = trace.add(Proposed(5, "prompt lookup", pieces[5:6], 1)).add(_step(5, "d"))
    assert (trace.forwards, trace.acceptance) == (4, pytest.approx(3 / 4))
    assert trace.text == "abbbcd" and trace.proposals[1].ids == (105,)


def test_a_plain_run_reads_once_a_token_and_beams_once_a_step() -> None:
    plain = _fold(STARTED, _step(0, "a"), _step(1, "b"))
    assert (plain.forwards, plain.acceptance) == (2, None)
    searched = _fold(STARTED, Beams(0, (), "a"), Beams(1, (), "b"), Beams(2, (), "c"),
                     _step(0, "a"), _step(1, "b"))
    assert searched.forwards == 3


def test_a_failure_keeps_what_was_written() -> None:
    trace = _fold(STARTED, _step(2, "so far"), Failed(PROBLEM))
    assert trace.text == "so far" and str(trace.problem) == "Memory ended. Ask for less."


def test_a_trace_survives_the_pipe() -> None:
    trace = _fold(Queued(1), STARTED, Proposed(2, "draft", (Piece(1, "b"),), 0),
                  _step(2, "a"), _finished())
    assert pickle.loads(pickle.dumps(trace)) == trace


def test_a_problem_says_what_and_what_next() -> None:
    error = InvalidInput("Too hot.", field="temperature", given="x" * 200, advice="Cool it.")
    assert str(error) == "Too hot. Cool it."
    assert error.problem.code == "VALIDATION" and len(error.problem.given) == 78


def test_a_trace_knows_its_pace_and_the_settings_of_every_step() -> None:
    warm, hot = Decoding(do_sample=True), Decoding(do_sample=True, temperature=2.0)
    trace = _fold(STARTED, _step(0, "a"), Paced(0))
    assert trace.is_paused and trace.refusal is None
    trace = trace.add(Amended(1, warm)).add(Paced(1)).add(_step(1, "b")).add(Paced(0))
    assert trace.add(Unamended(Decoding(num_beams=4), PROBLEM)).refusal == PROBLEM
    trace = trace.add(Unamended(Decoding(), PROBLEM)).add(Amended(2, hot)).add(Paced(None, 0.5))
    assert not trace.is_paused and trace.pace == Paced(None, 0.5) and trace.refusal is None
    assert [trace.decoding_at(n) for n in range(4)] == [RUN.decoding, warm, hot, hot]
    assert not _fold(STARTED, Paced(0), _finished()).is_paused


def test_two_steps_are_equal_whatever_time_they_took() -> None:
    assert replace(_step(0, "a"), seconds=0.5) == _step(0, "a")


def _fork(*steps: int, beginning: tuple[Step, ...] = ()) -> Trace:
    return Trace(replace(RUN, fork=Fork(steps)), beginning=beginning)


def test_a_fork_tells_what_it_wrote_and_the_whole_answer() -> None:
    """Figures are of its own tokens: two of probability 1/4, behind three of 1/2."""
    stand = tuple(_step(n, text) for n, text in enumerate("abc"))
    trace = _fork(100, 101, 102, beginning=stand)
    assert (trace.text, trace.answer, trace.perplexity) == ("", "abc", None)
    own = [replace(_step(3, "d", 0.25), forced=True), _step(4, "e", 0.25)]
    for event in (STARTED, *own, _finished("�", new_tokens=2)):
        trace = trace.add(event)
    assert (trace.ids, trace.text, trace.answer) == ((103, 104), "de�", "abcde�")
    assert trace.whole == (*stand, *own) and trace.forwards == 2
    assert trace.perplexity == pytest.approx(4.0) and trace.tokens_per_second == 2.0


def test_a_beginning_is_that_of_the_fork() -> None:
    stand = (_step(0, "a"),)
    assert _fork(100).beginning == () and _fork(100, beginning=stand).whole == stand
    for wrong in (_fork(), _fork(101), _fork(100, 101)):
        with pytest.raises(ValueError, match="other tokens"):
            replace(wrong, beginning=stand)


def test_what_is_put_in_before_beams_is_text_at_once() -> None:
    """One forward for the inserted token, one for each step of the search; none for its winner."""
    trace = _fork()
    for event in (STARTED, replace(_step(0, "a"), forced=True), Beams(1, (), "bc")):
        trace = trace.add(event)
    assert (trace.text, trace.forwards) == ("abc", 2)
    for event in (_step(1, "d"), _finished(new_tokens=2)):
        trace = trace.add(event)
    assert (trace.text, trace.forwards) == ("ad", 2)
