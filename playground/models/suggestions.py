"""What a repository's generation_config asks for: ids are checked, settings shown, none obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from transformers import GenerationConfig

from playground.core.decoding import KNOBS, Decoding
from playground.errors import InvalidInput

_NEUTRAL = {one.name: one.default for one in fields(Decoding)}


def suggested_settings(
    suggested: Mapping[str, Any], notices: list[str]
) -> tuple[tuple[str, str], ...]:
    """The settings that a generation_config asks for and that ours has, as name and value.

    What is out of range goes to ``notices``; what would change nothing is left out.
    """
    found = []
    for name, value in suggested.items():
        if value is None or name not in (*KNOBS, "do_sample") or value == _NEUTRAL[name]:
            continue
        try:
            if name in KNOBS:
                KNOBS[name].check(name, value)
            elif not isinstance(value, bool):
                continue
        except InvalidInput as refused:
            notices.append(f"Its own suggestion is not used: {refused.problem.message[:200]}")
        else:
            found.append((name, str(value)))
    return tuple(found)


def generation_config(
    lm: Any, tokenizer: Any, suggested: Mapping[str, Any], rows: int, notices: list[str]
) -> GenerationConfig:
    """A fresh config with end, padding and begin ids that are ids of this vocabulary of ``rows``,
    and nothing else that a repository suggests."""
    sources = (suggested, lm.config.get_text_config(decoder=True).to_dict())

    def ids(name: str) -> list[int]:
        found: list[int] = []
        for source in sources:
            value = source.get(name)
            for id in value if isinstance(value, list) else [value]:
                if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < rows:
                    found.append(id)
                elif id is not None:
                    notices.append(f"{name} {id!r} is not an id of this model and is left out.")
            if found:
                break
        own = getattr(tokenizer, name)
        return list(dict.fromkeys([*found, *([own] if own is not None else [])]))

    ends, pads, begins = ids("eos_token_id"), ids("pad_token_id"), ids("bos_token_id")
    if not ends:
        notices.append("The model names no end token: it always writes up to the token limit.")
    return GenerationConfig(
        eos_token_id=ends or None,
        pad_token_id=(pads or ends or [0])[0],
        bos_token_id=begins[0] if begins else None,
    )
