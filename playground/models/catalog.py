"""The models we know of, and what we know of each before it is loaded; it loads none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playground.core.run import Dtype, ModelSpec, Quantization
from playground.models import footprint
from playground.models.context import context_of
from playground.models.hub_cache import Kind, cached
from playground.models.weights import of_config

# A text that is a path, whether or not it is there.

BUILTIN = Path(__file__).resolve().parent / "builtin"

WAYS: dict[str, tuple[Dtype, Quantization]] = {
    "bf16": ("bfloat16", "none"), "int8": ("bfloat16", "int8"), "nf4": ("bfloat16", "nf4"),
}


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model as the list shows it; ``config`` are the sizes in its repo's config.json, from
    which everything else is counted, and ``note`` is one plain line. ``base`` is the repo of the
    model that a chat model was trained on from, in the catalog or not."""

    repo: str
    kind: Kind = "unknown"
    licence: str = ""
    gated: bool = False
    note: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    base: str = ""

    @property
    def parameters(self) -> int:
        """How many numbers its weights are; 0 where that is not known."""
        return of_config(self.config).parameters if self.config else 0

    @property
    def context(self) -> int:
        """How many tokens it was built to read; 0 where that is not known."""
        return context_of(self.config) if self.config else 0

    @property
    def decodes(self) -> bool:
        """Whether it writes text; an encoder only reads it."""
        return self.kind != "encoder"

    def needs(self, way: str, context: int | None = None) -> footprint.Footprint | None:
        """What it takes in memory, loaded as one of WAYS; None where its sizes are not known."""
        if not self.config:
            return None
        dtype, quantization = WAYS[way]
        spec = ModelSpec(self.repo, dtype=dtype, quantization=quantization)
        return footprint.of(of_config(self.config), self.config, spec, context)


def _sizes(
    type_: str, hidden: int, inner: int, layers: int, heads: int, shared: int, words: int,
    context: int, tied: bool = True, **more: Any,
) -> dict[str, Any]:
    """The sizes of a config.json, in its own words; ``shared`` are the key-value heads."""
    return {
        "model_type": type_, "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": shared,
        "vocab_size": words, "max_position_embeddings": context, "tie_word_embeddings": tied,
        **more,
    }


_APACHE = "apache-2.0"
_TINY = _sizes("qwen2", 192, 512, 5, 6, 2, 4096, 512)
_BERT: dict[str, Any] = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
_QWEN25_HALF = _sizes("qwen2", 896, 4864, 24, 14, 2, 151936, 32768)
_LLAMA32_1B = _sizes("llama", 2048, 8192, 16, 32, 8, 128256, 131072, head_dim=64)
_GEMMA: dict[str, Any] = {"head_dim": 256, "sliding_window": 512, "sliding_window_pattern": 6}
_ASK = "Gated: accept its terms on the Hub, then `hf auth login`."

# The sizes of every entry are those of the config.json in its repo.
CATALOG = {
    entry.repo: entry
    for entry in (
        CatalogEntry(
            "builtin/tiny-chat", "chat", _APACHE, config=_TINY,
            note="A tiny chat model that comes with the playground: quick, and often wrong.",
            base="builtin/tiny-base",
        ),
        CatalogEntry(
            "builtin/tiny-base", "base", _APACHE, config=_TINY,
            note="A tiny base model that comes with the playground: it continues text.",
        ),
        CatalogEntry(
            "builtin/tiny-encoder", "encoder", _APACHE,
            note="A tiny encoder that comes with the playground: it reads text and writes none, "
            "and tells the two senses of fifteen words apart.",
            config=_BERT | {
                "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
                "intermediate_size": 384, "vocab_size": 4096, "max_position_embeddings": 128,
                "type_vocab_size": 1,
            },
        ),
        CatalogEntry(
            "Qwen/Qwen2.5-0.5B-Instruct", "chat", _APACHE, config=_QWEN25_HALF,
            note="Small, many languages, follows a system prompt.",
            base="Qwen/Qwen2.5-0.5B",
        ),
        CatalogEntry(
            "Qwen/Qwen2.5-0.5B", "base", _APACHE, config=_QWEN25_HALF,
            note="The base model behind Qwen2.5-0.5B-Instruct, to compare with it.",
        ),
        CatalogEntry(
            "Qwen/Qwen1.5-0.5B", "base", "tongyi-qianwen-research",
            note="An older base model, for research only.",
            config=_sizes("qwen2", 1024, 2816, 24, 16, 16, 151936, 32768),
        ),
        CatalogEntry(
            "microsoft/Phi-3-mini-4k-instruct", "chat", "mit",
            note="Large for a CPU. Its repo brings code of its own, which is not run.",
            config=_sizes("phi3", 3072, 8192, 32, 32, 32, 32064, 4096, False, sliding_window=2047),
        ),
        CatalogEntry(
            "openai-community/gpt2", "base", "mit",
            note="GPT-2 of 2019, English: it continues text and knows no chat.",
            config={"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12,
                    "n_positions": 1024, "vocab_size": 50257},
        ),
        CatalogEntry(
            "distilbert/distilgpt2", "base", _APACHE,
            note="GPT-2 made half as deep by distillation.",
            config={"model_type": "gpt2", "n_embd": 768, "n_layer": 6, "n_head": 12,
                    "n_positions": 1024, "vocab_size": 50257},
        ),
        CatalogEntry(
            "google-bert/bert-base-uncased", "encoder", _APACHE,
            note="An encoder: it reads text and writes none. For views inside a model.",
            config=_BERT | {
                "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "vocab_size": 30522, "max_position_embeddings": 512,
                "type_vocab_size": 2,
            },
        ),
        CatalogEntry(
            "HuggingFaceTB/SmolLM2-135M-Instruct", "chat", _APACHE,
            note="The smallest chat model here that was trained on real text; English.",
            config=_sizes("llama", 576, 1536, 30, 9, 3, 49152, 8192),
            base="HuggingFaceTB/SmolLM2-135M",
        ),
        CatalogEntry(
            "HuggingFaceTB/SmolLM2-360M-Instruct", "chat", _APACHE, note="English.",
            config=_sizes("llama", 960, 2560, 32, 15, 5, 49152, 8192),
            base="HuggingFaceTB/SmolLM2-360M",
        ),
        CatalogEntry(
            "HuggingFaceTB/SmolLM2-1.7B-Instruct", "chat", _APACHE, note="English.",
            config=_sizes("llama", 2048, 8192, 24, 32, 32, 49152, 8192),
            base="HuggingFaceTB/SmolLM2-1.7B",
        ),
        CatalogEntry(
            "HuggingFaceTB/SmolLM3-3B", "chat", _APACHE,
            note="Six languages; thinks before it answers, unless told not to.",
            config=_sizes("smollm3", 2048, 11008, 36, 16, 4, 128256, 65536),
            base="HuggingFaceTB/SmolLM3-3B-Base",
        ),
        CatalogEntry(
            "Qwen/Qwen3-0.6B", "chat", _APACHE,
            note="Many languages; thinks before it answers, unless told not to.",
            config=_sizes("qwen3", 1024, 3072, 28, 16, 8, 151936, 40960, head_dim=128),
            base="Qwen/Qwen3-0.6B-Base",
        ),
        CatalogEntry(
            "Qwen/Qwen3-0.6B-Base", "base", _APACHE, note="The base model behind Qwen3-0.6B.",
            config=_sizes("qwen3", 1024, 3072, 28, 16, 8, 151936, 32768, head_dim=128),
        ),
        CatalogEntry(
            "Qwen/Qwen3-1.7B", "chat", _APACHE,
            note="Many languages; thinks before it answers, unless told not to.",
            config=_sizes("qwen3", 2048, 6144, 28, 16, 8, 151936, 40960, head_dim=128),
            base="Qwen/Qwen3-1.7B-Base",
        ),
        CatalogEntry(
            "meta-llama/Llama-3.2-1B-Instruct", "chat", "llama3.2", True, _ASK, _LLAMA32_1B,
            base="meta-llama/Llama-3.2-1B",
        ),
        CatalogEntry("meta-llama/Llama-3.2-1B", "base", "llama3.2", True, _ASK, _LLAMA32_1B),
        CatalogEntry(
            "google/gemma-3-270m-it", "chat", "gemma", True, _ASK,
            _sizes("gemma3_text", 640, 2048, 18, 4, 1, 262144, 32768, **_GEMMA),
            base="google/gemma-3-270m",
        ),
        CatalogEntry(
            "google/gemma-3-1b-it", "chat", "gemma", True, _ASK,
            _sizes("gemma3_text", 1152, 6912, 26, 4, 1, 262144, 32768, **_GEMMA),
            base="google/gemma-3-1b-pt",
        ),
        CatalogEntry(
            "allenai/OLMo-2-0425-1B-Instruct", "chat", _APACHE,
            note="Its data and training are open too; English.",
            config=_sizes("olmo2", 2048, 8192, 16, 16, 16, 100352, 4096, False),
            base="allenai/OLMo-2-0425-1B",
        ),
        CatalogEntry(
            "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "chat", _APACHE, note="Llama 2's shape, English.",
            config=_sizes("llama", 2048, 5632, 22, 32, 4, 32000, 2048, False),
        ),
        CatalogEntry(
            "EleutherAI/pythia-160m", "base", _APACHE, note="Made for studying how models learn.",
            config=_sizes("gpt_neox", 768, 3072, 12, 12, 12, 50304, 2048, False),
        ),
        CatalogEntry(
            "EleutherAI/pythia-410m", "base", _APACHE, note="Made for studying how models learn.",
            config=_sizes("gpt_neox", 1024, 4096, 24, 16, 16, 50304, 2048, False),
        ),
        CatalogEntry(
            "ibm-granite/granite-3.3-2b-instruct", "chat", _APACHE, note="Twelve languages.",
            config=_sizes("granite", 2048, 8192, 40, 32, 8, 49159, 131072),
            base="ibm-granite/granite-3.3-2b-base",
        ),
        CatalogEntry(
            "microsoft/Phi-4-mini-instruct", "chat", "mit",
            note="Large for a CPU. Its repo brings code of its own, which is not run.",
            config=_sizes("phi3", 3072, 8192, 32, 24, 8, 200064, 131072),
        ),
    )
}

# Names that the Hub still answers to.
_FORMER = {
    "gpt2": "openai-community/gpt2", "distilgpt2": "distilbert/distilgpt2",
    "bert-base-uncased": "google-bert/bert-base-uncased",
}


def entry(repo: str) -> CatalogEntry:
    """What is known of ``repo``; for an id that is not in the catalog, nothing but its name."""
    return CATALOG.get(_FORMER.get(repo, repo)) or CatalogEntry(repo)


def base_of(repo: str) -> str:
    """The model behind a chat model; empty where none is known."""
    return entry(repo).base


def chat_of(repo: str) -> str:
    """The chat model that was made from a base model; empty where none is known."""
    return next((one.repo for one in CATALOG.values() if one.base and one.base == entry(repo).repo),
                "")


def choices(offered: Collection[str], any_model: bool) -> tuple[CatalogEntry, ...]:
    """The models to pick from: those ``offered``, and where a visitor may load any, the catalog and
    what lies in the Hub's cache on this machine. Quick; encoders are among them."""
    found = {repo: entry(repo) for repo in offered}
    if any_model:
        found |= {repo: known for repo, known in CATALOG.items() if repo not in found}
        for model in cached():
            found.setdefault(model.repo, CatalogEntry(model.repo, model.kind))
    return tuple(found.values())
