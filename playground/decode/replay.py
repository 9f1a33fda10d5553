"""A stored step chosen again under other settings, without a forward; it knows no batch."""

from __future__ import annotations

from dataclasses import replace

import torch

from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.decode.choice import read
from playground.decode.member import Forwarded
from playground.decode.recent import Moment
from playground.decode.row import Row
from playground.decode.strategy import member_of
from playground.errors import InvalidInput
from playground.models.loading import Model


@torch.inference_mode()
def replay(model: Model, moment: Moment, decoding: Decoding) -> Step:
    """What a row with these settings chooses at this moment: after this text, with these dice.

    It is a row like any other, put back to where the moment was, so under the run's own settings
    the answer is the very step that was told. A run that threw no dice gets some: those that a run
    from here on, with ``position`` added to the seed, would throw first.

    Raises InvalidInput for settings that need more than is stored, or leave no token to choose.
    """
    _check(moment, decoding)
    # The room of the run, so that its text fits; and token by token. Neither changes a choice.
    room = max(decoding.max_new_tokens, moment.run.decoding.max_new_tokens)
    plain = replace(decoding, max_new_tokens=room, prompt_lookup_tokens=0, draft_tokens=0)
    run = replace(moment.run, decoding=plain)
    row, _ = member_of(model, 0, run, moment.encoded, {})
    assert isinstance(row, Row)
    row.restore(moment)
    # The entropy as it was told: summed up in another shape, its last bits might differ.
    reading = replace(read(moment.logits, decoding.candidates), entropy=[moment.entropy])
    layers = [*moment.layers[:, None]] if moment.layers is not None else []
    told = row.choose(Forwarded(moment.logits, reading, tuple(layers)))[0]
    if isinstance(told, Failed):
        fault = InvalidInput(told.problem.message)
        fault.problem = told.problem
        raise fault
    assert isinstance(told, Step)
    return told


def _check(moment: Moment, decoding: Decoding) -> None:
    """Raise InvalidInput for settings that need more than what is stored of this run."""
    own = moment.run.decoding
    field = "decoding"
    known = not (decoding.is_beam_search or decoding.is_contrastive)
    if decoding.is_guided:
        known = own.is_guided and decoding.negative_prompt == own.negative_prompt
        field = "negative_prompt" if own.is_guided else "guidance_scale"
    elif decoding.is_dola:
        known, field = own.is_dola, "dola_layers"
    if not known:
        raise InvalidInput(
            f"This step cannot be replayed with {decoding.name}: that needs more than what is "
            "stored of this run.",
            field=field,
            given=getattr(decoding, field, decoding.name),
            advice="Run it again with these settings.",
        )
