"""Where a run goes on in the middle of an answer, in its model's own ids; it knows no cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from playground.core.run import Fork, Run
from playground.errors import ContextOverflow, InvalidInput
from playground.models.loading import Model
from playground.models.pieces import pieces_of
from playground.models.text import inserted


def spelled(model: Model, run: Run) -> tuple[Run, Sequence[str]]:
    """The run with what it inserts as ids, and notices for its reader.

    Raises InvalidInput, field "fork", for ids that the model does not have, a text that becomes
    none, and an answer that has ended before.
    """
    fork = run.fork
    if fork is None:
        return run, ()
    insert, notices = fork.insert, list[str]()
    if isinstance(insert, str):
        insert, notices = _ids_of(model, insert)
    for ids in (fork.ids, insert, fork.banned):
        _check_known(ids, model.card.vocabulary)
    _check_open(model, fork.ids, insert)
    if len(set(fork.banned)) == model.card.vocabulary:
        raise InvalidInput(
            "Every token of the model is banned.", field="fork", advice="Leave it one to choose."
        )
    return replace(run, fork=replace(fork, insert=insert)), notices


def check_room(fork: Fork, limit: int, is_context: bool) -> None:
    """Raise InvalidInput where an answer of at most ``limit`` tokens has no room for one more.

    ``is_context``: that is what the model's context leaves, and not what was asked for.
    """
    stand, insert = len(fork.ids), len(fork.insert)
    if stand < limit and stand + insert <= limit:
        return
    tokens = "1 token of the answer stands" if stand == 1 else f"{stand} tokens of the answer stand"
    put = f", and {insert} more {'is' if insert == 1 else 'are'} put behind" if insert else ""
    said = f"{tokens} before the fork{put}"
    given, allowed = f"{stand + insert} tokens", f"at most {limit if insert else limit - 1} tokens"
    if is_context:
        raise ContextOverflow(
            f"{said}; the model's context has room for {limit} behind the prompt.",
            field="fork", given=given, allowed=allowed, advice="Fork earlier.",
        )
    raise InvalidInput(
        f"{said}; New tokens is {limit}, and counts the whole answer.",
        field="fork", given=given, allowed=allowed, advice="Raise New tokens, or fork earlier.",
    )


def check_begin(model: Model, fork: Fork, begin: Sequence[int]) -> None:
    """Raise InvalidInput where a banned token is what the answer must begin with there."""
    place = len(fork.ids) + len(fork.insert)
    if place < len(begin) and begin[place] in fork.banned:
        text = pieces_of(model.tokenizer)[begin[place]].text
        raise InvalidInput(
            f"{text!r} is banned at the fork, and the answer is to begin with it.",
            field="fork", given=text, advice="Empty the field for how the answer begins.",
        )


def _ids_of(model: Model, text: str) -> tuple[tuple[int, ...], list[str]]:
    ids, notices = inserted(model.tokenizer, text)
    if text and not ids:
        raise InvalidInput(
            f"The text {text!r} becomes no token in this model.",
            field="fork", given=text, advice="Write some words.",
        )
    unknown = model.tokenizer.unk_token_id
    if unknown in ids and model.tokenizer.unk_token not in text:
        raise InvalidInput(
            f"This model has no tokens to write {text!r} with.", field="fork", given=text
        )
    return ids, notices


def _check_known(ids: Sequence[int], vocabulary: int) -> None:
    wrong = next((id for id in ids if id >= vocabulary), None)
    if wrong is not None:
        raise InvalidInput(
            f"Token id {wrong} is not in this model's vocabulary of {vocabulary}.",
            field="fork", given=wrong, allowed=f"0 to {vocabulary - 1}",
        )


def _check_open(model: Model, stand: Sequence[int], insert: Sequence[int]) -> None:
    """Nothing comes after a token that ends the text."""
    before = [*stand, *insert[:-1]]
    place = next((n for n, id in enumerate(before) if id in model.ends), None)
    if place is not None:
        text = pieces_of(model.tokenizer)[before[place]].text
        raise InvalidInput(
            f"The answer has ended with its token {place + 1}, {text!r}: nothing comes after it.",
            field="fork", given=text, advice="Fork before it.",
        )
