"""What a server streams, as events: tokens with their candidates, from the dialects that there are.

Everything here was said by a stranger: what has not the type that it should have is not told, and
what would make an endless run ends it. What a server does not tell is marked: an id below 0 (see
core.remote), a rank of 0, a number that is NaN.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from playground.core.events import Candidate, Event, Finished, Reason, Step
from playground.core.remote import UNTOLD, untold_id
from playground.core.run import Run
from playground.engine.remote_client import broken, quoted
from playground.engine.remote_offers import first_choice
from playground.errors import RemoteProblem

LONGEST_PIECE = 2000
# Settings that leave every probability as the model gave it.
_UNSHAPED = {"do_sample", "max_new_tokens", "stop_strings", "candidates", "effects", "alone",
             "use_cache", "prompt_lookup_tokens"}
_MOST_PARTS = 16  # pieces of text that a server may make of one token, where it tells no tokens
_CONTROL = re.compile(r"<(?!0x)[^<>\s]{1,60}>")
_TOKEN_ID = re.compile(r"token_id:(\d{1,9})")
_REASONS: dict[str, Reason] = {"stop": "end", "length": "length", "eos": "end", "eos_token": "end",
                               "stop_sequence": "stop string", "abort": "stopped"}


class Reading:
    """One answer as it comes: ``read`` each event of the stream, then ``finish``.

    ``exact`` says that the settings leave the model's own probabilities as they are, so that a
    token was chosen with them; else nobody but the server knows what it was chosen with.
    """

    def __init__(self, run: Run, name: str, most_candidates: int) -> None:
        self._run, self._name, self._most = run, name, most_candidates
        self._exact = set(run.decoding.acting) <= _UNSHAPED
        self._position = len(run.fork.ids) if run.fork else 0
        self._begun = self._before = time.monotonic()
        self._first: float | None = None
        self._reason: Reason | None = None
        self.steps = 0
        self.prompt_tokens = 0

    def begin_at(self, position: int) -> None:
        """The place of the first token that is told."""
        self._position = position

    def read(self, told: Any) -> list[Event]:
        """The tokens of one event. Raises RemoteProblem for a failure that it tells, and for what
        has no sense."""
        if not isinstance(told, dict):
            broken(self._name, "an event of its stream is no object")
        self._check_error(told)
        usage = told.get("usage")
        if isinstance(usage, dict) and _is_count(usage.get("prompt_tokens")):
            self.prompt_tokens = usage["prompt_tokens"]
        choice = first_choice(told)
        if choice is None:
            return []
        steps = list(self._steps(choice))
        self._note_end(choice)
        return list(steps)

    def _check_error(self, told: dict[str, Any]) -> None:
        error = told.get("error")
        if error:
            said = error.get("message") if isinstance(error, dict) else error
            plain = quoted(said if isinstance(said, str) else "no reason")
            raise RemoteProblem(
                f"{self._name} failed while it wrote: “{plain}”.", field="model", given=self._name,
                advice="What it wrote until then stays.",
            )

    def _steps(self, choice: dict[str, Any]) -> Iterator[Step]:
        text = _text_of(choice)
        tokens = tokens_of(choice)
        if not tokens and text:
            tokens = [Told(text, ids[0] if len(ids := _ids(choice)) == 1 else None)]
        now = time.monotonic()
        seconds, self._before = (now - self._before) / max(1, len(tokens)), now
        if tokens and self._first is None:
            self._first = now - self._begun
        ends = isinstance(choice.get("finish_reason"), str)
        for number, (token, added) in enumerate(zip(tokens, shares(text, tokens), strict=True)):
            last = ends and number == len(tokens) - 1
            yield self._step(token, added, last and not added, seconds)

    def _step(self, token: Told, text: str, is_end: bool, seconds: float) -> Step:
        parts = 1 if token.id is not None or not math.isnan(token.logprob) else _MOST_PARTS
        if self.steps >= parts * (self._run.decoding.max_new_tokens + 1):
            broken(self._name, "it writes more tokens than were asked for")
        # A server leaves control tokens out of the text, such as the one that ended the answer.
        hidden = bool(token.piece) and not text and not token.piece.isspace()
        special = hidden and (is_end or bool(_CONTROL.fullmatch(token.piece)))
        step = step_of(token, self._position, text, self._most, self._exact, special, seconds)
        self.steps += 1
        self._position += 1
        return step

    def _note_end(self, choice: dict[str, Any]) -> None:
        why = choice.get("finish_reason")
        if not isinstance(why, str):
            return
        if why == "content_filter":
            raise RemoteProblem(
                f"{self._name} cut the answer off: its filter did not let the rest through.",
                field="model", given=self._name,
            )
        self._reason = _REASONS.get(why, "end")
        stopped_by = (choice.get("stop_reason"), choice.get("matched_stop"))
        if self._reason == "end" and any(isinstance(one, str) for one in stopped_by):
            self._reason = "stop string"

    def finish(self, stopped: bool = False) -> Finished:
        """The end. Raises RemoteProblem where the server did not say that it is the end."""
        if self._reason is None and not stopped:
            raise RemoteProblem(
                f"{self._name} stopped in the middle of its answer, without a reason.",
                field="model", given=self._name, advice="What it wrote until then stays.",
            )
        first = self._first if self._first is not None else time.monotonic() - self._begun
        after = max(0.0, time.monotonic() - self._begun - first)
        reason: Reason = "stopped" if stopped else self._reason or "end"
        return Finished(reason, "", self.prompt_tokens, self.steps, first, after)


def id_of(token: Told) -> int:
    """The id of a token; below 0 where it is not told."""
    return token.id if token.id is not None else untold_id(token.piece)


def step_of(
    token: Told, position: int, text: str, most: int, exact: bool, special: bool = False,
    seconds: float = 0.0,
) -> Step:
    """A token as a step with its ``most`` likeliest candidates; ``exact`` as in ``Reading``."""
    chosen, listed = id_of(token), token.others[:most]
    candidates = tuple(
        Candidate(
            chosen if one.id is None and one.piece == token.piece else id_of(one), one.piece,
            one.logprob, math.exp(one.logprob) if exact else UNTOLD,
        )
        for one in listed
    )
    in_list = any(one.id == chosen for one in candidates)
    rank = token.rank or (1 + sum(p.logprob > token.logprob for p in listed) if in_list else 0)
    known = exact and math.isfinite(token.logprob)
    return Step(
        position, chosen, text, token.piece, token.logprob, rank,
        math.exp(token.logprob) if known else UNTOLD, UNTOLD, candidates, special, seconds=seconds,
    )


class Told:
    """One token as a server tells it: its text, its id if it is known, and the others."""

    __slots__ = ("id", "logprob", "others", "piece", "rank")

    def __init__(
        self, piece: str, id: int | None = None, logprob: float = UNTOLD,
        others: Sequence[Told] = (), rank: int = 0,
    ) -> None:
        self.piece, self.id, self.logprob, self.rank = clean(piece), id, logprob, rank
        self.others = sorted(others, key=lambda one: -one.logprob)


def tokens_of(choice: dict[str, Any]) -> list[Told]:
    """The tokens of a choice with what is told of each; none where it tells no log-probabilities.
    """
    told = choice.get("logprobs")
    if not isinstance(told, dict):
        return []
    content = told.get("content")
    made = _of_chat(content) if isinstance(content, list) else _of_completion(told)
    ids = _ids(choice)
    if len(ids) == len(made):
        for token, id in zip(made, ids, strict=True):
            token.id = id if token.id is None else token.id
    return made


def _of_chat(content: list[Any]) -> list[Told]:
    made = []
    for one in content:
        if isinstance(one, dict):
            token = _entry(one)
            listed = one.get("top_logprobs")
            others = [_entry(other) for other in listed if isinstance(other, dict)] if (
                isinstance(listed, list)) else []
            made.append(Told(token.piece, token.id, token.logprob,
                             [other for other in others if math.isfinite(other.logprob)]))
    return made


def _entry(one: dict[str, Any]) -> Told:
    told, id = one.get("bytes"), one.get("id", one.get("token_id"))
    token = one.get("token")
    text = token if isinstance(token, str) else ""
    if isinstance(told, list) and told and all(_is_byte(byte) for byte in told):
        text = piece_of(bytes(told))
    return Told(text, id if _is_count(id) else _id_in(text), logprob_of(one.get("logprob")))


def _of_completion(told: dict[str, Any]) -> list[Told]:
    texts, chosen, tops = told.get("tokens"), told.get("token_logprobs"), told.get("top_logprobs")
    if not isinstance(texts, list):
        return []
    made = []
    for n, text in enumerate(texts):
        piece = text if isinstance(text, str) else ""
        top = tops[n] if isinstance(tops, list) and n < len(tops) else None
        others = [
            Told(other, _id_in(other), logprob_of(p))
            for other, p in (top.items() if isinstance(top, dict) else ())
            if isinstance(other, str)
        ]
        p = chosen[n] if isinstance(chosen, list) and n < len(chosen) else None
        made.append(Told(piece, _id_in(piece), logprob_of(p),
                         [one for one in others if math.isfinite(one.logprob)]))
    return made


def clean(text: str) -> str:
    """A token's text, not too long and without halves of characters (lone surrogates)."""
    return text[:LONGEST_PIECE].encode("utf-8", "replace").decode()


def shares(text: str, tokens: Sequence[Told]) -> list[str]:
    """What each of some tokens adds to the text that they make together."""
    made, left = [], text
    for token in tokens[:-1]:
        own = token.piece if left.startswith(token.piece) else ""
        made.append(own)
        left = left[len(own) :]
    return [*made, left] if tokens else []


def piece_of(data: bytes) -> str:
    """The text of a token's bytes; bytes that are no character as ``<0xE4>``."""
    text = data[:LONGEST_PIECE].decode("utf-8", "surrogateescape")
    return "".join(
        f"<0x{ord(c) - 0xDC00:02X}>" if "\udc80" <= c <= "\udcff" else c for c in text
    )


def logprob_of(told: object) -> float:
    """A log-probability; UNTOLD for what is none, and no more than 0."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not abs(told) < 1e300:
        return UNTOLD
    return min(0.0, float(told))


def _text_of(choice: dict[str, Any]) -> str:
    delta = choice.get("delta")
    found = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else ""


def _ids(choice: dict[str, Any]) -> list[int]:
    told = choice.get("token_ids")
    return told if isinstance(told, list) and all(map(_is_count, told)) else []


def _id_in(text: str) -> int | None:
    found = _TOKEN_ID.fullmatch(text)
    return int(found[1]) if found else None


def _is_byte(value: object) -> bool:
    return _is_count(value) and value < 256  # type: ignore[operator]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
