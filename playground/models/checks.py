"""What is refused in a model's files before a weight is read; it reads JSON and file names."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from playground.errors import ModelInvalid, ModelNotFound, ModelUnsafe
from playground.models.weights import INDEX, weight_files

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
    "spm.model",
    "tekken.json",
)
LARGEST_FILE = {
    "config.json": 2_000_000,
    "generation_config.json": 1_000_000,
    "tokenizer_config.json": 20_000_000,
    "special_tokens_map.json": 20_000_000,
    "added_tokens.json": 20_000_000,
    "tokenizer.json": 100_000_000,
    "vocab.json": 100_000_000,
    "merges.txt": 100_000_000,
    "vocab.txt": 100_000_000,
    "tokenizer.model": 100_000_000,
    "chat_template.jinja": 1_000_000,
    "chat_template.json": 1_000_000,
    INDEX: 50_000_000,
}

# No language model that exists comes near these.
LARGEST = {
    "num_hidden_layers": 1_000,
    "n_layer": 1_000,
    "num_layers": 1_000,
    "n_layers": 1_000,
    "hidden_size": 200_000,
    "n_embd": 200_000,
    "d_model": 200_000,
    "dim": 200_000,
    "embedding_size": 200_000,
    "hidden_dim": 2_000_000,
    "intermediate_size": 2_000_000,
    "vocab_size": 10_000_000,
    "num_attention_heads": 10_000,
    "n_head": 10_000,
    "n_heads": 10_000,
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
    config = check_texts(folder)
    check_files(folder, (".safetensors",))
    weights = _check_weights(folder)
    check_sizes(config, weights)
    _check_tokenizer(folder)
    return config


def check_texts(folder: Path) -> dict[str, Any]:
    """The folder's config, after a look at everything but the weights."""
    check_files(folder, (".json", ".jinja", ".txt", ".model"))
    config = read_json(folder, "config.json")
    if config is None:
        raise ModelInvalid(
            f"{folder.name} is a folder without a model: it has no config.json.",
            field="model",
            given=folder.name,
            advice="Choose the folder that holds config.json and the weights.",
        )
    check_config(config)
    tokenizer = read_json(folder, "tokenizer_config.json") or {}
    if not (folder / "tokenizer.json").is_file():  # which transformers reads without a repo's code
        _refuse_auto_map("tokenizer_config.json", tokenizer)
    _refuse_own_code("tokenizer_config.json", tokenizer)
    # One that cannot be read is no reason to refuse: nothing of it is needed, and the card says so.
    with suppress(ModelInvalid):
        suggested = read_json(folder, "generation_config.json") or {}
        _refuse_own_code("generation_config.json", suggested)
        _refuse_auto_map("generation_config.json", suggested)
    return config


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a config that asks for code of its own where transformers has none for its type."""
    _refuse_own_code("config.json", config)
    if not is_native(config):
        _refuse_auto_map("config.json", config)


def is_native(config: Mapping[str, Any]) -> bool:
    """Whether this transformers itself knows the model type, so that no other code is needed."""
    if not any(key == "auto_map" for key, _ in _keys(config)):
        return True
    # Imported here: only a repo with code of its own is worth the seconds that this takes.
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES

    return config.get("model_type") in CONFIG_MAPPING_NAMES


def notice_of_own_code(folder: Path) -> str:
    """A sentence where the folder's files name code of their own, which is not run; else empty."""
    for name in ("config.json", "tokenizer_config.json"):
        with suppress(ModelInvalid):
            found = read_json(folder, name) or {}
            if any(key == "auto_map" and value for key, value in _keys(found)):
                return (
                    f"Its {name} names code that comes with the model (auto_map). It is not run: "
                    "transformers' own code for this type is."
                )
    return ""


def check_files(folder: Path, endings: tuple[str, ...], field: str = "model") -> None:
    """Refuse what is no plain file of the folder: links that lead out of it, pipes, devices; and
    what is far too large. Raises ModelInvalid."""
    inside = {folder.resolve()}
    cache = Path(constants.HF_HUB_CACHE).resolve()
    if folder.resolve().is_relative_to(cache):
        inside.add(cache)  # a snapshot is made of links to the blobs beside it
    for path in sorted(folder.iterdir()):
        if path.suffix not in endings:
            continue
        problem = ""
        try:
            found = path.resolve(strict=True)
            if not any(found.is_relative_to(place) for place in inside):
                problem = "is a link to a file outside of the folder"
            elif not stat.S_ISREG(found.stat().st_mode):
                problem = "is no plain file"
        except (OSError, RuntimeError):
            problem = "cannot be opened"
        if problem:
            raise ModelInvalid(
                f"{path.name} {problem}.", field=field, given=path.name,
                advice="Put a copy of the file itself into the folder.",
            )
        if path.stat().st_size > LARGEST_FILE.get(path.name, path.stat().st_size):
            raise ModelInvalid(
                f"{path.name} is too large to be what it says it is.", field=field,
                given=path.name,
            )


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """One JSON object of the folder, or None where there is no such file."""
    path = folder / name
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST_FILE.get(name, 2_000_000):
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
        if isinstance(part, Mapping):
            yield from part.items()
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _refuse_own_code(name: str, config: Mapping[str, Any]) -> None:
    for key, value in _keys(config):
        if key in UNSAFE_KEYS - {"auto_map"} and value not in (None, False):
            raise _unsafe(name, key)


def _refuse_auto_map(name: str, config: Mapping[str, Any]) -> None:
    if any(key == "auto_map" and value for key, value in _keys(config)):
        raise _unsafe(name, "auto_map")


def _unsafe(name: str, key: str) -> ModelUnsafe:
    return ModelUnsafe(
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
    index = read_json(folder, INDEX)
    if index is not None and not isinstance(index.get("weight_map"), dict):
        raise ModelInvalid(f"{INDEX} has no weight_map, so no weights.", field="model")
    here = {path.name for path in found}
    named = {str(name) for name in (index or {}).get("weight_map", {}).values()}
    elsewhere = sorted(name for name in named if Path(name).name != name)
    for name in (*elsewhere, *weight_files(here, index)):
        if name not in here:
            raise ModelInvalid(
                f"{INDEX} names weights that are not in the folder: {name[:80]!r}.",
                field="model",
                given=name,
            )
    return sum((folder / name).stat().st_size for name in weight_files(here, index))


def check_sizes(config: Mapping[str, Any], weights: int) -> None:
    """Refuse sizes that cannot be, before anything of that size is made."""
    nested = config.get("text_config")
    text: Mapping[str, Any] = nested if isinstance(nested, dict) else config
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
    hidden = _first(text, "hidden_size", "n_embd", "d_model", "dim")
    layers = _first(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    rows = max(_first(text, "vocab_size"), layers)
    # Two weights fit in a byte (4 bits) at the most; eightfold to be on the safe side.
    if hidden * rows > 16 * weights:
        raise ModelInvalid(
            f"config.json describes at least {hidden * rows:,} weights, "
            f"but the files hold {weights:,} bytes.",
            field="model",
            given=f"{rows} x {hidden}",
        )


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((config[n] for n in names if isinstance(config.get(n), int)), 0)


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelInvalid(
            f"{folder.name} has no tokenizer, so text cannot become tokens.",
            field="model",
            advice="Its folder needs tokenizer.json or the tokenizer's own files.",
        )
