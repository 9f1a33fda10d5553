"""What a model is made of, and which shapes flow through it; plain values without a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from playground.core.inspection import Finding, Inspection
from playground.core.prompt import Prompt

Shape = tuple[int, ...]

# What a module is to the model, found without its name: all of it ("whole"), what the text goes
# through before the head ("base" and, inside, "trunk"), the list of its "layers" and one "layer",
# the input "embedding" and the output "head".
Role = Literal["", "whole", "base", "trunk", "layers", "layer", "embedding", "head"]


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor of a module: a parameter, or a buffer (``numbers`` is then no parameter count).

    ``shape`` is how it lies in memory, ``numbers`` how many numbers that are: of 4-bit weights two
    lie in one byte. ``extra`` bytes lie beside it (the scales of quantized weights), which the
    size of the model does not count. ``same_as`` is the path of the tensor that it is, where
    another module has it already; it is counted there.
    """

    name: str
    shape: Shape
    dtype: str
    device: str
    numbers: int
    bytes: int
    buffer: bool = False
    same_as: str = ""
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A module with all that is inside it, or ``count`` equal ones that follow each other.

    ``name`` is then "0-23", and all else is that of the first of them. ``kind`` is the class,
    ``given`` what ``print`` says of it in parentheses.
    """

    name: str
    kind: str
    given: str
    role: Role
    weights: tuple[Weight, ...]
    parts: tuple[Part, ...]
    count: int = 1

    @property
    def first(self) -> str:
        """The name of the first of them, as it stands in a path."""
        return self.name.split("-")[0] if self.count > 1 else self.name

    @property
    def parameters(self) -> int:
        """Of all ``count``, each tensor once."""
        own = sum(w.numbers for w in self.weights if not w.buffer and not w.same_as)
        return self.count * (own + sum(part.parameters for part in self.parts))

    @property
    def bytes(self) -> int:
        """Of all ``count``, buffers too, each tensor once."""
        own = sum(w.bytes for w in self.weights if not w.same_as)
        return self.count * (own + sum(part.bytes for part in self.parts))

    def walk(self, path: str = "") -> Iterator[tuple[str, Part]]:
        """This part and all inside it, each with the path of the first module that it stands for;
        that of the model itself is empty."""
        yield path, self
        for part in self.parts:
            yield from part.walk(f"{path}.{part.first}" if path else part.first)


@dataclass(frozen=True, slots=True)
class Beyond:
    """A module that the model with a head has beyond the bare one; ``same_as`` names the tensor
    that its weights are, where it has none of its own."""

    path: str
    kind: str
    parameters: int
    bytes: int
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class Bare:
    """The model without its head: what ``AutoModel`` makes of the same files.

    ``kind`` is its class here, ``auto`` the class that ``AutoModel`` names for this config ("" if
    it names none), ``path`` where it lies in the whole, whose class ``auto_whole`` makes.
    """

    kind: str
    path: str
    auto: str
    auto_whole: str
    parameters: int
    bytes: int
    beyond: tuple[Beyond, ...]


@dataclass(frozen=True, slots=True)
class StructureFound(Finding):
    """The tree of a model's modules, what it is without its head, and what ``print`` says of it."""

    tree: Part
    bare: Bare | None
    printed: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Structure(Inspection[StructureFound]):
    """What is this model made of?"""

    quick: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Heads:
    """How a projection's width falls into heads: ``heads`` x ``size`` numbers of ``what``; each of
    them is read by ``shared`` query heads."""

    what: str
    heads: int
    size: int
    shared: int = 1


@dataclass(frozen=True, slots=True)
class Flow:
    """What went into a module and what came out, tensor by tensor, the first time it was called.

    ``moved`` are the dtypes of what came out. ``heads`` is how its output is read as heads, where
    the config tells.
    """

    path: str
    given: tuple[Shape, ...]
    gave: tuple[Shape, ...]
    dtype: str
    calls: int
    heads: tuple[Heads, ...] = ()


@dataclass(frozen=True, slots=True)
class ShapesFound(Finding):
    """The shapes of one real pass, in the order in which the modules were called.

    ``tokens`` are those of the text, of which the first ``read`` went through.
    """

    tokens: int
    read: int
    flows: tuple[Flow, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shapes(Inspection[ShapesFound]):
    """Which shapes does this text have on its way through the model?"""

    prompt: Prompt

    @property
    def parts(self) -> tuple[Prompt, ...]:
        """Every text that was given, for the limits at the door."""
        return (self.prompt,)


def spine(tree: Part, found: ShapesFound) -> list[tuple[str, Part, Flow]]:
    """The way of a text through the model: the modules that it goes through one after another,
    in the order of the pass, equal layers as one."""
    flows = {flow.path: (place, flow) for place, flow in enumerate(found.flows)}
    steps: list[tuple[int, str, Part, Flow]] = []

    def take(path: str, part: Part) -> None:
        if part.role in ("whole", "base", "trunk", "layers"):
            for inner in part.parts:
                take(f"{path}.{inner.first}" if path else inner.first, inner)
        elif path in flows and "Dropout" not in part.kind:
            steps.append((flows[path][0], path, part, flows[path][1]))

    take("", tree)
    return [(path, part, flow) for _, path, part, flow in sorted(steps, key=lambda step: step[0])]
