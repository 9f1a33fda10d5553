"""From a prompt to token ids, exactly; it knows tokenizers and chat templates, and no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from playground.core.events import Piece
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.errors import ContextOverflow, InvalidInput, ModelInvalid, TemplateProblem
from playground.models.chat_templates import render
from playground.models.control_tokens import ControlTokens, PlainText, told
from playground.models.pieces import Detokenizer, pieces_of

__all__ = ["Detokenizer", "Encoded", "Traced", "check_ids", "encode", "inserted", "inside",
           "pieces_of", "tokenize", "trace"]

# Texts that a tokenizer can be asked to go on from: few tokenizers join one to what follows it.
_LEADS = ("\n", "a", ".")


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
    with _panics_explained():
        match prompt:
            case Chat():
                ids, rendered, notices = _encode_chat(tokenizer, prompt)
            case Raw():
                ids, rendered, notices = _encode_raw(tokenizer, prompt)
            case Ids():
                ids, notices = list(prompt.ids), []
                card = getattr(source, "card", None)
                check_ids(ids, card.vocabulary if card else len(tokenizer))
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
    """Through the model's own template."""
    if not tokenizer.chat_template:
        raise TemplateProblem(
            "This model has no chat template: it was not trained to answer in turns.",
            field="model",
            advice="Use the Complete tab, which continues a text as it stands.",
        )
    control = ControlTokens(tokenizer)
    texts = [m.content for m in chat.messages]
    plain = PlainText(control, [str(tokenizer.chat_template), *texts])
    typed: list[str] = []
    messages: list[Message] = []
    for message in chat.messages:
        # An answer quoted back holds the model's own <think>; special tokens never are its text.
        answer = message.role == "assistant" and not chat.control_tokens
        found = control.inside(message.content, special_only=answer)
        typed += found
        marked = message.content if chat.control_tokens else plain.mark(message.content, found)
        messages.append(replace(message, content=marked))
    text, notices = render(tokenizer, messages, plain.end)
    ids = plain.read(text, partial(tokenize, tokenizer, add_special_tokens=False))
    notices += told(list(dict.fromkeys(typed)), read=chat.control_tokens)
    return ids, plain.unmark(text), notices


def _encode_raw(tokenizer: Any, raw: Raw) -> tuple[list[int], str, list[str]]:
    """As it stands, with the special tokens that this tokenizer puts around every text."""
    text = raw.text
    ids = tokenize(tokenizer, text, add_special_tokens=True)
    lead, tail = _around(tokenizer)
    control = ControlTokens(tokenizer)
    typed = control.among(ids[len(lead) : len(ids) - len(tail)], text)
    if typed and not raw.control_tokens:
        plain = PlainText(control, [text])
        marked = plain.mark(text, control.inside(text))
        ids = plain.read(marked, partial(tokenize, tokenizer, add_special_tokens=False))
        if control.among(ids, text):  # it was written otherwise, and a normalizer made it of that
            ids = control.plain(text)
        ids = [*lead, *ids, *tail]
    pieces = pieces_of(tokenizer)
    rendered = "".join([*(pieces[i].text for i in lead), text, *(pieces[i].text for i in tail)])
    return ids, rendered, told(typed, read=raw.control_tokens)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer puts before and after every text."""
    ids, bare = (tokenize(tokenizer, "a", add_special_tokens=flag) for flag in (True, False))
    before = next((n for n in range(len(ids)) if ids[n : n + len(bare)] == bare), 0)
    return ids[:before], ids[before + len(bare) :]


def inside(tokenizer: Any, text: str) -> tuple[int, ...]:
    """The ids of a text inside a longer one: those that spell exactly this text.

    A SentencePiece tokenizer puts a space before every text, which stands in its first token;
    behind something else the text has its own ids. Where none spell it (a tokenizer that writes
    all letters small), they are those of the text alone.
    """
    bare = partial(tokenize, tokenizer, add_special_tokens=False)
    return tuple(_spelling(tokenizer, text, bare))


def inserted(tokenizer: Any, text: str) -> tuple[tuple[int, ...], list[str]]:
    """The ids of a text that goes on from others, and what the reader should know of it.

    The text of a control token in it is plain text.
    """
    ids: Sequence[int] = inside(tokenizer, text)
    control = ControlTokens(tokenizer)
    typed = control.among(ids, text)
    if typed:
        plain, tokens = PlainText(control, [text]), control.inside(text)
        bare = partial(tokenize, tokenizer, add_special_tokens=False)
        ids = _spelling(tokenizer, text, lambda words: plain.read(plain.mark(words, tokens), bare))
        if control.among(ids, text):  # it was written otherwise, and a normalizer made it of that
            ids = control.plain(text)
    return tuple(ids), told(typed, read=False)


def _spelling(tokenizer: Any, text: str, encode: Callable[[str], list[int]]) -> list[int]:
    """See ``inside``; ``encode`` gives the ids of a text, or of one with something before it."""

    def is_exact(ids: list[int]) -> bool:
        return b"".join(map(pieces_of(tokenizer).data, ids)) == text.encode()

    alone = encode(text)
    if is_exact(alone):
        return alone
    for lead in _LEADS:
        before, both = encode(lead), encode(lead + text)
        if both[: len(before)] == before and is_exact(both[len(before) :]):
            return both[len(before) :]
    return alone


def tokenize(tokenizer: Any, text: str, *, add_special_tokens: bool) -> list[int]:
    """The ids of a text. Raises ModelInvalid when the tokenizer itself breaks down."""
    with _panics_explained():
        encoded = tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)
    return list(encoded["input_ids"])


@dataclass(frozen=True, slots=True)
class Traced:
    """The ids of a text, which of them were put ``around`` it, and the characters of each in it.

    ``spans`` are from the start to before the end; empty where the tokenizer does not tell.
    """

    ids: tuple[int, ...]
    around: tuple[bool, ...]
    spans: tuple[tuple[int, int], ...] = ()


def trace(tokenizer: Any, text: str) -> Traced:
    """The ids of a text as ``encode`` gives them where control tokens are read as such, and where
    they come from. Raises ModelInvalid when the tokenizer itself breaks down."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        ids = tokenize(tokenizer, text, add_special_tokens=True)
        lead, tail = _around(tokenizer)
        own = len(ids) - len(lead) - len(tail)
        around = (*(True for _ in lead), *(False for _ in range(own)), *(True for _ in tail))
        return Traced(tuple(ids), around)
    with _panics_explained():
        told = tokenizer(text, add_special_tokens=True, verbose=False,
                         return_offsets_mapping=True, return_special_tokens_mask=True)
    spans = tuple((int(start), int(end)) for start, end in told["offset_mapping"])
    around = tuple(bool(put) for put in told["special_tokens_mask"])
    return Traced(tuple(told["input_ids"]), around, spans)


@contextmanager
def _panics_explained() -> Iterator[None]:
    """A panic in the Rust tokenizer, which is no Exception and has no type to import, in words."""
    try:
        yield
    except BaseException as fault:
        if type(fault).__name__ != "PanicException":
            raise
        raise ModelInvalid(
            "The model's tokenizer broke down on this text.",
            field="model",
            advice="Use another model.",
        ) from None


def check_ids(ids: Sequence[int], vocabulary: int) -> None:
    """Raise InvalidInput for an id that a model has no row for."""
    wrong = next((i for i in ids if i >= vocabulary), None)
    if wrong is not None:
        raise InvalidInput(
            f"Token id {wrong} is not in this model's vocabulary of {vocabulary}.",
            field="prompt",
            given=wrong,
            allowed=f"0 to {vocabulary - 1}",
        )
