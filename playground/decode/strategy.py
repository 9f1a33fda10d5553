"""Which member of a batch decodes a run, and what of its settings this model cannot do."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.run import Run
from playground.decode.beam import BeamSearch
from playground.decode.contrastive import ContrastiveSearch
from playground.decode.dola import Contrast, DolaRow, contrast_of
from playground.decode.guidance import GuidedRow
from playground.decode.member import Member
from playground.decode.row import Row
from playground.decode.speculate import Drafts, Speculation, plan
from playground.models.loading import Model
from playground.models.text import Encoded


def member_of(
    model: Model, key: int, run: Run, encoded: Encoded, drafts: Drafts
) -> tuple[Member, Sequence[str]]:
    """What decodes this run, and notices for its reader. Raises PlaygroundError."""
    decoding = run.decoding
    if decoding.is_beam_search:
        return BeamSearch(model.tokenizer, Row(model, key, run, encoded)), ()
    if decoding.is_contrastive:
        return ContrastiveSearch(Row(model, key, run, encoded)), ()
    if decoding.is_guided:
        guided = GuidedRow(model, key, run, encoded)
        return guided, guided.notices
    proposers, ignored = plan(model, run, drafts)
    if proposers:
        return Speculation(model, key, run, encoded, proposers), ignored
    if decoding.is_dola:
        contrast = contrast_of(model, decoding.dola_layers)
        if isinstance(contrast, Contrast):
            return DolaRow(model, key, run, encoded, contrast), ()
        return Row(model, key, run, encoded), (f"ignored: DoLa ({contrast}).",)
    return Row(model, key, run, encoded), ignored
