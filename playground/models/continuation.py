"""Where a prompt ends and the text after it begins, in exact token ids; it knows no weights.

As in EleutherAI's lm-evaluation-harness, prompt and text are tokenized together, and the ids of the
text are those after the ids of the prompt. There the two are cut at the number of the prompt's ids;
here where they really part: a tokenizer may make one token of the prompt's end and the text's
beginning, and that token then belongs to what is scored.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from os.path import commonprefix
from typing import Any

from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.errors import ContextOverflow, InvalidInput
from playground.models.control_tokens import behind
from playground.models.loading import Model
from playground.models.pieces import pieces_of
from playground.models.text import Encoded, encode, tokenize

_ANY_LENGTH = sys.maxsize  # the context is looked at below, where no room is needed for an answer


@dataclass(frozen=True, slots=True)
class Parted:
    """What is read first, and the texts that are scored behind it, as ids."""

    before: tuple[int, ...]
    after: tuple[tuple[int, ...], ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Whole:
    """A prompt and a text behind it, as ids; ``as_asked``: with nothing in between."""

    ids: tuple[int, ...]
    notices: tuple[str, ...] = ()
    as_asked: bool = True


def part(model: Model, prompt: Prompt | None, texts: Sequence[Prompt | str]) -> Parted:
    """The ids of ``prompt`` and of each of ``texts`` behind it.

    Without a prompt there is one text: a chat is parted before its last message, any other after
    its first token, which has nothing before it. Whether typed control tokens count is for the
    prompt to say. Raises InvalidInput, ContextOverflow, TemplateProblem.
    """
    if prompt is not None:
        parted = _behind(model, prompt, texts)
    elif isinstance(text := texts[0], Chat):
        question = replace(text, messages=text.messages[:-1])
        parted = _behind(model, question, [text.messages[-1].content])
    else:
        parted = _whole(model, Raw(text) if isinstance(text, str) else text)
    if not all(parted.after):
        raise InvalidInput(
            "There is no token to score: this text becomes none, or only the first, which has "
            "nothing before it.", field="text", advice="Write some words.",
        )
    check_context(model, len(parted.before), parted)
    return parted


def neutral(model: Model, prompt: Prompt | None, parted: Parted) -> tuple[int, ...]:
    """The ids of a neutral prompt for the texts of ``parted``.

    Without one it is the token that begins a text, as lm-evaluation-harness takes it: the BOS or,
    where there is none, the EOS (between texts in training); or else the prompt's own first.
    """
    if prompt is not None:
        ids = encode(model, prompt, _ANY_LENGTH).ids
        check_context(model, len(ids), parted)
        return ids
    config = model.lm.generation_config
    for found in (model.tokenizer.bos_token_id, config.bos_token_id, config.eos_token_id):
        if found is not None:
            return (found[0] if isinstance(found, list) else found,)
    return parted.before[:1]


def check_context(model: Model, before: int, parted: Parted) -> None:
    """Raise ContextOverflow where so many tokens and the longest text do not fit the context."""
    tokens = before + max(map(len, parted.after))
    if tokens > model.card.context:
        raise _too_long(model, tokens)


def _too_long(model: Model, tokens: int) -> ContextOverflow:
    return ContextOverflow(
        f"The text has {tokens} tokens with its prompt; the model's context holds "
        f"{model.card.context}.",
        field="text", given=f"{tokens} tokens", allowed=f"at most {model.card.context} tokens",
        advice="Shorten it.",
    )


def _whole(model: Model, text: Raw | Ids) -> Parted:
    """From the first token on: a BOS that the tokenizer adds, or the text's own."""
    encoded = encode(model, text, _ANY_LENGTH)
    notices = list(encoded.notices)
    if not encoded.pieces[0].special:
        notices.append(
            f"The first token, {encoded.pieces[0].text!r}, has nothing before it and so no "
            "probability; the others are scored."
        )
    return Parted(encoded.ids[:1], (encoded.ids[1:],), tuple(notices))


def _behind(model: Model, prompt: Prompt, texts: Sequence[Prompt | str]) -> Parted:
    """Texts behind a prompt, in the ids that prompt and text have together."""
    first = encode(model, prompt, _ANY_LENGTH)
    if len(first.ids) >= model.card.context:
        raise _too_long(model, len(first.ids))
    before = first.ids
    together = [_together(model, prompt, first, text) for text in texts]
    wholes = [whole.ids for whole in together]
    notices = [*first.notices, *(notice for whole in together for notice in whole.notices)]
    shared = len(commonprefix([before, *wholes]))
    if not all(whole.as_asked for whole in together):
        heads = [ids[: _start(model, ids, text)] for ids, text in zip(wholes, texts, strict=True)]
        before = tuple(commonprefix(heads))
        put, left_out = _shown(model, before[shared:]), _shown(model, first.ids[shared:])
        notices.append(
            f"Before an answer that is there the model's chat template writes {put}, which is "
            "read and not scored." if before[shared:] else
            f"Before an answer that is there the model's chat template leaves out {left_out}."
        )
    elif shared == 0:
        notices.append(
            "No token of the prompt stays as it is before these texts, so they are tokenized "
            "apart from it."
        )
        wholes = [(*before, *_apart(model, text)) for text in texts]
    elif shared < len(before):
        notices.append(
            f"The prompt's end, {_shown(model, before[shared:])}, becomes other tokens with what "
            "comes after it: the score begins there, with the exact tokens of the whole text."
        )
        before = before[:shared]
    after = tuple(whole[len(before) :] for whole in wholes)
    return Parted(before, after, tuple(dict.fromkeys(notices)))


def _together(model: Model, prompt: Prompt, first: Encoded, text: Prompt | str) -> _Whole:
    """A prompt, which is ``first`` by itself, and a text behind it."""
    if isinstance(text, Ids):
        return _Whole((*first.ids, *encode(model, text, _ANY_LENGTH).ids))
    words = _words(text)
    match prompt:
        case Raw():
            whole = encode(model, replace(prompt, text=prompt.text + words), _ANY_LENGTH)
            return _Whole(whole.ids, whole.notices)
        case Chat():
            messages = [*prompt.messages]
            opened = messages.pop().content if prompt.prefill else ""
            answer = Message("assistant", opened + words)
            whole = encode(model, replace(prompt, messages=(*messages, answer)), _ANY_LENGTH)
            said = (first.rendered + words, first.rendered + words.lstrip())
            return _Whole(whole.ids, whole.notices, whole.rendered in said)
        case Ids():
            ids = _after_ids(model, first.ids, words)
            if ids[: len(first.ids)] == first.ids:
                return _Whole(ids)
            told = "The prompt's ids are not those of its text; what follows is tokenized apart."
            return _Whole((*first.ids, *_apart(model, text)), (told,))


def _after_ids(model: Model, before: tuple[int, ...], words: str) -> tuple[int, ...]:
    """Ids with words behind them, tokenized together from the last control token on."""
    special = pieces_of(model.tokenizer).special
    cut = max((place + 1 for place, id in enumerate(before) if id in special), default=0)
    known = model.tokenizer.decode(before[cut:], clean_up_tokenization_spaces=False)
    return (*before[:cut], *tokenize(model.tokenizer, known + words, add_special_tokens=False))


def _apart(model: Model, text: Prompt | str) -> tuple[int, ...]:
    """The ids of a text by itself, without a space that begins a first word."""
    if isinstance(text, Ids):
        return text.ids
    bare = partial(tokenize, model.tokenizer, add_special_tokens=False)
    return tuple(behind(bare, _words(text)))


def _start(model: Model, ids: Sequence[int], text: Prompt | str) -> int:
    """The place of the first token that holds some of ``text``, with which ``ids`` end."""
    if isinstance(text, Ids):
        return len(ids) - len(text.ids)
    pieces, place, left = pieces_of(model.tokenizer), len(ids), len(_words(text).encode())
    while place > 1 and left > 0:
        place -= 1
        left -= len(pieces.data(ids[place]))
    return place


def _shown(model: Model, ids: Sequence[int]) -> str:
    pieces = pieces_of(model.tokenizer)
    return repr("".join(pieces[id].text for id in ids))


def _words(text: Any) -> str:
    return text if isinstance(text, str) else str(text.text)
