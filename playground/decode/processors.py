"""The chain of logits processors, in order and by name; it knows no model and no loop.

Classes and order are those of ``GenerationMixin._get_logits_processor`` (transformers 5.24), so
that the chain leaves the scores that ``generate()`` would have. Ours stand around them:

- frequency and presence penalty, DRY and top-n-sigma, in this order (llama.cpp's), before the
  temperature: where ``generate()`` puts the processors that its caller brings;
- forced tokens behind all penalties and bans, which cannot forbid them, and before all that cuts;
- XTC after all that cuts, so after the temperature, as in text-generation-webui (in llama.cpp the
  temperature comes last of all);
- Mirostat after the temperature and instead of all that cuts, XTC too, as in llama.cpp. Unlike
  there, the penalties stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from playground.core.decoding import Decoding
from playground.decode.effects import Stage
from playground.decode.extra import (
    DRY,
    XTC,
    Forced,
    FrequencyPenalty,
    HammingDiversity,
    Mirostat,
    PresencePenalty,
    TopNSigma,
)
from playground.decode.phrases import Phrases


@dataclass(frozen=True, slots=True)
class Link:
    """One processor, under the name of the ``Decoding`` field that switches it on."""

    name: str
    processor: LogitsProcessor


@dataclass(frozen=True, slots=True)
class Chain:
    """The processors of one run, applied one after the other."""

    links: tuple[Link, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What is switched on, in order."""
        return tuple(link.name for link in self.links)

    @property
    def mirostat(self) -> Mirostat | None:
        """The one processor that remembers; its ``mu`` goes on from step to step."""
        found = (p for link in self.links if isinstance(p := link.processor, Mirostat))
        return next(found, None)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``scores`` [rows, vocabulary] after every processor; ``ids`` [rows, tokens] so far."""
        for link in self.links:
            scores = link.processor(ids, scores)
        return scores

    def stages(self, ids: torch.Tensor, scores: torch.Tensor) -> list[Stage]:
        """The same, with the scores after each processor, those of the model itself first."""
        stages = [Stage("model", scores)]
        for link in self.links:
            stages.append(Stage(link.name, link.processor(ids, stages[-1].scores)))
        return stages

    def take(self, ids: Sequence[int]) -> None:
        """Earlier groups of beams have chosen these in the step that comes."""
        for link in self.links:
            if isinstance(link.processor, HammingDiversity):
                link.processor.taken = list(ids)

    def accept(self, probability: float) -> None:
        """A token was chosen, with this final probability: Mirostat steers by it."""
        if mirostat := self.mirostat:
            mirostat.accept(probability)


def build(
    decoding: Decoding,
    prompt_tokens: int,
    ends: Sequence[int],
    device: torch.device,
    generator: torch.Generator | None = None,
    marks: Mapping[str, int] | None = None,
    phrases: Phrases = Phrases(),
) -> Chain:
    """The chain for these settings.

    ``ends`` are the model's end tokens, ``generator`` the run's own dice (None: those of torch),
    ``marks`` the ids of the texts in ``extra.MARKS``, as far as the tokenizer has them, ``phrases``
    those of the settings.
    """
    links = _processors(decoding, prompt_tokens, ends, device, marks or {}, phrases)
    if decoding.draws:
        links += _warpers(decoding, ends, device, generator, marks or {})
    return Chain(tuple(links))


def _processors(
    d: Decoding,
    prompt_tokens: int,
    ends: Sequence[int],
    device: torch.device,
    marks: Mapping[str, int],
    phrases: Phrases,
) -> list[Link]:
    """What acts on every strategy."""
    links: list[Link] = []

    def add(name: str, processor: LogitsProcessor) -> None:
        links.append(Link(name, processor))

    if phrases.bias:
        # As a list it would be turned into this dictionary; several tokens act on the last one.
        add("bias", SequenceBiasLogitsProcessor(dict(phrases.bias)))  # type: ignore[arg-type]
    if d.is_diverse and d.diversity_penalty > 0.0:
        add("diversity_penalty", HammingDiversity(d.diversity_penalty))
    if d.repetition_penalty != 1.0:
        add("repetition_penalty", RepetitionPenaltyLogitsProcessor(float(d.repetition_penalty)))
    if d.no_repeat_ngram_size > 0:
        add("no_repeat_ngram_size", NoRepeatNGramLogitsProcessor(d.no_repeat_ngram_size))
    if phrases.banned:
        add("banned", NoBadWordsLogitsProcessor([list(ids) for ids in phrases.banned], list(ends)))
    if d.min_new_tokens > 0 and ends:
        eos = torch.tensor(list(ends), device=device)
        add(
            "min_new_tokens",
            MinNewTokensLengthLogitsProcessor(prompt_tokens, d.min_new_tokens, eos),
        )
    if d.frequency_penalty != 0.0:
        add("frequency_penalty", FrequencyPenalty(d.frequency_penalty, prompt_tokens))
    if d.presence_penalty != 0.0:
        add("presence_penalty", PresencePenalty(d.presence_penalty, prompt_tokens))
    if d.dry_multiplier > 0.0:
        breakers = frozenset(marks.values())
        add("dry_multiplier", DRY(d.dry_multiplier, d.dry_base, d.dry_allowed_length, breakers))
    if phrases.forced:
        add("forced", Forced(phrases.forced, prompt_tokens))
    return links


def _warpers(
    d: Decoding,
    ends: Sequence[int],
    device: torch.device,
    generator: torch.Generator | None,
    marks: Mapping[str, int],
) -> list[Link]:
    """What acts only where the token is drawn."""
    links: list[Link] = []

    def add(name: str, processor: LogitsProcessor) -> None:
        links.append(Link(name, processor))

    # Beam sampling must keep one token that goes on, beside every end token.
    keep = max(2, len(ends) + 1) if d.is_beam_search else 1
    if d.top_n_sigma > 0.0 and not d.is_mirostat:
        add("top_n_sigma", TopNSigma(d.top_n_sigma, keep))
    if d.temperature != 1.0:
        add("temperature", TemperatureLogitsWarper(float(d.temperature)))
    if d.is_mirostat:
        add("mirostat_tau", Mirostat(d.mirostat_tau, d.mirostat_eta))
        return links
    if d.top_h > 0.0:
        add("top_h", TopHLogitsWarper(float(d.top_h)))
    if d.top_k > 0:
        add("top_k", TopKLogitsWarper(d.top_k, min_tokens_to_keep=keep))
    if d.top_p < 1.0:
        add("top_p", TopPLogitsWarper(float(d.top_p), min_tokens_to_keep=keep))
    if d.min_p > 0.0:
        add("min_p", MinPLogitsWarper(float(d.min_p), min_tokens_to_keep=keep))
    if d.typical_p < 1.0:
        add("typical_p", TypicalLogitsWarper(mass=float(d.typical_p), min_tokens_to_keep=keep))
    if d.epsilon_cutoff > 0.0:
        add("epsilon_cutoff", EpsilonLogitsWarper(d.epsilon_cutoff, min_tokens_to_keep=keep))
    if d.eta_cutoff > 0.0:
        eta = EtaLogitsWarper(d.eta_cutoff, min_tokens_to_keep=keep, device=str(device))
        add("eta_cutoff", eta)
    if d.xtc_probability > 0.0:
        spared = [*ends, *(id for text, id in marks.items() if text == "\n")]
        add(
            "xtc_probability",
            XTC(d.xtc_probability, d.xtc_threshold, spared, keep, generator),
        )
    return links
