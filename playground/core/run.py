"""One line of work, as a value: which model, what prompt, how decoded, with which dice.

A run may begin in the middle of an answer: then it has a ``Fork``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from playground.core.decoding import KNOBS, Decoding
from playground.core.prompt import Prompt, check_text
from playground.core.remote import server_and_model
from playground.errors import InvalidInput, shown

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["none", "nf4", "int8"]

LARGEST_SEED = 2**32 - 1

# Of a fork: the ids that an answer may have at all, and the characters of a text put into it.
MOST_IDS = int(KNOBS["max_new_tokens"].high)
LONGEST_INSERT = 20_000


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides which weights: the manager's key.

    ``repo`` is a built-in name (``builtin/tiny-chat``), a Hub id, a folder on this machine, or
    ``remote/NAME/MODEL``, a model on a server (see core.remote).
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
        """The name that people read: the last part of the repo, and what differs from plain; for a
        model on a server both names."""
        if served := server_and_model(self.repo):
            return f"{served[1].rsplit('/', 1)[-1]} on {served[0]}"
        name, adapter = (text.rstrip("/").rsplit("/", 1)[-1] for text in (self.repo, self.adapter))
        extra = [p for p in (self.dtype, self.quantization) if p not in ("auto", "none")]
        return " · ".join([f"{name} + {adapter}" if adapter else name, *extra])

    @property
    def base(self) -> ModelSpec:
        """The model without its adapter: what is loaded once for it and all its adapters."""
        return replace(self, adapter="")


@dataclass(frozen=True, slots=True)
class Fork:
    """Where in an answer a run goes on.

    ``ids`` are the tokens of the answer that stand already: they are read like the prompt and not
    told again, so that the first ``Step`` has position ``len(ids)``. ``insert`` comes next,
    whatever the model would choose: ids, or a text that becomes ids, without control tokens. Each
    is told as a ``Step`` that is ``forced``, with what the model thought of it. Then the run
    chooses freely, with fresh dice from its seed; at the first place that it chooses, it cannot
    choose one of ``banned``. Raises InvalidInput for what is no token id and no text.
    """

    ids: tuple[int, ...] = ()
    insert: tuple[int, ...] | str = ()
    banned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_ids(self.ids, "The tokens that stand before a fork")
        if isinstance(self.insert, str):
            check_text(self.insert, "fork")
            if len(self.insert) > LONGEST_INSERT:
                raise InvalidInput(
                    f"The text to insert has {len(self.insert)} characters; it may have "
                    f"{LONGEST_INSERT}.",
                    field="fork", given=f"{len(self.insert)} characters",
                    allowed=f"at most {LONGEST_INSERT} characters", advice="Insert a shorter text.",
                )
        else:
            _check_ids(self.insert, "What is inserted at a fork")
        _check_ids(self.banned, "The tokens that are banned at a fork")


@dataclass(frozen=True, slots=True)
class Run:
    """One prompt through one model with one decoding and one seed.

    ``draft`` is a smaller model with the same vocabulary, which proposes ``decoding.draft_tokens``
    at a time; it changes no token. With a ``fork`` it goes on in the middle of an answer, and
    ``decoding.max_new_tokens`` counts the whole answer.
    """

    model: ModelSpec
    prompt: Prompt
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    draft: ModelSpec | None = None
    fork: Fork | None = None

    def __post_init__(self) -> None:
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise InvalidInput(
                f"Seed is {shown(seed, quoted=True)}; "
                f"it must be a whole number from 0 to {LARGEST_SEED}.",
                field="seed",
                given=seed,
                allowed=f"a whole number from 0 to {LARGEST_SEED}",
            )

    @property
    def used_draft(self) -> ModelSpec | None:
        """The draft, where the decoding lets it propose."""
        used = self.decoding.is_speculative and self.decoding.draft_tokens > 0
        return self.draft if used else None


def _check_ids(ids: object, name: str) -> None:
    """Raise InvalidInput unless these are token ids, not too many: what a browser sends may be
    anything, and a list would make a run that cannot be hashed."""
    wanted = "whole numbers from 0, in a tuple"
    if not isinstance(ids, tuple):
        raise InvalidInput(
            f"{name} must be token ids.", field="fork", given=ids, allowed=wanted
        )
    if len(ids) > MOST_IDS:
        raise InvalidInput(
            f"{name} are {len(ids)} token ids; there may be {MOST_IDS}.",
            field="fork", given=f"{len(ids)} token ids", allowed=f"at most {MOST_IDS}",
        )
    wrong = [i for i in ids if isinstance(i, bool) or not isinstance(i, int) or i < 0]
    if wrong:
        raise InvalidInput(
            f"{name} must be token ids, and {wrong[0]!r} is none.",
            field="fork", given=wrong[0], allowed=wanted,
            advice="A server that tells no ids cannot go on in the middle of an answer."
            if type(wrong[0]) is int else "",
        )
