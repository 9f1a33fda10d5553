"""The model's own predictions at every position of a text, and the walk from its last hidden state
to text; it knows no view and no decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp
from typing import Any

import torch
from transformers import GenerationMixin

from playground.core.events import Candidate
from playground.core.predictions import (
    MOST_TOKENS,
    Place,
    Predictions,
    PredictionsFound,
    WalkStep,
)
from playground.errors import BadLogits, InvalidInput
from playground.inside.passes import read
from playground.inside.stack import head_of
from playground.inside.subject import Look, Subject
from playground.models import head as heads
from playground.models.kinds import ENCODER
from playground.models.loading import Model
from playground.models.pieces import Detokenizer, pieces_of
from playground.models.text import encode

READ_AT_ONCE = 32  # positions whose distributions are worked on: these need four times their logits
_VALUES = 8        # first numbers that are shown of a vector


def look_at_predictions(subject: Subject, request: Predictions) -> Look:
    """Top candidates at each position, and the four steps behind one of them.

    Raises InvalidInput for a text that is too long, BadLogits for broken weights.
    """
    model = subject.model
    encoded = encode(model, request.prompt, model.card.context + 1)  # none is left for an answer
    if len(encoded.ids) > MOST_TOKENS:
        raise InvalidInput(
            f"The text has {len(encoded.ids)} tokens; the predictions of at most {MOST_TOKENS} "
            "are shown at once.",
            field="text", given=f"{len(encoded.ids)} tokens", allowed=f"at most {MOST_TOKENS}",
            advice="Look at a shorter text.",
        )
    yield
    if head_of(model.lm) is None:
        return PredictionsFound((), lacks=_lacks(model), notices=encoded.notices)
    table = _Table(model, encoded.ids, request.choices)
    ends = _Ends(model.lm, table.at)
    yield from read(subject, encoded.ids, logits=table.take, around=ends.heard)
    walk = tuple(_walk(model, table, ends))
    return PredictionsFound(
        tuple(table.places), walk, table.at, table.masked, table.mask, "", encoded.notices
    )


def _lacks(model: Model) -> str:
    return (
        f"{type(model.lm).__name__} has no head: it gives a vector for each token, and no logits. "
        "Its vectors are in the sections on embeddings and hidden states."
    )


@dataclass
class _Table:
    """The places of a text, made chunk by chunk from their logits."""

    model: Model
    ids: Sequence[int]
    choices: int
    places: list[Place] = field(default_factory=list)
    logits: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.masked = self.model.card.kind == ENCODER
        self.mask = self.model.tokenizer.mask_token_id if self.masked else None
        masks = [n for n, id in enumerate(self.ids) if id == self.mask]
        self.at = masks[0] if masks else len(self.ids) - 1
        self._pieces = pieces_of(self.model.tokenizer)
        self._text = Detokenizer(self.model.tokenizer, ())

    def take(self, start: int, logits: torch.Tensor) -> None:
        """The logits [tokens, vocabulary] at the positions from ``start`` on. Raises BadLogits."""
        if start <= self.at < start + len(logits):
            self.logits = logits[self.at - start].float()
        for row in range(0, len(logits), READ_AT_ONCE):
            self._take(start + row, logits[row : row + READ_AT_ONCE])

    def _take(self, start: int, logits: torch.Tensor) -> None:
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        entropy = -torch.linalg.vecdot(logprobs.exp(), logprobs.clamp(min=-1e4))
        likeliest = logprobs.topk(min(self.choices, logprobs.shape[-1]), dim=-1)
        shift = 0 if self.masked else 1
        actual = list(self.ids[start + shift : start + shift + len(logits)])
        wanted = torch.tensor([*actual, *[0] * (len(logits) - len(actual))], device=logits.device)
        own = logprobs.gather(1, wanted[:, None])
        ranks = (torch.count_nonzero(logprobs > own, dim=1) + 1).tolist()
        rows = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        for row, (ids, values) in enumerate(rows):
            if not bool(torch.isfinite(entropy[row])):
                raise self._broken(start + row)
            id, is_last = self.ids[start + row], row >= len(actual)
            self.places.append(Place(
                self._pieces[id], "" if self._text.is_special(id) else self._text.push(id),
                tuple(self._candidate(i, v) for i, v in zip(ids, values, strict=True)),
                float(entropy[row]),
                None if is_last else self._candidate(actual[row], float(own[row, 0])),
                0 if is_last else ranks[row],
            ))

    def _candidate(self, id: int, logprob: float) -> Candidate:
        return Candidate(id, self._pieces[id].text, logprob, exp(logprob))

    def _broken(self, place: int) -> BadLogits:
        return BadLogits(
            f"At position {place + 1} the model {self.model.spec.label} computed NaN or infinity "
            "instead of logits.",
            field="model",
            advice="Its files may be damaged, or its numbers too large for 16 bits.",
        )


class _Ends:
    """What the bare model gave and what the head took and gave at position ``at``: copies of one
    vector each, and how many positions there were."""

    def __init__(self, lm: Any, at: int) -> None:
        self._lm, self._at = lm, at
        self._seen: dict[str, int] = {}
        self.vectors: dict[str, torch.Tensor] = {}

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen, for one forward."""
        base, head = self._lm.base_model, head_of(self._lm)
        hooks = [head.register_forward_pre_hook(lambda _, args: self._note("taken", args[:1])),
                 head.register_forward_hook(lambda _, __, out: self._note("logits", out))]
        if base is not self._lm:
            hooks.append(base.register_forward_hook(lambda _, __, out: self._note("hidden", out)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _note(self, what: str, out: Any) -> None:
        """Keep the vector that is looked at, where this chunk has it. A head may be asked for the
        chunk's last positions only."""
        states = getattr(out, "last_hidden_state", None)
        if states is None:
            states = out[0] if isinstance(out, tuple) else out
        if not isinstance(states, torch.Tensor) or states.dim() != 3:
            return
        start = self._seen.get(what, 0)
        self._seen[what] = start + states.shape[1]
        if start <= self._at < start + states.shape[1]:
            self.vectors[what] = states[0, self._at - start].clone()


def _walk(model: Model, table: _Table, ends: _Ends) -> Iterator[WalkStep]:
    """The four steps at the position that is looked at; none where the head was not called."""
    taken, raw, logits = ends.vectors.get("taken"), ends.vectors.get("logits"), table.logits
    if taken is None or raw is None or logits is None:
        return
    hidden = ends.vectors.get("hidden", taken)
    count, at = len(table.ids), table.at
    base, head = _paths(model.lm)
    between = hidden.shape != taken.shape or not torch.equal(hidden, taken)
    yield WalkStep(
        "hidden", f"hidden = {base}(**inputs).last_hidden_state", (1, count, len(hidden)),
        _dtype(hidden), _first(hidden),
    )
    whole = head.split(".")[0] if between else head
    does, said = _after_head(model.lm, f"model.{whole}(hidden)")
    if between:
        said = f"Other modules stand between the hidden state and {head}. {said}".strip()
    yield WalkStep(
        "logits", f"logits = {does}", (1, count, len(logits)), _dtype(raw), _first(logits),
        said=said,
    )
    best = int(logits.argmax())
    place = "-1" if at == count - 1 else str(at)
    yield WalkStep(
        "argmax", f"token = logits[0, {place}].argmax()", (), "int64",
        (float(best), float(logits[best])),
    )
    yield WalkStep(
        "text", "tokenizer.decode(token)",
        text=model.tokenizer.decode([best], clean_up_tokenization_spaces=False),
    )


def _paths(lm: Any) -> tuple[str, str]:
    """How code names the bare model ("model.model"), and the path of its head."""
    modules = {id(module): name for name, module in lm.named_modules()}
    base = modules[id(lm.base_model)]
    return (f"model.{base}" if base else "model"), modules[id(head_of(lm))]


def _after_head(lm: Any, call: str) -> tuple[str, str]:
    """The code from a hidden state to logits, and what the model does beyond the head."""
    found = heads.head_of(lm) if isinstance(lm, GenerationMixin) else ""
    if isinstance(found, str) or (found.factor == 1.0 and found.cap is None):
        return call, ""
    said = ""
    if abs(found.factor - 1.0) > 1e-6:
        call, said = f"{found.factor:.6g} * {call}", "This model scales what its head gives."
    if found.cap is not None:
        call = f"{found.cap:g} * torch.tanh({call} / {found.cap:g})"
        said = f"{said} This model bounds its logits to ±{found.cap:g}.".strip()
    return call, said


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _first(vector: torch.Tensor) -> tuple[float, ...]:
    return tuple(vector[:_VALUES].float().tolist())
