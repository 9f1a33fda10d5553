"""How the next token is chosen: every knob, its range and the named presets; it knows no tensor.

Names and meanings are those of ``transformers.GenerationConfig``, with two differences, both on
purpose: nothing is silently on (the library's ``top_k=50`` is), and nonsense is refused here.
Knobs that the library lacks have the names that llama.cpp and others gave them; see decode/extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from playground.core.knobs import Knob, knob
from playground.core.phrases import Phrase, check_phrases, check_stop_strings
from playground.core.prompt import check_text
from playground.errors import InvalidInput

DolaLayers = Literal["off", "low", "high"]
EarlyStopping = Literal["never"] | bool
MOST_READ = 50  # candidates of contrastive search, each with a row of the KV cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """Every setting that chooses tokens. Neutral values switch a knob off.

    ``banned`` phrases cannot be written and ``bias`` is added to the score of the token that would
    complete a phrase, a text with and without a space before it; the new tokens begin with those
    of ``forced``. ``effects`` asks every step for what each processor did. ``alone`` decodes
    without company and without reuse, where 16-bit numbers would differ in their last bits.
    Without ``use_cache`` the whole text is read for every token, as ``generate()`` does then.

    Raises InvalidInput, naming the field, for a value outside its range.
    """

    do_sample: bool = False
    temperature: float = knob(
        1.0, "Temperature", 0.0, 5.0, 0.05,
        "Below 1 bolder, above 1 wilder.", above_low=True,
    )
    top_k: int = knob(
        0, "Top-k", 0, 1000, 1, "Only the k likeliest tokens. 0 is off.", whole=True
    )
    top_p: float = knob(
        1.0, "Top-p", 0.0, 1.0, 0.01,
        "The likeliest that together reach p. 1 is off.", above_low=True,
    )
    min_p: float = knob(
        0.0, "Min-p", 0.0, 1.0, 0.01,
        "At least this share of the likeliest. 0 is off.",
    )
    typical_p: float = knob(
        1.0, "Typical-p", 0.0, 1.0, 0.01,
        "Surprise near the average. 1 is off.",
        above_low=True,
    )
    top_h: float = knob(
        0.0, "Top-h", 0.0, 1.0, 0.01,
        "The likeliest with this share of the entropy. 0 is off.",
    )
    epsilon_cutoff: float = knob(
        0.0, "Epsilon cutoff", 0.0, 0.1, 0.0001,
        "At least this probability. 0 is off.",
    )
    eta_cutoff: float = knob(
        0.0, "Eta cutoff", 0.0, 0.1, 0.0001,
        "The same, milder where much is possible. 0 is off.",
    )
    top_n_sigma: float = knob(
        0.0, "Top-n-sigma", 0.0, 5.0, 0.05,
        "Logits within n deviations of the best. 0 is off.",
    )
    xtc_probability: float = knob(
        0.0, "XTC probability", 0.0, 1.0, 0.05,
        "How often the likeliest are left out. 0 is off.",
    )
    xtc_threshold: float = knob(
        0.1, "XTC threshold", 0.0, 0.5, 0.01,
        "Of those likelier than this only the last stays.", above_low=True,
    )
    mirostat_tau: float = knob(
        0.0, "Mirostat tau", 0.0, 10.0, 0.1,
        "Bits of surprise to steer to. 0 is off.",
    )
    mirostat_eta: float = knob(
        0.1, "Mirostat eta", 0.0, 1.0, 0.01, "How fast Mirostat steers."
    )
    repetition_penalty: float = knob(
        1.0, "Repetition penalty", 0.0, 5.0, 0.05,
        "Above 1: less of what was said. 1 is off.",
        above_low=True,
    )
    frequency_penalty: float = knob(
        0.0, "Frequency penalty", -2.0, 2.0, 0.05,
        "Off the logit for each time it was written. 0 is off.",
    )
    presence_penalty: float = knob(
        0.0, "Presence penalty", -2.0, 2.0, 0.05,
        "Off the logit once it was written. 0 is off.",
    )
    no_repeat_ngram_size: int = knob(
        0, "No-repeat n-gram", 0, 20, 1,
        "No run of so many tokens twice. 0 is off.", whole=True,
    )
    dry_multiplier: float = knob(
        0.0, "DRY multiplier", 0.0, 5.0, 0.05,
        "Against going on with a repeated run. 0 is off.",
    )
    dry_base: float = knob(
        1.75, "DRY base", 1.0, 4.0, 0.05,
        "Each repeated token more costs so many times more.",
    )
    dry_allowed_length: int = knob(
        2, "DRY allowed length", 1, 20, 1,
        "A repeated run of so many tokens costs first.", whole=True,
    )
    num_beams: int = knob(
        1, "Beams", 1, 16, 1,
        "Texts kept at once. 1 is no beam search.", whole=True,
    )
    length_penalty: float = knob(
        1.0, "Length penalty", -5.0, 5.0, 0.1,
        "Score = log-probability / length to this power.",
    )
    early_stopping: EarlyStopping = False
    num_beam_groups: int = knob(
        1, "Beam groups", 1, 16, 1,
        "Groups of beams that avoid each other's tokens. 1 is off.", whole=True,
    )
    diversity_penalty: float = knob(
        0.0, "Diversity penalty", 0.0, 10.0, 0.1,
        "Off a token's score for each earlier group that chose it.",
    )
    penalty_alpha: float = knob(
        0.0, "Contrastive alpha", 0.0, 1.0, 0.05,
        "Weight of being unlike the text so far, among the top-k. 0 is off.",
    )
    dola_layers: DolaLayers = "off"
    guidance_scale: float = knob(
        1.0, "Guidance", 0.0, 10.0, 0.1,
        "How far from what it would say without the prompt. 1 is off.",
    )
    negative_prompt: str = ""
    prompt_lookup_tokens: int = knob(
        0, "Prompt lookup", 0, 16, 1,
        "Tokens proposed by what followed the same words before. 0 is off.", whole=True,
    )
    draft_tokens: int = knob(
        0, "Draft tokens", 0, 16, 1,
        "Tokens that a smaller model proposes. 0 is off.", whole=True,
    )
    max_new_tokens: int = knob(
        128, "New tokens", 1, 4096, 1, "The text ends here at the latest.", whole=True
    )
    min_new_tokens: int = knob(
        0, "At least", 0, 4096, 1, "The text cannot end before.", whole=True
    )
    stop_strings: tuple[str, ...] = ()
    banned: tuple[Phrase, ...] = ()
    bias: tuple[tuple[Phrase, float], ...] = ()
    forced: Phrase = ()
    candidates: int = knob(
        10, "Candidates", 1, 50, 1,
        "Likeliest tokens that a step reports.", whole=True,
    )
    effects: bool = False
    alone: bool = False
    use_cache: bool = True

    def __post_init__(self) -> None:
        for name, one in KNOBS.items():
            one.check(name, getattr(self, name))
        for name in ("do_sample", "effects", "alone", "use_cache"):
            _check_choice(name, getattr(self, name), (True, False), "true or false")
        _check_choice("early_stopping", self.early_stopping, (True, False, "never"),
                      'true, false or "never"')
        _check_choice("dola_layers", self.dola_layers, get_args(DolaLayers), "off, low or high")
        if self.min_new_tokens > self.max_new_tokens:
            raise InvalidInput(
                f"At least {self.min_new_tokens} tokens cannot fit "
                f"in at most {self.max_new_tokens}.",
                field="min_new_tokens",
                given=self.min_new_tokens,
                allowed=f"up to New tokens ({self.max_new_tokens})",
            )
        check_stop_strings(self.stop_strings)
        check_phrases(self.banned, self.bias, self.forced)
        check_text(self.negative_prompt, "negative_prompt")
        self._check_groups()

    def _check_groups(self) -> None:
        if self.num_beams > 1 and self.num_beams % self.num_beam_groups:
            raise InvalidInput(
                f"{self.num_beams} beams cannot be shared out evenly to "
                f"{self.num_beam_groups} groups.",
                field="num_beam_groups",
                given=self.num_beam_groups,
                allowed=f"a divisor of Beams ({self.num_beams})",
            )
        if self.is_contrastive and not 2 <= self.top_k <= MOST_READ:
            raise InvalidInput(
                f"Contrastive search reads each of the top-k; Top-k is {self.top_k}.",
                field="top_k",
                given=self.top_k,
                allowed=f"2 to {MOST_READ}",
                advice="Set Top-k to 4, or Contrastive alpha to 0.",
            )

    @property
    def is_beam_search(self) -> bool:
        """Whether several texts are kept at once."""
        return self.num_beams > 1

    @property
    def is_diverse(self) -> bool:
        """Whether the beams are in groups that avoid each other; nothing is drawn then."""
        return self.is_beam_search and self.num_beam_groups > 1

    @property
    def is_contrastive(self) -> bool:
        """Whether tokens are chosen for being likely and unlike the text so far; none is drawn."""
        return self.penalty_alpha > 0 and not self.is_beam_search

    @property
    def draws(self) -> bool:
        """Whether dice are thrown."""
        return self.do_sample and not self.is_diverse and not self.is_contrastive

    @property
    def is_guided(self) -> bool:
        """Whether the text is also read without its prompt, and steered away from that."""
        return self.guidance_scale != 1.0 and not self.is_beam_search and not self.is_contrastive

    @property
    def is_dola(self) -> bool:
        """Whether the last layer is contrasted with an earlier one."""
        other = self.is_beam_search or self.is_contrastive or self.is_guided
        return self.dola_layers != "off" and not other

    @property
    def is_speculative(self) -> bool:
        """Whether tokens are proposed and read several at a time, which rolls back a cache."""
        one_by_one = self.is_beam_search or self.is_contrastive or self.is_guided or self.is_dola
        proposes = self.prompt_lookup_tokens > 0 or self.draft_tokens > 0
        return proposes and self.use_cache and not one_by_one

    @property
    def is_mirostat(self) -> bool:
        """Whether Mirostat steers: it stands in for all that cuts; beams have no one surprise."""
        return self.mirostat_tau > 0 and self.draws and not self.is_beam_search

    @property
    def name(self) -> str:
        """The strategy in a word, as the field calls it."""
        if self.is_diverse:
            return "diverse beam search"
        if self.is_beam_search:
            return "beam sampling" if self.do_sample else "beam search"
        if self.is_contrastive:
            return "contrastive search"
        idle = self._idle
        on = [label for n, label in _SAMPLERS.items() if self._moved(n) and n not in idle]
        plain = "sampling" if self.draws else "greedy"
        around = [word for word, on in (("guidance", self.is_guided), ("DoLa", self.is_dola)) if on]
        return " + ".join([*around, *(on if self.draws and on else [] if around else [plain])])

    @property
    def summary(self) -> str:
        """The strategy and every knob that was moved from neutral, in one line."""
        hidden = ("max_new_tokens", "candidates", "num_beams", *self._idle)
        shown = [
            f"{one.short} {getattr(self, name):g}"
            for name, one in KNOBS.items()
            if self._moved(name) and name not in hidden
        ]
        counts = {"banned": len(self.banned), "biased": len(self.bias)}
        shown += [f"{count} {word}" for word, count in counts.items() if count]
        shown += ["begun"] if self.forced else []
        shown += [] if self.use_cache else ["no KV cache"]
        named = self.is_beam_search or self.is_contrastive or self.is_dola
        plain = self.name if named or self.name in ("greedy", "sampling") else ""
        if self.is_beam_search:
            plain += f" · {self.num_beams} beams"
        return " · ".join(part for part in (plain, *shown) if part)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Labels of settings that are set and have no effect.

        Sampling knobs when nothing is drawn; under Mirostat, all that would cut before it; under
        beams and contrastive search, what works on one text and one draw; and what only shapes a
        strategy that is off, such as a threshold.
        """
        return tuple(map(label_of, self._idle))

    @property
    def acting(self) -> tuple[str, ...]:
        """Names of the settings that were moved from neutral and have an effect."""
        return tuple(n for n in _DEFAULTS if self._moved(n) and n not in self._idle)

    @property
    def _idle(self) -> tuple[str, ...]:
        names = (*_SAMPLERS, *_SHAPES, *_STRATEGIES)
        return tuple(n for n in names if self._moved(n) and not self._acts(n))

    def _moved(self, name: str) -> bool:
        return bool(getattr(self, name) != _DEFAULTS[name])

    def _acts(self, name: str) -> bool:
        """Whether a setting that was moved has an effect."""
        if name in _SHAPES:
            return self._moved(_SHAPES[name]) and self._acts(_SHAPES[name])
        if name in _STRATEGIES:
            return bool(getattr(self, _STRATEGIES[name]))
        if name == "top_k" and self.is_contrastive:
            return True
        if name == "mirostat_tau":
            return self.is_mirostat
        cuts = name in _SAMPLERS and name != "temperature"
        return name not in _SAMPLERS or (self.draws and not (cuts and self.is_mirostat))


def _check_choice(name: str, given: object, allowed: tuple[object, ...], words: str) -> None:
    # By type as well: 1 equals True.
    if not any(type(given) is type(one) and given == one for one in allowed):
        raise InvalidInput(f"{name} must be {words}.", field=name, given=given, allowed=words)


KNOBS: Mapping[str, Knob] = {f.name: f.metadata["knob"] for f in fields(Decoding) if f.metadata}
_DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Decoding)}
_SAMPLERS = {"top_k": "top-k", "top_p": "top-p", "min_p": "min-p", "typical_p": "typical",
             "top_h": "top-h", "epsilon_cutoff": "epsilon", "eta_cutoff": "eta",
             "top_n_sigma": "top-n-sigma", "xtc_probability": "XTC", "mirostat_tau": "mirostat",
             "temperature": "temperature"}
# Settings that only shape what another one switches on.
_SHAPES = {"xtc_threshold": "xtc_probability", "mirostat_eta": "mirostat_tau",
           "dry_base": "dry_multiplier", "dry_allowed_length": "dry_multiplier",
           "length_penalty": "num_beams", "early_stopping": "num_beams",
           "num_beam_groups": "num_beams", "diversity_penalty": "num_beam_groups",
           "negative_prompt": "guidance_scale"}
# Settings that make a strategy, and the property that says whether it is the one that acts.
_STRATEGIES = {"do_sample": "draws", "penalty_alpha": "is_contrastive",
               "guidance_scale": "is_guided", "dola_layers": "is_dola",
               "prompt_lookup_tokens": "is_speculative", "draft_tokens": "is_speculative"}
_LABELS = {"do_sample": "Draw at random", "early_stopping": "Early stopping",
           "negative_prompt": "Negative prompt", "dola_layers": "DoLa",
           "stop_strings": "Stop strings", "banned": "Banned phrases", "bias": "Bias",
           "forced": "The answer begins with", "alone": "Decode alone", "use_cache": "KV cache"}


def label_of(name: str) -> str:
    """What a setting is called on the page."""
    return KNOBS[name].label if name in KNOBS else _LABELS.get(name, name.replace("_", " "))

# In the order of every menu; core/strategy_notes.py explains each.
PRESETS: Mapping[str, Decoding] = {
    "Greedy": Decoding(),
    "Beam search": Decoding(num_beams=4),
    "Diverse beam search": Decoding(num_beams=4, num_beam_groups=4, diversity_penalty=0.5),
    "Beam sampling": Decoding(num_beams=4, do_sample=True),
    "Contrastive search": Decoding(penalty_alpha=0.6, top_k=4),
    "Pure sampling": Decoding(do_sample=True),
    "Temperature 0.7": Decoding(do_sample=True, temperature=0.7),
    "Temperature 1.5": Decoding(do_sample=True, temperature=1.5),
    "Top-k": Decoding(do_sample=True, top_k=50),
    "Top-p": Decoding(do_sample=True, top_p=0.9),
    "Min-p": Decoding(do_sample=True, min_p=0.1),
    "Typical": Decoding(do_sample=True, typical_p=0.9),
    "Epsilon": Decoding(do_sample=True, epsilon_cutoff=0.0009),
    "Eta": Decoding(do_sample=True, eta_cutoff=0.002),
    "Top-h": Decoding(do_sample=True, top_h=0.4),
    "Top-n-sigma": Decoding(do_sample=True, top_n_sigma=1.0),
    "XTC": Decoding(do_sample=True, min_p=0.02, xtc_probability=0.5),
    "Mirostat": Decoding(do_sample=True, mirostat_tau=3.0),
    "DRY": Decoding(do_sample=True, dry_multiplier=0.8),
    "Repetition penalty": Decoding(repetition_penalty=1.2),
    "No-repeat n-gram": Decoding(no_repeat_ngram_size=3),
    "DoLa": Decoding(dola_layers="high", repetition_penalty=1.2),
    "Guidance": Decoding(guidance_scale=1.5),
    "Prompt lookup": Decoding(prompt_lookup_tokens=4),
    "Without KV cache": Decoding(use_cache=False),
}
