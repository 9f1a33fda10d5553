"""Encoders load through the same checks as what writes, show what their files have, write nothing.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModel,
    AutoModelForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from playground.core.events import Failed
from playground.core.kept import Kept
from playground.core.messages import ModelCard
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import ScoreRequest
from playground.decode.loop import DecodeLoop
from playground.decode.score import Scorer
from playground.engine.engine import Engine
from playground.errors import ModelInvalid, PlaygroundError
from playground.models.checks import check_folder
from playground.models.footprint import of_files
from playground.models.kinds import ENCODER_TYPES, is_encoder
from playground.models.loading import load
from playground.models.weights import json_object
from playground.settings import Settings
from tests.architectures import SIZES
from tests.test_loading import edit
from tests.tiny_models import byte_level_tokenizer

SPEC = ModelSpec("some/encoder")
IDS = torch.tensor([[5, 6, 7, 8]])
# Each is found in its own way: sizes of other names, factorized or relative or rotated positions,
# positions behind the padding id, a head of another name.
KINDS = ("albert", "bert", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet", "roberta",
         "xlm-roberta")


def config_of(kind: str) -> Any:
    """A tiny config of this type."""
    made = CONFIG_MAPPING[kind]()
    sizes = SIZES | {"dim": 32, "hidden_dim": 48, "is_decoder": False, "pad_token_id": 0}
    sizes |= {"tie_word_embeddings": True, "initializer_range": 0.3}
    sizes = {name: value for name, value in sizes.items() if hasattr(made, name)}
    return CONFIG_MAPPING[kind](**sizes)


def save(folder: Path, lm: Any) -> Path:
    lm.save_pretrained(folder)
    byte_level_tokenizer(False).save_pretrained(folder)
    return folder


def masked(kind: str = "bert") -> Any:
    torch.manual_seed(3)
    return AutoModelForMaskedLM.from_config(config_of(kind)).eval()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bert"), masked())


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_loads_with_its_own_head(kind: str, tmp_path: Path) -> None:
    made = masked(kind)
    model = load(SPEC, save(tmp_path, made))
    card = model.card
    assert (card.kind, card.lane, card.kept, card.notices) == ("encoder", "none", Kept(0), ())
    assert card.architecture == type(made).__name__ and card.vocabulary == 400
    assert torch.equal(model.lm(IDS).logits, made(IDS).logits)
    assert model.ends == ()


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_without_a_head_is_given_none(kind: str, tmp_path: Path) -> None:
    """A head of random numbers would guess words that nobody has learnt."""
    torch.manual_seed(3)
    made = AutoModel.from_config(config_of(kind)).eval()
    model = load(SPEC, save(tmp_path, made))
    assert model.card.architecture == type(made).__name__ and model.card.kind == "encoder"
    assert any("no masked-language-model head" in notice for notice in model.card.notices)
    assert torch.equal(model.lm(IDS).last_hidden_state, made(IDS).last_hidden_state)


@pytest.mark.parametrize(
    ("made", "has_head"), [(BertForPreTraining, True), (BertForSequenceClassification, False)]
)
def test_a_bert_trained_for_other_tasks_too_is_the_same_encoder(
    made: Any, has_head: bool, tmp_path: Path
) -> None:
    """bert-base-uncased itself is a BertForPreTraining, with a pooler and a second head."""
    torch.manual_seed(3)
    saved = made(config_of("bert")).eval()
    model = load(SPEC, save(tmp_path, saved))
    assert model.card.architecture == ("BertForMaskedLM" if has_head else "BertModel")
    inner = model.lm.bert if has_head else model.lm
    assert torch.equal(inner(IDS).last_hidden_state, saved.bert(IDS).last_hidden_state)
    if has_head:
        assert torch.equal(model.lm(IDS).logits, saved(IDS).prediction_logits)


def test_an_encoder_that_lacks_weights_is_refused(bert: Path, tmp_path: Path) -> None:
    """Only a head may be missing."""
    folder = Path(shutil.copytree(bert, tmp_path / "model"))
    file = folder / "model.safetensors"
    weights = load_file(file)
    del weights["bert.encoder.layer.1.output.dense.weight"]
    del weights["cls.predictions.transform.dense.weight"]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ModelInvalid, match=r"lack 1 of .*bert\.encoder\.layer\.1\.output\.dense"):
        load(SPEC, folder)


@pytest.mark.parametrize(
    ("config", "encoder"),
    [
        ({"model_type": "bert"}, True),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, True),
        ({"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"]}, True),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, False),
        ({"model_type": "roberta", "architectures": ["RobertaForCausalLM"]}, False),
        ({"model_type": "bert", "is_decoder": True}, False),
        ({"model_type": "bart", "architectures": ["BartForConditionalGeneration"]}, False),
        ({"model_type": "llama", "architectures": ["LlamaModel"]}, False),
        ({"model_type": ["bert"]}, False),
        ({}, False),
    ],
)
def test_what_an_encoder_is(config: dict[str, Any], encoder: bool) -> None:
    assert is_encoder(config) is encoder


def test_every_encoder_type_has_a_masked_head_in_this_transformers() -> None:
    assert set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) >= ENCODER_TYPES
    assert all(CONFIG_MAPPING[kind] in MODEL_FOR_MASKED_LM_MAPPING for kind in ENCODER_TYPES)


def test_roberta_reads_two_tokens_fewer_than_it_has_positions(tmp_path: Path) -> None:
    """Its positions are counted from behind the padding id, which is 1 there: a text of 514 tokens
    reads past the end of the table, and on CUDA that ends the process."""
    config = config_of("roberta")
    config.max_position_embeddings, config.pad_token_id = 34, 1
    model = load(SPEC, save(tmp_path, AutoModelForMaskedLM.from_config(config)))
    assert model.card.context == 32
    model.lm(torch.full((1, 32), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model.lm(torch.full((1, 33), 5))


@pytest.mark.parametrize("made", [AutoModelForMaskedLM, AutoModel])
@pytest.mark.parametrize("kind", ("bert", "distilbert", "roberta"))
def test_the_footprint_counts_the_weights_and_no_cache(
    kind: str, made: Any, tmp_path: Path
) -> None:
    folder = save(tmp_path, made.from_config(config_of(kind)))
    found, card = of_files(folder, SPEC), load(SPEC, folder).card
    assert found.weights == 4 * card.parameters
    assert found.cache == found.each == 0 and "no KV cache" in str(found)


def test_nothing_is_written_or_scored_with_an_encoder(bert: Path) -> None:
    model = load(SPEC, bert)
    loop = DecodeLoop(model)
    loop.join(1, Run(SPEC, Raw("Hi")))
    ((key, event),) = loop.step()
    assert key == 1 and isinstance(event, Failed)
    assert event.problem.message == "encoder is an encoder: it reads text and writes none."
    assert event.problem.advice == "Look at it in the Inside tab."
    with pytest.raises(ModelInvalid, match="reads text and writes none"):
        Scorer(model).join(1, ScoreRequest(Raw("Hi")))


def test_an_encoder_is_refused_before_it_is_loaded_and_by_its_worker(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's config says what it is; where nothing does, the worker that has loaded it."""
    spec = ModelSpec(str(bert))
    engine = Engine(Settings(models=(spec.repo,)))
    try:
        (event,) = engine.run(Run(spec, Raw("Hi")))
        assert isinstance(event, Failed) and "reads text and writes none" in str(event.problem)
        with pytest.raises(ModelInvalid, match="reads text and writes none"):
            engine.render(spec, Raw("Hi"))
        assert not any(status.card for status in engine.models())

        *_, card = engine.load(spec)
        assert isinstance(card, ModelCard) and card.kind == "encoder"
        monkeypatch.setattr("playground.engine.model_files.check_decodes", lambda *_: None)
        *_, event = engine.run(Run(spec, Raw("Hi")))
        assert isinstance(event, Failed) and "reads text and writes none" in str(event.problem)
        with pytest.raises(PlaygroundError, match="reads text and writes none"):
            engine.render(spec, Raw("Hi"))
        with pytest.raises(PlaygroundError, match="reads text and writes none"):
            engine.score(spec, ScoreRequest(Raw("Hi")))
        assert engine.models()[0].card == card, "its worker lives"
    finally:
        engine.close()


@pytest.mark.parametrize("name", ["n_layers", "dim", "n_heads"])
def test_sizes_of_other_names_are_checked_too(name: str, tmp_path: Path) -> None:
    folder = save(tmp_path, masked("distilbert"))
    edit(folder, "config.json", **{name: 10**7})
    with pytest.raises(ModelInvalid, match=f"{name} is 10000000"):
        check_folder(folder)


def test_the_config_in_the_files_says_what_it_is(bert: Path) -> None:
    assert is_encoder(json_object(bert / "config.json"))
