"""From files to a ``Model``: checks before it trusts, then loads; it knows no Hub and no prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationMixin
from transformers.utils import logging as transformers_log

from playground.core.kept import Kept
from playground.core.messages import LoadProgress, ModelCard
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, ModelInvalid
from playground.models import encoder
from playground.models.checks import check_folder, notice_of_own_code, read_json
from playground.models.context import kept_of
from playground.models.footprint import needed_bytes
from playground.models.hub_cache import commit_of
from playground.models.kinds import CAUSAL, ENCODER, reads_only
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
from playground.models.placement import device_of, placement_of, slower
from playground.models.progress import weights_counted
from playground.models.reading import (
    LOAD_FAULTS,
    ONE_LOAD_AT_A_TIME,
    check_quantization,
    invalid,
    read_config,
    read_tokenizer,
    read_weights,
    too_big,
)
from playground.models.suggestions import generation_config, suggested_settings

# That these share batches is held by tests, so that a load need not spend a dozen forwards on it.
PROVEN = frozenset(
    f"{name}ForCausalLM"
    for name in (
        "Gemma", "Gemma2", "Gemma3", "GPTNeoX", "Granite", "Llama", "Mistral", "Olmo2", "Phi",
        "Phi3", "Qwen2", "Qwen3", "SmolLM3", "StableLm",
    )
) | {"GPT2LMHeadModel"}
_SEES_AHEAD = (
    "Its config.json does not say is_decoder, so each token sees those behind it, as in an "
    "encoder. It has hardly learnt to write on from a beginning: expect nonsense."
)
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
        config, kind = read_config(where, config_json)
        check_quantization(spec, config_json)
        tell(LoadProgress(0.02, "reading the tokenizer"))
        tokenizer = read_tokenizer(where)
        tell(LoadProgress(0.05, "reading the weights"))
        need = needed_bytes(where, spec, device_of(device).type)
        placement = placement_of(device, need)
        with weights_counted(
            lambda share: tell(LoadProgress(0.05 + 0.85 * share, "reading the weights"))
        ):
            lm = read_weights(spec, where, config, kind, placement)
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
