"""Exact log-probabilities of given texts, read in chunks; it knows no process and no row.

Between two chunks whoever owns a ``Scorer`` can do other work, such as a step of a decode loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from math import exp

import torch

from playground.core.events import Candidate, Piece, Step
from playground.core.score import (
    Contender,
    Contest,
    ContestRequest,
    Scored,
    ScoreOrContest,
    ScoreRequest,
)
from playground.decode.choice import read
from playground.decode.faults import FORWARD_FAULTS, is_memory, problem_of
from playground.decode.teacher_forcing import TeacherForcing
from playground.errors import BadLogits, OutOfMemory, PlaygroundError, Problem
from playground.models.continuation import Parted, neutral, part
from playground.models.loading import Model
from playground.models.pieces import Detokenizer, pieces_of

READ_AT_ONCE = 32  # tokens whose distributions are worked on: these need four times their logits
MOST_CANDIDATES = 200_000  # of one answer, which is one message

Work = Generator[None, None, Scored | Contest]


class Scorer:
    """Scores everybody's texts on one model, first come, first served, a chunk at each step.

    Not thread-safe: one thread owns a scorer.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._forcing = TeacherForcing(model)
        self._jobs: deque[tuple[int, Work]] = deque()

    def join(self, key: int, request: ScoreOrContest) -> None:
        """Tokenize, and take a place in the line. Raises PlaygroundError."""
        self._model.check_decodes()
        self._jobs.append((key, _work(self._forcing, request)))

    def leave(self, key: int) -> None:
        """Forget a request; nothing more is told of it."""
        self._jobs = deque(job for job in self._jobs if job[0] != key)

    @property
    def busy(self) -> bool:
        """Whether there is a text to read."""
        return bool(self._jobs)

    @property
    def turn(self) -> int:
        """The key of the request whose chunk the next step reads; only while busy."""
        return self._jobs[0][0]

    @torch.inference_mode()
    def step(self, beside: bool = False) -> tuple[int, Scored | Contest | Problem] | None:
        """Read one chunk; what came of a request with its key, when that was its last.

        It is a smaller one ``beside`` others, who wait for their next token meanwhile. What is
        wrong with a request, or happens to it, is its ``Problem``, and the other requests go on;
        only what makes the whole process useless is raised.
        """
        self._forcing.beside = beside
        key, job = self._jobs.popleft()
        try:
            next(job)
        except StopIteration as end:
            return key, end.value
        except PlaygroundError as fault:
            return key, fault.problem
        except FORWARD_FAULTS as fault:
            return key, _problem(fault, self._model)
        self._jobs.appendleft((key, job))
        return None


def _problem(fault: BaseException, model: Model) -> Problem:
    """The sentence for what a forward raised; about memory in words that fit a text."""
    problem = problem_of(fault, model)
    if is_memory(fault):
        problem = OutOfMemory(
            f"Memory on {model.card.device} ended while the text was scored.", field="text",
            advice="Score a shorter text or fewer continuations, or use a smaller model.",
        ).problem
    return problem


def _work(forcing: TeacherForcing, request: ScoreOrContest) -> Work:
    """The work for a request, its texts tokenized already."""
    model = forcing.model
    match request:
        case ScoreRequest(text, prompt, candidates):
            return _score(forcing, part(model, prompt, [text]), candidates)
        case ContestRequest(prompt, continuations, other, _):
            parted = part(model, prompt, continuations)
            return _contest(forcing, parted, neutral(model, other, parted), request)


def _score(forcing: TeacherForcing, parted: Parted, candidates: int) -> Work:
    count, notices = _affordable(parted, candidates)
    line = Line(forcing.model, parted.before, parted.after[0], count)
    yield from forcing.read(parted.before, [line])
    return line.scored((*parted.notices, *notices))


def _contest(
    forcing: TeacherForcing, parted: Parted, other: tuple[int, ...], request: ContestRequest
) -> Work:
    """Two shared-prefix passes: after the prompt, and after the neutral prompt."""
    model = forcing.model
    count, notices = _affordable(parted, request.candidates)
    lines = [Line(model, parted.before, ids, count) for ids in parted.after]
    yield from forcing.read(parted.before, lines)
    again = [Line(model, other, ids, 1) for ids in parted.after]
    yield from forcing.read(other, again)
    pairs = zip(request.continuations, lines, again, strict=True)
    return Contest(
        tuple(
            Contender(text, line.scored(()), twin.scored(()).total_logprob)
            for text, line, twin in pairs
        ),
        _pieces(model, other),
        (*parted.notices, *notices),
    )


def _pieces(model: Model, ids: Sequence[int]) -> tuple[Piece, ...]:
    pieces = pieces_of(model.tokenizer)
    return tuple(pieces[id] for id in ids)


def _affordable(parted: Parted, wanted: int) -> tuple[int, tuple[str, ...]]:
    """How many candidates of each token can be told, and a notice where that is less."""
    tokens = sum(len(ids) for ids in parted.after)
    count = max(1, min(wanted, MOST_CANDIDATES // tokens))
    if count == wanted:
        return count, ()
    said = f"{tokens} tokens are scored: {count} candidates of each are told instead of {wanted}."
    return count, (said,)


class Line:
    """One text while it is scored: its ids after the context, and the steps so far."""

    def __init__(
        self, model: Model, context: Sequence[int], ids: Sequence[int], candidates: int
    ) -> None:
        self.ids = ids
        self._model = model
        self._context = context
        self._candidates = candidates
        self._pieces = pieces_of(model.tokenizer)
        self._text = Detokenizer(model.tokenizer, context)
        self._steps: list[Step] = []

    def take(self, logits: torch.Tensor) -> None:
        """Score the next tokens by ``logits`` [tokens, vocabulary], those *before* each of them.

        What stands there beyond the text's end is padding. Raises BadLogits.
        """
        rows = min(len(logits), len(self.ids) - len(self._steps))
        for start in range(0, rows, READ_AT_ONCE):
            self._take(logits[start : min(start + READ_AT_ONCE, rows)])

    def _take(self, logits: torch.Tensor) -> None:
        done = len(self._steps)
        ids = self.ids[done : done + len(logits)]
        reading = read(logits, self._candidates)
        chosen = reading.logprobs.gather(1, torch.tensor(ids, device=logits.device)[:, None])
        ranks = torch.count_nonzero(reading.logprobs > chosen, dim=1) + 1
        likeliest = reading.logprobs.gather(1, reading.top)
        rows = zip(
            ids, chosen[:, 0].tolist(), ranks.tolist(), reading.top.tolist(), likeliest.tolist(),
            strict=True,
        )
        for row, (id, logprob, rank, top, logprobs) in enumerate(rows):
            if reading.is_broken(row):
                raise self._broken()
            self._steps.append(
                Step(
                    position=done + row,
                    id=id,
                    text=self._text.push(id),
                    piece=self._pieces[id].text,
                    logprob=logprob,
                    rank=rank,
                    probability=exp(logprob),
                    entropy=reading.entropy[row],
                    candidates=tuple(
                        Candidate(c, self._pieces[c].text, one, exp(one))
                        for c, one in zip(top, logprobs, strict=True)
                    ),
                    special=self._text.is_special(id),
                )
            )

    def _broken(self) -> BadLogits:
        return BadLogits(
            f"Before token {len(self._steps) + 1} of the text the model {self._model.spec.label} "
            "computed NaN or infinity instead of logits, so the text has no score.",
            field="model",
            advice="Its files may be damaged, or its numbers too large for 16 bits.",
        )

    def scored(self, notices: tuple[str, ...]) -> Scored:
        """All of it, once the last token is read."""
        context = _pieces(self._model, self._context)
        return Scored(context, tuple(self._steps), self._text.finish(), notices)
