"""One step for all runs: prefill, forward, choose, report, stop; it knows no process, no page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import torch
from transformers import DynamicCache

from playground.core.amend import check_amend
from playground.core.decoding import Decoding
from playground.core.events import Amended, Event, Failed, Finished, Step, Unamended
from playground.core.run import Run
from playground.decode import cache as kv
from playground.decode.batch import Batch, Seated
from playground.decode.captured import CapturedStep
from playground.decode.contrastive import ContrastiveSearch
from playground.decode.facts import facts_of, spelled_of
from playground.decode.faults import FORWARD_FAULTS, is_memory, problem_of
from playground.decode.fork import spelled
from playground.decode.member import Member, Turn
from playground.decode.pace import Paces
from playground.decode.prefill import CHUNK, Prefill, Waiting
from playground.decode.recent import RecentSteps
from playground.decode.replay import replay
from playground.decode.row import Row
from playground.decode.speculate import Drafts
from playground.decode.strategy import batch_of, lane_of, member_of, shares
from playground.decode.warm import MOST_BYTES, Running, WarmCaches
from playground.errors import PlaygroundError, Problem
from playground.models.lanes import BATCH
from playground.models.loading import Model
from playground.models.text import encode

Told = list[tuple[int, Event]]
T = TypeVar("T")


class DecodeLoop:
    """Decodes everybody's runs on one model together.

    ``join`` and ``leave`` note what is wanted; ``step`` does the work and tells what happened.
    Not thread-safe: one thread owns a loop.

    A run that may not go on yet (see Paces) keeps its part of the KV cache, in a batch beside
    those who do; it shares their forwards again when it may.
    """

    def __init__(
        self,
        model: Model,
        drafts: Drafts = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        capture: bool | None = None,
    ) -> None:
        """``drafts`` are models that may propose tokens for it; more may come while it runs.

        ``clock`` gives the seconds that a slowed run is held by. ``capture`` says whether the steps
        have fixed shapes; left open, they have on a CUDA device, where that is faster.
        """
        self._model, self._drafts = model, drafts
        self._facts = facts_of(model)
        self._paces = Paces(clock)
        self._answers: Told = []
        self._waiting: list[Waiting] = []
        self._prefills: list[Prefill] = []
        self._batches: list[Batch] = []
        self._leaving: set[int] = set()
        self._warm = WarmCaches(max(MOST_BYTES, model.card.bytes // 8))
        self._recent = RecentSteps()
        self._captured = _captured(model, capture)

    @torch.inference_mode()
    def join(self, key: int, run: Run) -> None:
        """Let a run in: its prompt becomes ids, which are read from the next step on.

        What is wrong with it comes as ``Failed`` from the next step. Runs what a repo brings (its
        template and its tokenizer), which may raise anything or never end.
        """
        try:
            self._model.check_decodes()
            encoded = encode(self._model, run.prompt, self._model.card.context)
            run, inserted = spelled(self._model, run)
            member, notices = member_of(self._model, key, run, encoded, self._drafts)
            texts = spelled_of(self._model, run)
        except PlaygroundError as fault:
            self._answers.append((key, Failed(fault.problem)))
            return
        if isinstance(member, Row | ContrastiveSearch):
            member.recent = self._recent
        prefills = [self._prefill_for(member, ids) for ids in member.prompts]
        notices = (*inserted, *notices)
        self._waiting.append(Waiting(member, prefills, encoded, notices, texts))

    def leave(self, key: int) -> None:
        """Let a run go: ``Finished("stopped")`` comes from the next step, and its text stays."""
        self._leaving.add(key)

    def replay(self, key: int, position: int, decoding: Decoding) -> Step:
        """A recent step of a run, chosen again under other settings; the run may be over.

        Raises InvalidInput where the step is not stored, or the settings need more than it.
        """
        return replay(self._model, self._recent.find(key, position), decoding)

    def pace(self, key: int, allowed: int | None, seconds: float = 0.0) -> None:
        """Let a run have ``allowed`` turns more (None: all; 0: pause), one each ``seconds``.

        ``Paced`` comes from the next step. A turn is one forward: a token, a step of beam search,
        or all tokens that are proposed and accepted together.
        """
        if self._member(key) is not None:
            self._answers.append((key, self._paces.set(key, allowed, seconds)))

    @torch.inference_mode()
    def amend(self, key: int, decoding: Decoding) -> None:
        """Let a run go on with other settings from its next token.

        ``Amended`` or ``Unamended`` comes from the next step.
        """
        member = self._member(key)
        if member is None:
            return
        try:
            check_amend(member.run.decoding, decoding)
            assert isinstance(member, Row), "a search keeps its settings"
            member.amend(self._model, decoding)
        except PlaygroundError as fault:
            self._answers.append((key, Unamended(decoding, fault.problem)))
        else:
            self._answers.append((key, Amended(member.new_tokens, decoding)))

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return self.due_in == 0

    @property
    def due_in(self) -> float | None:
        """Seconds until a step would do anything: 0 is now, None is not before it is asked to."""
        if self._answers or self._leaving or self._prefills:
            return 0.0
        ready = [waiting.member.key for waiting in self._waiting]
        seated = [member.key for batch in self._batches for member in batch.members]
        return self._paces.wait([*ready, *seated])

    @torch.inference_mode()
    def step(self) -> Told:
        """One step for all members that may go on; its events in order, each with its run's key."""
        told, self._answers = self._answers, []
        self._paces.tick()
        self._let_go(told)
        self._hold(told)
        for batch in [batch for batch in self._batches if self._goes(batch)]:
            self._decode(batch, told)
        self._prefill(told)
        if self._paces:
            self._paces.forget(but={member.key for member in self._members()})
        return told

    def _members(self) -> Iterator[Member]:
        """Everybody who is here."""
        for waiting in self._waiting:
            yield waiting.member
        for batch in self._batches:
            yield from batch.members

    def _member(self, key: int) -> Member | None:
        return next((member for member in self._members() if member.key == key), None)

    @property
    def _shared(self) -> list[Batch]:
        """The batches of members that may stand beside others."""
        return [batch for batch in self._batches if shares(self._model, batch.members[0])]

    def _goes(self, batch: Batch) -> bool:
        """Whether all of a batch may go on."""
        return all(self._paces.may_go(member.key) for member in batch.members)

    def _hold(self, told: Told) -> None:
        """Those who may not go on wait in another batch than those who do; who may come together.

        Rows are only copied where some of a batch go on and some do not.
        """
        for batch in self._shared:
            held = [m for m in batch.members if not self._paces.may_go(m.key)]
            if not held or len(held) == len(batch.members):
                continue
            apart = self._guarded(partial(batch.part, held), held, told)
            self._settle(batch, [None if m in held else Turn(()) for m in batch.members], told)
            if not isinstance(apart, Problem):
                self._batches.append(apart)
        going = [batch for batch in self._shared if self._goes(batch)]
        for other in going[1:]:
            self._guarded(partial(going[0].absorb, other), other.members, told)
            self._batches.remove(other)

    def _let_go(self, told: Told) -> None:
        """Members that leave, wherever they are."""
        wanted, self._leaving = self._leaving, set()
        if not wanted:
            return
        gone = [waiting for waiting in self._waiting if waiting.member.key in wanted]
        for waiting in gone:
            turn = waiting.weighed(Turn(waiting.member.end("stopped")))
            told.extend((waiting.member.key, event) for event in turn.events)
        self._drop(gone)
        for batch in list(self._batches):
            leaving = [member for member in batch.members if member.key in wanted]
            self._end(batch, leaving, lambda member: member.end("stopped"), told)

    def _prefill_for(self, member: Member, ids: tuple[int, ...]) -> Prefill:
        """The prefill of a prompt: one that is wanted already, or a new one."""
        wants_states, alone = member.wants_states, member.run.decoding.alone
        lane = lane_of(self._model, member.run)
        for prefill in self._prefills:
            if prefill.serves(ids, lane, wants_states, alone):
                return prefill
        prefill = Prefill(self._model.lm, lane, ids, with_states=wants_states, alone=alone)
        self._prefills.append(prefill)
        return prefill

    def _prefill(self, told: Told) -> None:
        """Read prompts, as many tokens as a step has time for; who is ready has a first turn."""
        budget = CHUNK
        while self._prefills and budget > 0:
            prefill = self._prefills[0]
            takers = [waiting for waiting in self._waiting if prefill in waiting.prefills]
            if prefill.is_new:
                self._open(prefill, takers, told)
            candidates = max(waiting.member.run.decoding.candidates for waiting in takers)
            members = [waiting.member for waiting in takers]
            read = self._guarded(partial(prefill.advance, budget, candidates), members, told)
            if isinstance(read, Problem):
                self._drop(takers)
                continue
            budget -= read
            if prefill.said is not None:
                self._prefills.remove(prefill)
                if prefill.can_reuse and prefill.reused < len(prefill.ids):
                    logits = prefill.said.logits
                    self._remember(prefill.ids, partial(_same, prefill.cache), logits)
        self._seat(self._begin(told), told)

    def _open(self, prefill: Prefill, takers: list[Waiting], told: Told) -> None:
        """A prompt is about to be read: what is known of it need not be."""
        # Not earlier, so that prompts that wait for each other share how they begin.
        known = None
        if prefill.can_reuse:
            find = partial(
                self._warm.find, prefill.ids, self._running(), to_read=bool(prefill.with_states)
            )
            known = self._guarded(find, (), [])
        prefill.begin(None if isinstance(known, Problem) else known)
        for waiting in takers:
            waiting.member.start_clock()
            if waiting.prefills[0] is prefill:
                told.append((waiting.member.key, waiting.started(self._model.card, self._facts)))

    def _running(self) -> Iterator[Running]:
        """What the caches of those who decode hold, for a run that forks one of them."""
        for batch in self._batches:
            for member in batch.members:
                if batch.cache is None or member.run.decoding.alone:
                    continue
                for text in range(len(member.lengths)):
                    ids = member.whole(text)[0, :-1].tolist()
                    copy = partial(batch.cache_of, member, text)
                    yield Running(tuple(ids), copy, kv.can_crop(batch.cache))

    def _begin(self, told: Told) -> list[Seated]:
        """The first turn of those whose prompts are read and who may; those that go on."""
        seated = []
        ready = [w for w in self._waiting if w.is_ready and self._paces.may_go(w.member.key)]
        for waiting in ready:
            self._waiting.remove(waiting)
            said = [prefill.said for prefill in waiting.prefills if prefill.said is not None]
            turn = self._turn(waiting.member, partial(waiting.member.begin, said), told)
            if turn is None:
                continue
            self._tell(waiting.member, waiting.weighed(turn), told)
            if not turn.is_last:
                caches = [prefill.cache for prefill in waiting.prefills]
                seated.append(Seated(waiting.member, caches, turn.parents or [0]))
        return seated

    def _seat(self, newcomers: list[Seated], told: Told) -> None:
        """Put members into a batch: everybody's, or one of their own where they cannot share."""
        groups: list[tuple[Batch, list[Seated]]] = []
        shared: list[Seated] = []
        for seated in newcomers:
            if shares(self._model, seated.member):
                shared.append(seated)
            else:
                groups.append((batch_of(self._model, seated.member), [seated]))
        if shared:
            batch = next((b for b in self._shared if self._goes(b)), None)
            groups.append((batch or Batch(self._model.lm, self._captured), shared))
        for batch, group in groups:
            members = [seated.member for seated in group]
            joined = self._guarded(partial(batch.join, group), members, told)
            if not isinstance(joined, Problem) and batch not in self._batches:
                self._batches.append(batch)

    def _decode(self, batch: Batch, told: Told) -> None:
        """One forward for the members of a batch, and each one's turn."""
        candidates = max(member.run.decoding.candidates for member in batch.members)
        batch.count_company()
        try:
            forwarded = batch.forward(candidates)
        except FORWARD_FAULTS as fault:
            problem, crowd = problem_of(fault, self._model), is_memory(fault)
        else:
            turns = batch.turns(
                forwarded, lambda m, part: self._turn(m, lambda: m.advance(part), told)
            )
            for member, turn in zip(batch.members, turns, strict=True):
                if turn is not None:
                    self._tell(member, turn, told)
            self._settle(batch, turns, told)
            return
        # Out of memory: the longest gives its place up, the others try again.
        self._warm.clear()
        longest = max(batch.members, key=lambda member: sum(member.lengths))
        self._end(batch, [longest] if crowd else batch.members, lambda _: [Failed(problem)], told)

    def _turn(self, member: Member, act: Callable[[], Turn], told: Told) -> Turn | None:
        """A member's turn; None where it raised, which fails the member alone."""
        turn = self._guarded(act, [member], told)
        return None if isinstance(turn, Problem) else turn

    def _tell(self, member: Member, turn: Turn, told: Told) -> None:
        """What a turn gave, and whether the member must wait now."""
        told.extend((member.key, event) for event in turn.events)
        # The first turn of contrastive search only finds what it will choose from.
        paced = self._paces.went(member.key) if turn.events else None
        if paced is not None and not turn.is_last:
            told.append((member.key, paced))

    def _end(
        self,
        batch: Batch,
        gone: Sequence[Member],
        say: Callable[[Member], Sequence[Event]],
        told: Told,
    ) -> None:
        """Members of a batch leave without a turn, with these last words."""
        if not gone:
            return
        turns = [
            batch.weighed(Turn(say(member)), member.lengths, unread=1) if member in gone
            else Turn(()) for member in batch.members
        ]
        for member, turn in zip(batch.members, turns, strict=True):
            told.extend((member.key, event) for event in turn.events)
        self._settle(batch, turns, told)

    def _settle(self, batch: Batch, turns: Sequence[Turn | None], told: Told) -> None:
        """After everybody's turn: some leave; what was read for them may serve the next prompt."""
        pairs = list(zip(batch.members, turns, strict=True))
        for member, turn in pairs:
            ended = turn is not None and turn.is_last
            if ended and isinstance(member, Row) and not member.run.decoding.alone:
                for text in range(len(member.lengths)):
                    ids = member.whole(text)[0, :-1].tolist()
                    self._remember(ids, partial(batch.cache_of, member, text))
        stay = [member for member, turn in pairs if turn is not None and not turn.is_last]
        # Leaving copies the rows that stay.
        settled = self._guarded(partial(batch.settle, turns), stay, told)
        if isinstance(settled, Problem) or not batch.members:
            self._batches.remove(batch)

    def _drop(self, gone: list[Waiting]) -> None:
        """Members wait no more; a prefill that nobody waits for is not read."""
        self._waiting = [w for w in self._waiting if not any(w is other for other in gone)]
        wanted = [prefill for waiting in self._waiting for prefill in waiting.prefills]
        self._prefills = [prefill for prefill in self._prefills if prefill in wanted]

    def _remember(
        self,
        ids: Sequence[int],
        make: Callable[[], DynamicCache | None],
        logits: torch.Tensor | None = None,
    ) -> None:
        """Keep a cache for a prompt that begins with ``ids``; without memory for it, do not."""
        cache = self._guarded(make, (), [])
        if isinstance(cache, DynamicCache):
            self._warm.keep(ids, cache, logits)

    def _guarded(self, work: Callable[[], T], members: Sequence[Member], told: Told) -> T | Problem:
        """Do the work; where it raises, those of the members that have not ended fail."""
        try:
            return work()
        except FORWARD_FAULTS as fault:
            problem = problem_of(fault, self._model)
        # Outside the except clause: an exception kept alive keeps its tensors alive.
        self._warm.clear()
        ended = {key for key, event in told if isinstance(event, Finished | Failed)}
        told.extend((m.key, Failed(problem)) for m in members if m.key not in ended)
        return problem


def _captured(model: Model, wanted: bool | None) -> CapturedStep | None:
    """What records the steps; None where nobody wants it or nothing can."""
    on_cuda = model.lm.device.type == "cuda" and len(set(model.card.device.split())) == 1
    wants = on_cuda if wanted is None else wanted
    return CapturedStep(model.lm, on_cuda) if wants and model.card.lane == BATCH else None


def _same(cache: DynamicCache | None) -> DynamicCache | None:
    return cache
