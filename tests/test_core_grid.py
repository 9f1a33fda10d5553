"""Axes crossed into cells: how many, in which order, known again by what, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from playground.core import grid as crossing
from playground.core.decoding import PRESETS, Decoding
from playground.core.grid import Axes, Coordinates, Grid, Strategy, expand, identity
from playground.core.grid_text import paragraphs, seeds, sweeps, system_prompts
from playground.core.prompt import Chat, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.table import Table
from playground.core.variables import variables
from playground.errors import InvalidInput

A, B = ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base")
GREEDY = Strategy("Greedy", Decoding(max_new_tokens=4))
SAMPLED = Strategy("Top-p", replace(PRESETS["Top-p"], max_new_tokens=4))
TABLE = Table(("country", "capital"), (("France", "Paris"), ("Italy", "Rome")))


def axes(**more: Any) -> Axes:
    given = {"prompts": ("Once",), "models": (A,), "strategies": (GREEDY,)}
    return Axes(**{**given, **more})  # type: ignore[arg-type]


def made(**more: Any) -> Grid:
    return expand(axes(**more), 1000, 60_000, 10_000)


def test_every_value_meets_every_other_once() -> None:
    """2 prompts × 2 system prompts × 2 models × 2 strategies × 3 seeds, and greedy draws nothing:
    2 · 2 · 2 · (1 + 3) = 32."""
    grid = made(prompts=("a", "b"), systems=("", "Be brief."), models=(A, B),
                strategies=(GREEDY, SAMPLED), seeds=(0, 1, 7), chat=True)
    assert len(grid.cells) == 32
    assert len({cell.identity for cell in grid.cells}) == 32
    assert len({cell.at for cell in grid.cells}) == 32
    assert grid.tokens == 32 * 4
    assert grid.notes == ("Greedy draws nothing, so seeds make no difference: one cell each.",)


def test_a_row_of_the_table_is_a_prompt_and_a_prompt_without_variables_is_one() -> None:
    grid = made(prompts=("The capital of {country} is", "Once"), table=TABLE)
    assert [cell.run.prompt for cell in grid.cells] == [
        Raw("The capital of France is"), Raw("The capital of Italy is"), Raw("Once")]
    assert [cell.at.row for cell in grid.cells] == [0, 1, None]
    assert grid.notes == ("No prompt uses {capital} of the table.",)


def test_a_system_prompt_has_variables_too_and_shares_the_row() -> None:
    grid = made(prompts=("Capital?", "Of {country}?"), systems=("You live in {capital}.",),
                table=TABLE, chat=True)
    assert [[m.content for m in cell.run.prompt.messages] for cell in grid.cells  # type: ignore[union-attr]
            ] == [["You live in Paris.", "Capital?"], ["You live in Rome.", "Capital?"],
                  ["You live in Paris.", "Of France?"], ["You live in Rome.", "Of Italy?"]]


def test_cells_that_would_ask_the_same_are_one() -> None:
    table = Table(("a",), (("x",), ("x",), ("y",)))
    grid = made(prompts=("{a}",), table=table)
    assert [cell.run.prompt for cell in grid.cells] == [Raw("x"), Raw("y")]
    assert grid.notes == ("1 cell asks the same as another and is left out.",)


def test_coordinates_lead_back_to_the_values() -> None:
    grid = made(prompts=("a", "b"), models=(A, B), strategies=(GREEDY, SAMPLED), seeds=(3, 9))
    last = grid.cells[-1]
    assert last.at == Coordinates(prompt=1, row=None, system=0, model=1, strategy=1, seed=9)
    assert last.run == Run(B, Raw("b"), SAMPLED.decoding, 9)


def test_an_identity_is_that_of_the_run_and_of_nothing_else() -> None:
    run = Run(A, Raw("Once"), Decoding(max_new_tokens=4), 0)
    assert identity(run) == identity(Run(A, Raw("Once"), Decoding(max_new_tokens=4), 0))
    assert identity(run) == made(strategies=(replace(GREEDY, name="mine"),)).cells[0].identity
    others = (
        replace(run, seed=1), replace(run, model=B), replace(run, prompt=Raw("Once ")),
        replace(run, model=replace(A, dtype="float32")),
        replace(run, prompt=Chat((Message("user", "Once"),))),
        replace(run, prompt=Raw("Once", control_tokens=True)),
        replace(run, decoding=replace(run.decoding, temperature=0.7)),
        replace(run, decoding=replace(run.decoding, banned=("a",))),
        replace(run, draft=B),
    )
    assert len({identity(one) for one in (run, *others)}) == 1 + len(others)


def test_equal_runs_have_one_identity_however_a_number_was_written() -> None:
    whole, point = (Run(A, Raw("a"), Decoding(do_sample=True, temperature=t)) for t in (1, 1.0))
    assert whole == point and identity(whole) == identity(point)


def test_only_what_changed_has_another_identity() -> None:
    before = {c.identity for c in made(prompts=("a", "b"), models=(A, B)).cells}
    after = {c.identity for c in made(prompts=("a", "c"), models=(A, B)).cells}
    assert (len(before & after), len(after - before)) == (2, 2)


@pytest.mark.parametrize(
    ("more", "field"),
    [({"prompts": ()}, "prompts"), ({"models": ()}, "models"), ({"strategies": ()}, "strategies"),
     ({"seeds": ()}, "seeds"), ({"prompts": ("a", "a")}, "prompts"), ({"models": (A, A)}, "models"),
     ({"strategies": (GREEDY, GREEDY)}, "strategies"), ({"systems": ("Be brief.",)}, "systems"),
     ({"prompts": ("{country}",)}, "table"), ({"prompts": ("{city}",), "table": TABLE}, "prompts"),
     ({"prompts": ("{a",)}, "prompts")],
)
def test_an_axis_that_cannot_be_is_refused_by_name(more: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        made(**more)
    assert refused.value.problem.field == field
    assert str(refused.value).endswith(".")


def test_an_empty_value_names_its_row() -> None:
    table = Table(("a", "b"), (("x", "1"), ("", "2")))
    with pytest.raises(InvalidInput, match=r"The prompt is empty \(row 2 of the table\)"):
        made(prompts=("{a}",), table=table)


def test_the_bounds_are_checked_before_anything_is_made() -> None:
    many = tuple(range(1001))
    with pytest.raises(InvalidInput, match="has 1,001 cells; here it may have up to 1,000"):
        made(strategies=(SAMPLED,), seeds=many)
    with pytest.raises(InvalidInput, match="may write 8 new tokens; here it may be 7"):
        expand(axes(models=(A, B)), 9, 7, 99)
    with pytest.raises(InvalidInput, match="has 100 characters; here it may have up to 99"):
        expand(axes(prompts=("a" * 100,)), 9, 99, 99)
    with pytest.raises(InvalidInput, match="too long together"):
        expand(axes(prompts=("a" * 100_000,), strategies=(SAMPLED,), seeds=many[:100]),
               1000, 60_000, 10**6)


def test_cells_are_counted_without_making_a_pair_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 × 1,000 texts are refused after each was read once; two full boxes have millions more.
    2 of 3 pairs of a prompt and a system prompt have a variable: 1 + 3 · 2 rows = 7 cells."""
    read = []
    monkeypatch.setattr(crossing, "variables", lambda text: read.append(text) or variables(text))
    many = tuple(map(str, range(1000)))
    with pytest.raises(InvalidInput, match="has 1,000,000 cells"):
        made(prompts=many, systems=many, chat=True)
    assert len(read) == 2000
    with pytest.raises(InvalidInput, match="has 7 cells; here it may have up to 6"):
        expand(axes(prompts=("a", "{country}"), systems=("", "{capital}"), table=TABLE, chat=True),
               6, 60_000, 10_000)


def test_paragraphs_are_apart_by_empty_lines() -> None:
    assert paragraphs("a\n b\n\n\t\n c\r\n\r\n", "prompts") == ("a\n b", " c")
    assert paragraphs(" \n ", "prompts") == ()


def test_a_dash_is_no_system_prompt() -> None:
    assert system_prompts("-\n\nBe brief.") == ("", "Be brief.")
    assert system_prompts("") == ("",)


@pytest.mark.parametrize(
    ("text", "found"),
    [("0-4, 7", (0, 1, 2, 3, 4, 7)), ("7 3;3", (7, 3)), ("2 – 3", (2, 3)), ("", (0,)),
     ("4294967295", (4294967295,))],
)
def test_seeds_are_numbers_and_ranges(text: str, found: tuple[int, ...]) -> None:
    assert seeds(text) == found


@pytest.mark.parametrize("text", ["a", "-1", "1.5", "4-2", "4294967296", "0-99999", "1" * 3000, "٣",
                                  "1-2-3", None])
def test_what_is_no_seed_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        seeds(text)
    assert refused.value.problem.field == "seeds"


def test_a_sweep_is_a_line() -> None:
    found = sweeps("temperature 0.2 to 1.6 in 8\n\ntop_p: 0.5, 0.9\nTop-k = 10 on Min-p\n")
    assert [one.name for one in found] == [
        *(f"temperature {n / 10:g}" for n in range(2, 17, 2)), "top-p 0.5", "top-p 0.9",
        "top-k 10 on Min-p"]
    assert found[0].decoding == Decoding(do_sample=True, temperature=0.2)
    assert found[-1].decoding == replace(PRESETS["Min-p"], top_k=10)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("heat 1", "is not a setting and its values"), ("temperature", "is not a setting"),
     ("temperature hot", "is not a setting"), ("temperature 9", "Temperature is 9.0"),
     ("top_k 1.5", "Top-k is 1.5"), ("top_p 0.5 on Nothing", "no strategy “Nothing”"),
     ("temperature 1 to 1 in 3", "nothing to sweep"), ("top_p 1.2.3", "are no values"),
     ("temperature 0.1 to 5 in 99", "from 2 to 24 steps"), ("a" * 500, "is not a setting"),
     ("top_p 0.5\n" * 30, "24 lines")],
)
def test_what_is_no_sweep_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        sweeps(text)
