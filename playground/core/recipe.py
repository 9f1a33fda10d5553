"""A run that anybody can repeat, as a value: what was asked, what answered, and what decided it.

It becomes canonical JSON and comes back, whoever wrote that: read_experiment trusts nothing. What
its runs may ask of this app (models, limits) is looked at where they are run, as for any run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from playground.core.blind import BlindTest
from playground.core.events import Amended, Reason, Started, Step
from playground.core.facts import Facts, Spelled
from playground.core.plain import from_plain, from_text, to_plain, to_text
from playground.core.prompt import check_text
from playground.core.remote import server_and_model
from playground.core.run import MOST_IDS, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput

FORMAT, VERSION = "token-by-token/recipe", 1
RESULTS = "results"
MOST_LANES = 8
MOST_PROMPT_IDS = 1_000_000
LONGEST_FILE = 1_000_000  # characters; an upload of this page has no more bytes
LONGEST_TITLE = 200
_MADE = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Digest:
    """Token ids that are not here: how many they are, and the first 16 hex digits of the SHA-256 of
    the ids as unsigned 32-bit numbers, lowest byte first."""

    count: int
    sha256: str

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.sha256) or not 0 <= self.count <= MOST_PROMPT_IDS:
            raise InvalidInput(
                "A digest of token ids is how many they are and 16 hex digits.", field="sha256",
                given=self.sha256[:40], allowed="16 of 0-9 and a-f",
            )


Tokens = tuple[int, ...] | Digest


def digest_of(ids: Sequence[int]) -> Digest:
    """What stands for these ids where they are too many to carry; an untold one is below 0."""
    data = b"".join((id & 0xFFFFFFFF).to_bytes(4, "little") for id in ids)
    return Digest(len(ids), sha256(data).hexdigest()[:16])


def same_tokens(one: Tokens, other: Tokens) -> bool:
    """Whether these are the same ids, as far as their digests can tell."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one == other
    digests = [tokens if isinstance(tokens, Digest) else digest_of(tokens)
               for tokens in (one, other)]
    return digests[0] == digests[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run wrote: new ids as ``model.generate()`` gives them, what was put in at a fork among
    them, below 0 where a server does not tell them (core.remote.untold_id); each token's own text
    (``pieces``, none where they are not known); the text; and why it
    ended. ``company`` and ``reused`` are those of ``Finished`` and ``Started``."""

    ids: Tokens
    pieces: tuple[str, ...] = ()
    text: str = ""
    reason: Reason = "length"
    company: int = 0
    reused: int = 0

    def __post_init__(self) -> None:
        count = self.ids.count if isinstance(self.ids, Digest) else _checked(
            self.ids, "answer", -(2**32))
        if count > MOST_IDS:
            raise InvalidInput(
                f"The answer has {count} tokens; it may have {MOST_IDS}.", field="answer",
                given=f"{count} tokens", allowed=f"at most {MOST_IDS} tokens",
            )
        if self.pieces and len(self.pieces) != count:
            raise InvalidInput(
                f"The answer has {count} tokens and {len(self.pieces)} texts of tokens.",
                field="pieces", given=len(self.pieces), allowed=f"{count}, or none",
            )
        for count in (self.company, self.reused):
            if not 0 <= count <= MOST_PROMPT_IDS:
                raise InvalidInput("company and reused are counts.", field="company", given=count)
        for text in (self.text, *self.pieces):
            check_text(text, "answer")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run, and what came of it.

    ``prompt_ids`` are the exact ids that the model read, empty before it did; ``commit`` is that of
    its files on the Hub, ``context`` how many tokens it holds. ``amended`` are changes of the
    settings while it ran. There is no ``answer`` where the run did not end or failed, and then
    ``problem`` may say why. ``made`` is when, in UTC: 2026-01-31T12:00:00Z. Raises InvalidInput.
    """

    run: Run
    title: str = ""
    made: str = ""
    prompt_ids: Tokens = ()
    commit: str = ""
    context: int = 0
    facts: Facts = Facts()
    spelled: Spelled = Spelled()
    amended: tuple[Amended, ...] = ()
    answer: Answer | None = None
    problem: str = ""

    def __post_init__(self) -> None:
        check_title(self.title)
        check_text(self.problem, "problem")
        if not isinstance(self.made, str) or not _MADE.fullmatch(self.made):
            raise InvalidInput(
                "When a run was made is a time in UTC.", field="made", given=str(self.made)[:40],
                allowed="a time such as 2026-01-31T12:00:00Z, or nothing",
            )
        if len(self.amended) > MOST_IDS:
            raise InvalidInput(
                f"The settings were changed {len(self.amended)} times.", field="amended",
                given=len(self.amended), allowed=f"at most {MOST_IDS} times",
            )
        if not re.fullmatch(r"[0-9a-f]{0,64}", self.commit):
            raise InvalidInput("A commit is hex digits.", field="commit", given=self.commit[:40])
        if isinstance(self.prompt_ids, tuple):
            _checked(self.prompt_ids, "prompt_ids")
        if self.answer is not None and isinstance(self.answer.ids, tuple):
            served = server_and_model(self.run.model.repo) is not None
            _checked(self.answer.ids, "answer", -(2**32) if served else 0)
        _check_facts(self.facts)
        _check_spelled(self.spelled)

    @property
    def label(self) -> str:
        """Its name: the one that it was given, or else how it decodes."""
        return self.title or self.run.decoding.name

    @property
    def was_stopped(self) -> bool:
        """Whether the answer ends where somebody pressed Stop, so that it could go on."""
        return self.answer is not None and self.answer.reason == "stopped"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One to eight recipes side by side, and the votes of whom compared them blind, where there are
    any. Raises InvalidInput for more recipes, or none."""

    lanes: tuple[Recipe, ...]
    title: str = ""
    blind: BlindTest | None = None

    def __post_init__(self) -> None:
        check_title(self.title)
        if not 1 <= len(self.lanes) <= MOST_LANES:
            raise InvalidInput(
                f"There are {len(self.lanes)} lanes side by side; there can be 1 to {MOST_LANES}.",
                field="lanes", given=len(self.lanes), allowed=f"1 to {MOST_LANES}",
            )


def recipe_of(trace: Trace, title: str = "", made: str = "") -> Recipe:
    """The recipe of a run as it stands; what it has not told yet is empty.

    What was inserted at its fork is there as the ids that it became. ``title`` is cut to its
    longest, ``made`` is now or when it ended, as Recipe wants it.
    """
    told = trace.started
    run = trace.run
    if run.fork is not None and isinstance(run.fork.insert, str):
        inserted = tuple(step.id for step in trace.steps if step.forced)
        if inserted:
            run = replace(run, fork=replace(run.fork, insert=inserted))
    return Recipe(
        run,
        title=title[:LONGEST_TITLE],
        made=made,
        prompt_ids=told.prompt_ids if told else (),
        commit=told.commit if told else "",
        context=told.context if told else 0,
        facts=told.facts or Facts() if told else Facts(),
        spelled=told.spelled or Spelled() if told else Spelled(),
        amended=trace.amended,
        answer=_answer_of(trace, told),
        problem=str(trace.problem)[:2000] if trace.problem else "",
    )


def _answer_of(trace: Trace, told: Started | None) -> Answer | None:
    done = trace.finished
    if told is None or done is None or trace.problem is not None:
        return None
    return Answer(
        trace.ids,
        tuple(map(own_text, trace.steps)),
        _plain_text(trace.text),
        done.reason,
        done.company,
        told.reused,
    )


def own_text(step: Step) -> str:
    """What a token adds to the text, or else what it is by itself; always text that UTF-8 has."""
    return _plain_text(step.text or step.piece)


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def written_experiment(experiment: Experiment, results: dict[str, Any] | None = None) -> str:
    """An experiment as canonical JSON: equal experiments give the same text. ``results``, of a
    blind test's votes, are not read again."""
    told = {RESULTS: results} if results else {}
    return to_text({"format": FORMAT, "version": VERSION, **told, **to_plain(experiment)})


def read_experiment(text: object) -> Experiment:
    """The experiment that a file says, whoever wrote it.

    Raises InvalidInput in a sentence that names the field: for no JSON, another format, a version
    that this app does not know, what is too large, and for what no run could be.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("The file is empty.", field="file", advice="Choose a recipe's file.")
    if len(text) > LONGEST_FILE:
        raise InvalidInput(
            f"The file has {len(text):,} characters.", field="file",
            given=f"{len(text)} characters", allowed=f"at most {LONGEST_FILE:,} characters",
        )
    return experiment_from(from_text(text.removeprefix("\ufeff"), "file"), "file")


def experiment_from(data: Any, name: str) -> Experiment:
    """The experiment in plain data; ``name`` is what that is called in sentences."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InvalidInput(
            f"This {name} is no recipe of this app.", field=name,
            allowed=f'an object with "format": "{FORMAT}"',
        )
    version = data.get("version")
    if type(version) is not int or version != VERSION:
        newer = type(version) is int and version > VERSION
        raise InvalidInput(
            f"This {name} is a recipe of version {str(version)[:20]}, and this app reads version "
            f"{VERSION}.",
            field="version", given=str(version)[:20], allowed=str(VERSION),
            advice="Open it in a newer version of the app." if newer else "",
        )
    # What votes come to is there for other programs; here it follows from the votes.
    known = ("format", "version", RESULTS)
    rest = {key: value for key, value in data.items() if key not in known}
    return from_plain(Experiment, rest, name)


def check_title(title: object) -> None:
    """Raise InvalidInput unless this is a short text."""
    check_text(title, "title")
    if len(str(title)) > LONGEST_TITLE:
        raise InvalidInput(
            f"The title has {len(str(title))} characters.", field="title",
            given=f"{len(str(title))} characters", allowed=f"at most {LONGEST_TITLE} characters",
        )


def _check_facts(facts: Facts) -> None:
    for name in ("dtype", "device", "quantization", "attention", "lane", "template", "torch",
                 "transformers", "package"):
        value = getattr(facts, name)
        check_text(value, name)
        if len(value) > 200 or not value.isprintable():
            raise InvalidInput(f"The fact {name} is no short word.", field=name,
                               given=value[:40], allowed="at most 200 characters")
    _checked(facts.ends, "ends")
    _checked((facts.pad or 0,), "pad")


def _check_spelled(told: Spelled) -> None:
    for ids in (told.forced, told.negative, told.breakers, told.spared, *told.banned,
                *(ids for ids, _ in told.bias)):
        _checked(ids, "spelled")
    if not all(math.isfinite(bias) for _, bias in told.bias):
        raise InvalidInput("A bias is a finite number.", field="spelled")


def _checked(ids: tuple[int, ...], name: str, least: int = 0) -> int:
    """How many ids these are. Raises InvalidInput for what is no id, and for too many."""
    if len(ids) > MOST_PROMPT_IDS or not all(least <= id < 2**32 for id in ids):
        raise InvalidInput(
            f"{name} must be token ids: whole numbers from 0.", field=name,
            given=f"{len(ids)} numbers", allowed=f"at most {MOST_PROMPT_IDS} token ids",
        )
    return len(ids)
