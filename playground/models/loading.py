"""From files to a ``Model``: checks before it trusts, then loads; it knows no Hub and no prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils import logging as transformers_log

from playground.core.messages import LoadProgress, ModelCard
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, ModelInvalid, OutOfMemory
from playground.models.checks import check_folder, read_json
from playground.models.lanes import choose_lane
from playground.models.placement import device_of, dtype_of, quantization_of
from playground.models.text import tokenize

# What transformers raises on files that make no model; its words go into the sentence.
_LOAD_FAULTS = (
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
# from_pretrained sets global state: two at once give wrong weights (transformers#44940).
_ONE_LOAD_AT_A_TIME = threading.Lock()
_SMALL = 20_000_000  # parameters; below, a second thread costs more than it gives
_THREADS = torch.get_num_threads()  # what torch chose for this machine


@dataclass(frozen=True)
class Model:
    """A loaded model: its spec, weights, tokenizer, and what is known of it."""

    spec: ModelSpec
    lm: Any
    tokenizer: Any
    card: ModelCard


def load(
    spec: ModelSpec,
    folder: str | Path,
    device: str = "auto",
    progress: Callable[[LoadProgress], None] | None = None,
) -> Model:
    """Load the model whose files lie in ``folder``.

    Raises ModelNotFound, ModelUnsafe, ModelInvalid, InvalidInput or OutOfMemory, in sentences.
    """
    tell = progress or (lambda _: None)
    where = Path(folder)
    tell(LoadProgress(0.0, "checking the files"))
    config_json = check_folder(where)
    if spec.adapter:
        raise InvalidInput("Adapters cannot be loaded yet.", field="adapter", given=spec.adapter)
    with _ONE_LOAD_AT_A_TIME:
        transformers_log.disable_progress_bar()  # ``progress`` is told; the terminal is the app's
        config = _config(where, config_json)
        tell(LoadProgress(0.05, "reading the tokenizer"))
        tokenizer = _tokenizer(where)
        tell(LoadProgress(0.15, "reading the weights"))
        lm = _weights(spec, where, config, device_of(device))
    tell(LoadProgress(0.9, "trying it out"))
    try:
        suggested = read_json(where, "generation_config.json") or {}
        notices: list[str] = []
    except ModelInvalid as problem:
        suggested, notices = {}, [problem.problem.message]
    model = assemble(spec, lm, tokenizer, suggested, notices)
    tell(LoadProgress(1.0, "ready"))
    return model


def assemble(
    spec: ModelSpec,
    lm: Any,
    tokenizer: Any,
    suggested: dict[str, Any] | None = None,
    notices: list[str] | None = None,
) -> Model:
    """A ``Model`` of loaded weights and a tokenizer, checked against each other.

    ``suggested`` is the repository's generation_config: only its end, begin and padding ids are
    taken, and only where they are ids of this vocabulary. Raises ModelInvalid.
    """
    notices = list(notices or [])
    lm.eval().requires_grad_(False)
    rows = lm.get_input_embeddings().weight.shape[0]
    _check_vocabulary(tokenizer, rows)
    lm.generation_config = _generation_config(lm, tokenizer, suggested or {}, rows, notices)
    parameters = sum(p.numel() for p in lm.parameters())
    torch.set_num_threads(1 if parameters < _SMALL else _THREADS)
    try:
        lane, why = choose_lane(lm, rows)
    except (torch.OutOfMemoryError, MemoryError):
        raise _too_big(spec, lm.device) from None
    except _LOAD_FAULTS as fault:
        raise _invalid("The model cannot read a text", fault) from None
    if why:
        notices.append(why)
    card = ModelCard(
        spec=spec,
        architecture=type(lm).__name__,
        parameters=parameters,
        bytes=int(lm.get_memory_footprint()),
        dtype=str(lm.dtype).removeprefix("torch."),
        device=str(lm.device),
        context=context_of(lm.config),
        vocabulary=rows,
        has_chat_template=bool(tokenizer.chat_template),
        lane=lane,
        notices=tuple(notices),
    )
    return Model(spec, lm, tokenizer, card)


def context_of(config: Any) -> int:
    """How many tokens the model was built to read; 2048 where its config does not say."""
    text = config.get_text_config(decoder=True)
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
    found = [getattr(text, name, None) for name in names]
    return next((n for n in found if isinstance(n, int) and n > 0), 2048)


def _config(folder: Path, config_json: dict[str, Any]) -> Any:
    """The checked config of a causal language model."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except _LOAD_FAULTS as fault:
        raise _invalid("config.json is not that of a known model", fault) from None
    given = config_json.get("architectures") or []
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder
    if not known or (given and not _CAUSAL.intersection(map(str, given))):
        kind = ", ".join(map(str, given)) or config.model_type
        raise ModelInvalid(
            f"{folder.name} is not a causal language model, which writes on token by token: "
            f"its architecture is {kind}.",
            field="model",
            given=kind,
            allowed="a causal language model",
        )
    method = (config_json.get("quantization_config") or {}).get("quant_method")
    if method is not None and method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        raise ModelInvalid(
            f"The weights are quantized in an unknown way: {method!r}.", field="model"
        )
    return config


def _tokenizer(folder: Path) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except _LOAD_FAULTS as fault:
        raise _invalid("The tokenizer cannot be read", fault) from None
    if not tokenize(tokenizer, "The first words, 1 2 3.", add_special_tokens=False):
        raise ModelInvalid("The tokenizer turns text into nothing.", field="model")
    return tokenizer


def _weights(spec: ModelSpec, folder: Path, config: Any, device: torch.device) -> Any:
    """The language model on its device, every weight of it from the files."""
    kind: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    kind = kind[0] if isinstance(kind, tuple | list) else kind
    extra: dict[str, Any] = {}
    if spec.quantization != "none":
        extra = {"quantization_config": quantization_of(spec, device), "device_map": {"": device}}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype_of(spec, device),
            # Always ours: a config may name an implementation, and that names code.
            attn_implementation="sdpa" if getattr(kind, "_supports_sdpa", False) else "eager",
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **extra,
        )
        lm, info = loaded
        if not extra:
            lm = lm.to(device)
    except (torch.OutOfMemoryError, MemoryError):
        raise _too_big(spec, device) from None
    except _LOAD_FAULTS as fault:
        raise _invalid("The weights cannot be loaded", fault) from None
    missing = sorted(info["missing_keys"]) + sorted(str(m) for m in info.get("mismatched_keys", ()))
    if missing:
        raise ModelInvalid(
            f"The files lack {len(missing)} of the model's weights, so it would write nonsense: "
            f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
            field="model",
        )
    return lm


def _check_vocabulary(tokenizer: Any, rows: int) -> None:
    """An id without a row in the embedding reads past its end; on CUDA that ends the process."""
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise ModelInvalid(
            f"The tokenizer has ids up to {largest}, but the model knows {rows} tokens only.",
            field="model",
            given=largest,
            allowed=f"0 to {rows - 1}",
        )


def _generation_config(
    lm: Any, tokenizer: Any, suggested: dict[str, Any], rows: int, notices: list[str]
) -> GenerationConfig:
    """A fresh config with checked ids and nothing else that a repository suggests."""
    sources = (suggested, lm.config.get_text_config(decoder=True).to_dict())

    def ids(name: str) -> list[int]:
        found: list[int] = []
        for source in sources:
            value = source.get(name)
            for id in value if isinstance(value, list) else [value]:
                if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < rows:
                    found.append(id)
                elif id is not None:
                    notices.append(f"{name} {id!r} is not an id of this model and is left out.")
            if found:
                break
        own = getattr(tokenizer, name)
        return list(dict.fromkeys([*found, *([own] if own is not None else [])]))

    ends, pads, begins = ids("eos_token_id"), ids("pad_token_id"), ids("bos_token_id")
    if not ends:
        notices.append("The model names no end token: it always writes up to the token limit.")
    return GenerationConfig(
        eos_token_id=ends or None,
        pad_token_id=(pads or ends or [0])[0],
        bos_token_id=begins[0] if begins else None,
    )


def _too_big(spec: ModelSpec, device: torch.device) -> OutOfMemory:
    return OutOfMemory(
        f"There is not enough memory on {device} for {spec.label}.",
        field="model",
        advice="Choose a smaller model, or load it in 4 bits.",
    )


def _invalid(what: str, fault: BaseException) -> ModelInvalid:
    """A sentence with the first line of the library's own words."""
    words = (str(fault).strip().splitlines() or [""])[0][:200]
    return ModelInvalid(f"{what} ({words or type(fault).__name__}).", field="model")
