"""A text taken apart by a model's tokenizer, stage by stage; it knows no weights and no view."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from tokenizers import NormalizedString, PreTokenizedString

from playground.core.prompt import Ids, Raw
from playground.core.tokenization import (
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_SHOWN,
    MOST_STEPPED,
    PaddedBatch,
    PaddedRow,
    Part,
    Step,
    TakenApart,
    Token,
    Tokenized,
    TokenizeRequest,
    TokenizerFacts,
    read_ids,
)
from playground.errors import InvalidInput, PlaygroundError
from playground.inside.subject import Look, Subject
from playground.models.lanes import padding_of
from playground.models.loading import Model
from playground.models.text import Traced, check_ids, pieces_of, trace

_MOST_PARTS = 24       # stages of a tokenizer that are told
_MOST_SETTINGS = 160   # characters of a stage's settings
_NAMED = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token",
          "mask_token")


def look_at_text(subject: Subject, request: TokenizeRequest) -> Look:
    """What the tokenizer is, what it makes of the text, of a batch of two, and of typed ids."""
    model = subject.model
    facts = facts_of(model.tokenizer)
    yield
    text = _tried(_take_apart, model, request.prompt) if request.prompt is not None else None
    yield
    batch = None
    if request.beside and isinstance(request.prompt, Raw):
        batch = _tried(_pad, model, request.prompt.text, request.beside)
    typed = _tried(_read_back, model, request.ids) if request.ids.strip() else None
    return Tokenized(model.spec, facts, text, batch, typed)


def _tried(work: Any, *given: Any) -> Any:
    """What comes of it, or what is wrong with what was given: the other parts go on."""
    try:
        return work(*given)
    except PlaygroundError as fault:
        return fault.problem


def facts_of(tokenizer: Any) -> TokenizerFacts:
    """A tokenizer as it is, as far as it tells."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    pieces = pieces_of(tokenizer)
    specials = tuple(
        (name, pieces[int(id)]) for name in _NAMED
        if (id := getattr(tokenizer, f"{name}_id", None)) is not None
    )
    facts: dict[str, Any] = {
        "kind": type(tokenizer).__name__, "size": len(tokenizer),
        "added": len(tokenizer.added_tokens_decoder), "specials": specials,
    }
    if backend is None:
        return TokenizerFacts(model="", is_open=False, **facts)
    return TokenizerFacts(
        model=type(backend.model).__name__, is_open=True, normalizer=_parts(backend.normalizer),
        pre_tokenizer=_parts(backend.pre_tokenizer), decoder=_parts(backend.decoder), **facts,
    )


def _take_apart(model: Model, prompt: Raw | Ids) -> TakenApart:
    if isinstance(prompt, Ids):
        return _of_ids(model, prompt.ids)
    _check_length(prompt.text)
    tokenizer, traced = model.tokenizer, trace(model.tokenizer, prompt.text)
    decoded = _decode(tokenizer, [i for i, around in zip(
        traced.ids, traced.around, strict=True) if not around])
    spans = traced.spans or _spans(tokenizer, traced, prompt.text)
    steps = tuple(_steps(tokenizer, prompt.text))
    return TakenApart(
        prompt.text, _tokens(tokenizer, traced.ids, spans), len(traced.ids), sum(traced.around),
        decoded if decoded != prompt.text else "", steps,
        min(len(prompt.text), MOST_STEPPED) if steps else 0,
    )


def _read_back(model: Model, typed: str) -> TakenApart:
    return _of_ids(model, read_ids(typed))


def _of_ids(model: Model, ids: Sequence[int]) -> TakenApart:
    """Ids as text: what the tokenizer decodes them to. Raises InvalidInput."""
    check_ids(ids, model.card.vocabulary)
    text = _decode(model.tokenizer, ids)
    traced = Traced(tuple(ids), (False,) * len(ids))
    tokens = _tokens(model.tokenizer, ids, _spans(model.tokenizer, traced, text))
    return TakenApart(text, tokens, len(ids), 0)


def _tokens(
    tokenizer: Any, ids: Sequence[int], spans: Sequence[tuple[int, int]]
) -> tuple[Token, ...]:
    pieces, shown = pieces_of(tokenizer), ids[:MOST_SHOWN]
    if not spans:
        return tuple(Token(pieces[i]) for i in shown)
    return tuple(Token(pieces[i], *spans[n]) for n, i in enumerate(shown))


def _spans(tokenizer: Any, traced: Traced, text: str) -> list[tuple[int, int]]:
    """The characters of each token by the bytes of their pieces; none where these are not the
    text's, as with a tokenizer that writes all letters small."""
    data = [b"" if around else pieces_of(tokenizer).data(i)
            for i, around in zip(traced.ids, traced.around, strict=True)]
    if b"".join(data) != text.encode():
        return []
    spans, begun = [], 0  # ``begun``: characters whose first byte was seen
    for some in data:
        start = begun - (bool(some) and 0x80 <= some[0] < 0xC0)  # it goes on with a character
        begun += sum(not 0x80 <= byte < 0xC0 for byte in some)
        spans.append((start, begun))
    return spans


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))


def _steps(tokenizer: Any, text: str) -> Iterator[Step]:
    """The beginning of a text after each stage; added tokens are taken out before all of them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    parts = [NormalizedString(part) for part in _between_added(tokenizer, text[:MOST_STEPPED])]
    for stage in _stages(backend.normalizer):
        for part in parts:
            stage.normalize(part)
        yield Step("normalizer", _part(_state(stage)), tuple(p.normalized for p in parts))
    split = [PreTokenizedString(part.normalized) for part in parts]
    for stage in _stages(backend.pre_tokenizer):
        for words in split:
            stage.pre_tokenize(words)
        texts = tuple(word for words in split for word, *_ in words.get_splits())
        yield Step("pre-tokenizer", _part(_state(stage)), texts)


def _between_added(tokenizer: Any, text: str) -> list[str]:
    """The text without the added tokens in it, which no stage sees."""
    added = tokenizer.added_tokens_decoder
    traced = trace(tokenizer, text)
    parts, at = [], 0
    for id, (start, end) in zip(traced.ids, traced.spans, strict=True):
        if id in added and end > start >= at:
            parts.append(text[at:start])
            at = end
    return [part for part in [*parts, text[at:]] if part]


def _stages(whole: Any) -> list[Any]:
    """A stage, or those of a sequence of stages."""
    if whole is None:
        return []
    if type(whole).__name__ != "Sequence":
        return [whole]
    stages: list[Any] = []
    with suppress(IndexError):  # that is how a sequence tells its length
        for place in range(_MOST_PARTS):
            stages += _stages(whole[place])
    return stages


def _state(stage: Any) -> dict[str, Any]:
    told = json.loads(stage.__getstate__())
    return told if isinstance(told, dict) else {}


def _parts(whole: Any) -> tuple[Part, ...]:
    """The stages of a part of a tokenizer, by what it tells of itself."""
    return tuple(map(_part, _leaves(_state(whole))))[:_MOST_PARTS] if whole is not None else ()


def _leaves(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inner = next((state[n] for n in ("normalizers", "pretokenizers", "decoders") if n in state),
                 None)
    if inner is None:
        yield state
        return
    for one in inner:
        yield from _leaves(one)


def _part(state: dict[str, Any]) -> Part:
    """One stage; of its settings, those that say something."""
    told = ", ".join(
        f"{name.replace('_', ' ')}: {_value(value)}" for name, value in state.items()
        if name not in ("type", "precompiled_charsmap") and value is not None
    )
    return Part(str(state.get("type", "")), told[:_MOST_SETTINGS])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and len(value) == 1:  # {"Regex": "…"}, {"String": "…"}
        (value,) = value.values()
    return str(value)


def _pad(model: Model, *texts: str) -> PaddedBatch:
    """Two texts in one batch as the engine would read them: padding on the left."""
    tokenizer, pieces = model.tokenizer, pieces_of(model.tokenizer)
    for text in texts:
        _check_length(text)
    ids = [trace(tokenizer, text).ids[:MOST_COLUMNS] for text in texts]
    mask, positions = padding_of([len(row) for row in ids])
    rows = [
        PaddedRow(tuple(pieces[i] for i in row), tuple(m.tolist()), tuple(p.tolist()))
        for row, m, p in zip(ids, mask, positions, strict=True)
    ]
    pad = tokenizer.pad_token_id
    return PaddedBatch(
        (rows[0], rows[1]), model.card.lane, str(tokenizer.padding_side),
        pieces[int(pad)] if pad is not None else None,
    )


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(
            f"The text has {len(text)} characters; up to {MOST_CHARACTERS} are taken apart.",
            field="text", given=len(text), allowed=f"up to {MOST_CHARACTERS} characters",
            advice="Shorten it.",
        )


