"""Ids equal ``generate()`` on every architecture, in the lane that each one gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.models.lanes import BATCH, choose_lane, sees_ahead, switches_at
from playground.models.loading import PROVEN, Model, assemble
from tests.architectures import CORE, LANES, LEFT_OUT, UNCACHED, VARIANTS, lane_of, tiny
from tests.reference import decode, generate
from tests.tiny_models import byte_level_tokenizer

TYPES = [kind for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if kind not in LEFT_OUT]
OTHERS = [kind for kind in (*TYPES, *VARIANTS) if kind not in CORE]

SHORT, MIDDLE, LONG = (7, 8, 9), tuple(range(100, 113)), tuple(range(20, 50))
GREEDY = Decoding(max_new_tokens=5)
SAMPLED = Decoding(do_sample=True, temperature=1.3, max_new_tokens=7)
BEAMS = Decoding(num_beams=3, max_new_tokens=4)
# Short texts join a long one, so that padding stands even in the smallest window, and the two share
# a prefill; the others come while they are there, and go after them.
PLAN = (
    (LONG, GREEDY, 0),
    (SHORT, SAMPLED, 3),
    (SHORT, GREEDY, 3),
    (MIDDLE, BEAMS, 4),
    (LONG, SAMPLED, 5),
)


def generated(model: Model, run: Run, cached: bool) -> Any:
    """What the library gives for a run, alone."""
    assert isinstance(run.prompt, Ids)
    d, ids = run.decoding, torch.tensor([run.prompt.ids])
    sampling = {"temperature": d.temperature, "top_k": 0, "top_p": 1.0} if d.do_sample else {}
    torch.manual_seed(run.seed)
    return model.lm.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=d.do_sample,
        num_beams=d.num_beams,
        max_new_tokens=d.max_new_tokens,
        use_cache=cached,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **sampling,
    )


def check(trace: Trace, told: Any) -> None:
    """The same ids, and the log-probabilities that the library's logits give them.

    The numbers see what ids of a random model may not: a mask that hides one token too many.
    """
    assert trace.problem is None, trace.problem
    ids = told.sequences[0, len(trace.run.prompt.ids) :].tolist()
    assert list(trace.ids) == ids
    if trace.run.decoding.is_beam_search:
        assert trace.finished is not None
        assert trace.finished.score == pytest.approx(float(told.sequences_scores[0]), abs=1e-3)
    else:
        logits = torch.cat(told.logits).float()
        chosen = torch.log_softmax(logits, -1)[torch.arange(len(ids)), ids]
        assert [s.logprob for s in trace.steps] == pytest.approx(chosen.tolist(), abs=1e-3)


def ids_equal_generate(kind: str, patch: pytest.MonkeyPatch) -> None:
    """The law, for one type."""
    patch.setattr("playground.decode.loop.CHUNK", 8)
    lm = tiny(kind)
    model = assemble(ModelSpec(f"tiny/{kind}"), lm, byte_level_tokenizer())
    assert model.card.lane == lane_of(kind)
    if type(lm).__name__ in PROVEN and model.card.lane == BATCH:  # not tried when it was loaded
        assert choose_lane(lm, lm.get_input_embeddings().weight.shape[0]) == (BATCH, "")
    runs = [Run(model.spec, Ids(ids), how, seed) for seed, (ids, how, _) in enumerate(PLAN)]
    told = [generated(model, run, kind not in UNCACHED) for run in runs]
    written = {id for one in told for id in one.sequences[0, -4:].tolist()}
    assert len(written) > 6, "weights so tame that any text would do"
    for trace, one in zip(decode(model, runs, [join for *_, join in PLAN]), told, strict=True):
        check(trace, one)
    check(decode(model, runs[1:2])[0], told[1])


@pytest.mark.parametrize("kind", CORE)
def test_ids_equal_generate(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids_equal_generate(kind, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_ids_equal_generate_in_the_sweep(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ids_equal_generate(kind, monkeypatch)


@pytest.mark.parametrize("kind", [kind for kind in VARIANTS if kind.startswith("phi")])
@pytest.mark.parametrize("tokens", (9, 15, 16, 17))
@pytest.mark.parametrize(
    "how",
    (
        Decoding(max_new_tokens=12),
        Decoding(do_sample=True, temperature=1.3, max_new_tokens=12),
        Decoding(num_beams=3, max_new_tokens=12),
        Decoding(guidance_scale=1.5, max_new_tokens=12),
    ),
    ids=("greedy", "sampled", "beams", "guided"),
)
def test_a_text_that_grows_past_the_short_rope_is_read_once_more(
    kind: str, tokens: int, how: Decoding
) -> None:
    """From 17 tokens on these turn by other frequencies, and generate() drops the cache there; read
    on with the keys of the first 16 the numbers are others."""
    lm = tiny(kind)
    model = assemble(ModelSpec(f"tiny/{kind}"), lm, byte_level_tokenizer())
    assert switches_at(lm) == 16
    trace = decode(model, [Run(model.spec, Ids(LONG[:tokens]), how, seed=1)])[0]
    assert trace.ids == generate(model, trace)[0]
    if how.is_guided or how.is_beam_search:
        return
    ids = torch.tensor([[*LONG[:tokens], *trace.ids]])
    # The logits of the last step, of all texts that are longer than 16, are those of a whole
    # reading.
    whole = torch.log_softmax(lm(ids[:, :-1], use_cache=False).logits[0, -1].float(), -1)
    assert trace.steps[-1].logprob == pytest.approx(float(whole[trace.ids[-1]]), abs=1e-3)


def test_other_types_read_on_as_the_library_does() -> None:
    assert switches_at(tiny("llama, longer by its longest text")) is None
    assert switches_at(tiny("phi3")) is None


@pytest.mark.parametrize("decodes", (False, True))
def test_a_bert_that_is_no_decoder_is_told(decodes: bool) -> None:
    """The config of nearly every BERT leaves is_decoder out: tokens see those behind them."""
    torch.manual_seed(0)
    config = replace_decoder(tiny("bert").config, decodes)
    lm = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    ids = torch.tensor([LONG])
    same = torch.allclose(lm(ids).logits[0, 8], lm(ids[:, :9]).logits[0, 8], atol=1e-4)
    assert same == decodes
    card = assemble(ModelSpec("tiny/bert"), lm, byte_level_tokenizer()).card
    assert any("does not say is_decoder" in one for one in card.notices) != decodes


def replace_decoder(config: Any, decodes: bool) -> Any:
    return type(config)(**{**config.to_dict(), "is_decoder": decodes})


def test_a_decoder_without_the_word_in_its_config_is_none_of_these() -> None:
    lm = tiny("gpt_neox")
    lm.config.is_decoder = False
    assert not sees_ahead(lm, 400)


def _tables() -> Iterator[tuple[str, str]]:
    for name, kinds in (("CORE", CORE), ("LANES", LANES), ("UNCACHED", UNCACHED)):
        yield from ((name, kind) for kind in kinds)


def test_no_type_is_missing() -> None:
    """Every type is swept or left out with a reason, and the tables name no other."""
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert set(LEFT_OUT) <= known and all(LEFT_OUT.values())
    assert [(name, kind) for name, kind in _tables() if kind not in TYPES] == []
    assert {type_ for type_, _ in VARIANTS.values()} <= known
    assert len(TYPES) > 170


def test_the_core_has_every_proven_kind_and_every_lane() -> None:
    names = {MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind] for kind in CORE}
    assert names >= PROVEN
    assert {lane_of(kind) for kind in CORE} == {lane_of(kind) for kind in TYPES}
