"""Laws of the processors that transformers lacks, on four tokens, and of their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from playground.core.decoding import PRESETS, Decoding
from playground.core.prompt import Ids, Raw
from playground.core.run import Run
from playground.core.trace import Trace
from playground.decode.extra import (
    DRY,
    MARKS,
    XTC,
    FrequencyPenalty,
    Mirostat,
    PresencePenalty,
    TopNSigma,
    marks_of,
)
from playground.decode.processors import Chain, build
from playground.models.loading import Model
from playground.models.pieces import pieces_of
from tests.reference import decode
from tests.tiny_models import byte_level_tokenizer, metaspace_tokenizer, tiny_model

CPU = torch.device("cpu")
NONE = torch.zeros((1, 1), dtype=torch.long)
P = (0.5, 0.3, 0.15, 0.05)
PROMPT = Raw("The capital of France is")


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def after(processor: LogitsProcessor, *probabilities: float) -> list[float]:
    """The probabilities that a processor leaves."""
    left = torch.softmax(processor(NONE, logits(*probabilities)), dim=-1)
    return [round(p, 6) for p in left[0].tolist()]


def change(processor: LogitsProcessor, ids: Sequence[int], tokens: int = 4) -> list[float]:
    """What a processor adds to logits of zero after these ids."""
    return processor(torch.tensor([ids]), torch.zeros(1, tokens))[0].tolist()  # type: ignore[no-any-return]


def chain(decoding: Decoding, ends: tuple[int, ...] = (2,), **more: object) -> Chain:
    return build(decoding, 4, ends, CPU, **more)  # type: ignore[arg-type]


def test_what_is_off_leaves_the_scores_as_they_are() -> None:
    scores = logits(*P)
    for decoding in (Decoding(), Decoding(do_sample=True), Decoding(num_beams=3)):
        assert chain(decoding).names == ()
        assert chain(decoding)(NONE, scores) is scores
    shapes = Decoding(do_sample=True, xtc_threshold=0.3, mirostat_eta=0.5, dry_base=2.0)
    assert chain(shapes).names == ()


def test_every_name_in_its_place() -> None:
    every = Decoding(
        do_sample=True,
        temperature=0.5,
        top_k=5,
        top_p=0.9,
        min_p=0.1,
        typical_p=0.9,
        top_h=0.5,
        epsilon_cutoff=0.01,
        eta_cutoff=0.01,
        top_n_sigma=1.0,
        xtc_probability=0.5,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        presence_penalty=0.1,
        no_repeat_ngram_size=2,
        dry_multiplier=0.8,
        min_new_tokens=3,
    )
    processors = (
        "repetition_penalty",
        "no_repeat_ngram_size",
        "min_new_tokens",
        "frequency_penalty",
        "presence_penalty",
        "dry_multiplier",
    )
    assert chain(every).names == (
        *processors,
        "top_n_sigma",
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
        "xtc_probability",
    )
    values = {name: getattr(every, name) for name in chain(every).names}
    # Nothing is drawn, so nothing that only sampling uses.
    assert chain(Decoding(**values)).names == processors
    # Mirostat stands in for all that cuts.
    steered = Decoding(**values, do_sample=True, mirostat_tau=3.0)
    assert chain(steered).names == (*processors, "temperature", "mirostat_tau")
    assert "mirostat_tau" not in chain(Decoding(mirostat_tau=3.0)).names
    beams = Decoding(do_sample=True, mirostat_tau=3.0, top_k=5, num_beams=2)
    assert chain(beams).names == ("top_k",)


def test_frequency_counts_and_presence_does_not() -> None:
    """Token 0 stands in the prompt alone, 1 was written twice, 2 once."""
    ids = [0, 0, 1, 1, 2]
    assert change(FrequencyPenalty(0.5, prompt_tokens=2), ids) == [0.0, -1.0, -0.5, 0.0]
    assert change(PresencePenalty(0.5, prompt_tokens=2), ids) == [0.0, -0.5, -0.5, 0.0]
    assert change(FrequencyPenalty(-0.5, prompt_tokens=2), ids) == [0.0, 1.0, 0.5, 0.0]
    assert change(FrequencyPenalty(0.5, prompt_tokens=5), ids) == [0.0] * 4
    both = FrequencyPenalty(1.0, 1)(torch.tensor([[0, 1], [0, 3]]), torch.zeros(2, 4))
    assert both.tolist() == [[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0]]
    # What is ruled out stays so, and the scores that were given stay as they were.
    scores = torch.tensor([[-math.inf, 0.0, 0.0, 0.0]])
    assert PresencePenalty(-2.0, 0)(torch.tensor([[0]]), scores)[0, 0] == -math.inf
    assert scores.tolist() == [[-math.inf, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("ids", "allowed", "breakers", "expected"),
    [
        # "1 2" was followed by 3: a match of two.
        ([1, 2, 3, 0, 1, 2], 2, (), [0.0, 0.0, 0.0, -0.5]),
        ([1, 2, 3, 0, 1, 2], 1, (), [0.0, 0.0, 0.0, -1.5]),
        ([1, 2, 3, 0, 1, 2], 3, (), [0.0] * 4),
        # 2 was followed by 0 as well, after a match of one.
        ([2, 0, 1, 2, 3, 1, 2], 1, (), [-0.5, 0.0, 0.0, -1.5]),
        # The longest match decides: 0 1 2 and 1 2 were both followed by 3.
        ([0, 1, 2, 3, 1, 2, 3, 0, 1, 2], 1, (), [0.0, 0.0, 0.0, -4.5]),
        # A run of one token: 1 1 1 is followed by 1 after a match of two.
        ([1, 1, 1], 1, (), [0.0, -1.5, 0.0, 0.0]),
        # Breakers: at the end, within the match, and as what follows.
        ([1, 2, 3, 0, 1, 2], 1, (2,), [0.0] * 4),
        ([1, 2, 3, 0, 1, 2], 1, (1,), [0.0, 0.0, 0.0, -0.5]),
        ([1, 2, 3, 0, 1, 2], 1, (3,), [0.0] * 4),
        ([0, 1, 2, 3], 1, (), [0.0] * 4),
        ([3], 1, (), [0.0] * 4),
    ],
)
def test_dry_by_hand(
    ids: list[int], allowed: int, breakers: tuple[int, ...], expected: list[float]
) -> None:
    """Multiplier 0.5 and base 3: a match of n tokens costs 0.5 * 3 ** (n - allowed)."""
    assert change(DRY(0.5, 3.0, allowed, breakers), ids) == expected


def test_dry_looks_at_each_row_and_stays_finite() -> None:
    scores = torch.zeros(2, 4)
    both = DRY(1.0, 2.0, 1, ())(torch.tensor([[1, 2, 1], [3, 3, 0]]), scores)
    assert both.tolist() == [[0.0, 0.0, -1.0, 0.0], [0.0] * 4]
    assert not scores.any()
    # The longest match that counts is 50 tokens.
    assert change(DRY(5.0, 4.0, 1, ()), [1] * 4000)[1] == pytest.approx(-5.0 * 4.0**49)


def test_dry_breaks_at_the_marks_that_the_chain_is_given() -> None:
    on = Decoding(dry_multiplier=0.5, dry_base=3.0, dry_allowed_length=1)
    ids, scores = torch.tensor([[1, 2, 3, 0, 1, 2]]), torch.zeros(1, 4)
    assert chain(on)(ids, scores).tolist() == [[0.0, 0.0, 0.0, -1.5]]
    assert chain(on, marks={":": 1})(ids, scores).tolist() == [[0.0, 0.0, 0.0, -0.5]]


def test_marks_are_tokens_of_their_own() -> None:
    on = Decoding(dry_multiplier=1.0)
    for tokenizer in (byte_level_tokenizer(), metaspace_tokenizer()):
        pieces = pieces_of(tokenizer)
        found = marks_of(tokenizer, pieces, on)
        assert tuple(found) == MARKS
        assert [pieces.data(id).decode() for id in found.values()] == list(MARKS)
        assert marks_of(tokenizer, pieces, Decoding(do_sample=True)) == {}


def test_a_mark_that_the_tokenizer_drops_breaks_nothing() -> None:
    """Without its line break "a\\n" ends in "a", which would have broken every match."""

    class NoLineBreaks:
        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            return [ord(c) for c in text if c != "\n"]

    class Letters:
        def data(self, id: int) -> bytes:
            return chr(id).encode()

    found = marks_of(NoLineBreaks(), Letters(), Decoding(dry_multiplier=1.0))  # type: ignore[arg-type]
    assert found == {mark: ord(mark) for mark in ':"*'}


def test_top_n_sigma_by_hand() -> None:
    """Logits 0, -1, -1, -2: mean -1, deviation the root of 1/2, about 0.707."""
    scores = torch.tensor([[0.0, -1.0, -1.0, -2.0]])

    def kept(n: float, scores: torch.Tensor, keep: int = 1) -> list[bool]:
        return torch.isfinite(TopNSigma(n, keep)(NONE, scores))[0].tolist()  # type: ignore[no-any-return]

    for heat in (1.0, 0.5, 3.0):
        assert kept(1.4, scores / heat) == [True, False, False, False]
        assert kept(1.5, scores / heat) == [True, True, True, False]
        assert kept(2.9, scores / heat) == [True] * 4
    # At least two for a beam; those that tie with the second stay as well.
    assert kept(1.0, scores, keep=2) == [True, True, True, False]
    # What was ruled out counts neither in the mean nor in the number: 0 and -1, deviation 1/2.
    gone = torch.tensor([[0.0, -1.0, -math.inf, -math.inf]])
    assert kept(1.9, gone) == [True, False, False, False]
    assert kept(2.1, gone) == [True, True, False, False]
    flat = torch.full((1, 4), 7.0)
    assert TopNSigma(1.0)(NONE, flat).tolist() == flat.tolist()


def test_xtc_leaves_the_least_likely_of_the_likely() -> None:
    assert after(XTC(1.0, 0.1), *P) == [0.0, 0.0, 0.75, 0.25]
    assert after(XTC(1.0, 0.2), *P) == [0.0, 0.6, 0.3, 0.1]
    # One or none that is likely enough: nothing is left out.
    assert after(XTC(1.0, 0.4), *P) == pytest.approx(P)
    assert after(XTC(1.0, 0.5), 0.4, 0.3, 0.2, 0.1) == pytest.approx((0.4, 0.3, 0.2, 0.1))
    # Where all are equal, one stays.
    assert sorted(after(XTC(1.0, 0.2), 0.25, 0.25, 0.25, 0.25)) == [0.0, 0.0, 0.0, 1.0]
    # However low the threshold, what is impossible does not become the choice.
    assert after(XTC(1.0, 1e-300), 0.5, 0.5, 0.0, 0.0) in ([1.0, 0, 0, 0], [0, 1.0, 0, 0])


def test_xtc_spares_ends_and_line_breaks() -> None:
    assert after(XTC(1.0, 0.1, spared=[1]), *P) == pytest.approx(P)
    assert after(XTC(1.0, 0.1, spared=[2, 3]), *P) == [0.0, 0.0, 0.75, 0.25]
    assert after(XTC(1.0, 0.1, keep=2), *P) == [0.0, 0.0, 0.75, 0.25]
    assert after(XTC(1.0, 0.1, keep=3), *P) == pytest.approx(P)
    on = Decoding(do_sample=True, xtc_probability=1.0)
    untouched = [True] * 4
    for ends, marks, expected in (
        ((), {":": 1}, [False, False, True, True]),
        ((1,), {}, untouched),
        ((), {"\n": 1}, untouched),
    ):
        scores = chain(on, ends=ends, marks=marks)(NONE, logits(*P))
        assert torch.isfinite(scores)[0].tolist() == expected


def test_xtc_draws_one_number_a_step_and_acts_below_its_probability() -> None:
    dice, same = (torch.Generator().manual_seed(3) for _ in range(2))
    xtc = XTC(0.5, 0.1, generator=dice)
    acted = [not math.isfinite(float(xtc(NONE, logits(*P))[0, 0])) for _ in range(40)]
    assert acted == [float(torch.rand(1, 1, generator=same)) < 0.5 for _ in range(40)]
    assert torch.equal(dice.get_state(), same.get_state())
    assert 10 < sum(acted) < 30


def test_mirostat_by_hand() -> None:
    """Probabilities 1/2, 1/4, 1/8, 1/8 are 1, 2, 3 and 3 bits of surprise."""
    p = (0.5, 0.25, 0.125, 0.125)
    mirostat = Mirostat(tau=1.6, eta=1.0)
    assert mirostat.mu == 3.2
    assert after(mirostat, *p) == pytest.approx(p)
    mirostat.accept(0.125)  # 3 bits, 1.4 more than wanted
    assert mirostat.mu == pytest.approx(1.8)
    assert after(mirostat, *p) == [1.0, 0.0, 0.0, 0.0]
    mirostat.accept(1.0)  # no surprise, 1.6 bits less than wanted
    assert mirostat.mu == pytest.approx(3.4)
    half = Mirostat(tau=1.25, eta=0.5)  # mu 2.5
    assert after(half, *p) == [0.666667, 0.333333, 0.0, 0.0]
    half.accept(1 / 3)
    assert half.mu == pytest.approx(2.5 - 0.5 * (math.log2(3) - 1.25))
    # The likeliest stays, whatever mu says.
    assert after(Mirostat(tau=0.1, eta=0.1), *p) == [1.0, 0.0, 0.0, 0.0]


def _start(trace: Trace) -> tuple[int, ...]:
    assert trace.started is not None
    return trace.started.prompt_ids


def _ours(model: Model, run: Run, prompt_tokens: int) -> LogitsProcessorList:
    """Our processors of a run as a caller brings them to ``generate()``, on torch's own dice."""
    d = run.decoding
    marks = marks_of(model.tokenizer, pieces_of(model.tokenizer), d)
    links = build(d, prompt_tokens, (model.tokenizer.eos_token_id,), CPU, None, marks).links
    return LogitsProcessorList([link.processor for link in links])


OURS = {
    "frequency": Decoding(frequency_penalty=0.7),
    "presence": Decoding(presence_penalty=2.0),
    "dry": Decoding(dry_multiplier=0.8, dry_allowed_length=1),
    "top-n-sigma": Decoding(do_sample=True, top_n_sigma=1.5),
    "xtc": Decoding(do_sample=True, xtc_probability=0.6, xtc_threshold=0.05),
    "together": Decoding(
        do_sample=True, frequency_penalty=0.2, dry_multiplier=1.0, top_n_sigma=2.0
    ),
    "beams": Decoding(num_beams=3, frequency_penalty=0.5, presence_penalty=0.5, dry_multiplier=1.0),
    "beam sampling": Decoding(num_beams=3, do_sample=True, top_n_sigma=1.0),
}


@pytest.mark.parametrize("name", OURS)
def test_the_loop_is_generate_with_the_same_processors(name: str) -> None:
    """And the text is another one than without them."""
    m = tiny_model("llama")
    d = replace(OURS[name], max_new_tokens=40)
    run = Run(m.spec, Ids((70, 71, 72, 70, 71, 72, 70, 71)), d, seed=5)
    trace = decode(m, [run])[0]
    prompt = torch.tensor([_start(trace)])
    torch.manual_seed(run.seed)
    ids = m.lm.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=d.do_sample,
        num_beams=d.num_beams,
        top_k=0,
        max_new_tokens=40,
        logits_processor=_ours(m, run, prompt.shape[1]),
    )
    assert trace.ids == tuple(ids[0, prompt.shape[1] :].tolist())
    plain = Decoding(do_sample=d.do_sample, num_beams=d.num_beams, max_new_tokens=40)
    assert trace.ids != decode(m, [Run(m.spec, run.prompt, plain, seed=5)])[0].ids


@pytest.mark.parametrize("name", ["XTC", "Mirostat", "DRY", "Top-n-sigma"])
def test_same_seed_same_ids_alone_and_in_a_crowd(name: str) -> None:
    """XTC's extra dice and Mirostat's mu are each row's own."""
    m = tiny_model("llama")
    decoding = replace(PRESETS[name], max_new_tokens=40)
    runs = [Run(m.spec, PROMPT, decoding, seed) for seed in range(3)]
    alone = [decode(m, [run])[0].ids for run in runs]
    assert len(set(alone)) == 3
    crowd = [*runs, *(Run(m.spec, Raw("hello"), decoding, 9) for _ in range(2))]
    together = decode(m, crowd, joins=[2, 0, 5, 1, 3])
    assert [trace.ids for trace in together[:3]] == alone
    assert together[3].ids == together[4].ids


def test_mirostat_is_told_what_was_chosen() -> None:
    """mu, followed from what the steps tell, parts the candidates that are left from the others."""
    m = tiny_model("llama")
    decoding = Decoding(
        do_sample=True, mirostat_tau=3.0, mirostat_eta=0.5, max_new_tokens=60, candidates=50
    )
    trace = decode(m, [Run(m.spec, PROMPT, decoding)])[0]
    mu, mus, surprises = 6.0, [], []
    for step in trace.steps:
        for candidate in step.candidates[1:]:
            apart = mu + candidate.logprob / math.log(2)
            assert abs(apart) < 1e-4 or (candidate.probability > 0) == (apart > 0)
        mus.append(mu)
        surprises.append(-math.log2(step.probability))
        mu -= 0.5 * (surprises[-1] - 3.0)
    assert min(mus) < 5.5 and max(mus) > 6.1
    assert abs(sum(surprises) / len(surprises) - 3.0) < 0.3
