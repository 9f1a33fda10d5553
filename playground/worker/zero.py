"""What runs on a ZeroGPU: the models of this process, and one session of work in its forked child.

The same station that a worker process has; only its pipe is another: commands come as arguments,
and replies are yielded. It knows no page and not who calls it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished
from playground.core.messages import (
    Begin,
    Command,
    Events,
    Inspect,
    ModelCard,
    Render,
    Reply,
    Score,
)
from playground.core.run import ModelSpec
from playground.errors import InvalidInput
from playground.models.loading import Model, load
from playground.worker.bounds import memory_bounded
from playground.worker.station import Station, explained

MOST_SECONDS = 120   # of the GPU that one session may ask for
BASE_SECONDS = 8     # a child's start, and moving the weights to the GPU
TOKEN_SECONDS = 0.05
LOOK_SECONDS = 20    # a scoring, or a look inside

_MODELS: dict[ModelSpec, Model] = {}


class Replies:
    """A station's pipe that keeps what is sent until it is taken."""

    def __init__(self) -> None:
        self._sent: list[Reply] = []

    def send(self, reply: Reply) -> None:
        """Keep ``reply``."""
        self._sent.append(reply)

    def take(self) -> tuple[Reply, ...]:
        """What was sent since the last time."""
        sent, self._sent = tuple(self._sent), []
        return sent

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """For work that runs what a repo brings: the memory that can be had is bounded."""
        with memory_bounded():
            yield


def hold(spec: ModelSpec, folder: Path, device: str = "cuda") -> ModelCard:
    """Load a model into this process, for the children that are forked from it.

    Only on the first thread, before the page is served: later a ZeroGPU moves nothing to its
    device. The model is tried on the CPU, and only then its weights are handed over. Raises what
    ``load`` raises, and InvalidInput for quantized weights.
    """
    if spec.quantization != "none":
        raise InvalidInput(
            "On a ZeroGPU weights are not quantized.", field="quantization",
            given=spec.quantization, allowed="none",
        )
    dtype = "bfloat16" if spec.dtype == "auto" and device != "cpu" else spec.dtype
    made = load(replace(spec, dtype=dtype), folder, "cpu")
    card = replace(made.card, spec=spec)
    if device != "cpu":
        made.lm.to(device)
        card = replace(card, device=device)
    _MODELS[spec] = replace(made, spec=spec, card=card)
    return card


def held(spec: ModelSpec) -> ModelCard:
    """The card of a model that this process has. Raises InvalidInput for any other."""
    if spec not in _MODELS:
        names = ", ".join(one.label for one in _MODELS) or "none"
        raise InvalidInput(
            f"{spec.label} is not here: on a ZeroGPU the models are fixed at the start.",
            field="model", given=spec.repo, allowed=names, advice="Choose one of them.",
        )
    return _MODELS[spec].card


def seconds_of(spec: ModelSpec, commands: Sequence[Command]) -> int:
    """Seconds of the GPU to ask for: by the tokens that may come, and never above MOST_SECONDS.

    The takers of a quota look at this number, not at what is used.
    """
    tokens = [_tokens(one.run.decoding) for one in commands if isinstance(one, Begin)]
    looks = sum(LOOK_SECONDS for one in commands if isinstance(one, Score | Inspect))
    # Rows of one batch take about the time of the longest of them, and a little more each.
    rows = TOKEN_SECONDS * (max(tokens, default=0) + 0.1 * sum(tokens))
    return min(MOST_SECONDS, round(BASE_SECONDS + rows + looks))


def _tokens(decoding: Decoding) -> int:
    return decoding.max_new_tokens * (2 if decoding.is_beam_search else 1)


def render(spec: ModelSpec, command: Render) -> tuple[Reply, ...]:
    """Answer what needs no GPU, in this process."""
    replies = Replies()
    Station(replies, _MODELS[spec], dict(_MODELS)).render(command.key, command.prompt)
    return replies.take()


def session(spec: ModelSpec, commands: Sequence[Command]) -> Generator[tuple[Reply, ...]]:
    """Do all that is asked for and yield the replies, a step at a time; the caller may end it
    between two steps.

    Whatever happens is a reply: what is raised here reaches a caller as the name of its class, and
    a BaseException as nothing at all.
    """
    replies = Replies()
    keys = {one.key for one in commands if isinstance(one, Begin)}
    try:
        station = Station(replies, _MODELS[spec], dict(_MODELS))
        for command in commands:
            match command:
                case Begin(key, run):
                    station.begin(key, run)  # at full pace: a pause would hold the GPU
                case Score(key, request, _):
                    station.score(key, request)
                case Inspect(key, request, _):
                    station.inspect(key, request)
        yield replies.take()
        while station.busy:
            station.step()
            sent = replies.take()
            keys -= {key for reply in sent if isinstance(reply, Events)
                     for key, event in reply.items if isinstance(event, Finished | Failed)}
            yield sent
    except GeneratorExit:
        raise
    except BaseException as error:  # the border of Station
        problem = explained(error, "run")
        yield (*replies.take(), Events(tuple((key, Failed(problem)) for key in sorted(keys))))
