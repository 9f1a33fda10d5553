"""Where a model's files are: a folder on this machine or a checked Hub id; it reads none."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from playground.core.run import ModelSpec
from playground.errors import (
    InvalidInput,
    ModelInvalid,
    ModelNotFound,
    ModelUnsafe,
    PlaygroundError,
)
from playground.models.catalog import BUILTIN, CATALOG, entry
from playground.models.hub_cache import config_in_cache
from playground.models.kinds import is_encoder, reads_only
from playground.models.weights import json_object

_PATH = re.compile(r"[/~\\]|\.\.?([/\\]|$)|[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True)
class HubId:
    """A model on the Hub: a checked id, and a branch, tag or commit (empty is the main branch)."""

    repo: str
    revision: str = ""


def place(spec: ModelSpec, offered: Collection[str], any_model: bool) -> Path | HubId:
    """Where the files of ``spec`` are: a folder on this machine or a checked Hub id.

    With ``any_model`` a visitor may type any Hub id or path; without, only ``offered`` repos may be
    used, and the answer for every other is the same whether or not such a path exists. A text is a
    path only when it looks like one (``/…``, ``./…``, ``../…``, ``~…``, ``C:\\…``), so that an id
    like ``me/model`` never means a folder that happens to have that name.

    Raises InvalidInput, ModelNotFound, ModelInvalid or ModelUnsafe.
    """
    repo = spec.repo
    if not any_model:
        _check_offered(spec, offered)
    if repo.startswith("builtin/"):
        return _builtin(repo)
    if is_folder(repo):
        return _checked(_folder(repo, "model"), repo)
    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise InvalidInput(
            "A model is a Hub id such as owner/name or a folder such as ./name; this is neither.",
            field="model", given=repo,
        ) from None
    return HubId(repo, _revision(spec.revision))


def check_decodes(spec: ModelSpec, found: Path | HubId) -> None:
    """Refuse to write or score with what is known to be an encoder, before it is fetched or loaded.
    Raises ModelInvalid."""
    if is_known_encoder(spec, found):
        raise reads_only(spec)


def is_known_encoder(spec: ModelSpec, found: Path | HubId) -> bool:
    """Whether the catalog, or the config among the files on this machine, says that a model is an
    encoder. The Hub is not asked: what neither knows may be one."""
    if not entry(spec.repo).decodes:
        return True
    config = found / "config.json" if isinstance(found, Path) else config_in_cache(
        found.repo, found.revision
    )
    return config is not None and is_encoder(json_object(config))


def known_encoders(repos: Iterable[str]) -> tuple[str, ...]:
    """Those of these models that are known to be encoders; what is wrong with another is said to
    whoever uses it."""
    found = []
    for repo in repos:
        with suppress(PlaygroundError):
            spec = ModelSpec(repo)
            if is_known_encoder(spec, place(spec, (), any_model=True)):
                found.append(repo)
    return tuple(found)


def is_folder(repo: str) -> bool:
    """Whether a model or an adapter that is named so is a folder of somebody's machine, there or
    not."""
    return _PATH.match(repo) is not None


def place_adapter(spec: ModelSpec) -> Path | HubId:
    """Where the files of an adapter are; what is a path is told as for a model.

    Raises InvalidInput, ModelNotFound or ModelInvalid.
    """
    given = spec.adapter
    if is_folder(given):
        folder = _folder(given, "adapter")
        if not (folder / "adapter_config.json").is_file():
            raise ModelInvalid(
                "This folder holds no adapter: adapter_config.json is missing.", field="adapter",
                given=given, advice="Choose the folder that peft's save_pretrained() has written.",
            )
        return folder
    try:
        validate_repo_id(given)
    except HFValidationError:
        raise InvalidInput(
            "An adapter is a Hub id such as owner/name or a folder such as ./name; this is "
            "neither.",
            field="adapter", given=given,
        ) from None
    return HubId(given)


def _check_offered(spec: ModelSpec, offered: Collection[str]) -> None:
    if spec.repo not in offered:
        allowed = ", ".join(offered)
        raise InvalidInput(
            "This playground offers a fixed list of models, and this is not one of them.",
            field="model", given=spec.repo, allowed=allowed, advice="Pick one from the list.",
        )
    if spec.revision or spec.adapter:
        field = "revision" if spec.revision else "adapter"
        raise InvalidInput(
            f"This playground offers its models as they are; the {field} cannot be chosen.",
            field=field, given=spec.revision or spec.adapter,
        )


def _builtin(repo: str) -> Path:
    if repo not in CATALOG:
        allowed = ", ".join(name for name in CATALOG if name.startswith("builtin/"))
        raise ModelNotFound(
            f"There is no built-in model {repo!r}.", field="model", given=repo, allowed=allowed,
            advice=f"There are {allowed}.",
        )
    return _checked(BUILTIN / repo.removeprefix("builtin/"), repo)


def _folder(repo: str, field: str) -> Path:
    folder = Path(os.path.abspath(Path(repo).expanduser()))
    if not folder.is_dir():
        raise ModelNotFound(
            "There is no such folder on this machine.", field=field, given=repo,
            advice="Check the path, or type a Hub id such as owner/name.",
        )
    return folder


def _checked(folder: Path, repo: str) -> Path:
    """``folder`` if it has what every model of ours has; the loader looks closer."""
    if not (folder / "config.json").is_file():
        raise ModelInvalid(
            "This folder holds no model: config.json is missing.", field="model", given=repo,
            advice="Choose the folder that save_pretrained() or a download has written.",
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelUnsafe(
            "This folder holds no safetensors weights, and other formats can run code.",
            field="model", given=repo, advice="Save the model again with safe_serialization.",
        )
    return folder


def _revision(revision: str) -> str:
    if revision and (not re.fullmatch(r"[\w.\-/]{1,100}", revision) or ".." in revision):
        raise InvalidInput(
            "A revision is a branch, a tag or a commit; this is none.",
            field="revision", given=revision, allowed="letters, digits, . _ - and /",
        )
    return revision
