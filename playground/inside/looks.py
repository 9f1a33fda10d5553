"""Which look answers which inspection; each look is a room of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playground.core.attention import AttentionRequest, HeadsRequest
from playground.core.hidden import HiddenStates
from playground.core.inspection import Inspection
from playground.core.lens import LensRequest, LensTopRequest
from playground.core.predictions import Predictions
from playground.core.quantized import Expected
from playground.core.structure import Shapes, Structure
from playground.core.tokenization import TokenizeRequest
from playground.core.vectors import StaticVectors, WordVectors
from playground.core.vocabulary import TokenRequest, VocabularyRequest
from playground.inside.attention import look_at_attention, look_at_heads
from playground.inside.hidden import look_at_hidden
from playground.inside.lens import look_at_lens, look_at_lens_top
from playground.inside.predictions import look_at_predictions
from playground.inside.quantized import look_at_expected
from playground.inside.shapes import look_at_shapes
from playground.inside.structure import look_at_structure
from playground.inside.subject import Look, Subject
from playground.inside.token_card import look_at_token
from playground.inside.tokenization import look_at_text
from playground.inside.vectors import look_at_static, look_at_word
from playground.inside.vocabulary import look_at_vocabulary

LOOKS: dict[type[Inspection[Any]], Callable[[Subject, Any], Look]] = {
    LensRequest: look_at_lens,
    LensTopRequest: look_at_lens_top,
    TokenizeRequest: look_at_text,
    VocabularyRequest: look_at_vocabulary,
    TokenRequest: look_at_token,
    Structure: look_at_structure,
    Shapes: look_at_shapes,
    Predictions: look_at_predictions,
    AttentionRequest: look_at_attention,
    HeadsRequest: look_at_heads,
    StaticVectors: look_at_static,
    WordVectors: look_at_word,
    HiddenStates: look_at_hidden,
    Expected: look_at_expected,
}


def look(subject: Subject, request: Inspection[Any]) -> Look:
    """The work for a request. What is wrong with it is raised at its first piece."""
    return LOOKS[type(request)](subject, request)
