"""One step for all rows: prefill, forward, choose, report, stop; it knows no process, no page."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from transformers import DynamicCache

from playground.core.events import Event, Failed, Finished, Started
from playground.core.run import Run
from playground.decode import cache as kv
from playground.decode.batch import Batch, Prefill
from playground.decode.beam import BeamSearch
from playground.decode.choice import read
from playground.decode.row import Row
from playground.decode.warm import WarmCaches
from playground.errors import OutOfMemory, PlaygroundError, Problem
from playground.models.lanes import BATCH
from playground.models.loading import Model
from playground.models.text import encode

Told = list[tuple[int, Event]]
T = TypeVar("T")

# What a model's own code can raise in a forward; one run fails by it, the loop goes on.
_FORWARD_FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


class DecodeLoop:
    """Decodes everybody's runs on one model together.

    ``join`` and ``leave`` only note what is wanted; ``step`` does the work and tells what happened.
    Not thread-safe: one thread owns a loop.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._arrivals: deque[tuple[int, Run]] = deque()
        self._prefills: deque[Prefill] = deque()
        self._batches: list[Batch] = []
        self._searches: list[BeamSearch] = []
        self._leaving: set[int] = set()
        self._warm = WarmCaches()

    def join(self, key: int, run: Run) -> None:
        """Let a run in; what is wrong with it comes as ``Failed`` from the next step."""
        self._arrivals.append((key, run))

    def leave(self, key: int) -> None:
        """Let a run go: ``Finished("stopped")`` comes from the next step, and its text stays."""
        self._leaving.add(key)

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._arrivals or self._prefills or self._batches or self._searches)

    @torch.inference_mode()
    def step(self) -> Told:
        """One step for all rows; its events in order, each with the key of its run."""
        told: Told = []
        self._let_go(told)
        self._let_in(told)
        for batch in list(self._batches):
            self._decode(batch, told)
        for search in list(self._searches):
            self._search(search, told)
        self._prefill(told)
        self._batches = [batch for batch in self._batches if batch.rows]
        return told

    def _let_go(self, told: Told) -> None:
        """Rows that leave, wherever they are."""
        wanted, self._leaving = self._leaving, set()
        if not wanted:
            return
        for key, run in list(self._arrivals):
            if key in wanted:
                self._arrivals.remove((key, run))
                told.append((key, Finished("stopped", "", 0, 0, 0.0, 0.0)))
        for prefill in list(self._prefills):
            gone = [row for row in prefill.rows if row.key in wanted]
            prefill.rows = [row for row in prefill.rows if row.key not in wanted]
            told.extend((row.key, row.finish("stopped")) for row in gone)
            if not prefill.rows:
                self._prefills.remove(prefill)
        for batch in list(self._batches):
            gone = [row for row in batch.rows if row.key in wanted]
            told.extend((row.key, row.finish("stopped")) for row in gone)
            self._dismiss(batch, gone, told)
        self._batches = [batch for batch in self._batches if batch.rows]
        for search in [s for s in self._searches if s.row.key in wanted]:
            told.extend((search.row.key, event) for event in search.end("stopped"))
            self._searches.remove(search)

    def _let_in(self, told: Told) -> None:
        """Prompts become ids; rows with the same ids share one prefill."""
        while self._arrivals:
            key, run = self._arrivals.popleft()
            card = self._model.card
            try:
                encoded = encode(self._model, run.prompt, card.context)
                row = Row(self._model, key, run, encoded)
            except PlaygroundError as fault:
                told.append((key, Failed(fault.problem)))
                continue
            prefill = next((p for p in self._prefills if p.takes(row)), None)
            if prefill is not None:
                prefill.rows.append(row)
            else:
                known = self._warm.find(encoded.ids)
                prefill = Prefill(self._model.lm, card.lane, row, known)
                self._prefills.append(prefill)
            started = Started(
                encoded.pieces, encoded.rendered, card.context, encoded.notices, prefill.reused
            )
            told.append((key, started))

    def _prefill(self, told: Told) -> None:
        """One chunk of the oldest prompt; after the last, its rows choose their first token."""
        if not self._prefills:
            return
        prefill = self._prefills[0]
        if prefill.is_new:
            for row in prefill.rows:
                row.start_clock()
        logits = self._guarded(prefill.advance, prefill.rows, told)
        if isinstance(logits, Problem):
            self._prefills.popleft()
            return
        if logits is None:
            return
        self._prefills.popleft()
        plain = [row for row in prefill.rows if not row.decoding.is_beam_search]
        for row in prefill.rows:
            if row.decoding.is_beam_search:
                search = BeamSearch(self._model.lm, self._model.tokenizer, row, prefill.cache)
                if self._advance(search, partial(search.start, logits), told):
                    self._searches.append(search)
        self._remember(prefill.ids, lambda: prefill.cache)
        if plain:
            choose = partial(self._choose, plain, logits.expand(len(plain), -1), told)
            gone = self._guarded(choose, plain, told)
            if not isinstance(gone, Problem):
                stay = [row for row in plain if not any(row is other for other in gone)]
                self._seat(stay, prefill, told)

    def _seat(self, rows: list[Row], prefill: Prefill, told: Told) -> None:
        """Put rows into a batch: everybody's, or one for each where rows cannot share a forward."""
        if not rows:
            return
        if self._model.card.lane == BATCH:
            if not self._batches:
                self._batches.append(Batch(self._model.lm))
            groups = [(self._batches[0], rows)]
        else:
            groups = [(Batch(self._model.lm), [row]) for row in rows]
            self._batches.extend(batch for batch, _ in groups)
        for batch, group in groups:
            self._guarded(partial(batch.join, group, prefill.cache), group, told)

    def _decode(self, batch: Batch, told: Told) -> None:
        """One forward for the rows of a batch, and each one's choice."""
        try:
            logits = batch.forward()
        except _FORWARD_FAULTS as fault:
            problem = _problem(fault, self._model)
            # Out of memory: the longest row gives its place up, the others try again.
            crowd = _is_memory(fault)
            gone = [max(batch.rows, key=lambda row: row.length)] if crowd else list(batch.rows)
            self._warm.clear()
            told.extend((row.key, Failed(problem)) for row in gone)
            batch.leave(gone)
            return
        rows = list(batch.rows)
        ended = self._guarded(partial(self._choose, rows, logits, told), rows, told)
        if isinstance(ended, Problem):
            self._batches.remove(batch)
        else:
            self._dismiss(batch, ended, told)

    def _dismiss(self, batch: Batch, gone: list[Row], told: Told) -> None:
        """Rows that have ended leave; what was read for them may serve the next prompt."""
        for row in gone:
            self._remember(row.ids[0, :-1].tolist(), partial(batch.cache_of, row))
        stay = [row for row in batch.rows if not any(row is other for other in gone)]
        # Leaving copies the rows that stay.
        if isinstance(self._guarded(partial(batch.leave, gone), stay, told), Problem):
            self._batches.remove(batch)

    def _remember(self, ids: Sequence[int], make: Callable[[], DynamicCache | None]) -> None:
        """Keep a cache where that changes no text: in 16 bits, other shapes round differently."""
        if self._model.lm.dtype != torch.float32 or self._model.card.lane != BATCH:
            return
        cache = self._guarded(make, (), [])
        if isinstance(cache, DynamicCache) and kv.can_crop(cache):
            self._warm.keep(ids, cache)

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor, told: Told) -> list[Row]:
        """Each row's next token from its logits; the rows that have ended."""
        reading = read(logits, max(row.decoding.candidates for row in rows))
        gone = []
        for index, row in enumerate(rows):
            events = row.choose(logits[index], reading, index)
            told.extend((row.key, event) for event in events)
            if isinstance(events[-1], Finished | Failed):
                gone.append(row)
        return gone

    def _search(self, search: BeamSearch, told: Told) -> None:
        if not self._advance(search, search.advance, told):
            self._searches.remove(search)

    def _advance(self, search: BeamSearch, move: Callable[[], list[Event]], told: Told) -> bool:
        """One step of a beam search; whether it goes on."""
        events = self._guarded(move, [search.row], told)
        if isinstance(events, Problem):
            return False
        told.extend((search.row.key, event) for event in events)
        return not isinstance(events[-1], Finished | Failed)

    def _guarded(self, work: Callable[[], T], rows: Sequence[Row], told: Told) -> T | Problem:
        """Do the work; where it raises, those of the rows that have not ended fail."""
        try:
            return work()
        except _FORWARD_FAULTS as fault:
            problem = _problem(fault, self._model)
        # Outside the except clause: an exception kept alive keeps its tensors alive.
        self._warm.clear()
        ended = {key for key, event in told if isinstance(event, Finished | Failed)}
        told.extend((row.key, Failed(problem)) for row in rows if row.key not in ended)
        return problem


def _is_memory(fault: BaseException) -> bool:
    """Whether memory ended: CUDA has a type for it, the CPU's allocator only words."""
    if isinstance(fault, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(fault, RuntimeError) and "can't allocate memory" in str(fault)


def _problem(fault: BaseException, model: Model) -> Problem:
    """The sentence for what a forward raised. A broken accelerator ends the process: raised."""
    if isinstance(fault, torch.AcceleratorError):
        raise fault
    if _is_memory(fault):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return OutOfMemory(
            f"Memory on {model.card.device} ended in the middle of the run; the text so far stays.",
            field="max_new_tokens",
            advice="Use a shorter prompt, fewer columns or beams, or a smaller model.",
        ).problem
    words = (str(fault).strip().splitlines() or [""])[0][:200]
    return PlaygroundError(
        f"The model {model.spec.label} broke off: {words or type(fault).__name__}", field="model"
    ).problem
