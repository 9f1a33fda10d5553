"""How many bytes a spec needs, as a sum that can be shown, and whether that fits; loads nothing.

Weights, the KV cache of one text at the chosen context, and working room. The first two are counted
from the files' headers and the config; the last is an estimate that errs on the large side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from playground.core.run import Dtype, ModelSpec, Quantization
from playground.errors import ModelTooBig
from playground.models.context import context_of, kept_of
from playground.models.memory import Memory, available_bytes, size
from playground.models.weights import Config, Weights, json_object, number, of_folder, text_config

__all__ = ["Fit", "Footprint", "available_bytes", "fit", "needed_bytes", "of", "size", "too_big"]

USUAL_CONTEXT = 4096  # tokens, where nobody has chosen a context and the model has so many
# Before any weight is in it. With CUDA it has a context, kernels, their workspaces, and graphs of
# some steps: 900 MB on an H100, less on smaller cards.
PROCESS = {"cpu": 50_000_000, "cuda": 900_000_000, "mps": 200_000_000}
_CHUNK = 512  # tokens of a prompt that are read in one forward
_KEPT = 256 * 2**20  # bytes of caches of runs that ended
_ROWS = 12  # rows of logits in fp32 that a step of some runs may hold at once

_WIDTHS: dict[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
AUTO: dict[str, Dtype] = {"cpu": "float32", "cuda": "bfloat16", "mps": "float16"}


@dataclass(frozen=True, slots=True)
class Footprint:
    """The sum: bytes of ``weights``, of the KV ``cache`` of ``context`` tokens, and of working
    ``room``. ``each`` are the bytes that one more token of context adds at its end."""

    weights: int
    cache: int
    room: int
    context: int
    each: int
    dtype: str
    quantization: Quantization = "none"

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.weights + self.cache + self.room

    def __str__(self) -> str:
        tokens = f"KV cache of {self.context:,} tokens {size(self.cache)}"
        return (
            f"weights {size(self.weights)} + {tokens if self.cache else 'no KV cache'} + "
            f"working room {size(self.room)} = {size(self.total)}"
        )


@dataclass(frozen=True, slots=True)
class Option:
    """A change that makes the model smaller, in words, and what it would need then."""

    change: str
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Fit:
    """A footprint against the memory there is; ``options`` are smaller ways that would fit."""

    footprint: Footprint
    memory: Memory
    options: tuple[Option, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is enough now."""
        return self.footprint.total <= self.memory.free

    @property
    def advice(self) -> str:
        """What would help, with the number it would give; empty where it fits."""
        if self.fits:
            return ""
        if not self.options:
            return "Choose a smaller model."
        told = [f"{one.change} {size(one.footprint.total)}" for one in self.options]
        return f"It would fit {', or '.join(told)}."

    def __str__(self) -> str:
        verdict = "fits" if self.fits else "does not fit"
        return (
            f"{self.footprint}; {size(self.memory.free)} of {self.memory.name} are free: {verdict}."
        )


def of(
    weights: Weights, config: Config, spec: ModelSpec,
    context: int | None = None, device: str = "cpu", auto: Dtype | None = None,
) -> Footprint:
    """The footprint of a model of these ``weights`` and this config.json, loaded as ``spec`` says.

    ``context`` in tokens is what the model has, USUAL_CONTEXT at most, unless it is chosen.
    ``device`` is cpu, cuda or mps; ``auto`` is the dtype that "auto" becomes there, if it is known.
    """
    kind = device.partition(":")[0]
    dtype = spec.dtype if spec.dtype != "auto" else auto or AUTO.get(kind, "float32")
    width = _WIDTHS.get(dtype, 4)
    limit = context_of(config)
    tokens = min(USUAL_CONTEXT, limit) if context is None else min(context, limit)
    kept = kept_of(config)
    cache = kept.numbers(tokens) * width
    return Footprint(
        weights=weights.bytes(width, spec.quantization),
        cache=cache,
        room=_room(text_config(config), kind, width, spec.quantization) + _beside(cache, kind),
        context=tokens,
        each=(kept.numbers(tokens + 1) - kept.numbers(tokens)) * width,
        dtype=dtype,
        quantization=spec.quantization,
    )


def _room(text: Config, kind: str, width: int, quantization: Quantization) -> int:
    """The process itself, a chunk of a prompt on its way through a layer, and rows of logits."""
    hidden = number(text, "hidden_size", "n_embd", "d_model", "dim")
    inner = number(
        text, "intermediate_size", "n_inner", "ffn_dim", "hidden_dim", default=4 * hidden
    )
    chunk = _CHUNK * (8 * hidden + 3 * inner) * width
    logits = _ROWS * 4 * number(text, "vocab_size")
    unpacked = hidden * inner * width if quantization != "none" else 0
    return PROCESS.get(kind, PROCESS["cpu"]) + chunk + logits + unpacked


def _beside(cache: int, kind: str) -> int:
    """What stands beside a cache: the quarter that it grows by, and the cache of the run before,
    which is kept for the next turn of a chat; with CUDA also the buffers of recorded steps, and the
    holes that grown caches have left."""
    return cache // 4 + (3 if kind == "cuda" else 1) * min(cache, _KEPT)


def fit(
    weights: Weights, config: Config, spec: ModelSpec, memory: Memory,
    context: int | None = None, device: str = "cpu", auto: Dtype | None = None,
) -> Fit:
    """Whether the model fits into ``memory`` now, and what would if it does not."""
    asked = of(weights, config, spec, context, device, auto)
    if asked.total <= memory.free:
        return Fit(asked, memory)
    options = []
    for change, other in _smaller(spec, asked):
        found = of(weights, config, other, context, device, auto)
        if found.total <= memory.free:
            options.append(Option(change, found))
    tokens = asked.context // 2
    while tokens >= 256:
        found = of(weights, config, spec, tokens, device, auto)
        if found.total <= memory.free:
            options.append(Option(f"with a context of {found.context:,} tokens", found))
            break
        tokens //= 2
    return Fit(asked, memory, tuple(options))


def _smaller(spec: ModelSpec, asked: Footprint) -> list[tuple[str, ModelSpec]]:
    """Other ways to load the same files, the most exact first."""
    if spec.quantization == "nf4":
        return []
    ways: list[tuple[str, ModelSpec]] = []
    if spec.quantization == "none":
        if asked.dtype == "float32":
            ways.append(("as bfloat16:", replace(spec, dtype="bfloat16")))
        ways.append(("as int8:", replace(spec, quantization="int8")))
    return [*ways, ("as nf4:", replace(spec, quantization="nf4"))]


def of_files(
    folder: Path, spec: ModelSpec,
    context: int | None = None, device: str = "cpu", auto: Dtype | None = None,
) -> Footprint:
    """The footprint of the model whose files lie in ``folder``; damaged ones count by their size,
    because the loader says in its own words what is wrong with them."""
    config = json_object(folder / "config.json")
    return of(of_folder(folder, config), config, spec, context, device, auto)


def needed_bytes(
    folder: Path, spec: ModelSpec, device: str = "cpu", auto: Dtype | None = None
) -> int:
    """Bytes that the model in ``folder`` will take once it is loaded as ``spec`` says."""
    return of_files(folder, spec, None, device, auto).total


def too_big(
    spec: ModelSpec, need: float, capacity: float, found: Fit | None = None
) -> ModelTooBig:
    """The refusal of a model that could not fit even alone, with its arithmetic."""
    sum_of = f" ({found.footprint})" if found else ", its KV cache and working room included"
    return ModelTooBig(
        f"{spec.label} needs about {size(need)}{sum_of}; models may take {size(capacity)} here.",
        field="model", given=size(need), allowed=f"up to {size(capacity)}",
        advice=found.advice if found and found.advice else
        "Choose a smaller model, a smaller dtype, or load it in 4 bits (nf4).",
    )
