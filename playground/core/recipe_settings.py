"""The settings of a recipe as ``generate()`` of transformers takes them, or why it cannot.

It writes no script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playground.core.decoding import Decoding
from playground.core.recipe import Digest, Recipe
from playground.core.run import Fork
from playground.errors import InvalidInput

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class Parts:
    """What a script needs besides ``generate()``'s own settings, in order."""

    settings: list[tuple[str, str]] = field(default_factory=list)
    processors: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def put(self, **settings: object) -> None:
        """Settings of ``generate()``."""
        self.settings += [(name, repr(value)) for name, value in settings.items()]

    def copy(self, name: str, *given: object, as_: str = "") -> None:
        """A processor of ours."""
        self.copied.append(name)
        self.processors.append(f"{as_ or name}({', '.join(map(repr, given))})")

    def take(self, name: str, *given: object, **named: object) -> None:
        """A processor of transformers, where its place among ours must be said."""
        self.imported.append(name)
        words = [*map(repr, given), *(f"{key}={value!r}" for key, value in named.items())]
        self.processors.append(f"{name}({', '.join(words)})")


def check_offered(recipe: Recipe) -> None:
    """Raise InvalidInput, in a sentence, where there is no plain script for a recipe."""
    d = recipe.run.decoding
    lacks = [
        (d.is_contrastive, "penalty_alpha", "contrastive search (it moved to code that is "
         "downloaded and run, which a script of ours does not do)"),
        (d.dola_layers != "off" and d.is_dola, "dola_layers", "DoLa (it moved to code that is "
         "downloaded and run, which a script of ours does not do)"),
        (d.is_diverse, "num_beam_groups", "diverse beam search (version 5 took it out)"),
    ]
    for lacking, name, words in lacks:
        if lacking:
            raise _no_script(f"transformers itself has no {words}.", name)
    if recipe.amended:
        raise _no_script(
            "The settings were changed while it wrote, and generate() has one set of them.",
            "settings",
        )
    if not isinstance(recipe.prompt_ids, tuple) or not recipe.prompt_ids:
        known = "a link holds the prompt as text" if recipe.prompt_ids else "this run had not begun"
        raise _no_script(f"A script needs the exact ids of the prompt, and {known}.", "prompt_ids",
                    "Run it again here, and share that run.")
    if recipe.facts.dtype not in _DTYPES or not recipe.context:
        raise _no_script("The run has not told how its model was loaded.", "dtype")
    if recipe.answer is not None and not _written(recipe) and recipe.was_stopped:
        raise _no_script("It was stopped before its first token.", "answer")
    if recipe.was_stopped and d.is_beam_search:
        raise _no_script(
            "The search was stopped, and generate() cannot be stopped at the same place.", "answer"
        )


def _no_script(what: str, name: str, advice: str = "") -> InvalidInput:
    return InvalidInput(f"There is no script for this run. {what}", field=name, advice=advice)


def _written(recipe: Recipe) -> int:
    ids = recipe.answer.ids if recipe.answer else ()
    return ids.count if isinstance(ids, Digest) else len(ids)


def stand_of(recipe: Recipe) -> tuple[int, ...]:
    """What stands behind the prompt before anything is chosen: at a fork, and put in there."""
    fork = recipe.run.fork or Fork()
    insert = fork.insert if isinstance(fork.insert, tuple) else ()
    return (*fork.ids, *insert)


def _limit(recipe: Recipe) -> int:
    """How many tokens are to be chosen."""
    stand = stand_of(recipe)
    room = recipe.context - len(recipe.prompt_ids) - len(stand)  # type: ignore[arg-type]
    limit = min(recipe.run.decoding.max_new_tokens - len(stand), room)
    if recipe.was_stopped:
        inserted = len(stand) - len((recipe.run.fork or Fork()).ids)
        limit = min(limit, _written(recipe) - inserted)
    if limit < 1:
        raise _no_script("Nothing was chosen in it.", "answer")
    return limit


def parts_of(recipe: Recipe) -> Parts:
    """All settings that act. Raises InvalidInput where nothing was chosen."""
    d, parts = recipe.run.decoding, Parts()
    stand = stand_of(recipe)
    parts.put(max_new_tokens=_limit(recipe), do_sample=d.do_sample)
    if d.is_beam_search:
        parts.put(num_beams=d.num_beams, length_penalty=float(d.length_penalty),
                  early_stopping=d.early_stopping)
    if d.min_new_tokens > len(stand):
        parts.put(min_new_tokens=d.min_new_tokens - len(stand))
    if d.repetition_penalty != 1.0:
        parts.put(repetition_penalty=float(d.repetition_penalty))
    if d.no_repeat_ngram_size:
        parts.put(no_repeat_ngram_size=d.no_repeat_ngram_size)
    if recipe.spelled.banned:
        parts.put(bad_words_ids=[list(ids) for ids in recipe.spelled.banned])
    if recipe.spelled.bias:
        parts.put(sequence_bias=[[list(ids), bias] for ids, bias in recipe.spelled.bias])
    if d.is_guided:
        _guide(recipe, parts, stand)
    if d.stop_strings:
        parts.put(stop_strings=list(d.stop_strings))
        parts.settings.append(("tokenizer", "tokenizer"))
    if not d.use_cache or recipe.facts.lane == "recompute":
        parts.put(use_cache=False)
    _ours(recipe, parts)
    if d.draws:
        _cuts(recipe, parts)
    return parts


def _guide(recipe: Recipe, parts: Parts, stand: tuple[int, ...]) -> None:
    parts.put(guidance_scale=float(recipe.run.decoding.guidance_scale))
    assert isinstance(recipe.prompt_ids, tuple)
    other = recipe.spelled.negative
    if stand and not other:
        other = recipe.prompt_ids[-1:]
    if other:
        ids = [[*other, *stand]]
        parts.settings.append(("negative_prompt_ids", f"torch.tensor({ids}).to(lm.device)"))


def _ours(recipe: Recipe, parts: Parts) -> None:
    """Processors that generate() lacks and puts where they stand here: before the temperature."""
    d, prompt = recipe.run.decoding, len(recipe.prompt_ids)  # type: ignore[arg-type]
    fork = recipe.run.fork
    if fork is not None and fork.banned:
        parts.copy("Barred", list(fork.banned), prompt + len(stand_of(recipe)))
    if d.frequency_penalty != 0.0:
        parts.copy("FrequencyPenalty", d.frequency_penalty, prompt)
    if d.presence_penalty != 0.0:
        parts.copy("PresencePenalty", d.presence_penalty, prompt)
    if d.dry_multiplier > 0.0:
        parts.copy("DRY", d.dry_multiplier, d.dry_base, d.dry_allowed_length,
                   list(recipe.spelled.breakers))
    if recipe.spelled.forced:
        parts.copy("Forced", list(recipe.spelled.forced), prompt)


def _cuts(recipe: Recipe, parts: Parts) -> None:
    """What acts where tokens are drawn. Mirostat and XTC come after the temperature and all that
    cuts, where generate() has no place for them: then all of these are given by hand."""
    d, ends = recipe.run.decoding, recipe.facts.ends
    keep = max(2, len(ends) + 1) if d.is_beam_search else 1
    if d.top_n_sigma > 0.0 and not d.is_mirostat:
        parts.copy("TopNSigma", d.top_n_sigma, keep)
    by_hand = d.is_mirostat or d.xtc_probability > 0.0
    kept: dict[str, Any] = {"min_tokens_to_keep": keep}
    cuts = _cutting(d)
    parts.put(**{"top_k": 0, **({} if by_hand else cuts)})  # the library's own top_k is 50
    if not by_hand:
        return
    if d.temperature != 1.0:
        parts.take("TemperatureLogitsWarper", float(d.temperature))
    if d.is_mirostat:
        parts.copy("Mirostat", d.mirostat_tau, d.mirostat_eta, as_="SteeredMirostat")
        return
    for name, value in cuts.items():
        if name == "temperature":
            continue
        extra = {} if name == "top_h" else kept
        if name == "eta_cutoff":
            extra = {**kept, "device": device_of(recipe)}
        if name == "typical_p":
            parts.take("TypicalLogitsWarper", mass=value, **kept)
        else:
            parts.take(_WARPERS[name], value, **extra)
    spared = [*ends, *recipe.spelled.spared]
    parts.copy("XTC", d.xtc_probability, d.xtc_threshold, spared, keep)


_WARPERS = {
    "top_h": "TopHLogitsWarper", "top_k": "TopKLogitsWarper", "top_p": "TopPLogitsWarper",
    "min_p": "MinPLogitsWarper", "epsilon_cutoff": "EpsilonLogitsWarper",
    "eta_cutoff": "EtaLogitsWarper",
}


def _cutting(d: Decoding) -> dict[str, Any]:
    """What is switched on of the settings that generate() has, in its order."""
    neutral = {"temperature": 1.0, "top_h": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
               "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
    values = {name: getattr(d, name) for name in neutral}
    return {name: int(value) if name == "top_k" else float(value)
            for name, value in values.items() if value != neutral[name]}


def device_of(recipe: Recipe) -> str:
    """The one device that inputs go to."""
    return recipe.facts.device.split(" ")[0] or "cpu"
