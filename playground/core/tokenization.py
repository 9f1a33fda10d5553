"""What a tokenizer makes of a text, step by step, as plain values; it knows no tokenizer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Ids, Prompt, Raw
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, Problem

MOST_CHARACTERS = 100_000  # of a text that is taken apart
MOST_SHOWN = 1000          # tokens that are told one by one; all are counted
MOST_STEPPED = 1000        # characters of which each step of the pipeline is told
MOST_IDS = 1000            # that are read back
MOST_COLUMNS = 64          # of a padded batch


@dataclass(frozen=True)
class TokenizeRequest(Inspection["Tokenized"]):
    """A text (or ids) to be taken apart, a second one for a batch of two, and ids to be read back.

    ``ids`` are decimal numbers as a person types or pastes them: between spaces, commas, brackets.
    """

    quick = True

    prompt: Raw | Ids | None = None
    beside: str = ""
    ids: str = ""

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given."""
        typed = [Raw(text) for text in (self.beside, self.ids) if text]
        return (self.prompt, *typed) if self.prompt is not None else tuple(typed)


@dataclass(frozen=True, slots=True)
class Part:
    """One stage of a tokenizer: its name in the tokenizers library and its settings, in short."""

    name: str
    settings: str = ""


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """A tokenizer as it is.

    ``kind`` is its class; ``model`` is how it makes tokens of a word (BPE, Unigram, WordPiece,
    WordLevel), empty where it does not tell. ``size`` counts its tokens, ``added`` those of them
    that are looked for before anything else. ``specials`` are its named ones (bos, eos ...).
    ``is_open`` says whether it tells its stages: one written in Python does not.
    """

    kind: str
    model: str
    size: int
    added: int
    is_open: bool
    normalizer: tuple[Part, ...] = ()
    pre_tokenizer: tuple[Part, ...] = ()
    decoder: tuple[Part, ...] = ()
    specials: tuple[tuple[str, Piece], ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text, and where in it: from character ``start`` to before ``end``.

    Several share a character whose bytes they hold; one that was put there has no character.
    Both are -1 where the tokenizer does not tell.
    """

    piece: Piece
    start: int = -1
    end: int = -1


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage leaves of the beginning of a text: the parts that are between added tokens,
    or after a pre-tokenizer the words."""

    stage: str  # "normalizer" or "pre-tokenizer"
    part: Part
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakenApart:
    """A text as tokens: the first of them, how many there are, and what decoding all gives back.

    ``around`` of ``count`` were put around the text. ``decoded`` is empty where it is the text
    again; ``stepped`` says of how many characters ``steps`` tell.
    """

    text: str
    tokens: tuple[Token, ...]
    count: int
    around: int
    decoded: str = ""
    steps: tuple[Step, ...] = ()
    stepped: int = 0

    @property
    def per_token(self) -> tuple[float, float] | None:
        """Characters and bytes of the text for each of its own tokens; None without one."""
        own = self.count - self.around
        return (len(self.text) / own, len(self.text.encode()) / own) if own > 0 else None


@dataclass(frozen=True, slots=True)
class PaddedRow:
    """A row of a batch, padding on the left: ``mask`` is 0 there, 1 at each of ``pieces``."""

    pieces: tuple[Piece, ...]
    mask: tuple[int, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """Two texts as the engine reads them together, where it does: ``lane`` is the model's."""

    rows: tuple[PaddedRow, PaddedRow]
    lane: str
    own_side: str
    pad: Piece | None


@dataclass(frozen=True, slots=True)
class Tokenized(Finding):
    """What the tokenizer of ``model`` made of a request; a part that cannot be had is its
    ``Problem``."""

    model: ModelSpec
    facts: TokenizerFacts
    text: TakenApart | Problem | None = None
    batch: PaddedBatch | Problem | None = None
    read_back: TakenApart | Problem | None = None


def read_ids(typed: str) -> tuple[int, ...]:
    """Ids as a person types or pastes them. Raises InvalidInput."""
    words = re.sub(r"[\[\](),;]", " ", typed).split()
    wrong = next((word for word in words if not re.fullmatch(r"[0-9]{1,9}", word)), None)
    if wrong is not None:
        raise InvalidInput(
            f"{wrong[:40]!r} is no token id.", field="ids", given=wrong[:40],
            allowed="whole numbers from 0, between spaces or commas",
            advice="Write whole numbers from 0, between spaces or commas.",
        )
    if len(words) > MOST_IDS:
        raise InvalidInput(
            f"These are {len(words)} ids; up to {MOST_IDS} are read back.", field="ids",
            given=len(words), allowed=f"up to {MOST_IDS}", advice="Read a part of them.",
        )
    return tuple(map(int, words))
