"""The hidden states that are shown are the library's own, and what their ends are is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.core.hidden import HiddenFound, HiddenStates, Peak, scale
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec
from playground.errors import Problem
from playground.inside import hidden
from playground.models.loading import Model, load
from tests.architectures import CORE
from tests.looked import architecture, looked
from tests.test_encoders import masked, save
from tests.tiny_models import tiny_model

IDS = tuple(range(5, 29))

# Types without a final norm, and such whose hidden states begin behind the first layer.
NO_NORM = ("bart", "openai-gpt")
BEGIN_LATER = ("mamba", "mamba2")


@torch.inference_mode()
def library(model: Model, ids: tuple[int, ...]) -> Any:
    return model.lm(input_ids=torch.tensor([ids]), output_hidden_states=True)


@pytest.mark.parametrize("kind", CORE)
def test_norms_and_first_values_are_those_of_output_hidden_states(kind: str) -> None:
    model = architecture(kind)
    found = looked(model, HiddenStates(Ids(IDS)))
    assert isinstance(found, HiddenFound), found
    own = library(model, IDS).hidden_states
    assert len(found.norms) == len(own) == len(found.cosines) + 1
    for layer, state in enumerate(own):
        size = float(state.norm(dim=-1).max())
        told = torch.tensor(found.norms[layer])
        assert torch.allclose(told, state[0].norm(dim=-1), atol=2e-3 * size), layer
        firsts = torch.tensor(found.firsts[layer])
        assert firsts.shape == (len(IDS), 8)
        assert torch.allclose(firsts, state[0, :, :8], atol=2e-3 * size), layer
    turns = torch.nn.functional.cosine_similarity(own[0][0], own[1][0], dim=-1)
    assert torch.allclose(torch.tensor(found.cosines[0]), turns, atol=2e-3)


@pytest.mark.parametrize("kind", CORE)
def test_what_the_last_hidden_state_is_was_measured(kind: str) -> None:
    """Against the modules themselves: transformers changed more than once what stands last."""
    ends = looked(architecture(kind), HiddenStates(Ids(IDS))).ends
    assert ends.last_hidden_state == ends.head == 0.0
    if kind in NO_NORM:
        assert (ends.norm, ends.normed, ends.last_out) == ("", None, 0.0)
    else:
        assert ends.norm and ends.normed == 0.0 and ends.last_out > 0.1
        assert ends.before != ends.after
    assert (ends.first_in == 0.0) == (kind not in BEGIN_LATER)
    assert (ends.first_out == 0.0) == (kind in BEGIN_LATER)


class Older(torch.nn.Module):
    """Tells what the last layer gave, and not what the final norm made of it."""

    def __init__(self, lm: Any) -> None:
        super().__init__()
        self.model, self.lm_head = lm.model, lm.lm_head
        self.config, self.device, self.dtype = lm.config, lm.device, lm.dtype

    def forward(self, input_ids: Any, **_: Any) -> Any:
        kept: list[Any] = []
        hook = self.model.layers[-1].register_forward_hook(lambda _, __, out: kept.append(out))
        out = self.model(input_ids, output_hidden_states=True)
        hook.remove()
        out.hidden_states = (*out.hidden_states[:-1], kept[0])
        out.logits = self.lm_head(out.last_hidden_state)
        return out

    def get_input_embeddings(self) -> Any:
        return self.model.embed_tokens

    def get_output_embeddings(self) -> Any:
        return self.lm_head


def test_a_state_before_the_final_norm_is_told_as_that() -> None:
    """A model that leaves the last norm out of its hidden states, as older libraries did."""
    model = tiny_model("llama")
    card = replace(model.card, lane="recompute")
    ends = looked(replace(model, lm=Older(model.lm), card=card), HiddenStates(Ids(IDS))).ends
    assert ends.last_out == 0.0 and ends.normed > 0.1 and ends.last_hidden_state > 0.1
    assert ends.norm == "model.norm" and ends.before == ends.after


def test_the_norm_of_an_encoders_head_is_no_final_norm(tmp_path: Path) -> None:
    model = load(ModelSpec("some/bert"), save(tmp_path, masked()))
    ends = looked(model, HiddenStates(Ids(IDS))).ends
    assert (ends.norm, ends.last_out, ends.last_hidden_state, ends.first_in) == ("", 0.0, 0.0, 0.0)
    assert ends.head > 0.1  # it transforms the state before it reads it


def test_chunks_and_company_change_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    whole = looked(model, HiddenStates(Ids(IDS)))
    monkeypatch.setattr("playground.inside.passes.BESIDE", 5)
    beside = looked(model, HiddenStates(Ids(IDS)), beside=True)
    for one, other in zip(whole.norms, beside.norms, strict=True):
        assert one == pytest.approx(other, rel=1e-2)


def test_a_text_too_long_to_be_shown_is_refused_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "MOST_CELLS", 30)
    refused = looked(tiny_model("llama"), HiddenStates(Ids(IDS)))
    assert isinstance(refused, Problem)
    assert refused.allowed == "at most 10 tokens" and refused.given == "24 tokens"
    assert isinstance(looked(tiny_model("llama"), HiddenStates(Raw("a" * 9))), HiddenFound)


def test_a_giant_does_not_break_the_scale() -> None:
    """Eight ones and a 900: the scale ends at what is at most eight times the median."""
    assert scale(((1.0, 1.0, 900.0), (1.0, 2.0, 3.0))) == (1.0, 3.0)
    assert scale(((2.0, 2.0),)) == (2.0, 2.0)
    assert Peak(0, 5, -1001.0, 1.0).massive
    assert not Peak(0, 5, 999.0, 1.0).massive   # not a thousand times the median
    assert not Peak(0, 5, 90.0, 0.01).massive   # not above 100
