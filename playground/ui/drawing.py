"""Samples of one prompt, drawn together: their runs, how they were drawn, and where one of them
stands in a tree. It plays none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from playground.core.branches import Branch, Tree
from playground.core.compare import parted
from playground.core.events import Step
from playground.core.run import LARGEST_SEED, Run
from playground.errors import InvalidInput
from playground.ui.token_feed import TokenFeed
from playground.ui.token_store import answer_of, trace_of


@dataclass(frozen=True, slots=True)
class Drawing:
    """Samples of one prompt, or of how the run with the key ``origin`` goes on; how they were
    drawn, in words."""

    feeds: tuple[TokenFeed, ...]
    words: str = ""
    origin: str = ""

    @property
    def running(self) -> bool:
        """Whether some of them still write."""
        return any(not feed.trace.is_over for feed in self.feeds)

    def branch(self, feed: TokenFeed, tree: Tree) -> Branch:
        """One of them as a branch: of the first run, where the prompt is the same, and of nothing
        else."""
        origin = tree.get(self.origin)
        for branch in (origin, *tree.branches) if origin else tree.branches:
            trace = trace_of(branch.key)
            above = branch is origin or branch.parent is None
            if above and trace and _same_prompt(trace.run, feed.trace.run):
                ids = [step.id for step in answer_of(branch.key)]
                own = [step.id for step in answer_of(feed.key)]
                place = parted(ids, own)
                shared = min(len(ids), len(own)) if place is None else place
                return Branch(feed.key, branch.key, shared, "sample", feed.title)
        return Branch(feed.key, deed="sample", token=feed.title)


def _same_prompt(a: Run, b: Run) -> bool:
    return (a.model, a.prompt) == (b.model, b.prompt)


def drawing_of(
    run: Run, count: object, most: int, describe: Callable[[Run], str],
    stood: Sequence[Step] = (), origin: Branch | None = None,
) -> Drawing:
    """So many samples of a run's prompt, with seeds that follow each other, at ``most`` that many.

    Or of how an answer goes on: its tokens that ``stood`` in the branch ``origin``. Settings that
    draw nothing draw at random here. Raises InvalidInput for a wrong count.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= most:
        raise InvalidInput(
            f"Samples are {count!r}; it must be a whole number from 2 to {most}.",
            field="samples", given=count, allowed=f"a whole number from 2 to {most}",
        )
    words = [] if origin is None else [f"After {len(stood)} tokens of “{origin.title}”."]
    if not run.decoding.draws:
        words.append(
            f"{run.decoding.name.capitalize()} draws nothing, so these are drawn at random."
        )
        run = replace(run, decoding=replace(
            run.decoding, do_sample=True, num_beams=1, num_beam_groups=1, penalty_alpha=0.0
        ))
    runs = [replace(run, seed=(run.seed + n) % (LARGEST_SEED + 1)) for n in range(count)]
    feeds = [TokenFeed(one, f"Sample {n}", describe(one), stood=stood)
             for n, one in enumerate(runs, start=1)]
    return Drawing(tuple(feeds), " ".join(words), origin.key if origin else "")
