"""What is refused in a model's folder before a weight is read; it reads JSON and file names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from playground.errors import ModelInvalid, ModelNotFound, ModelUnsafe

# Keys by which a repository asks for code of its own, or steers which code is loaded
# (CVE-2026-4372, CVE-2026-22807: some worked in spite of trust_remote_code=False).
UNSAFE_KEYS = frozenset(
    {
        "auto_map",
        "trust_remote_code",
        "custom_generate",
        "custom_pipelines",
        "attn_implementation",
        "_attn_implementation",
        "_attn_implementation_internal",
        "experts_implementation",
        "_experts_implementation",
        "_experts_implementation_internal",
    }
)
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
LARGEST_JSON = {
    "config.json": 2_000_000,
    "generation_config.json": 1_000_000,
    "tokenizer_config.json": 20_000_000,
    "tokenizer.json": 100_000_000,
}

# No causal language model that exists comes near these.
LARGEST = {
    "num_hidden_layers": 1_000,
    "n_layer": 1_000,
    "num_layers": 1_000,
    "hidden_size": 200_000,
    "n_embd": 200_000,
    "d_model": 200_000,
    "intermediate_size": 2_000_000,
    "vocab_size": 10_000_000,
    "num_attention_heads": 10_000,
    "n_head": 10_000,
    "num_key_value_heads": 10_000,
    "max_position_embeddings": 200_000_000,
    "n_positions": 200_000_000,
}


def check_folder(folder: Path) -> dict[str, Any]:
    """The folder's config, after everything that can be refused without reading weights.

    Raises ModelNotFound, ModelUnsafe (own code, pickles) or ModelInvalid (the file is named).
    """
    if not folder.is_dir():
        raise ModelNotFound(
            f"There is no folder {folder}.",
            field="model",
            given=str(folder),
            advice="Check the path, or pick a model from the list.",
        )
    config = read_json(folder, "config.json")
    if config is None:
        raise ModelInvalid(
            f"{folder.name} is a folder without a model: it has no config.json.",
            field="model",
            given=folder.name,
            advice="Choose the folder that holds config.json and the weights.",
        )
    _refuse_own_code("config.json", config)
    _refuse_own_code("tokenizer_config.json", read_json(folder, "tokenizer_config.json") or {})
    # One that cannot be read is no reason to refuse: nothing of it is needed, and the card says so.
    with suppress(ModelInvalid):
        _refuse_own_code(
            "generation_config.json", read_json(folder, "generation_config.json") or {}
        )
    weights = _check_weights(folder)
    _check_sizes(config, weights)
    _check_tokenizer(folder)
    return config


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """One JSON object of the folder, or None where there is no such file."""
    path = folder / name
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_JSON.get(name, 2_000_000):
        raise ModelInvalid(
            f"{name} is too large to be what it says it is.", field="model", given=name
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        raise ModelInvalid(f"{name} cannot be read as JSON.", field="model", given=name) from None
    if not isinstance(value, dict):
        raise ModelInvalid(
            f"{name} holds {type(value).__name__}, not an object with settings.",
            field="model",
            given=name,
        )
    return value


def _keys(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key at every depth, with its value."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part.items()
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _refuse_own_code(name: str, config: dict[str, Any]) -> None:
    for key, value in _keys(config):
        if key in UNSAFE_KEYS and value not in (None, False):
            raise ModelUnsafe(
                f"{name} asks for code that comes with the model (the key {key}); it is never run.",
                field="model",
                given=key,
                advice="Choose a model that transformers supports by itself.",
            )


def _check_weights(folder: Path) -> int:
    """The bytes of the safetensors files. Raises without any, or if the index points elsewhere."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        if any(path.suffix in PICKLED for path in folder.iterdir()):
            raise ModelUnsafe(
                f"{folder.name} has its weights as pickle files only, which can run any code; "
                "they are never opened.",
                field="model",
                advice="Choose a version with safetensors files.",
            )
        raise ModelInvalid(f"{folder.name} has no weights: no .safetensors file.", field="model")
    index = read_json(folder, "model.safetensors.index.json")
    if index is not None:
        parts = index.get("weight_map")
        names = set(parts.values()) if isinstance(parts, dict) else {""}
        here = {path.name for path in found}
        missing = sorted(str(n) for n in names if n not in here)
        if missing:
            raise ModelInvalid(
                "model.safetensors.index.json names weights that are not in the folder: "
                f"{missing[0]!r}.",
                field="model",
                given=missing[0],
            )
    return sum(path.stat().st_size for path in found)


def _check_sizes(config: dict[str, Any], weights: int) -> None:
    """Refuse sizes that cannot be, before anything of that size is made."""
    nested = config.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else config
    # A part for images may well say 0, or -1.
    own = [(key, value, 1) for key, value in text.items()]
    for key, value, least in [*own, *((key, value, -1) for key, value in _keys(config))]:
        # A list is one value a layer (Gemma 3n's intermediate_size).
        for one in value if isinstance(value, list) else [value]:
            if key not in LARGEST or one is None:
                continue
            whole = isinstance(one, int) and not isinstance(one, bool)
            if not whole or not least <= one <= LARGEST[key]:
                raise ModelInvalid(
                    f"config.json says {key} is {one!r}; "
                    f"it must be a whole number from 1 to {LARGEST[key]:,}.",
                    field="model",
                    given=f"{key}={one!r}"[:80],
                )
    hidden = _first(text, "hidden_size", "n_embd", "d_model")
    rows = max(
        _first(text, "vocab_size"), _first(text, "num_hidden_layers", "n_layer", "num_layers")
    )
    # Two weights fit in a byte (4 bits) at the most; eightfold to be on the safe side.
    if hidden * rows > 16 * weights:
        raise ModelInvalid(
            f"config.json describes at least {hidden * rows:,} weights, "
            f"but the files hold {weights:,} bytes.",
            field="model",
            given=f"{rows} x {hidden}",
        )


def _first(config: dict[str, Any], *names: str) -> int:
    return next((config[n] for n in names if isinstance(config.get(n), int)), 0)


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelInvalid(
            f"{folder.name} has no tokenizer, so text cannot become tokens.",
            field="model",
            advice="Its folder needs tokenizer.json or the tokenizer's own files.",
        )
    path = folder / "tokenizer.json"
    if path.is_file() and path.stat().st_size > LARGEST_JSON["tokenizer.json"]:
        raise ModelInvalid("tokenizer.json is too large to be a tokenizer.", field="model")
