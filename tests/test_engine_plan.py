"""Laws of a plan: which columns run together, told before anything starts."""

from __future__ import annotations

from playground.core.run import ModelSpec
from playground.engine.plan import Plan, plan_rounds

A, B, C = (ModelSpec(f"tiny/{name}") for name in "abc")
SIZES = {A: 60, B: 50, C: 40}


def columns(plan: Plan) -> list[list[int]]:
    """The numbers of the columns of each round."""
    return [sorted(n for _, numbers in one for n in numbers) for one in plan.rounds]


def test_models_that_fit_together_run_in_one_round() -> None:
    plan = plan_rounds([A, C, A], SIZES, (), 100)
    assert columns(plan) == [[0, 1, 2]] and not plan.takes_turns
    assert (plan.need, plan.capacity) == (100, 100)


def test_models_that_do_not_fit_together_take_turns_in_the_order_of_their_columns() -> None:
    plan = plan_rounds([A, B, A, C], SIZES, (), 100)
    assert columns(plan) == [[0, 2], [1, 3]] and plan.takes_turns
    assert plan.need == 150
    assert columns(plan_rounds([A, B, C], SIZES, (), 60)) == [[0], [1], [2]]


def test_what_is_in_memory_goes_first() -> None:
    assert columns(plan_rounds([A, B], SIZES, {B}, 100)) == [[1], [0]]


def test_an_adapter_shares_the_bytes_of_its_base() -> None:
    adapted = ModelSpec(A.repo, adapter="tiny/adapter")
    assert columns(plan_rounds([A, adapted, C], SIZES, (), 100)) == [[0, 1, 2]]


def test_a_model_that_never_fits_or_is_not_known_keeps_nobody_waiting() -> None:
    """The first is refused when it is asked for; of the other the manager knows when it comes."""
    assert columns(plan_rounds([A, B], {A: 500, B: 50}, (), 100)) == [[0, 1]]
    assert columns(plan_rounds([A, B], {B: 50}, (), 100)) == [[0, 1]]


def test_nothing_to_run_is_no_round() -> None:
    assert plan_rounds([], {}, (), 100) == Plan((), 0, 100)
