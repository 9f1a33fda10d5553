"""One step of a run under the lens, also under other settings, as JSON; it knows no tensor.

The engine replays the step; here stands what a browser may ask of it and how the answer reads.
What it asks is untrusted: settings come through the door of the panel's settings, and anything
else that is wrong gets a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from playground.core.decoding import KNOBS, Decoding
from playground.core.events import Effect, Shift, Step
from playground.core.trace import Trace
from playground.errors import InvalidInput, PlaygroundError
from playground.ui.decoding_form import DEFAULTS, read_form
from playground.ui.token_store import encode, live_of, number, trace_of

WATCHED = 10  # candidates that are told at every processor, at least
# The sliders that are always there, and those that join them where the run has moved them.
ALWAYS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
ALSO = (
    "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff", "top_n_sigma", "xtc_probability",
    "xtc_threshold", "mirostat_tau", "mirostat_eta", "frequency_penalty", "presence_penalty",
    "no_repeat_ngram_size", "dry_multiplier",
)
ADJUSTABLE = frozenset({"do_sample", *ALWAYS, *ALSO})

_LABELS = {
    "model": ("The model itself", "Its own probabilities, before any setting."),
    "bias": ("Bias", "Added to the score of chosen phrases."),
    "banned": ("Banned", "What may not come next."),
    "forced": ("The answer begins with", "Only the token that was asked for stays."),
    "fork": ("Your branch", "What you put at this place, or banned from it."),
    "dola_layers": ("DoLa", "The last layer contrasted with the early one furthest from it."),
}


def read_xray(request: object) -> str:
    """What each processor did at a step, and the draw; ``settings`` are those to try instead.

    A step that cannot be shown is a ``problem``, a sentence.
    """
    asked = request if isinstance(request, Mapping) else {}
    try:
        trace, position = _place(asked.get("key"), asked.get("position"))
        own = replace(trace.decoding_at(position), effects=True)
        tried = _tried(own, asked.get("settings"))
        step = _step(asked.get("key"), trace, position, own, tried)
    except PlaygroundError as error:
        return encode({"problem": str(error.problem), "field": error.problem.field})
    return encode({**_told(step, tried), "sliders": _sliders(own), "own_draws": own.do_sample})


def _place(key: object, position: object) -> tuple[Trace, int]:
    """The run and the place that are asked for. Raises InvalidInput."""
    trace = trace_of(key)
    if trace is None:
        raise InvalidInput(
            "The server no longer keeps this run.", field="key",
            advice="Run it again to look at it.",
        )
    if isinstance(position, bool) or not isinstance(position, int) or position < 0:
        raise InvalidInput(
            "A token has a number.", field="position", given=position, allowed="0 or more"
        )
    if trace.run.fork is not None and position < len(trace.run.fork.ids):
        raise InvalidInput(
            f"Token {position + 1} stood already when this branch began.", field="position",
            given=position, advice="Look at it in the lane that the branch came from.",
        )
    return trace, position


def _tried(own: Decoding, settings: object) -> Decoding:
    """``own`` with what the sliders say. Raises InvalidInput, naming the field."""
    if settings is None:
        return own
    given = dict(settings) if isinstance(settings, Mapping) else {"settings": settings}
    wrong = [name for name in given if name not in ADJUSTABLE]
    if wrong:
        raise InvalidInput(
            f"A stored step cannot be tried with another {str(wrong[0])[:40]}.", field="settings",
            given=wrong[0], allowed=", ".join(sorted(ADJUSTABLE)),
        )
    read = read_form(given).decoding
    return replace(own, **{name: getattr(read, name) for name in given})


def _step(key: object, trace: Trace, position: int, own: Decoding, tried: Decoding) -> Step:
    """The step with the settings ``tried``: replayed, or as it was told. Raises PlaygroundError."""
    if own.is_beam_search:
        raise InvalidInput(
            "A beam search keeps several texts and does not choose token by token, so no step of "
            "it can be chosen again.",
            field="num_beams", given=own.num_beams,
            advice="Its tree shows what each step kept and dropped.",
        )
    told = next((s for s in trace.steps if s.position == position), None)
    live = live_of(key)
    try:
        if live is None:
            raise InvalidInput(
                "This run was begun on a page that has been closed since, so none of its steps is "
                "stored.", field="key", advice="Run it again to look at it.",
            )
        watching = replace(tried, candidates=max(tried.candidates, WATCHED))
        return live.engine.replay(live.stream, live.column, position, watching)
    except PlaygroundError:
        if told is not None and told.effects and tried == own:
            return told
        raise


def _told(step: Step, decoding: Decoding) -> dict[str, Any]:
    """A step as the panel reads it: the processors in order, then the choice."""
    draw = step.draw
    return {
        "id": step.id,
        "piece": step.piece,
        "rank": step.rank,
        "final": number(step.probability),
        "entropy": number(step.entropy),
        "forced": step.forced,
        "stages": [_stage(effect, decoding) for effect in step.effects],
        "draw": [number(value, 9) for value in (draw.low, draw.high, draw.point)] if draw else None,
        "draws": decoding.draws,
        "strategy": decoding.name,
        "ignored": decoding.ignored,
    }


def _stage(effect: Effect, decoding: Decoding) -> dict[str, Any]:
    """One processor: its plain name and value, what it removed and moved, the watched tokens."""
    name = effect.name
    label, help = _LABELS.get(name, (name.replace("_", " "), ""))
    value = ""
    if name in KNOBS:
        label, help = KNOBS[name].label, KNOBS[name].help
        value = f"{getattr(decoding, name):g}"
    if effect.layer is not None:
        value = f"against layer {effect.layer}" if effect.layer else "against the embeddings"
    return {
        "name": name, "label": label, "value": value, "help": help,
        "removed": effect.removed, "mass": number(effect.mass),
        "gone": _shifts(effect.gone),
        "moved": effect.moved, "most": _shifts(effect.most_moved),
        "watched": _shifts(effect.watched),
    }


def _shifts(shifts: Sequence[Shift]) -> list[list[Any]]:
    return [[s.id, s.text, number(s.before, 6), number(s.after, 6)] for s in shifts]


def _sliders(own: Decoding) -> list[dict[str, Any]]:
    """The knobs to try, at the run's own values."""
    moved = [name for name in ALSO if getattr(own, name) != DEFAULTS[name]]
    return [
        {"name": name, "label": knob.label, "help": knob.help, "low": _lowest(name),
         "high": knob.high, "step": knob.step, "value": getattr(own, name)}
        for name in (*ALWAYS, *moved)
        for knob in (KNOBS[name],)
    ]


def _lowest(name: str) -> float:
    """The least a slider can be put to: where the range begins above its low end, one notch up."""
    knob = KNOBS[name]
    return knob.low + knob.step if knob.above_low else knob.low
