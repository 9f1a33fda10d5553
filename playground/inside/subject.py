"""The model that is looked into, with what is kept between two looks; it knows no question."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from playground.core.inspection import Finding
from playground.models.loading import Model

# A look does its work in pieces and yields between them: everybody else decodes meanwhile.
Look = Generator[None, None, Finding]


@dataclass
class Subject:
    """A model under inspection.

    ``beside`` says that others decode and wait for each piece of work, which is to be small then.
    ``kept`` is what the next look need not make again, by name; whoever keeps something bounds it.
    """

    model: Model
    beside: bool = False
    kept: dict[str, Any] = field(default_factory=dict)
