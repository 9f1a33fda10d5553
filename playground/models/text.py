"""Between text and token ids, both ways, exactly; it knows tokenizers and templates, and no weights."""

from __future__ import annotations

import codecs
import json
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from transformers.convert_slow_tokenizer import bytes_to_unicode

from playground.core.events import Piece
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.errors import ContextOverflow, InvalidInput, ModelInvalid, TemplateProblem

# What a template can raise: its own refusals, the sandbox's, and the faults of its Jinja code.
_TEMPLATE_FAULTS = (
    jinja2.TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RecursionError, MemoryError,
)
_BYTE_OF = {character: byte for byte, character in bytes_to_unicode().items()}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as the model will see it; ``rendered`` is the exact text behind the ids."""

    ids: tuple[int, ...]
    rendered: str
    pieces: tuple[Piece, ...]
    notices: tuple[str, ...]


def encode(source: Any, prompt: Prompt, context: int) -> Encoded:
    """Turn a prompt into ids for a model with room for ``context`` tokens.

    ``source`` is a ``Model`` or its tokenizer. Raises TemplateProblem (no template, or it refused),
    ContextOverflow (no room for one new token) and InvalidInput (ids outside the vocabulary, or a
    text that becomes no token).
    """
    tokenizer = getattr(source, "tokenizer", source)
    match prompt:
        case Chat():
            ids, rendered, notices = _encode_chat(tokenizer, prompt)
        case Raw():
            ids, rendered, notices = _encode_raw(tokenizer, prompt.text)
        case Ids():
            ids, notices = list(prompt.ids), []
            card = getattr(source, "card", None)
            _check_ids(ids, card.vocabulary if card else len(tokenizer))
            rendered = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if not ids:
        raise InvalidInput(
            "This prompt becomes no token at all.", field="prompt", advice="Write some words."
        )
    if len(ids) >= context:
        raise ContextOverflow(
            f"The prompt has {len(ids)} tokens; the model's context holds {context}, "
            "and one must be left for the answer.",
            field="prompt",
            given=f"{len(ids)} tokens",
            allowed=f"at most {context - 1} tokens",
            advice="Shorten the prompt.",
        )
    if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
        notices.append(f"The prompt begins with {tokenizer.bos_token} twice.")
    pieces = pieces_of(tokenizer)
    return Encoded(tuple(ids), rendered, tuple(pieces[i] for i in ids), tuple(notices))


def _encode_chat(tokenizer: Any, chat: Chat) -> tuple[list[int], str, list[str]]:
    """Through the model's own template; control tokens typed inside a message stay plain text."""
    if not tokenizer.chat_template:
        raise TemplateProblem(
            "This model has no chat template: it was not trained to answer in turns.",
            field="model",
            advice="Use the Complete tab, which continues a text as it stands.",
        )
    messages = [{"role": m.role, "content": m.content} for m in chat.messages]
    rendered = _render(tokenizer, messages, tokenize=False)
    if not rendered:
        raise TemplateProblem("The model's chat template turned the messages into nothing.", field="model")
    ids = _render(tokenizer, messages, tokenize=True)
    notices = []
    if ids != tokenize(tokenizer, rendered, add_special_tokens=False):
        notices.append("A message holds the text of a control token; the model gets it as plain text.")
    if _ignores_system(tokenizer, messages, rendered):
        notices.append("This model's chat template ignores the system prompt.")
    return ids, rendered, notices


def _render(tokenizer: Any, messages: list[dict[str, str]], tokenize: bool) -> Any:
    """The template's text, or the ids of it with the control tokens of the messages made harmless."""
    try:
        return tokenizer.apply_chat_template(
            messages,
            tokenize=tokenize,
            add_generation_prompt=True,
            return_dict=False,
            **({"sanitize_control_tokens": True} if tokenize else {}),
        )
    except _TEMPLATE_FAULTS as fault:
        words = str(fault).strip() or type(fault).__name__
        raise TemplateProblem(
            f"The model's chat template refused these messages: {words[:300]}",
            field="message",
            advice="Change the messages, or use the Complete tab.",
        ) from None


def _ignores_system(tokenizer: Any, messages: list[dict[str, str]], rendered: str) -> bool:
    """Whether another system prompt would have given the same text."""
    if not any(m["role"] == "system" and m["content"].strip() for m in messages):
        return False
    other = [{**m, "content": m["content"] + " x"} if m["role"] == "system" else m for m in messages]
    return bool(_render(tokenizer, other, tokenize=False) == rendered)


def _encode_raw(tokenizer: Any, text: str) -> tuple[list[int], str, list[str]]:
    """As it stands, with the special tokens that this tokenizer puts around every text."""
    ids = tokenize(tokenizer, text, add_special_tokens=True)
    plain = tokenize(tokenizer, text, add_special_tokens=False)
    pieces = pieces_of(tokenizer)
    rendered = text
    if len(ids) > len(plain):
        before = next((n for n in range(len(ids)) if ids[n : n + len(plain)] == plain), 0)
        around = [pieces[i].text for i in ids]
        rendered = "".join([*around[:before], text, *around[before + len(plain) :]])
    typed = dict.fromkeys(pieces[i].text for i in plain if pieces[i].special)
    notices = [f"The text holds control tokens: {', '.join(typed)}."] if typed else []
    return ids, rendered, notices


def tokenize(tokenizer: Any, text: str, *, add_special_tokens: bool) -> list[int]:
    """The ids of a text. Raises ModelInvalid when the tokenizer itself breaks down."""
    try:
        return list(tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)["input_ids"])
    except BaseException as fault:
        # A panic in the Rust tokenizer is no Exception and has no importable type.
        if type(fault).__name__ != "PanicException":
            raise
        raise ModelInvalid(
            "The model's tokenizer broke down on this text.", field="model", advice="Use another model."
        ) from None


def _check_ids(ids: Sequence[int], vocabulary: int) -> None:
    wrong = next((i for i in ids if i >= vocabulary), None)
    if wrong is not None:
        raise InvalidInput(
            f"Token id {wrong} is not in this model's vocabulary of {vocabulary}.",
            field="prompt",
            given=wrong,
            allowed=f"0 to {vocabulary - 1}",
        )


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
        token = self._name(id)
        if token is None:
            return b""
        if self.scheme == "byte-level":
            known = all(character in _BYTE_OF for character in token)
            return bytes(_BYTE_OF[c] for c in token) if known else token.encode()
        if self.scheme == "metaspace":
            if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                return bytes.fromhex(token[3:5])
            return (token if id in self.special else token.replace("▁", " ")).encode()
        return (token if id in self.special else str(self._tokenizer.convert_tokens_to_string([token]))).encode()

    def _text(self, id: int) -> str:
        if self._name(id) is None:
            return f"<no token {id}>"
        return self.data(id).decode("utf-8", errors="playground.visible")

    def _name(self, id: int) -> str | None:
        name = self._tokenizer.convert_ids_to_tokens(id) if 0 <= id < self._size or id in self.special else None
        return name if isinstance(name, str) else None


_PIECES: weakref.WeakKeyDictionary[Any, Pieces] = weakref.WeakKeyDictionary()


def pieces_of(tokenizer: Any) -> Pieces:
    """The one table of pieces of a tokenizer, filled as it is asked."""
    if tokenizer not in _PIECES:
        _PIECES[tokenizer] = Pieces(tokenizer)
    return _PIECES[tokenizer]


def _scheme(tokenizer: Any) -> str:
    """How tokens hold text: byte-level (GPT-2, Qwen), metaspace (SentencePiece), or anything else."""
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
    ``tokenizer.decode(skip_special_tokens=True)`` adds after the prompt. Byte-level and byte-fallback
    tokens go through Python's incremental UTF-8 decoder; others through a short window of ``decode``.
    (``tokenizers.decoders.DecodeStream`` raises "Invalid prefix" on byte-fallback tokenizers when a
    run of bytes is no character, which a model at a high temperature writes soon.)
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
            self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )
