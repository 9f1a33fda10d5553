"""Run again and verify: the same ids, or what explains others, in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from playground.core.decoding import Decoding
from playground.core.events import Amended, Failed, Started
from playground.core.facts import Facts
from playground.core.prompt import Chat, Message, Raw
from playground.core.recipe import Answer, Recipe, digest_of, recipe_of
from playground.core.recipe_verdict import check_repeatable, verify
from playground.core.run import Run
from playground.core.trace import Trace
from playground.errors import InvalidInput, Problem
from tests.test_core_recipe import FACTS, SPEC, STARTED, finished, step

RUN = Run(SPEC, Raw("hi"), Decoding(do_sample=True), 7)
ONE = finished(RUN, step(0, "a"), step(1, "b"), step(2, "c"))
RECIPE = recipe_of(ONE)


def with_facts(trace: Trace, facts: Facts, commit: str = "c0ffee") -> Trace:
    assert trace.started is not None
    return replace(trace, started=replace(trace.started, facts=facts, commit=commit))


def other_ids(run: Run = RUN, company: int = 2) -> Trace:
    return finished(run, step(0, "a"), replace(step(1, "x"), id=99), step(2, "c"), company=company)


def test_the_same_ids() -> None:
    verdict = verify(RECIPE, ONE)
    assert verdict.same and verdict.says == "Same ids: all 3 tokens came again."


def test_the_same_ids_by_their_digest() -> None:
    answer = Answer(digest_of((3, 4, 5)), ("a", "b", "c"), "abc")
    assert verify(replace(RECIPE, answer=answer), ONE).same
    verdict = verify(replace(RECIPE, answer=answer), other_ids())
    assert (verdict.same, verdict.position) == (False, 1)


def test_same_ids_in_spite_of_a_difference_says_both() -> None:
    verdict = verify(RECIPE, with_facts(ONE, replace(FACTS, torch="9.9")))
    assert verdict.same
    assert verdict.says.endswith("Otherwise than then: torch was 2.13, is 9.9.")


@pytest.mark.parametrize(("name", "value", "words"), [
    ("dtype", "bfloat16", "dtype was float32, is bfloat16"),
    ("device", "cuda:0", "device was cpu, is cuda:0"),
    ("quantization", "nf4", "quantization was none, is nf4"),
    ("transformers", "6.0", "transformers was 5.23, is 6.0"),
    ("attention", "eager", "attention implementation was sdpa, is eager"),
])
def test_other_ids_are_explained_by_what_differs(name: str, value: str, words: str) -> None:
    verdict = verify(RECIPE, with_facts(other_ids(), replace(FACTS, **{name: value})))
    assert (verdict.same, verdict.position, verdict.differences) == (False, 1, (words,))
    assert verdict.says == (
        f"The ids part at token 2. What differs and can explain it: {words}."
    )


def test_another_commit_explains_it() -> None:
    verdict = verify(RECIPE, with_facts(other_ids(), FACTS, "beef"))
    assert verdict.differences == ("commit of the model's files was c0ffee, is beef",)


def test_another_template_explains_a_chat_and_no_raw_text() -> None:
    told = replace(FACTS, template="cd34")
    assert verify(RECIPE, with_facts(other_ids(), told)).differences == ()
    run = replace(RUN, prompt=Chat((Message("user", "hi"),)))
    prompt = Started((), "", 512, facts=told)
    trace = replace(other_ids(run), started=prompt)
    verdict = verify(recipe_of(finished(run, *ONE.steps)), trace)
    assert "the prompt itself became other ids" in verdict.says
    assert "chat template was ab12, is cd34" in verdict.says


def test_company_explains_16_bits_and_nothing_else() -> None:
    half = replace(FACTS, dtype="bfloat16")
    recipe = recipe_of(with_facts(ONE, half))
    verdict = verify(recipe, with_facts(other_ids(company=0), half))
    assert "beside 2 other texts, 1 prompt token from a cache then, alone" in verdict.says
    honest = "The ids part at token 2, and no known difference explains it."
    assert verify(recipe, with_facts(other_ids(), half)).says == honest
    assert verify(RECIPE, other_ids(company=0)).says == honest


def test_a_shorter_answer_parts_where_it_ends() -> None:
    shorter = finished(RUN, step(0, "a"), step(1, "b"), reason="end")
    assert verify(RECIPE, shorter).position == 2


def test_what_was_stopped_is_compared_as_far_as_it_went() -> None:
    stopped = recipe_of(finished(RUN, step(0, "a"), step(1, "b"), reason="stopped"))
    verdict = verify(stopped, ONE)
    assert verdict.same and "as far as the first run went" in verdict.says
    assert verify(stopped, other_ids()).position == 1
    short = finished(RUN, step(0, "a"))
    assert verify(stopped, short).position == 1


@pytest.mark.parametrize(("recipe", "words"), [
    (Recipe(RUN), "no answer to compare with"),
    (replace(RECIPE, amended=(Amended(1, Decoding()),)), "changed while it wrote"),
    (recipe_of(finished(replace(RUN, decoding=Decoding(num_beams=3)), step(0, "a"),
                        reason="stopped")), "search was stopped"),
])
def test_what_cannot_be_repeated_says_so_before_it_runs(recipe: Recipe, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_repeatable(recipe)


def test_a_run_that_failed_this_time_is_no_verdict() -> None:
    failed = Trace(RUN).add(STARTED).add(Failed(Problem("worker_gone", "Gone.")))
    with pytest.raises(InvalidInput, match="did not come to its end"):
        verify(RECIPE, failed)




def test_what_was_stopped_this_time_is_no_verdict() -> None:
    """Its reader pressed Stop: that the rest is missing says nothing of the ids."""
    with pytest.raises(InvalidInput, match="stopped after 1 of 3 tokens"):
        verify(RECIPE, finished(RUN, step(0, "a"), reason="stopped"))
