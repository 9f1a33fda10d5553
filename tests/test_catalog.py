"""The catalog's figures are counted, and they are the models' own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

import app
from playground.core.run import ModelSpec
from playground.errors import ModelInvalid
from playground.flags import settings_from
from playground.models import catalog, hub_cache
from playground.models.catalog import (
    BUILTIN,
    CATALOG,
    CatalogEntry,
    base_of,
    chat_of,
    choices,
    entry,
)
from playground.models.place import check_decodes, known_encoders, place
from playground.models.weights import of_folder

# As the Hub shows them on the model's page, or the model's paper does.
PUBLISHED = {
    "builtin/tiny-chat": 2_756_224,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen1.5-0.5B": 463_987_712,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "openai-community/gpt2": 124_439_808,
    "distilbert/distilgpt2": 81_912_576,
    "builtin/tiny-encoder": 1_058_048,
    # The encoder has 109,482,240 with a pooler, which is not read; the head for a hidden word is.
    "google-bert/bert-base-uncased": 109_482_240 + 768 + 768 + 30_522,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
    "HuggingFaceTB/SmolLM3-3B": 3_075_098_624,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "google/gemma-3-270m-it": 268_098_176,
    "google/gemma-3-1b-it": 999_885_952,
    "allenai/OLMo-2-0425-1B-Instruct": 1_484_916_736,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "EleutherAI/pythia-160m": 162_322_944,
    "EleutherAI/pythia-410m": 405_334_016,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
}


@pytest.mark.parametrize("repo", PUBLISHED)
def test_the_parameters_are_the_published_ones(repo: str) -> None:
    assert entry(repo).parameters == PUBLISHED[repo]


@pytest.mark.parametrize("repo", CATALOG)
def test_the_parameters_are_those_of_the_architecture(repo: str) -> None:
    """Built without memory from the same sizes by transformers itself: equal to the last number."""
    config = AutoConfig.for_model(**entry(repo).config)
    kind = AutoModelForCausalLM if entry(repo).decodes else AutoModelForMaskedLM
    with torch.device("meta"):
        lm = kind.from_config(config)
    assert entry(repo).parameters == sum(p.numel() for p in lm.parameters())


@pytest.mark.parametrize("name", ["tiny-chat", "tiny-base", "tiny-encoder"])
def test_a_built_in_models_sizes_are_those_of_its_files(name: str) -> None:
    known = entry(f"builtin/{name}")
    written = json.loads((BUILTIN / name / "config.json").read_text())
    assert {key: written[key] for key in known.config} == known.config
    assert of_folder(BUILTIN / name, written).parameters == known.parameters


@pytest.mark.parametrize("repo", CATALOG)
def test_an_entry_says_what_a_reader_must_know(repo: str) -> None:
    known = entry(repo)
    assert known.kind in ("chat", "base", "encoder") and known.licence and known.note
    assert known.context >= (512 if known.decodes else 128)
    assert known.gated == repo.startswith(("meta-llama/", "google/gemma"))
    totals = [needs.total for way in catalog.WAYS if (needs := known.needs(way))]
    assert len(totals) == 3
    if known.parameters > 20_000_000:  # below, tables and scales outweigh what is saved
        assert totals == sorted(totals, reverse=True), "bf16 > int8 > nf4"


def test_what_a_model_needs_by_hand() -> None:
    """Two bytes for each of Qwen2.5's numbers; 24 layers, keys and values, 2 heads of 64: 12,288
    bytes a token."""
    needs = entry("Qwen/Qwen2.5-0.5B-Instruct").needs("bf16", context=1000)
    assert needs and needs.weights == 2 * 494_032_768
    assert needs.cache == 1000 * 24 * 2 * 2 * 64 * 2 and needs.each == 12_288


def test_the_models_of_the_study_notes_are_there() -> None:
    """By the names that people still type, too."""
    kinds = {repo: entry(repo).kind for repo in (
        "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen1.5-0.5B", "microsoft/Phi-3-mini-4k-instruct",
        "gpt2", "bert-base-uncased")}
    assert list(kinds.values()) == ["chat", "base", "chat", "base", "encoder"]
    assert entry("gpt2") is entry("openai-community/gpt2")
    assert entry("owner/unheard-of") == CatalogEntry("owner/unheard-of")
    assert entry("owner/unheard-of").needs("bf16") is None


@pytest.mark.parametrize("repo", ["bert-base-uncased", "google-bert/bert-base-uncased"])
def test_an_encoder_is_refused_before_anything_is_fetched(repo: str) -> None:
    """To write with; to look into it, it has a place like any other."""
    spec = ModelSpec(repo)
    with pytest.raises(ModelInvalid, match="reads text and writes none") as caught:
        check_decodes(spec, place(spec, [], any_model=True))
    assert caught.value.problem.field == "model" and "Inside tab" in caught.value.problem.advice


def test_an_encoder_is_known_by_catalog_folder_or_cache_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache may hold its config alone; ids that nothing here knows, and nonsense, are left."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    bert = json.dumps({"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    (put(tmp_path, "me/reads", config=bert) / "model.safetensors").unlink()
    put(tmp_path, "me/writes")
    folder = BUILTIN / "tiny-encoder"
    repos = ["bert-base-uncased", "me/reads", "me/writes", "me/unheard-of", str(folder),
             str(BUILTIN / "tiny-base"), "builtin/tiny-encoder", "builtin/none", "a b", "/nowhere"]
    assert known_encoders(repos) == (
        "bert-base-uncased", "me/reads", str(folder), "builtin/tiny-encoder")


def test_the_app_starts_with_a_model_that_writes(capsys: pytest.CaptureFixture[str]) -> None:
    started = app.read_settings(["--model", "bert-base-uncased"])
    assert started.default_model == "builtin/tiny-chat"
    assert started.encoders[0] == "bert-base-uncased"
    assert "bert-base-uncased: reads text and writes none" in capsys.readouterr().err
    assert app.read_settings([]) == settings_from([]) and not capsys.readouterr().err


def test_in_public_only_what_is_offered_can_be_picked() -> None:
    offered = ("builtin/tiny-base", "owner/own")
    assert [one.repo for one in choices(offered, any_model=False)] == list(offered)
    local = [one.repo for one in choices(offered, any_model=True)]
    assert local[:2] == list(offered), "what is offered comes first"
    assert set(CATALOG) <= set(local) and len(local) == len(set(local))


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def put(cache: Path, repo: str, commit: str = "a" * 40, weights: str = "model.safetensors",
        **files: str) -> Path:
    """A model as it lies in the Hub's cache."""
    storage = cache / f"models--{repo.replace('/', '--')}"
    folder = storage / "snapshots" / commit
    folder.mkdir(parents=True)
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text(commit)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / weights).write_bytes(b"x" * 100)
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)
    return folder


def test_the_cache_is_listed_with_kind_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole models only: of the others a load would have to fetch the rest."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hub_cache.cached() == ()
    put(tmp_path, "me/base")
    put(tmp_path, "me/chat", tokenizer_config='{"chat_template": "{{ messages }}"}')
    put(tmp_path, "me/reads", config='{"architectures": ["BertForMaskedLM"]}')
    put(tmp_path, "me/pickled", weights="pytorch_model.bin")
    (put(tmp_path, "me/half", weights="model-00001-of-00002.safetensors")
     / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors",'
        ' "b": "model-00002-of-00002.safetensors"}}')
    put(tmp_path, "me/broken", commit="../../../etc")
    (tmp_path / "datasets--me--data").mkdir()
    (tmp_path / "models--a--file").write_text("")
    found = {one.repo: (one.kind, one.bytes, one.commit) for one in hub_cache.cached()}
    assert found == {"me/base": ("base", 100, "a" * 40), "me/chat": ("chat", 100, "a" * 40),
                     "me/reads": ("encoder", 100, "a" * 40)}
    assert {"me/base", "me/chat"} <= {one.repo for one in choices((), any_model=True)}


def test_a_cache_that_cannot_be_read_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (tmp_path / "nowhere", tmp_path / "file"):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(where))
        assert hub_cache.cached() == ()
        (tmp_path / "file").write_text("no folder")


def test_a_base_and_its_chat_model_know_each_other() -> None:
    pairs = {one.repo: one.base for one in CATALOG.values() if one.base}
    assert pairs["builtin/tiny-chat"] == "builtin/tiny-base"
    assert pairs["Qwen/Qwen2.5-0.5B-Instruct"] == "Qwen/Qwen2.5-0.5B"
    assert len(set(pairs.values())) == len(pairs)
    for chat, base in pairs.items():
        assert (base_of(chat), chat_of(base)) == (base, chat)
        assert entry(chat).kind == "chat" and entry(base).kind in ("base", "unknown")
        # Trained on from these weights, so of the same sizes where both are known.
        known = entry(base).config
        assert not known or known["hidden_size"] == entry(chat).config["hidden_size"]
    assert base_of("openai-community/gpt2") == chat_of("openai-community/gpt2") == ""
    assert base_of("nobody/knows") == chat_of("nobody/knows") == ""
