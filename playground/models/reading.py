"""Config, tokenizer and weights of a folder, as transformers reads them; it alone calls that.

No pickle is read, no code of a repo is run and no Hub is asked. It does not know what a model that
was read is good for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from playground.core.run import ModelSpec
from playground.errors import InvalidInput, ModelInvalid, OutOfMemory
from playground.models import encoder
from playground.models.kinds import CAUSAL, ENCODER, ModelKind, is_encoder
from playground.models.placement import Placement, dtype_of, quantization_of, stored_dtype
from playground.models.text import tokenize

# What transformers raises on files that make no model; its words go into the sentence.
LOAD_FAULTS = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    ImportError,
    AssertionError,
    RecursionError,
    SafetensorError,
)
_CAUSAL = {
    name
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    for name in (names if isinstance(names, tuple) else (names,))
}
# A folder may hold an adapter beside a model, and with peft installed transformers would put it on
# unseen, of whatever kind. It looks for it in this place inside the folder instead.
_NO_ADAPTER = {"adapter_kwargs": {"subfolder": "/dev/null"}}
_CLASSES: dict[ModelKind, tuple[Any, Any]] = {
    CAUSAL: (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    ENCODER: (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
}
# from_pretrained sets global state: two at once give wrong weights (transformers#44940).
ONE_LOAD_AT_A_TIME = threading.Lock()


def read_config(folder: Path, config_json: dict[str, Any]) -> tuple[Any, ModelKind]:
    """The checked config of a causal language model or of an encoder, and which of them it is."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except LOAD_FAULTS as fault:
        raise invalid("config.json is not that of a known model", fault) from None
    _check_quantized_files(config_json)
    said = {**config_json, "model_type": config.model_type}
    if is_encoder(said) and type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        return config, ENCODER
    given = config_json.get("architectures") or []
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder
    if not known or (given and not _CAUSAL.intersection(map(str, given))):
        kind = ", ".join(map(str, given)) or config.model_type
        raise ModelInvalid(
            f"{folder.name} is not a causal language model, which writes on token by token, nor "
            f"an encoder like BERT: its architecture is {kind}.",
            field="model",
            given=kind,
            allowed="a causal language model or an encoder",
        )
    return config, CAUSAL


def _check_quantized_files(config_json: Mapping[str, Any]) -> None:
    method = (config_json.get("quantization_config") or {}).get("quant_method")
    if method is not None and method not in (*AUTO_QUANTIZATION_CONFIG_MAPPING, "bitsandbytes"):
        raise ModelInvalid(
            f"The weights are quantized in an unknown way: {method!r}.", field="model"
        )


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, which turns a text into ids. Raises ModelInvalid."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except LOAD_FAULTS as fault:
        raise invalid("The tokenizer cannot be read", fault) from None
    if not tokenize(tokenizer, "The first words, 1 2 3.", add_special_tokens=False):
        raise ModelInvalid("The tokenizer turns text into nothing.", field="model")
    return tokenizer


def check_quantization(spec: ModelSpec, config_json: Mapping[str, Any]) -> None:
    """Weights that are quantized already are not quantized again."""
    told = config_json.get("quantization_config")
    if spec.quantization != "none" and told:
        method = told.get("quant_method") if isinstance(told, dict) else None
        raise InvalidInput(
            f"The files of {spec.base.repo} are quantized already ({method or 'unnamed'}).",
            field="quantization",
            given=spec.quantization,
            allowed="none",
            advice="Load it as it is, or choose the unquantized model.",
        )


def read_weights(
    spec: ModelSpec, folder: Path, config: Any, kind: ModelKind, placement: Placement
) -> Any:
    """The language model in its place, every weight of it from the files."""
    classes, auto = _CLASSES[kind]
    made: Any = classes[type(config)]
    made = made[0] if isinstance(made, tuple | list) else made
    device = placement.device
    dtype = dtype_of(spec, device, stored_dtype(folder))
    extra: dict[str, Any] = {}
    if device.type != "cpu":  # straight to where they go, without all of them in host memory
        extra |= placement.arguments
    if spec.quantization != "none":
        extra |= placement.arguments | {"quantization_config": quantization_of(spec, dtype)}
    try:
        loaded: Any = auto.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            # Always ours: a config may name an implementation, and that names code.
            attn_implementation="sdpa" if getattr(made, "_supports_sdpa", False) else "eager",
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **_NO_ADAPTER,
            **extra,
        )
        lm, info = loaded
    except (torch.OutOfMemoryError, MemoryError):
        raise too_big(spec, device) from None
    except LOAD_FAULTS as fault:
        raise invalid("The weights cannot be loaded", fault) from None
    if {"cpu", "disk"} & {str(place) for place in getattr(lm, "hf_device_map", {}).values()} and (
        device.type != "cpu"
    ):
        raise too_big(spec, device)
    missing = sorted(info["missing_keys"])
    if kind == ENCODER:
        lm, missing = encoder.with_its_own_head(lm, missing)
    missing += sorted(str(m) for m in info.get("mismatched_keys", ()))
    if missing:
        raise ModelInvalid(
            f"The files lack {len(missing)} of the model's weights, so it would "
            f"{'write' if kind == CAUSAL else 'show'} nonsense: "
            f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
            field="model",
        )
    return lm


def too_big(spec: ModelSpec, device: torch.device) -> OutOfMemory:
    """The sentence for memory that ended while a model was loaded."""
    return OutOfMemory(
        f"There is not enough memory on {device} for {spec.label}.",
        field="model",
        advice="Choose a smaller model, or load it in 4 bits.",
    )


def invalid(what: str, fault: BaseException, field: str = "model") -> ModelInvalid:
    """A sentence with the first line of the library's own words."""
    words = (str(fault).strip().splitlines() or [""])[0][:200]
    return ModelInvalid(f"{what} ({words or type(fault).__name__}).", field=field)
