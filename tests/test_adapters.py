"""An adapter beside its base: what peft itself would compute, over the very same weights."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from playground.core.decoding import Decoding
from playground.core.prompt import Chat, Ids, Message
from playground.core.run import ModelSpec, Run
from playground.errors import ModelInvalid, ModelUnsafe
from playground.models.adapters import attach, sibling
from playground.models.loading import Model, load
from playground.models.reading import ONE_LOAD_AT_A_TIME
from playground.models.text import encode
from tests.reference import decode
from tests.tiny_adapters import edit_adapter, save_adapter, tuned
from tests.tiny_models import KINDS, save, tiny_model

SPEC = ModelSpec("some/model", adapter="me/pirate")
IDS = torch.tensor([[5, 6, 7, 8]])
WEIGHTS = "adapter_model.safetensors"
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank-stabilized": {"use_rslora": True},
    "decomposed (DoRA)": {"use_dora": True},
    "ranks and alphas by module": {
        "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"v_proj": 5, "layers.1.mlp.down_proj": 3},
    },
    "one layer only": {"layers_to_transform": [1]},
    "an output layer trained as a whole": {"modules_to_save": ["lm_head"]},
    "the embedding too": {"target_modules": ["embed_tokens", "q_proj"]},
}


@pytest.fixture(scope="module")
def base() -> Model:
    return tiny_model("llama")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_adapter(tmp_path / "pirate")


@pytest.mark.parametrize("name", SETTINGS)
def test_it_computes_what_peft_computes(name: str, base: Model, tmp_path: Path) -> None:
    settings = SETTINGS[name]
    before = base.lm(IDS).logits
    made = attach(base, SPEC, save_adapter(tmp_path, **settings))
    logits = made.lm(IDS).logits
    assert torch.equal(logits, tuned(**settings)(IDS).logits)
    assert not torch.allclose(logits, before, atol=0.1), "it changes something"
    assert torch.equal(base.lm(IDS).logits, before), "and not its base"


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_so_on_every_kind(kind: str, tmp_path: Path) -> None:
    made = attach(tiny_model(kind), SPEC, save_adapter(tmp_path, kind))
    assert torch.equal(made.lm(IDS).logits, tuned(kind)(IDS).logits)


@pytest.mark.parametrize("quantization", ("nf4", "int8"))
def test_it_does_so_on_quantized_weights(quantization: Any, tmp_path: Path) -> None:
    plain = save(tmp_path / "plain", hidden_size=64, intermediate_size=128)
    base = load(ModelSpec("some/model", quantization=quantization), plain)
    wide = load(ModelSpec("some/model"), plain).lm
    folder = tmp_path / "adapter"
    tuned(lm=wide).save_pretrained(folder)
    made = attach(base, SPEC, folder)
    expected = tuned(lm=copy.deepcopy(base.lm))
    with torch.no_grad():  # bitsandbytes has other 4-bit kernels where gradients are wanted
        assert torch.equal(made.lm(IDS).logits, expected(IDS).logits)


def test_no_weight_is_copied(base: Model, folder: Path) -> None:
    """44,192 numbers stay where they are; the adapter adds 2 layers of 4 x (32 + 32) for q_proj,
    4 x (32 + 16) for v_proj and 4 x (64 + 32) for down_proj, that is 1,664 numbers of 4 bytes."""
    made = attach(base, SPEC, folder)
    own = {p.data_ptr() for p in base.lm.parameters()}
    added = [p for p in made.lm.parameters() if p.data_ptr() not in own]
    assert len(list(made.lm.parameters())) - len(added) == len(own)
    assert sum(p.numel() for p in added) == 1664
    assert (made.card.parameters, made.card.bytes) == (1664, 6656)
    assert (made.card.spec, made.card.lane) == (SPEC, base.card.lane)
    assert not any(p.requires_grad for p in made.lm.parameters()) and not made.lm.training


def test_a_sibling_of_int8_weights_shares_them_too(tmp_path: Path) -> None:
    """bitsandbytes keeps them outside the parameters once they have been used."""
    base = load(ModelSpec("a/b", quantization="int8"), save(tmp_path, hidden_size=64))
    other = sibling(base.lm)
    for one, twin in zip(base.lm.modules(), other.modules(), strict=True):
        if hasattr(one, "state"):
            assert one is not twin and one.state.CB is twin.state.CB is not None


def test_base_and_adapters_take_turns_and_write_what_each_writes_alone(
    base: Model, tmp_path: Path
) -> None:
    models = [base, *(attach(base, ModelSpec("some/model", adapter=f"me/{seed}"),
                             save_adapter(tmp_path / str(seed), seed=seed)) for seed in (1, 2))]

    def runs(model: Model) -> list[Run]:
        decoding = Decoding(max_new_tokens=6, do_sample=True)
        return [Run(model.spec, Ids((5, 6, 7)), decoding, seed) for seed in (1, 2)]

    alone = [[t.ids for t in decode(model, runs(model))] for model in models]
    assert len({tuple(map(tuple, ids)) for ids in alone}) == 3
    turns = [[t.ids for t in decode(model, runs(model))] for model in reversed(models)]
    assert turns[::-1] == alone


def test_its_own_chat_template_is_used_and_told(base: Model, folder: Path) -> None:
    template = "{% for m in messages %}Arr {{ m.content }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    made = attach(base, SPEC, folder)
    chat = Chat((Message("user", "hello"),))
    assert encode(made, chat, 100).rendered == "Arr hello"
    assert encode(base, chat, 100).rendered != "Arr hello"
    assert any("its own chat template" in notice for notice in made.card.notices)


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json"])
def test_its_files_are_looked_at_as_a_models_are(name: str, base: Model, folder: Path) -> None:
    """Links out of the folder and what is far too large: the template was passed over in silence,
    and the words of any file could have become it."""
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_text("{{ 1 }}")
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(ModelInvalid, match=f"{name} is a link to a file outside") as refused:
        attach(base, SPEC, folder)
    assert refused.value.problem.field == "adapter"
    (folder / name).unlink()
    with open(folder / name, "wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(ModelInvalid, match=f"{name} is too large"):
        attach(base, SPEC, folder)


def test_another_base_than_the_one_it_names_is_told(base: Model, folder: Path) -> None:
    assert attach(base, SPEC, folder).card.notices == ()
    edit_adapter(folder, base_model_name_or_path="owner/other-7b")
    (told,) = attach(base, SPEC, folder).card.notices
    assert told == "The adapter was trained on owner/other-7b; here it is put on some/model."


def change(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_adapter(folder, **changes)


def tensors(edit: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        edit(found)
        save_file(found, folder / WEIGHTS)

    return edited


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
SECOND = FIRST.replace("lora_A", "lora_B")
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "adapter_config.json").unlink(), "has no adapter_config.json"),
    "config is a list": (lambda f: (f / "adapter_config.json").write_text("[]"), "holds list"),
    "another kind": (change(peft_type="PREFIX_TUNING"), "'PREFIX_TUNING'; only LoRA"),
    "no kind": (change(peft_type=None), "only LoRA"),
    "copied layers": (change(layer_replication=[[0, 2]]), "'layer_replication'"),
    "a key of tomorrow": (change(runs_this=True), "'runs_this', which cannot be done"),
    "a start that changes the base": (change(init_lora_weights="pissa_niter_4"), "pissa_niter_4"),
    "a pattern": (change(alpha_pattern={"(a+)+$": 3}), "without patterns"),
    "an alpha that is none": (change(lora_alpha="16"), "lora_alpha"),
    "an endless alpha": (change(lora_alpha=float("inf")), "lora_alpha"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), f"has no {WEIGHTS}"),
    "cut off": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:200]), "be read"),
    "empty": (tensors(lambda t: t.clear()), "changes nothing"),
    "half a change": (tensors(lambda t: t.pop(FIRST)), "is incomplete"),
    "NaN": (tensors(lambda t: t[FIRST].fill_(float("nan"))), "holds NaN"),
    "another base's width": (
        tensors(lambda t: t.update({FIRST: torch.zeros(4, 48)})), "this base needs [r, 32]"
    ),
    "ranks that differ": (
        tensors(lambda t: t.update({FIRST: torch.zeros(5, 32)})), "matrices of [5, 32] and [32, 4]"
    ),
    "no rank": (tensors(lambda t: t.update({FIRST: torch.zeros(32)})), "matrices of [32]"),
    "a layer too many": (
        tensors(lambda t: t.update({FIRST.replace("layers.0", "layers.7"): t.pop(FIRST),
                                    SECOND.replace("layers.0", "layers.7"): t.pop(SECOND)})),
        "layers.7.self_attn.q_proj, which the base does not have",
    ),
    "a norm, which LoRA cannot change": (
        tensors(lambda t: t.update({
            "base_model.model.model.norm.lora_A.weight": torch.zeros(4, 32),
            "base_model.model.model.norm.lora_B.weight": torch.zeros(32, 4),
        })),
        "this base needs none",
    ),
    "a vocabulary of another size": (
        tensors(lambda t: t.update({"base_model.model.lm_head.weight": torch.zeros(500, 32)})),
        "lm_head.weight in adapter_model.safetensors fits no weight",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, base: Model, folder: Path) -> None:
    spoiled, words = REFUSED[name]
    spoiled(folder)
    with pytest.raises(ModelInvalid) as caught:
        attach(base, SPEC, folder)
    assert words in caught.value.problem.message
    assert len(caught.value.problem.message) < 500
    assert caught.value.problem.field == "adapter" or name == "config is a list"
    assert torch.equal(base.lm(IDS).logits, tiny_model("llama").lm(IDS).logits)


def test_code_and_pickles_are_refused(base: Model, folder: Path) -> None:
    edit_adapter(folder, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(ModelUnsafe, match="the key auto_map"):
        attach(base, SPEC, folder)
    edit_adapter(folder, auto_map=None)
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(ModelUnsafe, match="pickle file only"):
        attach(base, SPEC, folder)


def test_what_would_be_imported_or_matched_is_not(base: Model, folder: Path) -> None:
    """peft imports the modules that these name, and reads target_modules as a pattern."""
    edit_adapter(
        folder, target_modules="(a+)+$", exclude_modules="(a+)+$", megatron_core="evil",
        auto_mapping={"parent_library": "evil", "base_model_class": "Evil"},
    )
    assert torch.equal(attach(base, SPEC, folder).lm(IDS).logits, tuned()(IDS).logits)
    assert json.loads((folder / "adapter_config.json").read_text())["megatron_core"] == "evil"
    edit_adapter(folder, megatron_config={"a": 1})
    with pytest.raises(ModelInvalid, match="'megatron_config'"):
        attach(base, SPEC, folder)


def test_it_waits_for_a_load_that_sets_the_dtype_of_what_is_made(
    base: Model, folder: Path
) -> None:
    """from_pretrained sets torch's default dtype for a while; a draft is loaded beside adapters."""
    made: list[Model] = []
    attaching = threading.Thread(target=lambda: made.append(attach(base, SPEC, folder)))
    with ONE_LOAD_AT_A_TIME:
        torch.set_default_dtype(torch.bfloat16)
        try:
            attaching.start()
            attaching.join(0.5)
            assert attaching.is_alive() and not made
        finally:
            torch.set_default_dtype(torch.float32)
    attaching.join(60)
    assert {p.dtype for p in made[0].lm.parameters()} == {torch.float32}
