"""Measures how an encoder tells the senses of words apart and fills in hidden words.

It does not know which sentences are held out or what the figures are for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .held_out_senses import Labelled


def word_vectors(lm: Any, tokenizer: Any, text: str, word: str) -> Tensor:
    """The vectors [layers + 1, width] of a word in a text, the mean of its tokens; the first is
    that of the embeddings, which knows nothing of the text but the place."""
    found = re.search(rf"\b{word}\b", text, re.IGNORECASE)
    assert found, f"{word!r} is not in {text!r}"
    given = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    places = [
        number
        for number, (start, end) in enumerate(given.pop("offset_mapping")[0].tolist())
        if found.start() <= start < end <= found.end()
    ]
    with torch.inference_mode():
        states = lm(**given, output_hidden_states=True).hidden_states
    return torch.stack([state[0, places].float().mean(0) for state in states])


def nearest(vectors: Tensor) -> list[int]:
    """For each of some vectors [number, width] the number of the other one with the largest cosine.
    """
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    cosines = unit @ unit.T
    cosines.fill_diagonal_(-2.0)
    return cosines.argmax(-1).tolist()


@dataclass(frozen=True)
class Separation:
    """Of ``count`` sentences with a word, how many had one of their own sense nearest to them, by
    layer; the first figure is that of the embeddings."""

    word: str
    count: int
    hits: tuple[int, ...]


def separation(lm: Any, tokenizer: Any, sentences: Sequence[Labelled]) -> list[Separation]:
    """Leave one out: the nearest neighbour of each sentence among all others of its word."""
    made = []
    for word in dict.fromkeys(one.word for one in sentences):
        own = [one for one in sentences if one.word == word]
        vectors = torch.stack([word_vectors(lm, tokenizer, one.text, word) for one in own])
        hits = []
        for layer in range(vectors.shape[1]):
            pairs = zip(own, nearest(vectors[:, layer]), strict=True)
            hits.append(sum(one.sense == own[other].sense for one, other in pairs))
        made.append(Separation(word, len(own), tuple(hits)))
    return made


def fill_in(lm: Any, tokenizer: Any, text: str, count: int = 5) -> list[tuple[str, float]]:
    """The likeliest tokens at the first [MASK] of a text, with their probabilities."""
    given = tokenizer(text, return_tensors="pt")
    place = given["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    with torch.inference_mode():
        best = lm(**given).logits[0, place].float().softmax(-1).topk(count)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(tokenizer.decode([token]), value) for token, value in pairs]
