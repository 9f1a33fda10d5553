"""Banned, biased and forced phrases as token ids; it knows no scores and no run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playground.core.decoding import Decoding
from playground.core.phrases import LARGEST_BIAS, Phrase
from playground.errors import InvalidInput
from playground.models.pieces import pieces_of
from playground.models.text import inside

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of a ``Decoding`` in the ids of one tokenizer."""

    banned: tuple[Tokens, ...] = ()
    bias: tuple[tuple[Tokens, float], ...] = ()
    forced: Tokens = ()

    def check_room(self, limit: int) -> None:
        """Raise InvalidInput where the forced tokens are more than may be written."""
        if len(self.forced) > limit:
            raise InvalidInput(
                f"The answer is to begin with {len(self.forced)} tokens, and {limit} may be "
                "written.",
                field="forced",
                given=f"{len(self.forced)} tokens",
                allowed=f"at most {limit} tokens",
                advice="Shorten it, or raise New tokens.",
            )


def phrases_of(
    tokenizer: Any, decoding: Decoding, vocabulary: int, ends: Sequence[int] = ()
) -> Phrases:
    """The ids of the phrases: a banned or biased text both as it stands and after a space.

    Of two biases on the same ids the last counts, as in transformers. Raises InvalidInput, naming
    the field, for a text that becomes no token, for ids that the model does not have, and for a
    banned token of ``ends``, which transformers would leave out in silence.
    """
    spell = _Speller(tokenizer, vocabulary)
    banned = dict.fromkeys(ids for p in decoding.banned for ids in spell.ways("banned", p))
    bias = {ids: float(b) for p, b in decoding.bias for ids in spell.ways("bias", p)}
    end = next((ids[0] for ids in banned if len(ids) == 1 and ids[0] in ends), None)
    if end is not None:
        text = pieces_of(tokenizer)[end].text
        raise InvalidInput(
            f"{text!r} ends the text, and cannot be banned.",
            field="banned",
            given=text,
            advice=f"Raise At least, or give it a bias of {-LARGEST_BIAS:g} instead.",
        )
    forced = spell.once("forced", decoding.forced) if decoding.forced else ()
    return Phrases(tuple(banned), tuple(bias.items()), forced)


class _Speller:
    """From a phrase to ids, or the sentence why not."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer, self._vocabulary = tokenizer, vocabulary

    def ways(self, field: str, phrase: Phrase) -> list[Tokens]:
        """A text in two ways, exact ids in one."""
        texts = [phrase, f" {phrase}"] if isinstance(phrase, str) else [phrase]
        return [self.once(field, text) for text in texts]

    def once(self, field: str, phrase: Phrase) -> Tokens:
        """The ids of a phrase as it stands."""
        ids = inside(self._tokenizer, phrase) if isinstance(phrase, str) else phrase
        if not ids:
            raise InvalidInput(
                f"The phrase {phrase!r} becomes no token in this model.",
                field=field, given=phrase, advice="Leave it out, or write some words.",
            )
        unknown = self._tokenizer.unk_token_id
        if isinstance(phrase, str) and unknown in ids and self._tokenizer.unk_token not in phrase:
            raise InvalidInput(
                f"This model has no tokens to write {phrase!r} with.", field=field, given=phrase
            )
        wrong = next((id for id in ids if id >= self._vocabulary), None)
        if wrong is not None:
            raise InvalidInput(
                f"Token id {wrong} is not in this model's vocabulary of {self._vocabulary}.",
                field=field, given=phrase, allowed=f"0 to {self._vocabulary - 1}",
            )
        return ids
