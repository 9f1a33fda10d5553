"""What runs in the child: one model and its adapters, commands in, events out.

Three threads: one reads commands, one tells the app that the process lives, and the first does all
work with torch, a step of everybody's rows at a time. An adapter is made ready on a fourth. The
process ends when the pipe ends, so it never outlives the app.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty
from typing import Any

import torch

from playground.core.events import Failed
from playground.core.messages import (
    Amend,
    Attach,
    Attached,
    Begin,
    Cancel,
    Command,
    Detach,
    DraftFailed,
    DraftLoaded,
    DraftProgress,
    Events,
    Inspect,
    InspectFailed,
    Load,
    LoadDraft,
    Loaded,
    LoadFailed,
    Look,
    Looked,
    Moved,
    Pace,
    Park,
    Refused,
    Render,
    Replay,
    ReplayFailed,
    Score,
    ScoreFailed,
    Shutdown,
    Unpark,
)
from playground.core.run import ModelSpec
from playground.decode.speculate import check_draft
from playground.errors import InvalidInput, Problem
from playground.models.loading import Model, load
from playground.models.parking import Parking, released
from playground.models.placement import device_of, memory_of
from playground.worker.pipe import Pipe
from playground.worker.station import Station, explained


@dataclass(frozen=True, slots=True)
class _Ready:
    """An adapter that a thread of this process has made, on its way to the first thread."""

    key: int
    model: Model


class Worker:
    """One loaded model, the adapters and drafts beside it, and all that is decoded with them."""

    def __init__(self, pipe: Pipe, command: Load) -> None:
        self._pipe = pipe
        self._model = load(command.spec, command.folder, command.device, pipe.send)
        self._device = command.device
        self._drafts: dict[ModelSpec, Model] = {command.spec: self._model}
        self._stations = {"": Station(pipe, self._model, self._drafts)}
        self._parking = Parking()
        self.card = self._model.card

    def work(self) -> None:
        """Obey commands and decode until Shutdown."""
        while True:
            for command in self._waiting():
                if isinstance(command, Shutdown):
                    return
                self._obey(command)
            for station in self._stations.values():
                station.step()

    def _waiting(self) -> Iterator[Command | _Ready]:
        """The commands that have come; when there is nothing to do, wait for one, or until a row
        that is held may go on."""
        dues = [due for one in self._stations.values() if (due := one.due_in) is not None]
        due = min(dues, default=None)
        try:
            if due != 0:
                yield self._pipe.commands.get(timeout=due)
            while True:
                yield self._pipe.commands.get_nowait()
        except Empty:
            return

    def _obey(self, command: Command | _Ready) -> None:
        match command:
            case Begin(key, run, pace):
                if station := self._station(run.model.adapter):
                    station.begin(key, run, pace)
                else:
                    self._pipe.send(Events(((key, Failed(_gone(run.model.adapter))),)))
            case Cancel(key):
                for station in self._stations.values():
                    station.leave(key)
            case Pace(key, allowed, seconds):
                for station in self._stations.values():
                    station.pace(key, allowed, seconds)
            case Amend(key, decoding):
                for station in self._stations.values():
                    station.amend(key, decoding)
            case Render(key, prompt, adapter):
                if station := self._station(adapter):
                    station.render(key, prompt)
                else:
                    self._pipe.send(Refused(key, _gone(adapter)))
            case Score(key, request, adapter):
                if station := self._station(adapter):
                    station.score(key, request)
                else:
                    self._pipe.send(ScoreFailed(key, _gone(adapter)))
            case Inspect(key, request, adapter):
                if station := self._station(adapter):
                    station.inspect(key, request)
                else:
                    self._pipe.send(InspectFailed(key, _gone(adapter)))
            case Replay(key, run_key, position, decoding, adapter):
                if station := self._station(adapter):
                    station.replay(key, run_key, position, decoding)
                else:
                    self._pipe.send(ReplayFailed(key, _gone(adapter)))
            case LoadDraft(key, spec, folder):
                self._load_draft(key, spec, folder)
            case Attach():
                name = f"attach {command.spec.adapter}"
                threading.Thread(
                    target=self._attach, args=(command,), name=name, daemon=True
                ).start()
            case _Ready(key, model):
                self._stations[model.spec.adapter] = Station(self._pipe, model, self._drafts)
                self._pipe.send(Attached(key, model.card))
            case Detach(key, spec):
                self._detach(key, spec.adapter)
            case Park(key):
                self._move(key, self._park)
            case Unpark(key):
                self._move(key, self._parking.unpark)
            case Look() | Load() | Shutdown():
                raise AssertionError(f"{type(command).__name__} is not for a loaded worker")

    def _station(self, adapter: str) -> Station | None:
        return None if self._parking.parked else self._stations.get(adapter)

    def _load_draft(self, key: int, spec: ModelSpec, folder: str) -> None:
        """Put a draft beside the model; nobody decodes while its weights are read."""
        threads = torch.get_num_threads()
        try:
            if spec not in self._drafts:
                draft = load(
                    spec, folder, self._device, lambda said: self._pipe.send(
                        DraftProgress(spec, said)
                    )
                )
                check_draft(self._model, draft)
                self._drafts[spec] = draft
        except BaseException as error:  # the border of Station
            self._pipe.send(DraftFailed(key, explained(error, "draft")))
            gc.collect()
        else:
            self._pipe.send(DraftLoaded(key, self._drafts[spec].card))
        finally:
            torch.set_num_threads(threads)  # loading has set those of the smaller model

    def _attach(self, command: Attach) -> None:
        """Make an adapter ready, on a thread of its own: importing peft takes seconds."""
        # Here, as importing it is for those who use one.
        from playground.models.adapters import attach

        try:
            model = attach(self._model, command.spec, command.folder)
        except BaseException as error:  # the border of Station
            self._pipe.send(Refused(command.key, explained(error, "adapter")))
        else:
            ready: Any = _Ready(command.key, model)
            self._pipe.commands.put(ready)

    def _detach(self, key: int, adapter: str) -> None:
        """Forget an adapter; what it gave back."""

        def forget() -> int:
            if not adapter or self._stations[adapter].rows:
                raise InvalidInput("Somebody uses this adapter.", field="adapter", given=adapter)
            return self._stations.pop(adapter).model.card.bytes

        self._move(key, forget if adapter in self._stations else lambda: 0)

    def _park(self) -> int:
        """Everything off the device: weights to the host, and what was kept for rows forgotten."""
        if any(station.rows or station.busy for station in self._stations.values()):
            raise InvalidInput("Somebody uses this model.", field="model")
        for station in self._stations.values():
            station.rest()
        models = [*self._drafts.values(), *(one.model for one in self._stations.values())]
        return self._parking.park(model.lm for model in models)

    def _move(self, key: int, work: Callable[[], int]) -> None:
        """Do something that takes or frees memory, and tell how much; refused, it did nothing."""
        before = self._held()
        try:
            moved = work()
        except BaseException as error:  # the border of Station
            self._pipe.send(Refused(key, explained(error, "move")))
            return
        finally:
            gc.collect()
            released()
        self._pipe.send(Moved(key, moved, before - self._held()))

    def _held(self) -> int:
        memory = self._pipe.memory()
        return memory.held if memory else 0


def _gone(adapter: str) -> Problem:
    return InvalidInput(
        "The model has been parked or the adapter taken off in the meantime.",
        field="model", given=adapter, advice="Run again.",
    ).problem


def serve(connection: Connection) -> None:
    """Be a worker: the target of the child process. The first command is a Load, or a Look."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then ends us
    with suppress(OSError):  # when memory ends, Linux ends a process: rather this than the app
        Path("/proc/self/oom_score_adj").write_text("500")
    pipe = Pipe(connection)
    pipe.start()
    try:
        while isinstance(command := pipe.commands.get(), Look):
            pipe.send(Looked(memory_of(device_of(command.device))))
        if not isinstance(command, Load):
            return
        worker = Worker(pipe, command)
    except BaseException as error:  # the border of Station: a hostile tokenizer.json can panic here
        pipe.send(LoadFailed(explained(error, "model")))
        return
    device = device_of(command.device)
    if device.type == "cuda":
        pipe.memory = lambda: memory_of(device)
    pipe.send(Loaded(worker.card))
    worker.work()
