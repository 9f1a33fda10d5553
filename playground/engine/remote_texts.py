"""How a server reads texts: its tokens of a prompt, and how likely it finds a given text.

It knows one model on one server by a ``Served``; it runs nothing and keeps nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playground.core.events import Piece
from playground.core.messages import Rendered
from playground.core.offers import Capabilities, only_here
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.core.remote import Secret
from playground.core.run import Run
from playground.core.score import Contender, Contest, ContestRequest, Scored, ScoreRequest
from playground.engine.remote_client import RemoteClient, broken
from playground.engine.remote_events import Told, id_of, logprob_of, step_of, tokens_of
from playground.engine.remote_offers import (
    CONTINUE,
    ECHO,
    PROMPT_LOGPROBS,
    TOKEN_IDS,
    TOKENIZE_LLAMA,
    TOKENIZE_VLLM,
    first_choice,
)
from playground.engine.remote_request import messages_of, prompt_of
from playground.errors import InvalidInput

_CONTROL = re.compile(r"<[^<>\s]{1,60}>|\[[A-Z_]{2,20}\]")
_BYTE_LEVEL = ("Ġ", "Ċ")  # a space and a line's end in GPT-2's alphabet of bytes
_LONGEST = 120.0          # seconds for a text that is scored


@dataclass(frozen=True, slots=True)
class Served:
    """One model on one server, with what it offers and whose token is sent."""

    client: RemoteClient
    model: str
    offers: Capabilities
    token: Secret | None = None

    @property
    def name(self) -> str:
        """What the host calls the server."""
        return self.client.remote.name

    async def post(self, path: str, body: dict[str, Any], seconds: float = 0.0) -> Any:
        """Ask for this model."""
        return await self.client.post(path, {"model": self.model, **body}, self.token, seconds)


async def pieces_of(served: Served, prompt: Prompt, own: bool = True) -> tuple[Piece, ...] | None:
    """The tokens of a prompt as the server reads it; None where it does not tell.

    Without ``own`` a text gets no token that begins one. Raises PlaygroundError.
    """
    if TOKENIZE_VLLM in served.offers.ways and not isinstance(prompt, Ids):
        return await _pieces_of_vllm(served, prompt, own)
    if TOKENIZE_LLAMA in served.offers.ways and not isinstance(prompt, Ids):
        return await _pieces_of_llama(served, prompt, own)
    return None


async def _pieces_of_vllm(served: Served, prompt: Prompt, own: bool) -> tuple[Piece, ...]:
    body: dict[str, Any] = {"return_token_strs": True}
    if isinstance(prompt, Chat):
        body |= {"messages": messages_of(prompt)}
        if prompt.prefill and CONTINUE in served.offers.ways:
            body |= {CONTINUE: True, "add_generation_prompt": False}
    else:
        body |= {"prompt": prompt_of(prompt), "add_special_tokens": own}
    told = await served.post("/tokenize", body)
    ids = told.get("tokens") if isinstance(told, dict) else None
    texts = told.get("token_strs") if isinstance(told, dict) else None
    if not isinstance(ids, list) or not all(type(id) is int and id >= 0 for id in ids):
        broken(served.name, "its tokens of a prompt are no ids")
    if not isinstance(texts, list) or len(texts) != len(ids):
        texts = [""] * len(ids)
    plain = _plain([text if isinstance(text, str) else "" for text in texts])
    return tuple(_piece(id, text) for id, text in zip(ids, plain, strict=True))


async def _pieces_of_llama(served: Served, prompt: Prompt, own: bool) -> tuple[Piece, ...]:
    if isinstance(prompt, Chat):
        told = await served.post("/apply-template", {"messages": messages_of(prompt)})
        text = told.get("prompt") if isinstance(told, dict) else None
        if not isinstance(text, str):
            broken(served.name, "it gives no text for a chat")
    else:
        text = str(prompt_of(prompt))
    asked = {"content": text, "add_special": own, "parse_special": own, "with_pieces": True}
    told = await served.post("/tokenize", asked)
    listed = told.get("tokens") if isinstance(told, dict) else None
    made = []
    for one in listed if isinstance(listed, list) else []:
        id, piece = (one.get("id"), one.get("piece")) if isinstance(one, dict) else (None, "")
        if type(id) is not int or id < 0:
            broken(served.name, "its tokens of a prompt are no ids")
        if isinstance(piece, list) and all(type(b) is int and 0 <= b < 256 for b in piece):
            piece = bytes(piece).decode("utf-8", "replace")  # bytes that are no whole character
        made.append(_piece(id, piece if isinstance(piece, str) else ""))
    return tuple(made)


def _piece(id: int, text: str) -> Piece:
    shown = Told(text).piece
    return Piece(id, shown, bool(_CONTROL.fullmatch(shown)))


def _plain(texts: Sequence[str]) -> list[str]:
    """Entries of a vocabulary as text: a byte-level one where its mark for a space is there."""
    if any(mark in text for text in texts for mark in _BYTE_LEVEL):
        return [_from_bytes(text) for text in texts]
    return [text.replace("▁", " ") for text in texts]


def _from_bytes(text: str) -> str:
    """The text behind an entry of a byte-level vocabulary (GPT-2's alphabet, Radford 2019)."""
    made = bytearray()
    for c in text:
        code = ord(c)
        if 0x100 <= code < 0x144:
            made.append(_HIDDEN[code - 0x100])
        elif code < 0x100:
            made.append(code)
        else:
            return text
    return made.decode("utf-8", "replace")


_SHOWN = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_HIDDEN = tuple(byte for byte in range(256) if byte not in _SHOWN)


async def rendered_by(served: Served, prompt: Prompt) -> Rendered:
    """A prompt as the server reads it. Raises InvalidInput where it does not tell."""
    pieces = await pieces_of(served, prompt)
    if pieces is None:
        raise InvalidInput(
            served.offers.why_not("tokenize") or f"{served.name} does not tell how it reads ids.",
            field="prompt",
        )
    return Rendered(0, "".join(piece.text for piece in pieces), pieces)


async def ids_of(served: Served, prompt: Prompt) -> tuple[int, ...]:
    """The exact ids of a prompt. Raises InvalidInput where the server does not tell."""
    if isinstance(prompt, Ids):
        return prompt.ids
    if TOKEN_IDS in served.offers.ways:
        chat = isinstance(prompt, Chat)
        body: dict[str, Any] = {"max_tokens": 1, "temperature": 0, TOKEN_IDS: True}
        body |= {"messages": messages_of(prompt)} if isinstance(prompt, Chat) else {
            "prompt": prompt_of(prompt)}
        told = await served.post("chat/completions" if chat else "completions", body, _LONGEST)
        choice = first_choice(told) or {}
        ids = choice.get("prompt_token_ids") or told.get("prompt_token_ids")
        if isinstance(ids, list) and ids and all(type(id) is int and id >= 0 for id in ids):
            return tuple(ids)
    pieces = await pieces_of(served, prompt)
    if pieces is None:
        raise InvalidInput(
            f"{served.name} does not tell the ids of the prompt, so nothing can go on from the "
            "middle of an answer.", field="fork",
        )
    return tuple(piece.id for piece in pieces)


async def inserted_by(served: Served, run: Run) -> tuple[Piece, ...]:
    """What is put in at a fork, as tokens. Raises InvalidInput where the server tells none."""
    insert = run.fork.insert if run.fork else ()
    if isinstance(insert, str):
        pieces = await pieces_of(served, Raw(insert), own=False)
        if pieces is None:
            raise InvalidInput(
                f"A text cannot be put in: {served.offers.why_not('tokenize')}", field="fork",
                advice="Choose one of the candidates that have an id.",
            )
        return tuple(Piece(piece.id, piece.text) for piece in pieces)
    return tuple([await _shown(served, id) for id in insert])


async def _shown(served: Served, id: int) -> Piece:
    if not served.offers.offers("tokenize"):
        return Piece(id, "")
    told = await served.post("/detokenize", {"tokens": [id]})
    text = (told.get("prompt") or told.get("content")) if isinstance(told, dict) else ""
    return Piece(id, Told(text if isinstance(text, str) else "").piece)


async def scored_by(served: Served, request: ScoreRequest) -> Scored:
    """How likely the server finds a text, token by token. Raises PlaygroundError."""
    if why := served.offers.why_not("scoring"):
        raise InvalidInput(why, field="model", advice="Score it with a model on this machine.")
    whole, start, count = _joined(served, request)
    wanted = min(request.candidates, max(1, served.offers.alternatives))
    tokens = await _read_tokens(served, whole, wanted)
    first, across = _scored_from(tokens, start, count)
    steps = tuple(
        step_of(token, n, token.piece, wanted, exact=True) for n, token in enumerate(tokens[first:])
    )
    if not steps:
        raise InvalidInput("There is no token to score after the first.", field="text",
                           advice="Write a longer text.")
    context = tuple(Piece(id_of(token), token.piece) for token in tokens[:first])
    notices = ("A token lies across the end of the prompt; all of it is scored.",) if across else ()
    return Scored(context, steps, "", notices)


def _scored_from(tokens: Sequence[Told], start: int, count: int) -> tuple[int, bool]:
    """The first token that is scored, and whether it lies across the end of the prompt."""
    first = read = 0
    while first < len(tokens) and (first < count if count else read < start):
        read += len(tokens[first].piece)
        first += 1
    across = not count and read > start
    return max(first - across, 1), across  # before the first token nothing was read


async def contest_by(served: Served, request: ContestRequest) -> Contest:
    """Continuations against each other; as ``scored_by``."""
    neutral = request.neutral
    if neutral is None:
        raise InvalidInput(
            f"{served.name} does not tell which token begins a text.", field="neutral",
            advice="Give a neutral prompt to compare with, such as a line's end.",
        )
    made: list[Contender] = []
    read: tuple[Piece, ...] = ()
    for text in request.continuations:
        after = await scored_by(served, ScoreRequest(Raw(text), request.prompt, request.candidates))
        alone = await scored_by(served, ScoreRequest(Raw(text), neutral, 1))
        read = alone.context
        made.append(Contender(text, after, alone.total_logprob))
    return Contest(tuple(made), read)


def _joined(served: Served, request: ScoreRequest) -> tuple[str | list[int], int, int]:
    """The whole text or its ids; where the scored part begins, in characters or in ids."""
    match request.prompt, request.text:
        case None, Raw(text):
            return text, 0, 0
        case None, Ids(ids):
            return list(ids), 0, 1
        case Raw(before), Raw(text):
            return before + text, len(before), 0
        case Ids(before_ids), Ids(ids):
            return [*before_ids, *ids], 0, len(before_ids)
    raise InvalidInput(
        only_here("chat score", served.name), field="text", allowed="raw text",
        advice="Switch the template off.",
    )


async def _read_tokens(served: Served, whole: str | list[int], wanted: int) -> list[Told]:
    body: dict[str, Any] = {"prompt": whole, "max_tokens": 1, "temperature": 0}
    if PROMPT_LOGPROBS in served.offers.ways:
        body |= {PROMPT_LOGPROBS: wanted}
        if TOKEN_IDS in served.offers.ways:
            body |= {TOKEN_IDS: True}
        choice = first_choice(await served.post("completions", body, _LONGEST)) or {}
        listed, ids = choice.get(PROMPT_LOGPROBS), choice.get("prompt_token_ids")
        if not isinstance(listed, list):
            broken(served.name, "it tells no log-probabilities of the prompt")
        known = ids if isinstance(ids, list) and len(ids) == len(listed) else [None] * len(listed)
        tokens = [_of_prompt(one, id) for one, id in zip(listed, known, strict=True)]
        rest = "".join(token.piece for token in tokens[1:])
        if tokens and isinstance(whole, str) and whole.endswith(rest):
            tokens[0].piece = whole.removesuffix(rest)  # nothing is told of the first
        return tokens
    body |= {ECHO: True, "logprobs": wanted}
    body |= {TOKEN_IDS: True} if TOKEN_IDS in served.offers.ways else {}
    told = await served.post("completions", body, _LONGEST)
    choice = first_choice(told) or {}
    tokens, ids = tokens_of(choice), choice.get("prompt_token_ids")
    usage = told.get("usage") if isinstance(told, dict) else None
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    read = tokens[: count if isinstance(count, int) and count > 0 else max(0, len(tokens) - 1)]
    if isinstance(ids, list) and len(ids) == len(read):
        for token, id in zip(read, ids, strict=True):
            token.id = id if type(id) is int and 0 <= id < 2**31 else None
    return read


def _of_prompt(told: Any, id: Any) -> Told:
    """One token of ``prompt_logprobs``: its own id comes first, or is among them."""
    entries = told if isinstance(told, dict) else {}
    made: dict[str, Told] = {}
    for key, one in entries.items():
        if isinstance(one, dict) and key.isascii() and key.isdigit() and len(key) < 10:
            text, rank = one.get("decoded_token"), one.get("rank")
            made[key] = Told(text if isinstance(text, str) else "", int(key),
                             logprob_of(one.get("logprob")), (),
                             rank if type(rank) is int and 0 < rank < 2**31 else 0)
    own = made.get(str(id)) or next(iter(made.values()), None)
    if own is None:
        return Told("", id if type(id) is int and 0 <= id < 2**31 else None)
    listed = [one for one in made.values() if one.logprob == one.logprob]
    return Told(own.piece, own.id, own.logprob, listed, own.rank)
