"""Diverse beam search: each group is the library's beam search under the tokens that went before.

transformers 5 has group beam search no more; but a group that knows what earlier groups have chosen
is its plain beam search with one processor more, so ``generate()`` is still the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from transformers import LogitsProcessor

from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import Run
from playground.core.trace import Trace
from playground.decode.beam_group import Group, Grown
from playground.decode.choice import Reading
from playground.decode.extra import HammingDiversity
from playground.models.loading import Model
from tests.reference import decode, generate
from tests.tiny_models import KINDS, tiny_model

PROMPT = tuple(range(20, 33))


class Taken(LogitsProcessor):
    """What earlier groups chose at each step costs ``penalty`` each."""

    def __init__(self, penalty: float, steps: Sequence[Sequence[int]]) -> None:
        self._penalty, self._steps = penalty, steps

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = ids.shape[1] - len(PROMPT)
        scores = scores.clone()
        for id in self._steps[step] if step < len(self._steps) else []:
            scores[:, id] -= self._penalty
        return scores


class Watched(Group):
    """Writes down what each group chose at each step."""

    chosen: dict[int, list[tuple[int, ...]]]

    def grow(self, reading: Reading) -> Grown:
        grown = super().grow(reading)
        self.chosen.setdefault(self.number, []).append(grown.ids)
        return grown


def group_by_library(
    model: Model, trace: Trace, chosen: dict[int, list[tuple[int, ...]]], group: int
) -> tuple[tuple[int, ...], float]:
    """What ``generate()`` finds for one group, given what our earlier groups chose."""
    d = trace.run.decoding
    steps = max(map(len, chosen.values()))
    taken = [
        [id for n in range(group) if step < len(chosen[n]) for id in chosen[n][step]]
        for step in range(steps)
    ]
    out = model.lm.generate(
        torch.tensor([PROMPT]),
        attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
        num_beams=d.num_beams // d.num_beam_groups,
        max_new_tokens=d.max_new_tokens,
        length_penalty=d.length_penalty,
        early_stopping=d.early_stopping,
        logits_processor=[Taken(d.diversity_penalty, taken)],
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    return tuple(out.sequences[0, len(PROMPT) :].tolist()), float(out.sequences_scores[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("beams", "groups", "penalty", "early"),
    [(8, 4, 0.5, False), (4, 2, 1.5, True), (6, 3, 0.3, "never"), (6, 2, 0.0, False)],
)
def test_every_group_is_the_librarys_beam_search(
    kind: str, beams: int, groups: int, penalty: float, early: bool | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(kind)
    decoding = Decoding(
        num_beams=beams, num_beam_groups=groups, diversity_penalty=penalty,
        early_stopping=early, length_penalty=0.7, max_new_tokens=9,  # type: ignore[arg-type]
    )
    monkeypatch.setattr(Watched, "chosen", {}, raising=False)
    monkeypatch.setattr("playground.decode.beam.Group", Watched)
    trace = decode(model, [Run(model.spec, Ids(PROMPT), decoding)])[0]
    found = [group_by_library(model, trace, Watched.chosen, group) for group in range(groups)]
    for group, (_, score) in enumerate(found):
        ours = max(
            beam.score
            for step in trace.beams
            for beam in step.beams
            if beam.group == group and beam.state == "finished"
        )
        assert ours == pytest.approx(score, abs=1e-4)
    best = max(found, key=lambda one: one[1])
    assert trace.ids == best[0]
    assert trace.finished is not None
    assert trace.finished.score == pytest.approx(best[1], abs=1e-4)


def test_groups_that_avoid_each_other_begin_differently() -> None:
    model = tiny_model("llama")
    decoding = Decoding(
        num_beams=4, num_beam_groups=4, diversity_penalty=10.0, max_new_tokens=4, min_new_tokens=4
    )
    trace = decode(model, [Run(model.spec, Ids(PROMPT), decoding)])[0]
    for step in trace.beams:
        assert len({beam.id for beam in step.survivors}) == len(step.survivors)
    assert [beam.group for beam in trace.beams[0].survivors] == [0, 1, 2, 3]


def test_parents_lead_back_to_the_prompt() -> None:
    """Survivors of all groups stand in one list, and every path in it ends as the winner's ids."""
    model = tiny_model("qwen2")
    decoding = Decoding(num_beams=6, num_beam_groups=3, diversity_penalty=0.4, max_new_tokens=7)
    trace = decode(model, [Run(model.spec, Ids(PROMPT), decoding)])[0]
    assert trace.finished is not None
    last = next(
        (position, beam)
        for position, step in enumerate(trace.beams)
        for beam in step.beams
        if beam.state == "finished" and beam.score == pytest.approx(trace.finished.score, abs=1e-6)
    )
    position, beam = last
    path = [beam.id]
    while position:
        position -= 1
        parent = trace.beams[position].survivors[beam.parent]
        assert parent.group == beam.group
        beam = parent
        path.append(beam.id)
    assert tuple(path[::-1]) == trace.ids


def test_a_token_costs_once_for_each_beam_that_chose_it() -> None:
    processor = HammingDiversity(0.5)
    scores = torch.tensor([[0.0, -1.0, -2.0], [-3.0, -1.0, 0.0]])
    ids = torch.zeros(2, 1, dtype=torch.long)
    assert torch.equal(processor(ids, scores), scores)
    processor.taken = [1, 1, 2]
    expected = torch.tensor([[0.0, -2.0, -2.5], [-3.0, -2.0, -0.5]])
    assert torch.equal(processor(ids, scores), expected)


@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 1.0, 2.0])
def test_never_stopping_early_is_generate(length_penalty: float) -> None:
    model = tiny_model("llama")
    decoding = Decoding(
        num_beams=3, early_stopping="never", length_penalty=length_penalty, max_new_tokens=12
    )
    trace = decode(model, [Run(model.spec, Ids(PROMPT), decoding)])[0]
    assert (trace.ids, pytest.approx(trace.finished.score, abs=1e-4)) == generate(model, trace)  # type: ignore[union-attr]


def searched(**settings: object) -> Trace:
    """A search of a tiny Llama that likes to end, with everything it tells."""
    model = tiny_model("llama")
    ends = tuple(((id,), 2.0) for id in model.lm.generation_config.eos_token_id)
    decoding = Decoding(num_beams=4, bias=ends, **settings)  # type: ignore[arg-type]
    return decode(model, [Run(model.spec, Ids(PROMPT), decoding)])[0]


def test_a_score_is_the_total_over_the_length_to_the_penalty() -> None:
    trace = searched(length_penalty=0.7, max_new_tokens=6)
    for n, step in enumerate(trace.beams):
        assert (step.position, step.length) == (n, n + 1)
        for beam in step.beams:
            assert beam.score == pytest.approx(beam.total / (n + 1) ** 0.7)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_dropped_hypothesis_says_what_it_lost_by(groups: int) -> None:
    """By its total to the last that goes on, or, ended, to the worst that is kept of the ended."""
    trace = searched(
        num_beam_groups=groups, max_new_tokens=14, early_stopping="never", length_penalty=0.5
    )
    each, ended, seen = 4 // groups, [[] for _ in range(groups)], set()
    for step in trace.beams:
        for group in range(groups):
            mine = [beam for beam in step.beams if beam.group == group]
            ended[group] += [beam.score for beam in mine if beam.state == "finished"]
            open_totals = [beam.total for beam in mine if beam.state == "kept"]
            for beam in mine:
                seen.add(beam.lost)
                assert (beam.lost == "") == (beam.state != "dropped")
                assert (beam.reason is None) == (beam.state == "kept" or beam.lost == "total")
                if beam.lost == "total":
                    assert beam.margin == pytest.approx(min(open_totals) - beam.total, abs=1e-5)
                if beam.lost == "score":
                    worst = sorted(ended[group])[-each]
                    assert beam.margin == pytest.approx(worst - beam.score, abs=1e-5)
                assert beam.margin >= 0.0
    assert seen == {"", "total", "score", "place"}


@pytest.mark.parametrize(
    ("early", "penalty", "longest", "why"),
    [(True, 1.0, 60, "enough"), (False, 1.0, 60, "beaten"), ("never", 0.0, 60, "beaten"),
     (False, 1.0, 3, "limit")],
)
def test_the_search_says_why_it_ends(
    early: bool | str, penalty: float, longest: int, why: str
) -> None:
    """The last step, and no other, tells it, with the two scores that were compared. A limit is
    told for what it is: a search that it cut off once said that every continuation had ended."""
    trace = searched(early_stopping=early, length_penalty=penalty, max_new_tokens=longest)
    assert [step.ends for step in trace.beams[:-1]] == [()] * (len(trace.beams) - 1)
    (end,) = trace.beams[-1].ends
    assert end.why == why
    if why == "limit":
        assert (end.possible, end.worst) == (None, None)
        return
    filed = sorted(
        beam.score for step in trace.beams for beam in step.beams if beam.state == "finished"
    )
    last = trace.beams[-1]
    assert end.worst == pytest.approx(filed[-4], abs=1e-5)
    assert end.possible == pytest.approx(
        last.survivors[0].total / (last.length**penalty), abs=1e-5
    )
    assert why == "enough" or end.possible <= end.worst
