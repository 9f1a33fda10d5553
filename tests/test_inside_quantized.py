"""What a copy of a model expects is its own distribution, packed whole and bounded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from playground.core.prompt import Ids, Raw
from playground.core.quantized import Expected, ExpectedFound
from playground.core.run import ModelSpec
from playground.errors import Problem
from playground.inside import quantized
from playground.models.loading import Model, load
from playground.ui.quantized_figures import apart
from tests.looked import architecture, looked
from tests.tiny_models import save, tiny_model

IDS = tuple(range(5, 17))


def own(model: Model) -> torch.Tensor:
    with torch.inference_mode():
        return model.lm(input_ids=torch.tensor([IDS])).logits[0].float().log_softmax(dim=-1).cpu()


@pytest.mark.parametrize("kind", ("llama", "gpt2", "gemma2", "mamba", "bart"))
def test_the_distributions_are_those_of_the_logits(kind: str) -> None:
    model = architecture(kind)
    found = looked(model, Expected(Ids(IDS)))
    assert isinstance(found, ExpectedFound), found
    shares = own(model)
    packed = np.frombuffer(found.logprobs, np.float32).reshape(len(IDS), -1)
    assert packed.shape == shares.shape and found.first == 0
    assert np.allclose(packed, shares, atol=5e-3)
    assert found.told == pytest.approx(
        [float(shares[n, id]) for n, id in enumerate(IDS[1:])], abs=5e-3)
    assert found.tops[-1][0].piece.id == int(shares[-1].argmax())
    assert found.seconds > 0 and found.weights == model.card.bytes


def test_whole_distributions_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for three positions of 400 numbers, four bytes each: the last three, in chunks of five
    as well; what the text's tokens got is told of all."""
    model = tiny_model("llama")
    vocabulary = own(model).shape[1]
    monkeypatch.setattr(quantized, "MOST_BYTES", 3 * 4 * vocabulary + 5)
    monkeypatch.setattr("playground.inside.passes.BESIDE", 5)
    found = looked(model, Expected(Ids(IDS)), beside=True)
    assert (found.first, len(found.tops), len(found.told)) == (9, 3, 11)
    packed = np.frombuffer(found.logprobs, np.float32).reshape(3, -1)
    assert np.allclose(packed, own(model)[-3:], atol=1e-4)
    assert "logprobs" not in repr(found)


def test_what_has_nothing_to_expect_or_is_too_long_is_refused() -> None:
    model = tiny_model("llama")
    encoder = replace(model, card=replace(model.card, kind="encoder"))
    refused = looked(encoder, Expected(Raw("a")))
    assert isinstance(refused, Problem) and "encoder" in refused.message
    refused = looked(replace(model, card=replace(model.card, context=999)),
                     Expected(Ids((5,) * 257)))
    assert isinstance(refused, Problem) and refused.allowed == "at most 256 tokens"


def test_a_quantized_copy_is_smaller_and_a_little_apart(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "llama", hidden_size=64, intermediate_size=128)
    plain, small = (load(ModelSpec("x/model", quantization=way), folder, "cpu")
                    for way in ("none", "nf4"))
    one, other = (looked(model, Expected(Ids(IDS))) for model in (plain, small))
    assert other.weights < one.weights and (one.quantization, other.quantization) == ("none", "nf4")
    with torch.inference_mode():
        logits = small.lm(input_ids=torch.tensor([IDS])).logits[0].float()
    packed = np.frombuffer(other.logprobs, np.float32).reshape(len(IDS), -1)
    assert np.allclose(packed, logits.log_softmax(dim=-1), atol=5e-3)
    between = apart(one.logprobs, other.logprobs, one.vocabulary)
    assert len(between) == len(IDS) and all(position.forward > 0 for position in between)
    with_itself = apart(one.logprobs, one.logprobs, one.vocabulary)
    assert all(position.forward == 0 for position in with_itself)
