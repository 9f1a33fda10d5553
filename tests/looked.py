"""Looks into models in this process, piece by piece, as a worker does; for tests of looks."""

from __future__ import annotations

from functools import cache
from typing import Any

from playground.core.inspection import Inspection
from playground.core.run import ModelSpec
from playground.inside.inspector import Inspector
from playground.models.loading import Model, assemble
from tests.architectures import tiny
from tests.tiny_models import byte_level_tokenizer


@cache
def architecture(kind: str) -> Model:
    """A tiny random model of an architecture; its vocabulary is bytes and a few words."""
    return assemble(ModelSpec(f"x/{kind}"), tiny(kind), byte_level_tokenizer())


def looked(model: Model, request: Inspection[Any], beside: bool = False) -> Any:
    """What a look finds, or its Problem."""
    inspector = Inspector(model)
    inspector.join(0, request)
    while inspector.busy:
        if told := inspector.step(beside):
            return told[1]
    raise AssertionError("the look told nothing")
