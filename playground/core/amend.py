"""Which settings a run can be given while it decodes, and which would make it another run."""

from __future__ import annotations

from playground.core.decoding import KNOBS, Decoding
from playground.core.trace import Trace
from playground.errors import InvalidInput

# What decides how many texts a run has, what is kept of them and what reads them, with the
# property of a Decoding that says whether it acts, where there is one.
_KINDS: tuple[tuple[str, str], ...] = (
    ("num_beams", "is_beam_search"),
    ("penalty_alpha", "is_contrastive"),
    ("guidance_scale", "is_guided"),
    ("dola_layers", "is_dola"),
    ("prompt_lookup_tokens", "is_speculative"),
    ("draft_tokens", "is_speculative"),
    ("use_cache", ""),
    ("alone", ""),
)
_NEUTRAL = Decoding()
_LABELS = {"dola_layers": "DoLa", "use_cache": "KV cache", "alone": "Decode alone"}


def check_amend(now: Decoding, wanted: Decoding) -> None:
    """Raise InvalidInput, naming the field, unless a run with the settings ``now`` can go on with
    those that are ``wanted``.

    What draws and what weighs the next token can change at any token: temperature, every cut,
    penalty, ban and bias, the length, the stop strings. A search over several texts keeps its
    settings, and so does what decides how the model is read: guidance, DoLa, proposals, the cache.
    """
    for name, acts in _KINDS:
        label = KNOBS[name].label if name in KNOBS else _LABELS[name]
        before, after = (
            getattr(one if not acts or getattr(one, acts) else _NEUTRAL, name)
            for one in (now, wanted)
        )
        if before != after:
            raise InvalidInput(
                f"{label} cannot change while a run decodes: it is {before} and would be {after}.",
                field=name, given=after, allowed=str(before),
                advice="Start another run with it.",
            )
    if now.is_guided and now.negative_prompt != wanted.negative_prompt:
        raise InvalidInput(
            "The negative prompt cannot change while a run decodes: it was read with the prompt.",
            field="negative_prompt", given=wanted.negative_prompt,
            allowed=now.negative_prompt or "none", advice="Start another run with it.",
        )
    if now.is_beam_search or now.is_contrastive:
        raise InvalidInput(
            f"The settings of {now.name} cannot change while it searches.",
            field="num_beams" if now.is_beam_search else "penalty_alpha", given=wanted.summary,
            allowed=now.summary, advice="Start another run with them.",
        )


def changes(before: Decoding, after: Decoding) -> str:
    """What is other in the settings ``after``, in words: ``temperature 1.2, top-k 40``."""
    if before.draws and not after.draws:
        return after.name
    words = ["drawn at random"] if after.draws and not before.draws else []
    words += [f"{knob.short} {getattr(after, name):g}" for name, knob in KNOBS.items()
              if getattr(after, name) != getattr(before, name)]
    return ", ".join(words) or "other settings"


def amendments(trace: Trace) -> tuple[tuple[int, str], ...]:
    """From which token on a run had other settings, and what was other, in words."""
    known = (trace.run.decoding, *(one.decoding for one in trace.amended))
    return tuple((one.position, changes(before, one.decoding))
                 for before, one in zip(known, trace.amended, strict=False)
                 if one.decoding != before)
