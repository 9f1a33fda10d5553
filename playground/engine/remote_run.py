"""One run on a server, from its request to its last event; it knows no column and no queue."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

from playground.core.events import Event, Failed, Finished, Piece, Started, Step
from playground.core.offers import only_here
from playground.core.prompt import Chat, Prompt, Raw
from playground.core.remote import UNTOLD
from playground.core.run import Run
from playground.engine.remote_events import Reading
from playground.engine.remote_request import request_of
from playground.engine.remote_texts import Served, ids_of, inserted_by, pieces_of
from playground.errors import PlaygroundError

# Bytes that an answer may have: some for each token that is asked for, with its candidates.
_ANSWER, _TOKEN = 2**20, 2**15
_CONTROL = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?s>")

Listener = Callable[[Event], None]


async def play(served: Served, run: Run, listener: Listener) -> None:
    """Tell everything that happens; the last thing is its end, also where the task is cancelled,
    whose connection is closed then."""
    reading = Reading(run, served.name, run.decoding.candidates)
    try:
        await _play(served, run, listener, reading)
    except asyncio.CancelledError:
        listener(reading.finish(stopped=True))
    except PlaygroundError as error:
        listener(Failed(error.problem))


async def _play(served: Served, run: Run, listener: Listener, reading: Reading) -> None:
    ids: tuple[int, ...] | None = None
    inserted: tuple[Piece, ...] = ()
    prompt = await _shown(served, run.prompt)
    if run.fork is not None:
        before = await ids_of(served, run.prompt)
        inserted = await inserted_by(served, run)
        ids = (*before, *run.fork.ids, *(piece.id for piece in inserted))
        if len(run.fork.ids) + len(inserted) >= run.decoding.max_new_tokens:
            _tell_started(served, run, prompt, listener)
            _tell_inserted(run, inserted, listener, reading)
            listener(Finished("length", "", len(before), len(inserted), 0.0, 0.0))
            return
    route, body = request_of(run, served.model, served.offers, ids)
    if run.fork is not None:
        body["max_tokens"] -= len(run.fork.ids) + len(inserted)
    most = _ANSWER + _TOKEN * run.decoding.max_new_tokens
    async with served.client.stream(route, body, served.token, most) as events:
        _tell_started(served, run, prompt, listener)
        reading.prompt_tokens = len(ids or prompt)
        _tell_inserted(run, inserted, listener, reading)
        async for told in events:
            for event in reading.read(told):
                listener(event)
    listener(reading.finish())


async def _shown(served: Served, prompt: Prompt) -> tuple[Piece, ...]:
    """The prompt's tokens, where the server tells them; a run does not fail for want of them."""
    with suppress(PlaygroundError):
        return await pieces_of(served, prompt) or ()
    return ()


def _tell_started(
    served: Served, run: Run, prompt: tuple[Piece, ...], listener: Listener
) -> None:
    text = run.prompt.text if isinstance(run.prompt, Raw) else ""
    rendered = "".join(piece.text for piece in prompt) or text
    listener(Started(prompt, rendered, served.offers.context, tuple(_notices(served, run))))


def _notices(served: Served, run: Run) -> list[str]:
    """What a reader must know of figures that come from a server."""
    offers, name, decoding = served.offers, served.name, run.decoding
    said = [offers.why_not("logprobs")]
    if not said[0]:
        said.append(offers.why_not("token ids"))
        if decoding.candidates > offers.alternatives:
            said.append(f"{name} tells {offers.alternatives} candidates of a token at most.")
    if decoding.draws and not offers.offers("seed"):
        said.append(f"{name} takes no seed: the same run again may write another text.")
    if decoding.effects:
        said.append(f"{name} does not tell what each setting did to a step.")
    if decoding.alone or not decoding.use_cache:
        said.append("Batches and cache are the server's own affair.")
    if not offers.offers("tokenize"):
        said.append(offers.why_not("tokenize"))
    if _has_control(run.prompt):
        said.append(only_here("control tokens", name))
    return [one for one in said if one]


def _has_control(prompt: Prompt) -> bool:
    match prompt:
        case Raw(text):
            return bool(_CONTROL.search(text))
        case Chat(messages):
            return any(_CONTROL.search(one.content) for one in messages)
    return False


def _tell_inserted(
    run: Run, inserted: tuple[Piece, ...], listener: Listener, reading: Reading
) -> None:
    """What the reader put in; what the model thought of it is not told by a server."""
    start = len(run.fork.ids) if run.fork else 0
    for number, piece in enumerate(inserted):
        listener(Step(start + number, piece.id, piece.text, piece.text, UNTOLD, 0, UNTOLD, UNTOLD,
                      (), forced=True))
    reading.begin_at(start + len(inserted))
