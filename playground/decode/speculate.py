"""Prompt-lookup and draft-model decoding: several tokens read in one forward; it knows no loop.

Something cheap proposes the next tokens, the model reads them all in one forward, and its row
chooses at each place in turn, with its own processors and its own dice, as it would have done
token by token. A proposed token is accepted when it is the very token that the row chose there;
with the first that is not, the rest is thrown away and the cache rolled back. So proposals change
no id and no number of a ``Step``, greedy or sampled, under any processor: only how many forwards
the text takes. (In 16 bits a forward over several tokens rounds differently, as any shape does.)

- Leviathan et al. 2023 (arXiv 2211.17192) let the draft sample from its own probabilities q,
  accept its token x with the probability min(1, p(x) / q(x)), and draw from what is left of p
  otherwise. The texts have the same distribution and more is accepted while sampling (all, where q
  is p), but the draft changes which text a seed gives. Here the seed decides: the draft proposes
  its likeliest token, which is accepted when the model's own draw falls on it: as often as p says.
- Assisted generation of transformers does as Leviathan et al. with a draft that samples. With
  prompt lookup it compares draws as we do, but draws for all places of a forward, those after a
  rejection too: from there on its dice lie otherwise than without lookup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from transformers import DynamicCache
from transformers.generation.candidate_generator import PromptLookupCandidateGenerator

from playground.core.decoding import KNOBS
from playground.core.events import Event, Failed, Proposed, Source, Step
from playground.core.run import ModelSpec, Run
from playground.decode import cache as kv
from playground.decode.batch import Batch, Read, Seated, forward
from playground.decode.faults import FORWARD_FAULTS, problem_of
from playground.decode.member import Forwarded, Member, Turn
from playground.decode.prefill import CHUNK
from playground.decode.row import Row
from playground.errors import InvalidInput
from playground.models.lanes import ALONE, BATCH, has_only_attention, new_cache
from playground.models.loading import Model
from playground.models.text import Encoded

Drafts = Mapping[ModelSpec, Model]


class Proposer(Protocol):
    """What guesses how a text goes on."""

    source: Source

    def propose(self, ids: torch.Tensor, most: int) -> list[int]:
        """At most ``most`` next ids of a text [1, tokens], which has grown since the last call."""


class PromptLookup:
    """Proposes what followed the same words earlier in the text, prompt included.

    Saxena 2023 (github.com/apoorvumang/prompt-lookup-decoding) by the rule of transformers: the
    last two tokens are looked up, or else the last one, and the first place in the text counts.
    """

    source: Source = "prompt lookup"

    def __init__(self, count: int) -> None:
        self._count = count

    def propose(self, ids: torch.Tensor, most: int) -> list[int]:
        """See Proposer."""
        count = min(self._count, most)
        if count < 1:
            return []
        tokens = ids.shape[1]
        lookup = PromptLookupCandidateGenerator(
            num_output_tokens=count, max_length=tokens + count + 1
        )
        found, _ = lookup.get_candidates(ids.cpu())  # type: ignore[arg-type]
        return [int(id) for id in found[0, tokens:]]


class Draft:
    """Proposes what a smaller model of the same vocabulary would write, greedily.

    It reads the text into a KV cache of its own. A long prompt is read a chunk at a time, and
    until the end of it nothing is proposed, so that nobody waits for a draft.
    """

    source: Source = "draft"

    def __init__(self, model: Model, count: int, vocabulary: int) -> None:
        """``vocabulary``: how many ids the model that is drafted for knows."""
        self._lm, self._count = model.lm, count
        self._vocabulary, self._own = vocabulary, model.card.vocabulary
        self._context = model.card.context
        self._cache = new_cache(model.lm)
        kv.keep_past(self._cache, True)
        self._text = 0  # tokens of the text that the cache holds
        self._guessed: list[int] = []  # proposed tokens that it holds after them

    def propose(self, ids: torch.Tensor, most: int) -> list[int]:
        """See Proposer."""
        count = min(self._count, most, self._context - ids.shape[1])
        self._forget(ids)
        unread = ids[:, self._text :]
        # An id that is padding in one vocabulary may have no row in the other.
        if count < 1 or int(unread.max()) >= self._own:
            return []
        logits = self._read(unread[:, :CHUNK])
        self._text += min(unread.shape[1], CHUNK)
        found: list[int] = []
        while self._text == ids.shape[1]:
            found.append(int(logits[0, : self._vocabulary].argmax()))
            if len(found) == count:
                break
            logits = self._read(torch.tensor([found[-1:]], device=ids.device))
            self._guessed.append(found[-1])
        return found

    def _forget(self, ids: torch.Tensor) -> None:
        """Roll the cache back to where what was proposed last and the text part."""
        written = ids[0, self._text : self._text + len(self._guessed)].tolist()
        pairs = zip(self._guessed, written, strict=False)
        right = next((i for i, (one, other) in enumerate(pairs) if one != other), len(written))
        if self._text:
            self._cache.crop(right - len(self._guessed))
        self._text += right
        self._guessed = []

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        length = kv.width(self._cache) + ids.shape[1]
        return forward(self._lm, ids, self._cache, [length]).logits


def check_draft(model: Model, draft: Model) -> None:
    """Raise PlaygroundError unless ``draft`` can propose tokens for ``model``."""
    draft.check_decodes()
    label, own = draft.spec.label, model.spec.label
    if draft.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        raise InvalidInput(
            f"{label} has other tokens than {own}, so it cannot propose any for it.",
            field="draft", given=draft.spec.repo, allowed="a model with the very same vocabulary",
            advice="Take a smaller model of the same family, or set Draft tokens to 0.",
        )
    if not can_go_back(draft):
        raise InvalidInput(
            f"{label} cannot be a draft: its KV cache cannot be rolled back.",
            field="draft", given=draft.spec.repo, allowed="a model with attention in every layer",
        )


def plan(model: Model, run: Run, drafts: Drafts) -> tuple[list[Proposer], list[str]]:
    """What proposes tokens for this run, in order, and why a knob that asks for more does not.

    The text itself comes first, and where it knows nothing the draft.
    """
    decoding = run.decoding
    found: dict[str, Proposer | str] = {}
    if not decoding.is_speculative:
        return [], []
    if decoding.prompt_lookup_tokens > 0:
        found["prompt_lookup_tokens"] = PromptLookup(decoding.prompt_lookup_tokens)
    if decoding.draft_tokens > 0:
        draft = drafts.get(run.used_draft) if run.used_draft is not None else None
        found["draft_tokens"] = (
            Draft(draft, decoding.draft_tokens, model.card.vocabulary)
            if draft is not None else "no draft model is chosen"
        )
    if not can_go_back(model):
        found = dict.fromkeys(found, "the KV cache of this model cannot be rolled back")
    elif decoding.alone and model.lm.dtype != torch.float32:
        why = f"in {model.card.dtype} several tokens in one forward are rounded differently"
        found = dict.fromkeys(found, why)
    ignored = [
        f"ignored: {KNOBS[name].label} ({why})." for name, why in found.items()
        if isinstance(why, str)
    ]
    return [one for one in found.values() if not isinstance(one, str)], ignored


def can_go_back(model: Model) -> bool:
    """Whether tokens can be taken out of the model's KV cache again: attention in every layer."""
    return model.card.lane in (BATCH, ALONE) and has_only_attention(new_cache(model.lm))


class Speculation(Row):
    """A row that takes several tokens with a forward."""

    def __init__(
        self, model: Model, key: int, run: Run, encoded: Encoded, proposers: Sequence[Proposer]
    ) -> None:
        """The first of the ``proposers`` that knows how the text goes on is believed."""
        super().__init__(model, key, run, encoded)
        self._model, self._proposers = model, proposers
        self._proposed: list[int] = []
        self._source: Source = "prompt lookup"

    def ahead(self) -> torch.Tensor:
        """The newest token and what is proposed now, [1, 1 + proposed]."""
        # The last token of a run needs no proposal: it is chosen from what was read before it; nor
        # does one that is inserted.
        most = self.limit - self.new_tokens - 1 if self.inserted is None else 0
        self._proposed = []
        for proposer in self._proposers:
            if not self._proposed:
                self._source, self._proposed = proposer.source, proposer.propose(self.ids, most)
        more = torch.tensor([self._proposed], dtype=torch.long, device=self.ids.device)
        return torch.cat([self.newest(), more], dim=1)

    def advance(self, forwarded: Forwarded) -> Turn:
        """Choose at each place in turn; ``forwarded`` holds one row for each token of ``ahead``."""
        position, proposed = self.new_tokens, self._proposed
        told: list[Event] = []
        accepted = 0
        try:
            for place in range(len(proposed) + 1):
                events = self.choose(forwarded.part(place, 1))
                told += events
                step = events[0]
                right = isinstance(step, Step) and [step.id] == proposed[place : place + 1]
                accepted += right
                if not right or len(events) > 1:
                    break
        except FORWARD_FAULTS as fault:
            # What this forward has given already is told before the run fails.
            told.append(Failed(problem_of(fault, self._model)))
        if proposed:
            pieces = tuple(self.pieces[id] for id in proposed)
            told.insert(0, Proposed(position, self._source, pieces, accepted))
        return Turn(told)


class SpeculativeBatch(Batch):
    """A batch of one ``Speculation``, whose cache grows by what was accepted."""

    def __init__(self, lm: Any, row: Speculation) -> None:
        super().__init__(lm)
        self._row = row

    def join(self, newcomers: Sequence[Seated]) -> None:
        """See Batch."""
        super().join(newcomers)
        if self._cache is not None:
            kv.keep_past(self._cache, True)

    def cache_of(self, member: Member, text: int) -> DynamicCache | None:
        """See Batch; as everybody else's caches are."""
        found = super().cache_of(member, text)
        if found is not None:
            kv.keep_past(found, False)
        return found

    def _read(self, with_states: bool) -> Read:
        ids = self._row.ahead()
        last = ids.shape[1]
        length = self._row.length + last - 1
        return forward(self._lm, ids, self._cache, [length], with_states, last)

    def turns(
        self, forwarded: Forwarded, act: Callable[[Member, Forwarded], Turn | None]
    ) -> list[Turn | None]:
        """Let the row act on the whole forward, and take out of the cache what it rejected."""
        turn = act(self._row, forwarded)
        if self._cache is not None:
            self._cache.crop(self._row.length - 1 - kv.width(self._cache))
        return [turn and self.weighed(turn, self._row.lengths, unread=1)]
