"""Guidance, DoLa and contrastive search are right on the core architectures, in each one's lane."""

from __future__ import annotations

import pytest
import torch

from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.guidance import negative_prompt
from playground.models.head import Head, head_of
from playground.models.loading import Model, assemble
from tests.architectures import CORE, tiny
from tests.reference import decode
from tests.test_decode_contrastive import reference as searched
from tests.test_decode_dola import reference as contrasted
from tests.tiny_models import byte_level_tokenizer

PROMPTS = (tuple(range(20, 50)), (7, 8, 9), tuple(range(100, 113)))
SETTINGS = (
    Decoding(guidance_scale=1.6, negative_prompt="Once upon", max_new_tokens=8),
    Decoding(guidance_scale=1.6, do_sample=True, max_new_tokens=8),
    Decoding(penalty_alpha=0.5, top_k=4, max_new_tokens=6),
    Decoding(dola_layers="high", max_new_tokens=6),
)


def guided(model: Model, trace: Trace) -> tuple[int, ...]:
    """What the library writes, without a cache: of a state-space model it drops the state."""
    assert trace.started is not None
    d, ids = trace.run.decoding, torch.tensor([trace.started.prompt_ids])
    negative, _ = negative_prompt(model, d.negative_prompt)
    torch.manual_seed(trace.run.seed)
    out = model.lm.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=d.do_sample,
        top_k=0,
        max_new_tokens=d.max_new_tokens,
        guidance_scale=d.guidance_scale,
        negative_prompt_ids=torch.tensor([negative]) if negative else None,
        use_cache=False,
    )
    return tuple(out[0, ids.shape[1] :].tolist())


def expected(model: Model, trace: Trace) -> tuple[int, ...]:
    """The new ids by a reference that reads the whole text for each token."""
    if trace.run.decoding.is_guided:
        return guided(model, trace)
    if trace.run.decoding.is_contrastive:
        return searched(model, trace)
    head = head_of(model.lm)
    assert isinstance(head, Head), head
    return contrasted(model, trace, head)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CORE)
def test_strategies_are_right_for(kind: str) -> None:
    """BART cannot read two texts of different lengths together, and raises nothing: guidance wrote
    other ids until its texts were read apart. Lfm2 and Qwen3.5 broke off there."""
    model = assemble(ModelSpec(f"tiny/{kind}"), tiny(kind), byte_level_tokenizer())
    runs = [
        Run(model.spec, Ids(ids), decoding, seed)
        for seed, ids in enumerate(PROMPTS)
        for decoding in SETTINGS
    ]
    for trace in decode(model, runs, joins=[i % 4 for i in range(len(runs))]):
        assert trace.problem is None, trace.problem
        assert trace.ids == expected(model, trace)[: len(trace.ids)] != ()
