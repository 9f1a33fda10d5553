"""From a prompt to token ids, exactly; it knows tokenizers and chat templates, and no weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jinja2

from playground.core.events import Piece
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.errors import ContextOverflow, InvalidInput, ModelInvalid, TemplateProblem
from playground.models.pieces import Detokenizer, pieces_of

__all__ = ["Detokenizer", "Encoded", "encode", "pieces_of", "tokenize"]

# What a template can raise: its own refusals, the sandbox's, and the faults of its Jinja code.
_TEMPLATE_FAULTS = (
    jinja2.TemplateError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)


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
        raise TemplateProblem(
            "The model's chat template made nothing of the messages.", field="model"
        )
    ids = _render(tokenizer, messages, tokenize=True)
    notices = []
    if ids != tokenize(tokenizer, rendered, add_special_tokens=False):
        notices.append(
            "A message holds the text of a control token; the model gets it as plain text."
        )
    if _ignores_system(tokenizer, messages, rendered):
        notices.append("This model's chat template ignores the system prompt.")
    return ids, rendered, notices


def _render(tokenizer: Any, messages: list[dict[str, str]], tokenize: bool) -> Any:
    """The template's text, or its ids with the control tokens of the messages made harmless."""
    try:
        with _panics_explained():
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
    other = [
        {**m, "content": m["content"] + " x"} if m["role"] == "system" else m for m in messages
    ]
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
    with _panics_explained():
        encoded = tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)
    return list(encoded["input_ids"])


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


def _check_ids(ids: Sequence[int], vocabulary: int) -> None:
    wrong = next((i for i in ids if i >= vocabulary), None)
    if wrong is not None:
        raise InvalidInput(
            f"Token id {wrong} is not in this model's vocabulary of {vocabulary}.",
            field="prompt",
            given=wrong,
            allowed=f"0 to {vocabulary - 1}",
        )
