"""The order of a grid and its estimate."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from playground.core.decoding import Decoding
from playground.core.grid import Cell, Coordinates, identity
from playground.core.grid_plan import Estimate, Speed, estimate, plan
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run

A, B = ModelSpec("a/a"), ModelSpec("b/b")
TUNED = ModelSpec("a/a", adapter="x/lora")


def cell(model: ModelSpec, prompt: str | Prompt = "p", seed: int = 0, tokens: int = 10) -> Cell:
    asked = Raw(prompt) if isinstance(prompt, str) else prompt
    run = Run(model, asked, Decoding(max_new_tokens=tokens), seed)
    return Cell(Coordinates(0, None, 0, 0, 0, seed), run, identity(run))


def chat(system: str, user: str) -> Chat:
    return Chat((Message("system", system), Message("user", user)))


CELLS = st.builds(cell, st.sampled_from([A, B, TUNED]), st.sampled_from("pqr"),
                  st.integers(0, 9))


@given(st.lists(CELLS, max_size=40), st.sampled_from([(), (A,), (B,)]))
def test_each_model_and_in_it_each_prompt_is_one_stretch(
    cells: list[Cell], ready: tuple[ModelSpec, ...]
) -> None:
    """Whatever the order they come in: a model that came twice would be loaded twice."""
    stretches = plan(cells, ready)
    played = [one for stretch in stretches for one in stretch.cells]
    assert sorted(map(id, played)) == sorted(map(id, cells))
    assert all(one.run.model == stretch.model for stretch in stretches for one in stretch.cells)
    for key in (lambda c: c.run.model, lambda c: (c.run.model, c.run.prompt),
                lambda c: c.run.model.base):
        runs = [k for k, _ in groupby(played, key)]
        assert len(runs) == len(set(runs))


def test_a_model_in_memory_goes_first_and_an_adapter_beside_its_base() -> None:
    cells = [cell(A), cell(B), cell(TUNED)]
    assert [one.model for one in plan(cells)] == [A, TUNED, B]
    assert [one.model for one in plan(cells, (B,))] == [B, A, TUNED]


def test_prompts_with_one_system_prompt_stand_beside_each_other() -> None:
    asked = [cell(A, chat(s, u)) for s, u in (("x", "1"), ("y", "1"), ("x", "2"), ("y", "2"))]
    (stretch,) = plan(asked)
    assert [c.run.prompt.messages[0].content for c in stretch.cells] == ["x", "x", "y", "y"]  # type: ignore[union-attr]


def test_no_number_is_made_up_for_what_was_not_measured() -> None:
    stretches = plan([cell(A, seed=n) for n in range(4)] + [cell(B)])
    assert estimate(stretches, {}) == Estimate(0.0, (A, B))
    assert estimate(stretches, {A: Speed(tokens_per_second=20.0)}) == Estimate(0.0, (A, B)), (
        "its load is not known either")


def test_an_estimate_by_hand() -> None:
    """A, in memory: 4 cells of 10 tokens, of which half are written, at 20 a second: 1 s. B: 3 s of
    loading and 10 tokens at 5 a second: 5 s."""
    stretches = plan([cell(A, seed=n) for n in range(4)] + [cell(B)])
    speeds = {A: Speed(20.0, None, 0.5), B: Speed(5.0, 3.0)}
    assert estimate(stretches, speeds, (A,)) == Estimate(6.0)
    assert estimate(stretches, {A: speeds[A]}, (A,)) == Estimate(1.0, (B,))
