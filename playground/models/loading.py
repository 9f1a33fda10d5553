"""From files to a ``Model``: checks before it trusts, then loads; it knows no Hub and no prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    GenerationMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils import logging as transformers_log

from playground.core.kept import Kept
from playground.core.messages import LoadProgress, ModelCard
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, ModelInvalid, OutOfMemory
from playground.models import encoder
from playground.models.checks import check_folder, notice_of_own_code, read_json
from playground.models.context import kept_of
from playground.models.footprint import needed_bytes
from playground.models.hub_cache import commit_of
from playground.models.kinds import CAUSAL, ENCODER, ModelKind, is_encoder, reads_only
from playground.models.lanes import (
    BATCH,
    NONE,
    RECOMPUTE,
    choose_lane,
    remembers,
    rotates_by_length,
    sees_ahead,
)
from playground.models.parking import can_park
from playground.models.placement import (
    Placement,
    device_of,
    dtype_of,
    placement_of,
    quantization_of,
    slower,
    stored_dtype,
)
from playground.models.progress import weights_counted
from playground.models.suggestions import generation_config, suggested_settings
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
# That these share batches is held by tests, so that a load need not spend a dozen forwards on it.
PROVEN = frozenset(
    f"{name}ForCausalLM"
    for name in (
        "Gemma", "Gemma2", "Gemma3", "GPTNeoX", "Granite", "Llama", "Mistral", "Olmo2", "Phi",
        "Phi3", "Qwen2", "Qwen3", "SmolLM3", "StableLm",
    )
) | {"GPT2LMHeadModel"}
# A folder may hold an adapter beside a model, and with peft installed transformers would put it on
# unseen, of whatever kind. It looks for it in this place inside the folder instead.
_NO_ADAPTER = {"adapter_kwargs": {"subfolder": "/dev/null"}}
_SEES_AHEAD = (
    "Its config.json does not say is_decoder, so each token sees those behind it, as in an "
    "encoder. It has hardly learnt to write on from a beginning: expect nonsense."
)
_CLASSES: dict[ModelKind, tuple[Any, Any]] = {
    CAUSAL: (MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM),
    ENCODER: (MODEL_FOR_MASKED_LM_MAPPING, AutoModelForMaskedLM),
}
# from_pretrained sets global state: two at once give wrong weights (transformers#44940).
ONE_LOAD_AT_A_TIME = threading.Lock()
_SMALL = 20_000_000  # parameters; below, a second thread costs more than it gives
_THREADS = torch.get_num_threads()  # what torch chose for this machine


@dataclass(frozen=True)
class Model:
    """A loaded model: its spec, weights, tokenizer, and what is known of it.

    ``lm`` is a causal language model. Of an encoder (``card.kind``) it is the masked language
    model, or the encoder alone where the files hold no such head.
    """

    spec: ModelSpec
    lm: Any
    tokenizer: Any
    card: ModelCard

    @property
    def ends(self) -> tuple[int, ...]:
        """The checked end tokens: each ends a text; an encoder has none."""
        if self.card.kind == ENCODER:
            return ()
        eos = self.lm.generation_config.eos_token_id
        return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)

    def check_decodes(self) -> None:
        """Raise ModelInvalid for an encoder, which writes no text and scores none."""
        if self.card.kind == ENCODER:
            raise reads_only(self.spec)


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
    if spec.adapter:
        raise InvalidInput("An adapter is put on its loaded base.", field="adapter")
    tell(LoadProgress(0.0, "checking the files"))
    config_json = check_folder(where)
    with ONE_LOAD_AT_A_TIME:
        transformers_log.disable_progress_bar()  # ``progress`` is told; the terminal is the app's
        config, kind = _config(where, config_json)
        _check_quantization(spec, config_json)
        tell(LoadProgress(0.02, "reading the tokenizer"))
        tokenizer = load_tokenizer(where)
        tell(LoadProgress(0.05, "reading the weights"))
        need = needed_bytes(where, spec, device_of(device).type)
        placement = placement_of(device, need)
        with weights_counted(
            lambda share: tell(LoadProgress(0.05 + 0.85 * share, "reading the weights"))
        ):
            lm = _weights(spec, where, config, kind, placement)
    tell(LoadProgress(0.9, "trying it out"))
    notices = [text for text in (slower(spec, placement.device), notice_of_own_code(where)) if text]
    if (where / "adapter_config.json").is_file():
        notices.append(
            "Its files hold a LoRA adapter too, which is not applied; name it as the adapter."
        )
    try:
        suggested = read_json(where, "generation_config.json") or {}
    except ModelInvalid as problem:
        suggested = {}
        notices.append(problem.problem.message)
    model = assemble(spec, lm, tokenizer, suggested, notices)
    tell(LoadProgress(1.0, "ready"))
    return replace(model, card=replace(model.card, commit=commit_of(where)))


def assemble(
    spec: ModelSpec,
    lm: Any,
    tokenizer: Any,
    suggested: dict[str, Any] | None = None,
    notices: list[str] | None = None,
) -> Model:
    """A ``Model`` of loaded weights and a tokenizer, checked against each other; an encoder is
    known by its class, which has no ``generate()``.

    ``suggested`` is the repository's generation_config: only its end, begin and padding ids are
    taken, and only where they are ids of this vocabulary. Raises ModelInvalid.
    """
    notices = list(notices or [])
    lm.eval().requires_grad_(False)
    rows = lm.get_input_embeddings().weight.shape[0]
    check_vocabulary(tokenizer, rows)
    writes = isinstance(lm, GenerationMixin)
    suggested = suggested or {} if writes else {}
    # An encoder has ids to pad with, and no end to be told of.
    said = notices if writes else []
    lm.generation_config = generation_config(lm, tokenizer, suggested, rows, said)
    parameters = parameters_of(lm)
    torch.set_num_threads(1 if parameters < _SMALL else _THREADS)
    try:
        lane, why = _lane(lm, rows) if writes else _encoder_lane(lm, rows)
        if writes and sees_ahead(lm, rows):
            notices.append(_SEES_AHEAD)
    except (torch.OutOfMemoryError, MemoryError):
        raise too_big(spec, lm.device) from None
    except LOAD_FAULTS as fault:
        raise invalid("The model cannot read a text", fault) from None
    if why:
        notices.append(why)
    card = ModelCard(
        spec=spec,
        architecture=type(lm).__name__,
        parameters=parameters,
        bytes=int(lm.get_memory_footprint()),
        dtype=str(lm.dtype).removeprefix("torch."),
        device=_devices(lm),
        context=context_of(lm.config) if writes
        else encoder.longest_text(lm, context_of(lm.config)),
        vocabulary=rows,
        has_chat_template=bool(tokenizer.chat_template),
        lane=lane,
        suggested=suggested_settings(suggested, notices),
        notices=tuple(notices),
        parkable=can_park(lm),
        kept=Kept(0) if lane in (RECOMPUTE, NONE) else kept_of(_config_json(lm)),
        width=lm.dtype.itemsize,
        kind=CAUSAL if writes else ENCODER,
    )
    return Model(spec, lm, tokenizer, card)


def parameters_of(lm: Any) -> int:
    """How many numbers a model has; of 4-bit weights two lie in one byte of a tensor."""
    return sum(
        p.numel() * (2 * p.element_size() if hasattr(p, "quant_state") else 1)
        for p in lm.parameters()
    )


def _devices(lm: Any) -> str:
    """Where the weights are: "cuda:0", or "cuda:0 cuda:1" for a model that is spread."""
    return " ".join(dict.fromkeys(str(p.device) for p in lm.parameters()))


@torch.inference_mode()
def _lane(lm: Any, rows: int) -> tuple[str, str]:
    """The lane and why; weights of a proven kind only read one token, and must remember it."""
    proven = type(lm).__name__ in PROVEN and not rotates_by_length(lm)
    if proven and not hasattr(lm, "hf_quantizer") and remembers(lm):
        return BATCH, ""
    return choose_lane(lm, rows)


def _encoder_lane(lm: Any, rows: int) -> tuple[str, str]:
    encoder.try_out(lm, rows)
    return NONE, "" if encoder.has_head(lm) else encoder.NO_HEAD


def _config_json(lm: Any) -> dict[str, Any]:
    """The config of a model in memory as its file would say it."""
    return lm.config.to_dict() | {"architectures": [type(lm).__name__]}


def context_of(config: Any) -> int:
    """How many tokens the model was built to read; 2048 where its config does not say."""
    text = config.get_text_config(decoder=True)
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
    found = [getattr(text, name, None) for name in names]
    return next((n for n in found if isinstance(n, int) and n > 0), 2048)


def _config(folder: Path, config_json: dict[str, Any]) -> tuple[Any, ModelKind]:
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


def load_tokenizer(folder: Path) -> Any:
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


def _check_quantization(spec: ModelSpec, config_json: Mapping[str, Any]) -> None:
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


def _weights(
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


def check_vocabulary(tokenizer: Any, rows: int) -> None:
    """An id without a row in the embedding reads past its end; on CUDA that ends the process."""
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        raise ModelInvalid(
            f"The tokenizer has ids up to {largest}, but the model knows {rows} tokens only.",
            field="model",
            given=largest,
            allowed=f"0 to {rows - 1}",
        )


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
