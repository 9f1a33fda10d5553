"""How likely given texts are under a model, token by token; it knows no tensor, no tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from playground.core.decoding import Decoding
from playground.core.events import Piece, Step
from playground.core.prompt import Chat, Ids, Prompt, Raw, check_text
from playground.errors import InvalidInput

FEWEST, MOST = 2, 20

Measure = Literal["total", "token", "byte", "pmi"]

# What each measure of a contest is, for a heading and its explanation.
MEASURES: Mapping[Measure, str] = {
    "total": "Log-probability of the whole continuation: longer ones lose.",
    "token": "Mean log-probability of a token.",
    "byte": "Mean log-probability of a byte of text: fair between tokenizations.",
    "pmi": "How much likelier the prompt makes it than a neutral prompt does.",
}


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A text whose tokens are scored; each tells its ``candidates`` likeliest.

    Without ``prompt`` every token of ``text`` counts, with one only the text after it. A chat is
    its own prompt: only its last message counts, which is the assistant's. Raises InvalidInput.
    """

    text: Prompt
    prompt: Prompt | None = None
    candidates: int = 10

    def __post_init__(self) -> None:
        _check_prompt(self.text, "text")
        if self.prompt is not None:
            _check_prompt(self.prompt, "prompt")
        if isinstance(self.text, Chat):
            _check_answer(self.text)
            if self.prompt is not None:
                raise InvalidInput(
                    "A chat holds its own prompt; it is scored for its last answer alone.",
                    field="prompt", given=self.prompt, allowed="no prompt beside a chat",
                )
        _check_candidates(self.candidates)

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given, for the limits at the door."""
        return (self.text,) if self.prompt is None else (self.prompt, self.text)


@dataclass(frozen=True, slots=True)
class Scored:
    """What the model thought of a text: ``context`` was read first, each ``Step`` is a token of it.

    A step's ``logprob`` (nats), ``rank`` and ``entropy`` are the model's own; nothing was drawn, so
    its ``probability`` is exp(logprob), and so are its candidates'. ``tail`` ends the text where it
    stops in the middle of a character. Control tokens among the steps (the one that ends an answer)
    count in the total and are no part of the text, its words and its bytes.
    """

    context: tuple[Piece, ...]
    steps: tuple[Step, ...]
    tail: str = ""
    notices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text of the scored tokens, without control tokens."""
        return "".join(step.text for step in self.steps if not step.special) + self.tail

    @property
    def words(self) -> int:
        """Runs of characters between white space; few in Chinese, which has none."""
        return len(self.text.split())

    @property
    def bytes(self) -> int:
        """Bytes of the text in UTF-8."""
        return len(self.text.encode())

    @property
    def total_logprob(self) -> float:
        """Sum of the tokens' log-probabilities, in nats: ln P(text | context)."""
        return math.fsum(step.logprob for step in self.steps)

    @property
    def mean_logprob(self) -> float:
        """The total over the number of scored tokens, in nats."""
        return self.total_logprob / len(self.steps)

    @property
    def perplexity(self) -> float:
        """exp(-total / tokens): as if each was one of so many equally likely tokens."""
        return _exp(-self.mean_logprob)

    @property
    def word_perplexity(self) -> float | None:
        """exp(-total / words), fair between tokenizers; None for 0 words."""
        return _exp(-self.total_logprob / self.words) if self.words else None

    @property
    def byte_perplexity(self) -> float | None:
        """exp(-total / bytes), in any language; None for 0 bytes."""
        return _exp(-self.total_logprob / self.bytes) if self.bytes else None

    @property
    def bits_per_byte(self) -> float | None:
        """-total / (bytes · ln 2): the size after ideal compression, of 8; None for 0 bytes."""
        return -self.total_logprob / (self.bytes * math.log(2)) if self.bytes else None


@dataclass(frozen=True, slots=True)
class ContestRequest:
    """Two to twenty continuations of one prompt, each as it stands after the prompt's last letter.

    ``neutral`` is the prompt that PMI compares with; None is the token that begins a text.
    Raises InvalidInput.
    """

    prompt: Prompt
    continuations: tuple[str, ...]
    neutral: Prompt | None = None
    candidates: int = 10

    def __post_init__(self) -> None:
        _check_prompt(self.prompt, "prompt")
        if self.neutral is not None:
            _check_prompt(self.neutral, "neutral")
        given = self.continuations
        if not isinstance(given, tuple) or not FEWEST <= len(given) <= MOST:
            count = len(given) if isinstance(given, tuple) else given
            raise InvalidInput(
                f"A contest has from {FEWEST} to {MOST} continuations; {count!r} were given.",
                field="continuations", given=count, allowed=f"from {FEWEST} to {MOST} texts",
            )
        for place, text in enumerate(given):
            check_text(text, f"continuation {place + 1}")
            if not text:
                raise InvalidInput(
                    f"Continuation {place + 1} is empty.", field="continuations",
                    allowed="at least one character each", advice="Write it, or leave it out.",
                )
            if text in given[:place]:
                raise InvalidInput(
                    f"The continuation {text!r} is there twice.", field="continuations",
                    given=text, allowed="every continuation once",
                )
        _check_candidates(self.candidates)

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given, for the limits at the door."""
        neutral = () if self.neutral is None else (self.neutral,)
        return (self.prompt, *neutral, *(Raw(text) for text in self.continuations))


@dataclass(frozen=True, slots=True)
class Contender:
    """One continuation with its tokens; ``neutral_logprob`` (nats) is its total after ``neutral``.

    ``pmi`` is ln P(continuation | prompt) - ln P(continuation | neutral prompt), the pointwise
    mutual information of Holtzman et al. 2021, "Surface Form Competition", arXiv 2104.08315: what
    is common anywhere gains nothing by it.
    """

    continuation: str
    scored: Scored
    neutral_logprob: float

    def score(self, by: Measure) -> float | None:
        """Its number under a measure, in nats, more being better; None where there is none."""
        total = self.scored.total_logprob
        match by:
            case "total":
                return total
            case "token":
                return self.scored.mean_logprob
            case "byte":
                return total / self.scored.bytes if self.scored.bytes else None
            case "pmi":
                # What cannot come has nothing to gain; -inf - -inf would be NaN.
                return total - self.neutral_logprob if math.isfinite(total) else total


@dataclass(frozen=True, slots=True)
class Contest:
    """The contenders in the order in which they were given; ``neutral`` is PMI's other prompt."""

    contenders: tuple[Contender, ...]
    neutral: tuple[Piece, ...]
    notices: tuple[str, ...] = ()

    def ranks(self, by: Measure) -> tuple[int, ...]:
        """Each contender's rank, 1 being the best; equals share one, and None is last."""
        given = [contender.score(by) for contender in self.contenders]
        scores = [-math.inf if score is None else score for score in given]
        return tuple(1 + sum(other > score for other in scores) for score in scores)

    def winner(self, by: Measure) -> Contender:
        """The first of the best."""
        return self.contenders[self.ranks(by).index(1)]


ScoreOrContest = ScoreRequest | ContestRequest


def _exp(exponent: float) -> float:
    """exp, infinite where a float ends."""
    return math.exp(exponent) if exponent < 709 else math.inf


def _check_prompt(given: object, field: str) -> None:
    if not isinstance(given, Raw | Ids | Chat):
        raise InvalidInput(
            f"The {field} must be a text, a chat or token ids.", field=field, given=given,
            allowed="Raw, Chat or Ids",
        )


def _check_answer(chat: Chat) -> None:
    last = chat.messages[-1]
    if last.role != "assistant" or not any(m.role == "user" for m in chat.messages):
        raise InvalidInput(
            "A chat is scored for its last answer: its last message must be the assistant's, "
            "after a question.",
            field="text", given=last.role, allowed="a chat that ends in an answer",
            advice="Add the answer, or score a raw text.",
        )


def _check_candidates(given: int) -> None:
    """By the door of the knob itself."""
    Decoding(candidates=given)
