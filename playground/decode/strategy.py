"""Which member decodes a run, in which batch, and what of its settings this model cannot do."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.run import Run
from playground.decode.batch import Batch
from playground.decode.beam import BeamSearch
from playground.decode.contrastive import ContrastiveSearch
from playground.decode.dola import Contrast, DolaRow, contrast_of
from playground.decode.guidance import GuidedBatch, GuidedRow
from playground.decode.member import Member
from playground.decode.row import Row
from playground.decode.speculate import Drafts, Speculation, SpeculativeBatch, plan
from playground.models.lanes import BATCH, RECOMPUTE
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


def lane_of(model: Model, run: Run) -> str:
    """How the texts of a run are read: as the model can, or all anew for every token."""
    return model.card.lane if run.decoding.use_cache else RECOMPUTE


def shares(model: Model, member: Member) -> bool:
    """Whether a member's rows may stand beside others' in a forward."""
    alone = member.run.decoding.alone or isinstance(member, Speculation)
    return lane_of(model, member.run) == BATCH and not alone


def batch_of(model: Model, member: Member) -> Batch:
    """A batch for a member that does not share."""
    if isinstance(member, Speculation):
        return SpeculativeBatch(model.lm, member)
    if isinstance(member, GuidedRow) and lane_of(model, member.run) != RECOMPUTE:
        return GuidedBatch(model.lm)
    return Batch(model.lm)
