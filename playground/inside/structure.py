"""The tree of a model's modules, each tensor once, and the model without its head; no text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn
from transformers import MODEL_MAPPING, GenerationMixin

from playground.core.structure import (
    Bare,
    Beyond,
    Part,
    Role,
    Structure,
    StructureFound,
    Weight,
)
from playground.errors import InvalidInput
from playground.inside.stack import head_of, layers_of
from playground.inside.subject import Look, Subject

MOST_PARTS = 5_000  # modules of the tree, once equal ones are folded
MOST_PRINTED = 500_000  # characters


def look_at_structure(subject: Subject, request: Structure) -> Look:
    """The tree, the bare model, and the words of ``print``. Raises InvalidInput for a model that
    is made of more parts than a page can hold."""
    del request  # it asks for all of it
    yield
    lm, card = subject.model.lm, subject.model.card
    tree = tree_of(lm)
    notices: list[str] = []
    if tree.parameters != card.parameters and card.spec.adapter:
        notices.append(
            f"The base is counted too, {tree.parameters - card.parameters:,} parameters: the "
            "adapter lies in its layers."
        )
    printed = str(lm)
    if len(printed) > MOST_PRINTED:
        printed = printed[:MOST_PRINTED] + "\n… (cut)"
        notices.append(f"What print says is cut after {MOST_PRINTED:,} characters.")
    return StructureFound(tree, bare_of(lm), printed, tuple(notices))


def tree_of(lm: Any) -> Part:
    """All modules of a model; neighbours of a list that are equal in everything are folded."""
    return _Tree(_roles(lm)).part("", lm, "")


def _roles(lm: Any) -> dict[int, Role]:
    """What modules are to the model, by their identity."""
    roles: dict[int, Role] = {}
    if (base := lm.base_model) is not lm:
        roles[id(base)] = "base"
    if (layers := layers_of(lm)) is not None:
        path = layers[0].split(".")
        for end in range(1, len(path)):
            roles.setdefault(id(lm.get_submodule(".".join(path[:end]))), "trunk")
        roles[id(layers[1])] = "layers"
        roles |= {id(layer): "layer" for layer in layers[1]}
    ends: tuple[tuple[Role, Any], ...] = (
        ("head", head_of(lm)), ("embedding", lm.get_input_embeddings())
    )
    roles |= {id(module): role for role, module in ends if module is not None}
    roles[id(lm)] = "whole"
    return roles


@dataclass
class _Tree:
    """The tree while it is made: which tensors were met, and where first."""

    roles: dict[int, Role]
    met: dict[int, str] = field(default_factory=dict)
    made: int = 0

    def part(self, name: str, module: nn.Module, path: str) -> Part:
        weights = tuple(self._weights(module, path))
        parts: list[Part] = []
        folds = bool(module._modules) and all(key.isdigit() for key in module._modules)
        for key, inner in module._modules.items():
            if inner is None:
                continue
            one = self.part(key, inner, f"{path}.{key}" if path else key)
            if folds and parts and _follows(parts[-1], one):
                first = parts[-1].first
                parts[-1] = replace(
                    parts[-1], name=f"{first}-{key}", count=parts[-1].count + 1
                )
                self.made -= sum(1 for _ in one.walk())
            else:
                parts.append(one)
        self.made += 1
        if self.made > MOST_PARTS:
            raise InvalidInput(
                f"This model is made of more than {MOST_PARTS:,} different modules.",
                field="model", allowed=f"at most {MOST_PARTS:,} modules",
                advice="Look at a smaller model.",
            )
        role = self.roles.get(id(module), "")
        given = module.extra_repr().replace("\n", ", ")
        return Part(name, type(module).__name__, given, role, weights, tuple(parts))

    def _weights(self, module: nn.Module, path: str) -> Iterator[Weight]:
        named: list[tuple[str, Any, bool]] = [
            *((n, t, False) for n, t in module._parameters.items() if t is not None),
            *((n, t, True) for n, t in module._buffers.items() if t is not None),
        ]
        for name, tensor, buffer in named:
            where = f"{path}.{name}" if path else name
            first = self.met.setdefault(id(tensor), where)
            yield Weight(
                name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."),
                str(tensor.device), tensor.numel() * _packed(tensor),
                tensor.numel() * tensor.element_size(), buffer,
                "" if first == where else first, _beside(module, tensor),
            )


def _follows(before: Part, one: Part) -> bool:
    """Whether a module is equal to those before it in everything but its number."""
    return replace(before, name="", count=1) == replace(one, name="")


def _beside(module: Any, tensor: Any) -> int:
    """Bytes of the scales that quantized weights need beside them; those of 8 bits lie in the
    module once it was called."""
    state = getattr(tensor, "quant_state", None)
    held: list[Any] = [getattr(state, name, None) for name in ("absmax", "offset", "code")]
    nested = getattr(state, "state2", None)
    held += [getattr(nested, name, None) for name in ("absmax", "code")]
    if tensor is module._parameters.get("weight"):
        held += [getattr(tensor, "SCB", None), getattr(getattr(module, "state", None), "SCB", None)]
    return sum(one.numel() * one.element_size() for one in held if hasattr(one, "numel"))


def bare_of(lm: Any) -> Bare | None:
    """The model without its head; None where it is all there is."""
    base = lm.base_model
    if base is lm:
        return None
    path = next(name for name, module in lm.named_modules() if module is base)
    known = {id(tensor): f"{path}.{name}" for name, tensor in _tensors(base)}
    beyond = tuple(
        _beyond(name, module, known) for name, module in lm.named_modules()
        if (module._parameters or module._buffers) and not f"{name}.".startswith(f"{path}.")
    )
    tree = _Tree({}).part("", base, "")
    auto: Any = MODEL_MAPPING.get(type(lm.config), None)
    auto = auto[0] if isinstance(auto, tuple | list) else auto
    whole = "AutoModelForCausalLM" if isinstance(lm, GenerationMixin) else "AutoModelForMaskedLM"
    return Bare(
        type(base).__name__, path, auto.__name__ if auto else "", whole,
        tree.parameters, tree.bytes, beyond,
    )


def _beyond(path: str, module: Any, known: dict[int, str]) -> Beyond:
    """A module outside of the bare model, whose tensors are ``known``; each is counted once."""
    parameters = size = 0
    same = ""
    for name, tensor in _tensors(module, recurse=False):
        if (there := known.get(id(tensor))) is not None:
            same = same or there
            continue
        known[id(tensor)] = f"{path}.{name}"
        size += tensor.numel() * tensor.element_size()
        if isinstance(tensor, nn.Parameter):
            parameters += tensor.numel() * _packed(tensor)
    return Beyond(path, type(module).__name__, parameters, size, same)


def _packed(tensor: Any) -> int:
    """How many numbers lie in one of a tensor: two in each byte of 4-bit weights."""
    return 2 * int(tensor.element_size()) if hasattr(tensor, "quant_state") else 1


def _tensors(module: Any, recurse: bool = True) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(recurse=recurse)
    yield from module.named_buffers(recurse=recurse)
