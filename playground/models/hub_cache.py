"""What the Hub's cache on this machine holds: whole models, at which commit; it asks nobody."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import (
    constants,
    get_cached_repo_tree,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

from playground.models.kinds import architectures, is_encoder, is_said_to_write
from playground.models.weights import INDEX, json_object, weight_files

Kind = Literal["chat", "base", "encoder", "unknown"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONFIGS = ("config.json", "adapter_config.json")
_TEXT_FILES = frozenset(
    {
        *_CONFIGS, INDEX, "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
        "tekken.json", "chat_template.jinja", "chat_template.json",
    }
)
ADAPTER = "adapter_model.safetensors"
_MOST_REPOS = 2_000


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model that lies in the cache whole: it loads without the Hub. ``bytes`` are on disk."""

    repo: str
    kind: Kind
    bytes: int
    commit: str


def text_files(names: Iterable[str]) -> list[str]:
    """Of a repo's files, what a model needs beside its weights: settings, tokenizer, templates."""
    return sorted(
        name for name in names
        if name in _TEXT_FILES or ("/" not in name and name.endswith(".model"))
        or re.fullmatch(r"additional_chat_templates/[\w.-]+\.jinja", name)
    )


def needed_files(names: Iterable[str], index: Mapping[str, Any]) -> list[str]:
    """Of a repo's files, those that a model or an adapter is loaded from, its weights last."""
    here = list(names)
    weights = weight_files(here, index)
    if ADAPTER in here and ADAPTER not in weights:  # a repo may be both
        weights.append(ADAPTER)
    return [*text_files(here), *weights]


def commit_of(folder: Path) -> str:
    """The commit whose files lie in a folder of the cache; empty for any other folder."""
    inside = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name)
    return folder.name if inside else ""


def snapshot(repo: str, revision: str = "") -> Path | None:
    """The folder of a model that is complete in the cache, None where it is not."""
    try:
        folder = Path(
            snapshot_download(
                repo, revision=revision or None, local_files_only=True,
                allow_patterns=list(_CONFIGS),
            )
        )
        return folder if _is_complete(folder, repo) else None
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None


def config_in_cache(repo: str, revision: str = "") -> Path | None:
    """The config.json of a model whose weights need not be here; None where it is not."""
    found = try_to_load_from_cache(repo, "config.json", constants.HF_HUB_CACHE, revision or None)
    return Path(found) if isinstance(found, str) else None


def _is_complete(folder: Path, repo: str) -> bool:
    """Whether every file is there with its size, as far as the cache knows the repo's files."""
    if not any((folder / name).is_file() for name in _CONFIGS):
        return False
    try:
        told = get_cached_repo_tree(repo, revision=commit_of(folder) or None)
        sizes: dict[str, int | None] = {file.path: file.size for file in told}
    except CachedRepoTreeNotFoundError:  # fetched by something else
        sizes = {str(file.name): None for file in folder.iterdir()}
    names = needed_files(sizes, json_object(folder / INDEX))
    return any(name.endswith(".safetensors") for name in names) and all(
        (folder / name).is_file()
        and (folder / name).stat().st_size == (sizes.get(name) or (folder / name).stat().st_size)
        for name in names
    )


def cached() -> tuple[CachedModel, ...]:
    """The models in the cache, by name; quick, and empty rather than an error."""
    return tuple(_found())


def _found() -> Iterator[CachedModel]:
    try:
        folders = sorted(Path(constants.HF_HUB_CACHE).iterdir())[:_MOST_REPOS]
    except OSError:
        return
    for folder in folders:
        if not folder.name.startswith("models--"):
            continue
        try:
            found = _model_in(folder)
        except (OSError, ValueError):  # a repo in the middle of a download, or not for us to read
            continue
        if found:
            yield found


def _model_in(storage: Path) -> CachedModel | None:
    """The newest commit of a repo's folder in the cache, if it is a whole language model."""
    repo = storage.name.removeprefix("models--").replace("--", "/")
    ref = storage / "refs" / constants.DEFAULT_REVISION
    commit = ref.read_text(encoding="utf-8").strip()
    folder = storage / "snapshots" / commit
    if not _COMMIT.fullmatch(commit) or not (folder / "config.json").is_file():
        return None
    weights = weight_files((entry.name for entry in os.scandir(folder)),
                           json_object(folder / INDEX))
    if not weights or not all((folder / name).is_file() for name in weights):
        return None
    count = sum((folder / name).stat().st_size for name in weights)
    return CachedModel(repo, kind_of(folder), count, commit)


def kind_of(folder: Path) -> Kind:
    """What a model of this folder is for, as its config and its chat template say."""
    config = json_object(folder / "config.json")
    if not (kind := kind_said(config)):
        return "unknown"
    if kind == "encoder":
        return "encoder"
    tokenizer = json_object(folder / "tokenizer_config.json")
    has_template = (folder / "chat_template.jinja").is_file() or tokenizer.get("chat_template")
    return "chat" if has_template else "base"


def kind_said(config: Mapping[str, Any]) -> Literal["writes", "encoder", ""]:
    """Whether a config is that of a model that writes, of one that only reads, or says neither.

    Those that write are named ``…ForCausalLM`` or ``…LMHead…`` by every library.
    """
    if is_said_to_write(config):
        return "writes"
    named = any(name.endswith(("MaskedLM", "PreTraining")) for name in architectures(config))
    return "encoder" if named or is_encoder(config) else ""
