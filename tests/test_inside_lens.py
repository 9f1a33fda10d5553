"""The logit lens gives what the model's own modules give: each layer through norm and head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
)

from playground.core.inspection import Finding, Inspection
from playground.core.lens import LensFound, LensRequest, LensTop, LensTopRequest, came_first
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, Problem
from playground.inside import lens, passes
from playground.inside.inspector import Inspector
from playground.inside.readout import Readout, readout_of
from playground.models.loading import Model, assemble
from tests.architectures import CORE, VARIANTS, tiny
from tests.tiny_models import byte_level_tokenizer, tiny_model

TEXT = Raw("The capital of France is Paris. Once upon a time there was a small fox by the river.")
IDS = tuple(range(30, 42))
ENCODER: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "pad_token_id": 0,
}


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model("llama")


def found(model: Model, request: Inspection[Any]) -> Finding | Problem:
    inspector = Inspector(model)
    inspector.join(1, request)
    while inspector.busy:
        if (result := inspector.step()) is not None:
            return result[1]
    raise AssertionError("nothing came of it")


def grid(model: Model, request: LensRequest) -> LensFound:
    made = found(model, request)
    assert isinstance(made, LensFound), made
    return made


def uneven(kind: str) -> Any:
    """A model whose norms scale: put on twice, one of ones would change nothing."""
    lm = tiny(kind)
    with torch.no_grad():
        for parameter in lm.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.linspace(0.0, 1.0, len(parameter)))
    return lm


@torch.inference_mode()
def whole(lm: Any, ids: tuple[int, ...] = IDS) -> Any:
    return lm(input_ids=torch.tensor([ids]), output_hidden_states=True)


@pytest.mark.parametrize("kind", [*CORE, *VARIANTS])
def test_the_last_layer_is_the_model(kind: str) -> None:
    """On every architecture: what stands between the last layer and the head is found, applied to
    the last state as often as it must be (most models give it out behind their norm already), and
    gives the logits of the model."""
    lm = uneven(kind)
    end = readout_of(lm)
    assert isinstance(end, Readout), end
    out = whole(lm, IDS[:9])
    layer, place = end.rows[-1]
    with torch.inference_mode():
        made = end(out.hidden_states[place][0], layer)
    torch.testing.assert_close(made, out.logits[0].float(), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("kind, norm", [
    ("llama", "model.norm"), ("gpt2", "transformer.ln_f"),
    ("gpt_neox", "gpt_neox.final_layer_norm"),
    ("opt", "model.decoder.final_layer_norm"), ("qwen3_5_text", "model.norm"),
])
def test_each_layer_is_put_through_the_final_norm_once(kind: str, norm: str) -> None:
    """With the norm by its name here, where the look has to find it."""
    lm = uneven(kind)
    end = readout_of(lm)
    assert isinstance(end, Readout) and end.between == (lm.get_submodule(norm),)
    states = whole(lm).hidden_states
    with torch.inference_mode():
        for layer, place in end.rows[:-1]:
            own = lm.get_output_embeddings()(lm.get_submodule(norm)(states[place])).float()
            torch.testing.assert_close(end(states[place][0], layer), own[0])
        twice = lm.get_output_embeddings()(lm.get_submodule(norm)(states[-1])).float()
        assert not torch.allclose(end(states[-1][0], end.rows[-1][0]), twice[0], atol=1e-3)


def test_mambas_states_begin_behind_its_first_layer() -> None:
    """It gives out what each layer gave, and then the last one's once more behind the norm: a layer
    must not be shown twice, nor the first one as the embeddings."""
    end = readout_of(tiny("mamba"))
    assert isinstance(end, Readout)
    assert end.rows == ((1, 0), (2, 2)) and end.said == "MambaRMSNorm"


@pytest.mark.parametrize("kind, config", [
    (BertForMaskedLM, BertConfig), (RobertaForMaskedLM, RobertaConfig),
    (ModernBertForMaskedLM, ModernBertConfig),
])
def test_an_encoders_masked_head_is_found(kind: Any, config: Any) -> None:
    more = {name: 1 for name in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")}
    torch.manual_seed(0)
    lm = kind(config(**ENCODER, **more)).eval()
    end = readout_of(lm)
    assert isinstance(end, Readout), end
    out = whole(lm)
    with torch.inference_mode():
        torch.testing.assert_close(end(out.hidden_states[-1][0], 3), out.logits[0])


def test_what_has_no_head_says_so() -> None:
    said = readout_of(BertModel(BertConfig(**ENCODER)))
    assert isinstance(said, str) and "no head" in said


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_the_grid_is_the_softmax_of_each_layer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell by hand from the library's own hidden states, read in chunks and in pieces."""
    monkeypatch.setattr(passes, "CHUNK", 5)
    monkeypatch.setattr(lens, "MOST_LOGITS", 3 * 400)
    model = tiny_model(kind)
    made = grid(model, LensRequest(Ids(IDS), watch=77))
    end, out = readout_of(model.lm), whole(model.lm)
    assert isinstance(end, Readout)
    assert made.layers == (0, 1, 2) and (made.first, made.tokens, len(made.read)) == (0, 12, 12)
    for layer, row in zip(made.layers, made.rows, strict=True):
        with torch.inference_mode():
            logs = torch.log_softmax(end(out.hidden_states[layer][0], layer), -1)
        for position, cell in enumerate(row):
            one = logs[position]
            assert cell.top.id == int(one.argmax())
            assert cell.probability == pytest.approx(float(one.max().exp()), abs=1e-5)
            assert cell.watched == pytest.approx(float(one[77].exp()), abs=1e-5)
            assert cell.rank == 1 + int((one > one[77]).sum())
            assert cell.entropy == pytest.approx(float(-(one.exp() * one).sum()), abs=1e-3)
    own = torch.softmax(out.logits[0, -1], -1).topk(10)
    top = found(model, LensTopRequest(Ids(IDS)))
    assert isinstance(top, LensTop) and (top.layer, top.position) == (2, 11)
    assert [piece.id for piece, _ in top.top] == own.indices.tolist()
    assert [share for _, share in top.top] == pytest.approx(own.values.tolist(), abs=1e-5)


def test_a_window_is_all_that_is_computed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end unless asked for elsewhere, never past the text, and the token behind it told."""
    monkeypatch.setattr("playground.inside.lens.width_of", lambda rows: 4)
    ids = IDS
    last = grid(model, LensRequest(Ids(ids)))
    assert (last.first, [p.id for p in last.read], last.next) == (8, [*ids[8:]], None)
    assert last.watched.id == last.rows[-1][-1].top.id  # what the model itself says at the end
    first = grid(model, LensRequest(Ids(ids), first=0, watch=7))
    assert first.next is not None and first.next.id == ids[4] and first.watched.id == 7
    assert grid(model, LensRequest(Ids(ids), first=99)).first == 8


def test_a_look_at_another_cell_reads_the_text_once(model: Model) -> None:
    inspector, calls = Inspector(model), list[int]()
    with pytest.MonkeyPatch.context() as patch:
        forward = model.lm.forward
        patch.setattr(model.lm, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
        for key, place in enumerate((3, 5, 8)):
            inspector.join(key, LensTopRequest(Ids(IDS), layer=1, position=place))
        while inspector.busy:
            inspector.step()
    assert len(calls) <= 2, "the trial of the model's end, and the text"


def test_the_watched_token_is_the_one_that_is_written(model: Model) -> None:
    """Its text as it is shown finds it; a longer text becomes several, and that is said."""
    tokenizer = model.tokenizer
    id = tokenizer(" capital", add_special_tokens=False)["input_ids"]
    made = grid(model, LensRequest(TEXT, watch=" capital"))
    assert made.watched.id == id[0] and bool(made.notices) == (len(id) > 1)
    long = grid(model, LensRequest(TEXT, watch="Paris Paris Paris"))
    assert "the first is watched" in long.notices[0]


@pytest.mark.parametrize("ranks, came", [
    ((9, 4, 1, 1), 2), ((1, 2, 1), 2), ((1, 1), 0), ((1, 1, 2), None), ((3, 2), None),
])
def test_a_token_came_first_where_it_stays(ranks: tuple[int, ...], came: int | None) -> None:
    assert came_first(ranks) == came


def test_nonsense_is_refused(model: Model) -> None:
    for wrong in ({"first": -1}, {"first": True}, {"watch": -3}, {"watch": ""},
                  {"watch": "x" * 300}, {"watch": "\ud800"}):
        with pytest.raises(InvalidInput):
            LensRequest(Ids(IDS), **wrong)
    size = model.card.vocabulary
    assert isinstance(found(model, LensRequest(Ids(IDS), watch=size)), Problem)
    assert isinstance(found(model, LensTopRequest(Ids(IDS), layer=9, position=0)), Problem)
    assert isinstance(found(model, LensTopRequest(Ids(IDS), layer=0, position=99)), Problem)


def test_a_model_without_a_head_is_a_sentence() -> None:
    lm = tiny_model("llama").lm
    bare = assemble(ModelSpec("tiny/bare"), lm, byte_level_tokenizer())
    bare.lm.get_output_embeddings = lambda: None
    told = found(bare, LensRequest(Ids(IDS)))
    assert isinstance(told, Problem) and "logit lens" in str(told)
