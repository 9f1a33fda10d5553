"""The looks at vectors: rows of the embedding matrix, and one word in several sentences with its
principal components; it draws nothing."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from playground.core.vectors import (
    Layer,
    Occurrence,
    StaticFound,
    StaticVectors,
    TokenVector,
    WordFound,
    WordVectors,
    chance,
    means,
    nearest,
    spans,
)
from playground.errors import InvalidInput
from playground.inside.figures import rounded
from playground.inside.occurrences import covering
from playground.inside.passes import read
from playground.inside.subject import Look, Subject
from playground.models.text import Encoded, encode

MOST_TOKENS = 40       # different ones of a text
VALUES = 64            # first values of each
MOST_OCCURRENCES = 32
LONGEST_LINE = 256     # tokens
_NO_SPREAD = 1e-10     # variance against the mean square, below which all vectors are the same


def look_at_static(subject: Subject, request: StaticVectors) -> Look:
    """See ``StaticVectors``; no forward is needed."""
    made = encode(subject.model, request.prompt, subject.model.card.context + 1)
    yield
    pieces = list(dict.fromkeys(made.pieces))
    some = pieces[:MOST_TOKENS]
    matrix = subject.model.lm.get_input_embeddings().weight
    rows = matrix[torch.tensor([piece.id for piece in some], device=matrix.device)].float()
    return StaticFound(
        tuple(TokenVector(piece, rounded(row.norm())[0], rounded(row[:VALUES]))
              for piece, row in zip(some, rows, strict=True)),
        tuple(rounded(row) for row in _cosines(rows)), rows.shape[1],
        str(matrix.dtype).removeprefix("torch."), _tied(subject, matrix),
        len(pieces) - len(some), made.notices,
    )


def _tied(subject: Subject, matrix: torch.Tensor) -> bool | None:
    head = getattr(subject.model.lm.get_output_embeddings(), "weight", None)
    return None if head is None else head.data_ptr() == matrix.data_ptr()


@dataclass(frozen=True, eq=False)
class _Read:
    """A line that holds the word: its ids, and the tokens of each occurrence."""

    made: Encoded
    places: tuple[tuple[int, ...], ...]


def look_at_word(subject: Subject, request: WordVectors) -> Look:
    """See ``WordVectors``. Raises InvalidInput where the word is in no two places."""
    lines, found, missing = _found(subject, request)
    yield
    kept: list[list[torch.Tensor]] = []  # of each occurrence, its vector behind each layer
    for line in lines:
        seen = yield from read(subject, line.made.ids)
        for places in line.places:
            kept.append([state[list(places)].float().mean(dim=0) for state in seen.hidden])
    sees_ahead = yield from _sees_ahead(subject, lines, kept)
    labels = [request.lines[one.line].label for one in found]
    layers: list[Layer] = []
    points: torch.Tensor | None = None
    for vectors in zip(*kept, strict=True):
        points, shares = principal(torch.stack(vectors), points)
        layers.append(_layer(torch.stack(vectors), points, shares, labels))
        yield
    notices = dict.fromkeys(note for line in lines for note in line.made.notices)
    return WordFound(request.lines, found, tuple(layers), missing, chance(labels), sees_ahead,
                     tuple(notices))


def _found(
    subject: Subject, request: WordVectors
) -> tuple[list[_Read], tuple[Occurrence, ...], tuple[int, ...]]:
    """The lines that hold the word, all its occurrences, and the lines without it."""
    model = subject.model
    lines: list[_Read] = []
    found: list[Occurrence] = []
    missing: list[int] = []
    for place, (line, prompt) in enumerate(zip(request.lines, request.parts, strict=True)):
        stand = spans(line.text, request.word)
        if not stand:
            missing.append(place)
            continue
        made = encode(model, prompt, model.card.context + 1)
        _check_length(made, place)
        places = [covering(model, line.text, made, *span) for span in stand]
        if not all(places):
            raise InvalidInput(
                f"This model's tokenizer does not tell which tokens the word is in line "
                f"{place + 1}.", field="model", advice="Choose another model.",
            )
        lines.append(_Read(made, tuple(places)))
        found += [Occurrence(place, *span, tuple(made.pieces[n] for n in tokens))
                  for span, tokens in zip(stand, places, strict=True)]
    if not 2 <= len(found) <= MOST_OCCURRENCES:
        raise InvalidInput(
            f"“{request.word}” stands in the lines {len(found)} times; for a comparison it is "
            f"2 to {MOST_OCCURRENCES} times.",
            field="word", given=f"{len(found)} times", allowed=f"2 to {MOST_OCCURRENCES} times",
            advice="Write the word as it stands in the sentences.",
        )
    return lines, tuple(found), tuple(missing)


def _check_length(made: Encoded, place: int) -> None:
    if len(made.ids) > LONGEST_LINE:
        raise InvalidInput(
            f"Line {place + 1} has {len(made.ids)} tokens; it may have {LONGEST_LINE}.",
            field="sentences", given=f"{len(made.ids)} tokens",
            allowed=f"at most {LONGEST_LINE} tokens", advice="Shorten it.",
        )


def _sees_ahead(
    subject: Subject, lines: Sequence[_Read], kept: Sequence[Sequence[torch.Tensor]]
) -> Generator[None, None, bool | None]:
    """Whether a word's vector is another without what stands behind it, as measured on the first
    line that goes on after the word; None where none does."""
    number = 0
    for line in lines:
        after = line.places[0][-1] + 1
        if any(not piece.special for piece in line.made.pieces[after:]):
            seen = yield from read(subject, line.made.ids[:after])
            cut = seen.hidden[-1][list(line.places[0])].float().mean(dim=0)
            whole = kept[number][-1]
            return bool((whole - cut).norm() > 1e-2 * whole.norm())
        number += len(line.places)
    return None


def _layer(
    vectors: torch.Tensor, points: torch.Tensor, shares: tuple[float, float],
    labels: Sequence[str],
) -> Layer:
    cosines = _cosines(vectors)
    whole: list[list[float]] = cosines.tolist()
    within, between = means(whole, labels)
    rows, columns = torch.triu_indices(len(cosines), len(cosines), offset=1)
    return Layer(
        rounded(cosines[rows, columns]), tuple((x, y) for x, y in map(rounded, points)), shares,
        nearest(whole, labels), within, between,
    )


def principal(
    vectors: torch.Tensor, before: torch.Tensor | None = None
) -> tuple[torch.Tensor, tuple[float, float]]:
    """The two first principal components [vectors, 2] of [vectors, width], and their shares of the
    variance, by a singular value decomposition in fp64.

    A component may point either way: here to where ``before`` (those of the layer before) points
    too, so that the picture does not flip from layer to layer; in the first layer its largest value
    is positive, the first of them where several are. Where all vectors are the same, all points
    are 0.
    """
    double = vectors.cpu().double()  # few, and alike wherever they come from
    centred = double - double.mean(dim=0)
    variance = float(centred.square().sum())
    if variance <= _NO_SPREAD * float(double.square().sum()):
        return torch.zeros(len(vectors), 2), (0.0, 0.0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    points = torch.zeros(len(vectors), 2, dtype=torch.float64)
    points[:, : min(2, len(s))] = (u * s)[:, :2].cpu()
    for axis in range(2):
        column = points[:, axis]
        along = 0.0 if before is None else float(column @ before[:, axis].double())
        if along == 0.0:
            largest = column.abs() >= (1 - 1e-6) * column.abs().max()
            along = float(column[largest][0])
        if along < 0:
            points[:, axis] = -column
    share = (s.square() / variance).tolist() + [0.0]
    return points, (float(f"{share[0]:.4g}"), float(f"{share[1]:.4g}"))


def _cosines(vectors: torch.Tensor) -> torch.Tensor:
    """The cosine of each vector with each; 0 with a vector of zeros."""
    unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
    return (unit @ unit.T).clamp(-1.0, 1.0).cpu()
