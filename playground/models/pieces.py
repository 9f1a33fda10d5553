"""From token ids to text: each token's piece, and whole characters as they come; no prompt."""

from __future__ import annotations

import codecs
import json
import weakref
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.core.events import Piece

_BYTE_OF = {character: byte for byte, character in bytes_to_unicode().items()}


def _visible_bytes(fault: UnicodeError) -> tuple[str, int]:
    """Bytes that are no character, written as ``<0xE4>``."""
    assert isinstance(fault, UnicodeDecodeError)
    return "".join(f"<0x{b:02X}>" for b in fault.object[fault.start : fault.end]), fault.end


codecs.register_error("playground.visible", _visible_bytes)


class Pieces:
    """What each token is by itself: its bytes where the tokenizer has bytes, its text, its kind."""

    def __init__(self, tokenizer: Any) -> None:
        self.special: frozenset[int] = frozenset(tokenizer.all_special_ids) | {
            i for i, added in tokenizer.added_tokens_decoder.items() if added.special
        }
        # A proxy, since the table of all pieces must not keep a tokenizer alive.
        self._tokenizer = weakref.proxy(tokenizer)
        self._size = len(tokenizer)
        self.scheme = _scheme(tokenizer)
        self._known: dict[int, Piece] = {}

    def __getitem__(self, id: int) -> Piece:
        """The piece of an id; an id that the tokenizer has no token for is an empty place."""
        if id not in self._known:
            self._known[id] = Piece(id, self._text(id), id in self.special)
        return self._known[id]

    def data(self, id: int) -> bytes:
        """The bytes that a token adds to a text (its text in UTF-8 where a token has no bytes)."""
        return self.data_of(id, self.name(id))

    def data_of(self, id: int, token: str | None) -> bytes:
        """The same for an id whose name in the vocabulary is known already; None is no token."""
        if token is None:
            return b""
        if self.scheme == "byte-level":
            known = all(character in _BYTE_OF for character in token)
            return bytes(_BYTE_OF[c] for c in token) if known else token.encode()
        if self.scheme == "metaspace":
            if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                return bytes.fromhex(token[3:5])
            return (token if id in self.special else token.replace("▁", " ")).encode()
        return (
            token if id in self.special else str(self._tokenizer.convert_tokens_to_string([token]))
        ).encode()

    def _text(self, id: int) -> str:
        if self.name(id) is None:
            return f"<no token {id}>"
        return self.data(id).decode("utf-8", errors="playground.visible")

    def name(self, id: int) -> str | None:
        """How the vocabulary writes a token; None for an id without one."""
        name = (
            self._tokenizer.convert_ids_to_tokens(id)
            if 0 <= id < self._size or id in self.special
            else None
        )
        return name if isinstance(name, str) else None


_PIECES: weakref.WeakKeyDictionary[Any, Pieces] = weakref.WeakKeyDictionary()


def pieces_of(tokenizer: Any) -> Pieces:
    """The one table of pieces of a tokenizer, filled as it is asked."""
    if tokenizer not in _PIECES:
        _PIECES[tokenizer] = Pieces(tokenizer)
    return _PIECES[tokenizer]


def _scheme(tokenizer: Any) -> str:
    """How tokens hold text: byte-level (GPT-2, Qwen), metaspace (SentencePiece), or other."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    if decoder is None:
        return "other"
    kinds = set(_decoder_kinds(json.loads(decoder.__getstate__())))
    if "ByteFallback" in kinds or "Metaspace" in kinds:
        return "metaspace"
    return "byte-level" if "ByteLevel" in kinds else "other"


def _decoder_kinds(state: Any) -> Iterator[str]:
    if isinstance(state, dict):
        yield str(state.get("type"))
        yield from (kind for part in state.get("decoders", []) for kind in _decoder_kinds(part))


class Detokenizer:
    """New ids to new text, whole characters only, in linear time.

    The special tokens stand outside: the texts of the others, joined, are what
    ``tokenizer.decode(skip_special_tokens=True)`` adds after the prompt. Byte-level and
    byte-fallback tokens go through Python's incremental UTF-8 decoder, others through a short
    window of ``decode``. (``tokenizers.decoders.DecodeStream`` raises "Invalid prefix" on
    byte-fallback tokenizers when a run of bytes is no character, which a model at a high
    temperature writes soon.)
    """

    def __init__(
        self, tokenizer: Any, prompt_ids: Sequence[int], ends: Collection[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._pieces = pieces_of(tokenizer)
        self._special = self._pieces.special | frozenset(ends)
        before = [i for i in prompt_ids[-64:] if i not in self._special][-8:]
        self._first = not before
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._window, self._held = before, list[int]()
        if self._pieces.scheme != "other":
            # A prompt that ends in half a character: its bytes are waiting already.
            for id in before:
                self._utf8.decode(self._pieces.data(id))

    def is_special(self, id: int) -> bool:
        """Whether a token is a control token or an end token, and no part of the text."""
        return id in self._special

    def push(self, id: int) -> str:
        """The text that this token adds: empty while a character is incomplete."""
        if id in self._special:
            return self._pieces[id].text
        if self._pieces.scheme == "other":
            return self._push_window(id)
        text = self._utf8.decode(self._pieces.data(id))
        if self._first:
            self._first = False
            # After nothing, a SentencePiece decoder drops the space that begins a word.
            if text.startswith(" ") and not self._decode([id]).startswith(" "):
                return text[1:]
        return text

    def finish(self) -> str:
        """The text of what is left: half a character becomes ``�``."""
        if self._pieces.scheme != "other":
            return self._utf8.decode(b"", final=True)
        before = self._decode(self._window)
        return self._decode([*self._window, *self._held])[len(before) :]

    def _push_window(self, id: int) -> str:
        self._held.append(id)
        before = self._decode(self._window)
        after = self._decode([*self._window, *self._held])
        if after.endswith("�") or len(after) <= len(before):
            return ""
        self._window, self._held = self._held[-8:], []
        return after[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
