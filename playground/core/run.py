"""One line of work, as a value: which model, what prompt, how decoded, with which dice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from playground.core.decoding import Decoding
from playground.core.prompt import Prompt, check_text
from playground.errors import InvalidInput

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["none", "nf4", "int8"]

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides which weights: the manager's key.

    ``repo`` is a built-in name (``builtin/tiny-chat``), a Hub id, or a folder on this machine.
    ``adapter`` is a LoRA adapter on top of it, a Hub id or a folder too.
    """

    repo: str
    revision: str = ""
    dtype: Dtype = "auto"
    quantization: Quantization = "none"
    adapter: str = ""

    def __post_init__(self) -> None:
        for name, given in (("model", self.repo), ("adapter", self.adapter)):
            check_text(given, name)
            if len(given) > 300 or any(ord(c) < 32 for c in given):
                raise InvalidInput(
                    f"The {name} is a Hub id such as owner/name, or a folder; this is neither.",
                    field=name,
                    given=given,
                )
        if not self.repo.strip():
            raise InvalidInput(
                "No model is chosen.", field="model",
                advice="Pick one from the list or type a Hub id.",
            )
        for name, kind in (("dtype", Dtype), ("quantization", Quantization)):
            if getattr(self, name) not in get_args(kind):
                allowed = ", ".join(get_args(kind))
                raise InvalidInput(
                    f"{name} cannot be {getattr(self, name)!r}; it can be {allowed}.",
                    field=name, given=getattr(self, name), allowed=allowed,
                )

    @property
    def label(self) -> str:
        """The name that people read: the last part of the repo, and what differs from plain."""
        name, adapter = (text.rstrip("/").rsplit("/", 1)[-1] for text in (self.repo, self.adapter))
        extra = [p for p in (self.dtype, self.quantization) if p not in ("auto", "none")]
        return " · ".join([f"{name} + {adapter}" if adapter else name, *extra])

    @property
    def base(self) -> ModelSpec:
        """The model without its adapter: what is loaded once for it and all its adapters."""
        return replace(self, adapter="")


@dataclass(frozen=True, slots=True)
class Run:
    """One prompt through one model with one decoding and one seed.

    ``draft`` is a smaller model with the same vocabulary, which proposes ``decoding.draft_tokens``
    at a time; it changes no token.
    """

    model: ModelSpec
    prompt: Prompt
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    draft: ModelSpec | None = None

    def __post_init__(self) -> None:
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise InvalidInput(
                f"Seed is {seed!r}; it must be a whole number from 0 to {LARGEST_SEED}.",
                field="seed",
                given=seed,
                allowed=f"a whole number from 0 to {LARGEST_SEED}",
            )

    @property
    def used_draft(self) -> ModelSpec | None:
        """The draft, where the decoding lets it propose."""
        used = self.decoding.is_speculative and self.decoding.draft_tokens > 0
        return self.draft if used else None
