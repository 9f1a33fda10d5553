"""The hidden states of a text, layer by layer: what is asked of them and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from playground.core.events import Piece
from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt

# Sun et al. 2024, Massive Activations in Large Language Models (arXiv 2402.17762): an activation
# is massive above 100 and above about a thousand times the median of its hidden state.
MASSIVE, MASSIVE_TIMES = 100.0, 1000.0


@dataclass(frozen=True, slots=True)
class Peak:
    """The value of a layer that is farthest from 0: where it is, and what is usual there.

    ``median`` is that of the absolute values of the layer's states.
    """

    position: int
    dimension: int
    value: float
    median: float

    @property
    def massive(self) -> bool:
        """Whether it is a massive activation, as Sun et al. 2024 define them."""
        return abs(self.value) > max(MASSIVE, MASSIVE_TIMES * self.median)


@dataclass(frozen=True, slots=True)
class Ends:
    """What ``hidden_states[0]`` and ``[-1]`` are, as measured in a pass over the first ``tokens``.

    Each is the largest of the absolute differences; None where the model has no such thing. Of the
    first state: from the rows of the ``embedding`` matrix, from what the first layer read
    (``first_in``) and gave (``first_out``). Of the last one: from ``last_hidden_state``, from what
    the last layer gave (``last_out``), from what the final norm made of that (``normed``), and from
    what the output ``head`` read. ``norm`` names the final norm, ``kind`` its class; both are empty
    where there is none. ``before`` and ``after`` are the mean L2 norms of the last layer's states
    and of ``hidden_states[-1]``.
    """

    tokens: int
    embedding: float | None = None
    first_in: float | None = None
    first_out: float | None = None
    last_hidden_state: float | None = None
    last_out: float | None = None
    normed: float | None = None
    head: float | None = None
    norm: str = ""
    kind: str = ""
    before: float | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class HiddenFound(Finding):
    """Hidden states of one text, as ``output_hidden_states`` gives them; ``ends`` says what the
    first and the last of them are.

    ``norms[layer][position]`` are L2 norms, ``cosines[layer][position]`` that between the state of
    a layer and of the one after it (one layer fewer), ``firsts[layer][position]`` the first values
    of a state, ``widths`` of each layer how many it has.
    """

    pieces: tuple[Piece, ...]
    widths: tuple[int, ...]
    dtype: str
    norms: tuple[tuple[float, ...], ...]
    cosines: tuple[tuple[float | None, ...], ...]
    firsts: tuple[tuple[tuple[float, ...], ...], ...]
    peaks: tuple[Peak, ...]
    ends: Ends
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class HiddenStates(Inspection[HiddenFound]):
    """Asks for the hidden states of a text at every layer and position."""

    prompt: Prompt

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """The text."""
        return (self.prompt,)


def scale(norms: tuple[tuple[float, ...], ...]) -> tuple[float, float]:
    """The lowest and the highest value of a colour scale that a few giants do not break.

    The highest is the largest one up to eight times the median: one above it has the strongest
    colour and is marked.
    """
    values = sorted(value for row in norms for value in row)
    bound = 8 * median(values)
    return values[0], max((value for value in values if value <= bound), default=values[-1])
