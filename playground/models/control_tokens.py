"""Control tokens in a text that somebody wrote: found, and read as plain text; no template here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from playground.models.pieces import pieces_of

Ids = list[int]

# An added token of this shape means nothing in ordinary text: <|fim_prefix|>, <｜fim▁begin｜>.
_SHAPE = re.compile(r"<[|｜].+[|｜]>")
_MOST_NAMES = 8


class ControlTokens:
    """The control tokens of a tokenizer, each text with its id.

    They are its special tokens and those other added tokens that mean something to a chat: named
    in ``chat_control_tokens``, written in the chat template (``<think>``, ``<tool_call>``), or
    shaped like ``<|…|>``. Added tokens for runs of spaces or for ``<b>`` are ordinary text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        ids = {token.content: id for id, token in tokenizer.added_tokens_decoder.items()}
        ids |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        ids.pop("", None)
        special = pieces_of(tokenizer).special
        self.special = {text: id for text, id in ids.items() if id in special}
        named = set(getattr(tokenizer, "chat_control_tokens", None) or ())
        template = str(tokenizer.chat_template or "")
        self.other = {
            text: id
            for text, id in ids.items()
            if id not in special and not text.isspace()
            and (
                text in named
                or _SHAPE.fullmatch(text)
                or (text in template and not text.isidentifier())
            )
        }

    @property
    def ids(self) -> set[int]:
        """The ids that plain text must not become (a character without a token is unknown)."""
        return {*self.special.values(), *self.other.values()} - {self._tokenizer.unk_token_id}

    def inside(self, text: str, *, special_only: bool = False) -> list[str]:
        """The control tokens whose text stands in ``text``, in order; of overlapping, the longest.

        One that the tokenizer makes of its characters too (a ``!`` used for padding) is none.
        """
        known = self.special if special_only else self.special | self.other
        found = dict.fromkeys(_any_of(t for t in known if t in text).findall(text))
        return [t for t in found if self._is_apart(t, known[t])]

    def among(self, ids: Iterable[int], text: str) -> list[str]:
        """The control tokens that ``ids``, read from ``text``, hold, in order."""
        texts = {id: t for t, id in (self.special | self.other).items()}
        unknown = texts.get(self._tokenizer.unk_token_id)
        found = {texts[id]: id for id in ids if id in texts}
        return [
            t for t, id in found.items()
            if (t != unknown or t in text) and self._is_apart(t, id)
        ]

    def plain(self, text: str) -> Ids:
        """The ids of a text in which no added token is looked for; no control token comes out."""
        return self._plain(text, self.ids)

    def _is_apart(self, token: str, id: int) -> bool:
        return id not in self._plain(token, {id})

    def _plain(self, text: str, avoid: set[int]) -> Ids:
        unsplit = partial(_unsplit, self._tokenizer)
        ids = unsplit(text)
        if avoid.isdisjoint(ids):
            return ids
        # A Unigram vocabulary holds "<s>" as a word like any other: character by character, then.
        later = (id for character in text[1:] for id in behind(unsplit, character))
        return [*unsplit(text[0]), *later]


class PlainText:
    """Marks control tokens inside texts, and later reads what is marked as plain text.

    The marks are private-use characters that stand in none of ``texts``, so that nobody can write
    one. This is what ``apply_chat_template(sanitize_control_tokens=True)`` does, which deletes the
    two characters it marks with from the user's text, gives up where a tokenizer makes a control
    token of its characters (Unigram), and cannot leave an answer open behind a space.
    """

    def __init__(self, control: ControlTokens, texts: Iterable[str]) -> None:
        self._control = control
        taken = set().union(*texts)
        free = (chr(code) for code in range(0xF0000, 0xFFFFE) if chr(code) not in taken)
        self._open, self._close, self.end = next(free), next(free), next(free)
        self._marked: set[str] = set()

    def mark(self, text: str, tokens: Iterable[str]) -> str:
        """``text`` with marks around each of the ``tokens`` in it."""
        chosen = set(tokens)
        self._marked |= chosen
        return _any_of(chosen).sub(rf"{self._open}\g<0>{self._close}", text)

    def unmark(self, text: str) -> str:
        """``text`` without marks."""
        return text.replace(self._open, "").replace(self._close, "")

    def read(self, text: str, encode: Callable[[str], Ids]) -> Ids:
        """The ids of a text with marks: what is marked as plain text, the rest by ``encode``.

        A mark that a template tore from its other half marks nothing, and still parts the text.
        """
        whole = _any_of(self._marked).pattern
        parts = re.split(f"{self._open}({whole}){self._close}|[{self._open}{self._close}]", text)
        ids: Ids = []
        for number, part in enumerate(parts):
            if part:
                way = self._control.plain if number % 2 else encode
                ids += behind(way, part) if ids else way(part)
        return ids


def told(tokens: list[str], read: bool) -> list[str]:
    """The notice about control tokens in a text, or none where there are none."""
    if not tokens:
        return []
    names = ", ".join(tokens[:_MOST_NAMES])
    more = f" and {len(tokens) - _MOST_NAMES} more" if len(tokens) > _MOST_NAMES else ""
    verb, kind = ("are", "control tokens") if len(tokens) > 1 else ("is", "a control token")
    how = f"as {kind}" if read else f"as plain text, not as {kind}"
    return [f"{names}{more} in your text {verb} read {how}."]


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _unsplit(tokenizer: Any, text: str) -> Ids:
    """The tokenizer's pipeline without its first stage, which looks for added tokens.

    ``split_special_tokens`` is state of the shared backend, and leaves out the special ones only.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # one in Python, where that flag belongs to the call and covers them all
        return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = [text]
    if backend.pre_tokenizer is not None:
        words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return [token.id for word in words for token in backend.model.tokenize(word)]


def behind(encode: Callable[[str], Ids], text: str) -> Ids:
    """The ids of a text that goes on from another: without the space that begins a first word."""
    for lead in ("\n", "a", "."):
        before, ids = encode(lead), encode(lead + text)
        if ids[: len(before)] == before:
            return ids[len(before) :]
    return encode(text)
