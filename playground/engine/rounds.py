"""Sees the runs of one request through: in rounds, each model leased for the runs on it.

It knows no page, and not whose turn it is among those who ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from playground.core.events import Loading, Queued
from playground.core.remote import server_and_model
from playground.core.run import ModelSpec
from playground.engine.manager import ModelManager
from playground.engine.model_files import ModelFiles
from playground.engine.plan import Plan, plan_rounds
from playground.engine.process import WorkerProcess
from playground.engine.remote import RemoteDesk, Tokens
from playground.engine.stream import Column
from playground.engine.waiting import TICK, Abandoned
from playground.errors import DeadlinePassed, PlaygroundError


class Rounds:
    """Runs on the models of a ``manager`` and of ``remote`` servers. A row that still decodes
    ``stuck`` seconds after it was stopped takes its worker along."""

    def __init__(
        self, manager: ModelManager, remote: RemoteDesk, files: ModelFiles, stuck: float
    ) -> None:
        self._manager = manager
        self._remote = remote
        self._files = files
        self._stuck = stuck

    def plan(self, models: Sequence[ModelSpec]) -> Plan:
        """See Engine.plan."""
        known = {status.spec: status for status in self._manager.statuses(())}
        pinned = {spec for spec, status in known.items() if status.pinned}
        held = sum(known[spec].set_aside for spec in pinned if not spec.adapter)
        needs = {
            spec: 0 if spec in pinned else known[spec].set_aside if spec in known else 0
            for spec in {one.base for one in models}
        }
        for spec in [one for one in needs if not needs[one] and one not in pinned]:
            if server_and_model(spec.repo):
                continue  # it takes no memory of this machine
            with suppress(PlaygroundError):  # it is refused when it is run
                needs[spec] = self._files.need(spec)
        ready = {spec for spec in models
                 if server_and_model(spec.repo) or self._manager.is_ready(spec)}
        return plan_rounds(models, needs, ready, self._manager.budget().capacity - held)

    def run(self, columns: Sequence[Column], tokens: Tokens) -> None:
        """See these runs through: one round after the other, the models of one round at the same
        time; returns when every row has left."""
        rounds = [
            [[columns[n] for n in numbers] for _, numbers in models]
            for models in self.plan([column.run.model for column in columns]).rounds
        ]
        for number, groups in enumerate(rounds):
            _tell_what_is_waited_for(groups, rounds[number + 1 :])
            threads = [
                threading.Thread(
                    target=copy_context().run, args=(work,), name="group", daemon=True
                )
                for work in [self._work_of(group, tokens) for group in groups]
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _work_of(self, columns: list[Column], tokens: Tokens) -> Callable[[], None]:
        """What sees runs on one model through, here or on a server."""
        model = columns[0].run.model
        if self._remote.place(model):
            return partial(self._remote.run, columns, tokens)
        return partial(self._run_group, columns, self._manager.ask(model))

    def _run_group(self, columns: list[Column], ticket: int) -> None:
        """Runs on one model: one lease, one batch."""

        def tell(news: Queued | Loading) -> None:
            for column in columns:
                column.tell(news)

        def given_up() -> bool:
            return all(column.over for column in columns)

        try:
            with self._manager.lease(columns[0].run.model, tell, given_up, ticket) as worker:
                # Nobody waits for another's draft.
                for column in sorted(columns, key=lambda c: c.run.used_draft is not None):
                    self._begin(column, worker)
                for column in columns:
                    self._see_off(column, worker)
        except Abandoned:
            for column in columns:
                column.stop()
        except PlaygroundError as error:
            for column in columns:
                column.fail(error.problem)

    def _begin(self, column: Column, worker: WorkerProcess) -> None:
        """Let a run join its batch, once the draft that it wants is loaded beside the model."""
        draft = column.run.used_draft
        try:
            if draft is not None and draft != worker.spec:
                self._bring_draft(column, worker, draft)
        except Abandoned:
            column.stop()
        except PlaygroundError as error:
            column.fail(replace(error.problem, field="draft"))
        column.begin(worker)

    def _bring_draft(self, column: Column, worker: WorkerProcess, draft: ModelSpec) -> None:
        """Raises Abandoned when the run is over before, and PlaygroundError."""

        def over() -> bool:
            return column.over

        self._files.check_decodes(draft)
        folder = self._files.fetch(draft, column.tell, over)
        with self._manager.room_beside(worker.spec, draft, folder):
            wanted = f"{draft.label}, to propose tokens"
            column.tell(Loading("loading", None, wanted))
            worker.load_draft(
                draft, folder,
                lambda said: column.tell(Loading("loading", said.done, f"{wanted}: {said.detail}")),
                over,
            )

    def _see_off(self, column: Column, worker: WorkerProcess) -> None:
        """Wait until the row has left its batch. One that will not leave takes its worker along."""
        while not column.gone.wait(TICK):
            stopped = column.stopped_at
            if stopped is not None and time.monotonic() - stopped > self._stuck:
                worker.end(
                    DeadlinePassed(
                        f"{worker.spec.label} did not stop when asked, so its process was ended.",
                        field="model", given=worker.spec.repo,
                        advice="Run again: it is started anew.",
                    ).problem
                )


def _tell_what_is_waited_for(
    groups: Sequence[list[Column]], later: Sequence[Sequence[list[Column]]]
) -> None:
    """Say to the columns of later rounds who goes first, and why."""
    names = ", ".join(dict.fromkeys(group[0].run.model.label for group in groups))
    ahead = sum(len(group) for group in groups)
    for others in later:
        for column in [column for group in others for column in group]:
            column.tell(Queued(ahead, f"{names} first; there is not enough memory for all at once"))
        ahead += sum(len(group) for group in others)
