"""A folder of files becomes a model, or one sentence says why not."""

from __future__ import annotations

import json
import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from playground.core.messages import LoadProgress
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, ModelInvalid, ModelNotFound, ModelUnsafe
from playground.models.lanes import RECOMPUTE, WHOLE, choose_lane
from playground.models.loading import PROVEN, assemble, load
from playground.models.reading import _CAUSAL
from tests.tiny_adapters import save_adapter
from tests.tiny_models import KINDS, byte_level_tokenizer, save, tiny_lm

SPEC = ModelSpec("some/model")


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("good"), "llama")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of a good folder, to be spoiled."""
    return Path(shutil.copytree(good, tmp_path / "model"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(value | changes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_folder_loads(kind: str, tmp_path: Path) -> None:
    heard: list[LoadProgress] = []
    model = load(SPEC, save(tmp_path, kind), progress=heard.append)
    reference = tiny_lm(kind, 400)
    card = model.card
    assert card.architecture == type(reference).__name__
    assert card.parameters == sum(p.numel() for p in reference.parameters())
    assert (card.dtype, card.device, card.context, card.vocabulary) == ("float32", "cpu", 160, 400)
    assert (card.has_chat_template, card.lane, card.notices) == (True, "batch", ())
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model.lm(ids).logits, reference.eval()(ids).logits)
    assert not model.lm.training
    assert not any(p.requires_grad for p in model.lm.parameters())
    text = "hello  there,\n\n  你 123"
    assert model.tokenizer(text).input_ids == byte_level_tokenizer()(text).input_ids
    assert [p.done for p in heard] == sorted(p.done for p in heard if p.done is not None)
    assert heard[-1].done == 1.0
    shares = [p.done for p in heard if p.detail == "reading the weights"]
    assert len(shares) > 10 and (shares[0], shares[-1]) == (0.05, pytest.approx(0.9))


def test_weights_in_16_bits_are_read_in_32_on_the_cpu(folder: Path) -> None:
    """dtype "auto" of the library follows the file; a CPU decodes fastest in fp32."""
    weights = load_file(folder / "model.safetensors")
    save_file(
        {k: v.half() for k, v in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    edit(folder, "config.json", dtype="float16")
    assert load(SPEC, folder).card.dtype == "float32"
    assert load(ModelSpec("some/model", dtype="bfloat16"), folder).card.dtype == "bfloat16"


def test_a_generation_config_is_not_obeyed_but_for_its_ids(folder: Path) -> None:
    edit(
        folder,
        "generation_config.json",
        num_beams=500,
        do_sample=True,
        temperature=0.0,
        stop_strings=["a"],
        eos_token_id=[7, 10**9],
        max_new_tokens=3,
    )
    model = load(SPEC, folder)
    config = model.lm.generation_config
    assert config.eos_token_id == [7, model.tokenizer.eos_token_id]
    assert (config.num_beams, config.do_sample, config.stop_strings) == (None, None, None)
    assert any("1000000000" in notice for notice in model.card.notices)
    assert model.card.suggested == (("do_sample", "True"), ("max_new_tokens", "3"))
    told = " ".join(model.card.notices)
    assert "Beams is 500" in told and "Temperature is 0.0" in told


def test_a_broken_generation_config_is_told(folder: Path) -> None:
    (folder / "generation_config.json").write_text("{broken")
    assert load(SPEC, folder).card.notices == ("generation_config.json cannot be read as JSON.",)


def test_a_model_without_an_end_token_is_told(folder: Path) -> None:
    edit(folder, "tokenizer_config.json", eos_token=None)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    model = load(SPEC, folder)
    assert model.lm.generation_config.eos_token_id is None
    assert any("no end token" in notice for notice in model.card.notices)


def spoil(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder, "config.json", **changes)


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never opened")


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def without_some_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in weights.items() if "layers.1" not in k}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def without_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    edit(
        folder,
        "model.safetensors.index.json",
        weight_map={"a": "model-1.safetensors", "b": "model-2.safetensors"},
    )


def with_index_outside(folder: Path) -> None:
    edit(folder, "model.safetensors.index.json", weight_map={"a": "../secret.safetensors"})


def with_tokenizer_code(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    edit(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": "t.T"})


def link_out(name: str) -> Callable[[Path], None]:
    """The file lies elsewhere, and a link to it in the folder."""

    def spoiled(folder: Path) -> None:
        outside = folder.parent / f"secret-{name}"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return spoiled


def pipe(name: str) -> Callable[[Path], None]:
    """A pipe, at which a reader would wait for ever."""

    def spoiled(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoiled


def large(name: str, count: int) -> Callable[[Path], None]:
    """So many bytes, of which the disk holds none."""

    def spoiled(folder: Path) -> None:
        with (folder / name).open("ab") as opened:
            opened.truncate(count)

    return spoiled


UNSAFE = {
    "own code in config": spoil(
        auto_map={"AutoModelForCausalLM": "modeling.Evil"}, model_type="evil"
    ),
    "own code of another repo": spoil(
        auto_map={"AutoModel": "other/repo--mod.Class"}, model_type="evil"
    ),
    "an attention kernel": spoil(_attn_implementation="attacker/kernel"),
    "an internal kernel": spoil(_attn_implementation_internal="attacker/kernel"),
    "deep inside": spoil(text_config={"sub": [{"trust_remote_code": True}]}),
    "custom generate": lambda f: edit(f, "generation_config.json", custom_generate="x/y"),
    "own tokenizer code": with_tokenizer_code,
    "pickles only": only_pickles,
}
INVALID: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "a folder without a model"),
    "config is no JSON": (
        lambda f: (f / "config.json").write_text("{"),
        "config.json cannot be read",
    ),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json holds list"),
    "config is deep": (lambda f: (f / "config.json").write_text("[" * 99999), "config.json cannot"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    "a million layers": (spoil(num_hidden_layers=10**6), "num_hidden_layers is 1000000"),
    "a wide model": (spoil(hidden_size=10**9), "hidden_size is 1000000000"),
    "wide for its files": (spoil(hidden_size=100_000), "but the files hold"),
    "a huge vocabulary": (spoil(vocab_size=10**12), "vocab_size is 1000000000000"),
    "no heads": (spoil(num_attention_heads=0), "num_attention_heads is 0"),
    "half a layer": (spoil(num_hidden_layers=1.5), "num_hidden_layers is 1.5"),
    "unknown type": (spoil(model_type="evil"), "not that of a known model"),
    "an encoder's config": (spoil(model_type="bert", architectures=["BertForMaskedLM"]), "lack"),
    "encoder and decoder": (
        spoil(model_type="t5", architectures=["T5ForConditionalGeneration"]),
        "not a causal language model",
    ),
    "another model's config": (spoil(model_type="gpt2", architectures=["GPT2LMHeadModel"]), "lack"),
    "unknown quantization": (
        spoil(quantization_config={"quant_method": "evil"}),
        "quantized in an unknown way: 'evil'",
    ),
    "an unknown rope": (spoil(rope_parameters={"rope_type": "evil"}), "evil"),
    "cut off weights": (truncated, "weights cannot be loaded"),
    "missing weights": (without_some_weights, "lack 9 of the model's weights"),
    "weights of another shape": (spoil(intermediate_size=96), "weights"),
    "no tokenizer": (without_tokenizer, "no tokenizer"),
    "a smaller embedding": (spoil(vocab_size=300), "weights"),
    "an index that points outside": (with_index_outside, "../secret.safetensors"),
    "an index with a path": (
        lambda f: edit(f, "model.safetensors.index.json", weight_map={"a": "/etc/x.safetensors"}),
        "'/etc/x.safetensors'",
    ),
    "a shard that is missing": (without_a_shard, "model-2.safetensors"),
    "an index without a map": (
        lambda f: edit(f, "model.safetensors.index.json", weight_map=[1]),
        "no weight_map",
    ),
    "an empty config": (lambda f: (f / "config.json").write_text("{}"), "config.json"),
    "far too many positions": (
        spoil(max_position_embeddings=10**9),
        "max_position_embeddings is 1000000000",
    ),
    "weights that are a link": (link_out("model.safetensors"), "model.safetensors is a link to"),
    "a config that is a link": (link_out("config.json"), "config.json is a link to a file outside"),
    "a config that is a pipe": (pipe("config.json"), "config.json is no plain file"),
    "weights that are a pipe": (pipe("model.safetensors"), "model.safetensors is no plain file"),
    "a link to nothing": (
        lambda f: (f / "vocab.json").symlink_to(f / "nothing"),
        "vocab.json cannot be opened",
    ),
    "a tokenizer of 200 MB": (
        large("tokenizer.json", 200_000_000),
        "tokenizer.json is too large to be what",
    ),
    "a template of 50 MB": (
        large("chat_template.jinja", 50_000_000),
        "chat_template.jinja is too large",
    ),
    "a config of 50 MB": (large("config.json", 50_000_000), "config.json is too large to be what"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_is_refused(name: str, folder: Path) -> None:
    UNSAFE[name](folder)
    with pytest.raises(ModelUnsafe) as caught:
        load(SPEC, folder)
    assert caught.value.problem.field == "model" and caught.value.problem.advice


@pytest.mark.parametrize("name", INVALID)
def test_what_is_no_model_is_refused(name: str, folder: Path) -> None:
    spoiled, words = INVALID[name]
    spoiled(folder)
    with pytest.raises(ModelInvalid) as caught:
        load(SPEC, folder)
    assert words in caught.value.problem.message
    assert len(caught.value.problem.message) < 500


def test_missing_weights_are_named(folder: Path) -> None:
    """BERT's config over Llama's weights once loaded, and generated from random numbers."""
    without_some_weights(folder)
    with pytest.raises(ModelInvalid, match="model.layers.1.input_layernorm.weight") as caught:
        load(SPEC, folder)
    assert caught.value.problem.message.count("model.layers.1") == 5


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    tiny_lm("llama", 300).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelInvalid, match="ids up to 399, but the model knows 300"):
        load(SPEC, tmp_path)


class Stopped(Exception):
    """The test has seen enough."""


@pytest.mark.parametrize("device", ("cpu", "cuda", "mps"))
def test_the_last_look_at_what_a_model_needs_is_for_its_device(
    device: str, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself a model has 16 bits on a GPU and 32 on most CPUs: twice the bytes."""
    asked: list[str] = []

    def needed(folder: Path, spec: ModelSpec, kind: str) -> int:
        asked.append(kind)
        raise Stopped

    monkeypatch.setattr("playground.models.loading.needed_bytes", needed)
    with pytest.raises(Stopped):
        load(SPEC, good, device)
    assert asked == [device]


def test_the_library_is_told_what_a_repo_must_not_choose(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def from_pretrained(folder: Path, **more: Any) -> Any:
        given.update(more)
        raise Stopped

    monkeypatch.setattr(
        "playground.models.reading.AutoModelForCausalLM.from_pretrained", from_pretrained
    )
    with pytest.raises(Stopped):
        load(SPEC, good)
    assert given["attn_implementation"] == "sdpa" and given["use_safetensors"] is True
    assert given["trust_remote_code"] is False and given["local_files_only"] is True
    assert given["dtype"] == torch.float32


@pytest.mark.parametrize("name", ["an attention kernel", "an internal kernel"])
def test_a_kernel_of_a_repo_is_refused_where_kernels_can_be_had(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package ``kernels`` transformers would fetch and run what a config names."""
    monkeypatch.setitem(sys.modules, "kernels", types.ModuleType("kernels"))
    UNSAFE[name](folder)
    with pytest.raises(ModelUnsafe, match="never run"):
        load(SPEC, folder)


def test_no_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no folder"):
        load(SPEC, tmp_path / "nowhere")


def test_an_unknown_device_is_refused(good: Path) -> None:
    with pytest.raises(InvalidInput, match="no device 'gpu'"):
        load(SPEC, good, device="gpu")


def test_an_adapter_is_refused_for_now(good: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(ModelSpec("some/model", adapter="x/y"), good)
    assert caught.value.problem.field == "adapter"


def test_sizes_of_each_layer_and_of_other_parts_are_no_fault(folder: Path) -> None:
    """Gemma 3n gives a list of sizes, and a config's part for images may say -1."""
    edit(folder, "config.json", vision_config={"num_key_value_heads": 0, "hidden_size": -1})
    assert load(SPEC, folder).card.lane == "batch"
    edit(folder, "config.json", vision_config={"hidden_size": [64, 10**9]})
    with pytest.raises(ModelInvalid, match="hidden_size is 1000000000"):
        load(SPEC, folder)


def test_a_native_type_is_loaded_without_the_code_that_its_repo_brings(folder: Path) -> None:
    """Phi-3 mini's config names modeling_phi3.py; transformers has had the type since 4.41."""
    (folder / "modeling_x.py").write_text("raise SystemExit('this must never be run')")
    own = {"AutoConfig": "modeling_x.X", "AutoModelForCausalLM": "modeling_x.X"}
    edit(folder, "config.json", auto_map=own)
    notices = load(SPEC, folder).card.notices
    assert any("config.json names code" in one and "It is not run" in one for one in notices)
    edit(folder, "config.json", auto_map={})
    edit(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling_x.T", None]})
    notices = load(SPEC, folder).card.notices
    assert any("tokenizer_config.json names code" in one for one in notices)


def test_the_card_says_which_commit_its_files_are_of(good: Path, tmp_path: Path) -> None:
    """Of a folder in the Hub's cache: the branch may have moved when it is run again."""
    assert load(SPEC, good).card.commit == ""
    commit = "0123456789abcdef" * 2 + "01234567"
    folder = Path(shutil.copytree(good, tmp_path / "snapshots" / commit))
    assert load(SPEC, folder).card.commit == commit


def test_keys_that_say_no_are_no_danger(folder: Path) -> None:
    edit(folder, "config.json", trust_remote_code=False, _attn_implementation=None)
    assert load(SPEC, folder).card.lane == "batch"


def test_an_adapter_inside_the_folder_is_not_put_on_unseen(folder: Path) -> None:
    """With peft installed, transformers applies one that lies beside the weights, of any kind."""
    plain = load(SPEC, folder)
    save_adapter(folder)
    model = load(SPEC, folder)
    assert torch.equal(model.lm(torch.tensor([[5]])).logits, plain.lm(torch.tensor([[5]])).logits)
    assert any("adapter too, which is not applied" in notice for notice in model.card.notices)


def test_weights_that_are_quantized_load_as_they_are_and_not_once_more(tmp_path: Path) -> None:
    """bitsandbytes signs as "bitsandbytes", a name that transformers' own table does not have, and
    so such repositories were refused as quantized in an unknown way."""
    first = load(ModelSpec("a/b", quantization="nf4"), save(tmp_path / "plain", hidden_size=64))
    quantized = tmp_path / "quantized"
    first.lm.save_pretrained(quantized)
    first.tokenizer.save_pretrained(quantized)
    again = load(SPEC, quantized)
    ids = torch.tensor([[5, 6]])
    assert torch.equal(again.lm(ids).logits, first.lm(ids).logits)
    with pytest.raises(InvalidInput, match="quantized already .bitsandbytes."):
        load(ModelSpec("some/model", quantization="int8"), quantized)


@pytest.mark.parametrize("name", sorted(PROVEN))
def test_a_proven_kind_is_known_to_transformers(name: str) -> None:
    assert name in _CAUSAL


@pytest.mark.parametrize("kind", KINDS)
def test_the_lane_that_is_taken_for_granted_is_the_one_that_a_trial_finds(kind: str) -> None:
    """The others of PROVEN are tried in test_decode_architectures."""
    lm = tiny_lm(kind, 400).eval()
    assert type(lm).__name__ in PROVEN
    assert choose_lane(lm, 400) == ("batch", "")


def without_cache(self: Any, input_ids: Any = None, attention_mask: Any = None,
                  position_ids: Any = None, memory: Any = None, **more: Any) -> Any:
    """A forward that calls its KV cache by a name that nobody knows."""
    return LlamaForCausalLM.forward(
        self, input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
        use_cache=False,
    )


def forgetful(self: Any, input_ids: Any = None, attention_mask: Any = None,
              position_ids: Any = None, cache: Any = None, **more: Any) -> Any:
    """A forward that takes a cache and reads nothing into it."""
    return without_cache(self, input_ids, attention_mask, position_ids)


@pytest.mark.parametrize(("forward", "lanes"), (
    (without_cache, (RECOMPUTE,)),
    (forgetful, (RECOMPUTE, WHOLE)),  # generate() writes the same nonsense with it
))
def test_a_proven_kind_that_forgets_what_it_read_is_not_taken_for_granted(
    forward: Any, lanes: tuple[str, ...]
) -> None:
    """transformers 5.24 renamed ``past_key_values`` to ``cache``. The old name was then left out
    as an argument that the forward does not take, weights of a proven kind were not tried, and
    every model decoded each token as if no text stood before it, without a word."""
    kind = type("LlamaForCausalLM", (LlamaForCausalLM,), {"forward": forward})
    tokenizer = byte_level_tokenizer()
    lm = tiny_lm("llama", len(tokenizer))
    lm.__class__ = kind
    card = assemble(ModelSpec("test/forgetful"), lm, tokenizer).card
    assert card.lane in lanes and card.notices


@pytest.mark.parametrize("quantization", ("nf4", "int8"))
def test_4_and_8_bits_take_less_memory(quantization: Any, tmp_path: Path) -> None:
    save(tmp_path, "llama", hidden_size=64, intermediate_size=128)
    plain = load(SPEC, tmp_path)
    small = load(ModelSpec("some/model", quantization=quantization), tmp_path)
    assert small.card.bytes < 0.75 * plain.card.bytes
    assert small.card.parameters == plain.card.parameters
    assert any("slower than float32" in notice for notice in small.card.notices)
    assert not small.card.parkable
    assert small.lm(torch.tensor([[5, 6]])).logits.isfinite().all()
