"""One run while it is decoded: its ids, processors, dice and text; it knows no other row."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from playground.core.decoding import Decoding
from playground.core.events import Event, Failed, Finished, Reason, Step
from playground.core.run import LARGEST_SEED, Fork, Run
from playground.decode.choice import Report, choose, judge
from playground.decode.extra import Barred, marks_of
from playground.decode.fork import check_begin, check_room
from playground.decode.member import Forwarded, States, Turn
from playground.decode.phrases import phrases_of
from playground.decode.processors import Chain, Link, build
from playground.decode.recent import Moment, RecentSteps
from playground.decode.stops import Stops
from playground.errors import BadLogits, InvalidInput
from playground.models.loading import Model
from playground.models.pieces import Detokenizer, pieces_of
from playground.models.text import Encoded


class Row:
    """A run with its prompt encoded, growing token by token; the member that has one text."""

    wants_states: States = ""
    # Where its steps are kept, if anywhere, to be looked at again.
    recent: RecentSteps | None = None

    def __init__(self, model: Model, key: int, run: Run, encoded: Encoded) -> None:
        self.key, self.encoded = key, encoded
        self.ends = model.ends
        fork = run.fork or Fork()
        assert isinstance(fork.insert, tuple), "see decode.fork.spelled"
        self._stand, self._insert = fork.ids, fork.insert
        self.pieces = pieces_of(model.tokenizer)
        self.prompt_tokens = len(encoded.ids)
        before = (*encoded.ids, *fork.ids)
        self.length = len(before)
        self._ids = torch.tensor([before], device=model.lm.device)
        self._generator: torch.Generator | None = None
        self._equip(model, run)
        self._text = Detokenizer(model.tokenizer, encoded.ids, self.ends)
        for id in fork.ids:
            self._text.push(id)
        # Of the forward that the next step is chosen from.
        self.seconds = 0.0
        self.company = 0
        self._began = time.perf_counter()
        self._first: float | None = None

    def amend(self, model: Model, decoding: Decoding) -> None:
        """Go on with other settings from the next token; what is written counts for them too.

        The dice go on, and Mirostat goes on steering; each begins where it was off before. Raises
        InvalidInput, and then nothing has changed. See core.amend for what cannot change.
        """
        if decoding.max_new_tokens <= self.new_tokens:
            raise InvalidInput(
                f"{self.new_tokens} tokens are written already, so New tokens cannot be "
                f"{decoding.max_new_tokens} any more.",
                field="max_new_tokens", given=decoding.max_new_tokens,
                allowed=f"more than {self.new_tokens}", advice="Raise it, or stop the run.",
            )
        before = self.chain.mirostat
        self._equip(model, replace(self.run, decoding=decoding))
        if before is not None and self.chain.mirostat is not None:
            self.chain.mirostat.mu = before.mu

    def _equip(self, model: Model, run: Run) -> None:
        """Be set to the settings of this run, its text as it stands. Raises InvalidInput, and then
        nothing has changed."""
        fork, decoding, device = run.fork or Fork(), run.decoding, model.lm.device
        room = model.card.context + len(fork.ids) - max(map(len, self.prompts))
        limit = min(decoding.max_new_tokens, room)
        limit_reason: Reason = "length" if decoding.max_new_tokens <= room else "context"
        check_room(fork, limit, limit_reason == "context")
        generator = self._generator
        if generator is None and decoding.draws:
            generator = torch.Generator(device=device).manual_seed(self._seed(run))
        marks = marks_of(model.tokenizer, self.pieces, decoding)
        phrases = phrases_of(model.tokenizer, decoding, model.card.vocabulary, self.ends)
        phrases.check_room(limit)
        check_begin(model, fork, phrases.forced)
        chain = build(
            decoding, self.prompt_tokens, self.ends, device, generator, marks, phrases
        )
        if fork.banned:
            barred = Barred(fork.banned, self.prompt_tokens + self._free)
            chain = Chain((Link("fork", barred), *chain.links))
        self.chain = self.around(chain)
        self.run, self.decoding, self._generator = run, decoding, generator
        self.limit, self.limit_reason = limit, limit_reason
        self.stops = Stops(decoding.stop_strings, self.pieces)
        self.tail = self.stops.tail_of(self.ids[0].tolist())
        # A new one: steps that are kept know the old.
        ids = torch.empty((1, self.prompt_tokens + limit), dtype=torch.long, device=device)
        ids[:, : self.length] = self.ids
        self._ids = ids

    def around(self, chain: Chain) -> Chain:
        """The processors with those around them that a strategy brings."""
        return chain

    @property
    def generator(self) -> torch.Generator | None:
        """Its dice, where it draws."""
        return self._generator if self.decoding.draws else None

    @property
    def _free(self) -> int:
        """The first place of the answer where it chooses by itself."""
        return len(self._stand) + len(self._insert)

    def _seed(self, run: Run) -> int:
        """The seed of dice that are thrown first for the next token: the run's own where nothing
        was chosen yet, or else another for each place."""
        place = self.new_tokens
        return (run.seed + (place if place > self._free else 0)) & LARGEST_SEED

    @property
    def ids(self) -> torch.Tensor:
        """Prompt and new tokens, [1, length]."""
        return self._ids[:, : self.length]

    @property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """The one prompt, and what stands behind it at a fork."""
        return ((*self.encoded.ids, *self._stand),)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The length of the one text."""
        return (self.length,)

    @property
    def new_tokens(self) -> int:
        """How many tokens came after the prompt, those that stood at a fork included."""
        return self.length - self.prompt_tokens

    @property
    def inserted(self) -> int | None:
        """The id that comes next whatever the settings would choose; None where they choose."""
        place = self.new_tokens - len(self._stand)
        return self._insert[place] if place < len(self._insert) else None

    def start_clock(self) -> None:
        """The prefill begins."""
        self._began = time.perf_counter()

    def meet(self, others: int) -> None:
        """See Member."""
        self.company = max(self.company, others)

    def newest(self) -> torch.Tensor:
        """The newest token, [1, 1]."""
        return self._ids[:, self.length - 1 : self.length]

    def whole(self, text: int) -> torch.Tensor:
        """Prompt and new tokens, [1, length]."""
        return self.ids

    def begin(self, prompts: Sequence[Forwarded]) -> Turn:
        """Choose the first token."""
        return Turn(self.choose(prompts[0]), [0])

    def advance(self, forwarded: Forwarded) -> Turn:
        """Choose one more token."""
        return Turn(self.choose(forwarded))

    def end(self, reason: Reason) -> list[Event]:
        """The end of the run by somebody else's wish."""
        return [self.finish(reason)]

    def choose(self, forwarded: Forwarded) -> list[Event]:
        """Choose the next token from what was said after the newest.

        Gives the ``Step``, and ``Finished`` or ``Failed`` after or instead of it.
        """
        reading, self.seconds = forwarded.reading, forwarded.seconds
        if reading.is_broken(0):
            return [self.fail_broken()]
        if self.recent is not None:
            self.recent.keep(self.key, self.moment(forwarded))
        if self.inserted is not None:
            return self.take(self._judge(self.inserted, forwarded))
        told = choose(
            self.chain, self.ids, forwarded.logits, reading, self.generator, self.decoding,
            self.pieces,
        )
        if told is None:
            return [self.fail_impossible()]
        return self.take(told)

    def take(self, told: Report) -> list[Event]:
        """A token comes next: its ``Step``, and ``Finished`` where the text ends with it."""
        if not told.forced:
            self.chain.accept(told.probability)
        reason = self.reason_after(self.tail, told.id, self.new_tokens + 1)
        self.tail = self.stops.tail(self.tail, told.id)
        events: list[Event] = [self.step(told)]
        if reason is not None:
            events.append(self.finish(reason))
        return events

    def _judge(self, id: int, forwarded: Forwarded) -> Report:
        """What is told about an inserted token; the dice are left as they are."""
        dice = self.generator.get_state() if self.generator is not None else None
        told = judge(
            self.chain, self.ids, forwarded.logits, forwarded.reading, id, self.decoding,
            self.pieces,
        )
        if self.generator is not None and dice is not None:
            self.generator.set_state(dice)
        return told

    def moment(self, forwarded: Forwarded) -> Moment:
        """What it knows before it chooses, to be chosen from again."""
        mirostat = self.chain.mirostat
        return Moment(
            run=self.run,
            encoded=self.encoded,
            ids=self._ids,
            position=self.new_tokens,
            # A copy: a part of the whole batch's logits would keep them all in memory.
            logits=forwarded.logits.clone(),
            entropy=forwarded.reading.entropy[0],
            dice=self.generator.get_state() if self.generator is not None else None,
            mu=mirostat.mu if mirostat is not None else None,
            layers=torch.cat(forwarded.layers) if self.wants_states else None,
        )

    def restore(self, moment: Moment) -> None:
        """Be, before the first step, as the row of a run with this prompt was at a moment.

        Mirostat goes on from what it had come to, or begins where the run did without it. Where
        the run threw no dice, they are those of its seed and the place.
        """
        before, self.length = self.length, self.prompt_tokens + moment.position
        self._ids[:, : self.length] = moment.ids[:, : self.length]
        for id in self._ids[0, before : self.length].tolist():
            self._text.push(id)
            self.tail = self.stops.tail(self.tail, id)
        if self.generator is not None:
            if moment.dice is not None:
                self.generator.set_state(moment.dice)
            else:
                self.generator.manual_seed(self._seed(self.run))
        if self.chain.mirostat is not None and moment.mu is not None:
            self.chain.mirostat.mu = moment.mu

    def reason_after(self, tail: bytes, id: int, new_tokens: int) -> Reason | None:
        """Why the text ends with this token, or None where it goes on."""
        if id in self.ends:
            return "end"
        if self.stops.hit(tail, id):
            return "stop string"
        return self.limit_reason if new_tokens >= self.limit else None

    def step(self, told: Report) -> Step:
        """Add a token and tell it."""
        self.mark_first()
        self._ids[0, self.length] = told.id
        position = self.new_tokens
        self.length += 1
        return Step(
            position=position,
            id=told.id,
            text=self._text.push(told.id),
            piece=self.pieces[told.id].text,
            logprob=told.logprob,
            rank=told.rank,
            probability=told.probability,
            entropy=told.entropy,
            candidates=told.candidates,
            special=self._text.is_special(told.id),
            effects=told.effects,
            draw=told.draw,
            forced=told.forced,
            seconds=self.seconds,
        )

    def mark_first(self) -> None:
        """The prefill ends with the first token (or the first step of beam search)."""
        if self._first is None:
            self._first = time.perf_counter()

    def finish(self, reason: Reason, score: float | None = None) -> Finished:
        """The end of the run, with what is left of the text and the times."""
        now = time.perf_counter()
        first = self._first if self._first is not None else now
        return Finished(
            reason=reason,
            tail=self._text.finish(),
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens - len(self._stand),
            prefill_seconds=first - self._began,
            decode_seconds=now - first,
            score=score,
            company=self.company,
        )

    def fail_broken(self) -> Failed:
        """The end of the run by NaN or infinity in its logits; what was told before stays."""
        return Failed(
            BadLogits(
                f"At token {self.new_tokens + 1} the model {self.run.model.label} computed NaN or "
                "infinity instead of logits; the text so far stays.",
                field="model",
                advice="Its files may be damaged, or its numbers too large for 16 bits.",
            ).problem
        )

    def fail_impossible(self) -> Failed:
        """The end of the run by processors that leave no token; what was told before stays."""
        on = ", ".join(self.chain.names) or "none"
        return Failed(
            InvalidInput(
                f"At token {self.new_tokens + 1} the settings leave no token to choose ({on}).",
                field=self.chain.names[-1] if self.chain.names else "decoding",
                advice="Use milder settings.",
            ).problem
        )
