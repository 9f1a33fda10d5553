"""What the Hub says of a repo before its weights are fetched, as a plain value; it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from playground.models.weights import Weights


@dataclass(frozen=True, slots=True)
class Repo:
    """One commit of a repo: ``files`` that a model needs, their ``bytes``, how many of these are
    ``missing`` on this machine, its config.json, and what its weights count, where that was asked.
    """

    repo: str
    commit: str
    files: int
    bytes: int
    missing: int
    gated: bool = False
    licence: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    weights: Weights | None = None

    def described(self) -> dict[str, Any]:
        """As plain values for JSON; ``repo_from`` is the way back."""
        return asdict(self)


def repo_from(told: Mapping[str, Any]) -> Repo:
    """The value that ``described`` was called on."""
    weights = told["weights"]
    return Repo(**{**told, "weights": Weights(**weights) if weights else None})
