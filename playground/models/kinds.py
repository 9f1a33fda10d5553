"""Which kind of model a config.json describes, one that writes or an encoder; it reads no weights.

A causal language model writes a text on, token by token. An encoder (BERT and its kin) reads a
whole text, each token from both sides, and writes none; with a masked-language-model head it says
what stands at a hidden place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from playground.core.run import ModelSpec
from playground.errors import ModelInvalid

ModelKind = Literal["causal", "encoder"]
CAUSAL: ModelKind = "causal"
ENCODER: ModelKind = "encoder"

# The model types that transformers reads as encoders with a masked-language-model head and without
# further inputs. BART's kind writes with a decoder; XLM and Flaubert have one class for both.
ENCODER_TYPES = frozenset(
    (
        "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta",
        "deberta-v2", "distilbert", "electra", "ernie", "esm", "eurobert", "fnet", "gte",
        "ibert", "jina_embeddings_v3", "layoutlm", "longformer", "luke", "megatron-bert",
        "mobilebert", "modernbert", "mpnet", "nomic_bert", "nystromformer", "rembert",
        "roberta", "roberta-prelayernorm", "roformer", "squeezebert", "xlm-roberta",
        "xlm-roberta-xl",
    )
)


def is_encoder(config: Mapping[str, Any]) -> bool:
    """Whether this config.json is that of an encoder.

    It is one of ENCODER_TYPES, does not say ``is_decoder`` or ``is_encoder_decoder``, and none of
    its ``architectures`` is named ``…CausalLM`` or ``…LMHead…``: what was trained for another task
    (``BertForSequenceClassification``) is an encoder all the same, with another head.
    """
    if config.get("is_decoder") or config.get("is_encoder_decoder"):
        return False
    return str(config.get("model_type")) in ENCODER_TYPES and not is_said_to_write(config)


def is_said_to_write(config: Mapping[str, Any]) -> bool:
    """Whether one of its ``architectures`` is named as causal language models are."""
    return any("CausalLM" in name or "LMHead" in name for name in architectures(config))


def architectures(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a config names for its weights."""
    named = config.get("architectures")
    return tuple(map(str, named)) if isinstance(named, list) else ()


def reads_only(spec: ModelSpec) -> ModelInvalid:
    """The refusal of an encoder wherever text is to be written or scored."""
    return ModelInvalid(
        f"{spec.label} is an encoder: it reads text and writes none.", field="model",
        given=spec.repo, allowed="a base or a chat model", advice="Look at it in the Inside tab.",
    )
