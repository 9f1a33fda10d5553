"""Attention weights are the library's own, read in chunks; nobody else's rows notice the pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from playground.core.attention import (
    MOST_TOKENS,
    AttentionFound,
    AttentionRequest,
    HeadsFound,
    HeadsRequest,
)
from playground.core.decoding import Decoding
from playground.core.inspection import Inspection
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec, Run
from playground.decode.loop import DecodeLoop
from playground.errors import InvalidInput, Problem
from playground.inside import passes
from playground.inside.inspector import Inspector
from playground.inside.passes import eager, read
from playground.inside.subject import Subject
from playground.models.lanes import RECOMPUTE
from playground.models.loading import Model, assemble
from tests.architectures import CORE, tiny
from tests.reference import decode
from tests.tiny_models import byte_level_tokenizer, tiny_model

IDS = tuple(range(30, 54))
STATES = ("mamba", "mamba2")
# A kind of each: grouped heads, sliding windows, caps, a mask of its own, fused and tied weights.
KINDS = ("llama", "mistral", "qwen2, sliding", "gemma2", "gemma3_text", "gpt2", "falcon", "bloom",
         "deepseek_v3", "bart", "openai-gpt")


def found(model: Model, request: Inspection[Any]) -> Any:
    inspector = Inspector(model)
    inspector.join(1, request)
    while inspector.busy:
        if (result := inspector.step()) is not None:
            return result[1]
    raise AssertionError("nothing came of it")


def of(kind: str) -> Model:
    return assemble(ModelSpec("tiny/of-a-kind"), tiny(kind), byte_level_tokenizer())


@torch.inference_mode()
def told(model: Model, ids: tuple[int, ...] = IDS) -> list[torch.Tensor]:
    """The library's own weights, of the whole text at once."""
    with eager(model.lm):
        out = model.lm(input_ids=torch.tensor([ids]), output_attentions=True)
    return [layer[0] for layer in out.attentions]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_output_attentions(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk after chunk over the cache, also where a sliding window lets the first keys go; each
    head, the mean of a layer and of all."""
    monkeypatch.setattr(passes, "CHUNK", 5)
    model = of(kind)
    own = told(model)
    assert all(torch.allclose(layer.sum(-1), torch.ones(())) for layer in own)
    for layer, head, wanted in (
        (1, 3, own[0][2]), (2, None, own[1].mean(0)), (None, None, torch.stack(own).mean((0, 1))),
    ):
        made = found(model, AttentionRequest(Ids(IDS), layer, head))
        assert isinstance(made, AttentionFound), made
        assert made.causal and made.layers == (1, 2) and made.heads == (4, 4) and not made.notices
        shown = [[made.weight(row, column) for column in range(len(IDS))]
                 for row in range(len(IDS))]
        torch.testing.assert_close(torch.tensor(shown), wanted, atol=2e-5, rtol=0.0)
        assert made.sink == pytest.approx(float(wanted[1:, 0].mean()), abs=1e-5)


def test_an_encoder_looks_both_ways() -> None:
    torch.manual_seed(0)
    lm = BertForMaskedLM(BertConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, initializer_range=0.3,
    )).eval()
    template = tiny_model("llama")
    # An encoder is read whole and without a cache, as models are whose cache is of their own kind.
    model = replace(template, lm=lm, card=replace(template.card, lane=RECOMPUTE))
    own = told(model)
    made = found(model, AttentionRequest(Ids(IDS), 2, 4))
    assert not made.causal and own[1][3][2, 20] > 0
    assert made.weight(2, 20) == pytest.approx(float(own[1][3][2, 20]), abs=2e-5)
    assert len(made.weights) == 2 * len(IDS) ** 2


def test_without_the_first_token_each_row_is_a_whole_again() -> None:
    """In each head before the mean, and nothing for a token that looked at no other."""
    model = of("llama")
    rest = torch.stack(told(model))[0].clone()
    rest[:, :, 0] = 0
    rest = rest / rest.sum(-1, keepdim=True).clamp(min=1e-6)
    made = found(model, AttentionRequest(Ids(IDS), 1, None, without_first=True))
    for row in (0, 1, 9, 23):
        shares = [made.weight(row, column) for column in range(len(IDS))]
        assert shares == pytest.approx(rest.mean(0)[row].tolist(), abs=2e-5)
        assert sum(shares) == pytest.approx(float(row > 0), abs=1e-3)


def test_small_pictures_keep_the_largest_weight_of_each_pixel() -> None:
    model, ids = of("llama"), tuple(range(30, 110))
    own = told(model, ids)
    heads = found(model, HeadsRequest(Ids(ids), 2))
    assert isinstance(heads, HeadsFound) and (heads.names, heads.size) == ((1, 2, 3, 4), 40)
    pixels = torch.tensor(list(heads.pictures)).view(4, 40, 40)
    wanted = own[1][1].view(40, 2, 40, 2).amax((1, 3)).sqrt() * 255
    assert (pixels[1] - wanted).abs().max() <= 0.51
    layers = found(model, HeadsRequest(Ids(IDS)))
    assert layers.names == (1, 2) and layers.size == len(IDS) and len(layers.pictures) == 2 * 24**2


@pytest.mark.parametrize("kind", STATES)
def test_a_model_of_states_has_none(kind: str) -> None:
    problem = found(of(kind), AttentionRequest(Ids(IDS)))
    assert isinstance(problem, Problem) and "carries the past in a state" in str(problem)


@pytest.mark.parametrize("kind", ["qwen3_5_text", "lfm2"])
def test_a_model_of_both_kinds_says_which_layers_have_them(kind: str) -> None:
    model = of(kind)
    made = found(model, AttentionRequest(Ids(IDS)))
    assert made.layers == (2,) and made.depth == 2 and "1 of its 2 layers" in made.notices[0]
    assert made.weight(9, 4) == pytest.approx(float(told(model)[0].mean(0)[9, 4]), abs=2e-5)
    assert "no attention weights" in str(found(model, AttentionRequest(Ids(IDS), 1)))


def test_the_pass_gives_the_kernel_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    before = model.lm.config._attn_implementation
    seen: list[str] = []

    def broken(*args: Any, **kwargs: Any) -> Any:
        seen.append(model.lm.config._attn_implementation)
        raise RuntimeError("out of order")

    monkeypatch.setattr(model.lm, "forward", broken)
    with pytest.raises(RuntimeError), torch.inference_mode():
        next(read(Subject(model), IDS, attention=True))
    assert seen == ["eager"] and before != "eager"
    assert model.lm.config._attn_implementation == before
    assert model.lm.model.layers[0].self_attn.config._attn_implementation == before


def test_a_row_that_is_decoded_meanwhile_has_the_same_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the loop after each piece of the pass: the kernel is eager in the pass alone."""
    monkeypatch.setattr(passes, "BESIDE", 4)
    model = tiny_model("llama")
    run = Run(model.spec, Raw("The capital of France is"), Decoding(max_new_tokens=12), seed=0)
    (alone,) = decode(model, [run])
    loop, inspector = DecodeLoop(model), Inspector(model)
    loop.join(1, run)
    inspector.join(2, AttentionRequest(Ids(IDS)))
    ids, result = list[int](), None
    while loop.busy:
        for _, event in loop.step():
            assert model.lm.config._attn_implementation != "eager"
            ids += [event.id] if hasattr(event, "position") and hasattr(event, "id") else []
        if inspector.busy:
            result = inspector.step(beside=True) or result
    assert isinstance(result[1], AttentionFound)  # type: ignore[index]
    assert tuple(ids) == alone.ids


def test_a_long_text_and_nonsense_are_refused() -> None:
    model = tiny_model("llama", max_position_embeddings=600)
    problem = found(model, AttentionRequest(Ids(tuple([7] * (MOST_TOKENS + 1)))))
    assert isinstance(problem, Problem) and f"at most {MOST_TOKENS}" in str(problem)
    assert "has 4 heads" in str(found(model, AttentionRequest(Ids(IDS), 1, 9)))
    assert isinstance(found(model, HeadsRequest(Ids(IDS), 9)), Problem)
    for wrong in ((0, None), (True, None), (1, 0), (None, 1), ("1", None)):
        with pytest.raises(InvalidInput):
            AttentionRequest(Ids(IDS), *wrong)  # type: ignore[arg-type]


def test_every_core_architecture_is_shown_or_says_why_not() -> None:
    for kind in CORE:
        made = found(of(kind), AttentionRequest(Ids(IDS)))
        assert isinstance(made, Problem) == (kind in STATES), (kind, made)
