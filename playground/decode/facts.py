"""What a loaded model tells of itself so that a run can be repeated; it knows no loop."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import torch
import transformers

from playground import __version__
from playground.core.facts import Facts, Spelled
from playground.core.run import Run
from playground.decode.extra import marks_of
from playground.decode.guidance import negative_prompt
from playground.decode.phrases import phrases_of
from playground.models.loading import Model
from playground.models.pieces import pieces_of


def facts_of(model: Model) -> Facts:
    """The model as it runs."""
    template = getattr(model.tokenizer, "chat_template", None)
    config = model.lm.generation_config
    return Facts(
        dtype=model.card.dtype,
        device=model.card.device,
        quantization=_quantization(model),
        attention=str(getattr(model.lm.config, "_attn_implementation", "") or ""),
        lane=model.card.lane,
        template=_short(str(template)) if template else "",
        ends=model.ends,
        pad=config.pad_token_id,
        torch=str(torch.__version__),  # its own class would bring torch to whoever reads it
        transformers=transformers.__version__,
        package=__version__,
    )


def spelled_of(model: Model, run: Run) -> Spelled:
    """The texts among the settings of a run as ids. Raises InvalidInput, as the run itself does."""
    decoding = run.decoding
    phrases = phrases_of(model.tokenizer, decoding, model.card.vocabulary, model.ends)
    negative: tuple[int, ...] = ()
    if decoding.is_guided:
        negative, _ = negative_prompt(model, decoding.negative_prompt)
    marks = marks_of(model.tokenizer, pieces_of(model.tokenizer), decoding)
    return Spelled(
        banned=phrases.banned,
        bias=phrases.bias,
        forced=phrases.forced,
        negative=negative,
        breakers=tuple(sorted(set(marks.values()))),
        spared=tuple(id for text, id in marks.items() if text == "\n"),
    )


def _quantization(model: Model) -> str:
    """How the weights are stored: as asked for, or as the files say."""
    if model.spec.quantization != "none":
        return model.spec.quantization
    told: Any = getattr(model.lm.config, "quantization_config", None)
    if told is None:
        return "none"
    method = told.get("quant_method") if isinstance(told, dict) else told.quant_method
    return str(getattr(method, "value", method))


def _short(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
