"""Laws of what is said of the strategies: whole for each preset, and each decodes with the rest."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from playground.core.decoding import PRESETS
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.strategy_notes import CLASSIC_SIX, NOTES
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.models.catalog import BUILTIN
from playground.models.loading import load

SPEC = ModelSpec("builtin/tiny-base")


def test_every_preset_has_a_note_in_the_order_of_the_menu() -> None:
    assert list(NOTES) == list(PRESETS)
    assert set(CLASSIC_SIX) < set(NOTES)


@pytest.mark.parametrize("name", NOTES)
def test_a_note_is_whole_and_short(name: str) -> None:
    note = NOTES[name]
    assert all(20 <= len(line) <= 95 and line.endswith(".") for line in (*note.does, note.fails))
    assert note.formula and all(len(line) <= 80 for line in note.formula.splitlines())
    assert re.search(r"\b(19|20)\d\d, \S", note.paper), "authors, year, title"
    assert re.fullmatch(r"(\d{4}\.\d{4,5})?", note.arxiv)
    assert note.batch.endswith(".")


def test_every_strategy_decodes_beside_all_others_and_shares_what_its_note_says() -> None:
    """On the built-in base model, a few tokens each, all in one loop: everything stands in one
    batch but what says that it cannot."""
    loop = DecodeLoop(load(SPEC, BUILTIN / "tiny-base", device="cpu"))
    traces = [
        Trace(Run(SPEC, Raw("Once upon a time"), replace(decoding, max_new_tokens=5), seed=3))
        for decoding in PRESETS.values()
    ]
    for key, trace in enumerate(traces):
        loop.join(key, trace.run)
    crowds: set[frozenset[str]] = set()
    names = list(PRESETS)
    while loop.busy:
        for key, event in loop.step():
            traces[key] = traces[key].add(event)
        crowds |= {frozenset(names[m.key] for m in batch.members) for batch in loop._batches}
    assert [trace.problem for trace in traces if trace.problem] == []
    assert all(1 <= len(trace.ids) <= 5 for trace in traces)
    apart = {name for name, note in NOTES.items() if note.batch.startswith("Cannot share")}
    largest = max(crowds, key=len)
    assert (set(largest), apart) == (set(names) - apart, {"Prompt lookup", "Without KV cache"})
    assert {crowd for crowd in crowds if crowd & apart} == {frozenset({name}) for name in apart}
    for name in apart:
        assert traces[names.index(name)].ids == traces[names.index("Greedy")].ids
