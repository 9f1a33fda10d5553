"""How the next token is chosen: every knob, its range and the named presets; it knows no tensor.

Names and meanings are those of ``transformers.GenerationConfig``, with two differences, both on
purpose: nothing is silently on (the library's ``top_k=50`` is), and nonsense is refused here.
Knobs that the library lacks have the names that llama.cpp and others gave them; see decode/extra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from playground.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Knob:
    """The range of one field of ``Decoding``, for the door and for the sliders alike."""

    label: str
    low: float
    high: float
    step: float
    help: str
    whole: bool = False
    above_low: bool = False

    @property
    def short(self) -> str:
        """The label inside a line of text: small, but for an acronym."""
        return self.label if self.label[:2].isupper() else self.label.lower()

    @property
    def allowed(self) -> str:
        """The range in words."""
        low = f"above {self.low:g}, up to" if self.above_low else f"from {self.low:g} to"
        return f"{'a whole number' if self.whole else 'a number'} {low} {self.high:g}"


def _knob(
    default: Any, label: str, low: float, high: float, step: float, help: str, **more: bool
) -> Any:
    return field(default=default, metadata={"knob": Knob(label, low, high, step, help, **more)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Every setting that chooses tokens. Neutral values switch a knob off.

    Raises InvalidInput, naming the field, for a value outside its range.
    """

    do_sample: bool = False
    temperature: float = _knob(
        1.0, "Temperature", 0.0, 5.0, 0.05,
        "Below 1 bolder, above 1 wilder.", above_low=True,
    )
    top_k: int = _knob(
        0, "Top-k", 0, 1000, 1, "Only the k likeliest tokens. 0 is off.", whole=True
    )
    top_p: float = _knob(
        1.0, "Top-p", 0.0, 1.0, 0.01,
        "The likeliest that together reach p. 1 is off.", above_low=True,
    )
    min_p: float = _knob(
        0.0, "Min-p", 0.0, 1.0, 0.01,
        "At least this share of the likeliest. 0 is off.",
    )
    typical_p: float = _knob(
        1.0, "Typical-p", 0.0, 1.0, 0.01,
        "Surprise near the average. 1 is off.",
        above_low=True,
    )
    top_h: float = _knob(
        0.0, "Top-h", 0.0, 1.0, 0.01,
        "The likeliest with this share of the entropy. 0 is off.",
    )
    epsilon_cutoff: float = _knob(
        0.0, "Epsilon cutoff", 0.0, 0.1, 0.0001,
        "At least this probability. 0 is off.",
    )
    eta_cutoff: float = _knob(
        0.0, "Eta cutoff", 0.0, 0.1, 0.0001,
        "The same, milder where much is possible. 0 is off.",
    )
    top_n_sigma: float = _knob(
        0.0, "Top-n-sigma", 0.0, 5.0, 0.05,
        "Logits within n deviations of the best. 0 is off.",
    )
    xtc_probability: float = _knob(
        0.0, "XTC probability", 0.0, 1.0, 0.05,
        "How often the likeliest are left out. 0 is off.",
    )
    xtc_threshold: float = _knob(
        0.1, "XTC threshold", 0.0, 0.5, 0.01,
        "Of those likelier than this only the last stays.", above_low=True,
    )
    mirostat_tau: float = _knob(
        0.0, "Mirostat tau", 0.0, 10.0, 0.1,
        "Bits of surprise to steer to. 0 is off.",
    )
    mirostat_eta: float = _knob(
        0.1, "Mirostat eta", 0.0, 1.0, 0.01, "How fast Mirostat steers."
    )
    repetition_penalty: float = _knob(
        1.0, "Repetition penalty", 0.0, 5.0, 0.05,
        "Above 1: less of what was said. 1 is off.",
        above_low=True,
    )
    frequency_penalty: float = _knob(
        0.0, "Frequency penalty", -2.0, 2.0, 0.05,
        "Off the logit for each time it was written. 0 is off.",
    )
    presence_penalty: float = _knob(
        0.0, "Presence penalty", -2.0, 2.0, 0.05,
        "Off the logit once it was written. 0 is off.",
    )
    no_repeat_ngram_size: int = _knob(
        0, "No-repeat n-gram", 0, 20, 1,
        "No run of so many tokens twice. 0 is off.", whole=True,
    )
    dry_multiplier: float = _knob(
        0.0, "DRY multiplier", 0.0, 5.0, 0.05,
        "Against going on with a repeated run. 0 is off.",
    )
    dry_base: float = _knob(
        1.75, "DRY base", 1.0, 4.0, 0.05,
        "Each repeated token more costs so many times more.",
    )
    dry_allowed_length: int = _knob(
        2, "DRY allowed length", 1, 20, 1,
        "A repeated run of so many tokens costs first.", whole=True,
    )
    num_beams: int = _knob(
        1, "Beams", 1, 16, 1,
        "Texts kept at once. 1 is no beam search.", whole=True,
    )
    length_penalty: float = _knob(
        1.0, "Length penalty", -5.0, 5.0, 0.1,
        "Score = log-probability / length to this power.",
    )
    early_stopping: bool = False
    max_new_tokens: int = _knob(
        128, "New tokens", 1, 4096, 1, "The text ends here at the latest.", whole=True
    )
    min_new_tokens: int = _knob(
        0, "At least", 0, 4096, 1, "The text cannot end before.", whole=True
    )
    stop_strings: tuple[str, ...] = ()
    candidates: int = _knob(
        10, "Candidates", 1, 50, 1,
        "Likeliest tokens that a step reports.", whole=True,
    )

    def __post_init__(self) -> None:
        for name, knob in KNOBS.items():
            _check(name, knob, getattr(self, name))
        for name in ("do_sample", "early_stopping"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(
                    f"{name} must be true or false.", field=name, given=getattr(self, name)
                )
        if self.min_new_tokens > self.max_new_tokens:
            raise InvalidInput(
                f"At least {self.min_new_tokens} tokens cannot fit "
                f"in at most {self.max_new_tokens}.",
                field="min_new_tokens",
                given=self.min_new_tokens,
                allowed=f"up to New tokens ({self.max_new_tokens})",
            )
        _check_stop_strings(self.stop_strings)

    @property
    def is_beam_search(self) -> bool:
        """Whether several texts are kept at once."""
        return self.num_beams > 1

    @property
    def is_mirostat(self) -> bool:
        """Whether Mirostat steers: it stands in for all that cuts; beams have no one surprise."""
        return self.mirostat_tau > 0 and self.do_sample and not self.is_beam_search

    @property
    def name(self) -> str:
        """The strategy in a word, as the field calls it."""
        if self.is_beam_search:
            return "beam sampling" if self.do_sample else "beam search"
        if not self.do_sample:
            return "greedy"
        idle = self._idle
        on = [label for n, label in _SAMPLERS.items() if self._moved(n) and n not in idle]
        return " + ".join(on) if on else "sampling"

    @property
    def summary(self) -> str:
        """The strategy and every knob that was moved from neutral, in one line."""
        hidden = ("max_new_tokens", "candidates", "num_beams", *self._idle)
        shown = [
            f"{knob.short} {getattr(self, name):g}"
            for name, knob in KNOBS.items()
            if self._moved(name) and name not in hidden
        ]
        plain = self.name if self.name in ("greedy", "sampling") or self.is_beam_search else ""
        if self.is_beam_search:
            plain += f" · {self.num_beams} beams"
        return " · ".join(part for part in (plain, *shown) if part)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Labels of knobs that are set and have no effect.

        Sampling knobs when nothing is drawn; under Mirostat, all that would cut before it;
        Mirostat under beams; and what only shapes a strategy that is off, such as a threshold.
        """
        return tuple(KNOBS[name].label for name in self._idle)

    @property
    def _idle(self) -> tuple[str, ...]:
        return tuple(n for n in (*_SAMPLERS, *_SHAPES) if self._moved(n) and not self._acts(n))

    def _moved(self, name: str) -> bool:
        return bool(getattr(self, name) != _DEFAULTS[name])

    def _acts(self, name: str) -> bool:
        """Whether a knob that was moved has an effect."""
        if name in _SHAPES:
            return self._moved(_SHAPES[name]) and self._acts(_SHAPES[name])
        if name == "mirostat_tau":
            return self.is_mirostat
        cuts = name in _SAMPLERS and name != "temperature"
        return name not in _SAMPLERS or (self.do_sample and not (cuts and self.is_mirostat))


def _check(name: str, knob: Knob, value: object) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = (
        number
        and math.isfinite(value)  # type: ignore[arg-type]
        and (value > knob.low if knob.above_low else value >= knob.low)  # type: ignore[operator]
        and value <= knob.high  # type: ignore[operator]
        and (not knob.whole or isinstance(value, int))
    )
    if not fits:
        shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
        raise InvalidInput(
            f"{knob.label} is {shown}; it must be {knob.allowed}.",
            field=name,
            given=shown,
            allowed=knob.allowed,
        )


def _check_stop_strings(given: object) -> None:
    """At most four strings of one to 64 characters, as text-generation servers allow."""
    fits = isinstance(given, tuple) and len(given) <= 4
    if not fits or not all(isinstance(s, str) and 1 <= len(s) <= 64 for s in given):  # type: ignore[attr-defined]
        raise InvalidInput(
            "Stop strings are at most 4 texts of 1 to 64 characters each.",
            field="stop_strings",
            given=given,
            allowed="at most 4 texts of 1 to 64 characters",
        )


KNOBS: Mapping[str, Knob] = {f.name: f.metadata["knob"] for f in fields(Decoding) if f.metadata}
_DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Decoding)}
_SAMPLERS = {"top_k": "top-k", "top_p": "top-p", "min_p": "min-p", "typical_p": "typical",
             "top_h": "top-h", "epsilon_cutoff": "epsilon", "eta_cutoff": "eta",
             "top_n_sigma": "top-n-sigma", "xtc_probability": "XTC", "mirostat_tau": "mirostat",
             "temperature": "temperature"}
# Knobs that only shape what another one switches on.
_SHAPES = {"xtc_threshold": "xtc_probability", "mirostat_eta": "mirostat_tau",
           "dry_base": "dry_multiplier", "dry_allowed_length": "dry_multiplier"}

PRESETS: Mapping[str, Decoding] = {
    "Greedy": Decoding(),
    "Beam search": Decoding(num_beams=4),
    "Top-k": Decoding(do_sample=True, top_k=50),
    "Top-p": Decoding(do_sample=True, top_p=0.9),
    "Min-p": Decoding(do_sample=True, min_p=0.1),
    "Typical": Decoding(do_sample=True, typical_p=0.9),
    "Top-n-sigma": Decoding(do_sample=True, top_n_sigma=1.0),
    "XTC": Decoding(do_sample=True, min_p=0.02, xtc_probability=0.5),
    "DRY": Decoding(do_sample=True, dry_multiplier=0.8),
    "Mirostat": Decoding(do_sample=True, mirostat_tau=3.0),
    "Temperature 0.7": Decoding(do_sample=True, temperature=0.7),
    "Pure sampling": Decoding(do_sample=True),
    "Temperature 1.5": Decoding(do_sample=True, temperature=1.5),
}
