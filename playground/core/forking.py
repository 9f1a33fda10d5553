"""From a token of an answer and a reader's wish to the run that goes on from there."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from playground.core.branches import Deed
from playground.core.events import Step
from playground.core.run import LARGEST_SEED, Fork, Run
from playground.core.trace import Trace
from playground.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Forked:
    """What is done at ``position``: ``token`` is put there, ``instead`` of what stood there."""

    run: Run
    position: int
    deed: Deed
    token: str = ""
    instead: str = ""


def forked(trace: Trace, answer: Sequence[Step], wish: Mapping[str, Any]) -> Forked:
    """The run that a wish asks for, with the settings that were in force at its place.

    ``answer`` are all tokens of the answer, those that stood at the fork of ``trace`` included.
    ``wish`` has a "position" in it and "what": "take" the candidate "id", "ban" the token that is
    there (and what was banned there before), draw it "again" with new dice, or put in a "text".
    Raises InvalidInput for anything else, since a browser can send anything.
    """
    position, what = _place(wish.get("position"), answer), wish.get("what")
    run = resumed(trace, answer, position)
    assert run.fork is not None
    there, ids = answer[position], run.fork.ids
    match what:
        case "take":
            id = wish.get("id")
            known: dict[object, str] = {c.id: c.text for c in there.candidates}
            known[there.id] = there.piece
            # A server that does not tell the id of a candidate may read its text.
            untold = isinstance(id, int) and id < 0 and id in known
            insert: Any = known[id] if untold else (id,)
            fork = Fork(ids, insert=insert)  # its own door looks at it
            instead = "" if id == there.id else there.piece
            return Forked(replace(run, fork=fork), position, "take", known.get(id, f"#{id}"),
                          instead)
        case "ban":
            fork = Fork(ids, banned=(*_banned(trace.run.fork, ids), there.id))
            return Forked(replace(run, fork=fork), position, "ban", "", there.piece)
        case "again":
            if not run.decoding.draws:
                raise InvalidInput(
                    f"Nothing is drawn in this run ({run.decoding.name}), so the same token would "
                    "come again.", field="what", given="again",
                    advice="Choose a candidate, ban the token, or draw at random in the settings.",
                )
            seed = random.randint(0, LARGEST_SEED)
            return Forked(replace(run, seed=seed), position, "again", "", there.piece)
        case "text":
            text = wish.get("text")
            if not isinstance(text, str) or not text:
                raise InvalidInput("There is no text to put in.", field="text",
                                   advice="Write what shall stand there.")
            run = replace(run, fork=Fork(ids, insert=text))
            return Forked(run, position, "text", text, there.piece)
    raise InvalidInput("There is no such way on.", field="what", given=what,
                       allowed="take, ban, again or text")


def resumed(trace: Trace, answer: Sequence[Step], position: object) -> Run:
    """The run that goes on before a token of the answer, with the settings in force there.

    ``answer`` is as for ``forked``. Raises InvalidInput for a place that is none.
    """
    place = _place(position, answer)
    ids = tuple(step.id for step in answer[:place])
    return replace(trace.run, decoding=trace.decoding_at(place), fork=Fork(ids))


def _place(position: object, answer: Sequence[Step]) -> int:
    if isinstance(position, bool) or not isinstance(position, int) or (
        not 0 <= position < len(answer)
    ):
        raise InvalidInput("A branch grows from a token of the answer.", field="position",
                           given=position, allowed=f"0 to {len(answer) - 1}")
    return position


def _banned(fork: Fork | None, ids: tuple[int, ...]) -> tuple[int, ...]:
    """What a run could not choose already at the place after these ids."""
    return fork.banned if fork is not None and not fork.insert and fork.ids == ids else ()
