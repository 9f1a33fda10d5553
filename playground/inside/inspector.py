"""Answers everybody's inspections of one model, a piece of work at a time; it knows no process."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from playground.core.inspection import Finding, Inspection
from playground.errors import PlaygroundError, Problem
from playground.inside.looks import look
from playground.inside.subject import Look, Subject
from playground.models.loading import Model


class Inspector:
    """Looks into one model, first come, first served, a piece at each step.

    Not thread-safe: one thread owns an inspector.
    """

    def __init__(self, model: Model) -> None:
        self._subject = Subject(model)
        self._looks: deque[tuple[int, bool, Look]] = deque()
        self._begun: set[int] = set()  # those that have read their texts and go on to forwards

    def join(self, key: int, request: Inspection[Any]) -> None:
        """Take a place in the line; before those that need a forward, where this one needs none."""
        place = (key, request.quick, look(self._subject, request))
        if request.quick:
            self._looks.appendleft(place)
        else:
            self._looks.append(place)

    def leave(self, key: int) -> None:
        """Forget a request; nothing more is told of it."""
        self._looks = deque(one for one in self._looks if one[0] != key)
        self._begun.discard(key)

    @property
    def busy(self) -> bool:
        """Whether there is something to look at."""
        return bool(self._looks)

    @property
    def reads_texts(self) -> bool:
        """Whether the next piece may run what a repo brings, such as its tokenizer: of a look with
        forwards only the first one does."""
        return bool(self._looks) and self.turn not in self._begun

    @property
    def turn(self) -> int:
        """The key of the request that the next step works on; only while busy."""
        return self._looks[0][0]

    @torch.inference_mode()
    def step(self, beside: bool = False) -> tuple[int, Finding | Problem] | None:
        """Do one piece; what came of a request with its key, when that was its last.

        It is a smaller one ``beside`` others, who wait for their next token meanwhile. What is
        wrong with a request is its ``Problem``. Whatever else is raised ends that request alone:
        the other requests go on.
        """
        self._subject.beside = beside
        key, quick, work = self._looks.popleft()
        self._begun.discard(key)
        try:
            next(work)
        except StopIteration as end:
            return key, end.value
        except PlaygroundError as fault:
            return key, fault.problem
        self._looks.appendleft((key, quick, work))
        if not quick:
            self._begun.add(key)
        return None
