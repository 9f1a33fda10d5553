"""What a run's forwards made besides its tokens, as small JSON: beam steps, proposals, the cache.

Plain functions of events and traces for ``token_feed.py``; the orders are those that the scripts
``token_search.js`` and ``token_proposed.js`` read.
"""

from __future__ import annotations

from typing import Any

from playground.core.decoding import Decoding
from playground.core.events import Beam, Beams, Proposed
from playground.core.messages import ModelCard
from playground.core.offers import only_here
from playground.core.remote import server_and_model
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.engine.engine import Engine
from playground.ui.token_store import Live, encode, encode_pieces, milliseconds, number

_STATES = ("kept", "finished", "dropped")


def encode_beams(beams: Beams) -> str:
    """One step of a search: position, length, milliseconds, its hypotheses, and what it ended.

    A hypothesis has no score: that is its total over its length to the penalty, and the reader may
    try another penalty.
    """
    ends = [
        [end.group, end.why, _maybe(end.possible), _maybe(end.worst)] for end in beams.ends
    ]
    rows = [_row(beam) for beam in beams.beams]
    return encode([beams.position, beams.length, milliseconds(beams.seconds), rows, ends])


def _row(beam: Beam) -> list[Any]:
    """Parent, id, piece, total, state (0 kept, 1 finished, 2 dropped), group; then what is told of
    some only: the reason of its end, what it lost by, and by how much."""
    row = [
        beam.parent, beam.id, beam.piece, number(beam.total, 7), _STATES.index(beam.state),
        beam.group,
    ]
    if beam.reason is None and not beam.lost:
        return row
    return [*row, beam.reason or "", beam.lost, number(beam.margin, 4)]


def _maybe(value: float | None) -> float | None:
    return None if value is None else number(value, 6)


def encode_proposed(proposed: Proposed) -> str:
    """What was proposed for one forward: position, source, how many were accepted, the pieces."""
    pieces = encode_pieces(proposed.pieces)
    head = encode([proposed.position, proposed.source, proposed.accepted])
    return f"{head[:-1]},{pieces}]"


def rules_of(decoding: Decoding) -> dict[str, Any] | None:
    """How a beam search goes about it; None for a run that is none."""
    if not decoding.is_beam_search:
        return None
    return {
        "beams": decoding.num_beams,
        "groups": decoding.num_beam_groups,
        "penalty": decoding.length_penalty,
        "early": decoding.early_stopping,
        "draws": decoding.draws,
    }


def speculation_of(trace: Trace) -> dict[str, Any] | None:
    """What proposals came to so far: how many tokens were proposed and accepted, and how many a
    forward of the model gave; None for a run that proposes none."""
    if not trace.proposals:
        return {} if trace.run.decoding.is_speculative else None
    return {
        "proposed": sum(len(one.pieces) for one in trace.proposals),
        "accepted": sum(one.accepted for one in trace.proposals),
        "a_forward": number(len(trace.steps) / trace.forwards, 3),
    }


def cache_of(trace: Trace, card: ModelCard | None = None) -> dict[str, Any] | None:
    """The KV cache of a run: whether it has one, how much of its prompt was there already, and its
    bytes, computed by the model's ``card`` for what has been read up to now, and measured at its
    end. None before the start.

    The newest token has not been read, and every beam has a text of its own; so has every candidate
    of a contrastive search, which reads them all to choose. Guidance reads a second text of another
    length, for which nothing is computed.
    """
    if trace.started is None:
        return None
    decoding = trace.run.decoding
    stood = len(trace.run.fork.ids) if trace.run.fork else 0
    prompt = len(trace.started.prompt) + stood
    told: dict[str, Any] = {
        "on": decoding.use_cache, "prompt": prompt, "reused": trace.started.reused
    }
    if card is not None and decoding.use_cache and not decoding.is_guided:
        inserted = sum(step.forced for step in trace.steps)
        new = inserted + len(trace.beams) if trace.beams else len(trace.steps)
        contrasts = decoding.is_contrastive
        tokens = prompt + (new if contrasts else max(0, new - 1))
        texts = (decoding.top_k if new else 1) if contrasts else decoding.num_beams
        told["tokens"], told["texts"] = tokens, texts
        told["of"] = "candidate" if contrasts else "beam"
        told["computed"] = card.cache_bytes(tokens) * texts
        if not card.kept.windows and not card.kept.fixed:
            told["each"] = card.cache_bytes(1)
    if trace.finished is not None and trace.finished.cache_bytes:
        told["measured"] = trace.finished.cache_bytes
    return told


def card_of(live: Live | None, run: Run) -> ModelCard | None:
    """The card of the model that a run is on; None where its engine does not know one."""
    statuses = live.engine.models() if live is not None else ()
    return next((one.card for one in statuses if one.spec == run.model.base), None)


def lacks_of(engine: Engine | None, spec: ModelSpec | None) -> dict[str, str]:
    """What cannot be done with a token of a model on a server, and why; nothing for other models.
    """
    served = server_and_model(spec.repo) if spec else None
    if spec is None or served is None:
        return {}
    offers, name = engine.offers(spec) if engine else None, served[0]
    branch = offers.why_not("id prompts") if offers else ""
    text = offers.why_not("tokenize") if offers else ""
    told = {
        "branch": branch, "text": branch or text, "ban": branch or only_here("ban", name),
        "xray": only_here("replay", name), "inside": only_here("inside", name),
    }
    return {what: why for what, why in told.items() if why}
