"""A model's whole vocabulary, decoded once and kept small, by filtered pages; it knows no view."""

from __future__ import annotations

import re
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from playground.core.events import Piece
from playground.core.vocabulary import (
    MOST_TOKENS,
    Kind,
    VocabularyPage,
    VocabularyRequest,
    VocabularyRow,
)
from playground.errors import InvalidInput
from playground.inside.scripts import PLACE, SCRIPTS, script_of
from playground.inside.subject import Look, Subject
from playground.models.pieces import Pieces, pieces_of

_READ, _READ_BESIDE = 4000, 1000      # tokens that are decoded in one piece of work
_SOUGHT, _SOUGHT_BESIDE = 20_000, 5000  # that are looked through in one
_MOST_TEXT = 200     # characters of a token that are kept; the rest is only counted
_MOST_FOUND = 8      # filters whose ids are kept, up to 4 bytes for each token
_MOST_PATTERN_BYTES = 2**20
# How tokens that were set aside are named: [unused12], <unused5>, <|reserved_special_token_7|>.
_SET_ASIDE = re.compile(r"[<\[]\|?(unused|reserved|extra|placeholder|dummy)[a-z_ ]*\d*\|?[>\]]",
                        re.IGNORECASE)
# What a token is, as bits; none of them is ordinary text.
_BYTES, _SPECIAL, _ADDED, _UNUSED = 1, 2, 4, 8
_BITS: dict[Kind, int] = {"bytes": _BYTES, "special": _SPECIAL, "added": _ADDED,
                          "unused": _UNUSED}


@dataclass
class Vocabulary:
    """Every row of the embedding: the token's text, its lengths, its script and kinds.

    About 80 bytes for each token; ``found`` are the ids that passed the latest filters.
    """

    size: int
    texts: list[str] = field(default_factory=list)
    characters: array[int] = field(default_factory=lambda: array("I"))
    bytes: array[int] = field(default_factory=lambda: array("I"))
    scripts: bytearray = field(default_factory=bytearray)
    kinds: bytearray = field(default_factory=bytearray)
    found: OrderedDict[VocabularyRequest, array[int]] = field(default_factory=OrderedDict)
    count_of_scripts: tuple[tuple[str, int], ...] = ()
    count_of_kinds: tuple[tuple[str, int], ...] = ()

    def add(self, pieces: Pieces, added: set[int]) -> None:
        """Decode the next token."""
        id = len(self.texts)
        name = pieces.name(id)
        data = pieces.data_of(id, name)
        kinds = _SPECIAL * (id in pieces.special) + _ADDED * (id in added)
        try:
            text, whole = data.decode(), len(data.decode())
        except UnicodeDecodeError:
            kinds |= _BYTES
            text = data.decode("utf-8", errors="playground.visible")
            whole = len(data.decode("utf-8", errors="ignore"))
        if name is not None and pieces.scheme == "metaspace" and re.fullmatch(
            "<0x[0-9A-F]{2}>", name
        ):
            kinds |= _BYTES
        if name is None or _SET_ASIDE.fullmatch(text):
            kinds |= _UNUSED
        if name is None:
            text = f"<no token {id}>"
        script = "Bytes" if kinds & _BYTES else "None" if name is None else script_of(text)
        self.texts.append(text[:_MOST_TEXT] + ("…" if len(text) > _MOST_TEXT else ""))
        self.characters.append(whole)
        self.bytes.append(len(data))
        self.scripts.append(PLACE[script])
        self.kinds.append(kinds)

    def row(self, id: int) -> VocabularyRow:
        """One token."""
        bits = self.kinds[id]
        kinds: tuple[Kind, ...] = tuple(k for k, bit in _BITS.items() if bits & bit) or ("text",)
        piece = Piece(id, self.texts[id], bool(bits & _SPECIAL))
        return VocabularyRow(piece, self.characters[id], self.bytes[id],
                             SCRIPTS[self.scripts[id]], kinds)

    def count(self) -> None:
        """Count scripts and kinds, once all is there."""
        scripts = Counter(self.scripts).most_common()
        self.count_of_scripts = tuple((SCRIPTS[place], count) for place, count in scripts)
        kinds = Counter(self.kinds)
        self.count_of_kinds = (
            ("text", kinds[0]),
            *((kind, sum(n for bits, n in kinds.items() if bits & bit))
              for kind, bit in _BITS.items()),
        )

    def keep(self, request: VocabularyRequest, ids: array[int]) -> None:
        """Keep what passed a filter; the longest unused is forgotten."""
        self.found[request] = ids
        while len(self.found) > _MOST_FOUND:
            self.found.popitem(last=False)


def vocabulary_of(subject: Subject) -> Generator[None, None, Vocabulary]:
    """The decoded vocabulary of the model, kept for the next look; one that was not decoded to its
    end is gone on with. Raises InvalidInput for one that is too long."""
    model = subject.model
    size = model.card.vocabulary
    if size > MOST_TOKENS:
        raise InvalidInput(
            f"This vocabulary has {size} tokens; up to {MOST_TOKENS} are listed.", field="model",
            given=size, allowed=f"up to {MOST_TOKENS}",
        )
    kept: Vocabulary = subject.kept.setdefault("vocabulary", Vocabulary(size))
    pieces, added = pieces_of(model.tokenizer), set(model.tokenizer.added_tokens_decoder)
    while len(kept.texts) < size:
        some = _READ_BESIDE if subject.beside else _READ
        for _ in range(min(some, size - len(kept.texts))):
            kept.add(pieces, added)
        yield
    if not kept.count_of_kinds:
        kept.count()
    return kept


def look_at_vocabulary(subject: Subject, request: VocabularyRequest) -> Look:
    """A page of the tokens that pass the filter."""
    passes = _filter(request)
    vocabulary = yield from vocabulary_of(subject)
    ids = vocabulary.found.pop(request.filter, None)
    if ids is None:
        ids = array("I")
        for start in range(0, vocabulary.size, _SOUGHT_BESIDE):
            if start % (_SOUGHT_BESIDE if subject.beside else _SOUGHT) == 0:
                yield
            part = range(start, min(start + _SOUGHT_BESIDE, vocabulary.size))
            ids.extend(id for id in part if passes(vocabulary, id))
        yield
        ids = _sorted(vocabulary, ids, request)
    vocabulary.keep(request.filter, ids)
    shown = ids[request.start : request.start + request.count]
    return VocabularyPage(
        subject.model.spec, vocabulary.size, len(ids), request.start,
        tuple(map(vocabulary.row, shown)), vocabulary.count_of_scripts, vocabulary.count_of_kinds,
    )


def _sorted(
    vocabulary: Vocabulary, ids: array[int], request: VocabularyRequest
) -> array[int]:
    if request.sort == "id":
        return ids[::-1] if request.descending else ids
    columns: dict[str, Sequence[Any]] = {
        "text": vocabulary.texts, "characters": vocabulary.characters, "bytes": vocabulary.bytes,
    }
    by = columns[request.sort].__getitem__
    return array("I", sorted(ids, key=by, reverse=request.descending))


def _filter(request: VocabularyRequest) -> Callable[[Vocabulary, int], bool]:
    """Whether a token passes. Raises InvalidInput for a pattern or a script that is none."""
    tests: list[Callable[[Vocabulary, int], bool]] = []
    if request.kind:
        bit = _BITS.get(request.kind, 0)
        tests.append(lambda v, id: bool(v.kinds[id] & bit) if bit else not v.kinds[id])
    if request.script:
        place = PLACE.get(request.script)
        if place is None:
            raise InvalidInput(f"There is no script {request.script[:40]!r}.", field="script",
                               given=request.script[:40])
        tests.append(lambda v, id: v.scripts[id] == place)
    if request.shortest or request.longest:
        longest = request.longest or 10**9
        if request.unit == "bytes":
            tests.append(lambda v, id: request.shortest <= v.bytes[id] <= longest)
        else:
            tests.append(lambda v, id: request.shortest <= v.characters[id] <= longest)
    if request.find and request.match_case:
        tests.append(lambda v, id: request.find in v.texts[id])
    elif request.find:
        find = request.find.casefold()
        tests.append(lambda v, id: find in v.texts[id].casefold())
    if request.pattern:
        search = _pattern(request.pattern, request.match_case)
        tests.append(lambda v, id: search(v.texts[id]))
    return lambda v, id: all(test(v, id) for test in tests)


def _pattern(pattern: str, match_case: bool) -> Callable[[str], bool]:
    """Whether a text matches a stranger's pattern: by RE2, which has no backtracking, so that no
    pattern takes more than linear time, nor more memory than it may. Raises InvalidInput."""
    options = re2.Options()
    options.max_mem, options.log_errors = _MOST_PATTERN_BYTES, False
    options.case_sensitive = match_case
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as fault:
        words = fault.args[0].decode(errors="replace") if fault.args else ""
        raise InvalidInput(
            f"The pattern cannot be read: {words[:80]}.", field="pattern",
            given=pattern[:80], allowed="RE2 syntax: no look-around, no backreference",
            advice="Look-around and backreferences are not there; \\p{Han} and ^ | [a-z]+ are.",
        ) from None
    return lambda text: compiled.search(text) is not None
