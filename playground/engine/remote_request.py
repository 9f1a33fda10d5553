"""A run as the request that a server takes; it sends none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from playground.core.decoding import Decoding
from playground.core.offers import Capabilities
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.core.run import Run
from playground.engine.remote_offers import (
    CONTINUE,
    GENERATION_CONFIG,
    TOKEN_IDS,
    USAGE,
)

# Neutral values that are said all the same: a server may have defaults of its own.
_NEUTRAL = {
    "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "typical_p": 1.0,
    "repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0,
    "dry_multiplier": 0.0, "xtc_probability": 0.0,
}


def request_of(
    run: Run, model: str, offers: Capabilities, ids: Sequence[int] | None = None
) -> tuple[str, dict[str, Any]]:
    """The route and the body of a run that streams; ``ids`` stand for its prompt where they are
    known and it must be exact."""
    body: dict[str, Any] = {"model": model, "stream": True}
    body |= settings_of(run.decoding, offers)
    if run.decoding.draws and offers.offers("seed"):
        body["seed"] = run.seed
    if USAGE in offers.ways:
        body[USAGE] = {"include_usage": True}
    if TOKEN_IDS in offers.ways:
        body[TOKEN_IDS] = True
    wanted = min(run.decoding.candidates, offers.alternatives)
    if ids is None and isinstance(run.prompt, Chat):
        return "chat/completions", body | _chat(run.prompt, offers, wanted)
    body["prompt"] = list(ids) if ids is not None else prompt_of(run.prompt)
    if wanted:
        body["logprobs"] = wanted
    return "completions", body


def prompt_of(prompt: Prompt) -> str | list[int]:
    """A prompt that is no chat, for /v1/completions."""
    match prompt:
        case Raw(text):
            return text
        case Ids(ids):
            return list(ids)
        case Chat():
            raise TypeError("a chat is no text before its template")


def messages_of(chat: Chat) -> list[dict[str, str]]:
    """The messages of a chat as OpenAI's API has them."""
    return [{"role": one.role, "content": one.content} for one in chat.messages]


def _chat(chat: Chat, offers: Capabilities, wanted: int) -> dict[str, Any]:
    body: dict[str, Any] = {"messages": messages_of(chat)}
    if chat.prefill and CONTINUE in offers.ways:
        body |= {CONTINUE: True, "add_generation_prompt": False}
    if wanted:
        body |= {"logprobs": True, "top_logprobs": wanted}
    return body


def settings_of(decoding: Decoding, offers: Capabilities) -> dict[str, Any]:
    """The settings as the server calls them; those it does not take were refused before."""
    knobs = dict(offers.knobs)
    if GENERATION_CONFIG in offers.ways:
        return _as_transformers(decoding, knobs)
    body: dict[str, Any] = {"max_tokens": decoding.max_new_tokens}
    for name, called in knobs.items():
        if name in _NEUTRAL and name != "temperature":
            # What only cuts before a draw says nothing where none is made.
            acts = name in decoding.acting
            body[called] = getattr(decoding, name) if acts else _NEUTRAL[name]
        elif name in decoding.acting and name not in ("do_sample", "temperature"):
            body[called] = getattr(decoding, name)
    if decoding.stop_strings:
        body["stop"] = list(decoding.stop_strings)
    body["temperature"] = decoding.temperature if decoding.draws else 0.0
    return body


def _as_transformers(decoding: Decoding, knobs: dict[str, str]) -> dict[str, Any]:
    """All settings under their own names, since only so the server draws or does not."""
    config = {
        name: getattr(decoding, name)
        for name in knobs
        if name != "stop_strings" and (name == "do_sample" or name in decoding.acting)
    }
    if decoding.draws:
        config.setdefault("top_k", 0)  # the library's own default is 50
        if config.get("top_h") == 0.0:
            del config["top_h"]
    body: dict[str, Any] = {
        GENERATION_CONFIG: json.dumps(config), "max_tokens": decoding.max_new_tokens,
    }
    if decoding.stop_strings:
        body["stop"] = list(decoding.stop_strings)
    return body
