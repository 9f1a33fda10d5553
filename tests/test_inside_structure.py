"""Laws of the module tree: each tensor once, sums by hand, shapes as they really flow."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

from playground.core.inspection import Finding, Inspection
from playground.core.module_notes import note_of
from playground.core.prompt import Raw
from playground.core.run import ModelSpec
from playground.core.structure import (
    Heads,
    Part,
    Shapes,
    ShapesFound,
    Structure,
    StructureFound,
    spine,
)
from playground.errors import Problem
from playground.inside.inspector import Inspector
from playground.inside.shapes import MOST_TOKENS, _listening
from playground.inside.structure import bare_of, tree_of
from playground.models.loading import Model, parameters_of
from playground.ui.section import Subject
from playground.ui.structure_section import _asks, show
from tests.architectures import CORE, VOCABULARY, tiny
from tests.tiny_models import tiny_model

TEXT = Raw("The capital of France is")


def look(model: Model, request: Inspection[Any]) -> Finding | Problem:
    """What a look finds, with nobody beside it."""
    inspector = Inspector(model)
    inspector.join(1, request)
    while inspector.busy:
        if (told := inspector.step()) is not None:
            return told[1]
    raise AssertionError("the look ended without a word")


def by_path(tree: Part) -> dict[str, Part]:
    return dict(tree.walk())


@pytest.mark.parametrize("kind", CORE)
def test_the_tree_sums_up_to_the_model(kind: str) -> None:
    """On every core architecture: parameters and bytes are those of its card, the head is what the
    bare model lacks, and each module that print shows is in the tree."""
    lm = tiny(kind)
    tree, bare = tree_of(lm), bare_of(lm)
    assert tree.parameters == parameters_of(lm)
    assert tree.bytes == lm.get_memory_footprint()
    assert bare is not None
    assert tree.parameters - bare.parameters == sum(one.parameters for one in bare.beyond)
    assert tree.bytes - bare.bytes == sum(one.bytes for one in bare.beyond)
    printed = str(lm).splitlines()
    assert len(by_path(tree)) == sum(line.strip() != ")" for line in printed)
    roles = [part.role for part in by_path(tree).values()]
    once = ("whole", "base", "layers", "embedding", "head")
    assert [roles.count(role) for role in once] == [1] * 5


def test_a_llama_is_counted_by_hand() -> None:
    """400 tokens, width 32, four query heads and two key-value heads of 8, MLP of 48, two layers:
    embeddings 400·32; a layer 32·32 + 2·32·16 + 32·32 + 3·32·48 + 2·32; norm 32; head 400·32."""
    parts = by_path(tree_of(tiny("llama")))
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48 + 2 * 32
    assert layer == 7744
    layers = parts["model.layers.0"]
    assert (layers.name, layers.count, layers.parameters) == ("0-1", 2, 2 * layer)
    assert parts["model.layers.0.self_attn.k_proj"].parameters == 32 * 16
    assert parts[""].parameters == 400 * 32 + 2 * layer + 32 + 400 * 32 == 41_120
    # The rotary frequencies, 4 numbers twice, are buffers: bytes without being parameters.
    assert parts[""].bytes == 4 * (41_120 + 8)
    assert parts["model.rotary_emb"].parameters == 0


def test_tied_weights_are_counted_once_and_say_whose_they_are() -> None:
    model = tiny_model("qwen2")
    found = look(model, Structure())
    assert isinstance(found, StructureFound)
    head = by_path(found.tree)["lm_head"]
    assert [w.same_as for w in head.weights] == ["model.embed_tokens.weight"]
    assert (head.parameters, head.bytes) == (0, 0)
    assert found.tree.parameters == model.card.parameters
    assert found.tree.bytes == model.card.bytes
    assert found.bare is not None and found.bare.parameters == found.tree.parameters
    assert [(b.path, b.bytes, b.same_as) for b in found.bare.beyond] == [
        ("lm_head", 0, "model.embed_tokens.weight")
    ]
    assert found.printed == str(model.lm)


def test_only_equal_neighbours_are_folded() -> None:
    """Qwen3.5's two layers differ; of four linear maps the two in the middle are equal."""
    parts = by_path(tree_of(tiny("qwen3_5_text")))
    assert {"model.layers.0", "model.layers.1"} <= set(parts)
    maps = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)])
    lm = tiny("llama")
    lm.more = maps
    more = by_path(tree_of(lm))["more"]
    assert [(p.name, p.count, p.parameters) for p in more.parts] == [
        ("0", 1, 9), ("1-2", 2, 24), ("3", 1, 8)
    ]


def test_numbers_of_four_bits_lie_two_in_a_byte() -> None:
    """As bitsandbytes keeps them: 32 bytes are 64 parameters, their scales lie beside."""
    lm = tiny("llama")
    packed = nn.Parameter(torch.zeros(32, 1, dtype=torch.uint8), requires_grad=False)
    packed.quant_state = type("State", (), {"absmax": torch.zeros(4)})()  # type: ignore[attr-defined]
    lm.model.layers[0].mlp.gate_proj.weight = packed
    weight = by_path(tree_of(lm))["model.layers.0.mlp.gate_proj"].weights[0]
    assert (weight.numbers, weight.bytes, weight.extra) == (64, 32, 16)
    assert tree_of(lm).parameters == parameters_of(lm)


@pytest.mark.parametrize("kind", CORE)
def test_shapes_flow_from_ids_to_logits(kind: str) -> None:
    """The hooks hear [1, 6] go in and [1, 6, 400] come out, change nothing, and are gone after."""
    lm = tiny(kind)
    ids = torch.arange(20, 26)[None]
    with torch.inference_mode():
        before = lm(input_ids=ids, use_cache=False).logits
        with _listening(lm) as heard:
            assert torch.equal(lm(input_ids=ids, use_cache=False).logits, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.modules())
    shapes = {path: one for one in heard for path in one.paths}
    assert shapes[""].gave[-1] == (1, 6, VOCABULARY)
    parts = by_path(tree_of(lm))
    for role, given, gave in (("embedding", (1, 6), (1, 6, 32)), ("head", (1, 6, 32), (1, 6, 400))):
        path = next(path for path, part in parts.items() if part.role == role)
        assert (shapes[path].given[0], shapes[path].gave[0]) == (given, gave)


def test_the_way_of_a_text_is_told_in_order() -> None:
    model = tiny_model("qwen2")
    found = look(model, Shapes(TEXT))
    assert isinstance(found, ShapesFound)
    tokens = len(model.tokenizer(TEXT.text)["input_ids"])
    assert found.tokens == found.read == tokens
    way = [(path, flow.gave[0]) for path, _, flow in spine(tree_of(model.lm), found)]
    rotary = ("model.rotary_emb", (1, tokens, 8))
    assert [step for step in way if step != rotary] == [
        ("model.embed_tokens", (1, tokens, 32)),
        ("model.layers.0", (1, tokens, 32)),
        ("model.norm", (1, tokens, 32)),
        ("lm_head", (1, tokens, model.card.vocabulary)),
    ]
    heads = {flow.path.rpartition(".")[2]: flow.heads for flow in found.flows if flow.heads}
    assert heads == {
        "q_proj": (Heads("query", 4, 8),),
        "k_proj": (Heads("key", 2, 8, shared=2),),
        "v_proj": (Heads("value", 2, 8, shared=2),),
    }


def test_a_fused_projection_falls_into_three() -> None:
    found = look(tiny_model("gpt2"), Shapes(TEXT))
    assert isinstance(found, ShapesFound)
    fused = next(flow for flow in found.flows if flow.path == "transformer.h.0.attn.c_attn")
    assert fused.gave[0][-1] == 96
    assert fused.heads == tuple(Heads(what, 4, 8) for what in ("query", "key", "value"))


def test_of_a_long_text_the_first_tokens_are_read() -> None:
    found = look(tiny_model("llama", max_position_embeddings=2048), Shapes(Raw("one two " * 300)))
    assert isinstance(found, ShapesFound)
    assert found.tokens > found.read == MOST_TOKENS
    assert found.flows[0].gave[-1][1] == MOST_TOKENS


NOTES = {
    ("q_proj", "Linear", "LlamaAttention"): "query",
    ("c_attn", "Conv1D", "GPT2Attention"): "lies the other way round",
    ("c_proj", "Conv1D", "GPT2Attention"): "Mixes what the heads found",
    ("c_proj", "Conv1D", "GPT2MLP"): "back into the width",
    ("down_proj", "Linear4bit", "LlamaMLP"): "kept in 4 bits",
    ("o_proj", "Linear8bitLt", "LlamaAttention"): "kept in 8 bits",
    ("norm", "Qwen2RMSNorm", "Qwen2Model"): "final norm",
    ("input_layernorm", "Qwen3MoeRMSNorm", "Qwen3MoeDecoderLayer"): "root mean square",
    ("mlp", "Qwen3MoeSparseMoeBlock", "Qwen3MoeDecoderLayer"): "mixture of experts",
    ("gate", "MixtralTopKRouter", "MixtralSparseMoeBlock"): "router",
    ("mixer", "MambaMixer", "MambaBlock"): "state-space",
    ("rotary_emb", "LlamaRotaryEmbedding", "LlamaModel"): "cosine and sine",
    ("base_layer", "Linear", "Linear"): "the adapter leaves as they are",
    ("foo", "FooBar", "FooModel"): "FooBar is a kind of module that this page has no sentence for",
}


@pytest.mark.parametrize(("module", "words"), NOTES.items())
def test_each_kind_of_module_has_its_sentence(module: tuple[str, str, str], words: str) -> None:
    name, kind, within = module
    assert words in note_of(Part(name, kind, "", "", (), ()), within)


def test_no_module_of_the_core_architectures_is_unknown() -> None:
    bert = BertForMaskedLM(BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48,
    ))
    for lm in (*map(tiny, ("llama", "gpt2", "mamba", "mixtral", "bart", "deepseek_v3")), bert):
        within = {"": ""}
        for path, part in tree_of(lm).walk():
            assert "no sentence" not in note_of(part, within.get(path.rpartition(".")[0], ""))
            within[path] = part.kind


def test_without_a_text_the_tree_alone_is_asked_for() -> None:
    spec = ModelSpec("builtin/tiny-base")
    asked = partial(_asks, values=())
    assert [type(a.request) for a in asked(Subject(spec, None))] == [Structure]
    assert [type(a.request) for a in asked(Subject(spec, TEXT))] == [Structure, Shapes]
    assert Structure.quick and not Shapes.quick


def test_the_tree_is_shown_before_its_shapes() -> None:
    model = tiny_model("qwen2")
    tree, shapes = look(model, Structure()), look(model, Shapes(TEXT))
    assert isinstance(tree, StructureFound) and isinstance(shapes, ShapesFound)
    first = json.loads(show([tree, "reading"]))
    assert first["found"]["shapes"] is None and first["waits"]
    last = json.loads(show([tree, shapes]))
    assert last["waits"] == "" and last["found"]["tree"] == first["found"]["tree"]
    flow = last["found"]["shapes"]["flows"]["lm_head"]
    assert flow["gave"] == [str([1, shapes.read, model.card.vocabulary])]
    assert json.loads(show(["reading", "later"]))["found"] is None
