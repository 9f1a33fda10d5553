"""What a model's weights count, from safetensors headers or config.json; it reads no weight.

Kept as numbers and not as bytes, because a dtype and a quantization decide the bytes: bitsandbytes
quantizes linear layers, and leaves embeddings, the output layer, norms, biases, convolutions and
fused experts as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from playground.core.run import Quantization
from playground.models.kinds import is_encoder

Config = Mapping[str, Any]
Tensor = tuple[str, str, Sequence[int]]  # name, dtype as safetensors writes it, shape

LONGEST_HEADER = 100_000_000
LONGEST_JSON = 50_000_000
INDEX = "model.safetensors.index.json"

# Embeddings, output layers, routers and recurrent weights, which are no ``nn.Linear`` in memory.
_NOT_LINEAR = re.compile(
    r"embed|wte|wpe|lm_head|embed_out|output_layer|shared\.weight|router|\.gate\.(weight|wg)|"
    r"norm|ln_|\.experts\.|conv1d|A_log|rotary|time_(decay|first|mix)|rglru|position"
)
# Causal masks and rotary tables that older checkpoints store and no model reads.
_NOT_READ = re.compile(r"\.(attn|attention)\.(bias|masked_bias)$|inv_freq$|^mtp\.|\.mtp\.")
# Of an encoder's files: what was trained for other tasks than a hidden word.
_OTHER_HEADS = re.compile(
    r"(^|\.)(pooler|seq_relationship|classifier|qa_outputs|discriminator_predictions"
    r"|sop_classifier)\."
)
# Falcon's layers are of a class of its own, which bitsandbytes does not know.
_NEVER_QUANTIZED = ("falcon",)
_LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_STORED = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}


@dataclass(frozen=True, slots=True)
class Weights:
    """Counts of numbers: ``linear`` in ``matrices`` with ``rows`` outputs in all, which a
    quantization makes smaller, and ``other``, which it leaves.

    ``fixed`` are bytes that no choice changes: whole numbers, and weights quantized in the file.
    """

    linear: int
    other: int
    rows: int = 0
    matrices: int = 0
    fixed: int = 0

    @property
    def parameters(self) -> int:
        """How many numbers there are; those that are quantized in the file are not among them."""
        return self.linear + self.other

    def bytes(self, each: int, quantization: Quantization = "none") -> int:
        """Bytes in memory with ``each`` bytes for a number that is not quantized.

        int8 keeps one byte a number and one float a row. nf4 keeps half a byte a number, one byte
        for 64 numbers, one float for 256 of those (double quantization), and two tables a matrix.
        """
        match quantization:
            case "int8":
                linear = self.linear + 4 * self.rows
            case "nf4":
                blocks = self.linear / 64
                linear = round(self.linear / 2 + blocks + 4 * blocks / 256) + 1_092 * self.matrices
            case _:
                linear = self.linear * each
        return linear + self.other * each + self.fixed


def weight_files(names: Iterable[str], index: Config | None = None) -> list[str]:
    """The files, of those in a repo or folder, that hold the weights which transformers reads.

    One ``model.safetensors`` or else the shards that ``index`` names; copies in other formats
    (``consolidated.safetensors``, a folder ``original/``) are left out.
    """
    here = {name for name in names if name.endswith(".safetensors")}
    for single in ("model.safetensors", "adapter_model.safetensors"):
        if single in here:
            return [single]
    parts = index.get("weight_map") if index else None
    if isinstance(parts, Mapping):
        return sorted({str(part) for part in parts.values()})
    return sorted(name for name in here if "/" not in name and not name.startswith("consolidated"))


def of_folder(folder: Path, config: Config) -> Weights:
    """The weights in ``folder``, from the headers of its safetensors files.

    A file whose header is damaged counts with all its bytes; the loader says what is wrong with it.
    """
    tensors: list[Tensor] = []
    unknown = 0
    names = [file.name for file in folder.glob("*.safetensors")]
    for name in weight_files(names, json_object(folder / INDEX)):
        file = folder / name
        if not file.is_file():
            continue
        try:
            with file.open("rb") as opened:
                tensors += header(opened, file.stat().st_size)
        except ValueError:
            unknown += file.stat().st_size
    return of_tensors(tensors, config, unknown)


def json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where it is none, or larger than such a file can be."""
    try:
        if file.stat().st_size > LONGEST_JSON:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def header(opened: BinaryIO, length: int) -> list[Tensor]:
    """The tensors of a safetensors file: 8 bytes of length, then JSON. ValueError if it is none."""
    told = int.from_bytes(opened.read(8), "little")
    if not 0 < told <= min(LONGEST_HEADER, length):
        raise ValueError("no length")
    try:
        found = dict(json.loads(opened.read(told)))
        found.pop("__metadata__", None)
        tensors: list[Tensor] = [
            (name, str(one["dtype"]), list(one["shape"])) for name, one in found.items()
        ]
        if not all(isinstance(n, int) and n >= 0 for _, _, shape in tensors for n in shape):
            raise ValueError("no shape")
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("no header") from error
    return tensors


def of_tensors(tensors: Iterable[Tensor], config: Config, fixed: int = 0) -> Weights:
    """The sum of ``tensors``, without those that the model does not read."""
    text = text_config(config)
    vocabulary, fixed = text.get("vocab_size"), fixed + _masks(text)
    quantizable = text.get("model_type") not in _NEVER_QUANTIZED
    linear = other = rows = matrices = 0
    found = list(tensors)
    names = {name for name, _, _ in found}
    for name, dtype, shape in found:
        if _is_not_read(name, shape, text) or _is_tied_copy(name, names, config):
            continue
        count = prod(shape)
        if dtype not in _FLOATS:
            fixed += count * _STORED.get(dtype, 1)
        elif quantizable and _is_linear(name, shape, vocabulary):
            linear, rows, matrices = linear + count, rows + shape[0], matrices + 1
        else:
            other += count
    return Weights(linear, other, rows, matrices, fixed)


def _is_linear(name: str, shape: Sequence[int], vocabulary: Any) -> bool:
    return (
        len(shape) == 2 and name.endswith("weight") and vocabulary not in shape
        and not _NOT_LINEAR.search(name)
    )


def _masks(text: Config) -> int:
    """Bytes of the causal masks that GPT-Neo keeps in every layer, and GPT-BigCode once."""
    many = {"gpt_neo": number(text, "num_layers"), "gpt_bigcode": 1}
    tokens = number(text, "max_position_embeddings", "n_positions")
    return many.get(str(text.get("model_type")), 0) * tokens * tokens


def _is_not_read(name: str, shape: Sequence[int], text: Config) -> bool:
    """Stored masks, and layers for predicting several tokens, which lie after the last layer."""
    layers = number(text, "num_hidden_layers")
    place = _LAYER.search(name)
    after_last = place and layers and int(place[1]) >= layers
    stored = _NOT_READ.search(name) and (len(shape) != 1 or name.endswith("inv_freq"))
    other_head = is_encoder(text) and _OTHER_HEADS.search(name)
    return bool(after_last or stored or other_head)


def _is_tied_copy(name: str, names: set[str], config: Config) -> bool:
    """Whether this is an output layer that is stored although it is the embedding once more."""
    tied = config.get("tie_word_embeddings", is_encoder(config)) is True
    if not tied or not name.endswith(("lm_head.weight", "predictions.decoder.weight")):
        return False
    return any("embed" in other or "wte" in other for other in names)


def text_config(config: Config) -> Config:
    """The part of a config that describes the language model."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def number(config: Config, *names: str, default: int = 0) -> int:
    """The first of ``names`` that the config gives as a whole number from 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return default


@dataclass(frozen=True, slots=True)
class _Family:
    """How a model type's layers count: ``mlp`` matrices, ``norms`` over the hidden size, biases,
    and norms of queries and keys, by a head or by all heads."""

    mlp: int = 3
    norms: int = 2
    biases: bool = False
    qkv_bias: bool = False
    qk_norm: str = ""


FAMILIES = {
    "llama": _Family(), "mistral": _Family(), "granite": _Family(), "smollm3": _Family(),
    "phi3": _Family(), "qwen2": _Family(qkv_bias=True), "qwen3": _Family(qk_norm="head"),
    "olmo2": _Family(qk_norm="all"), "gemma3_text": _Family(norms=4, qk_norm="head"),
    "gpt2": _Family(mlp=2, norms=4, biases=True), "gpt_neox": _Family(mlp=2, norms=4, biases=True),
    "bert": _Family(mlp=2, norms=4, biases=True),
}


def of_config(config: Config) -> Weights:
    """The weights that a config of one of FAMILIES describes. Raises KeyError for another type."""
    kind = str(config["model_type"])
    family = FAMILIES[kind]
    hidden = number(config, "hidden_size", "n_embd")
    layers = number(config, "num_hidden_layers", "n_layer")
    heads = number(config, "num_attention_heads", "n_head")
    size = number(config, "head_dim", default=hidden // heads)
    queries, keys = heads * size, number(config, "num_key_value_heads", default=heads) * size
    inner = number(config, "intermediate_size", "n_inner", default=4 * hidden)
    layer = hidden * (2 * queries + 2 * keys + family.mlp * inner)
    rows = queries + 2 * keys + hidden + (family.mlp - 1) * inner + hidden
    small = family.norms * hidden
    small += (queries + 2 * keys) * (family.qkv_bias or family.biases)
    small += (2 * hidden + (family.mlp - 1) * inner) * family.biases
    small += {"head": 2 * size, "all": queries + keys, "": 0}[family.qk_norm]
    other = layers * small + sum(_around(config, kind, hidden))
    linear, matrices = layers * layer, layers * (4 + family.mlp)
    if kind == "bert":  # the head for a hidden word: a layer, its norm, and a bias for each word
        other += 2 * hidden + number(config, "vocab_size")
        linear, rows_more, matrices = linear + hidden * hidden, hidden, matrices + 1
        return Weights(linear, other + hidden, layers * rows + rows_more, matrices)
    return Weights(linear, other, layers * rows, matrices)


def _around(config: Config, kind: str, hidden: int) -> Iterator[int]:
    """What stands before and after the layers: embeddings, the last norm, the output layer."""
    vocabulary = number(config, "vocab_size")
    yield vocabulary * hidden
    if kind in ("gpt2", "bert"):
        yield number(config, "max_position_embeddings", "n_positions") * hidden
    if kind == "bert":
        yield number(config, "type_vocab_size", default=2) * hidden
    yield hidden * (2 if FAMILIES[kind].biases else 1)
    if kind != "bert" and not config.get("tie_word_embeddings", kind == "gpt2"):
        yield vocabulary * hidden
